//! Several processes as one site: which conductors live, which of them is in charge of which node, and how requests get to
//! it from any of them; and the way out of the site, for others who want to be told.
//!
//! Knows the rows in which conductors give signs of life, and what is asked of them; drives no node.

mod answering;
pub mod bus;
mod measure;
mod members;
mod notifications;
mod ring;
mod router;
pub mod wire;

pub use answering::Answering;
pub use measure::METRICS;
pub use members::{Members, Watch};
pub use notifications::{Destination, Notifier};
pub use ring::Ring;
pub use router::{PATIENCE, Router};
