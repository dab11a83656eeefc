//! Kafka: `io.statefun.kafka.v1/ingress` and `io.statefun.kafka.v1/egress`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::date::date;
use crate::kinds::ingress::field;
use crate::kinds::streams::{
    BAD_RECORDS, ID, LastOfEach, Pair, Properties, Routes, TARGETS, Typed, VALUE_TYPE, bad_records,
    pairs, properties, routes, with_fields,
};
use crate::kinds::{Kind, Role};
use crate::problem::quoted;
use crate::reader::{At, Field, Form, Need, Object, Unknown};
use crate::report::{Finding, Wrong};
use crate::scalar::{self, Parsed};
use crate::universe::{Binding, Universe};
use crate::{Delivery, Egress, Ingress, KafkaEgress, KafkaIngress, KafkaStartup, StreamRoute};

pub(crate) const INGRESS: Kind = Kind {
    name: "io.statefun.kafka.v1/ingress",
    role: Role::Ingress,
    about: "A message for each record of Kafka topics, exactly once. The key of the record, as UTF-8, is the id of the target.",
    fields: INGRESS_FIELDS,
    read: ingress,
};

pub(crate) const EGRESS: Kind = Kind {
    name: "io.statefun.kafka.v1/egress",
    role: Role::Egress,
    about: "A Kafka record for each record, which must be a `type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord`.",
    fields: EGRESS_FIELDS,
    read: egress,
};

const PROPERTIES: Field = field(
    "properties",
    "properties",
    Need::Optional(""),
    "Properties of the Kafka client, such as `security.protocol`. Fields go before them.",
);

static INGRESS_FIELDS: &[Field] = &[
    ID,
    field(
        "address",
        "text",
        Need::RequiredBy {
            when: "unless `properties` have `bootstrap.servers`",
            example: "localhost:9092",
        },
        "The brokers: `<host>:<port>`, several separated by commas.",
    ),
    field(
        "consumerGroupId",
        "text",
        Need::RequiredBy { when: "unless `properties` have `group.id`", example: "my-group" },
        "The consumer group to which offsets are committed, for others to see. Where to go on is kept by Statera itself.",
    ),
    Field {
        name: "topics",
        form: Form::Objects(TOPIC_FIELDS),
        need: Need::Required(
            "\n  - topic: names\n    valueType: <namespace>/<name>\n    targets: [<namespace>/<name>]",
        ),
        about: "The topics. At least one.",
    },
    field(
        "autoOffsetResetPosition",
        "`earliest` or `latest`",
        Need::Default("latest"),
        "Where to begin with `group-offsets` if the group has none. Goes before the property `auto.offset.reset` even if it is left out.",
    ),
    Field {
        name: "startupPosition",
        form: Form::Object(STARTUP_FIELDS),
        need: Need::Optional("`type: latest`"),
        about: "Where to begin what was never read before. After that, records are read on where the last durable epoch ended.",
    },
    PROPERTIES,
    field(
        "partitionDiscovery",
        "duration, or `never`",
        Need::Optional("`30s`"),
        "How often to look for new partitions. Not a field of StateFun, which has the property `flink.partition-discovery.interval-millis` for it; that is read too.",
    ),
    BAD_RECORDS,
];

static TOPIC_FIELDS: &[Field] = &[
    field("topic", "text", Need::Required("names"), "The topic."),
    VALUE_TYPE,
    TARGETS,
    field(
        "envelope",
        "boolean",
        Need::Default("false"),
        "Whether messages are of type `io.statera.kafka/ConsumerRecord`, which has the value and beside it the headers, the time, the partition and the offset. Not a field of StateFun.",
    ),
];

static STARTUP_FIELDS: &[Field] = &[
    field(
        "type",
        "`group-offsets`, `earliest`, `latest`, `specific-offsets` or `date`",
        Need::Required("latest"),
        "Which records come first.",
    ),
    field(
        "offsets",
        "list of `- <topic>/<partition>: <offset>`",
        Need::RequiredBy { when: "by type `specific-offsets`", example: "[names/0: 42]" },
        "The first offset of partitions. Others begin where the group stands.",
    ),
    field(
        "date",
        "date",
        Need::RequiredBy { when: "by type `date`", example: "2020-02-01 04:15:00.000 +0000" },
        "The first record not older than this.",
    ),
];

