//! Billing in the engine itself, which crashes: nobody pays twice, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use billing_example::card::{BALANCE, PAID};
use billing_example::messages::{Cancel, Query, Receipt, Status, Subscribe, TopUp};
use billing_example::subscription::{SUBSCRIPTION, Standing};
use billing_example::{Terms, app};
use statera_sdk::testing::{Simulation, World};

const ADA: &str = "billing/subscription/ada";
const CARD: &str = "billing/card/4242";
const PRICE: i64 = 1000;

/// Long enough for every result to come in time.
const HOUR: Duration = Duration::from_secs(3600);
/// So short that results come too late now and then.
const SHORT: Duration = Duration::from_secs(20);

fn simulation(month: Duration) -> Simulation {
    Simulation::new(app(Terms::of_month(month))).horizon(month / 20)
}

fn gold(card: &str) -> Subscribe {
    Subscribe { plan: "gold".into(), cents: PRICE, card: card.into() }
}

fn receipts(world: &World) -> Vec<Receipt> {
    let receipts = world.egress("billing/receipts");
    receipts.iter().map(|receipt| receipt.record.get().expect("a receipt")).collect()
}

/// What happened to ada's invoices, in order.
fn story(world: &World) -> Vec<String> {
    let short = |what: &str| what.split(':').next().unwrap_or_default().to_owned();
    receipts(world).iter().map(|it| format!("{} {}", it.number, short(&it.what))).collect()
}

#[test]
fn each_month_is_paid_once() {
    let report = simulation(HOUR).run(|world| {
        world.send(CARD, TopUp { cents: 100 * PRICE });
        world.until_quiet();
        world.send(ADA, gold("4242"));
        world.advance(12 * HOUR + HOUR / 2);
        let paid: Vec<String> = (1..=13).map(|number| format!("{number} paid")).collect();
        assert_eq!(story(world), paid);
        assert_eq!(world.state(CARD, BALANCE), Some(87 * PRICE));
        let status: Status = world.call(ADA, Query {});
        assert_eq!(status, Status { standing: "active".into(), invoices_paid: 13 });
    });
    assert!(report.crashes > 100 && report.lost > 100, "{report:?}");
}

#[test]
fn the_guide_shows_what_runs_here() {
    let guide = include_str!("../../../docs/guides/testing-with-crashes.md");
    let mut blocks = guide.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next());
    assert!(blocks.all(|block| include_str!("crashes.rs").contains(block.trim())));
}

#[test]
fn a_payment_that_fails_is_tried_three_times() {
    simulation(HOUR).run(|world| {
        world.send(ADA, gold("4242"));
        world.advance(HOUR);
        assert_eq!(story(world), ["1 declined", "1 declined", "1 declined", "1 ended"]);
        assert!(world.delayed().is_empty());
    });
}

#[test]
fn a_card_that_is_filled_in_time_pays() {
    simulation(HOUR).run(|world| {
        world.send(ADA, gold("4242"));
        world.until_quiet();
        assert_eq!(story(world), ["1 declined"]);
        world.send(CARD, TopUp { cents: PRICE });
        world.advance(HOUR / 2);
        assert_eq!(story(world), ["1 declined", "1 paid"]);
        assert_eq!(world.state(CARD, BALANCE), Some(0));
    });
}

#[test]
fn cancelling_stops_everything() {
    simulation(SHORT).run(|world| {
        world.send(CARD, TopUp { cents: 100 * PRICE });
        world.send(ADA, gold("4242"));
        let at = Duration::from_millis(world.random(2 * SHORT.as_millis() as u64));
        world.send_after(at, ADA, Cancel {});
        world.advance(3 * SHORT);
        let known = world.state(ADA, SUBSCRIPTION);
        if known.is_none_or(|known| known.standing != Standing::Ended) {
            // The wish to cancel came before the wish to subscribe.
            world.send(ADA, Cancel {});
            world.until_quiet();
        }
        assert!(world.delayed().is_empty());
        let (balance, receipts) = (world.state(CARD, BALANCE), receipts(world).len());
        world.advance(12 * SHORT);
        assert_eq!(world.state(CARD, BALANCE), balance);
        assert_eq!(world.egress("billing/receipts").len(), receipts);
    });
}

/// Customers come and go, cards are empty now and then, results are late: in the end the books agree.
#[test]
fn the_books_agree_in_the_end() {
    const CUSTOMERS: [&str; 3] = ["ada", "bob", "eve"];
    const CARDS: [&str; 2] = ["4242", "1111"];
    simulation(SHORT).shards(4).crashes(8).run(|world| {
        let mut filled: BTreeMap<&str, i64> = BTreeMap::new();
        for _ in 0..4 {
            for _ in 0..6 {
                let after = Duration::from_millis(world.random(SHORT.as_millis() as u64));
                let customer = ("billing/subscription", CUSTOMERS[world.random(3) as usize]);
                let card = CARDS[world.random(2) as usize];
                match world.random(4) {
                    0 => world.send_after(after, customer, Cancel {}),
                    1 => {
                        *filled.entry(card).or_default() += PRICE;
                        world.send_after(after, ("billing/card", card), TopUp { cents: PRICE })
                    }
                    _ => world.send_after(after, customer, gold(card)),
                };
            }
            world.advance(2 * SHORT);
        }
        for customer in CUSTOMERS {
            world.send(("billing/subscription", customer), Cancel {});
        }
        world.until_quiet();
        assert!(world.delayed().is_empty());

        let mut paid = BTreeSet::new();
        let mut declined: BTreeMap<String, u32> = BTreeMap::new();
        for Receipt { customer, number, what } in receipts(world) {
            let invoice = format!("{customer}/{number}");
            match what.as_str() {
                "paid" => assert!(paid.insert(invoice.clone()), "{invoice} is paid twice"),
                "refunded" => {
                    assert!(!paid.contains(&invoice), "{invoice} was paid and given back")
                }
                "ended" => {}
                _ => *declined.entry(invoice).or_default() += 1,
            }
        }
        let mut taken = BTreeSet::new();
        for card in CARDS {
            let of = ("billing/card", card);
            let invoices = world.state(of, PAID).unwrap_or_default().0;
            let left = world.state(of, BALANCE).unwrap_or(0);
            let filled = filled.get(card).copied().unwrap_or(0);
            assert_eq!(left + invoices.values().sum::<i64>(), filled, "card {card}");
            taken.extend(invoices.into_keys());
        }
        assert_eq!(taken, paid, "what cards have paid is what customers have receipts for");
        assert!(declined.values().all(|times| *times <= 3), "{declined:?}");
    });
}
