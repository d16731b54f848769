//! RMCP+ Open Session and the four RAKP messages (IPMI sections 13.17-13.24). Values only: who may say what when is in
//! `handshake.rs` (console) and `server/handshake.rs` (BMC).

use super::Reader;
use crate::error::DecodeError;
use crate::secret::MAX_USERNAME;
use crate::suite::Algorithms;
use core::fmt;

/// Set in the role byte: look the user up by name alone, not by name and privilege (IPMI section 13.20).
pub const NAME_ONLY_LOOKUP: u8 = 0x10;
/// The longest key exchange authentication code, in bytes (SHA-256).
const MAX_CODE: usize = 32;

/// RMCP+ and RAKP status codes (IPMI table 13-15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u8);

impl Status {
    /// No error.
    pub const OK: Self = Self(0x00);
    /// All sessions are in use.
    pub const NO_RESOURCES: Self = Self(0x01);
    /// The BMC does not know the session identifier.
    pub const INVALID_SESSION: Self = Self(0x02);
    /// Authentication algorithm is not possible.
    pub const INVALID_AUTHENTICATION: Self = Self(0x04);
    /// Integrity algorithm is not possible.
    pub const INVALID_INTEGRITY: Self = Self(0x05);
    /// No authentication payload matches.
    pub const NO_AUTHENTICATION: Self = Self(0x06);
    /// No integrity payload matches.
    pub const NO_INTEGRITY: Self = Self(0x07);
    /// The session is known and not active.
    pub const INACTIVE_SESSION: Self = Self(0x08);
    /// The role is not valid.
    pub const INVALID_ROLE: Self = Self(0x09);
    /// The user may not have this privilege.
    pub const UNAUTHORIZED_ROLE: Self = Self(0x0A);
    /// No session is free at this privilege.
    pub const NO_RESOURCES_FOR_ROLE: Self = Self(0x0B);
    /// The name is too long.
    pub const INVALID_NAME_LENGTH: Self = Self(0x0C);
    /// No such user.
    pub const UNAUTHORIZED_NAME: Self = Self(0x0D);
    /// A proof is wrong: wrong password or key.
    pub const INVALID_CHECK_VALUE: Self = Self(0x0F);
    /// Confidentiality algorithm is not possible.
    pub const INVALID_CONFIDENTIALITY: Self = Self(0x10);
    /// The three algorithms together are no cipher suite of the BMC.
    pub const NO_CIPHER_SUITE: Self = Self(0x11);
    /// Something else in the request is not understood.
    pub const ILLEGAL_PARAMETER: Self = Self(0x12);

    /// Whether the BMC turned the proposed algorithms down.
    pub fn refuses_algorithms(self) -> bool {
        [
            Self::INVALID_AUTHENTICATION,
            Self::INVALID_INTEGRITY,
            Self::NO_AUTHENTICATION,
            Self::NO_INTEGRITY,
            Self::INVALID_CONFIDENTIALITY,
            Self::NO_CIPHER_SUITE,
        ]
        .contains(&self)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Self::OK => "no error",
            Self::NO_RESOURCES => "no free session",
            Self::INVALID_SESSION => "session identifier is invalid",
            Self(0x03) => "payload type is invalid",
            Self::INVALID_AUTHENTICATION => "authentication algorithm is invalid",
            Self::INVALID_INTEGRITY => "integrity algorithm is invalid",
            Self::NO_AUTHENTICATION => "no matching authentication payload",
            Self::NO_INTEGRITY => "no matching integrity payload",
            Self::INACTIVE_SESSION => "session is not active",
            Self::INVALID_ROLE => "role is invalid",
            Self::UNAUTHORIZED_ROLE => "role or privilege level is not authorized",
            Self::NO_RESOURCES_FOR_ROLE => "no free session for this role",
            Self::INVALID_NAME_LENGTH => "user name has an invalid length",
            Self::UNAUTHORIZED_NAME => "user name is not authorized",
            Self(0x0E) => "GUID is not authorized",
            Self::INVALID_CHECK_VALUE => "integrity check value is invalid",
            Self::INVALID_CONFIDENTIALITY => "confidentiality algorithm is invalid",
            Self::NO_CIPHER_SUITE => "no cipher suite matches the proposed algorithms",
            Self::ILLEGAL_PARAMETER => "parameter is illegal or not recognized",
            Self(_) => "unknown status",
        };
        write!(f, "{text} (status {:#04x})", self.0)
    }
}

/// RMCP+ Open Session Request (IPMI table 13-9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenSessionRequest {
    /// Comes back in the response.
    pub tag: u8,
    /// Highest privilege wanted; 0 asks for the highest that the algorithms allow.
    pub privilege: u8,
    /// The identifier that the BMC puts on packets to the console.
    pub console_session: u32,
    /// The proposed algorithms.
    pub algorithms: Algorithms,
}

