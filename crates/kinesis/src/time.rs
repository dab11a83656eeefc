//! Times as AWS writes them. All are milliseconds since the Unix epoch.

use std::time::{SystemTime, UNIX_EPOCH};

const DAY_MS: i64 = 86_400_000;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `20150830T123600Z`, as in signatures.
pub(crate) fn basic(ms: i64) -> String {
    let (year, month, day) = civil(ms.div_euclid(DAY_MS));
    let seconds = ms.rem_euclid(DAY_MS) / 1000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{year:04}{month:02}{day:02}T{hours:02}{minutes:02}{:02}Z", seconds % 60)
}

/// `2015-08-30T12:36:00Z`, possibly with a fraction of a second, which is ignored; as credentials expire.
pub(crate) fn parse_extended(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let day = days(date.next()??, date.next()??, date.next()??);
    clock(time.split_once('.').map_or(time, |(whole, _)| whole)).map(|ms| day * DAY_MS + ms)
}

/// `Sun, 30 Aug 2015 12:36:00 GMT`, as in the header `Date`.
pub(crate) fn parse_http(text: &str) -> Option<i64> {
    let mut parts = text.split_once(", ")?.1.strip_suffix(" GMT")?.split(' ');
    let day = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as i64 + 1;
    let year = parts.next()?.parse().ok()?;
    clock(parts.next()?).map(|ms| days(year, month, day) * DAY_MS + ms)
}

/// `12:36:00`.
fn clock(text: &str) -> Option<i64> {
    let mut parts = text.split(':').map(|part| part.parse::<i64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000)
}

/// Days since 1970-01-01. Years begin in March here, so that the day that is there only sometimes is the last one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms_of_aws_are_read_and_written() {
        let ms = 1_440_938_160_000;
        assert_eq!(basic(ms), "20150830T123600Z");
        assert_eq!(parse_extended("2015-08-30T12:36:00Z"), Some(ms));
        assert_eq!(parse_extended("2015-08-30T12:36:00.123Z"), Some(ms));
        assert_eq!(parse_http("Sun, 30 Aug 2015 12:36:00 GMT"), Some(ms));
        for text in ["", "2015-08-30", "2015-08-30T12:36", "T", "x, 30 Foo 2015 12:36:00 GMT"] {
            assert_eq!((parse_extended(text), parse_http(text)), (None, None), "{text}");
        }
    }

    proptest! {
        #[test]
        fn days_and_dates_are_inverse(day in -1_000_000_i64..1_000_000) {
            let (year, month, of_month) = civil(day);
            prop_assert_eq!(days(year, month, of_month), day);
        }
    }
}
