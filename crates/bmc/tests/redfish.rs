//! The Redfish client against a service that does what real ones do wrong.
#![allow(clippy::unwrap_used, reason = "set-up of tests")]

#[path = "support/redfish_fake.rs"]
mod fake;

use bmc::redfish::{
    Address, Auth, Credentials, Error, Options, Password, RedfishClient, RedfishPool, SystemId,
};
use bmc::{Patience, PowerState as Power, Retry};
use fake::{Fake, Knobs};
use redfish::{BootMode, BootTarget, DocumentError, Override, PowerState, ResetType};
use serde_json::{Value, json};
use std::time::Duration;

fn options() -> Options {
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    Options {
        answer: Duration::from_secs(20),
        first_pause: Duration::from_millis(10),
        patience: Patience { poll_first: Duration::from_millis(10), ..Patience::default() },
        ..Options::default()
    }
}

fn admin() -> Credentials {
    Credentials {
        username: Some("admin".into()),
        password: Password::new("password"),
        ..Credentials::default()
    }
}

fn client(fake: &Fake) -> RedfishClient {
    client_of(fake, options())
}

fn client_of(fake: &Fake, options: Options) -> RedfishClient {
    let address = Address::parse(&fake.url()).expect("a URL");
    RedfishPool::new(options).client(address, admin(), None)
}

#[tokio::test]
async fn a_session_is_made_once_renewed_when_it_ended_and_closed() {
    let fake = Fake::start(Knobs { sessions: true, session_life: Some(3), ..Knobs::default() }).await;
    let pool = RedfishPool::new(options());
    let client = pool.client(Address::parse(&fake.url()).unwrap(), admin(), None);
    for _ in 0..6 {
        client.power_state().await.unwrap();
    }
    // Two requests at first, one after: seven in all, three a session.
    assert_eq!(fake.seen.lock().unwrap().logins, 3);
    assert_eq!(fake.seen.lock().unwrap().basic, 0);
    pool.shutdown().await;
    assert_eq!(fake.seen.lock().unwrap().logouts, 1);
    let error = client.power_state().await.unwrap_err();
    assert!(matches!(error, Error::ShuttingDown { .. }), "{error:?}");
}

#[tokio::test]
async fn a_session_that_is_never_good_is_not_tried_for_ever() {
    let fake = Fake::start(Knobs { sessions: true, session_life: Some(0), ..Knobs::default() }).await;
    let error = client(&fake).power_state().await.unwrap_err();
    assert!(matches!(error, Error::Login { .. }), "{error:?}");
    assert_eq!(fake.seen.lock().unwrap().logins, 2);
}

#[tokio::test]
async fn without_free_sessions_basic_is_used_and_a_refused_user_is_not_tried_again() {
    let full = json!({"error": {"@Message.ExtendedInfo": [{"MessageId": "Base.1.8.SessionLimitExceeded"}]}});
    let knobs = Knobs { sessions: true, login_answer: Some((503, full)), ..Knobs::default() };
    let fake = Fake::start(knobs).await;
    client(&fake).power_state().await.unwrap();
    assert!(fake.seen.lock().unwrap().basic > 0);

    let change =
        json!({"error": {"@Message.ExtendedInfo": [{"MessageId": "Base.1.8.PasswordChangeRequired"}]}});
    let fake =
        Fake::start(Knobs { sessions: true, login_answer: Some((403, change)), ..Knobs::default() }).await;
    let error = client(&fake).power_state().await.unwrap_err();
    assert!(error.to_string().contains("password changed first"), "{error}");
    assert_eq!((error.retry(), fake.seen.lock().unwrap().basic), (Retry::NeedsOperator, 0));
}

#[tokio::test]
async fn basic_only_sends_no_login() {
    let fake = Fake::start(Knobs { sessions: true, ..Knobs::default() }).await;
    let credentials = Credentials { auth: Auth::Basic, ..admin() };
    let address = Address::parse(&fake.url()).unwrap();
    let system = SystemId::parse("/redfish/v1/Systems/1").unwrap();
    let client = RedfishPool::new(options()).client(address, credentials, Some(system));
    client.power_state().await.unwrap();
    assert_eq!(fake.seen.lock().unwrap().requests, ["GET /redfish/v1/Systems/1"]);
}

