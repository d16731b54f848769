//! What `instance_info.configdrive` may hold (an object, text, a URL), brought into the one shape an agent gets:
//! an image, gzip, base64. Building and unpacking the image is for [`disk_image::configdrive`].

use std::fmt;
use std::sync::Arc;

use disk_image::configdrive::{self as drive, MAX_SIZE};
use disk_image::{Format, sniff};
use serde_json::Value;
use url::Url;

use crate::web::{self, Web, WebError};

/// Largest document that a URL may give: the largest image as base64, with line breaks.
#[expect(clippy::cast_possible_truncation, reason = "64 MiB and a half fit any usize")]
const DOCUMENT_LIMIT: usize = (MAX_SIZE + MAX_SIZE / 2) as usize;

/// Why a config drive was refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConfigDriveError {
    /// Neither an object nor text.
    #[error("configdrive must be an object, a URL or base64 text, not {found}")]
    Shape {
        /// The JSON type found.
        found: &'static str,
    },
    /// It could not be fetched.
    #[error("configdrive could not be fetched")]
    Fetch(#[source] WebError),
    /// The object, or what the text holds, was refused.
    #[error("configdrive cannot be used")]
    Content(#[source] Arc<drive::ConfigDriveError>),
}

impl ConfigDriveError {
    /// Whether the same may succeed later with nothing changed by anybody.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Fetch(error) if error.is_transient())
    }
}

fn content(error: drive::ConfigDriveError) -> ConfigDriveError {
    ConfigDriveError::Content(Arc::new(error))
}

/// A config drive as given by a user, sorted out but not fetched or built. `Debug` shows no content.
#[derive(Clone)]
pub enum ConfigDriveSource {
    /// `{meta_data, user_data, network_data, vendor_data}`.
    Object(Value),
    /// To be fetched.
    Url(Url),
    /// Base64 of a gzipped image.
    Text(String),
}

impl fmt::Debug for ConfigDriveSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(_) => f.write_str("Object(…)"),
            Self::Url(url) => write!(f, "Url({})", web::shown(url)),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
        }
    }
}

impl ConfigDriveSource {
    /// Sorts out what the API was given. Fetches and unpacks nothing.
    ///
    /// # Errors
    /// `Shape`, or `Fetch(BadUrl)` for a URL that is not http(s).
    pub fn parse(value: &Value) -> Result<Self, ConfigDriveError> {
        match value {
            Value::Object(_) => Ok(Self::Object(value.clone())),
            Value::String(text) if text.contains("://") => {
                web::parse_url(text).map(Self::Url).map_err(ConfigDriveError::Fetch)
            }
            Value::String(text) => Ok(Self::Text(text.clone())),
            Value::Null => Err(ConfigDriveError::Shape { found: "null" }),
            Value::Bool(_) => Err(ConfigDriveError::Shape { found: "a boolean" }),
            Value::Number(_) => Err(ConfigDriveError::Shape { found: "a number" }),
            Value::Array(_) => Err(ConfigDriveError::Shape { found: "a list" }),
        }
    }
}

/// The node a config drive is for: an object's `meta_data` gets both unless it has its own.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The node's UUID.
    pub uuid: String,
    /// The instance's display name, or the node's name.
    pub name: Option<String>,
}

/// A config drive, whole and looked at. May hold secrets: `Debug` shows its size only.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigDrive {
    image: Vec<u8>,
}

impl fmt::Debug for ConfigDrive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigDrive({} bytes)", self.image.len())
    }
}

impl ConfigDrive {
    /// Builds, unpacks or fetches. Packing and unpacking up to 64 MiB takes its time: it happens on the blocking pool.
    ///
    /// # Errors
    /// `Fetch` and `Content`.
    pub async fn resolve(
        source: ConfigDriveSource,
        identity: Identity,
        web: &Web,
    ) -> Result<Self, ConfigDriveError> {
        let work: Box<dyn FnOnce() -> Result<Vec<u8>, drive::ConfigDriveError> + Send> = match source {
            ConfigDriveSource::Object(object) => Box::new(move || {
                let identity = drive::Identity { uuid: &identity.uuid, name: identity.name.as_deref() };
                drive::build(&object, identity)
            }),
            ConfigDriveSource::Text(text) => Box::new(move || drive::unpack(&text, MAX_SIZE)),
            ConfigDriveSource::Url(url) => {
                let document = web.document(&url, DOCUMENT_LIMIT).await.map_err(ConfigDriveError::Fetch)?;
                Box::new(move || from_document(&document))
            }
        };
        let image = tokio::task::spawn_blocking(work).await;
        // The blocking pool only drops work when the process ends.
        let image = image.unwrap_or(Err(drive::ConfigDriveError::NotAnImage)).map_err(content)?;
        Ok(Self { image })
    }

    /// The image.
    pub fn image(&self) -> &[u8] {
        &self.image
    }

    /// What an agent gets in the `configdrive` argument: base64 of the gzipped image. The same image always gives the
    /// same text.
    ///
    /// # Errors
    /// `Content`; never in practice, as packing into memory does not fail.
    pub fn to_wire(&self) -> Result<String, ConfigDriveError> {
        drive::pack(&self.image).map_err(content)
    }
}

/// What a URL gives: the base64 text that the API takes too, the gzip file, or the image itself.
fn from_document(document: &[u8]) -> Result<Vec<u8>, drive::ConfigDriveError> {
    match sniff(document) {
        Format::Gzip | Format::Iso => drive::unpack_gzip(document, MAX_SIZE),
        _ => drive::unpack(&String::from_utf8_lossy(document), MAX_SIZE),
    }
}
