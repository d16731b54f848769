//! Lines of the text exposition format.

use std::fmt::Write as _;

/// One value of a gauge, with its label values.
pub type Sample<'a> = (Vec<&'a str>, u64);

/// Appends a gauge, whose values are known at this moment only.
pub fn gauge(out: &mut String, (name, help): (&str, &str), names: &[&str], samples: &[Sample<'_>]) {
    head(out, name, help, "gauge");
    for (values, value) in samples {
        line(out, name, &labels(names, values), &value.to_string());
    }
}

pub(crate) fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

pub(crate) fn line(out: &mut String, name: &str, labels: &str, value: &str) {
    let _ = match labels {
        "" => writeln!(out, "{name} {value}"),
        _ => writeln!(out, "{name}{{{labels}}} {value}"),
    };
}

/// `a="b",c="d"`.
pub(crate) fn labels<V: AsRef<str>>(names: &[&str], values: &[V]) -> String {
    names.iter().zip(values).fold(String::new(), |shown, (name, value)| and(&shown, name, value.as_ref()))
}

/// The same with one more label.
pub(crate) fn and(labels: &str, name: &str, value: &str) -> String {
    let comma = if labels.is_empty() { "" } else { "," };
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{labels}{comma}{name}=\"{value}\"")
}
