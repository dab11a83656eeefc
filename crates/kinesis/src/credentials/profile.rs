//! Profiles, as the AWS command line keeps them in `~/.aws/credentials` and `~/.aws/config`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{CredentialsError, Key};
use crate::environment::Environment;

/// The settings of a profile.
type Settings = BTreeMap<String, String>;

/// The profile that is meant where none is named.
pub(super) fn name(environment: &Environment) -> String {
    environment.get("AWS_PROFILE").unwrap_or_else(|| "default".to_owned())
}

/// The key of a profile that must be there.
pub(super) async fn named(
    name: &str,
    path: Option<&Path>,
    environment: &Environment,
) -> Result<Key, CredentialsError> {
    let usual = credentials_file(environment);
    let path = path.map(Path::to_owned).or(usual).unwrap_or_else(|| PathBuf::from("credentials"));
    let text = read(&path).await?.unwrap_or_default();
    match settings(&text, name) {
        Some(settings) => {
            key(&settings).ok_or_else(|| CredentialsError::NoKey { profile: name.to_owned(), path })
        }
        None => Err(CredentialsError::NoProfile { profile: name.to_owned(), path }),
    }
}

/// The key of the profile that is meant where none is named, if it has one.
pub(super) async fn usual(environment: &Environment) -> Result<Option<Key>, CredentialsError> {
    let name = name(environment);
    for file in [credentials_file(environment), config_file(environment)].into_iter().flatten() {
        let text = read(&file).await?.unwrap_or_default();
        if let Some(key) = settings(&text, &name).as_ref().and_then(key) {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// The region of a profile.
pub(crate) async fn region(name: Option<&str>, environment: &Environment) -> Option<String> {
    let name = name.map_or_else(|| self::name(environment), str::to_owned);
    let text = read(&config_file(environment)?).await.ok()??;
    settings(&text, &name)?.remove("region")
}

fn credentials_file(environment: &Environment) -> Option<PathBuf> {
    let usual = || Some(environment.path("HOME")?.join(".aws/credentials"));
    environment.path("AWS_SHARED_CREDENTIALS_FILE").or_else(usual)
}

fn config_file(environment: &Environment) -> Option<PathBuf> {
    let usual = || Some(environment.path("HOME")?.join(".aws/config"));
    environment.path("AWS_CONFIG_FILE").or_else(usual)
}

/// `None` if it is not there.
async fn read(path: &Path) -> Result<Option<String>, CredentialsError> {
    match tokio::fs::read_to_string(path).await {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CredentialsError::Read { path: path.to_owned(), source }),
    }
}

/// The section `[name]` or `[profile name]`.
fn settings(text: &str, name: &str) -> Option<Settings> {
    let mut found = None;
    let mut within = false;
    for line in text.lines().map(str::trim) {
        if let Some(head) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            let section = head.trim().strip_prefix("profile ").unwrap_or(head).trim();
            within = section == name;
            if within {
                found.get_or_insert_with(Settings::new);
            }
        } else if let (true, Some(settings), Some((key, value))) =
            (within && !line.starts_with(['#', ';']), &mut found, line.split_once('='))
        {
            settings.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

fn key(settings: &Settings) -> Option<Key> {
    Some(Key {
        access_key_id: settings.get("aws_access_key_id")?.clone(),
        secret_access_key: settings.get("aws_secret_access_key")?.clone(),
        session_token: settings.get("aws_session_token").cloned(),
        expires: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
# comment
[default]
aws_access_key_id = A
aws_secret_access_key = b=c/d+
[profile other]
region = eu-central-1
[John Doe]
aws_access_key_id=J
; aws_access_key_id=K
aws_secret_access_key=s
aws_session_token=t
";

    #[tokio::test]
    async fn the_key_of_a_profile_is_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), TEXT).unwrap();
        let nothing = Environment::new(|_| None);
        let key = |name: &'static str| {
            let nothing = nothing.clone();
            let path = file.path().to_owned();
            async move { named(name, Some(&path), &nothing).await }
        };
        let default = key("default").await.ok().unwrap();
        assert_eq!(
            (default.access_key_id.as_str(), default.secret_access_key.as_str()),
            ("A", "b=c/d+")
        );
        let john = key("John Doe").await.ok().unwrap();
        assert_eq!((john.access_key_id.as_str(), john.session_token.as_deref()), ("J", Some("t")));
        assert!(matches!(key("other").await.err(), Some(CredentialsError::NoKey { .. })));
        assert!(matches!(key("nobody").await.err(), Some(CredentialsError::NoProfile { .. })));
        let text = file.path().to_str().unwrap().to_owned();
        let environment = Environment::new(move |name| match name {
            "AWS_CONFIG_FILE" | "AWS_SHARED_CREDENTIALS_FILE" => Some(text.clone()),
            _ => None,
        });
        assert_eq!(region(Some("other"), &environment).await.as_deref(), Some("eu-central-1"));
        assert_eq!(
            usual(&environment).await.unwrap().map(|key| key.access_key_id).as_deref(),
            Some("A")
        );
    }
}
