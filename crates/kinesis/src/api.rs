//! The operations of Kinesis that we need, over its JSON protocol.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use statera_http::{Http, HttpError, Response};

use crate::credentials::{Credentials, CredentialsError};
use crate::sigv4::{Scope, Unsigned, authorization};
use crate::time;

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
const TARGET: &str = "Kinesis_20131202";

/// The most shards that are listed with one request.
const SHARDS_LISTED_MAX: u32 = 1000;

/// The most pages of shards of one stream, so that a service that goes on for ever does not fill the memory.
const SHARD_PAGES_MAX: usize = 200;

/// What a failure means for whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Too much was asked for; later it will go.
    Throttled,
    /// Nobody answers, or the service has trouble of its own.
    Unavailable,
    /// We may not do that, or nobody knows us.
    Denied,
    /// The iterator is too old.
    IteratorExpired,
    /// There is no such stream or shard.
    NotFound,
    /// What was asked makes no sense to the service.
    Invalid,
}

/// An operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("{action} failed")]
pub(crate) struct ApiError {
    pub(crate) action: &'static str,
    pub(crate) kind: Kind,
    #[source]
    source: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Http(HttpError),
    #[error(transparent)]
    Credentials(CredentialsError),
    #[error("{code}: {message}")]
    Service { code: String, message: String },
    #[error("the answer cannot be understood: {0}")]
    Answer(serde_json::Error),
}

/// A shard, as it is listed.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Shard {
    #[serde(rename = "ShardId")]
    pub(crate) id: String,
    #[serde(rename = "ParentShardId")]
    pub(crate) parent: Option<String>,
    #[serde(rename = "AdjacentParentShardId")]
    pub(crate) adjacent_parent: Option<String>,
    pub(crate) hash_key_range: HashKeyRange,
    sequence_number_range: SequenceNumberRange,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HashKeyRange {
    starting_hash_key: String,
    ending_hash_key: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct SequenceNumberRange {
    ending_sequence_number: Option<String>,
}

impl Shard {
    /// Whether nothing more can be written to it.
    pub(crate) fn is_closed(&self) -> bool {
        self.sequence_number_range.ending_sequence_number.is_some()
    }

    pub(crate) fn parents(&self) -> impl Iterator<Item = &str> {
        self.parent.iter().chain(&self.adjacent_parent).map(String::as_str)
    }
}

impl HashKeyRange {
    /// Whether records with this key belong here. A range that can't be understood has all.
    pub(crate) fn contains(&self, hash_key: u128) -> bool {
        match (self.starting_hash_key.parse(), self.ending_hash_key.parse()) {
            (Ok(first), Ok(last)) => (first..=last).contains(&hash_key),
            _ => true,
        }
    }
}

/// Where an iterator begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IteratorType {
    TrimHorizon,
    Latest,
    /// Milliseconds since the Unix epoch.
    AtTimestamp(i64),
    AtSequenceNumber(String),
    AfterSequenceNumber(String),
}

/// Some records of a shard.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) records: Vec<Record>,
    /// `None`: the shard ends here.
    pub(crate) next: Option<String>,
    pub(crate) ms_behind: Option<i64>,
    /// The time of the service.
    pub(crate) at: i64,
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) sequence: String,
    pub(crate) partition_key: String,
    /// When it came there, in milliseconds since the Unix epoch.
    pub(crate) arrived: Option<i64>,
    pub(crate) data: Bytes,
}

/// A record to be written.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Entry {
    /// In base64.
    data: String,
    partition_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    explicit_hash_key: Option<String>,
}

impl Entry {
    pub(crate) fn new(partition_key: &str, explicit_hash_key: &str, data: &[u8]) -> Entry {
        let explicit_hash_key = Some(explicit_hash_key.to_owned()).filter(|key| !key.is_empty());
        Entry {
            data: STANDARD.encode(data),
            partition_key: partition_key.to_owned(),
            explicit_hash_key,
        }
    }

    pub(crate) fn partition_key(&self) -> &str {
        &self.partition_key
    }

    /// As the limits of the service count it.
    pub(crate) fn bytes(&self) -> usize {
        self.data.len() / 4 * 3 + self.partition_key.len()
    }
}

/// A stream's service.
pub(crate) struct Api {
    http: Http,
    region: String,
    credentials: Arc<Credentials>,
}

impl Api {
    pub(crate) fn new(http: Http, region: String, credentials: Arc<Credentials>) -> Api {
        Api { http, region, credentials }
    }

