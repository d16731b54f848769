//! Keys about who callers are and what they may do.

use std::path::PathBuf;

use serde::Deserialize;

use super::ConfigError;

/// OpenStack's identity service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keystone {
    /// Where it is.
    pub auth_url: Option<String>,
    /// Where callers are told to get tokens.
    pub public_auth_url: Option<String>,
    /// The service's own user.
    pub username: Option<String>,
    /// The domain of that user, by identifier.
    pub user_domain_id: String,
    /// A file with the user's password.
    pub password_file: Option<PathBuf>,
    /// The project of that user.
    pub project_name: Option<String>,
    /// The domain of that project, by identifier.
    pub project_domain_id: String,
    /// An application credential, in the place of user and project.
    pub application_credential_id: Option<String>,
    /// A file with the application credential's secret.
    pub application_credential_secret_file: Option<PathBuf>,
    /// Certificate authorities trusted beside the system's, a file in PEM.
    pub ca_file: Option<PathBuf>,
    /// Seconds for which an answer is remembered.
    pub remember: u64,
    /// Seconds within which Keystone has to answer.
    pub deadline: u64,
    /// Services with one of these roles may pass on requests whose tokens expired on the way.
    pub service_token_roles: Vec<String>,
    /// Whether a service's token without such a role is refused.
    pub service_token_roles_required: bool,
}

impl Default for Keystone {
    fn default() -> Self {
        Self {
            auth_url: None,
            public_auth_url: None,
            username: None,
            user_domain_id: "default".to_owned(),
            password_file: None,
            project_name: None,
            project_domain_id: "default".to_owned(),
            application_credential_id: None,
            application_credential_secret_file: None,
            ca_file: None,
            remember: 300,
            deadline: 10,
            service_token_roles: vec!["service".to_owned()],
            service_token_roles_required: true,
        }
    }
}

impl Keystone {
    /// Whether what is said is enough to ask Keystone, and not contradictory.
    pub(super) fn check(&self, is_used: bool) -> Result<(), ConfigError> {
        let wrong = |text: &str| Err(ConfigError::Contradiction(text.to_owned()));
        if !(1..=3600).contains(&self.deadline) || self.remember > 3600 {
            return wrong("[keystone] deadline is 1 to 3600 seconds and remember 0 to 3600.");
        }
        if !is_used {
            return Ok(());
        }
        let user = [self.username.is_some(), self.password_file.is_some(), self.project_name.is_some()];
        let application =
            [self.application_credential_id.is_some(), self.application_credential_secret_file.is_some()];
        if self.auth_url.is_none() {
            return wrong("[keystone] auth_url is needed with [api] auth = \"keystone\".");
        }
        match (user, application) {
            ([true, true, true], [false, false]) | ([false, false, false], [true, true]) => Ok(()),
            _ => wrong(
                "[keystone] the service needs credentials of its own: username, password_file and project_name, or \
                 application_credential_id and application_credential_secret_file, and not parts of both.",
            ),
        }
    }
}

/// What callers may do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// A file of rules in the format of oslo.policy; it is read again when it changes.
    pub file: Option<PathBuf>,
    /// Users of this project with the role `service` may do what members of the whole system may.
    pub service_project: Option<String>,
    /// Whether administrators of a project may enrol nodes for it, and remove them.
    pub project_admin_can_manage_own_nodes: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { file: None, service_project: None, project_admin_can_manage_own_nodes: true }
    }
}
