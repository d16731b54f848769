//! What must hold after a trouble: nothing that destroys data was done twice, and no node had two conductors at once. Read
//! from the journal, where each effect has its conductor, its beginning and its end, and from the machines' own record.

use super::site::Site;
use super::trouble::Harm;
use super::work::{Order, Work};
use anyhow::{Context as _, Result, ensure};
use db::JournalRow;
use model::{NodeUuid, Timestamp};
use sim::{BmcOrder, OperationKind, Outcome};
use std::collections::{BTreeMap, BTreeSet};

/// Journal lines read of a node: more than an order has.
const LINES: usize = 400;

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Proved {
    /// Effects in the journal.
    pub(super) effects: usize,
    /// Effects that another conductor recorded than the one before it, of the same node.
    pub(super) moved: usize,
    /// Commands that BMCs carried out and that changed something.
    pub(super) commands: usize,
}

/// Checks all of it.
pub(super) async fn check(site: &Site, work: &Work, harm: &Harm) -> Result<Proved> {
    nothing_twice(work)?;
    let mut proved = Proved::default();
    let mut all = Vec::new();
    for order in &work.orders {
        let node = NodeUuid::from_uuid(order.machine.uuid());
        let mut rows = site.db.journal(node, LINES).await?;
        rows.sort_by_key(|row| row.intent_at);
        let now = rows.partition_point(|row| row.intent_at < work.since);
        let first = rows.get(now).map(|row| &row.conductor);
        let moved_before = rows.iter().take(now).any(|row| Some(&row.conductor) != first);
        few_consoles(order, harm, moved_before)?;
        rows.drain(..now);
        proved.effects += rows.len();
        proved.moved += rows.windows(2).filter(|pair| pair[0].conductor != pair[1].conductor).count();
        one_at_a_time(&rows, harm).with_context(|| order.machine.name().to_owned())?;
        let told = order.machine.bmc_orders();
        proved.commands += told.len();
        who_was_followed_changes_nothing(&told).with_context(|| order.machine.name().to_owned())?;
        all.extend(rows);
    }
    epochs_never_go_back(&all)?;
    ensure!(proved.effects > 0, "the journal is empty: nothing was proved");
    Ok(proved)
}

/// No BMC was asked two things at once. Who was stopped for a while cannot close its sessions before others open theirs: it
/// does so when it wakes up, which is a second console. So is who had the node in a round before, and closes what it has not
/// used since. Neither changes anything: see [`who_was_followed_changes_nothing`].
fn few_consoles(order: &Order, harm: &Harm, moved_before: bool) -> Result<()> {
    let most = if harm.wakes || moved_before { 2 } else { 1 };
    let (name, consoles) = (order.machine.name(), order.machine.most_consoles());
    ensure!(consoles <= most, "{name}: {consoles} consoles waited for its BMC at once");
    Ok(())
}

/// Each operation that destroys data was done once, to its end, and nothing was done that nobody ordered.
fn nothing_twice(work: &Work) -> Result<()> {
    for order in &work.orders {
        let name = order.machine.name();
        let done = order.done();
        let kind = order.job.destroys();
        let of: Vec<_> = done.iter().filter(|operation| operation.kind == kind).collect();
        ensure!(
            of.len() == 1 && of[0].outcome == Outcome::Done,
            "{name}, {:?}: {kind:?} was done {} times: {of:?}",
            order.job,
            of.len()
        );
        let other = done.iter().find(|operation| {
            let known = [kind, OperationKind::Other].contains(&operation.kind);
            !known && !order.job.may_repeat(operation.kind)
        });
        ensure!(other.is_none(), "{name}, {:?}: nobody ordered {other:?}", order.job);
    }
    Ok(())
}

/// Of effects of one node, in the order of their intents: none begins while another conductor's is open, unless that one was
/// hit and its lease had run out.
fn one_at_a_time(rows: &[JournalRow], harm: &Harm) -> Result<()> {
    for (index, first) in rows.iter().enumerate() {
        for second in &rows[index + 1..] {
            let ended = first.outcome_at.is_some_and(|at| at <= second.intent_at);
            if ended || first.conductor == second.conductor {
                continue;
            }
            let host = first.conductor.as_deref().unwrap_or_default();
            ensure!(
                harm.may_be_succeeded(host, first.intent_at, second.intent_at),
                "{host} was at {first:?} when another conductor began {second:?}; harm: {harm:?}"
            );
        }
    }
    Ok(())
}

