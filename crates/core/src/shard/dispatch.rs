//! Who may run: ready instances take turns, type by type, within the limits.

use bytes::Bytes;
use statera_model::{Address, Expiration, FunctionType, Id, Millis, TypedValue};
use statera_ports::Batch;

use super::{Alarm, Shard, TOUCHED_AT_ONCE};
use crate::functions::{Admission, Function, time_to_live};
use crate::input::{DUE_PER_APPLY_MAX, DUE_PER_EPOCH_MAX, Effect, InvocationId};
use crate::instance::{Cell, CellStatus, Instance, Marks, Phase};
use crate::keys;
use crate::mailbox::Mails;
use crate::values::StateValue;

/// Instances of one type that start before the next type has its turn.
const TURN: usize = 16;

/// Where no more messages wait, they are still in the processor's caches when their turn comes.
const AT_HAND_MAX: usize = 2_048;

/// What to send to a function.
pub struct Invocation<'a> {
    shard: &'a Shard,
    index: u32,
    instance: &'a Instance,
    function: &'a Function,
    batch: usize,
    states: usize,
}

impl<'a> Invocation<'a> {
    /// The number of its type among those of this shard.
    #[must_use]
    pub fn function_number(&self) -> u32 {
        self.instance.function
    }

    /// Whether it was tried before and failed.
    #[must_use]
    pub fn is_retry(&self) -> bool {
        self.instance.marks.has(Marks::TROUBLED)
    }

    /// How much longer the batch is tried, in milliseconds.
    #[must_use]
    pub fn remaining_ms(&self) -> u64 {
        let budget_ms = self.function.policy.map_or(0, |policy| policy.budget_ms);
        let trouble = self.is_retry().then(|| &self.shard.troubles[&self.index]);
        let spent = trouble.map_or(0, |trouble| self.shard.now.since(trouble.since));
        // Beyond its budget a batch is only tried because nobody answers: each attempt has the whole time again.
        if spent < budget_ms { budget_ms - spent } else { budget_ms }
    }

    /// How many states it is invoked with.
    #[must_use]
    pub fn state_count(&self) -> usize {
        self.states
    }

    /// The states of the type, each with the value it has for this address.
    pub fn states(
        &self,
    ) -> impl Iterator<Item = (&'a str, Option<&'a TypedValue>)> + Clone + use<'a> {
        let names = self.function.states[..self.states].iter().map(|spec| &*spec.name);
        names.zip(self.instance.cells.iter().map(|cell| cell.value.as_ref()))
    }

    /// The messages, each with its caller.
    pub fn messages(
        &self,
    ) -> impl Iterator<Item = (Option<&'a Address>, &'a TypedValue)> + Clone + use<'a> {
        let messages = self.shard.mails.iter(&self.instance.mailbox).take(self.batch);
        messages.map(|message| (message.caller.as_ref(), &message.argument))
    }
}

/// For functions in the same process, whose states were declared in the order of the function's own.
impl Batch for Invocation<'_> {
    fn function(&self) -> &FunctionType {
        &self.function.name
    }

    fn id(&self) -> &Id {
        &self.instance.id
    }

    fn state(&self, index: usize, name: &str) -> Option<&TypedValue> {
        debug_assert_eq!(&*self.function.states[index].name, name);
        self.instance.cells[index].value.as_ref()
    }

    fn messages(&self) -> usize {
        self.batch
    }

    fn first(&self) -> usize {
        Mails::place_of_first(&self.instance.mailbox)
    }

    fn after(&self, place: usize) -> usize {
        self.shard.mails.place_after(place)
    }

    fn message(&self, place: usize) -> (Option<&Address>, &TypedValue) {
        let message = self.shard.mails.at(place);
        (message.caller.as_ref(), &message.argument)
    }
}

