//! Rules about source files: header, size, name, and no questions about vendors.

use super::{Finding, Rules};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Checks every Rust file below `crates`.
pub(super) fn check(rules: &Rules, crates: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in rust_files(crates)? {
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let place = path.strip_prefix(crates.parent().unwrap_or(crates)).unwrap_or(&path);
        findings.extend(file(rules, place, &text));
    }
    Ok(findings)
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn file(rules: &Rules, path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |rule, what: String| {
        findings.push(Finding { place: path.to_string_lossy().into_owned(), rule, what });
    };
    if !text.trim_start_matches("#!").starts_with("//!") {
        found("header", "does not begin with `//!` and what it is".to_owned());
    }
    let (lines, limit) = (without_tests(text).count(), rules.limits.file_lines);
    if lines > limit {
        found("size", format!("has {lines} lines without tests; {limit} are allowed"));
    }
    let module = path.file_stem().unwrap_or_default().to_string_lossy();
    if rules.limits.banned_modules.contains(&*module) {
        found("names", format!("`{module}` says nothing: name it after what it is about"));
    }
    if !path.components().any(|part| part.as_os_str() == "vendor") {
        for (number, line) in without_tests(text) {
            let code = line.split("//").next().unwrap_or_default();
            if let Some(comparison) = rules.vendors.comparisons.iter().find(|text| compares(code, text)) {
                found("vendors", format!("line {number} asks `{comparison}`: vendors' differences are data"));
            }
        }
    }
    findings
}

/// Whether the code has the comparison as words of their own, outside of string literals.
fn compares(code: &str, comparison: &str) -> bool {
    let outside: String = code.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    outside.match_indices(comparison).any(|(start, _)| {
        let before = outside[..start].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

/// Numbered lines, less the `#[cfg(test)]` modules. Relies on rustfmt: such a module starts and ends in column 0.
fn without_tests(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_tests = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        if line.starts_with("#[cfg(test)]") {
            in_tests = true;
        }
        let counts = !in_tests;
        // `mod tests;` ends at once, `mod tests {` at its brace.
        if in_tests && (*line == "}" || (line.contains("mod ") && line.ends_with(';'))) {
            in_tests = false;
        }
        counts
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::rules;
    use super::*;

    fn rules_broken(path: &str, text: &str) -> Vec<&'static str> {
        file(&rules(), Path::new(path), text).into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn a_file_says_what_it_is() {
        assert_eq!(rules_broken("crates/a/src/lib.rs", "//! Something.\n"), [""; 0]);
        assert_eq!(rules_broken("crates/a/src/lib.rs", "use std;\n//! Something.\n"), ["header"]);
        assert_eq!(rules_broken("crates/a/src/lib.rs", ""), ["header"]);
    }

    #[test]
    fn tests_do_not_count() {
        let code = "//! A.\n1\n2\n3\n4\n";
        let tests = "#[cfg(test)]\nmod tests {\n    fn a() {\n    }\n}\n";
        assert_eq!(rules_broken("a.rs", &format!("{code}{tests}")), [""; 0]);
        assert_eq!(rules_broken("a.rs", &format!("{code}{tests}more\n")), ["size"]);
        assert_eq!(rules_broken("a.rs", &format!("{code}#[cfg(test)]\nmod tests;\n")), [""; 0]);
    }

    #[test]
    fn empty_names_are_refused() {
        assert_eq!(rules_broken("crates/a/src/utils.rs", "//! A.\n"), ["names"]);
        assert_eq!(rules_broken("crates/a/src/x/mod.rs", "//! A.\n"), ["names"]);
    }

    #[test]
    fn nobody_asks_for_a_vendor() {
        let code = "//! A.\nif vendor == Vendor::Dell {}\n";
        assert_eq!(rules_broken("crates/drivers/src/power.rs", code), ["vendors"]);
        assert_eq!(rules_broken("crates/drivers/src/vendor/dell.rs", code), [""; 0]);
        assert_eq!(rules_broken("a.rs", "//! A.\n// never: vendor == x\n"), [""; 0]);
        assert_eq!(rules_broken("a.rs", "//! A.\nlet x = \"vendor == y\";\n"), [""; 0]);
        assert_eq!(rules_broken("a.rs", "//! A.\nif no_vendor == 3 {}\n"), [""; 0]);
    }
}
