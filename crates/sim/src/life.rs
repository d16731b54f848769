//! What happens on a machine from power on to power off.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::agent;
use crate::fault::FaultKind;
use crate::firmware::{self, Target};
use crate::machine::{Machine, Phase};

/// Lives until the caller drops this future, which is when the power goes.
pub(crate) async fn live(machine: &Arc<Machine>, power: &CancellationToken) {
    let timing = &machine.shared.timing;
    tokio::time::sleep(machine.sample(timing.firmware)).await;
    match firmware::choose(machine).await {
        Target::Disk => machine.set_phase(Phase::OwnSystem),
        Target::Nothing => machine.set_phase(Phase::NothingToBoot),
        Target::Ramdisk(parameters) => {
            machine.set_phase(Phase::RamdiskBooting);
            tokio::time::sleep(machine.sample(timing.ramdisk)).await;
            if !machine.has(FaultKind::AgentNeverCalls)
                && let Err(problem) = agent::run(machine, &parameters, power).await
            {
                machine.problem(problem);
            }
            machine.change(|state| {
                state.phase = Phase::AgentGone;
                state.agent_url = None;
            });
        }
    }
}
