//! What a round of a boot comes to: the questions that a diagnosis asks, answered in one pass.

use std::net::Ipv4Addr;

use crate::event::{
    Asking, BootEventKind as K, Fetch, FileRole, HeartbeatRefusal, LookupRefusal, Relation, ScriptTarget,
    TftpFailure, Told, Unanswered,
};
use crate::tail::Entry;

/// How a file was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileEnd<'e> {
    /// Whole.
    Done,
    /// Asked for by TFTP; how that ended was not told.
    Begun,
    /// By TFTP, and failed.
    Tftp { failure: TftpFailure, bytes: u64 },
    /// By HTTP, and failed.
    Http(&'e Fetch),
}

/// A file that a round asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File<'e> {
    pub(crate) name: &'e str,
    pub(crate) end: FileEnd<'e>,
}

/// A round.
#[derive(Debug, Default)]
pub(crate) struct Facts<'e> {
    /// Firmware that asked for an address, but not iPXE.
    pub(crate) firmware: Option<&'e Asking>,
    /// iPXE that asked for an address.
    pub(crate) ipxe: bool,
    /// An operating system that asked for an address.
    pub(crate) system: Option<&'e str>,
    /// An operating system that did so before any firmware.
    pub(crate) system_first: bool,
    /// The last address offered by us as the DHCP server.
    pub(crate) offered: Option<Ipv4Addr>,
    /// Something was offered or granted.
    pub(crate) answered: bool,
    /// It asked for what we offered, or was granted it.
    pub(crate) taken: bool,
    /// The server whose offer it took instead.
    pub(crate) other_server: Option<Ipv4Addr>,
    /// The boot file that firmware was named.
    pub(crate) named: Option<&'e str>,
    pub(crate) naked: bool,
    pub(crate) declined: Option<Ipv4Addr>,
    pub(crate) unanswered: Option<Unanswered>,
    pub(crate) other_port: Option<(&'e Told, Relation, &'e str)>,
    pub(crate) loader: Option<File<'e>>,
    pub(crate) script: Option<ScriptTarget>,
    pub(crate) script_problem: Option<String>,
    pub(crate) kernel: Option<File<'e>>,
    pub(crate) ramdisk: Option<File<'e>>,
    /// After the ramdisk, an operating system asked for an address: that of the ramdisk.
    pub(crate) ramdisk_asked: bool,
    pub(crate) looked_up: bool,
    pub(crate) lookup_refused: Option<(LookupRefusal, &'e str)>,
    pub(crate) heartbeat: Option<&'e Entry>,
    pub(crate) heartbeat_refused: Option<(HeartbeatRefusal, &'e str, &'e Entry)>,
}

impl<'e> Facts<'e> {
    pub(crate) fn of(entries: &'e [Entry]) -> Self {
        let mut facts = Self::default();
        for entry in entries {
            facts.note(entry);
        }
        facts
    }

    fn note(&mut self, entry: &'e Entry) {
        match &entry.told.kind {
            K::Discover(asking) => self.asked(asking),
            K::Request { asking, other_server, .. } => {
                self.asked(asking);
                match other_server {
                    Some(server) => self.other_server = Some(*server),
                    None => self.taken = true,
                }
            }
            K::Offer { address, file } => {
                self.offered = address.or(self.offered);
                self.answer(file.as_ref());
            }
            K::Ack { file, .. } => {
                (self.taken, self.naked, self.declined) = (true, false, None);
                self.answer(file.as_ref());
            }
            K::Nak => self.naked = true,
            K::Decline { address } => self.declined = Some(*address),
            K::Unanswered { reason } => self.unanswered = Some(*reason),
            K::OtherPort { relation, client } => self.other_port = Some((&entry.told, *relation, client)),
            K::TftpStart { file, role, .. } => self.file(*role, File { name: file, end: FileEnd::Begun }),
            K::TftpDone { file, role, .. } => self.file(*role, File { name: file, end: FileEnd::Done }),
            K::TftpError { file, role, bytes, failure, .. } => {
                let end = FileEnd::Tftp { failure: *failure, bytes: *bytes };
                self.file(*role, File { name: file, end });
            }
            K::Script { target } => (self.script, self.script_problem) = (Some(*target), None),
            K::ScriptError { error } => self.script_problem = Some(error.clone()),
            K::HttpGet(fetch) => self.fetched(fetch),
            K::Lookup => (self.looked_up, self.lookup_refused) = (true, None),
            K::LookupRefused { reason, error } => self.lookup_refused = Some((*reason, error)),
            K::Heartbeat { .. } => self.heartbeat = Some(entry),
            K::HeartbeatRefused { reason, error } => self.heartbeat_refused = Some((*reason, error, entry)),
            K::PowerOn { .. } | K::Release { .. } => {}
        }
    }

    fn asked(&mut self, asking: &'e Asking) {
        if asking.ipxe {
            self.ipxe = true;
        } else if asking.firmware {
            self.firmware = Some(asking);
        } else {
            self.system_first |= self.firmware.is_none() && !self.ipxe && self.loader.is_none();
            self.ramdisk_asked |= self.ramdisk.is_some_and(|file| file.end == FileEnd::Done);
            self.system = Some(&asking.client);
        }
    }

    fn answer(&mut self, file: Option<&'e String>) {
        self.answered = true;
        if let Some(file) = file {
            self.named = Some(file);
        }
    }

    fn fetched(&mut self, fetch: &'e Fetch) {
        // A question for the size, or a version that is known already.
        let end = if fetch.is_whole() { FileEnd::Done } else { FileEnd::Http(fetch) };
        let file = File { name: &fetch.path, end };
        match fetch.role {
            FileRole::Script if fetch.status >= 400 && self.script_problem.is_none() => {
                self.script_problem = Some(format!("it was answered with {}", fetch.status));
            }
            role => self.file(role, file),
        }
    }

    /// What a file came to: once whole, what failed before or after does not count; of ramdisks the last counts.
    fn file(&mut self, role: FileRole, file: File<'e>) {
        let known = match role {
            FileRole::Loader => &mut self.loader,
            FileRole::Kernel => &mut self.kernel,
            FileRole::Ramdisk => &mut self.ramdisk,
            FileRole::Script | FileRole::Image | FileRole::Other => return,
        };
        let keeps = known.is_some_and(|old| old.end == FileEnd::Done && old.name == file.name);
        if !keeps {
            *known = Some(file);
        }
    }

    /// Whether the ramdisk arrived.
    pub(crate) fn has_ramdisk(&self) -> bool {
        self.ramdisk.is_some_and(|file| file.end == FileEnd::Done)
    }
}
