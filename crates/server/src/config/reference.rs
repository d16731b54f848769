//! Every key of the configuration as a row: the reference page and the sample are made from these.

use std::fmt::Write as _;

/// One key.
#[derive(Debug)]
pub struct Field {
    /// Section; empty for the top of the file.
    pub section: &'static str,
    /// Key.
    pub key: &'static str,
    /// Its default as TOML; empty when there is none.
    pub default: &'static str,
    /// An example as TOML, for keys without a default.
    pub example: &'static str,
    /// What it does.
    pub text: &'static str,
}

const fn field(
    section: &'static str,
    key: &'static str,
    default: &'static str,
    example: &'static str,
    text: &'static str,
) -> Field {
    Field { section, key, default, example, text }
}

/// Every key, in the order of the file. All exist since 0.1.0.
pub const FIELDS: &[Field] = &[
    field(
        "",
        "data_dir",
        r#""/var/lib/wrought""#,
        "",
        "Directory of the database, the image cache and the agents' logs. Made at the first start; only its owner can read it.",
    ),
    field("log", "format", r#""text""#, "", "`text` for people or `json` for machines."),
    field(
        "log",
        "filter",
        "",
        r#""info,conductor=debug""#,
        "Which lines, in the syntax of tracing's filters. Default: info.",
    ),
    field(
        "database",
        "url",
        "",
        r#""postgres://wrought@localhost/wrought""#,
        "`sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`. Default: `wrought.db` in the data directory.",
    ),
    field(
        "api",
        "listen",
        r#"["127.0.0.1:6385"]"#,
        "",
        "Addresses to listen on. Machines must reach one of them from the provisioning network.",
    ),
    field(
        "api",
        "auth",
        r#""http_basic""#,
        "",
        "`http_basic`: users with passwords, an administrator is made at the first start. `keystone`: tokens of OpenStack, see `[keystone]`. `noauth`: everybody may do everything.",
    ),
    field(
        "api",
        "public_endpoint",
        "",
        r#""https://baremetal.example.org""#,
        "Base URL in links, where a proxy makes it another one than that of the request.",
    ),
    field(
        "api",
        "agent_endpoint",
        "",
        r#""http://172.22.0.1:6385""#,
        "Base URL that agents are told. Default: the listening address that has the network boot server's address, or that server's address with the first port.",
    ),
    field(
        "api",
        "metrics",
        "true",
        "",
        "Serve `/metrics` for Prometheus, without credentials. It names routes, states and steps, never a node.",
    ),
    field(
        "monitoring",
        "listen",
        "[]",
        "",
        "Addresses that serve `/metrics` and `/readyz` alone, to everybody: for processes without the role `api`, or for a network of its own.",
    ),
    field(
        "keystone",
        "auth_url",
        "",
        r#""https://keystone.example.org:5000/v3""#,
        "Where Keystone is. Required with `auth = \"keystone\"`; the section says nothing otherwise.",
    ),
    field(
        "keystone",
        "public_auth_url",
        "",
        r#""https://keystone.example.org:5000/v3""#,
        "Where callers without a token are told to get one. Default: `auth_url`.",
    ),
    field("keystone", "username", "", r#""wrought""#, "The service's own user, with a role in its project."),
    field("keystone", "user_domain_id", r#""default""#, "", "Identifier of that user's domain."),
    field(
        "keystone",
        "password_file",
        "",
        r#""/etc/wrought/keystone-password""#,
        "A file with that user's password.",
    ),
    field("keystone", "project_name", "", r#""service""#, "That user's project."),
    field("keystone", "project_domain_id", r#""default""#, "", "Identifier of that project's domain."),
    field(
        "keystone",
        "application_credential_id",
        "",
        r#""21dced0fd20347869b93710d2b98aae0""#,
        "An application credential, in the place of `username`, `password_file` and `project_name`.",
    ),
    field(
        "keystone",
        "application_credential_secret_file",
        "",
        r#""/etc/wrought/keystone-secret""#,
        "A file with its secret.",
    ),
    field(
        "keystone",
        "ca_file",
        "",
        r#""/etc/wrought/keystone-ca.pem""#,
        "Certificate authorities trusted beside the system's, in PEM.",
    ),
    field(
        "keystone",
        "remember",
        "300",
        "",
        "Seconds for which Keystone's answer about a token is remembered: so long may a revoked token still work.",
    ),
    field(
        "keystone",
        "deadline",
        "10",
        "",
        "Seconds within which Keystone has to answer; then callers get 503.",
    ),
    field(
        "keystone",
        "service_token_roles",
        r#"["service"]"#,
        "",
        "Services with one of these roles (`X-Service-Token`) may pass on requests whose tokens expired on the way.",
    ),
    field(
        "keystone",
        "service_token_roles_required",
        "true",
        "",
        "Refuse a service's token without such a role, instead of merely not trusting it.",
    ),
    field(
        "policy",
        "file",
        "",
        r#""/etc/wrought/policy.yaml""#,
        "Rules that differ from the default, in the format of oslo.policy (YAML or JSON). Read again when it changes.",
    ),
    field(
        "policy",
        "service_project",
        "",
        r#""service""#,
        "Users of the project of this name with the role `service` may do what members of the whole system may.",
    ),
    field(
        "policy",
        "project_admin_can_manage_own_nodes",
        "true",
        "",
        "Administrators of a project may enrol nodes, which their project then owns, and remove these.",
    ),
    field(
        "conductor",
        "hostname",
        "",
        r#""conductor-1""#,
        "Name of this conductor, shown in `reservation`. Default: the host's name.",
    ),
    field(
        "conductor",
        "group",
        r#""""#,
        "",
        "The group whose nodes it takes: those whose `conductor_group` is the same. The empty group is the default one.",
    ),
    field(
        "conductor",
        "sign_of_life",
        "10",
        "",
        "Seconds between its signs of life to the other conductors. The same on all hosts.",
    ),
    field(
        "conductor",
        "lease",
        "60",
        "",
        "Seconds without a sign of life after which a conductor stops by itself and others take its work over: at least three times `sign_of_life`. The same on all hosts.",
    ),
    field(
        "conductor",
        "enabled_hardware_types",
        r#"["ipmi", "redfish"]"#,
        "",
        "Hardware types to offer: `ipmi`, `redfish`, `fake-hardware`.",
    ),
    field(
        "conductor",
        "enabled_interfaces",
        "{}",
        r#"{ raid = ["agent"], vendor = ["no-vendor"] }"#,
        "By kind of interface, the implementations to offer. Of kinds that are not named, all that there are.",
    ),
    field(
        "conductor",
        "default_interfaces",
        "{}",
        r#"{ raid = "agent" }"#,
        "By kind of interface, the implementation of nodes that name none, where their hardware type has it. Default: the first that the hardware type offers.",
    ),
    field(
        "conductor",
        "automated_clean",
        "true",
        "",
        "Whether nodes are cleaned when they become available, where the node's own `automated_clean` does not say.",
    ),
    field(
        "conductor",
        "automated_cleaning_step_source",
        r#""autogenerated""#,
        "",
        "What an automated cleaning runs: `autogenerated`: the steps of drivers and agents by their priorities. `runbook`: a runbook, without which a node cannot be cleaned. `hybrid`: a runbook for nodes that have one.",
    ),
    field(
        "conductor",
        "automated_cleaning_runbook",
        "",
        r#""erase-all""#,
        "Name or UUID of the runbook that cleans nodes for which nothing else names one.",
    ),
    field(
        "conductor",
        "automated_cleaning_runbook_by_resource_class",
        "{}",
        r#"{ gold = "erase-twice" }"#,
        "Names or UUIDs of runbooks that clean nodes, by resource class.",
    ),
    field(
        "conductor",
        "automated_cleaning_runbook_from_node",
        "false",
        "",
        "Whether `cleaning_runbook` in a node's `driver_info` counts, before all others. Whoever may write a node's `driver_info` then decides how it is cleaned.",
    ),
    field(
        "conductor",
        "automated_cleaning_runbook_validate_traits",
        "true",
        "",
        "Whether a node needs one of the traits of the runbook that cleans it.",
    ),
    field(
        "conductor",
        "clean_step_priorities",
        "{}",
        r#"{ "vendor.log_passthrough" = 0 }"#,
        "Priorities in automated cleaning that replace those of drivers and agents, by `interface.step`; 0 switches a step off.",
    ),
    field(
        "conductor",
        "disallow_clean_steps",
        r#"["vendor.send_raw"]"#,
        "",
        "Steps of cleanings that callers may not ask for, by `interface.step`: not in a request, a runbook or a deploy template.",
    ),
    field(
        "conductor",
        "disallow_deploy_steps",
        r#"["vendor.send_raw"]"#,
        "",
        "Steps of deployments that callers may not ask for, by `interface.step`: not in a request, a runbook or a deploy template.",
    ),
    field(
        "conductor",
        "disallow_service_steps",
        r#"["vendor.send_raw"]"#,
        "",
        "Steps of servicing that callers may not ask for, by `interface.step`: not in a request, a runbook or a deploy template.",
    ),
    field(
        "conductor",
        "verify_step_priorities",
        "{}",
        r#"{ "management.verify_bmc_clock" = 0 }"#,
        "Priorities of the steps that drivers run before a node is managed, by `interface.step`; 0 switches a step off.",
    ),
    field("conductor", "callback_timeout", "1800", "", "Seconds from power on to the agent's first call."),
    field(
        "conductor",
        "boot_timeout",
        "840",
        "",
        "Seconds from power on to the agent's first call, for one boot: past it the machine is booted again.",
    ),
    field(
        "conductor",
        "token_timeout",
        "240",
        "",
        "Seconds from the answer to an agent's lookup to its first call. An agent whose answer was lost cannot ask again: its machine is booted again.",
    ),
    field(
        "conductor",
        "boot_retries",
        "2",
        "",
        "How often a boot that nobody answered is tried again within `callback_timeout`.",
    ),
    field("conductor", "inspect_timeout", "1800", "", "Seconds from power on to the data of an inspection."),
    field(
        "conductor",
        "fast_track",
        "false",
        "",
        "Leave the ramdisk running after a cleaning, and take a running one as it is for the next cleaning or deployment.",
    ),
    field(
        "conductor",
        "fast_track_timeout",
        "300",
        "",
        "Seconds after its last call for which an agent counts as running.",
    ),
    field(
        "conductor",
        "agent_silence",
        "360",
        "",
        "Seconds of silence after which a working agent is asked, and given up when it does not answer.",
    ),
    field(
        "conductor",
        "heartbeat_timeout",
        "300",
        "",
        "Seconds within which agents must call; they are told and call about twice as often.",
    ),
    field("conductor", "require_agent_tls", "true", "", "Refuse agents that do not serve HTTPS."),
    field(
        "conductor",
        "sync_power_state_interval",
        "120",
        "",
        "Seconds between two looks at the power of all machines; 0 never looks.",
    ),
    field(
        "conductor",
        "force_power_state_during_sync",
        "true",
        "",
        "Whether a machine that is found in another power state than the stored one is switched back. Otherwise, and for nodes with `disable_power_off`, what is stored follows the machine.",
    ),
    field(
        "conductor",
        "power_state_sync_max_retries",
        "3",
        "",
        "Looks in a row that may fail, or find another state, before the node goes into maintenance with the fault `power failure`.",
    ),
    field(
        "conductor",
        "sync_power_state_workers",
        "1024",
        "",
        "BMCs that are asked at once, each one question at a time. A fourth as many are asked beside them: those whose last look failed, and those that take longer than 3 s to answer.",
    ),
    field(
        "conductor",
        "power_failure_recovery_interval",
        "300",
        "",
        "Seconds between two looks at the nodes with the fault `power failure`, which ends when the power state can be read again; 0 never looks.",
    ),
    field(
        "conductor",
        "enable_health_monitoring",
        "true",
        "",
        "Whether the `health` that a BMC tells together with its power state (Redfish) is kept, and its changes written into the node's history.",
    ),
    field(
        "conductor",
        "max_concurrent_deploy",
        "250",
        "",
        "How many nodes may be in deployment at once (`deploying`, `wait call-back`). What is one too many is refused with 503.",
    ),
    field(
        "conductor",
        "max_concurrent_clean",
        "50",
        "",
        "How many nodes may be cleaned at once (`deleting`, `cleaning`, `clean wait`): tear-downs and manual cleanings beyond it are refused with 503.",
    ),
    field(
        "conductor",
        "max_concurrent_per_conductor_group",
        "false",
        "",
        "Count only the nodes of the conductor's own group for the two limits, not all there are.",
    ),
    field(
        "conductor",
        "node_history_max_entries",
        "300",
        "",
        "The newest entries of each node's history that are kept.",
    ),
    field(
        "conductor",
        "node_history_minimum_days",
        "0",
        "",
        "Days for which entries are kept beside those, however many they are.",
    ),
    field(
        "conductor",
        "conductor_cleanup_timeout",
        "1209600",
        "",
        "Seconds without a sign of life after which another conductor is forgotten, unless it still holds nodes.",
    ),
    field(
        "redfish",
        "enable_verify_bmc_clock",
        "false",
        "",
        "Look at the BMC's clock before a node is managed, and set it where it is wrong by more than a second. A clock that stays wrong leaves the node in `enroll`.",
    ),
    field(
        "redfish",
        "firmware_update_status_interval",
        "60",
        "",
        "Seconds between two looks at an update of firmware.",
    ),
    field(
        "redfish",
        "firmware_update_overall_timeout",
        "7200",
        "",
        "Seconds after which an update of one firmware is given up.",
    ),
    field(
        "netboot",
        "interface",
        "",
        r#""eth1""#,
        "The provisioning interface. Needed for DHCP and router advertisements, which speak on no other.",
    ),
    field(
        "netboot",
        "server_address",
        "",
        r#""172.22.0.1""#,
        "This host's address on the provisioning network: what machines are told for TFTP and HTTP. Required in this section.",
    ),
    field(
        "netboot",
        "dhcp",
        r#""off""#,
        "",
        "`off`; `full`: lease addresses and say what to boot; `proxy`: only say what to boot, beside another DHCP server.",
    ),
    field("netboot", "netmask", r#""255.255.255.0""#, "", "Netmask of the provisioning network."),
    field(
        "netboot",
        "pool",
        "",
        r#"{ first = "172.22.0.100", last = "172.22.0.200" }"#,
        "Addresses to lease, both ends included.",
    ),
    field("netboot", "gateway", "", r#""172.22.0.254""#, "The default router that machines are told."),
    field("netboot", "dns", "[]", "", "The name servers that machines are told."),
    field("netboot", "domain", "", r#""example.org""#, "The DNS domain that machines are told."),
    field("netboot", "relayed", "[]", "", "Networks behind relay agents."),
    field("netboot", "lease_seconds", "3600", "", "For how many seconds addresses are leased."),
    field(
        "netboot",
        "answer_unknown",
        "false",
        "",
        "Lease addresses to machines that nobody has enrolled; they get nothing to boot.",
    ),
    field(
        "netboot",
        "router_advertisements",
        "",
        "true",
        "Answer IPv6 router solicitations with \"no router here\": without an answer iPXE waits 16 s for one. Default: on with DHCP.",
    ),
    field(
        "netboot",
        "http_listen",
        "",
        r#""172.22.0.1:8080""#,
        "Where the HTTP boot server listens. Default: port 8080 of `server_address`.",
    ),
    field(
        "netboot",
        "tftp_listen",
        "",
        r#""172.22.0.1:69""#,
        "Where the TFTP server listens. Default: port 69 of `server_address`.",
    ),
    field(
        "netboot",
        "ipxe_dir",
        "",
        r#""/opt/ipxe""#,
        "Where iPXE's binaries are sought before /usr/lib/ipxe.",
    ),
    field(
        "deploy",
        "kernel",
        "",
        r#""/usr/share/wrought/vmlinuz""#,
        "Kernel of the deploy ramdisk; goes with `ramdisk`.",
    ),
    field(
        "deploy",
        "ramdisk",
        "",
        r#""/usr/share/wrought/initramfs""#,
        "The deploy ramdisk; goes with `kernel`.",
    ),
    field(
        "deploy",
        "kernel_append_params",
        r#""console=ttyS0""#,
        "",
        "Parameters added to the ramdisk's kernel command line.",
    ),
    field(
        "deploy",
        "erase_devices_metadata_priority",
        "99",
        "",
        "Priority of the agent's step `erase_devices_metadata` in automated cleaning; 0 switches it off.",
    ),
    field(
        "deploy",
        "erase_devices_priority",
        "0",
        "",
        "Priority of the agent's step `erase_devices` (every byte) in automated cleaning; 0 switches it off.",
    ),
    field("deploy", "image_cache_mib", "20480", "", "Bound on the image cache, in MiB."),
    field(
        "deploy",
        "image_reach",
        r#""beyond-this-host""#,
        "",
        "Which addresses servers of images and config drives may have. `beyond-this-host`: any but loopback and link-local ones, where metadata services of clouds are; `public`: only those routed on the Internet; `anywhere`: any.",
    ),
    field(
        "deploy",
        "image_silence",
        "30",
        "",
        "Seconds of silence of an image server after which an attempt is given up; there are three.",
    ),
    field(
        "events",
        "keep_hours",
        "168",
        "",
        "How long events are kept for readers of `/v1/events/stream` that come back.",
    ),
    field(
        "events",
        "keep_count",
        "100000",
        "",
        "How many events are kept at most; a reader that is further behind is answered with 410.",
    ),
    field(
        "messaging",
        "url",
        "",
        r#""amqp://wrought:PASSWORD@mq.example:5672/cloud""#,
        "The RabbitMQ server: `amqp://USER:PASSWORD@HOST:PORT/VHOST`, or `amqps://` for TLS; a `/` in user, password or virtual host is written `%2f`. With it, requests between hosts go that way instead of through rows of PostgreSQL.",
    ),
    field(
        "messaging",
        "ca_file",
        "",
        r#""/etc/wrought/mq-ca.pem""#,
        "Certificate authorities that the server's certificate may be signed by, beside the system's: a file in PEM.",
    ),
    field(
        "messaging",
        "request_timeout",
        "60",
        "",
        "Seconds that a request to a conductor on another host may take; past it the caller is answered with 503.",
    ),
    field(
        "messaging",
        "notifications",
        "false",
        "",
        "Whether events are published to RabbitMQ as OpenStack's versioned notifications.",
    ),
    field(
        "messaging",
        "topics",
        r#"["ironic_versioned_notifications"]"#,
        "",
        "Topics of the notifications: each goes to each of them, with the routing key `TOPIC.info` or `TOPIC.error`.",
    ),
    field(
        "messaging",
        "exchange",
        r#""ironic""#,
        "",
        "The exchange of the notifications, of type `topic`: the `control_exchange` of their readers.",
    ),
    field(
        "messaging",
        "durable_exchange",
        "false",
        "",
        "Whether the exchange outlives a restart of the server: as `amqp_durable_queues` of the readers, or neither can use it.",
    ),
    field(
        "inspection",
        "hooks",
        r#"["ramdisk-error", "validate-interfaces", "ports", "architecture"]"#,
        "",
        "What is done with what a ramdisk reports, in order: `ramdisk-error`, `validate-interfaces`, `ports`, `architecture`, `cpus`, `memory`, `boot-mode`, `cpu-capabilities`, `pci-devices`, `accelerators`, `local-link-connection`, `physical-network`, `parse-lldp`, `extra-hardware`, `raid-device`, `root-device`.",
    ),
    field(
        "inspection",
        "add_ports",
        r#""pxe""#,
        "",
        "Which interfaces get a port: `pxe` (the one that the machine booted from), `active` (those with an address), `all`, `disabled`.",
    ),
    field(
        "inspection",
        "keep_ports",
        r#""all""#,
        "",
        "Which ports stay: `all`, `present` (those whose interface the machine has), `added` (those whose interface would get a port).",
    ),
    field(
        "inspection",
        "update_pxe_enabled",
        "true",
        "",
        "Whether the port that the machine booted from, and no other, gets `pxe_enabled`.",
    ),
    field(
        "inspection",
        "physical_networks",
        "{}",
        "",
        r#"What the hook `physical-network` calls a port, by its address: `{ "10.0.0.0/24" = "net-a" }`."#,
    ),
    field(
        "inspection",
        "pci_devices",
        "{}",
        "",
        r#"What the hook `pci-devices` counts, as capabilities: `{ "8086:1583" = "nic_40g" }`."#,
    ),
    field(
        "inspection",
        "accelerators",
        "",
        r#"{ "10de:1eb8" = { type = "GPU", device_info = "NVIDIA Corporation Tesla T4" } }"#,
        "What the hook `accelerators` lists, by vendor and product. Default: some of NVIDIA's, which a list of one's own replaces.",
    ),
    field(
        "inspection",
        "cpu_capabilities",
        "",
        r#"{ "vmx" = "cpu_vt", "avx512f" = "cpu_avx512" }"#,
        "What the hook `cpu-capabilities` calls features of processors. Default: `vmx` and `svm` are `cpu_vt`, `aes` `cpu_aes`, `pse` `cpu_hugepages`, `pdpe1gb` `cpu_hugepages_1g`, `smx` `cpu_txt`.",
    ),
    field(
        "inspection",
        "extra_hardware_strict",
        "false",
        "",
        "Whether the hook `extra-hardware` throws the ramdisk's `data` away when one of its rows has not four parts. Otherwise it leaves such rows out.",
    ),
    field(
        "inspection",
        "disk_partitioning_spacing",
        "true",
        "",
        "Whether the `local_gb` of the hook `root-device` is a GiB less than the disk, for partition tables.",
    ),
    field(
        "inspection",
        "mask_secrets",
        r#""always""#,
        "",
        "From which inspection rules passwords in a report are hidden: `always`, `sensitive` (from all but sensitive rules), `never`.",
    ),
    field(
        "inspection",
        "auto_discovery_driver",
        "",
        r#""ipmi""#,
        "The hardware type with which machines that nobody knows are enrolled: `[netboot]` boots them into the ramdisk, and they report. Default: neither.",
    ),
    field(
        "inspection",
        "built_in_rules",
        "",
        r#""/etc/wrought/inspection-rules""#,
        "A YAML file with a list of inspection rules, or a directory of such files, read at the start. They have the form of the API's rules, run among them by priority, and cannot be seen or changed through the API.",
    ),
];

/// The reference page, in Markdown.
pub fn reference_page() -> String {
    let mut page = String::from(
        "# Configuration\n\nOne TOML file, given with `wrought serve --config FILE`. A key that is not listed here is an error. \
         Made from the program by `cargo xtask codegen`.\n",
    );
    let mut section = None;
    for field in FIELDS {
        if section != Some(field.section) {
            section = Some(field.section);
            let title = if field.section.is_empty() {
                "Top of the file".to_owned()
            } else {
                format!("`[{}]`", field.section)
            };
            let _ = write!(page, "\n## {title}\n\n| key | default | meaning |\n| --- | --- | --- |\n");
        }
        let default =
            if field.default.is_empty() { "none".to_owned() } else { format!("`{}`", field.default) };
        let _ = writeln!(page, "| `{}` | {default} | {} |", field.key, field.text);
    }
    page
}

/// A sample with every key at its default, those without one commented out.
pub fn sample() -> String {
    let mut text = String::from("# Every key at its default; keys without one are commented out.\n");
    let mut section = "";
    for field in FIELDS {
        if section != field.section {
            section = field.section;
            // The whole section is off unless it is wanted.
            let off = if section == "netboot" { "# " } else { "" };
            let _ = write!(text, "\n{off}[{section}]\n");
        }
        let off = if field.default.is_empty() || section == "netboot" { "# " } else { "" };
        let value = if field.default.is_empty() { field.example } else { field.default };
        let _ = write!(text, "\n# {}\n{off}{} = {value}\n", field.text.replace('`', ""), field.key);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// The keys that a section takes, from the parser's own complaint about one that it does not take.
    fn keys_of(section: &str) -> Vec<String> {
        let required = if section == "netboot" { "server_address = \"172.22.0.1\"\n" } else { "" };
        let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
        let error = toml::from_str::<Config>(&format!("{header}{required}no_such_key = 1\n"))
            .unwrap_err()
            .to_string();
        let (_, list) = error.split_once("expected ").unwrap();
        list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn every_row_is_a_key_and_every_key_a_row() {
        let mut sections: Vec<&str> = FIELDS.iter().map(|field| field.section).collect();
        sections.dedup();
        let top = keys_of("");
        for section in &sections {
            let mut keys = keys_of(section);
            keys.retain(|key| !section.is_empty() || !sections.contains(&key.as_str()));
            let rows: Vec<&str> =
                FIELDS.iter().filter(|field| field.section == *section).map(|field| field.key).collect();
            let (mut keys, mut rows) = (keys, rows);
            keys.sort();
            rows.sort_unstable();
            assert_eq!(keys, rows, "[{section}]");
        }
        for key in top.iter().filter(|key| *key != "data_dir") {
            assert!(sections.contains(&key.as_str()), "[{key}] has no rows");
        }
    }

    #[test]
    fn the_sample_is_the_default() {
        let config: Config = toml::from_str(&sample()).unwrap();
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn every_example_and_every_default_can_be_read() {
        for field in FIELDS {
            let value = if field.default.is_empty() { field.example } else { field.default };
            let header = match field.section {
                "" => String::new(),
                "netboot" if field.key != "server_address" => {
                    "[netboot]\nserver_address = \"172.22.0.1\"\n".to_owned()
                }
                section => format!("[{section}]\n"),
            };
            let text = format!("{header}{} = {value}\n", field.key);
            if let Err(error) = toml::from_str::<Config>(&text) {
                panic!("{text}{error}");
            }
        }
    }
}
