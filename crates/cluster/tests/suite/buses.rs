//! What every bus is to do, and what only some do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cluster::bus::{Answers, Bus, BusError, Question, Serving};
use cluster::wire::Request;
use cluster::{Answering, Router};
use conductor_api::{HardwareRequests, RequestError};
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

use crate::double::{Double, ask_both};
use crate::requests::every;
use crate::site::{self, HOST, Site};

/// Far more than anything takes, for machines under load.
const LONG: Duration = Duration::from_mins(5);

fn soon() -> Instant {
    Instant::now() + LONG
}

/// Answers with what it was asked, and counts.
#[derive(Default)]
pub(crate) struct Echo {
    begun: AtomicUsize,
    /// Who asks for "wait" has to wait for this.
    gate: Option<Arc<Semaphore>>,
    waiting: Notify,
}

impl Echo {
    fn gated(gate: &Arc<Semaphore>) -> Arc<Self> {
        Arc::new(Self { gate: Some(Arc::clone(gate)), ..Self::default() })
    }
}

impl Answers for Echo {
    fn answer(&self, question: Question) -> BoxFuture<'_, Option<String>> {
        Box::pin(async move {
            if question.until <= Instant::now() || question.again {
                return None;
            }
            self.begun.fetch_add(1, Ordering::SeqCst);
            if let Some(gate) = self.gate.as_ref().filter(|_| question.text.starts_with("wait")) {
                self.waiting.notify_one();
                gate.acquire().await.unwrap().forget();
            }
            Some(question.text)
        })
    }
}

/// The hosts of these tests beside the site's own: conductors, each in its first registration.
const HOSTS: [&str; 7] = ["release", "many", "large", "late", "silent", "stop", "break"];

/// Enters them.
async fn register_all(site: &Site) {
    for host in HOSTS {
        site::register(&site.db, host).await;
    }
}

/// Takes questions, from when this returns.
pub(crate) async fn serve(bus: &impl Bus, host: &str, epoch: i64, answers: Arc<dyn Answers>) -> Serving {
    serve_as(bus, host, &watch::Sender::new(epoch), answers).await
}

/// The same in whatever registration `epochs` tells.
async fn serve_as(
    bus: &impl Bus,
    host: &str,
    epochs: &watch::Sender<i64>,
    answers: Arc<dyn Answers>,
) -> Serving {
    let serving = bus.serve(host, epochs.subscribe(), answers);
    tokio::time::timeout(LONG, serving.ready()).await.unwrap();
    serving
}

/// All that does not depend on how the messages travel.
pub(crate) async fn all<B: Bus>(site: &Site, open: impl Fn(&Site) -> B) {
    let (asking, serving) = (Arc::new(open(site)), open(site));
    answers_are_the_same_as_in_process(site, Arc::clone(&asking) as _, &serving).await;
    // Not before: requests for anybody's node would be for them, too.
    register_all(site).await;
    other_releases_are_told_apart(&*asking, &serving).await;
    a_thousand_at_once_are_answered(&*asking, &serving).await;
    large_questions_travel(&*asking, &serving).await;
    what_comes_too_late_is_not_begun(&*asking, &serving).await;
    the_silent_are_given_up(&*asking, &serving).await;
    a_stop_waits_for_answers(&*asking, &serving).await;
    asking.close().await;
    serving.close().await;
}

async fn answers_are_the_same_as_in_process(site: &Site, bus: Arc<dyn Bus>, serving: &impl Bus) {
    let (here, there) = (Arc::new(Double::new(site.node.clone())), Arc::new(Double::new(site.node.clone())));
    let serving = serve(serving, HOST, 1, Arc::new(Answering::new(Arc::clone(&there) as _, HOST))).await;
    let router = Router::new(site.db.clone(), site.members.clone()).with_bus(bus).with_patience(LONG);
    let methods: Vec<&str> = every(site.node.uuid).iter().map(Request::method).collect();
    assert_eq!(methods, Request::METHODS, "each method is tried, in the order of the table");
    for request in every(site.node.uuid) {
        assert!(ask_both(request, &*here, &router).await);
    }
    let asked = here.take_asked();
    assert_eq!(asked, there.take_asked());
    // What is compared does have what must not get lost.
    for precious in ["r3scue \\\"me\\\"", "t0ken", "hush", "{\"logical_disks\": [ ]}"] {
        assert!(asked.iter().any(|text| text.contains(precious)), "{precious}");
    }
    for refusal in refusals() {
        for double in [&here, &there] {
            *double.refusal.lock().unwrap() = Some(refusal.clone());
        }
        let node = site.node.uuid;
        assert!(!ask_both(Request::InjectNmi { node }, &*here, &router).await);
        assert_eq!(router.console(node).await, Err(refusal));
    }
    serving.stop().await;
}

