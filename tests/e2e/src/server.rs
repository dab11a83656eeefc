//! A function server within the test: HTTP/1.1 on plain threads, one for each connection.

use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use statera_model::Outcome;
use statera_protocol::encode_reply;

use crate::http::{read_headers, read_line};

/// What to do about a request.
#[derive(Clone, Debug)]
pub enum Reaction {
    /// The function ran, or needs states.
    Reply(Outcome),
    /// An answer with this status and text.
    Status(u16, String),
    /// Any bytes, with status 200.
    Raw(Vec<u8>),
    /// The connection is closed without an answer.
    Drop,
}

/// How the whole server behaves, whatever its functions do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It serves.
    Serving,
    /// It answers 503.
    Unavailable,
    /// It closes every connection, new ones and those there are: as if its process had been killed. (The port stays
    /// taken, so that nobody else gets it.)
    Dead,
}

type Behaviour = dyn Fn(Bytes) -> Reaction + Send + Sync;

/// A server of functions on a port of its own. Gone when it is dropped.
pub struct FunctionServer {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    behaviour: Box<Behaviour>,
    mode: Mutex<Mode>,
    connections: Mutex<Vec<TcpStream>>,
    stopped: AtomicBool,
    requests: AtomicU64,
    traceparents: Mutex<Vec<String>>,
}

impl FunctionServer {
    /// Serves with a closure from the body of a request to what happens then. It is called on many threads at once.
    ///
    /// # Panics
    /// If there is no free port.
    #[must_use]
    pub fn start(behaviour: impl Fn(Bytes) -> Reaction + Send + Sync + 'static) -> FunctionServer {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            behaviour: Box::new(behaviour),
            mode: Mutex::new(Mode::Serving),
            connections: Mutex::new(Vec::new()),
            stopped: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            traceparents: Mutex::default(),
        });
        std::thread::spawn({
            let shared = shared.clone();
            move || shared.accept(&listener)
        });
        FunctionServer { shared, address }
    }

    /// The value of `urlPathTemplate`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/functions", self.address)
    }

    /// Changes how it behaves, for requests from now on.
    pub fn set_mode(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = mode;
        if mode == Mode::Dead {
            self.shared.close_all();
        }
    }

    /// The values of the header `traceparent` that came so far.
    #[must_use]
    pub fn traceparents(&self) -> Vec<String> {
        self.shared.traceparents.lock().unwrap().clone()
    }

    /// How many requests came so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }
}

impl Drop for FunctionServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.shared.close_all();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn accept(self: Arc<Shared>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stopped.load(Ordering::Relaxed) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let shared = self.clone();
            // A connection that breaks is the engine's business.
            std::thread::spawn(move || drop(shared.serve(stream)));
        }
    }

    fn close_all(&self) {
        for stream in self.connections.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn mode(&self) -> Mode {
        *self.mode.lock().unwrap()
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        self.connections.lock().unwrap().push(stream.try_clone()?);
        let mut stream = BufReader::new(stream);
        loop {
            if self.mode() == Mode::Dead {
                return stream.get_ref().shutdown(Shutdown::Both);
            }
            let (headers, body) = read_request(&mut stream)?;
            let traceparents = headers.into_iter().filter(|(name, _)| name == "traceparent");
            self.traceparents.lock().unwrap().extend(traceparents.map(|(_, value)| value));
            self.requests.fetch_add(1, Ordering::Relaxed);
            let reaction = match self.mode() {
                Mode::Serving => (self.behaviour)(body),
                Mode::Unavailable => Reaction::Status(503, "not now".to_owned()),
                Mode::Dead => Reaction::Drop,
            };
            let (status, content_type, body) = match reaction {
                Reaction::Reply(outcome) => {
                    (200, "application/octet-stream", encode_reply(&outcome))
                }
                Reaction::Raw(bytes) => (200, "application/octet-stream", bytes),
                Reaction::Status(status, text) => (status, "text/plain", text.into_bytes()),
                Reaction::Drop => return stream.get_ref().shutdown(Shutdown::Both),
            };
            let mut response = format!(
                "HTTP/1.1 {status} x\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
            .into_bytes();
            response.extend(body);
            stream.get_mut().write_all(&response)?;
        }
    }
}

fn read_request(stream: &mut BufReader<TcpStream>) -> io::Result<(Vec<(String, String)>, Bytes)> {
    read_line(stream)?;
    let headers = read_headers(stream)?;
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((headers, body.into()))
}
