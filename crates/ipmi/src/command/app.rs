//! Application commands: the BMC's identity and its sessions (IPMI chapters 20 and 22).

use super::{Command, Guid};
use crate::Privilege;
use crate::error::DecodeError;
use crate::suite::CipherSuite;
use crate::wire::Reader;
use crate::wire::message::NetFn;

/// The channel number that means "the channel this request came by".
pub const THIS_CHANNEL: u8 = 0x0E;

/// Get Device ID (IPMI section 20.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetDeviceId;

/// What a BMC says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceId {
    /// Device identifier, vendor specific.
    pub device_id: u8,
    /// Device revision, 0-15.
    pub device_revision: u8,
    /// Whether it provides sensor data records.
    pub provides_sdrs: bool,
    /// Whether the firmware is being updated or initialised.
    pub busy: bool,
    /// Firmware major revision, 0-127.
    pub firmware_major: u8,
    /// Firmware minor revision, two BCD digits.
    pub firmware_minor: u8,
    /// IPMI version as (major, minor).
    pub ipmi_version: (u8, u8),
    /// Bits of additional device support (IPMI table 20-2, byte 7).
    pub additional_support: u8,
    /// IANA enterprise number, 20 bits.
    pub manufacturer: u32,
    /// Product identifier, vendor specific.
    pub product: u16,
    /// Auxiliary firmware revision, if given.
    pub auxiliary: Option<[u8; 4]>,
}

impl Command for GetDeviceId {
    const NET_FN: NetFn = NetFn::APP;
    const CODE: u8 = 0x01;
    const NAME: &'static str = "Get Device ID";
    type Response = DeviceId;

    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    fn decode(_data: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn encode_response(id: &DeviceId) -> Vec<u8> {
        let [m0, m1, m2, _] = id.manufacturer.to_le_bytes();
        let [p0, p1] = id.product.to_le_bytes();
        let mut out = vec![
            id.device_id,
            u8::from(id.provides_sdrs) << 7 | id.device_revision & 0x0F,
            u8::from(id.busy) << 7 | id.firmware_major & 0x7F,
            id.firmware_minor,
            id.ipmi_version.1 << 4 | id.ipmi_version.0 & 0x0F,
            id.additional_support,
            m0,
            m1,
            m2 & 0x0F,
            p0,
            p1,
        ];
        out.extend(id.auxiliary.iter().flatten());
        out
    }

    fn decode_response(data: &[u8]) -> Result<DeviceId, DecodeError> {
        let mut reader = Reader::new(Self::NAME, data);
        let [device_id, revision, major, firmware_minor, version, additional_support] = reader.array()?;
        let [m0, m1, m2] = reader.array()?;
        let product = reader.u16()?;
        Ok(DeviceId {
            device_id,
            device_revision: revision & 0x0F,
            provides_sdrs: revision & 0x80 != 0,
            busy: major & 0x80 != 0,
            firmware_major: major & 0x7F,
            firmware_minor,
            ipmi_version: (version & 0x0F, version >> 4),
            additional_support,
            manufacturer: u32::from_le_bytes([m0, m1, m2 & 0x0F, 0]),
            product,
            // Fewer than four bytes are no auxiliary revision: some BMCs end in the middle of it.
            auxiliary: reader.array().ok(),
        })
    }
}

macro_rules! empty_command {
    ($(#[$doc:meta])* $name:ident, $code:literal, $text:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name;

        impl Command for $name {
            const NET_FN: NetFn = NetFn::APP;
            const CODE: u8 = $code;
            const NAME: &'static str = $text;
            const REPEATABLE: bool = false;
            type Response = ();

            fn encode(&self) -> Vec<u8> {
                Vec::new()
            }

            fn decode(_data: &[u8]) -> Result<Self, DecodeError> {
                Ok(Self)
            }

            fn encode_response((): &()) -> Vec<u8> {
                Vec::new()
            }

            fn decode_response(_data: &[u8]) -> Result<(), DecodeError> {
                Ok(())
            }
        }
    };
}

empty_command!(
    /// Cold Reset: the BMC starts anew, sessions are lost (IPMI section 20.2).
    ColdReset, 0x02, "Cold Reset"
);
empty_command!(
    /// Warm Reset: the BMC starts anew and keeps more of its state (IPMI section 20.3).
    WarmReset, 0x03, "Warm Reset"
);

macro_rules! guid_command {
    ($(#[$doc:meta])* $name:ident, $code:literal, $text:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name;

        impl Command for $name {
            const NET_FN: NetFn = NetFn::APP;
            const CODE: u8 = $code;
            const NAME: &'static str = $text;
            type Response = Guid;

            fn encode(&self) -> Vec<u8> {
                Vec::new()
            }

            fn decode(_data: &[u8]) -> Result<Self, DecodeError> {
                Ok(Self)
            }

            fn encode_response(guid: &Guid) -> Vec<u8> {
                guid.0.to_vec()
            }

            fn decode_response(data: &[u8]) -> Result<Guid, DecodeError> {
                Guid::decode(data)
            }
        }
    };
}

guid_command!(
    /// Get Device GUID: of the management controller (IPMI section 20.8).
    GetDeviceGuid, 0x08, "Get Device GUID"
);
guid_command!(
    /// Get System GUID: of the managed machine (IPMI section 22.14).
    GetSystemGuid, 0x37, "Get System GUID"
);

/// Get Channel Authentication Capabilities (IPMI section 22.13): the first question to a BMC, answered without a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetChannelAuthCapabilities {
    /// Whether the console understands IPMI 2.0 data in the answer.
    pub ipmi20: bool,
    /// The channel, usually [`THIS_CHANNEL`].
    pub channel: u8,
    /// The privilege level wanted, as on the wire.
    pub privilege: u8,
}

/// How a channel authenticates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelAuthCapabilities {
    /// The channel's number.
    pub channel: u8,
    /// Bits of IPMI 1.5 authentication types (bit 0 none, 1 MD2, 2 MD5, 4 password, 5 OEM).
    pub auth_types: u8,
    /// Whether the next three fields are IPMI 2.0's.
    pub extended: bool,
    /// Whether a BMC key (Kg) other than zeros must be used: two-key login.
    pub bmc_key_set: bool,
    /// Bits 0-4 of byte 4: anonymous login, null users, non-null users, user level and per-message authentication.
    pub login: u8,
    /// Whether the channel speaks IPMI 1.5.
    pub ipmi15: bool,
    /// Whether the channel speaks IPMI 2.0 (RMCP+).
    pub ipmi20: bool,
    /// OEM enterprise number (24 bits) and data.
    pub oem: [u8; 4],
}

impl Command for GetChannelAuthCapabilities {
    const NET_FN: NetFn = NetFn::APP;
    const CODE: u8 = 0x38;
    const NAME: &'static str = "Get Channel Authentication Capabilities";
    type Response = ChannelAuthCapabilities;

