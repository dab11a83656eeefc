//! Servers on loopback, and what the tests say over and over.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use statera_config::{
    AsyncTransport, Endpoint, FunctionPattern, OkHttpTransport, Scheme, Tls, Transport, UrlTemplate,
};
use statera_model::{Failure, FailureKind, FunctionType};
use statera_transport::HttpClient;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Notify;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Runs a test as a shard would, and ends it if it hangs.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        tokio::time::timeout(DEADLINE, test).await.expect("the test ends in time");
    });
    drop(tasks);
    runtime.shutdown_background();
}

pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "waited in vain until {what}");
        tokio::task::yield_now().await;
    }
}

pub(crate) fn function() -> FunctionType {
    FunctionType::parse("example/greeter").unwrap()
}

pub(crate) fn async_settings() -> AsyncTransport {
    AsyncTransport {
        call: Duration::from_secs(120),
        connect: Duration::from_secs(10),
        pool_ttl: None,
        pool_size: 1024,
        payload_max_bytes: 32 * 1024 * 1024,
        tls: Tls::default(),
    }
}

pub(crate) fn okhttp_settings() -> OkHttpTransport {
    let ten = Duration::from_secs(10);
    OkHttpTransport { call: 6 * ten, connect: ten, read: ten, write: ten }
}

pub(crate) fn asynchronous() -> Transport {
    Transport::Async(async_settings())
}

pub(crate) fn okhttp() -> Transport {
    Transport::OkHttp(okhttp_settings())
}

pub(crate) fn endpoint(url: &str, transport: Transport) -> Endpoint {
    let scheme = match url.split("://").next().unwrap() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => Scheme::Unix,
    };
    Endpoint {
        functions: FunctionPattern::Namespace("example".to_owned()),
        url: UrlTemplate { text: url.to_owned(), scheme },
        max_batch_requests: None,
        transport,
    }
}

pub(crate) fn client(url: &str, transport: Transport) -> HttpClient {
    HttpClient::new(&endpoint(url, transport)).unwrap()
}

pub(crate) async fn call(client: &HttpClient, body: &'static str) -> Result<Bytes, Failure> {
    client
        .call(&function(), Bytes::from_static(body.as_bytes()), Duration::from_secs(10), None)
        .await
}

/// Calls and expects a failure of a kind, with all these words in its reason.
pub(crate) async fn check_failure(client: &HttpClient, kind: FailureKind, words: &[&str]) {
    let failure = call(client, "request").await.unwrap_err();
    assert_eq!(failure.kind, kind, "{failure}");
    for word in words {
        assert!(failure.reason.contains(word), "`{word}` is missing in: {failure}");
    }
}

/// A request as a [`Server`] saw it.
pub(crate) struct Seen {
    pub(crate) parts: Parts,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(crate) type Answer = Response<Full<Bytes>>;
type Handler = Rc<dyn Fn(Seen) -> Pin<Box<dyn Future<Output = Answer>>>>;

pub(crate) fn octets(body: impl Into<Bytes>) -> Answer {
    Response::builder()
        .header("content-type", "application/octet-stream")
        .body(Full::new(body.into()))
        .unwrap()
}

pub(crate) fn status(code: u16, headers: &[(&str, &str)], body: &'static str) -> Answer {
    let mut answer = Response::builder().status(code);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap()
}

/// A well-behaved HTTP server.
#[derive(Clone)]
pub(crate) struct Server {
    handler: Handler,
    accepted: Rc<Cell<usize>>,
    open: Rc<Cell<usize>>,
    hang_up: Rc<Notify>,
}

impl Server {
    pub(crate) fn new<F>(handler: impl Fn(Seen) -> F + 'static) -> Server
    where
        F: Future<Output = Answer> + 'static,
    {
        Server {
            handler: Rc::new(move |seen| Box::pin(handler(seen))),
            accepted: Rc::default(),
            open: Rc::default(),
            hang_up: Rc::default(),
        }
    }

    /// Closes all HTTP/2 connections.
    pub(crate) fn hang_up(&self) {
        self.hang_up.notify_waiters();
    }

    /// One that gives back what it gets.
    pub(crate) fn echo() -> Server {
        Server::new(async |seen| octets(seen.body))
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.get()
    }

    pub(crate) fn open(&self) -> usize {
        self.open.get()
    }

    /// Serves, and says where.
    pub(crate) async fn tcp(&self) -> SocketAddr {
        self.listen(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn listen(&self, listener: TcpListener) -> SocketAddr {
        let address = listener.local_addr().unwrap();
        let server = self.clone();
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(server.clone().serve_http1(stream));
            }
        });
        address
    }

    pub(crate) fn unix(&self, listener: UnixListener) {
        let server = self.clone();
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(server.clone().serve_http1(stream));
            }
        });
    }

    pub(crate) async fn tls(&self, config: ServerConfig) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let server = self.clone();
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, acceptor) = (server.clone(), acceptor.clone());
                tokio::task::spawn_local(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                        server.serve_http2(stream).await;
                    } else {
                        server.serve_http1(stream).await;
                    }
                });
            }
        });
        address
    }

    async fn serve_http1(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        self.accepted.set(self.accepted.get() + 1);
        self.open.set(self.open.get() + 1);
        let service = service_fn(|request| self.answer(request));
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
        self.open.set(self.open.get() - 1);
    }

    async fn serve_http2(self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static) {
        self.accepted.set(self.accepted.get() + 1);
        let hang_up = Rc::clone(&self.hang_up);
        let service = service_fn(move |request| {
            let server = self.clone();
            async move { server.answer(request).await }
        });
        let connection = hyper::server::conn::http2::Builder::new(Local)
            .serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            _ = connection => {}
            () = hang_up.notified() => {}
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, hyper::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok((self.handler)(Seen { parts, body }).await)
    }
}

#[derive(Clone, Copy)]
struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}

/// A server without any knowledge of HTTP: `script` gets each connection with its number.
pub(crate) async fn raw<F>(
    script: impl Fn(usize, Raw) -> F + 'static,
) -> (SocketAddr, Rc<Cell<usize>>)
where
    F: Future<Output = ()> + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Rc::new(Cell::new(0));
    let counter = Rc::clone(&accepted);
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let number = counter.replace(counter.get() + 1);
            tokio::task::spawn_local(script(number, Raw { stream }));
        }
    });
    (address, accepted)
}

pub(crate) struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// Reads a request with a `content-length`, and returns it as it came.
    pub(crate) async fn request(&mut self) -> String {
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.split("content-length: ").nth(1).unwrap();
                let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
                if body.len() >= length {
                    return text;
                }
            }
            if self.stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return text;
            }
        }
    }

    /// Reads the first bytes of a request.
    pub(crate) async fn head(&mut self) {
        let _ = self.stream.read(&mut [0; 64]).await;
    }

    pub(crate) async fn send(&mut self, text: &str) {
        // The client may have left already.
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    /// Keeps the connection open until the client closes it.
    pub(crate) async fn hold(mut self) {
        let mut rest = [0; 1024];
        while self.stream.read(&mut rest).await.unwrap_or(0) > 0 {}
    }

    /// Closes with a reset.
    #[allow(deprecated, reason = "a linger of zero does not block")]
    pub(crate) fn reset(self) {
        self.stream.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// Collects what a handler sees.
pub(crate) type Log<T> = Rc<RefCell<Vec<T>>>;
