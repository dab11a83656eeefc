//! Replies: what a function did with a batch of messages, or which states it needs before it can do anything.
//!
//! | message | field | number | type |
//! |---|---|---|---|
//! | `FromFunction` | `invocation_result` | 100 | `InvocationResponse`, one choice of a oneof |
//! | | `incomplete_invocation_context` | 101 | `IncompleteInvocationContext`, the other |
//! | `InvocationResponse` | `state_mutations` | 1 | repeated `PersistedValueMutation` |
//! | | `outgoing_messages` | 2 | repeated `Invocation` |
//! | | `delayed_invocations` | 3 | repeated `DelayedInvocation` |
//! | | `outgoing_egresses` | 4 | repeated `EgressMessage` |
//! | `PersistedValueMutation` | `mutation_type` | 1 | enum: `DELETE` 0, `MODIFY` 1 |
//! | | `state_name` | 2 | string |
//! | | `state_value` | 3 | `TypedValue`, only of a `MODIFY` |
//! | `Invocation` | `target` | 1 | `Address` |
//! | | `argument` | 2 | `TypedValue` |
//! | `DelayedInvocation` | `delay_in_ms` | 1 | int64 |
//! | | `target` | 2 | `Address` |
//! | | `argument` | 3 | `TypedValue` |
//! | | `is_cancellation_request` | 10 | bool; if set, only the token counts |
//! | | `cancellation_token` | 11 | string |
//! | `EgressMessage` | `egress_namespace` | 1 | string |
//! | | `egress_type` | 2 | string |
//! | | `argument` | 3 | `TypedValue` |
//! | `IncompleteInvocationContext` | `missing_values` | 1 | repeated `PersistedValueSpec` |
//! | `PersistedValueSpec` | `state_name` | 1 | string |
//! | | `expiration_spec` | 2 | `ExpirationSpec` |
//! | | `type_typename` | 3 | string, `namespace/name` or empty |
//! | `ExpirationSpec` | `mode` | 1 | enum: `NONE` 0, `AFTER_WRITE` 1, `AFTER_INVOKE` 2; others count as `NONE` |
//! | | `expire_after_millis` | 2 | int64 |

mod decode;
mod encode;

pub(crate) use decode::decode;
pub use decode::decode_reply;
pub use encode::encode_reply;

// `PersistedValueMutation.mutation_type`
const DELETE: i32 = 0;
const MODIFY: i32 = 1;

// `ExpirationSpec.mode`
const AFTER_WRITE: i32 = 1;
const AFTER_INVOKE: i32 = 2;
