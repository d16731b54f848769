//! Paths of resources: what a BMC or a configuration names, checked before it becomes part of a request. Does not know
//! hosts: a link that names one is judged by whoever knows which host was asked.

use core::fmt;
use serde_json::Value;

/// The longest path, in bytes.
pub const MAX_PATH: usize = 1024;

/// An absolute path of a resource on the BMC, with an optional query: `/redfish/v1/Systems/1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourcePath(String);

/// A text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a resource path: it must start with one '/', have no '..', '\\', '#', space or control character, and at most {MAX_PATH} bytes"
)]
pub struct BadPath(pub String);

impl ResourcePath {
    /// Checks a path. A trailing slash goes, since BMCs differ in whether they want it.
    ///
    /// # Errors
    /// [`BadPath`] with the text, cut.
    pub fn new(path: &str) -> Result<Self, BadPath> {
        let trimmed = path.trim();
        let clean = trimmed.trim_end_matches('/');
        let segments = || clean.split('?').next().unwrap_or_default().split('/');
        let usable = trimmed.len() <= MAX_PATH
            && clean.starts_with('/')
            && !clean.starts_with("//")
            && clean.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#'))
            && segments().all(|segment| segment != ".." && segment != ".");
        if usable { Ok(Self(clean.to_owned())) } else { Err(BadPath(path.chars().take(64).collect())) }
    }

    /// The path in the `@odata.id` of `link`, if there is a usable one. Some BMCs write the link as a bare text.
    pub fn of_link(link: &Value) -> Option<Self> {
        let text = link.get("@odata.id").and_then(Value::as_str).or_else(|| link.as_str())?;
        // Fragments lead into a resource; the resource is what can be asked for.
        Self::new(text.split('#').next().unwrap_or_default()).ok()
    }

    /// The path of `name` below this one.
    ///
    /// # Errors
    /// [`BadPath`] when `name` is not a single segment.
    pub fn join(&self, name: &str) -> Result<Self, BadPath> {
        if name.is_empty() || name.contains(['/', '?']) {
            return Err(BadPath(name.chars().take(64).collect()));
        }
        Self::new(&format!("{}/{name}", self.0))
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_stay_on_the_bmc() {
        for bad in [
            "",
            "/",
            "Systems/1",
            "//evil.example/x",
            "http://evil.example/x",
            "/redfish/../etc",
            "/a/./b",
            "/a b",
            "/a\r\nHost: evil",
            "/a\\b",
            "/a#b",
            "/Системы",
        ] {
            assert!(ResourcePath::new(bad).is_err(), "{bad:?}");
        }
        assert!(ResourcePath::new(&format!("/{}", "a".repeat(MAX_PATH))).is_err());
        assert_eq!(ResourcePath::new(" /redfish/v1/Systems/1/ ").unwrap().as_str(), "/redfish/v1/Systems/1");
    }

    #[test]
    fn links_are_read_in_both_forms() {
        let path = ResourcePath::of_link(&json!({"@odata.id": "/redfish/v1/Systems/1#/Boot"})).unwrap();
        assert_eq!((path.as_str(), path.name()), ("/redfish/v1/Systems/1", "1"));
        assert_eq!(ResourcePath::of_link(&json!("/redfish/v1")).unwrap().as_str(), "/redfish/v1");
        assert_eq!(ResourcePath::of_link(&json!({"@odata.id": null})), None);
        assert!(path.join("a/b").is_err() && path.join("..").is_err());
        assert_eq!(path.join("x").unwrap().as_str(), "/redfish/v1/Systems/1/x");
    }
}
