//! moto as a server: an independent Kinesis.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::http::Client;

const VARIABLE: &str = "STATERA_MOTO";

/// It tells from this for which region and service a request is meant.
const AUTHORIZATION: &str =
    "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/kinesis/aws4_request, Signature=none";

/// The server. Killed when it is dropped.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    address: SocketAddr,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// Why it is not there.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn start() -> Result<Moto, String> {
        let missing = || format!("`{VARIABLE}` is not set; `cargo xtask components` installs it");
        let program = std::env::var_os(VARIABLE).ok_or_else(missing)?;
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("moto starts");
        let stderr = child.stderr.take().expect("it is piped");
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let address = lines
            .find_map(|line| line.split_once("http://")?.1.trim().parse().ok())
            .expect("it says where it listens");
        // It writes a line for each request.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Moto { child, address })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Carries out an operation of Kinesis.
    ///
    /// # Panics
    /// If it is refused.
    pub fn act(&self, operation: &str, body: &Value) -> Value {
        let target = format!("Kinesis_20131202.{operation}");
        let headers = [
            ("Content-Type", "application/x-amz-json-1.1"),
            ("X-Amz-Target", target.as_str()),
            ("Authorization", AUTHORIZATION),
        ];
        let body = body.to_string();
        let response = Client::new(self.address).request("POST", "/", &headers, body.as_bytes());
        response.expect("moto answers").expect(200).json()
    }

    /// Makes a stream.
    ///
    /// # Panics
    /// If it is there already.
    pub fn create(&self, stream: &str, shards: u32) {
        self.act("CreateStream", &json!({ "StreamName": stream, "ShardCount": shards }));
    }

    /// Writes records: keys and data.
    ///
    /// # Panics
    /// If the stream is not there, or they are more than 500.
    pub fn put<'r>(&self, stream: &str, records: impl IntoIterator<Item = (&'r str, &'r str)>) {
        let record = |(key, data)| json!({ "PartitionKey": key, "Data": STANDARD.encode(data) });
        let records: Vec<Value> = records.into_iter().map(record).collect();
        self.act("PutRecords", &json!({ "StreamName": stream, "Records": records }));
    }

    /// All that has been written to a stream: keys and data, shard by shard.
    ///
    /// # Panics
    /// If the stream is not there, or data is not text.
    #[must_use]
    pub fn records(&self, stream: &str) -> Vec<(String, String)> {
        let shards = self.act("ListShards", &json!({ "StreamName": stream }));
        let shards = shards["Shards"].as_array().expect("a list").clone();
        let of_shard = |shard: Value| {
            let iterator = self.act(
                "GetShardIterator",
                &json!({
                    "StreamName": stream,
                    "ShardId": shard["ShardId"],
                    "ShardIteratorType": "TRIM_HORIZON",
                }),
            );
            let iterator = json!({ "ShardIterator": iterator["ShardIterator"] });
            let read = self.act("GetRecords", &iterator);
            read["Records"].as_array().expect("a list").clone()
        };
        shards.into_iter().flat_map(of_shard).map(|record| text(&record)).collect()
    }
}

/// The key and the data of a record.
fn text(record: &Value) -> (String, String) {
    let key = record["PartitionKey"].as_str().expect("a key");
    let data = STANDARD.decode(record["Data"].as_str().expect("data")).expect("base64");
    (key.to_owned(), String::from_utf8(data).expect("text"))
}
