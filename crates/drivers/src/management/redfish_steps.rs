//! The steps of management by Redfish: which there are, and whose they are. The clock and firmware have files of their own.

use driver::{Answer, DriverError, Retry, StepReply, Steps};
use model::{InterfaceKind, Node};
use provision::{ErrorCode, OfferedStep, PlannedStep, StepArgument, StepList};
use redfish::KeysReset;

use super::redfish::RedfishManagement;
use super::{redfish_clock as clock, redfish_firmware as firmware};
use crate::redfish_access::failed;

const CLOCK: &[StepArgument] = &[
    StepArgument {
        name: "target_datetime",
        required: false,
        description: "the time to set, as RFC 3339 text; by default the present",
    },
    StepArgument {
        name: "datetime_local_offset",
        required: false,
        description: "the offset of the BMC's local time, as +02:00",
    },
];

const FIRMWARE: &[StepArgument] = &[StepArgument {
    name: "firmware_images",
    required: true,
    description: "a list of objects, each with the url and the checksum of a firmware, and seconds to wait after it",
}];

impl Steps for RedfishManagement {
    fn offered(&self, _node: &Node) -> Vec<OfferedStep> {
        let row = |list, step| OfferedStep::new(list, InterfaceKind::Management, step);
        // The same firmware twice is the same firmware: what is not known to have begun is begun again.
        let update = |list| OfferedStep { arguments: FIRMWARE, ..row(list, "update_firmware") };
        let mut steps = vec![
            OfferedStep { arguments: CLOCK, ..row(StepList::Clean, "set_bmc_clock") },
            update(StepList::Clean),
            update(StepList::Service),
            OfferedStep {
                priority: i64::from(self.options.enable_verify_bmc_clock),
                requires_ramdisk: false,
                ..row(StepList::Verify, "verify_bmc_clock")
            },
        ];
        for list in [StepList::Clean, StepList::Deploy] {
            steps.extend(
                ["clear_secure_boot_keys", "reset_secure_boot_keys_to_default"].map(|step| row(list, step)),
            );
        }
        steps
    }

    fn run<'a>(&'a self, node: &'a Node, _: StepList, step: &'a PlannedStep) -> Answer<'a, StepReply> {
        Box::pin(async move {
            let client = self.access.client(node)?;
            let reset = |kind| client.reset_secure_boot_keys(kind);
            match step.step.as_str() {
                "verify_bmc_clock" => clock::verify(&client).await?,
                "set_bmc_clock" => clock::set(&client, &step.args).await?,
                "clear_secure_boot_keys" => reset(KeysReset::Clear).await.map_err(|error| failed(&error))?,
                "reset_secure_boot_keys_to_default" => {
                    reset(KeysReset::Default).await.map_err(|error| failed(&error))?;
                }
                "update_firmware" => return firmware::begin(&client, node, step, &self.options).await,
                _ => return Err(unknown(step)),
            }
            Ok(StepReply::done())
        })
    }

    fn poll<'a>(&'a self, node: &'a Node, _: StepList, step: &'a PlannedStep) -> Answer<'a, StepReply> {
        Box::pin(async move {
            match step.step.as_str() {
                "update_firmware" => {
                    firmware::poll(&self.access.client(node)?, node, step, &self.options).await
                }
                _ => Err(unknown(step)),
            }
        })
    }
}

fn unknown(step: &PlannedStep) -> DriverError {
    let text = format!("management by Redfish has no step {} to be asked for here.", step.label());
    DriverError::new(ErrorCode::UnknownStep, Retry::Permanent, text)
}
