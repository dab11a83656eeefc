//! Values, and states that hold them.

use serde::{Deserialize, Serialize};

/// A value and the name of its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Value {
    /// The name of its type; may be empty.
    pub typename: String,
    /// Its bytes in base64; missing if there is a type but no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Its bytes, if they are printable UTF-8. A value of a built-in type is decoded before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What it means, if it is JSON or of a built-in type (`io.statefun.types/*`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<serde_json::Value>,
}

/// The state of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct States {
    /// The address, `namespace/type/id`.
    pub address: String,
    /// Its state values.
    pub states: Vec<State>,
}

/// A state value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Its name.
    pub name: String,
    /// The value.
    #[serde(flatten)]
    pub value: Value,
    /// When it was last accessed (RFC 3339), if it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_access: Option<String>,
}

/// A value that is given. Either `json` or `value`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewValue {
    /// The name of its type; if it is missing, that of the value it replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typename: Option<String>,
    /// What it means: of a built-in type (`io.statefun.types/*`) it is encoded as that, of any other it is JSON text. Text for
    /// numbers that JSON does not have, such as `"NaN"`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub json: Option<serde_json::Value>,
    /// Its bytes in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// A `null` that is written is a value.
fn given<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(deserializer).map(Some)
}
