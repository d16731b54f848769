//! JSON straight into a byte buffer, without values in between.

use std::io::Write as _;

use model::{JsonObject, MacAddr, Timestamp};
use uuid::Uuid;

/// A buffer that JSON is written to.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An empty buffer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// The bytes written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The bytes written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Text that is JSON already.
    #[inline]
    pub fn raw(&mut self, json: &str) {
        self.0.extend_from_slice(json.as_bytes());
    }

    /// The key of a member of an object; a comma comes before all but the first.
    #[inline]
    pub fn key(&mut self, first: bool, name: &'static str) {
        self.raw(if first { "\"" } else { ",\"" });
        self.raw(name);
        self.raw("\":");
    }

    /// `null`.
    #[inline]
    pub fn null(&mut self) {
        self.raw("null");
    }

    /// A boolean.
    #[inline]
    pub fn flag(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    /// A boolean or null.
    #[inline]
    pub fn opt_flag(&mut self, value: Option<bool>) {
        match value {
            Some(value) => self.flag(value),
            None => self.null(),
        }
    }

    /// A whole number or null.
    pub fn opt_int(&mut self, value: Option<i64>) {
        match value {
            // Writing to a vector cannot fail.
            Some(value) => drop(write!(self.0, "{value}")),
            None => self.null(),
        }
    }

    /// A string, escaped.
    #[inline]
    pub fn text(&mut self, text: &str) {
        self.raw("\"");
        self.escaped(text);
        self.raw("\"");
    }

    /// A string or null.
    #[inline]
    pub fn opt_text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.null(),
        }
    }

    /// A list of strings.
    pub fn texts<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        self.raw("[");
        for (index, text) in texts.into_iter().enumerate() {
            self.raw(if index == 0 { "" } else { "," });
            self.text(text);
        }
        self.raw("]");
    }

    /// A UUID as a string.
    pub fn uuid(&mut self, uuid: Uuid) {
        let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
        self.raw("\"");
        self.0.extend_from_slice(uuid.as_hyphenated().encode_lower(&mut buffer).as_bytes());
        self.raw("\"");
    }

    /// A UUID as a string, or null.
    pub fn opt_uuid(&mut self, uuid: Option<Uuid>) {
        match uuid {
            Some(uuid) => self.uuid(uuid),
            None => self.null(),
        }
    }

    /// An Ethernet address as a string.
    pub fn mac(&mut self, address: MacAddr) {
        self.raw("\"");
        self.raw(address.encode(&mut [0; MacAddr::LENGTH]));
        self.raw("\"");
    }

    /// An object as it was stored.
    pub fn object(&mut self, object: &JsonObject) {
        self.raw(object.as_str());
    }

    /// A time as `2026-11-22T10:00:00.123456+00:00`.
    pub fn time(&mut self, time: Timestamp) {
        const DAY: i64 = 86_400_000_000;
        let (days, micros) = (time.as_micros().div_euclid(DAY), time.as_micros().rem_euclid(DAY));
        let (year, month, day) = civil_date(days);
        let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        self.raw("\"");
        self.digits(year, 4);
        for (before, value) in [("-", month), ("-", day), ("T", hour), (":", minute), (":", second)] {
            self.raw(before);
            self.digits(value, 2);
        }
        self.raw(".");
        self.digits(fraction, 6);
        self.raw("+00:00\"");
    }

    /// A number from 0 on with at least `width` digits, 6 at most: a fifth of the work of `write!`, and lists are full of times.
    fn digits(&mut self, mut value: i64, width: usize) {
        if !(0..1_000_000).contains(&value) {
            // Years that no clock shows. Writing to a vector cannot fail.
            return drop(write!(self.0, "{value:0width$}"));
        }
        let start = self.0.len();
        while value > 0 || self.0.len() < start + width {
            // A remainder by ten is a digit.
            self.0.push(b'0' + u8::try_from(value % 10).unwrap_or_default());
            value /= 10;
        }
        self.0[start..].reverse();
    }

    /// A time or null.
    pub fn opt_time(&mut self, time: Option<Timestamp>) {
        match time {
            Some(time) => self.time(time),
            None => self.null(),
        }
    }

    /// The inside of a string: runs of plain bytes are copied whole.
    #[inline]
    pub(crate) fn escaped(&mut self, text: &str) {
        let bytes = text.as_bytes();
        if is_plain(bytes) { self.raw(text) } else { self.escaped_slowly(bytes) }
    }

    fn escaped_slowly(&mut self, bytes: &[u8]) {
        let mut done = 0;
        for (index, byte) in bytes.iter().enumerate() {
            if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
                continue;
            }
            self.0.extend_from_slice(&bytes[done..index]);
            done = index + 1;
            match byte {
                b'"' => self.raw("\\\""),
                b'\\' => self.raw("\\\\"),
                b'\n' => self.raw("\\n"),
                b'\r' => self.raw("\\r"),
                b'\t' => self.raw("\\t"),
                _ => drop(write!(self.0, "\\u{byte:04x}")),
            }
        }
        self.0.extend_from_slice(&bytes[done..]);
    }
}

/// Whether a string needs no escapes. Looks at every byte, whatever it finds: without branches it looks at many at once.
fn is_plain(text: &[u8]) -> bool {
    let special = |byte: &u8| u8::from(*byte < 0x20) | u8::from(*byte == b'"') | u8::from(*byte == b'\\');
    text.iter().fold(0, |found, byte| found | special(byte)) == 0
}

/// The Gregorian date of a day counted from 1970-01-01: year, month, day.
///
/// The year is taken to begin in March, so that the leap day comes last and months have a fixed pattern of lengths.
fn civil_date(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097; // Days in 400 years.
    let shifted = days + 719_468; // Days from 0000-03-01 to 1970-01-01.
    let (era, day_of_era) = (shifted.div_euclid(ERA), shifted.rem_euclid(ERA));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Writer)) -> String {
        let mut writer = Writer::default();
        write(&mut writer);
        String::from_utf8(writer.into_bytes()).unwrap()
    }

    #[test]
    fn strings_read_back() {
        for text in ["", "plain", "q\"b\\s\n\r\t\u{1}\u{1f}\u{7f}é漢🦀"] {
            let json = written(|w| w.text(text));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn times_are_those_of_the_model() {
        for day in [-800_000, -1, 0, 58, 59, 60, 364, 365, 11_016, 11_017, 20_000, 47_540, 2_000_000] {
            let time = Timestamp::from_micros(day * 86_400_000_000 + 45_296_000_789);
            assert_eq!(written(|w| w.time(time)), format!("\"{time}\""));
        }
    }
}
