//! Ingresses and egresses of all kinds, opened. Kinds of crates that this program is built without are refused.

use std::net::SocketAddr;
use std::sync::Arc;

use statera_config::{Egress, Ingress};
use statera_connectors::{Bound, OpenEgress};
use statera_model::Name;
use statera_ports::BoxFuture;
use statera_runtime::Engine;

/// A part that is opened and waits to be run.
pub(crate) enum Part {
    Connector(Bound),
    #[cfg(feature = "kafka")]
    Kafka(Box<statera_kafka::KafkaIngress>),
    #[cfg(feature = "kinesis")]
    Kinesis(Box<statera_kinesis::KinesisIngress>),
}

/// Opens an ingress.
pub(crate) fn ingress(spec: &Ingress, engine: &Engine) -> anyhow::Result<Part> {
    let engine = Arc::new(engine.ingress(&spec.id()));
    Ok(match spec {
        #[cfg(feature = "kafka")]
        Ingress::Kafka(spec) => {
            Part::Kafka(Box::new(statera_kafka::KafkaIngress::bind(spec, engine)?))
        }
        #[cfg(feature = "kinesis")]
        Ingress::Kinesis(spec) => {
            let environment = statera_kinesis::Environment::of_process();
            let ingress = statera_kinesis::KinesisIngress::new(spec, engine, environment);
            Part::Kinesis(Box::new(ingress))
        }
        spec => Part::Connector(statera_connectors::ingress(spec, engine)?),
    })
}

/// Opens an egress.
pub(crate) fn egress(spec: &Egress) -> anyhow::Result<OpenEgress> {
    Ok(match spec {
        #[cfg(feature = "kafka")]
        Egress::Kafka(spec) => OpenEgress { egress: statera_kafka::egress(spec)?, server: None },
        #[cfg(feature = "kinesis")]
        Egress::Kinesis(spec) => {
            let environment = statera_kinesis::Environment::of_process();
            OpenEgress { egress: statera_kinesis::egress(spec, environment), server: None }
        }
        spec => statera_connectors::egress(spec)?,
    })
}

impl Part {
    pub(crate) fn id(&self) -> &Name {
        match self {
            Part::Connector(part) => part.id(),
            #[cfg(feature = "kafka")]
            Part::Kafka(part) => part.id(),
            #[cfg(feature = "kinesis")]
            Part::Kinesis(part) => part.id(),
        }
    }

    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Part::Connector(part) => part.local_addr(),
            #[cfg(feature = "kafka")]
            Part::Kafka(_) => None,
            #[cfg(feature = "kinesis")]
            Part::Kinesis(_) => None,
        }
    }

    /// Runs until `stop` ends, or it cannot go on.
    pub(crate) async fn run(self, stop: BoxFuture<'static, ()>) -> anyhow::Result<()> {
        match self {
            Part::Connector(part) => part.run(stop).await?,
            #[cfg(feature = "kafka")]
            Part::Kafka(part) => part.run(stop).await?,
            #[cfg(feature = "kinesis")]
            Part::Kinesis(part) => part.run(stop).await?,
        }
        Ok(())
    }
}
