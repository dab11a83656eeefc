//! Brokers for the tests, in folders of their own.

use std::ops::{Deref, DerefMut};

pub use statera_test_kafka::{
    Artifacts, Cluster, CommittedOffset, Node, Options, Producer, Reader, Record, Transaction,
};
use tempfile::TempDir;

/// A cluster whose data goes with it.
#[derive(Debug)]
pub struct Kafka {
    // Dropped first.
    cluster: Cluster,
    _folder: TempDir,
}

impl Kafka {
    /// Starts so many nodes.
    ///
    /// # Errors
    /// Why Kafka is not there.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(nodes: u32) -> Result<Kafka, String> {
        Kafka::start_with(&Options { nodes, ..Options::default() })
    }

    /// As [`Kafka::start`], with further options.
    ///
    /// # Errors
    /// Why Kafka is not there.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_with(options: &Options) -> Result<Kafka, String> {
        let artifacts = Artifacts::from_environment()?;
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let cluster = Cluster::start(&artifacts, folder.path(), options);
        let cluster = cluster.unwrap_or_else(|error| panic!("{error:?}"));
        Ok(Kafka { cluster, _folder: folder })
    }
}

impl Deref for Kafka {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl DerefMut for Kafka {
    fn deref_mut(&mut self) -> &mut Cluster {
        &mut self.cluster
    }
}
