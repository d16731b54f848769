//! Steps that the agent offers and the conductor has it carry out: cleaning, deployment, service.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Which list a step belongs to; it names the extension, the commands and the keys of their results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StepKind {
    /// Between tenants.
    Clean,
    /// Before a tenant.
    Deploy,
    /// During a tenant's time.
    Service,
}

impl StepKind {
    /// `clean`, `deploy` or `service`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Deploy => "deploy",
            Self::Service => "service",
        }
    }

    /// The command that lists the steps: `clean.get_clean_steps`.
    pub fn get_command(self) -> String {
        format!("{0}.get_{0}_steps", self.as_str())
    }

    /// The command that carries out a step: `clean.execute_clean_step`.
    pub fn execute_command(self) -> String {
        format!("{0}.execute_{0}_step", self.as_str())
    }

    /// Key of the lists in [`StepsReply`]: `clean_steps`.
    pub fn steps_key(self) -> String {
        format!("{}_steps", self.as_str())
    }

    /// Key of the outcome in [`StepOutcome`]: `clean_result`.
    pub fn result_key(self) -> String {
        format!("{}_result", self.as_str())
    }

    /// Key of the step in [`StepOutcome`]: `clean_step`.
    pub fn step_key(self) -> String {
        format!("{}_step", self.as_str())
    }

    /// Parameter that carries the versions of the hardware managers: `clean_version`.
    pub fn version_key(self) -> String {
        format!("{}_version", self.as_str())
    }
}

/// A step as the agent offers it, or (with `args`) as the conductor has it carried out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentStep {
    /// Its name.
    pub step: String,
    /// The hardware interface it belongs to: `deploy`, `raid`, …
    pub interface: String,
    /// Higher runs earlier; 0 runs only when asked for.
    #[serde(default)]
    pub priority: i64,
    /// Whether it may be stopped half-way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abortable: Option<bool>,
    /// Whether the machine must reboot afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot_requested: Option<bool>,
    /// `{argument: {description, required}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argsinfo: Option<Map<String, Value>>,
    /// Whether the ramdisk must run for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires_ramdisk: Option<bool>,
    /// Arguments of a step to be carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Map<String, Value>>,
    /// Keys of plug-ins and newer agents, kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Versions of the agent's hardware managers, by name.
pub type ManagerVersions = BTreeMap<String, String>;

/// Result of `get_*_steps`: steps by hardware manager.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepsReply {
    /// Steps by the name of the hardware manager that offers them.
    pub steps: BTreeMap<String, Vec<AgentStep>>,
    /// Versions of the hardware managers.
    pub hardware_manager_version: ManagerVersions,
}

impl StepsReply {
    /// The JSON object of the wire.
    pub fn to_value(&self, kind: StepKind) -> Value {
        let steps = serde_json::to_value(&self.steps).unwrap_or_default();
        serde_json::json!({ kind.steps_key(): steps, "hardware_manager_version": self.hardware_manager_version })
    }

    /// Reads the JSON object of the wire.
    pub fn from_value(kind: StepKind, value: &Value) -> Result<Self, serde_json::Error> {
        let member = |key: &str| value.get(key).filter(|member| !member.is_null());
        let steps = member(&kind.steps_key()).map_or(Ok(BTreeMap::new()), Deserialize::deserialize)?;
        let versions: BTreeMap<String, Value> =
            member("hardware_manager_version").map_or(Ok(BTreeMap::new()), Deserialize::deserialize)?;
        let hardware_manager_version = versions
            .into_iter()
            .map(|(name, version)| match version {
                Value::String(text) => (name, text),
                other => (name, other.to_string()),
            })
            .collect();
        Ok(Self { steps, hardware_manager_version })
    }
}

/// Result of `execute_*_step`.
#[derive(Clone, Debug, PartialEq)]
pub struct StepOutcome {
    /// What the step returned; often null.
    pub result: Value,
    /// The step that was asked for, as it was asked for.
    pub step: Value,
}

impl StepOutcome {
    /// The JSON object of the wire.
    pub fn to_value(&self, kind: StepKind) -> Value {
        serde_json::json!({ kind.result_key(): self.result, kind.step_key(): self.step })
    }

    /// Reads the JSON object of the wire; `None` when it holds no step.
    pub fn from_value(kind: StepKind, value: &Value) -> Option<Self> {
        let step = value.get(kind.step_key())?.clone();
        Some(Self { result: value.get(kind.result_key()).cloned().unwrap_or_default(), step })
    }
}
