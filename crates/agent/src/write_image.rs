//! The deploy step `write_image`: chooses the disk, streams the image onto it, adds the config drive.
//!
//! Everything that can fail without touching the disk is done first. When something fails afterwards, the disk is left
//! with nothing that boots.

use crate::{
    agent::Agent,
    command::{Command, Failure, Outcome},
    config_drive, console,
    download::{BodyReader, Download, ImageSource, RangeReader},
    extension::blocking,
    fetch::host_of,
    step,
};
use agent_api::{Checksum, HashAlgorithm, ImageInfo, params::WriteImage};
use base64::{Engine, engine::general_purpose::STANDARD};
use disk::{BlockDevice, Control, DiskError, WriteRequest, Written, configdrive, erase};
use disk_image::{Format, qcow2};
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};
use tokio::runtime::Handle;

/// Longest checksum file, in bytes.
const LONGEST_CHECKSUMS: usize = 1 << 20;

/// Carries the step out; the result is a text for people.
pub async fn run(agent: &Arc<Agent>, command: &Arc<Command>, node: &Value, order: WriteImage) -> Outcome {
    let WriteImage { image_info: info, configdrive } = order;
    info.validate().map_err(|error| Failure::image(error.to_string()))?;
    if info.is_partition_image() {
        return Err(Failure::image(
            "this agent writes whole-disk images; the image holds a single partition",
        ));
    }
    let declared = declared_format(&info)?;
    let drive = match configdrive.filter(|text| !text.is_empty()) {
        Some(text) => Some(config_drive::load(agent, &text).await?),
        None => None,
    };
    let path = agent
        .disks
        .root_within(&hints(node), agent.parameters.disk_timeout)
        .await
        .map_err(|error| Failure::because(&error))?;
    command.set_progress("connect", 0, None);
    let source = choose_source(agent, &info).await?;
    let checksum = expected_checksum(agent, &info, &source.0).await?;
    tracing::info!("writing image {} from {} to {}", info.id, host_of(&source.0.url), path.display());
    agent.set_written(None);
    let job = Job { agent: agent.clone(), command: command.clone(), path: path.clone(), checksum, declared };
    let written = job.write(source).await?;
    if let Some(iso) = drive {
        command.set_progress("config_drive", 0, Some(iso.len() as u64));
        job.add_config_drive(iso).await?;
    }
    agent.set_written(Some(path.clone()));
    let text = format!(
        "write_image: image ({}) written to device {}: {} {} bytes, {}",
        info.id,
        path.display(),
        written.format,
        written.virtual_size,
        written.checksum.hex
    );
    Ok(Value::String(text))
}

fn hints(node: &Value) -> Value {
    let map = |key: &str| node.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
    let (properties, instance_info): (Map<_, _>, Map<_, _>) = (map("properties"), map("instance_info"));
    step::root_hints(&properties, &instance_info)
}

fn declared_format(info: &ImageInfo) -> Result<Option<Format>, Failure> {
    let Some(name) = info.disk_format.as_deref().filter(|name| !name.is_empty()) else { return Ok(None) };
    name.parse().map(Some).map_err(|_| Failure::image(format!("images of format {name:?} cannot be written")))
}

/// The first URL that answers, with the download begun.
async fn choose_source(agent: &Agent, info: &ImageInfo) -> Result<(ImageSource, Download), Failure> {
    let mut last = Failure::image("image_info has no urls");
    for url in info.urls.iter().filter(|url| !url.is_empty()) {
        let source = image_source(agent, info, url)?;
        match source.open().await {
            Ok(download) => return Ok((source, download)),
            Err(error) => last = Failure::image(console::chain(&error)),
        }
        tracing::warn!("{}", last.details());
    }
    Err(last)
}

fn image_source(agent: &Agent, info: &ImageInfo, url: &str) -> Result<ImageSource, Failure> {
    refuse_proxy(info, url)?;
    let parameters = &agent.parameters;
    Ok(ImageSource {
        fetcher: agent.fetcher.clone(),
        url: url.to_owned(),
        headers: credentials(info)?,
        limit: parameters.image_timeout,
        retries: parameters.image_retries,
        interval: parameters.image_retry_interval,
    })
}

