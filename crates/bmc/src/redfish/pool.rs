//! All Redfish services of a process: one entry an address, and one HTTP client for each kind of trust.

use super::client::RedfishClient;
use super::error::Error;
use super::options::{Address, Credentials, Options, SystemId, Verify};
use super::turn::Bmc;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use reqwest::{Certificate, Client, redirect};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::JoinSet;

/// HTTP clients kept for lists of authorities; with more lists, all are made anew when they are needed.
const MAX_HTTP_CLIENTS: usize = 64;
/// How long a connection is kept for the next request. BMCs' web servers close idle ones after some 5 s and more.
const KEEP_CONNECTION: Duration = Duration::from_secs(4);
/// How many sessions are ended at once at a shutdown.
const LOGOUT_WIDTH: usize = 64;

/// Logins to many BMCs. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct RedfishPool {
    inner: Arc<PoolInner>,
}

#[derive(Debug)]
pub(super) struct PoolInner {
    pub(super) options: Options,
    bmcs: Mutex<HashMap<Address, Arc<Bmc>>>,
    https: Mutex<HashMap<Verify, Client>>,
    closing: AtomicBool,
}

impl RedfishPool {
    /// An empty pool. The process must have a default rustls crypto provider before the first call of a client.
    pub fn new(options: Options) -> Self {
        Self {
            inner: Arc::new(PoolInner {
                options,
                bmcs: Mutex::default(),
                https: Mutex::default(),
                closing: AtomicBool::new(false),
            }),
        }
    }

    /// A machine of the BMC at `address`, as this user; the BMC's only machine without `system`. Nothing is sent yet.
    /// Clients of one address share its login and its turn; a client with other credentials replaces the login when it is
    /// used.
    pub fn client(
        &self,
        address: Address,
        credentials: Credentials,
        system: Option<SystemId>,
    ) -> RedfishClient {
        let mut bmcs = self.inner.bmcs();
        if bmcs.len() >= self.inner.options.max_bmcs && !bmcs.contains_key(&address) {
            // Its session, if any, ends by itself at the BMC.
            bmcs.retain(|_, bmc| Arc::strong_count(bmc) > 1 || bmc.is_dead());
        }
        let bmc = bmcs
            .entry(address)
            .or_insert_with_key(|address| Arc::new(Bmc::new(address.clone(), &self.inner.options)));
        RedfishClient {
            bmc: Arc::clone(bmc),
            pool: Arc::clone(&self.inner),
            credentials: Arc::new(credentials),
            system,
        }
    }

    /// Lets requests in flight end and logs out of all sessions. Later calls of clients fail with
    /// [`Error::ShuttingDown`]. BMCs have room for few sessions, and keep forgotten ones for half an hour.
    pub async fn shutdown(&self) {
        self.inner.closing.store(true, Ordering::Release);
        let bmcs: Vec<_> = self.inner.bmcs().drain().map(|(_, bmc)| bmc).collect();
        let mut tasks = JoinSet::new();
        for bmc in bmcs {
            while tasks.len() >= LOGOUT_WIDTH {
                tasks.join_next().await;
            }
            let pool = Arc::clone(&self.inner);
            tasks.spawn(async move { bmc.close(&pool).await });
        }
        while tasks.join_next().await.is_some() {}
    }
}

impl PoolInner {
    fn bmcs(&self) -> MutexGuard<'_, HashMap<Address, Arc<Bmc>>> {
        self.bmcs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// The HTTP client that trusts `verify`. A client loads all authorities, so it is shared.
    pub(super) fn http(&self, address: &Address, verify: &Verify) -> Result<Client, Error> {
        let mut https = self.https.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = https.get(verify) {
            return Ok(client.clone());
        }
        let client = build(&self.options, verify)
            .map_err(|source| Error::Setup { address: address.clone(), source: Arc::new(source) })?;
        if https.len() >= MAX_HTTP_CLIENTS {
            https.clear();
        }
        https.insert(verify.clone(), client.clone());
        Ok(client)
    }
}

fn build(options: &Options, verify: &Verify) -> Result<Client, reqwest::Error> {
    let builder = Client::builder()
        .http1_only()
        // BMCs are on a network of their own: a proxy from the environment must not see their passwords.
        .no_proxy()
        .referer(false)
        .redirect(redirect::Policy::none())
        .connect_timeout(options.connect)
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(KEEP_CONNECTION)
        .user_agent(concat!("wrought/", env!("CARGO_PKG_VERSION")));
    match verify {
        Verify::System => builder,
        Verify::Nothing => builder.tls_danger_accept_invalid_certs(true),
        Verify::Authorities(pem) => builder.tls_certs_only(Certificate::from_pem_bundle(pem.as_bytes())?),
    }
    .build()
}
