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

    #[tokio::test]
    async fn size() {
        assert_eq!(read(Body::from("{}"), 2).await.unwrap(), "{}");
        assert_eq!(read(Body::from("{ }"), 2).await.unwrap_err().status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
