//! From a node's `driver_info` to its machine at a Redfish service, shared by the Redfish interfaces.

use bmc::redfish::{
    Address, Auth, Credentials, Error, Password, RedfishClient, RedfishPool, SystemId, Verify,
};
use driver::{DriverError, Retry, with_causes};
use model::Node;
use provision::ErrorCode;
use serde_json::{Map, Value};

/// Finds the machine of a node.
#[derive(Debug)]
pub struct RedfishAccess {
    pool: RedfishPool,
}

impl RedfishAccess {
    /// Over the process's sessions.
    pub fn new(pool: RedfishPool) -> Self {
        Self { pool }
    }

    /// The machine of `node`; an error names the key of `driver_info` that is at fault.
    pub fn client(&self, node: &Node) -> Result<RedfishClient, DriverError> {
        let Parsed { address, credentials, system } = parse(node)?;
        Ok(self.pool.client(address, credentials, system))
    }
}

/// What `driver_info` says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    address: Address,
    credentials: Credentials,
    system: Option<SystemId>,
}

/// Text of a key that is not empty; numbers are taken too, as clients send both.
fn text(info: &Map<String, Value>, key: &str) -> Result<Option<String>, DriverError> {
    match info.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.trim().is_empty())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(DriverError::driver_info(format!("driver_info {key} is not a text."))),
    }
}

/// Reads `driver_info`. Touches nothing.
pub(crate) fn parse(node: &Node) -> Result<Parsed, DriverError> {
    let info = node.driver_info.to_map();
    let Some(address) = text(&info, "redfish_address")? else {
        return Err(DriverError::driver_info("driver_info has no redfish_address.")
            .hint("Set it to the URL of the BMC, such as https://bmc.example."));
    };
    let unusable = |key: &str, error: &dyn std::error::Error| {
        DriverError::driver_info(format!("driver_info {key} cannot be used: {error}."))
    };
    let address = Address::parse(&address).map_err(|error| unusable("redfish_address", &error))?;
    let system = text(&info, "redfish_system_id")?;
    let system = system.map(|id| SystemId::parse(id.trim())).transpose();
    let system = system.map_err(|error| unusable("redfish_system_id", &error))?;
    let username = text(&info, "redfish_username")?;
    let password = text(&info, "redfish_password")?;
    if password.is_some() && username.is_none() {
        return Err(DriverError::driver_info("driver_info has a redfish_password and no redfish_username."));
    }
    let password = Password::new(password.unwrap_or_default());
    let auth = auth(text(&info, "redfish_auth_type")?.as_deref())?;
    let verify = verify(info.get("redfish_verify_ca"))?;
    Ok(Parsed { address, credentials: Credentials { username, password, auth, verify }, system })
}

fn auth(name: Option<&str>) -> Result<Auth, DriverError> {
    match name.map(str::to_ascii_lowercase).as_deref() {
        None | Some("auto") => Ok(Auth::Auto),
        Some("basic") => Ok(Auth::Basic),
        Some("session") => Ok(Auth::Session),
        Some(other) => Err(DriverError::driver_info(format!(
            "driver_info redfish_auth_type '{}' is not one of auto, basic, session.",
            other.chars().take(64).collect::<String>()
        ))),
    }
}

/// A truth value or PEM text. A path would let whoever may edit a node have files of this host read.
fn verify(value: Option<&Value>) -> Result<Verify, DriverError> {
    let text = match value {
        None | Some(Value::Null | Value::Bool(true)) => return Ok(Verify::System),
        Some(Value::Bool(false)) => return Ok(Verify::Nothing),
        Some(Value::String(text)) => text.trim(),
        Some(_) => {
            return Err(DriverError::driver_info("driver_info redfish_verify_ca is no text or boolean."));
        }
    };
    match text.to_ascii_lowercase().as_str() {
        "" | "true" | "yes" | "on" | "1" | "t" | "y" => return Ok(Verify::System),
        "false" | "no" | "off" | "0" | "f" | "n" => return Ok(Verify::Nothing),
        _ => {}
    }
    if !text.contains("-----BEGIN") {
        return Err(DriverError::driver_info(
            "driver_info redfish_verify_ca is neither true, false nor PEM text.",
        )
        .hint("Paths of files are not taken: put the certificates themselves there, as PEM text."));
    }
    Verify::authorities(text).map_err(|error| {
        DriverError::driver_info(format!("driver_info redfish_verify_ca cannot be used: {error}."))
    })
}

