//! The boot flight recorder on a store.

use std::time::Duration;

use boot_trace::{Asking, BootEventKind, FileRole, Relation, TftpFailure, Told, attempts};
use db::{BOOT_ATTEMPTS_PER_NODE, BOOT_EVENTS_PER_NODE, Db};
use model::{BootIntent, MacAddr, NodeUuid, Port, Timestamp};

use crate::fixtures::{bare, mac, time};

fn power_on() -> Told {
    Told::machine(BootEventKind::PowerOn { intent: BootIntent::Ramdisk })
}

fn discover(mac: MacAddr, machine: Option<&str>) -> Told {
    let asking = Asking {
        client: "x64 UEFI (7)".to_owned(),
        firmware: true,
        ipxe: false,
        architecture: Some(7),
        loader: Some("snponly.efi".to_owned()),
        user_class: None,
        relay: None,
        machine_id: machine.map(str::to_owned),
    };
    Told { mac: Some(mac), kind: BootEventKind::Discover(asking) }
}

fn failed(file: &str, bytes: u64) -> Told {
    let kind = BootEventKind::TftpError {
        file: file.to_owned(),
        role: FileRole::Loader,
        bytes,
        millis: 1,
        failure: TftpFailure::TimedOut,
        error: "gone".to_owned(),
    };
    Told { mac: Some(mac(1)), kind }
}

pub(crate) async fn what_was_seen_comes_back_with_counts(db: Db) {
    let node = db.create_node(bare()).await.unwrap().uuid;
    assert!(db.boot_trace(node).await.unwrap().is_empty());
    db.see_boot(Some(node), time(10), power_on());
    db.see_boot(Some(node), time(20), discover(mac(1), None));
    db.see_boot(Some(node), time(30), failed("snponly.efi", 512));
    // Counted in the rows that are written already, too.
    assert_eq!(db.boot_trace(node).await.unwrap().len(), 3);
    db.see_boot(Some(node), time(40), discover(mac(1), None));
    db.see_boot(Some(node), time(50), failed("snponly.efi", 1024));
    db.see_boot(Some(node), time(50), failed("other", 0));
    let seen = db.boot_trace(node).await.unwrap();
    let shape: Vec<_> =
        seen.iter().map(|entry| (entry.at.as_micros(), entry.last_at.as_micros(), entry.count)).collect();
    assert_eq!(shape, [(10, 10, 1), (20, 40, 2), (30, 50, 2), (50, 50, 1)]);
    assert_eq!(seen[2].told, failed("snponly.efi", 1024), "the last one counts");
    assert_eq!(db.boot_events_lost(), 0);
    // An unknown node, and one that goes, take nothing with them.
    db.see_boot(Some(NodeUuid::random()), time(60), power_on());
    db.see_boot(Some(node), time(60), power_on());
    assert_eq!(attempts(&db.boot_trace(node).await.unwrap()).len(), 2);
    assert_eq!(db.prune_boot_traces(time(45)).await.unwrap(), 2);
    let row = db.get_node(&db::NodeKey::Uuid(node), &db::Scope::All).await.unwrap().unwrap();
    db.delete_node(&row).await.unwrap();
    assert!(db.boot_trace(node).await.unwrap().is_empty());
}

pub(crate) async fn traces_are_bounded(db: Db) {
    let node = db.create_node(bare()).await.unwrap().uuid;
    for number in 0..(BOOT_EVENTS_PER_NODE + 100) {
        let at = time(i64::try_from(number).unwrap());
        db.see_boot(Some(node), at, failed(&format!("file {number}"), 0));
    }
    let kept = db.boot_trace(node).await.unwrap();
    assert!((BOOT_EVENTS_PER_NODE..BOOT_EVENTS_PER_NODE + 32).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.last().unwrap().at, time(499));
    for number in 0..20 {
        db.see_boot(Some(node), time(1000 + 2 * number), power_on());
        db.see_boot(Some(node), time(1001 + 2 * number), discover(mac(1), None));
    }
    let kept = db.boot_trace(node).await.unwrap();
    assert_eq!(attempts(&kept).len(), BOOT_ATTEMPTS_PER_NODE);
    assert_eq!(kept.last().unwrap().at, time(1039));
}

/// What is dropped is told, and nobody waits: the reader's flush is the only wait there is.
pub(crate) async fn whoever_sees_something_never_waits(db: Db) {
    let node = db.create_node(bare()).await.unwrap().uuid;
    let began = tokio::time::Instant::now();
    for number in 0..100_000 {
        db.see_boot(Some(node), time(number), discover(mac(1), None));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let kept = db.boot_trace(node).await.unwrap();
    let counted: u64 = kept.iter().map(|entry| u64::from(entry.count)).sum();
    assert_eq!(counted + db.boot_events_lost(), 100_000);
}

pub(crate) async fn another_port_of_a_machine_is_recognised(db: Db) {
    let booting = |number: u16| {
        let mut node = bare();
        node.boot_intent = BootIntent::Ramdisk;
        let port = mac(number);
        (node, port)
    };
    let (node, address) = booting(0x10);
    let node = db.create_node(node).await.unwrap().uuid;
    db.create_port(Port::new(node, address, Timestamp::now())).await.unwrap();
    let (other, far) = booting(0x80);
    let other = db.create_node(other).await.unwrap().uuid;
    db.create_port(Port::new(other, far, Timestamp::now())).await.unwrap();

    // Next to a port of the one, and far from everything.
    db.see_boot(None, time(1), discover(mac(0x11), None));
    db.see_boot(None, time(2), discover(mac(0x40), None));
    let seen = db.boot_trace(node).await.unwrap();
    assert_eq!(seen.len(), 1);
    let client = "x64 UEFI (7)".to_owned();
    let kind = BootEventKind::OtherPort { relation: Relation::Neighbour, client: client.clone() };
    assert_eq!(seen[0].told, Told { mac: Some(mac(0x11)), kind });
    assert!(db.boot_trace(other).await.unwrap().is_empty());

    // A machine that told its UUID before is known by it, however far its addresses are apart.
    db.see_boot(Some(other), time(3), discover(far, Some("ab")));
    db.boot_trace(other).await.unwrap();
    db.see_boot(None, time(4), discover(mac(0x50), Some("ab")));
    let seen = db.boot_trace(other).await.unwrap();
    let kind = BootEventKind::OtherPort { relation: Relation::MachineId, client };
    assert_eq!(seen.last().unwrap().told, Told { mac: Some(mac(0x50)), kind });
}
