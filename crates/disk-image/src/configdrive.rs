//! Config drives: OpenStack metadata on an ISO image labelled `config-2`, as Ironic builds and stores them
//! (`instance_info.configdrive`: base64 of the gzipped image). Does not fetch one from a URL and does not look into
//! user data.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, GzBuilder};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::decode::{DecodeError, Decoder};
use crate::iso9660::{Builder, IsoError};
use crate::{Format, sniff};

/// Volume name that cloud-init, Ignition and cloudbase-init look for.
pub const VOLUME: &str = "config-2";
/// Largest image, as in Ironic.
pub const MAX_SIZE: u64 = 64 << 20;
/// The metadata versions that Ironic's config drives carry.
const VERSIONS: [&str; 2] = ["2012-08-10", "latest"];

/// Why a config drive was refused.
#[derive(Debug, Error)]
pub enum ConfigDriveError {
    /// Not an object with the four keys, or one of them has the wrong type.
    #[error("the config drive's {key} must be {expected}")]
    Shape {
        /// Which key (or `object`).
        key: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A key that no config drive has.
    #[error("a config drive has no {key:?} (meta_data, user_data, network_data, vendor_data)")]
    UnknownKey {
        /// The key, cut to 64 characters.
        key: String,
    },
    /// The image cannot be made.
    #[error("the config drive cannot be made")]
    Iso(#[from] IsoError),
    /// Larger than [`MAX_SIZE`] or the given bound.
    #[error("the config drive is larger than {limit} bytes")]
    TooLarge {
        /// Bound in bytes.
        limit: u64,
    },
    /// Not base64.
    #[error("the config drive is not base64")]
    Base64(#[source] base64::DecodeError),
    /// Not gzip, or broken.
    #[error("the config drive is not gzip")]
    Gzip(#[source] std::io::Error),
    /// The decoder could not be made.
    #[error("the config drive cannot be decompressed")]
    Decode(#[from] DecodeError),
    /// What is inside is neither an ISO 9660 nor a FAT image.
    #[error("the config drive is not a file system image")]
    NotAnImage,
}

/// Of whom the metadata speaks, where it does not say so itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    /// UUID of the node.
    pub uuid: &'a str,
    /// Name of the node; becomes `name` and `hostname`.
    pub name: Option<&'a str>,
}

/// Builds the ISO image from `{meta_data, user_data, network_data, vendor_data}` (all optional). `user_data` may be text, or
/// an object or list that is written as JSON. `uuid`, `name` and `hostname` are added to `meta_data` where missing.
pub fn build(config: &Value, identity: Identity<'_>) -> Result<Vec<u8>, ConfigDriveError> {
    let Value::Object(config) = config else {
        return Err(ConfigDriveError::Shape { key: "content".into(), expected: "an object" });
    };
    for key in config.keys() {
        if !matches!(key.as_str(), "meta_data" | "user_data" | "network_data" | "vendor_data") {
            return Err(ConfigDriveError::UnknownKey { key: key.chars().take(64).collect() });
        }
    }
    let mut files: Vec<(&str, Vec<u8>)> = vec![("meta_data.json", meta_data(config, identity)?)];
    for (key, file) in [("network_data", "network_data.json"), ("vendor_data", "vendor_data2.json")] {
        if let Some(object) = object(config, key)?.filter(|object| !object.is_empty()) {
            files.push((file, json(&Value::Object(object.clone()))));
        }
    }
    match config.get("user_data") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) if text.is_empty() => {}
        Some(Value::String(text)) => files.push(("user_data", text.clone().into_bytes())),
        Some(value @ (Value::Object(_) | Value::Array(_))) => files.push(("user_data", json(value))),
        Some(_) => {
            let expected = "text, an object or a list";
            return Err(ConfigDriveError::Shape { key: "user_data".into(), expected });
        }
    }
    let mut builder = Builder::new(VOLUME)?;
    for version in VERSIONS {
        for (name, data) in &files {
            builder.file(&format!("openstack/{version}/{name}"), data.clone())?;
        }
    }
    let iso = builder.build()?;
    if iso.len() as u64 > MAX_SIZE { Err(ConfigDriveError::TooLarge { limit: MAX_SIZE }) } else { Ok(iso) }
}

fn meta_data(config: &Map<String, Value>, identity: Identity<'_>) -> Result<Vec<u8>, ConfigDriveError> {
    let mut meta = object(config, "meta_data")?.cloned().unwrap_or_default();
    let known = [("uuid", Some(identity.uuid)), ("name", identity.name), ("hostname", identity.name)];
    for (key, value) in known.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        meta.entry(key).or_insert_with(|| value.into());
    }
    Ok(json(&Value::Object(meta)))
}

fn object<'a>(
    config: &'a Map<String, Value>,
    key: &str,
) -> Result<Option<&'a Map<String, Value>>, ConfigDriveError> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(ConfigDriveError::Shape { key: key.to_owned(), expected: "an object" }),
    }
}

fn json(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// An image as Ironic stores it: base64 of gzip, without line breaks. Deterministic: no time, no file name.
pub fn pack(image: &[u8]) -> Result<String, ConfigDriveError> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    encoder.write_all(image).map_err(ConfigDriveError::Gzip)?;
    Ok(STANDARD.encode(encoder.finish().map_err(ConfigDriveError::Gzip)?))
}

/// The image in what [`pack`] (or a client, with line breaks or without) made; at most `limit` bytes of it.
pub fn unpack(text: &str, limit: u64) -> Result<Vec<u8>, ConfigDriveError> {
    // Compressed data is hardly longer than what it holds, and base64 adds a third.
    if text.len() as u64 > limit.saturating_add(limit / 2).saturating_add(1 << 16) {
        return Err(ConfigDriveError::TooLarge { limit });
    }
    let text: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    unpack_gzip(&STANDARD.decode(text).map_err(ConfigDriveError::Base64)?, limit)
}

/// The image in gzipped bytes, e.g. of a config drive that came by URL; bytes that are an image already stay.
pub fn unpack_gzip(bytes: &[u8], limit: u64) -> Result<Vec<u8>, ConfigDriveError> {
    let mut image = Vec::new();
    if sniff(bytes) == Format::Gzip {
        let read = Decoder::new(Format::Gzip, bytes, limit)?.read_to_end(&mut image);
        read.map_err(|error| match error.kind() {
            std::io::ErrorKind::FileTooLarge => ConfigDriveError::TooLarge { limit },
            _ => ConfigDriveError::Gzip(error),
        })?;
    } else if bytes.len() as u64 > limit {
        return Err(ConfigDriveError::TooLarge { limit });
    } else {
        image.extend_from_slice(bytes);
    }
    let is_fat = image.get(510..512) == Some(&[0x55, 0xaa]);
    if sniff(&image) == Format::Iso || is_fat { Ok(image) } else { Err(ConfigDriveError::NotAnImage) }
}
