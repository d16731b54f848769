//! One BMC and one caller's turn with it: the queue in front, the breaker, what is known of the service, and finding the
//! machine. It does not know what the callers want.

use super::client::RedfishClient;
use super::error::{Error, Operation};
use super::exchange::{Answer, Request};
use super::login::Session;
use super::options::{Address, Credentials, Options, SystemId};
use super::pool::PoolInner;
use crate::breaker::Breaker;
use core::future::Future;
use core::pin::Pin;
use redfish::{DocumentError, Meaning, Members, Quirks, ResourcePath, ServiceRoot, System};
use reqwest::Client;
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::time::{Instant, timeout};

/// What the pool keeps of one BMC.
#[derive(Debug)]
pub(super) struct Bmc {
    pub(super) address: Address,
    /// Held during a call: that is what makes it one request at a time.
    slot: AsyncMutex<Slot>,
    breaker: Mutex<Breaker<Error, Credentials>>,
    waiting: Semaphore,
}

/// What is known of a service.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Whose session it is.
    pub(super) who: Option<Arc<Credentials>>,
    pub(super) session: Option<Session>,
    /// The service proved to have no usable sessions.
    pub(super) basic: bool,
    pub(super) root: Option<ServiceRoot>,
    /// The only machine.
    only: Option<ResourcePath>,
}

/// A resource that was read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) path: ResourcePath,
    pub(super) etag: Option<String>,
    pub(super) value: Value,
}

impl Bmc {
    pub(super) fn new(address: Address, options: &Options) -> Self {
        Self {
            address,
            slot: AsyncMutex::default(),
            breaker: Mutex::default(),
            waiting: Semaphore::new(options.max_waiting.max(1)),
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker<Error, Credentials>> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is remembered as dead.
    pub(super) fn is_dead(&self) -> bool {
        self.breaker().is_open(Instant::now())
    }

    fn remembered(&self, who: &Credentials) -> Result<(), Error> {
        match self.breaker().check(Instant::now(), who) {
            Some((source, probe_in)) => {
                Err(Error::Remembered { address: self.address.clone(), probe_in, source })
            }
            None => Ok(()),
        }
    }

    /// Waits for the call in flight and logs out.
    pub(super) async fn close(&self, pool: &PoolInner) {
        let mut slot = self.slot.lock().await;
        slot.log_out(self, pool).await;
    }
}

/// A call's work during its turn.
pub(super) type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

impl RedfishClient {
    /// Waits for this caller's turn and does `work` in it.
    pub(super) async fn in_turn<T: Send>(
        &self,
        operation: Operation,
        work: impl for<'t> FnOnce(&'t mut Turn<'_>) -> Work<'t, T> + Send,
    ) -> Result<T, Error> {
        let (bmc, options) = (&*self.bmc, &self.pool.options);
        let address = || bmc.address.clone();
        if self.pool.is_closing() {
            return Err(Error::ShuttingDown { address: address() });
        }
        bmc.remembered(&self.credentials)?;
        let began = Instant::now();
        let Ok(_waiting) = bmc.waiting.try_acquire() else {
            return Err(Error::QueueFull { address: address(), waiting: options.max_waiting });
        };
        let Ok(mut slot) = timeout(options.operation, bmc.slot.lock()).await else {
            return Err(Error::Busy { address: address(), waited: options.operation });
        };
        // Whoever was before in the queue may have found out that the BMC is dead.
        bmc.remembered(&self.credentials)?;
        let http = self.pool.http(&bmc.address, &self.credentials.verify)?;
        if slot.who.as_ref().is_some_and(|who| **who != *self.credentials) {
            slot.log_out(bmc, &self.pool).await;
            *slot = Slot::default();
        }
        slot.who = Some(Arc::clone(&self.credentials));
        let mut turn = Turn { client: self, operation, http, slot: &mut slot };
        let outcome = timeout(options.operation, work(&mut turn)).await;
        let outcome = outcome.unwrap_or_else(|_| {
            Err(Error::Slow { address: address(), operation, waited: options.operation })
        });
        crate::measure::asked("redfish", began, &outcome);
        bmc.breaker().note(Instant::now(), &outcome, &self.credentials, &options.patience);
        outcome
    }
}

/// One caller's turn.
pub(super) struct Turn<'a> {
    pub(super) client: &'a RedfishClient,
    pub(super) operation: Operation,
    pub(super) http: Client,
    pub(super) slot: &'a mut Slot,
}

impl Turn<'_> {
    pub(super) fn address(&self) -> &Address {
        &self.client.bmc.address
    }

