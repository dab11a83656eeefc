//! What the tests share: an engine without functions, a client, deadlines.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use statera_model::{FunctionType, Name};
use statera_ports::{
    Answer, BoxFuture, DataId, DeadLetterId, Engine, Refusal, Request, SourceBatch, SourceId,
    SourceStatus, Stopping,
};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::{Bound, Error};

const DEADLINE: Duration = Duration::from_secs(20);

/// Some data directory.
pub(crate) fn data() -> DataId {
    DataId("0123456789abcdef0123456789abcdef".into())
}

/// Waits for what must come soon.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

/// Serves the namespace `example`. The id of the target says what becomes of a request; a call without such an id is
/// answered with its own argument.
#[derive(Debug)]
pub(crate) struct FakeEngine {
    pub(crate) requests: Mutex<Vec<Request>>,
    pub(crate) positions: Mutex<BTreeMap<SourceId, Bytes>>,
    pub(crate) statuses: Mutex<BTreeMap<SourceId, SourceStatus>>,
    batches: mpsc::UnboundedSender<SourceBatch>,
    stop: watch::Sender<bool>,
    release: watch::Sender<bool>,
}

impl FakeEngine {
    pub(crate) fn new() -> (Arc<FakeEngine>, mpsc::UnboundedReceiver<SourceBatch>) {
        let (batches, receiver) = mpsc::unbounded_channel();
        let engine = FakeEngine {
            requests: Mutex::default(),
            positions: Mutex::default(),
            statuses: Mutex::default(),
            batches,
            stop: watch::Sender::new(false),
            release: watch::Sender::new(false),
        };
        (Arc::new(engine), receiver)
    }

    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Lets requests to the id `held` go on.
    pub(crate) fn release(&self) {
        self.release.send_replace(true);
    }

    fn result(&self, request: &Request) -> Result<(), Refusal> {
        self.requests.lock().unwrap().push(request.clone());
        match &*request.target.id {
            "full" => Err(Refusal::Full { limit: "mailboxMessages" }),
            "reused" => Err(Refusal::KeyReused { used: "call" }),
            "stopping" => Err(Refusal::Stopping),
            "long" => Err(Refusal::TooLong { bytes_max: 8192 }),
            _ => Ok(()),
        }
    }

    fn held(&self, request: &Request) -> BoxFuture<'static, ()> {
        match &*request.target.id {
            "never" => Box::pin(std::future::pending()),
            "held" => once(&self.release),
            _ => Box::pin(std::future::ready(())),
        }
    }
}

fn once(sender: &watch::Sender<bool>) -> BoxFuture<'static, ()> {
    let mut receiver = sender.subscribe();
    Box::pin(async move {
        receiver.wait_for(|is| *is).await.ok();
    })
}

impl Engine for FakeEngine {
    fn covers(&self, function: &FunctionType) -> bool {
        function.namespace() == "example"
    }

    fn send(&self, request: Request) -> BoxFuture<'static, Result<(), Refusal>> {
        let (held, result) = (self.held(&request), self.result(&request));
        Box::pin(async move {
            held.await;
            result
        })
    }

    fn call(&self, request: Request) -> BoxFuture<'static, Result<Answer, Refusal>> {
        let (held, result) = (self.held(&request), self.result(&request));
        Box::pin(async move {
            held.await;
            result?;
            Ok(match &*request.target.id {
                "poison" => Answer::DeadLettered {
                    id: DeadLetterId { key_group: 7, number: 1_768_999_999_123 },
                    reason: "the function answered with status 500".into(),
                },
                _ => Answer::Value(request.argument),
            })
        })
    }

    fn deliver(&self, batch: SourceBatch) -> BoxFuture<'static, Result<(), Stopping>> {
        self.positions.lock().unwrap().insert(batch.source.clone(), batch.position.clone());
        let sent = self.batches.send(batch).map_err(|_| Stopping);
        Box::pin(std::future::ready(sent))
    }

    fn source_position(&self, source: &SourceId) -> Option<Bytes> {
        self.positions.lock().unwrap().get(source).cloned()
    }

    fn report(&self, source: &SourceId, status: Option<SourceStatus>) {
        let mut statuses = self.statuses.lock().unwrap();
        match status {
            Some(status) => statuses.insert(source.clone(), status),
            None => statuses.remove(source),
        };
    }

    fn stopping(&self) -> BoxFuture<'static, ()> {
        once(&self.stop)
    }
}

/// Runs a part until the engine stops.
pub(crate) fn start(bound: Bound, engine: &Arc<FakeEngine>) -> JoinHandle<Result<(), Error>> {
    tokio::spawn(bound.run(engine.stopping()))
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(crate) fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Sends a request over a connection of its own.
pub(crate) async fn request(
    address: SocketAddr,
    request: hyper::http::request::Builder,
    body: impl Into<Bytes>,
) -> hyper::Response<Bytes> {
    soon("an answer", async {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = request.header("host", "test").body(Full::new(body.into())).unwrap();
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        connection.abort();
        hyper::Response::from_parts(head, body)
    })
    .await
}
