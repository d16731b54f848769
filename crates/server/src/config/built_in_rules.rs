//! Inspection rules in the operator's files: they run beside those of the API, which can neither see nor change them.

use std::path::{Path, PathBuf};

use inspection::rules::Rule;
use model::MAIN_PHASE;
use serde::Deserialize;
use serde_json::Value;

/// The most bytes of one file.
const MAX_BYTES: u64 = 1 << 20;

/// A rule as it is written. Its priority may be any: rules of the API are between 0 and 9999.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    uuid: Option<String>,
    description: Option<String>,
    phase: Option<String>,
    #[serde(default)]
    priority: i64,
    #[serde(default)]
    sensitive: bool,
    #[serde(default)]
    conditions: Vec<Value>,
    actions: Vec<Value>,
}

/// Reads the rules of a YAML file, or of the `.yaml` files of a directory in the order of their names.
///
/// # Errors
/// Which file and which rule is wrong, and how.
pub(super) fn read(path: &Path) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    for file in files(path)? {
        let told = |problem: String| format!("built_in_rules: {}: {problem}", file.display());
        for (number, written) in (1..).zip(written(&file).map_err(told)?) {
            rules
                .push(rule(written, &file, number).map_err(|error| told(format!("rule {number}: {error}")))?);
        }
    }
    Ok(rules)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|error| format!("built_in_rules: {}: {error}", path.display()))?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "yaml"));
    files.sort();
    Ok(files)
}

fn written(file: &Path) -> Result<Vec<Written>, String> {
    let size = file.metadata().map_err(|error| error.to_string())?.len();
    if size > MAX_BYTES {
        return Err(format!("it has {size} bytes, more than {MAX_BYTES}"));
    }
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let rules: Option<Vec<Written>> =
        serde_saphyr::from_str(&text).map_err(|error| format!("expected a list of rules: {error}"))?;
    Ok(rules.unwrap_or_default())
}

fn rule(written: Written, file: &Path, number: usize) -> Result<Rule, String> {
    let Written { uuid, description, phase, priority, sensitive, conditions, actions } = written;
    if phase.is_some_and(|phase| phase != MAIN_PHASE) {
        return Err(format!("phase: expected '{MAIN_PHASE}'"));
    }
    if actions.is_empty() {
        return Err("actions: at least one is required".to_owned());
    }
    let label = description.or(uuid).unwrap_or_else(|| format!("{} {number}", file.display()));
    Rule::parse(label, (priority, sensitive), &conditions, &actions).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
- description: eight cores
  priority: 20000
  conditions:
    - {op: eq, args: {values: ["{inventory[cpu][count]}", 8]}}
  actions:
    - {op: add-trait, args: {name: CUSTOM_EIGHT}}
- actions:
    - op: log
      args: {msg: here}
"#;

    #[test]
    fn files_and_directories_are_read() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("b.yaml", GOOD), ("a.yaml", ""), ("c.txt", "nonsense: [")] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        assert_eq!(read(dir.path()).unwrap().len(), 2);
        assert_eq!(read(&dir.path().join("b.yaml")).unwrap().len(), 2);
        assert!(read(&dir.path().join("a.yaml")).unwrap().is_empty());
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rules.yaml");
        for (text, part) in [
            ("a: 1", "expected a list of rules"),
            ("- actions: []", "rule 1: actions"),
            ("- conditions: []", "actions"),
            ("- {actions: [{op: log, args: {msg: x}}], phase: early}", "rule 1: phase"),
            ("- {actions: [{op: log, args: {msg: x}}], color: red}", "color"),
            ("- {actions: [{op: log, args: {msg: x}}]}\n- {actions: [{op: bogus, args: {}}]}", "rule 2"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = read(&file).unwrap_err();
            assert!(error.contains(part) && error.contains("rules.yaml"), "{text}: {error}");
        }
        assert!(read(&dir.path().join("none")).unwrap_err().contains("none"));
    }
}
