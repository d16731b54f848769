//! How this process reaches conductors: its own one directly, those of other hosts over a message bus; and others who want
//! to be told.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use cluster::bus::{Bus, Serving};
use cluster::{Answering, Members, Notifier, Router, Watch};
use conductor_api::Conductors;
use db::Db;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::working::Working;
use crate::{messaging, site};

/// The conductors of the site, and who is told of what happens.
pub(crate) struct Reach {
    router: Arc<Router>,
    own_host: Option<String>,
    bus: Option<Arc<dyn Bus>>,
    serving: Option<Serving>,
    notifier: Option<Notifier>,
}

impl Reach {
    /// Finds the conductors, and takes the questions for this process's own one.
    pub(crate) async fn open(
        config: &Config,
        db: &Db,
        working: Option<&Working>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let members = match working {
            Some(working) => working.conductor.members().clone(),
            None => Members::start(db.clone(), watch(config), stop.clone())
                .await
                .context("cannot read the conductors")?,
        };
        let own_host = working.map(|_| site::hostname(config));
        let bus = messaging::bus(config, db)?;
        let patience = Duration::from_secs(config.messaging.request_timeout);
        let mut router = Router::new(db.clone(), members).with_patience(patience);
        if let (Some(working), Some(host)) = (working, &own_host) {
            router = router.with_conductor(host, Arc::clone(&working.conductor) as _);
        }
        if let Some(bus) = &bus {
            router = router.with_bus(Arc::clone(bus));
        }
        let serving = match (&bus, working, &own_host) {
            (Some(bus), Some(working), Some(host)) => {
                let conductor = Arc::clone(&working.conductor);
                let epochs = conductor.epochs();
                Some(bus.serve(host, epochs, Arc::new(Answering::new(conductor, host))))
            }
            _ => None,
        };
        let notifier = messaging::notifier(config, db)?;
        Ok(Self { router: Arc::new(router), own_host, bus, serving, notifier })
    }

    /// All of them, as the API asks them.
    pub(crate) fn conductors(&self) -> Arc<dyn Conductors> {
        Arc::clone(&self.router) as _
    }

    /// The conductor of this process.
    pub(crate) fn own_host(&self) -> Option<String> {
        self.own_host.clone()
    }

    /// Takes no more questions, closes the bus, and tells others no more.
    pub(crate) async fn close(self) {
        if let Some(serving) = self.serving {
            serving.stop().await;
        }
        if let Some(bus) = self.bus {
            bus.close().await;
        }
        if let Some(notifier) = self.notifier {
            notifier.stop().await;
        }
    }
}

fn watch(config: &Config) -> Watch {
    Watch {
        every: Duration::from_secs(config.conductor.sign_of_life),
        lease: Duration::from_secs(config.conductor.lease),
    }
}
