//! One request, from its head to its answer.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response as HttpResponse, StatusCode};
use statera_config::{Durability, FailurePolicy};
use statera_core::Activity;
use statera_core::keys::Halt;
use statera_core::values::DeadBody;
use statera_model::{Address, FunctionType, KeyGroup, Millis, Name};
use statera_ports::{DeadLetterId, Engine as _};
use statera_runtime::{Engine, Letter};
use tokio::sync::Semaphore;

use crate::access::{self, Token};
use crate::answers::{self, Response, json};
use crate::body::{self, AnswerBody, BODY_BYTES_MAX, VALUE_BODY_BYTES_MAX};
use crate::bulk::{self, Deed, Wanted};
use crate::lists::{self, Looks};
use crate::live::Live;
use crate::log::LogControl;
use crate::path::{Query, address, after};
use crate::problem::{Code, Problem};
use crate::reload::{ReloadControl, ReloadRefused};
use crate::routes::{Body, Operation, Route, find};
use crate::time::rfc3339;
use crate::{api, dashboard, given, guard, instances, metrics};

/// How long the engine may take for a request.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);

/// What a page holds if the request doesn't say.
pub(crate) const PAGE_DEFAULT: usize = 100;

/// Requests with a large body that are held at once.
const LARGE_BODIES_MAX: usize = 4;

/// The longest reason for a pause, in bytes.
const REASON_BYTES_MAX: usize = 4_000;

/// What all requests share.
pub(crate) struct Handler {
    pub(crate) engine: Engine,
    pub(crate) name: String,
    pub(crate) started: Instant,
    pub(crate) started_at: Millis,
    pub(crate) loopback: bool,
    pub(crate) token: Option<Token>,
    pub(crate) log: Option<Arc<dyn LogControl>>,
    pub(crate) reload: Option<Arc<dyn ReloadControl>>,
    pub(crate) live: Arc<Live>,
    pub(crate) looks: Looks,
    pub(crate) large_bodies: Semaphore,
}

/// A request whose head is understood.
struct Asked {
    route: &'static Route,
    arguments: Vec<String>,
    query: Query,
    headers: HeaderMap,
    body: Bytes,
}

impl Handler {
    pub(crate) fn new(
        engine: Engine,
        name: String,
        loopback: bool,
        token: Option<Token>,
        log: Option<Arc<dyn LogControl>>,
    ) -> Handler {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Handler {
            live: Arc::new(Live::new(engine.clone())),
            engine,
            name,
            started: Instant::now(),
            started_at: Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
            loopback,
            token,
            log,
            reload: None,
            looks: Looks::default(),
            large_bodies: Semaphore::new(LARGE_BODIES_MAX),
        }
    }

