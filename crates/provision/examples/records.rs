//! Prints records as this version writes them, for `tests/records`: one of every kind of thing that a flow can be at.

#[expect(dead_code, reason = "the tests of lives use the rest")]
#[path = "../tests/rig/life.rs"]
mod life;
#[path = "../tests/rig/records.rs"]
mod records;

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for record in records::today() {
        writeln!(out, "{record}")?;
    }
    Ok(())
}
