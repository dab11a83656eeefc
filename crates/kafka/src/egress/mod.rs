//! `io.statefun.kafka.v1/egress`: records for topics.
//!
//! Takes `KafkaProducerRecord` of the SDKs and `io.statera.kafka/ProducerRecord` ([`record`]). How surely they arrive
//! is the delivery semantic: exactly once ([`transactions`]), at least once, or without a promise ([`plain`]).
//!
//! A record that the brokers refuse for good stops the egress in front of it, and is tried again until the topic takes
//! it. What can be known before (a name that no topic can have, a size above the client's limit) is refused when a function
//! emits it, so that the function fails alone.
//!
//! The position that the engine keeps says nothing but the version of its format, one byte: 1. The epoch beside it is enough.

mod plain;
mod producer;
mod record;
mod thread;
mod transactions;

use std::sync::Arc;

use bytes::Bytes;
use rdkafka::config::{ClientConfig, FromClientConfig as _};
use rdkafka::producer::BaseProducer;
use statera_config as config;
use statera_config::Delivery;
use statera_model::Epoch;
use statera_ports as ports;
use statera_ports::{BoxFuture, DataId, Sink, SinkBatch, SinkError, SinkPosition};

use crate::client::{Link, TLS, configure};
use crate::error::Error;
use crate::properties::{Role, translate};
use plain::{Plain, Waits};
use thread::Threads;
use transactions::Transactions;

const POSITION: &[u8] = &[1];

/// Makes an egress, without waiting for a broker. It writes within a tokio runtime.
///
/// # Errors
/// If a property can't be.
pub fn egress(spec: &config::KafkaEgress) -> Result<ports::Egress, Error> {
    let id = &spec.id;
    let translated = translate(&spec.properties, Role::Egress(spec.delivery), TLS)
        .map_err(|refused| Error::refused(id, refused))?;
    let config = configure(id, &translated)?;
    check(spec, &config)?;
    let link = Arc::new(Link::new(id, &translated));
    let bytes_max =
        translated.values.get("message.max.bytes").and_then(|it| it.trim().parse().ok());
    let bytes_max = bytes_max.unwrap_or(usize::MAX);
    let (name, delivery) = (id.clone(), spec.delivery);
    let make = move || {
        let (config, link) = (config.clone(), link.clone());
        match delivery {
            Delivery::ExactlyOnce { .. } => {
                Writer::Transactions(Transactions::new(name.clone(), config, link))
            }
            Delivery::AtLeastOnce => Writer::Plain(Plain::new(config, link, Waits::Yes)),
            Delivery::None => Writer::Plain(Plain::new(config, link, Waits::No)),
        }
    };
    Ok(ports::Egress {
        id: id.clone(),
        accepts: Arc::new(move |value| record::read(value, bytes_max).map(drop)),
        sink: Box::new(KafkaSink { threads: Threads::new(make), data: None }),
    })
}

/// Whether the properties go together, which only a client knows.
fn check(spec: &config::KafkaEgress, config: &ClientConfig) -> Result<(), Error> {
    let mut config = config.clone();
    if let Delivery::ExactlyOnce { .. } = spec.delivery {
        config.set("transactional.id", "statera");
    }
    // Nobody has to be there for it.
    config.set("bootstrap.servers", "");
    let made = BaseProducer::from_config(&config);
    made.map(drop).map_err(|source| Error::Client { id: spec.id.clone(), source })
}

enum Writer {
    Transactions(Transactions),
    Plain(Plain),
}

struct KafkaSink {
    threads: Threads<Writer>,
    /// Once it is recovered.
    data: Option<DataId>,
}

impl Sink for KafkaSink {
    fn recover(
        &mut self,
        data: DataId,
        last: Option<SinkPosition>,
    ) -> BoxFuture<'_, Result<Option<SinkPosition>, SinkError>> {
        let last = last.map_or(Epoch::ZERO, |last| last.epoch);
        self.data = Some(data.clone());
        Box::pin(self.threads.run(move |writer, signs| {
            let Writer::Transactions(transactions) = writer else { return Ok(None) };
            let marker = transactions.recover(&data, signs)?.filter(|marker| *marker > last);
            Ok(marker.map(|epoch| SinkPosition { epoch, position: Bytes::from_static(POSITION) }))
        }))
    }

    fn write(&mut self, batch: SinkBatch) -> BoxFuture<'_, Result<Bytes, SinkError>> {
        let data = self.data.clone();
        Box::pin(self.threads.run(move |writer, signs| {
            match writer {
                Writer::Transactions(transactions) => {
                    // The writer may be that of a new thread.
                    let data = data.expect("it is recovered before it is written to");
                    transactions.write(&data, &batch, signs)?;
                }
                Writer::Plain(plain) => plain.write(&batch, signs)?,
            }
            Ok(Bytes::from_static(POSITION))
        }))
    }
}
