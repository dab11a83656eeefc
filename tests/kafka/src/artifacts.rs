//! Where Kafka's programs are, and how one is started.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The environment variable that names the folder of the jars.
pub const VARIABLE: &str = "STATERA_KAFKA";

/// Quick to start rather than quick in the long run; most programs live for seconds. Their log is standard error.
const JAVA_OPTIONS: [&str; 3] = ["-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

/// The jars of Apache Kafka and of what it needs.
#[derive(Clone, Debug)]
pub struct Artifacts {
    jars: PathBuf,
}

impl Artifacts {
    /// Those in a folder.
    #[must_use]
    pub fn new(jars: impl Into<PathBuf>) -> Artifacts {
        Artifacts { jars: jars.into() }
    }

    /// Those that the environment names.
    ///
    /// # Errors
    /// Why there are none.
    pub fn from_environment() -> Result<Artifacts, String> {
        let missing = || format!("`{VARIABLE}` is not set; `cargo xtask components` installs it");
        std::env::var_os(VARIABLE).map(Artifacts::new).ok_or_else(missing)
    }

    /// Their folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.jars
    }

    /// A command that runs one of Kafka's classes.
    #[must_use]
    pub fn java(&self, class: &str) -> Command {
        self.java_with("error", &[], class)
    }

    pub(crate) fn java_with(&self, log_level: &str, options: &[String], class: &str) -> Command {
        let mut command = Command::new("java");
        command.args(JAVA_OPTIONS).args(options).arg("-cp").arg(self.jars.join("*"));
        command.arg(format!("-Dorg.slf4j.simpleLogger.defaultLogLevel={log_level}"));
        command.arg("-Dorg.slf4j.simpleLogger.showDateTime=true");
        command.arg(class);
        command
    }
}
