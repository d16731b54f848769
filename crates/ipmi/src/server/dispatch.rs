//! Which command does what and needs which privilege (IPMI appendix G). Sessions and packets are the parent's.

use super::sessions::Active;
use super::{Chassis, Server};
use crate::command::app::{
    CIPHER_SUITE_PART, ChannelAuthCapabilities, CipherSuitePart, CloseSession, ColdReset,
    GetChannelAuthCapabilities, GetChannelCipherSuites, GetDeviceGuid, GetDeviceId, GetSystemGuid,
    SetSessionPrivilege, THIS_CHANNEL, encode_suite_records,
};
use crate::command::boot::{
    BootOption, BootParameter, GetBootOptions, PARAMETER_NOT_SUPPORTED, SET_IN_PROGRESS, SetBootOptions,
};
use crate::command::chassis::{ChassisControl, ChassisIdentify, GetChassisStatus};
use crate::command::{Command, RawRequest};
use crate::error::DecodeError;
use crate::wire::message::{NetFn, Request};
use crate::{CompletionCode, Privilege};

/// The LAN channel's number.
const CHANNEL: u8 = 1;
/// Login status: there are users with names (IPMI section 22.13, byte 4).
const NON_NULL_USERS: u8 = 0x04;
/// Completion code of Set Session Privilege Level: not for this user.
const PRIVILEGE_EXCEEDS_LIMIT: u8 = 0x80;
/// Completion code of Close Session: no such session.
const UNKNOWN_SESSION: u8 = 0x87;

/// How a command ended.
pub(super) struct Outcome {
    pub(super) code: CompletionCode,
    pub(super) data: Vec<u8>,
    pub(super) ends_session: bool,
}

impl Outcome {
    fn of(result: Result<Vec<u8>, CompletionCode>) -> Self {
        let (code, data) = match result {
            Ok(data) => (CompletionCode::Ok, data),
            Err(code) => (code, Vec::new()),
        };
        Self { code, data, ends_session: false }
    }
}

type Answer = Result<Vec<u8>, CompletionCode>;

/// Reads the request, does it, writes the response.
fn typed<K: Command>(
    data: &[u8],
    run: impl FnOnce(K) -> Result<K::Response, CompletionCode>,
) -> Result<Vec<u8>, CompletionCode> {
    let command = K::decode(data).map_err(|error| match error {
        DecodeError::Truncated { .. } | DecodeError::TooLong { .. } => CompletionCode::RequestLengthInvalid,
        DecodeError::Invalid { .. } | DecodeError::Check { .. } => CompletionCode::InvalidDataField,
    })?;
    run(command).map(|response| K::encode_response(&response))
}

/// The level that a command needs.
fn required(net_fn: NetFn, command: u8) -> Privilege {
    match (net_fn, command) {
        (NetFn::APP, ColdReset::CODE) => Privilege::Administrator,
        (
            NetFn::APP,
            GetDeviceId::CODE
            | GetDeviceGuid::CODE
            | GetSystemGuid::CODE
            | GetChannelAuthCapabilities::CODE
            | GetChannelCipherSuites::CODE
            | SetSessionPrivilege::CODE
            | CloseSession::CODE,
        )
        | (NetFn::CHASSIS, GetChassisStatus::CODE) => Privilege::Callback,
        _ => Privilege::Operator,
    }
}

impl<C: Chassis> Server<C> {
    /// The answer to a message outside any session; nothing for commands that need one.
    pub(super) fn sessionless(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let request = Request::decode(payload).ok()?;
        let answer = match (request.net_fn, request.command) {
            (NetFn::APP, GetChannelAuthCapabilities::CODE) => self.auth_capabilities(request.data),
            (NetFn::APP, GetChannelCipherSuites::CODE) => self.cipher_suites(request.data),
            (NetFn::APP, GetSystemGuid::CODE) => self.guid(request.data),
            _ => return None,
        };
        let outcome = Outcome::of(answer);
        Some(request.response(outcome.code, &outcome.data).encode())
    }

    pub(super) fn execute(&mut self, active: &mut Active, request: &Request<'_>) -> Outcome {
        if active.privilege < required(request.net_fn, request.command) {
            return Outcome::of(Err(CompletionCode::InsufficientPrivilege));
        }
        match (request.net_fn, request.command) {
            (NetFn::APP, CloseSession::CODE) => self.close(active, request.data),
            (NetFn::APP, ColdReset::CODE) => {
                let result = typed::<ColdReset>(request.data, |_| self.chassis.cold_reset());
                let ends_session = result.is_ok();
                if ends_session {
                    self.forget_sessions();
                }
                Outcome { ends_session, ..Outcome::of(result) }
            }
            (NetFn::APP, SetSessionPrivilege::CODE) => Outcome::of(set_privilege(active, request.data)),
            (NetFn::APP, _) => Outcome::of(self.app(request)),
            (NetFn::CHASSIS, _) => Outcome::of(self.chassis_command(active, request)),
            _ => Outcome::of(self.other(request)),
        }
    }

    fn app(&mut self, request: &Request<'_>) -> Answer {
        match request.command {
            GetDeviceId::CODE => typed::<GetDeviceId>(request.data, |_| Ok(self.chassis.device_id())),
            GetDeviceGuid::CODE => typed::<GetDeviceGuid>(request.data, |_| Ok(self.chassis.guid())),
            GetSystemGuid::CODE => self.guid(request.data),
            GetChannelAuthCapabilities::CODE => self.auth_capabilities(request.data),
            GetChannelCipherSuites::CODE => self.cipher_suites(request.data),
            _ => self.other(request),
        }
    }

