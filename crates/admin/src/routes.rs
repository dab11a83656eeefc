//! The table of routes.

use hyper::Method;

use crate::path::decode;
use crate::problem::Problem;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Health,
    Ready,
    Status,
    States,
    DeadLetters,
    DeadLetter,
    Redrive,
    Discard,
    Resume,
}

/// All that is served: `{name}` stands for one segment of the path, which is decoded and becomes an argument.
const ROUTES: &[(Method, &str, Operation)] = &[
    (Method::GET, "/health", Operation::Health),
    (Method::GET, "/ready", Operation::Ready),
    (Method::GET, "/v1/status", Operation::Status),
    (Method::GET, "/v1/state/{namespace}/{type}/{id}", Operation::States),
    (Method::GET, "/v1/deadletters", Operation::DeadLetters),
    (Method::GET, "/v1/deadletters/{id}", Operation::DeadLetter),
    (Method::POST, "/v1/deadletters/{id}/redrive", Operation::Redrive),
    (Method::DELETE, "/v1/deadletters/{id}", Operation::Discard),
    (Method::POST, "/v1/addresses/{namespace}/{type}/{id}/resume", Operation::Resume),
];

/// Finds what a request asks for, and the arguments in its path. `HEAD` is served wherever `GET` is.
pub(crate) fn find(method: &Method, path: &str) -> Result<(Operation, Vec<String>), Problem> {
    let wanted = if method == Method::HEAD { &Method::GET } else { method };
    let mut allowed = Vec::new();
    for (served, pattern, operation) in ROUTES {
        let Some(arguments) = arguments(pattern, path) else { continue };
        if served == wanted {
            let arguments = arguments.into_iter().map(decode).collect::<Result<_, _>>()?;
            return Ok((*operation, arguments));
        }
        allowed.push(served.as_str());
        if served == Method::GET {
            allowed.push("HEAD");
        }
    }
    if allowed.is_empty() {
        return Err(Problem::not_found(
            format!("there is nothing at `{path}`"),
            "start at /v1/status; in an id, a slash is written as %2F",
        ));
    }
    Err(Problem::method_not_allowed(method, allowed.join(", ")))
}

/// The segments that stand for `{name}`s, if the path fits.
fn arguments<'a>(pattern: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let mut arguments = Vec::new();
    let mut segments = path.split('/');
    for wanted in pattern.split('/') {
        let segment = segments.next()?;
        if wanted.starts_with('{') {
            arguments.push(segment);
        } else if wanted != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, path: &str, operation: Operation, arguments: &[&str]) {
        let found = find(&method, path).unwrap();
        assert_eq!(found, (operation, arguments.iter().map(|&text| text.into()).collect()));
    }

    #[test]
    fn requests_find_their_operation() {
        check(Method::GET, "/health", Operation::Health, &[]);
        check(Method::HEAD, "/ready", Operation::Ready, &[]);
        check(Method::GET, "/v1/state/a.b/c/d%2Fe", Operation::States, &["a.b", "c", "d/e"]);
        check(Method::GET, "/v1/state/a/b/", Operation::States, &["a", "b", ""]);
        check(Method::GET, "/v1/deadletters/1-2", Operation::DeadLetter, &["1-2"]);
        check(Method::DELETE, "/v1/deadletters/1-2", Operation::Discard, &["1-2"]);
        check(Method::POST, "/v1/addresses/a/b/c/resume", Operation::Resume, &["a", "b", "c"]);
    }

    #[test]
    fn other_requests_find_nothing() {
        for path in ["/", "", "/v1", "/health/", "/v1/state/a/b", "/v1/state/a/b/c/d", "*"] {
            assert!(find(&Method::GET, path).is_err(), "{path}");
        }
        assert!(find(&Method::POST, "/health").is_err());
        assert!(find(&Method::GET, "/v1/deadletters/%").is_err());
    }
}
