//! Steps of deploy templates and runbooks: rows of their own, in the order given.

use std::collections::HashMap;

use model::PlannedStep;

use crate::DbError;
use crate::filter::Conditions;
use crate::session::{Cells, Param, Session, all};
use crate::statement::insert_rows;
use crate::stored::{Stored as _, text};

/// Owners whose steps are read in one statement.
const OWNERS: usize = 1024;

/// The steps of each of `owners`, from the table `table`.
pub(crate) fn of(
    session: &mut dyn Session,
    table: &str,
    owners: &[i64],
) -> Result<HashMap<i64, Vec<PlannedStep>>, DbError> {
    let mut steps: HashMap<i64, Vec<PlannedStep>> = HashMap::new();
    for owners in owners.chunks(OWNERS) {
        let mut conditions = Conditions::default();
        conditions.one_of("owner_id", Some(owners))?;
        let select = format!("SELECT owner_id, interface, step, args, priority FROM {table}");
        let (mut statement, params) = conditions.whole(&select);
        statement.push_str(" ORDER BY owner_id, position");
        let rows = all(session, &statement, &params, |row| {
            let mut cells = Cells::new(row);
            let owner: i64 = cells.take()?;
            let step = PlannedStep {
                interface: cells.take()?,
                step: cells.take()?,
                args: cells.take()?,
                priority: cells.take()?,
            };
            Ok((owner, step))
        })?;
        for (owner, step) in rows {
            steps.entry(owner).or_default().push(step);
        }
    }
    Ok(steps)
}

/// Gives `owner` these steps in place of those it has.
pub(crate) fn replace(
    session: &mut dyn Session,
    table: &str,
    owner: i64,
    steps: &[PlannedStep],
) -> Result<(), DbError> {
    let clear = format!("DELETE FROM {table} WHERE owner_id = ?1");
    session.execute((&clear).into(), &[Param::Int(owner)])?;
    let rows = (0..).zip(steps).map(|(position, step)| {
        vec![
            Param::Int(owner),
            Param::Int(position),
            text(&step.interface),
            text(&step.step),
            step.args.param(),
            Param::Int(step.priority),
        ]
    });
    insert_rows(session, table, &["owner_id", "position", "interface", "step", "args", "priority"], rows)
}
