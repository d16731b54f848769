//! What inspection data mean: the hooks that make properties and ports of them, and the rules that operators write.
//!
//! Pure functions over values: data, node and ports go in, what they become comes out. Knows no store, no HTTP, no
//! driver, and no clock.

pub mod hooks;
mod path;
pub mod rules;
