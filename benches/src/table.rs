//! Results as a table of Markdown, so that they can be put into the documentation as they are.

/// A table whose first row holds the names of its columns.
pub(crate) struct Table {
    widths: Vec<usize>,
}

impl Table {
    /// Prints the head. Columns are at least as wide as their names, and at least 7.
    pub(crate) fn begin(columns: &[&str]) -> Table {
        let table =
            Table { widths: columns.iter().map(|name| name.chars().count().max(7)).collect() };
        table.row(&columns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let rules: Vec<_> =
            table.widths.iter().map(|width| format!("{}:", "-".repeat(width - 1))).collect();
        table.row(&rules);
        table
    }

    pub(crate) fn row(&self, cells: &[String]) {
        let padded = cells.iter().zip(&self.widths).map(|(cell, width)| format!("{cell:>width$}"));
        println!("| {} |", padded.collect::<Vec<_>>().join(" | "));
    }
}

/// A value below which so many of 1000 are. `sorted` is sorted; microseconds become milliseconds.
pub(crate) fn quantile_ms(sorted: &[u32], per_mille: usize) -> f64 {
    let place = (sorted.len() * per_mille / 1000).min(sorted.len().saturating_sub(1));
    sorted.get(place).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
}

/// The one in the middle, or between the two that are; of at least one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    (values[(values.len() - 1) / 2] + values[middle]) / 2.0
}

pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.0}", bytes as f64 / f64::from(1 << 20))
}

/// A number in whole, with commas.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_favours_neither_of_two() {
        assert_eq!(median(vec![7.0]), 7.0);
        assert_eq!(median(vec![3.0, 1.0]), 2.0);
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in
            [(0.4, "0"), (999.0, "999"), (1_000.0, "1,000"), (1.2e7, "12,000,000")]
        {
            assert_eq!(thousands(number), text);
        }
    }
}
