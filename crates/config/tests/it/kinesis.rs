//! Kinesis: what is read, and what is refused.

use std::path::PathBuf;

use expect_test::expect;
use statera_config::{
    AwsCredentials, AwsRegion, BadRecords, Egress, Ingress, KinesisEgress, KinesisIngress,
    KinesisStartup, StreamRoute,
};

use crate::{ENDPOINT, INGRESS, application, check, check_messages};

fn name(text: &str) -> statera_model::Name {
    statera_model::Name::parse(text).expect("a name")
}

fn ingress(text: &str) -> KinesisIngress {
    match application(&format!("{ENDPOINT}{text}")).ingresses.remove(0) {
        Ingress::Kinesis(kinesis) => kinesis,
        other => panic!("{other:?}"),
    }
}

fn egress(text: &str) -> KinesisEgress {
    match application(&format!("{ENDPOINT}{INGRESS}{text}")).egresses.remove(0) {
        Egress::Kinesis(kinesis) => kinesis,
        other => panic!("{other:?}"),
    }
}

const MINIMAL: &str = "
kind: io.statefun.kinesis.v1/ingress
spec:
  id: example/in
  streams:
    - { stream: names, valueType: example/Name, targets: [example/person] }
";

#[test]
fn a_small_ingress_has_the_defaults_of_statefun() {
    let expected = KinesisIngress {
        id: name("example/in"),
        region: AwsRegion::Default,
        credentials: AwsCredentials::Default,
        startup: KinesisStartup::Latest,
        streams: vec![StreamRoute {
            name: "names".into(),
            value_type: name("example/Name"),
            targets: vec![name("example/person")],
            envelope: false,
        }],
        properties: [].into(),
        bad_records: BadRecords::DeadLetter,
    };
    assert_eq!(ingress(MINIMAL), expected);
}

#[test]
fn all_forms_of_an_ingress_are_read() {
    let with = |fields: &str| ingress(&format!("{MINIMAL}  {fields}\n"));
    for (fields, region) in [
        ("{ type: default }", AwsRegion::Default),
        ("{ type: specific, id: us-west-1 }", AwsRegion::Specific("us-west-1".into())),
        (
            "{ type: custom-endpoint, endpoint: https://kinesis.test:4567, id: us-west-1 }",
            AwsRegion::Custom {
                endpoint: "https://kinesis.test:4567".into(),
                region: "us-west-1".into(),
            },
        ),
    ] {
        assert_eq!(with(&format!("awsRegion: {fields}")).region, region);
    }
    for local in ["http://localhost:4566", "http://127.0.0.1:1/", "http://[::1]:4566"] {
        let region = with(&format!(
            "awsRegion: {{ type: custom-endpoint, endpoint: '{local}', id: us-west-1 }}"
        ))
        .region;
        assert_eq!(
            region,
            AwsRegion::Custom { endpoint: local.into(), region: "us-west-1".into() }
        );
    }
    for (fields, startup) in [
        ("{ type: latest }", KinesisStartup::Latest),
        ("{ type: earliest }", KinesisStartup::Earliest),
        (
            "{ type: date, date: 2020-02-01 04:15:00.000 +0000 }",
            KinesisStartup::Date(1_580_530_500_000),
        ),
    ] {
        assert_eq!(with(&format!("startupPosition: {fields}")).startup, startup);
    }
    for (fields, credentials) in [
        ("{ type: default }", AwsCredentials::Default),
        (
            "{ type: basic, accessKeyId: A, secretAccessKey: hush }",
            AwsCredentials::Basic { access_key_id: "A".into(), secret_access_key: "hush".into() },
        ),
        (
            "{ type: profile, profileName: John Doe }",
            AwsCredentials::Profile { name: "John Doe".into(), path: None },
        ),
        (
            "{ type: profile, profileName: p, profilePath: /path/to/profile }",
            AwsCredentials::Profile {
                name: "p".into(),
                path: Some(PathBuf::from("/path/to/profile")),
            },
        ),
    ] {
        let kinesis = with(&format!("awsCredentials: {fields}"));
        assert!(!format!("{kinesis:?}").contains("hush"));
        assert_eq!(kinesis.credentials, credentials);
    }
    let kinesis = with("badRecords: fail");
    assert_eq!(kinesis.bad_records, BadRecords::Fail);
    let kinesis = with("clientConfigProperties: [{ SocketTimeout: 9999 }, { MaxConnections: 15 }]");
    assert_eq!(
        kinesis.properties,
        [("MaxConnections".into(), "15".into()), ("SocketTimeout".into(), "9999".into())].into()
    );
}

