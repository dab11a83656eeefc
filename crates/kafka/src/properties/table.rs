//! What becomes of each property.

use std::borrow::Cow;

use statera_config::Delivery;

use super::Role;

/// Bytes of records that are fetched ahead, of all partitions together. Fetching goes on below it.
const QUEUED_KBYTES: &str = "16384";

/// Bytes of one answer of a broker; with what is queued it bounds what an ingress takes, unless a record is larger.
const FETCH_BYTES: &str = "8388608";

/// Bytes that wait to be sent. An egress writes one batch at a time, of 16 MiB unless an epoch has more.
const UNSENT_KBYTES: &str = "65536";

/// A value of ours.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) value: Cow<'static, str>,
    pub(super) why: &'static str,
}

fn set(name: &'static str, value: impl Into<Cow<'static, str>>, why: &'static str) -> Setting {
    Setting { name, value: value.into(), why }
}

/// What the user cannot change.
pub(super) fn ours(role: Role) -> Vec<Setting> {
    const POSITIONS: &str = "positions are kept with the state";
    const REPORTS: &str = "each record's fate must be known";
    const SURE: &str = "the delivery semantic asks for it";
    match role {
        Role::Ingress => vec![
            set("enable.auto.commit", "false", POSITIONS),
            set("enable.auto.offset.store", "false", POSITIONS),
            set("auto.offset.reset", "error", "records are never skipped silently"),
            set("enable.partition.eof", "false", "the end of a partition is no event"),
        ],
        Role::Egress(Delivery::ExactlyOnce { transaction_timeout }) => vec![
            set("enable.idempotence", "true", SURE),
            set("acks", "all", SURE),
            set("delivery.report.only.error", "false", REPORTS),
            set(
                "transaction.timeout.ms",
                transaction_timeout.as_millis().to_string(),
                "`deliverySemantic.transactionTimeout` says so",
            ),
            // It has a meaning with a data directory only; the sink fills it in.
            set("transactional.id", "", "it belongs to the data directory"),
        ],
        Role::Egress(Delivery::AtLeastOnce) => vec![
            set("enable.idempotence", "true", SURE),
            set("acks", "all", SURE),
            set("delivery.report.only.error", "false", REPORTS),
            set("transactional.id", "", "`deliverySemantic.type` is not `exactly-once`"),
        ],
        Role::Egress(Delivery::None) => vec![
            set("delivery.report.only.error", "false", REPORTS),
            set("transactional.id", "", "`deliverySemantic.type` is not `exactly-once`"),
        ],
    }
}

/// What holds where the user says nothing and librdkafka's own default is not good enough.
pub(super) fn defaults(role: Role) -> Vec<Setting> {
    let mut all = vec![
        set("client.id", "statera", ""),
        // A broker that is back is found quickly.
        set("reconnect.backoff.max.ms", "2000", ""),
    ];
    match role {
        Role::Ingress => all.extend([
            set("queued.max.messages.kbytes", QUEUED_KBYTES, ""),
            set("fetch.max.bytes", FETCH_BYTES, ""),
            // How long a partition pauses when the queue is full. The default, 1 s, would make it stutter.
            set("fetch.queue.backoff.ms", "20", ""),
            set("fetch.error.backoff.ms", "100", ""),
            // How long a commit waits for its coordinator, also at the end.
            set("session.timeout.ms", "6000", ""),
            set("isolation.level", "read_committed", ""),
        ]),
        Role::Egress(delivery) => {
            let linger = match delivery {
                // Records gather anyhow while the transaction begins.
                Delivery::ExactlyOnce { .. } => "0",
                Delivery::AtLeastOnce => "1",
                Delivery::None => "5",
            };
            if let Delivery::ExactlyOnce { .. } = delivery {
                // A transaction that begins while the one before is being completed is told to try again.
                all.push(set("retry.backoff.ms", "5", ""));
            }
            all.extend([
                set("linger.ms", linger, ""),
                set("queue.buffering.max.kbytes", UNSENT_KBYTES, ""),
                // As Kafka's Java client: the same key goes to the same partition whoever sends it.
                set("partitioner", "murmur2_random", ""),
                set("message.max.bytes", "1048576", ""),
            ]);
        }
    }
    all
}

/// The one name for what has several.
pub(super) fn canonical(name: &str) -> &str {
    match name {
        "metadata.broker.list" => "bootstrap.servers",
        "sasl.mechanisms" => "sasl.mechanism",
        "max.in.flight" => "max.in.flight.requests.per.connection",
        "request.required.acks" => "acks",
        "queue.buffering.max.ms" => "linger.ms",
        "message.send.max.retries" => "retries",
        "compression.codec" => "compression.type",
        "message.timeout.ms" => "delivery.timeout.ms",
        "fetch.message.max.bytes" => "max.partition.fetch.bytes",
        "auto.commit.enable" => "enable.auto.commit",
        other => other,
    }
}

