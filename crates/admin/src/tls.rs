//! TLS for the admin API: a certificate and its key from PEM files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::error::AdminError;

/// The files of a certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, and those that vouch for it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Tls {
    /// Reads the files. TLS 1.2 and 1.3.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, AdminError> {
        let certificates = CertificateDer::pem_slice_iter(&read(&self.certificate)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unusable(&self.certificate, error))?;
        if certificates.is_empty() {
            return Err(unusable(&self.certificate, "it holds no certificate"));
        }
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?)
            .map_err(|error| unusable(&self.key, error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports the default versions")
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .map_err(|error| unusable(&self.certificate, error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, AdminError> {
    fs::read(path).map_err(|source| AdminError::Read { path: path.to_owned(), source })
}

fn unusable(path: &Path, reason: impl ToString) -> AdminError {
    AdminError::Tls { path: path.to_owned(), reason: reason.to_string() }
}
