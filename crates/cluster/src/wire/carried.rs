//! How the values travel that have no form of their own for it: those with secrets in them, which elsewhere cannot be written
//! at all, and the node in the answer to a lookup.
//!
//! A form has every field of its value: one that is missing does not compile.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_api::{
    CurrentBootDevice, Heartbeat, InspectionReport, InterfaceVerdict, Lookup, LookupReply, NodeProgress,
    ProvisionArgs, RequestError, VendorCall, VendorReply,
};
use db::{Db, NodeKey, Scope};
use futures_util::future::{BoxFuture, ready};
use model::{
    BootDevice, Indicator, IndicatorState, InterfaceKind, JsonObject, MacAddr, MediaDrive, NodeInventory,
    NodeUuid, Secret, VendorMethod,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An answer that can travel.
pub trait Carried: Sized + Send {
    /// The form in which it does.
    type Form: Serialize + DeserializeOwned + Send;

    /// Puts it into that form.
    fn pack(self) -> Self::Form;

    /// Makes it from that form again.
    ///
    /// # Errors
    /// What the asker is told when not all of it is there.
    fn unpack(form: Self::Form, db: &Db) -> BoxFuture<'_, Result<Self, RequestError>>
    where
        Self: 'static;
}

macro_rules! carried_as_they_are {
    ($($type:ty),* $(,)?) => {$(
        impl Carried for $type {
            type Form = Self;

            fn pack(self) -> Self {
                self
            }

            fn unpack(form: Self, _db: &Db) -> BoxFuture<'_, Result<Self, RequestError>> {
                Box::pin(ready(Ok(form)))
            }
        }
    )*};
}

carried_as_they_are!(
    (),
    BTreeMap<InterfaceKind, InterfaceVerdict>,
    BTreeMap<String, String>,
    BTreeMap<String, VendorMethod>,
    CurrentBootDevice,
    IndicatorState,
    NodeProgress,
    Vec<BootDevice>,
    Vec<Indicator>,
    Vec<MediaDrive>,
    Vec<Value>,
    VendorReply,
);

/// As a list of none or one: nothing is not the same as null.
impl Carried for Option<Value> {
    type Form = Vec<Value>;

    fn pack(self) -> Vec<Value> {
        self.into_iter().collect()
    }

    fn unpack(mut form: Vec<Value>, _db: &Db) -> BoxFuture<'_, Result<Self, RequestError>> {
        Box::pin(ready(Ok(form.pop())))
    }
}

/// The answer to a lookup on its way: which node, not what it is. That is in the store, which both ends share; so that the
/// credentials of BMCs do not travel.
#[derive(Debug, Serialize, Deserialize)]
pub struct Found {
    node: NodeUuid,
    revision: i64,
    #[serde(with = "exact")]
    config: JsonObject,
}

impl Carried for LookupReply {
    type Form = Found;

    fn pack(self) -> Found {
        Found { node: self.node.uuid, revision: self.node.revision, config: self.config }
    }

    fn unpack(form: Found, db: &Db) -> BoxFuture<'_, Result<Self, RequestError>> {
        Box::pin(async move {
            let found = db.get_node(&NodeKey::Uuid(form.node), &Scope::All).await;
            let node = found.map_err(|error| RequestError::Unavailable(error.to_string()))?;
            let node = node.ok_or(RequestError::LookupNotFound)?;
            if node.revision < form.revision {
                return Err(RequestError::Unavailable(format!(
                    "node {} was read as it was before the conductor's answer: the database that this host reads is behind",
                    form.node
                )));
            }
            Ok(Self { node: Arc::new(node), config: form.config })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ProvisionArgs")]
pub(super) struct ProvisionArgsForm {
    #[serde(with = "perhaps")]
    configdrive: Option<Value>,
    clean_steps: Option<Vec<Value>>,
    deploy_steps: Option<Vec<Value>>,
    service_steps: Option<Vec<Value>>,
    #[serde(with = "optional_secret")]
    rescue_password: Option<Secret>,
    disable_ramdisk: bool,
    user: Option<String>,
    project: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Heartbeat")]
pub(super) struct HeartbeatForm {
    callback_url: String,
    agent_version: Option<String>,
    #[serde(with = "optional_secret")]
    agent_token: Option<Secret>,
    agent_verify_ca: Option<String>,
    agent_status: Option<String>,
    agent_status_message: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Lookup")]
pub(super) struct LookupForm {
    #[serde(with = "addresses")]
    addresses: Vec<MacAddr>,
    node_uuid: Option<NodeUuid>,
    wants_token: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "InspectionReport")]
pub(super) struct ReportForm {
    node_uuid: Option<NodeUuid>,
    #[serde(with = "addresses")]
    addresses: Vec<MacAddr>,
    bmc_addresses: Vec<String>,
    #[serde(with = "InventoryForm")]
    data: NodeInventory,
    wants_token: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "NodeInventory")]
struct InventoryForm {
    #[serde(with = "exact")]
    inventory: JsonObject,
    #[serde(with = "exact")]
    plugin_data: JsonObject,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "VendorCall")]
pub(super) struct VendorCallForm {
    method: String,
    http_method: String,
    #[serde(with = "exact")]
    args: JsonObject,
}

/// Values by their names.
pub(super) mod by_name {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(|_| D::Error::custom("not a known name"))
    }
}

/// A value that may be missing, as a list of none or one: nothing is not the same as null.
#[expect(clippy::ref_option, reason = "the signature is serde's")]
mod perhaps {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use serde_json::Value;

    pub(super) fn serialize<S: Serializer>(value: &Option<Value>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_slice().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
        Vec::deserialize(deserializer).map(|mut list| list.pop())
    }
}

/// Ethernet addresses as text.
mod addresses {
    use model::MacAddr;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(list: &[MacAddr], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<MacAddr>, D::Error> {
        let list = Vec::<String>::deserialize(deserializer)?;
        list.iter().map(|text| text.parse().map_err(|_| D::Error::custom("not an address"))).collect()
    }
}

/// JSON objects, letter by letter.
pub(super) mod exact {
    use model::JsonObject;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};
    use serde_json::value::RawValue;

    pub(crate) fn serialize<S: Serializer>(object: &JsonObject, serializer: S) -> Result<S::Ok, S::Error> {
        object.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<JsonObject, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        JsonObject::parse(raw.get()).map_err(|_| D::Error::custom("not an object"))
    }
}

/// A secret, in the clear: the one place that writes it down, for the bus alone.
pub(super) mod secret {
    use model::Secret;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

/// A secret that may be missing, in the clear.
#[expect(clippy::ref_option, reason = "the signature is serde's")]
mod optional_secret {
    use model::Secret;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::expose).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret>, D::Error> {
        Option::<String>::deserialize(deserializer).map(|text| text.map(Secret::new))
    }
}
