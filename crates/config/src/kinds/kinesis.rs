//! Kinesis: `io.statefun.kinesis.v1/ingress` and `io.statefun.kinesis.v1/egress`.

use std::net::IpAddr;

use crate::date::date;
use crate::kinds::ingress::field;
use crate::kinds::streams::{
    BAD_RECORDS, ID, Routes, TARGETS, Typed, VALUE_TYPE, bad_records, properties, routes,
    with_fields,
};
use crate::kinds::url::url_template;
use crate::kinds::{Kind, Role};
use crate::problem::quoted;
use crate::reader::{At, Field, Form, Need, Object, Unknown};
use crate::report::Wrong;
use crate::scalar::{self, Parsed};
use crate::universe::{Binding, Universe};
use crate::{
    AwsCredentials, AwsRegion, Egress, Ingress, KinesisEgress, KinesisIngress, KinesisStartup,
};

pub(crate) const INGRESS: Kind = Kind {
    name: "io.statefun.kinesis.v1/ingress",
    role: Role::Ingress,
    about: "A message for each record of Kinesis streams, exactly once; also for each of those that the Kinesis Producer Library has put into one. The partition key is the id of the target.",
    fields: INGRESS_FIELDS,
    read: ingress,
};

pub(crate) const EGRESS: Kind = Kind {
    name: "io.statefun.kinesis.v1/egress",
    role: Role::Egress,
    about: "A Kinesis record for each record, at least once. It must be a `type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord`.",
    fields: EGRESS_FIELDS,
    read: egress,
};

const REGION_FIELD: Field = Field {
    name: "awsRegion",
    form: Form::Object(REGION_FIELDS),
    need: Need::Optional("`type: default`"),
    about: "Where the streams are.",
};
const CREDENTIALS_FIELD: Field = Field {
    name: "awsCredentials",
    form: Form::Object(CREDENTIALS_FIELDS),
    need: Need::Optional("`type: default`"),
    about: "Who we are.",
};
const PROPERTIES: Field =
    field("clientConfigProperties", "properties", Need::Optional(""), "Properties of the client.");

static INGRESS_FIELDS: &[Field] = &[
    ID,
    REGION_FIELD,
    CREDENTIALS_FIELD,
    Field {
        name: "startupPosition",
        form: Form::Object(STARTUP_FIELDS),
        need: Need::Optional("`type: latest`"),
        about: "Where to begin what was never read before. After that, records are read on where the last durable epoch ended.",
    },
    Field {
        name: "streams",
        form: Form::Objects(STREAM_FIELDS),
        need: Need::Required(
            "\n  - stream: names\n    valueType: <namespace>/<name>\n    targets: [<namespace>/<name>]",
        ),
        about: "The streams. At least one.",
    },
    PROPERTIES,
    BAD_RECORDS,
];

static STREAM_FIELDS: &[Field] =
    &[field("stream", "text", Need::Required("names"), "The stream."), VALUE_TYPE, TARGETS];

static EGRESS_FIELDS: &[Field] = &[
    ID,
    REGION_FIELD,
    CREDENTIALS_FIELD,
    field(
        "maxOutstandingRecords",
        "integer",
        Need::Default("1000"),
        "The most records on their way at once.",
    ),
    PROPERTIES,
];

static REGION_FIELDS: &[Field] = &[
    field(
        "type",
        "`default`, `specific` or `custom-endpoint`",
        Need::Required("default"),
        "As the environment and the profile say; this one; or at an address of its own.",
    ),
    field(
        "id",
        "text",
        Need::RequiredBy {
            when: "by types `specific` and `custom-endpoint`",
            example: "eu-central-1",
        },
        "The region; with an address of its own the one that requests are signed for.",
    ),
    field(
        "endpoint",
        "URL",
        Need::RequiredBy {
            when: "by type `custom-endpoint`",
            example: "https://kinesis.example.com",
        },
        "The address: `https://<host>`. For this machine alone also `http://localhost:<port>`, which StateFun refuses.",
    ),
];

