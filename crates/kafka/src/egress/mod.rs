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
mod transactions;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rdkafka::config::{ClientConfig, FromClientConfig as _};
use rdkafka::producer::BaseProducer;
use statera_config as config;
use statera_config::Delivery;
use statera_model::Epoch;
use statera_ports as ports;
use statera_ports::{BoxFuture, DataId, Sink, SinkBatch, SinkError, SinkPosition};
use tokio::task::spawn_blocking;

use crate::client::{Link, TLS, configure};
use crate::error::Error;
use crate::properties::{Role, translate};
use plain::{Plain, Waits};
use producer::Abandoned;
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
    let writer = match spec.delivery {
        Delivery::ExactlyOnce { .. } => {
            Writer::Transactions(Transactions::new(id.clone(), config, link))
        }
        Delivery::AtLeastOnce => Writer::Plain(Plain::new(config, link, Waits::Yes)),
        Delivery::None => Writer::Plain(Plain::new(config, link, Waits::No)),
    };
    Ok(ports::Egress {
        id: id.clone(),
        accepts: Arc::new(move |value| record::read(value, bytes_max).map(drop)),
        sink: Box::new(KafkaSink(Arc::new(Mutex::new(writer)))),
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

/// Shared with the thread that blocks; contended only if a write was given up and another begins.
struct KafkaSink(Arc<Mutex<Writer>>);

impl Sink for KafkaSink {
    fn recover(
        &mut self,
        data: DataId,
        last: Option<SinkPosition>,
    ) -> BoxFuture<'_, Result<Option<SinkPosition>, SinkError>> {
        let last = last.map_or(Epoch::ZERO, |last| last.epoch);
        Box::pin(self.blocking(move |writer, _| {
            let Writer::Transactions(transactions) = writer else { return Ok(None) };
            let marker = transactions.recover(&data)?.filter(|marker| *marker > last);
            Ok(marker.map(|epoch| SinkPosition { epoch, position: Bytes::from_static(POSITION) }))
        }))
    }

    fn write(&mut self, batch: SinkBatch) -> BoxFuture<'_, Result<Bytes, SinkError>> {
        Box::pin(self.blocking(move |writer, abandoned| {
            match writer {
                Writer::Transactions(transactions) => transactions.write(&batch, abandoned)?,
                Writer::Plain(plain) => plain.write(&batch, abandoned)?,
            }
            Ok(Bytes::from_static(POSITION))
        }))
    }
}

impl KafkaSink {
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer, &AtomicBool) -> Result<T, SinkError> + Send + 'static,
    ) -> impl Future<Output = Result<T, SinkError>> + Send + 'static {
        let writer = Arc::clone(&self.0);
        async move {
            let abandoned = Abandoned::default();
            let _guard = AbandonOnDrop(abandoned.clone());
            // A poisoned lock is taken: a write begins anew after whatever came before.
            let work = move || {
                work(&mut writer.lock().unwrap_or_else(PoisonError::into_inner), &abandoned)
            };
            spawn_blocking(work).await.unwrap_or_else(|error| {
                Err(SinkError {
                    doing: "cannot write to a Kafka egress".to_owned(),
                    source: Some(error.into()),
                })
            })
        }
    }
}

/// Lets the thread know that nobody waits for it any more.
struct AbandonOnDrop(Abandoned);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
