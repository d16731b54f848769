//! Chassis commands: power and the identify light (IPMI chapter 28).

use super::Command;
use crate::error::DecodeError;
use crate::wire::Reader;
use crate::wire::message::NetFn;

/// Get Chassis Status (IPMI section 28.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetChassisStatus;

/// What a chassis says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChassisStatus {
    /// Whether the machine is powered.
    pub power_on: bool,
    /// The power supply was shut down by an overload.
    pub power_overload: bool,
    /// Off because a panel is open.
    pub interlock: bool,
    /// A fault in the main power.
    pub power_fault: bool,
    /// The BMC could not switch the power as asked.
    pub control_fault: bool,
    /// After power came back: 0 stay off, 1 as before, 2 switch on, 3 unknown.
    pub restore_policy: u8,
    /// Bits of the last power event (IPMI table 28-3, byte 3).
    pub last_event: u8,
    /// Bits of the chassis state (byte 4): intrusion, lockout, drive fault, fan fault, identify.
    pub misc: u8,
    /// Front panel buttons (byte 5), if given.
    pub front_panel: Option<u8>,
}

impl Command for GetChassisStatus {
    const NET_FN: NetFn = NetFn::CHASSIS;
    const CODE: u8 = 0x01;
    const NAME: &'static str = "Get Chassis Status";
    type Response = ChassisStatus;

    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    fn decode(_data: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn encode_response(status: &ChassisStatus) -> Vec<u8> {
        let power = u8::from(status.power_on)
            | u8::from(status.power_overload) << 1
            | u8::from(status.interlock) << 2
            | u8::from(status.power_fault) << 3
            | u8::from(status.control_fault) << 4
            | (status.restore_policy & 3) << 5;
        let mut out = vec![power, status.last_event, status.misc];
        out.extend(status.front_panel);
        out
    }

    fn decode_response(data: &[u8]) -> Result<ChassisStatus, DecodeError> {
        let mut reader = Reader::new(Self::NAME, data);
        let [power, last_event, misc] = reader.array()?;
        Ok(ChassisStatus {
            power_on: power & 0x01 != 0,
            power_overload: power & 0x02 != 0,
            interlock: power & 0x04 != 0,
            power_fault: power & 0x08 != 0,
            control_fault: power & 0x10 != 0,
            restore_policy: power >> 5 & 3,
            last_event,
            misc,
            front_panel: reader.u8().ok(),
        })
    }
}

/// Chassis Control (IPMI section 28.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ChassisControl {
    /// Off at once, without the operating system.
    PowerDown = 0,
    /// On.
    PowerUp = 1,
    /// Off, a second or more of pause, on. BMCs may refuse when it is off.
    PowerCycle = 2,
    /// Hardware reset.
    HardReset = 3,
    /// A diagnostic interrupt (NMI).
    DiagnosticInterrupt = 4,
    /// Ask the operating system to shut down, by ACPI.
    SoftShutdown = 5,
}

impl ChassisControl {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::PowerDown,
        Self::PowerUp,
        Self::PowerCycle,
        Self::HardReset,
        Self::DiagnosticInterrupt,
        Self::SoftShutdown,
    ];

    /// Whether doing it twice is the same as doing it once. A second cycle, reset or interrupt would hit a machine that
    /// has begun to start.
    pub const fn is_repeatable(self) -> bool {
        matches!(self, Self::PowerDown | Self::PowerUp | Self::SoftShutdown)
    }
}

impl Command for ChassisControl {
    const NET_FN: NetFn = NetFn::CHASSIS;
    const CODE: u8 = 0x02;
    const NAME: &'static str = "Chassis Control";
    const REPEATABLE: bool = false;
    type Response = ();

    fn encode(&self) -> Vec<u8> {
        vec![*self as u8]
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let value = Reader::new(Self::NAME, data).u8()? & 0x0F;
        Self::ALL
            .into_iter()
            .find(|control| *control as u8 == value)
            .ok_or(DecodeError::Invalid { what: "chassis control", value: value.into() })
    }

    fn encode_response((): &()) -> Vec<u8> {
        Vec::new()
    }

    fn decode_response(_data: &[u8]) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// Chassis Identify (IPMI section 28.5): a light or sound by which a person finds the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChassisIdentify {
    /// For how many seconds; 0 turns it off, nothing takes the BMC's default (15 s).
    pub seconds: Option<u8>,
    /// Until it is turned off. Given only together with `seconds`.
    pub forever: bool,
}

impl Command for ChassisIdentify {
    const NET_FN: NetFn = NetFn::CHASSIS;
    const CODE: u8 = 0x04;
    const NAME: &'static str = "Chassis Identify";
    type Response = ();

    fn encode(&self) -> Vec<u8> {
        match (self.seconds, self.forever) {
            (None, false) => Vec::new(),
            // BMCs without "forever" refuse the second byte: it is sent only when it matters.
            (Some(seconds), false) => vec![seconds],
            (seconds, true) => vec![seconds.unwrap_or(0), 1],
        }
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(Self::NAME, data);
        let seconds = reader.u8().ok();
        Ok(Self { seconds, forever: reader.u8().is_ok_and(|flags| flags & 1 != 0) })
    }

    fn encode_response((): &()) -> Vec<u8> {
        Vec::new()
    }

    fn decode_response(_data: &[u8]) -> Result<(), DecodeError> {
        Ok(())
    }
}
