//! What a function can do while it handles a message.

use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use statera_model::{
    Address, Change, Delayed, Egress, Id, LocalReply, Outgoing, StateSpec, TypedValue,
};
use statera_ports::Batch;

use crate::cell::Cell;
use crate::error::{Error, Result};
use crate::target::{To, ToName};
use crate::value::{IntoValue, Value};

/// The world of a function while it handles one message: who it is, who called, its state, and what it sends.
///
/// Nothing happens before the function has returned, and nothing at all if it, or another message of the same batch,
/// fails. What could be wrong with an effect (an impossible address, a value that can't be written, a cell that the
/// function did not declare) fails the invocation after the function has returned, so that sending needs no `?`.
///
/// Within a batch each message sees the state that the one before has left.
///
/// A synchronous function gets `&mut Context`, an asynchronous one owns its `Context<'static>` until it ends.
pub struct Context<'a> {
    view: View<'a>,
    message: usize,
    progress: Progress<'a>,
    home: Option<Home>,
}

/// What is read: the batch, and which states are declared.
pub(crate) enum View<'a> {
    Lent { batch: &'a dyn Batch, specs: &'a [StateSpec] },
    Owned { batch: Arc<dyn Batch + Send>, specs: Arc<[StateSpec]> },
}

/// What a batch has done so far.
#[derive(Default)]
pub(crate) struct Progress<'a> {
    pub(crate) reply: Held<'a>,
    /// The first effect that is impossible.
    pub(crate) failed: Option<Error>,
}

/// A reply in the making: the host's, or one of our own.
pub(crate) enum Held<'a> {
    Lent(&'a mut LocalReply),
    Owned(LocalReply),
}

impl Default for Held<'_> {
    fn default() -> Self {
        Held::Owned(LocalReply::default())
    }
}

impl Deref for Held<'_> {
    type Target = LocalReply;

    #[inline]
    fn deref(&self) -> &LocalReply {
        match self {
            Held::Lent(reply) => reply,
            Held::Owned(reply) => reply,
        }
    }
}

impl DerefMut for Held<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut LocalReply {
        match self {
            Held::Lent(reply) => reply,
            Held::Owned(reply) => reply,
        }
    }
}

/// Where an owned context leaves the progress when its function ends.
#[derive(Clone, Default)]
pub(crate) struct Home(Arc<Mutex<Option<Progress<'static>>>>);

impl Home {
    pub(crate) fn take(&self) -> Option<Progress<'static>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, progress: Progress<'static>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }
}

/// The function itself.
impl<'a> Context<'a> {
    /// The address of this function: itself.
    #[must_use]
    pub fn this(&self) -> Address {
        self.view.batch().target()
    }

    /// The id of this function.
    #[must_use]
    pub fn id(&self) -> Id {
        self.view.batch().id().clone()
    }

    /// Who sent the message; `None` if it came from an ingress.
    #[must_use]
    pub fn caller(&self) -> Option<Address> {
        self.view.batch().message(self.message).0.cloned()
    }
}