    fn encode(&self) -> Vec<u8> {
        vec![u8::from(self.ipmi20) << 7 | self.channel & 0x0F, self.privilege & 0x0F]
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let [channel, privilege] = Reader::new(Self::NAME, data).array()?;
        Ok(Self { ipmi20: channel & 0x80 != 0, channel: channel & 0x0F, privilege: privilege & 0x0F })
    }

    fn encode_response(caps: &ChannelAuthCapabilities) -> Vec<u8> {
        let mut out = vec![
            caps.channel & 0x0F,
            u8::from(caps.extended) << 7 | caps.auth_types & 0x3F,
            u8::from(caps.bmc_key_set) << 5 | caps.login & 0x1F,
            u8::from(caps.ipmi20) << 1 | u8::from(caps.ipmi15),
        ];
        out.extend_from_slice(&caps.oem);
        out
    }

    fn decode_response(data: &[u8]) -> Result<ChannelAuthCapabilities, DecodeError> {
        let mut reader = Reader::new(Self::NAME, data);
        let [channel, types, login] = reader.array()?;
        // IPMI 1.5 BMCs may leave the rest out.
        let extended = types & 0x80 != 0;
        let versions = reader.u8().unwrap_or(0);
        Ok(ChannelAuthCapabilities {
            channel: channel & 0x0F,
            auth_types: types & 0x3F,
            extended,
            bmc_key_set: extended && login & 0x20 != 0,
            login: login & 0x1F,
            ipmi15: versions & 1 != 0,
            ipmi20: extended && versions & 2 != 0,
            oem: reader.array().unwrap_or_default(),
        })
    }
}

/// Get Channel Cipher Suites (IPMI section 22.15): a list of records, sixteen bytes at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetChannelCipherSuites {
    /// The channel, usually [`THIS_CHANNEL`].
    pub channel: u8,
    /// For which payload; 0 is IPMI.
    pub payload_type: u8,
    /// Which sixteen bytes, 0-63.
    pub index: u8,
}

/// One part of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CipherSuitePart {
    /// The channel's number.
    pub channel: u8,
    /// At most sixteen bytes of records; fewer are the last.
    pub records: Vec<u8>,
}

/// Bytes of records in one answer.
pub const CIPHER_SUITE_PART: usize = 16;
/// The highest index of a part.
pub const CIPHER_SUITE_LAST_INDEX: u8 = 0x3F;

impl Command for GetChannelCipherSuites {
    const NET_FN: NetFn = NetFn::APP;
    const CODE: u8 = 0x54;
    const NAME: &'static str = "Get Channel Cipher Suites";
    type Response = CipherSuitePart;

    fn encode(&self) -> Vec<u8> {
        // Bit 7: list by cipher suite, not all algorithms.
        vec![self.channel & 0x0F, self.payload_type & 0x3F, 0x80 | self.index & CIPHER_SUITE_LAST_INDEX]
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let [channel, payload_type, index] = Reader::new(Self::NAME, data).array()?;
        Ok(Self {
            channel: channel & 0x0F,
            payload_type: payload_type & 0x3F,
            index: index & CIPHER_SUITE_LAST_INDEX,
        })
    }

