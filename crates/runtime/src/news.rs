//! What goes wrong while the engine runs, said in the log: each outage once when it begins and once when it is over, and of what
//! happens again and again a line at most each second for each function type, with the number of those that are not shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use statera_config::Application;
use statera_core::{Buried, BuriedWhat, FailedInvocation, Follows, News};
use statera_model::codes::{self, Code};
use statera_model::{FailureKind, FunctionType, Name};
use statera_ports::Refusal;
use tokio::runtime::Handle;

use crate::halts::endpoint_name;

/// After a line of a kind further ones are only counted, and the sum is said after this time.
const QUIET_TIME: Duration = Duration::from_secs(1);

/// The same, for refused requests, of which a full engine has many for long.
const REFUSALS_QUIET_TIME: Duration = Duration::from_secs(10);

/// Function types, and others, that are told apart. All further ones share their lines.
const SUBJECTS_MAX: usize = 256;

/// How long an ingress may wait for room before that is worth saying.
pub(crate) const WAIT_TOLD_AFTER: Duration = Duration::from_secs(5);

/// Says in the log what it is told.
#[derive(Debug)]
pub(crate) struct Announcer {
    /// Where the sums are said.
    runtime: Handle,
    /// How many of a kind were not said since the last line of it.
    unsaid: Mutex<BTreeMap<(u16, String), u64>>,
    /// Endpoints that do not answer.
    outages: Mutex<BTreeMap<Name, Outage>>,
    /// Ingresses that wait, and in how many places.
    waiting: Mutex<BTreeMap<Name, usize>>,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    /// For which types of which shards it does not answer.
    gates: BTreeSet<(u16, FunctionType)>,
}

impl Announcer {
    /// For sums it uses the runtime on which it is made.
    pub(crate) fn new(runtime: Handle) -> Announcer {
        Announcer {
            runtime,
            unsaid: Mutex::default(),
            outages: Mutex::default(),
            waiting: Mutex::default(),
        }
    }

    /// What a shard tells.
    pub(crate) fn hear(self: &Arc<Announcer>, shard: u16, news: &News, application: &Application) {
        match news {
            News::Failed(failed) => self.failed(failed),
            News::Buried(buried) => self.buried(buried),
            News::Silent { function, reason } => {
                let endpoint = application.endpoint_for(function);
                let endpoint = endpoint.map(|place| &application.endpoints[place]);
                let name = endpoint.map(|endpoint| endpoint_name(&endpoint.functions));
                let url = endpoint.map_or("", |endpoint| &endpoint.url.text);
                self.silent((name.as_ref().unwrap_or(function), url), (shard, function), reason);
            }
            News::Answering { function } => self.answering(shard, function),
        }
    }

    fn failed(self: &Arc<Announcer>, failed: &FailedInvocation) {
        let FailedInvocation { target, kind, reason, attempted, .. } = failed;
        let subject = target.function.as_str();
        if attempted.follows == Follows::Pause {
            return self.once(codes::ADDRESS_PAUSED, subject, || {
                tracing::warn!(
                    code = %codes::ADDRESS_PAUSED, address = %target, attempts = attempted.attempts, reason = %reason,
                    "the address takes no messages until it is resumed"
                );
            });
        }
        // That nobody answers is said of the endpoint, and what is given up is said as such. Who fails goes on failing:
        // that is no news.
        let is_news = attempted.attempts == 1 && attempted.follows == Follows::Retry;
        if is_news && *kind != FailureKind::Unavailable {
            self.once(codes::FUNCTION_FAILS, subject, || {
                tracing::warn!(
                    code = %codes::FUNCTION_FAILS, address = %target, messages = attempted.messages, reason = %reason,
                    "a function failed; it is tried again"
                );
            });
        }
    }

