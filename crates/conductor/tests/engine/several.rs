//! Several conductors on one store: one that stands still is taken for dead, its work goes on elsewhere, and when it wakes up
//! it does no harm.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use conductor_api::{Conductors as _, RequestError};
use db::AllocationKey;
use model::{
    Allocation, AllocationState, BootDevice, Lease, Node, PowerState, ProvisionState as S, Scope, Timestamp,
};
use provision::Verb;
use tokio::sync::oneshot;

use crate::rig::{Freeze, Knobs, Rig, Site};

/// Actions of a deployment on this machine, at least.
const ACTIONS: usize = 10;

fn knobs(hostname: &'static str) -> Knobs {
    Knobs {
        hostname,
        lease: (Duration::from_millis(200), Duration::from_secs(2)),
        // The answer to a lookup may be lost with the conductor: the machine is booted again soon.
        token_timeout: Duration::from_secs(2),
        ..Knobs::default()
    }
}

/// What a conductor is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Deployment,
    /// Something to be done at once, for which there is no flow.
    BootDevice,
}

/// A conductor on a thread of its own, which stands still in the action with number `at` of what it is asked for.
struct Stopped {
    site: Option<Site>,
    freeze: Arc<Freeze>,
    end: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Stopped {
    fn start(at: usize, asked: Asked) -> Self {
        let freeze = Arc::new(Freeze::default());
        let (site, started) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let knobs = Knobs { freeze: Some((at, Arc::clone(&freeze))), ..knobs("conductor-1") };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let rig = Rig::start(knobs).await;
                rig.set_state(S::Available).await;
                site.send(rig.site()).unwrap();
                match asked {
                    Asked::Deployment => rig.request(Verb::Active).await.unwrap(),
                    Asked::BootDevice => {
                        let done = rig.conductor().set_boot_device(rig.uuid, BootDevice::Pxe, false).await;
                        assert!(matches!(done, Err(RequestError::Unavailable(_))), "{done:?}");
                    }
                }
                ended.await.unwrap();
                rig.stop().await;
            });
        });
        let site = Some(started.recv().unwrap());
        freeze.until_frozen();
        Self { site, freeze, end, thread }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conductor_that_stood_still_does_no_harm_when_it_wakes_up() {
    let tests = (1..=ACTIONS).map(|at| tokio::spawn(stands_still(at)));
    for test in tests.collect::<Vec<_>>() {
        test.await.unwrap();
    }
}