/// One of each kind.
fn refusals() -> Vec<RequestError> {
    use RequestError as E;
    let text = || "why \"not\"\n".to_owned();
    let all = vec![
        E::NotFound(text()),
        E::Locked { node: text(), holder: "h".to_owned(), reason: String::new() },
        E::Invalid(text()),
        E::Conflict(text()),
        E::Forbidden(text()),
        E::Unsupported(text()),
        E::BadToken(text()),
        E::LookupNotFound,
        E::Hardware { message: text(), transient: true },
        E::Hardware { message: text(), transient: false },
        E::Unavailable(text()),
        E::Internal(text()),
    ];
    // Whoever adds a kind adds it above.
    for error in &all {
        match error {
            E::NotFound(_)
            | E::Locked { .. }
            | E::Invalid(_)
            | E::Conflict(_)
            | E::Forbidden(_)
            | E::Unsupported(_)
            | E::BadToken(_)
            | E::LookupNotFound
            | E::Hardware { .. }
            | E::Unavailable(_)
            | E::Internal(_) => {}
        }
    }
    all
}

async fn other_releases_are_told_apart(asking: &impl Bus, serving: &impl Bus) {
    let double = Double::new(model::Node::new("x", model::Timestamp::now()));
    let serving = serve(serving, "release", 1, Arc::new(Answering::new(Arc::new(double), "release"))).await;
    let newer = r#"{"version":99,"release":"9.9","body":{"hush":1}}"#;
    let answer = asking.request("release", newer.to_owned(), soon()).await.unwrap();
    assert!(
        answer.contains("version 99") && answer.contains("9.9") && answer.contains("same release"),
        "{answer}"
    );
    let unknown = r#"{"version":1,"body":{"deadline":9000000000000000,"request":{"NoSuch":{"hush":1}}}}"#;
    let answer = asking.request("release", unknown.to_owned(), soon()).await.unwrap();
    assert!(answer.contains("makes no sense") && !answer.contains("hush"), "{answer}");
    serving.stop().await;
}

async fn a_thousand_at_once_are_answered<B: Bus>(asking: &B, serving: &B) {
    let echo = Arc::new(Echo::default());
    let serving = serve(serving, "many", 1, Arc::clone(&echo) as _).await;
    let asked = (0..1000).map(|index| async move {
        let text = format!("question {index}");
        assert_eq!(asking.request("many", text.clone(), soon()).await.unwrap(), text);
        text
    });
    let answered: BTreeSet<String> = futures_util::future::join_all(asked).await.into_iter().collect();
    assert_eq!(answered.len(), 1000);
    assert_eq!(echo.begun.load(Ordering::SeqCst), 1000, "each is begun once");
    serving.stop().await;
}

async fn large_questions_travel(asking: &impl Bus, serving: &impl Bus) {
    let serving = serve(serving, "large", 1, Arc::new(Echo::default())).await;
    let text = "é".repeat(3 << 20);
    assert!(asking.request("large", text.clone(), soon()).await.unwrap() == text);
    serving.stop().await;
}

