//! One BMC's session: the queue in front of it, opening, reuse, pacing, and what is tried again. It does not know what
//! the commands mean.

use super::IpmiClient;
use crate::breaker::Breaker;
use crate::error::{Error, Operation};
use crate::link::{Link, LinkError, resolve};
use crate::measure;
use crate::options::{Credentials, Options, Target};
use crate::pool::PoolInner;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use ipmi::command::chassis::GetChassisStatus;
use ipmi::command::{Command, RawRequest, RawResponse};
use ipmi::{CipherChoice, CipherSuite, ClientError, CompletionCode, Config, Phase, Timing};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// A session heard of within this time is taken to be alive; an older one is tried with a harmless question before a
/// command that must not be sent twice.
const PROVEN: Duration = Duration::from_secs(2);
/// The first pause when a BMC says that it is busy; doubles each time.
const BUSY_PAUSE: Duration = Duration::from_millis(250);
/// However early a BMC forgets sessions, one is reused for so long.
const LEAST_REUSE: Duration = Duration::from_secs(1);

/// What the pool keeps of one BMC.
#[derive(Debug)]
pub(crate) struct Bmc {
    target: Target,
    /// Held while a request is in flight: that is what makes it one at a time.
    slot: AsyncMutex<Slot>,
    breaker: Mutex<Breaker<Error, Credentials>>,
    waiting: Semaphore,
    holds: AtomicUsize,
}

#[derive(Debug)]
struct Slot {
    link: Option<Link>,
    /// Whose session it is.
    credentials: Option<Arc<Credentials>>,
    /// What the BMC agreed to last time, so that it need not be asked again.
    suite: Option<CipherSuite>,
    last_command: Option<Instant>,
    /// A session idle for longer is not trusted any more; learnt when a BMC forgets sessions early.
    max_idle: Duration,
}

/// What sweeping did with a BMC.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Swept {
    /// It has a session or callers, or is remembered as dead.
    InUse,
    /// There is nothing to remember about it.
    Forgettable,
}

impl Bmc {
    pub(crate) fn new(target: Target, options: &Options) -> Self {
        let slot = Slot {
            link: None,
            credentials: None,
            suite: None,
            last_command: None,
            max_idle: options.idle_close,
        };
        Self {
            target,
            slot: AsyncMutex::new(slot),
            breaker: Mutex::default(),
            waiting: Semaphore::new(options.max_waiting.max(1)),
            holds: AtomicUsize::new(0),
        }
    }

    pub(crate) const fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn hold(&self) {
        self.holds.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn release(&self) {
        self.holds.fetch_sub(1, Ordering::Relaxed);
    }

    /// When the session was last used, if there is one and nobody uses it now.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        self.slot.try_lock().ok()?.link.as_ref().map(|link| link.last_used)
    }

    /// Forgets the session without a word to the BMC.
    pub(super) async fn drop_session(&self) {
        self.slot.lock().await.link = None;
    }

    /// Closes the session in order unless someone uses it now; whether there was one to close.
    pub(crate) async fn close_if_unused(&self) -> bool {
        let link = self.slot.try_lock().ok().and_then(|mut slot| slot.link.take());
        let Some(link) = link else { return false };
        link.close().await;
        true
    }

    /// Waits for the request in flight and closes the session in order.
    pub(crate) async fn close(&self) {
        let link = self.slot.lock().await.link.take();
        if let Some(link) = link {
            link.close().await;
        }
    }

