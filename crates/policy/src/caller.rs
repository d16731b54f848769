//! Who calls, as rules see it.

use crate::TokenScope;

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The user's name or identifier.
    pub user: Option<String>,
    /// The user's domain.
    pub user_domain: Option<String>,
    /// The project that the user acts for.
    pub project: Option<String>,
    /// Its name.
    pub project_name: Option<String>,
    /// Its domain.
    pub project_domain: Option<String>,
    /// The domain that the user acts for.
    pub domain: Option<String>,
    /// The roles held in what the user acts for, those included that follow from others.
    pub roles: Vec<String>,
    /// Whether the roles hold for the whole system.
    pub system: bool,
    /// Whether the project is the administrators' one; so it is where nothing is said about it.
    pub is_admin_project: bool,
    /// Whether nobody was asked who calls, because the route is open to everybody.
    pub is_public: bool,
    /// The service that passes the request on for the user, if one does.
    pub service: Option<ServiceCaller>,
}

/// A service that passes a request on for a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ServiceCaller {
    /// Its user.
    pub user: Option<String>,
    /// The user's domain.
    pub user_domain: Option<String>,
    /// Its project.
    pub project: Option<String>,
    /// The project's domain.
    pub project_domain: Option<String>,
    /// Its roles.
    pub roles: Vec<String>,
}

impl Default for Caller {
    /// Nobody, without any role.
    fn default() -> Self {
        Self {
            user: None,
            user_domain: None,
            project: None,
            project_name: None,
            project_domain: None,
            domain: None,
            roles: Vec::new(),
            system: false,
            is_admin_project: true,
            is_public: false,
            service: None,
        }
    }
}

/// An attribute of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribute<'c> {
    Text(Option<&'c str>),
    Flag(bool),
    List(&'c [String]),
}

/// The attributes that rules may ask for.
pub(crate) const ATTRIBUTES: &[&str] = &[
    "user_id",
    "user",
    "user_domain_id",
    "project_id",
    "tenant",
    "project_name",
    "project_domain_id",
    "domain_id",
    "roles",
    "system_scope",
    "system",
    "is_admin_project",
    "is_admin",
    "is_public_api",
    "service_user_id",
    "service_user_domain_id",
    "service_project_id",
    "service_project_domain_id",
    "service_roles",
];

impl Caller {
    /// An administrator of the whole system, with the roles that follow from that.
    pub fn administrator(user: Option<String>) -> Self {
        let roles = ["admin", "manager", "member", "reader"].map(str::to_owned).to_vec();
        Self { user, roles, system: true, ..Self::default() }
    }

    /// Nobody, on a route that is open to everybody.
    pub fn public() -> Self {
        Self { is_public: true, ..Self::default() }
    }

    /// What the caller acts for.
    pub fn scope(&self) -> TokenScope {
        match (self.system, &self.domain) {
            (true, _) => TokenScope::System,
            (false, Some(_)) => TokenScope::Domain,
            (false, None) => TokenScope::Project,
        }
    }

    /// The attribute of this name; none of those in [`ATTRIBUTES`] is unknown.
    pub(crate) fn attribute(&self, name: &str) -> Option<Attribute<'_>> {
        let service = self.service.as_ref();
        let of_service = |read: fn(&ServiceCaller) -> Option<&str>| Attribute::Text(service.and_then(read));
        Some(match name {
            "user_id" | "user" => Attribute::Text(self.user.as_deref()),
            "user_domain_id" => Attribute::Text(self.user_domain.as_deref()),
            "project_id" | "tenant" => Attribute::Text(self.project.as_deref()),
            "project_name" => Attribute::Text(self.project_name.as_deref()),
            "project_domain_id" => Attribute::Text(self.project_domain.as_deref()),
            "domain_id" => Attribute::Text(self.domain.as_deref()),
            "roles" => Attribute::List(&self.roles),
            "system_scope" | "system" => Attribute::Text(self.system.then_some("all")),
            "is_admin_project" => Attribute::Flag(self.is_admin_project),
            // Nothing sets it any more; rules that ask for it are answered as they always were.
            "is_admin" => Attribute::Flag(false),
            "is_public_api" => Attribute::Flag(self.is_public),
            "service_user_id" => of_service(|service| service.user.as_deref()),
            "service_user_domain_id" => of_service(|service| service.user_domain.as_deref()),
            "service_project_id" => of_service(|service| service.project.as_deref()),
            "service_project_domain_id" => of_service(|service| service.project_domain.as_deref()),
            "service_roles" => Attribute::List(service.map_or(&[], |service| &service.roles)),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_is_known() {
        let caller = Caller::administrator(Some("ada".to_owned()));
        for name in ATTRIBUTES {
            assert!(caller.attribute(name).is_some(), "{name}");
        }
        assert_eq!(caller.attribute("project_idd"), None);
        assert_eq!(caller.attribute("system_scope"), Some(Attribute::Text(Some("all"))));
    }
}
