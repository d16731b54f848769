//! Installing a config drive: an ISO image in a partition at the end of the disk, where cloud-init finds it by its
//! label. Does not look into the ISO.

use std::path::PathBuf;

use disk_image::Guid;
use disk_image::mbr;

use crate::device::BlockDevice;
use crate::error::DiskError;
use crate::partitions::{self, Partition, Table};

/// Label that cloud-init looks for.
pub const LABEL: &str = "config-2";
/// Largest config drive, as in Ironic.
pub const MAX_SIZE: u64 = 64 << 20;
/// Partitions are multiples of this.
const UNIT: u64 = 1 << 20;

/// A config drive on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Device node of the partition, e.g. `/dev/sda4`.
    pub path: PathBuf,
    /// Number of the partition.
    pub number: u32,
    /// Where it starts, in bytes.
    pub start: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Whether the partition is new (or an earlier one was used).
    pub created: bool,
}

/// Puts `iso` on the disk: into the partition that is labelled or named `config-2` when there is one, else into a new
/// one at the end. The data is on the medium before the table names it.
pub fn install(device: &BlockDevice, iso: &[u8]) -> Result<Installed, DiskError> {
    let size = iso.len() as u64;
    let refused = |why| DiskError::ConfigDrive { path: device.path().into(), size, why };
    if size == 0 || size > MAX_SIZE {
        return Err(refused("its size must be between 1 byte and 64 MiB"));
    }
    let installed = match existing(device)? {
        Some(partition) if partition.size < size => {
            return Err(refused("the config-2 partition of the image is smaller"));
        }
        Some(partition) => {
            fill(device, partition.start, partition.size.min(MAX_SIZE), iso)?;
            let Partition { path, number, start, size, .. } = partition;
            Installed { path, number, start, size, created: false }
        }
        None => create(device, iso)?,
    };
    tracing::info!(partition = %installed.path.display(), bytes = size, "config drive installed");
    device.reread_partitions()?;
    Ok(installed)
}

/// The partition of the disk that is a config drive, or was made to be one.
pub fn existing(device: &BlockDevice) -> Result<Option<Partition>, DiskError> {
    let is_config = |partition: &Partition| {
        let label = partition.content.as_ref().and_then(|content| content.label.as_deref());
        partition.name.eq_ignore_ascii_case(LABEL)
            || label.is_some_and(|label| label.eq_ignore_ascii_case(LABEL))
    };
    Ok(partitions::list(device)?.into_iter().find(is_config))
}

/// Writes the ISO and clears the rest of the partition, so that nothing of an earlier one shows.
fn fill(device: &BlockDevice, start: u64, size: u64, iso: &[u8]) -> Result<(), DiskError> {
    device.write_at(start, iso)?;
    let zeros = vec![0; 1 << 20];
    let mut at = start + iso.len() as u64;
    while at < start + size {
        let step = usize::try_from(start + size - at).unwrap_or(zeros.len()).min(zeros.len());
        device.write_at(at, &zeros[..step])?;
        at += step as u64;
    }
    device.flush()
}

fn create(device: &BlockDevice, iso: &[u8]) -> Result<Installed, DiskError> {
    let bytes = (iso.len() as u64).next_multiple_of(UNIT);
    let sector = u64::from(device.sector_size());
    let failed = |source| partitions::table_error("add a config drive to", device, source);
    let (number, start) = match partitions::table(device)? {
        None => return Err(DiskError::NoPartitionTable { path: device.path().into() }),
        Some(Table::Gpt(mut gpt)) => {
            gpt.fit(device.size()).map_err(failed)?;
            let guid = partitions::random_guid()?;
            let added = gpt.add_at_end(bytes, Guid::LINUX_DATA, guid, LABEL).map_err(failed)?;
            fill(device, added.first * sector, bytes, iso)?;
            partitions::write_gpt(device, &gpt)?;
            (added.number, added.first * sector)
        }
        Some(Table::Mbr(mut table)) => {
            let added =
                table.add_at_end(bytes, device.size(), device.sector_size(), mbr::LINUX).map_err(failed)?;
            fill(device, u64::from(added.first) * sector, bytes, iso)?;
            device.write_at(0, &table.encode())?;
            (added.number, u64::from(added.first) * sector)
        }
    };
    device.flush()?;
    Ok(Installed { path: device.partition_path(number), number, start, size: bytes, created: true })
}
