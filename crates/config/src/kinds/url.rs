//! URL templates of endpoints, checked when they are loaded instead of when the first message is sent.

use crate::problem::quoted;
use crate::report::Wrong;
use crate::scalar::Parsed;
use crate::{Scheme, UrlTemplate};

const PLACEHOLDER: &str = "{function.name}";

pub(crate) fn url_template(text: &str) -> Parsed<UrlTemplate> {
    let example = text.replace(PLACEHOLDER, "name");
    check_characters(text, &example)?;
    let Some((scheme, rest)) = example.split_once("://") else {
        let host = text.trim_start_matches('/');
        return Err(wrong(text, "has no scheme", format!("write `http://{host}`")));
    };
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        "http+unix" | "https+unix" => Scheme::Unix,
        _ => {
            let hint = "the schemes are `http`, `https`, `http+unix` and `https+unix`";
            return Err(wrong(text, &format!("has the unknown scheme {}", quoted(scheme)), hint));
        }
    };
    match scheme {
        Scheme::Unix => check_socket(text, rest)?,
        Scheme::Http | Scheme::Https => check_authority(text, rest)?,
    }
    Ok(UrlTemplate { text: text.to_owned(), scheme })
}

/// The address of a server, without placeholders.
pub(crate) fn web_url(text: &str) -> Parsed<String> {
    if text.contains(PLACEHOLDER) {
        let complaint = format!("contains `{PLACEHOLDER}`, which only those of endpoints may");
        return Err(wrong(text, &complaint, "write the address of one server"));
    }
    match url_template(text)?.scheme {
        Scheme::Http | Scheme::Https => Ok(text.to_owned()),
        Scheme::Unix => Err(wrong(text, "names a socket", "write `http://<host>:<port>`")),
    }
}

fn check_characters(text: &str, example: &str) -> Result<(), Wrong> {
    if let Some(start) = example.find(['{', '}']) {
        let end = example[start..].find('}').map_or(example.len(), |length| start + length + 1);
        return Err(wrong(
            text,
            &format!("contains {}, which is no placeholder", quoted(&example[start..end])),
            "the only placeholder is `{function.name}`, the name of the function type",
        ));
    }
    let forbidden = |c: char| {
        !c.is_ascii()
            || c.is_ascii_control()
            || matches!(c, ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '|')
    };
    match example.chars().find(|c| forbidden(*c)) {
        Some(c) => {
            let mut utf8 = [0; 4];
            let encoded: String =
                c.encode_utf8(&mut utf8).bytes().map(|byte| format!("%{byte:02X}")).collect();
            let complaint = format!("contains {}, which a URL may not", quoted(&c.to_string()));
            Err(wrong(text, &complaint, format!("write `{encoded}` for it")))
        }
        None => Ok(()),
    }
}

fn check_authority(text: &str, rest: &str) -> Result<(), Wrong> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest[..end].rsplit_once('@').map_or(&rest[..end], |(_, host)| host);
    let (host, port) = match authority.rfind(':').filter(|colon| !authority[*colon..].contains(']'))
    {
        Some(colon) => (&authority[..colon], Some(&authority[colon + 1..])),
        None => (authority, None),
    };
    if host.is_empty() {
        return Err(wrong(text, "has no host", "write `http://<host>:<port>/<path>`"));
    }
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if !bracketed && host.contains(['[', ']', ':']) {
        let complaint = format!("has the invalid host {}", quoted(host));
        return Err(wrong(
            text,
            &complaint,
            "write an IPv6 address in brackets: `http://[::1]:8000/`",
        ));
    }
    match port {
        Some(port) if port.parse::<u16>().is_err() => {
            let complaint = format!("has the invalid port {}", quoted(port));
            Err(wrong(text, &complaint, "write a port from 1 to 65535"))
        }
        _ => Ok(()),
    }
}

/// The path up to the first element that ends in `.sock` is the socket.
fn check_socket(text: &str, rest: &str) -> Result<(), Wrong> {
    if !rest.starts_with('/') {
        let hint = "write three slashes: `http+unix:///path/to/functions.sock/endpoint`";
        return Err(wrong(text, "must not have a host", hint));
    }
    match rest.split('/').any(|element| element.ends_with(".sock")) {
        true => Ok(()),
        false => {
            let hint = "write `http+unix:///path/to/functions.sock/endpoint`";
            Err(wrong(text, "names no socket: its path should contain a `.sock` file", hint))
        }
    }
}

fn wrong(text: &str, complaint: &str, hint: impl Into<String>) -> Wrong {
    Wrong::new(format!("the URL {} {complaint}", quoted(text)), hint)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_of_functions_are_accepted() {
        for (text, scheme) in [
            ("http://localhost:8000/statefun", Scheme::Http),
            ("https://{function.name}.example.com/{function.name}?tenant=a", Scheme::Https),
            ("HTTP://bar.foo.com", Scheme::Http),
            ("http://[::1]:8000/", Scheme::Http),
            ("http://user:secret@host/a%20b", Scheme::Http),
            ("http+unix:///run/functions.sock/endpoint", Scheme::Unix),
            ("https+unix:///run/{function.name}.sock", Scheme::Unix),
        ] {
            assert_eq!(url_template(text).map(|url| url.scheme), Ok(scheme), "{text}");
        }
    }

    #[test]
    fn what_no_request_could_be_sent_to_is_refused() {
        for (text, complaint) in [
            ("localhost:8000/statefun", "has no scheme"),
            ("", "has no scheme"),
            ("ftp://host/", "has the unknown scheme `ftp`"),
            ("http:///statefun", "has no host"),
            ("http://:8000/", "has no host"),
            ("http://host:80000/", "has the invalid port `80000`"),
            ("http://host:/", "has the invalid port ``"),
            ("http://::1/", "has the invalid host `:`"),
            (
                "http://host/{function.namespace}/{function.name}",
                "contains `{function.namespace}`, which is no placeholder",
            ),
            ("http://host/{", "contains `{`, which is no placeholder"),
            ("http://host/}a{", "contains `}`, which is no placeholder"),
            ("http://host/a b", "contains ` `, which a URL may not"),
            ("http://bücher/", "contains `ü`, which a URL may not"),
            ("http+unix://host/a.sock", "must not have a host"),
            (
                "http+unix:///run/functions",
                "names no socket: its path should contain a `.sock` file",
            ),
        ] {
            let message = url_template(text).unwrap_err().message;
            assert_eq!(message, format!("the URL `{text}` {complaint}"));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,30}|(http|https|http\\+unix)://[a-z:\\[\\]/@{}.#?0-9]{0,20}") {
            let _ = url_template(&text);
        }
    }
}
