//! HTTP basic authentication against users in the store.
//!
//! Passwords are stored as bcrypt hashes, slow to check on purpose. A pair that was checked is remembered for a while
//! as a salted hash, so that clients which send their password with every request are checked once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use db::Db;
use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::Uuid;

use policy::Caller;

use super::{Authenticator, Refusal};

/// How long a checked pair is remembered: so long may a changed or withdrawn password still work.
const REMEMBERED: Duration = Duration::from_mins(1);
/// How many pairs are remembered.
const MAX_REMEMBERED: usize = 1024;
/// How many passwords are checked at once; others wait.
const CHECKS_AT_ONCE: usize = 2;
/// The longest password that bcrypt takes in whole.
const MAX_PASSWORD: usize = 72;
/// A hash that no password has: unknown users take as long to refuse as known ones.
const NOBODY: &str = "$2b$12$abcdefghijklmnopqrstuuQ0GJcFDXDnBqRhfJXuJbGBcHsBqIoye";

/// Users with passwords, all of them administrators.
pub struct HttpBasic {
    db: Db,
    salt: [u8; 16],
    remembered: Mutex<HashMap<String, Remembered>>,
    checks: Semaphore,
}

struct Remembered {
    digest: [u8; 32],
    until: Instant,
}

impl std::fmt::Debug for HttpBasic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpBasic")
    }
}

impl HttpBasic {
    /// Checks callers against the users in `db`.
    pub fn new(db: Db) -> Self {
        Self {
            db,
            salt: *Uuid::new_v4().as_bytes(),
            remembered: Mutex::default(),
            checks: Semaphore::new(CHECKS_AT_ONCE),
        }
    }

    async fn check(&self, user: String, password: String) -> Result<Caller, Refusal> {
        let digest = self.digest(&user, &password);
        if self.is_remembered(&user, &digest) {
            return Ok(Caller::administrator(Some(user)));
        }
        let unavailable = |_| refusal(StatusCode::SERVICE_UNAVAILABLE, "Users cannot be looked up now.");
        let stored = self.db.get_user(&user).await.map_err(unavailable)?;
        let known = stored.is_some();
        let hash = stored.map_or_else(|| NOBODY.to_owned(), |row| row.password_hash.expose().to_owned());
        let _turn = self.checks.acquire().await;
        let verdict = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
        if !(verdict.await.unwrap_or(false) && known) {
            return Err(refusal(StatusCode::UNAUTHORIZED, "Incorrect username or password"));
        }
        self.remember(&user, digest);
        Ok(Caller::administrator(Some(user)))
    }

    fn digest(&self, user: &str, password: &str) -> [u8; 32] {
        let hash = Sha256::new().chain_update(self.salt).chain_update(user).chain_update([0]);
        hash.chain_update(password).finalize().into()
    }

    fn is_remembered(&self, user: &str, digest: &[u8; 32]) -> bool {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered
            .get(user)
            .is_some_and(|row| row.until > Instant::now() && bool::from(row.digest.ct_eq(digest)))
    }

    fn remember(&self, user: &str, digest: [u8; 32]) {
        let now = Instant::now();
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.retain(|_, row| row.until > now);
        }
        if remembered.len() < MAX_REMEMBERED {
            remembered.insert(user.to_owned(), Remembered { digest, until: now + REMEMBERED });
        }
    }
}

impl Authenticator for HttpBasic {
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Caller, Refusal>> {
        Box::pin(async move {
            let (user, password) = credentials(headers)?;
            self.check(user, password).await
        })
    }
}

fn credentials(headers: &HeaderMap) -> Result<(String, String), Refusal> {
    let header = headers
        .get(AUTHORIZATION)
        .ok_or_else(|| refusal(StatusCode::UNAUTHORIZED, "Authorization required"))?;
    let malformed = || refusal(StatusCode::UNAUTHORIZED, "Could not parse the Authorization header");
    let (scheme, encoded) =
        header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(refusal(StatusCode::UNAUTHORIZED, "Only the Basic scheme is accepted"));
    }
    let decoded = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.ok_or_else(malformed)?;
    let (user, password) = decoded.split_once(':').ok_or_else(malformed)?;
    if password.len() > MAX_PASSWORD {
        return Err(refusal(StatusCode::UNAUTHORIZED, "Incorrect username or password"));
    }
    Ok((user.to_owned(), password.to_owned()))
}

fn refusal(status: StatusCode, text: &str) -> Refusal {
    Refusal { status, text: text.to_owned(), challenge: "Basic realm=\"Baremetal API\"".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            credentials(&headers)
        };
        assert_eq!(read("Basic YWRtaW46YTpi").unwrap(), ("admin".to_owned(), "a:b".to_owned()));
        assert!(read("basic YWRtaW46YTpi").is_ok());
        for bad in ["Bearer x", "Basic", "Basic !!", "Basic YWRtaW4="] {
            assert_eq!(read(bad).unwrap_err().status, StatusCode::UNAUTHORIZED, "{bad}");
        }
        assert!(credentials(&HeaderMap::new()).is_err());
    }

    #[test]
    fn the_hash_of_nobody_is_well_formed() {
        assert!(!bcrypt::verify("x", NOBODY).unwrap());
    }
}
