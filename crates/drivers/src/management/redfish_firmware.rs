//! Updates of firmware by a BMC that fetches it itself: one image after the other, each a task of the BMC and a boot of the
//! machine. What is remembered between them stands in the node's `driver_internal_info`.

use std::time::Duration;

use bmc::redfish::RedfishClient;
use driver::{DriverError, Retry, StepReply};
use model::Node;
use provision::{ErrorCode, Observed, PlannedStep, StepPart, StepWait};
use redfish::{ResourcePath, TaskProgress};
use serde_json::{Map, Value, json};

use super::redfish::RedfishOptions;
use crate::redfish_access::failed;

/// The member of `driver_internal_info` that says how far the updates are.
const MEMORY: &str = "firmware_updates";
/// The most images of one step.
const MAX_IMAGES: usize = 32;
/// The longest URL of an image.
const MAX_URL: usize = 2048;
/// The longest rest after an image.
const MAX_REST: u64 = 86_400;

/// One of `firmware_images`.
#[derive(Debug, PartialEq, Eq)]
struct Image {
    url: String,
    /// Seconds to rest after it.
    wait: u32,
}

/// Which image is being applied, and by which task.
struct Progress {
    image: usize,
    task: Option<ResourcePath>,
}

fn images(step: &PlannedStep) -> Result<Vec<Image>, DriverError> {
    let list = step.args.get("firmware_images");
    let list = list.as_ref().and_then(Value::as_array).filter(|list| (1..=MAX_IMAGES).contains(&list.len()));
    let list = list.ok_or_else(|| {
        DriverError::invalid(format!("firmware_images has to be a list of 1 to {MAX_IMAGES} objects."))
    })?;
    list.iter().map(image).collect()
}

