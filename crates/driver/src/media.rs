//! Virtual media of a machine: what management may be able to show to it as disks.

use model::{MediaDevice, MediaDrive, MediaImage, Node};

use crate::Answer;

/// The drives of a node's BMC.
pub trait Media: Send + Sync {
    /// The drives, and what is in them.
    fn drives<'a>(&'a self, node: &'a Node) -> Answer<'a, Vec<MediaDrive>>;

    /// Puts an image into a drive that takes it, in place of what was in it. May be repeated.
    fn attach<'a>(&'a self, node: &'a Node, image: &'a MediaImage) -> Answer<'a, ()>;

    /// Empties the drives of these kinds. May be repeated.
    fn detach<'a>(&'a self, node: &'a Node, devices: &'a [MediaDevice]) -> Answer<'a, ()>;
}