    fn buried(self: &Arc<Announcer>, buried: &Buried) {
        let Buried { id, what, attempts, reason } = buried;
        match what {
            BuriedWhat::Message(target) => {
                self.once(codes::DEAD_LETTER, target.function.as_str(), || {
                    tracing::warn!(
                        code = %codes::DEAD_LETTER, address = %target, id = %id, attempts, reason = %reason,
                        "a message was given up and lies in the dead letters"
                    );
                });
            }
            BuriedWhat::Record(place) => self.once(codes::RECORD_MALFORMED, "records", || {
                tracing::warn!(
                    code = %codes::RECORD_MALFORMED, place = %place, id = %id, reason = %reason,
                    "a record can't become a message and lies in the dead letters"
                );
            }),
        }
    }

    /// An endpoint, of this name and URL, does not answer for a type of a shard.
    fn silent(&self, (name, url): (&Name, &str), gate: (u16, &FunctionType), reason: &str) {
        let mut outages = lock(&self.outages);
        let (shard, function) = gate;
        if let Some(outage) = outages.get_mut(name) {
            outage.gates.insert((shard, function.clone()));
            return;
        }
        tracing::warn!(
            code = %codes::ENDPOINT_DOWN, endpoint = %name, url, %function, reason,
            "the endpoint does not answer; messages for it wait"
        );
        let gates = BTreeSet::from([(shard, function.clone())]);
        outages.insert(name.clone(), Outage { since: Instant::now(), gates });
    }

    fn answering(&self, shard: u16, function: &FunctionType) {
        let gate = (shard, function.clone());
        lock(&self.outages).retain(|name, outage| {
            let is_over = outage.gates.remove(&gate) && outage.gates.is_empty();
            if is_over {
                let seconds = outage.since.elapsed().as_secs();
                tracing::info!(endpoint = %name, seconds, "the endpoint answers again");
            }
            !is_over
        });
    }

    /// A request was refused.
    pub(crate) fn refused(self: &Arc<Announcer>, refusal: &Refusal) {
        if let Refusal::Full { limit } = refusal {
            self.once(codes::REQUESTS_REFUSED, limit, || {
                tracing::warn!(code = %codes::REQUESTS_REFUSED, limit, "a request was refused, because the engine is full");
            });
        }
    }

    /// An ingress waits, until what is returned is dropped.
    pub(crate) fn waits(self: &Arc<Announcer>, ingress: &Name) -> Waiting {
        let mut waiting = lock(&self.waiting);
        let places = waiting.entry(ingress.clone()).or_default();
        *places += 1;
        if *places == 1 {
            tracing::warn!(
                code = %codes::INGRESS_WAITS, id = %ingress,
                "the ingress waits: messages in mailboxes, or records for egresses, take half of `memory.mailboxBytes`"
            );
        }
        Waiting { announcer: self.clone(), ingress: ingress.clone() }
    }

    /// Says something, unless it was just said of the same subject: then only how often it happened, and later.
    fn once(self: &Arc<Announcer>, code: Code, subject: &str, say: impl FnOnce()) {
        let mut unsaid = lock(&self.unsaid);
        let full = unsaid.len() >= SUBJECTS_MAX;
        let mut key = (code.number, subject.to_owned());
        if full && !unsaid.contains_key(&key) {
            key.1 = "others".to_owned();
        }
        if let Some(count) = unsaid.get_mut(&key) {
            *count += 1;
            return;
        }
        unsaid.insert(key.clone(), 0);
        drop(unsaid);
        say();
        self.runtime.spawn(self.clone().sum_up(code, key));
    }

    async fn sum_up(self: Arc<Announcer>, code: Code, key: (u16, String)) {
        let quiet = match code {
            codes::REQUESTS_REFUSED => REFUSALS_QUIET_TIME,
            _ => QUIET_TIME,
        };
        loop {
            tokio::time::sleep(quiet).await;
            if !self.say_unsaid(code, &key) {
                return;
            }
        }
    }

