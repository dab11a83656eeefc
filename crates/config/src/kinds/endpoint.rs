//! HTTP endpoints, which serve functions.

use crate::kinds::transport::{self, TIMEOUTS, TRANSPORTS};
use crate::kinds::url::url_template;
use crate::kinds::{Kind, Role};
use crate::reader::{At, Field, Form, Need, Object, Unknown};
use crate::report::Wrong;
use crate::scalar::{self, Parsed};
use crate::universe::Universe;
use crate::{Endpoint, Transport};

pub(crate) const V2: Kind = Kind {
    name: "io.statefun.endpoints.v2/http",
    role: Role::Endpoint,
    about: "Functions behind HTTP.",
    fields: V2_FIELDS,
    read: v2,
};

pub(crate) const V1: Kind = Kind {
    name: "io.statefun.endpoints.v1/http",
    role: Role::Endpoint,
    about: "Functions behind HTTP, always called by the okhttp transport.",
    fields: V1_FIELDS,
    read: v1,
};

const FUNCTIONS: Field = Field {
    name: "functions",
    form: Form::One("pattern"),
    need: Need::Required("<namespace>/*"),
    about: "Which functions it serves: one type `<namespace>/<name>`, or `<namespace>/*`. An exact type beats its namespace.",
};
const URL: Field = Field {
    name: "urlPathTemplate",
    form: Form::One("URL"),
    need: Need::Required("http://localhost:8000/statefun"),
    about: "Where to send requests. `{function.name}` stands for the name of the function type.",
};
const BATCH: Field = Field {
    name: "maxNumBatchRequests",
    form: Form::One("integer"),
    need: Need::Default("1000"),
    about: "The most messages in one request. 0 or less: no limit.",
};

static V2_FIELDS: &[Field] = &[
    FUNCTIONS,
    URL,
    BATCH,
    Field {
        name: "transport",
        form: Form::Typed(TRANSPORTS),
        need: Need::Optional("`type: io.statefun.transports.v1/async`"),
        about: "How requests are sent.",
    },
];
static V1_FIELDS: &[Field] = &[FUNCTIONS, URL, BATCH, TIMEOUTS];

const UNDER_TRANSPORT: &str = "v2 endpoints read it from `transport`; move it there";
const V2_ELSEWHERE: &[(&str, &str)] =
    &[("timeouts", UNDER_TRANSPORT), ("call", UNDER_TRANSPORT), ("connect", UNDER_TRANSPORT)];
const V1_ELSEWHERE: &[(&str, &str)] =
    &[("transport", "only `io.statefun.endpoints.v2/http` has it; v1 endpoints use `timeouts`")];

fn v2(at: &At<'_>, universe: &mut Universe) {
    let Some(object) = at.object_but(V2_FIELDS, Unknown::Ignored, V2_ELSEWHERE) else {
        universe.incomplete();
        return;
    };
    let nothing = object.nothing();
    let transport = transport::transport(&object.child_or("transport", &nothing));
    add(&object, transport, universe);
}

fn v1(at: &At<'_>, universe: &mut Universe) {
    let Some(object) = at.object_but(V1_FIELDS, Unknown::Ignored, V1_ELSEWHERE) else {
        universe.incomplete();
        return;
    };
    let transport = transport::okhttp(&object);
    add(&object, transport.map(Transport::OkHttp), universe);
}

fn add(object: &Object<'_>, transport: Option<Transport>, universe: &mut Universe) {
    let functions_at = object.required("functions");
    let functions = functions_at.as_ref().and_then(|at| at.scalar(scalar::pattern));
    let url = object.scalar("urlPathTemplate", url_template);
    let max_batch_requests = object.scalar("maxNumBatchRequests", max_batch_requests);
    let (Some(at), Some(functions)) = (functions_at, functions) else {
        return universe.incomplete();
    };
    universe.serves(&functions, &at);
    let endpoint = || {
        let max_batch_requests = max_batch_requests?;
        Some(Endpoint { functions, url: url?, max_batch_requests, transport: transport? })
    };
    universe.endpoints.extend(endpoint());
}

fn max_batch_requests(text: &str) -> Parsed<Option<u32>> {
    match scalar::integer(text)? {
        number if number > i64::from(i32::MAX) => {
            Err(Wrong::new(format!("`{number}` is too large"), "write `0` for no limit"))
        }
        number => Ok(u32::try_from(number).ok().filter(|limit| *limit > 0)),
    }
}
