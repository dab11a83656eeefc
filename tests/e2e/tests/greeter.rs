//! The examples do what their README says, with their own `module.yaml`; only the ports are replaced by free ones.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use statera_e2e::{
    App, Client, Companion, Statera, eventually, node_modules, python, repository, skipped,
};

const INGRESS: &str = "io.statefun.playground/ingress";
const EGRESS: &str = "io.statefun.playground/egress";

#[test]
fn greeter_python_runs_as_it_is() {
    match python() {
        Ok(python) => greet("greeter-python", "greeter.py", |script| {
            let mut command = Command::new(python);
            command.arg(script);
            command
        }),
        Err(why) => skipped("greeter-python", &why),
    }
}

#[test]
fn greeter_js_runs_as_it_is() {
    match node_modules() {
        Ok(modules) => greet("greeter-js", "greeter.js", |script| {
            let mut command = Command::new("node");
            command.env("NODE_PATH", modules).arg(script);
            command
        }),
        Err(why) => skipped("greeter-js", &why),
    }
}

fn greet(example: &str, script: &str, command: impl FnOnce(&Path) -> Command) {
    let port = free_port().to_string();
    let example = repository().join("examples").join(example);
    let read = |name: &str| std::fs::read_to_string(example.join(name)).unwrap();
    let module = read("module.yaml");
    for used in ["localhost:8000", "port: 8090", "port: 8091"] {
        assert!(module.contains(used), "`{used}` in {module}");
    }
    let app = App::new(
        &module
            .replace("8000", &port)
            .replace("port: 8090", "port: 0")
            .replace("port: 8091", "port: 0"),
    );
    let copy = app.path(script);
    std::fs::write(&copy, read(script).replace("8000", &port)).unwrap();
    let mut command = command(&copy);
    let _server = Companion(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    eventually("the function server", || TcpStream::connect(format!("localhost:{port}")).ok());

    let mut statera = app.start();
    visit(&statera, "Ada");
    assert_eq!(greeting(&statera), "Hello Ada, good to meet you!");
    visit(&statera, "Ada");
    assert_eq!(greeting(&statera), "Hello again, Ada. So you liked it here!");
    visit(&statera, "Bob");
    assert_eq!(greeting(&statera), "Hello Bob, good to meet you!");

    statera.kill();
    let mut statera = app.start();
    visit(&statera, "Ada");
    // The playground's egress keeps nothing: what it had not confirmed may come again after a crash.
    eventually("the third greeting", || match &*greeting(&statera) {
        "Ada! Three visits make a habit." => Some(()),
        again => {
            let known = ["Hello Ada, good", "Hello again, Ada.", "Hello Bob, good"];
            assert!(known.iter().any(|known| again.starts_with(known)), "{again}");
            None
        }
    });
    nothing_is_queued(&statera);
    assert_eq!(statera.stop(), Some(0));
}

fn visit(statera: &Statera, name: &str) {
    let headers = [("Content-Type", "application/vnd.example/GreetRequest")];
    let body = format!("{{\"name\": \"{name}\"}}");
    let path = format!("/example/person/{name}");
    let response = client(statera, INGRESS).request("PUT", &path, &headers, body.as_bytes());
    let response = response.unwrap().expect(200);
    assert_eq!(response.header("status"), Some("200"));
    assert!(response.body.is_empty());
}

fn greeting(statera: &Statera) -> String {
    let mut client = client(statera, EGRESS);
    let greeting = eventually("a greeting", || {
        let response = client.request("GET", "/greetings", &[], b"").unwrap();
        (!response.body.is_empty()).then_some(response)
    });
    assert_eq!((greeting.status, greeting.header("status")), (200, Some("200")));
    greeting.text()
}

fn nothing_is_queued(statera: &Statera) {
    let mut client = client(statera, EGRESS);
    for (topic, status) in [("/greetings", "404"), ("/elsewhere", "405")] {
        let response = client.request("GET", topic, &[], b"").unwrap();
        assert_eq!(response.header("status"), Some(status), "{response:?}");
    }
}

fn client(statera: &Statera, id: &str) -> Client {
    statera.client(id)
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
