//! What a shard knows of each function type: its states, whether it answers, and which instances wait for a turn.

use std::collections::VecDeque;

use statera_model::{Expiration, FunctionType, Millis, StateSpec};

use crate::figures::Counts;
use crate::graph;
use crate::input::{NAME_BYTES_MAX, Policy, STATES_PER_FUNCTION_MAX, WARMUP_MS};
use crate::keys::KeyPart;

/// A function type. All its instances in a shard share it.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: FunctionType,
    /// `None` if nobody serves it.
    pub(crate) policy: Option<Policy>,
    /// The states it has declared since the start; only grows.
    pub(crate) states: Vec<StateSpec>,
    /// Their names, and the function's, as keys have them.
    pub(crate) state_keys: Vec<KeyPart>,
    pub(crate) key: KeyPart,
    /// Whether any of them expires.
    pub(crate) expires: bool,
    pub(crate) gate: Gate,
    pub(crate) in_flight: usize,
    /// Instances that wait for their turn.
    pub(crate) ready: VecDeque<u32>,
    /// How many of the first of them have been looked at lately, so that the processor has them at hand.
    pub(crate) touched: usize,
    /// Whether it stands in the shard's list of types with ready instances.
    pub(crate) listed: bool,
    /// Bytes of messages waiting.
    pub(crate) mail_bytes: usize,
    pub(crate) last_success: Option<Millis>,
    /// Invocations that succeeded.
    pub(crate) successes: u64,
    /// The time of an alarm that will list it again.
    pub(crate) alarm: Option<Millis>,
    /// Of instances whose invocations fail.
    pub(crate) troubled: usize,
    /// While it is halted, the places that its policy has otherwise: now it has none.
    pub(crate) halted: Option<usize>,
    /// Who has sent to it, and to which egresses it has emitted.
    pub(crate) senders: graph::Counts,
    pub(crate) egresses: graph::Counts,
    pub(crate) counts: Counts,
}

impl Function {
    pub(crate) fn new(name: &FunctionType, policy: Option<Policy>) -> Function {
        Function {
            key: KeyPart::function(name),
            state_keys: Vec::new(),
            // Each of its messages names it. Whoever is served is named by the application, of which there are few.
            name: if policy.is_some() { name.leaked() } else { name.clone() },
            policy,
            states: Vec::new(),
            expires: false,
            gate: Gate::Cold { probing_since: None },
            in_flight: 0,
            ready: VecDeque::new(),
            touched: 0,
            listed: false,
            mail_bytes: 0,
            last_success: None,
            successes: 0,
            alarm: None,
            troubled: 0,
            halted: None,
            senders: graph::Counts::default(),
            egresses: graph::Counts::default(),
            counts: Counts::default(),
        }
    }

    /// Puts it, whose number is this, into the list of types with ready instances, if it has any and does not stand there.
    #[inline]
    pub(crate) fn list(&mut self, number: u32, listed: &mut VecDeque<u32>) {
        if !self.listed && !self.ready.is_empty() {
            self.listed = true;
            listed.push_back(number);
        }
    }

    pub(crate) fn is_inline(&self) -> bool {
        self.policy.as_ref().is_some_and(|policy| policy.inline)
    }

    /// Registers the states a function asked for, or returns why not. `sent` is how many states it had been sent; an
    /// endpoint that asks for nothing but those would go on asking for ever.
    pub(crate) fn register(&mut self, asked: Vec<StateSpec>, sent: usize) -> Result<(), String> {
        let mut progress = false;
        for spec in asked {
            match self.states.iter().position(|known| known.name == spec.name) {
                Some(known) if self.states[known].typename != spec.typename => {
                    return Err(format!(
                        "state `{}` is declared as `{}`, but was declared as `{}` before",
                        spec.name, spec.typename, self.states[known].typename
                    ));
                }
                Some(known) => progress |= known >= sent,
                None => {
                    check_expiration(&spec)?;
                    if spec.name.len() > NAME_BYTES_MAX {
                        return Err(format!("a state name is longer than {NAME_BYTES_MAX} bytes"));
                    }
                    if self.states.len() == STATES_PER_FUNCTION_MAX {
                        return Err(format!(
                            "more than {STATES_PER_FUNCTION_MAX} states are declared"
                        ));
                    }
                    self.expires |= spec.expiration != Expiration::Never;
                    self.state_keys.push(KeyPart::state_name(&spec.name));
                    self.states.push(spec);
                    progress = true;
                }
            }
        }
        if progress {
            return Ok(());
        }
        Err("the function asks for states that it was sent with the request; hint: the SDK and the \
             declared states of the function don't match"
            .to_owned())
    }
}

