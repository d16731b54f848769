//! The HTTP API: routes, authentication, handlers.
//!
//! A request passes `front` (identity, version, headers of every answer), the row of its route in `routes` (gate, size
//! of the body) and one handler of `v1`, which extracts, authorises, makes one call to the store or to the conductors,
//! and answers. What fields there are is known to `api-types`, what a state allows to `rules`, and what a conductor does
//! to nobody here.

mod access;
mod auth;
mod bodies;
mod body;
mod enforced;
mod error;
mod event_feed;
mod front;
mod ident;
mod interfaces;
mod listing;
mod measure;
mod node_filter;
mod node_part;
mod openapi;
mod operation;
mod options;
mod page;
mod params;
mod part_rules;
mod path;
mod query;
mod reply;
mod request;
mod routes;
mod rules;
mod serve;
mod stall;
mod store;
mod v1;

use std::sync::Arc;

use arc_swap::ArcSwap;
use conductor_api::Conductors;
use db::Db;
use policy::Policy;

pub use auth::basic::HttpBasic;
pub use auth::keystone::{Credentials, Keystone, KeystoneOptions, KeystoneSetupError};
pub use auth::{Authenticator, NoAuth, Refusal};
pub use enforced::{BLOCKS, ENFORCED, Enforced, SHOWN, UNASKED};
pub use front::router;
pub use measure::METRICS;
pub use openapi::text as openapi_text;
pub use options::Options;
pub use serve::{ServeLimits, serve};
pub use v1::node_progress::explanation;

/// What handlers work with.
pub struct ApiState {
    /// The store.
    pub db: Db,
    /// Those who work on nodes.
    pub conductors: Arc<dyn Conductors>,
    /// Who a caller is.
    pub authenticator: Arc<dyn Authenticator>,
    /// What a caller may do; exchanged as a whole when the operator changes the rules.
    pub policy: Arc<ArcSwap<Policy>>,
    /// The operator's wishes.
    pub options: Options,
}

impl std::fmt::Debug for ApiState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiState").field("options", &self.options).finish_non_exhaustive()
    }
}