/// RMCP+ Open Session Response (IPMI table 13-10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenSessionResponse {
    /// From the request.
    pub tag: u8,
    /// From the request. BMCs that refuse sometimes leave it out: 0 then.
    pub console_session: u32,
    /// The BMC's side of it, or why not.
    pub outcome: Result<OpenedSession, Status>,
}

/// What a BMC grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedSession {
    /// Highest privilege that the algorithms allow.
    pub privilege: u8,
    /// The identifier that the console puts on packets to the BMC.
    pub managed_session: u32,
    /// The algorithms taken.
    pub algorithms: Algorithms,
}

fn put_algorithms(out: &mut Vec<u8>, algorithms: Algorithms) {
    let Algorithms { authentication, integrity, confidentiality } = algorithms;
    for (kind, algorithm) in [(0, authentication), (1, integrity), (2, confidentiality)] {
        out.extend_from_slice(&[kind, 0, 0, 8, algorithm, 0, 0, 0]);
    }
}

fn take_algorithms(reader: &mut Reader<'_>) -> Result<Algorithms, DecodeError> {
    let mut found = [0; 3];
    for (want, slot) in (0u8..).zip(&mut found) {
        let [kind, _, _, len, algorithm, _, _, _] = reader.array()?;
        if kind != want {
            return Err(DecodeError::Invalid { what: "algorithm payload type", value: kind.into() });
        }
        // A length of 0 is the "null payload": any algorithm will do (IPMI table 13-9). Read it as "none": the BMC would
        // choose, and neither end of this crate leaves that to the other.
        *slot = if len == 0 { 0 } else { algorithm & 0x3F };
    }
    let [authentication, integrity, confidentiality] = found;
    Ok(Algorithms { authentication, integrity, confidentiality })
}

impl OpenSessionRequest {
    /// Encodes the payload (32 bytes).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.tag, self.privilege, 0, 0];
        out.extend_from_slice(&self.console_session.to_le_bytes());
        put_algorithms(&mut out, self.algorithms);
        out
    }

    /// Decodes the payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("Open Session Request", bytes);
        let [tag, privilege, _, _] = reader.array()?;
        let console_session = reader.u32()?;
        Ok(Self {
            tag,
            privilege: privilege & 0x0F,
            console_session,
            algorithms: take_algorithms(&mut reader)?,
        })
    }
}

impl OpenSessionResponse {
    /// Encodes the payload: 36 bytes, or 8 for a refusal.
    pub fn encode(&self) -> Vec<u8> {
        let (status, privilege) = match self.outcome {
            Ok(opened) => (Status::OK, opened.privilege),
            Err(status) => (status, 0),
        };
        let mut out = vec![self.tag, status.0, privilege, 0];
        out.extend_from_slice(&self.console_session.to_le_bytes());
        if let Ok(opened) = self.outcome {
            out.extend_from_slice(&opened.managed_session.to_le_bytes());
            put_algorithms(&mut out, opened.algorithms);
        }
        out
    }

    /// Decodes the payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("Open Session Response", bytes);
        let [tag, status] = reader.array()?;
        if Status(status) != Status::OK {
            let console_session = reader.take(2).and_then(|_| reader.u32()).unwrap_or(0);
            return Ok(Self { tag, console_session, outcome: Err(Status(status)) });
        }
        let [privilege, _] = reader.array()?;
        let console_session = reader.u32()?;
        let managed_session = reader.u32()?;
        let algorithms = take_algorithms(&mut reader)?;
        let outcome = Ok(OpenedSession { privilege: privilege & 0x0F, managed_session, algorithms });
        Ok(Self { tag, console_session, outcome })
    }
}

/// RAKP message 1 (IPMI table 13-11): console's nonce, wanted role, user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rakp1<'a> {
    /// Comes back in message 2.
    pub tag: u8,
    /// From the open session response.
    pub managed_session: u32,
    /// The console's random number (Rm).
    pub console_random: [u8; 16],
    /// [`NAME_ONLY_LOOKUP`] and the privilege: part of every proof, so kept as it came.
    pub role: u8,
    /// The user's name, at most 16 bytes.
    pub username: &'a [u8],
}

impl<'a> Rakp1<'a> {
    /// Encodes the payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.tag, 0, 0, 0];
        out.extend_from_slice(&self.managed_session.to_le_bytes());
        out.extend_from_slice(&self.console_random);
        out.extend_from_slice(&[self.role, 0, 0, u8::try_from(self.username.len()).unwrap_or(0)]);
        out.extend_from_slice(self.username);
        out
    }

    /// Decodes the payload.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("RAKP message 1", bytes);
        let [tag, _, _, _] = reader.array()?;
        let managed_session = reader.u32()?;
        let console_random = reader.array()?;
        let [role, _, _, len] = reader.array()?;
        if usize::from(len) > MAX_USERNAME {
            return Err(DecodeError::Invalid { what: "length of the user name", value: len.into() });
        }
        Ok(Self { tag, managed_session, console_random, role, username: reader.take(len.into())? })
    }
}

