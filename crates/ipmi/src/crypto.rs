//! The keyed hashes and the cipher of a session (IPMI sections 13.28-13.32), without any knowledge of packets.

use crate::error::DecodeError;
use crate::suite::CipherSuite;
use aes::Aes128;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// AES block size in bytes.
const BLOCK: usize = 16;
/// The block size of SHA-1 and SHA-256 in bytes. Every key of IPMI is shorter, so that padding it with zeros is all that
/// HMAC would do with it.
const HMAC_BLOCK: usize = 64;

/// HMAC over the concatenation of `parts`, with the suite's hash. Keys longer than 64 bytes do not occur in IPMI and would
/// be cut.
pub fn hmac(suite: CipherSuite, key: &[u8], parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let mut block = Zeroizing::new([0u8; HMAC_BLOCK]);
    let len = key.len().min(HMAC_BLOCK);
    block[..len].copy_from_slice(&key[..len]);
    match suite {
        CipherSuite::Sha1 => digest(<Hmac<Sha1> as KeyInit>::new(&(*block).into()), parts),
        CipherSuite::Sha256 => digest(<Hmac<Sha256> as KeyInit>::new(&(*block).into()), parts),
    }
}

fn digest<M: Mac>(mut mac: M, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

/// Compares two codes in constant time; different lengths are unequal.
pub fn same_code(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// The keys of an established session (IPMI section 13.32): K1 for integrity, the first 16 bytes of K2 for AES.
#[derive(Clone)]
pub struct SessionKeys {
    suite: CipherSuite,
    k1: Zeroizing<Vec<u8>>,
    aes: Zeroizing<[u8; BLOCK]>,
}

impl core::fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SessionKeys({}, ***)", self.suite)
    }
}

impl SessionKeys {
    /// Derives both keys from the session integrity key (SIK). The constants are 20 bytes long for either hash: that is
    /// what BMCs do, although the specification could be read as "as long as the digest".
    pub fn derive(suite: CipherSuite, sik: &[u8]) -> Self {
        let k1 = hmac(suite, sik, &[&[1; 20]]);
        let k2 = hmac(suite, sik, &[&[2; 20]]);
        let mut aes = Zeroizing::new([0; BLOCK]);
        aes.copy_from_slice(&k2[..BLOCK]);
        Self { suite, k1, aes }
    }

    /// The suite the keys are for.
    pub const fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// The authentication code of a packet: everything from the auth type to the next header.
    pub fn code(&self, covered: &[u8]) -> Vec<u8> {
        let mut code = hmac(self.suite, &self.k1, &[covered]).to_vec();
        code.truncate(self.suite.check_len());
        code
    }

    /// Encrypts a payload: initialisation vector, then the blocks, padded with 1, 2, 3... and the pad's length
    /// (IPMI table 13-20).
    pub fn encrypt(&self, iv: [u8; BLOCK], plain: &[u8]) -> Vec<u8> {
        let pad = (BLOCK - (plain.len() + 1) % BLOCK) % BLOCK;
        let mut out = Vec::with_capacity(BLOCK + plain.len() + pad + 1);
        out.extend_from_slice(&iv);
        out.extend_from_slice(plain);
        let mut next = 0u8;
        for _ in 0..pad {
            next += 1;
            out.push(next);
        }
        out.push(next);
        let len = out.len() - BLOCK;
        let cipher = cbc::Encryptor::<Aes128>::new(&(*self.aes).into(), &iv.into());
        // The length is a multiple of the block size by construction, so this cannot fail.
        let done = cipher.encrypt_padded::<NoPadding>(&mut out[BLOCK..], len).is_ok();
        debug_assert!(done, "padded to whole blocks");
        out
    }

    /// Decrypts what [`SessionKeys::encrypt`] made. The pad's bytes are checked, as the specification asks.
    pub fn decrypt(&self, sealed: &[u8]) -> Result<Vec<u8>, DecodeError> {
        const WHAT: &str = "encrypted payload";
        let Some((iv, blocks)) = sealed.split_first_chunk::<BLOCK>() else {
            return Err(DecodeError::Truncated { what: WHAT, need: BLOCK, have: sealed.len() });
        };
        let cipher = cbc::Decryptor::<Aes128>::new(&(*self.aes).into(), &(*iv).into());
        let mut plain = blocks.to_vec();
        if cipher.decrypt_padded::<NoPadding>(&mut plain).is_err() {
            return Err(DecodeError::Check { what: WHAT });
        }
        let pad = usize::from(plain.pop().ok_or(DecodeError::Truncated { what: WHAT, need: 1, have: 0 })?);
        let data =
            plain.len().checked_sub(pad).filter(|_| pad < BLOCK).ok_or(DecodeError::Check { what: WHAT })?;
        if !plain[data..].iter().zip(1u8..).all(|(byte, want)| *byte == want) {
            return Err(DecodeError::Check { what: WHAT });
        }
        plain.truncate(data);
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2202 test case 2 and RFC 4231 test case 2: the same key and data for both hashes.
    #[test]
    fn hmac_agrees_with_the_rfcs() {
        let sha1 = hmac(CipherSuite::Sha1, b"Jefe", &[b"what do ya ", b"want for nothing?"]);
        assert_eq!(
            sha1.as_slice(),
            [
                0xef, 0xfc, 0xdf, 0x6a, 0xe5, 0xeb, 0x2f, 0xa2, 0xd2, 0x74, 0x16, 0xd5, 0xf1, 0x84, 0xdf,
                0x9c, 0x25, 0x9a, 0x7c, 0x79
            ]
        );
        let sha256 = hmac(CipherSuite::Sha256, b"Jefe", &[b"what do ya want for nothing?"]);
        assert_eq!(sha256[..8], [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e]);
        assert_eq!(sha256.len(), 32);
    }

    #[test]
    fn every_length_survives_encryption() {
        for suite in CipherSuite::PREFERENCE {
            let keys = SessionKeys::derive(suite, &[7; 20]);
            for len in 0..70u8 {
                let plain: Vec<u8> = (0..len).collect();
                let sealed = keys.encrypt([9; 16], &plain);
                assert_eq!(sealed.len() % 16, 0);
                assert_eq!(keys.decrypt(&sealed).unwrap(), plain);
            }
        }
    }

    #[test]
    fn broken_ciphertext_is_refused() {
        let keys = SessionKeys::derive(CipherSuite::Sha1, &[7; 20]);
        assert!(keys.decrypt(&[0; 15]).is_err());
        assert!(keys.decrypt(&[0; 16]).is_err());
        assert!(keys.decrypt(&[0; 17]).is_err());
        let mut sealed = keys.encrypt([9; 16], b"abc");
        *sealed.last_mut().unwrap() ^= 1;
        assert!(keys.decrypt(&sealed).is_err());
    }

    #[test]
    fn keys_never_print() {
        let keys = SessionKeys::derive(CipherSuite::Sha1, &[7; 20]);
        assert_eq!(format!("{keys:?}"), "SessionKeys(cipher suite 3, ***)");
    }
}
