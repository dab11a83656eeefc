//! `statera deadletter redrive` and `statera deadletter drop`: some by their ids, or many at once.

use std::process::ExitCode;

use clap::Args;
use hyper::Method;
use serde_json::json;
use statera_admin::api::{self, Kind};
use statera_ports::DeadLetterId;

use super::path;
use crate::client::admin::{Admin, AdminOptions, Refusal, known};
use crate::client::paging::{PAGE_MAX, Query};
use crate::client::terminal::{Progress, Terminal};

/// Dead letters with which something is done at once, where it is done with many: a few epochs' worth.
const BATCH: usize = 200;

#[derive(Args)]
pub(crate) struct Redrive {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    admin: AdminOptions,
}

impl Redrive {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        self.which.run(Deed::Redrive, &self.admin, terminal).await
    }
}

#[derive(Args)]
pub(crate) struct Drop {
    #[command(flatten)]
    which: Which,
    /// Don't ask whether many are meant
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    admin: AdminOptions,
}

impl Drop {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        self.which.run(Deed::Drop { asks: !self.yes }, &self.admin, terminal).await
    }
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Which ones
    #[arg(value_name = "ID")]
    ids: Vec<DeadLetterId>,
    /// All that are there now
    #[arg(long)]
    all: bool,
    /// All that are there now and whose target's address begins so, such as `example/cart/`
    #[arg(long, value_name = "TEXT")]
    target: Option<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Deed {
    Redrive,
    Drop { asks: bool },
}

impl Which {
    async fn run(
        self,
        deed: Deed,
        options: &AdminOptions,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<ExitCode> {
        let mut admin = options.open()?;
        if !self.all && self.target.is_none() {
            return deed.with_each(&self.ids, &mut admin, options.json, terminal).await;
        }
        let ids = found(&mut admin, deed, self.target, terminal).await?;
        if deed == (Deed::Drop { asks: true }) && terminal.can_answer && !ids.is_empty() {
            let question = format!("forget {} for good?", counted(ids.len()));
            if !terminal.confirm(&question)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        deed.with_all(&ids, &mut admin, options.json, terminal).await
    }
}

impl Deed {
    fn name(self) -> &'static str {
        match self {
            Deed::Redrive => "redrive",
            Deed::Drop { .. } => "drop",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Deed::Redrive => "redriven",
            Deed::Drop { .. } => "dropped",
        }
    }

    /// One by one, telling what became of each.
    async fn with_each(
        self,
        ids: &[DeadLetterId],
        admin: &mut Admin,
        json: bool,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<ExitCode> {
        let (mut done, mut failed, mut broken) = (Vec::new(), Vec::new(), None);
        for id in ids {
            match self.with_one(admin, *id).await {
                Ok(()) => {
                    if !json {
                        terminal.print(&format!("{id}\n"))?;
                    }
                    done.push(id.to_string());
                }
                Err(error) if is_about_one(&error) => {
                    terminal.note(&format!("error: {error}"))?;
                    failed.push(json!({ "id": id.to_string(), "error": error.to_string() }));
                }
                // It would be the same for all that follow.
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
        }
        if json {
            terminal.print_json(&json!({ "done": done, "failed": failed }))?;
        } else {
            terminal.note(&format!("{}: {}", self.done(), counted(done.len())))?;
        }
        if let Some(error) = broken {
            return Err(error);
        }
        Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn with_one(self, admin: &mut Admin, id: DeadLetterId) -> anyhow::Result<()> {
        let path = path(id);
        match self {
            Deed::Redrive => {
                admin.ask(Method::POST, &format!("{path}/redrive"), None).await.map(drop)
            }
            Deed::Drop { .. } => admin.ask(Method::DELETE, &path, None).await.map(drop),
        }
    }

    /// Many at once, telling how far it is.
    async fn with_all(
        self,
        ids: &[DeadLetterId],
        admin: &mut Admin,
        json: bool,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<ExitCode> {
        let (mut done, mut skipped) = (0, 0);
        let path = format!("/v1/deadletters/{}", self.name());
        let mut broken = None;
        for batch in ids.chunks(BATCH) {
            let batch: Vec<String> = batch.iter().map(ToString::to_string).collect();
            let body = json!({ "ids": batch, "limit": BATCH });
            let answer = admin.ask(Method::POST, &path, Some(&body)).await;
            match answer.and_then(known::<api::BulkDone>) {
                Ok(answer) => {
                    done += answer.done;
                    skipped += answer.skipped;
                }
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
            terminal.progress(&Progress { done_is: self.done(), done, of: Some(ids.len()) })?;
        }
        terminal.progress_ends()?;
        if json {
            terminal.print_json(&json!({ "done": done, "skipped": skipped }))?;
        } else {
            terminal.note(&format!("{}: {}", self.done(), counted(done)))?;
            if skipped > 0 {
                terminal.note(&format!("gone meanwhile: {}", counted(skipped)))?;
            }
        }
        broken.map_or(Ok(ExitCode::SUCCESS), Err)
    }
}

fn is_about_one(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refusal>().is_some_and(Refusal::is_about_one)
}

/// The ids of all dead letters to which this can be done. They are collected before anything is done: a message that
/// fails again becomes a new dead letter, behind the present ones.
async fn found(
    admin: &mut Admin,
    deed: Deed,
    target: Option<String>,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Vec<DeadLetterId>> {
    let target = target.filter(|target| !target.is_empty());
    let query = Query::default().with("target", target).with("limit", Some(PAGE_MAX));
    let (mut ids, mut records, mut after) = (Vec::new(), 0, None::<String>);
    loop {
        let path = query.clone().with("after", after).at("/v1/deadletters");
        let found: api::DeadLetters = known(admin.get(&path).await?)?;
        for letter in &found.dead_letters {
            match letter.kind {
                Kind::Record if deed == Deed::Redrive => records += 1,
                _ => ids.push(letter.id.parse()?),
            }
        }
        after = found.next;
        if after.is_none() {
            break;
        }
        terminal.progress(&Progress { done_is: "found", done: ids.len(), of: None })?;
    }
    terminal.progress_ends()?;
    if records > 0 {
        let records = counted(records);
        terminal.note(&format!("left alone, as records can only be dropped: {records}"))?;
    }
    Ok(ids)
}

fn counted(count: usize) -> String {
    if count == 1 { "1 dead letter".to_owned() } else { format!("{count} dead letters") }
}
