//! Pages of the reference that are made from the program's own tables.

use std::fmt::Write as _;

use clap::ValueEnum;

/// A page.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Page {
    /// Every key of the configuration.
    Configuration,
    /// A configuration with every key at its default.
    Sample,
    /// What each version of the API brought.
    ApiVersions,
    /// The API as an `OpenAPI` document.
    Openapi,
    /// Every rule at its default.
    Policy,
    /// The states of a node and what leads from one to the next.
    States,
    /// Hardware types and the implementations that each may use.
    Hardware,
}

impl Page {
    /// The page.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Configuration => server::config::reference_page(),
            Self::Sample => server::config::sample(),
            Self::ApiVersions => microversion::history_page(),
            Self::Openapi => api::openapi_text().to_owned(),
            Self::Policy => policy::Policy::defaults(policy::Settings::default()).page(),
            Self::States => states(),
            Self::Hardware => hardware(),
        }
    }
}

fn states() -> String {
    let mut page = String::from(
        "# States of a node\n\nMade from the transition table by `cargo xtask codegen`. Verbs of callers and events of \
         the service lead from state to state.\n\n```mermaid\nstateDiagram-v2\n",
    );
    let name = |state: model::ProvisionState| state.as_str().replace([' ', '-'], "_");
    for (from, event, to) in provision::TRANSITIONS {
        let _ = writeln!(page, "    {} --> {}: {event}", name(*from), name(*to));
    }
    page.push_str("```\n\n| from | event | to |\n| --- | --- | --- |\n");
    for (from, event, to) in provision::TRANSITIONS {
        let _ = writeln!(page, "| {from} | {event} | {to} |");
    }
    page
}

fn hardware() -> String {
    let mut page = String::from(
        "# Hardware types\n\nMade from the drivers' table by `cargo xtask codegen`. A node's `driver` is its hardware type; \
         of each interface it has one of the implementations named here, the first that is enabled if it names none.\n",
    );
    for row in drivers::HARDWARE_TYPES {
        let _ = write!(page, "\n## {}\n\n| interface | implementations |\n| --- | --- |\n", row.name);
        for (kind, implementations) in row.interfaces {
            let _ = writeln!(page, "| {kind} | {} |", implementations.join(", "));
        }
    }
    page
}
