//! The programs of the peer: the server as published, and our service for it, built with its SDK.
//!
//! The server is under a licence of its own (BUSL-1.1). It is fetched when it is needed, run, and nothing else.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use clap::Args;

const SERVER_VERSION: &str = "1.7.12";

/// As pinned in `benches/restate-service/Cargo.toml`.
pub(crate) const SDK_VERSION: &str = "0.13.0";

#[derive(Args, Clone)]
pub(crate) struct Options {
    /// The server to compare with; fetched from the npm registry if not given
    #[arg(long, env = "RESTATE_SERVER", value_name = "FILE")]
    restate: Option<PathBuf>,
    /// A line for the server's configuration, as `default-num-partitions=4`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    restate_setting: Vec<String>,
}

pub(crate) struct Peer {
    pub(crate) server: PathBuf,
    pub(crate) service: PathBuf,
    /// What the server says of itself.
    pub(crate) version: String,
    pub(crate) settings: Vec<String>,
}

impl Peer {
    pub(crate) fn prepare(options: &Options) -> anyhow::Result<Peer> {
        let target = target_directory()?;
        let server = match &options.restate {
            Some(server) => server.clone(),
            None => fetch_server(&target.join("components/restate"))?,
        };
        let version =
            version_of(&server).with_context(|| format!("`{}` does not run", server.display()))?;
        let service = build_service(&target.join("versus"))?;
        Ok(Peer { server, service, version, settings: options.restate_setting.clone() })
    }
}

/// Where Cargo put this program: `target/dist/statera-bench`.
fn target_directory() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let target = program.ancestors().nth(2).context("this program is in no target directory")?;
    Ok(target.to_owned())
}

/// Installs the package for this platform into a folder unless it is there. The package for all platforms would add a
/// script around it.
fn fetch_server(folder: &Path) -> anyhow::Result<PathBuf> {
    let package = package()?;
    let server = folder.join("node_modules").join(&package).join("bin/restate-server");
    if version_of(&server).is_ok_and(|found| found.ends_with(SERVER_VERSION)) {
        return Ok(server);
    }
    let wanted = format!("{package}@{SERVER_VERSION}");
    eprintln!("fetching {wanted} from the npm registry, 225 MB");
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make `{}`", folder.display()))?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"])
        .args(["--ignore-scripts", "--loglevel=error", "--fetch-retries=2"])
        .args(["--fetch-timeout=60000", "--prefix"])
        .arg(folder)
        .arg(&wanted);
    let hint = "hint: npm and its registry are needed, or `--restate FILE`";
    run(&mut npm).with_context(|| format!("cannot fetch `{wanted}` with npm; {hint}"))?;
    let found = version_of(&server).with_context(|| format!("`{wanted}` does not run"))?;
    ensure!(found.ends_with(SERVER_VERSION), "`{wanted}` says that it is {found}");
    Ok(server)
}

fn package() -> anyhow::Result<String> {
    let system = match std::env::consts::OS {
        "linux" => "linux",
        "macos" => "darwin",
        other => bail!("there is no package of the Restate server for `{other}`"),
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => bail!("there is no package of the Restate server for `{other}`"),
    };
    Ok(format!("@restatedev/restate-server-{system}-{processor}"))
}

/// Builds our service, outside the workspace: nobody else needs the peer's SDK.
fn build_service(target: &Path) -> anyhow::Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("restate-service/Cargo.toml");
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(program);
    cargo.args(["build", "--release", "--locked", "--quiet", "--manifest-path"]);
    cargo.arg(&manifest).arg("--target-dir").arg(target);
    let service = target.join("release/restate-service");
    if !service.is_file() {
        eprintln!("building `benches/restate-service` with restate-sdk {SDK_VERSION}");
    }
    run(&mut cargo).with_context(|| {
        format!(
            "cannot build `{}`; hint: it needs crate `restate-sdk` {SDK_VERSION} from the crates registry",
            manifest.display()
        )
    })?;
    Ok(service)
}

fn version_of(server: &Path) -> anyhow::Result<String> {
    let output = Command::new(server).arg("--version").stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "it ended with {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What it says goes to standard error: standard output has the table.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(std::io::stderr());
    let status = command.status().with_context(|| format!("cannot start `{name}`"))?;
    ensure!(status.success(), "`{name}` ended with {status}");
    Ok(())
}
