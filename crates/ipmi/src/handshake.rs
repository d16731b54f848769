//! The formulas of the RAKP key exchange, the same for both ends (IPMI sections 13.28-13.32). It knows no packets, no order of
//! messages and no time.

#[cfg(test)]
mod golden;

use crate::crypto::{SessionKeys, hmac};
use crate::secret::{Password, Username};
use crate::suite::CipherSuite;
use zeroize::Zeroizing;

/// Everything both ends have said to each other and that the proofs cover.
#[derive(Debug, Clone)]
pub(crate) struct Transcript {
    pub(crate) suite: CipherSuite,
    /// `SIDm`: the console's identifier.
    pub(crate) console_session: u32,
    /// `SIDc`: the BMC's identifier.
    pub(crate) managed_session: u32,
    /// Rm.
    pub(crate) console_random: [u8; 16],
    /// Rc.
    pub(crate) bmc_random: [u8; 16],
    /// `GUIDc`, as on the wire.
    pub(crate) guid: [u8; 16],
    /// The whole role byte of RAKP message 1.
    pub(crate) role: u8,
    pub(crate) username: Username,
}

impl Transcript {
    /// The BMC's proof in RAKP message 2.
    pub(crate) fn bmc_proof(&self, password: &Password) -> Zeroizing<Vec<u8>> {
        let parts: [&[u8]; 7] = [
            &self.console_session.to_le_bytes(),
            &self.managed_session.to_le_bytes(),
            &self.console_random,
            &self.bmc_random,
            &self.guid,
            &[self.role, self.username.wire_len()],
            self.username.as_bytes(),
        ];
        hmac(self.suite, password.expose(), &parts)
    }

    /// The console's proof in RAKP message 3.
    pub(crate) fn console_proof(&self, password: &Password) -> Zeroizing<Vec<u8>> {
        let parts: [&[u8]; 4] = [
            &self.bmc_random,
            &self.console_session.to_le_bytes(),
            &[self.role, self.username.wire_len()],
            self.username.as_bytes(),
        ];
        hmac(self.suite, password.expose(), &parts)
    }

    /// The session integrity key (SIK). `key` is the BMC key if there is one, else the password.
    pub(crate) fn integrity_key(&self, key: &Password) -> Zeroizing<Vec<u8>> {
        let parts: [&[u8]; 4] = [
            &self.console_random,
            &self.bmc_random,
            &[self.role, self.username.wire_len()],
            self.username.as_bytes(),
        ];
        hmac(self.suite, key.expose(), &parts)
    }

    /// The check value in RAKP message 4.
    pub(crate) fn check_value(&self, integrity_key: &[u8]) -> Vec<u8> {
        let parts: [&[u8]; 3] = [&self.console_random, &self.managed_session.to_le_bytes(), &self.guid];
        let mut value = hmac(self.suite, integrity_key, &parts).to_vec();
        value.truncate(self.suite.check_len());
        value
    }

    /// The keys of the session.
    pub(crate) fn session_keys(&self, integrity_key: &[u8]) -> SessionKeys {
        SessionKeys::derive(self.suite, integrity_key)
    }
}
