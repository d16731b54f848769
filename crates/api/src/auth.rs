//! Who calls, and what a caller may do: two seams, so that other ways to identify and other policies can be plugged in.

pub(crate) mod basic;

use db::Scope;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use model::Node;

/// Who sent a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user's name or identifier.
    pub user: Option<String>,
    /// The project that the user acts for.
    pub project: Option<String>,
    /// The roles held in it.
    pub roles: Vec<String>,
    /// Whether the roles hold for the whole system.
    pub system: bool,
}

impl Caller {
    /// An administrator of the whole system.
    pub fn administrator(user: Option<String>) -> Self {
        Self { user, project: None, roles: vec!["admin".to_owned()], system: true }
    }
}

/// Why a request is turned away before it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 401, or 503 when nobody could be asked.
    pub status: StatusCode,
    /// Said to the caller.
    pub text: String,
    /// The `WWW-Authenticate` header.
    pub challenge: String,
}

/// Finds out who calls.
pub trait Authenticator: Send + Sync {
    /// Reads credentials from the headers of a request. Public routes are never asked about.
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Caller, Refusal>>;
}

/// Everybody is an administrator.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAuth;

impl Authenticator for NoAuth {
    fn authenticate<'a>(&'a self, _: &'a HeaderMap) -> BoxFuture<'a, Result<Caller, Refusal>> {
        Box::pin(async { Ok(Caller::administrator(None)) })
    }
}

/// Decides what a caller may do.
pub trait Authorizer: Send + Sync {
    /// Whether `caller` may do what `rule` (as `baremetal:node:update`) stands for, to `node` if it is about one.
    fn allows(&self, caller: &Caller, rule: &'static str, node: Option<&Node>) -> bool;

    /// Which nodes, and what belongs to them, `caller` may see at all.
    fn visible_to(&self, caller: &Caller) -> Scope;
}

/// Callers with a role in the whole system may do everything, others nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemAdmins;

impl Authorizer for SystemAdmins {
    fn allows(&self, caller: &Caller, _: &'static str, _: Option<&Node>) -> bool {
        caller.system
    }

    fn visible_to(&self, caller: &Caller) -> Scope {
        if caller.system { Scope::All } else { Scope::Project(caller.project.clone().unwrap_or_default()) }
    }
}
