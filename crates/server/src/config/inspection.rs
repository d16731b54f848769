//! What is made of what ramdisks report of their machines.

use std::collections::BTreeMap;
use std::path::PathBuf;

use inspection::hooks::{Accelerator, AddPorts, Hook, KeepPorts, Options, PciAlias, PciDevice};
use inspection::rules::Masking;
use ipnet::IpNet;
use serde::Deserialize;

use super::built_in_rules;

/// In-band inspection.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inspection {
    /// What is done with a report, in order.
    pub hooks: Vec<String>,
    /// Which interfaces get a port.
    pub add_ports: Add,
    /// Which ports stay.
    pub keep_ports: Keep,
    /// Whether the port that the machine booted from, and no other, gets `pxe_enabled`.
    pub update_pxe_enabled: bool,
    /// Names of networks, by their addresses.
    pub physical_networks: BTreeMap<String, String>,
    /// Capabilities that count devices, by vendor and product.
    pub pci_devices: BTreeMap<String, String>,
    /// Devices that are accelerators, by vendor and product, in place of those that are known.
    pub accelerators: Option<BTreeMap<String, AcceleratorKind>>,
    /// Capabilities for features of processors, in place of those that are known.
    pub cpu_capabilities: Option<BTreeMap<String, String>>,
    /// Whether rows of the extra hardware data that are not of four parts make all of it unusable.
    pub extra_hardware_strict: bool,
    /// Whether `local_gb` leaves a GiB of the root disk for partition tables.
    pub disk_partitioning_spacing: bool,
    /// From which inspection rules the passwords in a report are hidden.
    pub mask_secrets: Mask,
    /// The hardware type with which unknown machines are enrolled; without one they are refused.
    pub auto_discovery_driver: Option<String>,
    /// A file, or a directory of files, with rules beside those of the API.
    pub built_in_rules: Option<PathBuf>,
}

/// A kind of device that computes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceleratorKind {
    /// `GPU` or `FPGA`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub device_info: String,
}

/// Which interfaces get a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Add {
    /// All.
    All,
    /// Those with an address.
    Active,
    /// The one that the machine booted from.
    Pxe,
    /// None.
    Disabled,
}

/// Which ports stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// All.
    All,
    /// Those whose interface the machine has.
    Present,
    /// Those whose interface would get a port.
    Added,
}

/// From which rules passwords are hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mask {
    /// From all.
    Always,
    /// From those that are not sensitive.
    Sensitive,
    /// From none.
    Never,
}

impl Default for Inspection {
    fn default() -> Self {
        let hooks = ["ramdisk-error", "validate-interfaces", "ports", "architecture"];
        Self {
            hooks: hooks.map(str::to_owned).to_vec(),
            add_ports: Add::Pxe,
            keep_ports: Keep::All,
            update_pxe_enabled: true,
            physical_networks: BTreeMap::new(),
            pci_devices: BTreeMap::new(),
            accelerators: None,
            cpu_capabilities: None,
            extra_hardware_strict: false,
            disk_partitioning_spacing: true,
            mask_secrets: Mask::Always,
            auto_discovery_driver: None,
            built_in_rules: None,
        }
    }
}

impl Inspection {
    /// The same as the conductor wants it.
    ///
    /// # Errors
    /// Which value makes no sense, and what would.
    pub fn settings(&self) -> Result<conductor::Inspection, String> {
        let known = Options::default();
        Ok(conductor::Inspection {
            hooks: Options {
                hooks: self.chosen_hooks()?,
                add_ports: match self.add_ports {
                    Add::All => AddPorts::All,
                    Add::Active => AddPorts::Active,
                    Add::Pxe => AddPorts::Pxe,
                    Add::Disabled => AddPorts::Disabled,
                },
                keep_ports: match self.keep_ports {
                    Keep::All => KeepPorts::All,
                    Keep::Present => KeepPorts::Present,
                    Keep::Added => KeepPorts::Added,
                },
                update_pxe_enabled: self.update_pxe_enabled,
                pci_aliases: self.pci_devices.iter().map(alias).collect::<Result<_, _>>()?,
                physical_networks: self.physical_networks.iter().map(network).collect::<Result<_, _>>()?,
                accelerators: match &self.accelerators {
                    None => known.accelerators,
                    Some(kinds) => kinds.iter().map(accelerator).collect::<Result<_, _>>()?,
                },
                cpu_capabilities: self.cpu_capabilities.clone().unwrap_or(known.cpu_capabilities),
                strict_extra_hardware: self.extra_hardware_strict,
                disk_spacing: self.disk_partitioning_spacing,
            },
            masking: match self.mask_secrets {
                Mask::Always => Masking::Always,
                Mask::Sensitive => Masking::Sensitive,
                Mask::Never => Masking::Never,
            },
            discovery: self.auto_discovery_driver.clone(),
            built_in: self
                .built_in_rules
                .as_deref()
                .map(built_in_rules::read)
                .transpose()?
                .unwrap_or_default(),
        })
    }

