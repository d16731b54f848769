//! Which firmware mode a node is to boot in.

use model::{BootMode, Capabilities, JsonObject, Node};

fn capability(object: &JsonObject) -> Option<BootMode> {
    let value = object.get("capabilities")?;
    let capabilities = Capabilities::parse(&value);
    if capabilities.get("secure_boot") == Some("true") {
        return Some(BootMode::Uefi);
    }
    capabilities.get("boot_mode")?.parse().ok()
}

/// What the instance asks for, else what the operator says of the machine, else what the BMC says, else UEFI.
pub fn wanted_boot_mode(node: &Node) -> BootMode {
    let instance = || {
        capability(&node.instance_info)
            .or_else(|| node.instance_info.get_str("deploy_boot_mode").and_then(|mode| mode.parse().ok()))
    };
    instance().or_else(|| capability(&node.properties)).or(node.boot_mode).unwrap_or(BootMode::Uefi)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    #[test]
    fn the_nearest_wish_wins() {
        let mut node = Node::new("ipmi", Timestamp::from_micros(0));
        assert_eq!(wanted_boot_mode(&node), BootMode::Uefi);
        node.properties = JsonObject::parse(r#"{"capabilities": "boot_mode:bios"}"#).unwrap();
        assert_eq!(wanted_boot_mode(&node), BootMode::Bios);
        node.instance_info = JsonObject::parse(r#"{"capabilities": {"secure_boot": "true"}}"#).unwrap();
        assert_eq!(wanted_boot_mode(&node), BootMode::Uefi);
    }
}
