//! Finds out, at the start, what the log holds and where it ends.
//!
//! A record is *proven* if something later says that it was durable: each record names the durable epoch at the time it
//! was written. Where the next epoch can't be read, and a later record proves that it was there, the log is corrupt.
//! Without such a proof it was never acknowledged as durable, and the log ends before it. A damaged last record can't
//! be told from a torn one: nothing that is written later bears witness for it.
//!
//! Therefore only the payloads of records without proof are read here, usually one. That of a proven record is there,
//! or damaged: that is found when it is replayed, which reads it anyway.

use std::collections::VecDeque;

use statera_model::Epoch;
use tracing::info;

use crate::LogError;
use crate::disk::Disk;

use super::Segment;
use super::format::{BLOCK_BYTES, Named, RecordHeader, parse_name, segment_name};
use super::reader::{Reader, Record};

/// What is in the directory.
#[derive(Default)]
pub(crate) struct Recovered {
    /// The segments that may be needed, oldest first. The last one holds the last epoch.
    pub(crate) segments: VecDeque<Segment>,
    /// The epoch from which on the log is whole.
    pub(crate) first: Option<Epoch>,
    /// The last epoch that is known to be on disk because a later record says so.
    pub(crate) durable: Epoch,
    /// Segments behind the end of the log: prepared and unused, or with a torn first record.
    pub(crate) leftovers: Vec<u64>,
    pub(crate) spares: Vec<u64>,
    /// Greater than the number of any file.
    pub(crate) next_number: u64,
}

/// What can be read of one segment on its own.
#[derive(Default)]
struct Survey {
    number: u64,
    first: Option<Record>,
    last: Option<Epoch>,
    /// The durable epoch of the last record.
    durable: Epoch,
    /// The records after the durable epoch.
    unproven: VecDeque<Record>,
    /// Where the next record would stand.
    end: u64,
}

/// Reads the headers of the whole log, and the payloads that nothing proves; changes nothing.
pub(crate) fn recover(disk: &dyn Disk) -> Result<Recovered, LogError> {
    let (numbers, mut recovered) = list(disk)?;
    let surveys = survey_all(disk, &numbers)?;
    // Segments after the present end of the log, from which nothing was taken.
    let mut behind_end: Vec<Segment> = Vec::new();
    let mut end: Option<Survey> = None;
    let mut previous = None;
    for survey in surveys {
        let number = survey.number;
        let gap = Gap {
            unreadable: behind_end.first().map(|segment| segment.number),
            file_missing: previous != Some(number.wrapping_sub(1)),
        };
        previous = Some(number);
        let join = join(disk, end.as_ref(), &survey, &gap)?;
        if join == Join::Outside {
            behind_end.push(Segment { number, epochs: None });
            continue;
        }
        if join == Join::Begins || recovered.first.is_none() {
            recovered.first = survey.first.map(|record| record.header.epoch);
        }
        recovered.segments.extend(behind_end.drain(..));
        recovered.segments.push_back(survey.segment());
        recovered.durable = recovered.durable.max(survey.durable);
        end = Some(survey);
    }
    recovered.leftovers = behind_end.iter().map(|segment| segment.number).collect();
    Ok(recovered)
}

fn list(disk: &dyn Disk) -> Result<(Vec<u64>, Recovered), LogError> {
    let names = disk.list().map_err(|error| LogError::io("list", disk.path(""), error))?;
    let mut segments = Vec::new();
    let mut recovered = Recovered { next_number: 1, ..Recovered::default() };
    for named in names.iter().filter_map(|name| parse_name(name)) {
        let number = match named {
            Named::Segment(number) => {
                segments.push(number);
                number
            }
            Named::Spare(number) => {
                recovered.spares.push(number);
                number
            }
        };
        recovered.next_number = recovered.next_number.max(number + 1);
    }
    segments.sort_unstable();
    recovered.spares.sort_unstable();
    Ok((segments, recovered))
}

fn survey_all(disk: &dyn Disk, numbers: &[u64]) -> Result<Vec<Survey>, LogError> {
    let mut surveys = Vec::new();
    for number in numbers {
        surveys.push(survey(&mut Reader::open(disk, *number)?, *number, u64::MAX)?);
    }
    // From the last to the first: what proves a record is written after it.
    let mut next: Option<(Epoch, Epoch)> = None;
    for survey in surveys.iter_mut().rev() {
        let follows = |(first, _): &(Epoch, Epoch)| survey.last.map(Epoch::next) == Some(*first);
        let proof = next.filter(follows).map(|(_, durable)| durable);
        *survey = settle(disk, std::mem::take(survey), proof)?;
        next = survey.first.map(|first| (first.header.epoch, survey.durable)).or(next);
    }
    Ok(surveys)
}

