//! BIOS settings and firmware components.

use db::{Db, DbError};
use model::{BiosSetting, FirmwareComponent, JsonList, NodeUuid};
use serde_json::json;

use crate::fixtures::{bare, store, time};

fn setting(name: &str, value: &str) -> BiosSetting {
    BiosSetting::new(name, Some(value.to_owned()), time(1))
}

fn full() -> BiosSetting {
    BiosSetting {
        attribute_type: Some("Enumeration".to_owned()),
        allowable_values: JsonList::from(vec![json!("on"), json!("ß")]),
        lower_bound: Some(-3),
        upper_bound: Some(1 << 40),
        min_length: Some(0),
        max_length: Some(16),
        read_only: Some(false),
        reset_required: Some(true),
        unique: Some(false),
        ..setting("ProcTurbo", "on")
    }
}

pub(crate) async fn bios_settings_follow_what_was_read(db: Db) {
    let node = store(&db, vec![bare()]).await.remove(0);
    let empty = BiosSetting { value: None, ..setting("Empty", "") };
    db.put_bios_settings(node.uuid, vec![full(), setting("Boot", "uefi"), empty]).await.unwrap();
    let first = db.bios_settings(node.uuid).await.unwrap();
    assert_eq!(first.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["Boot", "Empty", "ProcTurbo"]);
    assert!(first[2].is_same(&full()) && first[1].value.is_none() && first[2].updated_at.is_none());
    db.put_bios_settings(node.uuid, vec![full(), setting("Boot", "bios")]).await.unwrap();
    let second = db.bios_settings(node.uuid).await.unwrap();
    assert_eq!(second.len(), 2);
    assert_eq!(second[1], first[2], "what did not change is left alone");
    assert_eq!((second[0].value.as_deref(), second[0].created_at), (Some("bios"), first[0].created_at));
    assert!(second[0].updated_at.is_some());
    assert_eq!(db.bios_setting(node.uuid, "Boot").await.unwrap().unwrap(), second[0]);
    assert_eq!(db.bios_setting(node.uuid, "boot").await.unwrap(), None);
    db.put_bios_settings(node.uuid, Vec::new()).await.unwrap();
    assert_eq!(db.bios_settings(node.uuid).await.unwrap(), []);
}

pub(crate) async fn firmware_remembers_its_first_version(db: Db) {
    let node = store(&db, vec![bare()]).await.remove(0);
    let seen =
        |component: &str, version: &str| FirmwareComponent::new(component, Some(version.to_owned()), time(1));
    let flashed = FirmwareComponent { last_version_flashed: Some("2".to_owned()), ..seen("bios", "2") };
    let named = FirmwareComponent {
        vendor: Some("V".to_owned()),
        model: Some("M".to_owned()),
        serial_number: Some("S".to_owned()),
        ..seen("nic:1", "7")
    };
    db.note_firmware(node.uuid, vec![seen("bios", "1"), seen("bmc", "9")]).await.unwrap();
    db.note_firmware(node.uuid, vec![flashed]).await.unwrap();
    db.note_firmware(node.uuid, vec![seen("bios", "3"), seen("bmc", "9"), named.clone()]).await.unwrap();
    let list = db.firmware_components(node.uuid).await.unwrap();
    let versions: Vec<_> = list
        .iter()
        .map(|c| (c.component.as_str(), c.initial_version.as_deref(), c.current_version.as_deref()))
        .collect();
    let expected =
        [("bios", Some("1"), Some("3")), ("bmc", Some("9"), Some("9")), ("nic:1", Some("7"), Some("7"))];
    assert_eq!(versions, expected);
    assert_eq!(list[0].last_version_flashed.as_deref(), Some("2"));
    assert_eq!(list[1].updated_at, None, "what did not change is left alone");
    assert_eq!(
        (&list[2].vendor, &list[2].model, &list[2].serial_number),
        (&named.vendor, &named.model, &named.serial_number)
    );
}

pub(crate) async fn what_was_read_goes_with_its_node(db: Db) {
    let node = store(&db, vec![bare()]).await.remove(0);
    db.put_bios_settings(node.uuid, vec![full()]).await.unwrap();
    db.note_firmware(node.uuid, vec![FirmwareComponent::new("bmc", None, time(1))]).await.unwrap();
    db.delete_node(&node).await.unwrap();
    assert_eq!(db.bios_settings(node.uuid).await.unwrap(), []);
    assert_eq!(db.firmware_components(node.uuid).await.unwrap(), []);
    let nobody = db.put_bios_settings(NodeUuid::random(), vec![full()]).await;
    assert!(matches!(nobody, Err(DbError::MissingReference { .. })), "{nobody:?}");
}
