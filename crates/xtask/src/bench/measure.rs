//! Measuring: each row on each server in turns, then latencies with many connections, then memory.

use super::Targets;
use super::load::{self, Call, Target, Turn};
use super::rows::{ROWS, Row};
use super::usage::Memory;
use crate::say;
use anyhow::Result;
use std::time::Duration;

/// Connections of the turns that are compared. One is enough to keep a stock Ironic busy: it has one interpreter.
const CONNECTIONS: usize = 8;
const PEER_CONNECTIONS: usize = 1;
/// Connections of the turns for latencies.
const CROWD: usize = 64;
/// Clients that walk while memory is looked at.
const WALKERS: usize = 8;

/// How long and how often.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) rounds: usize,
    pub(super) turn: Duration,
    pub(super) nodes: usize,
    pub(super) only: Vec<String>,
}

/// Medians of a server's turns.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(super) struct Figures {
    pub(super) per_second: f64,
    /// Of the server's own process.
    pub(super) cpu_ms: f64,
    /// With those that work for it.
    pub(super) cpu_all_ms: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) bytes: usize,
}

/// A row as measured.
#[derive(Debug, serde::Serialize)]
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) ours: Figures,
    pub(super) floor: Figures,
    /// A bare server that sends as many bytes and looks nothing up.
    pub(super) fixed: Figures,
    pub(super) ironic: Option<Figures>,
    /// Ours with many connections.
    pub(super) crowd: Option<Figures>,
}

/// Everything.
#[derive(Debug, serde::Serialize)]
pub(super) struct Measured {
    pub(super) lines: Vec<Line>,
    pub(super) idle: Memory,
    pub(super) walked: Memory,
    pub(super) ironic_idle: Option<Memory>,
}

/// Measures all rows that are wanted.
pub(super) async fn all(targets: &Targets, plan: &Plan) -> Result<Measured> {
    let idle = targets.ours.memory()?;
    let ironic_idle = targets.peer.as_ref().map(Target::memory).transpose()?;
    let walked = while_walking(&targets.ours, plan).await?;
    let mut lines = Vec::new();
    for row in ROWS {
        if plan.only.is_empty() || plan.only.iter().any(|part| row.name.contains(part.as_str())) {
            say(row.name);
            lines.push(line(targets, plan, row).await?);
        }
    }
    Ok(Measured { lines, idle, walked, ironic_idle })
}

async fn line(targets: &Targets, plan: &Plan, row: &Row) -> Result<Line> {
    let number = |i: u64| usize::try_from(i).unwrap_or_default();
    let call = |i: u64| (row.call)(plan.nodes, number(i));
    let of_floor = |i: u64| (row.floor)(plan.nodes, number(i));
    let mut turns: [Vec<Turn>; 4] = Default::default();
    // Once without measuring: statements are prepared, pages are read.
    let warm = load::turn(&targets.ours, CONNECTIONS, plan.turn / 10, &call).await?;
    let fixed = format!("/fixed/{}", warm.bytes);
    let of_fixed = |_: u64| Call::get(fixed.clone());
    for _ in 0..plan.rounds {
        turns[0].push(load::turn(&targets.ours, CONNECTIONS, plan.turn, &call).await?);
        turns[1].push(load::turn(&targets.floor, CONNECTIONS, plan.turn, &of_floor).await?);
        turns[2].push(load::turn(&targets.floor, CONNECTIONS, plan.turn / 2, &of_fixed).await?);
        if let Some(peer) = &targets.peer {
            turns[3].push(load::turn(peer, PEER_CONNECTIONS, plan.turn, &call).await?);
        }
    }
    let crowd = if row.single {
        Some(Figures::median(&[load::turn(&targets.ours, CROWD, plan.turn, &call).await?]))
    } else {
        None
    };
    let [ours, floor, fixed, ironic] = turns;
    Ok(Line {
        name: row.name,
        ours: Figures::median(&ours),
        floor: Figures::median(&floor),
        fixed: Figures::median(&fixed),
        ironic: (!ironic.is_empty()).then(|| Figures::median(&ironic)),
        crowd,
    })
}

/// The most memory that our service has while its nodes are walked.
async fn while_walking(ours: &Target, plan: &Plan) -> Result<Memory> {
    say("memory while nodes are walked");
    let call = |_: u64| Call::walk("/v1/nodes/detail?limit=1000");
    let walking = load::turn(ours, WALKERS, plan.turn, &call);
    tokio::pin!(walking);
    let mut most = Memory::default();
    loop {
        let look = tokio::time::sleep(Duration::from_millis(20));
        tokio::select! {
            turn = &mut walking => {
                turn?;
                return Ok(most.max(ours.memory()?));
            }
            () = look => most = most.max(ours.memory()?),
        }
    }
}

impl Figures {
    fn median(turns: &[Turn]) -> Self {
        let of = |value: &dyn Fn(&Turn) -> f64| {
            let mut values: Vec<f64> = turns.iter().map(value).collect();
            values.sort_unstable_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        Self {
            per_second: of(&|turn| turn.rate),
            cpu_ms: of(&|turn| ms(turn.processor.0)),
            cpu_all_ms: of(&|turn| ms(turn.processor.1)),
            p50_ms: of(&|turn| ms(turn.percentile(50))),
            p99_ms: of(&|turn| ms(turn.percentile(99))),
            bytes: turns.first().map_or(0, |turn| turn.bytes),
        }
    }
}
