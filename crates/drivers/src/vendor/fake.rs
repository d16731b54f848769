//! A vendor's methods that do nothing: for trying clients and for tests of the API.

use std::time::Duration;

use driver::{Answer, DriverError, StepReply, Steps, Vendor, VendorRow};
use model::{InterfaceKind, JsonObject, Node};
use provision::{OfferedStep, OnRestart, PlannedStep, StepList};
use serde_json::{Value, json};

/// The methods and, of those that compare the argument `bar`, what they compare it with.
const METHODS: &[VendorRow] = &[
    VendorRow::new("fourth_method_shared_lock", "Whether bar is woof, while others may work on the node.")
        .shared(),
    VendorRow::new("log_passthrough", "Writes to the service's log that it was called."),
    VendorRow::new("second_method", "Whether bar is kazoo."),
    VendorRow::new("third_method_sync", "Whether bar is meow; the caller is told.").sync(),
];

/// How often the step that waits is asked about, and when it is given up.
const WAIT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_hours(24));

/// Methods of nobody.
#[derive(Debug)]
pub struct FakeVendor;

/// The word that a method compares `bar` with.
fn expected_bar(method: &str) -> Option<&'static str> {
    match method {
        "second_method" => Some("kazoo"),
        "third_method_sync" => Some("meow"),
        "fourth_method_shared_lock" => Some("woof"),
        _ => None,
    }
}

impl Vendor for FakeVendor {
    fn methods(&self) -> &'static [VendorRow] {
        METHODS
    }

    fn validate(&self, _node: &Node, method: &str, args: &JsonObject) -> Result<(), DriverError> {
        let needs_bar = expected_bar(method).is_some();
        let bar = args.get("bar").unwrap_or_default();
        let lacks_bar = matches!(bar, Value::Null | Value::Bool(false)) || bar.as_str() == Some("");
        if needs_bar && lacks_bar {
            return Err(DriverError::invalid(format!("method {method} needs the argument 'bar'.")));
        }
        Ok(())
    }

    fn call<'a>(&'a self, node: &'a Node, method: &'a str, args: &'a JsonObject) -> Answer<'a, Value> {
        Box::pin(async move {
            let Some(expected) = expected_bar(method) else {
                tracing::info!(node = %node.uuid, method, "a method of the fake vendor was called");
                return Ok(Value::Null);
            };
            Ok(json!(args.get_str("bar").as_deref() == Some(expected)))
        })
    }
}

impl Steps for FakeVendor {
    fn offered(&self, _node: &Node) -> Vec<OfferedStep> {
        let step = |list, name| OfferedStep::new(list, InterfaceKind::Vendor, name);
        vec![
            OfferedStep { priority: 1, ..step(StepList::Clean, "log_passthrough") },
            OfferedStep { requires_ramdisk: false, ..step(StepList::Service, "log_passthrough") },
            OfferedStep { on_restart: OnRestart::Poll, ..step(StepList::Service, "trigger_servicewait") },
        ]
    }

    fn run<'a>(&'a self, node: &'a Node, _list: StepList, step: &'a PlannedStep) -> Answer<'a, StepReply> {
        Box::pin(async move {
            if step.step == "trigger_servicewait" {
                return Ok(StepReply::waiting(WAIT.0, WAIT.1));
            }
            tracing::info!(node = %node.uuid, step = step.step, "a step of the fake vendor ran");
            Ok(StepReply::done())
        })
    }

    /// The step that waits has no end of its own.
    fn poll<'a>(&'a self, _node: &'a Node, _list: StepList, _step: &'a PlannedStep) -> Answer<'a, StepReply> {
        Box::pin(async { Ok(StepReply::waiting(WAIT.0, WAIT.1)) })
    }
}
