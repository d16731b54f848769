//! Messages between processes, and who publishes events, as callers see them.

use std::time::Duration;

use super::{Db, Size};
use crate::{DbError, Message, NewMessage, Term, conductor, message, publisher};

/// Messages between processes.
impl Db {
    /// Sends a message and wakes its recipient, wherever it is. When this fails because the server went away in the middle,
    /// the message may have been sent nevertheless.
    pub async fn send_message(&self, message: NewMessage) -> Result<(), DbError> {
        self.write(move |session| message::send(session, &message)).await
    }

    /// Takes the oldest messages of a recipient, in order. Each is handed out once, to one caller, wanted or not any more;
    /// one that is lost on the way is not handed out again.
    pub async fn take_messages(&self, recipient: &str, limit: usize) -> Result<Vec<Message>, DbError> {
        let recipient = recipient.to_owned();
        self.write(move |session| message::take(session, &recipient, limit)).await
    }

    /// The same, for what only the conductor of this registration may take.
    ///
    /// # Errors
    /// `Fenced`.
    pub async fn take_messages_as(
        &self,
        by: &Term,
        recipient: &str,
        limit: usize,
    ) -> Result<Vec<Message>, DbError> {
        let (by, recipient) = (by.clone(), recipient.to_owned());
        self.write(move |session| {
            conductor::check(session, &by)?;
            message::take(session, &recipient, limit)
        })
        .await
    }

    /// Reads the oldest messages of a recipient, in order, and leaves them there.
    pub async fn read_messages(&self, recipient: &str, limit: usize) -> Result<Vec<Message>, DbError> {
        let recipient = recipient.to_owned();
        self.read(Size::of(limit), move |session| message::read(session, &recipient, limit)).await
    }

    /// Drops the messages with these numbers, at least one.
    pub async fn drop_messages(&self, ids: &[i64]) -> Result<(), DbError> {
        let ids = ids.to_owned();
        self.write(move |session| message::remove(session, &ids)).await
    }

    /// Drops all messages that nobody took in time; how many.
    pub async fn prune_messages(&self) -> Result<u64, DbError> {
        self.write(message::prune).await
    }
}

/// Who publishes events elsewhere.
impl Db {
    /// Asks that `holder` may publish events under `name` for `term`, again and again: the number of the last event that was
    /// published, with the newest one when nobody ever asked. `None` while somebody else is at it.
    pub async fn claim_publishing(
        &self,
        name: &str,
        holder: &str,
        term: Duration,
    ) -> Result<Option<i64>, DbError> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.write(move |session| publisher::claim(session, &name, &holder, term)).await
    }

    /// Notes the last event that `holder` has published, and gives it another `term`; `false` when somebody else has taken
    /// over, so that nothing is noted.
    pub async fn advance_publishing(
        &self,
        name: &str,
        holder: &str,
        position: i64,
        term: Duration,
    ) -> Result<bool, DbError> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.write(move |session| publisher::advance(session, &name, &holder, position, term)).await
    }

    /// Lets another one publish at once.
    pub async fn resign_publishing(&self, name: &str, holder: &str) -> Result<(), DbError> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.write(move |session| publisher::resign(session, &name, &holder)).await
    }
}
