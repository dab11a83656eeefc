//! Many deltas in, one sorted batch out: of several changes of a key only the last one counts.

use statera_core::delta::{Change, CorruptDelta, changes};
use statera_model::Epoch;

use crate::StoreError;

/// What became of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Merged<'a> {
    /// The last change of the key.
    pub(crate) change: Change<'a>,
    /// Whether its first change was a put. If the last one is a delete, the key probably never was in the store.
    pub(crate) began_with_put: bool,
}

/// Merges the deltas of these epochs, in order. The result is sorted by key, and each key occurs once.
pub(crate) fn merge<'a>(
    deltas: impl Iterator<Item = (Epoch, &'a [u8])>,
) -> Result<Vec<Merged<'a>>, StoreError> {
    let mut all: Vec<(Change<'a>, u32)> = Vec::new();
    for (epoch, delta) in deltas {
        let broken = |source: CorruptDelta| StoreError::Delta { epoch, source };
        for change in changes(delta) {
            all.push((change.map_err(broken)?, all.len() as u32));
        }
    }
    all.sort_unstable_by(|(a, nth_a), (b, nth_b)| a.key.cmp(b.key).then(nth_a.cmp(nth_b)));
    Ok(all.chunk_by(|(a, _), (b, _)| a.key == b.key).map(last_of).collect())
}

fn last_of<'a>(of_one_key: &[(Change<'a>, u32)]) -> Merged<'a> {
    let (first, last) = (&of_one_key[0].0, &of_one_key[of_one_key.len() - 1].0);
    Merged { change: *last, began_with_put: first.value.is_some() }
}

#[cfg(test)]
mod tests {
    use statera_core::delta::DeltaWriter;

    use super::*;

    fn check(deltas: &[&[(&str, Option<&str>)]], expected: &[(&str, Option<&str>, bool)]) {
        let deltas: Vec<Vec<u8>> = deltas
            .iter()
            .map(|changes| {
                let mut bytes = Vec::new();
                let mut delta = DeltaWriter::new(&mut bytes);
                for (key, value) in *changes {
                    match value {
                        Some(value) => delta.put(key.as_bytes(), value.as_bytes()),
                        None => delta.delete(key.as_bytes()),
                    }
                }
                bytes
            })
            .collect();
        let merged = merge(deltas.iter().map(|delta| (Epoch(1), &delta[..]))).unwrap();
        let merged: Vec<_> =
            merged.iter().map(|m| (m.change.key, m.change.value, m.began_with_put)).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(key, value, put)| (key.as_bytes(), value.map(str::as_bytes), *put))
            .collect();
        assert_eq!(merged, expected);
    }

    #[test]
    fn the_last_change_of_a_key_counts() {
        check(
            &[
                &[("0_b", Some("1")), ("0_a", Some("1")), ("0_b", Some("2"))],
                &[],
                &[("0_a", None), ("0_c", None), ("0_c", Some("3"))],
            ],
            &[("0_a", None, true), ("0_b", Some("2"), true), ("0_c", Some("3"), false)],
        );
    }

    #[test]
    fn a_corrupt_delta_names_its_epoch() {
        let error = merge([(Epoch(1), &[][..]), (Epoch(2), &[0][..])].into_iter()).unwrap_err();
        assert!(matches!(error, StoreError::Delta { epoch: Epoch(2), .. }), "{error:?}");
    }
}
