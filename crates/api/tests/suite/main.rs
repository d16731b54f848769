//! The API as callers see it: the real router over a real store, with conductors that have knobs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod allocations;
mod auth;
mod boot_trace;
mod chassis;
mod clients;
mod conductors;
mod conductors_hardware;
mod contract;
#[path = "../../fuzz/entries.rs"]
mod entries;
mod events;
mod every_field;
mod failures;
mod fields;
mod fixture;
mod foreign_rows;
mod keystone;
mod limits;
mod lists;
mod masking;
mod nodes;
mod openapi;
mod parts;
mod patches;
mod plans;
mod policies;
mod portgroups;
mod ports;
mod random;
mod refusals;
mod releases;
mod serving;
mod statements;
mod stock_keystone;
mod versions;
mod visibility;
mod volumes;
