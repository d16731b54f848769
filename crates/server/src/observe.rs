//! `/metrics` and `/readyz`: the service as monitoring sees it. Neither needs credentials nor names any node.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use db::Db;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use metrics::{Exposed, Sample, gauge};

/// Everything that is measured.
const FAMILIES: [&[&dyn Exposed]; 6] =
    [api::METRICS, cluster::METRICS, conductor::METRICS, db::METRICS, bmc::METRICS, netboot::METRICS];

/// What is looked at.
#[derive(Debug)]
struct Watched {
    db: Db,
    /// The conductor of this process, if it has one.
    hostname: Option<String>,
}

/// `/readyz` and, if wanted, `/metrics`.
pub(crate) fn alone(db: Db, hostname: Option<String>, metrics: bool) -> Router {
    let mut own = Router::new().route("/readyz", get(ready));
    if metrics {
        own = own.route("/metrics", get(text));
    }
    own.with_state(Arc::new(Watched { db, hostname }))
}

/// Whether this process does its part: the store answers, and its conductor, if it has one, is registered.
async fn ready(State(watched): State<Arc<Watched>>) -> impl IntoResponse {
    let online = match &watched.hostname {
        Some(host) => watched.db.get_conductor(host).await.map(|row| row.is_some_and(|row| row.online)),
        None => watched.db.list_conductors().await.map(|_| true),
    };
    let (status, text) = match online {
        Ok(true) => (StatusCode::OK, "ready\n".to_owned()),
        Ok(false) => (StatusCode::SERVICE_UNAVAILABLE, "the conductor is not online\n".to_owned()),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n".to_owned())
        }
    };
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text)
}

async fn text(State(watched): State<Arc<Watched>>) -> impl IntoResponse {
    let mut out = String::with_capacity(64 * 1024);
    for family in FAMILIES.into_iter().flatten() {
        family.write(&mut out);
    }
    match watched.db.census().await {
        Ok(census) => write_census(&mut out, &census),
        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "cannot count nodes"),
    }
    let one = |value: u64| [(vec![], value)];
    let waiting = u64::try_from(watched.db.writes_waiting()).unwrap_or(u64::MAX);
    gauge(
        &mut out,
        ("wrought_store_writes_waiting", "Writes in the queue of the store."),
        &[],
        &one(waiting),
    );
    let lost = watched.db.boot_events_lost();
    gauge(&mut out, ("wrought_boot_events_lost", "Boot events that could not be kept."), &[], &one(lost));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], out)
}

fn write_census(out: &mut String, census: &db::Census) {
    let number = |count: i64| u64::try_from(count).unwrap_or(0);
    let nodes: Vec<Sample<'_>> =
        census.nodes.iter().map(|(state, count)| (vec![state.as_str()], number(*count))).collect();
    gauge(out, ("wrought_nodes", "Nodes by provision state."), &["state"], &nodes);
    let flows: Vec<Sample<'_>> = census
        .flows
        .iter()
        .map(|(kind, state, phase, count)| {
            (vec![kind.as_str(), state.as_str(), phase.as_str()], number(*count))
        })
        .collect();
    gauge(out, ("wrought_flows", "Flows under way."), &["flow", "state", "phase"], &flows);
    let overdue = [(vec![], number(census.overdue))];
    gauge(out, ("wrought_flows_overdue", "Flows whose deadline has passed."), &[], &overdue);
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use db::{DatabaseUrl, Registration, Term};
    use http::Request;
    use tower::ServiceExt as _;

    use super::*;

    async fn status(router: &Router, path: &str) -> u16 {
        let request = Request::get(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    /// What there has to be at `/metrics`: times in states and of steps, queues, BMCs, waits for the right to decide.
    const ASKED_FOR: [&str; 12] = [
        "wrought_nodes",
        "wrought_flows",
        "wrought_flows_overdue",
        "wrought_state_seconds",
        "wrought_step_seconds",
        "wrought_action_seconds",
        "wrought_effects",
        "wrought_turn_wait_seconds",
        "wrought_bmc_request_seconds",
        "wrought_store_writes_waiting",
        "wrought_store_write_seconds",
        "wrought_http_request_seconds",
    ];

    #[tokio::test]
    async fn every_metric_says_what_it_is_and_the_guide_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&db::Options::new(DatabaseUrl::sqlite(dir.path().join("site.db")))).await.unwrap();
        let router = alone(db.clone(), None, true);
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let body = router.oneshot(request).await.unwrap().into_body();
        let text = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let text = std::str::from_utf8(&text).unwrap();
        let told = |what: &str| -> Vec<&str> {
            let words = text.lines().filter_map(|line| line.strip_prefix(what));
            words.filter_map(|line| line.split_whitespace().next()).collect()
        };
        let (kinds, helps) = (told("# TYPE "), told("# HELP "));
        assert_eq!(kinds, helps);
        for name in ASKED_FOR {
            assert!(kinds.contains(&name), "{name} is not shown");
        }
        let guide = concat!(
            include_str!("../../../docs/operator/guide.md"),
            include_str!("../../../docs/operator/messaging.md")
        );
        for name in &kinds {
            assert!(guide.contains(&format!("`{name}")), "{name} is not in the operator's guide");
        }
        for sample in text.lines().filter(|line| !line.starts_with('#')) {
            let name = sample.split(['{', ' ']).next().unwrap_or_default();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            assert!(
                kinds.contains(&name) || family.is_some_and(|family| kinds.contains(&family)),
                "{sample} belongs to nothing"
            );
        }
        db.close().await;
    }

    #[tokio::test]
    async fn readiness_follows_store_and_conductor() {
        let dir = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::sqlite(dir.path().join("site.db"));
        let db = Db::open(&db::Options::new(url)).await.unwrap();
        let api = Router::new().route("/v1", get(async || "the API"));
        let router = alone(db.clone(), Some("conductor-1".to_owned()), false).fallback_service(api);
        assert_eq!(status(&router, "/readyz").await, 503);
        let registration = Registration {
            hostname: "conductor-1".to_owned(),
            conductor_group: String::new(),
            hardware_types: Vec::new(),
        };
        let term = Term::from(&db.register_conductor(registration).await.unwrap());
        assert_eq!(status(&router, "/readyz").await, 200);
        assert_eq!(status(&router, "/v1").await, 200);
        assert_eq!(status(&router, "/metrics").await, 404, "switched off");
        db.set_conductor_offline(&term).await.unwrap();
        assert_eq!(status(&router, "/readyz").await, 503);
        db.close().await;
        assert_eq!(status(&router, "/readyz").await, 503);
    }
}
