//! Running the reference tools, and test data.

use std::path::Path;
use std::process::Command;

/// Runs a tool and returns what it printed. A missing tool fails the test.
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let (ok, text) = attempt(program, args);
    assert!(ok, "{program} {args:?} failed:\n{text}");
    text
}

/// Runs a tool; whether it succeeded, and what it printed.
#[expect(clippy::disallowed_methods, reason = "the tests compare with reference tools")]
pub(crate) fn attempt(program: &str, args: &[&str]) -> (bool, String) {
    let output = Command::new(program)
        .args(args)
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}: run `cargo xtask setup`"));
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A small generator of test data (xorshift64*).
#[derive(Debug)]
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// A disk of `size` bytes with runs of zeros, of text that compresses, and of noise.
pub(crate) fn disk(size: usize, seed: u64) -> Vec<u8> {
    let mut noise = Noise(seed | 1);
    let mut bytes = vec![0; size];
    let mut at = 0;
    while at < size {
        let len = (usize::try_from(noise.next() % 300_000).unwrap()).min(size - at);
        let run = &mut bytes[at..at + len];
        match noise.next() % 4 {
            0 => run
                .chunks_mut(8)
                .for_each(|part| part.copy_from_slice(&noise.next().to_le_bytes()[..part.len()])),
            1 => run
                .iter_mut()
                .zip(b"a line of text that repeats\n".iter().cycle())
                .for_each(|(to, from)| *to = *from),
            _ => {}
        }
        at += len;
    }
    bytes
}
