//! Block devices in the ramdisk: listing, hints, verified image writing, partitions, boot entries, erasure.
//!
//! Synchronous and single-threaded: callers run it on a blocking thread. It opens no socket; an image arrives
//! as a [`std::io::Read`], and where image metadata must be known first, as a [`disk_image::ReadAt`].
//! Every entry point takes a [`BlockDevice`], which may be a regular file, so all of it is tested without
//! privileges.

pub mod boot;
pub mod configdrive;
pub mod device;
pub mod erase;
pub mod error;
pub mod fat;
pub mod hints;
pub mod list;
pub mod partitions;
pub mod signature;
pub mod target;
pub mod write;

pub use device::BlockDevice;
pub use error::DiskError;
pub use hints::{HintError, select};
pub use list::{DiskInfo, Roots, list};
pub use model::root_device::Hints;
pub use write::{Control, Progress, WriteRequest, Written, write_image};
