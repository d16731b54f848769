//! The history page: the table of releases as Markdown for readers.

use std::fmt::Write as _;

use crate::{Change, Older, RELEASES};

/// The whole history as Markdown, newest release first.
pub fn history_page() -> String {
    let mut page = String::from(
        "# API versions\n\nA request names its version in `X-OpenStack-Ironic-API-Version: 1.N` (or `latest`), or in\n\
         `OpenStack-API-Version: baremetal 1.N`. Without either it is 1.1. Newer fields are left out of replies.\n",
    );
    for release in RELEASES.iter().rev() {
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## 1.{} {}\n\n{}.\n\n", release.minor, release.slug, release.summary);
        for change in release.changes {
            let _ = writeln!(page, "- {}", line(change));
        }
    }
    page
}

fn line(change: &Change) -> String {
    match change {
        Change::Field { resource, field } => format!("field `{field}` of {resource}"),
        Change::Param { at, name, below } => format!("parameter `{name}` of {at} ({below} before)"),
        Change::Route { method, path, below } => format!("`{method} {path}` ({below} before)"),
        Change::Verb { name } => format!("provision verb `{name}` (406 before)"),
        Change::Value { field, value, older } => match older {
            Older::Null => format!("`{value}` in {field} (null before)"),
            Older::As(text) => format!("`{value}` in {field} (`{text}` before)"),
            Older::Refused => format!("`{value}` in {field} (refused before)"),
        },
        Change::Behaviour(text) => (*text).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_has_a_section() {
        let page = history_page();
        for release in RELEASES {
            assert!(page.contains(&format!("\n## 1.{} {}\n", release.minor, release.slug)));
        }
        assert!(page.contains("- `PUT /v1/nodes/{node_ident}/states/boot_mode` (404 before)"));
    }
}
