//! Dead letters: replayed on a laptop, repaired, redriven and dropped.

use std::os::unix::fs::PermissionsExt;

use expect_test::expect;
use statera_model::{Delayed, Outcome, Reply};
use statera_protocol::{OwnedRequest, encode_reply};

use crate::check;
use crate::world::{self, Ran, World, serve, write};

/// An engine that has given something up: Bob's cart holds one item, and can't take another.
fn troubled() -> (World, String) {
    let world = World::start();
    world.send("example/cart/Bob", "{\"item\":\"socks\"}");
    world.send("example/cart/Bob", "{\"bad\":true}");
    let letters = world.letters(1);
    let id = letters[0]["id"].as_str().unwrap().to_owned();
    (world, id)
}

#[test]
fn a_failure_is_replayed_without_a_trace() {
    let (world, id) = troubled();
    check(
        &world,
        "deadletter list",
        expect![[r#"
        ID AT KIND ATTEMPTS TARGET REASON
        <letter> <time> invocation 1 example/cart/Bob `http://127.0.0.1:<port>/cart` answered 422 Unprocessable Entity: `this item can't be sold`
    "#]],
    );
    check(
        &world,
        &format!("deadletter show {id}"),
        expect![[r#"
        id <letter>
        at <time>
        kind invocation
        target example/cart/Bob
        caller (from outside)
        attempts 1
        reason `http://127.0.0.1:<port>/cart` answered 422 Unprocessable Entity: `this item can't be sold`
        request <some B> (write it out with --request)

        message of type example/Item
          {
            "bad": true
          }

        state that was sent with it
          NAME TYPE VALUE
          seen io.statefun.types/int 1
    "#]],
    );
    let before = world.get("/v1/deadletters");
    let replay = |answer: fn(OwnedRequest) -> world::Answer| {
        let address = serve(answer);
        let endpoint = format!("http://{address}/{{function.name}}?debug");
        world.run(&format!("deadletter replay {id} --endpoint {endpoint}")).shown()
    };
    expect![[r#"
        the function did it (status 200, <some B>, <some ms>)

        state
          NAME TYPE BEFORE AFTER
          seen io.statefun.types/int 1 2
        note: sending 1 message for `example/cart/Bob` with 1 state (<some B>) to http://127.0.0.1:<port>/cart?debug
        note: nothing was changed in the engine; hint: `statera deadletter redrive <letter>` puts the message back
    "#]].assert_eq(&replay(|request| (200, encode_reply(&world::count(&request)))));
    expect![[r#"
        the function did it (status 200, <some B>, <some ms>)

        messages
          TO TYPE VALUE
          example/cart/Bob example/Item {"bad":true}

        sent for later
               AFTER TO TOKEN TYPE VALUE
          <some ms> example/cart/Bob later example/Item {"bad":true}

        egress
          EGRESS TYPE VALUE
          example/out example/Item {"bad":true}
        note: sending 1 message for `example/cart/Bob` with 1 state (<some B>) to http://127.0.0.1:<port>/cart?debug
        note: nothing was changed in the engine; hint: `statera deadletter redrive <letter>` puts the message back
    "#]].assert_eq(&replay(|request| (200, encode_reply(&world::relay(&request)))));
    expect![[r#"
        the function did it (status 200, <some B>, <some ms>)
          It changes no state and sends nothing.
        note: sending 1 message for `example/cart/Bob` with 1 state (<some B>) to http://127.0.0.1:<port>/cart?debug
        note: nothing was changed in the engine; hint: `statera deadletter redrive <letter>` puts the message back
    "#]].assert_eq(&replay(|_| (200, encode_reply(&Outcome::Complete(Reply::default())))));
    expect![[r#"
        the function did not run: it asks for states though it has them (status 200, <some B>, <some ms>)
          NAME TYPE EXPIRES
          seen io.statefun.types/int never

        The engine would send the message again and again. A function asks only for states that are not in the
        request, by the names that it declares.
        note: sending 1 message for `example/cart/Bob` with 1 state (<some B>) to http://127.0.0.1:<port>/cart?debug
        note: nothing was changed in the engine; hint: `statera deadletter redrive <letter>` puts the message back
        exit 1
    "#]].assert_eq(&replay(|mut request| {
        request.states.clear();
        (200, encode_reply(&world::count(&request)))
    }));
    expect![[r#"
        the engine would refuse this reply (status 200, <some B>, <some ms>)
          a cancellation without a token

        sent for later
           AFTER TO TOKEN TYPE VALUE
          cancel -
        note: sending 1 message for `example/cart/Bob` with 1 state (<some B>) to http://127.0.0.1:<port>/cart?debug
        note: nothing was changed in the engine; hint: `statera deadletter redrive <letter>` puts the message back
        exit 1
    "#]].assert_eq(&replay(|_| {
        let delayed = vec![Delayed::Cancel { token: "".into() }];
        (200, encode_reply(&Outcome::Complete(Reply { delayed, ..Reply::default() })))
    }));
    expect![[r#"
        the function failed (status 422, <some B>, <some ms>)
          this item can't be sold
        note: sending 1 message for `example/cart/Bob` with 1 state (<some B>) to http://127.0.0.1:<port>/cart?debug
        note: nothing was changed in the engine; hint: `statera deadletter redrive <letter>` puts the message back
        exit 1
    "#]].assert_eq(&replay(world::functions));
    expect![[r#"
        the answer is not a reply of a function (status 200, <some B>, <some ms>)
          cannot decode `FromFunction`: `4` is not a wire type of proto3; hint: the bytes must be one encoded protobuf message `FromFunction`
        note: sending 1 message for `example/cart/Bob` with 1 state (<some B>) to http://127.0.0.1:<port>/cart?debug
        note: nothing was changed in the engine; hint: `statera deadletter redrive <letter>` puts the message back
        exit 1
    "#]].assert_eq(&replay(|_| (200, b"<html>".to_vec())));
    expect![[r#"
        the function did it (status 200, <some B>, <some ms>)

        state
          NAME TYPE BEFORE AFTER
          seen io.statefun.types/int 1 1
        note: sending 1 message for `example/cart/Bob` with 1 state (<some B>) to http://127.0.0.1:<port>/cart?debug
        note: the function asks for states that the stored request does not have (total); sending it again with what the engine has now
        note: nothing was changed in the engine; hint: `statera deadletter redrive <letter>` puts the message back
    "#]].assert_eq(&replay(|mut request| {
        // It has another state than the one that failed.
        request.states.retain(|state| &*state.name != "seen");
        request.states.iter_mut().for_each(|state| state.name = "seen".into());
        let outcome = match world::count(&request) {
            Outcome::Incomplete(mut specs) => {
                specs.iter_mut().for_each(|spec| spec.name = "total".into());
                Outcome::Incomplete(specs)
            }
            complete => complete,
        };
        (200, encode_reply(&outcome))
    }));
    let nobody = format!("deadletter replay {id} --endpoint http://127.0.0.1:1/");
    check(
        &world,
        &nobody,
        expect![[r#"
        note: sending 1 message for `example/cart/Bob` with 1 state (<some B>) to http://127.0.0.1:<port>/
        note: error: no function server answers at `http://127.0.0.1:<port>/`; hint: start yours, and name its address with `--endpoint`
        exit 3
    "#]],
    );
    let address = serve(|request| (200, encode_reply(&world::relay(&request))));
    let json = world.json(&format!("deadletter replay {id} --endpoint {address}"));
    assert_eq!(json["outcome"], "complete");
    assert_eq!(json["messages"][0]["target"], "example/cart/Bob");
    assert_eq!(json["messages"][0]["json"]["bad"], true);
    assert_eq!(json["delayed"][0]["delayMs"], 3_600_000);
    assert_eq!(json["egress"][0]["egress"], "example/out");

    assert_eq!(world.get("/v1/deadletters"), before);
}

#[test]
fn a_message_is_repaired_and_redriven() {
    let (world, id) = troubled();
    check(
        &world,
        &format!("deadletter edit {id} --value {{nonsense"),
        expect![[r#"
        note: error: `{nonsense` is not JSON: key must be a string at line 1 column 2; hint: quote it for the shell: '{"name": "Bob"}'
        exit 2
    "#]],
    );
    check(
        &world,
        &format!("deadletter edit {id}"),
        expect![[r#"
        note: error: there is no value, and nobody who could edit one; hint: give it with `--value`, or set $EDITOR
        exit 2
    "#]],
    );
    check(
        &world,
        &format!("deadletter edit {id} --value {{\"good\":true}}"),
        expect![[r#"
        <letter>
        note: `example/cart/Bob` gets it again, with the new value
    "#]],
    );
    world::eventually("the cart", || {
        let states = world.json("state example/cart/Bob");
        (states["states"][0]["json"] == 2).then_some(())
    });
    check(
        &world,
        "deadletter list",
        expect![[r#"
        note: there are no dead letters
    "#]],
    );
}

#[test]
fn a_message_is_repaired_with_an_editor() {
    let (world, id) = troubled();
    let folder = world.folder.path();
    let editor = |name: &str, script: &str| {
        let path = write(folder, name, &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    };
    let edit = |editor: &std::path::Path| {
        let mut command = world.command(&format!("deadletter edit {id}"));
        command.env("EDITOR", editor).env("TMPDIR", folder);
        Ran::of(command.output().unwrap())
    };
    expect![[r#"
        {
          "bad": true
        }
        note: nothing was changed, and nothing done; hint: as it is, it goes back with `statera deadletter redrive <letter>`
        exit 1
    "#]].assert_eq(&edit(&editor("leave", "cat \"$1\"")).shown());
    let broken = edit(&editor("break", "echo '{' > \"$1\"")).shown();
    let broken = broken.replace(folder.to_str().unwrap(), "<folder>");
    assert!(broken.contains("hint: what you wrote is in `<folder>/statera-"), "{broken}");
    assert!(broken.ends_with("exit 2\n"), "{broken}");
    let failing = edit(&editor("fail", "exit 3")).shown();
    assert!(failing.contains("failed (exit status: 3); nothing was done"), "{failing}");
    let repaired = edit(&editor("repair", "sed -i s/bad/good/ \"$1\""));
    assert_eq!(repaired.code, 0, "{repaired:?}");
    world.letters(0);
}

#[test]
fn many_are_redriven_or_dropped() {
    let world = World::start();
    for customer in ["Bob", "Eve", "Mia"] {
        world.send(&format!("example/cart/{customer}"), "{\"bad\":true}");
    }
    world.letters(3);
    // They fail again, and become others.
    check(
        &world,
        "deadletter redrive --all",
        expect![[r#"
        note: redriven: 3 dead letters
    "#]],
    );
    let letters = world.letters(3);
    check(
        &world,
        "deadletter drop --target example/cart/B",
        expect![[r#"
        note: dropped: 1 dead letter
    "#]],
    );
    let letter = |customer: &str| {
        let target = format!("example/cart/{customer}");
        let letter = letters.iter().find(|letter| letter["target"] == target.as_str());
        letter.unwrap()["id"].as_str().unwrap().to_owned()
    };
    check(
        &world,
        &format!("deadletter drop {} {}", letter("Bob"), letter("Eve")),
        expect![[r#"
        <letter>
        note: error: there is no dead letter `<letter>`; hint: it may have been redriven or dropped; /v1/deadletters lists those that are there
        note: dropped: 1 dead letter
        exit 1
    "#]],
    );
    check(
        &world,
        "deadletter drop --all --json",
        expect![[r#"
        {
          "done": 1,
          "skipped": 0
        }
    "#]],
    );
    check(
        &world,
        "deadletter drop --all",
        expect![[r#"
        note: dropped: 0 dead letters
    "#]],
    );
    world.letters(0);
}
