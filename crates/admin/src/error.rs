//! Why the admin API could not be opened.

use std::io;
use std::net::SocketAddr;

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
}