/// What becomes of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// librdkafka knows it, or will say that it does not.
    Same,
    Renamed(&'static str),
    /// From bytes.
    Kilobytes(&'static str),
    /// For Java −1 is the system's default, for librdkafka 0.
    SocketBuffer(&'static str),
    /// For Java nothing means no check, for librdkafka `none`.
    HostnameCheck,
    /// Who we are.
    Jaas,
    /// Looked at together with others.
    TlsFile,
    Ignored(&'static str),
    Refused {
        why: &'static str,
        hint: &'static str,
    },
}

/// What becomes of a property with a canonical name that is not ours.
pub(super) fn fate(name: &str, role: Role) -> Fate {
    const JAVA: Fate = Fate::Ignored("it is for Java programs");
    const ALONE: Fate =
        Fate::Ignored("an ingress reads its partitions by itself, not as the member of a group");
    const OPENSSL: Fate = Fate::Ignored("OpenSSL decides");
    let ingress = role == Role::Ingress;
    match name {
        "key.deserializer"
        | "value.deserializer"
        | "key.serializer"
        | "value.serializer"
        | "interceptor.classes"
        | "metric.reporters"
        | "auto.include.jmx.reporter"
        | "security.providers"
        | "exclude.internal.topics"
        | "default.api.timeout.ms"
        | "max.block.ms"
        | "metadata.max.idle.ms"
        | "socket.connection.setup.timeout.max.ms"
        | "throw.on.fetch.stable.offset.unsupported"
        | "config.providers"
        | "transaction.two.phase.commit.enable" => JAVA,
        "partitioner.class"
        | "partitioner.ignore.keys"
        | "partitioner.availability.timeout.ms"
        | "partitioner.adaptive.partitioning.enable" => Fate::Ignored(
            "records go where Java's default partitioner sends them; see `partitioner`",
        ),
        "max.poll.records" => Fate::Ignored("batches are as large as what is there, within limits"),
        "session.timeout.ms"
        | "heartbeat.interval.ms"
        | "max.poll.interval.ms"
        | "group.instance.id"
        | "group.protocol"
        | "group.remote.assignor"
        | "partition.assignment.strategy"
        | "internal.leave.group.on.close" => ALONE,
        "auto.commit.interval.ms" if ingress => {
            Fate::Ignored("offsets are committed each second, for monitors only")
        }
        "fetch.max.wait.ms" => Fate::Renamed("fetch.wait.max.ms"),
        "request.timeout.ms" if ingress => Fate::Renamed("socket.timeout.ms"),
        "max.request.size" => Fate::Renamed("message.max.bytes"),
        "buffer.memory" => Fate::Kilobytes("queue.buffering.max.kbytes"),
        "receive.buffer.bytes" => Fate::SocketBuffer("socket.receive.buffer.bytes"),
        "send.buffer.bytes" => Fate::SocketBuffer("socket.send.buffer.bytes"),
        "ssl.endpoint.identification.algorithm" => Fate::HostnameCheck,
        "sasl.jaas.config" => Fate::Jaas,
        "ssl.truststore.certificates" => Fate::Renamed("ssl.ca.pem"),
        "ssl.keystore.key" => Fate::Renamed("ssl.key.pem"),
        "ssl.keystore.certificate.chain" => Fate::Renamed("ssl.certificate.pem"),
        "ssl.truststore.location"
        | "ssl.truststore.password"
        | "ssl.truststore.type"
        | "ssl.keystore.location"
        | "ssl.keystore.password"
        | "ssl.keystore.type" => Fate::TlsFile,
        "ssl.protocol"
        | "ssl.provider"
        | "ssl.enabled.protocols"
        | "ssl.keymanager.algorithm"
        | "ssl.trustmanager.algorithm"
        | "ssl.secure.random.implementation"
        | "ssl.engine.factory.class" => OPENSSL,
        "sasl.client.callback.handler.class"
        | "sasl.login.callback.handler.class"
        | "sasl.login.class" => Fate::Refused {
            why: "names a class, and there is no Java here",
            hint: "use SASL with `PLAIN` or `SCRAM-SHA-512`, or TLS with client certificates",
        },
        "plugin.library.paths" => {
            Fate::Refused { why: "would load foreign code", hint: "remove it" }
        }
        _ if name.starts_with("flink.") => Fate::Ignored("it is for Flink"),
        _ if name.starts_with("metrics.") => JAVA,
        _ if name.starts_with("sasl.login.") => JAVA,
        _ => Fate::Same,
    }
}
