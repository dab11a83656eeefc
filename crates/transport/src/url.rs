//! URLs as they occur in endpoint templates and redirects, taken apart for calling.

use std::path::PathBuf;

use hyper::Uri;

/// A URL that can be called.
#[derive(Debug)]
pub(crate) struct Url {
    /// As it was given, for people.
    pub(crate) text: String,
    pub(crate) place: Place,
    /// The value of the `Host` header: without the port where it is the scheme's own.
    pub(crate) host: String,
    /// Path and query, never empty.
    pub(crate) path: String,
    /// What stands before the path.
    root: String,
}

/// Where connections go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp(HostPort),
    Tls(HostPort),
    Unix(PathBuf),
}

/// IPv6 addresses are without brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Tcp(HostPort { host, port }) | Place::Tls(HostPort { host, port }) => {
                write!(f, "{host}:{port}")
            }
            Place::Unix(path) => path.display().fmt(f),
        }
    }
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Url, String> {
        // The parser below would let them pass, but they are no part of a URL: a placeholder is misspelt.
        if text.contains(['{', '}']) {
            return Err("the only placeholder is `{function.name}`".to_owned());
        }
        for scheme in ["http+unix://", "https+unix://"] {
            if let Some(rest) = strip_prefix_ignoring_case(text, scheme) {
                return Url::parse_unix(text, rest);
            }
        }
        let uri: Uri =
            text.parse().map_err(|error: hyper::http::uri::InvalidUri| error.to_string())?;
        let (default_port, place): (u16, fn(HostPort) -> Place) = match uri.scheme_str() {
            Some("http") => (80, Place::Tcp),
            Some("https") => (443, Place::Tls),
            Some(other) => return Err(format!("the scheme `{other}` is not supported")),
            None => return Err("it has no scheme; hint: begin it with `http://`".to_owned()),
        };
        let authority = uri.authority().ok_or("it has no host")?.as_str();
        let host_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("it has no host")?;
        let port = match host_port[host.len()..].strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| format!("`{port}` is not a port"))?,
            None => default_port,
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Url {
            text: text.to_owned(),
            place: place(HostPort { host: bare, port }),
            host: if port == default_port { host.to_owned() } else { format!("{host}:{port}") },
            path,
            root: format!("{}://{host_port}", uri.scheme_str().unwrap_or_default()),
        })
    }

    /// `rest` begins with the path of the socket; the first element that ends in `.sock` ends it.
    fn parse_unix(text: &str, rest: &str) -> Result<Url, String> {
        let rest = rest.split('#').next().unwrap_or_default();
        let (path, query) = rest.split_once('?').map_or((rest, None), |(p, q)| (p, Some(q)));
        let end = path
            .match_indices(".sock")
            .map(|(start, suffix)| start + suffix.len())
            .find(|end| path[*end..].is_empty() || path[*end..].starts_with('/'))
            .ok_or("no element of its path ends in `.sock`")?;
        let (socket, rest) = path.split_at(end);
        let mut path = if rest.is_empty() { "/".to_owned() } else { rest.to_owned() };
        if let Some(query) = query {
            path = format!("{path}?{query}");
        }
        path.parse::<Uri>().map_err(|error| error.to_string())?;
        Ok(Url {
            text: text.to_owned(),
            place: Place::Unix(socket.into()),
            host: "localhost".to_owned(),
            path,
            root: format!("http+unix://{socket}"),
        })
    }

    /// Where a `Location` header points to that came from this URL.
    pub(crate) fn join(&self, location: &str) -> Result<Url, String> {
        let absolute = ["http://", "https://"]
            .iter()
            .any(|scheme| strip_prefix_ignoring_case(location, scheme).is_some());
        if absolute {
            return Url::parse(location);
        }
        let path = self.path.split('?').next().unwrap_or_default();
        let root = &self.root;
        Url::parse(&if location.starts_with("//") {
            format!("{}:{location}", root.split(':').next().unwrap_or_default())
        } else if location.starts_with('/') {
            format!("{root}{location}")
        } else if location.starts_with('?') {
            format!("{root}{path}{location}")
        } else {
            format!("{root}{}{location}", &path[..=path.rfind('/').unwrap_or(0)])
        })
    }
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, place: &str, host: &str, path: &str) {
        let url = Url::parse(text).unwrap();
        assert_eq!(
            (url.place.to_string().as_str(), url.host.as_str(), url.path.as_str()),
            (place, host, path),
            "{text}"
        );
    }

    #[test]
    fn urls_are_taken_apart() {
        check("http://a", "a:80", "a", "/");
        check("HTTP://a:80/x", "a:80", "a", "/x");
        check("https://a:80/x", "a:80", "a:80", "/x");
        check("https://a:443/x/y?b=c&d#e", "a:443", "a", "/x/y?b=c&d");
        check("http://a?b=c", "a:80", "a", "/?b=c");
        check("http://user:pw@a:8000/x", "a:8000", "a:8000", "/x");
        check("http://[::1]:8000/x", "::1:8000", "[::1]:8000", "/x");
    }

    #[test]
    fn the_first_element_that_ends_in_sock_is_the_socket() {
        check("http+unix:///run/x.sock", "/run/x.sock", "localhost", "/");
        check("https+unix:///x.sock/a/b.sock?q", "/x.sock", "localhost", "/a/b.sock?q");
        check("http+unix:///a.socks/x.sock/rest", "/a.socks/x.sock", "localhost", "/rest");
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for bad in [
            "",
            "/x",
            "a/x",
            "ftp://a",
            "http://",
            "http://a b/",
            "http://a:99999/",
            "http://a/{x}",
            "http+unix:///x/y",
            "http+unix:///{x}.sock",
            "http+unix:///x.sock/a b",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn locations_are_relative_to_the_url() {
        let base = Url::parse("https://a:8443/x/y?z").unwrap();
        for (location, expected) in [
            ("http://b/c", "http://b/c"),
            ("//b/c", "https://b/c"),
            ("/c?d", "https://a:8443/c?d"),
            ("c", "https://a:8443/x/c"),
            ("?d", "https://a:8443/x/y?d"),
        ] {
            assert_eq!(base.join(location).unwrap().text, expected, "{location}");
        }
        let socket = Url::parse("http+unix:///x.sock/y").unwrap();
        assert_eq!(socket.join("/z").unwrap().text, "http+unix:///x.sock/z");
    }
}
