//! Registered functions, and how they are run.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use statera_model::{Failure, FailureKind, FunctionType, LocalReply, Reply, StateSpec, TypedValue};
use statera_ports::{Batch, BoxFuture, Embedded};

use crate::context::{Context, Home, Progress};
use crate::error::{Error, Result};
use crate::value::{Answer, Argument};

/// The functions of an [`App`](crate::App), ready to be hosted. Cloning is cheap (a reference count).
///
/// A host finds a function with [`Functions::get`], declares its [`Function::specs`] to the runtime, and calls
/// [`Function::invoke`]. Nothing here does IO or knows the time.
#[derive(Clone, Debug, Default)]
pub struct Functions(Arc<BTreeMap<FunctionType, Function>>);

impl Functions {
    pub(crate) fn new(functions: BTreeMap<FunctionType, Function>) -> Functions {
        Functions(Arc::new(functions))
    }

    /// A function, if it is registered.
    #[must_use]
    pub fn get(&self, name: &FunctionType) -> Option<&Function> {
        self.0.get(name)
    }

    /// All functions, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Function> {
        self.0.values()
    }
}

/// A registered function. Cloning is cheap (reference counts).
#[derive(Clone)]
pub struct Function {
    name: FunctionType,
    specs: Arc<[StateSpec]>,
    code: Code,
}

#[derive(Clone)]
enum Code {
    Direct(Arc<Direct>),
    Async(Arc<Asynchronous>),
}