    pub(crate) async fn handle(&self, request: Request<Incoming>) -> HttpResponse<AnswerBody> {
        let answer = tokio::time::timeout(REQUEST_TIME_MAX, self.answer(request)).await;
        let answer = answer.unwrap_or_else(|_| {
            Err(Problem::new(
                Code::TooSlow,
                format!("the engine has not answered within {REQUEST_TIME_MAX:?}"),
                "look at its log, and try again",
            ))
        });
        answer.unwrap_or_else(|problem| problem.response().map(AnswerBody::Whole))
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<HttpResponse<AnswerBody>, Problem> {
        let (head, body) = request.into_parts();
        guard::check(&head.headers, self.loopback)?;
        if let Some(answer) = dashboard::answer(&head.method, head.uri.path(), &head.headers) {
            body::ignore(&body)?;
            return Ok(answer.map(AnswerBody::Whole));
        }
        let (route, arguments) = find(&head.method, head.uri.path())?;
        if !route.open {
            access::check(&head.headers, self.token.as_ref())?;
        }
        let query = Query::read(head.uri.query(), route.query)?;
        let bytes_max = match route.body {
            Body::Optional("Redrive") => VALUE_BODY_BYTES_MAX,
            _ => BODY_BYTES_MAX,
        };
        // Only some large bodies at once: each may take as much memory as it says.
        let large = body.size_hint().upper().is_none_or(|upper| upper > BODY_BYTES_MAX as u64);
        let place = (bytes_max > BODY_BYTES_MAX && large).then(|| self.large_bodies.acquire());
        let place = match place {
            Some(place) => Some(place.await),
            None => None,
        };
        let body = match route.body {
            Body::None => body::ignore(&body)?,
            Body::Optional(_) | Body::Required(_) => body::read(body, bytes_max).await?,
        };
        if route.operation == Operation::Events {
            return self.events(&head.method).await;
        }
        let asked = Asked { route, arguments, query, headers: head.headers, body };
        let answer = self.operate(asked).await?;
        drop(place);
        Ok(answer.map(AnswerBody::Whole))
    }

    async fn operate(&self, asked: Asked) -> Result<Response, Problem> {
        let Asked { route, arguments, query, headers, body } = &asked;
        let (engine, looks) = (&self.engine, &self.looks);
        match route.operation {
            Operation::Health => Ok(alive()),
            Operation::Ready if self.is_stopping().await => Err(Problem::stopping()),
            Operation::Ready => Ok(alive()),
            Operation::Metrics => {
                let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
                metrics::scrape(engine, self.is_stopping().await, accept).await
            }
            Operation::Version => Ok(form(&version())),
            Operation::OpenApi => Ok(openapi()),
            Operation::Status => Ok(form(&self.status().await)),
            Operation::Application => Ok(form(&self.application().await)),
            Operation::Endpoints => Ok(form(&lists::endpoints(engine).await?)),
            Operation::Functions => self.functions(query).await,
            Operation::Function => self.function(&function_type(arguments)?).await,
            Operation::Graph => Ok(form(&lists::graph(engine, looks).await?)),
            Operation::Instances => self.instances(query).await,
            Operation::Instance => self.instance(&address(three(arguments))?, query).await,
            Operation::States => self.states(&address(three(arguments))?).await,
            Operation::Timers => self.timers(query).await,
            Operation::Ingresses => Ok(form(&lists::ingresses(engine, looks).await)),
            Operation::Egresses => Ok(form(&lists::egresses(engine, looks).await)),
            Operation::Epochs => {
                Ok(form(&lists::epochs(engine, query.number("limit", PAGE_DEFAULT)?).await))
            }
            Operation::Pause => self.pause(address(three(arguments))?, body).await,
            Operation::Resume => self.resume(address(three(arguments))?).await,
            Operation::PauseFunction | Operation::PauseEndpoint | Operation::PauseIngress => {
                self.halt(self.part(route.operation, arguments)?, body).await
            }
            Operation::ResumeFunction | Operation::ResumeEndpoint | Operation::ResumeIngress => {
                self.unhalt(halt(route.operation, name(arguments)?)).await
            }
            Operation::DeadLetters => self.dead_letters(query).await,
            Operation::RedriveMany => {
                Ok(form(&bulk::run(engine, Deed::Redrive, body::form(body)?).await?))
            }
            Operation::DropMany => {
                Ok(form(&bulk::run(engine, Deed::Drop, body::form(body)?).await?))
            }
            Operation::DeadLetter => self.dead_letter(dead_letter_id(&arguments[0])?).await,
            Operation::Redrive => self.redrive(dead_letter_id(&arguments[0])?, body).await,
            Operation::Discard => self.discard(dead_letter_id(&arguments[0])?).await,
            Operation::Log => self.log_filter(None),
            Operation::SetLog => self.log_filter(Some(body::form(body)?)),
            Operation::Reload => self.reload().await,
            Operation::Events => unreachable!("answered before"),
        }
    }

    async fn is_stopping(&self) -> bool {
        tokio::select! {
            biased;
            () = self.engine.stopping() => true,
            () = std::future::ready(()) => false,
        }
    }

    async fn events(&self, method: &Method) -> Result<HttpResponse<AnswerBody>, Problem> {
        let body = if method == Method::HEAD {
            AnswerBody::Whole(Full::default())
        } else {
            let (first, rest) = self.live.listen().await?;
            AnswerBody::Events { first: Some(first), rest }
        };
        let mut response = HttpResponse::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    async fn status(&self) -> api::Status {
        let application = self.engine.application();
        let (total, shards) = answers::figures(&self.engine.figures());
        api::Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            stopping: self.is_stopping().await,
            uptime_seconds: self.started.elapsed().as_secs(),
            total,
            shards,
            endpoints: answers::endpoints(&application),
            ingresses: answers::ingresses(&application),
            egresses: answers::egresses(&application),
        }
    }

    async fn application(&self) -> api::Application {
        let application = self.engine.application();
        let settings = &application.engine;
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        api::Application {
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: rfc3339(self.started_at),
            uptime_seconds: self.started.elapsed().as_secs(),
            stopping: self.is_stopping().await,
            data_id: self.engine.data_id().to_string(),
            linked_functions: application.embedded.iter().map(ToString::to_string).collect(),
            endpoints: application.endpoints.len(),
            ingresses: application.ingresses.len(),
            egresses: application.egresses.len(),
            settings: api::Settings {
                shards: self.engine.shards(),
                key_groups: self.engine.key_groups(),
                durability: match settings.durability {
                    Durability::Fsync => "fsync".to_owned(),
                    Durability::None => "none".to_owned(),
                },
                epochs_min_interval_ms: ms(settings.epochs.min_interval),
                epochs_max_interval_ms: ms(settings.epochs.max_interval),
                memory_state_bytes: settings.memory.state_bytes,
                memory_mailbox_bytes: settings.memory.mailbox_bytes,
                memory_unflushed_bytes: settings.memory.unflushed_bytes,
                failures_policy: match settings.failures.policy {
                    FailurePolicy::Retry => "retry".to_owned(),
                    FailurePolicy::DeadLetter => "dead-letter".to_owned(),
                    FailurePolicy::Pause => "pause".to_owned(),
                },
            },
        }
    }

    async fn functions(&self, query: &Query) -> Result<Response, Problem> {
        let page = lists::Page {
            prefix: query.text("prefix").unwrap_or_default(),
            after: query.text("after"),
            limit: query.number("limit", PAGE_DEFAULT)?,
        };
        Ok(form(&lists::functions(&self.engine, &self.looks, page).await?))
    }

    async fn function(&self, name: &FunctionType) -> Result<Response, Problem> {
        let page = lists::Page { prefix: name.as_str(), after: None, limit: 1 };
        let found = lists::functions(&self.engine, &self.looks, page).await?.functions;
        match found.into_iter().find(|found| found.name == name.as_str()) {
            Some(found) => Ok(form(&found)),
            None => Err(Problem::not_found(
                format!("no function of type `{name}` was seen since the start"),
                "/v1/functions lists those that were",
            )),
        }
    }

    async fn instances(&self, query: &Query) -> Result<Response, Problem> {
        let prefix = query.text("prefix").unwrap_or_default();
        let place = after(query.text("after"), instances::read_place)?;
        let limit = query.number("limit", PAGE_DEFAULT)?;
        let page = self.engine.instances(prefix, place, limit).await?;
        Ok(form(&instances::page(&page)))
    }

    async fn instance(&self, address: &Address, query: &Query) -> Result<Response, Problem> {
        let messages = query.number("mailbox", instances::MESSAGES_DEFAULT)?;
        let timers = query.number("timers", instances::MESSAGES_DEFAULT)?;
        let instance = self.engine.instance(address, messages, timers).await?;
        Ok(form(&instances::detail(address, &instance)))
    }

    async fn timers(&self, query: &Query) -> Result<Response, Problem> {
        let place = after(query.text("after"), instances::read_timer_place)?;
        let limit = query.number("limit", PAGE_DEFAULT)?;
        let text = |name| query.text(name).unwrap_or_default();
        let page = self.engine.timers(text("sender"), text("target"), place, limit).await?;
        Ok(form(&instances::timers(&page)))
    }

    async fn states(&self, address: &Address) -> Result<Response, Problem> {
        let states = self.engine.states(address).await?;
        Ok(form(&answers::states(address, &states)))
    }

    async fn dead_letters(&self, query: &Query) -> Result<Response, Problem> {
        let after = query.text("after").map(dead_letter_id).transpose();
        let wanted = Wanted {
            after: after.map_err(|problem| problem.with_code(Code::InvalidQuery))?,
            target: query.text("target").unwrap_or_default().to_owned(),
            limit: query.number("limit", PAGE_DEFAULT)?,
        };
        let mut dead_letters = Vec::new();
        let visit = |letter| dead_letters.push(answers::dead_letter(&letter));
        let next = wanted.visit(&self.engine, visit).await?.map(|id| id.to_string());
        Ok(form(&api::DeadLetters { dead_letters, next }))
    }

    async fn dead_letter(&self, id: DeadLetterId) -> Result<Response, Problem> {
        let letter = self.found(id).await?;
        Ok(form(&answers::dead_letter_detail(&letter)))
    }

    async fn redrive(&self, id: DeadLetterId, body: &Bytes) -> Result<Response, Problem> {
        let api::Redrive { message } = body::form_or_default(body)?;
        let letter = self.found(id).await?;
        if let DeadBody::Record { .. } = letter.letter.body {
            return Err(Problem::new(
                Code::NotRedrivable,
                format!("dead letter `{id}` is a record that could not become a message"),
                "send a repaired one, and drop this",
            ));
        }
        let value = message.map(|message| {
            let detail = answers::dead_letter_detail(&letter);
            let typename = detail.message.map(|message| message.typename).unwrap_or_default();
            given::value(&message, &typename)
        });
        match self.engine.redrive_as(id, value.transpose()?).await? {
            true => Ok(done(&id)),
            false => Err(no_dead_letter(id)),
        }
    }

    async fn discard(&self, id: DeadLetterId) -> Result<Response, Problem> {
        match self.engine.discard(id).await? {
            true => Ok(done(&id)),
            false => Err(no_dead_letter(id)),
        }
    }

    async fn pause(&self, address: Address, body: &Bytes) -> Result<Response, Problem> {
        let reason = reason(body)?;
        let bytes = address.function.as_str().len() + address.id.len();
        if bytes > statera_core::ADDRESS_BYTES_MAX {
            return Err(Problem::new(
                Code::InvalidPath,
                format!("an address of {bytes} bytes is too long"),
                "check the address; none is so long",
            ));
        }
        match self.engine.pause(address.clone(), &reason).await? {
            true => Ok(done(&address)),
            false => Err(already_paused(&address)),
        }
    }

    async fn resume(&self, address: Address) -> Result<Response, Problem> {
        match self.engine.resume(address.clone()).await? {
            true => Ok(done(&address)),
            false => Err(Problem::new(
                Code::NotPaused,
                format!("`{address}` is not paused"),
                "check the address; those with the failure policy `pause` are paused when they fail",
            )),
        }
    }

    /// What is to be paused, if there is such a thing.
    fn part(&self, operation: Operation, arguments: &[String]) -> Result<Halt, Problem> {
        let application = self.engine.application();
        let name = name(arguments)?;
        let mut endpoints = application.endpoints.iter();
        let (is_there, what, list) = match operation {
            Operation::PauseEndpoint => {
                let is = |endpoint: &statera_config::Endpoint| {
                    statera_runtime::endpoint_name(&endpoint.functions) == name
                };
                (endpoints.any(is), "endpoint", "/v1/endpoints")
            }
            Operation::PauseIngress => {
                let is = |ingress: &statera_config::Ingress| ingress.id() == name;
                (application.ingresses.iter().any(is), "ingress", "/v1/ingresses")
            }
            _ => (application.serves(&name), "function type", "/v1/functions"),
        };
        if !is_there {
            return Err(Problem::not_found(
                format!("there is no {what} `{name}`"),
                format!("{list} lists those that are there"),
            ));
        }
        Ok(halt(operation, name))
    }

    async fn halt(&self, halt: Halt, body: &Bytes) -> Result<Response, Problem> {
        let reason = reason(body)?;
        let (Halt::Function(name) | Halt::Endpoint(name) | Halt::Ingress(name)) = halt.clone();
        match self.engine.halt(halt, &reason).await? {
            true => Ok(done(&name)),
            false => Err(already_paused(&name)),
        }
    }

    async fn unhalt(&self, halt: Halt) -> Result<Response, Problem> {
        let (Halt::Function(name) | Halt::Endpoint(name) | Halt::Ingress(name)) = halt.clone();
        match self.engine.unhalt(halt).await? {
            true => Ok(done(&name)),
            false => Err(Problem::new(
                Code::NotPaused,
                format!("`{name}` is not paused"),
                "check the name; a type and its endpoint are paused and resumed each for itself",
            )),
        }
    }

    fn log_filter(&self, filter: Option<api::LogFilter>) -> Result<Response, Problem> {
        let Some(log) = &self.log else {
            return Err(Problem::new(
                Code::LogFixed,
                "the program that runs the engine keeps what it logs to itself",
                "ask those who wrote the program",
            ));
        };
        if let Some(api::LogFilter { filter }) = filter {
            log.set_filter(&filter).map_err(|error| {
                let hint = "write `info`, or `warn,statera_runtime=debug`";
                Problem::new(Code::InvalidFilter, format!("this is not a filter: {error}"), hint)
            })?;
            tracing::info!(filter, "what is logged has been changed");
        }
        Ok(form(&api::LogFilter { filter: log.filter() }))
    }

    async fn reload(&self) -> Result<Response, Problem> {
        let Some(reload) = &self.reload else {
            return Err(Problem::new(
                Code::ReloadFixed,
                "the program that runs the engine has its configuration in itself",
                "restart it with another one",
            ));
        };
        reload.reload().await.map(|reloaded| form(&reloaded)).map_err(|refused| match refused {
            ReloadRefused::Configuration(error) => {
                let hint = "nothing has changed; correct the configuration, and reload again";
                Problem::new(Code::ReloadRefused, error, hint)
            }
            ReloadRefused::Stopping => Problem::stopping(),
        })
    }

    async fn found(&self, id: DeadLetterId) -> Result<Letter, Problem> {
        if KeyGroup(id.key_group).0 >= self.engine.key_groups() {
            return Err(no_dead_letter(id));
        }
        self.engine.dead_letter(id).await?.ok_or_else(|| no_dead_letter(id))
    }
}

fn form(form: &impl serde::Serialize) -> Response {
    json(StatusCode::OK, form)
}

fn alive() -> Response {
    form(&api::Alive { status: "ok".to_owned() })
}

fn done(what: &impl ToString) -> Response {
    form(&api::Done { done: what.to_string() })
}

fn version() -> api::Version {
    api::Version {
        name: "statera".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: "v1".to_owned(),
    }
}

/// The description of this API, which a test makes and checks.
fn openapi() -> Response {
    let document = include_bytes!("openapi.json");
    let mut response = form(&());
    *response.body_mut() = Full::new(Bytes::from_static(document));
    response
}

fn reason(body: &[u8]) -> Result<String, Problem> {
    let api::PauseRequest { reason } = body::form_or_default(body)?;
    let reason = reason.unwrap_or_default();
    if reason.len() > REASON_BYTES_MAX {
        return Err(Problem::new(
            Code::InvalidBody,
            "the reason is longer than 4000 bytes",
            "say it in fewer words",
        ));
    }
    Ok(reason)
}

fn already_paused(what: &impl std::fmt::Display) -> Problem {
    Problem::new(
        Code::AlreadyPaused,
        format!("`{what}` is paused already"),
        "resume it, or leave it as it is",
    )
}

fn no_dead_letter(id: DeadLetterId) -> Problem {
    Problem::not_found(
        format!("there is no dead letter `{id}`"),
        "it may have been redriven or dropped; /v1/deadletters lists those that are there",
    )
}

pub(crate) fn dead_letter_id(text: &str) -> Result<DeadLetterId, Problem> {
    let id = text.parse::<DeadLetterId>();
    id.map_err(|error| {
        Problem::new(Code::InvalidPath, error.to_string(), "/v1/deadletters lists the ids")
    })
}

/// The name in the two arguments of a route.
fn name(arguments: &[String]) -> Result<Name, Problem> {
    let [namespace, name] = arguments else { unreachable!("the route has two arguments") };
    Name::parse(&format!("{namespace}/{name}")).map_err(|error| {
        Problem::new(
            Code::InvalidPath,
            error.to_string(),
            "name it `<namespace>/<name>`, both without slashes",
        )
    })
}

/// As [`name`], for what functions may name: it may be anything but empty.
fn function_type(arguments: &[String]) -> Result<FunctionType, Problem> {
    let [namespace, name] = arguments else { unreachable!("the route has two arguments") };
    let id = String::new();
    Ok(address(&[namespace.clone(), name.clone(), id])?.function)
}

fn halt(operation: Operation, name: Name) -> Halt {
    match operation {
        Operation::PauseEndpoint | Operation::ResumeEndpoint => Halt::Endpoint(name),
        Operation::PauseIngress | Operation::ResumeIngress => Halt::Ingress(name),
        _ => Halt::Function(name),
    }
}

/// What an address does, in the words of the API.
pub(crate) fn phase(activity: Activity) -> api::Phase {
    match activity {
        Activity::Idle => api::Phase::Idle,
        Activity::Queued => api::Phase::Queued,
        Activity::Running => api::Phase::Running,
        Activity::Waiting => api::Phase::Retrying,
        Activity::Paused => api::Phase::Paused,
    }
}

/// The arguments of a route with an address.
fn three(arguments: &[String]) -> &[String; 3] {
    arguments.first_chunk().expect("the routes of addresses have three arguments")
}
