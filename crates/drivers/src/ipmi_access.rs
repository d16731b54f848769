//! From a node's `driver_info` to its BMC, shared by the IPMI interfaces.

use bmc::{Credentials, IpmiClient, IpmiPool, Target};
use driver::{DriverError, Retry, with_causes};
use ipmi::{CipherChoice, CipherSuite, Password, Privilege, Username};
use model::Node;
use provision::ErrorCode;
use serde_json::{Map, Value};

/// Finds the BMC of a node.
#[derive(Debug)]
pub struct IpmiAccess {
    pool: IpmiPool,
}

impl IpmiAccess {
    /// Over the process's sessions.
    pub fn new(pool: IpmiPool) -> Self {
        Self { pool }
    }

    /// The BMC of `node`; an error names the key of `driver_info` that is at fault.
    pub fn client(&self, node: &Node) -> Result<IpmiClient, DriverError> {
        let (target, credentials) = parse(node)?;
        Ok(self.pool.client(target, credentials))
    }
}

/// Text of a key; numbers are taken too, as clients send both.
fn text(info: &Map<String, Value>, key: &str) -> Result<Option<String>, DriverError> {
    match info.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(DriverError::driver_info(format!("driver_info {key} is not a text."))),
    }
}

/// Reads `driver_info`. Touches nothing.
pub(crate) fn parse(node: &Node) -> Result<(Target, Credentials), DriverError> {
    let info = node.driver_info.to_map();
    let Some(host) = text(&info, "ipmi_address")?.filter(|host| !host.trim().is_empty()) else {
        return Err(DriverError::driver_info("driver_info has no ipmi_address.")
            .hint("Set it to the address or host name of the BMC."));
    };
    let port = match text(&info, "ipmi_port")? {
        None => ipmi::RMCP_PORT,
        Some(port) => port.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(|| {
            DriverError::driver_info(format!("driver_info ipmi_port '{port}' is not a port from 1 to 65535."))
        })?,
    };
    let unusable = |key: &str, error: &dyn std::error::Error| {
        DriverError::driver_info(format!("driver_info {key} cannot be used: {error}."))
    };
    let username = Username::new(text(&info, "ipmi_username")?.unwrap_or_default())
        .map_err(|error| unusable("ipmi_username", &error))?;
    let password = Password::new(text(&info, "ipmi_password")?.unwrap_or_default())
        .map_err(|error| unusable("ipmi_password", &error))?;
    let mut credentials = Credentials::new(username, password);
    credentials.privilege = privilege(text(&info, "ipmi_priv_level")?.as_deref())?;
    credentials.cipher = cipher(text(&info, "ipmi_cipher_suite")?.as_deref())?;
    Ok((Target::with_port(host.trim(), port), credentials))
}

fn privilege(level: Option<&str>) -> Result<Privilege, DriverError> {
    match level.map(str::to_ascii_uppercase).as_deref() {
        None | Some("ADMINISTRATOR") => Ok(Privilege::Administrator),
        Some("OPERATOR") => Ok(Privilege::Operator),
        Some("USER") => Ok(Privilege::User),
        Some(other) => Err(DriverError::driver_info(format!(
            "driver_info ipmi_priv_level '{other}' is not one of ADMINISTRATOR, OPERATOR, USER."
        ))),
    }
}

fn cipher(suite: Option<&str>) -> Result<CipherChoice, DriverError> {
    match suite {
        None => Ok(CipherChoice::Negotiate),
        Some("17") => Ok(CipherChoice::Only(CipherSuite::Sha256)),
        Some("3") => Ok(CipherChoice::Only(CipherSuite::Sha1)),
        Some(weak @ ("0" | "1" | "2")) => Err(DriverError::driver_info(format!(
            "driver_info ipmi_cipher_suite {weak} does not protect the session."
        ))
        .hint("Use 17 or 3.")),
        Some(other) => {
            Err(DriverError::driver_info(format!("driver_info ipmi_cipher_suite '{other}' is not 17 or 3.")))
        }
    }
}

/// A failure of the BMC, as the node's.
pub(crate) fn failed(error: &bmc::Error) -> DriverError {
    let retry = match error.retry() {
        bmc::Retry::Transient => Retry::Transient,
        bmc::Retry::Permanent | bmc::Retry::NeedsOperator => Retry::NeedsOperator,
    };
    DriverError::new(code(error), retry, format!("{}.", with_causes(error)))
}

fn code(error: &bmc::Error) -> ErrorCode {
    match error {
        bmc::Error::Login { .. } => ErrorCode::BmcCredentials,
        bmc::Error::Remembered { source, .. } => code(source),
        bmc::Error::PowerStateNotReached { .. } => ErrorCode::PowerStuck,
        bmc::Error::Command { .. }
        | bmc::Error::WrongParameter { .. }
        | bmc::Error::RequestTooLong { .. } => ErrorCode::BmcRefused,
        _ => ErrorCode::BmcUnreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{JsonObject, Timestamp};
    use serde_json::json;

    fn node(info: &Value) -> Node {
        let mut node = Node::new("ipmi", Timestamp::from_micros(0));
        node.driver_info = JsonObject::parse(&info.to_string()).unwrap();
        node
    }

    #[test]
    fn the_key_at_fault_is_named() {
        let cases = [
            (json!({}), "ipmi_address"),
            (json!({"ipmi_address": "h", "ipmi_port": "0"}), "ipmi_port"),
            (json!({"ipmi_address": "h", "ipmi_username": "a-name-of-17-chars"}), "ipmi_username"),
            (json!({"ipmi_address": "h", "ipmi_cipher_suite": 0}), "ipmi_cipher_suite"),
            (json!({"ipmi_address": "h", "ipmi_priv_level": "GOD"}), "ipmi_priv_level"),
            (json!({"ipmi_address": ["h"]}), "ipmi_address"),
        ];
        for (info, key) in cases {
            let error = parse(&node(&info)).unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
            assert_eq!(error.code(), ErrorCode::DriverInfo);
        }
    }

    #[test]
    fn numbers_and_texts_are_the_same() {
        let (target, credentials) =
            parse(&node(&json!({"ipmi_address": "10.0.0.1", "ipmi_port": 6230, "ipmi_cipher_suite": "17"})))
                .unwrap();
        assert_eq!(target, Target::with_port("10.0.0.1", 6230));
        assert_eq!(credentials.cipher, CipherChoice::Only(CipherSuite::Sha256));
    }
}
