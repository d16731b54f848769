//! Which path a request means (contract/errors.md, section 3) and which paths need no credentials.

/// The path under `/v1` that `path` stands for: the prefix may be left out, slashes at the end do not count.
///
/// `strip_json` takes a trailing `.json` away, as versions below 1.91 did.
pub(crate) fn normalise(path: &str, strip_json: bool) -> String {
    let mut path = path.trim_end_matches('/');
    if strip_json && path.trim_start_matches("/v1") != "/openapi.json" {
        path = path.strip_suffix(".json").unwrap_or(path);
    }
    match path {
        "" => "/".to_owned(),
        "/v1" => path.to_owned(),
        _ if path.starts_with("/v1/") => path.to_owned(),
        _ => format!("/v1{path}"),
    }
}

/// Whether a normalised path is open to callers without credentials: discovery, and what ramdisks call.
pub(crate) fn is_public(path: &str) -> bool {
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    match path {
        "/" | "/v1" | "/v1/openapi.json" | "/v1/lookup" | "/v1/continue_inspection" => true,
        _ => {
            path.strip_prefix("/v1/heartbeat/").is_some_and(word)
                || path
                    .strip_prefix("/v1/agent/")
                    .and_then(|rest| rest.strip_suffix("/progress"))
                    .is_some_and(word)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_slashes_and_suffixes() {
        for (given, expected) in [
            ("/", "/"),
            ("", "/"),
            ("/v1", "/v1"),
            ("/v1/", "/v1"),
            ("/nodes", "/v1/nodes"),
            ("/v1/nodes/", "/v1/nodes"),
            ("/v1nodes", "/v1/v1nodes"),
        ] {
            assert_eq!(normalise(given, false), expected, "{given}");
        }
        assert_eq!(normalise("/v1/nodes.json", true), "/v1/nodes");
        assert_eq!(normalise("/v1/nodes.json", false), "/v1/nodes.json");
        assert_eq!(normalise("/v1/openapi.json", true), "/v1/openapi.json");
    }

    #[test]
    fn public_paths() {
        for open in ["/", "/v1", "/v1/lookup", "/v1/heartbeat/abc-1", "/v1/agent/abc-1/progress"] {
            assert!(is_public(open), "{open}");
        }
        for closed in
            ["/v1/nodes", "/v1/heartbeat/", "/v1/heartbeat/Node", "/v1/heartbeat/a/b", "/v1/agent/progress"]
        {
            assert!(!is_public(closed), "{closed}");
        }
    }
}
