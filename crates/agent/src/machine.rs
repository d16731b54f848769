//! The machine that the agent runs on: what it may do to it, and how it stops.
//!
//! As init the agent owns the machine; as an ordinary process (tests, trials) a reboot or power-off only ends the process.

use crate::{inventory::interfaces, netlink::Netlink};
use std::{future::pending, time::Duration};
use tokio::sync::watch;

/// Time for the answer to a command to get out before the machine goes down.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long the agent's server answers after the machine was opened to a rescuer: a conductor that was restarted in between
/// asks again.
const AFTER_RESCUE: Duration = Duration::from_secs(15);

/// How the agent ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The machine boots again.
    Reboot,
    /// The machine is turned off.
    PowerOff,
    /// The machine is cut off from the network and stays on.
    Lockdown,
    /// The machine stays on, in a rescuer's hands, and the agent is not heard of again.
    Rescue,
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    owned: bool,
    macs: Vec<String>,
    ending: watch::Sender<Option<Ending>>,
}

impl Machine {
    /// The agent is init: it may do everything.
    pub fn owned() -> Self {
        Self { owned: true, macs: Vec::new(), ending: watch::Sender::new(None) }
    }

    /// The agent is a guest: endings only end it. `macs`, if any, are shown as the machine's.
    pub fn borrowed(macs: Vec<String>) -> Self {
        Self { owned: false, macs, ending: watch::Sender::new(None) }
    }

    /// MAC addresses of the machine, in the order of its interfaces.
    pub fn macs(&self) -> Vec<String> {
        if self.macs.is_empty() { interfaces::macs() } else { self.macs.clone() }
    }

    /// Whether the agent is init.
    pub fn is_owned(&self) -> bool {
        self.owned
    }

    /// Has the machine end this way, soon: the command that asked for it is answered first.
    pub fn end_soon(&self, ending: Ending) {
        self.ending.send_replace(Some(ending));
    }

    /// Returns when the machine shall end.
    pub async fn ending(&self) -> Ending {
        let mut news = self.ending.subscribe();
        let wanted = news.wait_for(Option::is_some).await.ok().and_then(|ending| *ending);
        let Some(ending) = wanted else { return pending().await };
        tokio::time::sleep(FAREWELL).await;
        ending
    }

    /// Returns when the agent's server has to close: whoever rescues the machine is not to find it.
    pub async fn closing(&self) {
        let mut news = self.ending.subscribe();
        if news.wait_for(|ending| *ending == Some(Ending::Rescue)).await.is_err() {
            pending::<()>().await;
        }
        tokio::time::sleep(AFTER_RESCUE).await;
    }

    /// Ends the machine. Does not return when the agent owns it.
    pub async fn end(&self, ending: Ending) {
        tracing::info!("ending: {ending:?}");
        if !self.owned {
            return;
        }
        match ending {
            Ending::Lockdown => {
                lock_down().await;
                pending::<()>().await;
            }
            Ending::Rescue => {}
            Ending::Reboot => stop(rustix::system::RebootCommand::Restart),
            Ending::PowerOff => stop(rustix::system::RebootCommand::PowerOff),
        }
        // A rescued machine goes on, or the kernel refused: the conductor will use the BMC.
        pending::<()>().await;
    }
}

fn stop(command: rustix::system::RebootCommand) {
    rustix::fs::sync();
    if let Err(errno) = rustix::system::reboot(command) {
        tracing::error!(%errno, "the kernel refuses to stop");
    }
}

/// Takes all network interfaces down.
async fn lock_down() {
    let outcome = async {
        let mut netlink = Netlink::open(0)?;
        for link in netlink.links().await? {
            netlink.set_link(link.index, false).await?;
        }
        std::io::Result::Ok(())
    };
    match outcome.await {
        Ok(()) => tracing::warn!("locked down: all network interfaces are off"),
        Err(error) => tracing::error!(%error, "cannot lock down"),
    }
}
