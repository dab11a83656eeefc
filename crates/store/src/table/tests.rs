use std::collections::BTreeMap;

use proptest::prelude::*;
use statera_core::delta::DeltaWriter;

use super::*;

type Changes<'a> = &'a [(&'a str, Option<&'a str>)];

fn delta(
    changes: impl IntoIterator<Item = (impl AsRef<[u8]>, Option<impl AsRef<[u8]>>)>,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut delta = DeltaWriter::new(&mut bytes);
    for (key, value) in changes {
        match value {
            Some(value) => delta.put(key.as_ref(), value.as_ref()),
            None => delta.delete(key.as_ref()),
        }
    }
    bytes
}

fn check(deltas: &[Changes<'_>], expected: &[(&str, Option<&str>, bool)]) {
    let table = Table::default();
    for changes in deltas {
        table.absorb(&delta(changes.iter().copied())).unwrap();
    }
    let expected: Vec<_> = expected
        .iter()
        .map(|(key, value, began_with_put)| Latest {
            key: key.as_bytes(),
            value: value.map(str::as_bytes),
            began_with_put: *began_with_put,
        })
        .collect();
    assert_eq!(table.read().sorted(), expected);
    for Latest { key, value, .. } in expected {
        assert_eq!(table.get(key).unwrap().as_deref(), value);
    }
}

#[test]
fn the_last_change_of_a_key_counts() {
    check(
        &[
            &[("0_\x01b", Some("1")), ("0_\x01a", Some("1")), ("0_\x01b", Some("2"))],
            &[],
            &[("0_\x01a", None), ("0_\x01c", None), ("0_\x01c", Some("3"))],
        ],
        &[("0_\x01a", None, true), ("0_\x01b", Some("2"), true), ("0_\x01c", Some("3"), false)],
    );
}

#[test]
fn a_value_may_grow_shrink_and_come_back() {
    let long = "x".repeat(1_000);
    check(
        &[
            &[("0_\x01a", Some("1")), ("0_\x01b", Some(&long))],
            &[("0_\x01a", Some(&long)), ("0_\x01b", Some(""))],
            &[("0_\x01a", None), ("0_\x01a", Some("2")), ("0_\x01c", None)],
        ],
        &[("0_\x01a", Some("2"), true), ("0_\x01b", Some(""), true), ("0_\x01c", None, false)],
    );
}

#[test]
fn what_is_written_once_and_deleted_leaves_no_trace_unless_it_may_be_in_files() {
    check(
        &[
            &[("0_\x02a", Some("1")), ("0_\x02b", None), ("0_\x04c", Some("1"))],
            &[("0_\x02a", None), ("0_\x02b", Some("2")), ("0_\x04c", None)],
            &[("0_\x02b", None)],
        ],
        &[("0_\x02b", None, false), ("0_\x04c", None, true)],
    );
}

#[test]
fn keys_that_come_and_go_do_not_fill_the_memory() {
    let table = Table::default();
    let key = |nth: u64| [&[0, 0, 2][..], &nth.to_be_bytes()].concat();
    let mut bytes_max = 0;
    for round in 0..200 {
        let nth = round * 1_000..(round + 1) * 1_000;
        table.absorb(&delta(nth.clone().map(|nth| (key(nth), Some([7; 100]))))).unwrap();
        bytes_max = bytes_max.max(table.bytes());
        table.absorb(&delta(nth.map(|nth| (key(nth), None::<&[u8]>)))).unwrap();
    }
    assert_eq!(table.read().iter().count(), 0);
    // 200 times 1,000 records of 123 bytes went through.
    assert!(bytes_max < 4 << 20, "{bytes_max}");
}

#[test]
fn a_corrupt_delta_is_refused() {
    let table = Table::default();
    let mut bytes = delta([("0_\x01a", Some("1"))]);
    bytes.push(0);
    assert_eq!(table.absorb(&bytes).unwrap_err().offset, bytes.len() - 1);
}

proptest! {
    #[test]
    fn a_table_holds_what_a_map_would(
        changes in proptest::collection::vec(
            (0..3_u8, 1..5_u8, proptest::option::of(0..80_usize)),
            0..3_000,
        ),
    ) {
        let table = Table::default();
        let mut model: BTreeMap<Vec<u8>, (Option<Vec<u8>>, bool)> = BTreeMap::new();
        let mut all = Vec::new();
        for (nth, (rest, kind, length)) in changes.into_iter().enumerate() {
            let key = vec![0, 0, kind, rest];
            let value = length.map(|length| vec![nth as u8; length]);
            let entry = model.entry(key.clone()).or_insert((None, value.is_some()));
            entry.0 = value.clone();
            if *entry == (None, true) && is_written_once(kind) {
                model.remove(&key);
            }
            all.push((key, value));
        }
        for changes in all.chunks(700) {
            table.absorb(&delta(changes.iter().cloned())).unwrap();
        }
        let reading = table.read();
        let found: Vec<_> =
            reading.sorted().iter().map(|l| (l.key.to_vec(), (l.value.map(<[u8]>::to_vec), l.began_with_put))).collect();
        prop_assert_eq!(found, model.into_iter().collect::<Vec<_>>());
    }
}
