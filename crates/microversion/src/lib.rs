//! Microversions of the Bare Metal API: the table of releases, negotiation, gates and the history page.
//!
//! Knows no HTTP library: headers come in as text, verdicts go out as values.

mod history;
mod negotiate;
mod release;
mod releases;
mod version;

pub use history::history_page;
pub use negotiate::{NegotiationError, OPENSTACK_HEADER, VERSION_HEADER, negotiate};
pub use release::{
    Change, Gate, Older, Release, param_gate, route_gate, shown_value, since, value_gate, verb_gate,
};
pub use releases::RELEASES;
pub use version::Version;
