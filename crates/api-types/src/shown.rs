//! What of a node a caller is shown (contract/errors.md, section 8). Who is shown what is decided elsewhere.

use model::{Node, Scope};

/// What of nodes a caller is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Whether passwords and the like in `driver_info` and `driver_internal_info` are shown.
    pub driver_secrets: bool,
    /// Whether those in `instance_info` are shown, the configuration drive and the URL of the image included.
    pub instance_secrets: bool,
    /// Of which nodes `last_error` is shown.
    pub last_error: Scope,
    /// Of which nodes `reservation` is shown.
    pub reservation: Scope,
    /// Of which nodes `driver_info` is shown.
    pub driver_info: Scope,
    /// Of which nodes `driver_internal_info` is shown.
    pub driver_internal_info: Scope,
}

impl Default for Shown {
    /// Everything but secrets.
    fn default() -> Self {
        Self {
            driver_secrets: false,
            instance_secrets: false,
            last_error: Scope::All,
            reservation: Scope::All,
            driver_info: Scope::All,
            driver_internal_info: Scope::All,
        }
    }
}

/// What stands in the place of `last_error`.
pub(crate) const LAST_ERROR: &str =
    "** Value Redacted - Requires baremetal:node:get:last_error permission. **";
/// What stands in the place of `reservation`.
pub(crate) const RESERVATION: &str = "** Redacted - requires baremetal:node:get:reservation permission. **";
/// What stands in the place of `driver_info`.
pub(crate) const DRIVER_INFO: &str =
    r#"{"content":"** Redacted - requires baremetal:node:get:driver_info permission. **"}"#;
/// What stands in the place of `driver_internal_info`.
pub(crate) const DRIVER_INTERNAL_INFO: &str =
    r#"{"content":"** Redacted - Requires baremetal:node:get:driver_internal_info permission. **"}"#;

/// Whether `scope` shows the field of `node`.
pub(crate) fn shows(scope: &Scope, node: &Node) -> bool {
    scope.admits(node.owner.as_deref(), node.lessee.as_deref())
}
