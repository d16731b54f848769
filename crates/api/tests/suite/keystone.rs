//! Callers with tokens of a stock Keystone, and openstacksdk by way of its catalogue.

use std::sync::Arc;
use std::time::Duration;

use api::{Credentials, Keystone, KeystoneOptions};
use axum::body::Body;
use hostcmd::Command;
use http::Request;
use model::Secret;
use serde_json::{Value, json};

use crate::clients::{program, start};
use crate::fixture::{Answer, Site, options};
use crate::stock_keystone::StockKeystone;

/// Python takes its time to import the client on a busy machine.
const DEADLINE: Duration = Duration::from_mins(2);

fn password(word: &str) -> Credentials {
    Credentials::Password {
        user: "wrought".to_owned(),
        user_domain: "default".to_owned(),
        password: Secret::new(word),
        project: "service".to_owned(),
        project_domain: "default".to_owned(),
    }
}

fn keystone(url: &str, credentials: Credentials, remember: Duration) -> Keystone {
    Keystone::new(KeystoneOptions {
        auth_url: url.to_owned(),
        public_url: Some("https://keystone.example.org/v3".to_owned()),
        credentials,
        remember,
        max_remembered: 100,
        deadline: Duration::from_secs(30),
        authorities: None,
        service_token_roles: vec!["service".to_owned()],
        service_token_roles_required: true,
    })
    .unwrap()
}

async fn site_of(url: &str, credentials: Credentials, remember: Duration) -> Site {
    let keystone = keystone(url, credentials, remember);
    Site::with(options(), |_| Arc::new(keystone)).await
}

async fn call(
    site: &Site,
    token: &str,
    service: Option<&str>,
    method: &str,
    path: &str,
    body: Value,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header("x-openstack-ironic-api-version", "1.115").header("x-auth-token", token);
    if let Some(token) = service {
        request = request.header("x-service-token", token);
    }
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    site.send(request.body(body).unwrap()).await
}

async fn get(site: &Site, token: &str, path: &str) -> Answer {
    call(site, token, None, "GET", path, Value::Null).await
}

/// The people of the tests.
struct People {
    alpha: String,
    beta: String,
    wrought: String,
}

/// Makes projects, users and roles. `ada` is a member of alpha, `rita` a reader, `bob` an administrator of beta; `sue`
/// reads the whole system, `dora` a domain; `nova` is a service.
async fn populate(keystone: &StockKeystone) -> People {
    let project = async |name: &str| {
        keystone.make("projects", "project", json!({"name": name, "domain_id": "default"})).await
    };
    let (alpha, beta, service) = (project("alpha").await, project("beta").await, project("service").await);
    let mut wrought = String::new();
    for (name, place, role) in [
        ("ada", format!("projects/{alpha}"), "member"),
        ("rita", format!("projects/{alpha}"), "reader"),
        ("bob", format!("projects/{beta}"), "admin"),
        ("sue", "system".to_owned(), "reader"),
        ("dora", "domains/default".to_owned(), "admin"),
        ("nova", format!("projects/{service}"), "service"),
        ("wrought", format!("projects/{service}"), "service"),
    ] {
        let user = keystone.user(name).await;
        keystone.grant(&place, &user, role).await;
        if name == "wrought" {
            wrought = user;
        }
    }
    People { alpha, beta, wrought }
}

fn in_project(name: &str) -> Value {
    json!({"project": {"name": name, "domain": {"id": "default"}}})
}

fn in_system() -> Value {
    json!({"system": {"all": true}})
}

#[tokio::test]
async fn tokens_of_a_stock_keystone() {
    let keystone = StockKeystone::start().await;
    let people = populate(&keystone).await;
    let site = site_of(&keystone.url, password("secret"), Duration::from_mins(5)).await;
    for (name, owner) in [("alpha-1", &people.alpha), ("beta-1", &people.beta)] {
        let node =
            site.node(|node| (node.name, node.owner) = (Some(name.to_owned()), Some(owner.clone()))).await;
        assert_eq!(node.owner.as_ref(), Some(owner));
    }
    scopes_and_roles(&keystone, &site).await;
    services_pass_on(&keystone, &site).await;
    credentials_of_the_service(&keystone, &people).await;
    the_client_finds_the_service(&keystone, &site).await;
    away(keystone, &site).await;
}

