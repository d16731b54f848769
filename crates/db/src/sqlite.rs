//! SQLite: readers on the calling thread, one writer thread that commits in groups.

mod checkpoint;
mod connection;
mod readers;
mod session;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use crate::DbError;
use crate::db::Shared;
use crate::session::Session;
pub(crate) use session::cell;

use checkpoint::Checkpoints;
use connection::Connector;
use readers::Readers;
use session::SqliteSession;
use writer::Writer;

/// An open file.
pub(crate) struct Sqlite {
    readers: Readers,
    writer: Writer,
    shared: Arc<Shared>,
}

impl Sqlite {
    pub(crate) async fn open(
        path: PathBuf,
        full_sync: bool,
        shared: Arc<Shared>,
    ) -> Result<Arc<Self>, DbError> {
        let opening = tokio::task::spawn_blocking(move || {
            let connector = Connector::new(path, full_sync);
            let mut connection = connector.create()?;
            crate::migrate::sqlite(&mut connection)?;
            let checkpoints = Checkpoints::start(connector.checkpointer()?)?;
            let writer = Writer::start(connection, Some(checkpoints), Arc::clone(&shared))?;
            Ok(Arc::new(Self { readers: Readers::new(connector), writer, shared }))
        });
        opening.await.map_err(|_| DbError::Closed)?
    }

    /// Opens a file that is there and up to date, to read only: writes fail.
    pub(crate) async fn open_to_read(path: PathBuf, shared: Arc<Shared>) -> Result<Arc<Self>, DbError> {
        let opening = tokio::task::spawn_blocking(move || {
            let connector = Connector::new(path, false);
            let connection = connector.existing()?;
            crate::migrate::sqlite_is_current(&connection)?;
            let writer = Writer::start(connection, None, Arc::clone(&shared))?;
            Ok(Arc::new(Self { readers: Readers::new(connector), writer, shared }))
        });
        opening.await.map_err(|_| DbError::Closed)?
    }

    /// Reads a few rows, on this thread: a hop to another one would cost more than the read.
    pub(crate) async fn read_here<T>(
        &self,
        operation: impl FnOnce(&mut dyn Session) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let reader = self.readers.lend_for_point().await?;
        operation(&mut SqliteSession::new(reader.connection()?, &self.shared.statements))
    }

    /// Reads many rows, on a thread that may block.
    pub(crate) async fn read_apart<T: Send + 'static>(
        self: &Arc<Self>,
        operation: impl FnOnce(&mut dyn Session) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let reader = self.readers.lend_for_scan().await?;
        let shared = Arc::clone(&self.shared);
        let reading = tokio::task::spawn_blocking(move || {
            operation(&mut SqliteSession::new(reader.connection()?, &shared.statements))
        });
        reading.await.map_err(|_| DbError::Closed)?
    }

    /// Queues a write and waits until it is committed.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn Session) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        self.writer.write(operation).await
    }

    /// Writes that wait in the queue.
    pub(crate) fn writes_waiting(&self) -> usize {
        self.writer.waiting()
    }

    pub(crate) async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
    }
}
