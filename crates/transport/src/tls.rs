//! Certificates and keys from files, and the TLS settings made of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use statera_config::{ClientCertificate, Tls};

/// A client cannot be made of an endpoint's configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The URL template does not yield URLs.
    #[error("`{url}` is not a URL that can be called: {reason}")]
    Url {
        /// The template.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file of certificates does not hold any that can be used.
    #[error("`{path}` holds no usable certificates: {reason}; hint: {PEM_HINT}")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The key cannot be used.
    #[error("`{path}` holds no usable private key: {reason}; hint: {hint}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What helps.
        hint: &'static str,
    },
    /// Certificate and key do not go together, or are of a kind that is not supported.
    #[error("`{cert}` and `{key}` cannot be used as a client certificate: {reason}")]
    ClientCertificate {
        /// The certificates.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
        /// What is wrong with them.
        reason: String,
    },
}

const PEM_HINT: &str = "it must be PEM, with at least one `-----BEGIN CERTIFICATE-----`";
const KEY_HINT: &str = "it must be PEM with one `-----BEGIN PRIVATE KEY-----` (PKCS#8)";
const PASSWORD_HINT: &str = "name the file with its password as `client_key_password`";
const ENCRYPTION_HINT: &str = "check the password; encrypt the key anew with `openssl pkcs8 \
                               -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256` if it is of an older \
                               kind";

/// Reads the files that `tls` names. Both TLS 1.2 and 1.3; the names of servers are always verified.
pub(crate) fn client_config(tls: &Tls, http2: bool) -> Result<Arc<ClientConfig>, TransportError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .with_root_certificates(roots(tls.trust_cacerts.as_deref())?);
    let mut config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let chain = certificates(&client.cert)?;
            let key = private_key(client)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                TransportError::ClientCertificate {
                    cert: client.cert.clone(),
                    key: client.key.clone(),
                    reason: error.to_string(),
                }
            })?
        }
    };
    let protocols: &[&str] = if http2 { &["h2", "http/1.1"] } else { &["http/1.1"] };
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

fn roots(path: Option<&Path>) -> Result<RootCertStore, TransportError> {
    let Some(path) = path else {
        return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    };
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|error| TransportError::Certificates {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    }
    Ok(store)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TransportError> {
    let wrong = |reason: String| TransportError::Certificates { path: path.to_owned(), reason };
    let found = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<Vec<_>, pem::Error>>()
        .map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() {
        return Err(wrong("nothing found".to_owned()));
    }
    Ok(found)
}

fn private_key(client: &ClientCertificate) -> Result<PrivateKeyDer<'static>, TransportError> {
    let wrong = |reason: String, hint: &'static str| TransportError::Key {
        path: client.key.clone(),
        reason,
        hint,
    };
    let bytes = read(&client.key)?;
    let text = String::from_utf8_lossy(&bytes);
    let Some(begin) = text.find("-----BEGIN ENCRYPTED PRIVATE KEY-----") else {
        return PrivateKeyDer::from_pem_slice(&bytes)
            .map_err(|error| wrong(error.to_string(), KEY_HINT));
    };
    let Some(password) = &client.key_password else {
        return Err(wrong("it is encrypted".to_owned(), PASSWORD_HINT));
    };
    let password = read(password)?;
    let (_, encrypted) = SecretDocument::from_pem(text[begin..].trim_end())
        .map_err(|error| wrong(error.to_string(), KEY_HINT))?;
    let decrypted = EncryptedPrivateKeyInfoRef::try_from(encrypted.as_bytes())
        .and_then(|encrypted| encrypted.decrypt(password.trim_ascii_end()))
        .map_err(|error| wrong(format!("it cannot be decrypted ({error})"), ENCRYPTION_HINT))?;
    Ok(PrivatePkcs8KeyDer::from(decrypted.as_bytes().to_vec()).into())
}

fn read(path: &Path) -> Result<Vec<u8>, TransportError> {
    std::fs::read(path).map_err(|source| TransportError::Read { path: path.to_owned(), source })
}
