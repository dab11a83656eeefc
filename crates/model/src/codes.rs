//! The codes of what goes wrong, and of what one should know. Every warning and every error of the log carries one, and each has a
//! page: `docs/errors/ST2001.md`, which `statera explain ST2001` shows.
//!
//! A code keeps its number and its meaning for ever; the number of one that is not needed any more is not used again. The
//! first digit is the area: 1 start and configuration, 2 endpoints and functions, 3 ingresses, 4 egresses, 5 the log and the
//! store, 6 the admin API and traces, 7 Kafka and Kinesis.

use std::fmt;
use std::str::FromStr;

/// A code. Its `Display` is `ST` and four digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The four digits.
    pub number: u16,
    /// Its name in the sources.
    pub name: &'static str,
    /// What it means, lower case, without a full stop.
    pub meaning: &'static str,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ST{:04}", self.number)
    }
}

/// The text is not the code of anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a code, such as `ST2001`")]
pub struct UnknownCode(pub String);

/// Reads `ST2001`, also `st2001` and `2001`.
impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Code, UnknownCode> {
        let upper = text.trim().to_ascii_uppercase();
        let digits = upper.strip_prefix("ST").unwrap_or(&upper);
        let found = ALL.iter().find(|code| format!("{:04}", code.number) == digits);
        found.copied().ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

macro_rules! codes {
    ($($number:literal $name:ident $meaning:literal)*) => {
        $(
            #[doc = concat!("ST", stringify!($number), ": ", $meaning, ".")]
            pub const $name: Code =
                Code { number: $number, name: stringify!($name), meaning: $meaning };
        )*

        /// All of them, by number.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    1001 CONFIGURATION_WRONG "the configuration is wrong"
    1002 CONFIGURATION_DOUBTFUL "the configuration works, but hardly as it was meant"
    1003 RELOAD_REFUSED "a new configuration was refused"
    1004 RUN_FAILED "the program could not do what it was started for"
    1005 LISTEN_FAILED "an address can't be listened on"
    1006 ADMIN_SETTINGS "the admin API can't be served as it is set up"
    1007 DATA_IN_USE "another process works in the data directory"
    1008 DATA_UNREADABLE "the data directory can't be read or written"
    1009 DATA_FOREIGN "the data directory does not fit this program or its configuration"
    1010 DATA_INCOMPLETE "the data directory lacks what it should hold"
    1011 ENDPOINT_SETTINGS "an endpoint can't be called as it is set up"
    1012 CONNECTOR_SETTINGS "an ingress or egress can't be opened as it is set up"
    1013 TRACES_SETTINGS "traces can't be sent as it is set up"

    2001 ENDPOINT_DOWN "an endpoint does not answer"
    2002 FUNCTION_FAILS "a function fails"
    2003 DEAD_LETTER "a message was given up and lies in the dead letters"
    2004 ADDRESS_PAUSED "an address takes no messages, because its function failed for too long"
    2005 REQUESTS_GIVEN_UP "a server of functions ended before all its answers were out"
    2006 FUNCTIONS_UNREACHABLE "a server of functions can't accept connections"

    3001 INGRESS_STOPPED "an ingress has stopped"
    3002 INGRESS_NOT_OPENED "an ingress could not be opened anew"
    3003 INGRESS_CUT_OFF "an ingress did not end in time and was cut off"
    3004 RECORD_MALFORMED "a record can't become a message and lies in the dead letters"
    3005 INGRESS_WAITS "an ingress waits, because the engine is full"
    3006 REQUESTS_REFUSED "requests are refused, because the engine is full"
    3007 INGRESS_UNREACHABLE "an ingress can't accept connections"

    4001 EGRESS_FAILS "an egress can't write; its records wait"
    4002 EGRESS_REMOVED "records wait for an egress that is no longer configured"
    4003 RECORDS_LOST "records of an egress are lost, as its settings allow"
    4004 EGRESS_SLOW "an egress writes less at once than it could"

    5001 LOG_FAILED "the commit log failed, and the engine stops"
    5002 STORE_FAILED "the state store failed, and the engine stops"
    5003 STORE_CORRUPT "something stored can't be read"
    5004 INTERNAL "a bug: something happened that never should"
    5005 LOG_FILES "a file of the commit log can't be made or removed for now"

    6001 ADMIN_STOPPED "the admin API has stopped"
    6002 ADMIN_UNREACHABLE "the admin API can't accept connections"
    6003 ADMIN_REQUEST_FAILED "a request to the admin API failed inside the engine"
    6004 TRACES_LOST "traces can't be handed to their collector"

    7001 KAFKA_UNREACHABLE "the Kafka brokers can't be reached"
    7002 KAFKA_CLIENT "the Kafka client reports a problem"
    7003 STREAM_MISSING "a topic or stream can't be read yet"
    7004 OFFSETS_NOT_COMMITTED "offsets can't be committed to a consumer group"
    7005 KINESIS_UNREACHABLE "Kinesis does not answer as it should"
    7006 AWS_CREDENTIALS "AWS credentials can't be renewed"
    7007 KINESIS_STRANGERS "a Kinesis record holds records of other shards"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_order_and_names_differ() {
        assert!(ALL.windows(2).all(|pair| pair[0].number < pair[1].number));
        let mut names: Vec<&str> = ALL.iter().map(|code| code.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn a_code_is_read_however_it_is_written() {
        for text in ["ST2001", "st2001", " 2001 "] {
            assert_eq!(text.parse(), Ok(ENDPOINT_DOWN), "{text}");
        }
        for text in ["ST200", "ST9999", "", "endpoint"] {
            assert_eq!(text.parse::<Code>(), Err(UnknownCode(text.to_owned())));
        }
        assert_eq!(ENDPOINT_DOWN.to_string(), "ST2001");
    }
}
