//! Statera with its functions behind HTTP.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::system::{System, Work};
use crate::load::{self, Ask, Mode};
use crate::subject::{Setup, Subject};
use crate::{Common, functions};

const NAMESPACE: &str = "bench";

pub(crate) struct Statera {
    program: PathBuf,
    // In this order they end: the data directory is removed when nobody writes to it any more.
    subject: Option<Subject>,
    functions: functions::Running,
    setup: Setup,
    start_up: Duration,
}

impl Statera {
    pub(crate) fn start(program: &Path, common: &Common) -> anyhow::Result<Statera> {
        let functions = functions::Running::start(None)?;
        let setup = Setup::new(common, &[(NAMESPACE, &functions)], "fsync")?;
        let subject = setup.start(program)?;
        let start_up = subject.start_up;
        Ok(Statera {
            program: program.to_owned(),
            subject: Some(subject),
            functions,
            setup,
            start_up,
        })
    }

    fn subject(&self) -> &Subject {
        self.subject.as_ref().expect("it is away only while it is being restarted")
    }
}

impl System for Statera {
    fn ask(work: Work) -> Ask {
        Ask::function(Mode::Call, &format!("{NAMESPACE}/{}", work.name()))
    }

    fn ingress(&self) -> SocketAddr {
        self.subject().ingress
    }

    fn start_up(&self) -> Duration {
        self.start_up
    }

    fn server(&self) -> u32 {
        self.subject().pid()
    }

    fn functions(&self) -> Option<u32> {
        Some(self.functions.pid())
    }

    fn kill_and_start(&mut self) -> anyhow::Result<()> {
        // Dropping it kills it.
        self.subject = None;
        let subject = self.setup.start(&self.program).context("it does not start again")?;
        self.subject = Some(subject);
        Ok(())
    }

    async fn check(&self, acknowledged: &[u32]) -> anyhow::Result<()> {
        load::check(self.ingress(), NAMESPACE, acknowledged).await.map(drop)
    }
}
