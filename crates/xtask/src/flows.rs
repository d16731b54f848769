//! `cargo xtask flows`: what can be done with a machine beyond deploying it, on one virtual machine and through the API:
//! inspection, manual cleaning, rescue with a login, rebuild, service, adoption, each with its proof on the machine.

mod login;

use crate::image::{self, Image, ImageFormat};
use crate::life::{Life, Phase, Protocol, Source};
use crate::moment::{Printed, count, reach};
use crate::platter;
use crate::service::{Service, ServiceOptions};
use crate::stage::{Builds, Stage};
use anyhow::{Context as _, Result, ensure};
use lab::{Firmware, Lab, LabDir, Machine, MachineInfo, MachineSpec};
use login::Door;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// The newest that the flows need: inspection rules.
const MICROVERSION: &str = "1.96";
/// From an order to a line on the machine's console.
const LINE_LIMIT: Duration = Duration::from_mins(4);

/// What the inspection of this task does beyond the usual.
const INSPECTION: &str = r#"
[inspection]
auto_discovery_driver = "ipmi"
hooks = ["ramdisk-error", "validate-interfaces", "ports", "architecture", "cpus", "memory", "boot-mode"]
"#;

/// What to try.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FlowOptions {
    #[command(flatten)]
    pub(crate) builds: Builds,
}

/// What the machine gets.
struct Images {
    first: Source,
    /// Says `LAB-V2-UP` when it runs.
    second: Source,
    /// What an earlier owner left on the disk.
    relic: PathBuf,
}

/// Runs all flows. An error unless every one is proved.
pub(crate) fn run(dir: &LabDir, options: &FlowOptions) -> Result<()> {
    let parts = options.builds.ensure(dir)?;
    let (raw, qcow2) = (image::ensure(dir, ImageFormat::Raw)?, image::ensure(dir, ImageFormat::Qcow2)?);
    let second: Image = image::second(dir)?;
    let images = Images { first: (&qcow2).into(), second: (&second).into(), relic: image::path(dir, &raw) };
    let machines = vec![MachineSpec::numbered(0, Firmware::Bios)];
    Stage { task: "flows", machines, keep: false }.play(dir, async |lab| {
        let options = ServiceOptions { protocol: Protocol::Ipmi, keep: false };
        let service = Service::start_with(lab, &parts, options, INSPECTION).await?;
        play(lab, &service, &images)
            .await
            .with_context(|| format!("the service's log:\n{}", service.log_tail()))?;
        service.stop().await
    })
}

/// The machine's whole story; each part says what was proved.
async fn play(lab: &Lab, service: &Service, images: &Images) -> Result<()> {
    let machine = lab.machine("vm0")?;
    let life = Life {
        api: service.api.clone().speaking(MICROVERSION),
        machine,
        protocol: Protocol::Ipmi,
        boot_interface: None,
        image: images.first.clone(),
        mark: String::new(),
    };
    let story = Story { machine, life: life.with_image(images.first.clone()) };
    platter::imprint(machine, &images.relic)?;
    told("discovery", story.discover()).await?;
    life.run(&[Phase::Enroll, Phase::Manage], &|_| ()).await?;
    let interfaces = json!("agent");
    life.api
        .set("vm0", &[("/inspect_interface", interfaces.clone()), ("/rescue_interface", interfaces)])
        .await?;
    told("in-band inspection", story.inspect()).await?;
    told("manual cleaning", story.clean()).await?;
    platter::imprint(machine, &images.relic)?;
    told("automated cleaning", story.provide()).await?;
    told("deployment", story.deploy()).await?;
    told("rescue", story.rescue(lab.folder())).await?;
    told("back from rescue", story.unrescue()).await?;
    let story = Story { machine, life: life.with_image(images.second.clone()) };
    told("rebuild", story.rebuild()).await?;
    told("service", story.service()).await?;
    told("adoption", story.adopt()).await?;
    told("tear-down of the adopted machine", story.tear_down()).await
}

