//! Who may ask: no web page of another origin.
//!
//! A browser sends what any page tells it to an address on its own machine. Two headers that a page can't choose give
//! such a request away: `Origin`, and `Host`, which holds the name of the page where that name was made to point here.

use std::net::IpAddr;

use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN};

use crate::problem::{Code, Problem};

/// Refuses requests that a page of another origin has made. `loopback`: whether only this machine can reach us.
pub(crate) fn check(headers: &HeaderMap, loopback: bool) -> Result<(), Problem> {
    let host = text(headers, HOST);
    if let Some(host) = host.filter(|host| loopback && !is_local(host)) {
        return Err(refusal(
            format!("requests for the host `{host}` are not served on a loopback address"),
            "ask `localhost` or the IP address, or bind to another address with `--admin`",
        ));
    }
    match text(headers, ORIGIN) {
        Some(origin) if origin.split_once("://").map(|(_, host)| host) != host => Err(refusal(
            format!("requests from pages of `{origin}` are not served"),
            "ask without the header `Origin`, or from a page of this server",
        )),
        _ => Ok(()),
    }
}

fn refusal(error: String, hint: &str) -> Problem {
    Problem::new(Code::ForbiddenOrigin, error, hint)
}

/// What can't be read as text is not one of ours, and shown as such.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

fn is_local(host: &str) -> bool {
    let port =
        host.rfind(':').filter(|&colon| host[colon + 1..].bytes().all(|b| b.is_ascii_digit()));
    let name = &host[..port.unwrap_or(host.len())];
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.is_empty()
        || name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn allowed(host: &'static str, origin: Option<&'static str>, loopback: bool) -> bool {
        let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        check(&headers, loopback).is_ok()
    }

    #[test]
    fn a_page_of_another_origin_is_refused() {
        assert!(allowed("127.0.0.1:8181", None, true));
        assert!(allowed("localhost:8181", Some("http://localhost:8181"), true));
        assert!(!allowed("localhost:8181", Some("http://localhost:3000"), true));
        assert!(!allowed("localhost:8181", Some("null"), true));
    }

    #[test]
    fn a_foreign_name_for_loopback_is_refused() {
        for host in
            ["localhost", "LOCALHOST:1", "a.localhost", "[::1]:8181", "127.0.0.1", "10.0.0.1:1"]
        {
            assert!(allowed(host, None, true), "{host}");
        }
        for host in ["evil.example", "evil.example:8181", "localhost.evil.example"] {
            assert!(!allowed(host, None, true), "{host}");
            assert!(allowed(host, None, false), "{host}");
        }
        assert!(check(&HeaderMap::new(), true).is_ok());
    }
}
