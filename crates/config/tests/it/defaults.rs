//! Each kind with as little as possible, and with everything.

use std::path::PathBuf;
use std::time::Duration;

use statera_config::{
    AsyncTransport, ClientCertificate, Durability, Egress, Endpoint, EngineSettings, EpochSettings,
    FailurePolicy, FailureSettings, FileEgress, FileIngress, FileRecord, FunctionPattern,
    HttpIngress, Ingress, LimitSettings, MemorySettings, OkHttpTransport, PlaygroundEgress,
    PlaygroundIngress, Scheme, StdoutEgress, Tls, TraceSettings, Transport, UrlTemplate,
};
use statera_model::Name;

use crate::{ENDPOINT, INGRESS, application, seconds};

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn only_endpoint(text: &str) -> Endpoint {
    let mut endpoints = application(&format!("{INGRESS}{text}")).endpoints;
    assert_eq!(endpoints.len(), 1);
    endpoints.remove(0)
}

fn only_ingress(text: &str) -> Ingress {
    let mut ingresses = application(&format!("{ENDPOINT}{text}")).ingresses;
    assert_eq!(ingresses.len(), 1);
    ingresses.remove(0)
}

fn only_egress(text: &str) -> Egress {
    let mut egresses = application(&format!("{ENDPOINT}{INGRESS}{text}")).egresses;
    assert_eq!(egresses.len(), 1);
    egresses.remove(0)
}

fn engine(text: &str) -> EngineSettings {
    application(&format!("{ENDPOINT}{INGRESS}{text}")).engine
}

const ASYNC: AsyncTransport = AsyncTransport {
    call: seconds(120),
    connect: seconds(20),
    pool_ttl: Some(seconds(15)),
    pool_size: 1024,
    payload_max_bytes: 33_554_432,
    tls: Tls { trust_cacerts: None, client: None },
};

const OKHTTP: OkHttpTransport = OkHttpTransport {
    call: seconds(60),
    connect: seconds(10),
    read: seconds(10),
    write: seconds(10),
};

