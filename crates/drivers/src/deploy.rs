//! Deploy implementations.

pub mod direct;
pub mod fake;

mod image;
mod rescue;
