//! Config drives in every shape that the API takes.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use disk_image::configdrive as drive;
use images::configdrive::{ConfigDrive, ConfigDriveError, ConfigDriveSource, Identity};
use images::{WebError, parse_url};
use serde_json::{Value, json};

use super::server::serve;
use super::{web, web_options};

async fn resolve(value: Value) -> Result<ConfigDrive, ConfigDriveError> {
    let identity = Identity { uuid: "11111111-2222-4333-8444-555555555555".into(), name: Some("n1".into()) };
    ConfigDrive::resolve(ConfigDriveSource::parse(&value)?, identity, &web(web_options())).await
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn an_object_becomes_an_image_with_the_nodes_identity() {
    let built = resolve(json!({"user_data": "#cloud-config\n", "meta_data": {"role": "db"}})).await.unwrap();
    assert!(contains(built.image(), b"#cloud-config"));
    assert!(contains(built.image(), b"11111111-2222-4333-8444-555555555555"));
    let wire = built.to_wire().unwrap();
    assert_eq!(
        resolve(wire.clone().into()).await.unwrap(),
        built,
        "what an agent gets is what the API takes"
    );
    assert_eq!(wire, built.to_wire().unwrap());
}

#[tokio::test]
async fn a_url_may_give_text_gzip_or_the_image() {
    let built = resolve(json!({"user_data": "x"})).await.unwrap();
    let (text, image) = (built.to_wire().unwrap(), built.image().to_vec());
    let gzip = {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&image).unwrap();
        encoder.finish().unwrap()
    };
    let app = Router::new()
        .route("/text", get(move || async move { format!("{text}\n") }))
        .route("/gzip", get(move || async move { gzip }))
        .route("/image", get(move || async move { image }))
        .route("/page", get(|| async { "<html>" }))
        .route("/denied", get(|| async { StatusCode::FORBIDDEN }));
    let base = serve(app).await;
    for path in ["text", "gzip", "image"] {
        assert_eq!(resolve(format!("{base}{path}").into()).await.unwrap(), built, "{path}");
    }
    let error = resolve(format!("{base}page").into()).await.unwrap_err();
    assert!(matches!(error, ConfigDriveError::Content(_)), "{error:?}");
    let error = resolve(format!("{base}denied").into()).await.unwrap_err();
    assert!(matches!(error, ConfigDriveError::Fetch(WebError::Status { .. })), "{error:?}");
}

#[tokio::test]
async fn anything_else_is_refused() {
    for value in [json!(null), json!(1), json!(true), json!([])] {
        assert!(matches!(resolve(value).await, Err(ConfigDriveError::Shape { .. })));
    }
    let error = resolve("file:///etc/shadow".into()).await.unwrap_err();
    assert!(matches!(error, ConfigDriveError::Fetch(WebError::BadUrl { .. })), "{error:?}");
    let mistyped = drive::pack(b"just some text").unwrap();
    for value in [json!("not base64!"), json!("bm90IGd6aXA="), json!(mistyped), json!({"meta-data": {}})] {
        let error = resolve(value).await.unwrap_err();
        assert!(matches!(error, ConfigDriveError::Content(_)), "{error:?}");
    }
}

#[test]
fn debug_shows_no_content() {
    let object = ConfigDriveSource::parse(&json!({"user_data": "hunter2"})).unwrap();
    let url = ConfigDriveSource::Url(parse_url("https://u:hunter2@h/x?sig=hunter2").unwrap());
    let text = ConfigDriveSource::parse(&"aHVudGVyMg==".into()).unwrap();
    let shown = format!("{object:?} {url:?} {text:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"), "{shown}");
}
