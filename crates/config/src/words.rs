//! Finds the word that somebody probably meant.

/// The candidate that `word` is most likely a misspelling of, if it looks like one.
pub(crate) fn meant<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let tolerated = (word.chars().count() / 4).clamp(1, 3);
    nearest(word, candidates).into_iter().find(|(d, _)| *d <= tolerated).map(|(_, near)| near)
}

/// The candidates with their distance from `word`, nearest first.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Vec<(usize, &'c str)> {
    let folded = fold(word);
    let mut all: Vec<_> =
        candidates.into_iter().map(|near| (distance(&folded, &fold(near)), near)).collect();
    all.sort_by_key(|(distance, _)| *distance);
    all
}

/// `url_path_template`, `URLPathTemplate` and `urlPathTemplate` are the same word in different clothes. A word longer
/// than any of ours is cut: it is far from all of them anyway.
fn fold(word: &str) -> Vec<char> {
    const WORD_CHARS_MAX: usize = 64;
    let letters = word.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    letters.flat_map(char::to_lowercase).take(WORD_CHARS_MAX).collect()
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = [vec![0; b.len() + 1], (0..=b.len()).collect::<Vec<_>>(), vec![0; b.len() + 1]];
    for i in 1..=a.len() {
        let [before, above, row] = &mut rows;
        row[0] = i;
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        rows.rotate_left(1);
    }
    rows[1][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_word() {
        let words = ["functions", "urlPathTemplate", "maxNumBatchRequests", "transport", "id"];
        for (typo, expected) in [
            ("function", Some("functions")),
            ("fucntions", Some("functions")),
            ("url_path_template", Some("urlPathTemplate")),
            ("transports", Some("transport")),
            ("maxBatchRequests", Some("maxNumBatchRequests")),
            ("di", Some("id")),
            ("comment", None),
            ("description", None),
            ("", None),
        ] {
            assert_eq!(meant(typo, words), expected, "{typo}");
        }
    }
}