fn check_expiration(spec: &StateSpec) -> Result<(), String> {
    match spec.expiration {
        Expiration::AfterWrite { ttl_ms } | Expiration::AfterInvoke { ttl_ms } if ttl_ms <= 0 => {
            Err(format!("state `{}` expires after {ttl_ms} ms; hint: more than 0 ms", spec.name))
        }
        _ => Ok(()),
    }
}

/// How long a value may go without access, in milliseconds; `None` if for ever.
pub(crate) fn time_to_live(expiration: Expiration) -> Option<u64> {
    match expiration {
        Expiration::Never => None,
        Expiration::AfterWrite { ttl_ms } | Expiration::AfterInvoke { ttl_ms } => {
            Some(ttl_ms.unsigned_abs())
        }
    }
}

/// Whether invocations of a type may start.
///
/// One mechanism for two situations in which a single invocation should go ahead of the others: a type whose states are
/// not known yet (all would come back with "incomplete"), and an endpoint that does not answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Nobody has answered since the start.
    Cold { probing_since: Option<Millis> },
    /// Everybody may go; `unavailable` counts attempts in a row that found nobody.
    Open { unavailable: u32 },
    /// Nobody answers; one may try at `next_probe`. `probing` until that one has failed, too.
    Tripped { next_probe: Millis, backoff_ms: u64, probing: bool },
}

/// Attempts in a row that find nobody before a gate closes: a single lost connection says nothing.
const UNAVAILABLE_MAX: u32 = 3;

/// What a gate says to an invocation that wants to start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Go,
    NotBefore(Millis),
}

impl Gate {
    pub(crate) fn admit(&mut self, now: Millis) -> Admission {
        match self {
            Gate::Open { .. } => Admission::Go,
            Gate::Cold { probing_since: probing @ None } => {
                *probing = Some(now);
                Admission::Go
            }
            Gate::Cold { probing_since: Some(since) } => {
                let patience = since.after(WARMUP_MS);
                if now < patience {
                    return Admission::NotBefore(patience);
                }
                *self = Gate::Open { unavailable: 0 };
                Admission::Go
            }
            Gate::Tripped { next_probe, backoff_ms, probing } => {
                if now < *next_probe {
                    return Admission::NotBefore(*next_probe);
                }
                *next_probe = now.after(*backoff_ms);
                *probing = true;
                Admission::Go
            }
        }
    }

    /// The function answered: the endpoint lives. Returns whether that is news.
    pub(crate) fn answered(&mut self) -> bool {
        let was_closed = self.is_tripped();
        *self = Gate::Open { unavailable: 0 };
        was_closed
    }

    pub(crate) fn is_tripped(&self) -> bool {
        matches!(self, Gate::Tripped { .. })
    }

    /// The function asked for states: the same invocation goes ahead again, the others wait for it. Returns whether it is
    /// news that it answers.
    pub(crate) fn incomplete(&mut self) -> bool {
        self.is_tripped() && self.answered()
    }

    /// Nobody answered. Returns whether that is news.
    pub(crate) fn unavailable(&mut self, now: Millis, policy: &Policy) -> bool {
        let was_open = !self.is_tripped();
        let tripped = |backoff_ms| {
            let next_probe = now.after(backoff_ms);
            Gate::Tripped { next_probe, backoff_ms, probing: false }
        };
        *self = match *self {
            Gate::Open { unavailable } if unavailable + 1 < UNAVAILABLE_MAX => {
                Gate::Open { unavailable: unavailable + 1 }
            }
            Gate::Open { .. } | Gate::Cold { .. } => tripped(policy.backoff_min_ms),
            Gate::Tripped { backoff_ms, probing: true, .. } => {
                tripped((backoff_ms * 2).min(policy.backoff_max_ms))
            }
            // It was under way when the endpoint went down, as many others may have been: that is no news.
            Gate::Tripped { .. } => return false,
        };
        was_open && self.is_tripped()
    }
}
