//! Management that obeys at once: for trying clients and for tests of the API.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use driver::{Answer, DriverError, Management};
use model::{BootDevice, BootMode, Node, NodeUuid};
use provision::Observed;

/// Boot devices of machines that are not there; forgotten at a restart.
#[derive(Debug, Default)]
pub struct FakeManagement {
    devices: Mutex<HashMap<NodeUuid, (BootDevice, bool)>>,
}

impl Management for FakeManagement {
    fn validate(&self, _node: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn supported_boot_devices(&self, _node: &Node) -> Vec<BootDevice> {
        vec![BootDevice::Pxe]
    }

    fn boot_device<'a>(&'a self, node: &'a Node) -> Answer<'a, (Option<BootDevice>, Option<bool>)> {
        let known = self.devices.lock().unwrap_or_else(PoisonError::into_inner).get(&node.uuid).copied();
        let (device, persistent) = known.unwrap_or((BootDevice::Pxe, false));
        Box::pin(async move { Ok((Some(device), Some(persistent))) })
    }

    fn set_boot_device<'a>(&'a self, node: &'a Node, device: BootDevice, persistent: bool) -> Answer<'a, ()> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner).insert(node.uuid, (device, persistent));
        Box::pin(async { Ok(()) })
    }

    fn set_boot_mode<'a>(&'a self, _node: &'a Node, _mode: BootMode) -> Option<Answer<'a, ()>> {
        Some(Box::pin(async { Ok(()) }))
    }

    fn set_secure_boot<'a>(&'a self, _node: &'a Node, _on: bool) -> Option<Answer<'a, ()>> {
        Some(Box::pin(async { Ok(()) }))
    }

    fn inject_nmi<'a>(&'a self, _node: &'a Node) -> Option<Answer<'a, ()>> {
        Some(Box::pin(async { Ok(()) }))
    }

    fn facts<'a>(&'a self, _node: &'a Node) -> Answer<'a, Observed> {
        Box::pin(async { Ok(Observed::default()) })
    }
}
