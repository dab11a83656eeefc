//! What sources have delivered, and where their ingresses say that they stand.

use std::collections::BTreeMap;

use statera_ports::{SourceBatch, SourceId, SourceRecord, SourceStatus};

/// Sources with figures of their own. What others deliver is counted as that of a part `other` of their ingress.
pub const SOURCES_TOLD_MAX: usize = 1_000;

/// What a source has delivered since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceFigures {
    /// Records, those that could not become messages included.
    pub records: u64,
    /// Messages: a record may become several.
    pub messages: u64,
    /// Records that could not become messages, and are dead letters.
    pub malformed: u64,
    /// Where it stands, if its ingress tells.
    pub status: Option<SourceStatus>,
}

#[derive(Debug, Default)]
pub(super) struct Sources(BTreeMap<SourceId, SourceFigures>);

impl Sources {
    pub(super) fn delivered(&mut self, batch: &SourceBatch) {
        let figures = self.entry(&batch.source);
        figures.records += batch.records.len() as u64;
        for record in &batch.records {
            match record {
                SourceRecord::Message { targets, .. } => figures.messages += targets.len() as u64,
                SourceRecord::Malformed { .. } => figures.malformed += 1,
            }
        }
    }

    pub(super) fn report(&mut self, source: &SourceId, status: Option<SourceStatus>) {
        if self.0.contains_key(source) || self.0.len() < SOURCES_TOLD_MAX {
            self.entry(source).status = status;
        }
    }

    pub(super) fn all(&self) -> Vec<(SourceId, SourceFigures)> {
        self.0.iter().map(|(source, figures)| (source.clone(), *figures)).collect()
    }

    fn entry(&mut self, source: &SourceId) -> &mut SourceFigures {
        if self.0.len() >= SOURCES_TOLD_MAX && !self.0.contains_key(source) {
            let other = SourceId { ingress: source.ingress.clone(), partition: "other".into() };
            return self.0.entry(other).or_default();
        }
        // The name is copied only once.
        if !self.0.contains_key(source) {
            self.0.insert(source.clone(), SourceFigures::default());
        }
        self.0.get_mut(source).expect("just seen")
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use statera_model::{Address, Name, TypedValue};
    use statera_ports::SourceUnit;

    use super::*;

    fn source(partition: usize) -> SourceId {
        let partition = partition.to_string().into();
        SourceId { ingress: Name::parse("test/in").unwrap(), partition }
    }

    fn batch(partition: usize) -> SourceBatch {
        let target = Address::new(Name::parse("test/function").unwrap(), "a");
        let argument = TypedValue::new("test/value", b"");
        let targets = vec![target.clone(), target];
        let malformed = SourceRecord::Malformed {
            place: "here".to_owned(),
            reason: "nonsense".to_owned(),
            record: Bytes::new(),
        };
        let records = vec![SourceRecord::Message { targets, argument, trace: None }, malformed];
        SourceBatch { source: source(partition), records, position: Bytes::new() }
    }

    #[test]
    fn records_messages_and_what_is_neither_are_told_apart() {
        let mut sources = Sources::default();
        sources.delivered(&batch(1));
        let (_, figures) = sources.all()[0].clone();
        assert_eq!((figures.records, figures.messages, figures.malformed), (2, 2, 1));
    }

    #[test]
    fn a_source_that_nobody_reads_any_more_has_no_lag() {
        let status = SourceStatus { position: 7, end: Some(10), unit: SourceUnit::Records };
        let mut sources = Sources::default();
        sources.report(&source(1), Some(status));
        assert_eq!(sources.all()[0].1.status.and_then(|status| status.lag()), Some(3));
        sources.report(&source(1), None);
        assert_eq!(sources.all()[0].1.status, None);
    }

    #[test]
    fn beyond_the_limit_sources_are_counted_together() {
        let mut sources = Sources::default();
        for partition in 0..SOURCES_TOLD_MAX + 10 {
            sources.delivered(&batch(partition));
        }
        let status = SourceStatus { position: 7, end: None, unit: SourceUnit::Bytes };
        sources.report(&source(SOURCES_TOLD_MAX + 5), Some(status));
        let all = sources.all();
        assert_eq!(all.len(), SOURCES_TOLD_MAX + 1);
        let (_, other) = all.iter().find(|(source, _)| &*source.partition == "other").unwrap();
        assert_eq!((other.records, other.status), (20, None));
    }
}
