//! The functions under load: a counter with one state, and a function that forwards to it, in a process of their own with
//! one thread.

use std::cell::RefCell;
use std::collections::HashSet;
use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::rc::Rc;

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use statera_model::{
    Address, Egress, Expiration, Mutation, Name, Outcome, Outgoing, Reply, StateChange, StateSpec,
    TypedValue,
};
use statera_protocol::egress::KafkaRecord;
use statera_protocol::{Decoder, OwnedRequest, encode_reply, types};
use tokio::net::TcpListener;

use crate::http::Connection;
use crate::process::Owned;

/// The type of a message that is counted.
pub(crate) const ADD: &str = "bench/Add";
/// The type of a message that only asks for the count.
pub(crate) const READ: &str = "bench/Read";

/// The type of a message that is counted, and answered to the address that it holds.
pub(crate) const ADD_FOR: &str = "bench/AddFor";

/// Of the functions, where there are no others.
pub(crate) const NAMESPACE: &str = "bench";
pub(crate) const FORWARD: &str = "forward";
pub(crate) const COUNTER: &str = "counter";
/// Counts messages, and emits each of them as a record of a Kafka topic.
pub(crate) const RECEIPT: &str = "receipt";
/// The egress of such records, and their topic.
pub(crate) const RECEIPTS: &str = "receipts";
pub(crate) const RECEIPTS_TOPIC: &str = "receipts";
pub(crate) const STATE: &str = "seen";

/// Serves the functions until standard input ends, and says on standard output where.
#[derive(Args)]
pub(crate) struct Functions {
    #[arg(long, default_value = "127.0.0.1:0")]
    address: SocketAddr,
}

#[derive(Default)]
struct Served {
    decoder: Decoder,
    requests: u64,
    messages: u64,
    failing: HashSet<String>,
}

impl Functions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let listener = TcpListener::bind(self.address).await.context("cannot listen")?;
        println!("{}", listener.local_addr()?);
        let served = Rc::new(RefCell::new(Served::default()));
        std::thread::spawn(|| {
            // Ends when whoever started us is gone.
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            std::process::exit(0);
        });
        loop {
            let (stream, _) = listener.accept().await.context("cannot accept a connection")?;
            stream.set_nodelay(true)?;
            let served = served.clone();
            let service = service_fn(move |request| handle(request, served.clone()));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::task::spawn_local(connection);
        }
    }
}

async fn handle(
    request: Request<Incoming>,
    served: Rc<RefCell<Served>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let answer = match (&head.method, path.strip_prefix("/failing/")) {
        (&Method::POST, None) => match body.collect().await {
            Ok(body) => served.borrow_mut().invoke(body.to_bytes()),
            Err(_) => None,
        },
        (&Method::PUT, Some(id)) => {
            served.borrow_mut().failing.insert(id.to_owned());
            Some(Vec::new())
        }
        (&Method::DELETE, Some(id)) => {
            served.borrow_mut().failing.remove(id);
            Some(Vec::new())
        }
        (&Method::GET, None) => {
            let served = served.borrow();
            Some(format!("{} {}", served.requests, served.messages).into_bytes())
        }
        _ => None,
    };
    let status = match answer {
        Some(_) => StatusCode::OK,
        None => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = Response::new(Full::new(Bytes::from(answer.unwrap_or_default())));
    *response.status_mut() = status;
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, octets);
    Ok(response)
}

impl Served {
    /// `None` if the function fails.
    fn invoke(&mut self, body: Bytes) -> Option<Vec<u8>> {
        let request = self.decoder.request(body).ok()?;
        if self.failing.contains(&*request.target.id) {
            return None;
        }
        let outcome = match request.target.function.name() {
            FORWARD => forward(&request)?,
            RECEIPT => receipt(&request)?,
            _ => count(&request)?,
        };
        if let Outcome::Complete(_) = outcome {
            self.requests += 1;
            self.messages += request.invocations.len() as u64;
        }
        Some(encode_reply(&outcome))
    }
}

