//! The admin API of a process: what survives it, who may ask, and requests of all kinds, made from its description by an
//! independent tool.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::SocketAddr;
use std::process::Command;

use statera_e2e::{App, Client, FunctionServer, Statera, Target, counting, eventually, skipped};

/// Names the tool; `cargo xtask components` installs it.
const VARIABLE: &str = "STATERA_SCHEMATHESIS";

const CHECKS: &str = "not_a_server_error,response_schema_conformance,content_type_conformance,status_code_conformance";

fn post(admin: SocketAddr, path: &str) -> serde_json::Value {
    Client::new(admin).request("POST", path, &[], b"").unwrap().expect(200).json()
}

#[test]
fn no_request_that_fits_its_description_is_a_server_error() {
    let Some(tool) = std::env::var_os(VARIABLE) else {
        let why = format!("`{VARIABLE}` is not set; `cargo xtask components` installs it");
        return skipped("schemathesis", &why);
    };
    let counter = counting::functions();
    let functions = FunctionServer::start(move |body| counter.react(body));
    let app = App::new(&counting::module(&functions.url()));
    let statera = app.start();
    let mut client = statera.client("process/in");
    for id in 0..20 {
        let id = id.to_string();
        let target = Target { function: "process/counter", id: &id };
        client.call(target, "e2e/Json", None, b"{}").unwrap().expect(200);
    }
    let admin = statera.admin().expect("it listens");
    let output = Command::new(tool)
        .args(["run", &format!("http://{admin}/v1/openapi.json")])
        // It never ends, and has tests of its own.
        .args(["--exclude-path", "/v1/events"])
        .args(["--checks", CHECKS, "--max-examples", "20", "--seed", "1"])
        .args(["--suppress-health-check", "all", "--continue-on-failure", "--no-color"])
        .args(["--request-timeout", "35"])
        .current_dir(app.path(""))
        .output()
        .expect("the tool starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    Client::new(admin).request("GET", "/v1/status", &[], b"").unwrap().expect(200);
}

#[test]
fn pauses_hold_after_a_crash() {
    let counter = counting::functions();
    let functions = FunctionServer::start(move |body| counter.react(body));
    let app = App::new(&counting::module(&functions.url()));
    let mut statera = app.start();
    for part in ["functions/process/counter", "endpoints/process/*", "addresses/process/counter/a"]
    {
        post(statera.admin().unwrap(), &format!("/v1/{part}/pause"));
    }
    let target = Target { function: "process/counter", id: "a" };
    statera.client("process/in").send(target, "e2e/Json", None, b"{}").unwrap().expect(202);
    post(statera.admin().unwrap(), "/v1/ingresses/process/in/pause");
    statera.kill();
    let statera = app.start();
    let refused = statera.client("process/in").send(target, "e2e/Json", None, b"{}").unwrap();
    refused.expect(503);
    let admin = statera.admin().unwrap();
    for part in [
        "ingresses/process/in",
        "functions/process/counter",
        "endpoints/process/*",
        "addresses/process/counter/a",
    ] {
        assert_eq!(functions.requests(), 0, "before {part} is resumed");
        post(admin, &format!("/v1/{part}/resume"));
    }
    eventually("the message", || (functions.requests() > 0).then_some(()));
}

#[test]
fn with_a_token_requests_must_carry_it() {
    let mut app = App::new(&counting::module("http://127.0.0.1:1/"));
    std::fs::write(app.path("token"), "0123456789abcdef0123456789abcdef\n").unwrap();
    let token = app.path("token").display().to_string();
    app.set_arguments(&["--admin-token-file", &token]);
    let statera = app.start();
    let mut client = Client::new(statera.admin().unwrap());
    client.request("GET", "/health", &[], b"").unwrap().expect(200);
    client.request("GET", "/v1/status", &[], b"").unwrap().expect(401);
    let bearer = ("authorization", "Bearer 0123456789abcdef0123456789abcdef");
    client.request("GET", "/v1/status", &[bearer], b"").unwrap().expect(200);
    let body = br#"{"filter": "debug"}"#;
    client.request("PUT", "/v1/log", &[bearer], body).unwrap().expect(200);
}

#[test]
fn without_a_token_only_a_loopback_address_is_served() {
    let app = App::new(&counting::module("http://127.0.0.1:1/"));
    let output = Command::new(Statera::binary())
        .args(["run", "--admin", "0.0.0.0:0", "-f"])
        .arg(app.path("module.yaml"))
        .arg("--data")
        .arg(app.data())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--admin-token-file"), "{said}");
}
