//! Firmware of the parts of nodes: a cache of what was read last.

use model::{FirmwareComponent, NodeUuid, Timestamp};

use crate::DbError;
use crate::session::{Cells, Session, all};
use crate::statement::statements;
use crate::stored::{Stored as _, text};

statements! {
    LIST = "SELECT component, initial_version, current_version, last_version_flashed, vendor, model, serial_number, \
        created_at, updated_at FROM firmware_components WHERE node_uuid = ?1 ORDER BY id";
    // The version that was seen first stays; so does the one written last, when nothing was written since.
    PUT = "INSERT INTO firmware_components (node_uuid, component, initial_version, current_version, \
        last_version_flashed, vendor, model, serial_number, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
        ON CONFLICT (node_uuid, component) DO UPDATE SET current_version = excluded.current_version, \
        last_version_flashed = COALESCE(excluded.last_version_flashed, firmware_components.last_version_flashed), \
        vendor = excluded.vendor, model = excluded.model, serial_number = excluded.serial_number, \
        updated_at = excluded.created_at";
}

/// The components of a node, in the order in which they were seen first.
pub(crate) fn list(session: &mut dyn Session, node: NodeUuid) -> Result<Vec<FirmwareComponent>, DbError> {
    all(session, &LIST, &[node.param()], |row| {
        let mut cells = Cells::new(row);
        Ok(FirmwareComponent {
            component: cells.take()?,
            initial_version: cells.take()?,
            current_version: cells.take()?,
            last_version_flashed: cells.take()?,
            vendor: cells.take()?,
            model: cells.take()?,
            serial_number: cells.take()?,
            created_at: cells.take()?,
            updated_at: cells.take()?,
        })
    })
}

/// Notes what was seen of components of a node; those not given stay as they are.
pub(crate) fn note(
    session: &mut dyn Session,
    node: NodeUuid,
    components: &[FirmwareComponent],
) -> Result<(), DbError> {
    let now = Timestamp::now();
    let before = list(session, node)?;
    for seen in components {
        if before.iter().any(|old| is_known(old, seen)) {
            continue;
        }
        let params = [
            node.param(),
            text(&seen.component),
            seen.initial_version.param(),
            seen.current_version.param(),
            seen.last_version_flashed.param(),
            seen.vendor.param(),
            seen.model.param(),
            seen.serial_number.param(),
            now.param(),
        ];
        session.execute((&PUT).into(), &params).map_err(|error| error.about("firmware component"))?;
    }
    Ok(())
}

/// Whether `old` says already what was seen.
fn is_known(old: &FirmwareComponent, seen: &FirmwareComponent) -> bool {
    let flashed =
        seen.last_version_flashed.is_none() || seen.last_version_flashed == old.last_version_flashed;
    old.component == seen.component
        && old.current_version == seen.current_version
        && flashed
        && (&old.vendor, &old.model, &old.serial_number) == (&seen.vendor, &seen.model, &seen.serial_number)
}
