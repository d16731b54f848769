//! Connections to a RabbitMQ server (AMQP 0-9-1): where it is, and how a connection that broke is made again.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use lapin::options::ConfirmSelectOptions;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties};
use model::Secret;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long it may take to connect.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a silent server counts as alive, in seconds, where the address does not say (`?heartbeat=`).
const HEARTBEAT: u16 = 10;
/// The first pause between attempts; it doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause between attempts.
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// A connection that lasted so long was a good one: the next attempt follows soon.
const GOOD: Duration = Duration::from_secs(30);
/// How long a connection may take to be closed.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where the server is, and who we are to it. Cheap enough to clone.
#[derive(Clone)]
pub struct Broker {
    uri: AMQPUri,
    ca: Option<String>,
    name: String,
}

/// The text is not the address of a broker. It is not quoted: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not the address of a message broker: expected amqp://user:password@host:port/vhost, or amqps:// for TLS; in user, password and vhost, '/' is written %2f"
)]
pub struct InvalidBroker;

impl Broker {
    /// The broker at `url`. `ca` is the PEM of certificates that its own may be signed by, beside those that the system
    /// trusts; `name` is shown to the broker's operators.
    ///
    /// # Errors
    /// When `url` is none.
    pub fn new(url: &Secret, ca: Option<String>, name: &str) -> Result<Self, InvalidBroker> {
        let mut uri: AMQPUri = url.expose().parse().map_err(|_| InvalidBroker)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        let patience = u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
        uri.query.connection_timeout.get_or_insert(patience);
        Ok(Self { uri, ca, name: name.to_owned() })
    }

    async fn connect(&self) -> lapin::Result<Connection> {
        let properties = ConnectionProperties::default().with_connection_name(self.name.clone().into());
        let tls = OwnedTLSConfig { identity: None, cert_chain: self.ca.clone() };
        let runtime = lapin::runtime::default_runtime()?;
        let connecting = Connection::connect_uri_with_config(self.uri.clone(), properties, tls, runtime);
        let late = |_| lapin::Error::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        tokio::time::timeout(PATIENCE, connecting).await.map_err(late)?
    }

    /// Connects, and again when a connection breaks, until `stop`. The session ends by itself on `stop`.
    pub(crate) async fn keep(self, session: impl Session, stop: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            let began = Instant::now();
            let ended = self.live(&session, &stop).await;
            session.ended();
            if stop.is_cancelled() {
                return;
            }
            self.note(session.name(), ended.err().as_ref());
            pause = if began.elapsed() > GOOD { FIRST_PAUSE } else { (pause * 2).min(LAST_PAUSE) };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    fn note(&self, what: &str, error: Option<&lapin::Error>) {
        let error = error.map(|error| error as &dyn std::error::Error);
        tracing::warn!(broker = %self, what, error, "no connection to the message broker");
    }

    async fn live(&self, session: &impl Session, stop: &CancellationToken) -> lapin::Result<()> {
        let connection = tokio::select! {
            connected = self.connect() => connected?,
            () = stop.cancelled() => return Ok(()),
        };
        let ended = session.live(&connection).await;
        // When not even this works the server finds out by itself.
        let _ = tokio::time::timeout(FAREWELL, connection.close(200, "".into())).await;
        ended
    }
}

/// What is done with a connection.
pub(crate) trait Session: Send + Sync {
    /// For the log.
    fn name(&self) -> &'static str;

    /// Uses the connection until it breaks, or until there is nothing to do any more.
    fn live<'a>(&'a self, connection: &'a Connection) -> BoxFuture<'a, lapin::Result<()>>;

    /// There is no connection any more.
    fn ended(&self);
}

/// A channel on which the broker says what it has taken.
pub(crate) async fn confirming(connection: &Connection) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// Without user, password and parameters.
impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.uri.scheme {
            AMQPScheme::AMQP => "amqp",
            AMQPScheme::AMQPS => "amqps",
        };
        let authority = &self.uri.authority;
        write!(f, "{scheme}://{}:{}/{}", authority.host, authority.port, self.uri.vhost)
    }
}

/// As `Display`: a password never shows.
impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_never_show() {
        let url = Secret::new("amqps://ironic:hunter2@mq.example:5671/site%2fone");
        let broker = Broker::new(&url, None, "test").unwrap();
        assert_eq!(broker.to_string(), "amqps://mq.example:5671/site/one");
        assert!(!format!("{broker:?}").contains("hunter2"));
        for wrong in ["", "http://ironic:hunter2@mq.example", "amqp://ironic:hunter2@mq.example:port"] {
            let error = Broker::new(&Secret::new(wrong), None, "test").unwrap_err();
            assert!(!format!("{error:?} {error}").contains("hunter2"));
        }
    }
}
