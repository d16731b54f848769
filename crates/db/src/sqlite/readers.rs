//! The connections that read: opened as needed, lent to one task at a time.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::Connector;
use crate::DbError;

/// Connections at most.
const CONNECTIONS: usize = 12;
/// How many of them scans may take: point reads always find one soon.
const SCANS: usize = 4;

pub(super) struct Readers {
    connector: Connector,
    idle: Arc<Mutex<Vec<Connection>>>,
    points: Arc<Semaphore>,
    scans: Arc<Semaphore>,
}

/// A connection on loan.
pub(super) struct Reader {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    _permit: OwnedSemaphorePermit,
}

impl Readers {
    pub(super) fn new(connector: Connector) -> Self {
        Self {
            connector,
            idle: Arc::default(),
            points: Arc::new(Semaphore::new(CONNECTIONS - SCANS)),
            scans: Arc::new(Semaphore::new(SCANS)),
        }
    }

    pub(super) async fn lend_for_point(&self) -> Result<Reader, DbError> {
        self.lend(Arc::clone(&self.points)).await
    }

    pub(super) async fn lend_for_scan(&self) -> Result<Reader, DbError> {
        self.lend(Arc::clone(&self.scans)).await
    }

    /// Lends nothing any more. Connections on loan are closed when they come back.
    pub(super) fn close(&self) {
        self.points.close();
        self.scans.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn lend(&self, permits: Arc<Semaphore>) -> Result<Reader, DbError> {
        let permit = permits.acquire_owned().await.map_err(|_| DbError::Closed)?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connector.reader()?,
        };
        Ok(Reader { connection: Some(connection), idle: Arc::clone(&self.idle), _permit: permit })
    }
}

impl Reader {
    pub(super) fn connection(&self) -> Result<&Connection, DbError> {
        self.connection.as_ref().ok_or(DbError::Closed)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}
