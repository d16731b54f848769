//! Which parts of the service run in this process.

use std::str::FromStr;

/// A part of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Answers clients and agents.
    Api,
    /// Works on nodes, and serves images to their agents.
    Conductor,
    /// DHCP, TFTP, and boot files by HTTP.
    Netboot,
}

/// There is no such role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no role: the roles are api, conductor, netboot")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "api" => Ok(Self::Api),
            "conductor" => Ok(Self::Conductor),
            "netboot" => Ok(Self::Netboot),
            other => Err(UnknownRole(other.chars().take(64).collect())),
        }
    }
}

/// The parts that run in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    pub(crate) api: bool,
    pub(crate) conductor: bool,
    pub(crate) netboot: bool,
}

impl Roles {
    /// The whole service in one process.
    pub const ALL: Self = Self { api: true, conductor: true, netboot: true };

    /// These; all when none is named.
    pub fn of(roles: &[Role]) -> Self {
        if roles.is_empty() {
            return Self::ALL;
        }
        Self {
            api: roles.contains(&Role::Api),
            conductor: roles.contains(&Role::Conductor),
            netboot: roles.contains(&Role::Netboot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_role_named_is_all_of_them() {
        assert_eq!(Roles::of(&[]), Roles::ALL);
        let some = Roles::of(&["api".parse().unwrap(), "netboot".parse().unwrap()]);
        assert_eq!(some, Roles { api: true, conductor: false, netboot: true });
        assert!("db".parse::<Role>().unwrap_err().to_string().contains("api, conductor, netboot"));
    }
}
