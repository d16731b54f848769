//! The clock of a BMC: its certificates, logs and sessions are only as good as that.

use std::time::Duration;

use bmc::redfish::RedfishClient;
use driver::{DriverError, Retry};
use model::{JsonObject, Timestamp};
use provision::ErrorCode;
use redfish::Clock;
use serde_json::Value;

use crate::redfish_access::failed;

/// A clock may be wrong by as much.
const TOLERANCE: Duration = Duration::from_secs(1);
const SECOND: i64 = 1_000_000;
const UTC: &str = "+00:00";

/// What a BMC's clock showed, and between which times it was asked.
struct Reading {
    asked: Timestamp,
    answered: Timestamp,
    clock: Clock,
}

async fn read(client: &RedfishClient) -> Result<Reading, DriverError> {
    let asked = Timestamp::now();
    let clock = client.clock().await.map_err(|error| failed(&error))?;
    Ok(Reading { asked, answered: Timestamp::now(), clock })
}

/// A time as a BMC takes it; without fractions of a second where it shows none.
fn wire(time: Timestamp, whole_seconds: bool) -> String {
    let text = time.to_string();
    match text.split_once('.') {
        Some((seconds, _)) if whole_seconds => format!("{seconds}{UTC}"),
        _ => text,
    }
}

/// The time that a text says; one without an offset is taken for UTC.
fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse().or_else(|_| format!("{text}Z").parse()).ok()
}

impl Reading {
    /// Whether the clock shows whole seconds: it is behind by as much as the second is old then.
    fn is_whole(&self) -> bool {
        self.clock.date_time.as_ref().is_none_or(|text| !text.contains('.'))
    }

    fn time(&self) -> Option<Timestamp> {
        self.clock.date_time.as_deref().and_then(parse)
    }

    /// Whether it shows a time between `from` and `to`, or almost.
    fn shows(&self, from: Timestamp, to: Timestamp) -> bool {
        let begun = if self.is_whole() {
            Timestamp::from_micros(from.as_micros().div_euclid(SECOND) * SECOND)
        } else {
            from
        };
        self.time().is_some_and(|time| begun.minus(TOLERANCE) <= time && time <= to.plus(TOLERANCE))
    }

    fn is_right(&self) -> bool {
        self.shows(self.asked, self.answered)
    }

    fn shown(&self) -> &str {
        self.clock.date_time.as_deref().unwrap_or("nothing")
    }
}

fn wrong(text: String) -> DriverError {
    DriverError::new(ErrorCode::BmcClock, Retry::NeedsOperator, text)
        .hint("Look at the time settings of the BMC: does it follow an NTP server that is wrong?")
}

async fn change(client: &RedfishClient, clock: &Clock) -> Result<(), DriverError> {
    client
        .set_clock(clock)
        .await
        .map_err(|error| wrong(format!("the clock cannot be set: {}", failed(&error))))
}

/// Sets a clock that is wrong by more than a second; fails when that does not help.
pub(super) async fn verify(client: &RedfishClient) -> Result<(), DriverError> {
    let before = read(client).await?;
    if before.is_right() {
        return Ok(());
    }
    tracing::info!(bmc = %client.address(), shows = before.shown(), "the clock of the BMC is wrong: setting it");
    let in_utc = before.clock.local_offset.as_deref() == Some(UTC);
    let now = Clock {
        date_time: Some(wire(Timestamp::now(), before.is_whole())),
        local_offset: (!in_utc).then(|| UTC.to_owned()),
    };
    change(client, &now).await?;
    let after = read(client).await?;
    if after.is_right() {
        return Ok(());
    }
    Err(wrong(format!("the BMC's clock shows {} at {} although it was set.", after.shown(), after.answered)))
}

/// Sets the clock to what the step's arguments say, by default to the present.
pub(super) async fn set(client: &RedfishClient, args: &JsonObject) -> Result<(), DriverError> {
    let offset = text(args, "datetime_local_offset")?;
    if offset.as_deref().is_some_and(|offset| !is_offset(offset)) {
        return Err(DriverError::invalid("datetime_local_offset has to look like +02:00."));
    }
    let given = text(args, "target_datetime")?;
    let target = given.as_deref().map(|text| {
        parse(text).ok_or_else(|| {
            DriverError::invalid("target_datetime has to be a time such as 2026-11-22T10:00:00+00:00.")
        })
    });
    let target = target.transpose()?;
    let before = read(client).await?;
    let sent = Timestamp::now();
    let target = target.unwrap_or(sent);
    let clock = Clock { date_time: Some(wire(target, before.is_whole())), local_offset: offset };
    change(client, &clock).await?;
    let after = read(client).await?;
    // It has run on since.
    if after.shows(target, target.plus(after.answered.since(sent))) {
        return Ok(());
    }
    Err(wrong(format!("the BMC's clock shows {} after it was set to {}.", after.shown(), wire(target, true))))
}

fn text(args: &JsonObject, key: &str) -> Result<Option<String>, DriverError> {
    match args.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(DriverError::invalid(format!("{key} has to be a text."))),
    }
}

/// `+HH:MM` or `-HH:MM`.
fn is_offset(text: &str) -> bool {
    let shape = |(index, byte): (usize, u8)| match index {
        0 => matches!(byte, b'+' | b'-'),
        3 => byte == b':',
        _ => byte.is_ascii_digit(),
    };
    text.len() == 6 && text.bytes().enumerate().all(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(text: &str, asked: &str, answered: &str) -> Reading {
        let clock = Clock { date_time: Some(text.to_owned()), local_offset: None };
        Reading { asked: asked.parse().unwrap(), answered: answered.parse().unwrap(), clock }
    }

    #[test]
    fn a_clock_is_right_within_a_second_of_the_question_and_its_answer() {
        let right = |text| reading(text, "2026-11-22T10:00:05.9Z", "2026-11-22T10:00:07Z").is_right();
        // What shows whole seconds may be almost one behind by itself.
        for good in [
            "2026-11-22T10:00:04Z",
            "2026-11-22T12:00:08+02:00",
            "2026-11-22T10:00:06",
            "2026-11-22T10:00:04.95Z",
        ] {
            assert!(right(good), "{good}");
        }
        for bad in [
            "2026-11-22T10:00:03Z",
            "2026-11-22T10:00:09Z",
            "2026-11-22T10:00:04.8Z",
            "0000-00-00T00:00:00Z",
            "",
        ] {
            assert!(!right(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_set_has_the_fractions_that_are_shown() {
        let time = "2026-11-22T10:00:05.25Z".parse().unwrap();
        assert_eq!(wire(time, true), "2026-11-22T10:00:05+00:00");
        assert_eq!(wire(time, false), "2026-11-22T10:00:05.250000+00:00");
        assert!(is_offset("-05:30") && !is_offset("UTC") && !is_offset("+2:00") && !is_offset("+02.00"));
    }
}
