//! What a release is made of, and the gates that follow from it.

use std::sync::LazyLock;

use crate::{RELEASES, Version};

/// One microversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Its minor number.
    pub minor: u16,
    /// A short name, unique.
    pub slug: &'static str,
    /// What it brought, in a sentence.
    pub summary: &'static str,
    /// The same as rows.
    pub changes: &'static [Change],
}

/// One thing that a microversion brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A field of a resource is shown from here on.
    Field {
        /// The resource, as `node`.
        resource: &'static str,
        /// The field, as `automated_clean`.
        field: &'static str,
    },
    /// A query parameter, or a member of a request's body, is accepted from here on.
    Param {
        /// Where, as `nodes`.
        at: &'static str,
        /// Its name.
        name: &'static str,
        /// The status that older versions are answered with.
        below: u16,
    },
    /// A route exists from here on.
    Route {
        /// The method, or `ANY`.
        method: &'static str,
        /// The path with its parameters in braces.
        path: &'static str,
        /// The status that older versions are answered with.
        below: u16,
    },
    /// A provision verb is accepted from here on (406 below).
    Verb {
        /// Its name.
        name: &'static str,
    },
    /// A value is shown or accepted from here on.
    Value {
        /// The field, as `node.provision_state`.
        field: &'static str,
        /// The value.
        value: &'static str,
        /// What older versions see or get.
        older: Older,
    },
    /// Something that is no row of any other kind.
    Behaviour(&'static str),
}

/// What stands in for a value at older versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Older {
    /// Null is shown.
    Null,
    /// Another value is shown.
    As(&'static str),
    /// The value is refused in requests (406).
    Refused,
}

/// From which version something is there, and how older ones are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// The minor number of the first version that has it.
    pub min: u16,
    /// The HTTP status for older versions.
    pub below: u16,
}

impl Gate {
    /// Always there.
    pub const OPEN: Self = Self { min: 1, below: 404 };

    /// Whether `version` has it.
    pub const fn admits(self, version: Version) -> bool {
        version.at_least(self.min)
    }
}

pub(crate) const fn field(resource: &'static str, field: &'static str) -> Change {
    Change::Field { resource, field }
}

pub(crate) const fn param(at: &'static str, name: &'static str, below: u16) -> Change {
    Change::Param { at, name, below }
}

pub(crate) const fn route(method: &'static str, path: &'static str, below: u16) -> Change {
    Change::Route { method, path, below }
}

pub(crate) const fn verb(name: &'static str) -> Change {
    Change::Verb { name }
}

pub(crate) const fn value(field: &'static str, value: &'static str, older: Older) -> Change {
    Change::Value { field, value, older }
}

/// Writes a release per line: minor, slug, summary, changes.
macro_rules! releases {
    ($($minor:literal $slug:literal $summary:literal [$($change:expr),*];)*) => {
        &[$(Release { minor: $minor, slug: $slug, summary: $summary, changes: &[$($change),*] }),*]
    };
}
pub(crate) use releases;

/// Every change with the minor number of its release.
fn changes() -> impl Iterator<Item = (u16, &'static Change)> {
    RELEASES.iter().flat_map(|release| release.changes.iter().map(move |change| (release.minor, change)))
}

/// The gate of the parameter `name` of `at`; open when no release names it.
pub fn param_gate(at: &str, name: &str) -> Gate {
    changes()
        .find_map(|(min, change)| match *change {
            Change::Param { at: row, name: param, below } if row == at && param == name => {
                Some(Gate { min, below })
            }
            _ => None,
        })
        .unwrap_or(Gate::OPEN)
}

/// The gate of a route; open when no release names it.
pub fn route_gate(method: &str, path: &str) -> Gate {
    changes()
        .find_map(|(min, change)| match *change {
            Change::Route { method: on, path: at, below } if on == method && at == path => {
                Some(Gate { min, below })
            }
            _ => None,
        })
        .unwrap_or(Gate::OPEN)
}

/// The gate of a provision verb; open when no release names it.
pub fn verb_gate(verb: &str) -> Gate {
    changes()
        .find_map(|(min, change)| match *change {
            Change::Verb { name } if name == verb => Some(Gate { min, below: 406 }),
            _ => None,
        })
        .unwrap_or(Gate::OPEN)
}

/// The minor number of the release called `slug`. For constants: there, an unknown slug does not compile.
pub const fn since(slug: &str) -> u16 {
    let mut index = 0;
    while index < RELEASES.len() {
        if is_same(RELEASES[index].slug.as_bytes(), slug.as_bytes()) {
            return RELEASES[index].minor;
        }
        index += 1;
    }
    panic!("no release has this slug")
}

const fn is_same(left: &[u8], right: &[u8]) -> bool {
    let mut index = 0;
    while index < left.len() && index < right.len() && left[index] == right[index] {
        index += 1;
    }
    index == left.len() && index == right.len()
}

/// Values that older versions see differently.
static RENAMED: LazyLock<Vec<(u16, &'static Change)>> = LazyLock::new(|| {
    let is_renamed =
        |change: &Change| matches!(change, Change::Value { older: Older::Null | Older::As(_), .. });
    changes().filter(|(_, change)| is_renamed(change)).collect()
});