static CREDENTIALS_FIELDS: &[Field] = &[
    field(
        "type",
        "`default`, `basic` or `profile`",
        Need::Required("default"),
        "As the environment, the profile, or the role of the machine say; this key; or a profile.",
    ),
    field(
        "accessKeyId",
        "text",
        Need::RequiredBy { when: "by type `basic`", example: "${AWS_ACCESS_KEY_ID}" },
        "The id of the key.",
    ),
    field(
        "secretAccessKey",
        "text",
        Need::RequiredBy { when: "by type `basic`", example: "${AWS_SECRET_ACCESS_KEY}" },
        "The key.",
    ),
    field(
        "profileName",
        "text",
        Need::RequiredBy { when: "by type `profile`", example: "default" },
        "The name of the profile.",
    ),
    field(
        "profilePath",
        "path",
        Need::Optional("`~/.aws/credentials`"),
        "The file that has the profile.",
    ),
];

static STARTUP_FIELDS: &[Field] = &[
    field(
        "type",
        "`earliest`, `latest` or `date`",
        Need::Required("latest"),
        "Which records come first.",
    ),
    field(
        "date",
        "date",
        Need::RequiredBy { when: "by type `date`", example: "2020-02-01 04:15:00.000 +0000" },
        "The first record not older than this.",
    ),
];

#[derive(Clone, Copy)]
pub(crate) enum Place {
    Default,
    Specific,
    Custom,
}

pub(crate) const REGION: Typed<Place> = Typed {
    name: "awsRegion",
    fields: REGION_FIELDS,
    types: &[
        ("default", Place::Default),
        ("specific", Place::Specific),
        ("custom-endpoint", Place::Custom),
    ],
    belongs: &[("id", "specific"), ("id", "custom-endpoint"), ("endpoint", "custom-endpoint")],
    short: Some("type: specific, id: "),
};

#[derive(Clone, Copy)]
pub(crate) enum Identity {
    Default,
    Basic,
    Profile,
}

pub(crate) const CREDENTIALS: Typed<Identity> = Typed {
    name: "awsCredentials",
    fields: CREDENTIALS_FIELDS,
    types: &[
        ("default", Identity::Default),
        ("basic", Identity::Basic),
        ("profile", Identity::Profile),
    ],
    belongs: &[
        ("accessKeyId", "basic"),
        ("secretAccessKey", "basic"),
        ("profileName", "profile"),
        ("profilePath", "profile"),
    ],
    short: None,
};

#[derive(Clone, Copy)]
pub(crate) enum Startup {
    Earliest,
    Latest,
    Date,
}

pub(crate) const STARTUP: Typed<Startup> = Typed {
    name: "startupPosition",
    fields: STARTUP_FIELDS,
    types: &[("earliest", Startup::Earliest), ("latest", Startup::Latest), ("date", Startup::Date)],
    belongs: &[("date", "date")],
    short: None,
};

fn ingress(at: &At<'_>, universe: &mut Universe) {
    let Some(object) = at.object(INGRESS_FIELDS, Unknown::Ignored) else { return };
    let id = universe.bound(&object, Binding::Ingress);
    let region = region(&object);
    let credentials = credentials(&object);
    let startup = startup(&object);
    let kind = Routes { list: "streams", noun: "stream", fields: STREAM_FIELDS, name: stream };
    let streams = routes(&object, &kind, universe);
    let properties = with_fields(properties(&object, "clientConfigProperties"), []);
    let bad_records = bad_records(&object);
    let ingress = || {
        Some(KinesisIngress {
            id: id?,
            region: region?,
            credentials: credentials?,
            startup: startup?,
            streams: streams?,
            properties: properties?,
            bad_records: bad_records?,
        })
    };
    universe.ingresses.extend(ingress().map(Ingress::Kinesis));
}

