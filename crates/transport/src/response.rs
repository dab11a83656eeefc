//! Reads responses, never more of one than is allowed.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap};
use hyper::http::response::Parts;
use hyper::{Response, StatusCode};
use statera_model::Failure;

use crate::decode::{Encoding, Undecodable, decode};
use crate::failure::{chain, hopeless, kind_of, quoted, rejected, unavailable};
use crate::settings::{Dialect, Settings};
use crate::target::OCTET_STREAM;

/// What is read of a response that is only quoted.
const EXCERPT_BYTES_MAX: usize = 16 * 1024;
/// How long such a response is waited for: its failure is known already.
const EXCERPT_WAIT: Duration = Duration::from_secs(1);
/// Space that is made at once for what `Content-Length` announces; beyond it, it must arrive first.
const ANNOUNCED_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(crate) enum Answer {
    Body(Bytes),
    Redirect { location: String },
}

enum Broken {
    TooLarge,
    Silent(Duration),
    Lost(hyper::Error),
}

/// Reads a response to its end where it can be of use.
pub(crate) async fn read(
    response: Response<Incoming>,
    url: &str,
    settings: &Settings,
) -> Result<Answer, Failure> {
    let (parts, body) = response.into_parts();
    if !parts.status.is_success() {
        return error_status(parts, body, url, settings).await;
    }
    if body.is_end_stream() {
        return Ok(Answer::Body(Bytes::new()));
    }
    if !is_octet_stream(&parts.headers) {
        return wrong_type(&parts.headers, body, url, settings).await;
    }
    let limit = settings.response_bytes_max;
    let encoding = encoding(&parts.headers)
        .ok_or_else(|| rejected(format!("`{url}` answered with an unknown content encoding")))?;
    let bytes =
        collect(body, limit, settings.read).await.map_err(|broken| explain(broken, url, limit))?;
    if encoding == Encoding::Identity {
        return Ok(Answer::Body(bytes));
    }
    match decode(encoding, &bytes, limit) {
        Ok(decoded) => Ok(Answer::Body(decoded.into())),
        Err(Undecodable::TooLarge) => Err(explain(Broken::TooLarge, url, limit)),
        Err(Undecodable::Corrupt(reason)) => {
            Err(rejected(format!("`{url}` answered with a body that cannot be decoded: {reason}")))
        }
    }
}

async fn error_status(
    parts: Parts,
    body: Incoming,
    url: &str,
    settings: &Settings,
) -> Result<Answer, Failure> {
    let excerpt = excerpt(&parts.headers, body).await;
    // okhttp turns a POST into a GET for other redirects, which no function would understand.
    let repeatable =
        matches!(parts.status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    let location = parts.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    match location {
        Some(location) if repeatable && settings.dialect == Dialect::OkHttp => {
            Ok(Answer::Redirect { location: location.to_owned() })
        }
        _ => {
            let towards = location.map(|to| format!(" towards `{to}`")).unwrap_or_default();
            let text = quoted(&excerpt.bytes);
            let reason = format!("`{url}` answered {}{towards}{text}", parts.status);
            Err(Failure::new(kind_of(parts.status, settings.dialect), reason))
        }
    }
}

async fn wrong_type(
    headers: &HeaderMap,
    body: Incoming,
    url: &str,
    settings: &Settings,
) -> Result<Answer, Failure> {
    let excerpt = excerpt(headers, body).await;
    if excerpt.complete && excerpt.bytes.is_empty() {
        return Ok(Answer::Body(Bytes::new()));
    }
    let found = match headers.get(header::CONTENT_TYPE) {
        Some(found) => format!("the content type `{}`", found.as_bytes().escape_ascii()),
        None => "no content type".to_owned(),
    };
    let text = quoted(&excerpt.bytes);
    let reason = format!("`{url}` answered with {found} instead of `{OCTET_STREAM}`{text}");
    Err(Failure::new(hopeless(settings.dialect), reason))
}

/// Reads a body into one buffer of its own size, so that it does not keep alive the larger one that it was read from.
async fn collect(
    mut body: Incoming,
    limit: usize,
    silence: Option<Duration>,
) -> Result<Bytes, Broken> {
    let announced = body.size_hint().exact();
    if announced.is_some_and(|announced| announced > limit as u64) {
        return Err(Broken::TooLarge);
    }
    // Fits, as it is not above the limit.
    let announced = announced.unwrap_or(0) as usize;
    let mut bytes = Vec::with_capacity(announced.min(ANNOUNCED_BYTES_MAX));
    while let Some(chunk) = next_chunk(&mut body, silence).await? {
        if chunk.len() > limit - bytes.len() {
            return Err(Broken::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

async fn next_chunk(
    body: &mut Incoming,
    silence: Option<Duration>,
) -> Result<Option<Bytes>, Broken> {
    loop {
        if body.is_end_stream() {
            return Ok(None);
        }
        let frame = match silence {
            None => body.frame().await,
            Some(limit) => tokio::time::timeout(limit, body.frame())
                .await
                .map_err(|_| Broken::Silent(limit))?,
        };
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(Broken::Lost(error)),
            // Trailers have nothing to say to us.
            Some(Ok(frame)) => {
                if let Ok(chunk) = frame.into_data() {
                    return Ok(Some(chunk));
                }
            }
        }
    }
}

fn explain(broken: Broken, url: &str, limit: usize) -> Failure {
    match broken {
        Broken::TooLarge => {
            rejected(format!("`{url}` answered with more than the allowed {limit} bytes"))
        }
        Broken::Silent(limit) => {
            unavailable(format!("`{url}` fell silent for {limit:?} in the middle of its answer"))
        }
        Broken::Lost(error) => unavailable(format!(
            "`{url}` closed the connection in the middle of its answer: {}",
            chain(&error)
        )),
    }
}

struct Excerpt {
    bytes: Vec<u8>,
    complete: bool,
}

/// The first part of a body, decoded if possible. A short body is read to its end, so that its connection can be used
/// again.
async fn excerpt(headers: &HeaderMap, mut body: Incoming) -> Excerpt {
    let mut excerpt = Excerpt { bytes: Vec::new(), complete: false };
    let reading = async {
        while let Ok(chunk) = next_chunk(&mut body, None).await {
            let Some(chunk) = chunk else {
                excerpt.complete = true;
                return;
            };
            let space = EXCERPT_BYTES_MAX - excerpt.bytes.len();
            excerpt.bytes.extend_from_slice(&chunk[..chunk.len().min(space)]);
            if chunk.len() > space {
                return;
            }
        }
    };
    // Whatever has come until then is quoted.
    let _ = tokio::time::timeout(EXCERPT_WAIT, reading).await;
    match encoding(headers) {
        Some(Encoding::Identity) => {}
        Some(encoding) => {
            excerpt.bytes = decode(encoding, &excerpt.bytes, EXCERPT_BYTES_MAX).unwrap_or_default();
        }
        None => excerpt.bytes.clear(),
    }
    excerpt
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    match headers.get(header::CONTENT_ENCODING) {
        None => Some(Encoding::Identity),
        Some(value) => Encoding::parse(value.as_bytes()),
    }
}

fn is_octet_stream(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        essence.trim_ascii().eq_ignore_ascii_case(OCTET_STREAM.as_bytes())
    })
}
