//! The only place of the agent that reads clocks: seconds since the machine started, and the date.

use std::{
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

static START: OnceLock<(Instant, Duration)> = OnceLock::new();

/// Starts the clock. `uptime` is what the kernel says has passed before.
pub fn start(uptime: Duration) {
    START.get_or_init(|| (now(), uptime));
}

/// Time since the machine (or, as an ordinary process, the agent) started. Never goes back.
pub fn uptime() -> Duration {
    let (begin, before) = *START.get_or_init(|| (now(), Duration::ZERO));
    before + begin.elapsed()
}

/// What `/proc/uptime` says; zero when there is none.
pub fn kernel_uptime() -> Duration {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text.split(' ').next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0);
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "the agent's one reading of the monotonic clock")]
fn now() -> Instant {
    Instant::now()
}

/// Seconds since 1970, by a clock that may be wrong in a machine whose battery is empty.
#[expect(clippy::disallowed_methods, reason = "the agent's one reading of the wall clock")]
pub fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Year, month and day of a number of days since 1970-01-01 (proleptic Gregorian calendar).
pub fn civil(days: i64) -> (i32, u8, u8) {
    // Years begin in March here, so that the leap day is a year's last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (
        i32::try_from(year).unwrap_or(i32::MAX),
        u8::try_from(month).unwrap_or(1),
        u8::try_from(day).unwrap_or(1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_779, (2026, 11, 22)),
            (-1, (1969, 12, 31)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil(days), date, "{days}");
        }
    }

    #[test]
    fn uptime_does_not_go_back() {
        start(Duration::from_secs(5));
        let first = uptime();
        assert!(uptime() >= first);
    }
}
