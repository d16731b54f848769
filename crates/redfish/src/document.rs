//! From an answer's bytes to a JSON document, with bounds, and the lenient reading of its members.

use crate::path::ResourcePath;
use serde_json::Value;

/// The longest body that is read, in bytes. The longest resources that matter here (a system with its OEM part) have
/// some 50 KiB.
pub const MAX_DOCUMENT: usize = 1 << 20;
/// The longest text that is taken out of a document, in characters; the rest is cut off.
pub(crate) const MAX_TEXT: usize = 256;

/// An answer is not what Redfish says it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Too long to be read.
    #[error("the body has more than {limit} bytes")]
    TooLong {
        /// The bound.
        limit: usize,
    },
    /// A web page: a proxy in between, or a BMC whose Redfish service is off.
    #[error("the body is a web page, not JSON; check that the address is that of a Redfish service")]
    WebPage,
    /// No JSON.
    #[error("the body is not JSON (line {line}, column {column}); it starts with {start:?}")]
    NotJson {
        /// Where reading failed, from 1.
        line: usize,
        /// Where in the line.
        column: usize,
        /// The first characters.
        start: String,
    },
    /// JSON, but not an object.
    #[error("the body is JSON but not an object")]
    NotObject,
    /// A member that is needed is not there, or has another type.
    #[error("{resource} has no usable {member}")]
    Missing {
        /// The kind of resource.
        resource: &'static str,
        /// The member.
        member: &'static str,
    },
}

/// Reads a body. Nothing at all (`204 No Content`, and what some BMCs send with 200) is an empty object.
///
/// # Errors
/// All of [`DocumentError`] but `Missing`.
pub fn parse(body: &[u8]) -> Result<Value, DocumentError> {
    if body.len() > MAX_DOCUMENT {
        return Err(DocumentError::TooLong { limit: MAX_DOCUMENT });
    }
    // There are BMCs that send a byte order mark, and others that end strings with a NUL.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let body = body.trim_ascii();
    let body = body.strip_suffix(b"\0").unwrap_or(body).trim_ascii();
    if body.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let text = String::from_utf8_lossy(body);
    if text.starts_with('<') {
        return Err(DocumentError::WebPage);
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(DocumentError::NotObject),
        Err(error) => Err(DocumentError::NotJson {
            line: error.line(),
            column: error.column(),
            start: text.chars().take(40).collect(),
        }),
    }
}

/// Where an action of a resource is posted to.
pub(crate) fn action_target(value: &Value, action: &str) -> Option<ResourcePath> {
    ResourcePath::new(value.get("Actions")?.get(action)?.get("target")?.as_str()?).ok()
}

/// A text without control characters and surrounding space, cut to [`MAX_TEXT`]; nothing for an empty one.
pub(crate) fn text(value: &Value, key: &str) -> Option<String> {
    clean(value.get(key)?.as_str()?)
}

/// As [`text`], of a string.
pub(crate) fn clean(text: &str) -> Option<String> {
    let text: String = text.trim().chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
    (!text.is_empty()).then_some(text)
}

/// A list of texts; `None` when the member is not there or no list, so that "not said" and "nothing" differ.
pub(crate) fn texts(value: &Value, key: &str, limit: usize) -> Option<Vec<String>> {
    let list = value.get(key)?.as_array()?;
    Some(list.iter().filter_map(Value::as_str).filter_map(clean).take(limit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_a_document_is_named() {
        assert_eq!(parse(b"").unwrap(), serde_json::json!({}));
        assert_eq!(parse(b"\xef\xbb\xbf{\"a\": 1}\0\n").unwrap(), serde_json::json!({"a": 1}));
        assert_eq!(parse(b" <!DOCTYPE html><html>"), Err(DocumentError::WebPage));
        assert_eq!(parse(b"[1]"), Err(DocumentError::NotObject));
        assert_eq!(parse(&vec![b' '; MAX_DOCUMENT + 1]), Err(DocumentError::TooLong { limit: MAX_DOCUMENT }));
        let error = parse(b"{\"PowerState\": \"On\"").unwrap_err();
        assert!(
            matches!(&error, DocumentError::NotJson { line: 1, start, .. } if start.starts_with("{\"Power"))
        );
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        let deep = [b"{\"a\":".to_vec(), deep, b"}".to_vec()].concat();
        assert!(matches!(parse(&deep), Err(DocumentError::NotJson { .. })));
    }

    #[test]
    fn texts_are_cleaned_and_cut() {
        let value = serde_json::json!({"a": " Dell\r\n Inc. ", "b": "", "c": "x".repeat(1000), "d": 7});
        assert_eq!(text(&value, "a").as_deref(), Some("Dell Inc."));
        assert_eq!(text(&value, "b"), None);
        assert_eq!(text(&value, "c").map(|text| text.len()), Some(MAX_TEXT));
        assert_eq!(text(&value, "d"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _parsed = parse(&bytes);
        }
    }
}
