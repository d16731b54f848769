//! Who calls: a seam, so that other ways to identify can be plugged in. What a caller may do is said by the policy.

pub(crate) mod basic;
pub(crate) mod keystone;

use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use policy::Caller;

/// Why a request is turned away before it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 401, or 503 when nobody could be asked.
    pub status: StatusCode,
    /// Said to the caller.
    pub text: String,
    /// The `WWW-Authenticate` header; none when it is empty.
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
