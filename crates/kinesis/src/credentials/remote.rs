//! The roles of containers (ECS, EKS Pod Identity) and machines (EC2, with session tokens), which are asked for over
//! plain HTTP on addresses that lead nowhere but there.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use statera_http::{Http, HttpError, Origin, Timeouts};

use super::{CredentialsError, Key};
use crate::environment::Environment;
use crate::time;

/// Whoever is not on such a machine should learn it soon.
const TIMEOUTS: Timeouts =
    Timeouts { connect: Duration::from_secs(1), request: Duration::from_secs(5) };

const CONTAINER: &str = "http://169.254.170.2";
const MACHINE: &str = "http://169.254.169.254";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleKey {
    access_key_id: String,
    secret_access_key: String,
    token: String,
    expiration: Option<String>,
}

/// The key of the container's role; `None` if nothing says that this is one.
pub(super) async fn of_container(
    environment: &Environment,
) -> Result<Option<Key>, CredentialsError> {
    let relative = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let full = environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let Some(url) = relative.map(|path| format!("{CONTAINER}{path}")).or(full) else {
        return Ok(None);
    };
    let token = match environment.path("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(path) => Some(
            tokio::fs::read_to_string(&path)
                .await
                .map_err(|source| CredentialsError::Read { path, source })?,
        ),
        None => environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    };
    let headers: Vec<_> = token.iter().map(|token| ("authorization", token.trim())).collect();
    let body = ask(Method::GET, &url, &headers).await?;
    key(&url, &body).map(Some)
}

/// The key of the machine's role; `None` if this is no such machine, or it has none.
pub(super) async fn of_machine(environment: &Environment) -> Result<Option<Key>, CredentialsError> {
    let Some(token) = machine_token(environment).await? else { return Ok(None) };
    let url = format!("{}/latest/meta-data/iam/security-credentials/", machine(environment));
    let headers = [("x-aws-ec2-metadata-token", token.as_str())];
    let role = match ask(Method::GET, &url, &headers).await {
        Err(CredentialsError::Answer { answer, .. }) if answer.starts_with("404") => {
            return Ok(None);
        }
        role => role?,
    };
    let role = String::from_utf8_lossy(&role);
    let url = format!("{url}{}", role.lines().next().unwrap_or_default());
    let body = ask(Method::GET, &url, &headers).await?;
    key(&url, &body).map(Some)
}

/// The region of the machine.
pub(crate) async fn region(environment: &Environment) -> Option<String> {
    let token = machine_token(environment).await.ok()??;
    let url = format!("{}/latest/meta-data/placement/region", machine(environment));
    let headers = [("x-aws-ec2-metadata-token", token.as_str())];
    let region = ask(Method::GET, &url, &headers).await.ok()?;
    Some(String::from_utf8_lossy(&region).trim().to_owned()).filter(|region| !region.is_empty())
}

/// `None` if nobody is there.
async fn machine_token(environment: &Environment) -> Result<Option<String>, CredentialsError> {
    let disabled = environment.get("AWS_EC2_METADATA_DISABLED");
    if disabled.is_some_and(|disabled| disabled.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let url = format!("{}/latest/api/token", machine(environment));
    let headers = [("x-aws-ec2-metadata-token-ttl-seconds", "21600")];
    match ask(Method::PUT, &url, &headers).await {
        Ok(token) => Ok(Some(String::from_utf8_lossy(&token).trim().to_owned())),
        Err(CredentialsError::Http(HttpError::Connect { .. } | HttpError::Timeout { .. })) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn machine(environment: &Environment) -> String {
    let given = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    given.unwrap_or_else(|| MACHINE.to_owned()).trim_end_matches('/').to_owned()
}

async fn ask(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
) -> Result<Bytes, CredentialsError> {
    let answered = |answer: String| CredentialsError::Answer { url: url.to_owned(), answer };
    let (origin, path) =
        Origin::parse(url).ok_or_else(|| answered("nothing: it is not a URL".to_owned()))?;
    let http = Http::new(origin, TIMEOUTS, None)?;
    let mut request =
        Request::builder().method(method).uri(path).header("host", http.origin.authority());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request =
        request.body(Full::default()).map_err(|error| answered(format!("nothing: {error}")))?;
    let response = http.send(request).await?;
    match response.status {
        StatusCode::OK => Ok(response.body),
        status => Err(answered(status.to_string())),
    }
}

fn key(url: &str, body: &[u8]) -> Result<Key, CredentialsError> {
    let key: RoleKey = serde_json::from_slice(body).map_err(|_| CredentialsError::Answer {
        url: url.to_owned(),
        // The text may hold half a key.
        answer: "something that is not a key".to_owned(),
    })?;
    Ok(Key {
        access_key_id: key.access_key_id,
        secret_access_key: key.secret_access_key,
        session_token: Some(key.token),
        expires: key.expiration.as_deref().and_then(time::parse_extended),
    })
}