    pub(super) fn options(&self) -> &Options {
        &self.client.pool.options
    }

    pub(super) fn unusable(&self, source: DocumentError) -> Error {
        Error::Document { address: self.address().clone(), operation: self.operation, source }
    }

    pub(super) fn unsupported(&self, offered: impl Into<String>) -> Error {
        Error::Unsupported {
            address: self.address().clone(),
            operation: self.operation,
            offered: offered.into(),
        }
    }

    /// Reads a resource.
    pub(super) async fn read(&mut self, path: &ResourcePath) -> Result<Read, Error> {
        let Answer { etag, value, .. } = self.exchange(Request::get(path)).await?;
        Ok(Read { path: path.clone(), etag, value })
    }

    /// The service root, which is read once a login.
    pub(super) async fn root(&mut self) -> Result<ServiceRoot, Error> {
        if let Some(root) = &self.slot.root {
            return Ok(root.clone());
        }
        let value = self.read_root().await?;
        let root = ServiceRoot::from_value(&value);
        self.slot.root = Some(root.clone());
        Ok(root)
    }

    /// What is known of this kind of BMC.
    pub(super) async fn quirks(&mut self, system: &System) -> Result<Quirks, Error> {
        let root = self.root().await?;
        Ok(Quirks::of([root.vendor, system.manufacturer.clone()].iter().flatten().map(String::as_str)))
    }

    /// The machine that the client is for.
    pub(super) async fn system(&mut self) -> Result<(Read, System), Error> {
        let known = self.slot.only.is_some();
        let path = self.system_path().await?;
        let read = match self.read(&path).await {
            Err(error) if error.refusal().is_some_and(|fault| fault.meaning() == Meaning::NotFound) => {
                if self.client.system.is_some() {
                    return Err(self.no_such_system(&path).await);
                }
                // The BMC has come to call its machine otherwise.
                self.slot.only = None;
                if !known {
                    return Err(error);
                }
                let path = self.system_path().await?;
                self.read(&path).await?
            }
            outcome => outcome?,
        };
        let system = System::from_value(&read.value).map_err(|source| self.unusable(source))?;
        Ok((read, system))
    }

    async fn system_path(&mut self) -> Result<ResourcePath, Error> {
        let client = self.client;
        match &client.system {
            Some(SystemId::Path(path)) => Ok(path.clone()),
            Some(SystemId::Name(name)) => {
                let collection = self.collection().await?;
                collection.join(name).map_err(|_| Error::NoSuchSystem {
                    address: client.bmc.address.clone(),
                    system: name.clone(),
                    known: Members(Vec::new()),
                })
            }
            None => {
                if let Some(path) = &self.slot.only {
                    return Ok(path.clone());
                }
                let known = self.members().await?;
                let only = known.only().cloned();
                let address = self.address().clone();
                let path = only.ok_or(Error::WhichSystem { address, known })?;
                self.slot.only = Some(path.clone());
                Ok(path)
            }
        }
    }

    async fn collection(&mut self) -> Result<ResourcePath, Error> {
        let root = self.root().await?;
        let missing = DocumentError::Missing { resource: "the service root", member: "Systems" };
        root.systems.ok_or_else(|| self.unusable(missing))
    }

    async fn members(&mut self) -> Result<Members, Error> {
        let collection = self.collection().await?;
        Ok(Members::from_value(&self.read(&collection).await?.value))
    }

    async fn no_such_system(&mut self, path: &ResourcePath) -> Error {
        // The list is advice only: without it the error is the same.
        let known = self.members().await.unwrap_or_else(|_| Members(Vec::new()));
        Error::NoSuchSystem { address: self.address().clone(), system: path.to_string(), known }
    }
}
