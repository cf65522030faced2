//! A point in time as people and files have it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A second of Unix time. It is read and shown as a date and a time of day, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub i64);

const DAY: i64 = 86_400;

impl Moment {
    /// What `2026-11-23 00:20:37` means: with or without seconds, their fraction (which is left out), `T` in between
    /// and `Z` behind. An offset of another zone is not understood.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, clock) = text.trim().split_once([' ', 'T'])?;
        let clock = clock.trim_end_matches("UTC").trim_end().trim_end_matches('Z');
        let clock = clock.split('.').next()?;
        let mut date = date.splitn(3, '-').map(str::parse::<i64>);
        let mut clock = clock.splitn(3, ':').map(str::parse::<i64>);
        let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
        let (hour, minute) = (clock.next()?.ok()?, clock.next()?.ok()?);
        let second = clock.next().transpose().ok()?.unwrap_or(0);
        let valid = (0..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..=60).contains(&second);
        let date = valid.then(|| days(year, month, day))?;
        // The 31st of February is no day.
        let is_a_day = civil(date) == (year, month, day);
        is_a_day.then(|| Self(date * DAY + hour * 3_600 + minute * 60 + second))
    }

    /// As programs write it: `2026-11-23T00:20:37Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let text = self.to_string();
        text.replacen(' ', "T", 1).replacen(" UTC", "Z", 1)
    }

    /// The time of day.
    #[must_use]
    pub fn now() -> Self {
        Self::of(SystemTime::now())
    }

    /// Of a clock.
    #[must_use]
    pub fn of(clock: SystemTime) -> Self {
        let since = clock.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }

    /// So much later.
    #[must_use]
    pub fn plus(self, length: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(length.as_secs()).unwrap_or(i64::MAX)),
        )
    }

    /// So much earlier.
    #[must_use]
    pub fn minus(self, length: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(length.as_secs()).unwrap_or(i64::MAX)),
        )
    }

    /// How long it is from `earlier` to here; nothing if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (day, second) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let (year, month, day) = civil(day);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

/// Days since 1970 of a date. This and the next are Howard Hinnant's algorithms: years that begin in March have their
/// leap day at the end.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The date of a day since 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_since_1970_and_back() {
        for (text, seconds) in [
            ("1970-01-01 00:00:00 UTC", 0),
            ("2000-02-29 12:15:54 UTC", 951_826_554),
            ("2024-03-01 00:00:00 UTC", 1_709_251_200),
            ("2026-11-23 00:20:37 UTC", 1_795_393_237),
            ("1969-12-31 23:59:59 UTC", -1),
        ] {
            assert_eq!(Moment::parse(text), Some(Moment(seconds)), "{text}");
            assert_eq!(Moment(seconds).to_string(), text);
            assert_eq!(Moment::parse(&Moment(seconds).rfc3339()), Some(Moment(seconds)));
        }
        for day in (-200_000..200_000).step_by(37) {
            let (year, month, date) = civil(day);
            assert_eq!(days(year, month, date), day);
        }
    }

    #[test]
    fn what_people_and_catalogs_write_is_understood() {
        for text in [
            "2026-11-23 00:20:37",
            "2026-11-23T00:20:37Z",
            "2026-11-23 00:20:37.25",
            " 2026-11-23 00:20:37 ",
        ] {
            assert_eq!(Moment::parse(text), Some(Moment(1_795_393_237)), "{text}");
        }
        assert_eq!(Moment(1_795_393_237).rfc3339(), "2026-11-23T00:20:37Z");
        assert_eq!(Moment::parse("2024-03-01 00:00"), Some(Moment(1_709_251_200)));
        for text in [
            "",
            "soon",
            "2026-02-31 00:20:37",
            "2026-02-29 00:20:37",
            "2026-11-23",
            "2026-13-01 00:00",
            "2026-01-01 24:00",
            "2026-11-23 00:20:37+01",
            "1-1-1",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }

    #[test]
    fn lengths_are_added_and_taken() {
        let noon = Moment(43_200);
        assert_eq!(noon.plus(Duration::from_secs(60)).since(noon), Duration::from_secs(60));
        assert_eq!(noon.minus(Duration::from_secs(60)), Moment(43_140));
        assert_eq!(noon.since(noon.plus(Duration::from_secs(60))), Duration::ZERO);
        assert_eq!(Moment(i64::MAX).plus(Duration::MAX), Moment(i64::MAX));
    }
}
