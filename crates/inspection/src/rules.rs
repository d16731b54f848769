//! Inspection rules: conditions about a machine, and what is done to its node when all of them hold.
//!
//! A rule is read once, completely checked, and then run over a [`Subject`]. The words and their meaning are those of
//! the Bare Metal API; `{inventory[cpu][count]}` in an argument stands for the value there.

mod action;
mod condition;
mod run;
mod statement;
mod template;

pub use run::{ApiCall, LogLine, Masking, Report, RuleError, Severity, Subject, run};
pub use statement::{ACTIONS, CONDITIONS, InvalidRule, Operation, check_actions, check_conditions};

use serde_json::Value;
use statement::Statement;

/// A rule that can be run.
#[derive(Debug, Clone)]
pub struct Rule {
    label: String,
    priority: i64,
    sensitive: bool,
    conditions: Vec<Statement>,
    actions: Vec<Statement>,
}

impl Rule {
    /// Reads a rule; `label` names it in messages.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(
        label: impl Into<String>,
        (priority, sensitive): (i64, bool),
        conditions: &[Value],
        actions: &[Value],
    ) -> Result<Self, InvalidRule> {
        Ok(Self {
            label: label.into(),
            priority,
            sensitive,
            conditions: statement::conditions(conditions)?,
            actions: statement::actions(actions)?,
        })
    }
}
