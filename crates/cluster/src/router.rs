//! The conductors of all hosts as one: a request goes to whoever works on the node, else to whoever is in charge of it; in this
//! process when that is here, over the bus otherwise.
//!
//! Reads one row to find out, by its key, and none where there is but one process. Knows no transport.

use std::sync::Arc;
use std::time::Duration;

use conductor_api::{Conductors, HardwareRequests, InspectionReport, Lookup, Reply, RequestError};
use db::{Db, DbError, NodeKey, Scope};
use model::{AllocationUuid, HardwareType, MacAddr, Node, NodeUuid, Timestamp};
use tokio::time::Instant;

use crate::bus::{Bus, BusError};
use crate::measure;
use crate::wire::{self, Asked, Carried, Outcome, Request, WireError};
use crate::{Members, for_each_request};

/// How long a request waits for its answer, where the configuration does not say.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// Addresses of a machine that are looked up for its node: those after them are of the same machine.
const ADDRESSES: usize = 16;

/// All conductors of a site.
#[derive(Clone)]
pub struct Router {
    db: Db,
    members: Members,
    here: Option<Here>,
    bus: Option<Arc<dyn Bus>>,
    patience: Duration,
}

/// The conductor of this process.
#[derive(Clone)]
struct Here {
    host: String,
    conductors: Arc<dyn Conductors>,
}

/// Where a request is to be done.
enum Place<'a> {
    Here(&'a dyn Conductors),
    There(String),
}

impl Router {
    /// Of the conductors that `members` knows.
    pub fn new(db: Db, members: Members) -> Self {
        Self { db, members, here: None, bus: None, patience: PATIENCE }
    }

    /// With the conductor of this process, which is asked without a bus.
    #[must_use]
    pub fn with_conductor(mut self, host: &str, conductors: Arc<dyn Conductors>) -> Self {
        self.here = Some(Here { host: host.to_owned(), conductors });
        self
    }

    /// With the way to the other ones. Without it, every request is for the conductor of this process.
    #[must_use]
    pub fn with_bus(mut self, bus: Arc<dyn Bus>) -> Self {
        self.bus = Some(bus);
        self
    }

