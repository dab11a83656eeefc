//! Durations, read and written.

use std::time::Duration;

#[derive(Debug, thiserror::Error)]
#[error("a duration is a number and a unit (ms, s, min, h), such as `30s`")]
pub(crate) struct InvalidDuration;

pub(crate) fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or(InvalidDuration)?;
    let (number, unit) = text.split_at(unit_at);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(InvalidDuration),
    };
    let number: u64 = number.parse().map_err(|_| InvalidDuration)?;
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or(InvalidDuration)
}

/// The two largest units: `3 d 4 h`, `5 min 12 s`.
pub(crate) fn rough(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {} min", minutes % 60),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        for (text, ms) in [("5ms", 5), ("30s", 30_000), ("2min", 120_000), ("1h", 3_600_000)] {
            assert_eq!(parse(text).unwrap(), Duration::from_millis(ms));
        }
        for bad in
            ["", "5", "s", "-5s", "1.5s", "5m", "5 s", "99999999999999999999s", "9999999999999999h"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn long_times_are_rough() {
        for (seconds, text) in
            [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(rough(seconds), text);
        }
    }
}
