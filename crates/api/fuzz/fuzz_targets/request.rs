//! See `entries::request`.
#![no_main]
#![allow(dead_code, reason = "the entries serve several targets")]

#[path = "../../tests/suite/conductors.rs"]
mod conductors;
#[path = "../../tests/suite/conductors_hardware.rs"]
mod conductors_hardware;
#[path = "../entries.rs"]
mod entries;
#[path = "../../tests/suite/fixture.rs"]
mod fixture;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entries::request(data));
