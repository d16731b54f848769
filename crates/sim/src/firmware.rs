//! What a machine boots: the BMC's override, else the disk, else the network. For the network it asks the boot
//! server as iPXE would and reads the script that it gets. Does not run scripts: it looks for what they boot.

use std::collections::HashMap;
use std::time::Duration;

use ipmi::command::boot::BootDevice;

use crate::machine::Machine;

/// iPXE gives up a fetch after about so long.
const FETCH_DEADLINE: Duration = Duration::from_secs(20);
/// Fetches of the script before the firmware goes on to its next device.
const FETCH_ATTEMPTS: u32 = 3;
/// Longest script that is read.
const MAX_SCRIPT: usize = 64 * 1024;

/// What the firmware found to boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Ramdisk(KernelParameters),
    Disk,
    Nothing,
}

/// `name=value` words of the kernel command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KernelParameters(HashMap<String, String>);

impl KernelParameters {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Chooses. Uses up a one-time override.
pub(crate) async fn choose(machine: &Machine) -> Target {
    let disk = || if machine.state().image.is_some() { Target::Disk } else { Target::Nothing };
    let device = machine.take_boot_device();
    match device {
        BootDevice::Pxe => network(machine).await.unwrap_or_else(disk),
        BootDevice::Disk | BootDevice::DiskSafeMode => disk(),
        // As most servers leave the factory: first the disk, then the network.
        BootDevice::NoOverride => match disk() {
            Target::Disk => Target::Disk,
            _ => network(machine).await.unwrap_or(Target::Nothing),
        },
        _ => {
            machine.problem(format!("there is nothing to boot on {device:?}"));
            Target::Nothing
        }
    }
}

/// Network boot; `None` when the boot server sends the machine on to its next device.
async fn network(machine: &Machine) -> Option<Target> {
    let Some(base) = &machine.shared.netboot_url else {
        return Some(Target::Ramdisk(KernelParameters::default()));
    };
    let path = format!("boot/{}.ipxe", machine.mac());
    let url = match base.join(&path) {
        Ok(url) => url,
        Err(error) => {
            machine.problem(format!("{base}{path}: {error}"));
            return None;
        }
    };
    for attempt in 1..=FETCH_ATTEMPTS {
        match fetch(machine, &url).await {
            Ok(script) => return read_script(&script).map(Target::Ramdisk),
            Err(problem) => machine.problem(format!("{url}: {problem}")),
        }
        if attempt < FETCH_ATTEMPTS {
            tokio::time::sleep(machine.sample(machine.shared.timing.retry)).await;
        }
    }
    None
}

async fn fetch(machine: &Machine, url: &url::Url) -> Result<String, String> {
    let client = &machine.shared.client;
    let fetch = async {
        let response = client.get(url.clone()).header("user-agent", "iPXE/1.21.1+").send().await?;
        let mut response = response.error_for_status()?;
        let mut script = Vec::new();
        while let Some(piece) = response.chunk().await? {
            script.extend_from_slice(&piece);
            if script.len() > MAX_SCRIPT {
                break;
            }
        }
        Ok::<_, reqwest::Error>(script)
    };
    let script = match tokio::time::timeout(FETCH_DEADLINE, fetch).await {
        Ok(Ok(script)) => script,
        Ok(Err(error)) => return Err(crate::agent::chain(&error)),
        Err(_elapsed) => return Err(format!("no answer within {FETCH_DEADLINE:?}")),
    };
    let text = String::from_utf8(script).map_err(|_| "the script is not text".to_owned())?;
    if text.starts_with("#!ipxe") { Ok(text) } else { Err("the answer is not an iPXE script".to_owned()) }
}

/// The kernel's parameters when the script boots one; `None` when it only goes on to the next device.
fn read_script(script: &str) -> Option<KernelParameters> {
    let line = script.lines().find_map(|line| line.trim().strip_prefix("kernel "))?;
    let line = line.split("||").next().unwrap_or(line);
    let words = line.split_whitespace().map(|word| word.trim_matches('"'));
    let pairs = words.filter_map(|word| word.split_once('='));
    Some(KernelParameters(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_boot_a_kernel_or_go_on() {
        let ramdisk = "#!ipxe\nset attempt:int32 0\n:fetch\nimgfree\nkernel --name kernel http://h/vmlinuz \
                       ipa-api-url=https://h:6385 quiet initrd=initrd BOOTIF=${mac} || goto failed\ninitrd x\nboot\n";
        let parameters = read_script(ramdisk).unwrap();
        assert_eq!(parameters.get("ipa-api-url"), Some("https://h:6385"));
        assert_eq!(parameters.get("quiet"), None);
        assert_eq!(parameters.get("goto"), None);
        for onward in [
            "#!ipxe\niseq ${platform} efi && goto exit ||\nsanboot --drive 0x80 ||\n:exit\nexit 1\n",
            "#!ipxe\nexit 1\n",
        ] {
            assert_eq!(read_script(onward), None);
        }
    }
}
