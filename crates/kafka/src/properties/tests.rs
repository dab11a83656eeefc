use std::time::Duration;

use expect_test::{Expect, expect};

use super::*;

const EXACTLY_ONCE: Role =
    Role::Egress(Delivery::ExactlyOnce { transaction_timeout: Duration::from_secs(900) });
const AT_LEAST_ONCE: Role = Role::Egress(Delivery::AtLeastOnce);

/// What the properties change against none: values, then warnings.
fn changes(role: Role, tls: bool, properties: &[(&str, &str)]) -> String {
    let given = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let nothing = translate(&BTreeMap::new(), role, tls).expect("nothing is wrong with nothing");
    match translate(&given.collect(), role, tls) {
        Err(Refused { property, why, hint }) => {
            format!("error: `{property}` {why}; hint: {hint}\n")
        }
        Ok(translated) => {
            let mut text = String::new();
            for (name, value) in &translated.values {
                if nothing.values.get(name) != Some(value) {
                    text.push_str(&format!("{name}={value}\n"));
                }
            }
            for warning in &translated.warnings {
                text.push_str(&format!("warning: {warning}\n"));
            }
            text
        }
    }
}

fn check(role: Role, properties: &[(&str, &str)], expected: Expect) {
    expected.assert_eq(&changes(role, true, properties));
}

