//! Function types of all shards, each named once, so many at most.

use std::collections::BTreeMap;

use statera_core::FunctionFigures;
use statera_model::FunctionType;

use super::shard::ShardReport;
use super::{FUNCTION_TYPES_TOLD_MAX, FunctionReading, Histogram};

/// The types that have figures of their own, in the order in which they were first told: once named, a type stays so, and
/// its counters never go back.
#[derive(Debug)]
pub(super) struct Names {
    names: Vec<FunctionType>,
    places: BTreeMap<FunctionType, usize>,
}

impl Names {
    pub(super) fn new() -> Names {
        // The first place is that of all types without one.
        let other = FunctionType::from_parts("io.statera", "other");
        Names { places: [(other.clone(), 0)].into(), names: vec![other] }
    }

    /// The figures of all shards, type by type. What has none of its own is in the first one.
    pub(super) fn merge(&mut self, reports: &[impl AsRef<ShardReport>]) -> Vec<FunctionReading> {
        let mut sums = vec![<(FunctionFigures, Histogram)>::default(); self.names.len()];
        let mut add = |place: usize, figures: &FunctionFigures, latency: &Histogram| {
            if place == sums.len() {
                sums.push(Default::default());
            }
            sums[place].0.add(figures);
            sums[place].1.add(latency);
        };
        for report in reports.iter().map(AsRef::as_ref) {
            for (name, figures, latency) in &report.functions {
                if !figures.is_empty() {
                    add(self.place(name), figures, latency);
                }
            }
            add(0, &report.others.0, &report.others.1);
        }
        let named = self.names.iter().zip(sums);
        let readings = named.map(|(name, (figures, latency))| FunctionReading {
            name: name.clone(),
            figures,
            latency,
        });
        readings.collect()
    }

    fn place(&mut self, name: &FunctionType) -> usize {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        if self.names.len() > FUNCTION_TYPES_TOLD_MAX {
            return 0;
        }
        self.places.insert(name.clone(), self.names.len());
        self.names.push(name.clone());
        self.names.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use statera_core::Figures;

    use super::*;

    fn report(names: impl Iterator<Item = usize>) -> Arc<ShardReport> {
        let figures = FunctionFigures { received: 1, ..FunctionFigures::default() };
        let name = |n| FunctionType::from_parts("test", &format!("f{n}"));
        let functions = names.map(|n| (name(n), figures, Histogram::default())).collect();
        Arc::new(ShardReport { functions, ..ShardReport::empty(Figures::default()) })
    }

    #[test]
    fn a_type_is_told_once_for_all_shards() {
        let mut names = Names::new();
        let readings = names.merge(&[report(0..2), report(1..3)]);
        let received: Vec<_> = readings
            .iter()
            .map(|reading| (reading.name.as_str(), reading.figures.received))
            .collect();
        let expected = [("io.statera/other", 0), ("test/f0", 1), ("test/f1", 2), ("test/f2", 1)];
        assert_eq!(received, expected);
    }

    #[test]
    fn types_beyond_the_limit_are_told_as_one_and_names_stay_as_they_are() {
        let mut names = Names::new();
        let first = names.merge(&[report(1_000..1_010)]);
        let all = names.merge(&[report(0..FUNCTION_TYPES_TOLD_MAX), report(1_000..1_010)]);
        assert_eq!(all.len(), FUNCTION_TYPES_TOLD_MAX + 1);
        assert_eq!(all[0].figures.received, 10);
        assert!(first.iter().zip(&all).all(|(first, now)| first.name == now.name));
        let received: u64 = all.iter().map(|reading| reading.figures.received).sum();
        assert_eq!(received, FUNCTION_TYPES_TOLD_MAX as u64 + 10);
    }
}
