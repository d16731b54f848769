//! Secrets out of stored JSON: the values of telling keys are replaced while the text is copied.
//!
//! The text was checked to be JSON when it was stored, so one pass over its bytes is enough; nothing is parsed but keys
//! with escapes.

use crate::Writer;

/// What is shown in place of a secret.
pub const MASK: &str = "******";

/// Copies the JSON `text` to `out`; values of telling keys, and of top-level keys in `also`, become [`MASK`].
///
/// `text` must be JSON; of other text, no more than itself is read and nothing after an unfinished string is copied.
pub fn write_masked(out: &mut Writer, text: &str, also: &[&str]) {
    let bytes = text.as_bytes();
    let (mut copied, mut at, mut depth) = (0, 0, 0_u32);
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let end = string_end(bytes, at);
                let value = skip_space(bytes, end);
                let is_key = bytes.get(value) == Some(&b':');
                if is_key && is_telling(&text[at..end], depth, also) {
                    let start = skip_space(bytes, value + 1);
                    out.raw(&text[copied..start]);
                    out.text(MASK);
                    copied = value_end(bytes, start);
                    at = copied;
                } else {
                    at = end;
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    out.raw(&text[copied.min(text.len())..]);
}

/// Whether the key, given with its quotes, says that its value is a secret.
fn is_telling(quoted: &str, depth: u32, also: &[&str]) -> bool {
    let decoded;
    let key = if quoted.contains('\\') {
        decoded = serde_json::from_str::<String>(quoted).unwrap_or_default();
        decoded.as_str()
    } else {
        quoted.trim_matches('"')
    };
    (depth == 1 && also.contains(&key)) || (0..key.len()).any(|at| has_telling_word(&key.as_bytes()[at..]))
}

/// Whether a telling word stands at the beginning of `text`, in any case: a key that has one in it has a secret value.
fn has_telling_word(text: &[u8]) -> bool {
    let [first, second, ..] = text else { return false };
    // By their first two letters, which are nearly always others.
    let words: &[&str] = match (first | 0x20, second | 0x20) {
        (b'a', b'd') => &["admin_pass", "adminpass"],
        (b'e', b'n') => &["encrypted_key"],
        (b'n', b'e') => &["new_pass"],
        (b'p', b'a') => &["password", "passwd", "passphrase"],
        (b'p', b'r') => &["private_key"],
        (b'p', b's') => &["pswd"],
        (b's', b'e') => &["secret"],
        (b't', b'o') => &["token"],
        _ => return false,
    };
    let starts =
        |word: &&str| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()));
    words.iter().any(starts)
}

/// The index after the string whose opening quote is at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The index after the value that starts at `start`.
fn value_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_u32);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = string_end(bytes, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn masked(text: &str, also: &[&str]) -> Value {
        let mut out = Writer::default();
        write_masked(&mut out, text, also);
        serde_json::from_slice(out.as_bytes()).unwrap()
    }

    #[test]
    fn telling_keys_lose_their_values() {
        let text = r#"{"ipmi_address": "10.0.0.1", "ipmi_password" : "a\"}b", "nested": {"API_TOKEN": {"x": [1, "}"]}, "n": 1},
            "list": [{"secret": 5}, "password", "x"], "p\u0061ssword": null, "last": true}"#;
        assert_eq!(
            masked(text, &[]),
            json!({"ipmi_address": "10.0.0.1", "ipmi_password": "******", "nested": {"API_TOKEN": "******", "n": 1},
                "list": [{"secret": "******"}, "password", "x"], "password": "******", "last": true})
        );
    }

    #[test]
    fn named_keys_are_masked_at_the_top_only() {
        assert_eq!(
            masked(
                r#"{"configdrive":{"a":"b"},"image_url":"u","deep":{"image_url":"v"}}"#,
                &["configdrive", "image_url"]
            ),
            json!({"configdrive": "******", "image_url": "******", "deep": {"image_url": "v"}})
        );
    }

    #[test]
    fn scalars_end_where_they_should() {
        assert_eq!(masked(r#"{"token":12,"a":1}"#, &[]), json!({"token": "******", "a": 1}));
        assert_eq!(masked(r#"{"a":1,"token":false}"#, &[]), json!({"a": 1, "token": "******"}));
        assert_eq!(masked("{}", &[]), json!({}));
    }

    #[test]
    fn broken_text_does_not_panic() {
        for text in ["{\"password\":\"", "{\"password\"", "\"\\", "{\"token\":"] {
            let mut out = Writer::default();
            write_masked(&mut out, text, &[]);
        }
    }
}
