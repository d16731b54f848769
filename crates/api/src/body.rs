//! Request bodies: read within limits, checked for depth, parsed.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::error::ApiError;

/// Nesting of lists and objects that a body may have.
const MAX_DEPTH: usize = 25;
/// Bytes of an ordinary body.
const MAX_BYTES: usize = 1 << 20;
/// Bytes of a provision request, which may carry a config drive.
const MAX_PROVISION_BYTES: usize = 64 << 20;

/// Bytes of what a ramdisk reports, which may carry its logs.
const MAX_INSPECTION_BYTES: usize = 16 << 20;

/// How many bytes the body of a request to the route `path` may have.
pub(crate) fn limit_of(path: &str) -> usize {
    match path {
        "/v1/continue_inspection" => MAX_INSPECTION_BYTES,
        _ if path.ends_with("/states/provision") => MAX_PROVISION_BYTES,
        _ => MAX_BYTES,
    }
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let bytes = match Limited::new(body, limit).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let text = format!("The body may have at most {limit} bytes.");
            return Err(ApiError::body(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        Err(_) => return Err(ApiError::bad_request("The body broke off before its end.")),
    };
    if is_deeper_than(&bytes, MAX_DEPTH) {
        let text = format!("The body may nest lists and objects {MAX_DEPTH} deep at most.");
        return Err(ApiError::body(StatusCode::BAD_REQUEST, text));
    }
    if let Some(number) = unkept_number(&bytes) {
        let text = format!(
            "The body has the whole number {number}: those below {} and above {} cannot be kept, write it as a string.",
            i64::MIN,
            u64::MAX
        );
        return Err(ApiError::body(StatusCode::BAD_REQUEST, text));
    }
    Ok(bytes)
}

/// What is said of a body that did not come in time.
pub(crate) fn too_slow(deadline: Duration) -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        format!("The body did not come within {} s.", deadline.as_secs()),
    )
}

/// Whether JSON text nests deeper than `limit`; other text is judged as if it were JSON.
fn is_deeper_than(text: &[u8], limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// The first whole number in JSON text that would be rounded: it does not fit into 64 bits. Its first digits are enough
/// for a message. One pass over the text, whatever it holds.
fn unkept_number(text: &[u8]) -> Option<String> {
    /// Digits that every number of 64 bits may have.
    const SAFE: usize = 18;
    let (mut in_string, mut escaped, mut at) = (false, false, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'-' | b'0'..=b'9' if !in_string => {
                let is_part = |byte: &&u8| matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let length = text.iter().skip(at).take_while(is_part).count();
                let number = text.get(at..at + length).unwrap_or_default();
                at += length;
                if length > SAFE && number.iter().all(|byte| matches!(byte, b'-' | b'0'..=b'9')) {
                    let number = String::from_utf8_lossy(number);
                    if number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                        return Some(number.chars().take(64).collect());
                    }
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(!is_deeper_than(nested(25).as_bytes(), 25));
        assert!(is_deeper_than(nested(26).as_bytes(), 25));
        assert!(!is_deeper_than(format!("\"\\\"{}\"", nested(30)).as_bytes(), 25));
        assert!(!is_deeper_than("[],".repeat(100).as_bytes(), 25));
    }

    #[test]
    fn numbers() {
        let unkept = |text: &str| unkept_number(text.as_bytes());
        for kept in [
            "18446744073709551615",
            "[-9223372036854775808, 1]",
            r#"{"a": "99999999999999999999999", "b": "x\"99999999999999999999999"}"#,
            "0.33333333333333333333333333",
            "100000000000000000000.5",
            "100000000000000000000e5",
            "1e-0000000000000000000000",
            "not JSON",
            "",
        ] {
            assert_eq!(unkept(kept), None, "{kept}");
        }
        for (text, number) in [
            ("18446744073709551616", "18446744073709551616"),
            (r#"{"a": ["12345678901234567890", -9223372036854775809]}"#, "-9223372036854775809"),
            (r#"{"99999999999999999999999": 99999999999999999999999}"#, "99999999999999999999999"),
        ] {
            assert_eq!(unkept(text).as_deref(), Some(number), "{text}");
        }
        assert_eq!(unkept(&"9".repeat(5000)).map(|number| number.len()), Some(64));
    }

    #[tokio::test]
    async fn size() {
        assert_eq!(read(Body::from("{}"), 2).await.unwrap(), "{}");
        assert_eq!(read(Body::from("{ }"), 2).await.unwrap_err().status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