static EGRESS_FIELDS: &[Field] = &[
    ID,
    field(
        "address",
        "text",
        Need::RequiredBy {
            when: "unless `properties` have `bootstrap.servers`",
            example: "localhost:9092",
        },
        "The brokers: `<host>:<port>`, several separated by commas.",
    ),
    Field {
        name: "deliverySemantic",
        form: Form::Object(DELIVERY_FIELDS),
        need: Need::Optional("`type: at-least-once`"),
        about: "How surely records arrive.",
    },
    PROPERTIES,
];

static DELIVERY_FIELDS: &[Field] = &[
    field(
        "type",
        "`at-least-once`, `exactly-once` or `none`",
        Need::Required("at-least-once"),
        "Acknowledged by the broker; in transactions, for consumers that read only what is committed; or without waiting for the broker.",
    ),
    field(
        "transactionTimeout",
        "duration",
        Need::RequiredBy { when: "by type `exactly-once`", example: "15min" },
        "How long the broker lets a transaction be open. At most its `transaction.max.timeout.ms`, which is 15 minutes by default.",
    ),
    field(
        "transactionTimeoutMillis",
        "integer",
        Need::Optional(""),
        "Deprecated: as `transactionTimeout`, before which it goes.",
    ),
];

#[derive(Clone, Copy)]
pub(crate) enum Startup {
    Group,
    Earliest,
    Latest,
    Offsets,
    Date,
}

pub(crate) const STARTUP: Typed<Startup> = Typed {
    name: "startupPosition",
    fields: STARTUP_FIELDS,
    types: &[
        ("group-offsets", Startup::Group),
        ("earliest", Startup::Earliest),
        ("latest", Startup::Latest),
        ("specific-offsets", Startup::Offsets),
        ("date", Startup::Date),
    ],
    belongs: &[("offsets", "specific-offsets"), ("date", "date")],
    short: None,
};

#[derive(Clone, Copy)]
pub(crate) enum Semantic {
    AtLeastOnce,
    ExactlyOnce,
    None,
}

pub(crate) const DELIVERY: Typed<Semantic> = Typed {
    name: "deliverySemantic",
    fields: DELIVERY_FIELDS,
    types: &[
        ("at-least-once", Semantic::AtLeastOnce),
        ("exactly-once", Semantic::ExactlyOnce),
        ("none", Semantic::None),
    ],
    belongs: &[
        ("transactionTimeout", "exactly-once"),
        ("transactionTimeoutMillis", "exactly-once"),
    ],
    short: None,
};

fn ingress(at: &At<'_>, universe: &mut Universe) {
    let Some(object) = at.object(INGRESS_FIELDS, Unknown::Ignored) else { return };
    let id = universe.bound(&object, Binding::Ingress);
    let mut properties = properties(&object, "properties");
    let address = setting(&object, &mut properties, ADDRESS);
    let group = setting(&object, &mut properties, GROUP);
    let reset = reset_position(&object, properties.as_mut());
    let kind = Routes { list: "topics", noun: "topic", fields: TOPIC_FIELDS, name: topic };
    let topics = routes(&object, &kind, universe);
    let startup = startup(&object, topics.as_deref());
    let discovery = discovery(&object, properties.as_mut());
    if let Some(properties) = &mut properties {
        without_flink(properties);
    }
    let bad_records = bad_records(&object);
    let fields =
        [("bootstrap.servers", address), ("group.id", group), ("auto.offset.reset", reset)];
    let properties = with_fields(properties, fields);
    let ingress = || {
        Some(KafkaIngress {
            id: id?,
            properties: properties?,
            topics: topics?,
            startup: startup?,
            bad_records: bad_records?,
            discovery: discovery?,
        })
    };
    universe.ingresses.extend(ingress().map(Ingress::Kafka));
}

/// A field that stands for a property.
struct Setting {
    field: &'static str,
    property: &'static str,
    parse: fn(&str) -> Parsed<String>,
}

const ADDRESS: Setting =
    Setting { field: "address", property: "bootstrap.servers", parse: brokers };
const GROUP: Setting =
    Setting { field: "consumerGroupId", property: "group.id", parse: scalar::some_text };

/// One of the two must be there; the field goes before the property.
fn setting(
    object: &Object<'_>,
    properties: &mut Option<Properties<'_>>,
    Setting { field, property, parse }: Setting,
) -> Option<String> {
    if let Some(at) = object.child(field) {
        let value = at.scalar(parse);
        if let Some(properties) = properties {
            properties.overrule(property, field, value.as_deref());
        }
        return value;
    }
    // If the properties could not be read it may well be there.
    match properties.as_ref()?.get(property) {
        Some((_, at)) => at.scalar(parse),
        None => {
            object.missing(field, &format!(", or `{property}` to `properties`"));
            None
        }
    }
}

