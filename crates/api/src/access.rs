//! Whether the caller may: rules asked about objects, and what lists and replies show.
//!
//! What a caller may not read is not there (404); what it may read and not do is refused (403). Which rules a route asks
//! is told once more in `enforced`, for people and for the test that compares the two.

use api_types::Shown;
use db::Scope;
use model::{Node, NodeUuid, Stake};
use policy::Kind;

use crate::error::ApiError;
use crate::node_part::node_of;
use crate::request::{Request, no_node};

/// The rules for a kind of list.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Who sees all there is.
    pub(crate) all: &'static str,
    /// Who sees what the own project has.
    pub(crate) own: &'static str,
    /// The rules for reading one: no list shows what reading it would not.
    pub(crate) read: &'static [&'static str],
    /// What is listed.
    pub(crate) kind: Kind,
}

/// Lists of nodes.
pub(crate) const NODES: Listing = Listing {
    all: "baremetal:node:list_all",
    own: "baremetal:node:list",
    read: &["baremetal:node:get"],
    kind: Kind::Node,
};

/// Lists of ports.
pub(crate) const PORTS: Listing = Listing {
    all: "baremetal:port:list_all",
    own: "baremetal:port:list",
    read: &["baremetal:node:get", "baremetal:port:get"],
    kind: Kind::Node,
};

/// Lists of portgroups.
pub(crate) const PORTGROUPS: Listing = Listing {
    all: "baremetal:portgroup:list_all",
    own: "baremetal:portgroup:list",
    read: &["baremetal:node:get", "baremetal:portgroup:get"],
    kind: Kind::Node,
};

/// Lists of volume connectors and volume targets.
pub(crate) const VOLUMES: Listing = Listing {
    all: "baremetal:volume:list_all",
    own: "baremetal:volume:list",
    read: &["baremetal:node:get", "baremetal:volume:get"],
    kind: Kind::Node,
};

/// Lists of runbooks.
pub(crate) const RUNBOOKS: Listing = Listing {
    all: "baremetal:runbook:list_all",
    own: "baremetal:runbook:list",
    read: &["baremetal:runbook:get"],
    kind: Kind::Runbook,
};

/// Lists of allocations.
pub(crate) const ALLOCATIONS: Listing = Listing {
    all: "baremetal:allocation:list_all",
    own: "baremetal:allocation:list",
    read: &["baremetal:allocation:get"],
    kind: Kind::Allocation,
};

impl Request {
    /// Which objects of `kind` the rule allows the caller to use.
    pub(crate) fn scope_of(&self, rule: &'static str, kind: Kind) -> &Scope {
        self.decisions.scope(rule, kind)
    }

    /// Whether `rule` allows the caller what it stands for, to `node` if it is about one.
    pub(crate) fn may(&self, rule: &'static str, node: Option<&Node>) -> bool {
        let scope = self.scope_of(rule, Kind::Node);
        match node {
            Some(node) => scope.admits(node.owner.as_deref(), node.lessee.as_deref()),
            None => scope.admits(None, None),
        }
    }

    /// Refuses (403) what `rule` does not allow the caller to do.
    pub(crate) fn authorise(&self, rule: &'static str, node: Option<&Node>) -> Result<(), ApiError> {
        if self.may(rule, node) { Ok(()) } else { Err(denied(rule)) }
    }

    /// Refuses what `rule` does not allow the caller to do to `node`: 403, or 404 when it may not even be read.
    pub(crate) fn authorise_node(&self, rule: &'static str, node: &Node) -> Result<(), ApiError> {
        if !self.may("baremetal:node:get", Some(node)) {
            return Err(no_node(&node.uuid.to_string()));
        }
        self.authorise(rule, Some(node))
    }

    /// Refuses (403) what `rule` does not allow the caller to do to something that belongs to a node it may read. The
    /// node itself is looked at only when the rule asks for its owner or lessee.
    pub(crate) async fn authorise_part(&self, rule: &'static str, node: NodeUuid) -> Result<(), ApiError> {
        match self.scope_of(rule, Kind::Node) {
            Scope::All => Ok(()),
            Scope::Nothing => Err(denied(rule)),
            _ => self.authorise(rule, Some(&node_of(self, node).await?)),
        }
    }

    /// Refuses (403) what `rule` does not allow the caller to do to an object of `kind` that `owner` owns.
    pub(crate) fn authorise_owned(
        &self,
        rule: &'static str,
        kind: Kind,
        owner: Option<&str>,
    ) -> Result<(), ApiError> {
        if self.scope_of(rule, kind).admits(owner, None) { Ok(()) } else { Err(denied(rule)) }
    }

    /// The nodes, and with them what belongs to nodes, that the caller may read.
    pub(crate) fn scope(&self) -> &Scope {
        self.scope_of("baremetal:node:get", Kind::Node)
    }

    /// What a list shows the caller: all there is, or what its project has and it may read. `project` is the one that
    /// the caller asks for; another than its own is refused where it does not see all.
    pub(crate) fn listed(&self, listing: &Listing, project: Option<&str>) -> Result<Scope, ApiError> {
        if self.scope_of(listing.all, listing.kind).admits(None, None) {
            return Ok(Scope::All);
        }
        let own = self.caller().project.as_ref().filter(|own| project.is_none_or(|asked| asked == *own));
        let own = own.ok_or_else(|| denied(listing.all))?;
        if !self.scope_of(listing.own, listing.kind).admits(None, None) {
            return Err(denied(listing.own));
        }
        let owned = match listing.kind {
            Kind::Node => Scope::project(own),
            Kind::Allocation | Kind::Runbook => Scope::Has(Stake::Owner, own.clone()),
        };
        let read = listing.read.iter().map(|rule| self.scope_of(rule, listing.kind).clone());
        Ok(read.fold(owned, Scope::and))
    }

    /// What of nodes the caller is shown.
    pub(crate) fn shown(&self) -> &Shown {
        self.shown.get_or_init(|| self.decide_shown())
    }

    fn decide_shown(&self) -> Shown {
        if self.caller().is_public {
            // Agents need what they are sent, and have no account.
            return Shown::default();
        }
        let beyond = self.scope_of("baremetal:node:get:filter_threshold", Kind::Node);
        let field = |rule| beyond.clone().or(self.scope_of(rule, Kind::Node).clone());
        Shown {
            driver_secrets: self.may("show_password", None),
            instance_secrets: self.may("show_instance_secrets", None),
            last_error: field("baremetal:node:get:last_error"),
            reservation: field("baremetal:node:get:reservation"),
            driver_info: field("baremetal:node:get:driver_info"),
            driver_internal_info: field("baremetal:node:get:driver_internal_info"),
        }
    }
}

/// 403.
fn denied(rule: &str) -> ApiError {
    ApiError::forbidden(format!("Access was denied to the following resource: {rule}"))
}