#[tokio::test]
async fn conditions_are_tried_until_one_holds() {
    for (shown, wanted, tried) in [
        (None, vec![Some("*")], vec![None, Some("*")]),
        (Some("W/\"7\""), vec![Some("\"7\"")], vec![Some("W/\"7\""), Some("\"7\"")]),
        (Some("\"7\""), vec![Some("\"7\"")], vec![Some("\"7\"")]),
        (Some("\"7\""), vec![None], vec![Some("\"7\""), Some("*"), None]),
    ] {
        let knobs = Knobs { if_match: Some(wanted), etag: shown, ..Knobs::default() };
        let fake = Fake::start(knobs).await;
        client(&fake).set_boot(BootTarget::Pxe, Override::Once, None).await.unwrap();
        let seen = fake.seen.lock().unwrap();
        let conditions: Vec<_> = seen.conditions.iter().map(Option::as_deref).collect();
        assert_eq!(conditions, tried);
    }
    let fake = Fake::start(Knobs { if_match: Some(vec![Some("never")]), ..Knobs::default() }).await;
    let error = client(&fake).set_boot(BootTarget::Pxe, Override::Once, None).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent, "{error:?}");
}

#[tokio::test]
async fn boot_changes_take_the_shape_that_the_bmc_wants() {
    let fake = Fake::start(Knobs { wants_mode: true, ..Knobs::default() }).await;
    client(&fake).set_boot(BootTarget::Pxe, Override::Once, Some(BootMode::Uefi)).await.unwrap();
    assert_eq!(fake.seen.lock().unwrap().boot["BootSourceOverrideMode"], "UEFI");

    let fake = Fake::start(Knobs { only_once: true, ..Knobs::default() }).await;
    let held =
        client(&fake).set_boot(BootTarget::Hdd, Override::Continuous, Some(BootMode::Uefi)).await.unwrap();
    assert_eq!(held, Override::Once);
    assert_eq!(fake.seen.lock().unwrap().boot["BootSourceOverrideTarget"], "Hdd");
}

#[tokio::test]
async fn tasks_are_waited_for() {
    let set = |task: Value| async {
        let fake = Fake::start(Knobs { task: Some(task), ..Knobs::default() }).await;
        client(&fake).set_boot(BootTarget::Pxe, Override::Once, None).await
    };
    set(json!({"TaskState": "Completed", "TaskStatus": "OK"})).await.unwrap();
    let failed = json!({"TaskState": "Exception", "Messages": [{"Message": "The job failed."}]});
    let error = set(failed).await.unwrap_err();
    assert!(
        matches!(&error, Error::Task { source, .. } if source.to_string().contains("The job failed")),
        "{error:?}"
    );
    let mut short = options();
    short.operation = Duration::from_secs(1);
    let fake = Fake::start(Knobs { task: Some(json!({"TaskState": "Running"})), ..Knobs::default() }).await;
    let error = client_of(&fake, short).set_boot(BootTarget::Pxe, Override::Once, None).await.unwrap_err();
    assert!(matches!(error, Error::Slow { .. }), "{error:?}");
}

#[tokio::test]
async fn a_bmc_that_is_not_ready_is_asked_again() {
    let not_ready = json!({"error": {"@Message.ExtendedInfo": [{"MessageId": "IDRAC.2.8.SYS518"}]}});
    let answers = vec![(500, json!({})), (503, not_ready)];
    let fake = Fake::start(Knobs { first_answers: answers, ..Knobs::default() }).await;
    assert_eq!(client(&fake).power_state().await.unwrap(), PowerState::Off);
    assert_eq!(fake.count("GET /redfish/v1/Systems/1"), 3);

    let fake = Fake::start(Knobs { first_answers: vec![(503, json!({})); 20], ..Knobs::default() }).await;
    let error = client(&fake).power_state().await.unwrap_err();
    assert_eq!(error.retry(), Retry::Transient);
    assert_eq!(fake.count("GET /redfish/v1/Systems/1"), 4);
}

#[tokio::test]
async fn a_reset_is_not_repeated_after_an_error_that_says_nothing() {
    let fake = Fake::start(Knobs { reset_answer: Some((500, json!({}))), ..Knobs::default() }).await;
    client(&fake).reset(ResetType::ForceRestart).await.unwrap_err();
    assert_eq!(fake.count("POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset"), 1);
}

#[tokio::test]
async fn a_refused_reset_is_done_when_the_machine_is_there() {
    let message = "iLO.2.14.InvalidOperationForSystemState";
    let body = json!({"error": {"@Message.ExtendedInfo": [{"MessageId": message}]}});
    let fake = Fake::start(Knobs { reset_answer: Some((400, body)), ..Knobs::default() }).await;
    client(&fake).reset(ResetType::ForceOff).await.unwrap();
    let fake = Fake::start(Knobs { reset_answer: Some((409, json!({}))), ..Knobs::default() }).await;
    let client = client(&fake);
    client.reset(ResetType::On).await.unwrap();
    client.wait_for_power_state(Power::On, Duration::ZERO).await.unwrap();
    let error = client.wait_for_power_state(Power::Off, Duration::from_millis(50)).await.unwrap_err();
    assert!(error.to_string().contains("last seen: on"), "{error}");
}

