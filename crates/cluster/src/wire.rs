//! What travels between processes: every request of [`Conductors`] as a value, its answer, and the envelope around both.
//!
//! The requests are one table, from which the value, its performance and the way to it (`router.rs`) are made: a method of
//! the traits that has no row does not compile. Secrets travel here in the clear, for those who may read the bus; nothing of
//! this is ever printed. Knows nothing of how messages travel.

mod carried;

use std::borrow::Cow;
use std::fmt;

use conductor_api::{Conductors, RequestError};
use model::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use carried::Carried;

/// The form of the messages. To be raised by every change that an older program would misread.
pub const VERSION: u32 = 1;
/// The longest message, in bytes: a config drive and as much again.
pub const LONGEST: usize = 8 << 20;

/// Calls a macro with the rows of all requests: those of `Conductors`, then those of `HardwareRequests`, each in braces. A row:
/// the request's name, the method, who is to do it (a method of the router and the argument it looks at), the arguments with
/// how they travel, and the answer.
#[macro_export]
#[doc(hidden)]
macro_rules! for_each_request {
    ($then:ident) => {
        $then! {
            {
                Provision provision [holder_of node] {
                    node: model::NodeUuid,
                    #[serde(with = "carried::by_name")] verb: provision::Verb,
                    #[serde(with = "carried::ProvisionArgsForm")] args: conductor_api::ProvisionArgs,
                } -> ();
                SetPower set_power [holder_of node] {
                    node: model::NodeUuid,
                    target: model::PowerTarget,
                    timeout: Option<std::time::Duration>,
                    // Who asks was not told before.
                    #[serde(default)] asker: provision::Asker,
                } -> ();
                Validate validate [holder_of node] { node: model::NodeUuid, }
                    -> std::collections::BTreeMap<model::InterfaceKind, conductor_api::InterfaceVerdict>;
                BootDevice boot_device [holder_of node] { node: model::NodeUuid, }
                    -> conductor_api::CurrentBootDevice;
                SetBootDevice set_boot_device [holder_of node] {
                    node: model::NodeUuid,
                    device: model::BootDevice,
                    persistent: bool,
                } -> ();
                SupportedBootDevices supported_boot_devices [holder_of node] { node: model::NodeUuid, }
                    -> Vec<model::BootDevice>;
                SetBootMode set_boot_mode [holder_of node] { node: model::NodeUuid, mode: model::BootMode, } -> ();
                SetSecureBoot set_secure_boot [holder_of node] { node: model::NodeUuid, on: bool, } -> ();
                InjectNmi inject_nmi [holder_of node] { node: model::NodeUuid, } -> ();
                Vifs vifs [holder_of node] { node: model::NodeUuid, } -> Vec<serde_json::Value>;
                AttachVif attach_vif [holder_of node] { node: model::NodeUuid, vif: serde_json::Value, } -> ();
                DetachVif detach_vif [holder_of node] { node: model::NodeUuid, vif: String, } -> ();
                Lookup lookup [who_knows lookup] {
                    #[serde(with = "carried::LookupForm")] lookup: conductor_api::Lookup,
                } -> conductor_api::LookupReply;
                Inspected inspected [who_inspects report] {
                    #[serde(with = "carried::ReportForm")] report: conductor_api::InspectionReport,
                } -> conductor_api::LookupReply;
                Heartbeat heartbeat [holder_of node] {
                    node: model::NodeUuid,
                    #[serde(with = "carried::HeartbeatForm")] heartbeat: conductor_api::Heartbeat,
                } -> ();
                Allocate allocate [anyone allocation] { allocation: model::AllocationUuid, } -> ();
                AgentProgress agent_progress [holder_of node] {
                    node: model::NodeUuid,
                    #[serde(with = "carried::secret")] token: model::Secret,
                    progress: conductor_api::AgentProgress,
                } -> ();
                Progress progress [holder_of node] { node: model::NodeUuid, } -> conductor_api::NodeProgress;
            }
            {
                SetTargetRaid set_target_raid [holder_of node] {
                    node: model::NodeUuid,
                    #[serde(with = "carried::exact")] wanted: model::JsonObject,
                } -> ();
                RaidProperties raid_properties [who_offers driver] { driver: String, }
                    -> std::collections::BTreeMap<String, String>;
                VendorMethods vendor_methods [holder_of node] { node: model::NodeUuid, }
                    -> std::collections::BTreeMap<String, model::VendorMethod>;
                VendorCall vendor_call [holder_of node] {
                    node: model::NodeUuid,
                    #[serde(with = "carried::VendorCallForm")] call: conductor_api::VendorCall,
                } -> conductor_api::VendorReply;
                DriverMethods driver_methods [who_offers driver] { driver: String, }
                    -> std::collections::BTreeMap<String, model::VendorMethod>;
                DriverCall driver_call [who_offers driver] {
                    driver: String,
                    #[serde(with = "carried::VendorCallForm")] call: conductor_api::VendorCall,
                } -> conductor_api::VendorReply;
                Indicators indicators [holder_of node] { node: model::NodeUuid, } -> Vec<model::Indicator>;
                Indicator indicator [holder_of node] { node: model::NodeUuid, name: model::IndicatorName, }
                    -> model::IndicatorState;
                SetIndicator set_indicator [holder_of node] {
                    node: model::NodeUuid,
                    name: model::IndicatorName,
                    state: model::IndicatorState,
                } -> ();
                Media media [holder_of node] { node: model::NodeUuid, } -> Vec<model::MediaDrive>;
                AttachMedia attach_media [holder_of node] { node: model::NodeUuid, image: model::MediaImage, } -> ();
                DetachMedia detach_media [holder_of node] {
                    node: model::NodeUuid,
                    devices: Vec<model::MediaDevice>,
                } -> ();
                Console console [holder_of node] { node: model::NodeUuid, } -> Option<serde_json::Value>;
                SetConsole set_console [holder_of node] { node: model::NodeUuid, on: bool, } -> ();
            }
        }
    };
}