    /// With another limit on the time that a request of another host may take.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The conductor of this process, when there is no way to any other.
    fn alone(&self) -> Option<Place<'_>> {
        let here = self.here.as_ref().filter(|_| self.bus.is_none())?;
        Some(Place::Here(&*here.conductors))
    }

    fn place(&self, host: String) -> Place<'_> {
        match &self.here {
            Some(here) if here.host == host => Place::Here(&*here.conductors),
            _ => Place::There(host),
        }
    }

    /// Who works on the node, or is in charge of it.
    fn place_of(&self, node: &Node) -> Result<Place<'_>, RequestError> {
        let now = Timestamp::now();
        let lease = node.lease.as_ref().filter(|lease| lease.expires_at > now);
        let holder =
            lease.filter(|lease| self.members.is_alive(&lease.holder)).map(|lease| lease.holder.clone());
        let host = holder.or_else(|| self.members.owner(node)).ok_or_else(|| {
            RequestError::Unavailable(format!(
                "No conductor is in charge of node {}: none that lives offers driver '{}' in conductor group '{}'. Start one, or look why it stopped.",
                node.uuid, node.driver, node.conductor_group
            ))
        })?;
        Ok(self.place(host))
    }

    async fn holder_of(&self, node: &NodeUuid) -> Result<Place<'_>, RequestError> {
        if let Some(place) = self.alone() {
            return Ok(place);
        }
        let found = self.find(NodeKey::Uuid(*node)).await?;
        self.place_of(&found.ok_or_else(|| RequestError::NotFound(node.to_string()))?)
    }

    async fn who_knows(&self, lookup: &Lookup) -> Result<Place<'_>, RequestError> {
        self.holder_of_machine(lookup.node_uuid, &lookup.addresses).await
    }

    async fn who_inspects(&self, report: &InspectionReport) -> Result<Place<'_>, RequestError> {
        self.holder_of_machine(report.node_uuid, &report.addresses).await
    }

    /// The conductor for a machine that says what it knows of itself; any, when no node is found: that one judges.
    async fn holder_of_machine(
        &self,
        node: Option<NodeUuid>,
        addresses: &[MacAddr],
    ) -> Result<Place<'_>, RequestError> {
        if let Some(place) = self.alone() {
            return Ok(place);
        }
        let addresses = addresses.iter().take(ADDRESSES).copied().map(NodeKey::Address);
        for key in node.map(NodeKey::Uuid).into_iter().chain(addresses) {
            if let Some(found) = self.find(key).await? {
                return self.place_of(&found);
            }
        }
        self.someone()
    }

    #[expect(clippy::unused_async, reason = "as its siblings, which read the store")]
    async fn who_offers(&self, driver: &str) -> Result<Place<'_>, RequestError> {
        let mut hosts = self.members.hosts_of(driver);
        let ours = self.here.as_ref().is_some_and(|here| hosts.contains(&here.host));
        match hosts.pop().filter(|_| !ours && self.bus.is_some()) {
            Some(host) => Ok(self.place(host)),
            // Nobody offers it: whoever is asked says so as always.
            None => self.someone(),
        }
    }

    #[expect(clippy::unused_async, reason = "as its siblings, which read the store")]
    async fn anyone(&self, _allocation: &AllocationUuid) -> Result<Place<'_>, RequestError> {
        self.someone()
    }

    fn someone(&self) -> Result<Place<'_>, RequestError> {
        if let Some(here) = &self.here {
            return Ok(Place::Here(&*here.conductors));
        }
        let any = self.members.alive().into_iter().next();
        any.map(|host| self.place(host)).ok_or_else(|| {
            let text = "No conductor lives. Start one, or look why it stopped.";
            RequestError::Unavailable(text.to_owned())
        })
    }

    async fn find(&self, key: NodeKey) -> Result<Option<Node>, RequestError> {
        self.db.get_node(&key, &Scope::All).await.map_err(|error| store_failed(&error))
    }

    /// Asks the conductor on another host.
    async fn ask<T: Carried + 'static>(&self, host: &str, request: Request) -> Result<T, RequestError> {
        let method = request.method();
        let Some(bus) = &self.bus else {
            return Err(RequestError::Unavailable(format!(
                "The conductor on host {host} is in charge, and this host has no way to it: configure [messaging], or a PostgreSQL database, on all hosts."
            )));
        };
        let asked = Asked { deadline: Timestamp::now().plus(self.patience), request };
        let text = wire::seal(&asked).map_err(|error| unsendable(&error))?;
        drop(asked);
        let began = Instant::now();
        let answer = tokio::select! {
            answer = bus.request(host, text, began + self.patience) => answer,
            () = self.death_of(host) => Err(BusError::Silent),
        };
        let outcome = if answer.is_ok() { "answered" } else { "unreachable" };
        measure::ASKED.observe(&[method, outcome], began.elapsed());
        let text = match answer {
            Ok(text) => text,
            Err(error) => return Err(self.unreachable(host, method, &error).await),
        };
        let unreadable = |error: &WireError| {
            RequestError::Unavailable(format!(
                "The answer of the conductor on host {host} cannot be read: {error}."
            ))
        };
        match wire::open::<Outcome>(&text).map_err(|error| unreadable(&error))? {
            Outcome::Refused(error) => Err(error),
            Outcome::Done(raw) => {
                let form = wire::read::<T::Form>(raw.get()).map_err(|error| unreadable(&error))?;
                T::unpack(form, &self.db).await
            }
        }
    }

    /// Waits until the conductor on `host` is taken for dead.
    async fn death_of(&self, host: &str) {
        let mut looks = self.members.looks();
        while self.members.is_alive(host) {
            if looks.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// What the caller is told of a conductor that did not answer: which, since when, and what to do.
    async fn unreachable(&self, host: &str, method: &str, error: &BusError) -> RequestError {
        tracing::warn!(host, method, %error, "a conductor could not be asked");
        let seen = self.db.get_conductor(host).await.ok().flatten().and_then(|row| row.updated_at);
        let seen = seen.map_or_else(String::new, |at| {
            let ago = Timestamp::now().since(at).as_secs();
            format!(" Its last sign of life came {ago} seconds ago, at {at}.")
        });
        let next = if error.maybe_begun() {
            "Whether it was done is not known: look at the node before trying again."
        } else {
            "Nothing was begun: try again."
        };
        RequestError::Unavailable(format!(
            "The conductor on host {host} could not be asked: {error}.{seen} {next} If this goes on, look whether the service runs there, and into its log."
        ))
    }
}

fn store_failed(error: &DbError) -> RequestError {
    RequestError::Unavailable(error.to_string())
}

fn unsendable(error: &WireError) -> RequestError {
    match error {
        WireError::TooLong { .. } => RequestError::Invalid(format!("The request is too large: {error}.")),
        error => RequestError::Internal(error.to_string()),
    }
}

macro_rules! methods {
    ($($name:ident $method:ident [$by:ident $key:ident]
        { $($(#[$meta:meta])* $arg:ident: $type:ty,)* } -> $reply:ty;)*) => {$(
        fn $method(&self, $($arg: $type),*) -> Reply<'_, $reply> {
            Box::pin(async move {
                match self.$by(&$key).await? {
                    Place::Here(conductors) => conductors.$method($($arg),*).await,
                    Place::There(host) => self.ask(&host, Request::$name { $($arg),* }).await,
                }
            })
        }
    )*};
}

macro_rules! route {
    ({ $($conductors:tt)* } { $($hardware:tt)* }) => {
        impl Conductors for Router {
            fn conductor_of(&self, node: &Node) -> Option<String> {
                self.members.owner(node)
            }

            fn hardware_types(&self) -> Arc<[HardwareType]> {
                self.members.hardware_types()
            }

            fn hosts_of(&self, hardware_type: &str) -> Vec<String> {
                self.members.hosts_of(hardware_type)
            }

            methods! { $($conductors)* }
        }

        impl HardwareRequests for Router {
            methods! { $($hardware)* }
        }
    };
}

for_each_request!(route);

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let here = self.here.as_ref().map(|here| here.host.as_str());
        f.debug_struct("Router").field("here", &here).field("bus", &self.bus).finish_non_exhaustive()
    }
}
