//! Being process 1 of a ramdisk: file systems, console, modules, orphans, and never going away.

use crate::{clock, console, modules::Modules, netlink::DeviceEvents};
use rustix::{
    mount::{MountFlags, mount},
    process::{WaitOptions, wait},
};
use std::{
    fs::{self, File, OpenOptions},
    io,
    panic::PanicHookInfo,
    path::Path,
    sync::OnceLock,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// What to mount where, of which kind, before anything else.
const MOUNTS: [(&str, &str, &str); 5] = [
    ("proc", "/proc", "proc"),
    ("sysfs", "/sys", "sysfs"),
    ("devtmpfs", "/dev", "devtmpfs"),
    ("tmpfs", "/run", "tmpfs"),
    ("tmpfs", "/tmp", "tmpfs"),
];
/// Where firmware variables are; the directory exists on machines that booted by UEFI.
const EFI_VARIABLES: &str = "/sys/firmware/efi/efivars";

/// Whether this process is init.
pub fn is_init() -> bool {
    rustix::process::getpid().is_init()
}

/// Mounts the kernel's file systems and opens the console. Whatever fails is said later, when there is a place to say it.
pub fn first_things() -> Vec<String> {
    let mut complaints = Vec::new();
    for (source, target, kind) in MOUNTS {
        if let Err(error) = mount_at(source, target, kind) {
            complaints.push(format!("{target} not mounted: {error}"));
        }
    }
    clock::start(clock::kernel_uptime());
    for (path, text) in
        [("/etc/nsswitch.conf", "hosts: files dns\n"), ("/etc/hosts", "127.0.0.1 localhost\n")]
    {
        // glibc would look for plug-ins of the host that the static binary was built on.
        if !Path::new(path).exists()
            && fs::create_dir_all("/etc").and_then(|()| fs::write(path, text)).is_err()
        {
            complaints.push(format!("{path} not written"));
        }
    }
    if let Err(errno) = rustix::system::sethostname(b"wrought-agent") {
        complaints.push(format!("host name not set: {errno}"));
    }
    complaints
}

fn mount_at(source: &str, target: &str, kind: &str) -> io::Result<()> {
    fs::create_dir_all(target)?;
    match mount(source, target, kind, MountFlags::NOSUID, None) {
        // A kernel may have mounted /dev itself.
        Ok(()) | Err(rustix::io::Errno::BUSY) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// The console to write to.
pub fn open_console() -> Option<File> {
    OpenOptions::new().write(true).open("/dev/console").ok()
}

/// Mounts the firmware's variables, if the machine booted by UEFI. After the modules: the file system may be one.
pub fn mount_efi_variables() {
    if !Path::new("/sys/firmware/efi").exists() {
        return;
    }
    if let Err(error) = mount_at("efivarfs", EFI_VARIABLES, "efivarfs") {
        tracing::warn!(%error, "firmware variables not mounted");
    }
}

/// Mounts what terminals of logins need.
pub fn mount_terminals() {
    if let Err(error) = mount_at("devpts", "/dev/pts", "devpts") {
        tracing::warn!(%error, "no terminals for logins");
    }
}

/// The last message of a panic, for whoever waits on a thread that will not come back.
fn panics() -> &'static watch::Sender<Option<String>> {
    static PANICS: OnceLock<watch::Sender<Option<String>>> = OnceLock::new();
    PANICS.get_or_init(|| watch::Sender::new(None))
}

/// Returns the message of the next panic of any thread.
pub async fn panicked() -> String {
    let mut news = panics().subscribe();
    news.mark_unchanged();
    match news.changed().await {
        Ok(()) => news.borrow().clone().unwrap_or_default(),
        Err(_) => std::future::pending().await,
    }
}

/// Has a panic say what happened and stop its thread only. When init dies the kernel stops, with the reason scrolled away;
/// so as init a thread that panics sleeps for ever instead, and the machine waits for its conductor.
pub fn keep_alive(is_init: bool) {
    std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        let message = info.payload_as_str().unwrap_or("(no message)");
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        console::line(&format!("PANIC at {place}: {message}"));
        panics().send_replace(Some(format!("{place}: {message}")));
        if is_init {
            rustix::fs::sync();
            loop {
                std::thread::park();
            }
        }
    }));
}

/// Reaps orphans for ever.
pub async fn reap() {
    let Ok(mut children) = signal(SignalKind::child()) else { return };
    loop {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        if children.recv().await.is_none() {
            return;
        }
    }
}

/// Loads the modules of the ramdisk; goes on, in a task of its own, for devices that appear later.
pub async fn load_modules() {
    let events = DeviceEvents::open();
    let loading = tokio::task::spawn_blocking(|| {
        let mut modules = Modules::from_ramdisk();
        modules.load_always();
        modules.load_for_present();
        modules
    });
    let Ok(mut modules) = loading.await else { return };
    let mut events = match events {
        Ok(events) => events,
        Err(error) => {
            tracing::warn!(%error, "no device events: devices that appear later get no driver");
            return;
        }
    };
    tokio::spawn(async move {
        while let Ok(event) = events.next().await {
            let wanted = event.modalias.filter(|_| event.action == "add");
            if wanted.is_some_and(|modalias| modules.load_for(&modalias)) {
                tracing::debug!("driver loaded for a device of {}", event.subsystem);
            }
        }
    });
}
