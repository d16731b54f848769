//! Why a machine that was to boot the ramdisk did not arrive: from what it got last, the first thing that explains it.

use provision::ErrorCode as E;

use crate::attempt::Attempt;
use crate::event::{HeartbeatRefusal, LookupRefusal, Relation, ScriptTarget, TftpFailure, Unanswered};
use crate::facts::{Facts, File, FileEnd};
use crate::judge::{Diagnosis, Hears};

fn diagnosis(code: E, sentence: impl Into<String>, next_step: &str) -> Diagnosis {
    Diagnosis { code, sentence: sentence.into(), next_step: next_step.to_owned() }
}

/// The cause, from the last thing that worked down to the first.
pub(crate) fn cause(attempt: &Attempt<'_>, facts: &Facts<'_>, hears: Hears) -> Option<Diagnosis> {
    agent(facts)
        .or_else(|| restarts(attempt))
        .or_else(|| ramdisk(facts))
        .or_else(|| kernel(facts))
        .or_else(|| script(facts))
        .or_else(|| loader(facts))
        .or_else(|| ipxe(facts))
        .or_else(|| not_asked(facts))
        .or_else(|| address(facts))
        .or_else(|| silence(facts, hears))
}

/// The agent runs: what keeps it from calling.
fn agent(facts: &Facts<'_>) -> Option<Diagnosis> {
    if let Some((reason, error, _)) = facts.heartbeat_refused {
        let next = match reason {
            HeartbeatRefusal::Token => {
                "Power the machine off and begin again: a token belongs to one boot, another system may be using this node's UUID."
            }
            HeartbeatRefusal::Tls => {
                "Boot a ramdisk whose agent serves HTTPS, or set [conductor] require_agent_tls = false."
            }
            HeartbeatRefusal::Changed => "Look for a second machine that boots with this node's addresses.",
            HeartbeatRefusal::Version | HeartbeatRefusal::Malformed => {
                "Boot the ramdisk that belongs to this service."
            }
        };
        let text = format!("the agent's heartbeat was refused: {error}");
        return Some(diagnosis(E::BootHeartbeatRefused, text, next));
    }
    if let Some((reason, error)) = facts.lookup_refused {
        let next = match reason {
            LookupRefusal::State => {
                "Begin the operation again: the machine arrived when nobody waited for it."
            }
            LookupRefusal::Ambiguous => "Enrol each address as a port of one node only.",
            LookupRefusal::Unknown => "Enrol the addresses that the machine has as ports of its node.",
        };
        let text = format!("the ramdisk runs, but its lookup was refused: {error}");
        return Some(diagnosis(E::BootLookupRefused, text, next));
    }
    facts.looked_up.then(|| {
        diagnosis(
            E::BootNoHeartbeat,
            "the agent was told which node it is, but never called back with a heartbeat.",
            "Look at the machine's console: the agent may have crashed; check its clock and that it can serve port 9999.",
        )
    })
}

/// It started over after it had all it needed.
fn restarts(attempt: &Attempt<'_>) -> Option<Diagnosis> {
    let (_, earlier) = attempt.rounds.split_last()?;
    let fetched = earlier.iter().filter_map(|round| attempt.entries.get(round.clone()));
    let times = fetched.filter(|round| Facts::of(round).has_ramdisk()).count();
    (times > 0).then(|| {
        diagnosis(
            E::BootLoop,
            format!(
                "the machine fetched kernel and ramdisk and then started over, {times} time{}.",
                plural(times)
            ),
            "Look at its console for a kernel panic or a watchdog; check that it has memory enough for the ramdisk and that secure boot admits the kernel.",
        )
    })
}

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn ramdisk(facts: &Facts<'_>) -> Option<Diagnosis> {
    let file = facts.ramdisk?;
    if file.end != FileEnd::Done {
        let text = format!("the kernel was fetched, but not the ramdisk {}: {}", file.name, failure(&file));
        return Some(diagnosis(E::BootRamdisk, text, file_advice(&file)));
    }
    let text = if facts.ramdisk_asked {
        "kernel and ramdisk were fetched and the ramdisk asked for an address, but its agent never called the API."
    } else {
        "kernel and ramdisk were fetched, then nothing more was heard of the machine."
    };
    let next = if facts.ramdisk_asked {
        "Check that machines reach the address in ipa-api-url ([api] agent_endpoint) from the provisioning network, and look at the console."
    } else {
        "Look at its console: a kernel panic, too little memory, or no driver for this network card in the ramdisk."
    };
    Some(diagnosis(E::BootNoLookup, text, next))
}

fn kernel(facts: &Facts<'_>) -> Option<Diagnosis> {
    let file = facts.kernel?;
    if file.end != FileEnd::Done {
        let text =
            format!("the boot script was fetched, but not the kernel {}: {}", file.name, failure(&file));
        return Some(diagnosis(E::BootKernel, text, file_advice(&file)));
    }
    Some(diagnosis(
        E::BootRamdisk,
        "the kernel was fetched, but the ramdisk was never asked for.",
        "Look at iPXE's messages on the console: it may be out of memory, or the ramdisk's URL is not this service's.",
    ))
}