    /// All shards of a stream, and the time of the service.
    pub(crate) async fn list_shards(&self, stream: &str) -> Result<(Vec<Shard>, i64), ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Page {
            shards: Vec<Shard>,
            next_token: Option<String>,
        }
        let mut body = json!({ "StreamName": stream, "MaxResults": SHARDS_LISTED_MAX });
        let mut shards = Vec::new();
        let mut first = None;
        for _ in 0..SHARD_PAGES_MAX {
            let (page, at): (Page, i64) = self.call("ListShards", &body).await?;
            first.get_or_insert(at);
            shards.extend(page.shards);
            match page.next_token.filter(|token| !token.is_empty()) {
                Some(token) => {
                    body = json!({ "NextToken": token, "MaxResults": SHARDS_LISTED_MAX })
                }
                None => break,
            }
        }
        Ok((shards, first.unwrap_or_default()))
    }

    pub(crate) async fn shard_iterator(
        &self,
        stream: &str,
        shard: &str,
        begin: &IteratorType,
    ) -> Result<String, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            shard_iterator: String,
        }
        let mut body = json!({ "StreamName": stream, "ShardId": shard });
        body["ShardIteratorType"] = match begin {
            IteratorType::TrimHorizon => "TRIM_HORIZON",
            IteratorType::Latest => "LATEST",
            IteratorType::AtTimestamp(_) => "AT_TIMESTAMP",
            IteratorType::AtSequenceNumber(_) => "AT_SEQUENCE_NUMBER",
            IteratorType::AfterSequenceNumber(_) => "AFTER_SEQUENCE_NUMBER",
        }
        .into();
        match begin {
            IteratorType::AtTimestamp(ms) => body["Timestamp"] = seconds(*ms),
            IteratorType::AtSequenceNumber(sequence)
            | IteratorType::AfterSequenceNumber(sequence) => {
                body["StartingSequenceNumber"] = sequence.as_str().into();
            }
            IteratorType::TrimHorizon | IteratorType::Latest => {}
        }
        let (answer, _): (Answer, _) = self.call("GetShardIterator", &body).await?;
        Ok(answer.shard_iterator)
    }

    pub(crate) async fn records(&self, iterator: &str, limit: u32) -> Result<Records, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            records: Vec<Encoded>,
            next_shard_iterator: Option<String>,
            millis_behind_latest: Option<i64>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Encoded {
            sequence_number: String,
            partition_key: String,
            approximate_arrival_timestamp: Option<f64>,
            data: String,
        }
        const ACTION: &str = "GetRecords";
        let body = json!({ "ShardIterator": iterator, "Limit": limit });
        let (answer, at): (Answer, i64) = self.call(ACTION, &body).await?;
        let decoded = |record: Encoded| {
            let data = STANDARD.decode(record.data).map_err(|error| {
                let error = serde::de::Error::custom(format_args!("`Data`: {error}"));
                failed(ACTION, Kind::Unavailable, Cause::Answer(error))
            })?;
            Ok(Record {
                sequence: record.sequence_number,
                partition_key: record.partition_key,
                arrived: record.approximate_arrival_timestamp.map(|s| (s * 1000.0) as i64),
                data: data.into(),
            })
        };
        Ok(Records {
            records: answer.records.into_iter().map(decoded).collect::<Result<_, ApiError>>()?,
            next: answer.next_shard_iterator,
            ms_behind: answer.millis_behind_latest,
            at,
        })
    }

    /// How long the stream keeps records, in milliseconds.
    pub(crate) async fn retention_ms(&self, stream: &str) -> Result<i64, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            stream_description_summary: Summary,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Summary {
            retention_period_hours: i64,
        }
        let body = json!({ "StreamName": stream });
        let (answer, _): (Answer, _) = self.call("DescribeStreamSummary", &body).await?;
        Ok(answer.stream_description_summary.retention_period_hours.saturating_mul(3_600_000))
    }

    /// Writes records; for each it says why it was not written, if so.
    pub(crate) async fn put_records(
        &self,
        stream: &str,
        records: &[Entry],
    ) -> Result<Vec<Option<String>>, ApiError> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Body<'r> {
            stream_name: &'r str,
            records: &'r [Entry],
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            records: Vec<Outcome>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Outcome {
            error_code: Option<String>,
            error_message: Option<String>,
        }
        const ACTION: &str = "PutRecords";
        let body = Body { stream_name: stream, records };
        let (answer, _): (Answer, _) = self.call(ACTION, &body).await?;
        if answer.records.len() != records.len() {
            let error = serde::de::Error::custom("it tells of another number of records");
            return Err(failed(ACTION, Kind::Unavailable, Cause::Answer(error)));
        }
        let reason = |outcome: Outcome| {
            let code = outcome.error_code?;
            Some(format!("{code}: {}", outcome.error_message.unwrap_or_default()))
        };
        Ok(answer.records.into_iter().map(reason).collect())
    }

    /// One request. Returns the answer and the time of the service.
    async fn call<A: DeserializeOwned>(
        &self,
        action: &'static str,
        body: &impl Serialize,
    ) -> Result<(A, i64), ApiError> {
        let body = serde_json::to_vec(body).expect("what we ask can be written as JSON").into();
        let request = self
            .signed(action, body)
            .await
            .map_err(|error| failed(action, Kind::Denied, Cause::Credentials(error)))?;
        let asked = time::now();
        let response = self
            .http
            .send(request)
            .await
            .map_err(|error| failed(action, Kind::Unavailable, Cause::Http(error)))?;
        if response.status != StatusCode::OK {
            let error = refusal(action, &response);
            if error.kind == Kind::Denied {
                self.credentials.forget().await;
            }
            return Err(error);
        }
        let date = response.headers.get("date").and_then(|date| date.to_str().ok());
        let at = time_of_service(date.and_then(time::parse_http), asked);
        match serde_json::from_slice(&response.body) {
            Ok(answer) => Ok((answer, at)),
            Err(error) => Err(failed(action, Kind::Unavailable, Cause::Answer(error))),
        }
    }

    async fn signed(
        &self,
        action: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, CredentialsError> {
        let key = self.credentials.key().await?;
        let at = time::now();
        let (host, date) = (self.http.origin.authority(), time::basic(at));
        let target = format!("{TARGET}.{action}");
        let mut headers = vec![
            ("content-type", CONTENT_TYPE),
            ("host", host.as_str()),
            ("x-amz-date", date.as_str()),
        ];
        headers.extend(key.session_token.as_deref().map(|token| ("x-amz-security-token", token)));
        headers.push(("x-amz-target", target.as_str()));
        let scope = Scope { region: &self.region, service: "kinesis", at };
        let unsigned = Unsigned { method: "POST", headers: &headers, body: &body };
        let authorization = authorization(&key, &scope, &unsigned);
        let mut request = Request::post("/").header("authorization", authorization);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        // Only a key of control characters can't be a header; nobody has such a one.
        Ok(request.body(Full::new(body)).unwrap_or_default())
    }
}

