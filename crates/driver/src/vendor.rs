//! The vendor interface: methods beside the API.

use model::{JsonObject, Node, VendorMethod};
use serde_json::Value;

use crate::{Answer, DriverError};

/// One method that a vendor interface offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VendorRow {
    /// Its name.
    pub name: &'static str,
    /// The HTTP methods that it takes, in capitals.
    pub http_methods: &'static [&'static str],
    /// Whether callers are answered before it is done.
    pub is_async: bool,
    /// Whether its result is a file.
    pub attach: bool,
    /// Whether nobody else may work on the node meanwhile.
    pub exclusive: bool,
    /// What it does.
    pub description: &'static str,
}

impl VendorRow {
    /// A method of nodes as most are: `POST`, answered at once, alone on the node.
    pub const fn new(name: &'static str, description: &'static str) -> Self {
        Self { name, http_methods: &["POST"], is_async: true, attach: false, exclusive: true, description }
    }

    /// Callers wait for its result.
    #[must_use]
    pub const fn sync(mut self) -> Self {
        self.is_async = false;
        self
    }

    /// Others may work on the node meanwhile.
    #[must_use]
    pub const fn shared(mut self) -> Self {
        self.exclusive = false;
        self
    }

    /// As callers see it; `of_node` is whether it is a method of nodes.
    pub fn told(&self, of_node: bool) -> VendorMethod {
        VendorMethod {
            http_methods: self.http_methods.iter().map(|&name| name.to_owned()).collect(),
            is_async: self.is_async,
            description: self.description.to_owned(),
            attach: self.attach,
            require_exclusive_lock: of_node.then_some(self.exclusive),
        }
    }
}

/// Methods of a vendor.
pub trait Vendor: Send + Sync {
    /// Methods of nodes.
    fn methods(&self) -> &'static [VendorRow];

    /// Whether the node's data and the arguments suffice for `method`, which is one of [`Vendor::methods`]. Touches
    /// nothing.
    fn validate(&self, node: &Node, method: &str, args: &JsonObject) -> Result<(), DriverError>;

    /// Calls a validated method. A method whose result is a file gives a string. Not repeated by the engine.
    fn call<'a>(&'a self, node: &'a Node, method: &'a str, args: &'a JsonObject) -> Answer<'a, Value>;

    /// Methods that need no node.
    fn driver_methods(&self) -> &'static [VendorRow] {
        &[]
    }

    /// Calls one of [`Vendor::driver_methods`].
    fn driver_call<'a>(&'a self, method: &'a str, args: &'a JsonObject) -> Answer<'a, Value> {
        let _ = args;
        Box::pin(async move { Err(DriverError::invalid(format!("There is no method {method}."))) })
    }
}
