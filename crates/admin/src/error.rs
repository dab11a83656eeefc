//! Why the admin API could not be opened.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the admin API could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Another socket has the address.
    #[error(
        "cannot listen on `{address}` for the admin API: the address is in use; \
         hint: stop the program that uses it, or choose another with `--admin`"
    )]
    AddressInUse {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be listened on for another reason.
    #[error("cannot listen on `{address}` for the admin API; hint: choose another with `--admin`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Other machines could reach it, and nobody would be asked for a token.
    #[error(
        "the admin API has no token, and others could reach it at `{address}`; hint: give it one with \
         `--admin-token-file`, or choose a loopback address with `--admin`"
    )]
    NoToken {
        /// The address.
        address: SocketAddr,
    },
    /// A file cannot be read.
    #[error("cannot read `{}` for the admin API", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A certificate or key cannot be used.
    #[error(
        "`{}` can't be used for the admin API: {reason}; hint: both files are PEM, and belong together",
        path.display()
    )]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}