async fn stands_still(at: usize) {
    let mut one = tokio::task::spawn_blocking(move || Stopped::start(at, Asked::Deployment)).await.unwrap();
    let site = one.site.take().unwrap();
    let (machine, uuid) = (Arc::clone(&site.machine), site.uuid);
    let two = Rig::beside(site, knobs("conductor-2")).await;
    two.until(S::Active).await;
    assert_eq!(machine.lock().unwrap().writes, 1, "stopped in action {at}");
    let journal = two.db().journal(uuid, 100).await.unwrap();
    let of = |host: &str| journal.iter().filter(|line| line.conductor.as_deref() == Some(host)).count();
    assert!(of("conductor-1") >= 1 && of("conductor-2") >= 1, "{journal:?}");
    assert!(journal.iter().all(|line| line.outcome.is_some()));

    // It wakes up, finds out, and begins anew.
    let epoch = async || two.db().get_conductor("conductor-1").await.unwrap().unwrap();
    let before = epoch().await;
    assert!(!before.online);
    let revision = two.node().await.revision;
    one.freeze.thaw();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !epoch().await.online {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(machine.lock().unwrap().late, 0, "it finished action {at} of a node that was taken over");
    assert_eq!(two.node().await.revision, revision);
    assert_eq!(two.db().journal(uuid, 100).await.unwrap(), journal);
    one.end.send(()).unwrap();
    tokio::task::spawn_blocking(move || one.thread.join()).await.unwrap().unwrap();
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_of_a_conductor_that_stood_still_is_not_finished() {
    let stopped = tokio::task::spawn_blocking(move || Stopped::start(1, Asked::BootDevice)).await;
    let mut one = stopped.unwrap();
    let site = one.site.take().unwrap();
    let machine = Arc::clone(&site.machine);
    let two = Rig::beside(site, knobs("conductor-2")).await;
    let row = async || two.db().get_conductor("conductor-1").await.unwrap().unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    for online in [false, true] {
        while row().await.online != online {
            assert!(tokio::time::Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        one.freeze.thaw();
    }
    assert_eq!(machine.lock().unwrap().late, 0, "it went on with a machine that was another's by then");
    one.end.send(()).unwrap();
    tokio::task::spawn_blocking(move || one.thread.join()).await.unwrap().unwrap();
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_conductor_that_died_was_allocating_is_taken_over() {
    // It waits for a lock for so long that it never comes to an end, and dies of its runtime's end.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let patient = Knobs { lock_retry: Duration::from_hours(9), ..knobs("conductor-1") };
    let one = runtime.spawn(Rig::start(patient)).await.unwrap();
    let before = one.node().await;
    let mut locked = before.clone();
    locked.provision_state = S::Available;
    locked.power_state = Some(PowerState::Off);
    locked.resource_class = Some("gold".to_owned());
    locked.lease = Some(Lease {
        holder: "elsewhere".to_owned(),
        expires_at: Timestamp::now().plus(Duration::from_hours(1)),
        reason: "power".to_owned(),
    });
    let locked = one.db().update_node(&before, locked).await.unwrap();
    let wish =
        Allocation { resource_class: locked.resource_class.clone(), ..Allocation::new(Timestamp::now()) };
    let wish = one.db().create_allocation(wish).await.unwrap();
    one.conductor().allocate(wish.uuid).await.unwrap();
    // Its own since it has begun with it.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !one.db().unsettled_allocations("conductor-2").await.unwrap().is_empty() {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }

    let two = Rig::beside(one.site(), knobs("conductor-2")).await;
    let settled = async || {
        let found = two.db().get_allocation(&AllocationKey::Uuid(wish.uuid), &Scope::All).await;
        found.unwrap().filter(|found| found.state != AllocationState::Allocating)
    };
    let mut looks = two.conductor().members().looks();
    for _ in 0..5 {
        looks.changed().await.unwrap();
    }
    // It would have failed within milliseconds: the node is locked.
    assert_eq!(settled().await, None, "while one works on it nobody else does");
    let free = Node { lease: None, ..locked.clone() };
    two.db().update_node(&locked, free).await.unwrap();
    runtime.shutdown_background();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let settled = loop {
        if let Some(settled) = settled().await {
            break settled;
        }
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((settled.state, settled.node_uuid), (AllocationState::Active, Some(two.uuid)), "{settled:?}");
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conductor_that_stops_hands_its_work_over_at_once() {
    // A lease that does not end during the test: nobody has to wait for it.
    let patient = |hostname| Knobs { hostname, ..Knobs::default() };
    let one = Rig::start(Knobs { slow: Duration::from_millis(30), ..patient("conductor-1") }).await;
    one.set_state(S::Available).await;
    let two = Rig::beside(
        one.site(),
        Knobs { lease: (Duration::from_millis(100), Duration::from_mins(1)), ..patient("conductor-2") },
    )
    .await;
    one.request(Verb::Active).await.unwrap();
    one.until_true(|_| one.machine().actions >= 2, "under way").await;
    let node = one.uuid;
    one.stop().await;
    two.until(S::Active).await;
    assert_eq!(two.machine().writes, 1);
    let journal = two.db().journal(node, 100).await.unwrap();
    assert_eq!(journal.first().unwrap().conductor.as_deref(), Some("conductor-2"));
    two.stop().await;
}
