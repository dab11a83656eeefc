//! Statera, with its functions behind HTTP or in its process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::system::{System, Work};
use crate::Common;
use crate::functions::{self, NAMESPACE};
use crate::load::{self, Ask, Mode};
use crate::subject::{Setup, Subject};

/// The default, by name: the peer has the same.
const DURABILITY: &str = "fsync";

pub(crate) struct Statera {
    program: PathBuf,
    // In this order they end: the data directory is removed when nobody writes to it any more.
    subject: Option<Subject>,
    functions: Option<functions::Running>,
    setup: Setup,
    start_up: Duration,
}

impl Statera {
    /// `program`, with the functions behind HTTP in a process of their own.
    pub(crate) fn start(program: &Path, common: &Common) -> anyhow::Result<Statera> {
        let functions = functions::Running::start(None)?;
        let setup = Setup::new(common, &[(NAMESPACE, &functions)], DURABILITY)?;
        Statera::run(program.to_owned(), Some(functions), setup)
    }

    /// This program, which has the functions in it.
    pub(crate) fn start_in_process(common: &Common) -> anyhow::Result<Statera> {
        let program = std::env::current_exe().context("cannot find this program")?;
        Statera::run(program, None, Setup::new(common, &[], DURABILITY)?)
    }

    fn run(
        program: PathBuf,
        functions: Option<functions::Running>,
        setup: Setup,
    ) -> anyhow::Result<Statera> {
        let subject = setup.start(&program)?;
        let start_up = subject.start_up;
        Ok(Statera { program, subject: Some(subject), functions, setup, start_up })
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
        self.functions.as_ref().map(functions::Running::pid)
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