/// A failure of the BMC, as the node's.
pub(crate) fn failed(error: &Error) -> DriverError {
    let retry = match error.retry() {
        bmc::Retry::Transient => Retry::Transient,
        bmc::Retry::Permanent | bmc::Retry::NeedsOperator => Retry::NeedsOperator,
    };
    DriverError::new(code(error), retry, format!("{}.", with_causes(error)))
}

fn code(error: &Error) -> ErrorCode {
    match error {
        Error::Login { .. } if error.retry() == bmc::Retry::NeedsOperator => ErrorCode::BmcCredentials,
        Error::Remembered { source, .. } => code(source),
        Error::PowerStateNotReached { .. } => ErrorCode::PowerStuck,
        Error::NoSuchSystem { .. } | Error::WhichSystem { .. } | Error::NoSessions { .. } => {
            ErrorCode::DriverInfo
        }
        Error::Login { .. }
        | Error::Refused { .. }
        | Error::Task { .. }
        | Error::Document { .. }
        | Error::Redirected { .. }
        | Error::Unsupported { .. } => ErrorCode::BmcRefused,
        Error::Setup { .. }
        | Error::Unreachable { .. }
        | Error::Certificate { .. }
        | Error::Broken { .. }
        | Error::Slow { .. }
        | Error::QueueFull { .. }
        | Error::Busy { .. }
        | Error::ShuttingDown { .. } => ErrorCode::BmcUnreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{JsonObject, Timestamp};
    use serde_json::json;

    fn node(info: &Value) -> Node {
        let mut node = Node::new("redfish", Timestamp::from_micros(0));
        node.driver_info = JsonObject::parse(&info.to_string()).unwrap();
        node
    }

    #[test]
    fn the_key_at_fault_is_named() {
        let cases = [
            (json!({}), "redfish_address"),
            (json!({"redfish_address": "ftp://h"}), "redfish_address"),
            (json!({"redfish_address": ["h"]}), "redfish_address"),
            (json!({"redfish_address": "h", "redfish_system_id": "../x"}), "redfish_system_id"),
            (json!({"redfish_address": "h", "redfish_password": "p"}), "redfish_username"),
            (json!({"redfish_address": "h", "redfish_auth_type": "digest"}), "redfish_auth_type"),
            (json!({"redfish_address": "h", "redfish_verify_ca": 3}), "redfish_verify_ca"),
            (json!({"redfish_address": "h", "redfish_verify_ca": "-----BEGIN x"}), "redfish_verify_ca"),
        ];
        for (info, key) in cases {
            let error = parse(&node(&info)).unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
            assert_eq!(error.code(), ErrorCode::DriverInfo);
        }
    }

    #[test]
    fn a_path_of_certificates_is_refused_with_a_way_out() {
        let info = json!({"redfish_address": "h", "redfish_verify_ca": "/etc/passwd"});
        let error = parse(&node(&info)).unwrap_err();
        assert!(error.to_string().contains("PEM text"), "{error}");
        assert!(!error.to_string().contains("passwd"), "{error}");
    }

    #[test]
    fn defaults_verify_certificates_and_choose_the_login() {
        let info = json!({"redfish_address": "bmc", "redfish_username": "admin", "redfish_password": "p"});
        let parsed = parse(&node(&info)).unwrap();
        assert_eq!(parsed.address.to_string(), "https://bmc");
        assert_eq!((parsed.credentials.auth, &parsed.credentials.verify), (Auth::Auto, &Verify::System));
        assert_eq!(parsed.system, None);
        assert!(!format!("{:?}", parse(&node(&info))).contains("\"p\""));
        let info =
            json!({"redfish_address": "bmc", "redfish_verify_ca": "False", "redfish_auth_type": "Basic"});
        let parsed = parse(&node(&info)).unwrap();
        assert_eq!((parsed.credentials.auth, parsed.credentials.verify), (Auth::Basic, Verify::Nothing));
    }
}
