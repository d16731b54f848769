//! What to write: from `instance_info` to a verified image that the agent can fetch, and a config drive.

use disk_image::Format;
use driver::{DriverError, Retry, with_causes};
use images::{CachedImage, ChecksumSource, ImageError, ImageRequest, parse_url};
use model::Node;
use provision::ErrorCode;
use serde_json::{Map, Value, json};

/// The member of `driver_internal_info` that remembers the image between preparing and writing it.
pub(crate) const REMEMBERED: &str = "image";

/// How long one deployment waits for its image.
const FETCH_LIMIT: std::time::Duration = std::time::Duration::from_mins(55);

/// What `instance_info` says about the image.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) request: ImageRequest,
    /// The agent fetches from the source itself.
    pub(crate) direct: bool,
    source: String,
}

fn text(info: &Map<String, Value>, key: &str) -> Option<String> {
    info.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Reads `instance_info`; what is missing or malformed is named.
pub(crate) fn wanted(node: &Node) -> Result<Wanted, DriverError> {
    let info = node.instance_info.to_map();
    let Some(source) = text(&info, "image_source") else {
        return Err(DriverError::instance_info("instance_info has no image_source.")
            .hint("Set image_source to the http(s) URL of a whole-disk image."));
    };
    let source_url = parse_url(&source).map_err(|error| {
        DriverError::instance_info(format!("instance_info image_source cannot be used: {error}."))
            .hint("Give the http or https URL of a whole-disk image.")
    })?;
    if text(&info, "image_type").is_some_and(|kind| kind == "partition") {
        return Err(DriverError::instance_info("instance_info image_type partition is not supported.")
            .hint("Use a whole-disk image."));
    }
    let checksum = checksum(&info)?;
    let declared_format = match text(&info, "image_disk_format") {
        Some(name) => Some(name.parse::<Format>().map_err(|_| {
            DriverError::instance_info(format!("instance_info image_disk_format '{name}' is not known."))
                .hint("Permitted are raw, gpt and qcow2.")
        })?),
        None => None,
    };
    let direct = text(&info, "image_download_source").is_some_and(|way| way == "http");
    let request =
        ImageRequest { source_url, checksum: Some(checksum), declared_format, deadline: FETCH_LIMIT };
    Ok(Wanted { request, direct, source })
}

fn checksum(info: &Map<String, Value>) -> Result<ChecksumSource, DriverError> {
    let parsed = match (text(info, "image_os_hash_algo"), text(info, "image_os_hash_value")) {
        (Some(algorithm), Some(value)) => ChecksumSource::parse_with_algorithm(&algorithm, &value),
        (Some(_), None) | (None, Some(_)) => {
            return Err(DriverError::instance_info(
                "instance_info has only one of image_os_hash_algo and image_os_hash_value: both or neither.",
            ));
        }
        (None, None) => match text(info, "image_checksum") {
            Some(value) => ChecksumSource::parse(&value),
            None => {
                return Err(DriverError::instance_info("instance_info has no checksum for image_source.")
                    .hint("Set image_os_hash_algo (sha256 or sha512) and image_os_hash_value, or image_checksum."));
            }
        },
    };
    parsed.map_err(|error| failed(&error))
}

/// A failure of the image cache, as the node's.
pub(crate) fn failed(error: &ImageError) -> DriverError {
    let code = match error.code() {
        "image_no_checksum" | "image_bad_checksum" | "image_md5_not_allowed" => ErrorCode::InstanceInfo,
        code if code.contains("mismatch")
            || code.contains("format")
            || code.contains("unsafe")
            || code.contains("web_page")
            || code.contains("too_large") =>
        {
            ErrorCode::ImageMismatch
        }
        _ => ErrorCode::ImageFetch,
    };
    let retry = if error.is_transient() { Retry::Transient } else { Retry::Permanent };
    DriverError::new(code, retry, format!("{}.", with_causes(error))).hint(sentence(error.hint()))
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str().trim_end_matches('.')),
        None => String::new(),
    }
}

/// What is remembered of a cached image, for the write step: where the agent fetches it, and how it is verified.
pub(crate) fn remember(image: &CachedImage, wanted: &Wanted, images_url: &str) -> Value {
    let facts = image.facts();
    let checksum = image.checksum();
    json!({
        "id": image_id(&wanted.source),
        "url": if wanted.direct { wanted.source.clone() } else { format!("{images_url}/{}", image.key()) },
        "key": image.key(),
        "os_hash_algo": checksum.algorithm.to_string(),
        "os_hash_value": checksum.hex,
        "disk_format": facts.format.to_string(),
        "size": facts.size,
        "virtual_size": facts.virtual_size,
    })
}

/// The last segment of the source's path.
fn image_id(source: &str) -> String {
    let path = source.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("image").to_owned()
}

/// The `image_info` argument of the agent's `write_image` step.
pub(crate) fn image_info(node: &Node) -> Result<Value, DriverError> {
    let Some(image) = node.driver_internal_info.get(REMEMBERED) else {
        return Err(DriverError::new(
            ErrorCode::Internal,
            Retry::Permanent,
            "no image was prepared for this node.",
        ));
    };
    let member = |key: &str| image.get(key).cloned().unwrap_or_default();
    let info = node.instance_info.to_map();
    Ok(json!({
        "id": member("id"),
        "urls": [member("url")],
        "disk_format": member("disk_format"),
        "container_format": info.get("image_container_format").cloned().unwrap_or_else(|| json!("bare")),
        "stream_raw_images": true,
        "checksum": member("os_hash_value"),
        "os_hash_algo": member("os_hash_algo"),
        "os_hash_value": member("os_hash_value"),
        "node_uuid": node.uuid.to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{JsonObject, Timestamp};

    fn node(info: &Value) -> Node {
        let mut node = Node::new("ipmi", Timestamp::from_micros(0));
        node.instance_info = JsonObject::parse(&info.to_string()).unwrap();
        node
    }

    #[test]
    fn what_is_missing_is_named() {
        let cases = [
            (json!({}), "image_source"),
            (json!({"image_source": "file:///etc/passwd"}), "image_source"),
            (json!({"image_source": "http://h/i.raw"}), "no checksum"),
            (json!({"image_source": "http://h/i.raw", "image_os_hash_algo": "sha256"}), "only one of"),
            (json!({"image_source": "http://h/i.raw", "image_checksum": "xyz"}), "xyz"),
            (
                json!({"image_source": "http://h/i.raw", "image_checksum": "0".repeat(64), "image_disk_format": "vmware"}),
                "vmware",
            ),
        ];
        for (info, word) in cases {
            let error = wanted(&node(&info)).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn the_next_step_is_told_once() {
        let error = failed(&ImageError::Md5NotAllowed).to_string();
        assert_eq!(error.matches("eclare a SHA-256").count(), 1, "{error}");
    }

    #[test]
    fn the_name_is_the_last_part_of_the_path() {
        assert_eq!(image_id("http://h/a/b.qcow2?x=1"), "b.qcow2");
        assert_eq!(image_id("http://h/"), "h");
    }
}
