//! Declarations of values and of sets of messages.

/// Makes types values that are written as JSON. They must implement serde's `Serialize` and `Deserialize`.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use statera_sdk::{Cell, json_value};
///
/// #[derive(Serialize, Deserialize)]
/// struct Order {
///     item: String,
///     pieces: u32,
/// }
///
/// #[derive(Serialize, Deserialize, Default)]
/// struct Cart(Vec<Order>);
///
/// json_value! {
///     Order = "shop/Order",
///     Cart = "shop/Cart",
/// }
///
/// const CART: Cell<Cart> = Cell::new("cart");
/// ```
#[cfg(feature = "json")]
#[macro_export]
macro_rules! json_value {
    ($($type:ty = $typename:expr),+ $(,)?) => {$(
        impl $crate::Value for $type {
            const TYPENAME: &'static str = $typename;

            fn encode(
                &self,
                out: &mut ::std::vec::Vec<u8>,
            ) -> ::std::result::Result<(), $crate::BoxError> {
                $crate::private::json::encode(self, out)
            }

            fn decode(bytes: &[u8]) -> ::std::result::Result<Self, $crate::BoxError> {
                $crate::private::json::decode(bytes)
            }
        }
    )+};
}

/// Makes messages of the crate `prost` values. Other SDKs call the type of a message `example.Order`
/// `type.googleapis.com/example.Order` if they are not told otherwise.
///
/// ```
/// use statera_sdk::protobuf_value;
///
/// #[derive(Clone, PartialEq, prost::Message)]
/// struct Order {
///     #[prost(string, tag = "1")]
///     item: String,
/// }
///
/// protobuf_value! { Order = "type.googleapis.com/shop.Order" }
/// ```
#[cfg(feature = "protobuf")]
#[macro_export]
macro_rules! protobuf_value {
    ($($type:ty = $typename:expr),+ $(,)?) => {$(
        impl $crate::Value for $type {
            const TYPENAME: &'static str = $typename;

            fn encode(
                &self,
                out: &mut ::std::vec::Vec<u8>,
            ) -> ::std::result::Result<(), $crate::BoxError> {
                $crate::private::protobuf::encode(self, out)
            }

            fn decode(bytes: &[u8]) -> ::std::result::Result<Self, $crate::BoxError> {
                $crate::private::protobuf::decode(bytes)
            }
        }
    )+};
}

/// Makes tuple structs of one field values whose bytes are that field: a `Vec<u8>`, a `Box<[u8]>`, or `bytes::Bytes`.
///
/// ```
/// use statera_sdk::bytes_value;
///
/// struct Photo(Vec<u8>);
///
/// bytes_value! { Photo = "album/Photo" }
/// ```
#[macro_export]
macro_rules! bytes_value {
    ($($type:path = $typename:expr),+ $(,)?) => {$(
        impl $crate::Value for $type {
            const TYPENAME: &'static str = $typename;

            fn encode(
                &self,
                out: &mut ::std::vec::Vec<u8>,
            ) -> ::std::result::Result<(), $crate::BoxError> {
                out.extend_from_slice(&self.0);
                Ok(())
            }

            fn decode(bytes: &[u8]) -> ::std::result::Result<Self, $crate::BoxError> {
                Ok(Self(::std::convert::From::from(bytes.to_vec())))
            }
        }
    )+};
}

/// Declares the messages that a function takes, as an enum to match on. Which variant a message becomes is decided by
/// its typename.
///
/// ```
/// use statera_sdk::{App, Cell, Context, Result, one_of};
///
/// one_of! {
///     /// What a lamp understands.
///     enum Command {
///         Switch(bool),
///         Dim(i32),
///     }
/// }
///
/// const LEVEL: Cell<i32> = Cell::new("level");
///
/// fn lamp(ctx: &mut Context, command: Command) -> Result<i32> {
///     let level = match command {
///         Command::Switch(true) => 100,
///         Command::Switch(false) => 0,
///         Command::Dim(by) => (ctx.get_or_default(LEVEL)? - by).max(0),
///     };
///     ctx.set(LEVEL, level);
///     Ok(level)
/// }
///
/// let app = App::new().function("home/lamp", LEVEL, lamp);
/// ```
///
/// The enum can be sent, too: what is sent is what the variant holds.
#[macro_export]
macro_rules! one_of {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$variant_attribute:meta])* $variant:ident($type:ty)),+ $(,)?
        }
    ) => {
        $(#[$attribute])*
        $visibility enum $name {
            $($(#[$variant_attribute])* $variant($type)),+
        }

        impl $crate::Argument for $name {
            fn from_message(message: &$crate::TypedValue) -> $crate::Result<Self> {
                let typename = message.typename();
                $(
                    if typename == <$type as $crate::Value>::TYPENAME {
                        return <$type as $crate::Argument>::from_message(message).map($name::$variant);
                    }
                )+
                Err($crate::private::unexpected(
                    message,
                    &[$(<$type as $crate::Value>::TYPENAME),+],
                ))
            }
        }

        impl $crate::IntoValue for $name {
            fn into_value(self) -> ::std::result::Result<$crate::TypedValue, $crate::ValueError> {
                match self {
                    $($name::$variant(value) => $crate::IntoValue::into_value(value)),+
                }
            }
        }
    };
}
