//! Errors of drivers: what was tried, what came back, and whether trying again can help.

use provision::{ErrorCode, StepError};

/// An error and its causes in one line: `tried this: because of that`. Causes that the text already has are left out.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// What may follow a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Trying again may help.
    Transient,
    /// It will fail the same way until the node's data change.
    Permanent,
    /// A person has to look at the machine.
    NeedsOperator,
}

/// A driver's failure. The driver has already used up its own retries.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{error}")]
pub struct DriverError {
    error: StepError,
    retry: Retry,
}

impl DriverError {
    /// A failure with its code, its text, and what may follow.
    pub fn new(code: ErrorCode, retry: Retry, message: impl Into<String>) -> Self {
        Self { error: StepError::new(code, message), retry }
    }

    /// Adds what the operator should do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.error = self.error.hint(hint);
        self
    }

    /// A key of `driver_info` is missing or unusable.
    pub fn driver_info(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::DriverInfo, Retry::Permanent, message)
    }

    /// A key of `instance_info` is missing or unusable.
    pub fn instance_info(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InstanceInfo, Retry::Permanent, message)
    }

    /// An interface was given something that it does not take.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InterfaceArguments, Retry::Permanent, message)
    }

    /// What may follow.
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// The code.
    pub fn code(&self) -> ErrorCode {
        self.error.code
    }

    /// As the step's failure.
    pub fn into_step_error(self) -> StepError {
        self.error
    }
}
