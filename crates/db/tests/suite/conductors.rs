//! Conductors, and the store as a whole.

use std::collections::BTreeMap;

use db::{Db, DbError, Registration};
use model::{HardwareType, InterfaceKind};

fn hardware(name: &str, power: &[&str]) -> HardwareType {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    HardwareType {
        name: name.to_owned(),
        interfaces: BTreeMap::from([
            (InterfaceKind::Power, names(power)),
            (InterfaceKind::Boot, names(&["ipxe", "pxe"])),
        ]),
        properties: BTreeMap::from([("ipmi_address".to_owned(), "Where \"it\" is".to_owned())]),
    }
}

fn registration(hostname: &str, hardware_types: Vec<HardwareType>) -> Registration {
    Registration { hostname: hostname.to_owned(), conductor_group: "rack".to_owned(), hardware_types }
}

pub(crate) async fn a_conductor_registers_and_leaves(db: Db) {
    assert_eq!(db.get_conductor("c1").await.unwrap(), None);
    assert!(matches!(db.touch_conductor("c1").await, Err(DbError::NotFound { .. })));
    let first = db.register_conductor(registration(
        "c1",
        vec![hardware("redfish", &["redfish"]), hardware("ipmi", &["a"])],
    ));
    let first = first.await.unwrap();
    assert!(first.online);
    assert_eq!(first.drivers, ["ipmi", "redfish"]);
    let other = db.register_conductor(registration("c0", vec![])).await.unwrap();
    assert!(other.drivers.is_empty());
    db.set_conductor_offline("c1").await.unwrap();
    assert!(!db.get_conductor("c1").await.unwrap().unwrap().online);
    db.touch_conductor("c1").await.unwrap();
    let touched = db.get_conductor("c1").await.unwrap().unwrap();
    assert!(touched.online && touched.updated_at > first.updated_at);
    let again = db.register_conductor(registration("c1", vec![hardware("ipmi", &["b"])])).await.unwrap();
    assert_eq!((again.id, again.created_at), (first.id, first.created_at));
    assert_eq!(again.drivers, ["ipmi"]);
    assert_eq!(db.list_conductors().await.unwrap(), [again, other]);
}

pub(crate) async fn hardware_is_what_online_conductors_offer(db: Db) {
    let (ipmi, redfish) = (hardware("ipmi", &["ipmitool", "fake"]), hardware("redfish", &["redfish"]));
    db.register_conductor(registration("c1", vec![redfish.clone(), ipmi.clone()])).await.unwrap();
    db.register_conductor(registration("c2", vec![hardware("ipmi", &["fake"])])).await.unwrap();
    db.register_conductor(registration("c3", vec![ipmi.clone()])).await.unwrap();
    db.set_conductor_offline("c3").await.unwrap();
    let offers = db.conductor_hardware().await.unwrap();
    let hosts: Vec<_> =
        offers.iter().map(|offer| (offer.hardware_type.name.as_str(), offer.hostname.as_str())).collect();
    assert_eq!(hosts, [("ipmi", "c1"), ("ipmi", "c2"), ("redfish", "c1")]);
    assert_eq!(offers[0].hardware_type, ipmi);
    assert_eq!(offers[1].hardware_type, hardware("ipmi", &["fake"]));
    assert_eq!(offers[2].hardware_type, redfish);
    assert_eq!(offers[0].conductor_group, "rack");
}

pub(crate) async fn every_statement_fits_the_schema(db: Db) {
    assert!(db.check_statements().await.unwrap() > 40);
}

pub(crate) async fn opening_again_finds_everything_done(db: Db) {
    // The migrations ran when the store was opened; the handle works, and a closed one says so.
    db.put_setting("a", "b").await.unwrap();
    db.close().await;
    assert!(matches!(db.get_setting("a").await, Err(DbError::Closed)));
    assert!(matches!(db.put_setting("a", "c").await, Err(DbError::Closed)));
}
