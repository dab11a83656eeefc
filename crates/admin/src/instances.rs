//! Instances and timers in the forms of the API, and where their pages end.

use statera_core::keys::DelayedKey;
use statera_core::values::Delayed;
use statera_core::{Follows, TimerPlace};
use statera_model::{Address, KeyGroup, Millis};
use statera_runtime::{Instance, InstancePage, InstancePlace, RecentInvocation, Timers};

use crate::handler::phase;
use crate::path::next_text;
use crate::time::rfc3339;
use crate::{answers, api, lists, value};

/// Messages of a mailbox that are shown if the request doesn't say.
pub(crate) const MESSAGES_DEFAULT: usize = 20;

pub(crate) fn page(page: &InstancePage) -> api::Instances {
    let instance = |(address, presence): &(Address, Option<statera_core::Presence>)| {
        let activity = presence.map_or(statera_core::Activity::Idle, |presence| presence.activity);
        summary(address, activity, presence.map_or(0, |presence| presence.mail))
    };
    api::Instances {
        instances: page.instances.iter().map(instance).collect(),
        next: page
            .next
            .as_ref()
            .map(|place| next_text(&[&place.group.to_be_bytes()[..], &place.head[..]].concat())),
    }
}

/// Reads what a page of instances named as next.
pub(crate) fn read_place(bytes: &[u8]) -> Option<InstancePlace> {
    let (group, head) = bytes.split_first_chunk()?;
    let head = bytes::Bytes::copy_from_slice(head);
    // The heads of keys end with a zero.
    let is_head = head.last().is_none_or(|last| *last == 0);
    is_head.then(|| InstancePlace { group: u16::from_be_bytes(*group), head })
}

fn summary(address: &Address, activity: statera_core::Activity, mail: usize) -> api::Instance {
    api::Instance {
        address: format!("{}/{}", address.function, address.id),
        function: address.function.to_string(),
        id: address.id.to_string(),
        phase: phase(activity),
        mail,
    }
}

pub(crate) fn detail(address: &Address, instance: &Instance) -> api::InstanceDetail {
    let presence = instance.inspected.as_ref().map(|inspected| inspected.presence);
    let activity = presence.map_or(statera_core::Activity::Idle, |presence| presence.activity);
    let inspected = instance.inspected.as_ref();
    let failing = inspected.and_then(|inspected| inspected.failing.as_ref());
    let mailbox = inspected.iter().flat_map(|inspected| &inspected.mailbox);
    api::InstanceDetail {
        instance: summary(address, activity, presence.map_or(0, |presence| presence.mail)),
        in_memory: inspected.is_some(),
        key_group: instance.group.0,
        shard: instance.shard,
        failure: failing.map(|failing| api::Failing {
            since: rfc3339(failing.since),
            attempts: failing.attempts,
            failed_at: rfc3339(failing.failed_at),
            next_attempt: failing.next_attempt.map(rfc3339),
            reason: failing.reason.to_string(),
        }),
        paused: instance.paused.as_ref().map(lists::paused),
        states: answers::states(address, &instance.states).states,
        mailbox: mailbox.map(|mail| lists::message(mail.caller.as_ref(), &mail.argument)).collect(),
        timers: instance.timers.iter().map(timer).collect(),
        timers_complete: instance.timers_complete,
        recent: instance.recent.iter().map(recent).collect(),
    }
}

fn recent(invocation: &RecentInvocation) -> api::RecentInvocation {
    let failure = invocation.failure.as_ref();
    let outcome = failure.map_or(api::InvocationOutcome::Ok, |failure| match failure.follows {
        Follows::Retry => api::InvocationOutcome::Retry,
        Follows::DeadLetter => api::InvocationOutcome::DeadLetter,
        Follows::Pause => api::InvocationOutcome::Paused,
    });
    api::RecentInvocation {
        at: rfc3339(invocation.at),
        duration_ms: invocation.took.map(|took| (took.as_secs_f64() * 1e6).round() / 1e3),
        messages: invocation.messages,
        bytes: invocation.bytes,
        outcome,
        reason: failure.map(|failure| failure.reason.to_string()),
        attempts: failure.map(|failure| failure.attempts),
    }
}

pub(crate) fn timers(page: &Timers) -> api::Timers {
    api::Timers {
        total: page.total,
        timers: page.timers.iter().map(timer).collect(),
        next: page.next.map(|TimerPlace { key, group }| {
            let numbers = [key.due.0.to_be_bytes(), key.sequence.to_be_bytes()].concat();
            next_text(&[&numbers[..], &group.0.to_be_bytes()[..]].concat())
        }),
    }
}

/// Reads what a page of timers named as next.
pub(crate) fn read_timer_place(bytes: &[u8]) -> Option<TimerPlace> {
    let (due, rest) = bytes.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let group = KeyGroup(u16::from_be_bytes(rest.try_into().ok()?));
    let (due, sequence) = (Millis(u64::from_be_bytes(*due)), u64::from_be_bytes(*sequence));
    Some(TimerPlace { key: DelayedKey { due, sequence }, group })
}

fn timer((place, timer): &(TimerPlace, Delayed)) -> api::Timer {
    let text = |address: &Address| format!("{}/{}", address.function, address.id);
    api::Timer {
        due: rfc3339(place.key.due),
        sender: text(&timer.sender),
        target: text(&timer.target),
        token: timer.token.as_deref().map(str::to_owned),
        value: value::typed(&timer.argument),
    }
}
