//! Conductors and the hardware they offer.

use std::collections::BTreeMap;

use model::{Conductor, HardwareType, Timestamp};

use crate::DbError;
use crate::session::{Param, Row, Session, all, first};
use crate::statement::statements;
use crate::stored::{Stored as _, text};

/// What a conductor says of itself when it starts.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Its name, unique.
    pub hostname: String,
    /// The group whose nodes it takes; empty is the default group.
    pub conductor_group: String,
    /// What it can drive.
    pub hardware_types: Vec<HardwareType>,
}

/// One registration of a conductor: from when it registered until it does so again or is declared dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The conductor.
    pub hostname: String,
    /// Which of its registrations.
    pub epoch: i64,
}

impl From<&Conductor> for Term {
    fn from(row: &Conductor) -> Self {
        Self { hostname: row.hostname.clone(), epoch: row.epoch }
    }
}

impl Term {
    fn fenced(&self) -> DbError {
        DbError::Fenced { conductor: self.hostname.clone(), epoch: self.epoch }
    }
}

/// The channel of wake-ups that tell of conductors that came or went; the payload is the hostname.
pub const CHANNEL: &str = "conductors";

/// A hardware type and the conductor that offers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConductorHardware {
    /// The conductor.
    pub hostname: String,
    /// The group whose nodes it takes.
    pub conductor_group: String,
    /// Its last sign of life.
    pub updated_at: Option<Timestamp>,
    /// What it offers.
    pub hardware_type: HardwareType,
}

const SELECT: &str = "SELECT id, hostname, conductor_group, online, created_at, updated_at, epoch, \
    (SELECT string_agg(d.hardware_type, ',' ORDER BY d.hardware_type) FROM conductor_drivers d \
     WHERE d.conductor_id = conductors.id) FROM conductors";

statements! {
    REGISTER = "INSERT INTO conductors (hostname, conductor_group, online, created_at, updated_at, epoch) \
        VALUES (?1, ?2, 1, ?3, ?3, 1) ON CONFLICT (hostname) DO UPDATE SET conductor_group = excluded.conductor_group, \
        online = 1, updated_at = excluded.updated_at, epoch = conductors.epoch + 1 RETURNING id";
    FORGET_DRIVERS = "DELETE FROM conductor_drivers WHERE conductor_id = ?1";
    FORGET_INTERFACES = "DELETE FROM conductor_interfaces WHERE conductor_id = ?1";
    ADD_DRIVER = "INSERT INTO conductor_drivers (conductor_id, hardware_type, properties) VALUES (?1, ?2, ?3)";
    ADD_INTERFACE = "INSERT INTO conductor_interfaces \
        (conductor_id, hardware_type, interface_type, position, implementation) VALUES (?1, ?2, ?3, ?4, ?5)";
    TOUCH = "UPDATE conductors SET online = 1, updated_at = ?3 WHERE hostname = ?1 AND epoch = ?2";
    OFFLINE = "UPDATE conductors SET online = 0, updated_at = ?3, epoch = epoch + 1 WHERE hostname = ?1 AND epoch = ?2";
    DECLARE_DEAD = "UPDATE conductors SET online = 0, epoch = epoch + 1 \
        WHERE hostname = ?1 AND epoch = ?2 AND updated_at = ?3 AND online = 1";
    IS_CURRENT = "SELECT 1 FROM conductors WHERE hostname = ?1 AND epoch = ?2";
    // One that still holds a node or a flow is not forgotten.
    FORGET = "DELETE FROM conductors WHERE id IN (SELECT id FROM conductors c WHERE c.updated_at < ?1 \
        AND NOT EXISTS (SELECT 1 FROM nodes WHERE nodes.lease_holder = c.hostname) \
        AND NOT EXISTS (SELECT 1 FROM flows WHERE flows.conductor = c.hostname) ORDER BY id LIMIT ?2)";
    LIST = format!("{SELECT} ORDER BY id");
    GET = format!("{SELECT} WHERE hostname = ?1");
    DRIVERS = "SELECT c.id, c.hostname, c.conductor_group, c.updated_at, d.hardware_type, d.properties \
        FROM conductors c JOIN conductor_drivers d ON d.conductor_id = c.id WHERE c.online = 1 \
        ORDER BY d.hardware_type, c.id";
    INTERFACES = "SELECT i.conductor_id, i.hardware_type, i.interface_type, i.implementation \
        FROM conductor_interfaces i JOIN conductors c ON c.id = i.conductor_id WHERE c.online = 1 \
        ORDER BY i.conductor_id, i.hardware_type, i.interface_type, i.position";
}

/// Enters a conductor, or what it offers now; it is online afterwards.
pub(crate) fn register(session: &mut dyn Session, it: &Registration) -> Result<Conductor, DbError> {
    let now = Timestamp::now();
    let params = [text(&it.hostname), text(&it.conductor_group), now.param()];
    let id: i64 = first(session, &REGISTER, &params, |row| row.take(0))?.ok_or(DbError::Closed)?;
    for forget in [&FORGET_INTERFACES, &FORGET_DRIVERS] {
        session.execute(forget.into(), &[Param::Int(id)])?;
    }
    for hardware in &it.hardware_types {
        let properties = serde_json::to_string(&hardware.properties).unwrap_or_default();
        session
            .execute((&ADD_DRIVER).into(), &[Param::Int(id), text(&hardware.name), properties.param()])
            .map_err(|error| error.with_value(|_| hardware.name.clone()))?;
        for (kind, implementations) in &hardware.interfaces {
            for (position, implementation) in (0..).zip(implementations) {
                let params = [
                    Param::Int(id),
                    text(&hardware.name),
                    text(kind.as_str()),
                    Param::Int(position),
                    text(implementation),
                ];
                session.execute((&ADD_INTERFACE).into(), &params)?;
            }
        }
    }
    session.notify(CHANNEL, &it.hostname)?;
    get(session, &it.hostname)?.ok_or(DbError::Closed)
}

