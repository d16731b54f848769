//! Network boot by iPXE: DHCP and TFTP bring iPXE, iPXE fetches its script, kernel and ramdisk over HTTP.

use driver::{Boot, DriverError, Retry};
use model::Node;
use provision::ErrorCode;

/// Boot by the built-in network boot servers.
#[derive(Debug)]
pub struct IpxeBoot {
    configured: bool,
}

impl IpxeBoot {
    /// `configured`: whether there are a kernel and a ramdisk, and a server that gives them out.
    pub fn new(configured: bool) -> Self {
        Self { configured }
    }
}

impl Boot for IpxeBoot {
    fn validate(&self, _node: &Node) -> Result<(), DriverError> {
        if self.configured {
            return Ok(());
        }
        Err(DriverError::new(
            ErrorCode::DriverInfo,
            Retry::NeedsOperator,
            "no deploy ramdisk is configured, so nothing can be booted over the network.",
        )
        .hint("Set [netboot] interface and address, and [deploy] kernel and ramdisk, in the service's configuration."))
    }
}
