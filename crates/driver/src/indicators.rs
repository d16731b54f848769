//! Indicators of a machine: what management may be able to do with its lights.

use model::{Indicator, IndicatorName, IndicatorState, Node};

use crate::Answer;

/// The lights of a node.
pub trait Indicators: Send + Sync {
    /// Every light that the machine has.
    fn list<'a>(&'a self, node: &'a Node) -> Answer<'a, Vec<Indicator>>;

    /// What a light of the list does now.
    fn state<'a>(&'a self, node: &'a Node, name: &'a IndicatorName) -> Answer<'a, IndicatorState>;

    /// Sets a light of the list, which is not read only, to one of its states. May be repeated.
    fn set<'a>(&'a self, node: &'a Node, name: &'a IndicatorName, state: IndicatorState) -> Answer<'a, ()>;
}
