//! Disks that are full or have gone bad, and directories that belong to somebody else.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use statera_e2e::{App, FunctionServer, Functions, Statera, Target};

const TYPE: &str = "e2e/Json";
const BLOCK_BYTES: u64 = 4096;

struct World {
    _functions: FunctionServer,
    app: App,
}

impl World {
    fn new() -> World {
        let all = Functions::default().with("disk/kept", &["pad"], |context, message| {
            if message["pad"].is_string() {
                context.set("pad", message["pad"].clone());
            }
            context.answer(context.get("pad"));
        });
        let functions = FunctionServer::start(move |body| all.react(body));
        let module = format!(
            "kind: io.statefun.endpoints.v2/http
spec:
  functions: disk/*
  urlPathTemplate: {}
---
kind: io.statera.v1/http-ingress
spec:
  id: disk/in
  address: 127.0.0.1:0
---
kind: io.statera.v1/engine
spec:
  shards: 2
",
            functions.url()
        );
        World { _functions: functions, app: App::new(&module) }
    }
}

fn pad(number: u64, length: usize) -> String {
    format!("{number}-{}", char::from(b'a' + (number % 26) as u8).to_string().repeat(length))
}

/// Has a value kept; whether that was acknowledged.
fn keep(statera: &Statera, number: u64, length: usize) -> bool {
    let id = format!("id{number}");
    let target = Target { function: "disk/kept", id: &id };
    let message = json!({ "pad": pad(number, length) }).to_string();
    let response = statera.client("disk/in").send(target, TYPE, None, message.as_bytes());
    response.is_ok_and(|response| response.status == 202)
}

fn kept(statera: &Statera, number: u64) -> serde_json::Value {
    let id = format!("id{number}");
    let target = Target { function: "disk/kept", id: &id };
    statera.client("disk/in").call(target, TYPE, None, b"{}").unwrap().expect(200).json()
}

/// A file system of its own. Unmounted when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, size: &str) -> Result<SmallDisk, String> {
        std::fs::create_dir_all(&at).unwrap();
        let mount = mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "none"], &at);
        mount.map(|()| SmallDisk(at))
    }

    fn resize(&self, size: &str) {
        mount(&["-o", &format!("remount,size={size}")], &self.0).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

fn mount(arguments: &[&str], at: &Path) -> Result<(), String> {
    let mount = Command::new("mount").args(arguments).arg(at).output();
    match mount {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn a_full_disk_stops_the_engine_and_loses_nothing() {
    const LENGTH: usize = 20_000;
    let world = World::new();
    let disk = match SmallDisk::mount(world.app.path("disk"), "40m") {
        Ok(disk) => disk,
        // Even CI may not be allowed to mount.
        Err(why) => return println!("SKIPPED: full disk: cannot mount a small file system: {why}"),
    };
    let data = disk.0.join("data");
    let mut statera = world.app.spawn_in(&data);
    statera.wait_until_ready();
    let acknowledged =
        (0..20_000).take_while(|number| keep(&statera, *number, LENGTH)).count() as u64;
    let (status, log) = statera.wait_for_end();
    println!(
        "{acknowledged} messages of {LENGTH} bytes until the disk of 40 MiB was full: {status}"
    );
    assert!(acknowledged > 0);
    assert_eq!(status.code(), Some(1), "{log}");
    let why = log.lines().rfind(|line| line.contains("\"level\":\"ERROR\"")).unwrap();
    println!("{why}");
    assert!(why.contains("no space left") || why.contains("No space left"), "{log}");
    assert!(why.contains("ST5001") || why.contains("ST5002"), "{log}");

    // While it is full it does not start, and says why.
    let mut full = world.app.spawn_in(&data);
    let (status, log) = full.wait_for_end();
    println!("{}", log.lines().last().unwrap());
    assert_eq!(status.code(), Some(1), "{log}");

    disk.resize("400m");
    let mut statera = world.app.spawn_in(&data);
    statera.wait_until_ready();
    for number in 0..acknowledged {
        assert_eq!(kept(&statera, number), pad(number, LENGTH), "id{number} of {acknowledged}");
    }
    assert_eq!(statera.stop(), Some(0));
}

/// Its one error is this one.
fn ends_with_code(log: &str, code: &str) {
    let errors: Vec<&str> =
        log.lines().filter(|line| line.contains("\"level\":\"ERROR\"")).collect();
    assert!(errors.len() == 1 && errors[0].contains(code), "{code}: {log}");
}

#[test]
fn a_directory_in_use_is_refused() {
    let world = World::new();
    let first = world.app.start();
    let (status, log) = world.app.spawn().wait_for_end();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("in use by another process") && log.contains("--data"), "{log}");
    ends_with_code(&log, "ST1007");
    assert!(keep(&first, 1, 10), "the first one goes on");
}

#[test]
fn other_key_groups_than_before_are_refused() {
    let mut world = World::new();
    drop(world.app.start());
    world.app.set_arguments(&["--set", "keyGroups=64"]);
    let (status, log) = world.app.spawn().wait_for_end();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("128") && log.contains("64"), "{log}");
    ends_with_code(&log, "ST1009");
}

/// The log of a killed engine that had made some values durable.
fn written(world: &World) -> Segment {
    let mut statera = world.app.start();
    for number in 0..8 {
        assert!(keep(&statera, number, 100));
        assert_eq!(kept(&statera, number), pad(number, 100));
    }
    statera.kill();
    Segment::last(&world.app.data().join("log"))
}

/// A segment of the log, as `crates/log/src/file/format.rs` describes it.
struct Segment {
    path: PathBuf,
    /// Where each record begins, and where the last one ends.
    offsets: Vec<u64>,
}

impl Segment {
    fn last(log: &Path) -> Segment {
        let files = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path());
        let named =
            |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("segment-");
        let mut segments: Vec<Segment> = files.filter(named).map(Segment::read).collect();
        segments.sort_by(|a, b| a.path.cmp(&b.path));
        segments.into_iter().rfind(|segment| segment.offsets.len() > 1).expect("there are records")
    }

    fn read(path: PathBuf) -> Segment {
        let bytes = std::fs::read(&path).unwrap();
        let incarnation = &bytes[24..32];
        let mut offsets = vec![BLOCK_BYTES];
        loop {
            let at = *offsets.last().unwrap() as usize;
            let Some(header) = bytes.get(at..at + 40) else { break };
            if &header[8..16] != incarnation {
                break;
            }
            let length = u64::from_le_bytes(header[32..40].try_into().unwrap());
            offsets.push((at as u64 + 40 + length).next_multiple_of(BLOCK_BYTES));
        }
        Segment { path, offsets }
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        File::options().write(true).open(&self.path).unwrap().write_all_at(bytes, offset).unwrap();
    }

    fn flip_a_bit(&self, offset: u64) {
        let mut byte = [0];
        File::open(&self.path).unwrap().read_exact_at(&mut byte, offset).unwrap();
        self.write(offset, &[byte[0] ^ 0x10]);
    }
}

#[test]
fn a_torn_tail_is_cut() {
    let world = World::new();
    let segment = written(&world);
    let (last, end) =
        (segment.offsets[segment.offsets.len() - 2], *segment.offsets.last().unwrap());
    // The beginning of a further record, whose end never reached the disk.
    let mut torn = std::fs::read(&segment.path).unwrap()[last as usize..][..100].to_vec();
    torn[40..].fill(0xaa);
    segment.write(end, &torn);
    let mut statera = world.app.start();
    for number in 0..8 {
        assert_eq!(kept(&statera, number), pad(number, 100));
    }
    assert_eq!(statera.stop(), Some(0));
}

#[test]
fn a_flipped_bit_is_refused_with_its_place() {
    let world = World::new();
    let segment = written(&world);
    let record = segment.offsets[segment.offsets.len() / 2];
    segment.flip_a_bit(record + 60);
    let before = std::fs::read(&segment.path).unwrap();
    for _ in 0..2 {
        let (status, log) = world.app.spawn().wait_for_end();
        assert_eq!(status.code(), Some(1), "{log}");
        let name = segment.path.file_name().unwrap().to_str().unwrap();
        assert!(log.contains(name), "{log}");
        assert!(
            log.contains(&format!("at byte {record}"))
                || log.contains(&format!("at byte {}", record + 40)),
            "{record}: {log}"
        );
        ends_with_code(&log, "ST5003");
    }
    assert!(std::fs::read(&segment.path).unwrap() == before, "nothing was changed");
}

#[test]
fn a_missing_segment_is_not_taken_for_an_empty_log() {
    let world = World::new();
    let segment = written(&world);
    // So that the store has seen some of it.
    assert_eq!(world.app.start().stop(), Some(0));
    std::fs::remove_file(&segment.path).unwrap();
    for entry in std::fs::read_dir(world.app.data().join("log")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let (status, log) = world.app.spawn().wait_for_end();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("log"), "{log}");
    ends_with_code(&log, "ST1010");
}