    /// Closes a session that was idle for too long, keeps one alive that is held.
    pub(crate) async fn sweep(&self, options: &Options) -> Swept {
        let Ok(mut slot) = self.slot.try_lock() else { return Swept::InUse };
        let Some(link) = &mut slot.link else {
            return if self.breaker().is_open(Instant::now()) { Swept::InUse } else { Swept::Forgettable };
        };
        let idle = link.last_used.elapsed();
        if self.holds.load(Ordering::Relaxed) > 0 {
            let due = idle >= options.keep_alive.min(slot.max_idle / 2);
            if due
                && let Some(link) = &mut slot.link
                && link.request(GetChassisStatus.to_raw(), options.timing.silence).await.is_err()
            {
                tracing::debug!(bmc = %self.target, "session did not survive; the next caller opens another");
                slot.link = None;
            }
        } else if idle >= slot.max_idle
            && let Some(link) = slot.link.take()
        {
            drop(slot);
            link.close().await;
        }
        Swept::InUse
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker<Error, Credentials>> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The remembered error, as an error for this caller.
    fn remembered(&self, credentials: &Credentials) -> Result<(), Error> {
        match self.breaker().check(Instant::now(), credentials) {
            Some((source, probe_in)) => {
                Err(Error::Remembered { target: self.target.clone(), probe_in, source })
            }
            None => Ok(()),
        }
    }

    /// What the caller is told about a failed link.
    fn explain(&self, operation: Operation, credentials: &Credentials, error: LinkError) -> Error {
        let target = self.target.clone();
        match error {
            LinkError::Io(source) if source.kind() == io::ErrorKind::ConnectionRefused => {
                Error::PortClosed { target }
            }
            LinkError::Io(source) => Error::Socket { target, source: Arc::new(source) },
            LinkError::Session(ClientError::Timeout { phase: Phase::Capabilities, sent }) => {
                Error::Unreachable { target, sent }
            }
            LinkError::Session(source @ ClientError::Timeout { .. }) => Error::LoginSilent { target, source },
            LinkError::Session(source) => {
                Error::Login { target, user: credentials.username.as_str().to_owned(), source }
            }
            LinkError::NoAnswer { sent } => Error::NoAnswer { target, operation, sent },
            LinkError::TooLong { bytes } => Error::RequestTooLong { target, operation, bytes },
            LinkError::Lost => Error::NoAnswer { target, operation, sent: 0 },
        }
    }
}

impl IpmiClient {
    /// Sends a request in a session. `repeatable`: it may be sent again in a new session if the old one proves dead.
    pub(super) async fn execute(
        &self,
        operation: Operation,
        request: RawRequest,
        repeatable: bool,
    ) -> Result<RawResponse, Error> {
        let (bmc, pool) = (&*self.bmc, &*self.pool);
        let target = || bmc.target.clone();
        if pool.is_closing() {
            return Err(Error::ShuttingDown { target: target() });
        }
        bmc.remembered(&self.credentials)?;
        let options = &pool.options;
        let began = Instant::now();
        let Ok(_waiting) = bmc.waiting.try_acquire() else {
            return Err(Error::QueueFull { target: target(), waiting: options.max_waiting });
        };
        let patience = options.timing.connect + options.timing.request;
        let Ok(mut slot) = timeout(patience, bmc.slot.lock()).await else {
            return Err(Error::Busy { target: target(), waited: patience });
        };
        // Whoever was before in the queue may have found out that the BMC is dead.
        bmc.remembered(&self.credentials)?;
        let mut turn = Turn { client: self, operation, slot: &mut slot, silent: false };
        let outcome = turn.run(request, repeatable).await;
        let held = bmc.holds.load(Ordering::Relaxed) > 0;
        if pool.is_short_of_room()
            && !held
            && let Some(link) = slot.link.take()
        {
            link.close().await;
        }
        measure::asked("ipmi", began, &outcome);
        outcome
    }
}

/// One caller's turn with the BMC.
struct Turn<'a> {
    client: &'a IpmiClient,
    operation: Operation,
    slot: &'a mut Slot,
    /// The BMC was silent in the session that there was: it has forgotten it, or is dead.
    silent: bool,
}

