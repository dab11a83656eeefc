//! TLS towards servers: whom to believe.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Usage;
use super::origin::Origin;

/// Whose certificates count: those of a file, or those that the web believes.
#[derive(Clone, Default)]
pub(crate) struct Authorities(Option<RootCertStore>);

impl Authorities {
    /// Those of a PEM file.
    pub(crate) fn of_file(path: &Path) -> Result<Authorities, Usage> {
        let roots = read(path).map_err(|reason| {
            let path = path.display();
            Usage(format!(
                "cannot take certificates from `{path}`: {reason}; hint: it must be a PEM file"
            ))
        })?;
        Ok(Authorities(Some(roots)))
    }

    /// Speaks TLS on a connection.
    pub(crate) async fn secure(
        &self,
        stream: TcpStream,
        origin: &Origin,
    ) -> io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(Arc::new(self.config()));
        connector.connect(server_name(origin.bare_host())?, stream).await
    }

    fn config(&self) -> ClientConfig {
        let roots = self.0.clone();
        let roots = roots
            .unwrap_or_else(|| RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

fn server_name(host: &str) -> io::Result<ServerName<'static>> {
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(ServerName::IpAddress(address.into())),
        Err(_) => ServerName::try_from(host.to_owned()).map_err(io::Error::other),
    }
}

fn read(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(roots) }
}
