//! The six types that every SDK knows.

use statera_model::TypedValue;
use statera_protocol::types;

use super::{BoxError, Value, ValueError};

macro_rules! built_in {
    ($($type:ty: $typename:ident, $value:ident => $argument:expr;)+) => {$(
        impl Value for $type {
            const TYPENAME: &'static str = types::$typename;

            fn encode(&self, out: &mut Vec<u8>) -> Result<(), BoxError> {
                let $value = self;
                out.extend_from_slice(types::encode($argument).value());
                Ok(())
            }

            fn decode(bytes: &[u8]) -> Result<Self, BoxError> {
                Ok(types::decode(&TypedValue::new(Self::TYPENAME, bytes))?)
            }

            #[inline]
            fn to_typed_value(&self) -> Result<TypedValue, ValueError> {
                let $value = self;
                Ok(types::encode($argument))
            }

            #[inline]
            fn from_typed_value(value: &TypedValue) -> Result<Self, ValueError> {
                types::decode(value).map_err(error)
            }
        }
    )+};
}

built_in! {
    bool: BOOL, value => *value;
    i32: INT, value => *value;
    i64: LONG, value => *value;
    f32: FLOAT, value => *value;
    f64: DOUBLE, value => *value;
    String: STRING, value => value.as_str();
}

#[cold]
fn error(error: types::ValueError) -> ValueError {
    match error {
        types::ValueError::OtherType { expected, found } => {
            ValueError::OtherType { expected, found }
        }
        types::ValueError::NoValue { typename } => ValueError::NoValue { typename },
        types::ValueError::Malformed { typename, source } => {
            ValueError::Malformed { typename, source: source.into() }
        }
    }
}