/// Once somebody has changed something over another session, nothing is changed over an earlier one any more, whosoever's it
/// is: a conductor has one session with a BMC at a time, and who takes over opens its own.
fn who_was_followed_changes_nothing(told: &[BmcOrder]) -> Result<()> {
    let mut followed = BTreeSet::new();
    for pair in told.windows(2) {
        let [before, order] = pair else { continue };
        if before.console != order.console {
            followed.insert(before.console);
        }
        ensure!(
            !followed.contains(&order.console),
            "{order:?} came over a session that was followed: {told:?}"
        );
    }
    Ok(())
}

/// A registration that ended records nothing any more: whatever a later one of the same conductor did comes after.
fn epochs_never_go_back(rows: &[JournalRow]) -> Result<()> {
    let mut of: BTreeMap<&str, Vec<(Timestamp, i64)>> = BTreeMap::new();
    for row in rows {
        let (host, epoch) = (row.conductor.as_deref(), row.epoch);
        let host = host.with_context(|| format!("nobody is named for {row:?}"))?;
        let epoch = epoch.with_context(|| format!("no registration is named for {row:?}"))?;
        of.entry(host).or_default().push((row.intent_at, epoch));
    }
    for (host, mut epochs) in of {
        epochs.sort();
        let back = epochs.windows(2).find(|pair| pair[1].1 < pair[0].1 && pair[1].0 > pair[0].0);
        ensure!(back.is_none(), "{host} wrote under an ended registration: {back:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::FlowId;

    fn row(seq: i64, conductor: &str, epoch: i64, from: i64, to: Option<i64>) -> JournalRow {
        JournalRow {
            node: NodeUuid::from_uuid(uuid::Uuid::nil()),
            flow: FlowId::from_uuid(uuid::Uuid::nil()),
            seq,
            step: "deploy.write_image".to_owned(),
            effect: "{}".to_owned(),
            intent_at: Timestamp::from_micros(from),
            outcome: to.map(|_| "done".to_owned()),
            outcome_at: to.map(Timestamp::from_micros),
            conductor: Some(conductor.to_owned()),
            epoch: Some(epoch),
        }
    }

    #[test]
    fn two_conductors_at_once_are_seen() {
        let quiet = Harm::none(Timestamp::from_micros(0));
        let good = [row(1, "a", 1, 10, Some(20)), row(2, "b", 1, 20, Some(30)), row(3, "a", 1, 40, None)];
        one_at_a_time(&good, &quiet).unwrap();
        let both = [row(1, "a", 1, 10, Some(25)), row(2, "b", 1, 20, Some(30))];
        assert!(one_at_a_time(&both, &quiet).is_err());
        let open = [row(1, "a", 1, 10, None), row(2, "b", 1, 20, Some(30))];
        assert!(one_at_a_time(&open, &quiet).is_err());
        let same = [row(1, "a", 1, 10, None), row(2, "a", 2, 20, Some(30))];
        one_at_a_time(&same, &quiet).unwrap();
    }

    #[test]
    fn a_zombie_that_commands_is_seen() {
        let order = |port| BmcOrder {
            console: ([127, 0, 0, 1], port).into(),
            what: sim::BmcCommand::BootDevice(sim::BootDevice::Pxe),
            at: std::time::Duration::ZERO,
        };
        who_was_followed_changes_nothing(&[order(1), order(1), order(2), order(3), order(3)]).unwrap();
        assert!(who_was_followed_changes_nothing(&[order(1), order(2), order(1)]).is_err());
        assert!(who_was_followed_changes_nothing(&[order(1), order(2), order(3), order(2)]).is_err());
    }

    #[test]
    fn a_zombie_that_writes_is_seen() {
        let good = [row(1, "a", 1, 10, Some(20)), row(2, "a", 3, 30, None), row(3, "a", 3, 40, None)];
        epochs_never_go_back(&good).unwrap();
        let bad = [row(1, "a", 1, 10, None), row(2, "a", 3, 30, None), row(3, "a", 1, 40, None)];
        assert!(epochs_never_go_back(&bad).is_err());
    }
}
