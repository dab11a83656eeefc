//! State cells: the name, type and lifetime of a value that a function keeps for each of its ids.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use statera_model::{Expiration, StateSpec};

use crate::value::Value;

/// A value that a function keeps: a name, a type, and when it is forgotten. Declare it next to the function, name it when
/// you register the function, and use it through the [`Context`](crate::Context):
///
/// ```
/// use std::time::Duration;
/// use statera_sdk::{App, Cell, Context, Result};
///
/// const VISITS: Cell<i64> = Cell::new("visits");
/// const LAST: Cell<String> = Cell::new("last").expires_after_write(Duration::from_secs(3600));
///
/// fn visit(ctx: &mut Context, from: String) -> Result<i64> {
///     ctx.set(LAST, from);
///     ctx.update(VISITS, |visits| visits + 1)
/// }
///
/// let app = App::new().function("shop/page", (VISITS, LAST), visit);
/// ```
///
/// A cell holds no value itself: each id of the function has one, and the runtime keeps it.
pub struct Cell<T> {
    name: &'static str,
    expiration: Lifetime,
    of: PhantomData<fn() -> T>,
}

#[derive(Clone, Copy, Debug)]
enum Lifetime {
    Unlimited,
    AfterWrite(Duration),
    AfterInvoke(Duration),
}

impl<T> Cell<T> {
    /// A cell whose value is kept until it is removed. The name must be unique within the function.
    #[must_use]
    pub const fn new(name: &'static str) -> Cell<T> {
        Cell { name, expiration: Lifetime::Unlimited, of: PhantomData }
    }

    /// The value is forgotten this long after it was last set. At least a millisecond.
    #[must_use]
    pub const fn expires_after_write(mut self, ttl: Duration) -> Cell<T> {
        self.expiration = Lifetime::AfterWrite(ttl);
        self
    }

    /// The value is forgotten this long after it was last set, or its function last invoked. At least a millisecond.
    #[must_use]
    pub const fn expires_after_invoke(mut self, ttl: Duration) -> Cell<T> {
        self.expiration = Lifetime::AfterInvoke(ttl);
        self
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<T: Value> Cell<T> {
    /// How the cell is declared to the runtime.
    #[must_use]
    pub fn spec(&self) -> StateSpec {
        let expiration = match self.expiration {
            Lifetime::Unlimited => Expiration::Never,
            Lifetime::AfterWrite(ttl) => Expiration::AfterWrite { ttl_ms: milliseconds(ttl) },
            Lifetime::AfterInvoke(ttl) => Expiration::AfterInvoke { ttl_ms: milliseconds(ttl) },
        };
        StateSpec { name: self.name.into(), typename: T::TYPENAME.into(), expiration }
    }
}

fn milliseconds(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)
}

impl<T> Clone for Cell<T> {
    fn clone(&self) -> Cell<T> {
        *self
    }
}

impl<T> Copy for Cell<T> {}

impl<T> fmt::Debug for Cell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cell")
            .field("name", &self.name)
            .field("expiration", &self.expiration)
            .finish()
    }
}

/// The cells of a function: none `()`, one, a tuple of several, or any number of [`StateSpec`]s.
pub trait Cells {
    /// How they are declared to the runtime.
    fn specs(self) -> Vec<StateSpec>;
}

impl<T: Value> Cells for Cell<T> {
    fn specs(self) -> Vec<StateSpec> {
        vec![self.spec()]
    }
}

impl Cells for Vec<StateSpec> {
    fn specs(self) -> Vec<StateSpec> {
        self
    }
}

impl<const N: usize> Cells for [StateSpec; N] {
    fn specs(self) -> Vec<StateSpec> {
        self.into()
    }
}

impl Cells for () {
    fn specs(self) -> Vec<StateSpec> {
        Vec::new()
    }
}

macro_rules! tuple_of_cells {
    ($($name:ident)+) => {
        impl<$($name: Value),+> Cells for ($(Cell<$name>,)+) {
            #[expect(non_snake_case, reason = "types and values of the tuple share their names")]
            fn specs(self) -> Vec<StateSpec> {
                let ($($name,)+) = self;
                vec![$($name.spec()),+]
            }
        }
    };
}

tuple_of_cells!(A);
tuple_of_cells!(A B);
tuple_of_cells!(A B C);
tuple_of_cells!(A B C D);
tuple_of_cells!(A B C D E);
tuple_of_cells!(A B C D E F);
tuple_of_cells!(A B C D E F G);
tuple_of_cells!(A B C D E F G H);
