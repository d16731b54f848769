//! A BMC on a UDP address: the tokio shell of [`ipmi::server`]. The machine behind it is the caller's
//! [`Chassis`]; faults of the network can be switched on.

use core::net::SocketAddr;
use core::num::NonZeroU32;
use core::time::Duration;
use ipmi::server::{Chassis, Server, ServerConfig};
use ipmi::wire::MAX_DATAGRAM;
use rand::{Rng, RngExt};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

/// How a BMC misbehaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Does not answer at all.
    pub deaf: bool,
    /// One in so many datagrams, by chance, is lost in each direction.
    pub lose_one_in: Option<NonZeroU32>,
    /// Thinks for so long before each answer, and does not listen meanwhile.
    pub delay: Duration,
}

/// A BMC that serves until it is shut down or dropped.
#[derive(Debug)]
pub struct IpmiServer<C> {
    shared: Arc<Shared<C>>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared<C> {
    server: Mutex<Server<C>>,
    faults: Mutex<Faults>,
}

impl<C> Shared<C> {
    fn server(&self) -> MutexGuard<'_, Server<C>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Chassis + 'static> IpmiServer<C> {
    /// Binds the address (port 0 takes any) and serves.
    pub async fn bind(address: SocketAddr, config: ServerConfig, chassis: C) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        let address = socket.local_addr()?;
        let random = |buffer: &mut [u8]| rand::rng().fill_bytes(buffer);
        let server = Mutex::new(Server::new(config, chassis, random));
        let shared = Arc::new(Shared { server, faults: Mutex::default() });
        let task = tokio::spawn(serve(socket, Arc::clone(&shared)));
        Ok(Self { shared, address, task })
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Looks at or changes the BMC and the machine behind it. Datagrams wait meanwhile.
    pub fn with<T>(&self, look: impl FnOnce(&mut Server<C>) -> T) -> T {
        look(&mut self.shared.server())
    }

    /// Switches faults on or off.
    pub fn set_faults(&self, faults: Faults) {
        *self.shared.faults() = faults;
    }

    /// Stops serving and frees the address.
    pub async fn shutdown(mut self) {
        self.task.abort();
        // Aborted or ended: either is what is wanted.
        let _ended = (&mut self.task).await;
    }
}

impl<C> Drop for IpmiServer<C> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<C: Chassis>(socket: UdpSocket, shared: Arc<Shared<C>>) {
    let epoch = Instant::now();
    let mut buffer = [0; MAX_DATAGRAM + 1];
    loop {
        let expiry = shared.server().poll_timeout();
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            () = expire(epoch, expiry) => {
                shared.server().handle_timeout(epoch.elapsed());
                log_events(&shared);
                continue;
            }
        };
        // Errors are of earlier answers (a console is gone): not this BMC's business.
        let Ok((len, from)) = received else { continue };
        let faults = *shared.faults();
        if faults.deaf || lost(faults) {
            continue;
        }
        shared.server().handle(epoch.elapsed(), from, &buffer[..len]);
        log_events(&shared);
        if !faults.delay.is_zero() {
            sleep(faults.delay).await;
        }
        answer(&socket, &shared, faults).await;
    }
}

async fn answer<C: Chassis>(socket: &UdpSocket, shared: &Shared<C>, faults: Faults) {
    loop {
        // The lock must not be held while sending.
        let Some((to, datagram)) = shared.server().poll_transmit() else { return };
        if lost(faults) {
            continue;
        }
        if let Err(error) = socket.send_to(&datagram, to).await {
            tracing::debug!(%to, %error, "answer was not sent");
        }
    }
}

async fn expire(epoch: Instant, expiry: Option<Duration>) {
    match expiry {
        Some(expiry) => sleep_until(epoch + expiry).await,
        None => core::future::pending().await,
    }
}

fn lost(faults: Faults) -> bool {
    faults.lose_one_in.is_some_and(|n| rand::rng().random_range(0..n.get()) == 0)
}

fn log_events<C: Chassis>(shared: &Shared<C>) {
    while let Some(event) = { shared.server().poll_event() } {
        tracing::debug!(?event, "BMC");
    }
}
