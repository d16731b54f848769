//! Logging in and out: which kind of login a service gets, and the session's token. It knows the login of one turn.

use super::error::Error;
use super::exchange::{Reply, Request};
use super::options::{Auth, Credentials};
use super::pool::PoolInner;
use super::turn::{Bmc, Slot, Turn};
use core::fmt;
use redfish::{Fault, Meaning, ResourcePath, TOKEN_HEADER, login, usable_token};
use reqwest::RequestBuilder;
use reqwest::header::HeaderValue;
use serde_json::Value;
use std::sync::Arc;

/// A login that the BMC keeps.
pub(super) struct Session {
    token: String,
    /// What to delete to log out, if the BMC said it.
    location: Option<ResourcePath>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("token", &"***").field("location", &self.location).finish()
    }
}

/// What a request shows of its sender.
#[derive(Debug)]
pub(super) enum Proof {
    /// Nothing.
    None,
    /// User and password.
    Basic(Arc<Credentials>),
    /// The session's token.
    Token(HeaderValue),
}

impl Proof {
    pub(super) fn put(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Basic(who) => {
                request.basic_auth(who.username.as_deref().unwrap_or_default(), Some(who.password.expose()))
            }
            Self::Token(token) => request.header(TOKEN_HEADER, token.clone()),
        }
    }

    pub(super) const fn is_session(&self) -> bool {
        matches!(self, Self::Token(_))
    }
}

impl Slot {
    /// Ends the session at the BMC; errors do not matter, since the BMC ends it in half an hour anyway.
    pub(super) async fn log_out(&mut self, bmc: &Bmc, pool: &PoolInner) {
        let Some(Session { token, location: Some(path) }) = self.session.take() else { return };
        let Some(who) = &self.who else { return };
        let Ok(http) = pool.http(&bmc.address, &who.verify) else { return };
        let Some(token) = secret(&token) else { return };
        let request =
            http.delete(bmc.address.url(&path)).header(TOKEN_HEADER, token).timeout(pool.options.connect * 2);
        if let Err(error) = request.send().await {
            tracing::debug!(bmc = %bmc.address, %error, "session was not ended in order");
        }
    }
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Turn<'_> {
    /// The root, without a login, as the protocol has it; with user and password for services that want them even there.
    pub(super) async fn read_root(&mut self) -> Result<Value, Error> {
        let path = self.address().root().clone();
        let reply = self.send_patiently(&Request::get(&path), &Proof::None).await?;
        let reply = if reply.status == 401 && self.client.credentials.username.is_some() {
            let proof = Proof::Basic(Arc::clone(&self.client.credentials));
            let reply = self.send_patiently(&Request::get(&path), &proof).await?;
            if reply.status == 401 {
                return Err(self.login_refused(reply.fault()));
            }
            reply
        } else {
            reply
        };
        Ok(self.accept(reply, true)?.value)
    }

    /// What to show with the next request; logs in when that is needed.
    pub(super) async fn proof(&mut self) -> Result<Proof, Error> {
        let who = Arc::clone(&self.client.credentials);
        let Some(username) = &who.username else { return Ok(Proof::None) };
        if who.auth == Auth::Basic || self.slot.basic {
            return Ok(Proof::Basic(who));
        }
        if let Some(token) = self.slot.session.as_ref().and_then(|session| secret(&session.token)) {
            return Ok(Proof::Token(token));
        }
        let Some(path) = self.root().await?.sessions else {
            if who.auth == Auth::Session {
                return Err(Error::NoSessions { address: self.address().clone() });
            }
            self.slot.basic = true;
            return Ok(Proof::Basic(who));
        };
        match self.log_in(&path, username, &who).await {
            Err(fault) if who.auth == Auth::Auto && falls_back(&fault) => {
                tracing::debug!(bmc = %self.address(), %fault, "no session; basic authentication is used");
                // When all sessions are taken now, one may be free at the next login.
                self.slot.basic = fault.meaning() != Meaning::SessionLimit;
                Ok(Proof::Basic(who))
            }
            Err(fault) => Err(self.login_refused(fault)),
            Ok(outcome) => outcome,
        }
    }

    /// Creates a session. A refusal by the BMC is the outer error.
    async fn log_in(
        &mut self,
        path: &ResourcePath,
        username: &str,
        who: &Credentials,
    ) -> Result<Result<Proof, Error>, Fault> {
        let request = Request::post(path, login(username, who.password.expose()), false);
        let reply = match self.send_patiently(&request, &Proof::None).await {
            Ok(reply) => reply,
            Err(error) => return Ok(Err(error)),
        };
        if reply.status >= 400 {
            return Err(reply.fault());
        }
        let Reply { token, location, .. } = reply;
        let Some((value, token)) =
            token.filter(|token| usable_token(token)).and_then(|token| Some((secret(&token)?, token)))
        else {
            // It says yes and gives nothing: not a session.
            return Err(Fault { status: 501, messages: Vec::new() });
        };
        self.slot.session = Some(Session { token, location });
        Ok(Ok(Proof::Token(value)))
    }

    pub(super) fn login_refused(&self, source: Fault) -> Error {
        let user = self.client.credentials.username.clone().unwrap_or_default();
        Error::Login { address: self.address().clone(), user, source }
    }
}

/// Whether a refused session login says nothing against user and password.
fn falls_back(fault: &Fault) -> bool {
    !matches!(fault.meaning(), Meaning::Unauthenticated | Meaning::Forbidden | Meaning::PasswordChange)
        && (fault.meaning() != Meaning::NotNow || fault.status == 500)
}