/// How `version` shows `value` in `field`: as it is, under an older name, or as null (`None`).
pub fn shown_value(field: &str, value: &'static str, version: Version) -> Option<&'static str> {
    let newer = RENAMED.iter().filter(|(min, _)| !version.at_least(*min));
    let older = newer.filter_map(|(_, change)| match change {
        Change::Value { field: at, value: row, older } if *at == field && *row == value => Some(older),
        _ => None,
    });
    match older.into_iter().next() {
        None => Some(value),
        Some(Older::As(text)) => Some(text),
        Some(Older::Null | Older::Refused) => None,
    }
}

/// The gate of a value that older versions refuse in requests; open when no release names it.
pub fn value_gate(field: &str, value: &str) -> Gate {
    changes()
        .find_map(|(min, change)| match *change {
            Change::Value { field: at, value: row, older: Older::Refused } if at == field && row == value => {
                Some(Gate { min, below: 406 })
            }
            _ => None,
        })
        .unwrap_or(Gate::OPEN)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn table(text: &'static str) -> Vec<Vec<&'static str>> {
        text.lines().skip(1).map(|row| row.split('\t').collect()).collect()
    }

    fn minor(text: &str) -> u16 {
        text.split(' ').next().unwrap().strip_prefix("1.").unwrap().parse().unwrap()
    }

    #[test]
    fn equals_the_contract() {
        let contract: Vec<(u16, &str)> = table(include_str!("../../../contract/microversions.tsv"))
            .into_iter()
            .map(|row| (minor(row[0]), row[1]))
            .collect();
        let ours: Vec<(u16, &str)> =
            RELEASES.iter().map(|release| (release.minor, release.summary)).collect();
        assert_eq!(ours, contract);
        assert_eq!(ours.last().unwrap().0, Version::MAX.minor());
    }

    #[test]
    fn slugs_are_unique_and_no_release_is_empty() {
        let slugs: BTreeSet<&str> = RELEASES.iter().map(|release| release.slug).collect();
        assert_eq!(slugs.len(), RELEASES.len());
        assert!(RELEASES.iter().all(|release| !release.changes.is_empty()));
    }

    #[test]
    fn routes_equal_the_contract() {
        for row in table(include_str!("../../../contract/api.tsv")) {
            let gate = route_gate(row[0], row[1]);
            let min = if row[2] == "-" { 1 } else { minor(row[2]) };
            assert_eq!(gate.min, min, "{row:?}");
            if let Ok(below) = row[7].parse::<u16>() {
                assert_eq!(gate.below, below, "{row:?}");
            }
        }
    }

    #[test]
    fn verbs_equal_the_contract() {
        for row in table(include_str!("../../../contract/verbs.tsv")) {
            assert_eq!(verb_gate(row[0]).min, minor(row[1]), "{row:?}");
        }
    }

    #[test]
    fn fields_equal_the_contract() {
        let rows = table(include_str!("../../../contract/fields.tsv"));
        let first = |resource: &str| {
            rows.iter()
                .filter(|row| row[0] == resource && row[3] != "-")
                .map(|row| minor(row[3]))
                .min()
                .unwrap()
        };
        let contract: BTreeSet<(u16, &str, &str)> = rows
            .iter()
            .filter(|row| row[0] != "node_states" && row[3] != "-" && minor(row[3]) != first(row[0]))
            .map(|row| (minor(row[3]), row[0], row[1]))
            .collect();
        let ours: BTreeSet<(u16, &str, &str)> = changes()
            .filter_map(|(min, change)| match *change {
                Change::Field { resource, field } => Some((min, resource, field)),
                _ => None,
            })
            .collect();
        assert_eq!(ours, contract);
    }

    #[test]
    fn params_are_gated_as_the_contract_says() {
        assert_eq!(param_gate("nodes", "driver"), Gate { min: 16, below: 406 });
        assert_eq!(param_gate("nodes", "detail"), Gate { min: 43, below: 400 });
        assert_eq!(param_gate("nodes", "project"), Gate::OPEN);
        assert_eq!(value_gate("abort.from", "inspect wait"), Gate { min: 41, below: 406 });
        assert_eq!(value_gate("abort.from", "clean wait"), Gate::OPEN);
    }

    #[test]
    fn old_versions_see_old_values() {
        let shown = |value, minor| shown_value("node.provision_state", value, Version::new(minor).unwrap());
        assert_eq!((shown("available", 1), shown("available", 2)), (None, Some("available")));
        assert_eq!(
            (shown("inspect wait", 38), shown("inspect wait", 39)),
            (Some("inspecting"), Some("inspect wait"))
        );
        assert_eq!(shown("active", 1), Some("active"));
    }

    #[test]
    fn slugs_name_releases() {
        const RAID: u16 = since("raid");
        assert_eq!(RAID, 12);
        assert!(RELEASES.iter().all(|release| since(release.slug) == release.minor));
    }
}
