//! `statera functions`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value as Json;
use statera_admin::api::{self, Expiry};

use super::address::Part;
use super::admin::{Admin, AdminOptions, known};
use super::duration;
use super::paging::{List, PageOptions, Query};
use super::show;
use super::style::{Style, Tone};
use super::table::{Cell, Column, Fields, Table};
use super::terminal::Terminal;
use super::watch::{View, WatchOptions, show as show_view};

#[derive(Args)]
pub(crate) struct Functions {
    /// Only this one, as NAMESPACE/TYPE, with all that is known about it
    #[arg(conflicts_with_all = ["prefix", "limit", "all", "after"])]
    name: Option<Part>,
    /// Only those whose name begins so
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    #[command(flatten)]
    pages: PageOptions,
    #[command(flatten)]
    watch: WatchOptions,
    #[command(flatten)]
    admin: AdminOptions,
}

impl Functions {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        if let Some(name) = self.name {
            show_view(One(name), &self.watch, &self.admin, terminal).await?;
        } else if self.watch.is_on() {
            let view = All(self.pages.first(Query::default().with("prefix", self.prefix)));
            show_view(view, &self.watch, &self.admin, terminal).await?;
        } else {
            let query = Query::default().with("prefix", self.prefix);
            let list = List {
                path: "/v1/functions",
                query,
                field: "functions",
                things: "functions",
                columns: columns(),
                row: |function| row(&function),
            };
            let mut admin = self.admin.open()?;
            list.show(&self.pages, &mut admin, self.admin.json, terminal).await?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// One page of them.
struct All(Query);

impl View for All {
    async fn ask(&self, admin: &mut Admin) -> anyhow::Result<Json> {
        admin.get(&self.0.at("/v1/functions")).await
    }

    fn render(&self, answer: Json, style: &Style) -> anyhow::Result<String> {
        let found: api::Functions = known(answer)?;
        let mut table = Table::new(columns());
        found.functions.iter().for_each(|function| table.row(row(function)));
        Ok(table.render(style))
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::left("FUNCTION"),
        Column::left("HEALTH"),
        Column::right("IN/S"),
        Column::right("OUT/S").spare(),
        Column::right("MAIL"),
        Column::right("IN FLIGHT").spare(),
        Column::right("QUEUED").spare(),
        Column::right("FAILING"),
        Column::right("FAILURES").spare(),
        Column::right("P50").spare(),
        Column::right("P99"),
        Column::long("SERVED BY").spare(),
    ]
}

fn row(function: &api::Function) -> Vec<Cell> {
    let [p50, p99] = show::latency(function.latency);
    vec![
        Cell::new(&function.name),
        show::health(function.health, function.paused.as_ref()),
        show::rate(function.rate_in),
        show::rate(function.rate_out),
        Cell::or_dash(function.mail.map(|mail| mail.to_string())),
        Cell::count(function.in_flight),
        Cell::count(function.queued),
        Cell::alarm(function.failing, Tone::Bad),
        Cell::or_dash(function.failures.map(|failures| failures.to_string())),
        p50,
        p99,
        served_by(function),
    ]
}

fn served_by(function: &api::Function) -> Cell {
    match &function.endpoint {
        Some(endpoint) => Cell::new(endpoint),
        None if function.linked => Cell::new("(linked)"),
        None => Cell::toned("(nobody)", Tone::Warn),
    }
}

/// One of them.
struct One(Part);

impl View for One {
    async fn ask(&self, admin: &mut Admin) -> anyhow::Result<Json> {
        admin.get(&format!("/v1/functions/{}", self.0.path())).await
    }

    fn render(&self, answer: Json, style: &Style) -> anyhow::Result<String> {
        let function: api::Function = known(answer)?;
        let mut text = fields(&function).render(style);
        if !function.states.is_empty() {
            text += &show::section("states", &states(&function.states, style), style);
        }
        Ok(text)
    }
}

fn fields(function: &api::Function) -> Fields {
    let mut fields = Fields::default();
    let count = |number: Option<u64>| number.map(|number| number.to_string());
    let [p50, p99] = show::latency(function.latency);
    fields.text("function", &function.name);
    fields.add("served by", served_by(function));
    fields.add("health", show::health(function.health, function.paused.as_ref()));
    fields.maybe("paused", function.paused.as_ref().map(show::pause));
    fields.maybe("last success", function.last_success.as_ref());
    fields.maybe("instances in memory", count(function.instances));
    fields.maybe("paused addresses", count(function.paused_addresses));
    let mail = function.mail.map_or(String::new(), |mail| format!("{mail} messages, "));
    fields.text("mail", format!("{mail}{}", show::size(function.mail_bytes)));
    fields.add("in flight", Cell::count(function.in_flight));
    fields.add("queued", Cell::count(function.queued));
    fields.add("failing", Cell::alarm(function.failing, Tone::Bad));
    fields.maybe("failures", count(function.failures));
    fields.add("messages in", Cell::count(function.messages_in));
    fields.add("messages out", Cell::count(function.messages_out));
    fields.add("in a second", show::rate(function.rate_in));
    fields.add("out a second", show::rate(function.rate_out));
    fields.add("p50", p50);
    fields.add("p99", p99);
    fields
}

fn states(states: &[api::DeclaredState], style: &Style) -> String {
    let mut table =
        Table::new([Column::left("NAME"), Column::left("TYPE"), Column::left("EXPIRES")]);
    for state in states {
        let expires = match (state.expires, state.ttl_ms) {
            (Expiry::Never, _) => "never".to_owned(),
            (Expiry::AfterWrite, ttl) => format!("{} after a write", time(ttl)),
            (Expiry::AfterInvoke, ttl) => format!("{} after an invocation", time(ttl)),
        };
        table.row([Cell::new(&state.name), Cell::new(&state.typename), Cell::new(expires)]);
    }
    table.render(style)
}

fn time(ttl_ms: Option<u64>) -> String {
    match ttl_ms.unwrap_or_default() {
        ms if ms % 1000 != 0 => format!("{ms} ms"),
        ms => duration::rough(ms / 1000),
    }
}
