//! `image_info`: what image to write, where it is, and how to know that it is whole.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// Description of an image in the step `write_image`. `Debug` masks credentials and URLs (a temporary URL is a credential).
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct ImageInfo {
    /// Name of the image.
    pub id: String,
    /// Where it can be had; the first that answers is used.
    pub urls: Vec<String>,
    /// `raw`, `qcow2`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_format: Option<String>,
    /// `bare`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_format: Option<String>,
    /// Whether a raw image goes straight to the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_raw_images: Option<bool>,
    /// MD5, SHA-256 or SHA-512 in hexadecimal digits, or the URL of a checksum file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// `sha256`, `sha512`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_hash_algo: Option<String>,
    /// Digest by `os_hash_algo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_hash_value: Option<String>,
    /// `http_basic`, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_server_auth_strategy: Option<String>,
    /// User of the image server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_server_user: Option<String>,
    /// Password of the image server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_server_password: Option<String>,
    /// Base64 of the value of an `Authorization` header (OCI registries).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_request_authorization: Option<String>,
    /// Proxies by scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxies: Option<Map<String, Value>>,
    /// Hosts that need no proxy, comma separated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
    /// The node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_uuid: Option<String>,
    /// `whole-disk` or `partition`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_type: Option<String>,
    /// `bios` or `uefi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy_boot_mode: Option<String>,
    /// Keys of partition images and of newer servers.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl fmt::Debug for ImageInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageInfo")
            .field("id", &self.id)
            .field("disk_format", &self.disk_format)
            .field("checksum", &self.checksum)
            .field("os_hash_algo", &self.os_hash_algo)
            .field("os_hash_value", &self.os_hash_value)
            .finish_non_exhaustive()
    }
}

/// A digest's algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HashAlgorithm {
    /// Only where the server allows it.
    Md5,
    /// 256 bits.
    Sha256,
    /// 512 bits.
    Sha512,
}

impl HashAlgorithm {
    /// Length of the digest in hexadecimal digits.
    pub const fn hex_length(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    /// Lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        let all = [Self::Md5, Self::Sha256, Self::Sha512];
        all.into_iter().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name))
    }

    const fn is_weak(self) -> bool {
        matches!(self, Self::Md5)
    }
}

/// How to know that an image is whole.
#[derive(Clone, PartialEq, Eq)]
pub enum Checksum {
    /// A digest, in lower-case hexadecimal digits of the algorithm's length.
    Digest(HashAlgorithm, String),
    /// URL of a checksum file that names the digest.
    File(String),
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(algorithm, digest) => write!(f, "{}:{digest}", algorithm.as_str()),
            Self::File(_) => f.write_str("File(masked)"),
        }
    }
}

/// Why an `image_info` cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ImageInfoError {
    /// No name.
    #[error("image_info has no id")]
    NoId,
    /// Nowhere to get it.
    #[error("image_info has no urls")]
    NoUrls,
    /// One of the pair is missing.
    #[error("os_hash_algo and os_hash_value must be given together")]
    HalfHash,
    /// A digest by an algorithm that is unknown.
    #[error("os_hash_algo is none of md5, sha256, sha512")]
    UnknownAlgorithm,
    /// Not hexadecimal digits of the right number.
    #[error("the image's checksum is not a digest")]
    NotADigest,
    /// Too weak, and not allowed.
    #[error("the image has only a weak checksum and the server does not allow those")]
    Weak,
    /// No checksum at all.
    #[error("the image has no checksum")]
    NoChecksum,
}

impl ImageInfo {
    /// Checks what every image must have.
    pub fn validate(&self) -> Result<(), ImageInfoError> {
        if self.id.is_empty() {
            return Err(ImageInfoError::NoId);
        }
        if self.urls.iter().all(String::is_empty) {
            return Err(ImageInfoError::NoUrls);
        }
        Ok(())
    }

    /// Whether the image holds one file system and no partition table.
    pub fn is_partition_image(&self) -> bool {
        match self.image_type.as_deref() {
            Some(kind) => kind == "partition",
            None => ["root_gb", "root_mb"].iter().any(|key| self.other.contains_key(*key)),
        }
    }