impl Turn<'_> {
    async fn run(&mut self, request: RawRequest, repeatable: bool) -> Result<RawResponse, Error> {
        let started = Instant::now();
        let mut pause = BUSY_PAUSE;
        loop {
            let response = self.attempt(&request, repeatable).await?;
            let again = match response.completion {
                CompletionCode::NodeBusy | CompletionCode::Initializing => true,
                CompletionCode::ProcessingTimeout => repeatable,
                _ => false,
            };
            if !again || started.elapsed() + pause >= self.options().timing.request {
                return Ok(response);
            }
            sleep(pause).await;
            pause *= 2;
        }
    }

    fn options(&self) -> &Options {
        &self.client.pool.options
    }

    /// One answer, through the session that is there or a new one.
    async fn attempt(&mut self, request: &RawRequest, repeatable: bool) -> Result<RawResponse, Error> {
        self.drop_stale().await;
        if let Some(idle) = self.slot.link.as_ref().map(|link| link.last_used.elapsed()) {
            let proven = idle <= PROVEN || repeatable || self.probe(idle).await;
            // What may be sent again had better be sent in a new session soon.
            let Timing { silence, request: whole, .. } = self.options().timing;
            match self.send(request, if repeatable { silence } else { whole }).await {
                Some(Ok(response)) => {
                    // Trust sessions longer again, step by step.
                    self.slot.max_idle = (self.slot.max_idle * 2).min(self.options().idle_close);
                    return Ok(response);
                }
                Some(Err(error @ LinkError::TooLong { .. })) => return Err(self.explain(error)),
                Some(Err(error)) => {
                    self.forget_link(idle);
                    let unsent = matches!(error, LinkError::Session(_) | LinkError::Lost);
                    if proven && !repeatable && !unsent {
                        return Err(self.explain(error));
                    }
                }
                // The probe found the session dead.
                None => {}
            }
        }
        self.open().await?;
        match self.send(request, self.options().timing.request).await {
            Some(Ok(response)) => Ok(response),
            Some(Err(error)) => {
                self.slot.link = None;
                Err(self.explain(error))
            }
            None => Err(self.explain(LinkError::Lost)),
        }
    }

    fn explain(&self, error: LinkError) -> Error {
        self.client.bmc.explain(self.operation, &self.client.credentials, error)
    }

    /// Closes a session that belongs to someone else or is too old to be trusted.
    async fn drop_stale(&mut self) {
        let other = self.slot.credentials.as_ref().is_some_and(|with| **with != *self.client.credentials);
        if other {
            self.slot.suite = None;
        }
        let old = self.slot.link.as_ref().is_some_and(|link| link.last_used.elapsed() >= self.slot.max_idle);
        if (other || old)
            && let Some(link) = self.slot.link.take()
        {
            link.close().await;
        }
    }

    /// The BMC had forgotten a session after `idle`: reuse the next ones for a shorter time.
    fn forget_link(&mut self, idle: Duration) {
        self.slot.link = None;
        self.silent = true;
        self.slot.max_idle = self.slot.max_idle.min(idle / 2).max(LEAST_REUSE);
    }

    /// Whether the session lives; drops it if not.
    async fn probe(&mut self, idle: Duration) -> bool {
        let silence = self.options().timing.silence;
        let alive = matches!(self.send(&GetChassisStatus.to_raw(), silence).await, Some(Ok(_)));
        if !alive {
            self.forget_link(idle);
        }
        alive
    }

    /// Sends through the session there is, and waits for so long.
    async fn send(
        &mut self,
        request: &RawRequest,
        limit: Duration,
    ) -> Option<Result<RawResponse, LinkError>> {
        self.pace().await;
        let link = self.slot.link.as_mut()?;
        let outcome = link.request(request.clone(), limit).await;
        self.slot.last_command = Some(Instant::now());
        Some(outcome)
    }

    async fn pace(&self) {
        let interval = self.options().min_command_interval;
        if let Some(last) = self.slot.last_command
            && !interval.is_zero()
        {
            sleep_until(last + interval).await;
        }
    }

    /// Opens a session and tells the breaker how that went.
    async fn open(&mut self) -> Result<(), Error> {
        let client = self.client;
        let outcome = self.open_session().await;
        let patience = &client.pool.options.patience;
        client.bmc.breaker().note(Instant::now(), &outcome, &client.credentials, patience);
        let link = outcome?;
        self.slot.suite = Some(link.suite());
        self.slot.credentials = Some(Arc::clone(&client.credentials));
        self.slot.link = Some(link);
        Ok(())
    }

    async fn open_session(&mut self) -> Result<Link, Error> {
        let (target, credentials) = (self.client.bmc.target.clone(), &self.client.credentials);
        let address = match resolve(&target.host, target.port).await {
            Ok(Some(address)) => address,
            Ok(None) => return Err(Error::Resolve { target, source: None }),
            Err(source) => return Err(Error::Resolve { target, source: Some(Arc::new(source)) }),
        };
        let asked = credentials.cipher;
        let known = self.slot.suite.filter(|_| asked == CipherChoice::Negotiate);
        let first = known.map_or(asked, CipherChoice::Only);
        let pool: &PoolInner = &self.client.pool;
        let permit = pool.permit(&target).await?;
        match Link::open(address, self.config(first), permit).await {
            Ok(link) => Ok(link),
            Err(LinkError::Session(ClientError::NoMatchingCipherSuite { .. })) if known.is_some() => {
                // The BMC's settings or firmware changed.
                self.slot.suite = None;
                let permit = pool.permit(&target).await?;
                Link::open(address, self.config(asked), permit).await.map_err(|error| self.explain(error))
            }
            Err(error) => Err(self.explain(error)),
        }
    }

    fn config(&self, cipher: CipherChoice) -> Config {
        let Credentials { username, password, bmc_key, privilege, cipher: _ } =
            (*self.client.credentials).clone();
        let mut timing = self.options().timing;
        if self.silent {
            // A BMC that forgot the session answers at once, and one that is dead was waited for already.
            timing.silence /= 2;
        }
        Config { username, password, bmc_key, privilege, cipher, timing }
    }
}