fn egress(at: &At<'_>, universe: &mut Universe) {
    let Some(object) = at.object(EGRESS_FIELDS, Unknown::Ignored) else { return };
    let id = universe.bound(&object, Binding::Egress);
    let region = region(&object);
    let credentials = credentials(&object);
    let outstanding_max = object.scalar("maxOutstandingRecords", scalar::count);
    let properties = with_fields(properties(&object, "clientConfigProperties"), []);
    let egress = || {
        Some(KinesisEgress {
            id: id?,
            region: region?,
            credentials: credentials?,
            outstanding_max: outstanding_max?,
            properties: properties?,
        })
    };
    universe.egresses.extend(egress().map(Egress::Kinesis));
}

fn region(object: &Object<'_>) -> Option<AwsRegion> {
    let Some((place, object)) = REGION.read(object)? else { return Some(AwsRegion::Default) };
    match place {
        Place::Default => Some(AwsRegion::Default),
        Place::Specific => object.scalar("id", region_id).map(AwsRegion::Specific),
        Place::Custom => {
            let endpoint = object.scalar("endpoint", endpoint);
            let region = object.scalar("id", region_id);
            Some(AwsRegion::Custom { endpoint: endpoint?, region: region? })
        }
    }
}

/// Its form alone: there are new regions every year.
fn region_id(text: &str) -> Parsed<String> {
    match !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        true => Ok(text.to_ascii_lowercase()),
        false => {
            let message = format!("{} is not a region", quoted(text));
            Err(Wrong::new(message, "write the id of a region, such as `eu-central-1`"))
        }
    }
}

/// `https`, as StateFun wants; `http` for what does not leave the machine.
fn endpoint(text: &str) -> Parsed<String> {
    let url = url_template(text)
        .map_err(|wrong| Wrong { hint: Some("write `https://<host>`".into()), ..wrong })?;
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let local = match authority.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let local = local.eq_ignore_ascii_case("localhost")
        || local.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match scheme.to_ascii_lowercase().as_str() {
        _ if url.text.contains('{') || authority.contains('@') => Err(Wrong::new(
            format!("the endpoint {} is not a plain URL", quoted(text)),
            "write `https://<host>`, or `https://<host>:<port>`",
        )),
        "https" => Ok(text.to_owned()),
        "http" if local => Ok(text.to_owned()),
        _ => Err(Wrong::new(
            format!("the endpoint {} must begin with `https://`", quoted(text)),
            format!(
                "write `https://{authority}`; only an endpoint on this machine, such as `http://localhost:4566`, may do without"
            ),
        )),
    }
}

fn credentials(object: &Object<'_>) -> Option<AwsCredentials> {
    let Some((identity, object)) = CREDENTIALS.read(object)? else {
        return Some(AwsCredentials::Default);
    };
    match identity {
        Identity::Default => Some(AwsCredentials::Default),
        Identity::Basic => {
            let access_key_id = object.scalar("accessKeyId", scalar::some_text);
            let secret_access_key = object.scalar("secretAccessKey", scalar::some_text);
            Some(AwsCredentials::Basic {
                access_key_id: access_key_id?,
                secret_access_key: secret_access_key?,
            })
        }
        Identity::Profile => {
            let name = object.scalar("profileName", scalar::some_text);
            let path = object.optional("profilePath", scalar::path);
            Some(AwsCredentials::Profile { name: name?, path: path? })
        }
    }
}

fn startup(object: &Object<'_>) -> Option<KinesisStartup> {
    let Some((startup, object)) = STARTUP.read(object)? else {
        return Some(KinesisStartup::Latest);
    };
    Some(match startup {
        Startup::Earliest => KinesisStartup::Earliest,
        Startup::Latest => KinesisStartup::Latest,
        Startup::Date => KinesisStartup::Date(object.required("date")?.scalar(date)?),
    })
}

fn stream(text: &str) -> Parsed<String> {
    const CHARS_MAX: usize = 128;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match !text.is_empty() && text.len() <= CHARS_MAX && text.chars().all(allowed) {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new(
            format!("{} is not the name of a stream", quoted(text)),
            "a stream has 1 to 128 letters, digits, `.`, `_` and `-`",
        )),
    }
}
