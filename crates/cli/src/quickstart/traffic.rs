//! The calls that the quickstart makes, one after another, and what it checks of each answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::json;
use statera_model::{Address, Name};
use statera_protocol::types;
use statera_runtime::Engine;

use super::book::Book;
use super::client::{Client, Order};
use super::functions::{BALANCE, OPENING_BALANCE, REMIND, TRANSFER, VISIT, VISITS};

/// Who visits.
const PEOPLE: [&str; 8] =
    ["Ada", "Alan", "Barbara", "Donald", "Edsger", "Grace", "Leslie", "Niklaus"];

/// Between which money is moved. Names that nobody is likely to move money from by hand.
const ACCOUNTS: [&str; 8] = ["1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008"];

/// What all accounts hold together, always.
pub(super) const MONEY: i64 = ACCOUNTS.len() as i64 * OPENING_BALANCE;

/// Each how many calls one is a transfer.
const TRANSFER_EVERY: usize = 4;

/// How long transfers that somebody else began may take to end before a wrong sum counts.
const SETTLE_MAX: Duration = Duration::from_secs(10);
const SETTLE_PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Traffic {
    engine: Engine,
    client: Client,
    book: Book,
    visits: usize,
    transfers: usize,
    latencies: Vec<Duration>,
}

/// What the state says.
#[derive(Clone, Copy)]
pub(super) struct Totals {
    pub(super) visits: i64,
    pub(super) money: i64,
}

#[derive(Deserialize)]
struct Greeted {
    visits: i64,
}

impl Traffic {
    pub(super) fn new(engine: Engine, ingress: SocketAddr, book: Book) -> Traffic {
        let client = Client::new(ingress);
        Traffic { engine, client, book, visits: 0, transfers: 0, latencies: Vec::new() }
    }

    /// Calls answered since the start.
    pub(super) fn calls(&self) -> usize {
        self.visits + self.transfers
    }

    /// The visits that were answered, ever.
    pub(super) fn answered(&self) -> i64 {
        self.book.sum()
    }

    /// How long the calls since the last time took, sorted.
    pub(super) fn take_latencies(&mut self) -> Vec<Duration> {
        let mut latencies = std::mem::take(&mut self.latencies);
        latencies.sort_unstable();
        latencies
    }

    /// Makes the next call and checks its answer.
    pub(super) async fn step(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        match self.calls() % TRANSFER_EVERY {
            0 => self.transfer().await?,
            _ => self.visit().await?,
        }
        self.latencies.push(started.elapsed());
        Ok(())
    }

    /// The next visit has the next number as its key: if it was accepted before the process was killed, it is not
    /// counted again, and is answered now.
    async fn visit(&mut self) -> anyhow::Result<()> {
        let visitor = self.visits % PEOPLE.len();
        let name = PEOPLE[visitor];
        let next = self.book.answered(visitor) + 1;
        let answer = self.client.execute(Order {
            verb: "call",
            address: format!("demo/greeter/{name}"),
            typename: VISIT,
            body: String::new(),
            idempotency_key: Some(format!("visit-{next}")),
        });
        let answer = answer.await.with_context(|| format!("visit {next} of {name} failed"))?;
        let Greeted { visits } =
            serde_json::from_slice(&answer).context("no greeting came back")?;
        // More are there if somebody else called in this name.
        ensure!(visits >= next, "visit {next} of {name} was counted as visit {visits}");
        self.visits += 1;
        self.book.write(visitor, visits)
    }

    async fn transfer(&mut self) -> anyhow::Result<()> {
        // Every pair has its turn, and amounts differ, so that the balances do.
        let turn = self.transfers;
        let from = ACCOUNTS[turn % ACCOUNTS.len()];
        let to =
            ACCOUNTS[(turn + 1 + turn / ACCOUNTS.len() % (ACCOUNTS.len() - 1)) % ACCOUNTS.len()];
        let amount = 1 + turn * 7 % 50;
        let answer = self.client.execute(Order {
            verb: "call",
            address: format!("demo/account/{from}"),
            typename: TRANSFER,
            body: json!({ "to": to, "amount": amount }).to_string(),
            idempotency_key: None,
        });
        let answer = answer.await.with_context(|| format!("a transfer from {from} failed"))?;
        let answer = String::from_utf8_lossy(&answer);
        if !answer.contains(r#""moved""#) && !answer.contains("cannot move") {
            bail!("a transfer was answered with `{}`", answer.trim());
        }
        self.transfers += 1;
        Ok(())
    }

    /// How many people visit.
    pub(super) fn visitors() -> usize {
        PEOPLE.len()
    }

    /// Sends a reminder that arrives later.
    pub(super) async fn remind(&mut self, after: Duration, text: &str) -> anyhow::Result<()> {
        let sent = self.client.execute(Order {
            verb: "send",
            address: "demo/reminder/quickstart".to_owned(),
            typename: REMIND,
            body: json!({ "after_seconds": after.as_secs_f64(), "text": text }).to_string(),
            idempotency_key: None,
        });
        sent.await.context("a reminder was not taken").map(drop)
    }

    /// Reads all visits and balances. Waits for transfers on their way, which are in no account.
    pub(super) async fn totals(&self) -> anyhow::Result<Totals> {
        let deadline = Instant::now() + SETTLE_MAX;
        let mut visits = 0;
        for name in PEOPLE {
            visits += self.state("demo/greeter", name, VISITS).await?.unwrap_or_default();
        }
        loop {
            let mut money = 0;
            for account in ACCOUNTS {
                let balance = self.state("demo/account", account, BALANCE).await?;
                money += balance.unwrap_or(OPENING_BALANCE);
            }
            if money == MONEY || Instant::now() > deadline {
                return Ok(Totals { visits, money });
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
    }

    async fn state(&self, function: &str, id: &str, name: &str) -> anyhow::Result<Option<i64>> {
        let address = Address::new(Name::parse(function)?, id);
        let states = self.engine.states(&address).await?;
        let state = states.iter().find(|state| &*state.name == name);
        Ok(state.map(|state| types::decode(&state.value.value)).transpose()?)
    }

    /// Compares the state with what was answered before.
    pub(super) fn check(&self, totals: Totals) -> anyhow::Result<()> {
        let answered = self.answered();
        let Totals { visits, money } = totals;
        ensure!(
            visits >= answered,
            "{visits} visits are in the state, but {answered} were answered"
        );
        ensure!(money == MONEY, "the accounts hold {money} together instead of {MONEY}");
        Ok(())
    }
}
