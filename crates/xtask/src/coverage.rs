//! `cargo xtask coverage`: how much of the contract is there, counted from its tables and from the program's own, which
//! rows are not, and which tests walk each table.

use crate::build::cargo;
use crate::process::{output, source_root};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Answered before any route is looked for.
const BEFORE_ROUTING: &str = "/healthcheck";

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CoverageOptions {
    /// Name every row that is not there, not only how many
    #[arg(long)]
    missing: bool,
}

/// What the program says of itself.
struct Program {
    document: Value,
    versions: String,
    states: String,
    /// The lines on each hardware type.
    hardware: BTreeMap<String, String>,
    /// Every string that the sources of the API and its policy name.
    api: BTreeSet<String>,
    /// Every string that the sources of drivers, of the agent and of the flows name.
    drivers: BTreeSet<String>,
}

/// A table of the contract, what its rows are, and whether the program has a row.
struct Table {
    file: &'static str,
    rows: &'static str,
    has: fn(&Program, &[&str]) -> bool,
}

const TABLES: &[Table] = &[
    Table { file: "api.tsv", rows: "routes", has: |program, row| program.has_route(row[0], row[1]) },
    Table { file: "fields.tsv", rows: "fields", has: |program, row| program.has_field(row[0], row[1]) },
    Table { file: "verbs.tsv", rows: "verbs", has: |program, row| program.has_verb(row[0]) },
    Table {
        file: "states.tsv",
        rows: "transitions",
        has: |program, row| program.states.contains(&format!("| {} | {} | {} |", row[0], row[1], row[2])),
    },
    Table {
        file: "microversions.tsv",
        rows: "microversions",
        has: |program, row| program.versions.contains(&format!("\n## {} ", row[0])),
    },
    // Every failure has an answer; whether it is the right one is the test's to say.
    Table { file: "errors.tsv", rows: "failures", has: |_, _| true },
    Table { file: "extra/policies.tsv", rows: "policies", has: |program, row| program.api.contains(row[0]) },
    // Which steps an implementation offers is the test's to say.
    Table {
        file: "extra/steps.tsv",
        rows: "steps",
        has: |program, row| {
            program.hardware.keys().any(|hardware| program.has_interface(hardware, row[0], row[1]))
                && program.drivers.contains(row[3])
        },
    },
    Table {
        file: "hardware.tsv",
        rows: "interfaces of hardware types",
        has: |program, row| program.has_interface(row[0], row[1], row[2]),
    },
];

/// Prints the counts.
pub(crate) fn run(options: &CoverageOptions) -> Result<()> {
    let sources = sources(&source_root().join("crates"))?;
    let program = Program {
        document: serde_json::from_str(&page("openapi")?).context("the OpenAPI document")?,
        versions: page("api-versions")?,
        states: page("states")?,
        hardware: sections(&page("hardware")?),
        api: quoted(&sources, &["api/src", "policy/src"]),
        drivers: quoted(&sources, &["drivers/src", "driver/src", "provision/src", "agent/src", "model/src"]),
    };
    for table in TABLES {
        let path = source_root().join("contract").join(table.file);
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|row| row.split('\t').collect()).collect();
        let missing: Vec<&Vec<&str>> = rows.iter().filter(|row| !(table.has)(&program, row)).collect();
        let walkers = walkers(&sources, table.file);
        let walkers = if walkers.is_empty() { "no test walks it".to_owned() } else { walkers.join(" ") };
        println!("{:<28} {:>4} of {:>4}   {}", table.rows, rows.len() - missing.len(), rows.len(), walkers);
        for row in missing.iter().filter(|_| options.missing) {
            println!("    not there: {}", row[..row.len().min(4)].join(" "));
        }
    }
    Ok(())
}

impl Program {
    fn has_route(&self, method: &str, path: &str) -> bool {
        let paths = self.document["paths"].as_object();
        let mut paths = paths.into_iter().flatten();
        let same = |other: &str| shape(other) == shape(path);
        path == BEFORE_ROUTING
            || paths.any(|(other, methods)| {
                same(other) && (method == "ANY" || methods.get(method.to_lowercase()).is_some())
            })
    }

    fn has_field(&self, resource: &str, field: &str) -> bool {
        let schemas = &self.document["components"]["schemas"];
        let states =
            "/paths/~1v1~1nodes~1{node_ident}~1states/get/responses/200/content/application~1json/schema";
        let shapes = [
            self.document.pointer(states).filter(|_| resource == "node_states"),
            schemas.get(resource),
            schemas.get(format!("new_{resource}")),
        ];
        shapes.into_iter().flatten().any(|schema| schema["properties"].get(field).is_some())
    }