    /// The strongest check the description names: `os_hash_*` first, then `checksum`.
    /// `weak_allowed` is the server's `agent_md5_checksum_enable`.
    pub fn check(&self, weak_allowed: bool) -> Result<Checksum, ImageInfoError> {
        let given = |text: &Option<String>| {
            text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let chosen = match (given(&self.os_hash_algo), given(&self.os_hash_value), given(&self.checksum)) {
            (Some(_), None, _) | (None, Some(_), _) => return Err(ImageInfoError::HalfHash),
            (Some(name), Some(value), _) => {
                let algorithm = HashAlgorithm::by_name(&name).ok_or(ImageInfoError::UnknownAlgorithm)?;
                Checksum::of(algorithm, &value)?
            }
            (None, None, Some(text)) => Checksum::guess(&text)?,
            (None, None, None) => return Err(ImageInfoError::NoChecksum),
        };
        match &chosen {
            Checksum::Digest(algorithm, _) if algorithm.is_weak() && !weak_allowed => {
                Err(ImageInfoError::Weak)
            }
            _ => Ok(chosen),
        }
    }
}

impl Checksum {
    fn of(algorithm: HashAlgorithm, digest: &str) -> Result<Self, ImageInfoError> {
        let fits =
            digest.len() == algorithm.hex_length() && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| Self::Digest(algorithm, digest.to_ascii_lowercase())).ok_or(ImageInfoError::NotADigest)
    }

    /// Tells a digest's algorithm by its length, and a checksum file by its URL.
    pub fn guess(text: &str) -> Result<Self, ImageInfoError> {
        if ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(Self::File(text.to_owned()));
        }
        let by_length = [HashAlgorithm::Md5, HashAlgorithm::Sha256, HashAlgorithm::Sha512];
        let algorithm = by_length.into_iter().find(|algorithm| algorithm.hex_length() == text.len());
        Self::of(algorithm.ok_or(ImageInfoError::NotADigest)?, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> ImageInfo {
        ImageInfo { id: "i".into(), urls: vec!["http://h/i".into()], ..ImageInfo::default() }
    }

    #[test]
    fn strongest_wins() {
        let both = ImageInfo {
            checksum: Some("d41d8cd98f00b204e9800998ecf8427e".into()),
            os_hash_algo: Some("SHA256".into()),
            os_hash_value: Some("A".repeat(64)),
            ..info()
        };
        assert_eq!(both.check(false), Ok(Checksum::Digest(HashAlgorithm::Sha256, "a".repeat(64))));
    }

    #[test]
    fn length_tells_the_algorithm() {
        for (length, algorithm) in
            [(32, HashAlgorithm::Md5), (64, HashAlgorithm::Sha256), (128, HashAlgorithm::Sha512)]
        {
            let text = "0".repeat(length);
            assert_eq!(Checksum::guess(&text), Ok(Checksum::Digest(algorithm, text.clone())));
        }
        assert_eq!(Checksum::guess(&"0".repeat(40)), Err(ImageInfoError::NotADigest));
        assert_eq!(Checksum::guess(&"g".repeat(64)), Err(ImageInfoError::NotADigest));
        assert!(matches!(Checksum::guess("https://h/SUMS"), Ok(Checksum::File(_))));
    }

    #[test]
    fn refusals() {
        assert_eq!(info().check(true), Err(ImageInfoError::NoChecksum));
        let md5 = ImageInfo { checksum: Some("0".repeat(32)), ..info() };
        assert_eq!(md5.check(false), Err(ImageInfoError::Weak));
        assert!(md5.check(true).is_ok());
        let half = ImageInfo { os_hash_algo: Some("sha256".into()), ..info() };
        assert_eq!(half.check(true), Err(ImageInfoError::HalfHash));
        assert_eq!(ImageInfo { id: String::new(), ..info() }.validate(), Err(ImageInfoError::NoId));
        assert_eq!(ImageInfo { urls: vec![], ..info() }.validate(), Err(ImageInfoError::NoUrls));
    }

    #[test]
    fn debug_shows_no_credentials() {
        let info = ImageInfo {
            image_server_password: Some("hunter2".into()),
            image_request_authorization: Some("hunter2".into()),
            urls: vec!["http://u:hunter2@h/".into()],
            ..info()
        };
        assert!(!format!("{info:?}").contains("hunter2"));
    }
}
