//! Disk image formats: sniffing, streaming qcow2, ISO 9660, config drives, partition tables.
//!
//! Everything here works on bytes and [`std::io`]: the crate opens no file, no socket and no device, and
//! allocates only what its limits allow, because an image is whatever a tenant uploaded.

pub mod configdrive;
pub mod decode;
pub mod format;
pub mod gpt;
pub mod guid;
pub mod hash;
pub mod iso9660;
pub mod mbr;
pub mod qcow2;
pub mod read_at;

pub use format::{Format, SNIFF_LEN, sniff};
pub use guid::Guid;
pub use hash::{Algorithm, Checksum, HashingReader};
pub use read_at::ReadAt;
