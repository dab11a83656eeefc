//! Signature version 4: proves that a request comes from the owner of a key, without showing the key.
//!
//! Only what Kinesis needs: no query, no path but `/`, a body that is there as a whole.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::credentials::Key;
use crate::time;

/// What is signed.
pub(crate) struct Unsigned<'r> {
    pub(crate) method: &'r str,
    /// Names in lower case, in the order of the alphabet; among them `host` and what `Signer` says.
    pub(crate) headers: &'r [(&'r str, &'r str)],
    pub(crate) body: &'r [u8],
}

/// For which place and time.
pub(crate) struct Scope<'s> {
    pub(crate) region: &'s str,
    pub(crate) service: &'s str,
    /// Milliseconds since the Unix epoch; the header `x-amz-date` must say the same.
    pub(crate) at: i64,
}

/// The value of the header `authorization`.
pub(crate) fn authorization(key: &Key, scope: &Scope<'_>, request: &Unsigned<'_>) -> String {
    let time = time::basic(scope.at);
    let date = &time[..8];
    let place = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let names: Vec<_> = request.headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let hash = hex(&Sha256::digest(canonical(request, &names)));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{place}\n{hash}");
    let first = format!("AWS4{}", key.secret_access_key);
    let parts = [date, scope.region, scope.service, "aws4_request", &text];
    let signature = parts.iter().fold(first.into_bytes(), |key, part| mac(&key, part));
    format!(
        "AWS4-HMAC-SHA256 Credential={}/{place}, SignedHeaders={names}, Signature={}",
        key.access_key_id,
        hex(&signature)
    )
}

fn canonical(request: &Unsigned<'_>, names: &str) -> String {
    let mut text = format!("{}\n/\n\n", request.method);
    for (name, value) in request.headers {
        let _ = writeln!(text, "{name}:{}", value.trim());
    }
    let _ = write!(text, "\n{names}\n{}", hex(&Sha256::digest(request.body)));
    text
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the test suite that AWS has published.
    fn check(method: &str, headers: &[(&str, &str)], body: &str, signature: &str) {
        let key = Key {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
            expires: None,
        };
        let at = time::parse_extended("2015-08-30T12:36:00Z").unwrap();
        let scope = Scope { region: "us-east-1", service: "service", at };
        let request = Unsigned { method, headers, body: body.as_bytes() };
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders={}, Signature={signature}",
            names.join(";")
        );
        assert_eq!(authorization(&key, &scope, &request), expected);
    }

    const HOST: (&str, &str) = ("host", "example.amazonaws.com");
    const DATE: (&str, &str) = ("x-amz-date", "20150830T123600Z");

    #[test]
    fn get_vanilla() {
        let signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        check("GET", &[HOST, DATE], "", signature);
    }

    #[test]
    fn post_vanilla() {
        let signature = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
        check("POST", &[HOST, DATE], "", signature);
    }

    #[test]
    fn get_vanilla_with_session_token() {
        let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
        let signature = "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8";
        check("GET", &[HOST, DATE, ("x-amz-security-token", token)], "", signature);
    }

    #[test]
    fn post_x_www_form_urlencoded() {
        let hash = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";
        let headers = [
            ("content-length", "13"),
            ("content-type", "application/x-www-form-urlencoded"),
            HOST,
            ("x-amz-content-sha256", hash),
            DATE,
        ];
        let signature = "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b";
        check("POST", &headers, "Param1=value1", signature);
    }
}
