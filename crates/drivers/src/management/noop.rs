//! No management: the machine's firmware boots from the network first, always. For BMCs that can only do power.

use driver::{Answer, DriverError, Management};
use model::{BootDevice, BootMode, Node};
use provision::Observed;

/// Management that leaves the machine alone.
#[derive(Debug)]
pub struct NoManagement;

impl Management for NoManagement {
    fn validate(&self, _node: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn supported_boot_devices(&self, _node: &Node) -> Vec<BootDevice> {
        vec![BootDevice::Pxe, BootDevice::Disk]
    }

    fn boot_device<'a>(&'a self, _node: &'a Node) -> Answer<'a, (Option<BootDevice>, Option<bool>)> {
        Box::pin(async { Ok((None, None)) })
    }

    fn set_boot_device<'a>(
        &'a self,
        _node: &'a Node,
        _device: BootDevice,
        _persistent: bool,
    ) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn set_boot_mode<'a>(&'a self, _node: &'a Node, _mode: BootMode) -> Option<Answer<'a, ()>> {
        None
    }

    fn set_secure_boot<'a>(&'a self, _node: &'a Node, _on: bool) -> Option<Answer<'a, ()>> {
        None
    }

    fn inject_nmi<'a>(&'a self, _node: &'a Node) -> Option<Answer<'a, ()>> {
        None
    }

    fn facts<'a>(&'a self, _node: &'a Node) -> Answer<'a, Observed> {
        Box::pin(async { Ok(Observed::default()) })
    }
}
