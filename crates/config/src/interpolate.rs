//! Replaces `${NAME}` and `${NAME:-default}` in values.
//!
//! A default stands in for a variable that is unset or empty; it may itself hold references and balanced braces.
//! `$${` stands for `${`. What a variable holds is not looked at again.

use std::rc::Rc;

use crate::problem::quoted;
use crate::report::{Finding, Place, Report};
use crate::secrets;
use crate::yaml::{Content, Node, Scalar};

/// How deep defaults may be nested.
const DEFAULT_DEPTH_MAX: usize = 8;

pub(crate) struct Interpolation<'a> {
    pub(crate) environment: &'a dyn Fn(&str) -> Option<String>,
    /// How many bytes the replaced values may still take.
    pub(crate) bytes_left: usize,
}

impl Interpolation<'_> {
    /// Replaces the references in all values below `node`. What cannot be replaced is reported and becomes broken.
    pub(crate) fn node(&mut self, node: &mut Node, path: &str, report: &Report) {
        match &mut node.content {
            Content::Scalar(scalar) if scalar.text.contains("${") => {
                match self.expand(&scalar.text, 0) {
                    Ok(text) => node.content = replaced(scalar, &text),
                    Err(fault) => {
                        report.add(fault.finding(node.place, path, report));
                        node.content = Content::Broken;
                    }
                }
            }
            Content::Sequence(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(item, &format!("{path}[{index}]"), report);
                }
            }
            Content::Mapping(entries) => {
                for entry in entries {
                    self.node(&mut entry.value, &format!("{path}.{}", entry.key), report);
                }
            }
            Content::Null | Content::Scalar(_) | Content::Broken => {}
        }
    }

    fn expand(&mut self, text: &str, depth: usize) -> Result<String, Fault> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, reference) = rest.split_at(start);
            let inner = &reference[2..];
            if let Some(before) = before.strip_suffix('$') {
                expanded.push_str(before);
                expanded.push_str("${");
                rest = inner;
                continue;
            }
            expanded.push_str(before);
            let Some(end) = closing_brace(inner) else {
                return Err(Fault::new(
                    reference,
                    "is not closed",
                    "add `}`, or write `$${` for a plain `${`",
                ));
            };
            let value = self.value(&inner[..end], depth)?;
            let Some(left) = self.bytes_left.checked_sub(value.len()) else {
                let complaint = "makes the values of this file too large";
                return Err(Fault::new(&reference[..end + 3], complaint, "use a smaller value"));
            };
            self.bytes_left = left;
            expanded.push_str(&value);
            rest = &inner[end + 1..];
        }
        Ok(expanded + rest)
    }

    fn value(&mut self, reference: &str, depth: usize) -> Result<String, Fault> {
        let whole = format!("${{{reference}}}");
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        if !is_variable(name) {
            let hint = "write `${NAME}` or `${NAME:-default}`, or `$${` for a plain `${`";
            return Err(Fault::new(&whole, "is not a reference to a variable", hint));
        }
        let value = (self.environment)(name);
        match (value, default) {
            (Some(value), None) => Ok(value),
            (Some(value), Some(_)) if !value.is_empty() => Ok(value),
            (_, Some(_)) if depth >= DEFAULT_DEPTH_MAX => {
                Err(Fault::new(&whole, "has defaults nested too deep", "use fewer levels"))
            }
            (_, Some(default)) => self.expand(default, depth + 1),
            (None, None) => {
                let hint = format!(
                    "set the environment variable `{name}`, or give a default: `${{{name}:-default}}`; \
                     to switch this off write `interpolate: false` beside `spec`"
                );
                Err(Fault::new(&whole, "is not set", hint))
            }
        }
    }
}

/// A wholly replaced plain value is read as if its text had been written there: it may be a number, or nothing.
fn replaced(scalar: &Scalar, text: &str) -> Content {
    let whole = scalar
        .text
        .strip_prefix("${")
        .is_some_and(|inner| closing_brace(inner).is_some_and(|end| end + 1 == inner.len()));
    match scalar.plain && whole {
        true if text.is_empty() => Content::Null,
        plain => Content::Scalar(Scalar { text: Rc::from(text), plain }),
    }
}

fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 0;
    text.char_indices().find_map(|(index, c)| {
        match c {
            '{' => open += 1,
            '}' if open == 0 => return Some(index),
            '}' => open -= 1,
            _ => {}
        }
        None
    })
}

fn is_variable(name: &str) -> bool {
    let first = name.chars().next();
    first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// Why a reference could not be replaced.
struct Fault {
    reference: String,
    message: String,
    hint: String,
}

impl Fault {
    fn new(reference: &str, complaint: &str, hint: impl Into<String>) -> Fault {
        Fault {
            reference: reference.to_owned(),
            message: format!("{} {complaint}", quoted(reference)),
            hint: hint.into(),
        }
    }

    /// At the reference itself if it stands in the line as it is, else at the value. What looks like a reference may be a
    /// part of a secret.
    fn finding(mut self, place: Place, path: &str, report: &Report) -> Finding {
        if secrets::is_named(path) && !secrets::is_reference(&self.reference) {
            self.message = self.message.replace(&quoted(&self.reference), "`${…`");
        }
        let mut place = place;
        let line: Vec<char> = report.line(place.file, place.line).chars().collect();
        let reference: Vec<char> = self.reference.chars().collect();
        let rest = line.get(place.column - 1..).unwrap_or_default();
        if let Some(offset) = rest.windows(reference.len()).position(|window| window == reference) {
            place.column += offset;
            place.width = reference.len();
        }
        Finding::error(place, path, self.message).hint(self.hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        let environment = |name: &str| match name {
            "HOST" => Some("fn.local".to_owned()),
            "EMPTY" => Some(String::new()),
            "LITERAL" => Some("${HOST}".to_owned()),
            _ => None,
        };
        let mut interpolation = Interpolation { environment: &environment, bytes_left: 1000 };
        interpolation.expand(text, 0).map_err(|fault| fault.message)
    }

    #[test]
    fn references_are_replaced() {
        for (text, expected) in [
            ("http://${HOST}:80/{function.name}", "http://fn.local:80/{function.name}"),
            ("${HOST}${HOST}", "fn.localfn.local"),
            ("${NONE:-8080}", "8080"),
            ("${EMPTY:-8080}", "8080"),
            ("${EMPTY}", ""),
            ("${NONE:-}", ""),
            ("${NONE:-http://h/{function.name}}", "http://h/{function.name}"),
            ("${NONE:-${OTHER:-${HOST}}}", "fn.local"),
            ("$${HOST} costs $5 {}", "${HOST} costs $5 {}"),
            ("${LITERAL}", "${HOST}"),
        ] {
            assert_eq!(expanded(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_refused() {
        for (text, expected) in [
            ("${NONE}", "`${NONE}` is not set"),
            ("a ${HOST", "`${HOST` is not closed"),
            ("${}", "`${}` is not a reference to a variable"),
            ("${1+1}", "`${1+1}` is not a reference to a variable"),
        ] {
            assert_eq!(expanded(text).unwrap_err(), expected, "{text}");
        }
        let deep = format!("{}x{}", "${A:-".repeat(20), "}".repeat(20));
        assert!(expanded(&deep).unwrap_err().ends_with("has defaults nested too deep"));
    }

    #[test]
    fn what_replaced_values_take_is_limited() {
        let large = "${HOST}".repeat(200);
        assert!(expanded(&large).unwrap_err().ends_with("too large"));
    }
}