/// Passes each message on to the counter with the same id, which answers whoever asked us.
fn forward(request: &OwnedRequest) -> Option<Outcome> {
    let function = Name::from_parts(request.target.function.namespace(), COUNTER);
    let counter = Address::new(function, request.target.id.clone());
    let mut reply = Reply::default();
    for message in &request.invocations {
        let caller = message.caller.as_ref()?.to_string();
        let argument = TypedValue::new(ADD_FOR, caller.as_bytes());
        reply.messages.push(Outgoing { target: counter.clone(), argument });
    }
    Some(Outcome::Complete(reply))
}

/// Counts messages, and emits each of them under the id of the counter.
fn receipt(request: &OwnedRequest) -> Option<Outcome> {
    let mut outcome = count(request)?;
    if let Outcome::Complete(reply) = &mut outcome {
        for message in &request.invocations {
            let (key, value) = (&*request.target.id, message.argument.value());
            let argument = KafkaRecord { topic: RECEIPTS_TOPIC, key, value }.encode();
            let egress = Name::from_parts(NAMESPACE, RECEIPTS);
            reply.egress.push(Egress { egress, argument });
        }
    }
    Some(outcome)
}

/// Counts messages, and answers each of them with the count.
fn count(request: &OwnedRequest) -> Option<Outcome> {
    let Some(state) = request.states.iter().find(|state| &*state.name == STATE) else {
        return Some(Outcome::Incomplete(vec![StateSpec {
            name: STATE.into(),
            typename: types::INT.into(),
            expiration: Expiration::Never,
        }]));
    };
    let value = state.value.as_ref().filter(|value| value.has_value());
    let before: i32 = value.map(types::decode).transpose().ok()?.unwrap_or_default();
    let mut seen = before;
    let mut reply = Reply::default();
    for message in &request.invocations {
        let typename = message.argument.typename();
        seen += i32::from(typename != READ);
        let asked_by = match typename {
            ADD_FOR => Some(parse_address(message.argument.value())?),
            _ => message.caller.clone(),
        };
        if let Some(target) = asked_by {
            reply.messages.push(Outgoing { target, argument: types::encode(seen) });
        }
    }
    if seen != before {
        let change = StateChange::Modify(types::encode(seen));
        reply.mutations.push(Mutation { state: STATE.into(), change });
    }
    Some(Outcome::Complete(reply))
}

/// An address as it is displayed: `namespace/name/id`.
fn parse_address(text: &[u8]) -> Option<Address> {
    let (namespace, rest) = std::str::from_utf8(text).ok()?.split_once('/')?;
    let (name, id) = rest.split_once('/')?;
    Some(Address::new(Name::from_parts(namespace, name), id))
}

/// The count in the body of an answer: an `IntWrapper`.
pub(crate) fn decode_count(body: &[u8]) -> Option<u32> {
    match body {
        [] => Some(0),
        [0x0d, number @ ..] => Some(u32::from_le_bytes(number.try_into().ok()?)),
        _ => None,
    }
}

/// The functions, running. Killed when dropped.
pub(crate) struct Running {
    child: Owned,
    pub(crate) address: SocketAddr,
}

/// What the functions have done since their start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) requests: u64,
    pub(crate) messages: u64,
}

impl Running {
    /// Starts them on some free port, or on the one they had before.
    pub(crate) fn start(address: Option<SocketAddr>) -> anyhow::Result<Running> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("functions").stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(address) = address {
            command.args(["--address", &address.to_string()]);
        }
        let mut child = Owned(command.spawn().context("cannot start the functions")?);
        let mut line = String::new();
        let stdout = child.0.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse().context("the functions did not say where they are")?;
        Ok(Running { child, address })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    pub(crate) async fn work(&self) -> anyhow::Result<Work> {
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.request("GET", format_args!("/"), "none").await?;
        let text = std::str::from_utf8(answer.body)?;
        let (requests, messages) = text.split_once(' ').context("no figures")?;
        Ok(Work { requests: requests.parse()?, messages: messages.parse()? })
    }

    /// Makes the instance with this id fail (`PUT`), or work again (`DELETE`).
    pub(crate) async fn set_failing(&self, method: &str, id: &str) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.request(method, format_args!("/failing/{id}"), "none").await?;
        ensure!(answer.status == 200, "the functions answered with {}", answer.status);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_displayed() {
        let address = Address::new(Name::from_parts("bench", "caller"), "1/2");
        assert_eq!(parse_address(address.to_string().as_bytes()), Some(address));
        assert_eq!(parse_address(b"bench/caller"), None);
    }
}
