//! `cargo xtask faults`: deployments that must fail, on a virtual machine. Each ends in `deploy failed` with an error that
//! tells why, and with nothing on the disk that boots; then a good image is deployed to the same machine.

use crate::image::{self, Image, ImageFormat, hex};
use crate::life::{Life, Phase, Protocol, Source};
use crate::moment::reach;
use crate::platter::blank;
use crate::process::{command, quiet};
use crate::service::{Service, ServiceOptions};
use crate::stage::{Builds, Parts, Stage};
use anyhow::{Context as _, Result, bail, ensure};
use lab::{Firmware, Lab, LabDir, Machine, MachineSpec};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// The machine's disk. Agents take none of less than 4 GiB.
const DISK_GIB: u32 = 5;
const MIB: u64 = 1 << 20;
/// The folder of images, with the number of the process that made it.
const FOLDER: &str = "faults-";
/// From the failure to the machine being off.
const OFF_LIMIT: Duration = Duration::from_mins(2);

/// What to try.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FaultOptions {
    #[command(flatten)]
    pub(crate) builds: Builds,
}

/// Images that are not what they should be, in a folder of their own among the lab's; removed at the end.
struct Images {
    folder: PathBuf,
    good: Source,
    /// The file is good, what is said of it is not.
    wrong_sum: Source,
    /// Holds more than the machine's disk.
    too_large: Source,
    /// Spoilt as soon as the service has verified it; the agent downloads it itself.
    spoilt: Source,
    spoilt_file: PathBuf,
    /// Good, and takes seconds to write.
    large: Source,
}

/// Runs all trials. An error unless every one ends as it should.
pub(crate) fn run(dir: &LabDir, options: &FaultOptions) -> Result<()> {
    let parts = options.builds.ensure(dir)?;
    let images = Images::make(dir)?;
    let machines = vec![MachineSpec { disk_gib: DISK_GIB, ..MachineSpec::numbered(0, Firmware::Bios) }];
    Stage { task: "faults", machines, keep: false }.play(dir, async |lab| trials(lab, &parts, &images).await)
}

async fn trials(lab: &Lab, parts: &Parts, images: &Images) -> Result<()> {
    let protocol = Protocol::Ipmi;
    let service = Service::start(lab, parts, ServiceOptions { protocol, keep: false }).await?;
    let machine = lab.machine("vm0")?;
    let life = Life {
        api: service.api.clone(),
        machine,
        protocol,
        boot_interface: None,
        image: images.good.clone(),
        mark: String::new(),
    };
    life.run(&[Phase::Enroll, Phase::Manage, Phase::Provide], &|_| ()).await?;
    let nothing = async { Ok(()) };
    let trial = Trial { life: &life, name: "a wrong checksum", code: "E0202", words: "digest" };
    trial.fail(&images.wrong_sum, nothing).await?;
    let nothing = async { Ok(()) };
    let trial =
        Trial { life: &life, name: "an image larger than the disk", code: "E0304", words: "/dev/vda" };
    trial.fail(&images.too_large, nothing).await?;
    let trial =
        Trial { life: &life, name: "a download that is not the image", code: "E0304", words: "sha256" };
    trial.fail(&images.spoilt, spoil(&life, &images.spoilt_file)).await?;
    let trial = Trial { life: &life, name: "a disk that vanishes", code: "E0304", words: "vda vanished" };
    trial.fail(&images.large, unplug(&life)).await?;
    let start = Instant::now();
    life.with_image(images.good.clone())
        .run(&[Phase::Active, Phase::Tenant], &|_| ())
        .await
        .context("a good image after the failures")?;
    println!("a good image: deployed, the tenant's mark seen; {:.1} s", start.elapsed().as_secs_f64());
    machine.power_off().await?;
    ensure!(blank(machine).is_err(), "the deployed disk looks blank: the look at the others proved nothing");
    service.stop().await
}

/// One deployment that must fail.
struct Trial<'a> {
    life: &'a Life<'a>,
    name: &'static str,
    /// The code that `last_error` must have.
    code: &'static str,
    /// What `last_error` must tell.
    words: &'static str,
}

