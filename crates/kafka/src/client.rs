//! A client of librdkafka: its configuration, and what it has to say.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaConfRes;
use statera_model::{Name, codes};

use crate::error::Error;
use crate::properties::{NO_TLS, Refused, Translated};

/// Whether this build has TLS, and the SASL mechanisms that need it.
pub(crate) const TLS: bool = cfg!(feature = "tls");

/// Gives the values to librdkafka, which knows best whether they are right. Says the warnings.
pub(crate) fn configure(id: &Name, translated: &Translated) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::new();
    config.set_log_level(match translated.values.contains_key("debug") {
        true => RDKafkaLogLevel::Debug,
        false => RDKafkaLogLevel::Warning,
    });
    for (name, value) in &translated.values {
        // Each alone, so that it is always the same one that is found first.
        let mut single = ClientConfig::new();
        single.set(name, value);
        if let Err(error) = single.create_native_config() {
            return Err(Error::refused(id, refused(translated, name, error)));
        }
        config.set(name, value);
    }
    for warning in &translated.warnings {
        tracing::warn!(code = %codes::CONFIGURATION_DOUBTFUL, %id, "{warning}");
    }
    Ok(config)
}

fn refused(translated: &Translated, name: &str, error: KafkaError) -> Refused {
    let property = translated.names.get(name).map_or(name, |name| name);
    match error {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..) => Refused::new(
            property,
            "is not known",
            "look for a spelling mistake, or remove it; \
             the properties of librdkafka and most of Kafka's Java client are known",
        ),
        KafkaError::ClientConfig(..) if !TLS && name.starts_with("ssl.") => {
            Refused::new(property, "is for TLS, which this program was built without", NO_TLS)
        }
        KafkaError::ClientConfig(_, why, ..) => {
            Refused::new(property, format!("cannot be so: {why}"), "correct its value")
        }
        other => Refused::new(property, format!("cannot be set: {other}"), "correct its value"),
    }
}

/// How an ingress or egress stands with its brokers, told to people once for each change.
#[derive(Debug)]
pub(crate) struct Link {
    id: Name,
    brokers: String,
    is_down: AtomicBool,
    /// The last thing that went wrong with a single connection.
    reason: Mutex<String>,
}

impl Link {
    pub(crate) fn new(id: &Name, translated: &Translated) -> Link {
        Link {
            id: id.clone(),
            brokers: translated.values.get("bootstrap.servers").cloned().unwrap_or_default(),
            is_down: AtomicBool::new(false),
            reason: Mutex::default(),
        }
    }

    pub(crate) fn id(&self) -> &Name {
        &self.id
    }

    pub(crate) fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    /// Nobody answers.
    pub(crate) fn down(&self, reason: &str) {
        if !self.is_down.swap(true, Ordering::Relaxed) {
            let brokers = &self.brokers;
            let last = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
            let reason = if last.is_empty() { reason } else { &*last };
            tracing::warn!(code = %codes::KAFKA_UNREACHABLE, id = %self.id, %brokers, reason, "the Kafka brokers cannot be reached; waiting for them");
        }
    }

    /// Somebody has answered.
    pub(crate) fn up(&self) {
        if self.is_down.load(Ordering::Relaxed) && self.is_down.swap(false, Ordering::Relaxed) {
            self.reason.lock().unwrap_or_else(PoisonError::into_inner).clear();
            tracing::info!(id = %self.id, "the Kafka brokers answer again");
        }
    }

