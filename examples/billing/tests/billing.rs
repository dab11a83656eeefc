//! Years of billing, in no time.

use std::time::Duration;

use billing_example::card::{BALANCE, PAID};
use billing_example::messages::{
    Cancel, Charge, PaymentResult, Query, Receipt, Refund, Status, Subscribe, TopUp,
};
use billing_example::subscription::{SUBSCRIPTION, Standing, subscription};
use billing_example::{Terms, app};
use expect_test::expect;
use statera_sdk::testing::Harness;
use statera_sdk::{App, FailureKind};

const ADA: &str = "billing/subscription/ada";
const CARD: &str = "billing/card/4242";
const DAY: Duration = Duration::from_secs(86_400);
const MONTH: Duration = Duration::from_secs(30 * 86_400);

fn terms() -> Terms {
    Terms::of_month(MONTH)
}

fn gold() -> Subscribe {
    Subscribe { plan: "gold".into(), cents: 1000, card: "4242".into() }
}

/// Everything, and a card with some money.
fn world(cents: i64) -> Harness {
    let mut world = Harness::new(app(terms())).routing();
    world.send(CARD, TopUp { cents });
    world
}

/// A subscription alone: the test is the card.
fn alone() -> Harness {
    let app = App::new().function("billing/subscription", SUBSCRIPTION, |ctx, event| {
        subscription(ctx, &terms(), event)
    });
    let mut alone = Harness::new(app);
    alone.send(ADA, gold());
    alone
}

fn answer(alone: &mut Harness, number: u32, declined: Option<&str>) {
    let declined = declined.map(str::to_owned);
    alone.send_from(CARD, ADA, PaymentResult { number, declined });
}

fn standing(world: &Harness) -> Standing {
    world.state(ADA, SUBSCRIPTION).expect("there is a subscription").standing
}

/// The receipts since the last look.
fn receipts(world: &mut Harness) -> Vec<String> {
    let receipt = |record: &statera_sdk::testing::Emitted| {
        let Receipt { number, what, .. } = record.record.get().expect("a receipt");
        format!("{number} {what}")
    };
    world.take_egress().iter().map(receipt).collect()
}

#[test]
fn a_subscription_pays_every_month_by_itself() {
    let mut world = world(100_000);
    world.send(ADA, gold());
    world.advance(MONTH * 24 + DAY);
    assert_eq!(receipts(&mut world).len(), 25);
    assert_eq!(world.state(CARD, BALANCE), Some(75_000));
    let status: Status = world.call(ADA, Query {});
    assert_eq!(status, Status { standing: "active".into(), invoices_paid: 25 });
}

