//! A card, standing for the company that issued it: it has money or not, and never pays an invoice twice.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use statera_sdk::{Cell, Context, Error, Result, json_value, one_of};

use crate::messages::{Charge, PaymentResult, Refund, TopUp};

one_of! {
    /// What a card takes.
    #[derive(Debug)]
    pub enum Event {
        /// From a subscription.
        Charge(Charge),
        /// From a subscription.
        Refund(Refund),
        /// From the owner.
        TopUp(TopUp),
    }
}

/// The invoices that a card has paid: what, by whose and number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Paid(pub BTreeMap<String, i64>);

json_value! { Paid = "billing/Paid" }

/// What a card holds, in cents.
pub const BALANCE: Cell<i64> = Cell::new("balance");

/// The invoices that it has paid; whoever asks about an older one than a year must ask a person.
pub const PAID: Cell<Paid> =
    Cell::new("paid").expires_after_write(Duration::from_secs(365 * 86_400));

/// The function `billing/card`. Its id is the number of the card; it answers charges.
pub fn card(ctx: &mut Context<'_>, event: Event) -> Result<Option<PaymentResult>> {
    match event {
        Event::TopUp(TopUp { cents }) if cents < 0 => Err(Error::dead_letter("a theft")),
        Event::TopUp(TopUp { cents }) => {
            ctx.update(BALANCE, |balance| balance.saturating_add(cents))?;
            Ok(None)
        }
        Event::Charge(Charge { number, cents }) => {
            let declined = charge(ctx, number, cents)?.err();
            Ok(Some(PaymentResult { number, declined }))
        }
        Event::Refund(Refund { number }) => {
            let mut paid = ctx.get_or_default(PAID)?;
            if let Some(cents) = paid.0.remove(&invoice(ctx, number)?) {
                ctx.update(BALANCE, |balance| balance.saturating_add(cents))?;
                ctx.set(PAID, paid);
            }
            Ok(None)
        }
    }
}

fn charge(ctx: &mut Context<'_>, number: u32, cents: i64) -> Result<Result<(), String>> {
    let invoice = invoice(ctx, number)?;
    let mut paid = ctx.get_or_default(PAID)?;
    if paid.0.contains_key(&invoice) {
        return Ok(Ok(()));
    }
    let balance = ctx.get_or_default(BALANCE)?;
    if cents > balance {
        return Ok(Err(format!("{cents} cents are more than there is")));
    }
    ctx.set(BALANCE, balance - cents);
    paid.0.insert(invoice, cents);
    ctx.set(PAID, paid);
    Ok(Ok(()))
}

/// Invoices are numbered by subscription.
fn invoice(ctx: &Context<'_>, number: u32) -> Result<String> {
    let whose = ctx.caller().ok_or_else(|| Error::dead_letter("only subscriptions charge"))?;
    Ok(format!("{}/{number}", whose.id))
}
