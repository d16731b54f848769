//! Gathers the pages of errors, so that the binary can show them where no documentation is installed.

use std::fmt::Write as _;
use std::path::Path;

#[expect(
    clippy::disallowed_methods,
    reason = "this is how cargo tells a build script where it is and where to write"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Asked when it runs: a script that was built for another checkout may be run for this one.
    let pages = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../docs/errors").canonicalize()?;
    println!("cargo::rerun-if-changed={}", pages.display());
    let mut codes: Vec<(String, String)> = Vec::new();
    for entry in std::fs::read_dir(&pages)? {
        let path = entry?.path();
        if let Some(code) = path.file_stem().and_then(|stem| stem.to_str()) {
            println!("cargo::rerun-if-changed={}", path.display());
            codes.push((code.to_owned(), std::fs::read_to_string(&path)?));
        }
    }
    codes.sort();
    let mut text = String::from("&[\n");
    for (code, page) in codes {
        writeln!(text, "    ({code:?}, {page:?}),")?;
    }
    text.push_str("]\n");
    std::fs::write(Path::new(&std::env::var("OUT_DIR")?).join("error_pages.rs"), text)?;
    Ok(())
}
