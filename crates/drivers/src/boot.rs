//! Boot implementations.

pub mod fake;
pub mod ipxe;
pub mod mode;