fn reset_position(object: &Object<'_>, properties: Option<&mut Properties<'_>>) -> Option<String> {
    const POSITIONS: &[(&str, &str)] = &[("earliest", "earliest"), ("latest", "latest")];
    let field = "autoOffsetResetPosition";
    let reset = object.scalar(field, |text| scalar::choice(&text.to_lowercase(), POSITIONS));
    if let Some(properties) = properties {
        properties.overrule("auto.offset.reset", field, reset);
    }
    reset.map(str::to_owned)
}

/// `host:port`, several separated by commas, each possibly with the name of a listener in front.
fn brokers(text: &str) -> Parsed<String> {
    for broker in text.split(',').map(str::trim) {
        let address = broker.split_once("://").map_or(broker, |(_, address)| address);
        let host = address
            .rsplit_once(':')
            .filter(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
        if host.is_none_or(|(host, _)| host.is_empty() || host.contains(char::is_whitespace)) {
            let message = format!("{} is not the address of a broker", quoted(broker));
            let host =
                !address.contains([':', '/', ' ', '[']) && address.contains(char::is_alphabetic);
            let example = if host { address } else { "kafka.example.com" };
            return Err(Wrong::new(
                message,
                format!("write `<host>:<port>`, such as `{example}:9092`"),
            ));
        }
    }
    Ok(text.to_owned())
}

/// As Kafka has them: patterns are not among them.
fn topic(text: &str) -> Parsed<String> {
    const CHARS_MAX: usize = 249;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let hint = if text.contains(['*', '(', '[', '|', ',']) {
        "patterns and lists are not supported; add an item for each topic"
    } else if text.is_empty() || matches!(text, "." | "..") || !text.chars().all(allowed) {
        "a topic has letters, digits, `.`, `_` and `-`"
    } else if text.len() > CHARS_MAX {
        "a topic has at most 249 characters"
    } else {
        return Ok(text.to_owned());
    };
    Err(Wrong::new(format!("{} is not the name of a topic", quoted(text)), hint))
}

fn startup(object: &Object<'_>, topics: Option<&[StreamRoute]>) -> Option<KafkaStartup> {
    let Some((startup, object)) = STARTUP.read(object)? else { return Some(KafkaStartup::Latest) };
    Some(match startup {
        Startup::Group => KafkaStartup::GroupOffsets,
        Startup::Earliest => KafkaStartup::Earliest,
        Startup::Latest => KafkaStartup::Latest,
        Startup::Offsets => KafkaStartup::Offsets(offsets(&object.required("offsets")?, topics)?),
        Startup::Date => KafkaStartup::Date(object.required("date")?.scalar(date)?),
    })
}

fn offsets(at: &At<'_>, topics: Option<&[StreamRoute]>) -> Option<BTreeMap<(String, i32), i64>> {
    let pairs = pairs(at)?;
    if pairs.is_empty() {
        let hint = "add at least one `- <topic>/<partition>: <offset>`";
        at.add(Wrong::new("there are no offsets", hint));
        return None;
    }
    let mut offsets = LastOfEach::default();
    let mut complete = true;
    for Pair { name, name_place, value } in pairs {
        let partition =
            partition(name).map_err(|wrong| at.report.add(wrong.at(name_place, &value.path))).ok();
        let offset = value.scalar(|text| scalar::integer_between(text, 0, i64::MAX as u64));
        let Some((partition, offset)) = partition.zip(offset) else {
            complete = false;
            continue;
        };
        if topics.is_some_and(|all| !all.iter().any(|topic| topic.name == partition.0)) {
            let message = format!("no topic {} is read here", quoted(&partition.0));
            let finding = Finding::warning(name_place, &value.path, message);
            at.report.add(finding.hint("add it to `topics`, or remove its offset"));
        }
        offsets.add(partition, name, name_place, (offset as i64, value));
    }
    complete.then(|| offsets.values())
}

fn partition(text: &str) -> Parsed<(String, i32)> {
    let parts = text.rsplit_once('/').and_then(|(topic, partition)| {
        Some((topic, partition.parse::<u32>().ok().and_then(|n| i32::try_from(n).ok())?))
    });
    match parts {
        Some((name, partition)) => Ok((topic(name)?, partition)),
        None => Err(Wrong::new(
            format!("{} is not the partition of a topic", quoted(text)),
            "write `- <topic>/<partition>: <offset>`, such as `- names/0: 42`",
        )),
    }
}

/// The field goes before Flink's property.
fn discovery(
    object: &Object<'_>,
    properties: Option<&mut Properties<'_>>,
) -> Option<Option<Duration>> {
    const PROPERTY: &str = "flink.partition-discovery.interval-millis";
    const DEFAULT: Duration = Duration::from_secs(30);
    let interval = object.optional("partitionDiscovery", |text| match text {
        "never" => Ok(None),
        _ => scalar::positive_duration(text).map(Some).map_err(|wrong| Wrong {
            hint: Some("write a duration such as `30s`, or `never`".into()),
            ..wrong
        }),
    });
    let property = properties.and_then(|properties| properties.remove(PROPERTY));
    match (interval?, property) {
        (Some(interval), None) => Some(interval),
        (Some(interval), Some((_, at))) => {
            let message = format!(
                "the property `{PROPERTY}` is ignored, because `partitionDiscovery` goes before it"
            );
            let finding = Finding::warning(at.owner, &at.path, message);
            at.report.add(finding.hint("remove the property"));
            Some(interval)
        }
        (None, Some((_, at))) => {
            let millis = at.scalar(scalar::integer)?;
            Some(u64::try_from(millis).ok().filter(|millis| *millis > 0).map(Duration::from_millis))
        }
        (None, None) => Some(Some(DEFAULT)),
    }
}

/// What is meant for Flink is not for the client.
fn without_flink(properties: &mut Properties<'_>) {
    for name in properties.names().iter().filter(|name| name.starts_with("flink.")) {
        let Some((_, at)) = properties.remove(name) else { continue };
        let message = format!("the property {} is ignored: there is no Flink here", quoted(name));
        at.report.add(Finding::warning(at.owner, &at.path, message).hint("remove it"));
    }
}

fn egress(at: &At<'_>, universe: &mut Universe) {
    let Some(object) = at.object(EGRESS_FIELDS, Unknown::Ignored) else { return };
    let id = universe.bound(&object, Binding::Egress);
    let mut properties = properties(&object, "properties");
    let address = setting(&object, &mut properties, ADDRESS);
    let delivery = delivery(&object);
    if let (Some(properties), Some(Delivery::ExactlyOnce { transaction_timeout })) =
        (&mut properties, delivery)
    {
        let millis = transaction_timeout.as_millis().to_string();
        properties.overrule("transaction.timeout.ms", "transactionTimeout", Some(&millis));
    }
    let properties = with_fields(properties, [("bootstrap.servers", address)]);
    let egress = || Some(KafkaEgress { id: id?, properties: properties?, delivery: delivery? });
    universe.egresses.extend(egress().map(Egress::Kafka));
}

fn delivery(object: &Object<'_>) -> Option<Delivery> {
    let Some((semantic, object)) = DELIVERY.read(object)? else {
        return Some(Delivery::AtLeastOnce);
    };
    match semantic {
        Semantic::AtLeastOnce => Some(Delivery::AtLeastOnce),
        Semantic::None => Some(Delivery::None),
        Semantic::ExactlyOnce => transaction_timeout(&object)
            .map(|transaction_timeout| Delivery::ExactlyOnce { transaction_timeout }),
    }
}

fn transaction_timeout(object: &Object<'_>) -> Option<Duration> {
    let Some(at) = object.child("transactionTimeoutMillis") else {
        return object.required("transactionTimeout")?.scalar(timeout);
    };
    let message = "`transactionTimeoutMillis` is deprecated";
    let hint = match object.child("transactionTimeout") {
        Some(_) => "remove it; as long as it is there, `transactionTimeout` is ignored",
        None => "write `transactionTimeout: <duration>`, such as `15min`",
    };
    at.report.add(Finding::warning(at.owner, &at.path, message).hint(hint));
    let millis = at.scalar(|text| scalar::integer_between(text, 1, i32::MAX as u64))?;
    Some(Duration::from_millis(millis))
}

/// What Kafka can express: whole milliseconds in 31 bits.
fn timeout(text: &str) -> Parsed<Duration> {
    let timeout = scalar::positive_duration(text)?;
    match timeout.as_millis() {
        0 => Err(Wrong::new("the timeout is shorter than a millisecond", "write `15min`")),
        millis if millis > i32::MAX as u128 => {
            Err(Wrong::new("the timeout is longer than Kafka allows", "write at most `24d`"))
        }
        _ => Ok(timeout),
    }
}
