//! What the functions say to each other, and what the world says to them. All of it is JSON.

use serde::{Deserialize, Serialize};
use statera_sdk::json_value;

/// A customer subscribes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subscribe {
    /// The name of the plan.
    pub plan: String,
    /// What it costs each month.
    pub cents: i64,
    /// The card that pays.
    pub card: String,
}

/// A customer has enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cancel {}

/// Somebody wants to know how a subscription is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Query {}

/// The answer to the three above.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// `paying`, `grace`, `active` or `ended`; `none` if there never was a subscription.
    pub standing: String,
    /// The invoices that were paid.
    pub invoices_paid: u32,
}

/// A subscription wakes itself: it is time to pay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pay {}

/// A subscription wakes itself: no result has come for this invoice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overdue {
    /// The number of the invoice.
    pub number: u32,
}

/// An order to a card to pay an invoice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Charge {
    /// The number of the invoice: the same one is never paid twice to the same subscription.
    pub number: u32,
    /// How much.
    pub cents: i64,
}

/// What became of a [`Charge`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentResult {
    /// The number of the invoice.
    pub number: u32,
    /// `None` if it is paid, else why not.
    pub declined: Option<String>,
}

/// An order to a card to take money back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refund {
    /// The number of the invoice.
    pub number: u32,
}

/// Money for a card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopUp {
    /// How much.
    pub cents: i64,
}

/// A record for the world outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Whose.
    pub customer: String,
    /// The number of the invoice.
    pub number: u32,
    /// What happened: `paid`, `declined: ...`, `refunded`, `ended`.
    pub what: String,
}

json_value! {
    Subscribe = "billing/Subscribe",
    Cancel = "billing/Cancel",
    Query = "billing/Query",
    Status = "billing/Status",
    Pay = "billing/Pay",
    Overdue = "billing/Overdue",
    Charge = "billing/Charge",
    PaymentResult = "billing/PaymentResult",
    Refund = "billing/Refund",
    TopUp = "billing/TopUp",
    Receipt = "billing/Receipt",
}
