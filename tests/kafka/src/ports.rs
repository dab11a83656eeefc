//! Ports of nodes, and whether a broker answers there.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Below the range from which the system takes ports for outgoing connections. Else, while a node is down, a client that
/// keeps connecting to its port may be given that very port, and so be connected to itself.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// A request for the versions that a broker knows (key 18, version 0, number 7, no client id), behind its length.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

/// A port that nobody listens on, other than those `taken`.
pub(crate) fn free(taken: &[u16]) -> io::Result<u16> {
    let seed = RandomState::new().hash_one(std::process::id()) % u64::from(COUNT);
    let seed = u16::try_from(seed).expect("a rest of a u16");
    let ports = (0..COUNT).map(|offset| FIRST + (seed + offset) % COUNT);
    let is_free = |port: &u16| {
        !taken.contains(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
    };
    ports.into_iter().find(is_free).ok_or_else(|| io::Error::other("no port is free"))
}

/// Whether a broker answers on a port.
pub(crate) fn answers(port: u16) -> bool {
    ask(port).is_ok_and(|error| error == 0)
}

/// The error code of its answer.
fn ask(port: u16) -> io::Result<i16> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(&API_VERSIONS)?;
    // Length and number of the request, then the code.
    let mut answer = [0; 10];
    stream.read_exact(&mut answer)?;
    Ok(i16::from_be_bytes([answer[8], answer[9]]))
}
