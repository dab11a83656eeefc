//! What a file egress has written.

use std::path::Path;

use serde_json::Value;

/// The whole lines of a file egress, as JSON. An unfinished last line does not count; neither does a missing file.
///
/// # Panics
/// If a line is not JSON.
#[must_use]
pub fn egress_lines(path: &Path) -> Vec<Value> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let parse = |line: &[u8]| {
        serde_json::from_slice(line)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(line)))
    };
    lines.map(parse).collect()
}
