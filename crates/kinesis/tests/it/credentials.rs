//! The roles of containers and machines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use serde_json::json;
use statera_config::AwsCredentials;
use statera_kinesis::{Environment, egress};
use statera_ports::DataId;

use crate::egress::{batch, record};
use crate::http::Server;
use crate::service::Service;
use crate::{egress_spec, soon};

/// Gives a new key at each question: `token-1`, `token-2`, ...
async fn metadata() -> (Server, Arc<AtomicUsize>) {
    let given = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&given);
    let server = Server::start(move |request| {
        let header = |name: &str| request.headers().get(name).map(|v| v.to_str().unwrap());
        let key = || {
            let number = counter.fetch_add(1, Ordering::Relaxed) + 1;
            json!({
                "AccessKeyId": "A",
                "SecretAccessKey": "s",
                "Token": format!("token-{number}"),
                "Expiration": "2099-01-01T00:00:00Z",
            })
            .to_string()
        };
        let session = header("x-aws-ec2-metadata-token") == Some("session");
        let (status, body) = match (request.method().as_str(), request.uri().path()) {
            ("PUT", "/latest/api/token") => (200, "session".to_owned()),
            ("GET", "/latest/meta-data/iam/security-credentials/") if session => {
                (200, "role\n".to_owned())
            }
            ("GET", "/latest/meta-data/iam/security-credentials/role") if session => (200, key()),
            ("GET", "/container") if header("authorization") == Some("secret") => (200, key()),
            _ => (401, String::new()),
        };
        Response::builder().status(status).body(Full::new(Bytes::from(body))).unwrap()
    })
    .await;
    (server, given)
}

async fn write(service: &Service, environment: Environment) {
    let mut spec = egress_spec(&service.url());
    spec.credentials = AwsCredentials::Default;
    let mut egress = egress(&spec, environment);
    let data = DataId("0123456789abcdef0123456789abcdef".into());
    egress.sink.recover(data, None).await.unwrap();
    soon("a write", egress.sink.write(batch(1, [record("k", "v")]))).await.unwrap();
}

#[tokio::test]
async fn the_role_of_a_machine_is_asked_for_and_asked_for_anew() {
    let service = Service::start(1).await;
    let (server, given) = metadata().await;
    let url = server.url();
    let environment = Environment::new(move |name| {
        (name == "AWS_EC2_METADATA_SERVICE_ENDPOINT").then(|| url.clone())
    });
    // The first key is said to have expired.
    service.state().token = Some("token-2".into());
    write(&service, environment).await;
    assert_eq!(given.load(Ordering::Relaxed), 2);
    assert_eq!(service.state().values(), ["v"]);
}

#[tokio::test]
async fn the_role_of_a_container_is_asked_for() {
    let service = Service::start(1).await;
    let (server, _) = metadata().await;
    let url = server.url();
    let environment = Environment::new(move |name| match name {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI" => Some(format!("{url}/container")),
        "AWS_CONTAINER_AUTHORIZATION_TOKEN" => Some("secret".into()),
        _ => None,
    });
    service.state().token = Some("token-1".into());
    write(&service, environment).await;
    assert_eq!(service.state().values(), ["v"]);
}

#[tokio::test]
async fn the_environment_goes_first() {
    let service = Service::start(1).await;
    let environment = Environment::new(|name| match name {
        "AWS_ACCESS_KEY_ID" => Some("A".into()),
        "AWS_SECRET_ACCESS_KEY" => Some("s".into()),
        "AWS_SESSION_TOKEN" => Some("mine".into()),
        _ => None,
    });
    service.state().token = Some("mine".into());
    write(&service, environment).await;
    assert_eq!(service.state().values(), ["v"]);
}
