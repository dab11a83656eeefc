//! Which shards are to be read now. A shard that is split or merged ends, and its children go on; so that the records of
//! a key keep their order, a child is read only when its parents are read to their ends.
//!
//! Every shard is in the plan of the first start, or descends from one that is.

use std::collections::BTreeMap;

use crate::api::{IteratorType, Shard};
use crate::position::{Begin, Plan, Position};

/// What is known of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// Everything that arrived before this time has been read.
    Ended(Option<i64>),
}

/// The shards of a stream that are or were read.
#[derive(Debug)]
pub(crate) struct Lineage {
    plan: Plan,
    /// The plan was made by this process, so that `latest` is now.
    fresh: bool,
    states: BTreeMap<String, State>,
}

/// A shard to be read from now on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) shard: String,
    pub(crate) position: Position,
    /// Where to begin if nothing of it was read.
    pub(crate) begin: IteratorType,
}

/// Why reading can't go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// This shard is not there, though it was not read to its end.
    Gap(String),
    /// A stored position is none of ours.
    ForeignPosition,
}

/// The position of a shard before the start.
pub(crate) type Stored<'s> = &'s dyn Fn(&str) -> Result<Option<Position>, Trouble>;

impl Lineage {
    pub(crate) fn new(plan: Plan, fresh: bool) -> Lineage {
        Lineage { plan, fresh, states: BTreeMap::new() }
    }

    /// A shard is read to its end.
    pub(crate) fn ended(&mut self, shard: &str, read_to: Option<i64>) {
        self.states.insert(shard.to_owned(), State::Ended(read_to));
    }

    /// What is to be read of the shards that there are. `stored` gives the positions before the start.
    pub(crate) fn next(
        &mut self,
        listed: &[Shard],
        stored: Stored<'_>,
    ) -> Result<Vec<Start>, Trouble> {
        self.check_plan(listed, stored)?;
        let mut starts = Vec::new();
        for shard in listed {
            if self.states.contains_key(&shard.id) {
                continue;
            }
            if let Some(start) = self.start(shard, listed, stored)? {
                starts.push(start);
            }
        }
        for start in &starts {
            self.states.insert(start.shard.clone(), State::Running);
        }
        Ok(starts)
    }

    /// What was to be read is there, or was read.
    fn check_plan(&mut self, listed: &[Shard], stored: Stored<'_>) -> Result<(), Trouble> {
        let wanted: Vec<_> =
            self.plan.shards.iter().filter(|(_, begin)| **begin != Begin::Nowhere).collect();
        for (id, _) in wanted {
            if self.states.contains_key(id) || listed.iter().any(|shard| shard.id == *id) {
                continue;
            }
            match stored(id)? {
                Some(Position { ended: true, read_to, .. }) => {
                    self.states.insert(id.clone(), State::Ended(read_to));
                }
                _ => return Err(Trouble::Gap(id.clone())),
            }
        }
        Ok(())
    }

    fn start(
        &mut self,
        shard: &Shard,
        listed: &[Shard],
        stored: Stored<'_>,
    ) -> Result<Option<Start>, Trouble> {
        let planned = self.plan.shards.get(&shard.id).copied();
        let begin = match planned {
            Some(Begin::Nowhere) => return Ok(None),
            None | Some(Begin::Oldest) => IteratorType::TrimHorizon,
            Some(Begin::Then) if self.fresh => IteratorType::Latest,
            Some(Begin::Then) => IteratorType::AtTimestamp(self.plan.at),
            Some(Begin::Date(date)) => IteratorType::AtTimestamp(date),
        };
        match stored(&shard.id)? {
            Some(Position { ended: true, read_to, .. }) => {
                self.ended(&shard.id, read_to);
                return Ok(None);
            }
            Some(position) => return Ok(Some(Start { shard: shard.id.clone(), position, begin })),
            None => {}
        }
        if planned.is_none() && shard.parents().next().is_none() {
            // It can't descend from what we know: this is another stream of the same name.
            return Err(Trouble::Gap(shard.id.clone()));
        }
        let mut read_to = (planned == Some(Begin::Then)).then_some(self.plan.at);
        for parent in shard.parents() {
            match self.parent(parent, planned.is_some(), listed, stored)? {
                Parent::Done(time) => read_to = earlier(read_to, time),
                Parent::Irrelevant => {}
                Parent::Waiting => return Ok(None),
            }
        }
        let position = Position { ended: false, read_to, last: None };
        Ok(Some(Start { shard: shard.id.clone(), position, begin }))
    }

    fn parent(
        &mut self,
        id: &str,
        of_planned: bool,
        listed: &[Shard],
        stored: Stored<'_>,
    ) -> Result<Parent, Trouble> {
        match self.states.get(id) {
            Some(State::Ended(read_to)) => return Ok(Parent::Done(*read_to)),
            Some(State::Running) => return Ok(Parent::Waiting),
            None => {}
        }
        match self.plan.shards.get(id) {
            Some(Begin::Nowhere) => return Ok(Parent::Irrelevant),
            // Where the plan was made it was gone already.
            None if of_planned => return Ok(Parent::Irrelevant),
            _ => {}
        }
        match stored(id)? {
            Some(Position { ended: true, read_to, .. }) => {
                self.ended(id, read_to);
                Ok(Parent::Done(read_to))
            }
            _ if listed.iter().any(|shard| shard.id == id) => Ok(Parent::Waiting),
            _ => Err(Trouble::Gap(id.to_owned())),
        }
    }
}