#[test]
fn this_is_what_the_first_month_looks_like() {
    let mut world = world(1500);
    world.send(ADA, gold());
    world.advance(MONTH);
    expect![[r#"
        0s billing/card/4242: billing/TopUp {"cents":1500}
          balance = long 1500
        0s billing/subscription/ada: billing/Subscribe {"plan":"gold","cents":1000,"card":"4242"}
          -> billing/card/4242: billing/Charge {"number":1,"cents":1000}
          cancels `overdue`
          -> billing/subscription/ada in 7h12min `overdue`: billing/Overdue {"number":1}
          subscription = billing/Subscription {"terms":{"plan":"gold","cents":1000,"card":"4242"},"standing":"paying","invoice":1,"invoices_paid":0,"void":[],"attempts":0,"asks":1}
        0s billing/card/4242 from billing/subscription/ada: billing/Charge {"number":1,"cents":1000}
          -> billing/subscription/ada: billing/PaymentResult {"number":1,"declined":null}
          balance = long 500
          paid = billing/Paid {"ada/1":1000}
        0s billing/subscription/ada from billing/card/4242: billing/PaymentResult {"number":1,"declined":null}
          cancels `overdue`
          cancels `wake`
          -> billing/subscription/ada in 30d `wake`: billing/Pay {}
          => billing/receipts: billing/Receipt {"customer":"ada","number":1,"what":"paid"}
          subscription = billing/Subscription {"terms":{"plan":"gold","cents":1000,"card":"4242"},"standing":"active","invoice":1,"invoices_paid":1,"void":[],"attempts":0,"asks":1}
        30d billing/subscription/ada from billing/subscription/ada: billing/Pay {}
          -> billing/card/4242: billing/Charge {"number":2,"cents":1000}
          cancels `overdue`
          -> billing/subscription/ada in 7h12min `overdue`: billing/Overdue {"number":2}
          subscription = billing/Subscription {"terms":{"plan":"gold","cents":1000,"card":"4242"},"standing":"paying","invoice":2,"invoices_paid":1,"void":[],"attempts":0,"asks":1}
        30d billing/card/4242 from billing/subscription/ada: billing/Charge {"number":2,"cents":1000}
          -> billing/subscription/ada: billing/PaymentResult {"number":2,"declined":"1000 cents are more than there is"}
        30d billing/subscription/ada from billing/card/4242: billing/PaymentResult {"number":2,"declined":"1000 cents are more than there is"}
          cancels `overdue`
          -> billing/subscription/ada in 3d `wake`: billing/Pay {}
          => billing/receipts: billing/Receipt {"customer":"ada","number":2,"what":"declined: 1000 cents are more than there is"}
          subscription = billing/Subscription {"terms":{"plan":"gold","cents":1000,"card":"4242"},"standing":"grace","invoice":2,"invoices_paid":1,"void":[],"attempts":1,"asks":1}
    "#]].assert_eq(world.transcript());
}

#[test]
fn a_declined_payment_is_tried_again_and_may_succeed() {
    let mut world = world(1000);
    world.send(ADA, gold());
    world.advance(MONTH);
    assert_eq!(standing(&world), Standing::Grace);
    world.send(CARD, TopUp { cents: 1000 });
    world.advance(3 * DAY);
    assert_eq!(standing(&world), Standing::Active);
    let declined = "2 declined: 1000 cents are more than there is";
    assert_eq!(receipts(&mut world), ["1 paid", declined, "2 paid"]);
    assert_eq!(world.state(CARD, BALANCE), Some(0));
    assert_eq!(world.delayed()[0].due_in, MONTH);
}

#[test]
fn a_subscription_that_cannot_pay_ends() {
    let mut world = world(0);
    world.send(ADA, gold());
    world.advance(MONTH);
    assert_eq!(standing(&world), Standing::Ended);
    let declined = "1 declined: 1000 cents are more than there is";
    assert_eq!(receipts(&mut world), [declined, declined, declined, "1 ended"]);
    assert!(world.delayed().is_empty());
}

#[test]
fn a_result_that_does_not_come_is_asked_for_again() {
    let mut alone = alone();
    alone.advance(terms().patience * 2);
    let sent = alone.take_sent();
    let charges: Vec<Charge> = sent.iter().map(|sent| sent.message.get().unwrap()).collect();
    assert_eq!(charges, vec![Charge { number: 1, cents: 1000 }; 3]);
    answer(&mut alone, 1, None);
    assert_eq!(standing(&alone), Standing::Active);
    // All three are answered in the end; the payment counts once.
    answer(&mut alone, 1, None);
    answer(&mut alone, 1, None);
    assert_eq!(receipts(&mut alone), ["1 paid"]);
    assert_eq!(alone.delayed().len(), 1);
}

#[test]
fn a_card_pays_an_invoice_once_however_often_it_is_asked() {
    let mut world = world(5000);
    for _ in 0..3 {
        world.send_from(ADA, CARD, Charge { number: 1, cents: 1000 });
    }
    assert_eq!(world.state(CARD, BALANCE), Some(4000));
    assert_eq!(world.state(CARD, PAID).unwrap().0.len(), 1);
    world.send_from("billing/subscription/bob", CARD, Charge { number: 1, cents: 1000 });
    assert_eq!(world.state(CARD, BALANCE), Some(3000));
}

#[test]
fn without_any_result_a_payment_has_failed() {
    let mut alone = alone();
    alone.advance(terms().patience * 3);
    assert_eq!(standing(&alone), Standing::Grace);
    assert_eq!(receipts(&mut alone), ["1 declined: no answer"]);
}

#[test]
fn a_late_payment_counts_while_there_is_hope() {
    let mut alone = alone();
    alone.advance(terms().patience * 3);
    answer(&mut alone, 1, None);
    assert_eq!(standing(&alone), Standing::Active);
    // The next attempt was cancelled: what wakes up next is the next month.
    assert_eq!(alone.delayed().len(), 1);
    assert_eq!(alone.delayed()[0].due_in, MONTH);
}

#[test]
fn a_late_refusal_changes_nothing() {
    let mut alone = alone();
    answer(&mut alone, 1, None);
    answer(&mut alone, 1, Some("on second thoughts"));
    assert_eq!(standing(&alone), Standing::Active);
    assert_eq!(receipts(&mut alone), ["1 paid"]);
}

#[test]
fn cancelling_leaves_nothing_that_wakes_up() {
    let mut world = world(5000);
    world.send(ADA, gold());
    world.advance(DAY);
    let status: Status = world.call(ADA, Cancel {});
    assert_eq!(status, Status { standing: "ended".into(), invoices_paid: 1 });
    assert!(world.delayed().is_empty());
    world.send(ADA, Cancel {});
    assert_eq!(receipts(&mut world), ["1 paid", "1 ended"]);
    world.advance(MONTH * 12);
    assert_eq!(world.state(CARD, BALANCE), Some(4000));
}

#[test]
fn what_is_paid_after_the_end_is_given_back() {
    let mut alone = alone();
    alone.send(ADA, Cancel {});
    alone.take_sent();
    answer(&mut alone, 1, None);
    answer(&mut alone, 1, None);
    let sent = alone.take_sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].to.to_string().as_str(), sent[0].message.get().unwrap()),
        (CARD, Refund { number: 1 })
    );
    assert_eq!(receipts(&mut alone), ["1 ended", "1 refunded"]);
}

