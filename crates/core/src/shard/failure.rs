//! What failed: tried again, isolated, given up or parked, one address at a time.

use bytes::Bytes;
use statera_model::{Failure, FailureKind, KeyGroup, Millis};
use statera_ports::{Answer, DeadLetterId};

use super::news::{Attempted, Follows};
use super::{Alarm, Shard};
use crate::input::{InvocationId, OnFailure, Policy};
use crate::instance::{Instance, Marks, Phase, Trouble};
use crate::keys::Key;
use crate::mailbox::Mails;
use crate::values::{DeadBody, DeadLetter, Mail, Paused};

/// What to do about a failed attempt.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Again, later.
    Backoff,
    /// Again at once, with half of the messages that are suspected.
    Isolate,
    /// Again at once, with half of the messages: all of them were too large a request.
    Halve,
    /// The one message of the batch is given up.
    DeadLetter,
    /// The address takes no messages until it is resumed.
    Pause,
}

impl Verdict {
    fn is_retry(&self) -> bool {
        matches!(self, Verdict::Backoff | Verdict::Isolate | Verdict::Halve)
    }

    fn follows(&self) -> Follows {
        match self {
            Verdict::Backoff | Verdict::Isolate | Verdict::Halve => Follows::Retry,
            Verdict::DeadLetter => Follows::DeadLetter,
            Verdict::Pause => Follows::Pause,
        }
    }
}

/// How often messages must fail before they are blamed, unless the budget alone says so: a single failure may be that of
/// an endpoint that has just come back.
const EVIDENCE_MIN: u32 = 3;

impl Shard {
    pub(super) fn failed(&mut self, id: InvocationId, failure: &Failure, request: Bytes) {
        let Some(instance) = self.instances.attempt(id.instance, id.attempt) else { return };
        let (batch, asked) = match instance.phase {
            Phase::Running { batch, .. } => (batch as usize, true),
            // What is stored is not what the function declares: nobody was asked.
            Phase::Loading { .. } => (1, false),
            _ => return,
        };
        let function = &mut self.functions[instance.function as usize];
        let Some(policy) = function.policy else {
            // Nobody serves it any more: when its turn comes, it is given up.
            self.release_place(id.instance);
            return self.again(id.instance);
        };
        let (is_down, is_back) = match failure.kind {
            FailureKind::Unavailable => (function.gate.unavailable(self.now, &policy), false),
            _ => (false, asked && function.gate.answered()),
        };
        function.counts.failures.count(failure.kind);
        let successes = function.successes;
        if is_down {
            self.tell_silent(id.instance, failure);
        }
        if is_back {
            self.tell_answering(id.instance);
        }
        self.release_place(id.instance);
        let instance = self.instances.get_mut(id.instance);
        let now = self.now;
        if !instance.marks.has(Marks::TROUBLED) {
            instance.marks.set(Marks::TROUBLED);
            self.functions[instance.function as usize].troubled += 1;
        }
        let trouble = self
            .troubles
            .entry(id.instance)
            .or_insert_with(|| Trouble::new(now, failure, successes));
        trouble.note(now, failure, successes);
        let verdict = verdict(trouble, failure.kind, batch, &policy, now);
        let attempts = trouble.attempts;
        let counts = &mut self.functions[instance.function as usize].counts;
        counts.backing_off += u64::from(verdict == Verdict::Backoff);
        counts.retries += u64::from(verdict.is_retry());
        let follows = verdict.follows();
        self.tell_failed(id, failure, Attempted { messages: batch, attempts, follows });
        let instance = self.instances.get_mut(id.instance);
        let trouble = self.troubles.get_mut(&id.instance).expect("it has failed");
        match verdict {
            Verdict::Backoff => {
                let delay_ms = backoff_ms(trouble.tries, &policy);
                instance.phase = Phase::Waiting { attempt: id.attempt };
                self.alarm(now.after(delay_ms), Alarm::Retry(id));
            }
            Verdict::Isolate => {
                trouble.suspects = batch;
                trouble.narrowed();
                self.again(id.instance);
            }
            Verdict::Halve => {
                trouble.batch_max = batch / 2;
                trouble.narrowed();
                self.again(id.instance);
            }
            Verdict::DeadLetter => self.bury_first(id.instance, request),
            Verdict::Pause => self.pause(id.instance),
        }
    }

    /// A batch went through: what was wrong, if anything, is over, or lies further back among the suspects.
    pub(super) fn recovered(&mut self, index: u32, batch: usize) {
        let now = self.now;
        let instance = self.instances.get_mut(index);
        let Some(trouble) = self.troubles.get_mut(&index) else { return };
        trouble.suspects = trouble.suspects.saturating_sub(batch);
        trouble.narrowed();
        if trouble.suspects == 0 {
            let batch_max = trouble.batch_max;
            let forget = batch_max == usize::MAX || instance.mailbox.is_empty();
            if forget {
                self.forget_trouble(index);
            } else {
                // The rest of the backlog is as large: no need to learn it again.
                (trouble.since, trouble.attempts) = (now, 0);
            }
        }
    }

    pub(super) fn forget_trouble(&mut self, index: u32) -> Option<Trouble> {
        let instance = self.instances.get_mut(index);
        instance.marks.clear(Marks::TROUBLED);
        let forgotten = self.troubles.remove(&index);
        self.functions[instance.function as usize].troubled -= usize::from(forgotten.is_some());
        forgotten
    }

