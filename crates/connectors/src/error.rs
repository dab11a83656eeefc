//! Why an ingress or egress could not be opened, or had to end.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use statera_model::Name;

/// Why an ingress or egress could not be opened, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another socket has the address.
    #[error(
        "cannot listen on `{address}` for `{id}`: the address is in use; \
         hint: stop the program that uses it, or configure another port"
    )]
    AddressInUse {
        /// The ingress or egress.
        id: Name,
        /// Its address.
        address: SocketAddr,
    },
    /// The address cannot be listened on for another reason.
    #[error("cannot listen on `{address}` for `{id}`")]
    Listen {
        /// The ingress or egress.
        id: Name,
        /// Its address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file to be read is not there.
    #[error(
        "`{}`, the file of `{id}`, does not exist; hint: create it, or set `follow: true` to wait for it",
        path.display()
    )]
    MissingFile {
        /// The ingress.
        id: Name,
        /// Its file.
        path: PathBuf,
    },
    /// What is to be read is a directory, a pipe, or a device.
    #[error("`{}`, the file of `{id}`, is not a regular file", path.display())]
    NotAFile {
        /// The ingress.
        id: Name,
        /// Its file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read `{}`, the file of `{id}`", path.display())]
    ReadFile {
        /// The ingress.
        id: Name,
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is shorter than what has already been read of it.
    #[error(
        "`{}`, the file of `{id}`, has {length} bytes, but {read} bytes ({lines} lines) of it have already been \
         read; hint: restore the file, or read the new one with an ingress of another id",
        path.display()
    )]
    FileShrank {
        /// The ingress.
        id: Name,
        /// Its file.
        path: PathBuf,
        /// Its length in bytes.
        length: u64,
        /// The bytes already read.
        read: u64,
        /// The lines already read.
        lines: u64,
    },
    /// The file is not the one that has been read before.
    #[error(
        "`{}`, the file of `{id}`, is another one than that of which {lines} lines have already been read; \
         hint: restore the file, or read the new one with an ingress of another id",
        path.display()
    )]
    FileReplaced {
        /// The ingress.
        id: Name,
        /// Its file.
        path: PathBuf,
        /// The lines already read.
        lines: u64,
    },
    /// This kind is served by a crate that the program was built without.
    #[error(
        "this program was built without {kind}; hint: use the released one, or add the feature when building"
    )]
    Elsewhere {
        /// `Kafka` or `Kinesis`.
        kind: &'static str,
    },
    /// The stored position was not written by a file ingress of this or an earlier version.
    #[error(
        "the stored position of `{id}` is not that of a file; \
         hint: it was written by a newer version, or the id belonged to another kind of ingress: choose another id"
    )]
    ForeignPosition {
        /// The ingress.
        id: Name,
    },
}
