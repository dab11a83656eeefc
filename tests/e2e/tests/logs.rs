//! What the log of a real process says when things go wrong, and that `docs/guides/logs.md` shows just that.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::Command;

use bytes::Bytes;
use serde_json::Value;
use statera_e2e::{
    App, FunctionServer, Functions, Mode, Page, Reaction, Statera, Target, eventually, words,
};

const TYPE: &str = "e2e/Json";

/// Messages that can't be processed.
const BAD: usize = 50;

const MODULE: &str = "kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/*
  urlPathTemplate: URL
---
kind: io.statera.v1/http-ingress
spec:
  id: shop/http
  address: 127.0.0.1:0
";

/// Takes all items but those that are bad.
fn shop() -> FunctionServer {
    let functions = Functions::default().with("shop/cart", &["items"], |context, _| {
        context.add("items", 1);
    });
    FunctionServer::start(move |body: Bytes| match body.windows(5).any(|it| it == b"\"bad\"") {
        true => Reaction::Status(422, "this item can't be sold".to_owned()),
        false => functions.react(body),
    })
}

fn send(statera: &Statera, id: &str, item: &[u8]) {
    let target = Target { function: "shop/cart", id };
    statera.client("shop/http").send(target, TYPE, None, item).unwrap().expect(202);
}

/// The log so far, each line parsed. All warnings and errors have a code that is documented.
fn entries(statera: &Statera) -> Vec<Value> {
    let parse = |line: &String| {
        let entry: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["timestamp", "level", "message", "target"] {
            assert!(entry[field].is_string(), "no `{field}`: {line}");
        }
        if ["WARN", "ERROR"].contains(&entry["level"].as_str().unwrap()) {
            let code = entry["code"].as_str().unwrap_or_else(|| panic!("no code: {line}"));
            let page = statera_e2e::repository().join(format!("docs/errors/{code}.md"));
            assert!(page.is_file(), "no page: {line}");
        }
        entry
    };
    statera.log().iter().map(parse).collect()
}

fn with_code(statera: &Statera, code: &str) -> Vec<Value> {
    entries(statera).into_iter().filter(|entry| entry["code"] == code).collect()
}

/// How often something happened, by the lines about it.
fn times(entries: &[Value]) -> u64 {
    entries.iter().map(|entry| entry["count"].as_u64().unwrap_or(1)).sum()
}

fn names(entry: &Value) -> BTreeSet<&str> {
    entry.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn each_thing_that_goes_wrong_is_logged_once_with_its_code_as_the_guide_has_it() {
    let functions = shop();
    let app = App::new(&MODULE.replace("URL", &functions.url()));
    let mut statera = app.start();

    functions.set_mode(Mode::Unavailable);
    for n in 0..20 {
        send(&statera, &format!("good-{n}"), b"{}");
    }
    let asked = functions.requests();
    eventually("attempts", || (functions.requests() >= asked + 8).then_some(()));
    functions.set_mode(Mode::Serving);
    let is_back = |entry: &Value| entry["endpoint"] == "shop/*" && entry["level"] == "INFO";
    eventually("the end of the outage", || entries(&statera).iter().any(is_back).then_some(()));
    let outages = with_code(&statera, "ST2001");
    assert_eq!(outages.len(), 1, "{outages:#?}");
    assert_eq!(outages[0]["endpoint"], "shop/*");
    assert!(outages[0]["reason"].as_str().unwrap().contains("503"), "{outages:#?}");

    for n in 0..BAD {
        send(&statera, &format!("bad-{n}"), b"{\"bad\":1}");
    }
    eventually("dead letters", || {
        (statera_e2e::dead_letters(statera.admin()?).len() == BAD).then_some(())
    });
    eventually("all of them in the log", || {
        (times(&with_code(&statera, "ST2003")) == BAD as u64).then_some(())
    });
    let letters = with_code(&statera, "ST2003");
    assert!(letters.len() <= 20, "{} lines for {BAD} dead letters", letters.len());
    assert!(with_code(&statera, "ST2001").len() == 1, "who answers is not down");

    run_the_guide(&statera);
    assert_eq!(statera.stop(), Some(0));
    let said = entries(&statera);
    let page = Page::read("docs/guides/logs.md");
    let shown: Vec<Value> =
        page.lines("json").map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(shown.len() >= 4, "has the form of the page changed?");
    for example in shown {
        let alike = |entry: &&Value| {
            let fields = ["level", "message", "code", "target"];
            fields.iter().all(|field| entry[*field] == example[*field])
        };
        let found = said.iter().find(alike).unwrap_or_else(|| panic!("nobody says {example}"));
        assert_eq!(names(found), names(&example), "{found}");
    }
}

fn run_the_guide(statera: &Statera) {
    let page = Page::read("docs/guides/logs.md");
    for line in page.lines("sh") {
        let arguments = words(line.strip_prefix("statera ").expect("nothing but commands"));
        let admin = format!("http://{}", statera.admin().unwrap());
        let output = Command::new(Statera::binary())
            .args(arguments)
            .env("STATERA_ADMIN_URL", admin)
            .output()
            .unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "`{line}`: {output:?}");
    }
}

#[test]
fn the_error_with_which_it_ends_is_said_once_with_its_code() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let functions = shop();
    let module = MODULE.replace("URL", &functions.url()).replace("127.0.0.1:0", &address);
    let app = App::new(&module);
    let mut statera = app.spawn();
    let (status, log) = statera.wait_for_end();
    assert_eq!(status.code(), Some(1), "{log}");
    let errors: Vec<Value> =
        entries(&statera).into_iter().filter(|entry| entry["level"] == "ERROR").collect();
    assert_eq!((errors.len(), errors[0]["code"].as_str()), (1, Some("ST1005")), "{log}");
    assert_eq!(log.matches(&address).count(), 1, "{log}");

    let mut command = Command::new(Statera::binary());
    command.arg("run").arg("-f").arg(app.path("module.yaml")).arg("--data").arg(app.data());
    let output = command.args(["--admin", "127.0.0.1:0"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("error[ST1005]: cannot listen on"), "{said}");
    assert_eq!(said.matches(&address).count(), 1, "{said}");
}

#[test]
fn a_wrong_configuration_is_an_entry_of_the_log_for_programs() {
    let app = App::new("kind: io.statera.v1/engine\nspec:\n  shards: many\n");
    let mut statera = app.spawn();
    let (status, log) = statera.wait_for_end();
    assert_eq!(status.code(), Some(2), "{log}");
    let wrong = with_code(&statera, "ST1001");
    assert_eq!((wrong.len(), entries(&statera).len()), (1, 1), "{log}");
    assert!(wrong[0]["message"].as_str().unwrap().contains("module.yaml:3:"), "{log}");
}
