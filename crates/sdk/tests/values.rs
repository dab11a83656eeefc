//! Types of values: they survive the way through bytes, and have the names and bytes that other SDKs expect.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::HashMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use statera_sdk::{
    BoxError, Message, Result, Value, ValueError, bytes_value, json_value, protobuf_value, types,
};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Order {
    item: String,
    pieces: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Parcel {
    #[prost(string, tag = "1")]
    to: String,
    #[prost(uint32, tag = "2")]
    grams: u32,
}

#[derive(Clone, Debug, PartialEq)]
struct Photo(Vec<u8>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unwritable(HashMap<Vec<u8>, u8>);

json_value! { Order = "shop/Order", Unwritable = "shop/Unwritable" }
protobuf_value! { Parcel = "type.googleapis.com/shop.Parcel" }
bytes_value! { Photo = "album/Photo" }

fn check<T: Value + PartialEq + std::fmt::Debug>(value: &T) {
    let typed = value.to_typed_value().unwrap();
    assert_eq!(typed.typename(), T::TYPENAME);
    assert!(typed.has_value());
    assert_eq!(&T::from_typed_value(&typed).unwrap(), value);
    let mut bytes = Vec::new();
    value.encode(&mut bytes).unwrap();
    assert_eq!(bytes, typed.value());
    assert_eq!(&T::decode(&bytes).unwrap(), value);
}

proptest! {
    #[test]
    fn values_come_back(
        a: bool, b: i32, c: i64, d in -1e30..1e30_f32, e in -1e300..1e300_f64,
        text: String, pieces: u32, bytes: Vec<u8>,
    ) {
        check(&a);
        check(&b);
        check(&c);
        check(&d);
        check(&e);
        check(&text);
        check(&Order { item: text.clone(), pieces });
        check(&Parcel { to: text, grams: pieces });
        check(&Photo(bytes));
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
        let _ = bool::decode(&bytes);
        let _ = i32::decode(&bytes);
        let _ = i64::decode(&bytes);
        let _ = f32::decode(&bytes);
        let _ = f64::decode(&bytes);
        let _ = String::decode(&bytes);
        let _ = Order::decode(&bytes);
        let _ = Parcel::decode(&bytes);
        let _ = Message::new(types::STRING, &bytes).to_string();
    }
}

#[test]
fn the_built_in_types_have_the_names_that_all_sdks_know() {
    assert_eq!(bool::TYPENAME, "io.statefun.types/bool");
    assert_eq!(i32::TYPENAME, "io.statefun.types/int");
    assert_eq!(i64::TYPENAME, "io.statefun.types/long");
    assert_eq!(f32::TYPENAME, "io.statefun.types/float");
    assert_eq!(f64::TYPENAME, "io.statefun.types/double");
    assert_eq!(String::TYPENAME, "io.statefun.types/string");
    assert_eq!(1_i32.to_typed_value().unwrap().value(), b"\x0d\x01\x00\x00\x00");
}

#[test]
fn what_is_wrong_with_a_value_is_said() {
    let text = |result: Result<Order, ValueError>| result.unwrap_err().to_string();
    let read = |typename: &str, bytes: &[u8]| {
        text(Order::from_typed_value(Message::new(typename, bytes).typed_value()))
    };
    assert_eq!(
        read("shop/Parcel", b"{}"),
        "a value of type `shop/Order` is expected, this one is of type `shop/Parcel`"
    );
    assert_eq!(read("shop/Order", b"{"), "the bytes are not a value of type `shop/Order`");
}

#[test]
fn a_value_that_cannot_be_written_is_an_error() {
    let value = Unwritable(HashMap::from([(vec![1], 1)]));
    let error = value.to_typed_value().unwrap_err();
    assert_eq!(error.to_string(), "the value can't be written as `shop/Unwritable`");
}

#[test]
fn a_type_of_ones_own_needs_two_functions() {
    #[derive(Debug, PartialEq)]
    struct Hour(u8);
    impl Value for Hour {
        const TYPENAME: &'static str = "test/Hour";
        fn encode(&self, out: &mut Vec<u8>) -> Result<(), BoxError> {
            out.push(self.0);
            Ok(())
        }
        fn decode(bytes: &[u8]) -> Result<Self, BoxError> {
            match bytes {
                [hour @ 0..24] => Ok(Hour(*hour)),
                _ => Err("no hour".into()),
            }
        }
    }
    check(&Hour(23));
    let error = Message::new("test/Hour", &[24]).get::<Hour>().unwrap_err();
    assert_eq!(error.to_string(), "the bytes are not a value of type `test/Hour`: no hour");
}
