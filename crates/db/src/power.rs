//! What is needed to look at the power of many machines, and no more of their rows; and how many looks failed in a row.

use model::{BootMode, Fault, JsonObject, NodeUuid, PowerState, ProvisionState, Timestamp};
use provision::UNWATCHED;

use crate::DbError;
use crate::session::{Cells, Param, Row, Session, all, first};
use crate::statement::statements;
use crate::stored::{Stored as _, limit};

/// Which machines are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerWatch {
    /// Those whose last look went well.
    Sound,
    /// Those whose last looks, before this time, did not.
    Doubtful {
        /// Those counted since are not looked at again.
        counted_before: Timestamp,
    },
    /// Those in maintenance because they could not be read.
    Lost,
}

/// A machine to be looked at.
#[derive(Clone, PartialEq, Eq)]
pub struct WatchedPower {
    /// Row number: the order of pages.
    pub id: i64,
    /// The node.
    pub uuid: NodeUuid,
    /// Hardware type.
    pub driver: String,
    /// How to reach the BMC, and secrets.
    pub driver_info: JsonObject,
    /// The implementation of power.
    pub power_interface: Option<String>,
    /// Group of conductors that may work on it.
    pub conductor_group: String,
    /// Where it stands.
    pub provision_state: ProvisionState,
    /// Power as stored.
    pub power_state: Option<PowerState>,
    /// Looks that failed in a row.
    pub failures: i64,
    /// How the firmware boots, as stored.
    pub boot_mode: Option<BootMode>,
    /// Whether only what is signed boots, as stored.
    pub secure_boot: Option<bool>,
    /// How the machine is, as stored.
    pub health: Option<String>,
    /// Whether its maker is known.
    pub has_vendor: bool,
}

/// Shows which machine, never how to reach it: that has secrets.
impl std::fmt::Debug for WatchedPower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchedPower")
            .field("uuid", &self.uuid)
            .field("power_state", &self.power_state)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

const SELECT: &str = "SELECT n.id, n.uuid, n.driver, n.driver_info, n.power_interface, n.conductor_group, \
    n.provision_state, n.power_state, COALESCE(f.failures, 0), n.boot_mode, n.secure_boot, n.health, \
    CASE WHEN n.properties LIKE '%\"vendor\"%' THEN 1 ELSE 0 END FROM nodes n \
    LEFT JOIN power_failures f ON f.node_uuid = n.uuid \
    WHERE n.id > ?1 AND n.lease_holder IS NULL AND n.target_power_state IS NULL";
const PAGE: &str = "ORDER BY n.id LIMIT ?2";

/// Those whose power is compared at all, as `provision::is_watched` says once more when something is to be done.
fn watched() -> String {
    let states = UNWATCHED.map(|state| format!("'{}'", state.as_str())).join(", ");
    format!("{SELECT} AND n.maintenance = 0 AND n.provision_state NOT IN ({states})")
}

statements! {
    SOUND = format!("{} AND f.node_uuid IS NULL {PAGE}", watched());
    DOUBTFUL = format!("{} AND f.counted_at < ?3 {PAGE}", watched());
    LOST = format!(
        "{SELECT} AND n.maintenance = 1 AND n.fault = '{}' AND n.provision_state <> '{}' {PAGE}",
        Fault::Power.as_str(),
        ProvisionState::Enroll.as_str()
    );
    COUNT = "INSERT INTO power_failures (node_uuid, failures, counted_at) VALUES (?1, 1, ?2) \
        ON CONFLICT (node_uuid) DO UPDATE SET failures = power_failures.failures + 1, \
        counted_at = excluded.counted_at RETURNING failures";
    CLEAR = "DELETE FROM power_failures WHERE node_uuid = ?1";
}

/// A page of machines to look at: those after row number `after`.
pub(crate) fn watch(
    session: &mut dyn Session,
    which: PowerWatch,
    after: i64,
    rows: usize,
) -> Result<Vec<WatchedPower>, DbError> {
    let mut params = vec![Param::Int(after), limit(rows)];
    let statement = match which {
        PowerWatch::Sound => &SOUND,
        PowerWatch::Lost => &LOST,
        PowerWatch::Doubtful { counted_before } => {
            params.push(Param::Int(counted_before.as_micros()));
            &DOUBTFUL
        }
    };
    all(session, statement, &params, decode)
}

/// Counts a look that failed; how many have in a row.
pub(crate) fn count(session: &mut dyn Session, node: NodeUuid) -> Result<i64, DbError> {
    let now = Timestamp::now();
    let params = [node.param(), now.param()];
    let counted = first(session, &COUNT, &params, |row| row.take(0));
    counted.map_err(|error| error.about("power failure"))?.ok_or(DbError::Closed)
}

/// Forgets the looks that failed.
pub(crate) fn clear(session: &mut dyn Session, node: NodeUuid) -> Result<(), DbError> {
    session.execute((&CLEAR).into(), &[node.param()]).map(drop)
}

fn decode(row: &Row<'_>) -> Result<WatchedPower, DbError> {
    let mut cells = Cells::new(row);
    Ok(WatchedPower {
        id: cells.take()?,
        uuid: cells.take()?,
        driver: cells.take()?,
        driver_info: cells.take()?,
        power_interface: cells.take()?,
        conductor_group: cells.take()?,
        provision_state: cells.take()?,
        power_state: cells.take()?,
        failures: cells.take()?,
        boot_mode: cells.take()?,
        secure_boot: cells.take()?,
        health: cells.take()?,
        has_vendor: cells.take()?,
    })
}