/// How a file failed, in words.
fn failure(file: &File<'_>) -> String {
    match file.end {
        FileEnd::Done => "it arrived.".to_owned(),
        FileEnd::Begun => "the transfer did not end.".to_owned(),
        FileEnd::Tftp { failure: TftpFailure::NotFound, .. } => "there is no such file.".to_owned(),
        FileEnd::Tftp { failure: TftpFailure::Broken, .. } => "it cannot be read.".to_owned(),
        FileEnd::Tftp { failure: TftpFailure::Aborted, bytes: 0 } => {
            "the machine ended the transfer before its first block.".to_owned()
        }
        FileEnd::Tftp { failure: TftpFailure::Aborted, bytes } => {
            format!("the machine ended the transfer after {bytes} bytes.")
        }
        FileEnd::Tftp { failure: TftpFailure::TimedOut, bytes } => {
            format!("the machine stopped answering after {bytes} bytes.")
        }
        FileEnd::Http(fetch) if fetch.status >= 400 => format!("it was answered with {}.", fetch.status),
        FileEnd::Http(fetch) => format!("it ended after {} of {} bytes.", fetch.bytes, fetch.of),
    }
}

fn file_advice(file: &File<'_>) -> &'static str {
    match file.end {
        FileEnd::Http(fetch) if fetch.status >= 400 => {
            "Check [deploy] kernel and ramdisk: the files must exist and be readable by the service."
        }
        _ => {
            "Check the path between machine and service: MTU, a firewall, a duplex mismatch; and the machine's memory."
        }
    }
}

fn script(facts: &Facts<'_>) -> Option<Diagnosis> {
    if let Some(problem) = &facts.script_problem {
        let text = format!("iPXE asked for its script and did not get one: {problem}");
        return Some(diagnosis(
            E::BootScriptRefused,
            text,
            "Correct what the message names: the node's kernel parameters, its boot files, or two machines that use one address.",
        ));
    }
    match facts.script? {
        ScriptTarget::Ramdisk => Some(diagnosis(
            E::BootKernel,
            "iPXE fetched its script, but never asked for the kernel.",
            "Look at iPXE's messages on the console; check that machines reach [netboot] server_address by HTTP and that the script's URLs are right.",
        )),
        ScriptTarget::LocalDisk => Some(diagnosis(
            E::BootDisk,
            "the machine was told to boot its disk, not the ramdisk.",
            "Begin the operation again: the node's record changed after the machine was switched on.",
        )),
        ScriptTarget::Nothing => Some(nothing_to_boot()),
    }
}

fn nothing_to_boot() -> Diagnosis {
    diagnosis(
        E::BootNothing,
        "the machine asked by a port that is given nothing to boot.",
        "Set pxe_enabled on the port that the machine boots from, or let its firmware boot from another one; check [deploy] kernel and ramdisk.",
    )
}

/// The boot loader by TFTP or HTTP.
fn loader(facts: &Facts<'_>) -> Option<Diagnosis> {
    let file = facts.loader?;
    if facts.ipxe {
        return None;
    }
    let name = file.name.rsplit('/').next().unwrap_or_default();
    if let Some(fits) = facts.firmware.and_then(|firmware| firmware.loader.as_deref())
        && name != fits
    {
        let client = facts.firmware.map_or("", |firmware| firmware.client.as_str());
        return Some(diagnosis(
            E::BootWrongLoader,
            format!("the machine's firmware is {client}, but it loaded {name}; {fits} is what fits it."),
            "Another DHCP server names the boot file, or the firmware has one set: let this service name it, or correct it there.",
        ));
    }
    let missing =
        matches!(file.end, FileEnd::Tftp { failure: TftpFailure::NotFound | TftpFailure::Broken, .. })
            || matches!(file.end, FileEnd::Http(fetch) if fetch.status >= 400);
    match file.end {
        FileEnd::Done => Some(diagnosis(
            E::BootNoScript,
            format!("{name} was loaded, but iPXE never asked for an address nor for its script."),
            "Look at the console: secure boot may refuse iPXE, or iPXE has no driver for this network card.",
        )),
        _ if missing => Some(diagnosis(
            E::BootLoaderMissing,
            format!("the boot loader {} could not be served: {}", file.name, failure(&file)),
            "Install the ipxe package on the service's host, or set [netboot] ipxe_dir.",
        )),
        _ => Some(diagnosis(
            E::BootTransfer,
            format!("the boot loader {} did not arrive: {}", file.name, failure(&file)),
            "Check the path between machine and service: a firewall that drops TFTP's data ports, MTU, spanning tree.",
        )),
    }
}

/// iPXE runs and has no script.
fn ipxe(facts: &Facts<'_>) -> Option<Diagnosis> {
    if !facts.ipxe {
        return None;
    }
    if !facts.answered && facts.unanswered.is_some() {
        return address(facts);
    }
    let text = if facts.answered && facts.named.is_some() {
        "iPXE got an address and its script's URL, but never asked for the script."
    } else if facts.answered {
        return Some(nothing_to_boot());
    } else {
        "iPXE asked for an address and got no answer."
    };
    Some(diagnosis(
        E::BootNoScript,
        text,
        "Check that machines reach [netboot] server_address by HTTP from the provisioning network (routing, firewall, VLAN).",
    ))
}

/// It was named a boot file and did not ask for it.
fn not_asked(facts: &Facts<'_>) -> Option<Diagnosis> {
    let firmware = facts.firmware.filter(|_| facts.declined.is_none())?;
    if let Some(server) = facts.other_server.filter(|_| facts.offered.is_some() && !facts.taken) {
        return Some(diagnosis(
            E::BootOtherDhcp,
            format!("the machine took the offer of another DHCP server, {server}."),
            "Switch that server off on the provisioning network, or set [netboot] dhcp = \"proxy\" beside it.",
        ));
    }
    if facts.offered.is_some() && !facts.taken && !facts.naked {
        return Some(diagnosis(
            E::BootOtherDhcp,
            "the machine was offered an address and never asked for it.",
            "Look for another DHCP server that answers faster, and check that our answers reach the machine (VLAN, relay, spanning tree).",
        ));
    }
    if facts.answered && facts.named.is_none() || facts.unanswered == Some(Unanswered::NothingToBoot) {
        return Some(match &firmware.loader {
            Some(_) => nothing_to_boot(),
            None => diagnosis(
                E::BootFirmware,
                format!("there is no boot loader for this machine's firmware, {}.", firmware.client),
                "Set the firmware to BIOS or UEFI network boot on x86-64, x86 or arm64.",
            ),
        });
    }
    let named = facts.named?;
    Some(diagnosis(
        E::BootFileNotAsked,
        format!("the machine was told to load {named}, but never asked for it."),
        "Check that it reaches [netboot] server_address by TFTP (UDP port 69) or HTTP, and look at its firmware's messages.",
    ))
}

/// It has no address.
fn address(facts: &Facts<'_>) -> Option<Diagnosis> {
    let asked = facts.firmware.is_some() || facts.ipxe;
    if !asked {
        return None;
    }
    let (text, next) = if let Some(address) = facts.declined {
        (
            format!("the machine found that the address {address} is used by another one."),
            "Find who uses it, or take it out of [netboot] pool.",
        )
    } else if facts.naked {
        (
            "the machine asked for an address that it may not have, and took no other.".to_owned(),
            "Look for another DHCP server on the network; the machine remembers an address from elsewhere.",
        )
    } else {
        match facts.unanswered {
            Some(Unanswered::NoAddress) => (
                "the machine asked for an address and none is free.".to_owned(),
                "Enlarge [netboot] pool or shorten lease_seconds.",
            ),
            Some(Unanswered::NoNetwork) => (
                "the machine's request comes through a relay agent of a network that is not configured."
                    .to_owned(),
                "Add the network to [[netboot.relayed]].",
            ),
            _ => (
                "the machine asked for an address and got no answer.".to_owned(),
                "Look at the service's log for the time of the request.",
            ),
        }
    };
    Some(diagnosis(E::BootNoAddress, text, next))
}

/// No firmware of it was heard.
fn silence(facts: &Facts<'_>, hears: Hears) -> Option<Diagnosis> {
    if let Some(client) = facts.system.filter(|_| facts.system_first) {
        return Some(diagnosis(
            E::BootDisk,
            format!(
                "the machine booted a system of its own, not the network: {client} asked for an address."
            ),
            "Check the boot order in its firmware and whether its BMC's boot device setting takes effect in this boot mode.",
        ));
    }
    if let Some((told, relation, client)) = facts.other_port {
        let mac = told.mac.map_or_else(|| "an unknown address".to_owned(), |mac| mac.to_string());
        let how = match relation {
            Relation::MachineId => "whose firmware tells this machine's UUID",
            Relation::Neighbour => "next to one of its ports",
        };
        return Some(diagnosis(
            E::BootOtherPort,
            format!(
                "nothing was heard by the node's ports, but {mac}, {how}, asked for an address ({client})."
            ),
            "Enrol that address as a port of the node, or let the firmware boot from the enrolled one.",
        ));
    }
    if hears.dhcp {
        return Some(diagnosis(
            E::BootSilent,
            "nothing was heard of the machine: no request for an address by any of its ports.",
            "Check that it has power and is cabled to the provisioning network, that network boot comes first, and that its ports' addresses are right.",
        ));
    }
    hears.files.then(|| {
        diagnosis(
            E::BootSilent,
            "the machine asked for no boot file; who gives it an address is not this service.",
            "Check that it has power, that network boot comes first, and that its DHCP server names this service's boot files.",
        )
    })
}
