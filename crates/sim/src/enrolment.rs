//! Makes nodes and ports for a fleet through the Bare Metal API. Knows the two requests that this takes, no more.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::agent::{chain, join};
use crate::error::SimError;
use crate::fleet::{Fleet, client};
use crate::machine::Machine;
use crate::options::ApiAccess;

/// Requests under way at a time.
const PARALLEL: usize = 16;
/// The microversion of the requests: new enough for everything sent, old enough for any service alive.
const VERSION: &str = "1.72";

/// How nodes are made.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// The API.
    pub api: ApiAccess,
    /// `resource_class` of the nodes.
    pub resource_class: String,
    /// Added to every node's `driver_info` (kernel and ramdisk, for one).
    pub driver_info: Map<String, Value>,
}

impl Enrolment {
    /// Nodes of class `baremetal` with nothing extra.
    pub fn new(api: ApiAccess) -> Self {
        Self { api, resource_class: "baremetal".to_owned(), driver_info: Map::new() }
    }

    /// Makes a node and a port for each machine. What exists already is left as it is. Gives the number of nodes made.
    ///
    /// # Errors
    /// The first request that fails ends it; those under way are dropped.
    pub async fn run(&self, fleet: &Fleet) -> Result<usize, SimError> {
        let client = client(Some(&self.api))?;
        let enrol = |machine| self.enrol(&client, machine);
        let made: Vec<bool> = stream::iter(fleet.machines().iter().map(|machine| &**machine))
            .map(enrol)
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        Ok(made.into_iter().filter(|made| *made).count())
    }

    async fn enrol(&self, client: &reqwest::Client, machine: &Machine) -> Result<bool, SimError> {
        let made = self.post(client, "v1/nodes", &self.node(machine)).await?;
        let port = json!({"node_uuid": machine.uuid(), "address": machine.mac(), "pxe_enabled": true});
        self.post(client, "v1/ports", &port).await?;
        Ok(made)
    }

    fn node(&self, machine: &Machine) -> Value {
        let hardware = machine.identity.hardware;
        let mut driver_info = self.driver_info.clone();
        driver_info.insert("ipmi_address".to_owned(), machine.bmc_address().ip().to_string().into());
        driver_info.insert("ipmi_port".to_owned(), machine.bmc_address().port().into());
        driver_info.insert("ipmi_username".to_owned(), machine.credentials().username.clone().into());
        driver_info.insert("ipmi_password".to_owned(), machine.credentials().password.clone().into());
        json!({
            "uuid": machine.uuid(),
            "name": machine.name(),
            "driver": "ipmi",
            "driver_info": driver_info,
            "resource_class": self.resource_class,
            "properties": {
                "cpus": hardware.cpus,
                "memory_mb": hardware.memory_mib,
                "local_gb": hardware.disk_bytes / (1 << 30),
                "cpu_arch": "x86_64",
            },
        })
    }

    /// `false` when it exists already.
    async fn post(&self, client: &reqwest::Client, path: &str, body: &Value) -> Result<bool, SimError> {
        let name = body.get("name").or_else(|| body.get("address")).and_then(Value::as_str);
        let what = format!("POST /{path} for {}", name.unwrap_or_default());
        let url = join(&self.api.url, path).map_err(|text| SimError::Refused {
            what: what.clone(),
            status: 0,
            text,
        })?;
        let mut request =
            client.request(Method::POST, url).header(agent_api::version::VERSION_HEADER, VERSION).json(body);
        if let Some((user, password)) = &self.api.login {
            request = request.basic_auth(user, Some(password));
        }
        let unreachable = |source| SimError::Api { what: what.clone(), source };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if status.is_success() || status == StatusCode::CONFLICT {
            return Ok(status.is_success());
        }
        let text = match response.bytes().await {
            Ok(body) => agent_api::Fault::text_of(&body),
            Err(error) => chain(&error),
        };
        Err(SimError::Refused { what, status: status.as_u16(), text })
    }
}
