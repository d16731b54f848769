//! The disks that the agent may touch: all of the machine, or, in tests, certain regular files that stand for disks.

use crate::netlink::DeviceEvents;
use disk::{BlockDevice, DiskError, DiskInfo, HintError, Hints, Roots};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::{Instant, timeout};

/// Which disks there are.
#[derive(Clone, Debug)]
pub enum Disks {
    /// Those of the machine.
    Machine,
    /// Regular files.
    Files(Vec<PathBuf>),
}

/// Why there is no disk to write to.
#[derive(Debug, thiserror::Error)]
pub enum RootDiskError {
    /// The disks could not be listed.
    #[error("cannot list the disks")]
    List(#[from] DiskError),
    /// None fits.
    #[error(transparent)]
    Hints(#[from] HintError),
}

impl Disks {
    /// All disks, by name.
    pub fn list(&self) -> Result<Vec<DiskInfo>, DiskError> {
        match self {
            Self::Machine => disk::list(&Roots::default()),
            Self::Files(paths) => Ok(paths.iter().filter_map(|path| file(path)).collect()),
        }
    }

    /// The disks that erasing is about: without those that cannot be written and those that can be pulled out, which are
    /// sticks of the operator's or virtual media of the BMC.
    pub fn erasable(&self) -> Result<Vec<DiskInfo>, DiskError> {
        let mut disks = self.list()?;
        disks.retain(|disk| {
            let name = disk.name.trim_start_matches("/dev/");
            let flag = |file: &str| {
                fs::read_to_string(Path::new("/sys/block").join(name).join(file))
                    .is_ok_and(|text| text.trim() == "1")
            };
            !(flag("ro") || flag("removable"))
        });
        Ok(disks)
    }

    /// Opens a disk of [`Self::list`].
    pub fn open(&self, path: &Path) -> Result<BlockDevice, DiskError> {
        match self {
            Self::Machine => BlockDevice::open(path),
            Self::Files(_) => BlockDevice::file(path),
        }
    }

    /// The disk to write an image to, by the node's hints.
    pub fn root(&self, hints: &Value) -> Result<PathBuf, RootDiskError> {
        let hints = Hints::parse(hints).map_err(HintError::from)?;
        let disks = self.list()?;
        // Files of tests are smaller than any disk, so the rule for a lack of hints would find none.
        if let (Self::Files(_), true, Some(first)) = (self, hints.is_empty(), disks.first()) {
            return Ok(PathBuf::from(&first.name));
        }
        Ok(PathBuf::from(&disk::select(&hints, &disks)?.name))
    }

    /// The disk an image would go to without hints, for inspection.
    pub fn default_root(&self) -> Option<DiskInfo> {
        let path = self.root(&Value::Null).ok()?;
        self.list().ok()?.into_iter().find(|disk| Path::new(&disk.name) == path)
    }

    /// The same as [`Self::root`], waiting for disks that appear late (controllers that scan their bus), for at most `limit`.
    pub async fn root_within(&self, hints: &Value, limit: Duration) -> Result<PathBuf, RootDiskError> {
        let deadline = Instant::now() + limit;
        // Opened before the first look: no disk can appear in between unseen.
        let mut events = DeviceEvents::open().ok().filter(|_| matches!(self, Self::Machine));
        loop {
            let error = match self.root(hints) {
                Err(RootDiskError::Hints(error @ HintError::NoMatch { .. })) => error,
                other => return other,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(events) = events.as_mut().filter(|_| !left.is_zero()) else { return Err(error.into()) };
            tracing::info!("waiting for a disk: {error}");
            let block_device = async {
                while events.next().await?.subsystem != "block" {}
                std::io::Result::Ok(())
            };
            if timeout(left, block_device).await.is_err() {
                return Err(error.into());
            }
        }
    }
}

fn file(path: &Path) -> Option<DiskInfo> {
    let size = fs::metadata(path).ok()?.len();
    Some(DiskInfo { name: path.to_string_lossy().into_owned(), size, ..DiskInfo::default() })
}
