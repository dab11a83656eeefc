//! Who we are for AWS: a key from the configuration, the environment, a profile, or the role of the container or machine.
//!
//! Keys of roles expire. They are asked for anew a while before, and when the service says that one has expired.

mod profile;
mod remote;

use std::path::PathBuf;
use std::sync::Arc;

use statera_config::AwsCredentials;
use statera_http::HttpError;
use statera_model::{Chain, codes};
use tokio::sync::Mutex;

use crate::environment::Environment;
use crate::time;

pub(crate) use profile::region as profile_region;
pub(crate) use remote::region as machine_region;

/// A key is renewed when it lives no longer than this.
const RENEWED_BEFORE_MS: i64 = 5 * 60_000;

/// A key. Not shown by anything.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub(crate) expires: Option<i64>,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error(
        "there are no AWS credentials in the environment, in the profile `{profile}`, or from a role; hint: set \
         `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or write `awsCredentials`"
    )]
    None { profile: String },
    #[error("cannot read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("there is no profile `{profile}` in `{}`", path.display())]
    NoProfile { profile: String, path: PathBuf },
    #[error(
        "the profile `{profile}` in `{}` has no `aws_access_key_id` and `aws_secret_access_key`; hint: roles, processes \
         and single sign-on are not supported in profiles",
        path.display()
    )]
    NoKey { profile: String, path: PathBuf },
    #[error(
        "web identities (`AWS_WEB_IDENTITY_TOKEN_FILE`) are not supported; hint: use EKS Pod Identity, or give a key"
    )]
    WebIdentity,
    #[error("cannot get the credentials of the role")]
    Http(#[from] HttpError),
    #[error("cannot get the credentials of the role: `{url}` answered with {answer}")]
    Answer { url: String, answer: String },
}

/// Where keys come from.
pub(crate) struct Credentials {
    spec: AwsCredentials,
    environment: Environment,
    // Held while a key is asked for, so that many requests ask once.
    known: Mutex<Option<Arc<Key>>>,
}

impl Credentials {
    pub(crate) fn new(spec: AwsCredentials, environment: Environment) -> Credentials {
        Credentials { spec, environment, known: Mutex::default() }
    }

    /// A key that lives a while longer.
    pub(crate) async fn key(&self) -> Result<Arc<Key>, CredentialsError> {
        let mut known = self.known.lock().await;
        if let Some(key) = known.as_ref().filter(|key| is_fresh(key, time::now())) {
            return Ok(Arc::clone(key));
        }
        let found = self.find().await;
        match (found, known.as_ref()) {
            (Ok(key), _) => {
                let key = Arc::new(key);
                *known = Some(Arc::clone(&key));
                Ok(key)
            }
            // The old one may live on for some minutes.
            (Err(error), Some(key)) if key.expires.is_none_or(|end| end > time::now()) => {
                tracing::warn!(
                    code = %codes::AWS_CREDENTIALS,
                    error = %Chain(&error),
                    "AWS credentials were not renewed"
                );
                Ok(Arc::clone(key))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// The service does not take the key any more.
    pub(crate) async fn forget(&self) {
        *self.known.lock().await = None;
    }

    async fn find(&self) -> Result<Key, CredentialsError> {
        match &self.spec {
            AwsCredentials::Basic { access_key_id, secret_access_key } => Ok(Key {
                access_key_id: access_key_id.clone(),
                secret_access_key: secret_access_key.clone(),
                session_token: None,
                expires: None,
            }),
            AwsCredentials::Profile { name, path } => {
                profile::named(name, path.as_deref(), &self.environment).await
            }
            AwsCredentials::Default => self.usual().await,
        }
    }

    async fn usual(&self) -> Result<Key, CredentialsError> {
        if let Some(key) = of_environment(&self.environment) {
            return Ok(key);
        }
        if let Some(key) = profile::usual(&self.environment).await? {
            return Ok(key);
        }
        if let Some(key) = remote::of_container(&self.environment).await? {
            return Ok(key);
        }
        if self.environment.get("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() {
            return Err(CredentialsError::WebIdentity);
        }
        match remote::of_machine(&self.environment).await? {
            Some(key) => Ok(key),
            None => Err(CredentialsError::None { profile: profile::name(&self.environment) }),
        }
    }
}

fn is_fresh(key: &Key, now: i64) -> bool {
    key.expires.is_none_or(|expires| expires - now > RENEWED_BEFORE_MS)
}

fn of_environment(environment: &Environment) -> Option<Key> {
    Some(Key {
        access_key_id: environment.get("AWS_ACCESS_KEY_ID")?,
        secret_access_key: environment.get("AWS_SECRET_ACCESS_KEY")?,
        session_token: environment.get("AWS_SESSION_TOKEN"),
        expires: None,
    })
}