/// All room is taken; one more question comes, and is late when there is room for it.
async fn what_comes_too_late_is_not_begun<B: Bus>(asking: &B, serving: &B) {
    let gate = Arc::new(Semaphore::new(0));
    let echo = Echo::gated(&gate);
    let serving = serve(serving, "late", 1, Arc::clone(&echo) as _).await;
    let slow =
        futures_util::future::join_all((0..256).map(|_| asking.request("late", "wait".to_owned(), soon())));
    let late = async {
        while echo.begun.load(Ordering::SeqCst) < 256 {
            echo.waiting.notified().await;
        }
        let deadline = Instant::now() + Duration::from_millis(300);
        let late = asking.request("late", "late".to_owned(), deadline).await;
        assert!(matches!(late, Err(BusError::Silent)), "{late:?}");
        gate.add_permits(256);
    };
    let (answers, ()) = tokio::join!(slow, late);
    assert!(answers.iter().all(|answer| answer.as_deref().is_ok_and(|text| text == "wait")));
    // Whatever came before this one was looked at.
    asking.request("late", "last".to_owned(), soon()).await.unwrap();
    assert_eq!(echo.begun.load(Ordering::SeqCst), 257);
    serving.stop().await;
}

async fn the_silent_are_given_up(asking: &impl Bus, serving: &impl Bus) {
    let gate = Arc::new(Semaphore::new(0));
    let serving = serve(serving, "silent", 1, Echo::gated(&gate)).await;
    let deadline = Instant::now() + Duration::from_millis(300);
    let error = asking.request("silent", "wait".to_owned(), deadline).await.unwrap_err();
    assert!(matches!(error, BusError::Silent) && error.maybe_begun());
    gate.add_permits(1);
    // Its answer comes to nobody; the next one is the next one's.
    assert_eq!(asking.request("silent", "next".to_owned(), soon()).await.unwrap(), "next");
    serving.stop().await;
}

async fn a_stop_waits_for_answers(asking: &impl Bus, serving: &impl Bus) {
    let gate = Arc::new(Semaphore::new(0));
    let echo = Echo::gated(&gate);
    let serving = serve(serving, "stop", 1, Arc::clone(&echo) as _).await;
    let asked = asking.request("stop", "wait".to_owned(), soon());
    let stopped = async {
        echo.waiting.notified().await;
        let stopping = serving.stop();
        gate.add_permits(1);
        stopping.await;
    };
    let (answer, ()) = tokio::join!(asked, stopped);
    assert_eq!(answer.unwrap(), "wait");
}

/// One question and its answer.
pub(crate) async fn a_question_is_answered(bus: &impl Bus) {
    let serving = serve(bus, "one", 1, Arc::new(Echo::default())).await;
    assert_eq!(ask_until_answered(bus, "one", "hello").await, "hello");
    serving.stop().await;
    bus.close().await;
}

/// There is no connection, and that is said.
pub(crate) async fn nothing_is_sent(bus: &impl Bus) {
    let error = bus.request("one", "hello".to_owned(), soon()).await.unwrap_err();
    assert!(matches!(&error, BusError::NotSent { .. }) && !error.maybe_begun(), "{error:?}");
    assert!(!format!("{error} {error:?} {bus:?}").contains("pass"));
    bus.close().await;
}

/// What a broker knows and rows do not: that nobody listens.
pub(crate) async fn nobody_there_is_said_at_once(bus: &impl Bus) {
    let error = bus.request("nobody", "hello".to_owned(), soon()).await.unwrap_err();
    assert!(matches!(error, BusError::NotServed) && !error.maybe_begun(), "{error:?}");
    // One that has gone is nobody, too.
    let serving = serve(bus, "gone", 1, Arc::new(Echo::default())).await;
    ask_until_answered(bus, "gone", "hello").await;
    serving.stop().await;
    let error = bus.request("gone", "hello".to_owned(), soon()).await.unwrap_err();
    assert!(matches!(error, BusError::NotServed), "{error:?}");
    bus.close().await;
}

/// A process that was thought dead comes back, while another one has taken its name.
pub(crate) async fn the_newer_of_two_is_asked(bus: &impl Bus) {
    let (old, new) = (Arc::new(Echo::default()), Arc::new(Echo::default()));
    let newer = serve(bus, "name", 7, Arc::clone(&new) as _).await;
    ask_until_answered(bus, "name", "hello").await;
    let older = serve(bus, "name", 6, Arc::clone(&old) as _).await;
    for _ in 0..50 {
        bus.request("name", "hello".to_owned(), soon()).await.unwrap();
    }
    assert_eq!(old.begun.load(Ordering::SeqCst), 0);
    newer.stop().await;
    older.stop().await;
    bus.close().await;
}

