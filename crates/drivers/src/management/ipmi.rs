//! Management by IPMI.

use std::sync::Arc;

use driver::{Answer, DriverError, Management, Retry};
use ipmi::command::boot::BootDevice as IpmiDevice;
use ipmi::command::chassis::ChassisControl;
use model::{BootDevice, BootMode, Node};
use provision::{ErrorCode, Observed};
use serde_json::{Map, json};

use crate::boot::mode::wanted_boot_mode;
use crate::ipmi_access::{IpmiAccess, failed, parse};

/// Management by IPMI boot options.
#[derive(Debug)]
pub struct IpmiManagement {
    access: Arc<IpmiAccess>,
}

impl IpmiManagement {
    /// Over the shared access to BMCs.
    pub fn new(access: Arc<IpmiAccess>) -> Self {
        Self { access }
    }
}

/// Our devices and IPMI's (IPMI 2.0 table 28-14), those that can be set.
const DEVICES: [(BootDevice, IpmiDevice); 5] = [
    (BootDevice::Pxe, IpmiDevice::Pxe),
    (BootDevice::Disk, IpmiDevice::Disk),
    (BootDevice::Cdrom, IpmiDevice::Cdrom),
    (BootDevice::Bios, IpmiDevice::BiosSetup),
    (BootDevice::Safe, IpmiDevice::DiskSafeMode),
];

impl Management for IpmiManagement {
    fn validate(&self, node: &Node) -> Result<(), DriverError> {
        parse(node).map(drop)
    }

    fn supported_boot_devices(&self, _node: &Node) -> Vec<BootDevice> {
        DEVICES.iter().map(|(device, _)| *device).collect()
    }

    fn boot_device<'a>(&'a self, node: &'a Node) -> Answer<'a, (Option<BootDevice>, Option<bool>)> {
        Box::pin(async move {
            let setting =
                self.access.client(node)?.get_boot_device().await.map_err(|error| failed(&error))?;
            let device = DEVICES.iter().find(|(_, theirs)| *theirs == setting.device).map(|(ours, _)| *ours);
            Ok((device, device.map(|_| setting.persistent)))
        })
    }

    fn set_boot_device<'a>(&'a self, node: &'a Node, device: BootDevice, persistent: bool) -> Answer<'a, ()> {
        Box::pin(async move {
            let client = self.access.client(node)?;
            let Some((_, theirs)) = DEVICES.iter().find(|(ours, _)| *ours == device) else {
                return Err(DriverError::new(
                    ErrorCode::DriverInfo,
                    Retry::Permanent,
                    format!("IPMI has no boot device {device}."),
                ));
            };
            let uefi = wanted_boot_mode(node) == BootMode::Uefi;
            client.set_boot_device(*theirs, persistent, uefi).await.map_err(|error| failed(&error))
        })
    }

    /// IPMI has no firmware mode of its own: the flag goes along with each boot device.
    fn set_boot_mode<'a>(&'a self, _node: &'a Node, _mode: BootMode) -> Option<Answer<'a, ()>> {
        None
    }

    fn set_secure_boot<'a>(&'a self, _node: &'a Node, _on: bool) -> Option<Answer<'a, ()>> {
        None
    }

    fn inject_nmi<'a>(&'a self, node: &'a Node) -> Option<Answer<'a, ()>> {
        Some(Box::pin(async move {
            let client = self.access.client(node)?;
            client.chassis_control(ChassisControl::DiagnosticInterrupt).await.map_err(|error| failed(&error))
        }))
    }

    fn facts<'a>(&'a self, node: &'a Node) -> Answer<'a, Observed> {
        Box::pin(async move {
            let id = self.access.client(node)?.device_id().await.map_err(|error| failed(&error))?;
            let bmc = json!({
                "manufacturer_id": id.manufacturer,
                "product_id": id.product,
                "firmware": format!("{}.{:02}", id.firmware_major, id.firmware_minor),
            });
            Ok(Observed { internal: Map::from_iter([("bmc".to_owned(), bmc)]), ..Observed::default() })
        })
    }
}
