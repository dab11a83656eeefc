use std::fs::{self, File};
use std::path::PathBuf;

use expect_test::{Expect, expect};
use statera_model::{Epoch, TypedValue};
use tempfile::TempDir;

use super::*;
use crate::testing::{data, name};

const OTHERS: &[u8] = b"what somebody else wrote\n";

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.jsonl");
    (directory, path)
}

fn sink(path: &std::path::Path) -> Box<dyn Sink> {
    let spec = config::Egress::File(config::FileEgress { id: name("test/out"), path: path.into() });
    let open = crate::egress(&spec).unwrap();
    assert!(open.server.is_none());
    assert_eq!((open.egress.accepts)(&TypedValue::new("any/thing", b"\xff")), Ok(()));
    open.egress.sink
}

fn batch(epoch: u64) -> SinkBatch {
    let record = |number| TypedValue::new("a/b", format!("{epoch}-{number}").as_bytes());
    SinkBatch {
        epoch: Epoch(epoch),
        records: (0..=epoch % 2).map(record).collect(),
        traces: Vec::new(),
    }
}

/// Writes the batches from one epoch on to the fourth, and returns the positions.
async fn write(sink: &mut dyn Sink, from: u64) -> Vec<SinkPosition> {
    let mut positions = Vec::new();
    for epoch in from..=4 {
        let position = sink.write(batch(epoch)).await.unwrap();
        positions.push(SinkPosition { epoch: Epoch(epoch), position });
    }
    positions
}

async fn whole_file() -> (TempDir, PathBuf, Vec<u8>, Vec<SinkPosition>) {
    let (directory, path) = place();
    let mut sink = sink(&path);
    sink.recover(data(), None).await.unwrap();
    let positions = write(&mut *sink, 1).await;
    let content = fs::read(&path).unwrap();
    (directory, path, content, positions)
}

#[tokio::test]
async fn records_are_lines() {
    let (_directory, _, content, positions) = whole_file().await;
    assert_eq!(content.iter().filter(|byte| **byte == b'\n').count(), 2 + 1 + 2 + 1);
    let end = decode(&positions[3].position);
    assert_eq!(end, Some(content.len() as u64));
    let first_line = content.split(|byte| *byte == b'\n').next().unwrap();
    expect![[r#"{"typename":"a/b","value":"MS0w","text":"1-0"}"#]]
        .assert_eq(std::str::from_utf8(first_line).unwrap());
}

#[tokio::test]
async fn wherever_a_crash_cuts_the_file_it_is_the_same_after_recovery() {
    let (_directory, path, content, positions) = whole_file().await;
    let confirmed = |position: &SinkPosition| decode(&position.position).unwrap() as usize;
    let states = std::iter::once(None).chain(positions.iter().cloned().map(Some));
    for last in states {
        let start = last.as_ref().map_or(0, confirmed);
        for cut in start..=content.len() {
            fs::write(&path, &content[..cut]).unwrap();
            recover_and_write(&path, last.clone()).await;
            assert!(fs::read(&path).unwrap() == content, "confirmed {start}, cut at {cut}");
        }
        if last.is_some() {
            fs::write(&path, [&content[..start], b"\0\0garbage\n{"].concat()).unwrap();
            recover_and_write(&path, last).await;
            assert!(fs::read(&path).unwrap() == content, "confirmed {start}, garbage behind");
        }
    }
}

async fn recover_and_write(path: &std::path::Path, last: Option<SinkPosition>) {
    let mut sink = sink(path);
    let next = last.as_ref().map_or(1, |last| last.epoch.0 + 1);
    sink.recover(data(), last).await.unwrap();
    write(&mut *sink, next).await;
}

#[tokio::test]
async fn a_sink_that_recovers_twice_writes_once() {
    let (_directory, path, content, positions) = whole_file().await;
    let mut sink = sink(&path);
    for _ in 0..2 {
        sink.recover(data(), Some(positions[1].clone())).await.unwrap();
        write(&mut *sink, 3).await;
    }
    assert!(fs::read(&path).unwrap() == content);
}

async fn check_recover(last: Option<SinkPosition>, content: Option<&[u8]>, expected: Expect) {
    let (directory, path) = place();
    if let Some(content) = content {
        fs::write(&path, content).unwrap();
    }
    let mut sink = sink(&path);
    let result = match sink.recover(data(), last).await {
        Ok(_) => sink.write(batch(1)).await.map(drop),
        Err(error) => Err(error),
    };
    let error = result.unwrap_err().to_string();
    expected.assert_eq(&error.replace(&*directory.path().to_string_lossy(), "<directory>"));
    assert_eq!(fs::read(&path).ok().as_deref(), content, "the file was touched");
}

#[tokio::test]
async fn a_file_that_cannot_be_ours_is_left_alone() {
    let at = |position: &[u8]| {
        Some(SinkPosition { epoch: Epoch(9), position: Bytes::copy_from_slice(position) })
    };
    check_recover(None, Some(OTHERS), expect!["`<directory>/out.jsonl` holds something else from byte 0 on, which this application did not write; hint: move the file away, or configure another one"]).await;
    check_recover(at(&encode(100)), Some(OTHERS), expect!["`<directory>/out.jsonl` has 25 bytes, but 100 are confirmed to have been written; hint: restore the file"]).await;
    check_recover(at(&encode(100)), None, expect!["`<directory>/out.jsonl` is gone, but 100 bytes are confirmed to have been written; hint: restore the file"]).await;
    check_recover(at(b"\x02?"), None, expect!["the stored position of `<directory>/out.jsonl` is not that of a file; hint: it was written by a newer version, or the id belonged to another kind of egress: choose another id"]).await;
}

#[tokio::test]
async fn writing_goes_on_when_the_foreign_file_is_gone() {
    let (_directory, path) = place();
    fs::write(&path, OTHERS).unwrap();
    let mut sink = sink(&path);
    sink.recover(data(), None).await.unwrap();
    sink.write(batch(1)).await.unwrap_err();
    fs::rename(&path, path.with_extension("old")).unwrap();
    let length = decode(&sink.write(batch(1)).await.unwrap()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), length);
}

#[tokio::test]
async fn only_one_sink_writes_to_a_file() {
    let (directory, path) = place();
    let mut first = sink(&path);
    first.recover(data(), None).await.unwrap();
    let mut second = sink(&path);
    let error = second.recover(data(), None).await.unwrap_err().to_string();
    expect!["`<directory>/out.jsonl` is locked by another egress or program that writes to it; hint: give each egress a file of its own"].assert_eq(&error.replace(&*directory.path().to_string_lossy(), "<directory>"));
    first.write(batch(1)).await.unwrap();
    drop(first);
    second.recover(data(), None).await.unwrap();
}

#[tokio::test]
async fn a_directory_that_does_not_exist_is_an_error() {
    let (_directory, path) = place();
    let error = sink(&path.join("nowhere")).recover(data(), None).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot open"), "{error}");
    File::create(&path).unwrap();
    let error = sink(path.parent().unwrap()).recover(data(), None).await.unwrap_err();
    assert!(error.to_string().contains("is not a regular file"), "{error}");
}