/// What a message is answered with.
type Answered = Result<Option<TypedValue>>;
type Direct = dyn Fn(&mut Context<'_>, &TypedValue) -> Answered + Send + Sync;
type Asynchronous = dyn Fn(Context<'static>, Arc<dyn Batch + Send>, usize) -> Running + Send + Sync;
type Running = Pin<Box<dyn Future<Output = Answered> + Send>>;

impl Function {
    pub(crate) fn direct<A: Argument, R: Answer>(
        name: FunctionType,
        specs: Vec<StateSpec>,
        code: impl Fn(&mut Context<'_>, A) -> Result<R> + Send + Sync + 'static,
    ) -> Function {
        let code = move |ctx: &mut Context<'_>, message: &TypedValue| {
            let answer = code(ctx, A::from_message(message)?)?;
            Ok(answer.into_answer()?)
        };
        Function { name, specs: specs.into(), code: Code::Direct(Arc::new(code)) }
    }

    pub(crate) fn asynchronous<A: Argument, R: Answer, F>(
        name: FunctionType,
        specs: Vec<StateSpec>,
        code: impl Fn(Context<'static>, A) -> F + Send + Sync + 'static,
    ) -> Function
    where
        F: Future<Output = Result<R>> + Send + 'static,
    {
        let code = Arc::new(code);
        let code = move |ctx, batch: Arc<dyn Batch + Send>, message| {
            let code = code.clone();
            // The code is called within the future, so that all its panics are caught in one place.
            let running: Running = Box::pin(async move {
                let argument = A::from_message(batch.message(message).1)?;
                let answer = code(ctx, argument).await?;
                Ok(answer.into_answer()?)
            });
            running
        };
        Function { name, specs: specs.into(), code: Code::Async(Arc::new(code)) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &FunctionType {
        &self.name
    }

    /// The states that it must be invoked with.
    #[must_use]
    pub fn specs(&self) -> &[StateSpec] {
        &self.specs
    }

    /// The states that it must be invoked with and that are not among these names. A host that lacks any declares them to
    /// the runtime and does not invoke the function.
    #[must_use]
    pub fn missing<'n>(&self, there: impl Iterator<Item = &'n str> + Clone) -> Vec<StateSpec> {
        let missing = |spec: &&StateSpec| there.clone().all(|name| *name != *spec.name);
        self.specs.iter().filter(missing).cloned().collect()
    }

    /// Whether it must be invoked by [`Function::invoke_async`].
    #[must_use]
    pub fn is_async(&self) -> bool {
        matches!(self.code, Code::Async(_))
    }

    /// Runs the function on the messages of a batch, in order, on this thread. What it did comes back as one reply; if it
    /// fails on any of the messages, nothing does. Panics of the function are caught, and are failures.
    ///
    /// # Errors
    /// If the function fails. An asynchronous one always does, here.
    pub fn invoke(&self, batch: &dyn Batch) -> Result<Reply, Failure> {
        let mut reply = LocalReply::default();
        Embedded::invoke(self, batch, &mut reply)?;
        Ok(reply.named(&self.specs))
    }

    /// As [`Function::invoke`], for functions of both kinds. Dropping the future stops an asynchronous function where it
    /// waits; nothing that it did counts.
    ///
    /// # Errors
    /// If the function fails.
    pub async fn invoke_async(&self, batch: Arc<dyn Batch + Send>) -> Result<Reply, Failure> {
        let Code::Async(code) = &self.code else { return self.invoke(&*batch) };
        let mut progress = Progress::default();
        let mut message = batch.first();
        for nth in 0..batch.messages() {
            if nth > 0 {
                message = batch.after(message);
            }
            let home = Home::default();
            let ctx =
                Context::owned(batch.clone(), self.specs.clone(), message, progress, home.clone());
            let result = caught(code(ctx, batch.clone(), message)).await;
            progress = home.take().unwrap_or_else(|| Progress {
                failed: Some(Error::retry("the function ended and left its context to others")),
                ..Progress::default()
            });
            settle(&mut progress, &*batch, (nth, message), result)?;
        }
        Ok(mem::take(&mut *progress.reply).named(&self.specs))
    }
}

/// In the process of the engine.
impl Embedded for Function {
    fn name(&self) -> &FunctionType {
        &self.name
    }

    fn states(&self) -> &[StateSpec] {
        &self.specs
    }

    fn waits(&self) -> bool {
        self.is_async()
    }

    fn invoke(&self, batch: &dyn Batch, reply: &mut LocalReply) -> Result<(), Failure> {
        let Code::Direct(code) = &self.code else {
            let reason = format!("function `{}` is asynchronous and can't run here", self.name);
            return Err(Failure::new(FailureKind::Rejected, reason));
        };
        let mut ctx = Context::lent(batch, &self.specs, reply);
        let mut message = batch.first();
        for nth in 0..batch.messages() {
            if nth > 0 {
                message = batch.after(message);
            }
            ctx.turn_to(message);
            let run = AssertUnwindSafe(|| code(&mut ctx, batch.message(message).1));
            let result = catch_unwind(run).unwrap_or_else(|panic| Err(panicked(&*panic)));
            settle(ctx.progress(), batch, (nth, message), result)?;
        }
        Ok(())
    }

    fn start(&self, batch: Arc<dyn Batch + Send>) -> BoxFuture<'static, Result<Reply, Failure>> {
        let function = self.clone();
        Box::pin(async move { function.invoke_async(batch).await })
    }
}

/// Ends a message: answers it, or turns what went wrong into a failure of the batch.
fn settle(
    progress: &mut Progress<'_>,
    batch: &dyn Batch,
    (nth, message): (usize, usize),
    result: Answered,
) -> Result<(), Failure> {
    let answer = match (result, progress.failed.take()) {
        (Err(error), _) | (Ok(_), Some(error)) => {
            return Err(failure(batch, (nth, message), &error));
        }
        (Ok(answer), None) => answer,
    };
    if let Some(argument) = answer
        && let Some(caller) = batch.message(message).0
    {
        let target = caller.clone();
        progress.reply.messages.push(statera_model::Outgoing { target, argument });
    }
    Ok(())
}

#[cold]
fn failure(batch: &dyn Batch, (nth, message): (usize, usize), error: &Error) -> Failure {
    let target = batch.target();
    let typename = batch.message(message).1.typename();
    let reason = match batch.messages() {
        1 => format!("`{target}` failed on `{typename}`: {error}"),
        many => {
            format!("`{target}` failed on `{typename}`, message {} of {many}: {error}", nth + 1)
        }
    };
    Failure::new(error.kind().into(), reason)
}

#[cold]
fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::retry(format!("the function panicked: {}", text.unwrap_or("no message")))
}

/// Runs a function to its end, or to its panic.
async fn caught(mut running: Running) -> Answered {
    std::future::poll_fn(move |task| {
        let poll = catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(task)));
        let ended = match poll {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(answered)) => answered,
            Err(panic) => Err(panicked(&*panic)),
        };
        Poll::Ready(ended)
    })
    .await
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .field("specs", &self.specs)
            .field("async", &self.is_async())
            .finish_non_exhaustive()
    }
}
