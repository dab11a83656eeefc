//! The files of a configuration.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::problem::{Origin, Problem, Problems, Severity};

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name, as it is shown.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl Source {
    /// The text without the byte order mark that some editors write.
    pub(crate) fn text(&self) -> &str {
        self.text.strip_prefix('\u{feff}').unwrap_or(&self.text)
    }
}

/// The largest file that is read.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

/// Reads files. A directory stands for each `module.yaml` directly in it or in one of its directories, by name.
///
/// # Errors
/// Every file that cannot be read, is too large, or is not UTF-8.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Source>, Problems> {
    let mut sources = Vec::new();
    let mut problems = Problems::default();
    for path in paths {
        for result in expand(path) {
            match result.and_then(|file| read_file(&file)) {
                Ok(source) => sources.push(source),
                Err(problem) => {
                    problems.count(problem.severity);
                    problems.list.push(*problem);
                }
            }
        }
    }
    if problems.is_empty() { Ok(sources) } else { Err(problems) }
}

fn expand(path: &Path) -> Vec<Result<PathBuf, Box<Problem>>> {
    if !path.is_dir() {
        return vec![Ok(path.to_owned())];
    }
    let mut directories = vec![path.to_owned()];
    match fs::read_dir(path) {
        Ok(entries) => {
            let mut below: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            below.sort();
            directories.extend(below.into_iter().filter(|entry| entry.is_dir()));
        }
        Err(error) => {
            return vec![Err(problem(path, format!("cannot list the directory: {error}"), None))];
        }
    }
    let modules = directories.into_iter().map(|directory| directory.join("module.yaml"));
    let files: Vec<_> = modules.filter(|file| file.is_file()).map(Ok).collect();
    if files.is_empty() {
        let hint = "put `module.yaml` into it or into its directories, or name a file";
        return vec![Err(problem(path, "the directory holds no `module.yaml`".into(), Some(hint)))];
    }
    files
}

fn read_file(path: &Path) -> Result<Source, Box<Problem>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path);
    file.and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| problem(path, format!("cannot read the file: {error}"), None))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let message = format!("the file is larger than {} MiB", FILE_BYTES_MAX >> 20);
        return Err(problem(path, message, Some("split it into several files")));
    }
    let name = path.display().to_string();
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source { name, text }),
        Err(_) => Err(problem(path, "the file is not UTF-8 text".into(), Some("save it as UTF-8"))),
    }
}

fn problem(path: &Path, message: String, hint: Option<&str>) -> Box<Problem> {
    Box::new(Problem {
        severity: Severity::Error,
        message,
        path: String::new(),
        origin: Origin::Outside(path.display().to_string()),
        related: None,
        hint: hint.map(str::to_owned),
    })
}