    fn has_interface(&self, hardware: &str, kind: &str, implementation: &str) -> bool {
        let lines = self.hardware.get(hardware).into_iter().flat_map(|section| section.lines());
        let start = format!("| {kind} | ");
        lines
            .filter_map(|line| line.strip_prefix(&start)?.strip_suffix(" |"))
            .any(|names| names.split(", ").any(|name| name == implementation))
    }

    fn has_verb(&self, verb: &str) -> bool {
        let body =
            "/paths/~1v1~1nodes~1{node_ident}~1states~1provision/put/requestBody/content/application~1json";
        let body = self.document.pointer(body).unwrap_or(&Value::Null);
        let words = body["schema"]["properties"]["target"]["enum"].as_array();
        words.is_some_and(|words| words.iter().any(|word| word == verb))
    }
}

/// The text below each second-level heading of a page.
fn sections(page: &str) -> BTreeMap<String, String> {
    let parts = page.split("\n## ").skip(1);
    parts
        .filter_map(|part| part.split_once('\n'))
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect()
}

/// A path without the names of its open parts.
fn shape(path: &str) -> Vec<&str> {
    path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect()
}

/// A page of the reference, as the program of this tree makes it.
fn page(name: &str) -> Result<String> {
    output(cargo().args(["run", "--quiet", "--package", "wrought", "--", "reference", name]))
}

/// Every source file below `folder` with its text.
fn sources(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
                found.push((path, text));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The strings that the sources below `places` name outside of their tests.
fn quoted(sources: &[(PathBuf, String)], places: &[&str]) -> BTreeSet<String> {
    let crates = source_root().join("crates");
    let here =
        sources.iter().filter(|(path, _)| places.iter().any(|place| path.starts_with(crates.join(place))));
    here.flat_map(|(_, text)| {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        code.split('"').skip(1).step_by(2).map(str::to_owned)
    })
    .collect()
}

/// The files of tests that read the table `file`.
fn walkers(sources: &[(PathBuf, String)], file: &str) -> Vec<String> {
    let reading = format!("contract/{file}\")");
    let names = sources.iter().filter(|(_, text)| {
        text.split("include_str!(")
            .skip(1)
            .any(|rest| rest.lines().next().is_some_and(|line| line.contains(&reading)))
    });
    let name = |path: &Path| path.strip_prefix(source_root()).unwrap_or(path).display().to_string();
    names.map(|(path, _)| name(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Program {
        let verb = serde_json::json!({"schema": {"properties": {"target": {"enum": ["active"]}}}});
        let document = serde_json::json!({
            "paths": {
                "/v1/ports/{port_ident}": {"get": {}},
                "/v1/nodes/{node_ident}/states/provision":
                    {"put": {"requestBody": {"content": {"application/json": verb}}}},
            },
            "components": {"schemas": {"port": {"properties": {"address": {}}}}},
        });
        let (versions, states) = (String::new(), String::new());
        let hardware = sections("# All\n\n## ipmi\n\n| power | ipmitool, fake |\n\n## none\n");
        Program { document, versions, states, hardware, api: BTreeSet::new(), drivers: BTreeSet::new() }
    }

    #[test]
    fn rows_are_found_in_the_document() {
        let program = program();
        assert!(
            program.has_route("GET", "/v1/ports/{port_uuid}") && program.has_route("ANY", "/v1/ports/{x}")
        );
        assert!(
            !program.has_route("DELETE", "/v1/ports/{port_uuid}") && !program.has_route("GET", "/v1/ports")
        );
        assert!(program.has_field("port", "address") && !program.has_field("port", "extra"));
        assert!(program.has_verb("active") && !program.has_verb("fly"));
        assert!(program.has_interface("ipmi", "power", "fake"));
        assert!(
            !program.has_interface("ipmi", "power", "ipmi")
                && !program.has_interface("none", "power", "fake")
        );
    }

    #[test]
    fn strings_of_tests_do_not_count() {
        let root = source_root().join("crates/api/src/a.rs");
        let text =
            "const A: &str = \"named\";\n#[cfg(test)]\nmod tests { const B: &str = \"tested\"; }".to_owned();
        assert_eq!(quoted(&[(root, text)], &["api/src"]), BTreeSet::from(["named".to_owned()]));
    }
}
