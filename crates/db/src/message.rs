//! Messages between processes: each is for one recipient and dropped when nobody took it in time. A wake-up says that there
//! is one.
//!
//! How long a message is wanted is reckoned by the clock of the store alone, since those of the hosts need not agree. It does
//! not know what the messages say.

use std::fmt;
use std::time::Duration;

use crate::DbError;
use crate::session::{Cells, Param, Row, Session, all};
use crate::statement::{placeholders, statements};
use crate::stored::{Stored as _, text};

/// The channel of the wake-ups that say: there is a message for the recipient that is their payload.
pub const MESSAGE_CHANNEL: &str = "messages";

/// A message to send.
#[derive(Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Who is to take it: at most 1,000 bytes.
    pub recipient: String,
    /// Who takes the answer; `None` when none is wanted.
    pub reply_to: Option<String>,
    /// What ties an answer to its question.
    pub correlation: String,
    /// What it says. May hold secrets.
    pub body: String,
    /// For how long it is wanted.
    pub wanted: Duration,
}

/// A message that came.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Grows from message to message.
    pub id: i64,
    /// Who takes the answer.
    pub reply_to: Option<String>,
    /// What ties an answer to its question.
    pub correlation: String,
    /// What it says. May hold secrets.
    pub body: String,
    /// For how long it is still wanted; `None` when it is not.
    pub left: Option<Duration>,
}

/// How long it is, never what it says.
impl fmt::Debug for NewMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewMessage(to {}, {} bytes)", self.recipient, self.body.len())
    }
}

/// How long it is, never what it says.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({}, {} bytes, {:?} left)", self.id, self.body.len(), self.left)
    }
}

statements! {
    SEND = "INSERT INTO messages (recipient, reply_to, correlation, body, expires_at) \
        VALUES (?1, ?2, ?3, ?4, (SELECT micros FROM clock) + ?5)";
    READ = "SELECT id, reply_to, correlation, body, expires_at - (SELECT micros FROM clock) FROM messages \
        WHERE recipient = ?1 ORDER BY id LIMIT ?2";
    PRUNE = "DELETE FROM messages WHERE expires_at < (SELECT micros FROM clock)";
}

/// Sends a message and wakes its recipient.
pub(crate) fn send(session: &mut dyn Session, message: &NewMessage) -> Result<(), DbError> {
    let wanted = i64::try_from(message.wanted.as_micros()).unwrap_or(i64::MAX / 4);
    let params = [
        text(&message.recipient),
        message.reply_to.param(),
        text(&message.correlation),
        text(&message.body),
        Param::Int(wanted),
    ];
    session.execute((&SEND).into(), &params)?;
    session.notify(MESSAGE_CHANNEL, &message.recipient)
}

/// Takes the oldest messages away: nobody else gets them.
pub(crate) fn take(
    session: &mut dyn Session,
    recipient: &str,
    limit: usize,
) -> Result<Vec<Message>, DbError> {
    // Two who take at once never get the same message, and never wait for each other.
    let statement = format!(
        "DELETE FROM messages WHERE id IN \
         (SELECT id FROM messages WHERE recipient = ?1 ORDER BY id LIMIT ?2{}) \
         RETURNING id, reply_to, correlation, body, expires_at - (SELECT micros FROM clock)",
        session.skipping_locked()
    );
    let mut taken = Vec::new();
    session.query((&statement).into(), &[text(recipient), count(limit)], &mut |row| {
        taken.push(decode(row)?);
        Ok(())
    })?;
    taken.sort_by_key(|message| message.id);
    Ok(taken)
}

/// Reads the oldest messages, and leaves them there.
pub(crate) fn read(
    session: &mut dyn Session,
    recipient: &str,
    limit: usize,
) -> Result<Vec<Message>, DbError> {
    all(session, &READ, &[text(recipient), count(limit)], decode)
}

/// Drops these messages. By their numbers, not up to one: a lower number may come up after a higher one.
pub(crate) fn remove(session: &mut dyn Session, ids: &[i64]) -> Result<(), DbError> {
    let statement = format!("DELETE FROM messages WHERE id IN ({})", placeholders(ids.len()));
    let params: Vec<Param<'_>> = ids.iter().map(|id| Param::Int(*id)).collect();
    session.execute((&statement).into(), &params).map(drop)
}

/// Drops what nobody took in time; how many.
pub(crate) fn prune(session: &mut dyn Session) -> Result<u64, DbError> {
    session.execute((&PRUNE).into(), &[])
}

fn count(limit: usize) -> Param<'static> {
    Param::Int(i64::try_from(limit).unwrap_or(i64::MAX))
}

fn decode(row: &Row<'_>) -> Result<Message, DbError> {
    let mut cells = Cells::new(row);
    Ok(Message {
        id: cells.take()?,
        reply_to: cells.take()?,
        correlation: cells.take()?,
        body: cells.take()?,
        left: u64::try_from(cells.take::<i64>()?).ok().filter(|left| *left > 0).map(Duration::from_micros),
    })
}
