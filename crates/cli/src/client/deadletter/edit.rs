//! `statera deadletter edit`: back into its mailbox with another value.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::Args;
use hyper::{Method, StatusCode};
use serde_json::json;
use statera_admin::api;
use statera_ports::DeadLetterId;

use super::{detail, path};
use crate::client::Usage;
use crate::client::admin::{AdminOptions, Refusal};
use crate::client::message::value::{from_base64, from_json, from_text, read};
use crate::client::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Edit {
    /// Which
    id: DeadLetterId,
    #[command(flatten)]
    given: Given,
    /// The type of the value; as it was, if it is not said
    #[arg(long = "type", value_name = "TYPENAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    typename: Option<String>,
    #[command(flatten)]
    admin: AdminOptions,
}

#[derive(Args)]
#[group(multiple = false)]
struct Given {
    /// The value as JSON. For a built-in type (`io.statefun.types/*`) it is encoded as such, otherwise it is sent as it is.
    /// If no value is given, it is edited with $VISUAL or $EDITOR
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    value: Option<String>,
    /// The value as text. For `io.statefun.types/string` it is encoded as such, otherwise it is sent as it is
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    text: Option<String>,
    /// The bytes of a file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Bytes in base64
    #[arg(long, value_name = "BASE64")]
    value_base64: Option<String>,
}

