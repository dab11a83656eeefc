//! A running engine with an admin API, and the functions it calls.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use statera_admin::{AdminError, AdminServer, LogControl, Settings};
use statera_config::{EngineOverrides, Source, load};
use statera_model::{
    Address, Delayed, Expiration, Mutation, Name, Outcome, Outgoing, Reply, StateChange, StateSpec,
    TypedValue,
};
use statera_ports::{
    BoxFuture, DataId, Egress, Engine as _, Sink, SinkBatch, SinkError, SinkPosition,
};
use statera_protocol::{OwnedRequest, decode_request, encode_reply, types};
use statera_runtime::{Engine, Options, Worker};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for what must come soon.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(DEADLINE, future).await;
    result.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

pub(crate) struct World {
    pub(crate) admin: SocketAddr,
    pub(crate) engine: Engine,
    pub(crate) worker: Worker,
    pub(crate) running: JoinHandle<Result<(), AdminError>>,
    pub(crate) stop: watch::Sender<bool>,
    functions: SocketAddr,
    healed: Arc<AtomicBool>,
    _data: tempfile::TempDir,
}

/// Starts it all. Functions of the namespace `example` count what they see, but fail for ids that begin with `poison`.
pub(crate) async fn world() -> World {
    world_with(|settings| settings).await
}

