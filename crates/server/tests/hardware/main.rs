//! Everything of a node that needs its driver, through the real router, a real conductor and fake hardware.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod bios;
mod board;
mod lives;
mod raid;
mod site;
mod vendor;
