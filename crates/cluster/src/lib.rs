//! Several processes as one site: which conductors live, and which of them is in charge of which node.
//!
//! Knows the rows in which conductors give signs of life; drives no node.

mod members;
mod ring;

pub use members::{Members, Watch};
pub use ring::Ring;
