//! The table of routes: all that is served, and all that the documentation of the API is made of.

use hyper::Method;

use crate::path::decode;
use crate::problem::{Code, Problem};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Health,
    Ready,
    Metrics,
    Version,
    OpenApi,
    Status,
    Application,
    Endpoints,
    PauseEndpoint,
    ResumeEndpoint,
    Functions,
    Function,
    PauseFunction,
    ResumeFunction,
    Graph,
    Instances,
    Instance,
    Pause,
    Resume,
    States,
    Timers,
    Ingresses,
    PauseIngress,
    ResumeIngress,
    Egresses,
    Epochs,
    DeadLetters,
    RedriveMany,
    DropMany,
    DeadLetter,
    Redrive,
    Discard,
    Log,
    SetLog,
    Reload,
    Events,
}

/// A method that something is served with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

impl Verb {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Put => "PUT",
            Verb::Delete => "DELETE",
        }
    }
}

/// Something that is served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) verb: Verb,
    /// `{name}` stands for one segment of the path, which is decoded and becomes an argument.
    pub(crate) path: &'static str,
    pub(crate) operation: Operation,
    pub(crate) query: &'static [Parameter],
    pub(crate) body: Body,
    #[cfg_attr(not(test), expect(dead_code, reason = "the description is made by a test"))]
    pub(crate) answer: Answer,
    /// Whether it is served without a token.
    pub(crate) open: bool,
    #[cfg_attr(not(test), expect(dead_code, reason = "the description is made by a test"))]
    pub(crate) about: &'static str,
}

/// A parameter of a query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    /// Whether it is a number, which must be from one to this.
    pub(crate) max: Option<usize>,
    #[cfg_attr(not(test), expect(dead_code, reason = "the description is made by a test"))]
    pub(crate) about: &'static str,
}

