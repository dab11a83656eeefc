//! Many dead letters: a page of those that fit, and what is done with all of them.

use std::collections::BTreeSet;

use statera_core::values::DeadBody;
use statera_model::Address;
use statera_ports::DeadLetterId;
use statera_runtime::{Engine, Letter, QueryError};
use tokio::task::JoinSet;

use crate::api::{BulkDone, Selection};
use crate::handler::{PAGE_DEFAULT, dead_letter_id};
use crate::problem::{Code, Problem};
use crate::routes::PAGE_MAX;

/// Dead letters that are held at once with all they carry.
const LETTERS_HELD_MAX: usize = 50;

/// Dead letters that are looked at for one request.
const VISITS_MAX: usize = 5_000;

/// Which dead letters are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) after: Option<DeadLetterId>,
    /// How the address of their target begins; all have one that is empty.
    pub(crate) target: String,
    pub(crate) limit: usize,
}

impl Wanted {
    /// Visits those that fit, and returns behind which one to go on if there may be more.
    pub(crate) async fn visit(
        self,
        engine: &Engine,
        mut visit: impl FnMut(Letter),
    ) -> Result<Option<DeadLetterId>, QueryError> {
        let Wanted { mut after, target, limit } = self;
        let (mut found, mut visits) = (0, 0);
        loop {
            let letters = engine.dead_letters(after, LETTERS_HELD_MAX).await?;
            let last_page = letters.len() < LETTERS_HELD_MAX;
            let count = letters.len();
            for (place, letter) in letters.into_iter().enumerate() {
                after = Some(letter.id);
                if fits(&letter, &target) {
                    visit(letter);
                    found += 1;
                }
                if found == limit {
                    return Ok(after.filter(|_| !last_page || place + 1 < count));
                }
            }
            visits += count;
            if last_page {
                return Ok(None);
            }
            if visits >= VISITS_MAX {
                return Ok(after);
            }
        }
    }
}

fn fits(letter: &Letter, prefix: &str) -> bool {
    let begins =
        |target: &Address| format!("{}/{}", target.function, target.id).starts_with(prefix);
    match &letter.letter.body {
        DeadBody::Invocation { target, .. } | DeadBody::Message { target, .. } => begins(target),
        DeadBody::Record { .. } => prefix.is_empty(),
    }
}

fn is_record(letter: &Letter) -> bool {
    matches!(letter.letter.body, DeadBody::Record { .. })
}

/// What is done with dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Redrive,
    Drop,
}

/// Does it with those that are selected, up to the limit.
pub(crate) async fn run(
    engine: &Engine,
    deed: Deed,
    selection: Selection,
) -> Result<BulkDone, Problem> {
    let limit = selection.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(wrong(format!("`{limit}` is not a limit"), "write one from 1 to 1000"));
    }
    let after = selection.after.as_deref().map(dead_letter_id).transpose();
    let after = after.map_err(|problem| problem.with_code(Code::InvalidBody))?;
    let (ids, skipped, next) = match (selection.ids, selection.target) {
        (Some(ids), target) => named(engine, ids, target, after, limit, deed).await?,
        (None, Some(target)) => {
            let (mut ids, mut skipped) = (Vec::new(), 0);
            let wanted = Wanted { after, target, limit };
            let visit = |letter: Letter| match deed {
                Deed::Redrive if is_record(&letter) => skipped += 1,
                _ => ids.push(letter.id),
            };
            let next = wanted.visit(engine, visit).await?;
            (ids, skipped, next)
        }
        (None, None) => {
            return Err(wrong(
                "nothing is selected".to_owned(),
                "name `ids`, or how `target` begins; `\"target\": \"\"` is all",
            ));
        }
    };
    let done = do_all(engine, deed, &ids).await?;
    let skipped = skipped + ids.len() - done;
    Ok(BulkDone { done, skipped, next: next.map(|id| id.to_string()) })
}

type Selected = (Vec<DeadLetterId>, usize, Option<DeadLetterId>);

/// Those of the named ones that fit, how many do and can't, and where to go on.
async fn named(
    engine: &Engine,
    ids: Vec<String>,
    target: Option<String>,
    after: Option<DeadLetterId>,
    limit: usize,
    deed: Deed,
) -> Result<Selected, Problem> {
    if ids.len() > PAGE_MAX {
        return Err(wrong(format!("{} ids are too many", ids.len()), "name 1000 at most"));
    }
    let ids = ids.iter().map(|id| dead_letter_id(id)).collect::<Result<BTreeSet<_>, _>>();
    let ids = ids.map_err(|problem| problem.with_code(Code::InvalidBody))?;
    let mut ids = ids.into_iter().filter(|id| after.is_none_or(|after| *id > after));
    let (mut found, mut skipped, mut last) = (Vec::new(), 0, None);
    for id in ids.by_ref().take(limit) {
        last = Some(id);
        match engine.dead_letter(id).await? {
            Some(letter) if !fits(&letter, target.as_deref().unwrap_or_default()) => {}
            Some(letter) if deed == Deed::Redrive && is_record(&letter) => skipped += 1,
            Some(_) => found.push(id),
            None => skipped += 1,
        }
    }
    Ok((found, skipped, last.filter(|_| ids.next().is_some())))
}

/// With how many it could be done. Many share an epoch.
async fn do_all(engine: &Engine, deed: Deed, ids: &[DeadLetterId]) -> Result<usize, QueryError> {
    let mut done = 0;
    for some in ids.chunks(LETTERS_HELD_MAX) {
        let mut tasks = JoinSet::new();
        for id in some.iter().copied() {
            let engine = engine.clone();
            tasks.spawn(async move {
                match deed {
                    Deed::Redrive => engine.redrive(id).await,
                    Deed::Drop => engine.discard(id).await,
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            // One that panicked did nothing.
            done += usize::from(ended.unwrap_or(Ok(false))?);
        }
    }
    Ok(done)
}

fn wrong(error: String, hint: &str) -> Problem {
    Problem::new(Code::InvalidBody, error, hint)
}
