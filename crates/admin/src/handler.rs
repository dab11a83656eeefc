//! One request, from its head to its answer.

use std::time::{Duration, Instant};

use hyper::body::Body;
use hyper::{Request, StatusCode};
use statera_core::values::DeadBody;
use statera_model::Address;
use statera_ports::{DeadLetterId, Engine as _};
use statera_runtime::{Engine, Letter};

use crate::answers::{self, Response, json};
use crate::path::{address, query};
use crate::problem::Problem;
use crate::routes::{Operation, find};
use crate::{api, guard};

/// The largest body of a request. None is needed yet, and none is read.
const BODY_BYTES_MAX: u64 = 64 * 1024;

/// How long the engine may take for a request.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);

/// Dead letters on a page if the request doesn't say.
const PAGE_DEFAULT: usize = 100;

/// The most dead letters on a page.
const PAGE_MAX: usize = 1000;

/// Dead letters that are held at once with all they carry while a page is made.
const LETTERS_HELD_MAX: usize = 50;

/// What all requests share.
pub(crate) struct Handler {
    pub(crate) engine: Engine,
    pub(crate) started: Instant,
    pub(crate) loopback: bool,
}

impl Handler {
    pub(crate) async fn handle(&self, request: Request<impl Body>) -> Response {
        let answer = tokio::time::timeout(REQUEST_TIME_MAX, self.answer(&request)).await;
        let answer = answer.unwrap_or_else(|_| {
            Err(Problem::unavailable(
                format!("the engine has not answered within {REQUEST_TIME_MAX:?}"),
                "look at its log, and try again",
            ))
        });
        answer.unwrap_or_else(Problem::response)
    }

    async fn answer(&self, request: &Request<impl Body>) -> Result<Response, Problem> {
        guard::check(request.headers(), self.loopback)?;
        if request.size_hint().lower() > BODY_BYTES_MAX {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is larger than {BODY_BYTES_MAX} bytes"),
                "send the request without a body",
            ));
        }
        let (operation, arguments) = find(request.method(), request.uri().path())?;
        let text = request.uri().query();
        if operation == Operation::DeadLetters {
            return self.dead_letters(query(text, ["after", "limit"])?).await;
        }
        let [] = query(text, [])?;
        let arguments = arguments.as_slice();
        match operation {
            Operation::Health => Ok(alive()),
            Operation::Ready if self.is_stopping().await => Err(Problem::stopping()),
            Operation::Ready => Ok(alive()),
            Operation::Status => Ok(self.status().await),
            Operation::States => self.states(&address(three(arguments))?).await,
            Operation::DeadLetters => unreachable!("answered above"),
            Operation::DeadLetter => self.dead_letter(dead_letter_id(&arguments[0])?).await,
            Operation::Redrive => self.redrive(dead_letter_id(&arguments[0])?).await,
            Operation::Discard => self.discard(dead_letter_id(&arguments[0])?).await,
            Operation::Resume => self.resume(address(three(arguments))?).await,
        }
    }

    async fn is_stopping(&self) -> bool {
        tokio::select! {
            biased;
            () = self.engine.stopping() => true,
            () = std::future::ready(()) => false,
        }
    }

    async fn status(&self) -> Response {
        let application = self.engine.application();
        let (total, shards) = answers::figures(&self.engine.figures());
        let status = api::Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            stopping: self.is_stopping().await,
            uptime_seconds: self.started.elapsed().as_secs(),
            total,
            shards,
            endpoints: answers::endpoints(application),
            ingresses: answers::ingresses(application),
            egresses: answers::egresses(application),
        };
        json(StatusCode::OK, &status)
    }

    async fn states(&self, address: &Address) -> Result<Response, Problem> {
        let states = self.engine.states(address).await?;
        Ok(json(StatusCode::OK, &answers::states(address, &states)))
    }

    async fn dead_letters(&self, [after, limit]: [Option<String>; 2]) -> Result<Response, Problem> {
        let mut after = after.as_deref().map(dead_letter_id).transpose()?;
        let limit = limit.as_deref().map_or(Ok(PAGE_DEFAULT), page_limit)?;
        // One more than the page holds, to know whether there is another page.
        let mut dead_letters = Vec::new();
        while dead_letters.len() <= limit {
            let wanted = LETTERS_HELD_MAX.min(limit + 1 - dead_letters.len());
            let found = self.engine.dead_letters(after, wanted).await?;
            dead_letters.extend(found.iter().map(answers::dead_letter));
            match found.last() {
                Some(last) if found.len() == wanted => after = Some(last.id),
                _ => break,
            }
        }
        let more = dead_letters.len() > limit;
        dead_letters.truncate(limit);
        let next = dead_letters.last().filter(|_| more).map(|letter| letter.id.clone());
        Ok(json(StatusCode::OK, &api::DeadLetters { dead_letters, next }))
    }

    async fn dead_letter(&self, id: DeadLetterId) -> Result<Response, Problem> {
        let letter = self.found(id).await?;
        Ok(json(StatusCode::OK, &answers::dead_letter_detail(&letter)))
    }

    async fn redrive(&self, id: DeadLetterId) -> Result<Response, Problem> {
        if let DeadBody::Record { .. } = self.found(id).await?.letter.body {
            return Err(Problem::conflict(
                format!("dead letter `{id}` is a record that could not become a message"),
                "send a repaired one, and drop this",
            ));
        }
        match self.engine.redrive(id).await? {
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

    async fn resume(&self, address: Address) -> Result<Response, Problem> {
        match self.engine.resume(address.clone()).await? {
            true => Ok(done(&address)),
            false => Err(Problem::conflict(
                format!("`{address}` is not paused"),
                "check the address; those with the failure policy `pause` are paused when they fail",
            )),
        }
    }

    async fn found(&self, id: DeadLetterId) -> Result<Letter, Problem> {
        self.engine.dead_letter(id).await?.ok_or_else(|| no_dead_letter(id))
    }
}

fn alive() -> Response {
    json(StatusCode::OK, &api::Alive { status: "ok".to_owned() })
}

fn done(what: &impl ToString) -> Response {
    json(StatusCode::OK, &api::Done { done: what.to_string() })
}

fn no_dead_letter(id: DeadLetterId) -> Problem {
    Problem::not_found(
        format!("there is no dead letter `{id}`"),
        "it may have been redriven or dropped; /v1/deadletters lists those that are there",
    )
}

fn dead_letter_id(text: &str) -> Result<DeadLetterId, Problem> {
    let id = text.parse::<DeadLetterId>();
    id.map_err(|error| Problem::bad_request(error.to_string(), "/v1/deadletters lists the ids"))
}

fn page_limit(text: &str) -> Result<usize, Problem> {
    match text.parse() {
        Ok(limit @ 1..=PAGE_MAX) => Ok(limit),
        _ => Err(Problem::bad_request(
            format!("`{text}` is not a limit"),
            format!("write a number from 1 to {PAGE_MAX}"),
        )),
    }
}

/// The arguments of a route with an address.
fn three(arguments: &[String]) -> &[String; 3] {
    arguments.first_chunk().expect("the routes of addresses have three arguments")
}
