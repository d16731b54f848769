//! Set and Get System Boot Options (IPMI sections 28.12, 28.13, table 28-14).

use super::Command;
use crate::error::DecodeError;
use crate::wire::Reader;
use crate::wire::message::NetFn;

/// Completion code: the BMC does not have this parameter.
pub const PARAMETER_NOT_SUPPORTED: u8 = 0x80;
/// Completion code: someone else's "set in progress" is not complete.
pub const SET_IN_PROGRESS: u8 = 0x81;
/// Completion code: the parameter can only be read.
pub const READ_ONLY_PARAMETER: u8 = 0x82;
/// The version of the parameters in a response (IPMI table 28-13).
const PARAMETER_VERSION: u8 = 1;
/// The longest data of a parameter that is kept, in bytes.
const MAX_PARAMETER: usize = 64;

/// Parameter 0: guards a change of several parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum SetState {
    /// No change is going on.
    #[default]
    Complete = 0,
    /// A console is changing parameters.
    InProgress = 1,
    /// Make the changes good (optional for BMCs).
    Commit = 2,
}

/// Where a machine boots from (IPMI table 28-14, parameter 5, data 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum BootDevice {
    /// As the firmware's own settings say.
    #[default]
    NoOverride = 0,
    /// The network.
    Pxe = 1,
    /// The default disk.
    Disk = 2,
    /// The default disk, operating system in safe mode.
    DiskSafeMode = 3,
    /// A diagnostic partition.
    DiagnosticPartition = 4,
    /// A local CD or DVD.
    Cdrom = 5,
    /// The firmware's setup.
    BiosSetup = 6,
    /// A remote floppy, or primary removable media.
    RemoteFloppy = 7,
    /// A remote CD or DVD.
    RemoteCdrom = 8,
    /// Primary remote media.
    RemoteMedia = 9,
    /// A remote disk.
    RemoteDisk = 11,
    /// A local floppy, or primary removable media.
    Floppy = 15,
}

impl BootDevice {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::NoOverride,
        Self::Pxe,
        Self::Disk,
        Self::DiskSafeMode,
        Self::DiagnosticPartition,
        Self::Cdrom,
        Self::BiosSetup,
        Self::RemoteFloppy,
        Self::RemoteCdrom,
        Self::RemoteMedia,
        Self::RemoteDisk,
        Self::Floppy,
    ];

    /// The device with this four-bit value, or nothing when it is reserved.
    pub fn from_wire(value: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|device| *device as u8 == value)
    }
}

/// Parameter 5: boot flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BootFlags {
    /// Whether the firmware should heed the flags. Firmware clears it after one boot unless persistent.
    pub valid: bool,
    /// For every boot from now on, not the next only.
    pub persistent: bool,
    /// UEFI boot; otherwise legacy BIOS.
    pub uefi: bool,
    /// The device.
    pub device: BootDevice,
    /// The other bits of data 2 (clear CMOS, lock keyboard, blank screen, lock reset): mask 0xC3.
    pub data2_other: u8,
    /// Data 3, 4 and 5 (console redirection, mux override, device instance).
    pub more: [u8; 3],
}

/// Bits of data 2 that do not name the device.
const DATA2_OTHER: u8 = 0xC3;

impl BootFlags {
    /// Flags that ask for one device and nothing else.
    pub const fn new(device: BootDevice, persistent: bool, uefi: bool) -> Self {
        Self { valid: true, persistent, uefi, device, data2_other: 0, more: [0; 3] }
    }

    fn encode(self) -> [u8; 5] {
        [
            u8::from(self.valid) << 7 | u8::from(self.persistent) << 6 | u8::from(self.uefi) << 5,
            (self.device as u8) << 2 | self.data2_other & DATA2_OTHER,
            self.more[0],
            self.more[1],
            self.more[2],
        ]
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("boot flags", data);
        let [flags, selector] = reader.array()?;
        let value = selector >> 2 & 0x0F;
        let device = BootDevice::from_wire(value)
            .ok_or(DecodeError::Invalid { what: "boot device selector", value: value.into() })?;
        let mut more = [0; 3];
        // Tools may leave trailing bytes out; they are zero then.
        for slot in &mut more {
            *slot = reader.u8().unwrap_or(0);
        }
        Ok(Self {
            valid: flags & 0x80 != 0,
            persistent: flags & 0x40 != 0,
            uefi: flags & 0x20 != 0,
            device,
            data2_other: selector & DATA2_OTHER,
            more,
        })
    }
}

/// One boot option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootParameter {
    /// 0: set in progress.
    SetState(SetState),
    /// 3: when the BMC must *not* clear the "valid" bit by itself (bit 3: not after 60 s without a power command).
    ValidBitClearing(u8),
    /// 4: who has taken note of the boot information; `mask` says which bits of `data` to write.
    InfoAcknowledge {
        /// Which bits are written.
        mask: u8,
        /// The bits.
        data: u8,
    },
    /// 5: boot flags.
    Flags(BootFlags),
    /// Any other parameter.
    Other {
        /// Its number, 0-127.
        selector: u8,
        /// Its data.
        data: Vec<u8>,
    },
}

impl BootParameter {
    /// Selector of [`BootParameter::SetState`].
    pub const SET_STATE: u8 = 0;
    /// Selector of [`BootParameter::ValidBitClearing`].
    pub const VALID_BIT_CLEARING: u8 = 3;
    /// Selector of [`BootParameter::InfoAcknowledge`].
    pub const INFO_ACKNOWLEDGE: u8 = 4;
    /// Selector of [`BootParameter::Flags`].
    pub const FLAGS: u8 = 5;

