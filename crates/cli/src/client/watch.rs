//! The same again each second, on a screen that is drawn anew.

use std::time::Duration;

use clap::Args;
use serde_json::Value as Json;
use tokio::time::{MissedTickBehavior, interval};

use super::admin::{Admin, AdminOptions, NoAnswer};
use super::style::Style;
use super::terminal::Terminal;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

#[derive(Args, Clone)]
pub(crate) struct WatchOptions {
    /// Look again each second, until it is interrupted
    #[arg(long)]
    watch: bool,
    /// Look so often, and end
    #[arg(long, value_name = "TIMES", requires = "watch", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

impl WatchOptions {
    pub(crate) fn is_on(&self) -> bool {
        self.watch
    }
}

/// What is looked at.
pub(crate) trait View {
    /// Asks for it.
    async fn ask(&self, admin: &mut Admin) -> anyhow::Result<Json>;

    /// As people read it.
    fn render(&self, answer: Json, style: &Style) -> anyhow::Result<String>;
}

/// Shows something, once or again and again. An engine that goes away meanwhile is waited for.
pub(crate) async fn show(
    view: impl View,
    watch: &WatchOptions,
    options: &AdminOptions,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let mut admin = options.open()?;
    let first = view.ask(&mut admin).await?;
    if !watch.is_on() {
        return match options.json {
            true => Ok(terminal.print_json(&first)?),
            false => Ok(terminal.print(&view.render(first, &terminal.style)?)?),
        };
    }
    let (mut answer, mut looks) = (anyhow::Ok(first), 0);
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        match answer {
            Ok(answer) if options.json => terminal.print_json_line(&answer)?,
            Ok(answer) => {
                let text = view.render(answer, &terminal.style)?;
                draw(terminal, &text, looks)?;
            }
            Err(error) if error.is::<NoAnswer>() => {
                let text = format!("{error}\n");
                if options.json { terminal.note(&text)? } else { draw(terminal, &text, looks)? }
            }
            Err(error) => return Err(error),
        }
        looks += 1;
        if watch.count.is_some_and(|count| looks >= count) {
            return Ok(());
        }
        ticks.tick().await;
        answer = view.ask(&mut admin).await;
    }
}

/// In the place of what was there before, if it is a screen; else behind it.
fn draw(terminal: &mut Terminal<'_>, text: &str, looks: u64) -> std::io::Result<()> {
    if terminal.is_screen {
        let clear = if looks == 0 { "\x1b[2J" } else { "" };
        // What does not fit would move what is above out of sight.
        let lines_max = terminal.height.map_or(usize::MAX, |height| height - 1);
        let lines = text.lines().take(lines_max).map(|line| format!("{line}\x1b[K\n"));
        terminal.print(&format!("{clear}\x1b[H{}\x1b[J", lines.collect::<String>()))?;
    } else {
        terminal.print(if looks == 0 { "" } else { "\n" })?;
        terminal.print(text)?;
    }
    terminal.out.flush()
}
