//! The tables of fields against contract/fields.tsv, row by row.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use api_types::{
    ALLOCATION, BIOS_SETTING, CHASSIS, CONDUCTOR, DEPLOY_TEMPLATE, DRIVER, FIRMWARE_COMPONENT, HISTORY,
    INSPECTION_RULE, NODE, NODE_STATES, PORT, PORTGROUP, RUNBOOK, Resource, VOLUME_CONNECTOR, VOLUME_TARGET,
};

const CONTRACT: &str = include_str!("../../../contract/fields.tsv");

/// Resources of the contract that have no table here yet.
const LATER: [&str; 0] = [];

fn rows(resource: &str) -> Vec<Vec<&'static str>> {
    let cells = |row: &'static str| row.split('\t').collect::<Vec<_>>();
    CONTRACT.lines().skip(1).map(cells).filter(|row| row[0] == resource).collect()
}

fn version(cell: &str) -> Option<u16> {
    cell.strip_prefix("1.").map(|minor| minor.parse().unwrap())
}

/// `no`, `yes` or `yes from 1.N …`.
fn gate(cell: &str) -> Option<u16> {
    let mut words = cell.split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some("no"), ..) => None,
        (Some("yes"), Some("from"), Some(min)) => version(min),
        (Some("yes"), ..) => Some(1),
        other => panic!("{other:?}"),
    }
}

fn equals<T>(resource: &Resource<T>) {
    let contract = rows(resource.name);
    let names: Vec<&str> = contract.iter().map(|row| row[1]).collect();
    let ours: Vec<&str> = resource.fields.iter().map(|field| field.name).collect();
    assert_eq!(ours, names, "{}", resource.name);
    for (field, row) in resource.fields.iter().zip(contract) {
        assert_eq!(field.ty.to_string(), row[2], "{row:?}");
        assert_eq!(field.read, version(row[3]), "{row:?}");
        assert_eq!(field.create, gate(row[4]), "{row:?}");
        assert_eq!(field.patch, gate(row[5]), "{row:?}");
        assert_eq!(field.default, row[7], "{row:?}");
        assert_eq!(field.short, row[8] == "yes", "{row:?}");
        assert_eq!(field.set.is_some(), field.create.is_some() || field.patch.is_some(), "{row:?}");
        assert_eq!(resource.field(field.name).unwrap().name, field.name);
    }
}

#[test]
fn every_table_equals_the_contract() {
    equals(&NODE);
    equals(&PORT);
    equals(&PORTGROUP);
    equals(&ALLOCATION);
    equals(&CHASSIS);
    equals(&VOLUME_CONNECTOR);
    equals(&VOLUME_TARGET);
    equals(&DRIVER);
    equals(&CONDUCTOR);
    equals(&HISTORY);
    equals(&DEPLOY_TEMPLATE);
    equals(&RUNBOOK);
    equals(&INSPECTION_RULE);
    equals(&BIOS_SETTING);
    equals(&FIRMWARE_COMPONENT);
}

#[test]
fn the_states_of_a_node_are_fields_of_the_node() {
    let contract = rows("node_states");
    assert_eq!(contract.iter().map(|row| row[1]).collect::<Vec<_>>(), NODE_STATES);
    for row in contract {
        assert_eq!(NODE.field(row[1]).unwrap().read, version(row[3]), "{row:?}");
    }
}

#[test]
fn nothing_of_the_contract_is_forgotten() {
    let here = [
        "node",
        "port",
        "portgroup",
        "chassis",
        "allocation",
        "volume_connector",
        "volume_target",
        "driver",
        "conductor",
        "node_history",
        "node_states",
        "deploy_template",
        "runbook",
        "inspection_rule",
        "bios_setting",
        "firmware_component",
    ];
    for row in CONTRACT.lines().skip(1) {
        let resource = row.split('\t').next().unwrap();
        assert!(here.contains(&resource) != LATER.contains(&resource), "{resource}");
    }
}
