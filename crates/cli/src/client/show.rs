//! Values, for people.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use statera_admin::api;

use super::style::{Style, Tone};
use super::table::{Cell, Column, Table};
use super::terminal::escaped;

/// A value as one text, if it is one; in base64 if not.
pub(crate) fn value(value: &api::Value) -> String {
    match value {
        api::Value { text: Some(text), .. } => text.clone(),
        api::Value { value: Some(base64), .. } => format!("base64:{base64}"),
        _ => "(no value)".to_owned(),
    }
}

/// A value over several lines, each indented.
pub(crate) fn block(form: &api::Value) -> String {
    let text = match &form.json {
        Some(json @ (serde_json::Value::Object(_) | serde_json::Value::Array(_))) => {
            format!("{json:#}")
        }
        _ => value(form),
    };
    indented(&escaped(&text))
}

/// Each line a bit further in.
pub(crate) fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// A heading, and what stands below it.
pub(crate) fn section(title: &str, text: &str, style: &Style) -> String {
    format!("\n{}\n{}", style.paint(Tone::Head, title), indented(text))
}

/// The bytes of a value, if there are any.
pub(crate) fn bytes(base64: Option<&str>) -> Option<Vec<u8>> {
    base64.and_then(|base64| STANDARD.decode(base64).ok())
}

/// Some state values.
pub(crate) fn states(states: &[api::State], style: &Style) -> String {
    let expires = states.iter().any(|state| state.last_access.is_some());
    let mut columns = vec![Column::left("NAME"), Column::left("TYPE").spare()];
    if expires {
        columns.push(Column::left("LAST ACCESS").spare());
    }
    columns.push(Column::long("VALUE"));
    let mut table = Table::new(columns);
    for state in states {
        let mut row = vec![Cell::new(&state.name), Cell::new(&state.value.typename)];
        if expires {
            row.push(Cell::or_dash(state.last_access.as_deref()));
        }
        row.push(Cell::new(value(&state.value)));
        table.row(row);
    }
    table.render(style)
}

/// So many bytes, roughly.
pub(crate) fn size(bytes: usize) -> String {
    let mut amount = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if amount < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{amount:.1} {unit}") };
        }
        amount /= 1024.0;
    }
    format!("{amount:.1} TiB")
}

/// So many a second.
pub(crate) fn rate(rate: Option<f64>) -> Cell {
    let text = rate.map(|rate| match rate {
        0.0 => "0".to_owned(),
        rate if rate < 100.0 => format!("{rate:.1}"),
        rate => format!("{rate:.0}"),
    });
    Cell::or_dash(text)
}

/// So many milliseconds, roughly.
pub(crate) fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 10_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

/// What half, and what ninety-nine of a hundred, took at most.
pub(crate) fn latency(latency: Option<api::Latency>) -> [Cell; 2] {
    let measured = latency.filter(|latency| latency.count > 0);
    [
        Cell::or_dash(measured.map(|latency| milliseconds(latency.p50_ms))),
        Cell::or_dash(measured.map(|latency| milliseconds(latency.p99_ms))),
    ]
}

/// Whether somebody answers, and whether they may be asked at all.
pub(crate) fn health(health: api::Health, paused: Option<&api::Pause>) -> Cell {
    match (paused, health) {
        (Some(_), _) => Cell::toned("paused", Tone::Warn),
        (None, api::Health::Up) => Cell::toned("up", Tone::Good),
        (None, api::Health::Down) => Cell::toned("down", Tone::Bad),
        (None, api::Health::Unknown) => Cell::toned("unknown", Tone::Dim),
    }
}

/// Since when, and why.
pub(crate) fn pause(pause: &api::Pause) -> String {
    let since = pause.since.as_deref().map(|since| format!("since {since}"));
    let parts = [since, pause.reason.clone()].into_iter().flatten();
    let text = parts.collect::<Vec<_>>().join(": ");
    if text.is_empty() { "yes".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_rough() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 40, "5.0 TiB")]
        {
            assert_eq!(size(bytes), text);
        }
        for (ms, text) in
            [(0.04, "0.0 ms"), (9.44, "9.4 ms"), (10.0, "10 ms"), (12_345.0, "12.3 s")]
        {
            assert_eq!(milliseconds(ms), text);
        }
    }
}
