//! Decompression of whole images as [`Read`] adapters with a bound on what comes out.
//! Does not look inside: the format of what comes out is sniffed by the caller.

use std::fmt;
use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use thiserror::Error;

use crate::Format;

/// Largest window a zstd image may ask for: 128 MiB, what `zstd --long` (27) makes and every decoder accepts.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Decompression could not be set up.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// A compression that is recognised but not supported.
    #[error("images compressed by {format} are not supported (gzip and zstd are)")]
    Unsupported {
        /// Which.
        format: Format,
    },
    /// The decoder could not be made.
    #[error("cannot start decompressing")]
    Start(#[source] io::Error),
}

/// A decompressing reader, bounded.
pub struct Decoder<R: Read> {
    inner: Inner<R>,
    left: u64,
    limit: u64,
}

enum Inner<R: Read> {
    Gzip(Box<MultiGzDecoder<BufReader<R>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<R>>>),
}

impl<R: Read> Decoder<R> {
    /// Decompresses `source`; more than `limit` bytes of output is an error ([`io::ErrorKind::FileTooLarge`]).
    pub fn new(format: Format, source: R, limit: u64) -> Result<Self, DecodeError> {
        let source = BufReader::with_capacity(128 * 1024, source);
        let inner = match format {
            Format::Gzip => Inner::Gzip(Box::new(MultiGzDecoder::new(source))),
            Format::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(source).map_err(DecodeError::Start)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(DecodeError::Start)?;
                Inner::Zstd(Box::new(decoder))
            }
            format => return Err(DecodeError::Unsupported { format }),
        };
        Ok(Self { inner, left: limit, limit })
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.inner {
            Inner::Gzip(decoder) => decoder.read(buffer)?,
            Inner::Zstd(decoder) => decoder.read(buffer)?,
        };
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            let text = format!("more than {} bytes after decompression", self.limit);
            io::Error::new(io::ErrorKind::FileTooLarge, text)
        })?;
        Ok(count)
    }
}

impl<R: Read> fmt::Debug for Decoder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("left", &self.left)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(format: Format, data: &[u8], limit: u64) -> io::Result<Vec<u8>> {
        let mut output = Vec::new();
        Decoder::new(format, data, limit).unwrap().read_to_end(&mut output)?;
        Ok(output)
    }

    #[test]
    fn both_compressions_and_several_members() {
        let data = vec![7; 300_000];
        let two: Vec<u8> = [gzip(&data), gzip(b"end")].concat();
        assert_eq!(decode(Format::Gzip, &two, 300_003).unwrap(), [&data[..], b"end"].concat());
        let zstd = zstd::encode_all(&data[..], 3).unwrap();
        assert_eq!(decode(Format::Zstd, &zstd, 300_000).unwrap(), data);
    }

    #[test]
    fn bombs_and_broken_input_end_in_errors() {
        let bomb = gzip(&vec![0; 1 << 20]);
        assert_eq!(decode(Format::Gzip, &bomb, 1000).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(decode(Format::Gzip, &bomb[..bomb.len() - 9], 1 << 21).is_err());
        let zstd = zstd::encode_all(&[9; 5000][..], 3).unwrap();
        assert!(decode(Format::Zstd, &zstd[..zstd.len() - 1], 1 << 21).is_err());
        assert!(matches!(
            Decoder::new(Format::Xz, &b""[..], 1),
            Err(DecodeError::Unsupported { format: Format::Xz })
        ));
    }
}