    fn chassis_command(&mut self, active: &Active, request: &Request<'_>) -> Answer {
        let data = request.data;
        match request.command {
            GetChassisStatus::CODE => typed::<GetChassisStatus>(data, |_| Ok(self.chassis.status())),
            ChassisControl::CODE => typed(data, |control| self.chassis.control(control)),
            ChassisIdentify::CODE => typed(data, |identify| self.chassis.identify(identify)),
            GetBootOptions::CODE => typed(data, |get: GetBootOptions| self.get_boot_option(get.selector)),
            SetBootOptions::CODE => typed(data, |set| self.set_boot_option(active, &set)),
            _ => self.other(request),
        }
    }

    fn other(&mut self, request: &Request<'_>) -> Answer {
        let Request { net_fn, command, .. } = *request;
        self.chassis.other(&RawRequest { net_fn, command, data: request.data.to_vec() })
    }

    fn guid(&mut self, data: &[u8]) -> Answer {
        typed::<GetSystemGuid>(data, |_| Ok(self.chassis.guid()))
    }

    fn auth_capabilities(&mut self, data: &[u8]) -> Answer {
        typed::<GetChannelAuthCapabilities>(data, |get| {
            if get.channel != THIS_CHANNEL && get.channel != CHANNEL {
                return Err(CompletionCode::InvalidDataField);
            }
            Ok(ChannelAuthCapabilities {
                channel: CHANNEL,
                auth_types: 0,
                extended: get.ipmi20,
                bmc_key_set: self.config.bmc_key.is_some(),
                login: NON_NULL_USERS,
                ipmi15: false,
                ipmi20: get.ipmi20,
                oem: [0; 4],
            })
        })
    }

    fn cipher_suites(&mut self, data: &[u8]) -> Answer {
        typed::<GetChannelCipherSuites>(data, |get| {
            let all = encode_suite_records(&self.config.suites);
            let start = usize::from(get.index) * CIPHER_SUITE_PART;
            let records = all.into_iter().skip(start).take(CIPHER_SUITE_PART).collect();
            Ok(CipherSuitePart { channel: CHANNEL, records })
        })
    }

    fn get_boot_option(&mut self, selector: u8) -> Result<BootOption, CompletionCode> {
        let parameter = match selector {
            BootParameter::SET_STATE => BootParameter::SetState(self.boot.set_state),
            BootParameter::VALID_BIT_CLEARING => {
                BootParameter::ValidBitClearing(self.boot.valid_bit_clearing)
            }
            BootParameter::INFO_ACKNOWLEDGE => {
                BootParameter::InfoAcknowledge { mask: 0, data: self.boot.acknowledged }
            }
            BootParameter::FLAGS => BootParameter::Flags(self.chassis.boot_flags()),
            _ => return Err(CompletionCode::Other(PARAMETER_NOT_SUPPORTED)),
        };
        Ok(BootOption { invalid: false, parameter })
    }

    fn set_boot_option(&mut self, active: &Active, set: &SetBootOptions) -> Result<(), CompletionCode> {
        match &set.parameter {
            Some(BootParameter::SetState(state)) => {
                let done = self.boot.set(*state, active.session.own_id());
                if done { Ok(()) } else { Err(CompletionCode::Other(SET_IN_PROGRESS)) }
            }
            Some(BootParameter::ValidBitClearing(bits)) => {
                self.boot.valid_bit_clearing = bits & 0x1F;
                Ok(())
            }
            Some(BootParameter::InfoAcknowledge { mask, data }) => {
                self.boot.acknowledged = self.boot.acknowledged & !mask | data & mask;
                Ok(())
            }
            Some(BootParameter::Flags(flags)) => self.chassis.set_boot_flags(*flags),
            // The mark alone: there is nothing that could be locked.
            None if set.selector <= BootParameter::FLAGS => Ok(()),
            Some(BootParameter::Other { .. }) | None => Err(CompletionCode::Other(PARAMETER_NOT_SUPPORTED)),
        }
    }

    /// Closes the session it comes by, or, for administrators, another one.
    fn close(&mut self, active: &Active, data: &[u8]) -> Outcome {
        let own = active.session.own_id();
        let mut ends_session = false;
        let result = typed::<CloseSession>(data, |CloseSession { session_id }| {
            if session_id == own {
                ends_session = true;
                return Ok(());
            }
            if active.privilege < Privilege::Administrator {
                return Err(CompletionCode::InsufficientPrivilege);
            }
            let index = self.sessions.find(session_id).ok_or(CompletionCode::Other(UNKNOWN_SESSION))?;
            self.sessions.active.swap_remove(index);
            self.boot.release(session_id);
            Ok(())
        });
        Outcome { ends_session, ..Outcome::of(result) }
    }
}

fn set_privilege(active: &mut Active, data: &[u8]) -> Answer {
    typed::<SetSessionPrivilege>(data, |set| {
        if let Some(wanted) = set.privilege {
            if wanted > active.limit {
                return Err(CompletionCode::Other(PRIVILEGE_EXCEEDS_LIMIT));
            }
            active.privilege = wanted;
        }
        Ok(active.privilege.to_wire())
    })
}