    /// Says how often something was not said, or forgets that it ever was. Returns whether there was anything to say.
    fn say_unsaid(&self, code: Code, key: &(u16, String)) -> bool {
        let mut unsaid = lock(&self.unsaid);
        match unsaid.get_mut(key) {
            Some(count) if *count > 0 => say_sum(code, &key.1, std::mem::take(count)),
            _ => {
                unsaid.remove(key);
                return false;
            }
        }
        true
    }

    /// The engine stops: what was not said is said now.
    pub(crate) fn finish(&self) {
        for ((number, subject), count) in std::mem::take(&mut *lock(&self.unsaid)) {
            let code = codes::ALL.iter().find(|code| code.number == number);
            if let Some(code) = code.filter(|_| count > 0) {
                say_sum(*code, &subject, count);
            }
        }
    }
}

fn say_sum(code: Code, subject: &str, count: u64) {
    tracing::warn!(code = %code, subject, count, "the same happened again, and is not shown one by one");
}

/// An ingress waits.
pub(crate) struct Waiting {
    announcer: Arc<Announcer>,
    ingress: Name,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = lock(&self.announcer.waiting);
        if let Some(places) = waiting.get_mut(&self.ingress) {
            *places -= 1;
            if *places == 0 {
                waiting.remove(&self.ingress);
                tracing::info!(id = %self.ingress, "the ingress goes on");
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcer() -> Arc<Announcer> {
        Arc::new(Announcer::new(Handle::current()))
    }

    #[tokio::test]
    async fn what_happens_again_at_once_is_counted_and_then_forgotten() {
        let announcer = announcer();
        let mut said = 0;
        for _ in 0..10 {
            announcer.once(codes::DEAD_LETTER, "t/f", || said += 1);
        }
        announcer.once(codes::DEAD_LETTER, "t/g", || said += 1);
        assert_eq!(said, 2);
        let key = |subject: &str| (codes::DEAD_LETTER.number, subject.to_owned());
        let unsaid = |subject| lock(&announcer.unsaid).get(&key(subject)).copied();
        assert_eq!((unsaid("t/f"), unsaid("t/g")), (Some(9), Some(0)));
        let say = |subject| announcer.say_unsaid(codes::DEAD_LETTER, &key(subject));
        assert!(say("t/f") && !say("t/g"));
        assert_eq!((unsaid("t/f"), unsaid("t/g")), (Some(0), None));
        assert!(!say("t/f"));
        assert_eq!(unsaid("t/f"), None);
    }

    #[tokio::test]
    async fn subjects_beyond_the_limit_share_their_lines() {
        let announcer = announcer();
        let mut said = 0;
        for n in 0..SUBJECTS_MAX + 50 {
            announcer.once(codes::DEAD_LETTER, &format!("t/{n}"), || said += 1);
        }
        assert_eq!(said, SUBJECTS_MAX + 1);
    }

    #[tokio::test]
    async fn an_ingress_waits_as_long_as_one_of_its_parts_does() {
        let (announcer, ingress) = (announcer(), Name::parse("i/in").unwrap());
        let (first, second) = (announcer.waits(&ingress), announcer.waits(&ingress));
        drop(first);
        assert!(lock(&announcer.waiting).contains_key(&ingress));
        drop(second);
        assert!(lock(&announcer.waiting).is_empty());
    }

    #[tokio::test]
    async fn an_outage_lasts_until_all_types_of_all_shards_are_answered() {
        let announcer = announcer();
        let (endpoint, function) = (Name::parse("t/*").unwrap(), Name::parse("t/f").unwrap());
        for shard in [0, 1] {
            announcer.silent((&endpoint, "http://x/"), (shard, &function), "refused");
        }
        announcer.answering(0, &function);
        assert_eq!(lock(&announcer.outages).len(), 1);
        announcer.answering(1, &function);
        assert!(lock(&announcer.outages).is_empty());
    }
}
