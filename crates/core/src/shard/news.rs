//! What those who watch want to know, as it happens: who fails, who does not answer, what is given up.

use std::sync::Arc;

use statera_model::{Address, Failure, FailureKind, FunctionType};
use statera_ports::DeadLetterId;

use super::Shard;
use crate::input::{Effect, InvocationId};
use crate::values::{DeadBody, DeadLetter};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// An invocation did not do what it should.
    Failed(FailedInvocation),
    /// Nobody answers for a function type any more, and the others of the type wait until somebody does.
    Silent {
        /// Which type.
        function: FunctionType,
        /// The last failure.
        reason: Arc<str>,
    },
    /// Somebody answers again.
    Answering {
        /// For which type.
        function: FunctionType,
    },
    /// Something was given up.
    Buried(Buried),
}

/// An invocation that did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedInvocation {
    /// Which.
    pub invocation: InvocationId,
    /// Whose.
    pub target: Address,
    /// How it failed.
    pub kind: FailureKind,
    /// Why.
    pub reason: Arc<str>,
    /// What it was about.
    pub attempted: Attempted,
}

/// What failed, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempted {
    /// Messages in the invocation.
    pub messages: usize,
    /// Invocations of the address that have failed since one succeeded, this one included.
    pub attempts: u32,
    /// What follows.
    pub follows: Follows,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// Another attempt.
    Retry,
    /// The message is given up.
    DeadLetter,
    /// The address takes no messages until it is resumed.
    Pause,
}

/// Something that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buried {
    /// Its dead letter.
    pub id: DeadLetterId,
    /// What it was.
    pub what: BuriedWhat,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was given up.
    pub reason: Arc<str>,
}

/// What was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuriedWhat {
    /// A message for this address.
    Message(Address),
    /// A record of a source, which stood here.
    Record(Arc<str>),
}

impl Shard {
    fn tell(&mut self, news: News) {
        self.effects.push(Effect::News(Box::new(news)));
    }

    #[cold]
    pub(super) fn tell_failed(
        &mut self,
        invocation: InvocationId,
        failure: &Failure,
        attempted: Attempted,
    ) {
        let target = self.address(self.instances.get(invocation.instance));
        let (kind, reason) = (failure.kind, failure.reason.clone());
        self.tell(News::Failed(FailedInvocation { invocation, target, kind, reason, attempted }));
    }

    #[cold]
    pub(super) fn tell_silent(&mut self, index: u32, failure: &Failure) {
        let function = self.address(self.instances.get(index)).function;
        self.tell(News::Silent { function, reason: failure.reason.clone() });
    }

    #[cold]
    pub(super) fn tell_answering(&mut self, index: u32) {
        let function = self.address(self.instances.get(index)).function;
        self.tell(News::Answering { function });
    }

    #[cold]
    pub(super) fn tell_buried(&mut self, id: DeadLetterId, letter: &DeadLetter) {
        let what = match &letter.body {
            DeadBody::Message { target, .. } | DeadBody::Invocation { target, .. } => {
                BuriedWhat::Message(target.clone())
            }
            DeadBody::Record { place, .. } => BuriedWhat::Record(place.clone()),
        };
        let (attempts, reason) = (letter.attempts, letter.reason.clone());
        self.tell(News::Buried(Buried { id, what, attempts, reason }));
    }
}
