//! Whatever a BMC sends is read without a panic, and what is read is bounded.

use proptest::prelude::*;
use redfish::{
    Boot, BootChange, BootMode, BootTarget, Fault, Members, Override, Quirks, ResetAction, ResetType,
    SecureBoot, ServiceRoot, System, Task, allowed_resets, etag_of, if_match, parse,
};
use serde_json::{Map, Value, json};

const KEYS: &[&str] = &[
    "@odata.id",
    "@odata.etag",
    "@Redfish.Settings",
    "SettingsObject",
    "@Redfish.ActionInfo",
    "@Message.ExtendedInfo",
    "error",
    "message",
    "Message",
    "MessageId",
    "Messages",
    "Members",
    "Systems",
    "Links",
    "Sessions",
    "SessionService",
    "Oem",
    "PowerState",
    "Status",
    "Health",
    "Boot",
    "BootSourceOverrideEnabled",
    "BootSourceOverrideTarget",
    "BootSourceOverrideMode",
    "BootSourceOverrideTarget@Redfish.AllowableValues",
    "Actions",
    "#ComputerSystem.Reset",
    "target",
    "ResetType@Redfish.AllowableValues",
    "Parameters",
    "Name",
    "TaskState",
    "SecureBootEnable",
];
const TEXTS: &[&str] =
    &["On", "Off", "Pxe", "Once", "UEFI", "/redfish/v1/Systems/1", "//x", "ResetType", "Completed", ""];

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        proptest::sample::select(TEXTS).prop_map(Value::from),
        ".{0,400}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            proptest::collection::vec((proptest::sample::select(KEYS), inner), 0..8).prop_map(|pairs| pairs
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect::<Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn everything_is_read(inner in json_value(), key in proptest::sample::select(KEYS)) {
        for value in [inner.clone(), json!({ key: inner })] {
            let _root = ServiceRoot::from_value(&value);
            let _secure = SecureBoot::from_value(&value);
            let _allowed = allowed_resets(&value);
            let members = Members::from_value(&value);
            prop_assert!(members.0.len() <= redfish::MAX_MEMBERS);
            prop_assert!(members.0.iter().all(|path| path.as_str().starts_with('/') && !path.as_str().starts_with("//")));
            if let Some(action) = ResetAction::from_system(&value) {
                let _chosen = action.choose(ResetType::On);
            }
            if let Ok(system) = System::from_value(&value) {
                prop_assert!(system.model.is_none_or(|model| model.chars().count() <= 256));
            }
            if let Some(boot) = Boot::from_system(&value) {
                let change = BootChange { target: Some((BootTarget::Pxe, Override::Once)), mode: Some(BootMode::Uefi) };
                for body in boot.bodies(change, Quirks::default()) {
                    prop_assert_eq!(&body["Boot"]["BootSourceOverrideTarget"], "Pxe");
                }
            }
            let fault = Fault::from_value(400, &value);
            prop_assert!(fault.to_string().chars().count() < 8000);
            prop_assert!(!fault.to_string().contains(['\r', '\n']));
            let _task = Task::from_value(202, &value);
            prop_assert!(if_match(etag_of(None, &value).as_deref()).len() <= 4);
            prop_assert!(parse(value.to_string().as_bytes()).is_ok() == value.is_object());
        }
    }
}
