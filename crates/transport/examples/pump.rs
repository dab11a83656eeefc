//! How many calls a shard can make: a client and a server in one process, each on a thread of its own.
//!
//! `cargo run --release -p statera-transport --example pump`

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use statera_config::{
    AsyncTransport, Endpoint, FunctionPattern, Scheme, Tls, Transport, UrlTemplate,
};
use statera_model::FunctionType;
use statera_transport::HttpClient;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

const CONCURRENT: usize = 128;
const CALLS: usize = 100_000;
const REQUEST_BYTES: usize = 330;
const RESPONSE_BYTES: usize = 360;
const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || serve(&tell));
    let url = format!("http://{}/{{function.name}}", told.recv()?);
    let client = HttpClient::new(&endpoint(url))?;
    let runtime = runtime();
    let tasks = LocalSet::new();
    for _ in 0..ROUNDS {
        let (start, cpu_start) = (Instant::now(), cpu_us());
        tasks.block_on(&runtime, pump(&client))?;
        let rate = CALLS as f64 / start.elapsed().as_secs_f64();
        let cpu = (cpu_us() - cpu_start) / CALLS as f64;
        println!("{rate:.0} calls/s, {CONCURRENT} at once, {cpu:.1} us of CPU each in the client");
    }
    println!("{:?}", client.statistics());
    Ok(())
}

/// CPU time of this thread in microseconds: steadier than the rate where others use the machine too. 0 if unknown.
fn cpu_us() -> f64 {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let on_cpu_ns = line.split(' ').next().and_then(|number| number.parse().ok());
    on_cpu_ns.unwrap_or(0.0) / 1000.0
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
}

async fn pump(client: &HttpClient) -> Result<(), Box<dyn Error>> {
    let callers: Vec<_> = (0..CONCURRENT)
        .map(|caller| {
            let client = client.clone();
            tokio::task::spawn_local(async move {
                let function = FunctionType::from_parts("example", "greeter");
                let request = Bytes::from(vec![7; REQUEST_BYTES]);
                let mut failed = 0;
                for _ in (caller..CALLS).step_by(CONCURRENT) {
                    let answer =
                        client.call(&function, request.clone(), Duration::from_secs(10), None);
                    failed += usize::from(answer.await.is_err());
                }
                failed
            })
        })
        .collect();
    for caller in callers {
        let failed = caller.await?;
        if failed > 0 {
            return Err(format!("{failed} calls failed").into());
        }
    }
    Ok(())
}

fn serve(tell: &mpsc::Sender<SocketAddr>) {
    let server = async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
        tell.send(listener.local_addr().expect("it is bound")).expect("the client waits");
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::task::spawn_local(async move {
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
            });
        }
    };
    LocalSet::new().block_on(&runtime(), server);
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    // A body that breaks off is not worth an answer of its own here.
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Full::new(Bytes::from_static(&[8; RESPONSE_BYTES])));
    let octets = hyper::header::HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, octets);
    Ok(response)
}

fn endpoint(text: String) -> Endpoint {
    let seconds = Duration::from_secs;
    Endpoint {
        functions: FunctionPattern::Namespace("example".to_owned()),
        url: UrlTemplate { text, scheme: Scheme::Http },
        max_batch_requests: None,
        transport: Transport::Async(AsyncTransport {
            call: seconds(120),
            connect: seconds(20),
            pool_ttl: Some(seconds(15)),
            pool_size: 1024,
            payload_max_bytes: 32 * 1024 * 1024,
            tls: Tls::default(),
        }),
    }
}
