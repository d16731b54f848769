//! The config drive as conductors hand it over: a URL, or base64 of a gzipped ISO image. Writing it is `disk`'s matter.

use crate::{
    agent::Agent,
    command::Failure,
    fetch::{Fetch, host_of},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use disk::configdrive::MAX_SIZE;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, Method};
use std::io::Read;

/// Longest text of a config drive: base64 of the largest, were it incompressible, and line breaks.
const LONGEST_TEXT: usize = 96 << 20;

/// The bytes of the ISO image.
pub async fn load(agent: &Agent, given: &str) -> Result<Vec<u8>, Failure> {
    if !given.starts_with("http://") && !given.starts_with("https://") {
        return unpack(given.as_bytes());
    }
    let fetch = Fetch {
        method: Method::GET,
        url: given.to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        limit: agent.parameters.image_timeout,
    };
    let host = host_of(given);
    let loaded = agent.fetcher.load(&fetch, LONGEST_TEXT).await;
    let (status, body) = loaded.map_err(|error| {
        Failure::failed(format!("config drive from {host}: {}", crate::console::chain(&error)))
    })?;
    if !status.is_success() {
        return Err(Failure::failed(format!("config drive from {host}: HTTP {}", status.as_u16())));
    }
    unpack(&body)
}

/// Undoes base64 and gzip. No message shows any of the content.
fn unpack(text: &[u8]) -> Result<Vec<u8>, Failure> {
    let bad = |what: &str| Failure::failed(format!("the config drive is not {what}"));
    let compact: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let packed = STANDARD.decode(&compact).map_err(|_| bad("base64"))?;
    let mut image = Vec::new();
    let mut decoder = MultiGzDecoder::new(&packed[..]).take(MAX_SIZE + 1);
    decoder.read_to_end(&mut image).map_err(|_| bad("gzip"))?;
    if image.is_empty() || image.len() as u64 > MAX_SIZE {
        return Err(bad("between 1 byte and 64 MiB"));
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn packed(content: &[u8]) -> String {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).expect("memory");
        STANDARD.encode(encoder.finish().expect("memory"))
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        let text = packed(b"an ISO image");
        let broken: String = text.chars().flat_map(|c| [c, '\n']).collect();
        assert_eq!(unpack(broken.as_bytes()).expect("drive"), b"an ISO image");
    }

    #[test]
    fn bombs_and_rubbish_are_refused() {
        let bomb = packed(&vec![0; usize::try_from(MAX_SIZE).expect("fits") + 1]);
        for text in ["", "secret!", "c2VjcmV0", &packed(b""), &bomb] {
            let failure = unpack(text.as_bytes()).expect_err("refused");
            assert!(!failure.details().contains("secret"));
        }
    }
}