macro_rules! define {
    ({ $($conductors:tt)* } { $($hardware:tt)* }) => { define! { $($conductors)* $($hardware)* } };
    ($($name:ident $method:ident [$by:ident $key:ident]
        { $($(#[$meta:meta])* $arg:ident: $type:ty,)* } -> $reply:ty;)*) => {
        /// A request to a conductor: one variant for each method of `Conductors` and `HardwareRequests`.
        #[derive(Clone, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "named as the methods, which say what they are")]
        pub enum Request {
            $($name { $($(#[$meta])* $arg: $type),* },)*
        }

        impl Request {
            /// The methods, in the order of the table.
            pub const METHODS: &'static [&'static str] = &[$(stringify!($method)),*];

            /// The method that it calls.
            pub fn method(&self) -> &'static str {
                match self { $(Self::$name { .. } => stringify!($method),)* }
            }

            /// Does it; the answer as it travels.
            pub(crate) async fn perform(self, conductors: &dyn Conductors) -> Outcome {
                match self {
                    $(Self::$name { $($arg),* } => Outcome::of(conductors.$method($($arg),*).await),)*
                }
            }
        }
    };
}

for_each_request!(define);

/// The method alone: the arguments may hold secrets.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({})", self.method())
    }
}

/// A request on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// When the caller gives up, by the caller's clock.
    pub(crate) deadline: Timestamp,
    /// What is asked.
    pub(crate) request: Request,
}

/// An answer on its way.
#[derive(Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// What was answered.
    Done(Box<RawValue>),
    /// Why it was not done.
    Refused(RequestError),
}

impl Outcome {
    fn of<T: Carried>(answer: Result<T, RequestError>) -> Self {
        match answer.map(|answer| serde_json::value::to_raw_value(&answer.pack())) {
            Ok(Ok(raw)) => Self::Done(raw),
            Ok(Err(_)) => Self::Refused(RequestError::Internal("the answer cannot be written".to_owned())),
            Err(error) => Self::Refused(error),
        }
    }
}

/// A message cannot be sent, or what came cannot be read. The texts never quote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It is too long.
    #[error("a message between conductors may have at most {LONGEST} bytes; this one has {found}")]
    TooLong {
        /// How many bytes it has.
        found: usize,
    },
    /// It comes from a program that speaks another form.
    #[error(
        "it speaks version {theirs} of the messages between conductors (release {release}), this host version {VERSION}: run the same release on all hosts"
    )]
    Version {
        /// The version of the message.
        theirs: u32,
        /// The release of the program that wrote it.
        release: String,
    },
    /// It makes no sense.
    #[error("what it sent makes no sense at column {column}: run the same release on all hosts")]
    Malformed {
        /// Where.
        column: usize,
    },
}