async fn scopes_and_roles(keystone: &StockKeystone, site: &Site) {
    for nonsense in ["", "x", "gAAAAABnonsense", "a b"] {
        let answer = get(site, nonsense, "/v1/nodes").await;
        assert_eq!(answer.code(), 401, "{nonsense}");
        let challenge = "Keystone uri=\"https://keystone.example.org/v3\"";
        assert_eq!(answer.header("www-authenticate"), Some(challenge));
        assert_eq!(answer.json()["error"]["code"], 401);
    }
    assert_eq!(site.get("/v1/nodes").await.code(), 401, "no token");
    assert_eq!(site.get("/v1").await.code(), 200, "a public route");
    let seen = async |user: &str, scope: Value| -> (u16, Vec<String>) {
        let token = keystone.token(user, scope).await;
        let answer = get(site, &token, "/v1/nodes").await;
        let nodes = answer.json()["nodes"].as_array().cloned().unwrap_or_default();
        (answer.code(), nodes.iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect())
    };
    let names = |names: &[&str]| (200, names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    assert_eq!(seen("admin", in_system()).await, names(&["alpha-1", "beta-1"]));
    assert_eq!(seen("sue", in_system()).await, names(&["alpha-1", "beta-1"]));
    assert_eq!(seen("ada", in_project("alpha")).await, names(&["alpha-1"]));
    assert_eq!(seen("rita", in_project("alpha")).await, names(&["alpha-1"]));
    assert_eq!(seen("bob", in_project("beta")).await, names(&["beta-1"]));
    assert_eq!(seen("dora", json!({"domain": {"id": "default"}})).await.0, 403);
    assert_eq!(seen("ada", Value::Null).await.0, 403);
    let patch = async |user: &str, scope: Value, path: &str| {
        let token = keystone.token(user, scope).await;
        let body = json!([{"op": "add", "path": path, "value": "x"}]);
        call(site, &token, None, "PATCH", "/v1/nodes/alpha-1", body).await.code()
    };
    assert_eq!(patch("ada", in_project("alpha"), "/description").await, 200);
    assert_eq!(patch("rita", in_project("alpha"), "/description").await, 403);
    assert_eq!(patch("sue", in_system(), "/description").await, 403);
    assert_eq!(patch("bob", in_project("beta"), "/description").await, 404);
    assert_eq!(patch("ada", in_project("alpha"), "/owner").await, 403);
}

async fn services_pass_on(keystone: &StockKeystone, site: &Site) {
    let expired = keystone.expired_token("ada", in_project("alpha")).await;
    let nova = keystone.token("nova", in_project("service")).await;
    let rita = keystone.token("rita", in_project("alpha")).await;
    let list = async |service: Option<&str>| {
        call(site, &expired, service, "GET", "/v1/nodes", Value::Null).await.code()
    };
    assert_eq!(list(None).await, 401);
    assert_eq!(list(Some(&nova)).await, 200, "a service passes it on");
    assert_eq!(list(None).await, 401, "what is remembered of it does not help others");
    assert_eq!(list(Some(&rita)).await, 401, "no service");
    assert_eq!(list(Some("nonsense")).await, 401);
}

async fn credentials_of_the_service(keystone: &StockKeystone, people: &People) {
    let ada = keystone.token("ada", in_project("alpha")).await;
    let own = keystone.token("wrought", in_project("service")).await;
    let (id, secret) = keystone.application_credential(&people.wrought, &own).await;
    let by_application = Credentials::Application { id, secret: Secret::new(secret) };
    // With nothing remembered, a withdrawn token is refused at once.
    let url = keystone.url.trim_end_matches("/v3");
    let site = site_of(url, by_application, Duration::ZERO).await;
    assert_eq!(get(&site, &ada, "/v1/nodes").await.code(), 200);
    keystone.revoke(&ada).await;
    assert_eq!(get(&site, &ada, "/v1/nodes").await.code(), 401);
    let site = site_of(&keystone.url, password("wrong"), Duration::ZERO).await;
    let bob = keystone.token("bob", in_project("beta")).await;
    let answer = get(&site, &bob, "/v1/nodes").await;
    assert_eq!((answer.code(), answer.header("www-authenticate")), (503, None));
}

async fn the_client_finds_the_service(keystone: &StockKeystone, site: &Site) {
    let url = start(site).await;
    let service = keystone.make("services", "service", json!({"type": "baremetal", "name": "wrought"})).await;
    let endpoint =
        json!({"service_id": service, "interface": "public", "url": url, "region_id": "RegionOne"});
    keystone.make("regions", "region", json!({"id": "RegionOne"})).await;
    keystone.make("endpoints", "endpoint", endpoint).await;
    let script = include_str!("keystone_client.py");
    for (user, scope, nodes, updated) in [
        ("admin", "system", json!(["alpha-1", "beta-1"]), 200),
        ("sue", "system", json!(["alpha-1", "beta-1"]), 403),
        ("ada", "alpha", json!(["alpha-1"]), 200),
        ("rita", "alpha", json!(["alpha-1"]), 403),
        ("bob", "beta", json!(["beta-1"]), 404),
    ] {
        let client = Command::new(program("python")).arg("-c").arg(script).args([&keystone.url, user, scope]);
        let output = client.output(DEADLINE).await.unwrap();
        assert!(output.status.success(), "{user}: {}", output.stderr_text());
        let saw: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(saw, json!({"nodes": nodes, "updated": updated}), "{user}");
    }
}

/// Keystone goes: what is remembered goes on, all else is told to come back.
async fn away(keystone: StockKeystone, site: &Site) {
    let known = keystone.token("rita", in_project("alpha")).await;
    let unknown = keystone.token("rita", in_project("alpha")).await;
    assert_ne!(known, unknown);
    assert_eq!(get(site, &known, "/v1/nodes").await.code(), 200);
    keystone.stop().await;
    assert_eq!(get(site, &known, "/v1/nodes").await.code(), 200);
    assert_eq!(get(site, &unknown, "/v1/nodes").await.code(), 503);
    assert_eq!(get(site, "", "/v1/nodes").await.code(), 401);
    assert_eq!(site.get("/healthcheck").await.code(), 200);
}
