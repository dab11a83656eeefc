//! `cargo xtask test`: everything that CI checks, in the order in which it is likely to fail soonest.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::components::{COMPONENTS, Folder, Sources};
use crate::options::TestOptions;
use crate::process::{cargo, for_each_line, run as run_command};
use crate::results::{Reader, Results, SKIPPED};

/// The profile in which the `statera` binary is built for the end-to-end tests.
const PROFILE: &str = "dev";
const BINARY: &str = "statera";

/// The programs of the examples, which the end-to-end tests run as well.
const EXAMPLES: [&str; 2] = ["billing-example", "billing-serve"];

/// Runs all phases. A phase that fails does not stop the next ones, except that nothing is tested that does not build.
pub(crate) fn run(options: &TestOptions) -> anyhow::Result<ExitCode> {
    let mut suite = Suite::new()?;
    if options.fast {
        for component in COMPONENTS {
            suite.skip(format!("component {}: left out by --fast", component.name));
        }
    } else {
        suite.phase("components", Suite::install_components);
    }
    if options.filter.is_none() {
        suite.phase("format", |suite| run_command(&mut suite.cargo(["fmt", "--all", "--check"])));
        suite.phase("lints", |suite| {
            let lints = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
            run_command(&mut suite.cargo(lints))
        });
    }
    if suite.phase("build", Suite::build) {
        suite.phase("tests", |suite| suite.test(options));
    }
    Ok(suite.summary())
}

/// The target directory.
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    Suite::new().map(|suite| suite.target)
}

/// Where a component is: where the environment says, or where it is installed now.
pub(crate) fn component(name: &str) -> anyhow::Result<PathBuf> {
    let suite = Suite::new()?;
    let component = COMPONENTS.iter().find(|component| component.name == name);
    let component = component.with_context(|| format!("no component `{name}`"))?;
    match std::env::var_os(component.variable) {
        Some(path) => Ok(path.into()),
        None => suite.components_folder()?.install(component, &suite.sources()),
    }
}