#[test]
fn a_card_gives_back_what_it_has_paid_and_no_more() {
    let mut world = world(5000);
    world.send_from(ADA, CARD, Charge { number: 1, cents: 1000 });
    for _ in 0..2 {
        world.send_from(ADA, CARD, Refund { number: 1 });
        world.send_from(ADA, CARD, Refund { number: 2 });
    }
    assert_eq!(world.state(CARD, BALANCE), Some(5000));
}

#[test]
fn who_subscribes_again_starts_anew() {
    let mut alone = alone();
    alone.send(ADA, gold());
    assert_eq!(alone.sent().len(), 1);
    alone.send(ADA, Cancel {});
    alone.send(ADA, gold());
    assert_eq!(standing(&alone), Standing::Paying);
    // The result of the first subscription is none of the second one's.
    alone.take_sent();
    answer(&mut alone, 1, None);
    assert_eq!(alone.take_sent()[0].message.get::<Refund>().unwrap(), Refund { number: 1 });
    assert_eq!(standing(&alone), Standing::Paying);
    answer(&mut alone, 2, None);
    assert_eq!(standing(&alone), Standing::Active);
}

#[test]
fn nonsense_is_a_dead_letter() {
    let mut world = world(0);
    let free = Subscribe { cents: 0, ..gold() };
    assert_eq!(world.try_send(ADA, free).unwrap_err().kind, FailureKind::Fatal);
    assert_eq!(world.try_send(ADA, "hello").unwrap_err().kind, FailureKind::Fatal);
    let charge = Charge { number: 1, cents: 1 };
    assert_eq!(world.try_send(CARD, charge).unwrap_err().kind, FailureKind::Fatal);
    let status: Status = world.call(ADA, Query {});
    assert_eq!(status, Status { standing: "none".into(), invoices_paid: 0 });
}
