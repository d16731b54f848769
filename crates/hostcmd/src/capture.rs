//! Bounded reading of a child's output: a head that must fit, or a tail that forgets its beginning.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

const CHUNK: usize = 16 * 1024;

/// How reading standard output ended.
#[derive(Debug)]
pub(crate) enum Head {
    /// End of file within the limit.
    Whole,
    /// The limit was passed; what was read so far is kept.
    TooLong,
}

/// Reads to the end of `from`, appending to `kept`, and stops early when `limit` bytes would be passed.
pub(crate) async fn read_head(
    mut from: impl AsyncRead + Unpin,
    kept: &mut Vec<u8>,
    limit: usize,
) -> io::Result<Head> {
    let mut chunk = vec![0_u8; CHUNK];
    loop {
        let count = from.read(&mut chunk).await?;
        if count == 0 {
            return Ok(Head::Whole);
        }
        let room = limit - kept.len();
        kept.extend_from_slice(&chunk[..count.min(room)]);
        if count > room {
            return Ok(Head::TooLong);
        }
    }
}

/// Reads to the end of `from`, keeping the last `limit` bytes in `kept`.
pub(crate) async fn read_tail(
    mut from: impl AsyncRead + Unpin,
    kept: &mut Vec<u8>,
    limit: usize,
) -> io::Result<()> {
    let mut chunk = vec![0_u8; CHUNK];
    loop {
        let count = from.read(&mut chunk).await?;
        if count == 0 {
            return Ok(());
        }
        kept.extend_from_slice(&chunk[..count]);
        let excess = kept.len().saturating_sub(limit);
        kept.drain(..excess);
    }
}

/// The last `limit` bytes of `bytes` as text, cut at a line's beginning where there is one.
pub(crate) fn tail_text(bytes: &[u8], limit: usize) -> String {
    let from = bytes.len().saturating_sub(limit);
    let tail = &bytes[from..];
    let start = if from == 0 {
        0
    } else {
        tail.iter().position(|&byte| byte == b'\n').map_or(0, |newline| newline + 1)
    };
    String::from_utf8_lossy(&tail[start..]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_head_that_fits_exactly_is_whole_and_one_more_byte_is_too_long() {
        let mut kept = Vec::new();
        assert!(matches!(read_head(&b"12345"[..], &mut kept, 5).await.unwrap(), Head::Whole));
        assert_eq!(kept, b"12345");
        kept.clear();
        assert!(matches!(read_head(&b"123456"[..], &mut kept, 5).await.unwrap(), Head::TooLong));
        assert_eq!(kept, b"12345");
    }

    #[tokio::test]
    async fn a_tail_keeps_the_end() {
        let long: Vec<u8> = (0..100_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let mut kept = Vec::new();
        read_tail(&long[..], &mut kept, 1000).await.unwrap();
        assert_eq!(kept, long[long.len() - 1000..]);
    }

    #[test]
    fn tail_text_begins_with_a_line() {
        assert_eq!(tail_text(b"first line\nsecond\n", 12), "second\n");
        assert_eq!(tail_text(b"short", 12), "short");
        assert_eq!(tail_text(b"no newline at all", 7), " at all");
    }
}
