//! Dates as StateFun writes them: Java's pattern `yyyy-MM-dd HH:mm:ss.SSS Z`.

use crate::problem::quoted;
use crate::report::Wrong;
use crate::scalar::Parsed;

const EXAMPLE: &str = "2020-02-01 04:15:00.000 +0000";

/// Milliseconds since the Unix epoch.
pub(crate) fn date(text: &str) -> Parsed<i64> {
    let text = text.trim();
    if let Some(millis) = exact(text) {
        return Ok(millis);
    }
    let hint = match repaired(text).filter(|repaired| exact(repaired).is_some()) {
        Some(repaired) => {
            let zone = if text.ends_with(['Z', 'z']) { ", with `+0000` for `Z`" } else { "" };
            format!("write `{repaired}`{zone}")
        }
        None => format!(
            "write year, month, day, time with three digits of a second, and offset, such as `{EXAMPLE}`"
        ),
    };
    Err(Wrong::new(
        format!("{} is not a date of the form `yyyy-MM-dd HH:mm:ss.SSS Z`", quoted(text)),
        hint,
    ))
}

/// `None` unless every character is where the pattern has it, and the day is in the calendar.
fn exact(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let shape = EXAMPLE.bytes().zip(bytes).all(|(expected, byte)| match expected {
        b'0'..=b'9' => byte.is_ascii_digit(),
        b'+' => matches!(byte, b'+' | b'-'),
        _ => *byte == expected,
    });
    if bytes.len() != EXAMPLE.len() || !shape {
        return None;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().ok();
    let day = day(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
    let within = |value: i64, max: i64| (0..=max).contains(&value).then_some(value);
    let hours = within(number(11, 13)?, 23)?;
    let minutes = within(number(14, 16)?, 59)?;
    let seconds = within(number(17, 19)?, 59)?;
    let offset = within(number(25, 27)?, 18)? * 60 + within(number(27, 29)?, 59)?;
    let offset =
        if bytes[24] == b'-' { -within(offset, 18 * 60)? } else { within(offset, 18 * 60)? };
    Some((((day * 24 + hours) * 60 + minutes - offset) * 60 + seconds) * 1000 + number(20, 23)?)
}

/// Days since 1970-01-01 in the Gregorian calendar.
fn day(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if leap { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month = usize::try_from(month).ok()?.checked_sub(1)?;
    if year == 0 || !(1..=*months.get(month)?).contains(&day) {
        return None;
    }
    let before = year - 1;
    let years = before * 365 + before / 4 - before / 100 + before / 400;
    let days_to_1970 = 719_162;
    Some(years + months[..month].iter().sum::<i64>() + day - 1 - days_to_1970)
}

/// What was probably meant: ISO 8601 and its relatives in the form we want. Not checked.
fn repaired(text: &str) -> Option<String> {
    let (date, rest) = text.split_once(['T', ' '])?;
    let zone = rest.find(['Z', 'z', '+', '-', ' ']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone);
    let (seconds, fraction) = time.split_once(['.', ',']).unwrap_or((time, ""));
    let seconds =
        if seconds.matches(':').count() == 1 { format!("{seconds}:00") } else { seconds.into() };
    let zone = match zone.trim().replace(':', "") {
        zone if matches!(zone.as_str(), "" | "Z" | "z" | "UTC" | "GMT") => "+0000".to_owned(),
        zone if zone.len() == 3 => format!("{zone}00"),
        zone => zone,
    };
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    Some(format!("{date} {seconds}.{fraction} {zone}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_of_the_pattern_are_read() {
        for (text, expected) in [
            ("1970-01-01 00:00:00.000 +0000", 0),
            ("1969-12-31 23:59:59.999 +0000", -1),
            ("1970-01-01 00:00:00.000 +0130", -5_400_000),
            ("1970-01-01 00:00:00.000 -1800", 64_800_000),
            ("2000-02-29 12:00:00.500 +0000", 951_825_600_500),
            ("2020-02-01 04:15:00.000 +0000", 1_580_530_500_000),
            ("9999-12-31 23:59:59.999 +0000", 253_402_300_799_999),
            ("0001-01-01 00:00:00.000 +0000", -62_135_596_800_000),
        ] {
            assert_eq!(date(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_nearly_a_date_is_repaired() {
        for (text, repaired) in [
            ("2020-02-01 04:15:00.00 Z", "2020-02-01 04:15:00.000 +0000"),
            ("2020-02-01 04:15:00.00", "2020-02-01 04:15:00.000 +0000"),
            ("2020-02-01T04:15:00Z", "2020-02-01 04:15:00.000 +0000"),
            ("2020-02-01 04:15 +02:00", "2020-02-01 04:15:00.000 +0200"),
            ("2020-02-01T04:15:00.123456-05", "2020-02-01 04:15:00.123 -0500"),
        ] {
            let hint = date(text).unwrap_err().hint.unwrap();
            assert!(hint.starts_with(&format!("write `{repaired}`")), "{hint}");
        }
        let hint = date("2020-02-01 04:15:00.000 Z").unwrap_err().hint.unwrap();
        assert!(hint.ends_with("with `+0000` for `Z`"), "{hint}");
    }

    #[test]
    fn what_is_not_in_the_calendar_is_refused() {
        for text in [
            "",
            "yesterday",
            "2020-02-01",
            "0000-01-01 00:00:00.000 +0000",
            "2019-02-29 00:00:00.000 +0000",
            "1900-02-29 00:00:00.000 +0000",
            "2020-00-01 00:00:00.000 +0000",
            "2020-13-01 00:00:00.000 +0000",
            "2020-04-31 00:00:00.000 +0000",
            "2020-04-00 00:00:00.000 +0000",
            "2020-04-01 24:00:00.000 +0000",
            "2020-04-01 00:60:00.000 +0000",
            "2020-04-01 00:00:60.000 +0000",
            "2020-04-01 00:00:00.000 +1801",
            "2020-04-01 00:00:00.000 +0060",
            "2020-04-01 00:00:00.000 ?0000",
        ] {
            let wrong = date(text).unwrap_err();
            assert!(wrong.hint.unwrap().contains("such as `2020-"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,30}|[0-9TZ :.+-]{20,30}") {
            let _ = date(&text);
        }
    }
}
