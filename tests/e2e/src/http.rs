//! A small HTTP/1.1 client. One connection, kept alive, and made anew when it is lost.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// The longest silence of a server: more than any call waits.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a message goes: `function` is `namespace/name`.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The type of the function.
    pub function: &'a str,
    /// The id.
    pub id: &'a str,
}

/// A client of one server.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The same response, if it has this status.
    ///
    /// # Panics
    /// If it has another one.
    pub fn expect(self, status: u16) -> Response {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

impl Client {
    /// A client that is not connected yet.
    #[must_use]
    pub fn new(address: SocketAddr) -> Client {
        Client { address, connection: None }
    }

    /// Where it connects to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// If the connection can't be made or breaks. A kept connection that the server has closed meanwhile is an error
    /// too: whether the request was taken is not known.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(self.address)?,
        };
        let mut message = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            message += &format!("{name}: {value}\r\n");
        }
        message += &format!("Content-Length: {}\r\n\r\n", body.len());
        let mut bytes = message.into_bytes();
        bytes.extend_from_slice(body);
        // A server that refuses a large body answers before it has read it.
        let written = connection.get_mut().write_all(&bytes);
        let response = match read_response(&mut connection) {
            Ok(response) => response,
            Err(error) => return Err(written.err().unwrap_or(error)),
        };
        if written.is_ok() && response.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        Ok(response)
    }

    /// Sends a message through the HTTP ingress.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn send(
        &mut self,
        to: Target<'_>,
        typename: &str,
        key: Option<&str>,
        body: &[u8],
    ) -> io::Result<Response> {
        self.post("send", to, typename, key, body)
    }

    /// Calls through the HTTP ingress.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn call(
        &mut self,
        to: Target<'_>,
        typename: &str,
        key: Option<&str>,
        body: &[u8],
    ) -> io::Result<Response> {
        self.post("call", to, typename, key, body)
    }

    fn post(
        &mut self,
        verb: &str,
        to: Target<'_>,
        typename: &str,
        key: Option<&str>,
        body: &[u8],
    ) -> io::Result<Response> {
        let content_type = format!("application/vnd.{typename}");
        let mut headers = vec![("Content-Type", content_type.as_str())];
        headers.extend(key.map(|key| ("Idempotency-Key", key)));
        self.request("POST", &format!("/v1/{verb}/{}/{}", to.function, to.id), &headers, body)
    }
}

fn connect(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    Ok(BufReader::new(stream))
}

fn read_response(stream: &mut BufReader<TcpStream>) -> io::Result<Response> {
    let status_line = read_line(stream)?;
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| broken(format!("no status line: `{status_line}`")))?;
    let headers = read_headers(stream)?;
    let mut response = Response { status, headers, body: Vec::new() };
    if response.header("transfer-encoding") == Some("chunked") {
        response.body = read_chunks(stream)?;
    } else if let Some(length) = response.header("content-length") {
        let length = length.parse().map_err(|_| broken(format!("length `{length}`")))?;
        response.body = vec![0; length];
        stream.read_exact(&mut response.body)?;
    }
    Ok(response)
}

/// Reads headers up to the empty line. Names become lower case.
pub(crate) fn read_headers(stream: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) =
            line.split_once(':').ok_or_else(|| broken(format!("header `{line}`")))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

pub(crate) fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

fn read_chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(stream)?;
        let length =
            usize::from_str_radix(&line, 16).map_err(|_| broken(format!("chunk `{line}`")))?;
        let start = body.len();
        body.resize(start + length, 0);
        stream.read_exact(&mut body[start..])?;
        read_line(stream)?;
        if length == 0 {
            return Ok(body);
        }
    }
}

fn broken(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
