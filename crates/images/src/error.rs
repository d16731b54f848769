//! Why an image cannot be had. A variant says what was tried, its source the cause; [`ImageError::hint`] says what
//! the operator can do and [`ImageError::report`] puts all of it into one line for `last_error`.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use disk_image::Checksum;
use disk_image::hash::ChecksumError;

use crate::web::WebError;

/// Why an image cannot be had. Cloned to every caller that waits for the same download.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ImageError {
    /// The request names no checksum.
    #[error("image_source {url} has no checksum")]
    NoChecksum {
        /// The source, secrets masked.
        url: String,
    },
    /// The checksum is neither digits of a known digest nor an http(s) URL.
    #[error("image checksum '{given}' is neither a digest nor the URL of a checksum file")]
    BadChecksum {
        /// The value given, cut to 200 characters.
        given: String,
        /// What is wrong with it.
        #[source]
        source: ChecksumError,
    },
    /// The checksum is MD5 and the site does not allow that.
    #[error("image checksum is MD5, which this site does not allow")]
    Md5NotAllowed,
    /// The checksum file has no line for the image.
    #[error("checksum file {url} names no digest for {file}")]
    NotInChecksumFile {
        /// The checksum file, secrets masked.
        url: String,
        /// Last path segment of the image's URL.
        file: String,
    },
    /// The checksum file could not be fetched.
    #[error("the checksum file could not be fetched")]
    ChecksumFile(#[source] WebError),
    /// The image could not be fetched.
    #[error("image_source could not be fetched")]
    Source(#[source] WebError),
    /// The server sent a web page instead of an image.
    #[error("image_source {url} answered with a web page (HTML), not an image")]
    WebPage {
        /// The source, secrets masked.
        url: String,
    },
    /// The image is larger than the site allows.
    #[error("image_source {url} is larger than {limit} bytes, the limit for an image")]
    TooLarge {
        /// The source, secrets masked.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The transfer did not end within the total deadline.
    #[error("image_source {url} was not complete after {after:?}: {received} bytes had arrived")]
    TooSlow {
        /// The source, secrets masked.
        url: String,
        /// The deadline.
        after: Duration,
        /// Bytes that had arrived.
        received: u64,
    },
    /// This caller's own deadline passed; the transfer may go on for others.
    #[error("the image was not ready after {after:?}")]
    WaitedTooLong {
        /// The caller's deadline.
        after: Duration,
    },
    /// The bytes do not have the digest that was declared.
    #[error("image_source {url} has the digest {actual}, declared was {expected}")]
    Mismatch {
        /// The source, secrets masked.
        url: String,
        /// As declared.
        expected: Checksum,
        /// As received.
        actual: Checksum,
    },
    /// The content has another format than declared.
    #[error("image is {found}, declared was {declared}")]
    FormatDiffers {
        /// As declared (`image_disk_format`).
        declared: String,
        /// As found in the content.
        found: String,
    },
    /// The content has a format the site does not permit.
    #[error("image format {found} is not permitted on this site")]
    FormatNotPermitted {
        /// As found in the content.
        found: String,
    },
    /// The content is of a permitted format, but broken or with references to other files.
    #[error("image is not safe to use: {why}")]
    Unsafe {
        /// What is wrong with it.
        why: String,
    },
    /// There is no room in the cache, and nothing that could be removed.
    #[error("the image cache has no room for {needed} bytes: {in_use} of {max} bytes are in use right now")]
    CacheFull {
        /// Bytes needed.
        needed: u64,
        /// Bytes of images in use or being fetched.
        in_use: u64,
        /// The cache's bound.
        max: u64,
    },
    /// The file system under the cache is full.
    #[error("the file system of the image cache {} is full", dir.display())]
    DiskFull {
        /// The cache's folder.
        dir: PathBuf,
    },
    /// The cache's folder is used by another process.
    #[error("the image cache {} is in use by another process", dir.display())]
    CacheTaken {
        /// The cache's folder.
        dir: PathBuf,
    },
    /// The cache's folder or a file in it failed.
    #[error("could not {what} {}", path.display())]
    Store {
        /// What was tried, as a verb.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: Arc<io::Error>,
    },
    /// The cache is being closed.
    #[error("the image cache is being closed")]
    Closed,
}

impl ImageError {
    pub(crate) fn store(what: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Store { what, path: path.into(), source: Arc::new(source) }
    }

    /// A stable name of the variant, for metrics and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoChecksum { .. } => "image_no_checksum",
            Self::BadChecksum { .. } => "image_bad_checksum",
            Self::Md5NotAllowed => "image_md5_not_allowed",
            Self::NotInChecksumFile { .. } => "image_not_in_checksum_file",
            Self::ChecksumFile(_) => "image_checksum_file_unreachable",
            Self::Source(_) => "image_source_unreachable",
            Self::WebPage { .. } => "image_is_web_page",
            Self::TooLarge { .. } => "image_too_large",
            Self::TooSlow { .. } => "image_too_slow",
            Self::WaitedTooLong { .. } => "image_waited_too_long",
            Self::Mismatch { .. } => "image_checksum_mismatch",
            Self::FormatDiffers { .. } => "image_format_differs",
            Self::FormatNotPermitted { .. } => "image_format_not_permitted",
            Self::Unsafe { .. } => "image_unsafe",
            Self::CacheFull { .. } => "image_cache_full",
            Self::DiskFull { .. } => "image_disk_full",
            Self::CacheTaken { .. } => "image_cache_taken",
            Self::Store { .. } => "image_cache_failed",
            Self::Closed => "image_cache_closed",
        }
    }

    /// Whether the same request may succeed later with nothing changed by anybody.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Source(error) | Self::ChecksumFile(error) => error.is_transient(),
            Self::TooSlow { .. } | Self::WaitedTooLong { .. } | Self::CacheFull { .. } | Self::Closed => true,
            _ => false,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoChecksum { .. } => {
                "set instance_info image_os_hash_algo and image_os_hash_value, or image_checksum"
            }
            Self::BadChecksum { .. } => {
                "give a SHA-256 (64 digits) or SHA-512 (128 digits) digest in hexadecimal, or the http(s) URL of a \
                 checksum file"
            }
            Self::Md5NotAllowed => "declare a SHA-256 or SHA-512 digest",
            Self::NotInChecksumFile { .. } => {
                "check that the checksum file belongs to this image; it must have a line 'DIGEST  FILE' with the \
                 last part of image_source as FILE"
            }
            Self::Source(error) | Self::ChecksumFile(error) => error.hint(),
            Self::WebPage { .. } => {
                "open the URL in a browser: it is probably a login page, a directory or a download page; use the \
                 link to the file itself"
            }
            Self::TooLarge { .. } => "use a smaller image (qcow2 instead of raw), or raise the limit",
            Self::TooSlow { .. } | Self::WaitedTooLong { .. } => {
                "check the speed of the image server, or put a copy of the image nearer"
            }
            Self::Mismatch { .. } => {
                "the image was changed after its digest was taken, or something on the way altered it; check both"
            }
            Self::FormatDiffers { .. } => {
                "set image_disk_format to what the image is, if that is what you meant"
            }
            Self::FormatNotPermitted { .. } => "convert the image to raw or qcow2",
            Self::Unsafe { .. } => {
                "write the image anew as one file without backing file or external data: qemu-img convert -O qcow2"
            }
            Self::CacheFull { .. } => {
                "try again when running deployments have ended, or enlarge the image cache"
            }
            Self::DiskFull { .. } => "free space on the service's disk, or lower the image cache's size",
            Self::CacheTaken { .. } => "end the other process, or give each process its own data directory",
            Self::Store { .. } => "check the folder's permissions and the disk's health",
            Self::Closed => "try again when the service has restarted",
        }
    }

    /// The error, its causes and the next step as one line.
    pub fn report(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        let _ = write!(text, " ({})", self.hint());
        text
    }
}
