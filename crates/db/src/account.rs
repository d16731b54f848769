//! Users of the built-in authentication, and settings of the site.

use model::{Secret, Timestamp};

use crate::DbError;
use crate::session::{Session, all, first};
use crate::statement::statements;
use crate::stored::{Stored as _, text};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Name, unique.
    pub name: String,
    /// The password's bcrypt hash.
    pub password_hash: Secret,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the password was changed last.
    pub updated_at: Option<Timestamp>,
}

statements! {
    PUT_USER = "INSERT INTO users (name, password_hash, created_at) VALUES (?1, ?2, ?3) \
        ON CONFLICT (name) DO UPDATE SET password_hash = excluded.password_hash, updated_at = excluded.created_at";
    GET_USER = "SELECT name, password_hash, created_at, updated_at FROM users WHERE name = ?1";
    LIST_USERS = "SELECT name FROM users ORDER BY name";
    DELETE_USER = "DELETE FROM users WHERE name = ?1";
    GET_SETTING = "SELECT value FROM settings WHERE key = ?1";
    PUT_SETTING = "INSERT INTO settings (key, value) VALUES (?1, ?2) \
        ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    ADD_SETTING = "INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING";
}

/// Makes a user, or gives it another password.
pub(crate) fn put_user(session: &mut dyn Session, name: &str, hash: &Secret) -> Result<(), DbError> {
    session.execute((&PUT_USER).into(), &[text(name), text(hash.expose()), Timestamp::now().param()])?;
    Ok(())
}

/// One user.
pub(crate) fn get_user(session: &mut dyn Session, name: &str) -> Result<Option<User>, DbError> {
    first(session, &GET_USER, &[text(name)], |row| {
        Ok(User {
            name: row.take(0)?,
            password_hash: Secret::new(row.take::<String>(1)?),
            created_at: row.take(2)?,
            updated_at: row.take(3)?,
        })
    })
}

/// The names of all users.
pub(crate) fn list_users(session: &mut dyn Session) -> Result<Vec<String>, DbError> {
    all(session, &LIST_USERS, &[], |row| row.take(0))
}

/// Removes a user.
pub(crate) fn delete_user(session: &mut dyn Session, name: &str) -> Result<(), DbError> {
    match session.execute((&DELETE_USER).into(), &[text(name)])? {
        0 => Err(DbError::NotFound { what: "user", key: name.to_owned() }),
        _ => Ok(()),
    }
}

/// A setting.
pub(crate) fn get_setting(session: &mut dyn Session, key: &str) -> Result<Option<String>, DbError> {
    first(session, &GET_SETTING, &[text(key)], |row| row.take(0))
}

/// Sets a setting.
pub(crate) fn put_setting(session: &mut dyn Session, key: &str, value: &str) -> Result<(), DbError> {
    session.execute((&PUT_SETTING).into(), &[text(key), text(value)])?;
    Ok(())
}

/// Sets a setting unless it is there; its value afterwards. Two who start together agree on one value.
pub(crate) fn setting_or(session: &mut dyn Session, key: &str, value: &str) -> Result<String, DbError> {
    session.execute((&ADD_SETTING).into(), &[text(key), text(value)])?;
    get_setting(session, key)?.ok_or_else(|| DbError::NotFound { what: "setting", key: key.to_owned() })
}
