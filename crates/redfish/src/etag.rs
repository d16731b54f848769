//! Conditional changes (DSP0266 section 6.5): which `If-Match` headers to try, in which order.

use crate::document::text;
use serde_json::Value;

/// The longest tag that is sent back.
const MAX_ETAG: usize = 256;

/// The tag of a resource: the `ETag` header of its answer, else its `@odata.etag`.
pub fn etag_of(header: Option<&str>, body: &Value) -> Option<String> {
    let usable =
        |tag: &str| !tag.is_empty() && tag.len() <= MAX_ETAG && tag.bytes().all(|b| b.is_ascii_graphic());
    let header = header.map(str::trim).filter(|tag| usable(tag)).map(str::to_owned);
    header.or_else(|| text(body, "@odata.etag").filter(|tag| usable(tag)))
}

/// The `If-Match` headers to try for a change, best first; `None` is no header. The next is tried when the BMC answers
/// 412 (Precondition Failed) or 428 (Precondition Required), and only then.
///
/// Weak tags cannot match by the letter of RFC 9110 section 13.1.1, yet BMCs give them out: some then want the same back,
/// some the strong form, some none at all.
pub fn if_match(etag: Option<&str>) -> Vec<Option<String>> {
    let Some(tag) = etag else { return vec![None, Some("*".to_owned())] };
    let mut headers = vec![Some(tag.to_owned())];
    if let Some(strong) = tag.strip_prefix("W/") {
        headers.push(Some(strong.to_owned()));
    }
    headers.push(Some("*".to_owned()));
    headers.push(None);
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn weak_tags_are_tried_as_given_then_strong_then_any_then_not() {
        let tags: Vec<_> = if_match(Some("W/\"7\""));
        let tags: Vec<_> = tags.iter().map(Option::as_deref).collect();
        assert_eq!(tags, [Some("W/\"7\""), Some("\"7\""), Some("*"), None]);
        assert_eq!(if_match(None), [None, Some("*".to_owned())]);
    }

    #[test]
    fn a_tag_that_cannot_be_a_header_is_none() {
        let body = json!({"@odata.etag": "\"b\""});
        assert_eq!(etag_of(Some("\"h\""), &body).as_deref(), Some("\"h\""));
        assert_eq!(etag_of(None, &body).as_deref(), Some("\"b\""));
        assert_eq!(etag_of(Some("a\r\nb"), &json!({})), None);
        assert_eq!(etag_of(Some(&"x".repeat(300)), &json!({})), None);
    }
}