    /// Gives up the first message of a mailbox.
    fn bury_first(&mut self, index: u32, request: Bytes) {
        let trouble = self.forget_trouble(index).expect("it has failed");
        let instance = self.instances.get(index);
        let target = self.address(instance);
        let body = if request.is_empty() {
            DeadBody::Message { target, mail: first_mail(&self.mails, instance) }
        } else {
            DeadBody::Invocation { target, request }
        };
        let Trouble { attempts, reason, .. } = trouble;
        self.bury_with(index, DeadLetter { at: self.now, attempts, reason, body });
        self.go_on(index);
    }

    /// Gives up all messages for a function that nobody serves.
    pub(super) fn bury_uncovered(&mut self, index: u32) {
        if self.instances.get(index).marks.has(Marks::HELD) {
            return self.park(index);
        }
        self.forget_trouble(index);
        while !self.instances.get(index).mailbox.is_empty() {
            let instance = self.instances.get(index);
            let target = self.address(instance);
            let reason = format!(
                "no endpoint serves functions of type `{}`; hint: add one and redrive",
                target.function
            );
            let mail = first_mail(&self.mails, instance);
            let body = DeadBody::Message { target, mail };
            self.bury_with(
                index,
                DeadLetter { at: self.now, attempts: 0, reason: reason.into(), body },
            );
        }
        self.instances.get_mut(index).phase = Phase::Idle;
    }

    /// Moves the first message of a mailbox into a dead letter, and tells who waits for its answer.
    fn bury_with(&mut self, index: u32, letter: DeadLetter) {
        let instance = self.instances.get(index);
        let (group, reason) = (instance.group, letter.reason.clone());
        let caller = self.mails.first(&instance.mailbox).and_then(|first| first.caller.clone());
        let id = self.bury(group, letter);
        self.counts_of(index).dead_letters += 1;
        self.take_mail(index, 1);
        if let Some(caller) = caller.filter(|caller| caller.function == self.call_function) {
            self.answer(&caller.id, Answer::DeadLettered { id, reason });
        }
    }

    pub(super) fn bury(&mut self, group: KeyGroup, letter: DeadLetter) -> DeadLetterId {
        self.dead_letter_number = self.now.0.max(self.dead_letter_number + 1);
        let id = DeadLetterId { key_group: group.0, number: self.dead_letter_number };
        self.pending.put(Key::DeadLetter(id).encode(group), letter.encode());
        self.tell_buried(id, &letter);
        self.dead_letters.insert(id);
        id
    }

    fn pause(&mut self, index: u32) {
        let instance = self.instances.get_mut(index);
        instance.phase = Phase::Paused;
        let held = instance.marks.clear(Marks::HELD);
        let trouble = self.forget_trouble(index).expect("it has failed");
        let paused = Paused { since: self.now, reason: trouble.reason };
        let instance = self.instances.get(index);
        let key = Key::Paused(self.address(instance)).encode(instance.group);
        self.pending.put(key, paused.encode());
        self.paused += usize::from(!held);
        self.counts_of(index).paused += 1;
    }
}

impl Trouble {
    fn new(now: Millis, failure: &Failure, successes: u64) -> Trouble {
        Trouble {
            since: now,
            attempts: 0,
            tries: 0,
            evidence: 0,
            failed_at: now,
            successes,
            suspects: 0,
            batch_max: usize::MAX,
            reason: failure.reason.clone(),
        }
    }

    /// An attempt has failed, after so many invocations of its type have succeeded.
    fn note(&mut self, now: Millis, failure: &Failure, successes: u64) {
        let others_served = successes > self.successes;
        // While the endpoint answers nobody, these messages are not to blame.
        let speaks = failure.kind != FailureKind::Unavailable || others_served;
        self.evidence += u32::from(speaks);
        self.attempts += 1;
        self.tries += 1;
        self.failed_at = now;
        self.successes = successes;
        self.reason = failure.reason.clone();
    }

    /// From now on other messages are tried.
    fn narrowed(&mut self) {
        self.tries = 0;
        self.evidence = 0;
    }
}

fn first_mail(mails: &Mails, instance: &Instance) -> Mail {
    let message = mails.first(&instance.mailbox).expect("what failed was a message");
    Mail { caller: message.caller.clone(), argument: message.argument.clone() }
}

fn verdict(
    trouble: &Trouble,
    kind: FailureKind,
    batch: usize,
    policy: &Policy,
    now: Millis,
) -> Verdict {
    let spent = now.since(trouble.since) >= policy.budget_ms;
    let exhausted = match kind {
        FailureKind::Unavailable => spent && trouble.evidence >= EVIDENCE_MIN,
        FailureKind::Rejected if trouble.suspects == 0 => spent,
        FailureKind::Rejected => trouble.evidence >= EVIDENCE_MIN,
        FailureKind::Fatal | FailureKind::TooLarge => true,
    };
    match policy.on_failure {
        _ if kind == FailureKind::TooLarge && batch > 1 => Verdict::Halve,
        _ if !exhausted => Verdict::Backoff,
        OnFailure::Retry => Verdict::Backoff,
        OnFailure::DeadLetter if batch > 1 => Verdict::Isolate,
        OnFailure::DeadLetter => Verdict::DeadLetter,
        OnFailure::Pause => Verdict::Pause,
    }
}

/// The delay before the next attempt: twice as long each time.
pub(super) fn backoff_ms(tries: u32, policy: &Policy) -> u64 {
    let doubled = policy.backoff_min_ms.saturating_mul(1 << tries.saturating_sub(1).min(40));
    doubled.min(policy.backoff_max_ms)
}
