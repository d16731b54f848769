//! `cargo xtask tidy`: the rules of the code's shape that a machine can judge and clippy does not.
//!
//! What is allowed stands in `tidy.toml`, with a reason for every exception.

mod layers;
mod sources;

use crate::build::cargo;
use crate::process::{output, source_root};
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// `tidy.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    pub(crate) layers: BTreeMap<String, u8>,
    #[serde(default)]
    pub(crate) never: BTreeMap<String, BTreeSet<String>>,
    pub(crate) pure: Pure,
    pub(crate) io: Io,
    pub(crate) vendors: Vendors,
    /// Exceptions.
    #[serde(default)]
    pub(crate) allow: Vec<Allowed>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) file_lines: usize,
    pub(crate) function_lines: i64,
    pub(crate) parameters: i64,
    pub(crate) banned_modules: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pure {
    pub(crate) crates: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Io {
    pub(crate) layers_up_to: u8,
    pub(crate) except: BTreeSet<String>,
    pub(crate) dependencies: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vendors {
    pub(crate) comparisons: Vec<String>,
}

/// A line `[[allow]]`: this file may break that rule, because.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Allowed {
    pub(crate) path: String,
    pub(crate) rule: String,
    pub(crate) reason: String,
}

/// Something untidy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// A file, or a crate's name.
    pub(crate) place: String,
    /// Which rule, as an exception would name it.
    pub(crate) rule: &'static str,
    pub(crate) what: String,
}

/// Checks the whole tree; an error lists everything untidy.
pub(crate) fn run() -> Result<()> {
    let root = source_root();
    let rules = std::fs::read_to_string(root.join("tidy.toml")).context("read tidy.toml")?;
    let rules: Rules = toml::from_str(&rules).context("tidy.toml")?;
    let metadata = output(cargo().args(["metadata", "--format-version", "1", "--no-deps", "--offline"]))?;
    let mut findings = layers::check(&rules, &metadata)?;
    findings.extend(sources::check(&rules, &root.join("crates"))?);
    findings.extend(clippy_limits(&rules, root)?);
    let findings = except(&rules.allow, findings);
    if findings.is_empty() {
        return Ok(());
    }
    for Finding { place, rule, what } in &findings {
        crate::say(&format!("{place}: {what} [{rule}]"));
    }
    bail!("{} findings (an exception with a reason goes into tidy.toml)", findings.len())
}

/// Takes out what is excepted; an exception without a finding or without a reason is a finding.
fn except(allowed: &[Allowed], findings: Vec<Finding>) -> Vec<Finding> {
    let excepts =
        |allowed: &Allowed, finding: &Finding| allowed.path == finding.place && allowed.rule == finding.rule;
    let idle = allowed
        .iter()
        .filter(|allowed| {
            allowed.reason.trim().is_empty() || !findings.iter().any(|finding| excepts(allowed, finding))
        })
        .map(|allowed| Finding {
            place: "tidy.toml".to_owned(),
            rule: "exceptions",
            what: format!(
                "the exception of {} from {} is not needed, or has no reason",
                allowed.path, allowed.rule
            ),
        })
        .collect::<Vec<_>>();
    let mut left: Vec<Finding> = findings
        .into_iter()
        .filter(|finding| !allowed.iter().any(|allowed| excepts(allowed, finding)))
        .collect();
    left.extend(idle);
    left
}

/// Functions and parameters are counted by clippy, with the limits of `clippy.toml`.
fn clippy_limits(rules: &Rules, root: &Path) -> Result<Vec<Finding>> {
    let text = std::fs::read_to_string(root.join("clippy.toml")).context("read clippy.toml")?;
    let clippy: toml::Table = text.parse().context("clippy.toml")?;
    let expected = [
        ("too-many-lines-threshold", rules.limits.function_lines),
        ("too-many-arguments-threshold", rules.limits.parameters),
    ];
    Ok(expected
        .into_iter()
        .filter(|(key, limit)| clippy.get(*key).and_then(toml::Value::as_integer) != Some(*limit))
        .map(|(key, limit)| Finding {
            place: "clippy.toml".to_owned(),
            rule: "limits",
            what: format!("{key} is not {limit}"),
        })
        .collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn rules() -> Rules {
        toml::from_str(
            r#"
            [limits]
            file_lines = 5
            function_lines = 70
            parameters = 6
            banned_modules = ["utils", "mod"]
            [layers]
            model = 0
            ipmi = 1
            driver = 2
            hostcmd = 2
            bmc = 3
            drivers = 4
            conductor = 5
            [never]
            conductor = ["drivers"]
            [pure]
            crates = ["ipmi", "model"]
            [io]
            layers_up_to = 2
            except = ["hostcmd"]
            dependencies = ["tokio"]
            [vendors]
            comparisons = ["vendor =="]
            "#,
        )
        .unwrap()
    }

    fn finding() -> Finding {
        Finding { place: "a.rs".into(), rule: "size", what: "long".into() }
    }

    #[test]
    fn an_exception_with_a_reason_counts() {
        let allowed = Allowed { path: "a.rs".into(), rule: "size".into(), reason: "one table".into() };
        assert_eq!(except(&[allowed], vec![finding()]), []);
    }

    #[test]
    fn an_exception_without_use_or_reason_is_a_finding() {
        let allowed =
            |reason: &str| Allowed { path: "a.rs".into(), rule: "size".into(), reason: reason.into() };
        assert_eq!(except(&[allowed("once needed")], vec![]).len(), 1);
        assert_eq!(except(&[allowed(" ")], vec![finding()]).len(), 1);
    }

    #[test]
    fn the_rules_of_this_tree_can_be_read() {
        let text = std::fs::read_to_string(source_root().join("tidy.toml")).unwrap();
        let rules: Rules = toml::from_str(&text).unwrap();
        assert_eq!(clippy_limits(&rules, source_root()).unwrap(), []);
    }
}
