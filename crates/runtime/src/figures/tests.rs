//! What an engine with functions in its process tells.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use statera_config::{EngineOverrides, Source, load_with};
use statera_model::{Address, Failure, FunctionType, LocalReply, Reply, StateSpec, TypedValue};
use statera_ports::{Batch, BoxFuture, Embedded, Engine as _, Request};

use super::*;
use crate::{Options, Worker};

/// A function that tells that it runs, and then runs until it is let go.
struct Held {
    name: FunctionType,
    entered: Mutex<Sender<()>>,
    go: Mutex<Receiver<()>>,
}

impl Embedded for Held {
    fn name(&self) -> &FunctionType {
        &self.name
    }

    fn states(&self) -> &[StateSpec] {
        &[]
    }

    fn waits(&self) -> bool {
        false
    }

    fn invoke(&self, _batch: &dyn Batch, _reply: &mut LocalReply) -> Result<(), Failure> {
        self.entered.lock().unwrap().send(()).unwrap();
        self.go.lock().unwrap().recv().unwrap();
        Ok(())
    }

    fn start(&self, _batch: Arc<dyn Batch + Send>) -> BoxFuture<'static, Result<Reply, Failure>> {
        unreachable!("it does not wait for anything but its caller")
    }
}

fn start(data: &Path, function: Held) -> Worker {
    let text = "
kind: io.statera.v1/http-ingress
spec: { id: test/in }
---
kind: io.statera.v1/engine
spec: { shards: 1, durability: none }
";
    let source = Source { name: "module.yaml".into(), text: text.to_owned() };
    let names = [function.name.clone()].into();
    let loaded = load_with(&[source], &EngineOverrides::default(), &|_| None, names);
    let application = loaded.unwrap_or_else(|problems| panic!("{problems}")).application;
    let functions: Vec<Arc<dyn Embedded>> = vec![Arc::new(function)];
    Worker::start(Options {
        application,
        data: data.to_owned(),
        egresses: Vec::new(),
        functions,
        tracer: None,
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_is_held_up_is_told_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let name = FunctionType::parse("test/held").unwrap();
    let ((entered, runs), (go, wait)) = (channel(), channel());
    let function = Held { name: name.clone(), entered: Mutex::new(entered), go: Mutex::new(wait) };
    let worker = start(&directory.path().join("data"), function);
    let engine = worker.engine();
    let argument = TypedValue::new("test/value", b"");
    let request = |id: &str| Request {
        target: Address::new(name.clone(), id),
        argument: argument.clone(),
        idempotency_key: None,
        trace: None,
    };
    let received = |readings: &Readings| {
        let mut functions = readings.functions.iter();
        functions.find(|function| function.name == name).map_or(0, |f| f.figures.received)
    };

    // The first one goes through, so that there is something to be told.
    go.send(()).unwrap();
    engine.send(request("a")).await.unwrap();
    runs.recv().unwrap();
    assert_eq!(received(&engine.readings().await), 1);

    let second = tokio::spawn(engine.send(request("b")));
    tokio::task::block_in_place(|| runs.recv().unwrap());
    let held = engine.readings().await;
    assert_eq!(received(&held), 1, "as it was");
    assert!(held.shards[0].age >= REPORT_PATIENCE);

    go.send(()).unwrap();
    second.await.unwrap().unwrap();
    let after = engine.readings().await;
    assert_eq!(received(&after), 2);
    assert!(after.shards[0].age < held.shards[0].age);
    assert_eq!((after.requests.sends, after.requests.send_release.count()), (2, 2));
    assert!(after.requests.send_release.sum_seconds() > 0.0);
    assert!(after.epochs.durable.count() >= 2 && after.epochs.last.0 >= 2);
    assert!(after.epochs.log.appended_bytes > 0 && after.log_file_bytes > 0);

    worker.begin_stop();
    let refused = engine.send(request("c")).await.unwrap_err();
    assert_eq!(refused, Refusal::Stopping);
    let readings = engine.readings().await;
    assert_eq!(readings.requests.refused.get(&("stopping", "")), Some(&1));
    worker.stop().await.unwrap();
    // What was told last remains when nobody is there any more.
    let end = tokio::time::timeout(Duration::from_secs(20), engine.readings()).await.unwrap();
    assert_eq!(received(&end), 2);
}
