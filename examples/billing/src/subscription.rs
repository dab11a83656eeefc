//! A subscription: pays, waits, and wakes itself.
//!
//! ```text
//!            Subscribe            paid                 a month passes
//!   (none) ────────────► paying ───────────► active ─────────────────► paying
//!                          ▲  │ declined, or no result          (the next invoice)
//!          some days pass  │  ▼
//!          (same invoice) grace ───────────► ended ◄── Cancel, at any time
//!                               too often
//! ```

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use statera_sdk::{Cell, Context, Error, Result, json_value, one_of};

use crate::Terms;
use crate::messages::{
    Cancel, Charge, Overdue, Pay, PaymentResult, Query, Receipt, Refund, Status, Subscribe,
};

one_of! {
    /// What a subscription takes.
    #[derive(Debug)]
    pub enum Event {
        /// From the customer.
        Subscribe(Subscribe),
        /// From the customer.
        Cancel(Cancel),
        /// From anybody.
        Query(Query),
        /// From itself.
        Pay(Pay),
        /// From itself.
        Overdue(Overdue),
        /// From the card.
        PaymentResult(PaymentResult),
    }
}

/// What a subscription remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// Plan, price and card.
    pub terms: Subscribe,
    /// What it is doing.
    pub standing: Standing,
    /// The number of the last invoice.
    pub invoice: u32,
    /// How many invoices were paid.
    pub invoices_paid: u32,
    /// The invoices that were open when the subscription ended: should they be paid, the money goes back.
    pub void: BTreeSet<u32>,
    /// How often its payment has failed.
    pub attempts: u32,
    /// How often its result was asked for in this attempt.
    pub asks: u32,
}

/// What a subscription is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It waits for the result of a payment.
    Paying,
    /// A payment has failed; it will try again.
    Grace,
    /// It is paid for, until the month is over.
    Active,
    /// It is no more.
    Ended,
}

json_value! { Subscription = "billing/Subscription" }

/// The subscription of a customer.
pub const SUBSCRIPTION: Cell<Subscription> = Cell::new("subscription");

/// Where receipts go.
const RECEIPTS: &str = "billing/receipts";

/// Names the message that wakes it to pay.
const WAKE: &str = "wake";
/// Names the message that tells it that a result is overdue.
const OVERDUE: &str = "overdue";

/// The function `billing/subscription`. Its id is the customer; it answers what customers ask.
pub fn subscription(ctx: &mut Context<'_>, terms: &Terms, event: Event) -> Result<Option<Status>> {
    let stored = ctx.get(SUBSCRIPTION)?;
    let answers = matches!(event, Event::Subscribe(_) | Event::Cancel(_) | Event::Query(_));
    let next = match (stored, event) {
        (stored, Event::Subscribe(wish)) => Some(subscribe(ctx, terms, stored, wish)?),
        (Some(mut known), event) => {
            known.handle(ctx, terms, event);
            Some(known)
        }
        (None, _) => None,
    };
    let status = answers.then(|| Status::of(next.as_ref()));
    if let Some(next) = next {
        ctx.set(SUBSCRIPTION, next);
    }
    Ok(status)
}

fn subscribe(
    ctx: &mut Context<'_>,
    terms: &Terms,
    stored: Option<Subscription>,
    wish: Subscribe,
) -> Result<Subscription> {
    if wish.cents <= 0 {
        return Err(Error::dead_letter(format!("a plan can't cost {} cents", wish.cents)));
    }
    let mut new = match stored {
        Some(known) if known.standing != Standing::Ended => return Ok(known),
        Some(ended) => Subscription { terms: wish, ..ended },
        None => Subscription {
            terms: wish,
            standing: Standing::Ended,
            invoice: 0,
            invoices_paid: 0,
            void: BTreeSet::new(),
            attempts: 0,
            asks: 0,
        },
    };
    new.pay_next(ctx, terms);
    Ok(new)
}

