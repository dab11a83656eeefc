//! Dead letters, as the admin API shows them.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use statera_protocol::{OwnedRequest, decode_request};

use crate::http::Client;

/// A dead letter with everything that is known about it.
#[derive(Clone, Debug)]
pub struct DeadLetter(Value);

/// All dead letters, in the order of their ids.
///
/// # Panics
/// If the admin API does not answer, or there is more than one page of them.
#[must_use]
pub fn dead_letters(admin: SocketAddr) -> Vec<DeadLetter> {
    let mut client = Client::new(admin);
    let mut get = |path: &str| {
        let response = client.request("GET", path, &[], b"").expect("the admin API answers");
        response.expect(200).json()
    };
    let page = get("/v1/deadletters");
    assert_eq!(page.get("next"), None, "tests make few dead letters");
    let letters = page["deadLetters"].as_array().expect("a list").iter();
    let id = |letter: &Value| letter["id"].as_str().expect("an id").to_owned();
    letters.map(|letter| DeadLetter(get(&format!("/v1/deadletters/{}", id(letter))))).collect()
}

impl DeadLetter {
    /// Its id.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0["id"].as_str().expect("an id")
    }

    /// Who should have processed it, `namespace/name/id`; empty for a record of a source.
    #[must_use]
    pub fn target(&self) -> &str {
        self.0["target"].as_str().unwrap_or_default()
    }

    /// Why it was given up.
    ///
    /// # Panics
    /// If there is no reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.0["reason"].as_str().expect("a reason")
    }

    /// The bytes of the request, exactly as they were sent.
    ///
    /// # Panics
    /// If the function was never invoked.
    #[must_use]
    pub fn request_bytes(&self) -> Vec<u8> {
        STANDARD.decode(self.0["request"].as_str().expect("a request")).expect("base64")
    }

    /// The request.
    ///
    /// # Panics
    /// If the function was never invoked.
    #[must_use]
    pub fn request(&self) -> OwnedRequest {
        decode_request(self.request_bytes().into()).expect("the engine had encoded it")
    }
}
