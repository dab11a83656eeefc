//! What must not be shown: values whose names say that they are secrets. Messages show lines of the configuration, and
//! end in logs and tickets.

use std::collections::BTreeMap;
use std::fmt;

const WORDS: &[&str] = &[
    "password",
    "passphrase",
    "secret",
    "token",
    "jaas",
    "userinfo",
    "keypem",
    "authorization",
    "apikey",
];

/// Whether this is the name of a secret, or a path that contains one.
pub(crate) fn is_named(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let folded: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    WORDS.iter().any(|word| folded.contains(word))
        // Kafka's `ssl.keystore.key` holds a private key; those that end in `_key` are names of files.
        || name.ends_with(".key")
}

/// `${NAME}`, which gives nothing away.
pub(crate) fn is_reference(value: &str) -> bool {
    let name = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
    })
}

/// A line with stars for the values of secrets, as long as it was. From lines alone one can't tell everything, so
/// rather too much is hidden.
pub(crate) fn masked(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(separator) = rest.find([':', '=']) {
        let (name, value) = rest.split_at(separator + 1);
        shown.push_str(name);
        rest = value;
        if is_named(last_word(&name[..separator])) {
            let length = value_length(value);
            shown.extend(value[..length].chars().map(|c| if c == ' ' { c } else { '*' }));
            rest = &value[length..];
        }
    }
    shown + rest
}

/// The name that ends a text, without its quotes.
fn last_word(text: &str) -> &str {
    let text = text.trim_end().trim_end_matches(['"', '\'', '\\']);
    let start = text.rfind(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
    &text[start.map_or(0, |start| start + text[start..].chars().next().map_or(1, char::len_utf8))..]
}

/// How much of the rest of a line belongs to a value: up to its closing quote, or all; nothing of a reference.
fn value_length(value: &str) -> usize {
    let trimmed = value.trim_start();
    let start = value.len() - trimmed.len();
    let reference = trimmed.find('}').is_some_and(|end| is_reference(&trimmed[..=end]));
    if reference || trimmed.starts_with('{') {
        return start;
    }
    match trimmed.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        Some(quote) => trimmed[1..].find(quote).map_or(value.len(), |end| start + 1 + end + 1),
        None => value.len(),
    }
}

/// Properties with stars for the values of secrets.
pub(crate) struct Shown<'p>(pub(crate) &'p BTreeMap<String, String>);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |name, value| if is_named(name) { "***" } else { value };
        f.debug_map()
            .entries(self.0.iter().map(|(name, value)| (name, shown(name, value))))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_of_secrets_are_hidden() {
        for (line, expected) in [
            ("  secretAccessKey: abc/+=", "  secretAccessKey: ******"),
            ("- ssl.key.password: 'a b' # c", "- ssl.key.password: ** ** # c"),
            (
                "{ type: basic, secretAccessKey: \"x\", accessKeyId: A }",
                "{ type: basic, secretAccessKey: ***, accessKeyId: A }",
            ),
            ("{ secretAccessKey: x, accessKeyId: A }", "{ secretAccessKey: ** ************ * *"),
            ("\"secretAccessKey\": \"x\"", "\"secretAccessKey\": ***"),
            ("secretAccessKey: ${AWS_SECRET} # c", "secretAccessKey: ${AWS_SECRET} # c"),
            ("secretAccessKey: ${AWS_SECRET:-x}", "secretAccessKey: ****************"),
            (
                "  required username=\"u\" password=\"p\";",
                "  required username=\"u\" password=***;",
            ),
            ("awsCredentials: { type: basic }", "awsCredentials: { type: basic }"),
            ("key: /user", "key: /user"),
            ("client_key: key.pem", "client_key: key.pem"),
            ("ssl.keystore.key: ABC", "ssl.keystore.key: ***"),
            ("é=: password", "é=: password"),
        ] {
            assert_eq!(masked(line), expected);
        }
    }

    proptest! {
        #[test]
        fn a_line_keeps_its_length(line in "\\PC{0,40}|([a-z ]|password|[:='\"${}]){0,20}") {
            prop_assert_eq!(masked(&line).chars().count(), line.chars().count());
        }
    }
}