/// A process that was thought dead registers anew: from then on it is the one that is asked, though it came first.
pub(crate) async fn a_new_registration_is_asked_first(bus: &impl Bus) {
    let (first, second) = (Arc::new(Echo::default()), Arc::new(Echo::default()));
    let (epochs, begun) = (watch::Sender::new(6), |echo: &Echo| echo.begun.load(Ordering::SeqCst));
    let older = serve_as(bus, "anew", &epochs, Arc::clone(&first) as _).await;
    let newer = serve(bus, "anew", 7, Arc::clone(&second) as _).await;
    ask_until_answered(bus, "anew", "hello").await;
    assert_eq!(begun(&first), 0);
    epochs.send_replace(8);
    // The broker hears of it after a moment; whatever is asked meanwhile is answered once, by one of the two.
    let mut asked = 1;
    while begun(&first) == 0 {
        assert!(asked < 100_000, "the old priority stayed");
        bus.request("anew", "hello".to_owned(), soon()).await.unwrap();
        asked += 1;
    }
    let others = begun(&second);
    for _ in 0..50 {
        bus.request("anew", "hello".to_owned(), soon()).await.unwrap();
        asked += 1;
    }
    assert_eq!(begun(&second), others);
    assert_eq!(begun(&first) + others, asked);
    newer.stop().await;
    older.stop().await;
    bus.close().await;
}

/// A process that was thought dead takes nothing: what is asked waits for whoever registered since.
pub(crate) async fn a_zombie_takes_nothing(site: &Site, bus: &impl Bus) {
    let zombie = Arc::new(Echo::default());
    let (dead, alive) = (site::register(&site.db, "zombie").await, site::register(&site.db, "zombie").await);
    let epochs = watch::Sender::new(dead.epoch);
    let serving = serve_as(bus, "zombie", &epochs, Arc::clone(&zombie) as _).await;
    let asked = bus.request("zombie", "hello".to_owned(), soon());
    let registered = async {
        // It has looked, twice.
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(zombie.begun.load(Ordering::SeqCst), 0);
        let waiting = site.db.read_messages("conductor/zombie", 9).await.unwrap();
        assert_eq!(waiting.len(), 1, "the question waits");
        epochs.send_replace(alive.epoch);
    };
    let (answer, ()) = tokio::join!(asked, registered);
    assert_eq!(answer.unwrap(), "hello");
    serving.stop().await;
    bus.close().await;
}

/// The server goes away while a question is under way and comes back: that one ends, later ones are answered.
pub(crate) async fn a_break_is_survived<B: Bus>(asking: &B, serving: &B, mut restart: impl AsyncFnMut()) {
    let gate = Arc::new(Semaphore::new(0));
    let echo = Echo::gated(&gate);
    let taking = serve(serving, "break", 1, Arc::clone(&echo) as _).await;
    ask_until_answered(asking, "break", "hello").await;
    let under_way = asking.request("break", "wait".to_owned(), soon());
    let breaking = async {
        echo.waiting.notified().await;
        restart().await;
        gate.add_permits(1);
    };
    let (ended, ()) = tokio::join!(under_way, breaking);
    match ended {
        Ok(text) => assert_eq!(text, "wait"),
        Err(error) => assert!(error.maybe_begun(), "{error:?}"),
    }
    ask_until_answered(asking, "break", "again").await;
    let begun = echo.begun.load(Ordering::SeqCst);
    for _ in 0..20 {
        asking.request("break", "more".to_owned(), soon()).await.unwrap();
    }
    assert_eq!(echo.begun.load(Ordering::SeqCst), begun + 20, "nothing is begun twice");
    taking.stop().await;
    asking.close().await;
    serving.close().await;
}

/// Asks again while there is no connection yet.
async fn ask_until_answered(bus: &impl Bus, host: &str, text: &str) -> String {
    let asking = async {
        loop {
            let deadline = Instant::now() + Duration::from_secs(20);
            match bus.request(host, text.to_owned(), deadline).await {
                Ok(answer) => return answer,
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    tokio::time::timeout(LONG, asking).await.unwrap()
}
