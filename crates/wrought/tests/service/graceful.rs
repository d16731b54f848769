//! SIGTERM in the middle of everything: a quick end with success, and the next start goes on where this one stopped.

use std::time::Duration;

use reqwest::Method;
use sim::{OperationKind, Outcome, Span, Timing};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::LONG;
use crate::image_server::ImageServer;
use crate::machine::{available, deploy, ends, runs_image};
use crate::site::{Settings, Site};

/// "Within seconds".
const QUICK: Duration = Duration::from_secs(8);

const HALF_A_REQUEST: &[u8] = b"POST /v1/nodes HTTP/1.1\r\nHost: h\r\nContent-Le";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_middle_of_deployments() {
    let mut site = Site::start(&Settings::default()).await;
    let images = ImageServer::start().await;
    let slow = Timing { write: Span::millis(3000, 3000), ..Timing::hurried() };
    let fleet = site.fleet_with(2, 7, slow).await;
    let (writing, fetching) = (fleet.machine(0).unwrap(), fleet.machine(1).unwrap());
    let api = site.api();
    let (first, second) = tokio::join!(available(&api, writing), available(&api, fetching));
    // One node in a step of its agent, one in the transfer of its image.
    deploy(&api, &first, &images, "good.raw").await;
    deploy(&api, &second, &images, "gated.raw").await;
    let wrote = writing.wait_for(LONG, |_| !ends(writing, OperationKind::WriteImage).is_empty()).await;
    assert!(wrote.is_some());
    wait_for(|| images.waiting() > 0).await;
    assert_eq!(ends(writing, OperationKind::WriteImage), [Outcome::Running]);

    let began = Instant::now();
    let status = site.terminate(LONG).await;
    assert!(status.success(), "{status}\n{}", site.log());
    assert!(began.elapsed() < QUICK, "took {:?}", began.elapsed());
    assert!(site.log().contains("stopped"), "{}", site.log());
    assert_eq!(ends(writing, OperationKind::WriteImage), [Outcome::Running], "the machine goes on by itself");

    images.open_gate();
    site.run().await;
    tokio::join!(api.reaches(&first, "active"), api.reaches(&second, "active"));
    tokio::join!(runs_image(writing, "good.raw"), runs_image(fetching, "gated.raw"));
    for machine in [writing, fetching] {
        assert_eq!(ends(machine, OperationKind::WriteImage), [Outcome::Done]);
        assert_eq!(machine.state().boots, 3, "cleaned, deployed, started");
    }
    fleet.stop().await;
}

async fn wait_for(reached: impl Fn() -> bool) {
    let since = Instant::now();
    while !reached() {
        assert!(since.elapsed() < LONG);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_nothing_to_do() {
    let mut site = Site::start(&Settings { auth: "http_basic", ..Settings::default() }).await;
    let api = site.api();
    assert_eq!(api.get("/v1/nodes").await["nodes"].as_array().map(Vec::len), Some(0));
    for stalled in [false, true] {
        // Nor is a client that sent half a request a reason to stay.
        let mut half = TcpStream::connect(site.socket()).await.unwrap();
        if stalled {
            half.write_all(HALF_A_REQUEST).await.unwrap();
        }
        let began = Instant::now();
        let status = site.terminate(LONG).await;
        assert!(status.success() && began.elapsed() < QUICK, "{status}, {:?}", began.elapsed());
        site.run().await;
        // The password of the first start stays the password, and is not told again.
        assert_eq!(api.send(Method::GET, "/v1/nodes", None).await.status, 200);
        assert_eq!(site.log().matches("administrator password").count(), 1);
    }
}
