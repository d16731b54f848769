//! Asking Keystone about tokens, with a token of the service's own that is renewed before it ends.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use model::{Secret, Timestamp};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Response, Url};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::token::Token;
use super::{Credentials, KeystoneOptions, KeystoneSetupError};

/// An own token that ends sooner is renewed first.
const RENEW_BEFORE: Duration = Duration::from_mins(1);
/// The longest answer, in bytes: catalogues are not asked for.
const MAX_ANSWER: usize = 1 << 20;

/// Why Keystone did not say whether a token is good.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// No connection, no answer in time.
    #[error("Keystone at {url} does not answer")]
    Silent {
        /// Where it was asked.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The credentials of the service.
    #[error(
        "Keystone at {url} refuses the service's own credentials ({status}): see [keystone] in the configuration"
    )]
    OwnCredentials {
        /// Where it was asked.
        url: String,
        /// 401 or 403.
        status: StatusCode,
    },
    /// Another answer than those that it should give.
    #[error("Keystone at {url} answered {status}: {problem}")]
    Answer {
        /// Where it was asked.
        url: String,
        /// What it answered.
        status: StatusCode,
        /// What is wrong.
        problem: String,
    },
}

/// A connection to Keystone.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    tokens: Url,
    public_url: String,
    credentials: Credentials,
    own: Mutex<Option<Arc<Own>>>,
}

#[derive(Debug)]
struct Own {
    token: Secret,
    expires_at: Timestamp,
}

impl Client {
    pub(super) fn new(options: &KeystoneOptions) -> Result<Self, KeystoneSetupError> {
        let base = options.auth_url.trim_end_matches('/');
        let base = base.strip_suffix("/v3").unwrap_or(base);
        let wrong = || KeystoneSetupError::Url { given: options.auth_url.clone() };
        let tokens = Url::parse(&format!("{base}/v3/auth/tokens")).map_err(|_| wrong())?;
        if !["http", "https"].contains(&tokens.scheme()) || !tokens.has_host() {
            return Err(wrong());
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(options.deadline)
            .timeout(options.deadline)
            .redirect(Policy::none())
            .no_proxy();
        if let Some(pem) = &options.authorities {
            let authorities = Certificate::from_pem_bundle(pem).map_err(KeystoneSetupError::Authorities)?;
            builder = builder.tls_certs_merge(authorities);
        }
        Ok(Self {
            http: builder.build().map_err(KeystoneSetupError::Client)?,
            tokens,
            public_url: options.public_url.clone().unwrap_or_else(|| format!("{base}/v3")),
            credentials: options.credentials.clone(),
            own: Mutex::default(),
        })
    }

    /// Where callers get tokens.
    pub(super) fn public_url(&self) -> &str {
        &self.public_url
    }

    /// What Keystone says of a token; nothing when it does not know it or knows it to be no good.
    pub(super) async fn ask(&self, token: &str, allow_expired: bool) -> Result<Option<Token>, AskError> {
        for is_second in [false, true] {
            let own = self.own(None).await?;
            let answer = self.show(token, allow_expired, &own).await?;
            match answer.status() {
                StatusCode::OK => {
                    let status = answer.status();
                    let body = self.body(answer).await?;
                    return Token::read(&body).map(Some).map_err(|problem| self.odd(status, problem));
                }
                StatusCode::NOT_FOUND => return Ok(None),
                // The own token was revoked, or Keystone lost its keys: a new one may do.
                StatusCode::UNAUTHORIZED if !is_second => {
                    self.own(Some(&own)).await?;
                }
                status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                    return Err(AskError::OwnCredentials { url: self.tokens.to_string(), status });
                }
                status => return Err(self.odd(status, "it should be 200 or 404".to_owned())),
            }
        }
        Ok(None)
    }

    async fn show(&self, token: &str, allow_expired: bool, own: &Own) -> Result<Response, AskError> {
        let mut url = self.tokens.clone();
        url.set_query(Some(if allow_expired { "nocatalog&allow_expired=1" } else { "nocatalog" }));
        let request = self
            .http
            .get(url)
            .header("x-auth-token", secret(own.token.expose()))
            .header("x-subject-token", secret(token));
        request.send().await.map_err(|source| self.silent(source))
    }

    /// The service's own token; a new one when there is none, it is about to end, or it is `stale`.
    async fn own(&self, stale: Option<&Arc<Own>>) -> Result<Arc<Own>, AskError> {
        let mut own = self.own.lock().await;
        let soon = Timestamp::now().plus(RENEW_BEFORE);
        let is_good =
            |own: &&Arc<Own>| own.expires_at > soon && stale.is_none_or(|stale| !Arc::ptr_eq(stale, own));
        if let Some(own) = own.as_ref().filter(is_good) {
            return Ok(Arc::clone(own));
        }
        let new = Arc::new(self.log_in().await?);
        *own = Some(Arc::clone(&new));
        Ok(new)
    }

    async fn log_in(&self) -> Result<Own, AskError> {
        let mut url = self.tokens.clone();
        url.set_query(Some("nocatalog"));
        let sent = self.http.post(url).json(&login(&self.credentials)).send().await;
        let answer = sent.map_err(|source| self.silent(source))?;
        let status = answer.status();
        match status {
            StatusCode::CREATED => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                return Err(AskError::OwnCredentials { url: self.tokens.to_string(), status });
            }
            _ => return Err(self.odd(status, "it should be 201".to_owned())),
        }
        let token = answer.headers().get("x-subject-token").and_then(|value| value.to_str().ok());
        let token = token.map(Secret::new).ok_or_else(|| self.odd(status, "there is no token".to_owned()))?;
        let body = self.body(answer).await?;
        let expires_at = Token::read(&body).map_err(|problem| self.odd(status, problem))?.expires_at;
        tracing::debug!(%expires_at, "Keystone knows the service");
        Ok(Own { token, expires_at })
    }

    async fn body(&self, mut answer: Response) -> Result<Vec<u8>, AskError> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|source| self.silent(source))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(self.odd(answer.status(), format!("more than {MAX_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn silent(&self, source: reqwest::Error) -> AskError {
        AskError::Silent { url: self.tokens.to_string(), source: source.without_url() }
    }

    fn odd(&self, status: StatusCode, problem: String) -> AskError {
        AskError::Answer { url: self.tokens.to_string(), status, problem }
    }
}

/// A header that logs do not show.
fn secret(text: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// The body of `POST /v3/auth/tokens`.
fn login(credentials: &Credentials) -> Value {
    match credentials {
        Credentials::Password { user, user_domain, password, project, project_domain } => json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": user, "domain": {"id": user_domain}, "password": password.expose(),
            }}},
            "scope": {"project": {"name": project, "domain": {"id": project_domain}}},
        }}),
        Credentials::Application { id, secret } => json!({"auth": {"identity": {
            "methods": ["application_credential"],
            "application_credential": {"id": id, "secret": secret.expose()},
        }}}),
    }
}
