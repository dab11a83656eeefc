//! `statera graph`.

use std::process::ExitCode;

use clap::Args;
use statera_admin::api::{self, NodeKind};

use super::admin::{AdminOptions, known};
use super::show;
use super::table::{Cell, Column, Table};
use super::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Graph {
    /// Write a graph for Graphviz: `statera graph --dot | dot -Tsvg`
    #[arg(long, conflicts_with = "json")]
    dot: bool,
    #[command(flatten)]
    admin: AdminOptions,
}

impl Graph {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let answer = self.admin.open()?.get("/v1/graph").await?;
        if self.admin.json {
            terminal.print_json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        let graph: api::Graph = known(answer)?;
        if self.dot {
            terminal.print(&dot(&graph))?;
        } else if graph.edges.is_empty() {
            terminal.note("nobody has sent anything since the start")?;
        } else {
            let mut table = Table::new([
                Column::left("FROM"),
                Column::left("TO"),
                Column::right("MESSAGES"),
                Column::right("A SECOND").spare(),
            ]);
            for edge in &graph.edges {
                table.row([
                    Cell::new(name(&edge.from)),
                    Cell::new(name(&edge.to)),
                    Cell::count(edge.messages),
                    show::rate(edge.rate),
                ]);
            }
            terminal.print_table(&mut table)?;
        }
        if graph.truncated {
            terminal.note("there are more pairs than are counted apart; the rest is `(others)`")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// `ingress example/in`; of a function the name alone.
fn name(node: &api::Node) -> String {
    match node.kind {
        NodeKind::Ingress => format!("ingress {}", node.name),
        NodeKind::Function => node.name.clone(),
        NodeKind::Egress => format!("egress {}", node.name),
        NodeKind::Caller => "(caller)".to_owned(),
        NodeKind::Other => "(others)".to_owned(),
    }
}

fn dot(graph: &api::Graph) -> String {
    let mut text = "digraph statera {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
    for edge in &graph.edges {
        let (from, to) = (quoted(&name(&edge.from)), quoted(&name(&edge.to)));
        text += &format!("  {from} -> {to} [label=\"{}\"];\n", edge.messages);
    }
    text + "}\n"
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
