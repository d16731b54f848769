//! Bodies of error replies (contract/errors.md, section 1).
//!
//! Clients expect `error_message` to be a string that holds JSON again; the shape of the inner JSON says where the
//! error arose.

use serde_json::json;

/// Who is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request: 4xx.
    Client,
    /// The service: 5xx.
    Server,
}

impl Fault {
    /// The fault that an HTTP status stands for.
    pub const fn of_status(status: u16) -> Self {
        if status < 500 { Self::Client } else { Self::Server }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "Client",
            Self::Server => "Server",
        }
    }
}

/// The body of an error that a handler found.
pub fn envelope(status: u16, text: &str) -> String {
    let inner =
        json!({"faultcode": Fault::of_status(status).as_str(), "faultstring": text, "debuginfo": null});
    json!({"error_message": inner.to_string()}).to_string()
}

/// The body of an error found before any handler: no route, no such method, no such version.
pub fn routing_error(status: u16, title: &str, text: &str) -> String {
    let inner = json!({"code": status, "title": title, "description": text});
    json!({"error_message": inner.to_string()}).to_string()
}

/// The body of an error about the body's size or depth: not wrapped.
pub fn flat_fault(status: u16, text: &str) -> String {
    json!({"faultcode": Fault::of_status(status).as_str(), "faultstring": text}).to_string()
}

/// The body of a failed HTTP basic authentication.
pub fn basic_auth_error(status: u16, text: &str) -> String {
    json!({"error": {"message": text, "code": status}}).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_envelope_is_encoded_twice() {
        let outer: Value = serde_json::from_str(&envelope(404, "Node \"x\" could not be found.")).unwrap();
        let inner: Value = serde_json::from_str(outer["error_message"].as_str().unwrap()).unwrap();
        assert_eq!(inner["faultcode"], "Client");
        assert_eq!(inner["faultstring"], "Node \"x\" could not be found.");
        assert!(inner["debuginfo"].is_null());
        assert!(envelope(500, "x").contains("Server"));
    }
}
