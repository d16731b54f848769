//! What a caller asks of the cache and what it gets.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use disk_image::{Algorithm, Checksum, Format};
use url::Url;

use crate::error::ImageError;
use crate::store::Pin;
use crate::web::{self, cut, shown};

/// Where the expected digest comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ChecksumSource {
    /// The digest itself.
    Known(Checksum),
    /// An http(s) file that lists digests by file name.
    File(Url),
}

impl ChecksumSource {
    /// From `instance_info.image_checksum`: hexadecimal digits whose number tells the algorithm, or the URL of
    /// a checksum file.
    ///
    /// # Errors
    /// [`ImageError::BadChecksum`].
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        if let Ok(url) = web::parse_url(text) {
            return Ok(Self::File(url));
        }
        let bad = |source| ImageError::BadChecksum { given: cut(text), source };
        Checksum::by_length(text).map(Self::Known).map_err(bad)
    }

    /// From `instance_info.image_os_hash_algo` and `image_os_hash_value`; the value may be a URL here too.
    ///
    /// # Errors
    /// [`ImageError::BadChecksum`].
    pub fn parse_with_algorithm(algorithm: &str, value: &str) -> Result<Self, ImageError> {
        if let Ok(url) = web::parse_url(value) {
            return Ok(Self::File(url));
        }
        let bad = |source| ImageError::BadChecksum { given: cut(&format!("{algorithm}:{value}")), source };
        Checksum::new(algorithm, value).map(Self::Known).map_err(bad)
    }
}

/// An image that somebody wants.
#[derive(Clone)]
pub struct ImageRequest {
    /// Where it is, http or https. May hold a user and password for basic authentication.
    pub source_url: Url,
    /// Its digest: required, as nothing else says that the bytes are the right ones.
    pub checksum: Option<ChecksumSource>,
    /// Its format as declared (`image_disk_format`); `None` takes any permitted one.
    pub declared_format: Option<Format>,
    /// How long this caller waits.
    pub deadline: Duration,
}

impl fmt::Debug for ImageRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageRequest")
            .field("source_url", &shown(&self.source_url))
            .field("checksum", &self.checksum)
            .field("declared_format", &self.declared_format)
            .field("deadline", &self.deadline)
            .finish()
    }
}

/// How far a transfer is. Both in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Arrived so far.
    pub received: u64,
    /// In all, when the server said so.
    pub total: Option<u64>,
}

/// What is known about the content of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// SHA-512 of the file, when somebody declared it.
    pub sha512: Option<String>,
    /// Format of the image; of what is inside when the file is compressed.
    pub format: Format,
    /// The compression around the image (gzip, zstd).
    pub compression: Option<Format>,
    /// Bytes of the disk that the image describes; `None` when the file is compressed, as only decompressing all
    /// of it would tell.
    pub virtual_size: Option<u64>,
}

/// An image in the cache. As long as a clone of it lives the file stays where it is.
#[derive(Debug, Clone)]
pub struct CachedImage {
    pub(crate) path: PathBuf,
    pub(crate) facts: Arc<ImageFacts>,
    pub(crate) _pin: Pin,
}

impl CachedImage {
    /// The file. Never write to it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A name that is the same for the same content: the SHA-256 in hexadecimal. Fit for a URL path.
    pub fn key(&self) -> &str {
        &self.facts.sha256
    }

    /// What is known about the content.
    pub fn facts(&self) -> &ImageFacts {
        &self.facts
    }

    /// The digest to give to an agent: the strongest one known.
    pub fn checksum(&self) -> Checksum {
        match &self.facts.sha512 {
            Some(hex) => Checksum { algorithm: Algorithm::Sha512, hex: hex.clone() },
            None => Checksum { algorithm: Algorithm::Sha256, hex: self.facts.sha256.clone() },
        }
    }
}
