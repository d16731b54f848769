//! Why a step failed: a code with a page of its own, what happened, and what to do next.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal;)*) => {
        /// A stable code; `docs/errors/<code>.md` explains each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $code)] $variant,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code as shown: `E` and four digits.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }
        }
    };
}

codes! {
    /// The BMC does not answer.
    BmcUnreachable = "E0101";
    /// The BMC refuses the credentials.
    BmcCredentials = "E0102";
    /// The BMC answered with an error.
    BmcRefused = "E0103";
    /// The machine did not reach the power state in time.
    PowerStuck = "E0104";
    /// `driver_info` lacks something or is malformed.
    DriverInfo = "E0105";
    /// An interface of the node was given something that it does not take.
    InterfaceArguments = "E0106";
    /// The clock of the BMC is wrong and cannot be set.
    BmcClock = "E0107";
    /// The image could not be fetched.
    ImageFetch = "E0201";
    /// The image is not what was declared: checksum, format or size.
    ImageMismatch = "E0202";
    /// `instance_info` lacks something or is malformed.
    InstanceInfo = "E0203";
    /// The config drive could not be built or fetched.
    ConfigDrive = "E0204";
    /// The ramdisk's agent never called.
    AgentSilent = "E0301";
    /// The agent stopped answering during a step.
    AgentLost = "E0302";
    /// The agent started anew during a step.
    AgentRestarted = "E0303";
    /// The agent reported that a step failed.
    AgentStepFailed = "E0304";
    /// The agent could not be told to do something.
    AgentCommand = "E0305";
    /// No data came from the inspection's ramdisk.
    InspectionSilent = "E0306";
    /// What the inspection found was not accepted.
    InspectionFailed = "E0307";
    /// A caller aborted the operation.
    Aborted = "E0401";
    /// A step took longer than allowed.
    StepTimeout = "E0402";
    /// A step that nobody offers was asked for.
    UnknownStep = "E0403";
    /// A step was given arguments that it does not take, or lacks one.
    StepArguments = "E0404";
    /// The hardware knows nothing of a step that it began.
    StepLost = "E0405";
    /// A child of the node is being worked on by somebody else.
    ChildBusy = "E0406";
    /// The runbook of an automated cleaning is not there, or is not for the node.
    CleaningRunbook = "E0407";
    /// Nothing was heard of a machine that was to boot.
    BootSilent = "E0501";
    /// The machine boots from a port that is not enrolled.
    BootOtherPort = "E0502";
    /// The machine took another DHCP server's offer.
    BootOtherDhcp = "E0503";
    /// The machine got no address.
    BootNoAddress = "E0504";
    /// There is no boot loader for the machine's firmware.
    BootFirmware = "E0505";
    /// The machine was named a boot file and did not ask for it.
    BootFileNotAsked = "E0506";
    /// The boot loader's transfer broke off.
    BootTransfer = "E0507";
    /// The boot loader could not be served.
    BootLoaderMissing = "E0508";
    /// The machine loaded a boot loader of another architecture.
    BootWrongLoader = "E0509";
    /// iPXE never asked for its script.
    BootNoScript = "E0510";
    /// iPXE asked for its script and got none.
    BootScriptRefused = "E0511";
    /// iPXE did not fetch the kernel.
    BootKernel = "E0512";
    /// iPXE did not fetch the ramdisk.
    BootRamdisk = "E0513";
    /// The ramdisk was fetched, and its agent never asked who it is.
    BootNoLookup = "E0514";
    /// The agent's lookup was refused.
    BootLookupRefused = "E0515";
    /// The agent was told who it is, and never called.
    BootNoHeartbeat = "E0516";
    /// The agent's heartbeat was refused.
    BootHeartbeatRefused = "E0517";
    /// The machine booted its disk instead.
    BootDisk = "E0518";
    /// The machine starts over again and again.
    BootLoop = "E0519";
    /// The port that the machine boots from is given nothing to boot.
    BootNothing = "E0520";
    /// The service itself failed.
    Internal = "E0901";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The failure of one step, as it reaches `last_error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}{}{hint}", if hint.is_empty() { "" } else { " " })]
pub struct StepError {
    /// The code.
    pub code: ErrorCode,
    /// What was tried and what came back.
    pub message: String,
    /// The next step for the operator; may be empty.
    pub hint: String,
}

impl StepError {
    /// A failure without a hint.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: String::new() }
    }

    /// Adds what the operator should do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page() {
        let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
        for code in ErrorCode::ALL {
            let page = pages.join(format!("{code}.md"));
            let text =
                std::fs::read_to_string(&page).unwrap_or_else(|_| panic!("{} is missing", page.display()));
            assert!(text.starts_with(&format!("# {code}: ")), "{} has no title", page.display());
        }
    }

    #[test]
    fn text_has_code_message_and_hint() {
        let error =
            StepError::new(ErrorCode::AgentSilent, "no call in 1800 s").hint("Look at the boot trace.");
        assert_eq!(error.to_string(), "E0301: no call in 1800 s Look at the boot trace.");
    }
}
