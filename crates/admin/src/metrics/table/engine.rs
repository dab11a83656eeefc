//! Epochs, the log, the store, the engine as a whole, and its process.

use super::{Group, PLAIN};
use crate::metrics::metric::{Kind, Metric};

const HISTOGRAM: Metric = Metric { kind: Kind::Histogram, unit: "seconds", ..PLAIN };
const COUNTER: Metric = Metric { kind: Kind::Counter, ..PLAIN };
const BYTES: Metric = Metric { unit: "bytes", ..PLAIN };

pub(super) const EPOCHS: Group = Group {
    title: "Epochs",
    about: "",
    metrics: &[
        Metric {
            name: "statera_epoch",
            help: "The number of the last durable epoch; 0 until the first one after a start.",
            read: |snapshot, samples| samples.add(&[], snapshot.readings.epochs.last.0),
            ..PLAIN
        },
        Metric {
            name: "statera_epochs",
            help: "Epochs made durable.",
            read: |snapshot, samples| samples.add(&[], snapshot.readings.epochs.durable.count()),
            ..COUNTER
        },
        Metric {
            name: "statera_epoch_bytes",
            unit: "bytes",
            help: "Bytes of changes in epochs.",
            read: |snapshot, samples| samples.add(&[], snapshot.readings.epochs.bytes),
            ..COUNTER
        },
        Metric {
            name: "statera_epoch_changes",
            help: "Changes of keys in epochs, those included that a start read again from the log.",
            read: |snapshot, samples| samples.add(&[], snapshot.readings.store.changes),
            ..COUNTER
        },
        Metric {
            name: "statera_epoch_durable_seconds",
            help: "From the cut of an epoch until it was durable.",
            read: |snapshot, samples| {
                samples.add_histogram(&[], &snapshot.readings.epochs.durable);
            },
            ..HISTOGRAM
        },
        Metric {
            name: "statera_epoch_step_seconds",
            labels: &["step"],
            help: "Steps of an epoch: until all shards had handed in their `parts`, the `append` to the log, and until the store \
                   served it (`absorb`).",
            read: |snapshot, samples| {
                let epochs = &snapshot.readings.epochs;
                samples.add_histogram(&["parts"], &epochs.parts);
                samples.add_histogram(&["append"], &epochs.append);
                samples.add_histogram(&["absorb"], &epochs.absorb);
            },
            ..HISTOGRAM
        },
        Metric {
            name: "statera_epoch_stalls",
            labels: &["cause"],
            help: "Steps that took longer than 200 ms, by what they waited for: `shards` that were busy, the `log`, or the `store`.",
            read: |snapshot, samples| {
                let epochs = &snapshot.readings.epochs;
                samples.add(&["shards"], epochs.stalls_shards);
                samples.add(&["log"], epochs.stalls_log);
                samples.add(&["store"], epochs.stalls_store);
            },
            ..COUNTER
        },
    ],
};

pub(super) const LOG: Group = Group {
    title: "Commit log",
    about: "",
    metrics: &[
        Metric {
            name: "statera_log_appended_bytes",
            unit: "bytes",
            help: "Bytes written.",
            read: |snapshot, samples| samples.add(&[], snapshot.readings.epochs.log.appended_bytes),
            ..COUNTER
        },
        Metric {
            name: "statera_log_segments",
            help: "Segments in use.",
            read: |snapshot, samples| samples.add(&[], snapshot.readings.epochs.log.segments),
            ..PLAIN
        },
        Metric {
            name: "statera_log_file_bytes",
            help: "Bytes of all files, spare ones included.",
            read: |snapshot, samples| samples.add(&[], snapshot.readings.log_file_bytes),
            ..BYTES
        },
        Metric {
            name: "statera_log_sync_seconds",
            help: "How long an fdatasync took.",
            read: |snapshot, samples| samples.add_histogram(&[], &snapshot.readings.epochs.sync),
            ..HISTOGRAM
        },
    ],
};

