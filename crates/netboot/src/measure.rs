//! What the boot servers count.

use boot_trace::{BootEventKind as K, FileRole};
use metrics::{Counter, Exposed};

static EVENTS: Counter =
    Counter::new("wrought_netboot_events_total", "What machines did at the boot servers.", &["event"]);
static BYTES: Counter = Counter::new(
    "wrought_netboot_bytes_total",
    "Bytes of files that machines fetched.",
    &["protocol", "role"],
);

/// The families, to be shown.
pub const METRICS: &[&dyn Exposed] = &[&EVENTS, &BYTES];

pub(crate) fn count(kind: &K) {
    EVENTS.add(&[kind.name()]);
    match kind {
        K::TftpDone { role, bytes, .. } | K::TftpError { role, bytes, .. } => {
            BYTES.add_many(&["tftp", word(*role)], *bytes);
        }
        K::HttpGet(fetch) => BYTES.add_many(&["http", word(fetch.role)], fetch.bytes),
        _ => {}
    }
}

const fn word(role: FileRole) -> &'static str {
    match role {
        FileRole::Loader => "loader",
        FileRole::Script => "script",
        FileRole::Kernel => "kernel",
        FileRole::Ramdisk => "ramdisk",
        FileRole::Image => "image",
        FileRole::Other => "other",
    }
}