/// RAKP message 2 (IPMI table 13-12): BMC's nonce, GUID and proof that it knows the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rakp2 {
    /// From message 1.
    pub tag: u8,
    /// The console's session identifier; 0 when a refusal leaves it out.
    pub console_session: u32,
    /// The proof, or why not.
    pub outcome: Result<BmcProof, Status>,
}

/// The BMC's part of the key exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BmcProof {
    /// The BMC's random number (Rc).
    pub bmc_random: [u8; 16],
    /// The BMC's GUID.
    pub guid: [u8; 16],
    /// Key exchange authentication code: 20 or 32 bytes.
    pub code: Vec<u8>,
}

fn bounded_code(what: &'static str, code: &[u8]) -> Result<Vec<u8>, DecodeError> {
    if code.len() > MAX_CODE {
        return Err(DecodeError::TooLong { what, have: code.len(), limit: MAX_CODE });
    }
    Ok(code.to_vec())
}

impl Rakp2 {
    /// Encodes the payload.
    pub fn encode(&self) -> Vec<u8> {
        let status = self.outcome.as_ref().err().copied().unwrap_or(Status::OK);
        let mut out = vec![self.tag, status.0, 0, 0];
        out.extend_from_slice(&self.console_session.to_le_bytes());
        if let Ok(proof) = &self.outcome {
            out.extend_from_slice(&proof.bmc_random);
            out.extend_from_slice(&proof.guid);
            out.extend_from_slice(&proof.code);
        }
        out
    }

    /// Decodes the payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "RAKP message 2";
        let mut reader = Reader::new(WHAT, bytes);
        let [tag, status] = reader.array()?;
        if Status(status) != Status::OK {
            let console_session = reader.take(2).and_then(|_| reader.u32()).unwrap_or(0);
            return Ok(Self { tag, console_session, outcome: Err(Status(status)) });
        }
        reader.take(2)?;
        let console_session = reader.u32()?;
        let bmc_random = reader.array()?;
        let guid = reader.array()?;
        let code = bounded_code(WHAT, reader.rest())?;
        Ok(Self { tag, console_session, outcome: Ok(BmcProof { bmc_random, guid, code }) })
    }
}

/// RAKP message 3 (IPMI table 13-13): the console's proof, or why it gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rakp3 {
    /// Comes back in message 4.
    pub tag: u8,
    /// The BMC's session identifier.
    pub managed_session: u32,
    /// The console's proof (20 or 32 bytes), or why it does not go on.
    pub outcome: Result<Vec<u8>, Status>,
}

impl Rakp3 {
    /// Encodes the payload.
    pub fn encode(&self) -> Vec<u8> {
        let status = self.outcome.as_ref().err().copied().unwrap_or(Status::OK);
        let mut out = vec![self.tag, status.0, 0, 0];
        out.extend_from_slice(&self.managed_session.to_le_bytes());
        out.extend_from_slice(self.outcome.as_deref().unwrap_or_default());
        out
    }

    /// Decodes the payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "RAKP message 3";
        let mut reader = Reader::new(WHAT, bytes);
        let [tag, status, _, _] = reader.array()?;
        let managed_session = reader.u32()?;
        let code = bounded_code(WHAT, reader.rest())?;
        let outcome = if Status(status) == Status::OK { Ok(code) } else { Err(Status(status)) };
        Ok(Self { tag, managed_session, outcome })
    }
}

/// RAKP message 4 (IPMI table 13-14): the session is up, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rakp4 {
    /// From message 3.
    pub tag: u8,
    /// The console's session identifier; 0 when a refusal leaves it out.
    pub console_session: u32,
    /// Integrity check value (12 or 16 bytes), or why not.
    pub outcome: Result<Vec<u8>, Status>,
}

impl Rakp4 {
    /// Encodes the payload.
    pub fn encode(&self) -> Vec<u8> {
        let status = self.outcome.as_ref().err().copied().unwrap_or(Status::OK);
        let mut out = vec![self.tag, status.0, 0, 0];
        out.extend_from_slice(&self.console_session.to_le_bytes());
        out.extend_from_slice(self.outcome.as_deref().unwrap_or_default());
        out
    }

    /// Decodes the payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "RAKP message 4";
        let mut reader = Reader::new(WHAT, bytes);
        let [tag, status] = reader.array()?;
        if Status(status) != Status::OK {
            let console_session = reader.take(2).and_then(|_| reader.u32()).unwrap_or(0);
            return Ok(Self { tag, console_session, outcome: Err(Status(status)) });
        }
        reader.take(2)?;
        let console_session = reader.u32()?;
        Ok(Self { tag, console_session, outcome: Ok(bounded_code(WHAT, reader.rest())?) })
    }
}