pub(super) const STORE: Group = Group {
    title: "State store",
    about: "",
    metrics: &[
        Metric {
            name: "statera_store_unflushed_bytes",
            help: "Memory for changes that are not in files yet. The limit is `memory.unflushedBytes`.",
            read: |snapshot, samples| samples.add(&[], snapshot.readings.store.unflushed_bytes),
            ..BYTES
        },
        Metric {
            name: "statera_store_replay_bytes",
            help: "Bytes of the log that a start would have to read again.",
            read: |snapshot, samples| samples.add(&[], snapshot.readings.store.unflushed_log_bytes),
            ..BYTES
        },
        Metric {
            name: "statera_store_flushes",
            help: "Tables written to files.",
            read: |snapshot, samples| samples.add(&[], snapshot.readings.store.flushes),
            ..COUNTER
        },
        Metric {
            name: "statera_store_flushed_epoch",
            help: "The last epoch whose changes are in files.",
            read: |snapshot, samples| samples.add(&[], snapshot.readings.store.durable.0),
            ..PLAIN
        },
        Metric {
            name: "statera_store_files",
            help: "Files of the LSM tree.",
            read: |snapshot, samples| samples.add(&[], snapshot.readings.store.files),
            ..PLAIN
        },
        Metric {
            name: "statera_store_file_bytes",
            help: "Bytes of these files.",
            read: |snapshot, samples| samples.add(&[], snapshot.readings.store.file_bytes),
            ..BYTES
        },
    ],
};

pub(super) const ENGINE: Group = Group {
    title: "Engine",
    about: "",
    metrics: &[
        Metric {
            name: "statera_build",
            kind: Kind::Info,
            labels: &["version"],
            help: "The version of the engine.",
            read: |_, samples| samples.add(&[env!("CARGO_PKG_VERSION")], 1_u64),
            ..PLAIN
        },
        Metric {
            name: "statera_uptime_seconds",
            unit: "seconds",
            help: "Since the engine has recovered.",
            read: |snapshot, samples| samples.add(&[], snapshot.readings.uptime.as_secs_f64()),
            ..PLAIN
        },
        Metric {
            name: "statera_stopping",
            help: "1 if the engine is on its way to its end, and takes nothing new.",
            read: |snapshot, samples| samples.add(&[], u64::from(snapshot.stopping)),
            ..PLAIN
        },
        Metric {
            name: "statera_spans",
            labels: &["result"],
            help: "Spans of traces: `exported`, `failed` if their collector did not take them, `dropped` if too many waited \
                   for it. Only with `traces.endpoint`.",
            read: |snapshot, samples| {
                let Some(spans) = snapshot.readings.spans else { return };
                samples.add(&["exported"], spans.exported);
                samples.add(&["failed"], spans.failed);
                samples.add(&["dropped"], spans.dropped);
            },
            ..COUNTER
        },
        Metric {
            name: "statera_limit",
            labels: &["setting"],
            help: "Limits, by the names of their settings: bytes, messages or other things, for all shards together but for \
                   those in flight, which are for each shard.",
            read: |snapshot, samples| {
                let (memory, limits) =
                    (&snapshot.application.engine.memory, &snapshot.application.engine.limits);
                samples.add(&["memory.stateBytes"], memory.state_bytes);
                samples.add(&["memory.mailboxBytes"], memory.mailbox_bytes);
                samples.add(&["memory.unflushedBytes"], memory.unflushed_bytes);
                samples.add(&["limits.invocationsInFlight"], limits.invocations_in_flight);
                samples.add(&["limits.mailboxMessages"], limits.mailbox_messages);
                samples.add(&["limits.batchBytes"], limits.batch_bytes);
                samples.add(&["limits.idempotencyKeys"], limits.idempotency_keys);
            },
            ..PLAIN
        },
    ],
};

pub(super) const PROCESS: Group = Group {
    title: "Process",
    about: "Under the names that are usual everywhere. Only on Linux.",
    metrics: &[
        Metric {
            name: "process_resident_memory_bytes",
            help: "Memory of the process.",
            read: |snapshot, samples| {
                snapshot.process.resident_bytes.into_iter().for_each(|it| samples.add(&[], it));
            },
            ..BYTES
        },
        Metric {
            name: "process_cpu_seconds",
            unit: "seconds",
            help: "User and system time.",
            read: |snapshot, samples| {
                snapshot.process.cpu_seconds.into_iter().for_each(|it| samples.add(&[], it));
            },
            ..COUNTER
        },
        Metric {
            name: "process_start_time_seconds",
            unit: "seconds",
            help: "When the process began, since the Unix epoch.",
            read: |snapshot, samples| {
                snapshot.process.start_seconds.into_iter().for_each(|it| samples.add(&[], it));
            },
            ..PLAIN
        },
        Metric {
            name: "process_open_fds",
            help: "Open file descriptors.",
            read: |snapshot, samples| {
                snapshot.process.open_files.into_iter().for_each(|it| samples.add(&[], it));
            },
            ..PLAIN
        },
        Metric {
            name: "process_threads",
            help: "Threads.",
            read: |snapshot, samples| {
                snapshot.process.threads.into_iter().for_each(|it| samples.add(&[], it));
            },
            ..PLAIN
        },
    ],
};