/// Reads the headers of a segment as far as they follow each other, and no further than `until`.
fn survey(reader: &mut Reader, number: u64, until: u64) -> Result<Survey, LogError> {
    let mut survey = Survey { number, end: BLOCK_BYTES, ..Survey::default() };
    while survey.end < until
        && let Some(record) = reader.header_at(survey.end)?
    {
        if survey.last.is_some_and(|last| record.header.epoch != last.next()) {
            break;
        }
        survey.first.get_or_insert(record);
        survey.last = Some(record.header.epoch);
        survey.durable = record.header.durable;
        survey.unproven.push_back(record);
        while survey.unproven.pop_front_if(|record| record.header.epoch <= survey.durable).is_some()
        {
        }
        survey.end = record.end();
    }
    Ok(survey)
}

/// Ends a segment before the first record that is damaged and not proven, and makes sure that nothing behind proves a
/// loss. `proof` is the durable epoch of the next segment, if that goes on where this one ends.
fn settle(disk: &dyn Disk, whole: Survey, proof: Option<Epoch>) -> Result<Survey, LogError> {
    let mut reader = Reader::open(disk, whole.number)?;
    let mut torn = None;
    for record in whole.unproven.iter().filter(|record| Some(record.header.epoch) > proof) {
        if !reader.is_whole(record)? {
            torn = Some(record.offset);
            break;
        }
    }
    let survey = match torn {
        None if proof.is_some() => return Ok(whole),
        None => whole,
        Some(offset) => survey(&mut reader, whole.number, offset)?,
    };
    let last = survey.last;
    let proves_loss = |later: &RecordHeader| match last {
        Some(last) => later.durable > last,
        // The epoch that is missing is unknown; at least the one before the later record was there.
        None => later.durable.next() >= later.epoch,
    };
    if let Some(later) = reader.find_record(survey.end, proves_loss)? {
        let (epoch, offset) = (later.header.epoch, later.offset);
        let what = format!("a record is damaged, though epoch {epoch} follows at byte {offset}");
        return Err(reader.corrupt(survey.end, what));
    }
    Ok(survey)
}

impl Survey {
    fn segment(&self) -> Segment {
        let first = self.first.map(|record| record.header.epoch);
        Segment { number: self.number, epochs: first.zip(self.last) }
    }
}

/// How a segment goes on from the ones before.
#[derive(PartialEq, Eq)]
enum Join {
    /// It begins with the next epoch.
    Follows,
    /// The log begins here. What stands before, if anything, was truncated, which keeps no order, or files are missing
    /// by accident: that is found when their epochs are asked for.
    Begins,
    /// It holds nothing, or nothing that was ever durable.
    Outside,
}

/// What lies between a segment and the end of the log so far.
struct Gap {
    /// The first segment in which nothing could be read.
    unreadable: Option<u64>,
    /// The number before is not there.
    file_missing: bool,
}

fn join(disk: &dyn Disk, end: Option<&Survey>, next: &Survey, gap: &Gap) -> Result<Join, LogError> {
    let Some(record) = next.first else { return Ok(Join::Outside) };
    let (first, path) = (record.header.epoch, disk.path(&segment_name(next.number)));
    // If nothing is known of the epochs before, at least the one just before was there.
    let expected = match end.and_then(|end| end.last) {
        Some(last) => last.next(),
        None if gap.unreadable.is_some() => Epoch(first.0.saturating_sub(1)),
        None => return Ok(Join::Begins),
    };
    if first < expected {
        let what = format!("it begins with epoch {first}, but epoch {expected} comes next");
        return Err(LogError::Corrupt { path, offset: record.offset, what });
    }
    if first == expected {
        return Ok(Join::Follows);
    }
    if next.durable < expected {
        info!(path, "epochs from {first} on are dropped: epoch {expected} was never durable");
        return Ok(Join::Outside);
    }
    // Segments behind the end are taken back before another one is begun: this one was in use.
    let damaged = match (gap.unreadable, end) {
        (Some(number), _) => (number, BLOCK_BYTES),
        (None, Some(end)) if !gap.file_missing => (end.number, end.end),
        _ => return Ok(Join::Begins),
    };
    let what = format!("epoch {expected} is damaged, though `{path}` goes on with epoch {first}");
    let path = disk.path(&segment_name(damaged.0));
    Err(LogError::Corrupt { path, offset: damaged.1, what })
}
