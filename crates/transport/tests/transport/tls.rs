//! Certificates: trusted or not, shown or not, encrypted or not; and HTTP/2, which needs TLS.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use pkcs8::der::asn1::OctetString;
use pkcs8::pkcs5::{EncryptionScheme, pbes2};
use pkcs8::{EncryptedPrivateKeyInfoOwned, LineEnding, SecretDocument};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use statera_config::{AsyncTransport, ClientCertificate, Tls, Transport};
use statera_model::FailureKind;
use statera_transport::{HttpClient, TransportError};
use tempfile::TempDir;

use crate::server::*;

/// An authority, and files signed by it.
struct Authority {
    folder: TempDir,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Authority {
            folder,
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A server for `name` that speaks `protocols`; if `mutual`, only with those that have a certificate of ours.
    fn server(&self, name: &str, protocols: &[&str], mutual: bool) -> ServerConfig {
        let (certificate, key) = self.sign(name);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if mutual {
            let mut roots = RootCertStore::empty();
            roots.add(self.certificate.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn trusted(&self) -> Tls {
        Tls { trust_cacerts: Some(self.folder.path().join("ca.pem")), client: None }
    }
}

fn transport(tls: Tls) -> Transport {
    Transport::Async(AsyncTransport { tls, ..async_settings() })
}

#[test]
fn a_trusted_server_is_called() {
    run(async {
        let authority = Authority::new();
        for name in ["localhost", "127.0.0.1"] {
            let server = Server::echo();
            let port = server.tls(authority.server(name, &[], false)).await.port();
            let client = client(&format!("https://{name}:{port}/"), transport(authority.trusted()));
            assert_eq!(call(&client, "hello").await.unwrap(), "hello");
            assert_eq!(call(&client, "hello").await.unwrap(), "hello");
            assert_eq!(server.accepted(), 1);
        }
    });
}

#[test]
fn an_unknown_authority_is_not_trusted() {
    run(async {
        let port =
            Server::echo().tls(Authority::new().server("localhost", &[], false)).await.port();
        let other = Authority::new();
        for tls in [Tls::default(), other.trusted()] {
            let client = client(&format!("https://localhost:{port}/"), transport(tls));
            check_failure(&client, FailureKind::Unavailable, &["certificate"]).await;
        }
    });
}

#[test]
fn a_certificate_for_another_name_is_not_trusted() {
    run(async {
        let authority = Authority::new();
        let port = Server::echo().tls(authority.server("other.test", &[], false)).await.port();
        let client = client(&format!("https://localhost:{port}/"), transport(authority.trusted()));
        check_failure(&client, FailureKind::Unavailable, &["certificate", "other.test"]).await;
    });
}

#[test]
fn the_async_transport_stays_with_http1() {
    run(async {
        let authority = Authority::new();
        let server = Server::new(async |seen| octets(format!("{:?}", seen.parts.version)));
        let config = authority.server("localhost", &["h2", "http/1.1"], false);
        let port = server.tls(config).await.port();
        let client = client(&format!("https://localhost:{port}/"), transport(authority.trusted()));
        assert_eq!(call(&client, "hello").await.unwrap(), "HTTP/1.1");
    });
}

fn okhttp_client(url: &str, authority: &Authority) -> HttpClient {
    HttpClient::with_tls(&endpoint(url, okhttp()), &authority.trusted()).unwrap()
}

#[test]
fn okhttp_shares_one_http2_connection() {
    run(async {
        let authority = Authority::new();
        let seen = Log::<Seen>::default();
        let log = seen.clone();
        let server = Server::new(move |seen| {
            let answer = octets(seen.body.clone());
            log.borrow_mut().push(seen);
            async { answer }
        });
        let config = authority.server("localhost", &["h2", "http/1.1"], false);
        let port = server.tls(config).await.port();
        let client = okhttp_client(&format!("https://localhost:{port}/a?b"), &authority);
        let calls: Vec<_> = (0..200)
            .map(|_| {
                let client = client.clone();
                tokio::task::spawn_local(async move { call(&client, "hello").await })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), "hello");
        }
        assert_eq!(server.accepted(), 1);
        let statistics = client.statistics();
        assert_eq!((statistics.connections_made, statistics.in_flight), (1, 0));
        let seen = seen.borrow();
        assert_eq!(seen[0].parts.version, hyper::Version::HTTP_2);
        let url = format!("https://localhost:{port}/a?b");
        assert_eq!(seen[0].parts.uri.to_string(), url);
        assert_eq!(seen[0].header("content-type"), Some("application/octet-stream"));
        assert_eq!(seen[0].header("content-length"), Some("5"));
        assert_eq!(seen[0].header("connection"), None);
    });
}

#[test]
fn okhttp_speaks_http1_where_the_server_prefers_it() {
    run(async {
        let authority = Authority::new();
        for protocols in [[].as_slice(), &["http/1.1"]] {
            let server = Server::new(async |seen| octets(format!("{:?}", seen.parts.version)));
            let port = server.tls(authority.server("localhost", protocols, false)).await.port();
            let client = okhttp_client(&format!("https://localhost:{port}/"), &authority);
            for _ in 0..3 {
                assert_eq!(call(&client, "hello").await.unwrap(), "HTTP/1.1");
            }
            assert_eq!(server.accepted(), 1);
        }
    });
}

#[test]
fn okhttp_follows_from_http_to_https() {
    run(async {
        let authority = Authority::new();
        let port = Server::echo().tls(authority.server("localhost", &["h2"], false)).await.port();
        let plain = Server::new(move |_| {
            let to = format!("https://localhost:{port}/");
            async move { status(308, &[("location", &to)], "") }
        });
        let client = okhttp_client(&format!("http://{}/", plain.tcp().await), &authority);
        assert_eq!(call(&client, "hello").await.unwrap(), "hello");
    });
}

/// PBKDF2 with SHA-256 and AES-256-CBC, as of `openssl pkcs8 -topk8`.
fn encrypt(key: &KeyPair, password: &str) -> String {
    let parameters =
        pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(2048, b"salt of the test", [7; 16]);
    let scheme = EncryptionScheme::from(parameters.unwrap());
    let encrypted = scheme.encrypt(password, &key.serialize_der()).unwrap();
    let info = EncryptedPrivateKeyInfoOwned {
        encryption_algorithm: scheme,
        encrypted_data: OctetString::new(encrypted).unwrap(),
    };
    let document = SecretDocument::try_from(info).unwrap();
    document.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).unwrap().to_string()
}

#[test]
fn a_client_certificate_is_shown() {
    run(async {
        let authority = Authority::new();
        let port = Server::echo().tls(authority.server("localhost", &[], true)).await.port();
        let url = format!("https://localhost:{port}/");

        let without = client(&url, transport(authority.trusted()));
        let failure = call(&without, "hello").await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unavailable, "{failure}");

        let (certificate, key) = authority.sign("client");
        let cert = authority.write("cert.pem", &certificate.pem());
        let plain = authority.write("key.pem", &key.serialize_pem());
        let encrypted = authority.write("encrypted.pem", &encrypt(&key, "secret"));
        let password = authority.write("password", "secret\n");
        for (key, key_password) in [(plain, None), (encrypted, Some(password))] {
            let shown = ClientCertificate { cert: cert.clone(), key, key_password };
            let tls = Tls { client: Some(shown), ..authority.trusted() };
            let client = client(&url, transport(tls));
            assert_eq!(call(&client, "hello").await.unwrap(), "hello");
        }
    });
}

#[test]
fn files_that_cannot_be_used_are_refused_at_once() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("client");
    let cert = authority.write("cert.pem", &certificate.pem());
    let good = authority.write("key.pem", &key.serialize_pem());
    let foreign = authority.write("foreign.pem", &KeyPair::generate().unwrap().serialize_pem());
    let encrypted = authority.write("encrypted.pem", &encrypt(&key, "secret"));
    let wrong = authority.write("wrong", "wrong");
    let garbage = authority.write("garbage", "garbage");
    let missing = authority.folder.path().join("missing");

