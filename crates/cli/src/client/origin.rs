//! Where a server is, as it is written on a command line.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;

/// A server: `http://host:port`, or `https://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) is_tls: bool,
    /// As in a URL: an IPv6 address stands in brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

#[derive(Debug, thiserror::Error)]
#[error("an address is http://HOST:PORT or https://HOST:PORT, such as `http://127.0.0.1:8181`")]
pub(crate) struct InvalidOrigin;

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Origin, InvalidOrigin> {
        match text.parse() {
            Ok(Url { origin, path }) if path == "/" => Ok(origin),
            _ => Err(InvalidOrigin),
        }
    }
}

impl Origin {
    /// What a request says in its `Host`.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The host alone, to look it up.
    pub(crate) fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// A server, and a path with its query there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) origin: Origin,
    pub(crate) path: String,
}

#[derive(Debug, thiserror::Error)]
#[error("a URL is such as `http://localhost:8000/statefun`")]
pub(crate) struct InvalidUrl;

impl FromStr for Url {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Url, InvalidUrl> {
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = text.parse().map_err(|_| InvalidUrl)?;
        let (is_tls, usual_port) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            _ => return Err(InvalidUrl),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(InvalidUrl)?;
        let port = match (uri.port_u16(), uri.authority()) {
            (Some(port), Some(authority)) if !authority.as_str().contains('@') => port,
            (None, Some(authority)) if authority == host => usual_port,
            _ => return Err(InvalidUrl),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Url { origin: Origin { is_tls, host: host.to_owned(), port }, path })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_a_scheme_a_host_and_a_port() {
        for (text, origin) in [
            ("127.0.0.1:8181", "http://127.0.0.1:8181"),
            ("http://localhost", "http://localhost:80"),
            ("http://[::1]:81/", "http://[::1]:81"),
            ("https://engine.example.com", "https://engine.example.com:443"),
        ] {
            assert_eq!(
                text.parse::<Origin>().map(|it| it.to_string()).ok().as_deref(),
                Some(origin)
            );
        }
        for text in ["", "ftp://h", "http://h/path", "http://h?x=1", "http://user@h", "http://h:x"]
        {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn urls_have_a_path_too() {
        for (text, url) in [
            ("localhost:8000/statefun", "http://localhost:8000/statefun"),
            ("https://h/a?b=c", "https://h:443/a?b=c"),
            ("http://h", "http://h:80/"),
        ] {
            assert_eq!(text.parse::<Url>().map(|it| it.to_string()).ok().as_deref(), Some(url));
        }
    }
}
