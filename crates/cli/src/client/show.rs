//! Values, for people.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use statera_admin::api;

use super::table::{Column, Table};
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
    escaped(&text).lines().map(|line| format!("  {line}\n")).collect()
}

/// The bytes of a value, if there are any.
pub(crate) fn bytes(base64: Option<&str>) -> Option<Vec<u8>> {
    base64.and_then(|base64| STANDARD.decode(base64).ok())
}

/// Some state values.
pub(crate) fn states(states: &[api::State]) -> String {
    let expires = states.iter().any(|state| state.last_access.is_some());
    let mut columns = vec![Column::Left("NAME"), Column::Left("TYPE")];
    if expires {
        columns.push(Column::Left("LAST ACCESS"));
    }
    columns.push(Column::Left("VALUE"));
    let mut table = Table::new(columns);
    for state in states {
        let (name, typename) = (state.name.as_str(), state.value.typename.as_str());
        let value = value(&state.value);
        match &state.last_access {
            _ if !expires => table.row([name, typename, &value]),
            at => table.row([name, typename, at.as_deref().unwrap_or("-"), &value]),
        }
    }
    table.render()
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