    let check = |tls: Tls, is_it: fn(&TransportError) -> bool, words: &str| {
        let error = HttpClient::new(&endpoint("http://localhost/", transport(tls))).unwrap_err();
        assert!(is_it(&error) && error.to_string().contains(words), "{error}");
    };
    let trust = |path: &PathBuf| Tls { trust_cacerts: Some(path.clone()), client: None };
    check(trust(&missing), |error| matches!(error, TransportError::Read { .. }), "missing");
    check(trust(&garbage), |error| matches!(error, TransportError::Certificates { .. }), "PEM");
    let show = |cert: &PathBuf, key: &PathBuf, password: Option<&PathBuf>| {
        let (cert, key, key_password) = (cert.clone(), key.clone(), password.cloned());
        Tls { trust_cacerts: None, client: Some(ClientCertificate { cert, key, key_password }) }
    };
    let is_key = |error: &TransportError| matches!(error, TransportError::Key { .. });
    check(show(&cert, &garbage, None), is_key, "PKCS#8");
    check(show(&cert, &encrypted, None), is_key, "client_key_password");
    check(show(&cert, &encrypted, Some(&wrong)), is_key, "check the password");
    let is_read = |error: &TransportError| matches!(error, TransportError::Read { .. });
    check(show(&cert, &encrypted, Some(&missing)), is_read, "missing");
    let is_pair =
        |error: &TransportError| matches!(error, TransportError::ClientCertificate { .. });
    check(show(&cert, &foreign, None), is_pair, "cannot be used");
    let fine = show(&cert, &good, None);
    assert!(HttpClient::new(&endpoint("http://localhost/", transport(fine))).is_ok());
}

#[test]
fn a_lost_http2_connection_is_replaced() {
    run(async {
        let authority = Authority::new();
        let config = authority.server("localhost", &["h2"], false);
        let server = Server::echo();
        let port = server.tls(config).await.port();
        let client = okhttp_client(&format!("https://localhost:{port}/"), &authority);
        for round in 1..=2 {
            assert_eq!(call(&client, "hello").await.unwrap(), "hello");
            assert_eq!(server.accepted(), round);
            server.hang_up();
            until("it is gone", || client.statistics().connections_open == 0).await;
        }
        let body = Bytes::from_static(b"again");
        assert_eq!(client.call(&function(), body, DEADLINE, None).await.unwrap(), "again");
        assert_eq!(client.statistics().failures, 0);
    });
}
