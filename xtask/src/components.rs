//! What the end-to-end tests need besides Rust: the published SDKs, installed into folders of their own from the
//! pinned lists beside the function servers.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::process::{output_of, run, run_with_retries, succeeds};

/// Written last, so that an interrupted installation is done again.
const STAMP: &str = "installed";
const PYTHON_PROBE: &str = "import aiohttp, statefun";
const NODE_PROBE: &str = "require('apache-flink-statefun')";

/// Something to install, and under which name the tests find it.
pub(crate) struct Component {
    /// Names its folder, and is used in messages.
    pub(crate) name: &'static str,
    /// The environment variable that carries its path to the tests.
    pub(crate) variable: &'static str,
    /// Installs it into a folder unless it is there; returns the path for the tests.
    pub(crate) install: fn(&Path, &Sources) -> anyhow::Result<PathBuf>,
}

/// All of them.
pub(crate) const COMPONENTS: [Component; 2] = [
    Component { name: "python", variable: "STATERA_PYTHON", install: install_python },
    Component { name: "js", variable: "STATERA_NODE_MODULES", install: install_js },
];

/// Where the lists of what to install lie.
pub(crate) struct Sources {
    /// `tests/sdk` of the repository.
    pub(crate) sdk: PathBuf,
}

/// A folder for components that only one process changes at a time.
pub(crate) struct Folder {
    path: PathBuf,
    // Unlocked when it is closed.
    _lock: File,
}

impl Folder {
    /// Makes the folder and waits until nobody else installs into it.
    pub(crate) fn lock(path: PathBuf) -> anyhow::Result<Folder> {
        fs::create_dir_all(&path).with_context(|| format!("cannot make `{}`", path.display()))?;
        let file = path.join("lock");
        let lock = File::create(&file)
            .and_then(|lock| lock.lock().map(|()| lock))
            .with_context(|| format!("cannot lock `{}`", file.display()))?;
        Ok(Folder { path, _lock: lock })
    }

    /// Installs a component unless it is there; returns the path for the tests.
    pub(crate) fn install(
        &self,
        component: &Component,
        sources: &Sources,
    ) -> anyhow::Result<PathBuf> {
        (component.install)(&self.path.join(component.name), sources)
    }
}

fn install_python(folder: &Path, sources: &Sources) -> anyhow::Result<PathBuf> {
    let requirements = sources.sdk.join("python/requirements.txt");
    let version = output_of(Command::new("python3").arg("--version"))
        .context("hint: install Python 3.10 or newer as `python3`")?;
    let stamp = format!("{version}\n{}", read(&requirements)?);
    let python = folder.join("bin/python");
    let probe = || succeeds(Command::new(&python).args(["-c", PYTHON_PROBE]));
    if is_stamped(folder, &stamp) && probe() {
        return Ok(python);
    }

    clear(folder)?;
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))
        .context("hint: some systems have the venv module in a package `python3-venv`")?;
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run_with_retries(Command::new(&python).args(quiet).arg(&requirements))?;
    if !probe() {
        bail!("the Python SDK was installed but `{PYTHON_PROBE}` fails");
    }
    write_stamp(folder, &stamp)?;
    Ok(python)
}

fn install_js(folder: &Path, sources: &Sources) -> anyhow::Result<PathBuf> {
    let version = output_of(Command::new("node").arg("--version"))
        .context("hint: install Node.js 18 or newer with npm")?;
    let lists =
        ["package.json", "package-lock.json"].map(|name| (name, sources.sdk.join("js").join(name)));
    let mut stamp = version;
    for (_, path) in &lists {
        stamp += &format!("\n{}", read(path)?);
    }
    let modules = folder.join("node_modules");
    let probe = || succeeds(Command::new("node").args(["-e", NODE_PROBE]).current_dir(folder));
    if is_stamped(folder, &stamp) && probe() {
        return Ok(modules);
    }

    clear(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    for (name, path) in &lists {
        fs::copy(path, folder.join(name))
            .with_context(|| format!("cannot copy `{}`", path.display()))?;
    }
    let quiet = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    run_with_retries(Command::new("npm").args(quiet).current_dir(folder))?;
    if !probe() {
        bail!("the JavaScript SDK was installed but `{NODE_PROBE}` fails");
    }
    write_stamp(folder, &stamp)?;
    Ok(modules)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

fn is_stamped(folder: &Path, stamp: &str) -> bool {
    fs::read_to_string(folder.join(STAMP)).is_ok_and(|found| found == stamp)
}

fn write_stamp(folder: &Path, stamp: &str) -> anyhow::Result<()> {
    let path = folder.join(STAMP);
    fs::write(&path, stamp).with_context(|| format!("cannot write `{}`", path.display()))
}

fn clear(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{}`", folder.display()))
        }
        _ => Ok(()),
    }
}