/// State. A value is decoded when it is asked for, and not before.
impl Context<'_> {
    /// The value of a cell; `None` if it was never set, was removed, or has expired.
    ///
    /// # Errors
    /// If the function did not declare the cell, or the stored bytes are not such a value.
    pub fn get<T: Value>(&self, cell: Cell<T>) -> Result<Option<T>> {
        self.read(cell, self.declared(cell)?)
    }

    /// The value of a cell, or the default of its type.
    ///
    /// # Errors
    /// As [`Context::get`].
    pub fn get_or_default<T: Value + Default>(&self, cell: Cell<T>) -> Result<T> {
        Ok(self.get(cell)?.unwrap_or_default())
    }

    /// Whether a cell holds a value, without decoding it.
    ///
    /// # Errors
    /// If the function did not declare the cell.
    pub fn has<T: Value>(&self, cell: Cell<T>) -> Result<bool> {
        Ok(self.current(self.declared(cell)?).is_some())
    }

    /// Sets the value of a cell.
    pub fn set<T: Value>(&mut self, cell: Cell<T>, value: T) {
        match self.declared(cell) {
            Ok(index) => self.write(index, &value),
            Err(error) => self.fail(error),
        }
    }

    /// Removes the value of a cell.
    pub fn remove<T: Value>(&mut self, cell: Cell<T>) {
        match self.declared(cell) {
            Ok(index) => self.change(index, None),
            Err(error) => self.fail(error),
        }
    }

    /// Sets a cell to what `next` makes of its value, or of the default of its type if there is none. Returns the new
    /// value.
    ///
    /// # Errors
    /// As [`Context::get`].
    pub fn update<T: Value + Default>(
        &mut self,
        cell: Cell<T>,
        next: impl FnOnce(T) -> T,
    ) -> Result<T> {
        let index = self.declared(cell)?;
        let value = next(self.read(cell, index)?.unwrap_or_default());
        self.write(index, &value);
        Ok(value)
    }

    fn read<T: Value>(&self, cell: Cell<T>, index: usize) -> Result<Option<T>> {
        let value = self.current(index).map(T::from_typed_value).transpose();
        value.map_err(|error| {
            let cell = cell.name();
            Error::retry(format!("cannot read cell `{cell}`: {}", Error::from(error)))
        })
    }

    fn write<T: Value>(&mut self, index: usize, value: &T) {
        match value.to_typed_value() {
            Ok(value) => self.change(index, Some(value)),
            Err(error) => self.fail(error.into()),
        }
    }

    /// The place of a cell among the declared ones.
    fn declared<T: Value>(&self, cell: Cell<T>) -> Result<usize> {
        let specs = self.view.specs();
        let found = specs.iter().position(|spec| *spec.name == *cell.name());
        match found {
            Some(index) if *specs[index].typename == *T::TYPENAME => Ok(index),
            found => Err(self.misused(cell.name(), T::TYPENAME, found)),
        }
    }

    #[cold]
    fn misused(&self, cell: &str, typename: &str, declared: Option<usize>) -> Error {
        let function = self.view.batch().function();
        Error::retry(match declared {
            None => format!(
                "cell `{cell}` is not declared by function `{function}`; \
                 hint: name it where the function is registered"
            ),
            Some(index) => format!(
                "cell `{cell}` of function `{function}` is declared as `{}` and used as `{typename}`",
                self.view.specs()[index].typename
            ),
        })
    }

    /// The value that a cell has now.
    fn current(&self, index: usize) -> Option<&TypedValue> {
        match self.progress.reply.changes.iter().find(|change| change.place == index) {
            Some(change) => change.value.as_ref(),
            None => self.stored(index),
        }
    }

    /// The value that a cell had before the batch.
    fn stored(&self, index: usize) -> Option<&TypedValue> {
        let name = &self.view.specs()[index].name;
        self.view.batch().state(index, name).filter(|value| value.has_value())
    }

    /// There is at most one change of a cell, whatever the batch does to it.
    fn change(&mut self, place: usize, value: Option<TypedValue>) {
        let nothing = value.is_none() && self.stored(place).is_none();
        let changes = &mut self.progress.reply.changes;
        match changes.iter().position(|change| change.place == place) {
            Some(earlier) if nothing => drop(changes.remove(earlier)),
            Some(earlier) => changes[earlier].value = value,
            None if nothing => {}
            None => changes.push(Change { place, value }),
        }
    }
}

