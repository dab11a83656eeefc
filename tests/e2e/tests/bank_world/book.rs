//! What was ordered, and what must follow from it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use statera_e2e::Random;
use statera_e2e::kafka::Record;

/// As in `bank.py`.
const OPENING_BALANCE: i64 = 100;

/// So that some are refused.
const AMOUNT_MAX: u64 = 60;

/// How many wrong receipts a failure shows.
const SHOWN: usize = 10;

/// All transfers.
pub(crate) struct Book {
    transfers: Vec<Transfer>,
    /// The places of each account's transfers in the list of all.
    of_account: BTreeMap<String, Vec<usize>>,
}

struct Transfer {
    from: String,
    /// Counts the transfers of this account from 1.
    number: usize,
    to: String,
    amount: u64,
}

impl Book {
    /// So many transfers between so many accounts, at random.
    pub(crate) fn new(transfers: usize, accounts: u64, random: &mut Random) -> Book {
        let name = |number: u64| format!("account-{number}");
        let all = (0..accounts).map(|account| (name(account), Vec::new())).collect();
        let mut book = Book { transfers: Vec::new(), of_account: all };
        for index in 0..transfers {
            let from = random.below(accounts);
            let to = (from + 1 + random.below(accounts - 1)) % accounts;
            let (from, to) = (name(from), name(to));
            let own = book.of_account.entry(from.clone()).or_default();
            own.push(index);
            let (number, amount) = (own.len(), 1 + random.below(AMOUNT_MAX));
            book.transfers.push(Transfer { from, number, to, amount });
        }
        book
    }

    pub(crate) fn len(&self) -> usize {
        self.transfers.len()
    }

    /// All there is.
    pub(crate) fn money(&self) -> i64 {
        OPENING_BALANCE * i64::try_from(self.of_account.len()).unwrap()
    }

    /// Keys and values of the records, in order.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (String, String)> {
        self.transfers.iter().map(|transfer| (transfer.from.clone(), transfer.order().to_string()))
    }

    /// Each transfer has one receipt, and those of an account are in order. Returns the balances that follow.
    pub(crate) fn check(&self, records: &[Record]) -> BTreeMap<String, i64> {
        let receipts = by_account(records);
        let mut wrong = Vec::new();
        for (account, indices) in &self.of_account {
            let wanted = indices.iter().map(|index| &self.transfers[*index]);
            let none = Vec::new();
            let found = receipts.get(&**account).unwrap_or(&none);
            let numbers = |number: &Value| number["number"].as_u64().unwrap_or_default();
            let numbers: Vec<u64> = found.iter().map(numbers).collect();
            if indices.len() != found.len() {
                wrong.push(format!("{account}: {} transfers, receipts {numbers:?}", indices.len()));
            } else if !wanted.zip(found).all(|(transfer, receipt)| transfer.is_of(receipt)) {
                wrong.push(format!("{account}: receipts {numbers:?}"));
            }
        }
        let shown = &wrong[..wrong.len().min(SHOWN)];
        assert!(wrong.is_empty(), "{} accounts are wrong: {shown:#?}", wrong.len());
        assert_eq!(records.len(), self.len(), "receipts of unknown accounts");
        self.balances_after(&receipts)
    }

    fn balances_after(&self, receipts: &BTreeMap<&str, Vec<Value>>) -> BTreeMap<String, i64> {
        let accounts = self.of_account.keys();
        let mut balances: BTreeMap<String, i64> =
            accounts.map(|account| (account.clone(), OPENING_BALANCE)).collect();
        for receipt in receipts.values().flatten().filter(|receipt| receipt["accepted"] == true) {
            let amount = receipt["amount"].as_i64().unwrap();
            for (role, change) in [("from", -amount), ("to", amount)] {
                *balances.get_mut(receipt[role].as_str().unwrap()).unwrap() += change;
            }
        }
        balances
    }
}

impl Transfer {
    fn order(&self) -> Value {
        json!({ "number": self.number, "to": self.to, "amount": self.amount })
    }

    fn is_of(&self, receipt: &Value) -> bool {
        let parts = ["number", "to", "amount"];
        receipt["from"] == *self.from
            && parts.iter().all(|part| receipt[part] == self.order()[part])
    }
}

/// The values of records by their keys, each in the order of its partition.
///
/// # Panics
/// If the records of one key are in several partitions, which would mean nothing for their order.
fn by_account(records: &[Record]) -> BTreeMap<&str, Vec<Value>> {
    let mut ordered: Vec<&Record> = records.iter().collect();
    ordered.sort_by_key(|record| (record.partition, record.offset));
    let mut found: BTreeMap<&str, (i32, Vec<Value>)> = BTreeMap::new();
    for record in ordered {
        let key = record.key_text();
        let (partition, values) = found.entry(key).or_insert((record.partition, Vec::new()));
        assert_eq!(*partition, record.partition, "records of {key} in two partitions");
        values.push(serde_json::from_str(record.value_text()).unwrap());
    }
    found.into_iter().map(|(key, (_, values))| (key, values)).collect()
}

/// What the accounts told in a round.
pub(crate) fn balances(records: &[Record], round: usize) -> BTreeMap<String, i64> {
    let told = records.iter().map(|record| {
        let value: Value = serde_json::from_str(record.value_text()).unwrap();
        (value["round"] == round)
            .then(|| (record.key_text().to_owned(), value["balance"].as_i64().unwrap()))
    });
    told.flatten().collect()
}
