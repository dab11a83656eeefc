//! Every command, given to a real engine by a real process.
#![expect(clippy::unwrap_used, reason = "all of it is tests")]

mod letters;
mod world;

use expect_test::{Expect, expect};
use serde_json::Value as Json;

use world::{Ran, World, statera, write};

fn check(world: &World, arguments: &str, expected: Expect) {
    expected.assert_eq(&world.run(arguments).shown());
}

/// An engine that has done something: Bob's cart holds two items, and a third comes in an hour.
fn busy() -> World {
    let world = World::start();
    world.send("example/cart/Bob", "{\"item\":\"socks\"}");
    world.send("example/relay/Bob", "{\"item\":\"hat\"}");
    world::eventually("the cart", || {
        let states = world.json("state example/cart/Bob");
        (states["states"][0]["json"] == 2).then_some(())
    });
    world
}

#[test]
fn what_an_engine_does_can_be_seen() {
    let world = busy();
    check(
        &world,
        "state example/cart/Bob",
        expect![[r#"
        NAME TYPE VALUE
        seen io.statefun.types/int 2
    "#]],
    );
    check(
        &world,
        "state example/cart/Bob seen",
        expect![[r#"
        2
    "#]],
    );
    check(
        &world,
        "state get example/cart/Bob seen",
        expect![[r#"
        2
    "#]],
    );
    check(
        &world,
        "state example/cart/Bob other",
        expect![[r#"
        note: error: `example/cart/Bob` has no state `other`; hint: see what it has with `statera state example/cart/Bob`
        exit 5
    "#]],
    );
    check(
        &world,
        "instances",
        expect![[r#"
        PHASE MAIL ADDRESS
        idle 0 example/cart/Bob
    "#]],
    );
    check(
        &world,
        "instances --prefix example/nobody",
        expect![[r#"
        note: there are no instances
    "#]],
    );
    let shown = world.run("instances example/cart/Bob").shown();
    let (known, invocations) = shown.split_once("\nlast invocations\n").expect(&shown);
    expect![[r#"
        address example/cart/Bob
        phase idle
        mail 0
        shard 1 (key group 126)
        in memory yes

        state
          NAME TYPE VALUE
          seen io.statefun.types/int 2
    "#]]
    .assert_eq(known);
    // How many are there depends on when the test has looked at it first.
    let last: String =
        invocations.lines().take(2).map(|line| format!("{}\n", line.trim())).collect();
    expect![[r#"
          ENDED OUTCOME TOOK MESSAGES BYTES REASON
          <time> ok <some ms> 1 <some B> -
    "#]]
    .assert_eq(&last);
    check(
        &world,
        "mailbox example/cart/Bob",
        expect![[r#"
        note: no messages wait for `example/cart/Bob`
    "#]],
    );
    check(
        &world,
        "timers",
        expect![[r#"
        DUE FROM TO TOKEN TYPE VALUE
        <time> example/relay/Bob example/cart/Bob later example/Item {"item":"hat"}
    "#]],
    );
    check(
        &world,
        "timers --sender example/cart/",
        expect![[r#"
        note: there are no messages for later
    "#]],
    );
    check(
        &world,
        "graph",
        expect![[r#"
        FROM TO MESSAGES A SECOND
        ingress example/in example/cart 1 -
        ingress example/in example/relay 1 -
        example/relay example/cart 1 -
        example/relay egress example/out 1 -
    "#]],
    );
    check(
        &world,
        "graph --dot",
        expect![[r#"
        digraph statera {
          rankdir=LR;
          node [shape=box];
          "ingress example/in" -> "example/cart" [label="1"];
          "ingress example/in" -> "example/relay" [label="1"];
          "example/relay" -> "example/cart" [label="1"];
          "example/relay" -> "egress example/out" [label="1"];
        }
    "#]],
    );
    check(
        &world,
        "ingress",
        expect![[r#"
        INGRESS KIND STATE MESSAGES A SECOND LAG PLACE
        example/in http open 2 - - 127.0.0.1:<port>
    "#]],
    );
    check(
        &world,
        "endpoints",
        expect![[r#"
        FUNCTIONS HEALTH IN FLIGHT FAILING ATTEMPTS FAILURES P50 P99 LAST SUCCESS URL
        example/* up 0 0 4 0 <some ms> <some ms> <time> http://127.0.0.1:<port>/{function.name}
    "#]],
    );
    check(
        &world,
        "call example/echo/Bob --type io.statefun.types/int --json 5",
        expect![[r#"
        5
        note: reply of type io.statefun.types/int:
    "#]],
    );
    check(
        &world,
        "deadletter list",
        expect![[r#"
        note: there are no dead letters
    "#]],
    );
    let functions = world.run("functions");
    assert_eq!(functions.code, 0, "{functions:?}");
    assert!(functions.out.starts_with("FUNCTION"), "{functions:?}");
    let cart = functions.out.lines().find(|line| line.starts_with("example/cart")).unwrap();
    assert_eq!(cart.split_whitespace().nth(1), Some("up"), "{functions:?}");
    let cart = world.run("functions example/cart");
    assert!(cart.out.contains("seen  io.statefun.types/int  never"), "{cart:?}");
    let status = world.run("status");
    assert!(status.out.contains("egress    example/out  stdout"), "{status:?}");
    let egress = world.run("egress");
    assert!(egress.out.contains("example/out  stdout  open"), "{egress:?}");
    let epochs = world.run("epochs --limit 2");
    assert!(epochs.out.starts_with("EPOCH"), "{epochs:?}");
}

#[test]
fn json_is_what_the_api_says() {
    let world = busy();
    for (command, path) in [
        ("instances", "/v1/instances?limit=100"),
        ("instances --prefix example/cart", "/v1/instances?prefix=example%2Fcart&limit=100"),
        ("instances example/cart/Bob", "/v1/instances/example/cart/Bob"),
        ("state example/cart/Bob", "/v1/state/example/cart/Bob"),
        ("timers --target example/cart/", "/v1/timers?target=example%2Fcart%2F&limit=100"),
        ("deadletter list", "/v1/deadletters?limit=100"),
        ("log", "/v1/log"),
    ] {
        assert_eq!(world.json(command), world.get(path), "{command}");
    }
    // Rates and times differ from one look to the next.
    let fields = |json: Json| json.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for (command, path) in [
        ("status", "/v1/status"),
        ("functions", "/v1/functions"),
        ("functions example/cart", "/v1/functions/example/cart"),
        ("endpoints", "/v1/endpoints"),
        ("ingress", "/v1/ingresses"),
        ("egress", "/v1/egresses"),
        ("graph", "/v1/graph"),
        ("epochs", "/v1/epochs"),
    ] {
        let (ours, theirs) = (fields(world.json(command)), fields(world.get(path)));
        let is_part = |field: &String| theirs.contains(field) || field.starts_with("rate");
        assert!(!ours.is_empty() && ours.iter().all(is_part), "{command}: {ours:?}");
    }
    let mailbox = world.json("mailbox example/cart/Bob");
    assert_eq!(fields(mailbox), ["address", "phase", "mail", "mailbox"]);
}

#[test]
fn long_lists_come_in_pages() {
    let world = World::start();
    for number in 0..5 {
        world.send(&format!("example/cart/{number}"), "{}");
    }
    let addresses = |page: &Json| -> Vec<String> {
        let instances = page["instances"].as_array().unwrap().iter();
        instances.map(|it| it["address"].as_str().unwrap().to_owned()).collect()
    };
    let first = world.json("instances --limit 2");
    let next = first["next"].as_str().unwrap().to_owned();
    let rest = world.json(&format!("instances --after {next}"));
    assert_eq!((addresses(&first).len(), addresses(&rest).len()), (2, 3));
    assert!(rest.get("next").is_none(), "{rest}");
    let all = world.run("instances --all --json");
    let lines: Vec<Json> =
        all.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let listed: Vec<&str> = lines.iter().map(|it| it["address"].as_str().unwrap()).collect();
    assert_eq!(listed, [addresses(&first), addresses(&rest)].concat());
    let table = world.run("instances --limit 2");
    assert_eq!(table.out.lines().count(), 3, "{table:?}");
    let hint = format!("there are more; hint: `--all`, or go on with `--after {next}`\n");
    assert_eq!(table.notes, hint);
    assert_eq!(world.run("instances --all").out.lines().count(), 6);
}

#[test]
fn what_is_paused_waits_and_goes_on() {
    let world = World::start();
    check(
        &world,
        "pause example/cart/Bob --reason audit",
        expect![[r#"
        note: `example/cart/Bob` waits until it is resumed
    "#]],
    );
    check(
        &world,
        "pause example/cart/Bob",
        expect![[r#"
        note: error: `example/cart/Bob` is paused already; hint: resume it, or leave it as it is
        exit 6
    "#]],
    );
    world.send("example/cart/Bob", "{\"item\":\"socks\"}");
    check(
        &world,
        "mailbox example/cart/Bob",
        expect![[r#"
        FROM TYPE VALUE
        (outside) example/Item {"item":"socks"}
    "#]],
    );
    check(
        &world,
        "mailbox example/cart/Bob --limit 1 --json",
        expect![[r#"
        {
          "address": "example/cart/Bob",
          "phase": "paused",
          "mail": 1,
          "mailbox": [
            {
              "typename": "example/Item",
              "value": "eyJpdGVtIjoic29ja3MifQ==",
              "text": "{\"item\":\"socks\"}",
              "json": {
                "item": "socks"
              }
            }
          ]
        }
    "#]],
    );
    check(
        &world,
        "instances example/cart/Bob",
        expect![[r#"
        address example/cart/Bob
        phase paused
        paused since <time>: audit
        mail 1
        shard 1 (key group 126)
        in memory yes

        mailbox
          FROM TYPE VALUE
          (outside) example/Item {"item":"socks"}
    "#]],
    );
    check(
        &world,
        "resume example/cart/Bob",
        expect![[r#"
        note: `example/cart/Bob` goes on
    "#]],
    );
    check(
        &world,
        "resume example/cart/Bob",
        expect![[r#"
        note: error: `example/cart/Bob` is not paused; hint: check the address; those with the failure policy `pause` are paused when they fail
        exit 6
    "#]],
    );
    check(
        &world,
        "pause --function example/relay --json",
        expect![[r#"
        {
          "done": "example/relay"
        }
    "#]],
    );
    check(
        &world,
        "resume --function example/relay",
        expect![[r#"
        note: function `example/relay` goes on
    "#]],
    );
    check(
        &world,
        "pause --endpoint example/*",
        expect![[r#"
        note: endpoint `example/*` waits until it is resumed
    "#]],
    );
    let endpoints = world.run("endpoints").shown();
    assert!(endpoints.contains("example/* paused "), "{endpoints}");
    assert!(endpoints.ends_with("note: `example/*` is paused since <time>\n"), "{endpoints}");
    check(
        &world,
        "resume --endpoint example/*",
        expect![[r#"
        note: endpoint `example/*` goes on
    "#]],
    );
    check(
        &world,
        "pause --ingress example/in",
        expect![[r#"
        note: ingress `example/in` waits until it is resumed
    "#]],
    );
    check(
        &world,
        "send example/cart/Bob --type a/b --text x",
        expect![[r#"
        note: error: the ingress is paused; hint: nothing was accepted; try again when it is resumed
        exit 3
    "#]],
    );
    check(
        &world,
        "resume --ingress example/in",
        expect![[r#"
        note: ingress `example/in` goes on
    "#]],
    );
    check(
        &world,
        "resume --ingress example/other",
        expect![[r#"
        note: error: `example/other` is not paused; hint: check the name; a type and its endpoint are paused and resumed each for itself
        exit 6
    "#]],
    );
}

#[test]
fn the_log_can_be_changed() {
    let world = World::start();
    check(
        &world,
        "log",
        expect![[r#"
        info
    "#]],
    );
    check(
        &world,
        "log warn,statera_runtime=debug",
        expect![[r#"
        warn,statera_runtime=debug
    "#]],
    );
    check(
        &world,
        "log",
        expect![[r#"
        warn,statera_runtime=debug
    "#]],
    );
    check(
        &world,
        "log =!=",
        expect![[r#"
        note: error: this is not a filter: invalid filter directive; hint: write `info`, or `warn,statera_runtime=debug`
        exit 2
    "#]],
    );
}

#[test]
fn figures_are_followed() {
    let world = busy();
    let tail = world.run("tail --count 2");
    assert_eq!(tail.code, 0, "{tail:?}");
    let lines: Vec<&str> = tail.out.lines().collect();
    assert_eq!(lines.len(), 3, "{tail:?}");
    assert!(lines[0].starts_with("TIME      MSG/S"), "{tail:?}");
    let events = world.run("tail --count 2 --json");
    let events: Vec<Json> =
        events.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events[0].get("rate").is_none() && events[1]["rate"].is_number(), "{events:?}");
    let function = world.run("tail example/cart --count 1");
    assert!(function.out.lines().nth(1).unwrap().contains("up"), "{function:?}");
    let unknown = world.run("tail example/unknown --count 1");
    assert!(unknown.out.lines().nth(1).unwrap().ends_with('-'), "{unknown:?}");
    let watched = world.run("functions --watch --count 2");
    assert_eq!(watched.out.matches("FUNCTION").count(), 2, "{watched:?}");
    let watched = world.run("status --watch --count 2 --json");
    assert_eq!(watched.out.lines().count(), 2, "{watched:?}");
}

#[test]
fn scripts_can_tell_how_a_command_ended() {
    let world = World::start();
    for (arguments, code) in [
        ("status", 0),
        ("nonsense", 2),
        ("log =!=", 2),
        ("status --token-file /nowhere/token", 2),
        ("status --admin http://127.0.0.1:1", 3),
        ("send a/b/c --type d/e --text x --ingress http://127.0.0.1:1", 3),
        ("functions example/nobody", 5),
        ("deadletter show 7-1", 5),
        ("deadletter replay 7-1 --endpoint http://localhost:1", 5),
        ("state example/cart/Bob seen", 5),
        ("resume example/cart/Bob", 6),
    ] {
        let ran = world.run(arguments);
        assert_eq!(ran.code, code, "{arguments}: {ran:?}");
    }
}

#[test]
fn a_token_and_tls_are_spoken() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = write(folder.path(), "certificate.pem", &made.cert.pem());
    let key = write(folder.path(), "key.pem", &made.signing_key.serialize_pem());
    let token = write(folder.path(), "token", "0123456789abcdef\n");
    let [certificate, key, token] =
        [certificate, key, token].map(|path| path.to_str().unwrap().to_owned());
    let world = World::start_with(
        &["--admin-tls-cert", &certificate, "--admin-tls-key", &key, "--admin-token-file", &token],
        &[],
    );
    let port = world.admin.port();
    let with = |arguments: &str| {
        let url = format!("https://localhost:{port}");
        world.run(&format!("status --admin {url} {arguments}").replace("CA", &certificate))
    };
    assert_eq!(with(&format!("--ca-file CA --token-file {token}")).code, 0);
    assert_eq!(with("--ca-file CA --token 0123456789abcdef").code, 0);
    let mut command = world.command(&format!("status --admin https://localhost:{port}"));
    command
        .env("STATERA_ADMIN_CA_FILE", &certificate)
        .env("STATERA_ADMIN_TOKEN", "0123456789abcdef");
    assert_eq!(Ran::of(command.output().unwrap()).code, 0);

    let shown =
        |ran: Ran| ran.shown().replace(&port.to_string(), "<port>").replace(&certificate, "<file>");
    expect![[r#"
        note: error: the engine at `https://localhost:<port>` does not let us in: the token is missing; hint: give the engine's token with `--token-file FILE`, or as `STATERA_ADMIN_TOKEN`
        exit 4
    "#]].assert_eq(&shown(with("--ca-file CA")));
    expect![[r#"
        note: error: the engine at `https://localhost:<port>` does not let us in: the token is wrong; hint: give the engine's token with `--token-file FILE`, or as `STATERA_ADMIN_TOKEN`
        exit 4
    "#]].assert_eq(&shown(with("--ca-file CA --token 0123456789abcdeX")));
    expect![[r#"
        note: error: no TLS connection to `https://localhost:<port>` (invalid peer certificate: UnknownIssuer); hint: name the certificate to believe with `--ca-file`, or write http:// if it is served without TLS
        exit 3
    "#]].assert_eq(&shown(with("--token 0123456789abcdef")));
    let plain = world.run("status --token 0123456789abcdef");
    assert_eq!(plain.code, 3, "{plain:?}");
    assert!(plain.notes.contains("it is served over TLS, as https://"), "{plain:?}");
}

#[test]
fn shells_and_man_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = Ran::of(statera(&["completions", shell]).output().unwrap());
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains("deadletter") && ran.out.contains("replay"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man");
    let ran = Ran::of(statera(&["man", pages.to_str().unwrap()]).output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    for page in ["statera.1", "statera-status.1", "statera-deadletter-replay.1"] {
        let text = std::fs::read_to_string(pages.join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
}