/// A proxy that is named for this URL's scheme is needed; going around it would break what the operator set up.
fn refuse_proxy(info: &ImageInfo, url: &str) -> Result<(), Failure> {
    let scheme = url.split(':').next().unwrap_or_default();
    let proxied = info.proxies.as_ref().and_then(|proxies| proxies.get(scheme)).is_some_and(Value::is_string);
    let host = host_of(url);
    let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
    let direct = info.no_proxy.as_deref().unwrap_or_default().split(',').map(str::trim).any(|entry| {
        !entry.is_empty()
            && (entry == "*"
                || name == entry
                || name.ends_with(&format!(".{}", entry.trim_start_matches('.'))))
    });
    if proxied && !direct {
        return Err(Failure::image(format!("{host} is to be reached by a proxy, which this agent cannot")));
    }
    Ok(())
}

/// The header that lets the agent in at the image server.
fn credentials(info: &ImageInfo) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    let value = match (&info.image_request_authorization, &info.image_server_user) {
        (Some(packed), _) => {
            let bad = |_| Failure::image("image_request_authorization is not base64");
            Some(STANDARD.decode(packed).map_err(bad)?)
        }
        (None, Some(user)) => {
            let password = info.image_server_password.as_deref().unwrap_or_default();
            Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))).into_bytes())
        }
        (None, None) => None,
    };
    if let Some(bytes) = value {
        let mut value = HeaderValue::from_bytes(&bytes)
            .map_err(|_| Failure::image("the image server's credentials are no header"))?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(headers)
}

/// The digest that the image must have, by the description or by the checksum file that it names.
async fn expected_checksum(
    agent: &Agent,
    info: &ImageInfo,
    source: &ImageSource,
) -> Result<disk_image::Checksum, Failure> {
    let weak = agent.identity().is_some_and(|identity| identity.lookup.config.agent_md5_checksum_enable);
    let refused = |error: &dyn std::error::Error| Failure::image(error.to_string());
    let (algorithm, hex) = match info.check(weak).map_err(|error| refused(&error))? {
        Checksum::Digest(algorithm, hex) => (algorithm, hex),
        Checksum::File(url) => {
            let file = ImageSource { url, ..source.clone() };
            let text = file
                .small(LONGEST_CHECKSUMS)
                .await
                .map_err(|error| Failure::image(console::chain(&error)))?;
            let found = digest_in(&String::from_utf8_lossy(&text), file_name(&source.url));
            match found.and_then(|digest| Checksum::guess(&digest).ok()) {
                Some(Checksum::Digest(HashAlgorithm::Md5, _)) if !weak => {
                    return Err(Failure::image(
                        "the checksum file has only MD5 digests, which the server does not allow",
                    ));
                }
                Some(Checksum::Digest(algorithm, hex)) => (algorithm, hex),
                _ => return Err(Failure::image("the checksum file does not name the image")),
            }
        }
    };
    disk_image::Checksum::new(algorithm.as_str(), &hex).map_err(|error| refused(&error))
}

/// Last segment of a URL's path.
fn file_name(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

/// The digest of `name` in a checksum file: `digest  name`, `digest *name`, `SHA256 (name) = digest`, or a lone digest.
fn digest_in(text: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    for line in &lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [digest, file] if file.trim_start_matches('*').trim_start_matches("./") == name => {
                return Some((*digest).to_owned());
            }
            [_, file, "=", digest] if file.trim_matches(['(', ')']) == name => {
                return Some((*digest).to_owned());
            }
            _ => {}
        }
    }
    match lines.as_slice() {
        [line] if !line.contains(char::is_whitespace) => Some((*line).to_owned()),
        _ => None,
    }
}

/// One image on its way to one disk.
struct Job {
    agent: Arc<Agent>,
    command: Arc<Command>,
    path: PathBuf,
    checksum: disk_image::Checksum,
    declared: Option<Format>,
}

