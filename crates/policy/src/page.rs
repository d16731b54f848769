//! The rules in force as a file for operators: what it says, an operator's file may say.

use std::fmt::Write as _;

use crate::{Effective, Origin, Policy};

impl Policy {
    /// All rules in YAML, each with what it guards and where it comes from. A policy loaded from this is the same.
    pub fn page(&self) -> String {
        let mut page = String::from(
            "# Every rule in force. An operator's file needs the rules alone that differ from the default.\n",
        );
        for rule in self.rules() {
            // Writing to a String does not fail.
            let _ = write_rule(&mut page, &rule);
        }
        page
    }
}

fn write_rule(page: &mut String, rule: &Effective) -> std::fmt::Result {
    page.push('\n');
    for operation in rule.row.map_or(&[] as &[&str], |row| row.operations) {
        writeln!(page, "# {operation}")?;
    }
    let scopes = rule.row.map_or(&[] as &[_], |row| row.scopes);
    if !scopes.is_empty() {
        let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        writeln!(page, "# For tokens of: {}", words.join(", "))?;
    }
    let place = match (rule.origin, rule.row) {
        (Origin::Default, _) => String::new(),
        (Origin::File { line }, Some(row)) => {
            format!("# Line {line} of the file; by default {:?}\n", row.check)
        }
        (Origin::File { line }, None) => format!("# Line {line} of the file\n"),
        (Origin::OlderName { line, name }, _) => format!("# Line {line} of the file, as {name:?}\n"),
    };
    page.push_str(&place);
    writeln!(page, "\"{}\": \"{}\"", escaped(&rule.name), escaped(&rule.check))
}

/// Text between the quotes of YAML.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    #[test]
    fn what_is_shown_can_be_loaded() {
        let file = "mine: \"'a':%(node.owner)s\"\nbaremetal:node:update: '!'\n\"odd \\\\ name\": [['@'], ['role:x', 'role:y']]\n";
        let policy = Policy::load(file, Settings::default()).unwrap();
        let page = policy.page();
        assert!(page.contains("# Line 2 of the file, as \"baremetal:node:update\""), "{page}");
        let again = Policy::load(&page, Settings::default()).unwrap();
        let checks = |policy: &Policy| policy.rules().map(|rule| (rule.name, rule.check)).collect::<Vec<_>>();
        assert_eq!(checks(&again), checks(&policy));
    }
}