impl Trial<'_> {
    async fn fail(&self, image: &Source, disturb: impl Future<Output = Result<()>>) -> Result<()> {
        let start = Instant::now();
        let life = self.life.with_image(image.clone());
        let deploy = async { Ok(life.run(&[Phase::Active], &|_| ()).await) };
        let (ended, ()) = tokio::try_join!(deploy, disturb).context(self.name)?;
        let Err(error) = ended else { bail!("{}: was deployed", self.name) };
        let text = format!("{error:#}");
        let (_, told) =
            text.split_once("deploy failed: ").with_context(|| format!("{}: {text}", self.name))?;
        ensure!(
            told.contains(&format!(" {}: ", self.code)) && told.contains(self.words),
            "{}: the error should be {} and tell of {:?}, but it is: {told}",
            self.name,
            self.code,
            self.words
        );
        off(self.life.machine).await.context(self.name)?;
        blank(self.life.machine).context(self.name)?;
        self.life.api.end_maintenance(&self.life.machine.spec().name).await?;
        println!("{}: refused, disk blank; {:.1} s\n    {told}", self.name, start.elapsed().as_secs_f64());
        Ok(())
    }
}

/// Changes the file as soon as the service has taken it for good.
async fn spoil(life: &Life<'_>, file: &Path) -> Result<()> {
    let node = &life.machine.spec().name;
    reach(&life.api, node, "waiting for the agent", |now| now.state == "wait call-back").await?;
    let file = File::options().read(true).write(true).open(file)?;
    let (mut byte, at) = ([0], 200 * MIB);
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[!byte[0]], at)?;
    Ok(())
}

/// Pulls the disk out while it is written.
async fn unplug(life: &Life<'_>) -> Result<()> {
    let node = &life.machine.spec().name;
    reach(&life.api, node, "writing", |now| now.phase == "write" && now.bytes > 0).await?;
    life.machine.unplug_disk().await.map(drop)
}

/// The failed flow switches the machine off.
async fn off(machine: Machine<'_>) -> Result<()> {
    let start = Instant::now();
    while machine.info().await?.power != "off" {
        ensure!(start.elapsed() < OFF_LIMIT, "the machine is still on {} s after", OFF_LIMIT.as_secs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

impl Images {
    fn make(dir: &LabDir) -> Result<Self> {
        let good = image::ensure(dir, ImageFormat::Qcow2)?;
        let large = image::large(dir)?;
        sweep(&dir.images());
        let name = format!("{FOLDER}{}", std::process::id());
        let folder = dir.images().join(&name);
        fs::create_dir_all(&folder)?;
        let (stretched, spoilt_file) = (folder.join("stretched.qcow2"), folder.join("spoilt.raw"));
        fs::copy(image::path(dir, &good), &stretched)?;
        let size = format!("{}G", DISK_GIB + 1);
        quiet(command("qemu-img").args(["resize", "-q"]).arg(&stretched).arg(size))?;
        fs::copy(image::path(dir, &large), &spoilt_file)?;
        let too_large = Image {
            file: format!("{name}/stretched.qcow2"),
            format: good.format,
            sha256: hex(&Sha256::digest(fs::read(&stretched)?)),
        };
        let spoilt = Image { file: format!("{name}/spoilt.raw"), ..large.clone() };
        // Said every time, since a node keeps what an earlier deployment said.
        let served = |image: &Image| Source { download: Some("local"), ..Source::from(image) };
        Ok(Self {
            folder,
            wrong_sum: Source { sha256: hex(&Sha256::digest(b"something else")), ..served(&good) },
            too_large: served(&too_large),
            spoilt: Source { download: Some("http"), ..served(&spoilt) },
            spoilt_file,
            large: served(&large),
            good: served(&good),
        })
    }
}

/// Removes what runs left behind that were killed.
fn sweep(images: &Path) {
    for entry in fs::read_dir(images).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.strip_prefix(FOLDER).is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_leftovers_are_removed() {
        let images = tempfile::tempdir().unwrap();
        let own = format!("{FOLDER}{}", std::process::id());
        // Process numbers end below 2^22.
        for folder in ["other", &own, "faults-99999999"] {
            fs::create_dir(images.path().join(folder)).unwrap();
        }
        sweep(images.path());
        let there = |folder: &str| images.path().join(folder).exists();
        assert!(there("other") && there(&own) && !there("faults-99999999"));
    }
}