impl Subscription {
    fn handle(&mut self, ctx: &mut Context<'_>, terms: &Terms, event: Event) {
        match (self.standing, event) {
            (Standing::Active, Event::Pay(_)) => self.pay_next(ctx, terms),
            (Standing::Grace, Event::Pay(_)) => self.pay(ctx, terms),
            (Standing::Paying, Event::Overdue(Overdue { number })) if number == self.invoice => {
                if self.asks < terms.asks_max {
                    self.ask(ctx, terms);
                } else {
                    self.failed(ctx, terms, "no answer");
                }
            }
            (_, Event::PaymentResult(PaymentResult { number, declined })) => {
                if self.void.contains(&number) {
                    self.give_back(ctx, number, declined.is_some());
                } else if number == self.invoice {
                    self.settle(ctx, terms, declined.as_deref());
                }
            }
            (Standing::Ended, Event::Cancel(_)) => {}
            (_, Event::Cancel(_)) => self.end(ctx),
            // What is left was cancelled when it was on its way already.
            _ => {}
        }
    }

    /// Invoices are never numbered twice: a late result of an ended subscription must not pay for a new one.
    fn pay_next(&mut self, ctx: &mut Context<'_>, terms: &Terms) {
        self.invoice += 1;
        self.attempts = 0;
        self.pay(ctx, terms);
    }

    /// Starts an attempt to have the last invoice paid.
    fn pay(&mut self, ctx: &mut Context<'_>, terms: &Terms) {
        self.standing = Standing::Paying;
        self.asks = 0;
        self.ask(ctx, terms);
    }

    /// Asks the card, which may have been asked before: it pays an invoice once, however often it is asked.
    fn ask(&mut self, ctx: &mut Context<'_>, terms: &Terms) {
        self.asks += 1;
        let number = self.invoice;
        let charge = Charge { number, cents: self.terms.cents };
        ctx.send(("billing/card", self.terms.card.as_str()), charge);
        ctx.cancel(OVERDUE);
        ctx.send_after(terms.patience, ctx.this(), Overdue { number }).token(OVERDUE);
    }

    /// The card has answered about the last invoice, in time, late, or again.
    fn settle(&mut self, ctx: &mut Context<'_>, terms: &Terms, declined: Option<&str>) {
        match (self.standing, declined) {
            (Standing::Paying | Standing::Grace, None) => {
                self.standing = Standing::Active;
                self.invoices_paid += 1;
                ctx.cancel(OVERDUE);
                ctx.cancel(WAKE);
                ctx.send_after(terms.month, ctx.this(), Pay {}).token(WAKE);
                self.receipt(ctx, self.invoice, "paid");
            }
            (Standing::Paying, Some(why)) => self.failed(ctx, terms, why),
            _ => {}
        }
    }

    fn failed(&mut self, ctx: &mut Context<'_>, terms: &Terms, why: &str) {
        self.attempts += 1;
        self.receipt(ctx, self.invoice, &format!("declined: {why}"));
        if self.attempts >= terms.attempts_max {
            return self.end(ctx);
        }
        self.standing = Standing::Grace;
        ctx.cancel(OVERDUE);
        ctx.send_after(terms.retry_after, ctx.this(), Pay {}).token(WAKE);
    }

    fn end(&mut self, ctx: &mut Context<'_>) {
        if self.standing != Standing::Active {
            self.void.insert(self.invoice);
        }
        self.standing = Standing::Ended;
        ctx.cancel(OVERDUE);
        ctx.cancel(WAKE);
        self.receipt(ctx, self.invoice, "ended");
    }

    /// An invoice that should not be paid any more has a result. If it is declined, another ask may still be paid.
    fn give_back(&mut self, ctx: &mut Context<'_>, number: u32, declined: bool) {
        if !declined {
            self.void.remove(&number);
            ctx.reply(Refund { number });
            self.receipt(ctx, number, "refunded");
        }
    }

    fn receipt(&self, ctx: &mut Context<'_>, number: u32, what: &str) {
        let customer = ctx.id().to_string();
        ctx.egress(RECEIPTS, Receipt { customer, number, what: what.into() });
    }
}

impl Status {
    fn of(subscription: Option<&Subscription>) -> Status {
        let standing = subscription.map(|known| match known.standing {
            Standing::Paying => "paying",
            Standing::Grace => "grace",
            Standing::Active => "active",
            Standing::Ended => "ended",
        });
        let invoices_paid = subscription.map_or(0, |known| known.invoices_paid);
        Status { standing: standing.unwrap_or("none").into(), invoices_paid }
    }
}
