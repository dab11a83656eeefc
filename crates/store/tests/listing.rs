//! Pages of what there is, held against a model.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use statera_core::delta::DeltaWriter;
use statera_core::keys::{self, Key};
use statera_model::{Address, Epoch, KeyGroup, Name};
use statera_store::{HeadPlace, HeadQuery, Settings, Store};

const KEY_GROUPS: u16 = 3;

/// Epochs with changes of all keys, while there are lists.
const EPOCHS: u64 = 300;

/// What happens to the store.
#[derive(Clone, Debug)]
enum Step {
    Put(Vec<u8>),
    Delete(Vec<u8>),
    Flush,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    let address = ("[ab]", "[xy]", "[0-3]{1,2}");
    (address, 0..KEY_GROUPS, 0..6_u8).prop_map(|((namespace, name, id), group, what)| {
        let address = Address::new(Name::from_parts(&namespace, &name), id);
        let key = match what {
            0 | 1 => Key::State { address, name: what.to_string().into() },
            2 => Key::Mail { address, sequence: 7 },
            3 => Key::Paused(address),
            4 => Key::Dedupe { target: address, key: "k".into() },
            _ => Key::State { address, name: "one".into() },
        };
        key.encode(KeyGroup(group))
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => key().prop_map(Step::Put),
        4 => key().prop_map(Step::Delete),
        1 => Just(Step::Flush),
    ];
    prop::collection::vec(step, 0..120)
}

/// Makes the steps, and returns what is there then.
fn run(store: &Store, steps: &[Step]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let (mut model, mut ever) = (BTreeMap::new(), BTreeSet::new());
    for (number, step) in steps.iter().enumerate() {
        let mut delta = Vec::new();
        let mut writer = DeltaWriter::new(&mut delta);
        match step {
            // A message is written once in its life.
            Step::Put(key) if keys::is_written_once(key[2]) && !ever.insert(key.clone()) => {}
            Step::Put(key) => {
                let value = number.to_be_bytes();
                writer.put(key, &value);
                model.insert(key.clone(), value.to_vec());
            }
            Step::Delete(key) => {
                if model.remove(key).is_some() {
                    writer.delete(key);
                }
            }
            Step::Flush => store.sync_now().unwrap(),
        }
        store.absorb(Epoch(number as u64 + 1), &[&delta]).unwrap();
    }
    model
}

fn all_heads(store: &Store, prefix: &str, limit: usize, visits_max: usize) -> Vec<HeadPlace> {
    let (mut found, mut after) = (Vec::new(), None);
    let prefix = keys::address_prefix(prefix);
    for _ in 0..10_000 {
        let query = HeadQuery {
            key_groups: KEY_GROUPS,
            kinds: &keys::OF_INSTANCES,
            head_end: keys::address_end,
            prefix: &prefix,
            after: after.as_ref(),
            limit,
            visits_max,
        };
        let page = store.reader().heads(&query).unwrap();
        assert!(page.heads.len() <= limit);
        assert!(page.heads.iter().all(|place| after.as_ref().is_none_or(|after| place > after)));
        found.extend(page.heads);
        assert!(page.next.is_none() || page.next > after);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
    panic!("it never ends");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn pages_hold_each_head_once(
        steps in steps(), limit in 1..9_usize, visits in 1..30_usize,
        prefix in prop_oneof![Just(""), Just("a"), Just("a/x"), Just("b/y/"), Just("a/y/1"), Just("c")],
    ) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), Settings::default(), |_| {}).unwrap();
        let model = run(&store, &steps);
        let begin = keys::address_prefix(prefix);
        let expected: BTreeSet<HeadPlace> = model
            .keys()
            .filter_map(|key| {
                let end = keys::address_end(key)?;
                let group = u16::from_be_bytes([key[0], key[1]]);
                let head = key[3..end].to_vec().into();
                key[3..].starts_with(&begin).then_some(HeadPlace { group, head })
            })
            .collect();
        prop_assert_eq!(all_heads(&store, prefix, limit, visits), expected.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn pages_hold_what_scans_do(steps in steps(), limit in 1..9_usize) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), Settings::default(), |_| {}).unwrap();
        run(&store, &steps);
        let prefixes = [vec![0, 0, 1], vec![0, 1, 1], vec![0, 1, 2]];
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = store.reader().page(&prefixes, after.as_deref(), limit).unwrap();
            let scan = store.reader().scan(&prefixes, after.as_deref(), limit).unwrap();
            prop_assert_eq!(&page, &scan);
            match page.last() {
                Some((key, _)) => after = Some(key.to_vec()),
                None => break,
            }
        }
    }
}

/// The first instances.
fn instances(limit: usize, visits_max: usize) -> HeadQuery<'static> {
    HeadQuery {
        key_groups: KEY_GROUPS,
        kinds: &keys::OF_INSTANCES,
        head_end: keys::address_end,
        prefix: b"",
        after: None,
        limit,
        visits_max,
    }
}

#[test]
fn a_long_mailbox_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Settings::default(), |_| {}).unwrap();
    let mut delta = Vec::new();
    let mut writer = DeltaWriter::new(&mut delta);
    for (id, messages) in [("1", 5_000), ("2", 3), ("3", 1)] {
        let address = Address::new(Name::from_parts("a", "x"), id);
        for sequence in 0..messages {
            writer.put(&Key::Mail { address: address.clone(), sequence }.encode(KeyGroup(1)), b"m");
        }
    }
    store.absorb(Epoch(1), &[&delta]).unwrap();
    store.sync_now().unwrap();
    // With so few looks the first mailbox alone would take more.
    assert_eq!(all_heads(&store, "", 10, 100).len(), 3);
    let query = instances(10, 100);
    assert_eq!(store.reader().heads(&query).unwrap().heads.len(), 3);
}

/// A list that asks for a part of a table while it holds it waits for ever once a change wants the part, too.
#[test]
fn lists_and_changes_never_wait_for_each_other() {
    let directory = tempfile::tempdir().unwrap();
    // Small, so that a table is nearly always being written to files.
    let settings = Settings { unflushed_bytes: 8 << 20, ..Settings::default() };
    let store = Store::open(directory.path(), settings, |_| {}).unwrap();
    let keys: Vec<Vec<u8>> = (0..5_000)
        .map(|id| {
            let address = Address::new(Name::from_parts("a", "x"), id.to_string());
            Key::State { address, name: "s".into() }.encode(KeyGroup(1))
        })
        .collect();
    let reader = store.reader();
    let (listed, lists) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let query = instances(10_000, 10_000);
        loop {
            let heads = reader.heads(&query).unwrap().heads.len();
            let page = reader.page(&[vec![0, 1, 1]], None, 10_000).unwrap().len();
            // An error means that the test has seen enough.
            if listed.send((heads, page)).is_err() {
                return;
            }
        }
    });
    let (absorbed, changes) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for epoch in 1..=EPOCHS {
            let mut delta = Vec::new();
            let mut writer = DeltaWriter::new(&mut delta);
            keys.iter().for_each(|key| writer.put(key, &[7; 30]));
            store.absorb(Epoch(epoch), &[&delta]).unwrap();
            absorbed.send(()).unwrap();
        }
    });
    let deadline = Instant::now() + Duration::from_secs(60);
    for _ in 0..EPOCHS {
        let left = deadline.saturating_duration_since(Instant::now());
        changes.recv_timeout(left).expect("changes go on");
    }
    let mut last = (0, 0);
    while last != (5_000, 5_000) {
        let left = deadline.saturating_duration_since(Instant::now());
        last = lists.recv_timeout(left).expect("lists go on");
    }
}