impl Job {
    /// Writes the image; a qcow2 file whose tables come last is begun anew, with the tables fetched beforehand.
    async fn write(&self, (source, download): (ImageSource, Download)) -> Result<Written, Failure> {
        let failure = match self.attempt(download, None).await? {
            Ok(written) => return Ok(written),
            Err(error) if error.needs_random_access() => error,
            Err(error) => return Err(Failure::image(console::chain(&error))),
        };
        tracing::info!("{}: fetching the tables first", console::chain(&failure));
        let mut reader = RangeReader::new(source.clone(), Handle::current());
        let tables = blocking(move || {
            qcow2::Tables::load(&mut reader, &qcow2::Limits::default())
                .map_err(|error| Failure::image(console::chain(&error)))
        })
        .await?;
        let download = source.open().await.map_err(|error| Failure::image(console::chain(&error)))?;
        self.attempt(download, Some(tables)).await?.map_err(|error| Failure::image(console::chain(&error)))
    }

    async fn attempt(
        &self,
        download: Download,
        tables: Option<qcow2::Tables>,
    ) -> Result<Result<Written, DiskError>, Failure> {
        let (agent, command, path) = (self.agent.clone(), self.command.clone(), self.path.clone());
        let (checksum, declared) = (self.checksum.clone(), self.declared);
        let Download { length, mut body } = download;
        blocking(move || {
            let written = open_and_write(
                &agent,
                &path,
                &mut body,
                |device| WriteRequest {
                    device,
                    checksum,
                    declared,
                    content_length: length,
                    tables,
                    limits: qcow2::Limits::default(),
                },
                &command,
            );
            Ok(written)
        })
        .await
    }

    /// Adds the config drive. Without it the image must not boot: it would come up as a machine nobody can enter.
    async fn add_config_drive(&self, iso: Vec<u8>) -> Result<(), Failure> {
        let (agent, path) = (self.agent.clone(), self.path.clone());
        blocking(move || {
            let device = agent.disks.open(&path).map_err(|error| Failure::because(&error))?;
            let Err(error) = configdrive::install(&device, &iso) else { return Ok(()) };
            let cleared = erase::erase_metadata(&device);
            let also = cleared.err().map(|error| format!("; nor cleared: {}", console::chain(&error)));
            Err(Failure::failed(format!(
                "config drive: {}{}",
                console::chain(&error),
                also.unwrap_or_default()
            )))
        })
        .await
    }
}

fn open_and_write<'d>(
    agent: &Agent,
    path: &Path,
    body: &mut BodyReader,
    request: impl for<'a> FnOnce(&'a BlockDevice) -> WriteRequest<'a> + 'd,
    command: &Command,
) -> Result<Written, DiskError> {
    let device = agent.disks.open(path)?;
    let never = AtomicBool::new(false);
    let mut progress =
        |progress: disk::Progress| command.set_progress("write", progress.downloaded, progress.total);
    disk::write_image(request(&device), body, &mut Control { progress: &mut progress, cancel: &never })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_files() {
        let text = "# made\n1111  other.raw\n2222 *disk.raw\nSHA256 (bsd.raw) = 3333\n";
        assert_eq!(digest_in(text, "disk.raw").as_deref(), Some("2222"));
        assert_eq!(digest_in(text, "bsd.raw").as_deref(), Some("3333"));
        assert_eq!(digest_in(text, "none.raw"), None);
        assert_eq!(digest_in("4444\n", "any").as_deref(), Some("4444"));
        assert_eq!(file_name("http://h/a/b.raw?token=x"), "b.raw");
    }

    #[test]
    fn proxies_are_not_gone_around() {
        let info: ImageInfo = serde_json::from_value(serde_json::json!({
            "id": "i", "urls": [], "proxies": {"http": "http://p"}, "no_proxy": "10.0.0.1, .example.org",
        }))
        .expect("image info");
        assert!(refuse_proxy(&info, "http://h/x").is_err());
        assert!(refuse_proxy(&info, "https://h/x").is_ok());
        assert!(refuse_proxy(&info, "http://10.0.0.1:8080/x").is_ok());
        assert!(refuse_proxy(&info, "http://a.example.org/x").is_ok());
    }
}
