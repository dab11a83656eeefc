//! The one table of engine settings. The reader of documents, flags and environment variables, the defaults, the
//! errors and the reference documentation all come from it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kinds::url::web_url;
use crate::report::Wrong;
use crate::scalar::{self, Parsed};
use crate::{
    Durability, EngineSettings, EpochSettings, FailurePolicy, FailureSettings, LimitSettings,
    MemorySettings, TraceSettings,
};

/// Key groups are stored as two bytes.
pub(crate) const KEY_GROUPS_MAX: u64 = 32_768;

/// A setting of the engine.
pub(crate) struct Setting {
    /// Its name, with the mappings that hold it: `epochs.maxInterval`.
    pub(crate) path: &'static str,
    /// What can be written.
    pub(crate) value: Value,
    pub(crate) default: Standard,
    /// What it is for, and why the default is what it is.
    pub(crate) about: &'static str,
}

/// What can be written as a setting, and where it goes.
pub(crate) enum Value {
    Count {
        min: u64,
        max: u64,
        set: fn(&mut EngineSettings, u64),
    },
    Size(fn(&mut EngineSettings, usize)),
    Duration {
        zero: bool,
        set: fn(&mut EngineSettings, Duration),
    },
    Durability,
    Policy,
    /// A number from 0 to 1.
    Share(fn(&mut EngineSettings, f64)),
    /// A text, and how it is to be written.
    Text(&'static str, fn(&mut EngineSettings, &str) -> Parsed<()>),
    /// A mapping of functions to policies.
    Policies,
}

/// What holds if nothing is written.
pub(crate) enum Standard {
    /// As if this were written.
    Written(&'static str),
    /// Something that cannot be written.
    Said(&'static str),
}

use Standard::{Said, Written};

pub(crate) static SETTINGS: &[Setting] = &[
    Setting {
        path: "shards",
        value: Value::Count { min: 1, max: KEY_GROUPS_MAX, set: |s, n| s.shards = Some(n as u16) },
        default: Said("one for each core"),
        about: "Shards, one thread each. At most `keyGroups`.",
    },
    Setting {
        path: "keyGroups",
        value: Value::Count { min: 1, max: KEY_GROUPS_MAX, set: |s, n| s.key_groups = n as u16 },
        default: Written("128"),
        about: "Parts of the key space, and so the most shards there can ever be. Fixed when the data directory is made.",
    },
    Setting {
        path: "epochs.minInterval",
        value: Value::Duration { zero: true, set: |s, d| s.epochs.min_interval = d },
        default: Written("0"),
        about: "The shortest time between two cuts. 0 is as often as the log can take them: a quiet system answers in one fsync, a busy one commits more at once.",
    },
    Setting {
        path: "epochs.maxInterval",
        value: Value::Duration { zero: false, set: |s, d| s.epochs.max_interval = d },
        default: Written("100ms"),
        about: "The longest time a change waits for a cut when nothing outside waits for it. Longer coalesces more, and repeats more after a crash.",
    },
    Setting {
        path: "memory.stateBytes",
        value: Value::Size(|s, bytes| s.memory.state_bytes = bytes),
        default: Written("256MiB"),
        about: "State values kept in memory, over all shards. The rest is read from disk.",
    },
    Setting {
        path: "memory.mailboxBytes",
        value: Value::Size(|s, bytes| s.memory.mailbox_bytes = bytes),
        default: Written("128MiB"),
        about: "Messages waiting in mailboxes, over all shards. At this limit requests are refused; one function type may use half, and sources wait at half, so that one of them leaves room for the others.",
    },
    Setting {
        path: "memory.unflushedBytes",
        value: Value::Size(|s, bytes| s.memory.unflushed_bytes = bytes),
        default: Written("64MiB"),
        about: "Changes that are durable in the log and in memory, but not yet in the files of the store. They are written when half of it is used; at this limit epochs wait.",
    },
    Setting {
        path: "limits.invocationsInFlight",
        value: Value::Count {
            min: 1,
            max: u32::MAX as u64,
            set: |s, n| s.limits.invocations_in_flight = n as usize,
        },
        default: Written("32768"),
        about: "Invocations in flight at once in each shard. StateFun's `statefun.async.max-per-task`.",
    },
    Setting {
        path: "limits.mailboxMessages",
        value: Value::Count {
            min: 1,
            max: u32::MAX as u64,
            set: |s, n| s.limits.mailbox_messages = n as usize,
        },
        default: Written("100000"),
        about: "Messages waiting for one address. At this limit an HTTP ingress refuses more for it.",
    },
    Setting {
        path: "limits.batchBytes",
        value: Value::Size(|s, bytes| s.limits.batch_bytes = bytes),
        default: Written("512KiB"),
        about: "The largest batch of messages sent to a function in one request, unless it is a single message.",
    },
    Setting {
        path: "limits.idempotencyKeys",
        value: Value::Count {
            min: 1,
            max: u32::MAX as u64,
            set: |s, n| s.limits.idempotency_keys = n as usize,
        },
        default: Written("1000000"),
        about: "Idempotency keys remembered at once.",
    },
    Setting {
        path: "durability",
        value: Value::Durability,
        default: Written("fsync"),
        about: "When an epoch counts as durable. `fsync`: after the disk has it. `none`: at once, which survives a crash of the process, but not of the machine. For tests.",
    },
    Setting {
        path: "failures.backoffMin",
        value: Value::Duration { zero: false, set: |s, d| s.failures.backoff_min = d },
        default: Written("4ms"),
        about: "The first delay before another attempt; each further one is twice as long.",
    },
    Setting {
        path: "failures.backoffMax",
        value: Value::Duration { zero: false, set: |s, d| s.failures.backoff_max = d },
        default: Written("5s"),
        about: "The longest delay, so that a function that comes back is soon noticed.",
    },
    Setting {
        path: "failures.budget",
        value: Value::Duration { zero: false, set: |s, d| s.failures.budget = d },
        default: Written("60s"),
        about: "How long a function that is linked into the program may fail until the policy decides. For others the `call` of their endpoint says it.",
    },
    Setting {
        path: "failures.policy",
        value: Value::Policy,
        default: Written("dead-letter"),
        about: "What to do when the budget of a batch is used up. `retry`: go on for ever, as StateFun does. `dead-letter`: put the message that fails aside and go on with the others. `pause`: park the address until it is resumed.",
    },
    Setting {
        path: "failures.overrides",
        value: Value::Policies,
        default: Said("none"),
        about: "Other policies for single functions, `<namespace>/<name>`, or namespaces, `<namespace>/*`. An exact type beats its namespace.",
    },
    Setting {
        path: "idempotencyRetention",
        value: Value::Duration { zero: false, set: |s, d| s.idempotency_retention = d },
        default: Written("1h"),
        about: "How long idempotency keys are remembered. A client may repeat a request for so long.",
    },
    Setting {
        path: "traces.endpoint",
        value: Value::Text("URL", |s, text| {
            s.traces.endpoint = Some(web_url(text)?);
            Ok(())
        }),
        default: Said("no traces"),
        about: "A collector that takes OTLP over HTTP, such as `http://localhost:4318`; see [traces](../guides/traces.md). Without it nothing is traced, and that costs nothing.",
    },
    Setting {
        path: "traces.sample",
        value: Value::Share(|s, share| s.traces.sample = share),
        default: Written("1"),
        about: "The share of messages from outside that are traced, unless their sender says it with `traceparent`. A traced message costs some microseconds at each step: choose less than 1 under load.",
    },
    Setting {
        path: "traces.serviceName",
        value: Value::Text("text", |s, text| {
            s.traces.service_name = text.to_owned();
            Ok(())
        }),
        default: Written("statera"),
        about: "The `service.name` of all spans.",
    },
    Setting {
        path: "traces.headers",
        value: Value::Text("`name=value,...`", |s, text| {
            s.traces.headers = headers(text)?;
            Ok(())
        }),
        default: Said("none"),
        about: "Headers for the collector, such as `authorization=Bearer ${TOKEN}`.",
    },
];

/// A setting that may not be larger than another, and whether that holds.
type Ordered = (&'static str, &'static str, fn(&EngineSettings) -> bool);

pub(crate) static ORDERED: &[Ordered] = &[
    ("shards", "keyGroups", |s| s.shards.is_none_or(|shards| shards <= s.key_groups)),
    ("epochs.minInterval", "epochs.maxInterval", |s| {
        s.epochs.min_interval <= s.epochs.max_interval
    }),
    ("failures.backoffMin", "failures.backoffMax", |s| {
        s.failures.backoff_min <= s.failures.backoff_max
    }),
];

impl Setting {
    pub(crate) fn find(path: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.path == path)
    }

    /// The environment variable that overrides it: `STATERA_EPOCHS_MAX_INTERVAL`. A mapping has none.
    pub(crate) fn variable(&self) -> Option<String> {
        if matches!(self.value, Value::Policies) {
            return None;
        }
        let mut variable = "STATERA_".to_owned();
        for c in self.path.chars() {
            match c {
                '.' => variable.push('_'),
                c if c.is_ascii_uppercase() => variable.extend(['_', c]),
                c => variable.push(c.to_ascii_uppercase()),
            }
        }
        Some(variable)
    }

    /// Parses a single value and puts it where it belongs.
    pub(crate) fn set(&self, settings: &mut EngineSettings, text: &str) -> Parsed<()> {
        match &self.value {
            Value::Count { min, max, set } => {
                set(settings, scalar::integer_between(text, *min, *max)?)
            }
            Value::Size(set) => set(settings, scalar::size(text)?),
            Value::Duration { zero: true, set } => set(settings, scalar::duration(text)?),
            Value::Duration { zero: false, set } => set(settings, scalar::positive_duration(text)?),
            Value::Durability => settings.durability = scalar::choice(text, DURABILITIES)?,
            Value::Share(set) => set(settings, scalar::share(text)?),
            Value::Text(_, set) => set(settings, text)?,
            Value::Policy => settings.failures.policy = scalar::choice(text, POLICIES)?,
            Value::Policies => {
                let hint = "override one function: `failures.overrides.<namespace>/<name>`";
                return Err(Wrong::new(format!("`{}` is not a single value", self.path), hint));
            }
        }
        Ok(())
    }
}

/// Sets the policy for a function or a namespace.
pub(crate) fn set_policy(settings: &mut EngineSettings, pattern: &str, text: &str) -> Parsed<()> {
    scalar::pattern(pattern)?;
    let policy = scalar::choice(text, POLICIES)?;
    settings.failures.overrides.insert(pattern.to_owned(), policy);
    Ok(())
}

/// Headers in the form that `OTEL_EXPORTER_OTLP_HEADERS` has: `name=value`, with commas between.
fn headers(text: &str) -> Parsed<Vec<(String, String)>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let header = |pair: &str| match pair.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        // The text may be a secret.
        _ => Err(Wrong::new("a header has no name", "write `name=value,name=value`")),
    };
    pairs.map(header).collect()
}