impl WireError {
    fn malformed(error: &serde_json::Error) -> Self {
        // The text of the error may quote a secret.
        Self::Malformed { column: error.column() }
    }
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    version: u32,
    release: &'a str,
    body: &'a T,
}

/// What all versions have in common.
#[derive(Deserialize)]
struct Opened<'a> {
    version: u32,
    #[serde(borrow, default)]
    release: Cow<'a, str>,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// Puts `body` into an envelope.
///
/// # Errors
/// `TooLong`; `Malformed` when it cannot be written as JSON.
pub(crate) fn seal<T: Serialize>(body: &T) -> Result<String, WireError> {
    let envelope = Envelope { version: VERSION, release: env!("CARGO_PKG_VERSION"), body };
    let text = serde_json::to_string(&envelope).map_err(|error| WireError::malformed(&error))?;
    check_length(&text)?;
    Ok(text)
}

/// Takes the body out of an envelope.
///
/// # Errors
/// `TooLong`, `Version`, `Malformed`.
pub(crate) fn open<T: DeserializeOwned>(text: &str) -> Result<T, WireError> {
    check_length(text)?;
    let opened: Opened<'_> = serde_json::from_str(text).map_err(|error| WireError::malformed(&error))?;
    if opened.version != VERSION {
        let release = opened.release.chars().take(32).collect();
        return Err(WireError::Version { theirs: opened.version, release });
    }
    read(opened.body.get())
}

/// Reads what was in an envelope.
///
/// # Errors
/// `Malformed`.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, WireError> {
    serde_json::from_str(text).map_err(|error| WireError::malformed(&error))
}

fn check_length(text: &str) -> Result<(), WireError> {
    if text.len() > LONGEST { Err(WireError::TooLong { found: text.len() }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use conductor_api::ProvisionArgs;
    use model::{NodeUuid, Secret};
    use provision::Verb;

    use super::*;

    fn asked() -> Asked {
        let args =
            ProvisionArgs { rescue_password: Some(Secret::new("hunter2")), ..ProvisionArgs::default() };
        let request = Request::Provision { node: NodeUuid::random(), verb: Verb::Rescue, args };
        Asked { deadline: Timestamp::now(), request }
    }

    #[test]
    fn secrets_travel_and_never_print() {
        let asked = asked();
        assert_eq!(format!("{:?}", asked.request), "Request(provision)");
        assert!(!format!("{asked:?}").contains("hunter2"));
        let text = seal(&asked).unwrap();
        let Request::Provision { args, .. } = open::<Asked>(&text).unwrap().request else { panic!() };
        assert_eq!(args.rescue_password, Some(Secret::new("hunter2")));
        // Where it is read wrongly, the error says where, not what.
        let broken = text.replace("\"args\":{", "\"args\":{\"disable_ramdisk\":\"hunter2\",");
        let error = open::<Asked>(&broken).unwrap_err();
        assert!(
            matches!(error, WireError::Malformed { .. }) && !format!("{error:?} {error}").contains("hunter2")
        );
    }

    #[test]
    fn another_version_is_said_and_not_misread() {
        let text = seal(&asked()).unwrap();
        let newer = text.replacen("\"version\":1", "\"version\":2", 1).replacen(
            "\"body\":{",
            "\"body\":{\"new\":1,",
            1,
        );
        let error = open::<Asked>(&newer).unwrap_err();
        assert!(matches!(error, WireError::Version { theirs: 2, .. }));
        assert!(error.to_string().contains("same release"), "{error}");
        assert!(matches!(open::<Asked>("{}"), Err(WireError::Malformed { .. })));
        assert!(matches!(open::<Asked>("not json"), Err(WireError::Malformed { .. })));
    }

    #[test]
    fn what_is_too_long_is_refused_at_both_ends() {
        let args =
            ProvisionArgs { configdrive: Some("x".repeat(LONGEST).into()), ..ProvisionArgs::default() };
        let request = Request::Provision { node: NodeUuid::random(), verb: Verb::Active, args };
        let asked = Asked { deadline: Timestamp::now(), request };
        assert!(matches!(seal(&asked), Err(WireError::TooLong { .. })));
        assert!(matches!(open::<Asked>(&" ".repeat(LONGEST + 1)), Err(WireError::TooLong { .. })));
    }
}
