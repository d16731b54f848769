//! Who is asked: the conductor that works on a node, else the one in charge; here, over a bus, or nobody.

use std::sync::Arc;
use std::time::Duration;

use cluster::Router;
use cluster::bus::{Bus, StoreBus};
use cluster::{Answering, wire::Request};
use conductor_api::{Conductors, HardwareRequests, Lookup, RequestError};
use model::{Lease, NodeUuid, PowerTarget, Timestamp};

use crate::buses::serve;
use crate::double::Double;
use crate::requests::{DRIVER, every};
use crate::site::{ADDRESS, HOST, Site};

const LONG: Duration = Duration::from_mins(5);

/// Where two conductors live, this process's and another one, over the bus of rows.
struct Pair {
    site: Site,
    here: Arc<Double>,
    there: Arc<Double>,
    router: Router,
    _serving: cluster::bus::Serving,
}

impl Pair {
    async fn new() -> Self {
        let mut site = Site::embedded().await;
        site.add("here").await;
        let double = || Arc::new(Double::new(site.node.clone()));
        let (here, there) = (double(), double());
        let bus = Arc::new(StoreBus::open(site.db.clone()));
        let serving = serve(&*bus, HOST, 1, Arc::new(Answering::new(Arc::clone(&there) as _, HOST))).await;
        let router = Router::new(site.db.clone(), site.members.clone())
            .with_conductor("here", Arc::clone(&here) as _)
            .with_bus(bus)
            .with_patience(LONG);
        Self { site, here, there, router, _serving: serving }
    }

    /// Gives the node to a conductor, until the end of time or until `until`.
    async fn lease_to(&mut self, holder: &str, until: Timestamp) {
        let mut after = self.site.node.clone();
        after.lease = Some(Lease { holder: holder.to_owned(), expires_at: until, reason: "test".to_owned() });
        self.site.node = self.site.db.update_node(&self.site.node, after).await.unwrap();
    }

    /// Who was asked since the last time: here, there.
    fn asked(&self) -> (usize, usize) {
        (self.here.take_asked().len(), self.there.take_asked().len())
    }
}

