//! A stock Keystone of the test's own: SQLite and Fernet keys in a temporary directory, one port of the loopback.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hostcmd::{Child, Command};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Schema and keys on a busy machine.
const SETUP: Duration = Duration::from_mins(3);
const PASSWORD: &str = "secret";

pub(crate) struct StockKeystone {
    dir: TempDir,
    server: Child,
    /// Where it is, with the version.
    pub(crate) url: String,
    http: reqwest::Client,
    admin: String,
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the lab is, is said by the environment; only tests ask here"
)]
fn program(name: &str) -> PathBuf {
    let lab = std::env::var("WROUGHT_LAB").unwrap_or_else(|_| "/var/tmp/wrought-lab".to_owned());
    let path = Path::new(&lab).join("keystone-venv/bin").join(name);
    assert!(path.exists(), "{} is missing: run `cargo xtask setup`", path.display());
    path
}

/// Writes a configuration; tokens made with it live for `lifetime` seconds.
fn configure(dir: &Path, name: &str, lifetime: u32) -> PathBuf {
    let text = format!(
        "[DEFAULT]\nlog_file = {dir}/{name}.log\n[database]\nconnection = sqlite:///{dir}/keystone.sqlite\n\
         [token]\nprovider = fernet\nexpiration = {lifetime}\n[fernet_tokens]\nkey_repository = {dir}/fernet\n\
         [credential]\nkey_repository = {dir}/credential\n[identity]\npassword_hash_rounds = 4\n",
        dir = dir.display()
    );
    let path = dir.join(format!("{name}.conf"));
    std::fs::write(&path, text).unwrap();
    path
}

fn idle_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn serve(dir: &Path, config: &Path, http: &reqwest::Client) -> (Child, String) {
    let script = dir.join("serve.py");
    std::fs::write(&script, include_str!("keystone_server.py")).unwrap();
    let port = idle_port();
    let server = Command::new(program("python")).arg(&script).arg(port.to_string()).arg(config);
    let server = server.spawn(dir.join(format!("serve-{port}.log"))).unwrap();
    let url = format!("http://127.0.0.1:{port}/v3");
    for _ in 0..600 {
        if http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return (server, url);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("Keystone did not start: {}", server.log_tail());
}

impl StockKeystone {
    /// Starts it with the user `admin`, administrator of the system.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for keys in ["fernet", "credential"] {
            std::fs::create_dir(dir.path().join(keys)).unwrap();
        }
        let config = configure(dir.path(), "keystone", 3600);
        let user = Command::new("id").arg("-un").run(SETUP).await.unwrap().stdout_text().trim().to_owned();
        let group = Command::new("id").arg("-gn").run(SETUP).await.unwrap().stdout_text().trim().to_owned();
        let owner = ["--keystone-user", user.as_str(), "--keystone-group", group.as_str()];
        for (task, arguments) in [
            ("db_sync", &[][..]),
            ("fernet_setup", &owner),
            ("bootstrap", &["--bootstrap-password", PASSWORD]),
        ] {
            let manage = Command::new(program("keystone-manage")).arg("--config-file").arg(&config).arg(task);
            manage.args(arguments).run(SETUP).await.unwrap();
        }
        // Fails only when one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let (server, url) = serve(dir.path(), &config, &http).await;
        let mut this = Self { dir, server, url, http, admin: String::new() };
        this.admin = this.token("admin", json!({"system": {"all": true}})).await;
        this
    }

    /// A token of a user for a scope; null is no scope.
    pub(crate) async fn token(&self, user: &str, scope: Value) -> String {
        self.token_from(&self.url, user, scope).await
    }

    async fn token_from(&self, url: &str, user: &str, scope: Value) -> String {
        let identity = json!({"methods": ["password"], "password": {"user":
            {"name": user, "domain": {"id": "default"}, "password": PASSWORD}}});
        let auth = if scope.is_null() {
            json!({"identity": identity, "scope": "unscoped"})
        } else {
            json!({"identity": identity, "scope": scope})
        };
        let request = self.http.post(format!("{url}/auth/tokens")).json(&json!({"auth": auth}));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 201, "a token for {user}");
        answer.headers()["x-subject-token"].to_str().unwrap().to_owned()
    }

    /// A token that has expired.
    pub(crate) async fn expired_token(&self, user: &str, scope: Value) -> String {
        let config = configure(self.dir.path(), "hasty", 1);
        let (server, url) = serve(self.dir.path(), &config, &self.http).await;
        let token = self.token_from(&url, user, scope).await;
        server.stop(Duration::from_secs(20)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2100)).await;
        token
    }

    /// Makes something; its identifier.
    pub(crate) async fn make(&self, path: &str, noun: &str, body: Value) -> String {
        let request = self.http.post(format!("{}/{path}", self.url)).header("x-auth-token", &self.admin);
        let answer = request.json(&json!({noun: body})).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{path}");
        answer.json::<Value>().await.unwrap()[noun]["id"].as_str().unwrap().to_owned()
    }

    /// Makes a user; its identifier.
    pub(crate) async fn user(&self, name: &str) -> String {
        self.make("users", "user", json!({"name": name, "domain_id": "default", "password": PASSWORD})).await
    }

    /// Gives a user a role in `place`: `system`, `projects/ID` or `domains/ID`.
    pub(crate) async fn grant(&self, place: &str, user: &str, role: &str) {
        let roles =
            self.http.get(format!("{}/roles?name={role}", self.url)).header("x-auth-token", &self.admin);
        let roles: Value = roles.send().await.unwrap().json().await.unwrap();
        let role = roles["roles"][0]["id"].as_str().unwrap();
        let url = format!("{}/{place}/users/{user}/roles/{role}", self.url);
        let answer = self.http.put(url).header("x-auth-token", &self.admin).send().await.unwrap();
        assert_eq!(answer.status(), 204, "{place}");
    }

    /// Makes an application credential of the user whose token this is: identifier and secret.
    pub(crate) async fn application_credential(&self, user: &str, token: &str) -> (String, String) {
        let url = format!("{}/users/{user}/application_credentials", self.url);
        let request = self.http.post(url).header("x-auth-token", token);
        let body = json!({"application_credential": {"name": "service"}});
        let made: Value = request.json(&body).send().await.unwrap().json().await.unwrap();
        let text = |key: &str| made["application_credential"][key].as_str().unwrap().to_owned();
        (text("id"), text("secret"))
    }

    /// Withdraws a token.
    pub(crate) async fn revoke(&self, token: &str) {
        let request = self.http.delete(format!("{}/auth/tokens", self.url));
        let request = request.header("x-auth-token", &self.admin).header("x-subject-token", token);
        assert_eq!(request.send().await.unwrap().status(), 204);
    }

    /// Ends it.
    pub(crate) async fn stop(self) {
        self.server.stop(Duration::from_secs(20)).await.unwrap();
    }
}
