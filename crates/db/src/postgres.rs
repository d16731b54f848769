//! PostgreSQL: a pool of connections with prepared statements; the synchronous operations run on threads that may
//! block. Wake-ups travel by LISTEN and NOTIFY.

mod bell;
mod errors;
mod listener;
mod session;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use model::NodeUuid;
use tokio::runtime::Handle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

use crate::DbError;
use crate::db::Shared;
use crate::error::Cause;
use crate::session::{Find, Session};
use bell::Bell;
use errors::classify;
use listener::Listener;
use session::PostgresSession;
pub(crate) use session::cell;

/// Connections at most; a default server takes 100 in all.
const CONNECTIONS: usize = 16;
/// How long an operation waits for a connection, and a connection for the server.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon a server that went away without a word is missed: when a connection was idle for so long it is asked, this often,
/// and given up after so many questions, or when what was sent is not confirmed for so long.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_AGAIN: Duration = Duration::from_secs(5);
const KEEPALIVE_TRIES: u32 = 3;
const UNCONFIRMED: Duration = Duration::from_secs(20);
/// What each connection asks of the server, where the address does not say. Bounds of every wait inside it, in milliseconds: a
/// process that stands still or is cut off may be in the midst of a transaction, and what it has locked is free again before
/// others take its work over. And no just-in-time compiler: long lists cross the threshold from which it is started, and read
/// each row but once.
pub const SERVER_LIMITS: &str =
    "-c statement_timeout=60000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=5000 -c jit=off";

/// A server's database.
pub(crate) struct Postgres {
    pool: Pool,
    listener: Listener,
    bell: Arc<Bell>,
    shared: Arc<Shared>,
}

impl Postgres {
    pub(crate) async fn open(url: &str, shared: Arc<Shared>) -> Result<Arc<Self>, DbError> {
        let config = configure(url)?;
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(config.clone(), NoTls, manager))
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .build()
            .map_err(|source| open_error(url, Cause::new(source)))?;
        let mut client = pool.get().await.map_err(errors::of_pool)?;
        crate::migrate::postgres(&mut client).await?;
        let origin = NodeUuid::random().to_string();
        let listener = Listener::start(config, Arc::clone(&shared), origin.clone()).await?;
        let bell = Arc::new(Bell::start(pool.clone(), Arc::clone(&shared), &origin));
        Ok(Arc::new(Self { pool, listener, bell, shared }))
    }

    /// Runs an operation that reads; each statement sees its own snapshot.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn Session) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        self.run(move |session| operation(session)).await
    }

    /// Finds one object: one statement, waited for without a thread of its own.
    pub(crate) async fn find<T>(&self, find: &Find<T>) -> Result<Option<T>, DbError> {
        let client = self.pool.get().await.map_err(errors::of_pool)?;
        session::find(&client, &self.shared, find).await
    }

    /// Runs an operation in a transaction of its own. What decides between two writers is the revision of the row, so
    /// that the default isolation is enough.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn Session) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let bell = Arc::clone(&self.bell);
        self.run(move |session| {
            session.begin();
            match operation(session).and_then(|value| session.commit().map(|()| value)) {
                Ok(value) => {
                    if session.rings() {
                        bell.ring();
                    }
                    Ok(value)
                }
                Err(error) => {
                    // When not even this works the connection is not used again.
                    let _ = session.roll_back();
                    Err(error)
                }
            }
        })
        .await
    }

    /// Operations that wait for a connection.
    pub(crate) fn waiting(&self) -> usize {
        self.pool.status().waiting
    }

    pub(crate) fn close(&self) {
        self.pool.close();
        self.listener.stop();
        self.bell.stop();
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PostgresSession<'_>) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let client = self.pool.get().await.map_err(errors::of_pool)?;
        let shared = Arc::clone(&self.shared);
        let runtime = Handle::current();
        let working = tokio::task::spawn_blocking(move || {
            let mut lent = Lent(Some(client));
            let mut session =
                PostgresSession::new(&runtime, lent.0.as_ref().ok_or(DbError::Closed)?, &shared);
            let result = work(&mut session);
            if !session.in_transaction() {
                // The connection is as it was: the pool may have it back.
                drop(lent.0.take());
            }
            result
        });
        working.await.map_err(|_| DbError::Closed)?
    }
}

/// A connection that is closed, not returned, when an operation ends in the middle of a transaction.
struct Lent(Option<Object>);

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}

fn configure(url: &str) -> Result<Config, DbError> {
    let mut config: Config =
        url.parse().map_err(|source: tokio_postgres::Error| open_error(url, Cause::new(source)))?;
    if config.get_ssl_mode() == SslMode::Require {
        return Err(open_error(url, Cause::new(NoTlsHere)));
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(PATIENCE);
    }
    if config.get_options().is_none() {
        config.options(SERVER_LIMITS);
    }
    if config.get_application_name().is_none() {
        config.application_name("wrought");
    }
    config
        .keepalives_idle(KEEPALIVE)
        .keepalives_interval(KEEPALIVE_AGAIN)
        .keepalives_retries(KEEPALIVE_TRIES);
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNCONFIRMED);
    }
    Ok(config)
}

fn open_error(url: &str, source: Cause) -> DbError {
    let url = crate::DatabaseUrl::Postgres(url.to_owned()).to_string();
    DbError::Open { url, remedy: "check the address of the database in the configuration", source }
}

/// TLS was asked for.
#[derive(Debug, thiserror::Error)]
#[error(
    "this program does not speak TLS to the database yet: use a Unix socket or a network that nobody else is on, without sslmode=require"
)]
struct NoTlsHere;
