//! `sasl.jaas.config`: who we are, in the syntax of Java's login modules.
//!
//! ```text
//! org.apache.kafka.common.security.plain.PlainLoginModule required username="ada" password="secret";
//! ```

use std::iter::Peekable;
use std::str::Chars;

/// Who we are.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: String,
}

/// What is wrong, and what to do. Never shows what was given.
pub(super) type Problem = (String, String);

const FORM: &str = "write `org.apache.kafka.common.security.plain.PlainLoginModule required username=\"…\" password=\"…\";`";

pub(super) fn login(text: &str) -> Result<Login, Problem> {
    let mut words = Words(text.chars().peekable());
    let module = words.next().ok_or_else(|| malformed("it is empty"))?;
    let name = module.rsplit('.').next().unwrap_or_default();
    if !matches!(name, "PlainLoginModule" | "ScramLoginModule") {
        return Err((
            format!("names the login module `{name}`, which only Java has"),
            "use `PlainLoginModule` or `ScramLoginModule`, or set `sasl.username` and `sasl.password`"
                .to_owned(),
        ));
    }
    // `required`, which is all that makes sense.
    words.next();
    let (mut username, mut password) = (None, None);
    while let Some(option) = words.next() {
        match option.as_str() {
            ";" => break,
            "username" => username = Some(words.value()?),
            "password" => password = Some(words.value()?),
            _ => drop(words.value()?),
        }
    }
    Ok(Login {
        username: username.ok_or_else(|| malformed("it has no `username`"))?,
        password: password.ok_or_else(|| malformed("it has no `password`"))?,
    })
}

fn malformed(why: &str) -> Problem {
    (format!("cannot be read: {why}"), FORM.to_owned())
}

/// Words, texts in quotes, and the signs `=` and `;`.
struct Words<'a>(Peekable<Chars<'a>>);

impl Words<'_> {
    fn value(&mut self) -> Result<String, Problem> {
        match self.next().as_deref() {
            Some("=") => self.next().ok_or_else(|| malformed("it ends behind a `=`")),
            _ => Err(malformed("an option has no value")),
        }
    }

    fn quoted(&mut self, quote: char) -> String {
        let mut text = String::new();
        while let Some(next) = self.0.next() {
            match next {
                '\\' => text.extend(self.0.next()),
                _ if next == quote => break,
                _ => text.push(next),
            }
        }
        text
    }
}

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        while self.0.next_if(|next| next.is_whitespace()).is_some() {}
        match self.0.next()? {
            quote @ ('"' | '\'') => Some(self.quoted(quote)),
            sign @ ('=' | ';') => Some(sign.to_string()),
            first => {
                let mut word = String::from(first);
                while let Some(next) =
                    self.0.next_if(|next| !next.is_whitespace() && !matches!(next, '=' | ';'))
                {
                    word.push(next);
                }
                Some(word)
            }
        }
    }
}