    /// What the client says about a single connection, a partition, or everything.
    fn error(&self, error: &KafkaError, reason: &str) {
        use RDKafkaErrorCode as Code;
        match error.rdkafka_error_code() {
            Some(Code::AllBrokersDown) => self.down(reason),
            // One of several may be away; what matters is that none is left.
            Some(
                Code::BrokerTransportFailure
                | Code::Resolve
                | Code::Authentication
                | Code::SSL
                | Code::OperationTimedOut,
            ) => {
                reason.clone_into(&mut self.reason.lock().unwrap_or_else(PoisonError::into_inner));
                tracing::debug!(id = %self.id, reason, "a connection to a Kafka broker has failed");
            }
            // Said where they are handled, with the topic.
            Some(
                Code::AutoOffsetReset
                | Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::PartitionEOF
                | Code::Fatal,
            ) => tracing::debug!(id = %self.id, %error, reason, "the Kafka client reports"),
            _ => {
                tracing::warn!(code = %codes::KAFKA_CLIENT, id = %self.id, %error, reason, "the Kafka client reports")
            }
        }
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Failed connections and requests, which come as errors, too.
        const CONNECTIONS: [&str; 4] = ["FAIL", "ERROR", "REQTMOUT", "COORD"];
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning
                if !CONNECTIONS.contains(&facility) && !message.ends_with("retrying") =>
            {
                tracing::warn!(code = %codes::KAFKA_CLIENT, id = %self.id, facility, "librdkafka: {message}");
            }
            _ => tracing::debug!(id = %self.id, facility, "librdkafka: {message}"),
        }
    }
}

/// Passes on what a client says to its link.
#[derive(Clone, Debug)]
pub(crate) struct Events(pub(crate) Arc<Link>);

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(&error, reason);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::{Expect, expect};

    use super::*;
    use crate::properties::{Role, translate};

    fn check(properties: &[(&str, &str)], expected: Expect) {
        let given =
            properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let translated = translate(&given.collect(), Role::Ingress, TLS).unwrap();
        let configured = configure(&Name::parse("shop/orders").unwrap(), &translated);
        expected.assert_eq(&configured.map_or_else(|error| error.to_string(), |_| String::new()));
    }

    #[test]
    fn defaults_are_known() {
        for role in [Role::Ingress, Role::Egress(statera_config::Delivery::AtLeastOnce)] {
            let translated = translate(&BTreeMap::new(), role, TLS).unwrap();
            configure(&Name::parse("a/b").unwrap(), &translated).unwrap();
        }
        check(&[("sasl.mechanism", "PLAIN"), ("security.protocol", "SASL_PLAINTEXT")], expect![]);
    }

    #[test]
    fn what_is_unknown_or_wrong_is_named_as_the_user_wrote_it() {
        check(
            &[("fetch.max.byte", "1")],
            expect![
                "property `fetch.max.byte` of `shop/orders` is not known; hint: look for a spelling mistake, or remove it; the properties of librdkafka and most of Kafka's Java client are known"
            ],
        );
        check(
            &[("fetch.max.wait.ms", "soon")],
            expect![[
                r#"property `fetch.max.wait.ms` of `shop/orders` cannot be so: Invalid value for configuration property "fetch.wait.max.ms"; hint: correct its value"#
            ]],
        );
        check(
            &[("isolation.level", "read_everything")],
            expect![[
                r#"property `isolation.level` of `shop/orders` cannot be so: Invalid value "read_everything" for configuration property "isolation.level"; hint: correct its value"#
            ]],
        );
        check(
            &[("error_cb", "x")],
            expect![[
                r#"property `error_cb` of `shop/orders` cannot be so: Property "error_cb" must be set through dedicated .._set_..() function; hint: correct its value"#
            ]],
        );
    }

    #[test]
    fn records_are_read_however_they_are_compressed() {
        let features = ClientConfig::new().create_native_config().unwrap();
        let features = features.get("builtin.features").unwrap();
        for codec in ["gzip", "snappy", "lz4", "zstd"] {
            assert!(features.split(',').any(|it| it.trim() == codec), "{codec}: {features}");
        }
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn what_needs_tls_says_so() {
        check(
            &[("ssl.truststore.certificates", "x")],
            expect![
                "property `ssl.truststore.certificates` of `shop/orders` is for TLS, which this program was built without; hint: use the released program, or build with the feature `kafka-tls`"
            ],
        );
    }
}
