//! Range requests (RFC 9110 section 14): one range of bytes; several are refused.

use std::ops::Range;

use http::header::{IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Method};

/// What of a file is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it.
    Whole,
    /// These bytes: not empty, within the file.
    Part(Range<u64>),
    /// Status 416.
    Unsatisfiable,
}

/// Reads the headers. A range that is malformed, of another unit or outdated (`If-Range`) is as if not there.
pub(super) fn select(method: &Method, headers: &HeaderMap, etag: &HeaderValue, size: u64) -> Selection {
    let Some(range) = headers.get(RANGE).filter(|_| *method == Method::GET) else { return Selection::Whole };
    // Dates never match: a second is too coarse to be sure of the bytes.
    if headers.get(IF_RANGE).is_some_and(|validator| validator != etag) {
        return Selection::Whole;
    }
    let Some(spec) = range.to_str().ok().and_then(|text| text.trim().strip_prefix("bytes=")) else {
        return Selection::Whole;
    };
    if spec.contains(',') {
        return Selection::Unsatisfiable;
    }
    let Some((first, last)) = spec.trim().split_once('-') else { return Selection::Whole };
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok());
    let (Some(first), Some(last)) = (number(first), number(last)) else { return Selection::Whole };
    let part = match (first, last) {
        (Some(first), Some(last)) if first > last => return Selection::Whole,
        (Some(first), last) => first..last.map_or(size, |last| size.min(last.saturating_add(1))),
        (None, Some(suffix)) => size.saturating_sub(suffix)..size,
        (None, None) => return Selection::Whole,
    };
    if part.is_empty() { Selection::Unsatisfiable } else { Selection::Part(part) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(range: &str, if_range: Option<&str>, size: u64) -> Selection {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(range) {
            headers.insert(RANGE, value);
        }
        if let Some(validator) = if_range {
            headers.insert(IF_RANGE, HeaderValue::from_str(validator).unwrap());
        }
        select(&Method::GET, &headers, &HeaderValue::from_static("\"a\""), size)
    }

    #[test]
    fn table() {
        use Selection::{Part, Unsatisfiable, Whole};
        for (range, size, expected) in [
            ("bytes=0-0", 10, Part(0..1)),
            ("bytes=0-", 10, Part(0..10)),
            ("bytes=3-5", 10, Part(3..6)),
            ("bytes=3-99", 10, Part(3..10)),
            ("bytes=9-", 10, Part(9..10)),
            ("bytes=-3", 10, Part(7..10)),
            ("bytes=-30", 10, Part(0..10)),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=0-1,3-4", 10, Unsatisfiable),
            ("bytes=0-18446744073709551615", 10, Part(0..10)),
            ("bytes=5-3", 10, Whole),
            ("bytes=-", 10, Whole),
            ("bytes=a-b", 10, Whole),
            ("bytes=+1-2", 10, Whole),
            ("bytes=1", 10, Whole),
            ("lines=0-1", 10, Whole),
        ] {
            assert_eq!(ask(range, None, size), expected, "{range}");
        }
        assert_eq!(ask("bytes=0-0", Some("\"a\""), 10), Part(0..1));
        assert_eq!(ask("bytes=0-0", Some("\"b\""), 10), Whole);
        assert_eq!(ask("bytes=0-0", Some("Sun, 22 Nov 2026 10:00:00 GMT"), 10), Whole);
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_and_never_outside(range in "bytes=[0-9,-]{0,24}", size in 0_u64..100) {
            if let Selection::Part(part) = ask(&range, None, size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }
    }
}
