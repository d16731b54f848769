//! BIOS settings of nodes: a cache of what was read last.

use model::{BiosSetting, NodeUuid, Timestamp};

use crate::DbError;
use crate::session::{Cells, Row, Session, all, first};
use crate::statement::statements;
use crate::stored::{Stored as _, text};

const SELECT: &str = "SELECT name, value, attribute_type, allowable_values, lower_bound, upper_bound, min_length, \
    max_length, read_only, reset_required, is_unique, created_at, updated_at FROM bios_settings";

statements! {
    LIST = format!("{SELECT} WHERE node_uuid = ?1 ORDER BY name");
    GET = format!("{SELECT} WHERE node_uuid = ?1 AND name = ?2");
    PUT = "INSERT INTO bios_settings (node_uuid, name, value, attribute_type, allowable_values, lower_bound, \
        upper_bound, min_length, max_length, read_only, reset_required, is_unique, created_at) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
        ON CONFLICT (node_uuid, name) DO UPDATE SET value = excluded.value, attribute_type = excluded.attribute_type, \
        allowable_values = excluded.allowable_values, lower_bound = excluded.lower_bound, \
        upper_bound = excluded.upper_bound, min_length = excluded.min_length, max_length = excluded.max_length, \
        read_only = excluded.read_only, reset_required = excluded.reset_required, is_unique = excluded.is_unique, \
        updated_at = excluded.created_at";
    DELETE = "DELETE FROM bios_settings WHERE node_uuid = ?1 AND name = ?2";
}

/// The settings of a node, by name.
pub(crate) fn list(session: &mut dyn Session, node: NodeUuid) -> Result<Vec<BiosSetting>, DbError> {
    all(session, &LIST, &[node.param()], decode)
}

/// One setting of a node.
pub(crate) fn get(
    session: &mut dyn Session,
    node: NodeUuid,
    name: &str,
) -> Result<Option<BiosSetting>, DbError> {
    first(session, &GET, &[node.param(), text(name)], decode)
}

/// Makes the node's settings those given: writes what is new or changed, removes what is gone.
pub(crate) fn replace(
    session: &mut dyn Session,
    node: NodeUuid,
    settings: &[BiosSetting],
) -> Result<(), DbError> {
    let now = Timestamp::now();
    let before = list(session, node)?;
    for gone in before.iter().filter(|old| !settings.iter().any(|new| new.name == old.name)) {
        session.execute((&DELETE).into(), &[node.param(), text(&gone.name)])?;
    }
    for setting in settings {
        if before.iter().any(|old| old.is_same(setting)) {
            continue;
        }
        let params = [
            node.param(),
            text(&setting.name),
            setting.value.param(),
            setting.attribute_type.param(),
            setting.allowable_values.param(),
            setting.lower_bound.param(),
            setting.upper_bound.param(),
            setting.min_length.param(),
            setting.max_length.param(),
            setting.read_only.param(),
            setting.reset_required.param(),
            setting.unique.param(),
            now.param(),
        ];
        session.execute((&PUT).into(), &params).map_err(|error| error.about("BIOS setting"))?;
    }
    Ok(())
}

fn decode(row: &Row<'_>) -> Result<BiosSetting, DbError> {
    let mut cells = Cells::new(row);
    Ok(BiosSetting {
        name: cells.take()?,
        value: cells.take()?,
        attribute_type: cells.take()?,
        allowable_values: cells.take::<Option<_>>()?.unwrap_or_default(),
        lower_bound: cells.take()?,
        upper_bound: cells.take()?,
        min_length: cells.take()?,
        max_length: cells.take()?,
        read_only: cells.take()?,
        reset_required: cells.take()?,
        unique: cells.take()?,
        created_at: cells.take()?,
        updated_at: cells.take()?,
    })
}
