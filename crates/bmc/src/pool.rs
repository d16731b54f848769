//! All BMCs of a process: one entry an address, a bound on open sessions, and one task that closes idle sessions and keeps
//! held ones alive.

use crate::client::{Bmc, IpmiClient, Swept};
use crate::error::Error;
use crate::options::{Credentials, Options, Target};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{interval, timeout};

/// How often idle sessions are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// How many sessions are closed or kept alive at once.
const SWEEP_WIDTH: usize = 128;

/// Sessions to many BMCs. Cloning is cheap. Must be created inside a tokio runtime.
#[derive(Debug, Clone)]
pub struct IpmiPool {
    inner: Arc<PoolInner>,
    sweeper: Arc<Sweeper>,
}

#[derive(Debug)]
pub(crate) struct PoolInner {
    pub(crate) options: Options,
    bmcs: Mutex<HashMap<Target, Arc<Bmc>>>,
    permits: Arc<Semaphore>,
    /// Callers who wait for room, with all sessions in use.
    waiting: AtomicUsize,
    closing: AtomicBool,
}

/// The sweeping task; it ends with the last clone of the pool.
#[derive(Debug)]
struct Sweeper(Mutex<Option<JoinHandle<()>>>);

impl Drop for Sweeper {
    fn drop(&mut self) {
        if let Some(task) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

impl IpmiPool {
    /// An empty pool.
    pub fn new(options: Options) -> Self {
        let permits = Arc::new(Semaphore::new(options.max_sessions.clamp(1, Semaphore::MAX_PERMITS)));
        let inner = Arc::new(PoolInner {
            options,
            bmcs: Mutex::default(),
            permits,
            waiting: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
        });
        let task = tokio::spawn(sweep(Arc::downgrade(&inner)));
        Self { inner, sweeper: Arc::new(Sweeper(Mutex::new(Some(task)))) }
    }

    /// The BMC at `target`, as this user. Nothing is sent yet. Clients of one address share its session and its turn;
    /// a client with other credentials replaces the session when it is used.
    pub fn client(&self, target: Target, credentials: Credentials) -> IpmiClient {
        let mut bmcs = self.inner.bmcs();
        let bmc = bmcs
            .entry(target)
            .or_insert_with_key(|target| Arc::new(Bmc::new(target.clone(), &self.inner.options)));
        IpmiClient { bmc: Arc::clone(bmc), pool: Arc::clone(&self.inner), credentials: Arc::new(credentials) }
    }

    /// How many sessions are open or being opened.
    pub fn session_count(&self) -> usize {
        self.inner.options.max_sessions.saturating_sub(self.inner.permits.available_permits())
    }

    /// Lets requests in flight end and closes all sessions. Later calls of clients fail with
    /// [`Error::ShuttingDown`]. Ends within the deadlines of one request and one closing.
    pub async fn shutdown(&self) {
        self.inner.closing.store(true, Ordering::Release);
        let task = self.sweeper.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            // Either it was aborted or it had ended: both are what is wanted.
            let _ended = task.await;
        }
        let bmcs: Vec<_> = self.inner.bmcs().drain().map(|(_, bmc)| bmc).collect();
        in_parallel(bmcs, |bmc| async move { bmc.close().await }).await;
    }
}

impl PoolInner {
    fn bmcs(&self) -> MutexGuard<'_, HashMap<Target, Arc<Bmc>>> {
        self.bmcs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Permission for one more session; makes room by closing the one idle for longest.
    pub(crate) async fn permit(&self, target: &Target) -> Result<OwnedSemaphorePermit, Error> {
        let acquired = timeout(self.options.timing.connect, async {
            loop {
                if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
                    return Ok(permit);
                }
                // Somebody who came later may have taken the room that was made: then more is made.
                if !self.make_room().await {
                    let _waiting = Waiting::new(&self.waiting);
                    return Arc::clone(&self.permits).acquire_owned().await;
                }
            }
        });
        match acquired.await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => {
                Err(Error::TooManySessions { target: target.clone(), limit: self.options.max_sessions })
            }
        }
    }

    /// Whether a session that is not needed any more had better be closed.
    pub(crate) fn is_short_of_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Closes the session idle for longest; whether there was one.
    async fn make_room(&self) -> bool {
        let bmcs: Vec<_> = self.bmcs().values().cloned().collect();
        let mut idle: Vec<_> = bmcs.into_iter().filter_map(|bmc| Some((bmc.idle_since()?, bmc))).collect();
        idle.sort_unstable_by_key(|(since, _)| *since);
        for (_, bmc) in idle {
            // Another one may have closed it meanwhile.
            if bmc.close_if_unused().await {
                return true;
            }
        }
        false
    }
}

/// Counts a caller for as long as it waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn sweep(pool: Weak<PoolInner>) {
    let mut ticks = interval(SWEEP_INTERVAL);
    loop {
        ticks.tick().await;
        let Some(pool) = pool.upgrade() else { return };
        let bmcs: Vec<_> = pool.bmcs().values().cloned().collect();
        let options = &pool.options;
        let inner = Arc::clone(&pool);
        tracing::trace!(bmcs = bmcs.len(), idle_close = ?options.idle_close, "sweep");
        in_parallel(bmcs, move |bmc| {
            let pool = Arc::clone(&inner);
            async move {
                if bmc.sweep(&pool.options).await == Swept::Forgettable {
                    // Two owners are the table and this task: nobody else knows the BMC.
                    let mut bmcs = pool.bmcs();
                    if Arc::strong_count(&bmc) == 2 {
                        bmcs.remove(bmc.target());
                    }
                }
            }
        })
        .await;
    }
}

/// Runs `work` for all, a bounded number at a time, and waits for all.
async fn in_parallel<F: Future<Output = ()> + Send + 'static>(
    bmcs: Vec<Arc<Bmc>>,
    work: impl Fn(Arc<Bmc>) -> F,
) {
    let mut tasks = JoinSet::new();
    for bmc in bmcs {
        while tasks.len() >= SWEEP_WIDTH {
            tasks.join_next().await;
        }
        tasks.spawn(work(bmc));
    }
    while tasks.join_next().await.is_some() {}
}
