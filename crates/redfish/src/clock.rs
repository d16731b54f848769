//! The manager: the BMC itself, of which the clock is of interest here.

use crate::document::text;
use serde_json::{Map, Value};

/// A BMC's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    /// What it shows, as RFC 3339 text if the BMC is right; nothing when it has no clock.
    pub date_time: Option<String>,
    /// The offset of its local time, as `+02:00`.
    pub local_offset: Option<String>,
}

impl Clock {
    /// Reads a `Manager`.
    pub fn from_value(value: &Value) -> Self {
        Self { date_time: text(value, "DateTime"), local_offset: text(value, "DateTimeLocalOffset") }
    }

    /// The body that sets it to this: what is not given stays.
    pub fn change(&self) -> Value {
        let members = [("DateTime", &self.date_time), ("DateTimeLocalOffset", &self.local_offset)];
        let given = members.into_iter().filter_map(|(key, value)| Some((key, value.clone()?)));
        Value::Object(given.map(|(key, value)| (key.to_owned(), Value::String(value))).collect::<Map<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_clock_is_read_and_set() {
        let manager = json!({"DateTime": "2026-11-22T10:00:00+02:00", "DateTimeLocalOffset": "+02:00"});
        let clock = Clock::from_value(&manager);
        assert_eq!(clock.date_time.as_deref(), Some("2026-11-22T10:00:00+02:00"));
        assert_eq!(clock.change(), manager);
        let none = Clock::from_value(&json!({"DateTime": null}));
        assert_eq!((none.date_time.clone(), none.change()), (None, json!({})));
    }
}