const DURABILITIES: &[(&str, Durability)] =
    &[("fsync", Durability::Fsync), ("none", Durability::None)];

const POLICIES: &[(&str, FailurePolicy)] = &[
    ("retry", FailurePolicy::Retry),
    ("dead-letter", FailurePolicy::DeadLetter),
    ("pause", FailurePolicy::Pause),
];

impl Value {
    /// What can be written, for the documentation.
    pub(crate) fn describe(&self) -> String {
        match self {
            Value::Count { min, max, .. } => format!("integer from {min} to {max}"),
            Value::Size(_) => "size".to_owned(),
            Value::Duration { zero: true, .. } => "duration".to_owned(),
            Value::Duration { zero: false, .. } => "duration above 0".to_owned(),
            Value::Durability => "`fsync` or `none`".to_owned(),
            Value::Policy => "`retry`, `dead-letter` or `pause`".to_owned(),
            Value::Share(_) => "number from 0 to 1".to_owned(),
            Value::Text(what, _) => (*what).to_owned(),
            Value::Policies => "mapping of functions to policies".to_owned(),
        }
    }
}

impl Default for EngineSettings {
    /// The defaults of the table of settings.
    fn default() -> Self {
        let mut settings = EngineSettings {
            shards: None,
            key_groups: 1,
            epochs: EpochSettings { min_interval: Duration::ZERO, max_interval: Duration::ZERO },
            memory: MemorySettings { state_bytes: 0, mailbox_bytes: 0, unflushed_bytes: 0 },
            limits: LimitSettings {
                invocations_in_flight: 0,
                mailbox_messages: 0,
                batch_bytes: 0,
                idempotency_keys: 0,
            },
            durability: Durability::Fsync,
            failures: FailureSettings {
                backoff_min: Duration::ZERO,
                backoff_max: Duration::ZERO,
                budget: Duration::ZERO,
                policy: FailurePolicy::DeadLetter,
                overrides: BTreeMap::new(),
            },
            idempotency_retention: Duration::ZERO,
            traces: TraceSettings {
                endpoint: None,
                sample: 0.0,
                service_name: String::new(),
                headers: Vec::new(),
            },
        };
        for setting in SETTINGS {
            if let Written(text) = setting.default {
                setting.set(&mut settings, text).expect("defaults in the table are valid");
            }
        }
        settings
    }
}
