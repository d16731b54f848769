//! What a machine is given over the network: the node's boot intent, looked up at the moment the machine asks.

use boot_trace::Told;
use db::{Db, NodeKey, PortKey, Scope};
use ipxe::{CmdlineError, KernelCmdline, Param};
use model::{BootIntent, MacAddr, NodeUuid, ProvisionState as S};
use netboot::{BootEvent, BootSource, BootTarget, HostBoot, RamdiskBoot};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::site::{KERNEL_FILE, RAMDISK_FILE};

/// Boot decisions from the store.
#[derive(Debug)]
pub(crate) struct StoreBootSource {
    db: Db,
    runtime: Handle,
    ramdisk: Option<RamdiskBoot>,
    /// The same for a machine that is to report what it finds in itself.
    inspecting: Option<RamdiskBoot>,
    /// Whether machines that nobody knows are to report, too.
    discovers: bool,
}

impl StoreBootSource {
    /// `parameters` is the operator's part of the command line; agents call `agent_endpoint`. With `discovers`, a machine
    /// that nobody knows boots the ramdisk and reports what it is.
    pub(crate) fn new(
        db: Db,
        has_ramdisk: bool,
        parameters: &str,
        agent_endpoint: &str,
        discovers: bool,
    ) -> Result<Self, CmdlineError> {
        let boot =
            |inspects| has_ramdisk.then(|| ramdisk_boot(parameters, agent_endpoint, inspects)).transpose();
        Ok(Self { db, runtime: Handle::current(), ramdisk: boot(false)?, inspecting: boot(true)?, discovers })
    }

    /// What a machine boots that has no port.
    fn unknown(&self) -> Option<HostBoot> {
        let ramdisk = self.inspecting.as_ref().filter(|_| self.discovers)?;
        let boot = BootTarget::Ramdisk(ramdisk.clone());
        Some(HostBoot { node: Uuid::nil(), address: None, boot })
    }

    async fn look_up(&self, mac: MacAddr) -> Result<Option<HostBoot>, db::DbError> {
        let Some(port) = self.db.get_port(&PortKey::Address(mac), &Scope::All).await? else {
            return Ok(self.unknown());
        };
        let Some(node) = self.db.get_node(&NodeKey::Uuid(port.node_uuid), &Scope::All).await? else {
            return Ok(None);
        };
        let inspects = matches!(node.provision_state, S::Inspecting | S::InspectWait);
        let ramdisk = if inspects { &self.inspecting } else { &self.ramdisk };
        let boot = match (node.boot_intent, ramdisk) {
            _ if !port.pxe_enabled => BootTarget::Nothing,
            (BootIntent::Ramdisk, Some(ramdisk)) => BootTarget::Ramdisk(ramdisk.clone()),
            (BootIntent::Disk, _) => BootTarget::LocalDisk,
            (BootIntent::Ramdisk | BootIntent::None, _) => BootTarget::Nothing,
        };
        Ok(Some(HostBoot { node: node.uuid.as_uuid(), address: None, boot }))
    }
}

fn ramdisk_boot(parameters: &str, agent_endpoint: &str, inspects: bool) -> Result<RamdiskBoot, CmdlineError> {
    let mut cmdline: KernelCmdline = parameters.parse()?;
    cmdline.push(Param::with_value("ipa-api-url", agent_endpoint)?)?;
    if inspects {
        let url = format!("{}/v1/continue_inspection", agent_endpoint.trim_end_matches('/'));
        cmdline.push(Param::with_value("ipa-inspection-callback-url", &url)?)?;
    }
    Ok(RamdiskBoot {
        kernel_url_path: format!("/files/{KERNEL_FILE}"),
        initrd_url_paths: vec![format!("/files/{RAMDISK_FILE}")],
        cmdline,
    })
}

impl BootSource for StoreBootSource {
    /// One point read on the embedded store takes microseconds; the worker thread is handed over all the same, since a
    /// store over the network takes longer.
    fn host(&self, mac: MacAddr) -> Option<HostBoot> {
        let found = tokio::task::block_in_place(|| self.runtime.block_on(self.look_up(mac)));
        found.unwrap_or_else(|error| {
            tracing::error!(%mac, error = &error as &dyn std::error::Error, "cannot look up who boots");
            None
        })
    }

    /// Into the store's recorder, which never makes the boot servers wait.
    fn record(&self, event: BootEvent) {
        if let Some(node) = event.node {
            tracing::info!(target: "boot", mac = %event.mac, %node, "{}", event.kind);
        } else {
            tracing::debug!(target: "boot", mac = %event.mac, "{}", event.kind);
        }
        let node = event.node.map(NodeUuid::from_uuid);
        self.db.see_boot(node, event.at, Told { mac: Some(event.mac), kind: event.kind });
    }
}
