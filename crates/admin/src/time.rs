//! Times for people and programs: RFC 3339.

use statera_model::Millis;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The time in UTC, to the millisecond: `2026-01-21T12:53:19.123Z`.
pub(crate) fn rfc3339(time: Millis) -> String {
    let (year, month, day) = date(time.0 / DAY_MS);
    let ms = time.0 % DAY_MS;
    let (hour, minute, second, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Year, month and day of a day since 1970-01-01.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01, so that a leap day is the last day of its year, and years repeat every 400.
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let leap_days = day_of_era / 1460 + day_of_era / 146_096 - day_of_era / 36_524;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // From March on, five months always have 153 days.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..10 => (400 * era + year_of_era, month + 3),
        _ => (400 * era + year_of_era + 1, month - 9),
    };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_768_999_999_123, "2026-01-21T12:53:19.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(Millis(ms)), expected);
        }
        assert!(rfc3339(Millis(u64::MAX)).ends_with('Z'));
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = date(0);
        for day in 1..200_000 {
            let next = date(day);
            let follows = match next {
                (year, month, 1) if month > 1 => {
                    (year, month - 1) == (last.0, last.1) && last.2 >= 28
                }
                (year, 1, 1) => last == (year - 1, 12, 31),
                (year, month, day) => (year, month, day - 1) == last,
            };
            assert!(follows, "{next:?} after {last:?}");
            last = next;
        }
    }
}
