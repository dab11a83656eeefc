//! The least of HTTP/1.1 that a load needs: one connection, one request at a time, written and read by hand so that the
//! load takes little of the processors that it shares with what it measures.

use std::fmt::Arguments;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 4 << 20;

pub(crate) struct Connection {
    stream: TcpStream,
    /// The request that is being written.
    request: Vec<u8>,
    /// The answer, as far as it is read.
    answer: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, request: Vec::new(), answer: Vec::with_capacity(1024) })
    }

    /// Sends a request with an empty body. `typename` is that of the value in it.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        path: Arguments<'_>,
        typename: &str,
    ) -> io::Result<Answer<'_>> {
        self.request_with(method, path, format_args!("vnd.{typename}"), "").await
    }

    /// Sends a request with a body of type `application/{subtype}`.
    pub(crate) async fn request_with(
        &mut self,
        method: &str,
        path: Arguments<'_>,
        subtype: Arguments<'_>,
        body: &str,
    ) -> io::Result<Answer<'_>> {
        use std::io::Write;
        self.request.clear();
        let length = body.len();
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/{subtype}\r\n\
             content-length: {length}\r\n\r\n{body}"
        )?;
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        loop {
            if let Some(head) = Head::parse(&self.answer)? {
                let end = head.length + head.body_length;
                if self.answer.len() >= end {
                    let body = &self.answer[head.length..end];
                    return Ok(Answer { status: head.status, body });
                }
            }
            if self.answer.len() > ANSWER_BYTES_MAX {
                return Err(io::Error::other("the answer is too long"));
            }
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

struct Head {
    status: u16,
    length: usize,
    body_length: usize,
}

impl Head {
    /// Reads the head of an answer; `None` if it has not arrived wholly.
    fn parse(bytes: &[u8]) -> io::Result<Option<Head>> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(None);
        };
        let wrong = || io::Error::other("the answer is not HTTP with a content-length");
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| wrong())?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let body_length = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let value = name.eq_ignore_ascii_case("content-length").then_some(value)?;
            value.trim().parse().ok()
        });
        let status = status.ok_or_else(wrong)?;
        Ok(Some(Head { status, length: end + 4, body_length: body_length.ok_or_else(wrong)? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_once_they_are_whole() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx: y\r\n\r\nhello";
        let head = Head::parse(answer).unwrap().unwrap();
        assert_eq!((head.status, head.body_length), (200, 5));
        assert_eq!(&answer[head.length..], b"hello");
        assert!(Head::parse(&answer[..20]).unwrap().is_none());
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
