//! What the content of an image is, and whether that is what was declared and permitted. Looks at bytes only.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use disk_image::decode::Decoder;
use disk_image::{Format, SNIFF_LEN, qcow2, sniff};

use crate::error::ImageError;

/// What the content has to be.
#[derive(Debug, Clone)]
pub(crate) struct Expectation {
    pub(crate) declared: Option<Format>,
    pub(crate) permitted: Arc<[Format]>,
}

impl Expectation {
    pub(crate) fn check(&self, found: Format) -> Result<(), ImageError> {
        if !self.permitted.contains(&found) {
            return Err(ImageError::FormatNotPermitted { found: found.to_string() });
        }
        match self.declared {
            Some(declared) if !found.satisfies(declared) => {
                Err(ImageError::FormatDiffers { declared: declared.to_string(), found: found.to_string() })
            }
            _ => Ok(()),
        }
    }
}

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Content {
    /// Of the image; of what is inside when compressed.
    pub(crate) format: Format,
    pub(crate) compression: Option<Format>,
    /// Bytes of the disk; `None` when compressed.
    pub(crate) virtual_size: Option<u64>,
}

/// Whether the beginning of a file looks like HTML or XML. No disk begins with `<` after white space: a boot
/// sector begins with code, every format with its signature.
pub(crate) fn looks_like_web_page(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    head.first() == Some(&b'<')
}

/// Looks at a whole file.
pub(crate) fn file(path: &Path) -> Result<Content, ImageError> {
    let open = || File::open(path).map_err(|error| ImageError::store("read", path, error));
    let head = head_of(open()?).map_err(|error| ImageError::store("read", path, error))?;
    let outside = sniff(&head);
    if !outside.is_compression() {
        let size = open()?.metadata().map_err(|error| ImageError::store("read", path, error))?.len();
        return Ok(Content {
            format: outside,
            compression: None,
            virtual_size: Some(disk_size(outside, &head, size)?),
        });
    }
    let refuse = |why: String| ImageError::Unsafe { why };
    let inside =
        Decoder::new(outside, open()?, SNIFF_LEN as u64).map_err(|error| refuse(error.to_string()))?;
    let head =
        head_of(inside).map_err(|error| refuse(format!("its {outside} compression is broken: {error}")))?;
    let format = sniff(&head);
    if format.is_compression() {
        return Err(refuse(format!("{format} inside {outside}")));
    }
    disk_size(format, &head, 0)?;
    Ok(Content { format, compression: Some(outside), virtual_size: None })
}

/// Bytes of the disk; refuses what is not safe to read.
fn disk_size(format: Format, head: &[u8], file_size: u64) -> Result<u64, ImageError> {
    if format != Format::Qcow2 {
        return Ok(file_size);
    }
    let checked = qcow2::check(head, &qcow2::Limits::default());
    checked.map(|header| header.virtual_size).map_err(|error| ImageError::Unsafe { why: error.to_string() })
}

fn head_of(from: impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    from.take(SNIFF_LEN as u64).read_to_end(&mut head)?;
    Ok(head)
}