/// As [`world`], with an admin API that is set up differently.
pub(crate) async fn world_with(change: impl FnOnce(Settings) -> Settings) -> World {
    let healed = Arc::new(AtomicBool::new(false));
    let functions = serve_functions(Arc::clone(&healed)).await;
    let module = format!(
        "
kind: io.statefun.endpoints.v2/http
spec:
  functions: example/*
  urlPathTemplate: http://{functions}/{{function.name}}
  transport:
    type: io.statefun.transports.v1/okhttp
---
kind: io.statera.v1/http-ingress
spec:
  id: example/in
  address: 127.0.0.1:8080
---
kind: io.statera.v1/stdout-egress
spec:
  id: example/out
---
kind: io.statera.v1/engine
spec:
  shards: 2
  durability: none
  failures:
    overrides:
      example/pausing: pause
"
    );
    let source = Source { name: "module.yaml".into(), text: module };
    let loaded = load(&[source], &EngineOverrides::default(), &|_| None);
    let application = loaded.unwrap_or_else(|problems| panic!("{problems}")).application;
    let data = tempfile::tempdir().unwrap();
    let options = Options {
        application,
        data: data.path().join("data"),
        egresses: vec![Egress {
            id: Name::parse("example/out").unwrap(),
            accepts: Arc::new(|_| Ok(())),
            sink: Box::new(Out(Arc::clone(&healed))),
        }],
        functions: Vec::new(),
        tracer: None,
    };
    let worker = Worker::start(options).unwrap();
    let engine = worker.engine();
    let log = Arc::new(Log::default());
    let settings = Settings {
        name: "test".to_owned(),
        log: Some(log),
        ..change(Settings::at(([127, 0, 0, 1], 0).into()))
    };
    let server = AdminServer::open(settings, engine.clone()).unwrap();
    let (stop, mut stopped) = watch::channel(false);
    let admin = server.local_addr();
    let running = tokio::spawn(server.run(Box::pin(async move {
        let _ = stopped.wait_for(|stopped| *stopped).await;
    })));
    World { admin, engine, worker, running, stop, functions, healed, _data: data }
}

impl World {
    pub(crate) async fn send(&self, function: &str, id: &str, argument: TypedValue) {
        let target = Address::new(Name::parse(function).unwrap(), id);
        let request =
            statera_ports::Request { target, argument, idempotency_key: None, trace: None };
        let ingress = self.engine.ingress(&Name::parse("example/in").unwrap());
        soon("a message", ingress.send(request)).await.unwrap();
    }

    /// Functions fail no more.
    pub(crate) fn heal(&self) {
        self.healed.store(true, Ordering::Relaxed);
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, serde_json::Value) {
        self.request(Method::GET, path).await
    }

    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
    ) -> (StatusCode, serde_json::Value) {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let response = self.exchange(request).await;
        (response.status(), serde_json::from_slice(response.body()).unwrap())
    }

    /// Sends a form, and expects that it is done.
    pub(crate) async fn order(
        &self,
        method: Method,
        path: &str,
        body: &serde_json::Value,
    ) -> (StatusCode, serde_json::Value) {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let response = self.exchange_with(request, body.to_string().into()).await;
        (response.status(), serde_json::from_slice(response.body()).unwrap())
    }

    pub(crate) async fn exchange(&self, request: hyper::http::request::Builder) -> Response<Bytes> {
        self.exchange_with(request, Bytes::new()).await
    }

    pub(crate) async fn exchange_with(
        &self,
        request: hyper::http::request::Builder,
        body: Bytes,
    ) -> Response<Bytes> {
        soon("an answer", async {
            let stream = TcpStream::connect(self.admin).await.unwrap();
            let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await.unwrap();
            let connection = tokio::spawn(connection);
            let request = request.body(Full::new(body)).unwrap();
            let (head, body) = sender.send_request(request).await.unwrap().into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            connection.abort();
            Response::from_parts(head, body)
        })
        .await
    }

    /// Asks until the answer is as it should be.
    pub(crate) async fn until(
        &self,
        path: &str,
        is: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        soon(path, async {
            loop {
                let (status, answer) = self.get(path).await;
                assert_eq!(status, StatusCode::OK, "{answer}");
                if is(&answer) {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// All dead letters, once there are so many.
    pub(crate) async fn dead_letters(&self, count: usize) -> Vec<serde_json::Value> {
        let letters =
            |answer: &serde_json::Value| answer["deadLetters"].as_array().unwrap().clone();
        let is = |answer: &serde_json::Value| letters(answer).len() == count;
        letters(&self.until("/v1/deadletters", is).await)
    }

    /// For snapshots: without what differs from run to run.
    pub(crate) fn show(&self, answer: &serde_json::Value) -> String {
        let mut answer = answer.clone();
        self.mask(&mut answer);
        serde_json::to_string_pretty(&answer).unwrap() + "\n"
    }

    fn mask(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Array(values) => {
                values.iter_mut().for_each(|value| self.mask(value))
            }
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), &value) {
                        (
                            "at" | "lastAccess" | "id" | "since" | "failedAt" | "nextAttempt"
                            | "due",
                            serde_json::Value::String(text),
                        ) if text.starts_with(|c: char| c.is_ascii_digit()) => {
                            *value = format!("<{name}>").into();
                        }
                        _ => self.mask(value),
                    }
                }
            }
            serde_json::Value::String(text) => {
                *text = text.replace(&self.functions.to_string(), "<functions>");
            }
            _ => {}
        }
    }
}

async fn serve_functions(healed: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let healed = Arc::clone(&healed);
            let service =
                service_fn(move |request| answer(request, healed.load(Ordering::Relaxed)));
            tokio::spawn(server::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn answer(
    request: Request<Incoming>,
    healed: bool,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let request = decode_request(body).unwrap();
    if request.target.id.starts_with("poison") && !healed {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    }
    let outcome = match request.target.function.name() {
        "relay" => relay(&request),
        _ => count(&request),
    };
    let mut response = Response::new(Full::new(encode_reply(&outcome).into()));
    let content_type = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(response)
}

/// Sends each message on, now and in an hour, and emits it.
fn relay(request: &OwnedRequest) -> Outcome {
    let mut reply = Reply::default();
    for message in &request.invocations {
        let target = Address::new(Name::parse("example/cart").unwrap(), request.target.id.clone());
        let message = Outgoing { target, argument: message.argument.clone() };
        reply.delayed.push(Delayed::Send {
            delay_ms: 3_600_000,
            message: message.clone(),
            token: Some("later".into()),
        });
        let egress = Name::parse("example/out").unwrap();
        let argument = message.argument.clone();
        reply.egress.push(statera_model::Egress { egress, argument });
        reply.messages.push(message);
    }
    Outcome::Complete(reply)
}

/// An egress whose destination is gone until all is healed.
struct Out(Arc<AtomicBool>);

impl Sink for Out {
    fn recover(
        &mut self,
        _data: DataId,
        _last: Option<SinkPosition>,
    ) -> BoxFuture<'_, Result<Option<SinkPosition>, SinkError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn write(&mut self, _batch: SinkBatch) -> BoxFuture<'_, Result<Bytes, SinkError>> {
        let healed = self.0.load(Ordering::Relaxed);
        let error =
            SinkError { doing: "cannot write".to_owned(), source: Some("the disk is full".into()) };
        Box::pin(std::future::ready(if healed { Ok(Bytes::new()) } else { Err(error) }))
    }
}

/// A log that only has a filter.
#[derive(Default)]
struct Log(Mutex<String>);

impl LogControl for Log {
    fn filter(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    fn set_filter(&self, filter: &str) -> Result<(), String> {
        if filter.contains('!') {
            return Err("it has a `!`".to_owned());
        }
        *self.0.lock().unwrap() = filter.to_owned();
        Ok(())
    }
}

/// Counts messages in `seen`, and keeps the last one in `last`, which expires.
fn count(request: &OwnedRequest) -> Outcome {
    let Some(seen) = request.states.iter().find(|state| &*state.name == "seen") else {
        let spec = |name: &str, typename: &str, expiration| StateSpec {
            name: name.into(),
            typename: typename.into(),
            expiration,
        };
        return Outcome::Incomplete(vec![
            spec("seen", types::INT, Expiration::Never),
            spec("last", "example/message", Expiration::AfterWrite { ttl_ms: 3_600_000 }),
        ]);
    };
    let seen = seen.value.as_ref().map_or(0, |value| types::decode::<i32>(value).unwrap());
    let seen = types::encode(seen + request.invocations.len() as i32);
    let last = request.invocations.last().unwrap().argument.clone();
    let modify =
        |state: &str, value| Mutation { state: state.into(), change: StateChange::Modify(value) };
    let mutations = vec![modify("seen", seen), modify("last", last)];
    Outcome::Complete(Reply { mutations, ..Reply::default() })
}