    fn chosen_hooks(&self) -> Result<Vec<Hook>, String> {
        let mut chosen = Vec::new();
        for name in &self.hooks {
            let hook = Hook::from_name(name).ok_or_else(|| {
                let known = Hook::ALL.map(|(name, _)| name).join(", ");
                format!("there is no hook '{name}'; this version has {known}")
            })?;
            if hook.needs_interfaces() && !chosen.contains(&Hook::ValidateInterfaces) {
                return Err(format!("the hook '{name}' needs 'validate-interfaces' before it"));
            }
            chosen.push(hook);
        }
        Ok(chosen)
    }
}

fn network((addresses, name): (&String, &String)) -> Result<(IpNet, String), String> {
    let parsed = addresses.parse();
    let parsed =
        parsed.map_err(|_| format!("'{addresses}' is not a network: expected one as 10.0.0.0/24"))?;
    Ok((parsed, name.clone()))
}

fn alias((device, name): (&String, &String)) -> Result<PciAlias, String> {
    Ok(PciAlias { device: pci_device(device)?, name: name.clone() })
}

fn accelerator((device, kind): (&String, &AcceleratorKind)) -> Result<Accelerator, String> {
    Ok(Accelerator { device: pci_device(device)?, kind: kind.kind.clone(), info: kind.device_info.clone() })
}

fn pci_device(device: &str) -> Result<PciDevice, String> {
    let parts = device.split_once(':').filter(|(vendor, product)| !vendor.is_empty() && !product.is_empty());
    let (vendor, product) = parts
        .ok_or_else(|| format!("'{device}' is not a device: expected VENDOR:PRODUCT as in 8086:1583"))?;
    Ok(PciDevice::new(vendor, product))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<conductor::Inspection, String> {
        toml::from_str::<Inspection>(text).map_err(|error| error.to_string())?.settings()
    }

    #[test]
    fn the_default_is_that_of_the_hooks() {
        let settings = read("").unwrap();
        assert_eq!(settings.hooks, Options::default());
        assert_eq!((settings.masking, settings.discovery), (Masking::Always, None));
    }

    #[test]
    fn everything_can_be_set() {
        let settings = read(
            r#"
            hooks = ["validate-interfaces", "pci-devices", "physical-network"]
            add_ports = "all"
            keep_ports = "added"
            update_pxe_enabled = false
            physical_networks = { "10.0.0.0/24" = "net-a" }
            pci_devices = { "8086:1583" = "nic" }
            accelerators = { "1234:5678" = { type = "FPGA", device_info = "Board" } }
            cpu_capabilities = { "avx512f" = "cpu_avx512" }
            extra_hardware_strict = true
            disk_partitioning_spacing = false
            mask_secrets = "never"
            auto_discovery_driver = "ipmi"
            "#,
        )
        .unwrap();
        assert_eq!(settings.hooks.hooks.len(), 3);
        assert_eq!((settings.hooks.add_ports, settings.hooks.keep_ports), (AddPorts::All, KeepPorts::Added));
        assert_eq!(settings.hooks.pci_aliases[0].device, PciDevice::new("8086", "1583"));
        assert_eq!(settings.hooks.accelerators.len(), 1);
        assert_eq!(settings.hooks.accelerators[0].kind, "FPGA");
        assert_eq!(settings.hooks.cpu_capabilities.len(), 1);
        assert_eq!((settings.hooks.strict_extra_hardware, settings.hooks.disk_spacing), (true, false));
        assert_eq!(settings.hooks.physical_networks[0].1, "net-a");
        assert_eq!(settings.discovery.as_deref(), Some("ipmi"));
    }

    #[test]
    fn mistakes_are_told() {
        for (text, word) in [
            ("hooks = [\"bogus\"]", "bogus"),
            ("hooks = [\"ports\"]", "validate-interfaces"),
            ("pci_devices = { \"8086\" = \"nic\" }", "8086"),
            ("accelerators = { \"8086\" = { type = \"GPU\", device_info = \"x\" } }", "8086"),
            ("accelerators = { \"8086:1\" = { type = \"GPU\" } }", "device_info"),
            ("add_ports = \"some\"", "some"),
            ("physical_networks = { \"x\" = \"net\" }", "x"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
