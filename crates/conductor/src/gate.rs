//! One decision at a time per node: writers of the same node queue here, instead of undoing each other in the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::NodeUuid;
use tokio::sync::OwnedMutexGuard;

/// The gates of the nodes that somebody passes just now.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    open: Mutex<HashMap<NodeUuid, Arc<tokio::sync::Mutex<()>>>>,
}

impl Gates {
    /// Waits for the node's gate; it is free again when the guard is dropped.
    pub(crate) async fn pass(&self, node: NodeUuid) -> OwnedMutexGuard<()> {
        let gate = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody holds or waits for those that only the map knows: forgotten from time to time.
            if open.len() >= 1024 && open.len().is_power_of_two() {
                open.retain(|_, gate| Arc::strong_count(gate) > 1);
            }
            Arc::clone(open.entry(node).or_default())
        };
        gate.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_per_node() {
        let gates = Gates::default();
        let (one, two) = (NodeUuid::random(), NodeUuid::random());
        let held = gates.pass(one).await;
        let _other = gates.pass(two).await;
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(20), gates.pass(one)).await;
        assert!(waiting.is_err());
        drop(held);
        drop(gates.pass(one).await);
    }
}