/// When the service was asked, by its own clock. The header `Date` has whole seconds; our clock has more, if it goes right.
fn time_of_service(date: Option<i64>, asked: i64) -> i64 {
    match date {
        Some(date) if !(date - 1000..date + 1000).contains(&asked) => date,
        _ => asked,
    }
}

/// Seconds with a fraction, as the protocol writes times.
fn seconds(ms: i64) -> Value {
    (ms as f64 / 1000.0).into()
}

fn failed(action: &'static str, kind: Kind, source: Cause) -> ApiError {
    ApiError { action, kind, source }
}

fn refusal(action: &'static str, response: &Response) -> ApiError {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Refusal {
        #[serde(rename = "__type")]
        code: String,
        #[serde(alias = "Message")]
        message: String,
    }
    let refusal: Refusal = serde_json::from_slice(&response.body).unwrap_or_default();
    // `com.amazonaws.kinesis.v20131202#LimitExceededException`, or only the end of it.
    let code = refusal.code.rsplit('#').next().unwrap_or_default();
    let code = if code.is_empty() { response.status.as_str() } else { code };
    let kind = kind(code, response.status);
    failed(action, kind, Cause::Service { code: code.to_owned(), message: refusal.message })
}

fn kind(code: &str, status: StatusCode) -> Kind {
    match code {
        "ProvisionedThroughputExceededException"
        | "LimitExceededException"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "KMSThrottlingException" => Kind::Throttled,
        "ExpiredIteratorException" => Kind::IteratorExpired,
        "ResourceNotFoundException" => Kind::NotFound,
        "InvalidArgumentException" | "ValidationException" | "SerializationException" => {
            Kind::Invalid
        }
        "AccessDeniedException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "OptInRequired" => Kind::Denied,
        _ if status == StatusCode::TOO_MANY_REQUESTS => Kind::Throttled,
        _ if status == StatusCode::FORBIDDEN || status == StatusCode::UNAUTHORIZED => Kind::Denied,
        // A key of the encryption may come back, as may whatever is new to us.
        _ => Kind::Unavailable,
    }
}