/// Installs the components alone, and prints what a shell would export.
pub(crate) fn components() -> anyhow::Result<ExitCode> {
    let mut suite = Suite::new()?;
    suite.install_components()?;
    for (name, path) in &suite.environment {
        println!("export {name}='{}'", path.display());
    }
    let complete = suite.results.skipped.is_empty();
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Suite {
    root: PathBuf,
    target: PathBuf,
    ci: bool,
    /// Variables for the tests.
    environment: Vec<(&'static str, PathBuf)>,
    phases: Vec<Phase>,
    results: Results,
}

struct Phase {
    name: &'static str,
    took: Duration,
    ok: bool,
}

impl Suite {
    fn new() -> anyhow::Result<Suite> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR");
        let manifest = manifest.context("hint: run it as `cargo xtask`")?;
        let root = Path::new(&manifest).parent().context("the package lies in the workspace")?;
        // We are `<target>/<profile>/xtask`, whoever chose the target directory.
        let executable = std::env::current_exe().context("cannot find the target directory")?;
        let target = executable.ancestors().nth(2).context("cannot find the target directory")?;
        Ok(Suite {
            root: root.to_owned(),
            target: target.to_owned(),
            ci: std::env::var("CI").is_ok_and(|ci| ci == "true"),
            environment: Vec::new(),
            phases: Vec::new(),
            results: Results::default(),
        })
    }

    fn cargo<const N: usize>(&self, args: [&str; N]) -> Command {
        let mut command = cargo(args);
        command.current_dir(&self.root);
        command
    }

    /// Runs a phase, prints how it went, and returns whether it went well.
    fn phase(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Suite) -> anyhow::Result<()>,
    ) -> bool {
        println!("xtask: {name} …");
        let start = Instant::now();
        let result = work(self);
        let phase = Phase { name, took: start.elapsed(), ok: result.is_ok() };
        if let Err(error) = &result {
            println!("xtask: {name}: {error:#}");
        }
        println!("xtask: {}", phase.line());
        self.phases.push(phase);
        result.is_ok()
    }

    fn skip(&mut self, what: String) {
        println!("{SKIPPED}{what}");
        self.results.skipped.push(what);
    }

    fn install_components(&mut self) -> anyhow::Result<()> {
        let folder = self.components_folder()?;
        let sources = self.sources();
        let mut missing = Vec::new();
        for component in COMPONENTS {
            match folder.install(&component, &sources) {
                Ok(path) => self.environment.push((component.variable, path)),
                Err(error) => {
                    self.skip(format!("component {}: {error:#}", component.name));
                    missing.push(component.name);
                }
            }
        }
        if self.ci && !missing.is_empty() {
            anyhow::bail!("missing in CI: {}", missing.join(", "));
        }
        Ok(())
    }

    fn components_folder(&self) -> anyhow::Result<Folder> {
        let path = std::env::var_os("STATERA_COMPONENTS");
        let path = path.map_or_else(|| self.target.join("components"), |path| self.root.join(path));
        Folder::lock(path)
    }

    fn sources(&self) -> Sources {
        Sources { sdk: self.root.join("tests/sdk"), kafka: self.root.join("tests/kafka") }
    }

    fn build(&mut self) -> anyhow::Result<()> {
        // With the features of the whole workspace, so that the tests need not build its dependencies again.
        let build = ["build", "--workspace", "--profile", PROFILE, "--bin", BINARY];
        let examples = EXAMPLES.iter().flat_map(|example| ["--bin", example]);
        run_command(self.cargo(build).args(examples))?;
        // Cargo keeps what the profile `dev` makes in `debug`.
        let folder = if PROFILE == "dev" { "debug" } else { PROFILE };
        let folder = self.target.join(folder);
        for program in [BINARY].iter().chain(&EXAMPLES) {
            let program = folder.join(program);
            anyhow::ensure!(program.is_file(), "`{}` was not built", program.display());
        }
        self.environment.push(("STATERA_BIN", folder.join(BINARY)));
        self.environment.push(("STATERA_EXAMPLES", folder));
        Ok(())
    }

    fn test(&mut self, options: &TestOptions) -> anyhow::Result<()> {
        let mut command =
            self.cargo(["test", "--workspace", "--no-fail-fast", "--", "--show-output"]);
        // What is left out must not come back through the environment of the person who called us.
        for component in COMPONENTS {
            command.env_remove(component.variable);
        }
        command.args(&options.filter).envs(self.environment.iter().cloned());
        if self.ci && !options.fast {
            command.env("STATERA_CI", "1");
        }
        if let Some(count) = options.long_crash {
            command.env("STATERA_LONG_CRASH", count.to_string());
        }
        let mut reader = Reader::new(std::mem::take(&mut self.results));
        let result = for_each_line(&mut command, |line| {
            if reader.read(line) {
                println!("{line}");
            }
        });
        self.results = reader.results;
        result
    }

    /// Prints how everything went; the totals are the last line.
    fn summary(&self) -> ExitCode {
        println!();
        for phase in &self.phases {
            println!("{}", phase.line());
        }
        if !self.results.skipped.is_empty() {
            println!("{} skipped:", self.results.skipped.len());
            for what in &self.results.skipped {
                println!("  {what}");
            }
        }
        let failed: Vec<&str> =
            self.phases.iter().filter(|phase| !phase.ok).map(|phase| phase.name).collect();
        if !failed.is_empty() {
            println!("FAILED: {}", failed.join(", "));
        }
        println!("{}", self.results.totals());
        // A test binary that dies does not count its tests, but then the phase has failed.
        let ok = failed.is_empty() && self.results.failed == 0;
        if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl Phase {
    fn line(&self) -> String {
        let verdict = if self.ok { "ok" } else { "FAILED" };
        format!("{:<12}{verdict:<8}{:.1} s", self.name, self.took.as_secs_f64())
    }
}