/// Notes a sign of life.
pub(crate) fn touch(session: &mut dyn Session, by: &Term) -> Result<(), DbError> {
    mark(session, &TOUCH, by)
}

/// Forgets conductors that gave no sign of life since `silent_since`, so many at most; how many those were.
pub(crate) fn forget(session: &mut dyn Session, silent_since: Timestamp, most: u32) -> Result<u64, DbError> {
    session.execute((&FORGET).into(), &[silent_since.param(), Param::Int(most.into())])
}

/// Notes a graceful stop: nothing that it still says counts any more.
pub(crate) fn set_offline(session: &mut dyn Session, by: &Term) -> Result<(), DbError> {
    mark(session, &OFFLINE, by)?;
    session.notify(CHANNEL, &by.hostname)
}

/// Declares a conductor dead, unless it gave a sign of life since `last` was read; whether it did.
pub(crate) fn declare_dead(session: &mut dyn Session, last: &Conductor) -> Result<bool, DbError> {
    let params = [text(&last.hostname), Param::Int(last.epoch), last.updated_at.param()];
    let declared = session.execute((&DECLARE_DEAD).into(), &params)? > 0;
    if declared {
        session.notify(CHANNEL, &last.hostname)?;
    }
    Ok(declared)
}

/// Refuses what a conductor says that registered again since, or was declared dead.
pub(crate) fn check(session: &mut dyn Session, by: &Term) -> Result<(), DbError> {
    let params = [text(&by.hostname), Param::Int(by.epoch)];
    let found: Option<i64> = first(session, &IS_CURRENT, &params, |row| row.take(0))?;
    found.map(drop).ok_or_else(|| by.fenced())
}

/// All conductors, in the order of their first registration.
pub(crate) fn list(session: &mut dyn Session) -> Result<Vec<Conductor>, DbError> {
    all(session, &LIST, &[], decode)
}

/// One conductor.
pub(crate) fn get(session: &mut dyn Session, hostname: &str) -> Result<Option<Conductor>, DbError> {
    first(session, &GET, &[text(hostname)], decode)
}

/// What the conductors that are online offer, by hardware type.
pub(crate) fn hardware(session: &mut dyn Session) -> Result<Vec<ConductorHardware>, DbError> {
    let mut interfaces: BTreeMap<(i64, String), BTreeMap<_, Vec<String>>> = BTreeMap::new();
    session.query((&INTERFACES).into(), &[], &mut |row| {
        let kind = row.take::<String>(2)?;
        let kind = kind.parse().map_err(|_| DbError::Malformed { column: "interface_type".to_owned() })?;
        interfaces
            .entry((row.take(0)?, row.take(1)?))
            .or_default()
            .entry(kind)
            .or_default()
            .push(row.take(3)?);
        Ok(())
    })?;
    let drivers = all(session, &DRIVERS, &[], |row| {
        let properties: String = row.take(5)?;
        let properties = serde_json::from_str(&properties)
            .map_err(|_| DbError::Malformed { column: "properties".to_owned() })?;
        let hardware_type = HardwareType { name: row.take(4)?, interfaces: BTreeMap::new(), properties };
        let (hostname, conductor_group, updated_at) = (row.take(1)?, row.take(2)?, row.take(3)?);
        let id: i64 = row.take(0)?;
        Ok((id, ConductorHardware { hostname, conductor_group, updated_at, hardware_type }))
    })?;
    let complete = |(id, mut offer): (i64, ConductorHardware)| {
        let key = (id, offer.hardware_type.name.clone());
        offer.hardware_type.interfaces = interfaces.remove(&key).unwrap_or_default();
        offer
    };
    Ok(drivers.into_iter().map(complete).collect())
}

fn mark(
    session: &mut dyn Session,
    statement: &'static crate::statement::Statement,
    by: &Term,
) -> Result<(), DbError> {
    let now = Timestamp::now();
    let params = [text(&by.hostname), Param::Int(by.epoch), now.param()];
    match session.execute(statement.into(), &params)? {
        0 => Err(by.fenced()),
        _ => Ok(()),
    }
}

fn decode(row: &Row<'_>) -> Result<Conductor, DbError> {
    let drivers: Option<String> = row.take(7)?;
    Ok(Conductor {
        id: row.take(0)?,
        hostname: row.take(1)?,
        conductor_group: row.take(2)?,
        drivers: drivers.map(|names| names.split(',').map(str::to_owned).collect()).unwrap_or_default(),
        online: row.take(3)?,
        created_at: row.take(4)?,
        updated_at: row.take(5)?,
        epoch: row.take(6)?,
    })
}
