//! Who callers are and what they may do, as the configuration says it; the file of rules is read again when it changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use model::Secret;
use policy::{Policy, Settings};
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{Auth, Config, Keystone};

/// How often the file of rules is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// The longest file of rules, in bytes.
const MAX_RULES: u64 = 4 << 20;
/// Tokens remembered at once.
const MAX_TOKENS: usize = 100_000;

/// Who callers are.
pub(crate) fn authenticator(config: &Config, db: &db::Db) -> anyhow::Result<Arc<dyn api::Authenticator>> {
    Ok(match config.api.auth {
        Auth::HttpBasic => Arc::new(api::HttpBasic::new(db.clone())),
        Auth::Noauth => Arc::new(api::NoAuth),
        Auth::Keystone => {
            let options = keystone(&config.keystone)?;
            Arc::new(api::Keystone::new(options).context("[keystone]")?)
        }
    })
}

fn keystone(config: &Keystone) -> anyhow::Result<api::KeystoneOptions> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let credentials = match &config.application_credential_id {
        Some(id) => api::Credentials::Application {
            id: id.clone(),
            secret: secret(config.application_credential_secret_file.as_deref())?,
        },
        None => api::Credentials::Password {
            user: text(&config.username),
            user_domain: config.user_domain_id.clone(),
            password: secret(config.password_file.as_deref())?,
            project: text(&config.project_name),
            project_domain: config.project_domain_id.clone(),
        },
    };
    let authorities = config.ca_file.as_ref().map(|path| {
        std::fs::read(path).with_context(|| format!("[keystone] ca_file: cannot read {}", path.display()))
    });
    Ok(api::KeystoneOptions {
        auth_url: text(&config.auth_url),
        public_url: config.public_auth_url.clone(),
        credentials,
        remember: Duration::from_secs(config.remember),
        max_remembered: MAX_TOKENS,
        deadline: Duration::from_secs(config.deadline),
        authorities: authorities.transpose()?,
        service_token_roles: config.service_token_roles.clone(),
        service_token_roles_required: config.service_token_roles_required,
    })
}

/// A secret is a file's content without the end of its last line.
fn secret(path: Option<&Path>) -> anyhow::Result<Secret> {
    let path = path.context("[keystone] the file with the secret is not named")?;
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("[keystone] cannot read the secret in {}", path.display()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    anyhow::ensure!(!text.is_empty(), "[keystone] the secret in {} is empty", path.display());
    Ok(Secret::new(text))
}

/// What callers may do.
pub fn rules(config: &Config) -> anyhow::Result<Policy> {
    let settings = settings(config);
    let Some(path) = &config.policy.file else { return Ok(Policy::defaults(settings)) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("[policy] file: cannot read {}", path.display()))?;
    Policy::load(&text, settings)
        .with_context(|| format!("[policy] the rules in {} cannot be used", path.display()))
}

fn settings(config: &Config) -> Settings {
    Settings { service_project: config.policy.service_project.clone() }
}

/// Reads the file of rules again whenever it changes, until `stop`. Rules that cannot be used change nothing.
pub(crate) fn watch(
    config: &Config,
    rules: &Arc<ArcSwap<Policy>>,
    stop: CancellationToken,
) -> Option<JoinHandle<()>> {
    let path = config.policy.file.clone()?;
    let (settings, rules) = (settings(config), Arc::clone(rules));
    Some(tokio::spawn(async move {
        let follow = follow(path, settings, rules);
        let _ = stop.run_until_cancelled(follow).await;
    }))
}

async fn follow(path: PathBuf, settings: Settings, rules: Arc<ArcSwap<Policy>>) {
    // The first look reads it in any case: it may have changed since the start did.
    let mut seen = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let now = state(&path).await;
        if now == seen {
            continue;
        }
        seen = now;
        match reread(&path, &settings).await {
            Ok(new) => {
                rules.store(Arc::new(new));
                tracing::info!(file = %path.display(), "the rules changed");
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(file = %path.display(), error, "the changed rules cannot be used: the ones before stay");
            }
        }
    }
}

/// What tells whether a file changed: its time and its length.
async fn state(path: &Path) -> Option<(SystemTime, u64)> {
    let data = tokio::fs::metadata(path).await.ok()?;
    Some((data.modified().ok()?, data.len()))
}

async fn reread(path: &Path, settings: &Settings) -> anyhow::Result<Policy> {
    let mut text = String::new();
    tokio::fs::File::open(path).await?.take(MAX_RULES).read_to_string(&mut text).await?;
    Ok(Policy::load(&text, settings.clone())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wrought.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(Some(&path)).unwrap()
    }

    fn may_delete(rules: &Policy) -> bool {
        rules.allows("baremetal:node:delete", &policy::Caller::administrator(None))
    }

    #[tokio::test(start_paused = true)]
    async fn rules_follow_their_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.yaml");
        std::fs::write(&path, "baremetal:node:delete: '!'\n").unwrap();
        let config = config(&format!("[policy]\nfile = {path:?}\n"));
        let live = Arc::new(ArcSwap::from_pointee(rules(&config).unwrap()));
        let stop = CancellationToken::new();
        let watch = watch(&config, &live, stop.clone()).unwrap();
        assert!(!may_delete(&live.load()));
        let settle = async |text: &str, expected: bool| {
            std::fs::write(&path, text).unwrap();
            for _ in 0..1000 {
                if may_delete(&live.load()) == expected {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
            panic!("{text}");
        };
        settle("baremetal:node:delete: 'role:admin'\n", true).await;
        settle("baremetal:node:delete: 'role:nobody'\n", false).await;
        std::fs::write(&path, "baremetal:node:delete: 'role:admin' oops\n").unwrap();
        tokio::time::sleep(LOOK * 5).await;
        assert!(!may_delete(&live.load()), "a mistake changes nothing");
        stop.cancel();
        watch.await.unwrap();
    }

    #[test]
    fn mistakes_in_the_file_are_told_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.yaml");
        std::fs::write(&path, "baremetal:node:delete: '!'\nbaremetal:node:deletes: '!'\n").unwrap();
        let error = format!("{:#}", rules(&config(&format!("[policy]\nfile = {path:?}\n"))).unwrap_err());
        assert!(error.contains("policy.yaml") && error.contains("line 2"), "{error}");
        let error = format!("{:#}", rules(&config("[policy]\nfile = \"/nowhere\"\n")).unwrap_err());
        assert!(error.contains("cannot read /nowhere"), "{error}");
    }

    #[test]
    fn secrets_are_the_content_of_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "s3cret\n").unwrap();
        assert_eq!(secret(Some(&path)).unwrap().expose(), "s3cret");
        std::fs::write(&path, "\n").unwrap();
        assert!(secret(Some(&path)).is_err());
        assert!(secret(None).is_err());
    }
}
