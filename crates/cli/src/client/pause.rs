//! `statera pause` and `statera resume`.

use std::process::ExitCode;

use clap::Args;
use hyper::Method;
use serde_json::json;

use super::address::{Part, Target};
use super::admin::AdminOptions;
use super::terminal::Terminal;

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// An address, as NAMESPACE/TYPE/ID
    address: Option<Target>,
    /// All functions of a type
    #[arg(long, value_name = "NAMESPACE/TYPE")]
    function: Option<Part>,
    /// All functions of an endpoint, named by what it serves, such as `example/*`
    #[arg(long, value_name = "FUNCTIONS")]
    endpoint: Option<Part>,
    /// An ingress
    #[arg(long, value_name = "NAMESPACE/NAME")]
    ingress: Option<Part>,
}

impl Which {
    /// Its path, what it is, and its name.
    fn named(&self) -> (String, &'static str, String) {
        let part =
            |place: &str, part: &Part| (format!("/v1/{place}/{}", part.path()), part.to_string());
        let (what, (path, name)) = match self {
            Which { address: Some(address), .. } => {
                ("", (format!("/v1/addresses/{}", address.path()), address.0.to_string()))
            }
            Which { function: Some(function), .. } => ("function ", part("functions", function)),
            Which { endpoint: Some(endpoint), .. } => ("endpoint ", part("endpoints", endpoint)),
            Which { ingress: Some(ingress), .. } => ("ingress ", part("ingresses", ingress)),
            _ => unreachable!("clap demands one of them"),
        };
        (path, what, name)
    }
}

#[derive(Args)]
pub(crate) struct Pause {
    #[command(flatten)]
    which: Which,
    /// Why, for those who will wonder
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    admin: AdminOptions,
}

impl Pause {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let (path, what, name) = self.which.named();
        let body = self.reason.map(|reason| json!({ "reason": reason }));
        let answer =
            self.admin.open()?.ask(Method::POST, &format!("{path}/pause"), body.as_ref()).await?;
        if self.admin.json {
            terminal.print_json(&answer)?;
        } else {
            terminal.note(&format!("{what}`{name}` waits until it is resumed"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    admin: AdminOptions,
}

impl Resume {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let (path, what, name) = self.which.named();
        let answer = self.admin.open()?.ask(Method::POST, &format!("{path}/resume"), None).await?;
        if self.admin.json {
            terminal.print_json(&answer)?;
        } else {
            terminal.note(&format!("{what}`{name}` goes on"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
