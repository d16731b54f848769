//! `cargo xtask crash`: the service is killed, as by a power cut, at the moments of a life where most could go wrong, and
//! started again; the machine must not notice. The proof is on the machine's own console: the agent started once, wrote
//! once, and the tenant's system shows the mark of its config drive.

use crate::image::{self, ImageFormat};
use crate::life::{Life, Phase, Protocol, Source};
use crate::moment::{Printed, count, reach};
use crate::service::{Service, ServiceOptions};
use crate::stage::{Builds, Parts, Stage};
use anyhow::{Context as _, Result, ensure};
use lab::{Console, Firmware, Lab, LabDir, MachineSpec};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// For how long the service may be away after it was killed.
const AWAY: Duration = Duration::from_mins(1);
/// From an order to the machine's request for its boot script.
const BOOT_LIMIT: Duration = Duration::from_mins(4);

/// When the service is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Moment {
    /// The agent is erasing, or has just erased
    Cleaning,
    /// The machine was switched on, nothing is heard of it yet
    Waiting,
    /// The machine's firmware has its boot script and loads kernel and ramdisk from the service
    Loading,
    /// The agent writes the image
    Writing,
    /// The image is written, the machine is about to be switched off
    Ending,
}

/// What to try.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CrashOptions {
    /// Only these moments
    #[arg(long, value_enum, value_delimiter = ',')]
    moments: Vec<Moment>,
    #[command(flatten)]
    pub(crate) builds: Builds,
}

impl CrashOptions {
    /// All moments.
    pub(crate) fn all(builds: Builds) -> Self {
        Self { moments: Vec::new(), builds }
    }

    fn includes(&self, moment: Moment) -> bool {
        self.moments.is_empty() || self.moments.contains(&moment)
    }
}

/// What the machine gets.
struct Images {
    usual: Source,
    /// Takes seconds to write, so that the moment is there to be met.
    large: Source,
}

/// Runs all trials. An error unless every one ends well.
pub(crate) fn run(dir: &LabDir, options: &CrashOptions) -> Result<()> {
    let parts = options.builds.ensure(dir)?;
    let images = Images {
        usual: Source::from(&image::ensure(dir, ImageFormat::Qcow2)?),
        large: Source::from(&image::large(dir)?),
    };
    let machines = vec![MachineSpec::numbered(0, Firmware::Bios)];
    Stage { task: "crash", machines, keep: false }
        .play(dir, async |lab| trials(lab, &parts, &images, options).await)
}

async fn trials(lab: &Lab, parts: &Parts, images: &Images, options: &CrashOptions) -> Result<()> {
    let protocol = Protocol::Ipmi;
    let mut service = Service::start(lab, parts, ServiceOptions { protocol, keep: false }).await?;
    let machine = lab.machine("vm0")?;
    let life = Life {
        api: service.api.clone().patient(AWAY),
        machine,
        protocol,
        boot_interface: None,
        image: images.usual.clone(),
        mark: String::new(),
    };
    life.run(&[Phase::Enroll, Phase::Manage], &|_| ()).await?;
    if options.includes(Moment::Cleaning) {
        Moment::Cleaning.survive(&mut service, &life).await?;
    } else {
        life.run(&[Phase::Provide], &|_| ()).await?;
    }
    // Cleaning was tried; from here on it would only take time.
    life.api.set("vm0", &[("/automated_clean", json!(false))]).await?;
    for moment in [Moment::Waiting, Moment::Loading, Moment::Writing, Moment::Ending] {
        if !options.includes(moment) {
            continue;
        }
        let image = if moment == Moment::Writing { &images.large } else { &images.usual };
        let life = life.with_image(image.clone());
        moment.survive(&mut service, &life).await?;
        life.run(&[Phase::Deleted], &|_| ()).await.context("take the machine back")?;
    }
    service.stop().await
}

impl Moment {
    /// Kills the service at this moment of `life` and looks whether the life goes on as if nothing had been.
    async fn survive(self, service: &mut Service, life: &Life<'_>) -> Result<()> {
        let start = Instant::now();
        let printed = Printed::from_now(life.machine)?;
        let phases: &[Phase] =
            if self == Self::Cleaning { &[Phase::Provide] } else { &[Phase::Active, Phase::Tenant] };
        let log = service.log.clone();
        let kill = async {
            let seen = self.come(life, &log).await?;
            anyhow::Ok((seen, service.crash().await?))
        };
        let lived = async { life.run(phases, &|_| ()).await };
        let what = format!("the service was killed while {}", self.describe());
        let (_, (seen, away)) = tokio::try_join!(lived, kill).with_context(|| what.clone())?;
        self.judge(&printed.by_agent()?).with_context(|| what.clone())?;
        let end = if self == Self::Cleaning { "erased once" } else { "written once, the tenant's mark seen" };
        println!(
            "killed while {:48} ({seen}), away {:.1} s: {end}; {:.1} s in all",
            self.describe(),
            away.as_secs_f64(),
            start.elapsed().as_secs_f64()
        );
        Ok(())
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Cleaning => "the machine is cleaned",
            Self::Waiting => "it waits for the agent's first call",
            Self::Loading => "the machine loads kernel and ramdisk from it",
            Self::Writing => "the agent writes the image",
            Self::Ending => "the machine is made ready for its last boot",
        }
    }

    /// Waits for the moment; returns how it was recognised.
    async fn come(self, life: &Life<'_>, log: &Path) -> Result<String> {
        if self == Self::Loading {
            Console::from_now(log)?.wait_for("boot script: ramdisk", BOOT_LIMIT).await?;
            return Ok("boot script".to_owned());
        }
        let (node, what) = (&life.machine.spec().name, self.describe());
        let seen = reach(&life.api, node, what, |now| match self {
            Self::Cleaning => {
                now.state.starts_with("clean")
                    && (now.step.ends_with("erase_devices_metadata") || now.step.ends_with("leave_ramdisk"))
            }
            Self::Writing => now.step == "deploy.write_image" && now.phase == "write" && now.bytes > 0,
            Self::Ending => ["deploy.prepare_instance_boot", "deploy.tear_down_agent"].contains(&&*now.step),
            Self::Waiting | Self::Loading => now.state == "wait call-back",
        })
        .await?;
        let bytes = if self == Self::Writing { format!(", {} MiB", seen.bytes >> 20) } else { String::new() };
        Ok(format!("{}, {}{bytes}", seen.state, seen.step))
    }

    /// What the agent says that it did.
    fn judge(self, lines: &[String]) -> Result<()> {
        let once: &[&str] = if self == Self::Cleaning {
            &[" starts", "clean step erase_devices_metadata"]
        } else {
            &[" starts", "deploy step write_image", "writing image ", "image written"]
        };
        for text in once {
            let times = count(lines, text);
            ensure!(times == 1, "the agent printed {text:?} {times} times:\n{}", lines.join("\n"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_write_is_noticed() {
        let lines =
            |texts: &[&str]| texts.iter().map(|text| format!("wrought-agent: [ 1.0] {text}")).collect();
        let good: Vec<String> = lines(&[
            "version 0.1.0 starts",
            "deploy step write_image",
            "writing image a from b to /dev/vda",
            "image written device=/dev/vda",
        ]);
        Moment::Writing.judge(&good).unwrap();
        let twice = [good.clone(), lines(&["writing image a from b to /dev/vda"])].concat();
        assert!(Moment::Writing.judge(&twice).unwrap_err().to_string().contains("2 times"));
        assert!(Moment::Writing.judge(&good[..3]).is_err());
        assert!(Moment::Cleaning.judge(&good).is_err());
    }
}