fn later() -> Timestamp {
    Timestamp::now().plus(Duration::from_hours(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_to_the_holder_of_the_lease() {
    let mut pair = Pair::new().await;
    let node = pair.site.node.uuid;
    for (holder, asked) in [("here", (1, 0)), (HOST, (0, 1))] {
        pair.lease_to(holder, later()).await;
        pair.router.inject_nmi(node).await.unwrap();
        assert_eq!(pair.asked(), asked);
        pair.router.lookup(Lookup { addresses: vec![ADDRESS], ..Lookup::default() }).await.unwrap();
        assert_eq!(pair.asked(), asked, "a machine is known by its addresses");
    }
    // A lease that ran out, or whose holder is dead, holds nothing.
    let owner = pair.router.conductor_of(&pair.site.node).unwrap();
    let of_owner = if owner == HOST { (0, 1) } else { (1, 0) };
    let other = if owner == HOST { "here" } else { HOST };
    pair.lease_to(other, Timestamp::now()).await;
    pair.router.inject_nmi(node).await.unwrap();
    assert_eq!(pair.asked(), of_owner);
    pair.lease_to("dead", later()).await;
    pair.router.inject_nmi(node).await.unwrap();
    assert_eq!(pair.asked(), of_owner);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_row_is_read_to_find_out() {
    let site = Site::embedded().await;
    let double = Arc::new(Double::new(site.node.clone()));
    let bus = Arc::new(StoreBus::open(site.db.clone()));
    let router =
        Router::new(site.db.clone(), site.members.clone()).with_conductor(HOST, double as _).with_bus(bus);
    let before = site.db.statements_executed();
    for request in std::iter::repeat_with(|| every(site.node.uuid)).take(20).flatten() {
        let Request::Heartbeat { node, heartbeat } = request else { continue };
        router.heartbeat(node, heartbeat).await.unwrap();
    }
    // A look at the conductors may come in between: three more.
    let statements = site.db.statements_executed() - before;
    assert!((20..=26).contains(&statements), "{statements} for 20 heartbeats");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_about_no_node_stay_here_if_they_can() {
    let pair = Pair::new().await;
    pair.router.raid_properties(DRIVER.to_owned()).await.unwrap();
    pair.router.lookup(Lookup::default()).await.unwrap();
    assert_eq!(pair.asked(), (2, 0));
    // A process without a conductor asks any.
    let bus = Arc::new(StoreBus::open(pair.site.db.clone()));
    let router = Router::new(pair.site.db.clone(), pair.site.members.clone()).with_bus(bus);
    let mut site = pair.site;
    site.end("here").await;
    router.raid_properties(DRIVER.to_owned()).await.unwrap();
    router.lookup(Lookup::default()).await.unwrap();
    assert_eq!(pair.there.take_asked().len(), 2);
    assert_eq!(router.hosts_of(DRIVER), [HOST]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_said() {
    let mut site = Site::embedded().await;
    let unknown = NodeUuid::random();
    let bus = Arc::new(StoreBus::open(site.db.clone()));
    let router = Router::new(site.db.clone(), site.members.clone()).with_bus(bus);
    assert_eq!(router.inject_nmi(unknown).await, Err(RequestError::NotFound(unknown.to_string())));
    let no_way = Router::new(site.db.clone(), site.members.clone());
    let Err(RequestError::Unavailable(text)) = no_way.inject_nmi(site.node.uuid).await else { panic!() };
    assert!(text.contains(HOST) && text.contains("[messaging]"), "{text}");
    site.end(HOST).await;
    assert_eq!(router.conductor_of(&site.node), None);
    let power = router.set_power(site.node.uuid, PowerTarget::On, None, provision::Asker::default());
    let Err(RequestError::Unavailable(text)) = power.await else { panic!() };
    assert!(text.contains(DRIVER) && text.contains("No conductor"), "{text}");
    assert!(matches!(router.lookup(Lookup::default()).await, Err(RequestError::Unavailable(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_silent_are_named() {
    let site = Site::embedded().await;
    let bus = Arc::new(StoreBus::open(site.db.clone()));
    let patience = Duration::from_millis(300);
    let router = Router::new(site.db.clone(), site.members.clone()).with_bus(bus).with_patience(patience);
    let Err(RequestError::Unavailable(text)) = router.console(site.node.uuid).await else { panic!() };
    let words = [HOST, "sign of life came", "not known", "look at the node", "log"];
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_do_not_wait_for_the_dead() {
    let site = Site::embedded().await;
    let bus = Arc::new(StoreBus::open(site.db.clone()));
    wait_for_the_dead(site, bus).await;
}

/// As above, over a broker.
pub(crate) async fn the_dead_are_not_waited_for(bus: Arc<dyn Bus>) {
    wait_for_the_dead(Site::embedded().await, bus).await;
}

/// A conductor is declared dead while it is asked: its askers are told long before their patience ends.
async fn wait_for_the_dead(mut site: Site, bus: Arc<dyn Bus>) {
    struct Never(Arc<tokio::sync::Notify>);
    impl cluster::bus::Answers for Never {
        fn answer(&self, _: cluster::bus::Question) -> futures_util::future::BoxFuture<'_, Option<String>> {
            self.0.notify_one();
            Box::pin(std::future::pending())
        }
    }
    let asked = Arc::new(tokio::sync::Notify::new());
    let serving =
        bus.serve(HOST, tokio::sync::watch::Sender::new(1).subscribe(), Arc::new(Never(Arc::clone(&asked))));
    serving.ready().await;
    let router = Router::new(site.db.clone(), site.members.clone())
        .with_bus(bus)
        .with_patience(Duration::from_hours(9));
    let node = site.node.uuid;
    let asking = tokio::spawn(async move { router.console(node).await });
    asked.notified().await;
    site.end(HOST).await;
    let answer = tokio::time::timeout(LONG, asking).await.unwrap().unwrap();
    assert!(matches!(answer, Err(RequestError::Unavailable(_))), "{answer:?}");
    drop(serving);
}