impl Edit {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let mut admin = self.admin.open()?;
        let found = detail(&mut admin, self.id).await?;
        let Some(message) = found.message else { return Err(record(self.id).into()) };
        let typename = self.typename.as_deref().unwrap_or(&message.typename);
        let value = match self.given.encode(typename)? {
            Some(value) => value,
            None => match edited(self.id, &message, typename, terminal)? {
                Some(value) => value,
                None => {
                    terminal.note(&format!(
                        "nothing was changed, and nothing done; hint: as it is, it goes back with `statera deadletter redrive {}`",
                        self.id
                    ))?;
                    return Ok(ExitCode::FAILURE);
                }
            },
        };
        let body = json!({ "message": { "typename": typename, "value": STANDARD.encode(&value) } });
        let answer =
            admin.ask(Method::POST, &format!("{}/redrive", path(self.id)), Some(&body)).await?;
        if self.admin.json {
            terminal.print_json(&answer)?;
        } else {
            terminal.print(&format!("{}\n", self.id))?;
            let target = found.letter.target.unwrap_or_default();
            terminal.note(&format!("`{target}` gets it again, with the new value"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn record(id: DeadLetterId) -> Refusal {
    Refusal {
        status: StatusCode::CONFLICT,
        error: format!("dead letter `{id}` is a record that never became a message"),
        hint: "repair its source, and drop it".to_owned(),
    }
}

impl Given {
    fn encode(&self, typename: &str) -> anyhow::Result<Option<Bytes>> {
        Ok(match self {
            Given { value: Some(json), .. } => Some(from_json(typename, json)?),
            Given { text: Some(text), .. } => Some(from_text(typename, text)?),
            Given { file: Some(path), .. } => {
                let bytes = read(path);
                Some(bytes.with_context(|| format!("cannot read `{}`", path.display()))?.into())
            }
            Given { value_base64: Some(base64), .. } => Some(from_base64(base64)?),
            _ => None,
        })
    }
}

/// How a value stands in the editor.
enum Draft {
    Json(String),
    Text(String),
}

impl Draft {
    fn of(value: &api::Value) -> Option<Draft> {
        let text = value.text.as_deref();
        match &value.json {
            // Laid out, if that changes nothing but blanks: digits may be more than a number holds.
            Some(json) if Some(json.to_string().as_str()) == text => {
                Some(Draft::Json(format!("{json:#}\n")))
            }
            Some(json) if value.typename.starts_with("io.statefun.types/") => {
                Some(Draft::Json(format!("{json}\n")))
            }
            Some(_) => Some(Draft::Json(format!("{}\n", text.unwrap_or_default().trim_end()))),
            None => text.map(|text| Draft::Text(text.to_owned())),
        }
    }

    fn text(&self) -> &str {
        match self {
            Draft::Json(text) | Draft::Text(text) => text,
        }
    }

    fn suffix(&self) -> &'static str {
        match self {
            Draft::Json(_) => "json",
            Draft::Text(_) => "txt",
        }
    }

    /// The value that was made of it.
    fn read(&self, typename: &str, text: &str) -> Result<Bytes, Usage> {
        match self {
            Draft::Json(_) => from_json(typename, text.trim()),
            // Editors end the last line, whether it was ended or not.
            Draft::Text(before) if !before.ends_with('\n') => {
                from_text(typename, text.strip_suffix('\n').unwrap_or(text))
            }
            Draft::Text(_) => from_text(typename, text),
        }
    }

    fn is_changed(&self, text: &str) -> bool {
        text.trim_end_matches('\n') != self.text().trim_end_matches('\n')
    }
}

/// What comes out of the editor; nothing if nothing was changed.
fn edited(
    id: DeadLetterId,
    value: &api::Value,
    typename: &str,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Option<Bytes>> {
    let draft = Draft::of(value).ok_or_else(|| {
        Usage("the value is neither JSON nor text; hint: give another with `--file` or `--value-base64`".into())
    })?;
    let editor = editor(terminal)?;
    let mut file = Scratch::new(id, &draft)?;
    loop {
        open(&editor, &file.path)?;
        let text = fs::read_to_string(&file.path).context("cannot read what was edited")?;
        if !draft.is_changed(&text) && value.typename == typename {
            return Ok(None);
        }
        let error = match draft.read(typename, &text) {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        let again = terminal.can_answer && {
            terminal.note(&format!("error: {error}"))?;
            terminal.confirm("edit it again?")?
        };
        if !again {
            file.is_kept = true;
            let path = file.path.display();
            return Err(Usage(format!("{error}; hint: what you wrote is in `{path}`")).into());
        }
    }
}

fn editor(terminal: &Terminal<'_>) -> Result<OsString, Usage> {
    let named = ["VISUAL", "EDITOR"].into_iter().filter_map(std::env::var_os);
    match named.into_iter().find(|editor| !editor.is_empty()) {
        Some(editor) => Ok(editor),
        None if terminal.can_answer => Ok("vi".into()),
        None => Err(Usage(
            "there is no value, and nobody who could edit one; hint: give it with `--value`, or set $EDITOR"
                .into(),
        )),
    }
}

/// As a shell would, since the name of an editor may have arguments.
fn open(editor: &OsString, path: &Path) -> anyhow::Result<()> {
    let mut line = editor.clone();
    line.push(" \"$1\"");
    let status = Command::new("sh").arg("-c").arg(line).arg("sh").arg(path).status();
    let status = status.context("cannot start a shell for the editor")?;
    if !status.success() {
        bail!("the editor `{}` failed ({status}); nothing was done", editor.display());
    }
    Ok(())
}

/// A file that nobody else can read.
struct Scratch {
    path: PathBuf,
    is_kept: bool,
}

impl Scratch {
    fn new(id: DeadLetterId, draft: &Draft) -> anyhow::Result<Scratch> {
        let name = format!("statera-{id}-{}.{}", std::process::id(), draft.suffix());
        let path = std::env::temp_dir().join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot create `{}`", path.display()))?;
        let scratch = Scratch { path, is_kept: false };
        file.write_all(draft.text().as_bytes()).context("cannot write what is to be edited")?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.is_kept {
            // What remains in the folder for temporary files does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;

    fn draft(typename: &str, text: &str) -> Option<Draft> {
        let json: Option<Json> = serde_json::from_str(text).ok();
        let value = api::Value {
            typename: typename.to_owned(),
            value: Some(String::new()),
            text: Some(text.to_owned()),
            json,
        };
        Draft::of(&value)
    }

    #[test]
    fn json_is_laid_out_unless_that_changes_it() {
        assert_eq!(draft("a/b", r#"{"a":1}"#).unwrap().text(), "{\n  \"a\": 1\n}\n");
        let exact = r#"{"a": 1.00000000000000000001}"#;
        assert_eq!(draft("a/b", exact).unwrap().text().trim(), exact);
        assert_eq!(draft("io.statefun.types/int", "5").unwrap().text(), "5\n");
        assert_eq!(draft("a/b", "plain").unwrap().text(), "plain");
    }

    #[test]
    fn the_end_of_the_last_line_is_no_change() {
        let draft = draft("a/b", "plain").unwrap();
        assert!(!draft.is_changed("plain\n"));
        assert!(draft.is_changed("plainer\n"));
        assert_eq!(draft.read("a/b", "plainer\n").unwrap(), "plainer");
    }
}