#[test]
fn egresses_are_read() {
    let head = "kind: io.statefun.kinesis.v1/egress\nspec:\n  id: example/out\n";
    let minimal = KinesisEgress {
        id: name("example/out"),
        region: AwsRegion::Default,
        credentials: AwsCredentials::Default,
        outstanding_max: 1000,
        properties: [].into(),
    };
    assert_eq!(egress(head), minimal);
    let full = KinesisEgress {
        region: AwsRegion::Specific("eu-central-1".into()),
        outstanding_max: 5,
        properties: [("ThreadPoolSize".into(), "2".into())].into(),
        ..minimal
    };
    let text = format!(
        "{head}  awsRegion: {{ type: specific, id: EU-central-1 }}\n  maxOutstandingRecords: 5\n  clientConfigProperties:\n    - ThreadPoolSize: 2\n"
    );
    assert_eq!(egress(&text), full);
}

#[test]
fn every_mistake_is_placed() {
    check(
        &format!(
            "{ENDPOINT}
kind: io.statefun.kinesis.v1/ingress
spec:
  id: example/in
  awsRegion:
    type: custom-endpoint
    endpoint: http://kinesis.example.com
  awsCredentials: {{ type: basik, secretAccessKey: hush }}
  startupPosition:
    type: date
    date: yesterday
  streams:
    - stream: 'names and more'
      targets: [shop/cart]
---
kind: io.statefun.kinesis.v1/egress
spec:
  id: example/out
  awsRegion: eu-central-1
  maxOutstandingRecords: 0
"
        ),
        expect![[r#"
            error: `id` is missing
              --> module.yaml:11:3 (spec.awsRegion.id)
               |
            11 |   awsRegion:
               |   ^^^^^^^^^
            hint: add `id: eu-central-1`

            error: the endpoint `http://kinesis.example.com` must begin with `https://`
              --> module.yaml:13:15 (spec.awsRegion.endpoint)
               |
            13 |     endpoint: http://kinesis.example.com
               |               ^^^^^^^^^^^^^^^^^^^^^^^^^^
            hint: write `https://kinesis.example.com`; only an endpoint on this machine, such as `http://localhost:4566`, may do without

            error: `basik` is not one of `default`, `basic`, `profile`
              --> module.yaml:14:27 (spec.awsCredentials.type)
               |
            14 |   awsCredentials: { type: basik, secretAccessKey: **** *
               |                           ^^^^^
            hint: did you mean `basic`?

            error: `yesterday` is not a date of the form `yyyy-MM-dd HH:mm:ss.SSS Z`
              --> module.yaml:17:11 (spec.startupPosition.date)
               |
            17 |     date: yesterday
               |           ^^^^^^^^^
            hint: write year, month, day, time with three digits of a second, and offset, such as `2020-02-01 04:15:00.000 +0000`

            error: `valueType` is missing
              --> module.yaml:19:7 (spec.streams[0].valueType)
               |
            19 |     - stream: 'names and more'
               |       ^
            hint: add `valueType: <namespace>/<name>`

            error: `names and more` is not the name of a stream
              --> module.yaml:19:15 (spec.streams[0].stream)
               |
            19 |     - stream: 'names and more'
               |               ^^^^^^^^^^^^^^^^
            hint: a stream has 1 to 128 letters, digits, `.`, `_` and `-`

            error: no endpoint serves `shop/cart`
              --> module.yaml:20:17 (spec.streams[0].targets[0])
               |
            20 |       targets: [shop/cart]
               |                 ^^^^^^^^^
            hint: add an endpoint with `functions: shop/*`

            error: `awsRegion` is expected to be a mapping, not a single value
              --> module.yaml:25:14 (spec.awsRegion)
               |
            25 |   awsRegion: eu-central-1
               |              ^^^^^^^^^^^^
            hint: write `awsRegion: { type: specific, id: eu-central-1 }`

            error: `0` is too small
              --> module.yaml:26:26 (spec.maxOutstandingRecords)
               |
            26 |   maxOutstandingRecords: 0
               |                          ^
            hint: write at least `1`

            9 errors"#]],
    );
}

#[test]
fn settings_are_checked() {
    let kinesis = |fields: &str| {
        format!("{{ kind: io.statefun.kinesis.v1/egress, spec: {{ id: a/b, {fields} }} }}")
    };
    let custom = |url: &str| {
        kinesis(&format!("awsRegion: {{ type: custom-endpoint, endpoint: '{url}', id: a-b-1 }}"))
    };
    let texts = [
        "{ kind: io.statefun.kinesis.v1/ingress, spec: }".to_owned(),
        "{ kind: io.statefun.kinesis.v1/ingress, spec: { id: a/b, streams: [] } }".to_owned(),
        "{ kind: io.statefun.kinesis.v1/ingress, spec: { id: a/b, streams: [{ stream: s, valueType: a/b, targets: [example/a] }, { stream: s, valueType: a/b, targets: [example/a] }] } }".to_owned(),
        kinesis("awsRegion: {}"),
        kinesis("awsRegion: { type: specific }"),
        kinesis("awsRegion: { type: specific, id: 'Frankfurt am Main' }"),
        kinesis("awsRegion: { type: default, id: eu-central-1 }"),
        kinesis("awsRegion: { type: custom-endpoint }"),
        custom("kinesis.example.com"),
        custom("ftp://localhost"),
        custom("http://localhost.example.com:80/"),
        custom("https://{function.name}/"),
        custom("http+unix:///a.sock"),
        kinesis("awsCredentials: { type: basic }"),
        kinesis("awsCredentials: { type: basic, accessKeyId: '', secretAccessKey: [hush] }"),
        kinesis("awsCredentials: { type: profile, profile: p }"),
        kinesis("awsCredentials: { type: profile, profileName: p, profilePath: '', accessKeyId: a }"),
        kinesis("maxOutstandingRecords: -1"),
        kinesis("maxOutstandingRecords: many"),
        kinesis("clientConfigProperties: [5]"),
    ];
    check_messages(
        &texts.each_ref().map(String::as_str),
        expect![[r#"
            spec.id: `id` is missing
                add `id: <namespace>/<name>`
            spec.streams: `streams` is missing
                add
            streams:
              - stream: names
                valueType: <namespace>/<name>
                targets: [<namespace>/<name>]
            spec.streams: the list is empty
                add at least one stream
            spec.streams[1].stream: `s` is there twice; only the last one counts
                keep one of the two
            spec.awsRegion.type: `type` is missing
                add `type: default`
            spec.awsRegion.id: `id` is missing
                add `id: eu-central-1`
            spec.awsRegion.id: `Frankfurt am Main` is not a region
                write the id of a region, such as `eu-central-1`
            spec.awsRegion.id: `id` is ignored, because the type is `default`
                write `type: specific`, or remove `id`
            spec.awsRegion.endpoint: `endpoint` is missing
                add `endpoint: https://kinesis.example.com`
            spec.awsRegion.id: `id` is missing
                add `id: eu-central-1`
            spec.awsRegion.endpoint: the URL `kinesis.example.com` has no scheme
                write `https://<host>`
            spec.awsRegion.endpoint: the URL `ftp://localhost` has the unknown scheme `ftp`
                write `https://<host>`
            spec.awsRegion.endpoint: the endpoint `http://localhost.example.com:80/` must begin with `https://`
                write `https://localhost.example.com:80`; only an endpoint on this machine, such as `http://localhost:4566`, may do without
            spec.awsRegion.endpoint: the endpoint `https://{function.name}/` is not a plain URL
                write `https://<host>`, or `https://<host>:<port>`
            spec.awsRegion.endpoint: the endpoint `http+unix:///a.sock` must begin with `https://`
                write `https://`; only an endpoint on this machine, such as `http://localhost:4566`, may do without
            spec.awsCredentials.accessKeyId: `accessKeyId` is missing
                add `accessKeyId: ${AWS_ACCESS_KEY_ID}`
            spec.awsCredentials.secretAccessKey: `secretAccessKey` is missing
                add `secretAccessKey: ${AWS_SECRET_ACCESS_KEY}`
            spec.awsCredentials.accessKeyId: the value is empty
                write the value, or remove the line
            spec.awsCredentials.secretAccessKey: a single value is expected here, not a list
                write the value behind the colon
            spec.awsCredentials.profileName: `profileName` is missing
                add `profileName: default`
            spec.awsCredentials.profilePath: the path is empty
                write the path of a file
            spec.awsCredentials.accessKeyId: `accessKeyId` is ignored, because the type is `profile`
                write `type: basic`, or remove `accessKeyId`
            spec.maxOutstandingRecords: `-1` is too small
                write at least `1`
            spec.maxOutstandingRecords: `many` is not an integer
                write a whole number, such as `1000`
            spec.clientConfigProperties[0]: `name: value` is expected here, not a single value
                write `- name: value`
        "#]],
    );
}
