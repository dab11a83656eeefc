//! What `docs/guides/command-line.md` shows is what happens: its commands are given to the binary as they stand there, one after the
//! other, to an engine with the functions that it speaks of. Only addresses, and the id of a dead letter, are those of the test.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use statera_e2e::{
    App, Context, FunctionServer, Functions, Page, Reaction, Statera, dead_letters, eventually,
    words,
};

/// What stands in the guide for the id of a dead letter, and for where a function server is.
const ID: &str = "7-1768999999123";
const ENDPOINT: &str = "http://localhost:8000/statefun";

const MODULE: &str = "
kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/*
  urlPathTemplate: URL
---
kind: io.statera.v1/http-ingress
spec:
  id: shop/http
  address: 127.0.0.1:0
---
kind: io.statera.v1/stdout-egress
spec:
  id: shop/out
";

/// A shop whose carts take everything, and remind their owner in an hour.
fn shop() -> Functions {
    let add = |context: &mut Context, item: &serde_json::Value| {
        context.add("items", 1);
        let id = context.id();
        context.send_after(Duration::from_secs(3600), None, ("shop/cart", &id), item);
    };
    let echo =
        |context: &mut Context, question: &serde_json::Value| context.answer(question.clone());
    Functions::default().with("shop/cart", &["items"], add).with("shop/echo", &[], echo)
}

/// The same, but for items that are bad.
fn picky_shop() -> FunctionServer {
    let functions = shop();
    FunctionServer::start(move |body: Bytes| {
        let is_bad = body.windows(5).any(|bytes| bytes == b"\"bad\"");
        match is_bad {
            true => Reaction::Status(422, "this item can't be sold".to_owned()),
            false => functions.react(body),
        }
    })
}

struct World {
    app: App,
    statera: Statera,
    _functions: FunctionServer,
}

impl World {
    fn start() -> World {
        let functions = picky_shop();
        let app = App::new(&MODULE.replace("URL", &functions.url()));
        let statera = app.start();
        World { app, statera, _functions: functions }
    }

    fn run(&self, arguments: &[String]) -> Output {
        let mut command = Command::new(Statera::binary());
        command.args(arguments).current_dir(self.app.path(".")).stdin(Stdio::null());
        let admin = self.statera.admin().expect("an admin address");
        command.env("STATERA_ADMIN_URL", format!("http://{admin}"));
        let ingress = self.statera.address("shop/http");
        command.env("STATERA_INGRESS_URL", format!("http://{ingress}"));
        command.output().expect("the binary starts")
    }

    fn send_bad_items(&self) {
        for customer in ["alice", "bert", "cleo"] {
            let path = format!("/v1/send/shop/cart/{customer}?typename=shop/Item");
            let mut client = self.statera.client("shop/http");
            client.request("POST", &path, &[], b"{\"bad\":1}").unwrap().expect(202);
        }
        eventually("dead letters", || {
            let letters = dead_letters(self.statera.admin()?);
            (letters.len() == 3).then_some(())
        });
    }
}

#[test]
fn the_commands_of_the_guide_do_what_it_says() {
    let world = World::start();
    world.send_bad_items();
    let id = dead_letters(world.statera.admin().unwrap())[0].id().to_owned();
    let repaired = FunctionServer::start({
        let functions = shop();
        move |body| functions.react(body)
    });
    // So that what is looked at is there.
    let first = words("send shop/cart/alice --type shop/Item --json {}");
    assert!(world.run(&first).status.success());
    eventually("the cart", || {
        let state = words("state shop/cart/alice items --json");
        world.run(&state).status.success().then_some(())
    });
    let page = Page::read("docs/guides/command-line.md");
    let mut count = 0;
    for line in page.lines("sh") {
        let command = line.strip_prefix("statera ").expect("nothing but commands");
        let arguments: Vec<String> = words(command)
            .into_iter()
            .map(|word| word.replace(ID, &id).replace(ENDPOINT, &repaired.url()))
            .collect();
        let output = world.run(&arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let notes = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "`{line}`: {}\n{text}\n{notes}", output.status);
        assert!(!text.is_empty() || !notes.is_empty(), "`{line}` says nothing");
        if command.contains(" replay ") {
            assert!(text.contains("the function did it"), "{text}");
            assert_eq!(dead_letters(world.statera.admin().unwrap()).len(), 3);
        }
        count += 1;
    }
    assert!(count >= 40, "only {count} commands found: has the form of the page changed?");
    assert!(world.app.path("statera-man/statera.1").is_file());
}
