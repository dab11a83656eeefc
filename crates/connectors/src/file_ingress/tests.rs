use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use bytes::Bytes;
use expect_test::{Expect, expect};
use statera_ports::{SourceBatch, SourceRecord, SourceStatus, SourceUnit};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use super::*;
use crate::testing::{FakeEngine, name, soon, start};

struct World {
    _directory: tempfile::TempDir,
    spec: config::FileIngress,
    engine: Arc<FakeEngine>,
    batches: UnboundedReceiver<SourceBatch>,
}

impl World {
    fn new(text: &[u8]) -> World {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("orders.jsonl");
        fs::write(&path, text).unwrap();
        let entry = config::FileRecord {
            value_type: name("example/Order"),
            key: "/user/id".to_owned(),
            targets: vec![name("example/cart"), name("example/audit")],
        };
        let spec = config::FileIngress {
            id: name("test/orders"),
            path,
            follow: false,
            records: vec![entry],
            line_max_bytes: 64,
        };
        let (engine, batches) = FakeEngine::new();
        World { _directory: directory, spec, engine, batches }
    }

    fn start(&self) -> JoinHandle<Result<(), Error>> {
        let bound =
            crate::ingress(&config::Ingress::File(self.spec.clone()), self.engine.clone()).unwrap();
        assert_eq!((bound.id(), bound.local_addr()), (&self.spec.id, None));
        start(bound, &self.engine)
    }

    async fn run(&self) -> Result<(), Error> {
        soon("the end of the file", self.start()).await.unwrap()
    }

    /// What has been delivered, and not yet been looked at.
    fn delivered(&mut self) -> Vec<SourceRecord> {
        std::iter::from_fn(|| self.batches.try_recv().ok())
            .flat_map(|batch| batch.records)
            .collect()
    }

    async fn next(&mut self) -> Vec<SourceRecord> {
        soon("a batch", self.batches.recv()).await.unwrap().records
    }

    fn source(&self) -> SourceId {
        SourceId { ingress: self.spec.id.clone(), partition: "".into() }
    }

    fn stand_at(&self, position: Option<Bytes>) {
        let mut positions = self.engine.positions.lock().unwrap();
        match position {
            Some(position) => positions.insert(self.source(), position),
            None => positions.remove(&self.source()),
        };
    }