#[test]
fn the_greeter_of_the_playground_is_read() {
    let greeter = application(
        "
kind: io.statefun.endpoints.v2/http
spec:
  functions: example/*
  urlPathTemplate: http://localhost:8000/statefun
---
kind: io.statefun.playground.v1/ingress
spec:
  port: 8090
---
kind: io.statefun.playground.v1/egress
spec:
  port: 8091
  topics:
    - greetings
",
    );
    let endpoint = Endpoint {
        functions: FunctionPattern::Namespace("example".into()),
        url: UrlTemplate { text: "http://localhost:8000/statefun".into(), scheme: Scheme::Http },
        max_batch_requests: Some(1000),
        transport: Transport::Async(ASYNC),
    };
    assert_eq!(greeter.endpoints, [endpoint]);
    let address = "127.0.0.1:8090".parse().unwrap();
    assert_eq!(greeter.ingresses, [Ingress::Playground(PlaygroundIngress { address })]);
    let address = "127.0.0.1:8091".parse().unwrap();
    let topics = vec!["greetings".to_owned()];
    assert_eq!(greeter.egresses, [Egress::Playground(PlaygroundEgress { address, topics })]);
    assert_eq!(greeter.engine, EngineSettings::default());
}

#[test]
fn all_settings_of_the_async_transport_are_read() {
    let endpoint = only_endpoint(
        "
kind: io.statefun.endpoints.v2/http
spec:
  functions: com.example/greeter
  urlPathTemplate: https://bar.foo.com/{function.name}
  maxNumBatchRequests: 50
  transport:
    type: io.statefun.transports.v1/async
    call: 1day
    connect: 5000
    pool_ttl: 0
    pool_size: 7
    payload_max_bytes: 1_000
    trust_cacerts: /certs/ca.pem
    client_cert: file:///certs/client.pem
    client_key: certs/key.pem
    client_key_password: /certs/password
",
    );
    assert_eq!(endpoint.functions, FunctionPattern::Exact(name("com.example/greeter")));
    assert_eq!(endpoint.url.scheme, Scheme::Https);
    assert_eq!(endpoint.url.url(&name("com.example/greeter")), "https://bar.foo.com/greeter");
    assert_eq!(endpoint.max_batch_requests, Some(50));
    let tls = Tls {
        trust_cacerts: Some("/certs/ca.pem".into()),
        client: Some(ClientCertificate {
            cert: "/certs/client.pem".into(),
            key: "certs/key.pem".into(),
            key_password: Some("/certs/password".into()),
        }),
    };
    let expected = AsyncTransport {
        call: seconds(86_400),
        connect: seconds(5),
        pool_ttl: None,
        pool_size: 7,
        payload_max_bytes: 1000,
        tls,
    };
    assert_eq!(endpoint.transport, Transport::Async(expected));
}

fn transport(text: &str) -> Transport {
    only_endpoint(&format!(
        "{}\n  transport: {text}",
        ENDPOINT.trim_end_matches("---\n").trim_end()
    ))
    .transport
}

#[test]
fn the_compatibility_timeouts_have_defaults_of_their_own() {
    let with = |call, connect| Transport::Async(AsyncTransport { call, connect, ..ASYNC });
    assert_eq!(transport("{ timeouts: {} }"), with(seconds(60), seconds(10)));
    assert_eq!(transport("{ timeouts: { call: 5s } }"), with(seconds(5), seconds(10)));
    assert_eq!(transport("{ timeouts: { connect: 5s } }"), with(seconds(60), seconds(5)));
    assert_eq!(transport("{ call: 5s }"), with(seconds(5), seconds(20)));
    assert_eq!(transport("{}"), with(seconds(120), seconds(20)));
    assert_eq!(transport("null"), with(seconds(120), seconds(20)));
}

#[test]
fn a_pool_ttl_that_is_not_positive_is_for_ever() {
    for ttl in ["0", "-1", "0s"] {
        let forever = Transport::Async(AsyncTransport { pool_ttl: None, ..ASYNC });
        assert_eq!(transport(&format!("{{ pool_ttl: {ttl} }}")), forever, "{ttl}");
    }
}

#[test]
fn all_settings_of_the_okhttp_transport_are_read() {
    let okhttp =
        |fields: &str| transport(&format!("{{ type: io.statefun.transports.v1/okhttp{fields} }}"));
    assert_eq!(okhttp(""), Transport::OkHttp(OKHTTP));
    let expected = OkHttpTransport {
        call: seconds(4),
        connect: seconds(1),
        read: seconds(2),
        write: seconds(3),
    };
    let read = okhttp(", timeouts: { call: 4s, connect: 1s, read: 2s, write: 3s }");
    assert_eq!(read, Transport::OkHttp(expected));
}

#[test]
fn a_v1_endpoint_uses_okhttp() {
    let v1 = |timeouts: &str| {
        only_endpoint(&format!(
            "
kind: io.statefun.endpoints.v1/http
spec:
  functions: example/*
  urlPathTemplate: http+unix:///run/functions.sock/statefun
{timeouts}"
        ))
    };
    assert_eq!(v1("").transport, Transport::OkHttp(OKHTTP));
    assert_eq!(v1("").max_batch_requests, Some(1000));
    assert_eq!(v1("").url.scheme, Scheme::Unix);
    let patient = OkHttpTransport { call: seconds(120), ..OKHTTP };
    assert_eq!(v1("  timeouts:\n    call: 2min").transport, Transport::OkHttp(patient));
}

#[test]
fn no_batch_limit_is_written_as_zero_or_less() {
    for limit in ["0", "-1", "-1000"] {
        let text = ENDPOINT.replace("---\n", "");
        let endpoint = only_endpoint(&format!("{text}  maxNumBatchRequests: {limit}"));
        assert_eq!(endpoint.max_batch_requests, None, "{limit}");
    }
}

#[test]
fn a_playground_listens_beyond_loopback_if_told() {
    let text = "{ kind: io.statefun.playground.v1/ingress, spec: { port: 1, address: 0.0.0.0 } }";
    let address = "0.0.0.0:1".parse().unwrap();
    assert_eq!(only_ingress(text), Ingress::Playground(PlaygroundIngress { address }));
}

#[test]
fn an_http_ingress_is_read() {
    let minimal = HttpIngress {
        id: name("example/in"),
        address: "127.0.0.1:8080".parse().unwrap(),
        body_max_bytes: 16 << 20,
        requests_max: 16_384,
        call_timeout: seconds(30),
    };
    let text = "{ kind: io.statera.v1/http-ingress, spec: { id: example/in } }";
    assert_eq!(only_ingress(text), Ingress::Http(minimal));
    let full = HttpIngress {
        id: name("example/in"),
        address: "[::1]:0".parse().unwrap(),
        body_max_bytes: 1 << 10,
        requests_max: 5,
        call_timeout: Duration::from_millis(1500),
    };
    let text = "
kind: io.statera.v1/http-ingress
spec:
  id: example/in
  address: '[::1]:0'
  bodyMaxBytes: 1KiB
  requestsMax: 5
  callTimeout: 1500
";
    assert_eq!(only_ingress(text), Ingress::Http(full));
}

#[test]
fn a_file_ingress_is_read() {
    let record = |key: &str, targets: &[&str]| FileRecord {
        value_type: name("example/Login"),
        key: key.into(),
        targets: targets.iter().map(|target| name(target)).collect(),
    };
    let minimal = FileIngress {
        id: name("example/in"),
        path: PathBuf::from("logins.jsonl"),
        follow: false,
        records: vec![record("/user", &["example/person"])],
        line_max_bytes: 16 << 20,
    };
    let text = "
kind: io.statera.v1/file-ingress
spec:
  id: example/in
  path: logins.jsonl
  records:
    - valueType: example/Login
      key: /user
      targets: [example/person]
";
    assert_eq!(only_ingress(text), Ingress::File(minimal.clone()));
    let full = FileIngress {
        follow: true,
        line_max_bytes: 1 << 20,
        records: vec![record("", &["example/a", "example/b"]), record("/a~1b/0", &["example/a"])],
        ..minimal
    };
    let text = "
kind: io.statera.v1/file-ingress
spec:
  id: example/in
  path: logins.jsonl
  follow: true
  lineMaxBytes: 1MiB
  records:
    - { valueType: example/Login, key: '', targets: [example/a, example/b] }
    - { valueType: example/Login, key: /a~1b/0, targets: [example/a] }
";
    assert_eq!(only_ingress(text), Ingress::File(full));
}

#[test]
fn file_and_stdout_egresses_are_read() {
    let text = "{ kind: io.statera.v1/file-egress, spec: { id: example/out, path: out.jsonl } }";
    let file = FileEgress { id: name("example/out"), path: "out.jsonl".into() };
    assert_eq!(only_egress(text), Egress::File(file));
    let text = "{ kind: io.statera.v1/stdout-egress, spec: { id: example/out } }";
    assert_eq!(only_egress(text), Egress::Stdout(StdoutEgress { id: name("example/out") }));
}

#[test]
fn the_engine_has_the_defaults_that_its_types_document() {
    let expected = EngineSettings {
        shards: None,
        key_groups: 128,
        epochs: EpochSettings {
            min_interval: Duration::ZERO,
            max_interval: Duration::from_millis(100),
        },
        memory: MemorySettings {
            state_bytes: 256 << 20,
            mailbox_bytes: 128 << 20,
            unflushed_bytes: 64 << 20,
        },
        limits: LimitSettings {
            invocations_in_flight: 32_768,
            mailbox_messages: 100_000,
            batch_bytes: 512 << 10,
            idempotency_keys: 1_000_000,
        },
        durability: Durability::Fsync,
        failures: FailureSettings {
            backoff_min: Duration::from_millis(4),
            backoff_max: seconds(5),
            budget: seconds(60),
            policy: FailurePolicy::DeadLetter,
            overrides: [].into(),
        },
        idempotency_retention: seconds(3600),
        traces: TraceSettings {
            endpoint: None,
            sample: 1.0,
            service_name: "statera".to_owned(),
            headers: Vec::new(),
        },
    };
    assert_eq!(EngineSettings::default(), expected);
    assert_eq!(engine("{ kind: io.statera.v1/engine, spec: {} }"), expected);
    assert_eq!(engine("{ kind: io.statera.v1/engine, spec: { epochs: } }"), expected);
    assert_eq!(engine("kind: io.statera.v1/engine\nspec:\n  # shards: 4"), expected);
}

#[test]
fn all_settings_of_the_engine_are_read() {
    let expected = EngineSettings {
        shards: Some(2),
        key_groups: 64,
        epochs: EpochSettings {
            min_interval: Duration::from_millis(1),
            max_interval: Duration::from_millis(2),
        },
        memory: MemorySettings { state_bytes: 3 << 20, mailbox_bytes: 4 << 10, unflushed_bytes: 5 },
        limits: LimitSettings {
            invocations_in_flight: 6,
            mailbox_messages: 7,
            batch_bytes: 8,
            idempotency_keys: 9,
        },
        durability: Durability::None,
        failures: FailureSettings {
            backoff_min: Duration::from_millis(10),
            backoff_max: Duration::from_millis(11),
            budget: Duration::from_millis(13),
            policy: FailurePolicy::Pause,
            overrides: [
                ("example/*".to_owned(), FailurePolicy::Retry),
                ("example/payment".to_owned(), FailurePolicy::DeadLetter),
            ]
            .into(),
        },
        idempotency_retention: seconds(12),
        traces: TraceSettings {
            endpoint: Some("https://collector:4318/otlp".to_owned()),
            sample: 0.25,
            service_name: "shop".to_owned(),
            headers: vec![
                ("authorization".to_owned(), "Bearer a=b".to_owned()),
                ("x-team".to_owned(), "orders".to_owned()),
            ],
        },
    };
    let text = "
kind: io.statera.v1/engine
spec:
  shards: 2
  keyGroups: 64
  epochs: { minInterval: 1ms, maxInterval: 2ms }
  memory: { stateBytes: 3MiB, mailboxBytes: 4 KiB, unflushedBytes: 5 }
  limits: { invocationsInFlight: 6, mailboxMessages: 7, batchBytes: 8, idempotencyKeys: 9 }
  durability: none
  failures:
    backoffMin: 10ms
    backoffMax: 11ms
    budget: 13ms
    policy: pause
    overrides:
      example/*: retry
      example/payment: dead-letter
  idempotencyRetention: 12s
  traces:
    endpoint: https://collector:4318/otlp
    sample: 0.25
    serviceName: shop
    headers: authorization=Bearer a=b, x-team=orders
";
    assert_eq!(engine(text), expected);
}