/// What a parent means for its child.
enum Parent {
    Done(Option<i64>),
    Waiting,
    Irrelevant,
}

fn earlier(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (known, None) | (None, known) => known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Last;

    /// A shard and its parents.
    fn shard(id: &str, parents: &[&str]) -> Shard {
        serde_json::from_value(serde_json::json!({
            "ShardId": id,
            "ParentShardId": parents.first(),
            "AdjacentParentShardId": parents.get(1),
            "HashKeyRange": { "StartingHashKey": "0", "EndingHashKey": "9" },
            "SequenceNumberRange": { "StartingSequenceNumber": "1" },
        }))
        .unwrap()
    }

    fn lineage<const N: usize>(fresh: bool, shards: [(&str, Begin); N]) -> Lineage {
        let shards = shards.map(|(id, begin)| (id.to_owned(), begin)).into();
        Lineage::new(Plan { at: 1000, shards }, fresh)
    }

    fn reading() -> Position {
        let last = Some(Last { sequence: "7".into(), within: None });
        Position { ended: false, read_to: Some(2000), last }
    }

    fn ended(read_to: i64) -> Position {
        Position { ended: true, read_to: Some(read_to), last: None }
    }

    fn stored<const N: usize>(
        positions: [(&'static str, Position); N],
    ) -> impl Fn(&str) -> Result<Option<Position>, Trouble> {
        move |id| {
            let found = positions.iter().find(|(name, _)| *name == id);
            Ok(found.map(|(_, position)| position.clone()))
        }
    }

    fn names(starts: &[Start]) -> Vec<&str> {
        starts.iter().map(|start| start.shard.as_str()).collect()
    }

    #[test]
    fn children_wait_for_all_their_parents() {
        let mut lineage =
            lineage(true, [("a", Begin::Oldest), ("b", Begin::Oldest), ("ab", Begin::Oldest)]);
        let listed =
            [shard("a", &[]), shard("b", &[]), shard("ab", &["a", "b"]), shard("abc", &["ab"])];
        let none = stored([]);
        assert_eq!(names(&lineage.next(&listed, &none).unwrap()), ["a", "b"]);
        assert_eq!(lineage.next(&listed, &none).unwrap(), []);
        lineage.ended("a", Some(5));
        assert_eq!(lineage.next(&listed, &none).unwrap(), []);
        lineage.ended("b", Some(3));
        let starts = lineage.next(&listed, &none).unwrap();
        assert_eq!(names(&starts), ["ab"]);
        assert_eq!(
            (starts[0].position.read_to, &starts[0].begin),
            (Some(3), &IteratorType::TrimHorizon)
        );
        lineage.ended("ab", None);
        assert_eq!(names(&lineage.next(&listed, &none).unwrap()), ["abc"]);
    }

    #[test]
    fn latest_is_now_at_first_and_that_time_later() {
        let plan = [("old", Begin::Nowhere), ("a", Begin::Then)];
        let listed = [shard("old", &[]), shard("a", &["old"])];
        let starts = lineage(true, plan).next(&listed, &stored([])).unwrap();
        assert_eq!((names(&starts), &starts[0].begin), (vec!["a"], &IteratorType::Latest));
        let starts = lineage(false, plan).next(&listed, &stored([])).unwrap();
        assert_eq!(starts[0].begin, IteratorType::AtTimestamp(1000));
        assert_eq!(starts[0].position.read_to, Some(1000));
    }

    #[test]
    fn reading_goes_on_where_it_stood() {
        let mut lineage = lineage(false, [("a", Begin::Then)]);
        let listed =
            [shard("a", &[]), shard("a1", &["a"]), shard("a2", &["a"]), shard("a21", &["a2"])];
        let positions = stored([("a", ended(10)), ("a1", reading()), ("a2", ended(20))]);
        let starts = lineage.next(&listed, &positions).unwrap();
        assert_eq!(names(&starts), ["a1", "a21"]);
        assert_eq!(starts[0].position, reading());
        assert_eq!(starts[1].position.read_to, Some(20));
    }

    #[test]
    fn shards_that_are_read_may_go() {
        let mut lineage = lineage(false, [("a", Begin::Then)]);
        let positions = stored([("a", ended(10)), ("a1", ended(20))]);
        let listed = [shard("a11", &["a1"])];
        assert_eq!(names(&lineage.next(&listed, &positions).unwrap()), ["a11"]);
    }

    #[test]
    fn shards_that_went_unread_are_a_gap() {
        let gap =
            |positions: Stored<'_>, listed: &[Shard]| match lineage(false, [("a", Begin::Then)])
                .next(listed, positions)
            {
                Err(Trouble::Gap(shard)) => shard,
                other => panic!("{other:?}"),
            };
        assert_eq!(gap(&stored([]), &[shard("b", &[])]), "a");
        assert_eq!(gap(&stored([("a", reading())]), &[shard("a1", &["a"])]), "a");
        assert_eq!(gap(&stored([("a", ended(1))]), &[shard("a11", &["a1"])]), "a1");
        let read = stored([("a", ended(1)), ("a1", reading())]);
        assert_eq!(gap(&read, &[shard("a11", &["a1"])]), "a1");
        assert_eq!(gap(&stored([("a", ended(1))]), &[shard("x", &[])]), "x");
    }
}
