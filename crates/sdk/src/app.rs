//! Registering functions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;

use statera_model::{Expiration, FunctionType, InvalidName, Name, StateSpec};

use crate::cell::Cells;
use crate::context::Context;
use crate::error::Result;
use crate::function::{Function, Functions};
use crate::target::ToName;
use crate::value::{Answer, Argument};

/// Functions and their names. Register them, then [serve](App::serve) them, or [test](crate::testing) them.
///
/// What is wrong with a registration is said by [`App::build`], and by everything that serves an app, all at once.
///
/// ```
/// use statera_sdk::{App, Cell, Context, Result};
///
/// const TOTAL: Cell<i64> = Cell::new("total");
///
/// fn add(ctx: &mut Context, amount: i64) -> Result<i64> {
///     ctx.update(TOTAL, |total| total + amount)
/// }
///
/// let app = App::new()
///     .function("shop/till", TOTAL, add)
///     .function("shop/echo", (), |_, text: String| Ok(text))
///     .function_async("shop/slow", TOTAL, |mut ctx, amount: i64| async move {
///         // ... await something ...
///         ctx.set(TOTAL, amount);
///         Ok(())
///     });
/// assert_eq!(app.build()?.iter().count(), 3);
/// # Ok::<(), statera_sdk::InvalidApp>(())
/// ```
#[derive(Debug, Default)]
pub struct App {
    functions: BTreeMap<FunctionType, Function>,
    problems: Vec<Problem>,
}

impl App {
    /// An app without functions.
    #[must_use]
    pub fn new() -> App {
        App::default()
    }

    /// Registers a function `namespace/name` with its cells: none `()`, one, or a tuple of several. The code gets a
    /// [`Context`] and the message, as the type that its argument has; what it returns is sent to the caller.
    ///
    /// It runs on the thread of whoever invokes it: on a thread of the HTTP server it should not block for long. Panics
    /// are caught and count as errors, unless the program is built to abort.
    #[must_use]
    pub fn function<A: Argument, R: Answer>(
        mut self,
        name: impl ToName,
        cells: impl Cells,
        code: impl Fn(&mut Context<'_>, A) -> Result<R> + Send + Sync + 'static,
    ) -> App {
        self.register(name, cells, |name, specs| Function::direct(name, specs, code));
        self
    }

    /// As [`App::function`], for code that waits for something. It owns its context until it ends. Messages of one id are
    /// handled one after the other, those of different ids at the same time.
    #[must_use]
    pub fn function_async<A: Argument, R: Answer, F>(
        mut self,
        name: impl ToName,
        cells: impl Cells,
        code: impl Fn(Context<'static>, A) -> F + Send + Sync + 'static,
    ) -> App
    where
        F: Future<Output = Result<R>> + Send + 'static,
    {
        self.register(name, cells, |name, specs| Function::asynchronous(name, specs, code));
        self
    }

    /// Adds the functions of another app.
    #[must_use]
    pub fn merge(mut self, other: App) -> App {
        self.problems.extend(other.problems);
        for function in other.functions.into_values() {
            self.add(function);
        }
        self
    }

    /// The functions, for a host.
    ///
    /// # Errors
    /// With everything that is wrong with the registrations.
    pub fn build(self) -> Result<Functions, InvalidApp> {
        match self.problems.is_empty() {
            true => Ok(Functions::new(self.functions)),
            false => Err(InvalidApp { problems: self.problems }),
        }
    }

    fn register(
        &mut self,
        name: impl ToName,
        cells: impl Cells,
        make: impl FnOnce(FunctionType, Vec<StateSpec>) -> Function,
    ) {
        match name.to_name() {
            Err(name) => self.problems.push(Problem::Name(name)),
            Ok(name) => {
                let specs = cells.specs();
                self.problems.extend(problems(&name, &specs));
                self.add(make(name, specs));
            }
        }
    }

    fn add(&mut self, function: Function) {
        let name = function.name().clone();
        if self.functions.insert(name.clone(), function).is_some() {
            self.problems.push(Problem::FunctionTwice(name));
        }
    }
}

fn problems(function: &FunctionType, specs: &[StateSpec]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for spec in specs {
        let (function, cell) = (function.clone(), spec.name.to_string());
        if cell.is_empty() {
            problems.push(Problem::CellWithoutName { function });
        } else if !names.insert(&spec.name) {
            problems.push(Problem::CellTwice { function, cell });
        } else if let Err(typename) = Name::parse(&spec.typename) {
            problems.push(Problem::CellTypename { function, cell, typename });
        } else if let Expiration::AfterWrite { ttl_ms: ..1 }
        | Expiration::AfterInvoke { ttl_ms: ..1 } = spec.expiration
        {
            problems.push(Problem::CellLifetime { function, cell });
        }
    }
    problems
}

/// An app can't be hosted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidApp {
    problems: Vec<Problem>,
}

impl InvalidApp {
    /// What is wrong; never empty.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for InvalidApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        write!(f, "the functions can't be served: {}", problems.join("; "))
    }
}

impl std::error::Error for InvalidApp {}

/// Something that is wrong with a registration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The name of a function is none.
    #[error("the name of a function, {0}")]
    Name(InvalidName),
    /// Two functions have the same name.
    #[error("function `{0}` is registered twice")]
    FunctionTwice(FunctionType),
    /// A cell has an empty name.
    #[error("a cell of function `{function}` has no name")]
    CellWithoutName {
        /// The function.
        function: FunctionType,
    },
    /// Two cells of a function have the same name.
    #[error("function `{function}` has two cells `{cell}`")]
    CellTwice {
        /// The function.
        function: FunctionType,
        /// The name of the cells.
        cell: String,
    },
    /// The type of a cell has an impossible name.
    #[error("the typename of cell `{cell}` of function `{function}`, {typename}")]
    CellTypename {
        /// The function.
        function: FunctionType,
        /// The cell.
        cell: String,
        /// The typename.
        typename: InvalidName,
    },
    /// The values of a cell would expire at once.
    #[error("cell `{cell}` of function `{function}` expires after less than a millisecond")]
    CellLifetime {
        /// The function.
        function: FunctionType,
        /// The cell.
        cell: String,
    },
}