#[tokio::test]
async fn what_is_not_allowed_is_not_sent() {
    let reset = json!({"#ComputerSystem.Reset": {
        "target": "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
        "ResetType@Redfish.AllowableValues": ["ForceOn", "ForceOff"]
    }});
    let fake = Fake::start(Knobs { system: json!({"Actions": reset}), ..Knobs::default() }).await;
    let client = client(&fake);
    let error = client.reset(ResetType::Nmi).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unsupported { offered, .. } if offered == "ForceOn, ForceOff"),
        "{error:?}"
    );
    client.reset(ResetType::On).await.expect("by ForceOn");
}

#[tokio::test]
async fn a_slow_bmc_costs_its_deadline_and_is_then_left_alone() {
    let fake = Fake::start(Knobs { delay: Duration::from_secs(30), ..Knobs::default() }).await;
    let client = client_of(&fake, Options { answer: Duration::from_millis(200), ..options() });
    for _ in 0..2 {
        let error = client.power_state().await.unwrap_err();
        assert!(matches!(error, Error::Slow { .. }), "{error:?}");
    }
    let error = client.power_state().await.unwrap_err();
    assert!(matches!(error, Error::Remembered { .. }), "{error:?}");
    assert_eq!(fake.seen.lock().unwrap().requests.len(), 2);
}

#[tokio::test]
async fn a_bmc_gets_one_request_at_a_time_and_a_bounded_queue() {
    let fake = Fake::start(Knobs { delay: Duration::from_millis(20), ..Knobs::default() }).await;
    let client = client_of(&fake, Options { max_waiting: 4, ..options() });
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let client = client.clone();
        tasks.spawn(async move { client.power_state().await });
    }
    let outcomes = tasks.join_all().await;
    let full = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::QueueFull { .. }))).count();
    let good = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!((good, full), (4, 4), "{outcomes:?}");
    assert_eq!(fake.seen.lock().unwrap().most_in_flight, 1);
}

#[tokio::test]
async fn what_is_no_document_is_named() {
    let ask = |text: String| async move {
        let fake = Fake::start(Knobs { system_text: Some(text), ..Knobs::default() }).await;
        match client(&fake).power_state().await.unwrap_err() {
            Error::Document { source, .. } => source,
            error => panic!("{error:?}"),
        }
    };
    assert_eq!(ask("<html><body>Welcome</body></html>".into()).await, DocumentError::WebPage);
    assert!(matches!(ask("{\"PowerState\":".into()).await, DocumentError::NotJson { .. }));
    assert!(matches!(ask("x".repeat(redfish::MAX_DOCUMENT + 1)).await, DocumentError::TooLong { .. }));
    assert!(matches!(ask("{\"Name\": \"a thing\"}".into()).await, DocumentError::Missing { .. }));
}

#[tokio::test]
async fn redirects_stay_at_home_and_passwords_with_them() {
    let fake =
        Fake::start(Knobs { redirect: Some("/redfish/v1/Systems/1/here".into()), ..Knobs::default() }).await;
    client(&fake).power_state().await.unwrap();

    let elsewhere = Fake::start(Knobs::default()).await;
    let to = format!("{}/redfish/v1/Systems/1", elsewhere.url());
    let fake = Fake::start(Knobs { redirect: Some(to), ..Knobs::default() }).await;
    let error = client(&fake).power_state().await.unwrap_err();
    assert!(matches!(&error, Error::Redirected { to, .. } if *to == elsewhere.url()), "{error:?}");
    assert!(elsewhere.seen.lock().unwrap().requests.is_empty(), "nothing is sent there");

    let fake =
        Fake::start(Knobs { redirect: Some("/redfish/v1/Systems/1".into()), ..Knobs::default() }).await;
    let error = client(&fake).power_state().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "a circle ends: {error:?}");
}

#[tokio::test]
async fn several_machines_must_be_told_apart() {
    let fake = Fake::start(Knobs { systems: vec!["1", "HGX_Baseboard_0"], ..Knobs::default() }).await;
    let error = client(&fake).power_state().await.unwrap_err();
    assert!(error.to_string().contains("/redfish/v1/Systems/HGX_Baseboard_0"), "{error}");
    assert_eq!(error.retry(), Retry::NeedsOperator);
    let address = Address::parse(&fake.url()).unwrap();
    let named = RedfishPool::new(options()).client(address, admin(), Some(SystemId::parse("1").unwrap()));
    named.power_state().await.unwrap();
}