async fn told(what: &str, part: impl Future<Output = Result<String>>) -> Result<()> {
    let start = Instant::now();
    let proof = part.await.with_context(|| what.to_owned())?;
    println!("{what}: {proof}; {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// One machine with one image.
struct Story<'a> {
    machine: Machine<'a>,
    life: Life<'a>,
}

impl Story<'_> {
    /// A machine that nobody knows boots over the network, and is a node afterwards.
    async fn discover(&self) -> Result<String> {
        let (api, spec, start) = (&self.life.api, self.machine.spec(), Instant::now());
        self.machine.boot_from("pxe", true).await?;
        self.machine.power_on().await?;
        let path = format!("/v1/ports/detail?address={}", spec.mac);
        let uuid = loop {
            let ports = api.get(&path).await?;
            if let Some(node) = ports["ports"][0]["node_uuid"].as_str() {
                break node.to_owned();
            }
            ensure!(start.elapsed() < LINE_LIMIT, "no node has the machine's network card");
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        self.machine.power_off().await?;
        let node = api.get(&format!("/v1/nodes/{uuid}")).await?;
        ensure!(
            node["provision_state"] == json!("enroll") && node["driver"] == json!("ipmi"),
            "the node is {} with {}",
            node["provision_state"],
            node["driver"]
        );
        let kept = api.get(&format!("/v1/nodes/{uuid}/inventory")).await?;
        found(&kept["inventory"], spec)?;
        ensure!(
            kept["plugin_data"]["auto_discovered"] == json!(true),
            "plugin data is {}",
            kept["plugin_data"]
        );
        api.delete_node(&uuid).await?;
        Ok("enrolled with its port and inventory".to_owned())
    }

    /// The ramdisk's report is stored, hooks fill properties and keep the port, a rule sets a field.
    async fn inspect(&self) -> Result<String> {
        let (api, spec) = (&self.life.api, self.machine.spec());
        let rule = json!({
            "description": "machines of the lab",
            "conditions": [
                {"op": "eq", "args": {"values": ["{inventory[system_vendor][manufacturer]}", "Lab"]}},
            ],
            "actions": [
                {"op": "set-attribute",
                 "args": {"path": "/extra/serial", "value": "{inventory[system_vendor][serial_number]}"}},
                {"op": "add-trait", "args": {"name": "CUSTOM_LAB"}},
            ],
        });
        api.post("/v1/inspection_rules", &rule).await?;
        self.life.run(&[Phase::Inspect], &|_| ()).await?;
        let inventory = api.get("/v1/nodes/vm0/inventory").await?;
        found(&inventory["inventory"], spec)?;
        let node = api.get("/v1/nodes/vm0").await?;
        let expected = json!({
            "cpu_arch": "x86_64", "cpus": spec.cpus, "memory_mb": spec.memory_mib,
            "capabilities": format!("boot_mode:{}", spec.firmware.as_str()),
        });
        ensure!(node["properties"] == expected, "properties are {}", node["properties"]);
        ensure!(node["extra"]["serial"] == json!(spec.serial), "extra is {}", node["extra"]);
        ensure!(node["traits"] == json!(["CUSTOM_LAB"]), "traits are {}", node["traits"]);
        let ports = api.get("/v1/ports/detail?node=vm0").await?;
        let port = &ports["ports"][0];
        ensure!(
            port["address"] == json!(spec.mac)
                && port["pxe_enabled"] == json!(true)
                && ports["ports"][1].is_null(),
            "ports are {ports}"
        );
        self.off().await?;
        Ok("inventory equals the machine, properties, port, rule's field and trait are set".to_owned())
    }

    /// Steps in the caller's order, a hold in between, a reboot: and the disk is blank.
    async fn clean(&self) -> Result<String> {
        let api = &self.life.api;
        ensure!(platter::blank(self.machine).is_err(), "there was nothing on the disk to erase");
        let printed = Printed::from_now(self.machine)?;
        let steps = json!([
            {"interface": "deploy", "step": "erase_devices_metadata"},
            {"interface": "power", "step": "hold"},
            {"interface": "power", "step": "reboot"},
        ]);
        api.provision("vm0", "clean", json!({"clean_steps": steps})).await?;
        reach(api, "vm0", "holding", |now| now.state == "clean hold").await?;
        let erased = count(&printed.by_agent()?, "clean step erase_devices_metadata");
        ensure!(erased == 1, "held after {erased} steps");
        self.life.order("unhold", Value::Null, "manageable").await?;
        self.off().await?;
        let starts = count(&printed.by_agent()?, " starts");
        ensure!(starts == 2, "the step reboot: the agent started {starts} times");
        platter::blank(self.machine)?;
        Ok("held and went on, rebooted, disk blank".to_owned())
    }

    async fn provide(&self) -> Result<String> {
        ensure!(platter::blank(self.machine).is_err(), "there was nothing on the disk to erase");
        self.life.run(&[Phase::Provide], &|_| ()).await?;
        self.off().await?;
        platter::blank(self.machine)?;
        Ok("available, disk blank".to_owned())
    }

    async fn deploy(&self) -> Result<String> {
        let report = self.life.run(&[Phase::Active, Phase::Tenant], &|_| ()).await?;
        ups(&report.tenant, "LAB-OS-UP", 1)?;
        Ok("active, its system's first boot".to_owned())
    }

    /// A login with the password, in the ramdisk, beside the user's disk as it was.
    async fn rescue(&self, folder: &Path) -> Result<String> {
        let mut console = self.machine.console()?;
        let password = format!("pass {}", self.life.mark);
        let order = self.life.order("rescue", json!({"rescue_password": password}), "rescue");
        let watch = async {
            let line = console.wait_for(" up 172.22.0.", LINE_LIMIT).await?;
            let door = Door::of(line.last(), folder, &password)?;
            // The machine can be reached, and nobody has asked the agent for a login yet.
            let open = door.is_open().await;
            let asked = Printed::since_start(self.machine).by_agent()?;
            let asked = count(&asked, "command rescue.finalize_rescue") > 0;
            ensure!(!open || asked, "the machine took logins before it was opened to its rescuer");
            Ok(door)
        };
        let ((), door) = tokio::try_join!(order, watch)?;
        door.refuses("root").await?;
        door.prove(&self.life.mark).await?;
        door.agent_leaves().await?;
        Ok("closed before, one login for one password, in the ramdisk, user's disk as it was".to_owned())
    }

    async fn unrescue(&self) -> Result<String> {
        let mut console = self.machine.console()?;
        self.life.order("unrescue", Value::Null, "active").await?;
        ups(&self.life.tenant(&mut console).await?, "LAB-OS-UP", 2)?;
        Ok("the user's system runs again, its second boot".to_owned())
    }

    async fn rebuild(&self) -> Result<String> {
        let mut console = self.machine.console()?;
        self.life.deploy("rebuild").await?;
        self.life.until("active", async |_| ()).await?;
        ups(&self.life.tenant(&mut console).await?, "LAB-V2-UP", 1)?;
        Ok("the other image's system runs, its first boot".to_owned())
    }

    /// A step in the ramdisk's shelter, and the user's system again.
    async fn service(&self) -> Result<String> {
        let (mut console, printed) = (self.machine.console()?, Printed::from_now(self.machine)?);
        // Get Device ID: every BMC knows it, and it changes nothing.
        let steps = json!([{"interface": "vendor", "step": "send_raw", "args": {"raw_bytes": "0x06 0x01"}}]);
        self.life.order("service", json!({"service_steps": steps}), "active").await?;
        ups(&self.life.tenant(&mut console).await?, "LAB-V2-UP", 2)?;
        let starts = count(&printed.by_agent()?, " starts");
        ensure!(starts == 1, "the agent started {starts} times");
        Ok("the ramdisk ran once, the user's system runs again".to_owned())
    }

    /// The record is lost and made anew: the machine must not notice.
    async fn adopt(&self) -> Result<String> {
        let before = self.running().await?;
        let mut console = self.machine.console()?;
        let api = &self.life.api;
        let node = api.node("vm0").await?;
        api.delete_node(&node.uuid).await?;
        self.life.run(&[Phase::Enroll, Phase::Manage], &|_| ()).await?;
        api.set("vm0", &self.life.instance()).await?;
        self.life.order("adopt", Value::Null, "active").await?;
        let after = self.running().await?;
        ensure!(before.pid == after.pid, "the machine was switched: {before:?}, then {after:?}");
        let printed = console.wait_for("LAB-", Duration::from_millis(100)).await;
        ensure!(printed.is_err(), "the machine was disturbed: {printed:?}");
        Ok("active, the same power-on as before".to_owned())
    }

    async fn tear_down(&self) -> Result<String> {
        self.life.run(&[Phase::Deleted], &|_| ()).await?;
        self.off().await?;
        platter::blank(self.machine)?;
        Ok("available, disk blank".to_owned())
    }

    async fn running(&self) -> Result<MachineInfo> {
        let info = self.machine.info().await?;
        ensure!(info.power == "on" && info.pid.is_some(), "the machine is not on: {info:?}");
        Ok(info)
    }

    async fn off(&self) -> Result<()> {
        let info = self.machine.info().await?;
        ensure!(info.power == "off", "the machine was left on");
        Ok(())
    }
}

/// The system said `word` when it came up, in its boot number `boots`.
fn ups(tenant: &[String], word: &str, boots: u32) -> Result<()> {
    let number = format!("boots={boots}");
    let seen =
        tenant.iter().any(|line| line.contains(word) && line.split_whitespace().any(|word| word == number));
    ensure!(seen, "no {word} with {number} in:\n{}", tenant.join("\n"));
    Ok(())
}

/// The inventory tells of the machine as it was made.
fn found(inventory: &Value, spec: &MachineSpec) -> Result<()> {
    let disk = &inventory["disks"][0];
    let interface = &inventory["interfaces"][0];
    for (what, told, made) in [
        ("processors", &inventory["cpu"]["count"], json!(spec.cpus)),
        ("memory", &inventory["memory"]["physical_mb"], json!(spec.memory_mib)),
        ("the disk's size", &disk["size"], json!(u64::from(spec.disk_gib) << 30)),
        ("the disk's serial number", &disk["serial"], json!(format!("{}-0", spec.serial))),
        ("a second disk", &inventory["disks"][1], Value::Null),
        ("the network card", &interface["mac_address"], json!(spec.mac)),
        ("a second network card", &inventory["interfaces"][1], Value::Null),
        ("the maker", &inventory["system_vendor"]["manufacturer"], json!("Lab")),
        ("the serial number", &inventory["system_vendor"]["serial_number"], json!(spec.serial)),
        ("the firmware", &inventory["boot"]["current_boot_mode"], json!(spec.firmware.as_str())),
    ] {
        ensure!(*told == made, "{what}: the inventory says {told}, the machine was made with {made}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_is_counted_exactly() {
        let tenant = ["LAB-OS-UP uptime=5 fw=bios boots=12".to_owned()];
        ups(&tenant, "LAB-OS-UP", 12).unwrap();
        assert!(ups(&tenant, "LAB-OS-UP", 1).is_err());
        assert!(ups(&tenant, "LAB-V2-UP", 12).is_err());
    }

    #[test]
    fn an_inventory_of_another_machine_is_noticed() {
        let spec = MachineSpec::numbered(3, Firmware::Uefi);
        let mut inventory = json!({
            "cpu": {"count": 1}, "memory": {"physical_mb": 1024},
            "disks": [{"size": 8_u64 << 30, "serial": "LAB0003-0"}],
            "interfaces": [{"mac_address": "52:54:00:22:00:03"}],
            "system_vendor": {"manufacturer": "Lab", "serial_number": "LAB0003"},
            "boot": {"current_boot_mode": "uefi"},
        });
        found(&inventory, &spec).unwrap();
        let second = json!({"size": 1});
        inventory["disks"].as_array_mut().unwrap().push(second);
        assert!(found(&inventory, &spec).unwrap_err().to_string().contains("a second disk"));
    }
}