#[test]
fn what_librdkafka_knows_passes_through() {
    check(
        Role::Ingress,
        &[("group.id", "g"), ("client.rack", "a"), ("check.crcs", "true")],
        expect![[r#"
            check.crcs=true
            client.rack=a
            group.id=g
        "#]],
    );
    check(
        AT_LEAST_ONCE,
        &[("compression.type", "zstd"), ("linger.ms", "20")],
        expect![[r#"
        compression.type=zstd
        linger.ms=20
    "#]],
    );
    check(
        Role::Ingress,
        &[("nonsense", "1")],
        expect![[r#"
        nonsense=1
    "#]],
    );
}

#[test]
fn one_name_for_what_has_several() {
    check(
        AT_LEAST_ONCE,
        &[("queue.buffering.max.ms", "20"), ("sasl.mechanisms", "PLAIN")],
        expect![[r#"
            linger.ms=20
            sasl.mechanism=PLAIN
        "#]],
    );
    check(
        Role::Ingress,
        &[("fetch.message.max.bytes", "10")],
        expect![[r#"
        max.partition.fetch.bytes=10
    "#]],
    );
}

#[test]
fn names_of_java_clients_are_translated() {
    check(
        Role::Ingress,
        &[("fetch.max.wait.ms", "7"), ("request.timeout.ms", "8"), ("receive.buffer.bytes", "-1")],
        expect![[r#"
            fetch.wait.max.ms=7
            socket.receive.buffer.bytes=0
            socket.timeout.ms=8
        "#]],
    );
    check(
        AT_LEAST_ONCE,
        &[
            ("max.request.size", "9"),
            ("request.timeout.ms", "8"),
            ("buffer.memory", "33554432"),
            ("send.buffer.bytes", "131072"),
        ],
        expect![[r#"
            message.max.bytes=9
            queue.buffering.max.kbytes=32768
            request.timeout.ms=8
            socket.send.buffer.bytes=131072
        "#]],
    );
    check(
        AT_LEAST_ONCE,
        &[("buffer.memory", "much")],
        expect![[r#"
        error: `buffer.memory` cannot be `much`; hint: set it to a number of bytes
    "#]],
    );
    check(
        AT_LEAST_ONCE,
        &[("ssl.endpoint.identification.algorithm", "")],
        expect![[r#"
        ssl.endpoint.identification.algorithm=none
    "#]],
    );
}

#[test]
fn what_only_java_understands_is_named_once() {
    check(
        Role::Ingress,
        &[
            ("key.deserializer", "x"),
            ("max.poll.records", "5"),
            ("session.timeout.ms", "1"),
            ("flink.poll", "1"),
            ("auto.commit.interval.ms", "9"),
        ],
        expect![[r#"
            warning: property `auto.commit.interval.ms` has no effect: offsets are committed each second, for monitors only
            warning: property `flink.poll` has no effect: it is for Flink
            warning: property `key.deserializer` has no effect: it is for Java programs
            warning: property `max.poll.records` has no effect: batches are as large as what is there, within limits
            warning: property `session.timeout.ms` has no effect: an ingress reads its partitions by itself, not as the member of a group
        "#]],
    );
    check(
        AT_LEAST_ONCE,
        &[("value.serializer", "x"), ("partitioner.class", "x"), ("metrics.num.samples", "2")],
        expect![[r#"
            warning: property `metrics.num.samples` has no effect: it is for Java programs
            warning: property `partitioner.class` has no effect: records go where Java's default partitioner sends them; see `partitioner`
            warning: property `value.serializer` has no effect: it is for Java programs
        "#]],
    );
}

#[test]
fn what_is_ours_stays_ours() {
    check(
        Role::Ingress,
        &[("enable.auto.commit", "true"), ("enable.auto.offset.store", "FALSE")],
        expect![[r#"
            warning: property `enable.auto.commit` is set by Statera, to `false`: positions are kept with the state
        "#]],
    );
    check(
        EXACTLY_ONCE,
        &[("acks", "1"), ("transactional.id", "mine"), ("transaction.timeout.ms", "900000")],
        expect![[r#"
            warning: property `acks` is set by Statera, to `all`: the delivery semantic asks for it
            warning: property `transactional.id` has no effect: it belongs to the data directory
        "#]],
    );
    check(
        AT_LEAST_ONCE,
        &[
            ("request.required.acks", "all"),
            ("transactional.id", "mine"),
            ("enable.idempotence", "false"),
        ],
        expect![[r#"
            warning: property `enable.idempotence` is set by Statera, to `true`: the delivery semantic asks for it
            warning: property `transactional.id` has no effect: `deliverySemantic.type` is not `exactly-once`
        "#]],
    );
    check(
        Role::Egress(Delivery::None),
        &[("acks", "0"), ("enable.idempotence", "false")],
        expect![[r#"
            acks=0
            enable.idempotence=false
        "#]],
    );
}

#[test]
fn where_a_group_begins_is_not_passed_on() {
    for (value, reset) in [
        ("earliest", Reset::Earliest),
        ("Latest", Reset::Latest),
        ("none", Reset::Fail),
        ("error", Reset::Fail),
    ] {
        let given = BTreeMap::from([("auto.offset.reset".to_owned(), value.to_owned())]);
        let translated = translate(&given, Role::Ingress, false).unwrap();
        assert_eq!((translated.reset, &*translated.values["auto.offset.reset"]), (reset, "error"));
    }
    check(
        Role::Ingress,
        &[("auto.offset.reset", "by_duration:P1D")],
        expect![[r#"
        error: `auto.offset.reset` cannot be `by_duration:P1D`; hint: set it to `earliest`, `latest` or `none`; to begin at a time use `startupPosition`
    "#]],
    );
}

#[test]
fn login_modules_become_names_and_passwords() {
    const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";
    let sasl = |config: String| {
        let properties = [("sasl.jaas.config", &*config)];
        changes(Role::Ingress, false, &properties)
    };
    expect![[r#"
        sasl.password=a"b;=c
        sasl.username=ada
    "#]]
    .assert_eq(&sasl(format!("{PLAIN} required username=\"ada\" password=\"a\\\"b;=c\";")));
    expect![[r#"
        sasl.password=pw
        sasl.username=ada
    "#]]
    .assert_eq(&sasl(
        "x.ScramLoginModule required\n  tokenauth='true' password = pw username=ada;".to_owned(),
    ));
    expect![[r#"
        error: `sasl.jaas.config` cannot be read: it has no `password`; hint: write `org.apache.kafka.common.security.plain.PlainLoginModule required username="…" password="…";`
    "#]].assert_eq(&sasl(format!("{PLAIN} required username=\"ada\";")));
    expect![[r#"
        error: `sasl.jaas.config` cannot be read: an option has no value; hint: write `org.apache.kafka.common.security.plain.PlainLoginModule required username="…" password="…";`
    "#]].assert_eq(&sasl(format!("{PLAIN} required username")));
    expect![[r#"
        error: `sasl.jaas.config` names the login module `Krb5LoginModule`, which only Java has; hint: use `PlainLoginModule` or `ScramLoginModule`, or set `sasl.username` and `sasl.password`
    "#]].assert_eq(&sasl("com.sun.security.auth.module.Krb5LoginModule required;".to_owned()));
    expect![[r#"
        error: `sasl.jaas.config` cannot be read: it is empty; hint: write `org.apache.kafka.common.security.plain.PlainLoginModule required username="…" password="…";`
    "#]].assert_eq(&sasl(String::new()));
}

#[test]
fn what_this_build_cannot_do_is_said_with_the_remedy() {
    let without = |properties: &[(&str, &str)]| changes(Role::Ingress, false, properties);
    expect![[r#"
        error: `security.protocol` is `SSL`, and this program was built without TLS; hint: use the released program, or build with the feature `kafka-tls`
    "#]].assert_eq(&without(&[("security.protocol", "ssl")]));
    expect![[r#"
        error: `sasl.mechanism` is `SCRAM-SHA-512`, and this program was built without TLS; hint: use the released program, or build with the feature `kafka-tls`
    "#]].assert_eq(&without(&[
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
    ]));
    expect![[r#"
        sasl.mechanism=PLAIN
        security.protocol=SASL_PLAINTEXT
    "#]]
    .assert_eq(&without(&[("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "PLAIN")]));
    check(
        Role::Ingress,
        &[("security.protocol", "SASL_SSL"), ("sasl.mechanisms", "SCRAM-SHA-512")],
        expect![[r#"
            sasl.mechanism=SCRAM-SHA-512
            security.protocol=SASL_SSL
        "#]],
    );
    check(
        Role::Ingress,
        &[("security.protocol", "SASL_SSL")],
        expect![[r#"
        error: `security.protocol` is `SASL_SSL`, but `sasl.mechanism` is not set; Kafka's default, Kerberos, is not supported; hint: set `sasl.mechanism` to `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`
    "#]],
    );
    check(
        Role::Ingress,
        &[("security.protocol", "SASL_SSL"), ("sasl.mechanism", "OAUTHBEARER")],
        expect![[r#"
            error: `sasl.mechanism` is `OAUTHBEARER`, which is not supported; hint: use `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`, or TLS with client certificates
        "#]],
    );
}

#[test]
fn keystores_become_what_openssl_reads() {
    check(
        Role::Ingress,
        &[
            ("ssl.truststore.location", "/ca.pem"),
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.password", "x"),
        ],
        expect![[r#"
            ssl.ca.location=/ca.pem
        "#]],
    );
    check(
        Role::Ingress,
        &[
            ("ssl.keystore.location", "/me.pem"),
            ("ssl.keystore.type", "pem"),
            ("ssl.key.password", "x"),
        ],
        expect![[r#"
            ssl.certificate.location=/me.pem
            ssl.key.location=/me.pem
            ssl.key.password=x
        "#]],
    );
    check(
        Role::Ingress,
        &[("ssl.keystore.location", "/me.p12"), ("ssl.keystore.password", "x")],
        expect![[r#"
            ssl.keystore.location=/me.p12
            ssl.keystore.password=x
        "#]],
    );
    check(
        Role::Ingress,
        &[
            ("ssl.truststore.certificates", "-----"),
            ("ssl.keystore.key", "k"),
            ("ssl.keystore.certificate.chain", "c"),
        ],
        expect![[r#"
            ssl.ca.pem=-----
            ssl.certificate.pem=c
            ssl.key.pem=k
        "#]],
    );
    check(
        Role::Ingress,
        &[("ssl.truststore.location", "/ca.jks")],
        expect![[r#"
        error: `ssl.truststore.location` is of type `JKS`, which only Java reads; hint: convert it to PEM (`keytool -importkeystore -deststoretype PKCS12 …`, then `openssl pkcs12 -nodes …`) and set `ssl.truststore.type` to `PEM`
    "#]],
    );
}