    fn append(&self, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.spec.path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// The text without the place where the test runs.
    fn without_directory(&self, error: &Error) -> String {
        let parent: PathBuf = self.spec.path.parent().unwrap().into();
        error.to_string().replace(&*parent.to_string_lossy(), "<directory>")
    }
}

fn order(number: usize) -> String {
    format!(r#"{{"n": {number}, "user": {{"id": "u{number}"}}}}"#)
}

fn show(records: &[SourceRecord]) -> String {
    let show = |record: &SourceRecord| match record {
        SourceRecord::Message { targets, argument, .. } => format!("{targets:?} {argument:?}\n"),
        SourceRecord::Malformed { place, reason, record } => {
            format!("{place}: {reason}: {record:?}\n")
        }
    };
    records.iter().map(show).collect()
}

async fn check(text: &[u8], expected: Expect) {
    let mut world = World::new(text);
    world.run().await.unwrap();
    expected.assert_eq(&show(&world.delivered()));
}

#[tokio::test]
async fn each_line_becomes_a_message_to_all_targets() {
    let text = b"{\"user\":{\"id\":\"Bob\"}}\r\n\n  \n{\"user\":{\"id\":-7}}";
    check(
        text,
        expect![[r#"
        [example/cart/Bob, example/audit/Bob] example/Order(b"{\"user\":{\"id\":\"Bob\"}}")
        [example/cart/-7, example/audit/-7] example/Order(b"{\"user\":{\"id\":-7}}")
    "#]],
    )
    .await;
}

#[tokio::test]
async fn malformed_lines_are_told_and_passed() {
    let long = format!("\"{}\"\n", "x".repeat(70));
    let lines: [&[u8]; 9] = [
        b"{\"user\":\n",
        b"\xff\n",
        b"{\"user\":{}}\n",
        b"{\"user\":{\"id\":1.5}}\n",
        b"{\"user\":{\"id\":null}}\n",
        b"{\"user\":{\"id\":[]}}\n",
        b"{\"user\":{\"id\":\"\"}}\n",
        long.as_bytes(),
        b"{\"user\":{\"id\":1}}\n",
    ];
    check(&lines.concat(), expect![[r#"
        orders.jsonl line 1: the line is not JSON: EOF while parsing a value at line 1 column 8: b"{\"user\":"
        orders.jsonl line 2: the line is not text: invalid utf-8 sequence of 1 bytes from index 0: b"\xff"
        orders.jsonl line 3: the key at `/user/id` must be a string or an integer, but there is nothing: b"{\"user\":{}}"
        orders.jsonl line 4: the key at `/user/id` must be a string or an integer, but it is the number 1.5: b"{\"user\":{\"id\":1.5}}"
        orders.jsonl line 5: the key at `/user/id` must be a string or an integer, but it is null: b"{\"user\":{\"id\":null}}"
        orders.jsonl line 6: the key at `/user/id` must be a string or an integer, but it is an array: b"{\"user\":{\"id\":[]}}"
        orders.jsonl line 7: the key at `/user/id` must be a string or an integer, but it is empty: b"{\"user\":{\"id\":\"\"}}"
        orders.jsonl line 8: the line is longer than 64 bytes; only its first 66 are kept here: b"\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        [example/cart/1, example/audit/1] example/Order(b"{\"user\":{\"id\":1}}")
    "#]]).await;
}

#[tokio::test]
async fn reading_goes_on_after_any_line() {
    let lines: Vec<String> = (0..20).map(order).collect();
    let text = lines.join("\n") + "\n";
    for known in 0..=lines.len() {
        // What was there at first, and what came while nobody read.
        let mut world =
            World::new(&text.as_bytes()[..lines[..known].iter().map(|line| line.len() + 1).sum()]);
        world.run().await.unwrap();
        assert_eq!(world.delivered().len(), known);
        fs::write(&world.spec.path, &text).unwrap();
        world.run().await.unwrap();
        let rest = show(&world.delivered());
        assert_eq!(rest.lines().count(), lines.len() - known, "after {known} lines: {rest}");
        assert!(
            known == lines.len() || rest.contains(&format!("example/cart/u{known},")),
            "{rest}"
        );
    }
}

#[tokio::test]
async fn long_files_are_read_in_batches_and_nothing_is_missing() {
    let text: String = (0..5000).map(|number| order(number) + "\n").collect();
    let mut world = World::new(text.as_bytes());
    world.run().await.unwrap();
    let mut batches = 0;
    let mut positions = vec![None];
    let mut records = 0;
    while let Ok(batch) = world.batches.try_recv() {
        batches += 1;
        records += batch.records.len();
        positions.push(Some(batch.position));
    }
    assert_eq!((batches, records), (5, 5000));
    for (taken, position) in positions.into_iter().enumerate() {
        world.stand_at(position);
        world.run().await.unwrap();
        assert_eq!(world.delivered().len(), 5000_usize.saturating_sub(taken * 1024));
    }
}

#[tokio::test]
async fn a_file_that_shrank_or_changed_stops_the_ingress() {
    let text = order(1) + "\n" + &order(2) + "\n";
    let world = World::new(text.as_bytes());
    world.run().await.unwrap();

    fs::write(&world.spec.path, order(1) + "\n").unwrap();
    let error = world.run().await.unwrap_err();
    expect!["`<directory>/orders.jsonl`, the file of `test/orders`, has 31 bytes, but 62 bytes (2 lines) of it have already been read; hint: restore the file, or read the new one with an ingress of another id"].assert_eq(&world.without_directory(&error));

    fs::write(&world.spec.path, text.replace('2', "3") + &order(4)).unwrap();
    let error = world.run().await.unwrap_err();
    expect!["`<directory>/orders.jsonl`, the file of `test/orders`, is another one than that of which 2 lines have already been read; hint: restore the file, or read the new one with an ingress of another id"].assert_eq(&world.without_directory(&error));

    fs::write(&world.spec.path, text.clone() + &order(4)).unwrap();
    world.run().await.unwrap();
}

#[tokio::test]
async fn a_position_of_another_kind_stops_the_ingress() {
    let world = World::new(b"");
    world.stand_at(Some(Bytes::from_static(b"\x02what?")));
    let error = world.run().await.unwrap_err();
    expect!["the stored position of `test/orders` is not that of a file; hint: it was written by a newer version, or the id belonged to another kind of ingress: choose another id"].assert_eq(&error.to_string());
}

#[tokio::test]
async fn a_missing_file_is_an_error_at_once_and_a_directory_when_it_is_read() {
    let mut world = World::new(b"");
    let path = world.spec.path.clone();
    fs::remove_file(&path).unwrap();
    let ingress = crate::ingress(&config::Ingress::File(world.spec.clone()), world.engine.clone());
    expect!["`<directory>/orders.jsonl`, the file of `test/orders`, does not exist; hint: create it, or set `follow: true` to wait for it"].assert_eq(&world.without_directory(&ingress.unwrap_err()));

    world.spec.path = path.parent().unwrap().into();
    let error = world.run().await.unwrap_err();
    assert!(matches!(error, Error::NotAFile { .. }), "{error}");
}

#[tokio::test]
async fn following_waits_for_the_file_and_for_the_end_of_each_line() {
    let mut world = World::new(b"");
    world.spec.follow = true;
    fs::remove_file(&world.spec.path).unwrap();
    let running = world.start();
    world.append(&(order(1) + "\n"));
    assert!(show(&world.next().await).contains("example/cart/u1,"));

    let second = order(2);
    let (start, end) = second.split_at(5);
    world.append(&(order(3) + "\n" + start));
    assert!(show(&world.next().await).contains("example/cart/u3,"));
    world.append(&format!("{end}\n\n"));
    assert_eq!(show(&world.next().await), show_one(2));
    world.append(&(order(4) + "\n"));
    assert_eq!(show(&world.next().await), show_one(4));

    world.engine.stop();
    soon("the end of the ingress", running).await.unwrap().unwrap();
}

fn show_one(number: usize) -> String {
    let text = Bytes::from(order(number));
    format!("[example/cart/u{number}, example/audit/u{number}] example/Order({text:?})\n")
}

#[tokio::test]
async fn an_unfinished_line_is_read_again_after_a_restart() {
    let second = order(2);
    let (start, end) = second.split_at(9);
    let mut world = World::new(format!("{}\n{start}", order(1)).as_bytes());
    world.spec.follow = true;
    let running = world.start();
    assert_eq!(show(&world.next().await), show_one(1));
    running.abort();
    soon("the end of the ingress", running).await.unwrap_err();
    world.append(end);
    world.spec.follow = false;
    world.run().await.unwrap();
    assert_eq!(show(&world.delivered()), show_one(2));
}

#[tokio::test]
async fn a_followed_file_that_is_replaced_or_cut_stops_the_ingress() {
    for replace in [true, false] {
        let mut world = World::new((order(1) + "\n").as_bytes());
        world.spec.follow = true;
        let running = world.start();
        assert_eq!(show(&world.next().await), show_one(1));
        if replace {
            let new = world.spec.path.with_extension("new");
            fs::write(&new, order(5) + "\n").unwrap();
            fs::rename(&new, &world.spec.path).unwrap();
        } else {
            fs::write(&world.spec.path, "").unwrap();
        }
        let error = soon("the end of the ingress", running).await.unwrap().unwrap_err();
        let expected = if replace { "is another one" } else { "has 0 bytes, but" };
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn those_who_watch_are_told_how_far_it_has_come() {
    let text = b"{\"user\": {\"id\": \"a\"}}\n\n{\"user\": {\"id\": \"b\"}}";
    let mut world = World::new(text);
    world.spec.follow = true;
    let running = world.start();
    assert_eq!(world.next().await.len(), 1);
    let status = || world.engine.statuses.lock().unwrap().get(&world.source()).copied();
    // The line without an end is still to come.
    let expected = SourceStatus { position: 23, end: Some(44), unit: SourceUnit::Bytes };
    let told = async {
        while status() != Some(expected) {
            tokio::task::yield_now().await;
        }
    };
    soon("a status", told).await;
    world.engine.stop();
    soon("the end", running).await.unwrap().unwrap();
}