    /// The parameter's number.
    pub const fn selector(&self) -> u8 {
        match self {
            Self::SetState(_) => Self::SET_STATE,
            Self::ValidBitClearing(_) => Self::VALID_BIT_CLEARING,
            Self::InfoAcknowledge { .. } => Self::INFO_ACKNOWLEDGE,
            Self::Flags(_) => Self::FLAGS,
            Self::Other { selector, .. } => *selector & 0x7F,
        }
    }

    fn encode_data(&self, out: &mut Vec<u8>) {
        match self {
            Self::SetState(state) => out.push(*state as u8),
            Self::ValidBitClearing(bits) => out.push(*bits),
            Self::InfoAcknowledge { mask, data } => out.extend_from_slice(&[*mask, *data]),
            Self::Flags(flags) => out.extend_from_slice(&flags.encode()),
            Self::Other { data, .. } => out.extend_from_slice(data),
        }
    }

    fn decode_data(selector: u8, mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match selector {
            Self::SET_STATE => Self::SetState(match reader.u8()? & 3 {
                0 => SetState::Complete,
                1 => SetState::InProgress,
                2 => SetState::Commit,
                value => return Err(DecodeError::Invalid { what: "set in progress", value: value.into() }),
            }),
            Self::VALID_BIT_CLEARING => Self::ValidBitClearing(reader.u8()?),
            Self::INFO_ACKNOWLEDGE => {
                let mask = reader.u8()?;
                Self::InfoAcknowledge { mask, data: reader.u8().unwrap_or(0) }
            }
            Self::FLAGS => Self::Flags(BootFlags::decode(reader.rest())?),
            _ => {
                let data = reader.rest();
                if data.len() > MAX_PARAMETER {
                    return Err(DecodeError::TooLong {
                        what: "boot parameter",
                        have: data.len(),
                        limit: MAX_PARAMETER,
                    });
                }
                Self::Other { selector, data: data.to_vec() }
            }
        })
    }
}

/// Set System Boot Options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetBootOptions {
    /// Mark the parameter as invalid or locked.
    pub mark_invalid: bool,
    /// What to set; nothing when only the mark is to change.
    pub selector: u8,
    /// The value; `None` when the request carries no data and changes the mark only.
    pub parameter: Option<BootParameter>,
}

impl SetBootOptions {
    /// Sets one parameter.
    pub const fn new(parameter: BootParameter) -> Self {
        Self { mark_invalid: false, selector: parameter.selector(), parameter: Some(parameter) }
    }
}

impl Command for SetBootOptions {
    const NET_FN: NetFn = NetFn::CHASSIS;
    const CODE: u8 = 0x08;
    const NAME: &'static str = "Set System Boot Options";
    type Response = ();

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![u8::from(self.mark_invalid) << 7 | self.selector & 0x7F];
        if let Some(parameter) = &self.parameter {
            parameter.encode_data(&mut out);
        }
        out
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(Self::NAME, data);
        let first = reader.u8()?;
        let selector = first & 0x7F;
        let parameter =
            if reader.is_empty() { None } else { Some(BootParameter::decode_data(selector, reader)?) };
        Ok(Self { mark_invalid: first & 0x80 != 0, selector, parameter })
    }

    fn encode_response((): &()) -> Vec<u8> {
        Vec::new()
    }

    fn decode_response(_data: &[u8]) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// Get System Boot Options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetBootOptions {
    /// Which parameter.
    pub selector: u8,
    /// Which set of it, for parameters with sets.
    pub set: u8,
    /// Which block of it, for parameters with blocks.
    pub block: u8,
}

impl GetBootOptions {
    /// Asks for one parameter.
    pub const fn new(selector: u8) -> Self {
        Self { selector, set: 0, block: 0 }
    }
}

/// A parameter as the BMC has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootOption {
    /// Marked as invalid or locked.
    pub invalid: bool,
    /// The value.
    pub parameter: BootParameter,
}

impl Command for GetBootOptions {
    const NET_FN: NetFn = NetFn::CHASSIS;
    const CODE: u8 = 0x09;
    const NAME: &'static str = "Get System Boot Options";
    type Response = BootOption;

    fn encode(&self) -> Vec<u8> {
        vec![self.selector & 0x7F, self.set, self.block]
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let [selector, set, block] = Reader::new(Self::NAME, data).array()?;
        Ok(Self { selector: selector & 0x7F, set, block })
    }

    fn encode_response(option: &BootOption) -> Vec<u8> {
        let mut out = vec![PARAMETER_VERSION, u8::from(option.invalid) << 7 | option.parameter.selector()];
        option.parameter.encode_data(&mut out);
        out
    }

    fn decode_response(data: &[u8]) -> Result<BootOption, DecodeError> {
        let mut reader = Reader::new(Self::NAME, data);
        let [_version, selector] = reader.array()?;
        let parameter = BootParameter::decode_data(selector & 0x7F, reader)?;
        Ok(BootOption { invalid: selector & 0x80 != 0, parameter })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persistent_uefi_pxe_is_the_bytes_that_everyone_knows() {
        let set = SetBootOptions::new(BootParameter::Flags(BootFlags::new(BootDevice::Pxe, true, true)));
        assert_eq!(set.encode(), [0x05, 0xE0, 0x04, 0, 0, 0]);
    }

    #[test]
    fn an_unknown_device_is_an_error_not_a_guess() {
        assert!(SetBootOptions::decode(&[5, 0x80, 0x0A << 2, 0, 0, 0]).is_err());
    }

    #[test]
    fn a_mark_without_data_is_read() {
        let set = SetBootOptions::decode(&[0x85]).unwrap();
        assert_eq!((set.mark_invalid, set.selector, set.parameter), (true, 5, None));
    }
}
