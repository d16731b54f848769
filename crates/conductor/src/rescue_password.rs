//! The password of a rescued machine: hashed at once (SHA-256 crypt, `$5$`), so that it is nowhere stored as it is.
//!
//! The algorithm is Ulrich Drepper's "Unix crypt using SHA-256 and SHA-512", version 0.6, with its default of 5000 rounds.

use rand::Rng;
use sha2::{Digest, Sha256};

const ROUNDS: usize = 5000;
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The order in which the bytes of the sum are written, three at a time, the most significant first.
const GROUPS: [[usize; 3]; 10] = [
    [0, 10, 20],
    [21, 1, 11],
    [12, 22, 2],
    [3, 13, 23],
    [24, 4, 14],
    [15, 25, 5],
    [6, 16, 26],
    [27, 7, 17],
    [18, 28, 8],
    [9, 19, 29],
];

/// The hash of `password` with a salt of its own.
pub(crate) fn hash(password: &str) -> String {
    let mut bytes = [0_u8; 16];
    rand::rng().fill_bytes(&mut bytes);
    let salt: String = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect();
    with_salt(password, &salt)
}

/// `length` bytes of `sum`, over and over.
fn stretched(sum: &[u8], length: usize) -> Vec<u8> {
    sum.iter().copied().cycle().take(length).collect()
}

fn sum(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().into()
}

fn with_salt(password: &str, salt: &str) -> String {
    let (key, salt_bytes) = (password.as_bytes(), salt.as_bytes());
    let inner = sum(&[key, salt_bytes, key]);
    let mut first = Sha256::new();
    first.update(key);
    first.update(salt_bytes);
    first.update(stretched(&inner, key.len()));
    let mut bits = key.len();
    while bits > 0 {
        first.update(if bits & 1 == 1 { &inner[..] } else { key });
        bits >>= 1;
    }
    let mut current: [u8; 32] = first.finalize().into();
    let mut of_key = Sha256::new();
    for _ in 0..key.len() {
        of_key.update(key);
    }
    let p = stretched(&of_key.finalize(), key.len());
    let mut of_salt = Sha256::new();
    for _ in 0..16 + usize::from(current[0]) {
        of_salt.update(salt_bytes);
    }
    let s = stretched(&of_salt.finalize(), salt_bytes.len());
    for round in 0..ROUNDS {
        let odd = round % 2 == 1;
        let head: &[u8] = if odd { &p } else { &current };
        let tail: &[u8] = if odd { &current } else { &p };
        let salted: &[u8] = if round % 3 == 0 { &[] } else { &s };
        let keyed: &[u8] = if round % 7 == 0 { &[] } else { &p };
        current = sum(&[head, salted, keyed, tail]);
    }
    format!("$5${salt}${}", encode(&current))
}

fn encode(sum: &[u8; 32]) -> String {
    let mut text = String::with_capacity(43);
    let mut push = |value: u32, count: usize| {
        for place in 0..count {
            let six = (value >> (6 * place)) & 63;
            text.push(char::from(ALPHABET[six as usize]));
        }
    };
    for [a, b, c] in GROUPS {
        push(u32::from(sum[a]) << 16 | u32::from(sum[b]) << 8 | u32::from(sum[c]), 4);
    }
    push(u32::from(sum[31]) << 8 | u32::from(sum[30]), 3);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `openssl passwd -5` makes them.
    #[test]
    fn the_vectors_of_others() {
        for (password, salt, expected) in [
            ("Hello world!", "saltstring", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
            ("x", "0123456789abcdef", "$5$0123456789abcdef$.fULuWHW4LFdceMju5Z2fLohL4aL5Nk149iH4KnvtJ9"),
            (
                "a rather long password, longer than the thirty-two bytes of the sum, with ümlauts",
                "Qz./",
                "$5$Qz./$lCy7H8YZ5paAjUFny6Ez2oXarFJ4CPKH/zfT6qbtxh5",
            ),
        ] {
            assert_eq!(with_salt(password, salt), expected);
        }
    }

    #[test]
    fn every_hash_has_its_own_salt() {
        let (one, two) = (hash("secret"), hash("secret"));
        assert_ne!(one, two);
        assert!(one.starts_with("$5$") && !one.contains("secret"));
    }
}
