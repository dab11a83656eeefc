//! One node or several that belong together.

use std::path::{Path, PathBuf};
use std::process::Child;

use anyhow::{Context, bail};

use crate::artifacts::Artifacts;
use crate::node::Node;
use crate::ports;

const SETTINGS: &str = include_str!("../server.properties");

/// Any name of 22 letters in URL-safe Base64 that stand for 16 bytes.
const CLUSTER_ID: &str = "c3RhdGVyYS1pbi10ZXN0cw";

/// How a cluster differs from one node with the settings in `server.properties`.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many nodes; with three or more, each record is kept by three of them.
    pub nodes: u32,
    /// The port of the first one; any free one if there is none.
    pub port: Option<u16>,
    /// Further settings, lines of `server.properties`; they go before those.
    pub settings: Vec<String>,
    /// Further options of Java for the nodes; they go before ours.
    pub java: Vec<String>,
    /// Whether the first node tells its figures ([`Cluster::requests`]).
    pub figures: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { nodes: 1, port: None, settings: Vec::new(), java: Vec::new(), figures: false }
    }
}

/// A cluster on loopback. Its processes are killed when it is dropped; its folder stays.
#[derive(Debug)]
pub struct Cluster {
    artifacts: Artifacts,
    folder: PathBuf,
    nodes: Vec<Node>,
    /// Where the first node tells its figures, if it does.
    figures_port: Option<u16>,
}

impl Cluster {
    /// Starts all nodes with their data in a folder that is empty, and waits until they answer.
    ///
    /// # Errors
    /// If the folder can't be written to, there is no Java, or a node does not start.
    pub fn start(
        artifacts: &Artifacts,
        folder: &Path,
        options: &Options,
    ) -> anyhow::Result<Cluster> {
        let mut cluster = Cluster::create(artifacts, folder, options)?;
        let formats: Vec<Child> =
            cluster.nodes.iter().map(|node| node.format(CLUSTER_ID)).collect::<Result<_, _>>()?;
        for mut format in formats {
            let status = format.wait().context("cannot wait for Java")?;
            if !status.success() {
                bail!("the data directory of a broker cannot be prepared: {status}");
            }
        }
        cluster.start_all()?;
        Ok(cluster)
    }

    fn create(artifacts: &Artifacts, folder: &Path, options: &Options) -> anyhow::Result<Cluster> {
        let mut taken: Vec<u16> = options.port.into_iter().collect();
        while taken.len() < 2 * options.nodes as usize {
            taken.push(ports::free(&taken).context("cannot find a free port")?);
        }
        let figures_port = options.figures.then(|| ports::free(&taken)).transpose();
        let figures_port = figures_port.context("cannot find a free port")?;
        let (ports, controllers) = taken.split_at(options.nodes as usize);
        let voters = (1..).zip(controllers).map(|(id, port)| format!("{id}@127.0.0.1:{port}"));
        let voters = voters.collect::<Vec<_>>().join(",");
        let (replicas, in_sync) = if options.nodes < 3 { ("1", "1") } else { ("3", "2") };
        let mut nodes = Vec::new();
        for (id, (port, controller)) in (1..).zip(ports.iter().zip(controllers)) {
            // The longer word first.
            let mut settings = SETTINGS
                .replace("$CONTROLLER_PORT", &controller.to_string())
                .replace("$PORT", &port.to_string())
                .replace("$NODE", &id.to_string())
                .replace("$VOTERS", &voters)
                .replace("$REPLICAS", replicas)
                .replace("$IN_SYNC", in_sync);
            for line in &options.settings {
                settings.push_str(line);
                settings.push('\n');
            }
            let folder = folder.join(format!("node-{id}"));
            let mut java = options.java.clone();
            java.extend(figures_port.filter(|_| id == 1).into_iter().flat_map(figures));
            nodes.push(Node::create(artifacts, folder, id, *port, (&settings, java))?);
        }
        Ok(Cluster { artifacts: artifacts.clone(), folder: folder.to_owned(), nodes, figures_port })
    }

    /// Starts those nodes that don't run, and waits until all answer.
    ///
    /// # Errors
    /// If one of them does not start.
    pub fn start_all(&mut self) -> anyhow::Result<()> {
        self.nodes.iter_mut().try_for_each(Node::spawn)?;
        self.nodes.iter_mut().try_for_each(Node::wait_until_ready)
    }

    /// The value of `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let address = |node: &Node| format!("127.0.0.1:{}", node.port());
        self.nodes.iter().map(address).collect::<Vec<_>>().join(",")
    }

    /// A node, by its number from 1.
    ///
    /// # Panics
    /// If there is none.
    pub fn node(&mut self, id: u32) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.id() == id).expect("a node of this cluster")
    }

    /// The process of a node, by its number from 1, if it runs.
    #[must_use]
    pub fn pid(&self, node: u32) -> Option<u32> {
        self.nodes.iter().find(|it| it.id() == node).and_then(Node::pid)
    }

    /// Lets the nodes run on when this value is dropped; returns their process ids.
    #[must_use]
    pub fn leave_running(self) -> Vec<u32> {
        self.nodes.into_iter().filter_map(Node::leave_running).collect()
    }

    /// Where its data is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn figures_port(&self) -> Option<u16> {
        self.figures_port
    }

    pub(crate) fn artifacts(&self) -> &Artifacts {
        &self.artifacts
    }

    pub(crate) fn node_ids(&self) -> impl Iterator<Item = u32> {
        self.nodes.iter().filter(|node| node.pid().is_some()).map(Node::id)
    }
}

/// What makes Java tell figures on a port.
fn figures(port: u16) -> Vec<String> {
    let property =
        |name: &str, value: &str| format!("-Dcom.sun.management.jmxremote.{name}={value}");
    vec![
        property("port", &port.to_string()),
        property("rmi.port", &port.to_string()),
        property("host", "127.0.0.1"),
        property("authenticate", "false"),
        property("ssl", "false"),
        "-Djava.rmi.server.hostname=127.0.0.1".to_owned(),
    ]
}