/// What is sent with a request, by the name of its form in [`crate::api`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    None,
    Optional(&'static str),
    Required(&'static str),
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The name of a form in [`crate::api`].
    Form(&'static str),
    /// Any JSON.
    Json,
    /// The text of a format of its own.
    Text,
    /// Server-sent events whose data have the form of this name.
    Events(&'static str),
}

/// The most that a page of any list holds.
pub(crate) const PAGE_MAX: usize = 1000;

/// The most messages of a mailbox, or of those that it has sent for later, that are shown with an instance.
pub(crate) const MESSAGES_MAX: usize = 100;

const fn text(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, max: None, about }
}

const fn number(name: &'static str, max: usize, about: &'static str) -> Parameter {
    Parameter { name, max: Some(max), about }
}

const LIMIT: Parameter = number("limit", PAGE_MAX, "At most so many. Default 100.");
const AFTER: Parameter =
    text("after", "Where the page before ended: what it named as `next`. Not to be made up.");

impl Route {
    const fn get(
        path: &'static str,
        operation: Operation,
        answer: Answer,
        about: &'static str,
    ) -> Route {
        let (verb, body) = (Verb::Get, NO_BODY);
        Route { verb, path, operation, query: &[], body, answer, open: false, about }
    }

    const fn post(
        path: &'static str,
        operation: Operation,
        body: Body,
        about: &'static str,
    ) -> Route {
        let (verb, answer) = (Verb::Post, Form("Done"));
        Route { verb, path, operation, query: &[], body, answer, open: false, about }
    }

    const fn with(self, query: &'static [Parameter]) -> Route {
        Route { query, ..self }
    }

    const fn open(self) -> Route {
        Route { open: true, ..self }
    }

    const fn verb(self, verb: Verb) -> Route {
        Route { verb, ..self }
    }

    const fn answer(self, answer: Answer) -> Route {
        Route { answer, ..self }
    }
}

use Answer::{Events, Form, Json, Text};

const NO_BODY: Body = Body::None;
const PAUSE: Body = Body::Optional("PauseRequest");

/// All that is served. Where several paths fit, the first one counts.
pub(crate) static ROUTES: &[Route] = &[
    Route::get("/health", Operation::Health, Form("Alive"), "Whether the process serves.").open(),
    Route::get(
        "/ready",
        Operation::Ready,
        Form("Alive"),
        "Whether the engine takes messages; 503 once it is stopping.",
    )
    .open(),
    Route::get(
        "/metrics",
        Operation::Metrics,
        Text,
        "Everything that is counted, for Prometheus and whoever reads its formats.",
    ),
    Route::get("/v1/version", Operation::Version, Form("Version"), "What answers."),
    Route::get("/v1/openapi.json", Operation::OpenApi, Json, "This document."),
    Route::get(
        "/v1/status",
        Operation::Status,
        Form("Status"),
        "What an engine runs, and how full it is.",
    ),
    Route::get(
        "/v1/application",
        Operation::Application,
        Form("Application"),
        "What an engine runs, and with which settings.",
    ),
    Route::get(
        "/v1/endpoints",
        Operation::Endpoints,
        Form("Endpoints"),
        "Who serves functions over HTTP, and whether they answer.",
    ),
    Route::post(
        "/v1/endpoints/{namespace}/{type}/pause",
        Operation::PauseEndpoint,
        PAUSE,
        "Invokes no function of an endpoint until it is resumed; messages wait in their mailboxes. The path names the \
         endpoint by the functions it serves; `*` is a type, too. What is in flight ends. Durable.",
    ),
    Route::post(
        "/v1/endpoints/{namespace}/{type}/resume",
        Operation::ResumeEndpoint,
        NO_BODY,
        "Lets a paused endpoint go on.",
    ),
    Route::get(
        "/v1/functions",
        Operation::Functions,
        Form("Functions"),
        "Types of functions, in the order of their names.",
    )
    .with(&[text("prefix", "Only those whose name, `namespace/type`, begins so."), LIMIT, AFTER]),
    Route::get(
        "/v1/functions/{namespace}/{type}",
        Operation::Function,
        Form("Function"),
        "A type of functions.",
    ),
    Route::post(
        "/v1/functions/{namespace}/{type}/pause",
        Operation::PauseFunction,
        PAUSE,
        "Invokes no function of a type until it is resumed; messages wait in their mailboxes. What is in flight ends. \
         Durable.",
    ),
    Route::post(
        "/v1/functions/{namespace}/{type}/resume",
        Operation::ResumeFunction,
        NO_BODY,
        "Lets a paused type go on.",
    ),
    Route::get(
        "/v1/graph",
        Operation::Graph,
        Form("Graph"),
        "Who has sent to whom since the start.",
    ),
    Route::get(
        "/v1/instances",
        Operation::Instances,
        Form("Instances"),
        "Instances that have state, mail, or are paused.",
    )
    .with(&[
        text("prefix", "Only those whose address, `namespace/type/id`, begins so."),
        LIMIT,
        AFTER,
    ]),
    Route::get(
        "/v1/instances/{namespace}/{type}/{id}",
        Operation::Instance,
        Form("InstanceDetail"),
        "An instance: what it does, its state, its mailbox, what it has sent for later, and its last invocations. Of one that never was, \
         nothing is known, which is no error.",
    )
    .with(&[
        number("mailbox", MESSAGES_MAX, "Show so many messages of its mailbox. Default 20."),
        number("timers", MESSAGES_MAX, "Show so many messages it has sent for later. Default 20."),
    ]),
    Route::post(
        "/v1/addresses/{namespace}/{type}/{id}/pause",
        Operation::Pause,
        PAUSE,
        "Invokes a function no more until it is resumed; its messages wait in its mailbox. An invocation in flight ends. \
         Durable.",
    ),
    Route::post(
        "/v1/addresses/{namespace}/{type}/{id}/resume",
        Operation::Resume,
        NO_BODY,
        "Lets a paused address go on, whoever paused it.",
    ),
    Route::get(
        "/v1/state/{namespace}/{type}/{id}",
        Operation::States,
        Form("States"),
        "The state of an address as of the last durable epoch.",
    ),
    Route::get(
        "/v1/timers",
        Operation::Timers,
        Form("Timers"),
        "Messages that were sent for later, soonest first.",
    )
    .with(&[
        text("sender", "Only those whose sender, `namespace/type/id`, begins so."),
        text("target", "Only those whose target, `namespace/type/id`, begins so."),
        LIMIT,
        AFTER,
    ]),
    Route::get(
        "/v1/ingresses",
        Operation::Ingresses,
        Form("Ingresses"),
        "Where messages come in, and how far they are.",
    ),
    Route::post(
        "/v1/ingresses/{namespace}/{name}/pause",
        Operation::PauseIngress,
        PAUSE,
        "Takes nothing from an ingress until it is resumed: a source waits, requests are refused with 503. Durable.",
    ),
    Route::post(
        "/v1/ingresses/{namespace}/{name}/resume",
        Operation::ResumeIngress,
        NO_BODY,
        "Lets a paused ingress go on.",
    ),
    Route::get(
        "/v1/egresses",
        Operation::Egresses,
        Form("Egresses"),
        "Where records leave, and what waits for them.",
    ),
    Route::get(
        "/v1/epochs",
        Operation::Epochs,
        Form("Epochs"),
        "The last epochs, newest first, and what they waited for.",
    )
    .with(&[LIMIT]),
    Route::get(
        "/v1/deadletters",
        Operation::DeadLetters,
        Form("DeadLetters"),
        "What was given up, in the order of ids.",
    )
    .with(&[
        text("target", "Only those whose target, `namespace/type/id`, begins so."),
        LIMIT,
        AFTER,
    ]),
    Route::post(
        "/v1/deadletters/redrive",
        Operation::RedriveMany,
        Body::Required("Selection"),
        "Puts the messages of many dead letters back into their mailboxes, durably.",
    )
    .answer(Form("BulkDone")),
    Route::post(
        "/v1/deadletters/drop",
        Operation::DropMany,
        Body::Required("Selection"),
        "Forgets many dead letters, durably.",
    )
    .answer(Form("BulkDone")),
    Route::get(
        "/v1/deadletters/{id}",
        Operation::DeadLetter,
        Form("DeadLetterDetail"),
        "A dead letter with all that is known about it.",
    ),
    Route::post(
        "/v1/deadletters/{id}/redrive",
        Operation::Redrive,
        Body::Optional("Redrive"),
        "Puts the message of a dead letter back into its mailbox, durably; with another value, if one is given.",
    ),
    Route::post(
        "/v1/deadletters/{id}",
        Operation::Discard,
        NO_BODY,
        "Forgets a dead letter, durably.",
    )
    .verb(Verb::Delete),
    Route::get("/v1/log", Operation::Log, Form("LogFilter"), "What is logged."),
    Route::post(
        "/v1/log",
        Operation::SetLog,
        Body::Required("LogFilter"),
        "Changes what is logged, until the engine stops.",
    )
    .verb(Verb::Put)
    .answer(Form("LogFilter")),
    Route::post(
        "/v1/reload",
        Operation::Reload,
        NO_BODY,
        "Reads the configuration again, from where it was read at the start, and runs it in the place of what runs. Tells \
         everything that is wrong with it, and changes nothing, if anything is.",
    )
    .answer(Form("Reloaded")),
    Route::get(
        "/v1/events",
        Operation::Events,
        Events("Live"),
        "Live figures: an event `figures` each second. Ends when the engine stops. Who reads too slowly is cut off and may \
         come again; at most 32 listen at once.",
    ),
];

/// Finds what a request asks for, and the arguments in its path. `HEAD` is served wherever `GET` is.
pub(crate) fn find(method: &Method, path: &str) -> Result<(&'static Route, Vec<String>), Problem> {
    let wanted = if method == Method::HEAD { Verb::Get.name() } else { method.as_str() };
    let mut allowed = Vec::new();
    for route in ROUTES {
        let Some(arguments) = arguments(route.path, path) else { continue };
        if route.verb.name() == wanted {
            let arguments = arguments.into_iter().map(decode).collect::<Result<_, _>>()?;
            return Ok((route, arguments));
        }
        allowed.push(route.verb.name());
        if route.verb == Verb::Get {
            allowed.push("HEAD");
        }
    }
    if allowed.is_empty() {
        return Err(Problem::new(
            Code::NoSuchPath,
            format!("there is nothing at `{path}`"),
            "start at /v1/status; in an id, a slash is written as %2F",
        ));
    }
    Err(Problem::method_not_allowed(method, allowed.join(", ")))
}

/// The segments that stand for `{name}`s, if the path fits.
fn arguments<'a>(pattern: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let mut arguments = Vec::new();
    let mut segments = path.split('/');
    for wanted in pattern.split('/') {
        let segment = segments.next()?;
        if wanted.starts_with('{') {
            arguments.push(segment);
        } else if wanted != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, path: &str, operation: Operation, arguments: &[&str]) {
        let (route, found) = find(&method, path).unwrap();
        assert_eq!(
            (route.operation, found),
            (operation, arguments.iter().map(|&text| text.into()).collect())
        );
    }

    #[test]
    fn requests_find_their_operation() {
        check(Method::GET, "/health", Operation::Health, &[]);
        check(Method::HEAD, "/ready", Operation::Ready, &[]);
        check(Method::GET, "/v1/state/a.b/c/d%2Fe", Operation::States, &["a.b", "c", "d/e"]);
        check(Method::GET, "/v1/state/a/b/", Operation::States, &["a", "b", ""]);
        check(Method::GET, "/v1/deadletters/1-2", Operation::DeadLetter, &["1-2"]);
        check(Method::DELETE, "/v1/deadletters/1-2", Operation::Discard, &["1-2"]);
        check(Method::POST, "/v1/deadletters/redrive", Operation::RedriveMany, &[]);
        check(Method::POST, "/v1/addresses/a/b/c/resume", Operation::Resume, &["a", "b", "c"]);
        check(Method::POST, "/v1/endpoints/a/*/pause", Operation::PauseEndpoint, &["a", "*"]);
        check(Method::PUT, "/v1/log", Operation::SetLog, &[]);
    }

    #[test]
    fn other_requests_find_nothing() {
        for path in ["/", "", "/v1", "/health/", "/v1/state/a/b", "/v1/state/a/b/c/d", "*"] {
            assert!(find(&Method::GET, path).is_err(), "{path}");
        }
        assert!(find(&Method::POST, "/health").is_err());
        assert!(find(&Method::GET, "/v1/deadletters/%").is_err());
    }
}
