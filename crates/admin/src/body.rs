//! What comes with a request, and what an answer consists of.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::problem::{Code, Problem};

/// The largest body that is ignored.
const IGNORED_BODY_BYTES_MAX: usize = 64 << 10;

/// The largest body of a request.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;

/// The largest body of a request that holds a value.
pub(crate) const VALUE_BODY_BYTES_MAX: usize = 32 << 20;

/// The body of an answer.
pub(crate) enum AnswerBody {
    /// All of it.
    Whole(Full<Bytes>),
    /// Events, as they come.
    Events {
        /// What comes first.
        first: Option<Bytes>,
        /// What follows. It ends with its sender.
        rest: mpsc::Receiver<Bytes>,
    },
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            AnswerBody::Whole(body) => Pin::new(body).poll_frame(context),
            AnswerBody::Events { first: first @ Some(_), .. } => {
                Poll::Ready(first.take().map(|first| Ok(Frame::data(first))))
            }
            AnswerBody::Events { rest, .. } => {
                rest.poll_recv(context).map(|event| Some(Ok(Frame::data(event?))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, AnswerBody::Whole(body) if body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Whole(body) => body.size_hint(),
            AnswerBody::Events { .. } => SizeHint::default(),
        }
    }
}

/// A body that nothing is made of is not read.
pub(crate) fn ignore(body: &Incoming) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > IGNORED_BODY_BYTES_MAX as u64 {
        return Err(too_large(IGNORED_BODY_BYTES_MAX));
    }
    Ok(Bytes::new())
}

/// Reads the body of a request, of so many bytes at most.
pub(crate) async fn read(body: Incoming, bytes_max: usize) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large(bytes_max));
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(bytes_max)),
        Err(error) => Err(Problem::new(
            Code::InvalidBody,
            format!("the body can't be read: {error}"),
            "send it as long as it says it is",
        )),
    }
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(
        Code::BodyTooLarge,
        format!("the body is larger than {bytes_max} bytes"),
        "send less at once",
    )
}

/// The form that a body holds.
pub(crate) fn form<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let hint = "the API's description at /v1/openapi.json has the forms";
        Problem::new(Code::InvalidBody, format!("the body is not what it should be: {error}"), hint)
    })
}

/// As [`form`], where the body may be left out.
pub(crate) fn form_or_default<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Problem> {
    if body.trim_ascii().is_empty() { Ok(T::default()) } else { form(body) }
}
