//! The management interface: boot device, firmware mode, interrupts.

use model::{BootDevice, BootMode, Node};
use provision::Observed;

use crate::{Answer, DriverError, Indicators, Media};

/// Management by a BMC.
pub trait Management: Send + Sync {
    /// Whether the node's data suffice. Touches nothing.
    fn validate(&self, node: &Node) -> Result<(), DriverError>;

    /// The devices that [`Management::set_boot_device`] takes.
    fn supported_boot_devices(&self, node: &Node) -> Vec<BootDevice>;

    /// The boot device and whether it is persistent; `None` where the BMC does not say.
    fn boot_device<'a>(&'a self, node: &'a Node) -> Answer<'a, (Option<BootDevice>, Option<bool>)>;

    /// Sets the boot device, for the next boot or for all. May be repeated.
    fn set_boot_device<'a>(&'a self, node: &'a Node, device: BootDevice, persistent: bool) -> Answer<'a, ()>;

    /// Sets the firmware mode, `None` where the driver cannot.
    fn set_boot_mode<'a>(&'a self, node: &'a Node, mode: BootMode) -> Option<Answer<'a, ()>>;

    /// Sets secure boot, `None` where the driver cannot.
    fn set_secure_boot<'a>(&'a self, node: &'a Node, on: bool) -> Option<Answer<'a, ()>>;

    /// Raises a non-maskable interrupt, `None` where the driver cannot.
    fn inject_nmi<'a>(&'a self, node: &'a Node) -> Option<Answer<'a, ()>>;

    /// What the BMC knows of the machine: vendor, firmware mode.
    fn facts<'a>(&'a self, node: &'a Node) -> Answer<'a, Observed>;

    /// The machine's lights, `None` where the driver cannot reach them.
    fn indicators(&self) -> Option<&dyn Indicators> {
        None
    }

    /// Virtual media, `None` where the driver has none.
    fn media(&self) -> Option<&dyn Media> {
        None
    }
}
