//! Completion codes: the first byte of every response (IPMI table 5-2).

use core::fmt;

/// How a command ended on the BMC. Codes 0x80-0xBE mean something different for each command, so they stay numbers here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompletionCode {
    /// 0x00.
    Ok,
    /// 0xC0: the BMC is busy now; try again later.
    NodeBusy,
    /// 0xC1: the BMC does not know this command.
    InvalidCommand,
    /// 0xC2: the command is not for this LUN.
    InvalidForLun,
    /// 0xC3: the BMC took too long inside.
    ProcessingTimeout,
    /// 0xC4.
    OutOfSpace,
    /// 0xC5.
    ReservationInvalid,
    /// 0xC6.
    RequestTruncated,
    /// 0xC7: too few or too many bytes.
    RequestLengthInvalid,
    /// 0xC8.
    RequestLengthLimit,
    /// 0xC9.
    ParameterOutOfRange,
    /// 0xCA.
    CannotReturnBytes,
    /// 0xCB.
    NotPresent,
    /// 0xCC: a field of the request has a value that the BMC refuses.
    InvalidDataField,
    /// 0xCD.
    IllegalForSensor,
    /// 0xCE.
    NoResponse,
    /// 0xCF: a duplicate of a request that is being worked on.
    Duplicate,
    /// 0xD0.
    SdrUpdateMode,
    /// 0xD1: the firmware is being updated.
    FirmwareUpdateMode,
    /// 0xD2: the BMC is still starting.
    Initializing,
    /// 0xD3.
    DestinationUnavailable,
    /// 0xD4: the session's privilege is too low.
    InsufficientPrivilege,
    /// 0xD5: not possible in the present state.
    NotInThisState,
    /// 0xD6.
    SubFunctionDisabled,
    /// 0xFF: no more is said.
    Unspecified,
    /// Any other code; 0x80-0xBE are specific to the command.
    Other(u8),
}

const TABLE: [(u8, CompletionCode, &str); 25] = [
    (0x00, CompletionCode::Ok, "completed normally"),
    (0xC0, CompletionCode::NodeBusy, "BMC is busy"),
    (0xC1, CompletionCode::InvalidCommand, "command is not known to this BMC"),
    (0xC2, CompletionCode::InvalidForLun, "command is invalid for this LUN"),
    (0xC3, CompletionCode::ProcessingTimeout, "BMC ran out of time while working on the command"),
    (0xC4, CompletionCode::OutOfSpace, "BMC is out of storage space"),
    (0xC5, CompletionCode::ReservationInvalid, "reservation was cancelled or is invalid"),
    (0xC6, CompletionCode::RequestTruncated, "request data was truncated"),
    (0xC7, CompletionCode::RequestLengthInvalid, "request has the wrong length"),
    (0xC8, CompletionCode::RequestLengthLimit, "request is longer than the BMC takes"),
    (0xC9, CompletionCode::ParameterOutOfRange, "parameter is out of range"),
    (0xCA, CompletionCode::CannotReturnBytes, "BMC cannot return that many bytes"),
    (0xCB, CompletionCode::NotPresent, "requested sensor, data or record is not present"),
    (0xCC, CompletionCode::InvalidDataField, "request has a field with a value that the BMC refuses"),
    (0xCD, CompletionCode::IllegalForSensor, "command is illegal for this sensor or record type"),
    (0xCE, CompletionCode::NoResponse, "BMC could not provide the response"),
    (0xCF, CompletionCode::Duplicate, "request is a duplicate"),
    (0xD0, CompletionCode::SdrUpdateMode, "SDR repository is being updated"),
    (0xD1, CompletionCode::FirmwareUpdateMode, "firmware of the BMC is being updated"),
    (0xD2, CompletionCode::Initializing, "BMC is still starting"),
    (0xD3, CompletionCode::DestinationUnavailable, "destination is unavailable"),
    (0xD4, CompletionCode::InsufficientPrivilege, "session has not enough privilege"),
    (0xD5, CompletionCode::NotInThisState, "command or parameter is not possible in the present state"),
    (0xD6, CompletionCode::SubFunctionDisabled, "a part of the command is disabled"),
    (0xFF, CompletionCode::Unspecified, "unspecified error"),
];

impl CompletionCode {
    /// The code with this wire value; never fails.
    pub fn from_wire(value: u8) -> Self {
        TABLE.iter().find(|row| row.0 == value).map_or(Self::Other(value), |row| row.1)
    }

    /// The wire value.
    pub fn to_wire(self) -> u8 {
        match self {
            Self::Other(value) => value,
            known => TABLE.iter().find(|row| row.1 == known).map_or(0xFF, |row| row.0),
        }
    }

    /// Whether the same request has a chance a moment later without anyone doing anything.
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::NodeBusy
                | Self::ProcessingTimeout
                | Self::OutOfSpace
                | Self::Initializing
                | Self::FirmwareUpdateMode
        )
    }
}

impl fmt::Display for CompletionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = TABLE.iter().find(|row| row.1 == *self).map(|row| row.2);
        let text = text.unwrap_or("error specific to the command");
        write!(f, "{text} (completion code {:#04x})", self.to_wire())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_the_round_trip() {
        for value in 0..=u8::MAX {
            assert_eq!(CompletionCode::from_wire(value).to_wire(), value);
        }
    }

    #[test]
    fn texts_name_the_code() {
        assert_eq!(
            CompletionCode::InsufficientPrivilege.to_string(),
            "session has not enough privilege (completion code 0xd4)"
        );
        assert_eq!(
            CompletionCode::from_wire(0x80).to_string(),
            "error specific to the command (completion code 0x80)"
        );
    }
}
