//! Tokens of OpenStack's identity service, Keystone: each is shown to Keystone once and remembered for a while.
//!
//! `token` knows what Keystone says of a token, `client` how it is asked. What a caller may do is not decided here.

mod client;
mod remembered;
mod token;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use model::{Secret, Timestamp};
use policy::{Caller, ServiceCaller};
use tokio::sync::Semaphore;

use self::client::{AskError, Client};
use self::remembered::{Known, Remembered};
use self::token::Token;
use super::{Authenticator, Refusal};

/// Tokens that are shown to Keystone at once; others wait for their turn.
const ASKED_AT_ONCE: usize = 32;
/// The longest token, in bytes: that of a catalogue-less Fernet token is below 300, a signed one some thousands.
const MAX_TOKEN: usize = 16 << 10;
/// How long a token that Keystone does not know is refused without asking again.
const REFUSED_FOR: Duration = Duration::from_secs(10);

/// How the service proves to Keystone that it may ask about tokens.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A user with a password in a project.
    Password {
        /// The user's name.
        user: String,
        /// The identifier of the user's domain.
        user_domain: String,
        /// The password.
        password: Secret,
        /// The project's name.
        project: String,
        /// The identifier of the project's domain.
        project_domain: String,
    },
    /// An application credential.
    Application {
        /// Its identifier.
        id: String,
        /// Its secret.
        secret: Secret,
    },
}

/// How Keystone is asked.
#[derive(Debug, Clone)]
pub struct KeystoneOptions {
    /// Where Keystone is; `/v3` at the end may be left out.
    pub auth_url: String,
    /// Where callers are told to get tokens, when that is another URL.
    pub public_url: Option<String>,
    /// How the service proves who it is.
    pub credentials: Credentials,
    /// How long an answer is remembered: so long may a revoked token still work.
    pub remember: Duration,
    /// The most answers remembered.
    pub max_remembered: usize,
    /// Within which Keystone has to answer.
    pub deadline: Duration,
    /// Certificate authorities (PEM) that are trusted beside the system's.
    pub authorities: Option<Vec<u8>>,
    /// Services with one of these roles may pass requests on whose tokens expired on the way.
    pub service_token_roles: Vec<String>,
    /// Whether a service's token without such a role is refused, and not merely without effect.
    pub service_token_roles_required: bool,
}

/// The client for Keystone cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum KeystoneSetupError {
    /// No URL.
    #[error("'{given}' is no http or https URL; give Keystone's, as https://keystone.example.org:5000/v3")]
    Url {
        /// As given.
        given: String,
    },
    /// The certificate authorities.
    #[error("the certificate authorities are not PEM certificates")]
    Authorities(#[source] reqwest::Error),
    /// TLS.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// Callers with tokens of Keystone.
#[derive(Debug)]
pub struct Keystone {
    client: Client,
    remembered: Remembered,
    turns: Semaphore,
    options: KeystoneOptions,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// It is not good.
    Token,
    /// Keystone did not say whether it is.
    Unanswered,
}

impl Keystone {
    /// Prepares to ask Keystone. Nothing is asked yet, so that the service starts while Keystone is away.
    pub fn new(options: KeystoneOptions) -> Result<Self, KeystoneSetupError> {
        Ok(Self {
            client: Client::new(&options)?,
            remembered: Remembered::new(options.max_remembered),
            turns: Semaphore::new(ASKED_AT_ONCE),
            options,
        })
    }

    async fn identify(&self, headers: &HeaderMap) -> Result<Caller, Refused> {
        let token = header(headers, "x-auth-token").or_else(|| header(headers, "x-storage-token"));
        let token = token.ok_or(Refused::Token)?;
        let service = match header(headers, "x-service-token") {
            Some(token) => Some(self.service(token).await?),
            None => None,
        };
        let (service, is_trusted) =
            service.map_or((None, false), |(caller, trusted)| (Some(caller), trusted));
        let known = self.look_up(token, is_trusted).await?;
        Ok(Caller { service, ..known.caller.clone() })
    }

    /// The service that passes a request on, and whether it may do so with an expired token.
    async fn service(&self, token: &str) -> Result<(ServiceCaller, bool), Refused> {
        let Caller { user, user_domain, project, project_domain, roles, .. } =
            self.look_up(token, false).await?.caller.clone();
        let is_trusted = roles.iter().any(|role| self.options.service_token_roles.contains(role));
        if !is_trusted && self.options.service_token_roles_required {
            return Err(Refused::Token);
        }
        Ok((ServiceCaller { user, user_domain, project, project_domain, roles }, is_trusted))
    }

    async fn look_up(&self, token: &str, allow_expired: bool) -> Result<Arc<Token>, Refused> {
        if token.is_empty() || token.len() > MAX_TOKEN || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Refused::Token);
        }
        let known = || match self.remembered.get(token, allow_expired, Timestamp::now())? {
            Known::Good(token) => Some(Ok(token)),
            Known::Bad => Some(Err(Refused::Token)),
        };
        if let Some(answer) = known() {
            return answer;
        }
        let _turn = self.turns.acquire().await;
        // Others may have asked about the same token meanwhile.
        if let Some(answer) = known() {
            return answer;
        }
        match self.client.ask(token, allow_expired).await {
            Ok(answer) => {
                let now = Timestamp::now();
                let answer = answer.filter(|token| allow_expired || token.expires_at > now).map(Arc::new);
                let keep = if answer.is_some() { self.options.remember } else { REFUSED_FOR };
                // What is refused may be good for a service that passes it on: that is asked anew.
                if answer.is_some() || !allow_expired {
                    self.remembered.put(token, answer.clone(), now.plus(keep), now);
                }
                answer.ok_or(Refused::Token)
            }
            Err(error) => {
                let problem: &dyn std::error::Error = &error;
                let is_ours = matches!(error, AskError::OwnCredentials { .. });
                tracing::error!(
                    error = problem,
                    own_credentials = is_ours,
                    "Keystone cannot be asked about a token"
                );
                Err(Refused::Unanswered)
            }
        }
    }

    fn refusal(&self, refused: Refused) -> Refusal {
        match refused {
            Refused::Token => Refusal {
                status: StatusCode::UNAUTHORIZED,
                text: "The request you have made requires authentication.".to_owned(),
                challenge: format!("Keystone uri=\"{}\"", self.client.public_url()),
            },
            Refused::Unanswered => Refusal {
                status: StatusCode::SERVICE_UNAVAILABLE,
                text: "The identity service cannot be asked now, please retry.".to_owned(),
                challenge: String::new(),
            },
        }
    }
}

impl Authenticator for Keystone {
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Caller, Refusal>> {
        Box::pin(async move { self.identify(headers).await.map_err(|refused| self.refusal(refused)) })
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
