//! Methods of IPMI: raw commands, and restarting the BMC.

use std::sync::Arc;

use driver::{Answer, DriverError, Retry, StepReply, Steps, Vendor, VendorRow};
use ipmi::command::RawRequest;
use ipmi::completion::CompletionCode;
use ipmi::wire::message::{MAX_DATA, NetFn};
use model::{InterfaceKind, JsonObject, Node};
use provision::{ErrorCode, OfferedStep, OnRestart, PlannedStep, StepArgument, StepList};
use serde_json::Value;

use crate::ipmi_access::{IpmiAccess, failed, parse};

const METHODS: &[VendorRow] = &[
    VendorRow::new(
        "bmc_reset",
        "Restarts the BMC: warm unless the argument 'warm' is false, which restarts it cold.",
    ),
    VendorRow::new(
        "send_raw",
        "Sends a command to the BMC. The argument 'raw_bytes' is a text of numbers, as '0x06 0x01': network \
         function, command, data.",
    ),
];

const RAW_BYTES: &[StepArgument] = &[StepArgument {
    name: "raw_bytes",
    required: true,
    description: "a text of numbers, as '0x06 0x01': network function, command, data",
}];

/// Warm Reset (IPMI 2.0 section 20.3).
const WARM_RESET: u8 = 0x03;

/// Methods over IPMI.
#[derive(Debug)]
pub struct IpmiVendor {
    access: Arc<IpmiAccess>,
}

impl IpmiVendor {
    /// Over the shared access to BMCs.
    pub fn new(access: Arc<IpmiAccess>) -> Self {
        Self { access }
    }

    async fn send(&self, node: &Node, request: RawRequest) -> Result<(), DriverError> {
        let answer = self.access.client(node)?.raw(request).await.map_err(|error| failed(&error))?;
        if answer.completion == CompletionCode::Ok {
            tracing::info!(node = %node.uuid, bytes = answer.data.len(), "the BMC answered a raw command");
            return Ok(());
        }
        let text = format!("The BMC answered the command with {}.", answer.completion);
        Err(DriverError::new(ErrorCode::BmcRefused, Retry::NeedsOperator, text))
    }
}

/// Reads the argument `raw_bytes`.
fn raw_request(args: &JsonObject) -> Result<RawRequest, DriverError> {
    let text = args.get_str("raw_bytes").filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| DriverError::invalid("the argument 'raw_bytes' is missing."))?;
    let bytes = text.split_whitespace().map(byte).collect::<Option<Vec<u8>>>();
    let wrong = || {
        DriverError::invalid(format!(
            "raw_bytes has to be numbers from 0 to 0xff: an even network function up to 0x3e, a command, and at most \
             {MAX_DATA} bytes of data."
        ))
    };
    match bytes.as_deref() {
        Some([net_fn, command, data @ ..]) if data.len() <= MAX_DATA => {
            let net_fn = NetFn::new(*net_fn).ok_or_else(wrong)?;
            Ok(RawRequest { net_fn, command: *command, data: data.to_vec() })
        }
        _ => Err(wrong()),
    }
}

fn byte(word: &str) -> Option<u8> {
    match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(hex) => u8::from_str_radix(hex, 16).ok(),
        None => word.parse().ok(),
    }
}

/// Reads the argument `warm`.
fn is_warm(args: &JsonObject) -> Result<bool, DriverError> {
    match args.get("warm") {
        None | Some(Value::Null) => Ok(true),
        Some(Value::Bool(warm)) => Ok(warm),
        // Clients of the command line send words.
        Some(Value::String(word)) if word.eq_ignore_ascii_case("true") => Ok(true),
        Some(Value::String(word)) if word.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(DriverError::invalid("the argument 'warm' has to be true or false.")),
    }
}

impl Vendor for IpmiVendor {
    fn methods(&self) -> &'static [VendorRow] {
        METHODS
    }

    fn validate(&self, node: &Node, method: &str, args: &JsonObject) -> Result<(), DriverError> {
        match method {
            "send_raw" => drop(raw_request(args)?),
            _ => drop(is_warm(args)?),
        }
        parse(node).map(drop)
    }

    fn call<'a>(&'a self, node: &'a Node, method: &'a str, args: &'a JsonObject) -> Answer<'a, Value> {
        Box::pin(async move {
            if method == "send_raw" {
                self.send(node, raw_request(args)?).await?;
            } else if is_warm(args)? {
                let reset = RawRequest { net_fn: NetFn::APP, command: WARM_RESET, data: Vec::new() };
                self.send(node, reset).await?;
            } else {
                self.access.client(node)?.cold_reset().await.map_err(|error| failed(&error))?;
            }
            Ok(Value::Null)
        })
    }
}

impl Steps for IpmiVendor {
    fn offered(&self, _node: &Node) -> Vec<OfferedStep> {
        let send = |list, requires_ramdisk, abortable| OfferedStep {
            requires_ramdisk,
            abortable,
            arguments: RAW_BYTES,
            // Nobody knows what doing it twice means.
            on_restart: OnRestart::Poll,
            ..OfferedStep::new(list, InterfaceKind::Vendor, "send_raw")
        };
        vec![
            send(StepList::Clean, false, false),
            send(StepList::Deploy, true, true),
            send(StepList::Service, true, false),
        ]
    }

    fn run<'a>(&'a self, node: &'a Node, _list: StepList, step: &'a PlannedStep) -> Answer<'a, StepReply> {
        Box::pin(async move {
            self.send(node, raw_request(&step.args)?).await?;
            Ok(StepReply::done())
        })
    }

    /// Asked only when the service ended while the command was under way.
    fn poll<'a>(&'a self, _node: &'a Node, _list: StepList, _step: &'a PlannedStep) -> Answer<'a, StepReply> {
        let text =
            "The service ended while the command was being sent: whether the BMC took it is not known.";
        Box::pin(async move { Err(DriverError::new(ErrorCode::StepLost, Retry::NeedsOperator, text)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Option<(u8, u8, Vec<u8>)> {
        let mut args = JsonObject::default();
        args.set("raw_bytes", text.into());
        let request = raw_request(&args).ok()?;
        Some((request.net_fn.value(), request.command, request.data))
    }

    #[test]
    fn raw_bytes_are_numbers() {
        assert_eq!(raw("0x06 0x01"), Some((6, 1, vec![])));
        assert_eq!(raw(" 0X2e  48 0xFF 0 "), Some((0x2e, 48, vec![0xff, 0])));
        for bad in ["", "6", "0x07 1", "0x40 1", "6 256", "6 0x100", "6 -1", "6 1;reboot", &"6 ".repeat(400)]
        {
            assert_eq!(raw(bad), None, "{bad}");
        }
        assert!(raw_request(&JsonObject::default()).is_err());
    }

    #[test]
    fn a_reset_is_warm_unless_said_otherwise() {
        let warm = |text: &str| is_warm(&JsonObject::parse(text).unwrap()).ok();
        assert_eq!((warm("{}"), warm(r#"{"warm": false}"#)), (Some(true), Some(false)));
        assert_eq!((warm(r#"{"warm": "true"}"#), warm(r#"{"warm": 7}"#)), (Some(true), None));
    }
}