/// Effects. They happen in the order of their kinds: messages, delayed messages and cancellations, egress records; and
/// within a kind in the order in which they were asked for.
impl Context<'_> {
    /// Sends a message to a function.
    pub fn send(&mut self, to: impl To, message: impl IntoValue) {
        let target = match to.to() {
            Ok(target) => target,
            Err(error) => return self.fail(error.into()),
        };
        let argument = match message.into_value() {
            Ok(argument) => argument,
            Err(error) => return self.fail(error.into()),
        };
        self.progress.reply.messages.push(Outgoing { target, argument });
    }

    /// Sends a message to a function after a delay, which is rounded up to milliseconds. It can be
    /// [named](Scheduled::token) to be [cancelled](Context::cancel).
    pub fn send_after(
        &mut self,
        delay: Duration,
        to: impl To,
        message: impl IntoValue,
    ) -> Scheduled<'_> {
        let delay_ms = i64::try_from(delay.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
        match outgoing(to, message) {
            Ok(message) => {
                let send = Delayed::Send { delay_ms, message, token: None };
                self.progress.reply.delayed.push(send);
            }
            Err(error) => self.fail(error),
        }
        let Progress { reply, failed } = &mut self.progress;
        Scheduled { delayed: &mut reply.delayed, failed }
    }

    /// Cancels the delayed message with this token, if it has not been sent yet. Tokens belong to an id: all functions
    /// share those of the same id.
    pub fn cancel(&mut self, token: impl Into<Arc<str>>) {
        match checked(token.into()) {
            Ok(token) => self.progress.reply.delayed.push(Delayed::Cancel { token }),
            Err(error) => self.fail(error),
        }
    }

    /// Sends a value to the caller of this message. Does nothing if there is none, as for messages that an ingress
    /// brought and nobody waits for.
    pub fn reply(&mut self, message: impl IntoValue) {
        if let Some(caller) = self.caller() {
            self.send(caller, message);
        }
    }

    /// Sends a record to an egress, `namespace/name`.
    pub fn egress(&mut self, egress: impl ToName, record: impl IntoValue) {
        let named = egress.to_name().map_err(Error::from);
        match named.and_then(|egress| Ok(Egress { egress, argument: record.into_value()? })) {
            Ok(record) => self.progress.reply.egress.push(record),
            Err(error) => self.fail(error),
        }
    }

    #[cold]
    fn fail(&mut self, error: Error) {
        self.progress.fail(error);
    }
}

impl Progress<'_> {
    fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }
}

fn outgoing(to: impl To, message: impl IntoValue) -> Result<Outgoing> {
    Ok(Outgoing { target: to.to()?, argument: message.into_value()? })
}

fn checked(token: Arc<str>) -> Result<Arc<str>> {
    if token.is_empty() {
        return Err(Error::retry("a cancellation token is empty"));
    }
    Ok(token)
}

/// A delayed message that was just asked for.
pub struct Scheduled<'a> {
    delayed: &'a mut Vec<Delayed>,
    failed: &'a mut Option<Error>,
}

impl Scheduled<'_> {
    /// Names the message, so that [`Context::cancel`] finds it. While it is pending, no other one of the same id may have
    /// this token: cancel first, then send again.
    pub fn token(self, token: impl Into<Arc<str>>) {
        match checked(token.into()) {
            // The message is not there if it could not be made; the invocation fails for that.
            Ok(name) => {
                if let Some(Delayed::Send { token, .. }) = self.delayed.last_mut()
                    && self.failed.is_none()
                {
                    *token = Some(name);
                }
            }
            Err(error) => drop(self.failed.get_or_insert(error)),
        }
    }
}

/// For those who drive a function.
impl<'a> Context<'a> {
    pub(crate) fn lent(
        batch: &'a dyn Batch,
        specs: &'a [StateSpec],
        reply: &'a mut LocalReply,
    ) -> Context<'a> {
        let progress = Progress { reply: Held::Lent(reply), failed: None };
        Context { view: View::Lent { batch, specs }, message: 0, progress, home: None }
    }

    pub(crate) fn owned(
        batch: Arc<dyn Batch + Send>,
        specs: Arc<[StateSpec]>,
        message: usize,
        progress: Progress<'static>,
        home: Home,
    ) -> Context<'static> {
        Context { view: View::Owned { batch, specs }, message, progress, home: Some(home) }
    }

    /// Goes to a message of the batch.
    pub(crate) fn turn_to(&mut self, message: usize) {
        self.message = message;
    }

    pub(crate) fn progress(&mut self) -> &mut Progress<'a> {
        &mut self.progress
    }
}

impl View<'_> {
    fn batch(&self) -> &dyn Batch {
        match self {
            View::Lent { batch, .. } => *batch,
            View::Owned { batch, .. } => &**batch,
        }
    }

    fn specs(&self) -> &[StateSpec] {
        match self {
            View::Lent { specs, .. } => specs,
            View::Owned { specs, .. } => specs,
        }
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            let reply = Held::Owned(mem::take(&mut *self.progress.reply));
            home.put(Progress { reply, failed: self.progress.failed.take() });
        }
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("this", &self.this())
            .field("message", &self.message)
            .field("reply", &*self.progress.reply)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Scheduled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scheduled").field(&self.delayed.last()).finish()
    }
}