    fn encode_response(part: &CipherSuitePart) -> Vec<u8> {
        let mut out = vec![part.channel & 0x0F];
        out.extend(part.records.iter().take(CIPHER_SUITE_PART));
        out
    }

    fn decode_response(data: &[u8]) -> Result<CipherSuitePart, DecodeError> {
        let mut reader = Reader::new(Self::NAME, data);
        let channel = reader.u8()? & 0x0F;
        let records = reader.rest();
        if records.len() > CIPHER_SUITE_PART {
            return Err(DecodeError::TooLong {
                what: Self::NAME,
                have: records.len(),
                limit: CIPHER_SUITE_PART,
            });
        }
        Ok(CipherSuitePart { channel, records: records.to_vec() })
    }
}

/// The records of these suites, as a BMC lists them (IPMI table 22-18).
pub fn encode_suite_records(suites: &[CipherSuite]) -> Vec<u8> {
    let mut out = Vec::new();
    for suite in suites {
        let algorithms = suite.algorithms();
        out.extend_from_slice(&[
            0xC0,
            suite.id(),
            algorithms.authentication,
            0x40 | algorithms.integrity,
            0x80 | algorithms.confidentiality,
        ]);
    }
    out
}

/// The numbers of the standard suites in a list of records. OEM records and bytes that are no record are skipped.
pub fn decode_suite_records(records: &[u8]) -> Vec<u8> {
    let mut ids = Vec::new();
    let mut rest = records.iter();
    while let Some(byte) = rest.next() {
        match byte {
            0xC0 => ids.extend(rest.next()),
            // An OEM record: number and three bytes of enterprise.
            0xC1 => {
                let _skipped = rest.nth(3);
            }
            _ => {}
        }
    }
    ids
}

/// Set Session Privilege Level (IPMI section 22.18). A session starts at [`Privilege::User`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetSessionPrivilege {
    /// The level wanted, or nothing to ask for the present one.
    pub privilege: Option<Privilege>,
}

impl Command for SetSessionPrivilege {
    const NET_FN: NetFn = NetFn::APP;
    const CODE: u8 = 0x3B;
    const NAME: &'static str = "Set Session Privilege Level";
    /// The level now, as on the wire.
    type Response = u8;

    fn encode(&self) -> Vec<u8> {
        vec![self.privilege.map_or(0, Privilege::to_wire)]
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let value = Reader::new(Self::NAME, data).u8()? & 0x0F;
        let privilege = Privilege::from_wire(value);
        if value != 0 && privilege.is_none() {
            return Err(DecodeError::Invalid { what: "privilege level", value: value.into() });
        }
        Ok(Self { privilege })
    }

    fn encode_response(level: &u8) -> Vec<u8> {
        vec![*level]
    }

    fn decode_response(data: &[u8]) -> Result<u8, DecodeError> {
        Reader::new(Self::NAME, data).u8().map(|level| level & 0x0F)
    }
}

/// Close Session (IPMI section 22.19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseSession {
    /// The BMC's identifier of the session.
    pub session_id: u32,
}

impl Command for CloseSession {
    const NET_FN: NetFn = NetFn::APP;
    const CODE: u8 = 0x3C;
    const NAME: &'static str = "Close Session";
    const REPEATABLE: bool = false;
    type Response = ();

    fn encode(&self) -> Vec<u8> {
        self.session_id.to_le_bytes().to_vec()
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        Reader::new(Self::NAME, data).u32().map(|session_id| Self { session_id })
    }

    fn encode_response((): &()) -> Vec<u8> {
        Vec::new()
    }

    fn decode_response(_data: &[u8]) -> Result<(), DecodeError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suite_records_are_listed_and_read() {
        let bytes = encode_suite_records(&CipherSuite::PREFERENCE);
        assert_eq!(bytes, [0xC0, 17, 3, 0x44, 0x81, 0xC0, 3, 1, 0x41, 0x81]);
        assert_eq!(decode_suite_records(&bytes), [17, 3]);
        // An OEM record whose enterprise number looks like a standard record, then suite 8, then an end too early.
        assert_eq!(
            decode_suite_records(&[0xC1, 0x80, 0xC0, 3, 1, 0x01, 0x41, 0xC0, 8, 2, 0x42, 0x81, 0xC0]),
            [8]
        );
    }

    #[test]
    fn a_short_device_id_has_no_auxiliary_revision() {
        // As pyghmi's BMC answers: two bytes more than the eleven that everyone sends.
        let data = [0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let id = GetDeviceId::decode_response(&data).unwrap();
        assert_eq!((id.ipmi_version, id.auxiliary), ((2, 0), None));
        assert!(GetDeviceId::decode_response(&data[..10]).is_err());
    }
}
