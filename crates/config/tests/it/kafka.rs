//! Kafka: what is read, and what is refused.

use expect_test::expect;
use statera_config::{
    BadRecords, Delivery, Egress, Ingress, KafkaEgress, KafkaIngress, KafkaStartup, StreamRoute,
};

use crate::{ENDPOINT, INGRESS, application, check, check_added, check_messages, seconds};

fn name(text: &str) -> statera_model::Name {
    statera_model::Name::parse(text).expect("a name")
}

fn ingress(text: &str) -> KafkaIngress {
    match application(&format!("{ENDPOINT}{text}")).ingresses.remove(0) {
        Ingress::Kafka(kafka) => kafka,
        other => panic!("{other:?}"),
    }
}

fn egress(text: &str) -> KafkaEgress {
    match application(&format!("{ENDPOINT}{INGRESS}{text}")).egresses.remove(0) {
        Egress::Kafka(kafka) => kafka,
        other => panic!("{other:?}"),
    }
}

fn map<const N: usize>(entries: [(&str, &str); N]) -> std::collections::BTreeMap<String, String> {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

const MINIMAL: &str = "
kind: io.statefun.kafka.v1/ingress
spec:
  id: example/in
  address: kafka:9092
  consumerGroupId: my-group
  topics:
    - { topic: names, valueType: example/Name, targets: [example/person] }
";

#[test]
fn a_small_ingress_has_the_defaults_of_statefun() {
    let expected = KafkaIngress {
        id: name("example/in"),
        properties: map([
            ("auto.offset.reset", "latest"),
            ("bootstrap.servers", "kafka:9092"),
            ("group.id", "my-group"),
        ]),
        topics: vec![StreamRoute {
            name: "names".into(),
            value_type: name("example/Name"),
            targets: vec![name("example/person")],
            envelope: false,
        }],
        startup: KafkaStartup::Latest,
        bad_records: BadRecords::DeadLetter,
        discovery: Some(seconds(30)),
    };
    assert_eq!(ingress(MINIMAL), expected);
}

#[test]
fn all_fields_of_an_ingress_are_read() {
    let expected = KafkaIngress {
        id: name("example/in"),
        properties: map([
            ("auto.offset.reset", "earliest"),
            ("bootstrap.servers", "SASL_SSL://a:9092, b:9093"),
            ("group.id", "my-group"),
            ("isolation.level", "read_committed"),
            ("max.poll.records", "5"),
            ("sasl.jaas.config", "required password=\"hush\";"),
        ]),
        topics: vec![
            StreamRoute {
                name: "logins".into(),
                value_type: name("example/Login"),
                targets: vec![name("example/person"), name("example/audit")],
                envelope: true,
            },
            StreamRoute {
                name: "names".into(),
                value_type: name("example/Name"),
                targets: vec![name("example/person")],
                envelope: false,
            },
        ],
        startup: KafkaStartup::Offsets(
            [(("logins".into(), 0), 89), (("names".into(), 12), 0)].into(),
        ),
        bad_records: BadRecords::Skip,
        discovery: None,
    };
    let text = "
kind: io.statefun.kafka.v1/ingress
spec:
  id: example/in
  address: SASL_SSL://a:9092, b:9093
  consumerGroupId: my-group
  autoOffsetResetPosition: Earliest
  startupPosition:
    type: specific-offsets
    offsets:
      - logins/0: 89
      - names/12: 0
  topics:
    - topic: names
      valueType: example/Name
      targets: [example/person]
    - topic: logins
      valueType: example/Login
      targets: [example/person, example/audit]
      envelope: true
  properties:
    - isolation.level: read_committed
    - max.poll.records: 5
    - sasl.jaas.config: required password=\"hush\";
  partitionDiscovery: never
  badRecords: skip
";
    let ingress = ingress(text);
    assert_eq!(ingress, expected);
    let shown = format!("{ingress:?}");
    assert!(shown.contains("read_committed") && !shown.contains("hush"), "{shown}");
}

#[test]
fn all_startup_positions_are_read() {
    for (text, expected) in [
        ("group-offsets", KafkaStartup::GroupOffsets),
        ("earliest", KafkaStartup::Earliest),
        ("latest", KafkaStartup::Latest),
        ("date, date: 2020-02-01 04:15:00.000 +0000", KafkaStartup::Date(1_580_530_500_000)),
        (
            "specific-offsets, offsets: { names/1: 2 }",
            KafkaStartup::Offsets([(("names".into(), 1), 2)].into()),
        ),
    ] {
        let kafka = ingress(&format!("{MINIMAL}  startupPosition: {{ type: {text} }}\n"));
        assert_eq!(kafka.startup, expected, "{text}");
    }
}

#[test]
fn settings_may_be_properties() {
    let ingress = ingress(
        "
kind: io.statefun.kafka.v1/ingress
spec:
  id: example/in
  topics:
    - { topic: names, valueType: example/Name, targets: [example/person] }
  properties:
    bootstrap.servers: kafka:9092
    group.id: my-group
    flink.partition-discovery.interval-millis: 5000
",
    );
    let expected = map([
        ("auto.offset.reset", "latest"),
        ("bootstrap.servers", "kafka:9092"),
        ("group.id", "my-group"),
    ]);
    assert_eq!((ingress.properties, ingress.discovery), (expected, Some(seconds(5))));
}

#[test]
fn egresses_are_read() {
    let head = "kind: io.statefun.kafka.v1/egress\nspec:\n  id: example/out\n";
    let minimal = KafkaEgress {
        id: name("example/out"),
        properties: map([("bootstrap.servers", "kafka:9092")]),
        delivery: Delivery::AtLeastOnce,
    };
    assert_eq!(egress(&format!("{head}  address: kafka:9092\n")), minimal);
    let properties = "  properties: [{ bootstrap.servers: kafka:9092 }]\n";
    assert_eq!(egress(&format!("{head}{properties}")), minimal);
    for (text, delivery) in [
        ("at-least-once", Delivery::AtLeastOnce),
        ("none", Delivery::None),
        (
            "exactly-once, transactionTimeout: 15min",
            Delivery::ExactlyOnce { transaction_timeout: seconds(900) },
        ),
    ] {
        let text = format!("{head}{properties}  deliverySemantic: {{ type: {text} }}\n");
        assert_eq!(egress(&text), KafkaEgress { delivery, ..minimal.clone() });
    }
}

#[test]
fn every_mistake_in_an_ingress_is_placed() {
    check(
        &format!(
            "{ENDPOINT}
kind: io.statefun.kafka.v1/ingress
spec:
  id: names
  address: kafka
  autoOffsetResetPosition: newest
  startupPosition:
    type: date
    date: 2020-02-01 04:15:00.00 Z
  topics:
    - topic: names
      targets: [example/person, shop/cart]
    - topic: logins-*
      valueType: Login
      targets: []
  properties:
    - max.poll.records
    - group.id:
  badRecords: drop
  partitionDiscovery: 0
"
        ),
        expect![[r#"
            error: invalid name `names`: it must be of the form `<namespace>/<name>`
              --> module.yaml:10:7 (spec.id)
               |
            10 |   id: names
               |       ^^^^^
            hint: put a namespace in front, such as `example/name`

            error: `kafka` is not the address of a broker
              --> module.yaml:11:12 (spec.address)
               |
            11 |   address: kafka
               |            ^^^^^
            hint: write `<host>:<port>`, such as `kafka:9092`

            error: `newest` is not one of `earliest`, `latest`
              --> module.yaml:12:28 (spec.autoOffsetResetPosition)
               |
            12 |   autoOffsetResetPosition: newest
               |                            ^^^^^^
            hint: write one of `earliest`, `latest`

            error: `2020-02-01 04:15:00.00 Z` is not a date of the form `yyyy-MM-dd HH:mm:ss.SSS Z`
              --> module.yaml:15:11 (spec.startupPosition.date)
               |
            15 |     date: 2020-02-01 04:15:00.00 Z
               |           ^^^^^^^^^^^^^^^^^^^^^^^^
            hint: write `2020-02-01 04:15:00.000 +0000`, with `+0000` for `Z`

            error: `valueType` is missing
              --> module.yaml:17:7 (spec.topics[0].valueType)
               |
            17 |     - topic: names
               |       ^
            hint: add `valueType: <namespace>/<name>`

            error: no endpoint serves `shop/cart`
              --> module.yaml:18:33 (spec.topics[0].targets[1])
               |
            18 |       targets: [example/person, shop/cart]
               |                                 ^^^^^^^^^
            hint: add an endpoint with `functions: shop/*`

            error: `logins-*` is not the name of a topic
              --> module.yaml:19:14 (spec.topics[1].topic)
               |
            19 |     - topic: logins-*
               |              ^^^^^^^^
            hint: patterns and lists are not supported; add an item for each topic

            error: invalid name `Login`: it must be of the form `<namespace>/<name>`
              --> module.yaml:20:18 (spec.topics[1].valueType)
               |
            20 |       valueType: Login
               |                  ^^^^^
            hint: put a namespace in front, such as `example/name`

            error: the list is empty
              --> module.yaml:21:16 (spec.topics[1].targets)
               |
            21 |       targets: []
               |                ^
            hint: add at least one target

            error: `name: value` is expected here, not a single value
              --> module.yaml:23:7 (spec.properties[0])
               |
            23 |     - max.poll.records
               |       ^^^^^^^^^^^^^^^^
            hint: write `- name: value`

            error: `drop` is not one of `dead-letter`, `skip`, `fail`
              --> module.yaml:25:15 (spec.badRecords)
               |
            25 |   badRecords: drop
               |               ^^^^
            hint: write one of `dead-letter`, `skip`, `fail`

            error: the duration must be larger than 0
              --> module.yaml:26:23 (spec.partitionDiscovery)
               |
            26 |   partitionDiscovery: 0
               |                       ^
            hint: write a duration such as `30s`, or `never`

            12 errors"#]],
    );
}

#[test]
fn settings_of_an_ingress_are_checked() {
    let kafka = |fields: &str| {
        format!(
            "{{ kind: io.statefun.kafka.v1/ingress, spec: {{ id: a/b, topics: [{{ topic: t, valueType: a/b, targets: [example/f] }}], {fields} }} }}"
        )
    };
    let complete = |fields: &str| kafka(&format!("address: h:1, consumerGroupId: g, {fields}"));
    let texts = [
        kafka(""),
        kafka("adress: h:1, group.id: g"),
        kafka("address: '', consumerGroupId: ' '"),
        kafka("properties: [{ bootstrap.servers: h }, { group.id: '' }]"),
        complete("startupPosition: latest"),
        complete("startupPosition: now"),
        complete("startupPosition: {}"),
        complete("startupPosition: { type: erliest }"),
        complete("startupPosition: { type: newest }"),
        complete("startupPosition: { type: date }"),
        complete("startupPosition: { type: date, date: 2021-02-29 00:00:00.000 +0000 }"),
        complete("startupPosition: { type: latest, date: 2020-02-01 04:15:00.000 +0000 }"),
        complete("startupPosition: { type: specific-offsets }"),
        complete("startupPosition: { type: specific-offsets, offsets: [] }"),
        complete(
            "startupPosition: { type: specific-offsets, offsets: [t: 1, t/-1: 1, t/0: -1, t/1: x, 7] }",
        ),
        complete(
            "startupPosition: { type: specific-offsets, offsets: [{ t: 1 }, { t/x: 1 }, { t/-1: 1 }, { t/0: -1 }, { t/1: x }] }",
        ),
        complete(
            "startupPosition: { type: specific-offsets, offsets: [{ t/0: 1 }, { t/0: 2 }, { u/0: 1 }] }",
        ),
        complete("properties: { flink.partition-discovery.interval-millis: soon }"),
        complete(
            "properties: { flink.poll-timeout: 1, flink.partition-discovery.interval-millis: -1 }",
        ),
        complete(
            "partitionDiscovery: 1s, properties: { flink.partition-discovery.interval-millis: 5 }",
        ),
        complete(
            "properties: [{ a: 1 }, { a: 2 }, { group.id: h }, { bootstrap.servers: h:1 }, { auto.offset.reset: earliest }]",
        ),
        complete("properties: 5"),
        complete("properties: [a=b, { c: [] }]"),
        complete("startPosition: { type: latest }"),
    ];
    check_messages(
        &texts.each_ref().map(String::as_str),
        expect![[r#"
        spec.address: `address` is missing
            add `address: localhost:9092`, or `bootstrap.servers` to `properties`
        spec.consumerGroupId: `consumerGroupId` is missing
            add `consumerGroupId: my-group`, or `group.id` to `properties`
        spec.consumerGroupId: `consumerGroupId` is missing
            add `consumerGroupId: my-group`, or `group.id` to `properties`
        spec.adress: the unknown field `adress` is ignored
            did you mean `address`?
        spec.address: `address` is missing, but there is `adress`
            rename `adress` to `address`
        spec.address: `` is not the address of a broker
            write `<host>:<port>`, such as `kafka.example.com:9092`
        spec.consumerGroupId: the value is empty
            write the value, or remove the line
        spec.properties[0].bootstrap.servers: `h` is not the address of a broker
            write `<host>:<port>`, such as `h:9092`
        spec.properties[1].group.id: the value is empty
            write the value, or remove the line
        spec.startupPosition: `startupPosition` is expected to be a mapping, not a single value
            write `startupPosition: { type: latest }`
        spec.startupPosition: `startupPosition` is expected to be a mapping, not a single value
            write `startupPosition: { type: group-offsets }`
        spec.startupPosition.type: `type` is missing
            add `type: latest`
        spec.startupPosition.type: `erliest` is not one of `group-offsets`, `earliest`, `latest`, `specific-offsets`, `date`
            did you mean `earliest`?
        spec.startupPosition.type: `newest` is not one of `group-offsets`, `earliest`, `latest`, `specific-offsets`, `date`
            write one of `group-offsets`, `earliest`, `latest`, `specific-offsets`, `date`
        spec.startupPosition.date: `date` is missing
            add `date: 2020-02-01 04:15:00.000 +0000`
        spec.startupPosition.date: `2021-02-29 00:00:00.000 +0000` is not a date of the form `yyyy-MM-dd HH:mm:ss.SSS Z`
            write year, month, day, time with three digits of a second, and offset, such as `2020-02-01 04:15:00.000 +0000`
        spec.startupPosition.date: `date` is ignored, because the type is `latest`
            write `type: date`, or remove `date`
        spec.startupPosition.offsets: `offsets` is missing
            add `offsets: [names/0: 42]`
        spec.startupPosition.offsets: there are no offsets
            add at least one `- <topic>/<partition>: <offset>`
        spec.startupPosition.offsets[4]: `name: value` is expected here, not a single value
            write `- name: value`
        spec.startupPosition.offsets[0].t: `t` is not the partition of a topic
            write `- <topic>/<partition>: <offset>`, such as `- names/0: 42`
        spec.startupPosition.offsets[1].t/x: `t/x` is not the partition of a topic
            write `- <topic>/<partition>: <offset>`, such as `- names/0: 42`
        spec.startupPosition.offsets[2].t/-1: `t/-1` is not the partition of a topic
            write `- <topic>/<partition>: <offset>`, such as `- names/0: 42`
        spec.startupPosition.offsets[3].t/0: `-1` is too small
            write at least `0`
        spec.startupPosition.offsets[4].t/1: `x` is not an integer
            write a whole number, such as `1000`
        spec.startupPosition.offsets[1].t/0: `t/0` is there twice; only the last one counts
            keep one of the two
        spec.startupPosition.offsets[2].u/0: no topic `u` is read here
            add it to `topics`, or remove its offset
        spec.properties.flink.partition-discovery.interval-millis: `soon` is not an integer
            write a whole number, such as `1000`
        spec.properties.flink.poll-timeout: the property `flink.poll-timeout` is ignored: there is no Flink here
            remove it
        spec.properties.flink.partition-discovery.interval-millis: the property `flink.partition-discovery.interval-millis` is ignored, because `partitionDiscovery` goes before it
            remove the property
        spec.properties[1].a: `a` is there twice; only the last one counts
            keep one of the two
        spec.properties[2].group.id: the property `group.id` is ignored, because `consumerGroupId` goes before it
            remove the property, and write its value as `consumerGroupId`
        spec.properties[4].auto.offset.reset: the property `auto.offset.reset` is ignored, because `autoOffsetResetPosition` goes before it
            remove the property, and write its value as `autoOffsetResetPosition`
        spec.properties: a list is expected here, not a single value
            write each item on its own line, behind `- `
        spec.properties[0]: `name: value` is expected here, not a single value
            write `- name: value`
        spec.startPosition: the unknown field `startPosition` is ignored
            did you mean `startupPosition`?
    "#]],
    );
}

#[test]
fn topics_are_checked() {
    let kafka = |topics: &str| {
        format!(
            "{{ kind: io.statefun.kafka.v1/ingress, spec: {{ id: a/b, address: h:1, consumerGroupId: g, {topics} }} }}"
        )
    };
    let texts = [
        kafka(""),
        kafka("topics: []"),
        kafka("topics: names"),
        kafka("topics: [names]"),
        kafka("topics: [{}]"),
        kafka("topics: [{ topic: '', valueType: '', targets: [example/*], envelope: maybe }]"),
        kafka("topics: [{ topic: a b, valueType: a/b, target: example/f }]"),
        kafka(
            "topics: [{ topic: t, valueType: a/b, targets: [example/f] }, { topic: t, valueType: a/c, targets: [example/g] }]",
        ),
    ];
    check_messages(
        &texts.each_ref().map(String::as_str),
        expect![[r#"
        spec.topics: `topics` is missing
            add
        topics:
          - topic: names
            valueType: <namespace>/<name>
            targets: [<namespace>/<name>]
        spec.topics: the list is empty
            add at least one topic
        spec.topics: a list is expected here, not a single value
            write each item on its own line, behind `- `
        spec.topics[0]: a mapping is expected here, not a single value
            write `name: value` lines, indented below this key
        spec.topics[0].topic: `topic` is missing
            add `topic: names`
        spec.topics[0].valueType: `valueType` is missing
            add `valueType: <namespace>/<name>`
        spec.topics[0].targets: `targets` is missing
            add `targets: [<namespace>/<name>]`
        spec.topics[0].topic: `` is not the name of a topic
            a topic has letters, digits, `.`, `_` and `-`
        spec.topics[0].valueType: invalid name ``: it must be of the form `<namespace>/<name>`
            put a namespace in front, such as `example/name`
        spec.topics[0].targets[0]: `example/*` is a pattern, but must be a single function
            name the function: `<namespace>/<name>`
        spec.topics[0].envelope: `maybe` is neither `true` nor `false`
            write `true` or `false`
        spec.topics[0].topic: `a b` is not the name of a topic
            a topic has letters, digits, `.`, `_` and `-`
        spec.topics[0].targets: `targets` is missing, but there is `target`
            rename `target` to `targets`
        spec.topics[1].topic: `t` is there twice; only the last one counts
            keep one of the two
    "#]],
    );
}

#[test]
fn the_last_of_repeated_topics_counts() {
    let text = format!(
        "{ENDPOINT}{MINIMAL}    - {{ topic: names, valueType: example/Other, targets: [example/person] }}\n"
    );
    let loaded = crate::loaded(&text).unwrap();
    let Ingress::Kafka(kafka) = &loaded.application.ingresses[0] else { panic!("{loaded:?}") };
    assert_eq!(kafka.topics.len(), 1);
    assert_eq!(kafka.topics[0].value_type.as_str(), "example/Other");
    expect![[r#"
        warning: `names` is there twice; only the last one counts
          --> module.yaml:15:16 (spec.topics[1].topic)
           |
        15 |     - { topic: names, valueType: example/Other, targets: [example/person] }
           |                ^^^^^
        note: first at module.yaml:14:9
        hint: keep one of the two

        1 warning"#]]
    .assert_eq(&loaded.warnings.to_string());
}

#[test]
fn settings_of_an_egress_are_checked() {
    let kafka = |fields: &str| {
        format!("{{ kind: io.statefun.kafka.v1/egress, spec: {{ id: a/b, {fields} }} }}")
    };
    let delivery = |fields: &str| kafka(&format!("address: h:1, deliverySemantic: {{ {fields} }}"));
    let texts = [
        "{ kind: io.statefun.kafka.v1/egress, spec: { } }".to_owned(),
        kafka("address: 9092"),
        kafka("address: h:1, deliverySemantic: exactly-once"),
        delivery(""),
        delivery("type: exactly_once"),
        delivery("type: twice"),
        delivery("type: exactly-once"),
        delivery("type: exactly-once, transactionTimeOut: 15min"),
        delivery("type: exactly-once, transactionTimeout: 0"),
        delivery("type: exactly-once, transactionTimeout: 100ns"),
        delivery("type: exactly-once, transactionTimeout: 30d"),
        delivery("type: exactly-once, transactionTimeoutMillis: 15min"),
        delivery("type: exactly-once, transactionTimeoutMillis: 900000"),
        delivery("type: exactly-once, transactionTimeoutMillis: 900000, transactionTimeout: 1s"),
        delivery("type: none, transactionTimeout: 1s"),
        kafka(
            "address: h:1, deliverySemantic: { type: exactly-once, transactionTimeout: 1s }, properties: { transaction.timeout.ms: 5, bootstrap.servers: i:1 }",
        ),
    ];
    check_messages(
        &texts.each_ref().map(String::as_str),
        expect![[r#"
            spec.id: `id` is missing
                add `id: <namespace>/<name>`
            spec.address: `address` is missing
                add `address: localhost:9092`, or `bootstrap.servers` to `properties`
            spec.address: `9092` is not the address of a broker
                write `<host>:<port>`, such as `kafka.example.com:9092`
            spec.deliverySemantic: `deliverySemantic` is expected to be a mapping, not a single value
                write `deliverySemantic: { type: exactly-once }`
            spec.deliverySemantic.type: `type` is missing
                add `type: at-least-once`
            spec.deliverySemantic.type: `exactly_once` is not one of `at-least-once`, `exactly-once`, `none`
                did you mean `exactly-once`?
            spec.deliverySemantic.type: `twice` is not one of `at-least-once`, `exactly-once`, `none`
                write one of `at-least-once`, `exactly-once`, `none`
            spec.deliverySemantic.transactionTimeout: `transactionTimeout` is missing
                add `transactionTimeout: 15min`
            spec.deliverySemantic.transactionTimeOut: the unknown field `transactionTimeOut` is ignored
                did you mean `transactionTimeout`?
            spec.deliverySemantic.transactionTimeout: `transactionTimeout` is missing, but there is `transactionTimeOut`
                rename `transactionTimeOut` to `transactionTimeout`
            spec.deliverySemantic.transactionTimeout: the duration must be larger than 0
                for a wait that never ends write a long one, such as `1d`
            spec.deliverySemantic.transactionTimeout: the timeout is shorter than a millisecond
                write `15min`
            spec.deliverySemantic.transactionTimeout: the timeout is longer than Kafka allows
                write at most `24d`
            spec.deliverySemantic.transactionTimeoutMillis: `transactionTimeoutMillis` is deprecated
                write `transactionTimeout: <duration>`, such as `15min`
            spec.deliverySemantic.transactionTimeoutMillis: `15min` is not an integer
                write a whole number, such as `1000`
            spec.deliverySemantic.transactionTimeoutMillis: `transactionTimeoutMillis` is deprecated
                write `transactionTimeout: <duration>`, such as `15min`
            spec.deliverySemantic.transactionTimeoutMillis: `transactionTimeoutMillis` is deprecated
                remove it; as long as it is there, `transactionTimeout` is ignored
            spec.deliverySemantic.transactionTimeout: `transactionTimeout` is ignored, because the type is `none`
                write `type: exactly-once`, or remove `transactionTimeout`
            spec.properties.transaction.timeout.ms: the property `transaction.timeout.ms` is ignored, because `transactionTimeout` goes before it
                remove the property, and write its value as `transactionTimeout`
            spec.properties.bootstrap.servers: the property `bootstrap.servers` is ignored, because `address` goes before it
                remove the property, and write its value as `address`
        "#]],
    );
}

#[test]
fn secrets_are_not_shown() {
    check_added(
        "
kind: io.statefun.kafka.v1/egress
spec:
  id: example/out
  properties:
    - ssl.key.password: hush
    - sasl.jaas.config: required password=\"pa${ss\";
    - ssl.key.password: hush2
    - ssl.keystore.password: [hush]
    - ssl.truststore.password: hush: hush
",
        expect![[r#"
            error: invalid YAML: mapping values are not allowed in this context
              --> module.yaml:10:36
               |
            10 |     - ssl.truststore.password: ***** ****
               |                                    ^
            hint: check the indentation of this line and the one above; put text that contains `: ` in quotes

            1 error"#]],
    );
    check_added(
        "
kind: io.statefun.kafka.v1/egress
spec:
  id: example/out
  address: kafka:9092
  properties:
    - ssl.key.password: hush
    - ssl.key.password: hush2
    - sasl.jaas.config: required password=\"pa${ss\";
    - ssl.keystore.password: [hush]
    - ssl.truststore.password: ${UNSET}
",
        expect![[r#"
            warning: `ssl.key.password` is there twice; only the last one counts
             --> module.yaml:8:7 (spec.properties[1].ssl.key.password)
              |
            8 |     - ssl.key.password: *****
              |       ^^^^^^^^^^^^^^^^
            note: first at module.yaml:7:7
            hint: keep one of the two

            error: `${…` is not closed
             --> module.yaml:9:46 (spec.properties[2].sasl.jaas.config)
              |
            9 |     - sasl.jaas.config: ******** ******************
              |                                              ^^^^^^
            hint: add `}`, or write `$${` for a plain `${`

            error: a single value is expected here, not a list
              --> module.yaml:10:30 (spec.properties[3].ssl.keystore.password)
               |
            10 |     - ssl.keystore.password: ******
               |                              ^
            hint: write the value behind the colon

            error: `${UNSET}` is not set
              --> module.yaml:11:32 (spec.properties[4].ssl.truststore.password)
               |
            11 |     - ssl.truststore.password: ${UNSET}
               |                                ^^^^^^^^
            hint: set the environment variable `UNSET`, or give a default: `${UNSET:-default}`; to switch this off write `interpolate: false` beside `spec`

            3 errors, 1 warning"#]],
    );
}
