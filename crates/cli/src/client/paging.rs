//! Lists that come in pages: some of them, or all, written as they come.

use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::address::encoded;
use super::admin::{Admin, known};
use super::table::{Cell, Column, Table};
use super::terminal::{Progress, Terminal};

/// The most that the API puts on a page.
pub(crate) const PAGE_MAX: usize = 1000;

#[derive(Args, Clone)]
pub(crate) struct PageOptions {
    /// List so many at most
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "all")]
    limit: u64,
    /// List all, however many there are; with `--json` one on each line
    #[arg(long)]
    all: bool,
    /// Go on where a list before ended
    #[arg(long, value_name = "POSITION")]
    after: Option<String>,
}

/// A list, and how it is shown.
pub(crate) struct List<T> {
    pub(crate) path: &'static str,
    pub(crate) query: Query,
    /// The field of the answer that holds the things.
    pub(crate) field: &'static str,
    /// What they are called.
    pub(crate) things: &'static str,
    pub(crate) columns: Vec<Column>,
    pub(crate) row: fn(T) -> Vec<Cell>,
}

/// Parameters of a query, encoded.
#[derive(Clone, Default)]
pub(crate) struct Query(String);

impl Query {
    /// Adds a parameter, if it has a value.
    pub(crate) fn with(mut self, name: &str, value: Option<impl ToString>) -> Query {
        if let Some(value) = value {
            self.0 += if self.0.is_empty() { "?" } else { "&" };
            self.0 += &format!("{name}={}", encoded(&value.to_string()));
        }
        self
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{path}{}", self.0)
    }
}

/// What came on one page.
struct Page {
    things: Vec<Json>,
    next: Option<String>,
    whole: Json,
}

impl<T: DeserializeOwned> List<T> {
    pub(crate) async fn show(
        self,
        options: &PageOptions,
        admin: &mut Admin,
        json: bool,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<()> {
        match (json, options.all) {
            (true, false) => self.in_one(options, admin, terminal).await,
            (json, _) => self.page_by_page(options, json, admin, terminal).await,
        }
    }

    /// As the API has it, as one page of the size that was asked for.
    async fn in_one(
        self,
        options: &PageOptions,
        admin: &mut Admin,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<()> {
        let (mut things, mut after) = (Vec::new(), options.after.clone());
        let whole = loop {
            let limit = options.left(things.len());
            let mut page = self.page(admin, limit, after).await?;
            things.append(&mut page.things);
            after = page.next;
            if after.is_none() || options.left(things.len()) == 0 {
                break page.whole;
            }
        };
        let mut whole = whole;
        whole[self.field] = things.into();
        Ok(terminal.print_json(&whole)?)
    }

    /// Each page when it is there.
    async fn page_by_page(
        self,
        options: &PageOptions,
        json: bool,
        admin: &mut Admin,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<()> {
        let mut table = Table::new(self.columns.clone());
        let (mut count, mut after) = (0, options.after.clone());
        loop {
            let page = self.page(admin, options.left(count), after).await?;
            count += page.things.len();
            for thing in page.things {
                match json {
                    true => terminal.print_json_line(&thing)?,
                    false => table.row((self.row)(known(thing)?)),
                }
            }
            if !table.is_empty() {
                terminal.print_table(&mut table)?;
            }
            after = page.next;
            if after.is_none() || options.left(count) == 0 {
                break;
            }
            // Where the list itself can be seen, it is what tells how far it is.
            if !terminal.is_screen {
                terminal.progress(&Progress { done_is: self.things, done: count, of: None })?;
            }
        }
        if !terminal.is_screen {
            terminal.progress_ends()?;
        }
        if count == 0 && !json {
            terminal.note(&format!("there are no {}", self.things))?;
        }
        if let Some(next) = after {
            terminal
                .note(&format!("there are more; hint: `--all`, or go on with `--after {next}`"))?;
        }
        Ok(())
    }

    async fn page(
        &self,
        admin: &mut Admin,
        limit: usize,
        after: Option<String>,
    ) -> anyhow::Result<Page> {
        let query = self.query.clone().with("limit", Some(limit)).with("after", after);
        let mut whole = admin.get(&query.at(self.path)).await?;
        let things = whole.get_mut(self.field).map_or(json!([]), Json::take);
        let next = whole["next"].as_str().map(str::to_owned);
        Ok(Page { things: known(things)?, next, whole })
    }
}

impl PageOptions {
    /// What to ask for the first page.
    pub(crate) fn first(&self, query: Query) -> Query {
        query.with("limit", Some(self.left(0))).with("after", self.after.as_ref())
    }

    /// How many the next page may hold, if so many are there.
    fn left(&self, count: usize) -> usize {
        if self.all {
            return PAGE_MAX;
        }
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        limit.saturating_sub(count).min(PAGE_MAX)
    }
}
