//! Every row of the contract's table of steps is offered as it says there, or stands here as not being there.
#![allow(clippy::unwrap_used, reason = "set-up of tests")]

#[path = "rig/registry.rs"]
mod rig;

use std::collections::BTreeSet;

use driver::Registry;
use model::InterfaceKind;
use provision::{OfferedStep, PlannedStep, StepList};
use serde_json::json;

const TABLE: &str = include_str!("../../../contract/extra/steps.tsv");

/// Implementations of the table that are not here.
const ABSENT: &[(&str, &str)] = &[
    ("bios", "idrac-redfish"),
    ("bios", "redfish"),
    ("deploy", "anaconda"),
    ("deploy", "ansible"),
    ("deploy", "autodetect"),
    ("deploy", "bootc"),
    ("deploy", "custom-agent"),
    ("deploy", "noop"),
    ("deploy", "ramdisk"),
    ("firmware", "redfish"),
    ("management", "idrac-redfish"),
    ("management", "intel-ipmitool"),
    ("network", "neutron"),
    ("raid", "idrac-redfish"),
    ("raid", "redfish"),
];

/// Offered by the agent on the node, which is asked for its steps when it runs.
const OF_AGENTS: (&str, &str) = ("raid", "agent");

/// A row of the table.
struct Row<'t> {
    kind: &'t str,
    implementation: &'t str,
    list: StepList,
    step: &'t str,
    priority: i64,
    abortable: bool,
    /// Not told of deployments and verifications.
    requires_ramdisk: Option<bool>,
    arguments: BTreeSet<&'t str>,
}

fn rows() -> Vec<Row<'static>> {
    let flag = |text: &str| text == "True";
    let read = |line: &'static str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let arguments = cells.get(7).copied().unwrap_or_default();
        Row {
            kind: cells[0],
            implementation: cells[1],
            list: match cells[2] {
                "clean" => StepList::Clean,
                "deploy" => StepList::Deploy,
                "service" => StepList::Service,
                "verify" => StepList::Verify,
                other => panic!("{other} is no list of steps"),
            },
            step: cells[3],
            priority: cells[4].parse().unwrap(),
            abortable: flag(cells[5]),
            requires_ramdisk: (!cells[6].is_empty()).then(|| flag(cells[6])),
            arguments: arguments.split(';').filter(|name| !name.is_empty()).collect(),
        }
    };
    TABLE.lines().skip(1).map(read).collect()
}

fn kind(name: &str) -> InterfaceKind {
    InterfaceKind::ALL.into_iter().find(|kind| kind.as_str() == name).unwrap()
}

/// Whether there is such an implementation, or one that offers steps.
fn is_there(registry: &Registry, row: &Row<'_>) -> bool {
    match row.kind {
        "deploy" => registry.deploy.contains_key(row.implementation),
        "raid" => registry.raid.contains_key(row.implementation),
        other => registry.steps.contains_key(&(kind(other), row.implementation)),
    }
}

#[tokio::test]
async fn every_row_is_offered_as_the_table_says() {
    let folder = tempfile::tempdir().unwrap();
    // The table's one verification is a setting.
    let redfish =
        drivers::RedfishOptions { enable_verify_bmc_clock: true, ..drivers::RedfishOptions::default() };
    let registry = rig::registry(folder.path(), redfish);
    let node = rig::node(443, &json!({}));
    let mut absent = BTreeSet::new();
    for row in rows() {
        let name = format!("{} {} {:?} {}", row.kind, row.implementation, row.list, row.step);
        let key = (row.kind, row.implementation);
        if !is_there(&registry, &row) {
            absent.insert(key);
        } else if row.kind == "deploy" {
            let steps: Vec<PlannedStep> = registry.deploy[row.implementation].deploy_steps(&node);
            let step = steps.iter().find(|step| step.step == row.step).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(step.priority, row.priority, "{name}");
        } else if key != OF_AGENTS {
            let steps = &registry.steps[&(kind(row.kind), row.implementation)];
            let offered: Vec<OfferedStep> = steps.offered(&node);
            let same = |step: &&OfferedStep| step.list == row.list && step.step == row.step;
            let step = offered.iter().find(same).unwrap_or_else(|| panic!("{name} is not offered"));
            assert_eq!((step.priority, step.interface), (row.priority, kind(row.kind)), "{name}");
            // A deployment that waits can always be aborted.
            assert!(step.abortable == row.abortable || row.list == StepList::Deploy, "{name}: abortable");
            if let Some(requires_ramdisk) = row.requires_ramdisk {
                assert_eq!(step.requires_ramdisk, requires_ramdisk, "{name}: needs a ramdisk");
            }
            let arguments: BTreeSet<String> = step
                .arguments
                .iter()
                .map(|argument| format!("{}{}", argument.name, if argument.required { "!" } else { "" }))
                .collect();
            assert_eq!(arguments, row.arguments.iter().map(ToString::to_string).collect(), "{name}");
        }
    }
    assert_eq!(absent, ABSENT.iter().copied().collect(), "what is not there");
}
