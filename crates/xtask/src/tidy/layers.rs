//! Which crate may depend on which. Reads what cargo says of the workspace, not the manifests' text.

use super::{Finding, Io, Rules};
use anyhow::{Context as _, Result};
use serde::Deserialize;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// Absent for a normal dependency; `dev`, `build`.
    kind: Option<String>,
}

/// `metadata` is the output of `cargo metadata --no-deps`.
pub(super) fn check(rules: &Rules, metadata: &str) -> Result<Vec<Finding>> {
    let metadata: Metadata = serde_json::from_str(metadata).context("decode cargo's metadata")?;
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let Some(&layer) = rules.layers.get(&package.name) else {
            findings.push(finding(package, "it has no layer in tidy.toml".to_owned()));
            continue;
        };
        let dependencies =
            package.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("dev"));
        findings.extend(
            dependencies
                .filter_map(|dependency| objection(rules, package, layer, &dependency.name))
                .map(|what| finding(package, what)),
        );
    }
    for name in
        rules.layers.keys().filter(|name| !metadata.packages.iter().any(|package| package.name == **name))
    {
        findings.push(Finding {
            place: "tidy.toml".to_owned(),
            rule: "layers",
            what: format!("there is no crate {name}"),
        });
    }
    Ok(findings)
}

/// What is wrong with this edge, if anything.
fn objection(rules: &Rules, package: &Package, layer: u8, dependency: &str) -> Option<String> {
    let Io { layers_up_to, except, dependencies } = &rules.io;
    if layer <= *layers_up_to && !except.contains(&package.name) && dependencies.contains(dependency) {
        return Some(format!("does no IO, yet depends on {dependency}"));
    }
    let below = *rules.layers.get(dependency)?;
    if rules.pure.crates.contains(&package.name) {
        return Some(format!("depends on no crate of the workspace, yet on {dependency}"));
    }
    if below >= layer {
        return Some(format!("is in layer {layer} and may not depend on {dependency} in layer {below}"));
    }
    let never = rules.never.get(&package.name).is_some_and(|never| never.contains(dependency));
    never.then(|| format!("never depends on {dependency}"))
}

fn finding(package: &Package, what: String) -> Finding {
    Finding { place: format!("crate {}", package.name), rule: "layers", what }
}

#[cfg(test)]
mod tests {
    use super::super::tests::rules;
    use super::*;

    /// `edges` are `crate`, `dependency`, kind.
    fn findings(edges: &[(&str, &str, Option<&str>)]) -> Vec<String> {
        let packages: Vec<serde_json::Value> = rules()
            .layers
            .keys()
            .map(|name| {
                let dependencies: Vec<_> = edges
                    .iter()
                    .filter(|(from, ..)| from == name)
                    .map(|(_, to, kind)| serde_json::json!({"name": to, "kind": kind}))
                    .collect();
                serde_json::json!({"name": name, "dependencies": dependencies})
            })
            .collect();
        let metadata = serde_json::json!({"packages": packages}).to_string();
        check(&rules(), &metadata)
            .unwrap()
            .into_iter()
            .map(|finding| finding.place + " " + &finding.what)
            .collect()
    }

    #[test]
    fn downwards_is_allowed() {
        assert!(
            findings(&[("conductor", "driver", None), ("bmc", "ipmi", None), ("bmc", "tokio", None)])
                .is_empty()
        );
    }

    #[test]
    fn upwards_and_sideways_are_not() {
        assert_eq!(findings(&[("driver", "bmc", None)]).len(), 1);
        assert_eq!(findings(&[("driver", "hostcmd", None)]).len(), 1);
    }

    #[test]
    fn what_the_design_forbids_is_found() {
        let found = findings(&[("conductor", "drivers", None)]);
        assert_eq!(found, ["crate conductor never depends on drivers"]);
    }

    #[test]
    fn a_pure_crate_stands_alone() {
        assert_eq!(findings(&[("ipmi", "model", None)]).len(), 1);
        assert!(findings(&[("ipmi", "driver", Some("dev"))]).is_empty());
    }

    #[test]
    fn low_layers_do_no_io() {
        assert_eq!(findings(&[("driver", "tokio", None)]).len(), 1);
        assert!(findings(&[("hostcmd", "tokio", None), ("driver", "tokio", Some("dev"))]).is_empty());
    }

    #[test]
    fn every_crate_has_a_layer() {
        let metadata = r#"{"packages": [{"name": "stray", "dependencies": []}]}"#;
        let found = check(&rules(), metadata).unwrap();
        assert!(found.iter().any(|finding| finding.place == "crate stray"));
        assert!(found.iter().any(|finding| finding.what == "there is no crate model"));
    }
}
