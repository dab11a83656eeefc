//! The dashboard: files of `dashboard/` at the root of the repository, which a browser runs as they are. There is no build
//! step, so what is served is always what the sources say.
//!
//! They hold no secrets and are served without a token; what they show comes from the API, which wants one.

use std::hash::Hasher;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, StatusCode};

use crate::answers::Response;

/// Only what this server serves runs and is asked, nothing stands in the page itself, and nobody shows it in a frame of theirs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// A file, and where it is served.
struct File {
    path: &'static str,
    bytes: &'static [u8],
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(File {
            path: concat!("/dashboard/", $name),
            bytes: include_bytes!(concat!("../../../../dashboard/", $name)),
        }),*]
    };
}

static INDEX: &[u8] = include_bytes!("../../../../dashboard/index.html");

static FILES: [File; 20] = files![
    "api.js",
    "app.js",
    "charts.js",
    "dom.js",
    "format.js",
    "graph.js",
    "icon.svg",
    "live.js",
    "style.css",
    "theme.js",
    "ui.js",
    "views/deadletters.js",
    "views/endpoints.js",
    "views/engine.js",
    "views/epochs.js",
    "views/functions.js",
    "views/instances.js",
    "views/map.js",
    "views/overview.js",
    "views/streams.js",
];

/// Answers a request for a part of the dashboard; none if it is for something else.
pub(crate) fn answer(method: &Method, path: &str, headers: &HeaderMap) -> Option<Response> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let bytes = match path {
        "/" => INDEX,
        _ => FILES.iter().find(|file| file.path == path)?.bytes,
    };
    let tag = tag(bytes);
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|known| is(known, &tag)));
    let mut response = Response::new(Full::new(Bytes::from_static(bytes)));
    if is_known {
        *response.body_mut() = Full::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let tag = HeaderValue::from_str(&tag).expect("hexadecimal digits in quotes");
    response.headers_mut().insert(ETAG, tag);
    let fixed: [(HeaderName, &'static str); 5] = [
        (CONTENT_TYPE, content_type(path)),
        // Always asked for again, and sent only if it is another: a new version shows at once.
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Some(response)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/html; charset=utf-8",
    }
}

/// What changes with the bytes. Proxies that compress make it a weak one.
fn is(known: &str, tag: &str) -> bool {
    let known = known.trim();
    known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
}

/// Names the bytes. The hash need not withstand anybody: whoever could choose the bytes has chosen the program.
fn tag(bytes: &[u8]) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(bytes);
    format!("\"{:016x}\"", hasher.finish())
}

#[cfg(test)]
mod tests;