impl Shard {
    /// The request of an invocation that [`Effect::Invoke`] asked for and that has not ended.
    #[must_use]
    #[inline]
    pub fn invocation(&self, id: InvocationId) -> Option<Invocation<'_>> {
        let instance = self.instances.attempt(id.instance, id.attempt)?;
        let (instance, batch, states) = instance.running()?;
        let function = &self.functions[instance.function as usize];
        Some(Invocation { shard: self, index: id.instance, instance, function, batch, states })
    }

    /// The keys of the states that [`Effect::Load`] asked for.
    #[must_use]
    pub fn missing_states(&self, id: InvocationId) -> Vec<Vec<u8>> {
        let Some(instance) = self.instances.attempt(id.instance, id.attempt) else {
            return Vec::new();
        };
        let specs = &self.functions[instance.function as usize].states;
        let status =
            |index: usize| instance.cells.get(index).map_or(CellStatus::Unread, |cell| cell.status);
        let address = self.address(instance);
        let missing = (0..specs.len()).filter(|index| status(*index) == CellStatus::Unread);
        missing.map(|index| keys::state(instance.group, &address, &specs[index].name)).collect()
    }

    /// An instance has messages and does nothing: it waits for its turn.
    pub(super) fn make_ready(&mut self, index: u32) {
        let instance = self.instances.get_mut(index);
        instance.phase = Phase::Queued;
        let function = instance.function;
        self.functions[function as usize].ready.push_back(index);
        self.list(function);
    }

    /// As [`Shard::make_ready`], ahead of all others of its type: it had its turn and goes on.
    fn make_ready_first(&mut self, index: u32) {
        let instance = self.instances.get_mut(index);
        instance.phase = Phase::Queued;
        let function = instance.function;
        self.functions[function as usize].ready.push_front(index);
        self.list(function);
    }

    pub(super) fn list(&mut self, function: u32) {
        self.functions[function as usize].list(function, &mut self.listed);
    }

    /// Starts whoever may start.
    pub(super) fn dispatch(&mut self) {
        while self.in_flight < self.config.limits.invocations_in_flight
            && let Some(function) = self.listed.pop_front()
        {
            self.functions[function as usize].listed = false;
            if self.take_turn(function) {
                self.list(function);
            }
        }
    }

    /// Starts some instances of a type. Returns whether more of them may start.
    fn take_turn(&mut self, index: u32) -> bool {
        for _ in 0..TURN {
            let now = self.now;
            let function = &mut self.functions[index as usize];
            if function.ready.is_empty()
                || self.in_flight >= self.config.limits.invocations_in_flight
            {
                break;
            }
            let Some(policy) = &function.policy else {
                if self.awaits_reload {
                    return false;
                }
                let instance = function.ready.pop_front().expect("not empty");
                self.bury_uncovered(instance);
                continue;
            };
            if function.in_flight >= policy.in_flight {
                return false;
            }
            if let Admission::NotBefore(at) = function.gate.admit(now) {
                self.alarm_gate(index, at);
                return false;
            }
            let Function { ready, touched, .. } = &mut self.functions[index as usize];
            if *touched == 0 {
                *touched = ready.len().min(TOUCHED_AT_ONCE);
                ready.iter().take(*touched).for_each(|ahead| self.instances.touch(*ahead));
                if self.mails.len() > AT_HAND_MAX {
                    for ahead in ready.iter().take(*touched) {
                        self.mails.touch(&self.instances.get(*ahead).mailbox);
                    }
                }
            }
            *touched -= 1;
            let instance = ready.pop_front().expect("not empty");
            self.begin(instance);
        }
        true
    }

    fn alarm_gate(&mut self, index: u32, at: Millis) {
        let function = &mut self.functions[index as usize];
        if function.alarm.is_none_or(|pending| pending > at) {
            function.alarm = Some(at);
            self.alarm(at, Alarm::Gate(index));
        }
    }

    /// Begins an attempt: reads what state is missing, or invokes at once.
    #[inline]
    fn begin(&mut self, index: u32) {
        self.attempt += 1;
        let attempt = self.attempt;
        let instance = self.instances.get_mut(index);
        if instance.marks.has(Marks::HELD) {
            return self.park(index);
        }
        let function = &mut self.functions[instance.function as usize];
        function.in_flight += 1;
        self.in_flight += 1;
        self.inline += usize::from(function.is_inline());
        instance.marks.set(Marks::REFERENCED);
        let states = function.states.len();
        if instance.unread(states) > 0 {
            instance.phase = Phase::Loading { attempt };
            self.effects.push(Effect::Load(InvocationId { instance: index, attempt }));
        } else if function.expires || instance.mailbox.len() > 1 {
            self.invoke(index, attempt);
        } else {
            self.run(index, attempt, 1);
        }
    }

    /// Has the first messages of an instance processed.
    #[inline]
    fn run(&mut self, index: u32, attempt: u64, batch: u32) {
        let instance = self.instances.get_mut(index);
        let function = &mut self.functions[instance.function as usize];
        function.counts.invocations += 1;
        instance.phase = Phase::Running { attempt, batch, states: function.states.len() as u16 };
        self.effects.push(Effect::Invoke(InvocationId { instance: index, attempt }));
    }

    pub(super) fn loaded(&mut self, id: InvocationId, values: Vec<Option<StateValue>>) {
        let Some(instance) = self.instances.attempt(id.instance, id.attempt) else { return };
        assert!(matches!(instance.phase, Phase::Loading { .. }), "asked for and not answered yet");
        let states = self.functions[instance.function as usize].states.len();
        let instance = self.instances.get_mut(id.instance);
        // The function may have declared further states since we asked: they stay unread, and are read next.
        let mut values = values.into_iter();
        let before = instance.measured();
        for index in 0..states {
            if index == instance.cells.len() {
                instance.cells.push(Cell::UNREAD);
            }
            let cell = &mut instance.cells[index];
            if cell.status != CellStatus::Unread {
                continue;
            }
            let Some(stored) = values.next() else { break };
            *cell = Cell { value: None, last_access: Millis::default(), status: CellStatus::Clean };
            if let Some(stored) = stored {
                cell.value = Some(stored.value.detached());
                cell.last_access = stored.last_access;
            }
        }
        self.instances.resized(id.instance, before);
        if self.instances.get(id.instance).unread(states) > 0 {
            self.effects.push(Effect::Load(id));
            return;
        }
        match self.mismatch(id.instance) {
            None => self.invoke(id.instance, id.attempt),
            Some((state, reason)) => {
                // The next attempt has to find it again.
                let instance = self.instances.get_mut(id.instance);
                let before = instance.measured();
                instance.cells[state] = Cell::UNREAD;
                self.instances.resized(id.instance, before);
                let failure =
                    statera_model::Failure::new(statera_model::FailureKind::Rejected, reason);
                self.failed(id, &failure, Bytes::new());
            }
        }
    }

    /// A state whose stored value is of another type than its function declares, and what to say about it.
    fn mismatch(&self, index: u32) -> Option<(usize, String)> {
        let instance = self.instances.get(index);
        let specs = &self.functions[instance.function as usize].states;
        specs.iter().zip(&*instance.cells).enumerate().find_map(|(state, (spec, cell))| {
            let value = cell.value.as_ref()?;
            (!value.is(&spec.typename)).then(|| {
                let stored = value.typename();
                let reason = format!(
                    "state `{}` holds a value of type `{stored}`, but the function declares `{}`; \
                     hint: declare the old type, or a state of another name",
                    spec.name, spec.typename
                );
                (state, reason)
            })
        })
    }

    fn invoke(&mut self, index: u32, attempt: u64) {
        let number = self.instances.get(index).function;
        if self.functions[number as usize].expires {
            self.age(index);
        }
        let batch = self.batch(index);
        self.run(index, attempt, batch);
    }

    /// How many of its messages go into one invocation.
    fn batch(&self, index: u32) -> u32 {
        let instance = self.instances.get(index);
        let function = &self.functions[instance.function as usize];
        let mut most = function.policy.map_or(1, |policy| policy.batch_messages.max(1));
        if instance.marks.has(Marks::TROUBLED) {
            let trouble = &self.troubles[&index];
            most = most.min(trouble.batch_max);
            if trouble.suspects > 0 {
                most = most.min(trouble.suspects.div_ceil(2));
            }
        }
        let mut bytes = 0;
        let messages = self.mails.iter(&instance.mailbox).take(most);
        let batch = messages.take_while(|message| {
            bytes += message.bytes();
            bytes <= self.config.limits.batch_bytes
        });
        batch.count().max(1) as u32
    }

    /// Forgets state values whose time is over, and notes the access where that counts.
    fn age(&mut self, index: u32) {
        let now = self.now;
        let instance = self.instances.get_mut(index);
        let specs = &self.functions[instance.function as usize].states;
        let (mut changed, before) = (false, instance.measured());
        for (spec, cell) in specs.iter().zip(&mut *instance.cells) {
            let Some(ttl_ms) = time_to_live(spec.expiration).filter(|_| cell.value.is_some())
            else {
                continue;
            };
            // A value that never expired, until now, has no time of access: it begins to age today.
            let unknown = cell.last_access == Millis::default();
            if !unknown && cell.last_access.after(ttl_ms) <= now {
                cell.value = None;
            } else if !unknown
                && (!matches!(spec.expiration, Expiration::AfterInvoke { .. })
                    || cell.last_access == now)
            {
                continue;
            }
            cell.last_access = now;
            cell.status = CellStatus::Dirty;
            changed = true;
        }
        if changed {
            self.instances.resized(index, before);
            self.mark_dirty(index);
        }
    }

    /// An attempt has ended: its place is free.
    pub(super) fn release_place(&mut self, index: u32) {
        let function = self.instances.get(index).function;
        let state = &mut self.functions[function as usize];
        state.in_flight -= 1;
        self.in_flight -= 1;
        self.inline -= usize::from(state.is_inline());
        self.list(function);
    }

    /// After a batch: on with the next one, if there is one. The address queues behind others of its type.
    pub(super) fn go_on(&mut self, index: u32) {
        let instance = self.instances.get_mut(index);
        if instance.mailbox.is_empty() {
            instance.phase = Phase::Idle;
        } else {
            self.make_ready(index);
        }
    }

    /// The same batch again, at once.
    pub(super) fn again(&mut self, index: u32) {
        self.make_ready_first(index);
    }

    /// The same batch again, past the gate: an invocation that asked for states is the one the others wait for.
    pub(super) fn again_with_states(&mut self, index: u32) {
        self.begin(index);
    }

    pub(super) fn retry(&mut self, id: InvocationId) {
        if self.instances.attempt(id.instance, id.attempt).is_some() {
            self.counts_of(id.instance).backing_off -= 1;
            self.make_ready(id.instance);
        }
    }

    pub(super) fn send_due(&mut self) {
        for _ in 0..DUE_PER_APPLY_MAX.min(DUE_PER_EPOCH_MAX - self.due_sent) {
            let key = self.delays.next_key();
            let Some(message) = self.delays.pop_due(self.now) else { break };
            self.due_sent += 1;
            if let Some(key) = key.filter(|_| self.traces.any_delayed()) {
                self.traces.is_due(key);
            }
            self.route(message.target, Some(message.sender), message.argument);
        }
        self.traces.set_current(None);
        if self.traces.any_delayed() && self.delays.next_due().is_none_or(|due| due > self.now) {
            self.traces.forget_due(self.now);
        }
    }
}