fn image(value: &Value) -> Result<Image, DriverError> {
    let wrong = |text: String| Err(DriverError::invalid(format!("firmware_images: {text}")));
    let Some(members) = value.as_object() else { return wrong("expected objects.".to_owned()) };
    let known = ["url", "checksum", "wait", "source"];
    if let Some(key) = members.keys().find(|key| !known.contains(&key.as_str())) {
        let shown: String = key.chars().take(64).collect();
        return wrong(format!("'{shown}' is not one of {}.", known.join(", ")));
    }
    let text = |key: &str| members.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let fits = |url: &&str| {
        let scheme = url.split("://").next().unwrap_or_default().to_ascii_lowercase();
        matches!(scheme.as_str(), "http" | "https")
            && url.len() <= MAX_URL
            && url.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let Some(url) = text("url").filter(fits) else {
        return wrong(format!(
            "url has to be an http or https URL of at most {MAX_URL} characters: the BMC fetches it."
        ));
    };
    if text("checksum").is_none() {
        return wrong("checksum is missing.".to_owned());
    }
    if members.get("source").is_some_and(|source| source != "http") {
        return wrong("source can only be http: BMCs fetch firmware from where it is.".to_owned());
    }
    let wait = match members.get("wait") {
        None => Some(0),
        Some(wait) => wait.as_u64().filter(|wait| (1..=MAX_REST).contains(wait)),
    };
    match wait.and_then(|wait| u32::try_from(wait).ok()) {
        Some(wait) => Ok(Image { url: url.to_owned(), wait }),
        None => wrong(format!("wait has to be 1 to {MAX_REST} seconds.")),
    }
}

/// What tells this run of the step from an earlier one that broke off.
fn run_of(step: &PlannedStep) -> Value {
    step.started_at.map_or(Value::Null, |at| at.as_micros().into())
}

fn remembered(node: &Node, step: &PlannedStep) -> Progress {
    let memory =
        node.driver_internal_info.get(MEMORY).filter(|memory| memory.get("of") == Some(&run_of(step)));
    let image = memory.as_ref().and_then(|memory| memory.get("image")?.as_u64());
    let task = memory.as_ref().and_then(|memory| ResourcePath::new(memory.get("task")?.as_str()?).ok());
    Progress { image: image.and_then(|image| usize::try_from(image).ok()).unwrap_or(0), task }
}

fn remember(value: Value) -> Observed {
    Observed { internal: Map::from_iter([(MEMORY.to_owned(), value)]), ..Observed::default() }
}

/// An image is applied: a rest, and the next one.
fn applied(images: &[Image], at: usize, step: &PlannedStep) -> StepReply {
    let pause = images.get(at).map_or(0, |image| image.wait);
    let again = at + 1 < images.len();
    let memory = if again { json!({"of": run_of(step), "image": at + 1}) } else { Value::Null };
    StepReply::Part(Box::new(StepPart { pause, again, observed: remember(memory) }))
}

/// Has the BMC begin with the image whose turn it is.
pub(super) async fn begin(
    client: &RedfishClient,
    node: &Node,
    step: &PlannedStep,
    options: &RedfishOptions,
) -> Result<StepReply, DriverError> {
    let images = images(step)?;
    let at = remembered(node, step).image;
    let Some(image) = images.get(at) else { return Ok(StepReply::done()) };
    tracing::info!(node = %node.uuid, url = image.url, number = at + 1, of = images.len(), "updating firmware");
    let task = client.begin_update(&image.url).await.map_err(|error| failed(&error))?;
    let Some(task) = task else { return Ok(applied(&images, at, step)) };
    Ok(StepReply::Waiting(Box::new(StepWait {
        every: options.firmware_update_status_interval,
        limit: options.firmware_update_overall_timeout,
        reboot: true,
        observed: remember(json!({"of": run_of(step), "image": at, "task": task.as_str()})),
    })))
}

/// How far the BMC is with it.
pub(super) async fn poll(
    client: &RedfishClient,
    node: &Node,
    step: &PlannedStep,
    options: &RedfishOptions,
) -> Result<StepReply, DriverError> {
    let images = images(step)?;
    let Progress { image: at, task: Some(path) } = remembered(node, step) else {
        return Ok(StepReply::NotFound);
    };
    let Some(task) = client.task(&path).await.map_err(|error| failed(&error))? else {
        tracing::warn!(node = %node.uuid, task = %path, "the BMC has forgotten the update's task: taken for done");
        return Ok(applied(&images, at, step));
    };
    match task.progress {
        TaskProgress::Done => Ok(applied(&images, at, step)),
        TaskProgress::Failed if task.warned => {
            tracing::warn!(node = %node.uuid, task = %path, said = %task.fault, "firmware updated with a warning");
            Ok(applied(&images, at, step))
        }
        TaskProgress::Failed => {
            let url = images.get(at).map_or("", |image| image.url.as_str());
            let text = format!("the BMC could not apply the firmware {url}: {}.", task.fault);
            Err(DriverError::new(ErrorCode::BmcRefused, Retry::NeedsOperator, text))
        }
        TaskProgress::Running | TaskProgress::Staged => {
            let (every, limit) =
                (options.firmware_update_status_interval, options.firmware_update_overall_timeout);
            Ok(StepReply::waiting(every.max(Duration::from_secs(1)), limit))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{JsonObject, Timestamp};

    fn step(images: &Value) -> PlannedStep {
        let mut step = PlannedStep::new("management", "update_firmware", 0, Vec::new());
        step.args = JsonObject::parse(&json!({"firmware_images": images}).to_string()).unwrap();
        step.started_at = Some(Timestamp::from_micros(7));
        step
    }

    #[test]
    fn images_are_checked_by_their_place() {
        let good = json!([{"url": "http://a/b", "checksum": "c", "wait": 5, "source": "http"}, {"url": "HTTPS://a/c", "checksum": "d"}]);
        let read = images(&step(&good)).unwrap();
        assert_eq!(read.iter().map(|image| image.wait).collect::<Vec<_>>(), [5, 0]);
        for (bad, word) in [
            (json!([]), "list"),
            (json!({}), "list"),
            (json!([1]), "objects"),
            (json!([{"url": "file:///etc/passwd", "checksum": "c"}]), "http or https"),
            (json!([{"url": "http://a b", "checksum": "c"}]), "http or https"),
            (json!([{"url": "http://a/b"}]), "checksum"),
            (json!([{"url": "http://a/b", "checksum": "c", "wait": 0}]), "wait"),
            (json!([{"url": "http://a/b", "checksum": "c", "source": "swift"}]), "source"),
            (json!([{"url": "http://a/b", "checksum": "c", "x": 1}]), "'x'"),
        ] {
            let error = images(&step(&bad)).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn what_an_earlier_run_left_is_not_taken_for_this_ones() {
        let mut node = Node::new("redfish", Timestamp::from_micros(0));
        let step = step(&json!([]));
        node.driver_internal_info.set(MEMORY, json!({"of": 7, "image": 2, "task": "/redfish/v1/Tasks/1"}));
        let ours = remembered(&node, &step);
        assert_eq!((ours.image, ours.task.unwrap().as_str()), (2, "/redfish/v1/Tasks/1"));
        node.driver_internal_info.set(MEMORY, json!({"of": 6, "image": 2, "task": "/redfish/v1/Tasks/1"}));
        assert!(matches!(remembered(&node, &step), Progress { image: 0, task: None }));
    }
}
