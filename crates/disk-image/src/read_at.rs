//! Reading at an offset: the one thing random access to an image needs, be it a file, memory or HTTP ranges.
//! Knows no cache and no retry: an implementation over a network brings its own.

use std::io::{self, Read, Seek, SeekFrom};

/// A source of bytes addressed by offset. Every [`Read`] + [`Seek`] is one; an HTTP client that can ask for
/// ranges is another.
pub trait ReadAt {
    /// Reads up to `buffer.len()` bytes at `offset`; 0 means the end.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Fills `buffer` from `offset`, or fails with [`io::ErrorKind::UnexpectedEof`].
    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if self.fill_at(offset, buffer)? == buffer.len() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("nothing left to read at offset {offset}")))
    }

    /// Fills as much of `buffer` as there is; returns the number of bytes found.
    fn fill_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(offset + filled as u64, &mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl<T: Read + Seek> ReadAt for T {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.seek(SeekFrom::Start(offset))?;
        self.read(buffer)
    }
}

/// Reads until `buffer` is full or the source ends; returns the number of bytes read.
pub fn read_full(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
