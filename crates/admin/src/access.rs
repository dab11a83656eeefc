//! Who may ask: whoever has the token, if there is one.

use std::hint::black_box;

use hyper::header::{AUTHORIZATION, HeaderMap};

use crate::problem::{Code, Problem};

/// The shortest token, in bytes.
pub const TOKEN_BYTES_MIN: usize = 16;

/// A secret that requests must carry.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Why a text is not a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It is so short that it could be guessed.
    #[error(
        "the admin token has fewer than {TOKEN_BYTES_MIN} characters; hint: `openssl rand -hex 32` makes one"
    )]
    Short,
    /// It can't be sent in a header.
    #[error(
        "the admin token has spaces or characters beyond ASCII; hint: `openssl rand -hex 32` makes one"
    )]
    Characters,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// Takes a text as a token, without what is blank around it.
    ///
    /// # Errors
    /// If it is short, or can't be sent in a header.
    pub fn new(text: &str) -> Result<Token, InvalidToken> {
        let text = text.trim();
        if text.len() < TOKEN_BYTES_MIN {
            return Err(InvalidToken::Short);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidToken::Characters);
        }
        Ok(Token(text.to_owned()))
    }

    /// Whether a text is the token. Takes as long for every text of its length.
    fn is(&self, text: &str) -> bool {
        let (own, other) = (self.0.as_bytes(), text.as_bytes());
        let differing =
            own.iter().zip(other).fold(0, |differing, (a, b)| black_box(differing | (a ^ b)));
        own.len() == other.len() && differing == 0
    }
}

/// Refuses requests without the token.
pub(crate) fn check(headers: &HeaderMap, token: Option<&Token>) -> Result<(), Problem> {
    let Some(token) = token else { return Ok(()) };
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|text| text.split_once(' '));
    match given {
        Some((scheme, given))
            if scheme.eq_ignore_ascii_case("bearer") && token.is(given.trim()) =>
        {
            Ok(())
        }
        given => Err(Problem::new(
            Code::Unauthorized,
            if given.is_some() { "the token is wrong" } else { "the token is missing" },
            "send it as `Authorization: Bearer <token>`; it is what the engine was started with",
        )),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn is_let_in(authorization: Option<&'static str>) -> bool {
        let value = authorization.map(HeaderValue::from_static);
        let headers = value.into_iter().map(|value| (AUTHORIZATION, value)).collect();
        check(&headers, Some(&Token::new(TOKEN).unwrap())).is_ok()
    }

    #[test]
    fn only_the_token_opens() {
        assert!(is_let_in(Some("Bearer 0123456789abcdef")));
        assert!(is_let_in(Some("bearer 0123456789abcdef")));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer 0123456789abcdeg",
            "Bearer 0123456789abcdef0",
            "Basic 0123456789abcdef",
        ] {
            assert!(!is_let_in(Some(wrong)), "{wrong}");
        }
        assert!(!is_let_in(None));
        assert!(check(&HeaderMap::new(), None).is_ok());
    }

    #[test]
    fn a_token_is_long_and_can_be_sent() {
        assert_eq!(Token::new("  short\n"), Err(InvalidToken::Short));
        assert_eq!(Token::new("0123456789 abcdef"), Err(InvalidToken::Characters));
        assert_eq!(Token::new("0123456789ä123456789"), Err(InvalidToken::Characters));
        assert!(Token::new(" 0123456789abcdef\n").is_ok());
    }
}
