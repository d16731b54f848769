//! Session login (DSP0266 section 13.3.4.2): the body to send and the token to keep.

use serde_json::{Value, json};

/// The header with the token, in answers to logins and in every request after.
pub const TOKEN_HEADER: &str = "X-Auth-Token";
/// The longest token, in bytes.
pub const MAX_TOKEN: usize = 4096;

/// The body of a login. It holds the password: never log it.
pub fn login(username: &str, password: &str) -> Value {
    json!({"UserName": username, "Password": password})
}

/// Whether a text can be a token: printable, not empty, bounded.
pub fn usable_token(token: &str) -> bool {
    !token.is_empty() && token.len() <= MAX_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_fit_into_a_header() {
        assert!(usable_token("0123abc="));
        for bad in ["", "a b", "a\r\nb", &"x".repeat(MAX_TOKEN + 1)] {
            assert!(!usable_token(bad));
        }
        assert_eq!(login("a", "b")["UserName"], "a");
    }
}
