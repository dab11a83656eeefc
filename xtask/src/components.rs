//! What the end-to-end tests need besides Rust: the published SDKs, a real broker, and a Kinesis, installed into folders of their own
//! from pinned lists; and a browser, which the system must have.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::process::{output_of, run, run_with_retries, succeeds};

/// Written last, so that an interrupted installation is done again.
const STAMP: &str = "installed";
const PYTHON_PROBE: &str = "import aiohttp, statefun, opentelemetry.proto.trace.v1.trace_pb2";
const MOTO_PROBE: &str = "import moto.server, moto.kinesis.models";
const NODE_PROBE: &str = "require('apache-flink-statefun')";
/// Prints the version of the broker.
const KAFKA_PROBE: [&str; 2] = ["kafka.Kafka", "--version"];
const KAFKA_JAVA_HINT: &str = "hint: install Java 17 or newer; Debian has it as `openjdk-17-jre-headless` or `default-jre-headless`";
const KAFKA_MAVEN_HINT: &str = "hint: install Maven; Debian has it as `maven`";

/// Names that systems have for it.
const CHROMIUM_NAMES: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const CHROMIUM_HINT: &str =
    "hint: install Chromium and chromedriver; Debian has them as `chromium` and `chromium-driver`";

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
pub(crate) const COMPONENTS: [Component; 6] = [
    Component { name: "python", variable: "STATERA_PYTHON", install: install_python },
    Component { name: "js", variable: "STATERA_NODE_MODULES", install: install_js },
    Component { name: "kafka", variable: statera_test_kafka::VARIABLE, install: install_kafka },
    Component { name: "moto", variable: "STATERA_MOTO", install: install_moto },
    Component { name: "chromium", variable: "STATERA_CHROMIUM", install: find_chromium },
    Component {
        name: "schemathesis",
        variable: "STATERA_SCHEMATHESIS",
        install: install_schemathesis,
    },
];

/// Where the lists of what to install lie.
pub(crate) struct Sources {
    /// `tests/sdk` of the repository.
    pub(crate) sdk: PathBuf,
    /// `tests/kafka` of the repository.
    pub(crate) kafka: PathBuf,
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
    install_venv(folder, &sources.sdk.join("python/requirements.txt"), PYTHON_PROBE)
}

/// Returns the server's program.
fn install_moto(folder: &Path, sources: &Sources) -> anyhow::Result<PathBuf> {
    install_venv(folder, &sources.sdk.join("moto/requirements.txt"), MOTO_PROBE)?;
    Ok(folder.join("bin/moto_server"))
}

fn install_schemathesis(folder: &Path, sources: &Sources) -> anyhow::Result<PathBuf> {
    install_venv(
        folder,
        &sources.sdk.join("schemathesis/requirements.txt"),
        "import schemathesis",
    )?;
    Ok(folder.join("bin/schemathesis"))
}

/// Makes a Python with these packages.
fn install_venv(folder: &Path, requirements: &Path, imports: &str) -> anyhow::Result<PathBuf> {
    let version = output_of(Command::new("python3").arg("--version"))
        .context("hint: install Python 3.10 or newer as `python3`")?;
    let stamp = format!("{version}\n{}", read(requirements)?);
    let python = folder.join("bin/python");
    let probe = || succeeds(Command::new(&python).args(["-c", imports]));
    if is_stamped(folder, &stamp) && probe() {
        return Ok(python);
    }

    clear(folder)?;
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))
        .context("hint: some systems have the venv module in a package `python3-venv`")?;
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run_with_retries(Command::new(&python).args(quiet).arg(requirements))?;
    if !probe() {
        bail!("what `{}` lists was installed but `{imports}` fails", requirements.display());
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

fn install_kafka(folder: &Path, sources: &Sources) -> anyhow::Result<PathBuf> {
    let list = sources.kafka.join("pom.xml");
    let version = output_of(Command::new("java").arg("--version")).context(KAFKA_JAVA_HINT)?;
    let stamp = format!("{version}\n{}", read(&list)?);
    let jars = folder.join("jars");
    let probe = || {
        let mut command = Command::new("java");
        succeeds(command.arg("-cp").arg(jars.join("*")).args(KAFKA_PROBE))
    };
    if is_stamped(folder, &stamp) && probe() {
        return Ok(jars);
    }

    clear(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    output_of(Command::new("mvn").arg("--version")).context(KAFKA_MAVEN_HINT)?;
    let mut copy = Command::new("mvn");
    copy.args(["--quiet", "--batch-mode", "--file"]).arg(&list);
    copy.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    copy.arg(format!("-DoutputDirectory={}", jars.display()));
    // It writes colours to its output, which is ours.
    run_with_retries(copy.stdout(std::io::stderr()))?;
    if !probe() {
        bail!("the jars of Kafka were installed but `{}` fails", KAFKA_PROBE.join(" "));
    }
    write_stamp(folder, &stamp)?;
    Ok(jars)
}

/// Finds the browser of the system; a pinned one would be too large and old soon.
fn find_chromium(_folder: &Path, _sources: &Sources) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let find = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|at| at.is_file());
    let works = |program: &PathBuf| succeeds(Command::new(program).arg("--version"));
    let chromium = CHROMIUM_NAMES.into_iter().filter_map(find).find(works);
    let chromium = chromium.context("no Chromium").context(CHROMIUM_HINT)?;
    if !find("chromedriver").is_some_and(|driver| works(&driver)) {
        bail!("no chromedriver for `{}`; {CHROMIUM_HINT}", chromium.display());
    }
    Ok(chromium)
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
