//! Keys about the message bus of a cloud.

use std::path::PathBuf;

use model::Secret;
use serde::Deserialize;

/// The message bus: requests between hosts, and notifications for others.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Messaging {
    /// Where the RabbitMQ server is, with user and password.
    pub url: Option<BrokerUrl>,
    /// Certificate authorities trusted beside the system's, a file in PEM.
    pub ca_file: Option<PathBuf>,
    /// Seconds that a request of another host may take.
    pub request_timeout: u64,
    /// Whether events are published as notifications.
    pub notifications: bool,
    /// Topics of the notifications.
    pub topics: Vec<String>,
    /// The exchange of the notifications.
    pub exchange: String,
    /// Whether the exchange outlives a restart of the server.
    pub durable_exchange: bool,
}

/// An address that holds a password: never shown.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "String")]
pub struct BrokerUrl(pub Secret);

impl From<String> for BrokerUrl {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

impl Default for Messaging {
    fn default() -> Self {
        Self {
            url: None,
            ca_file: None,
            request_timeout: 60,
            notifications: false,
            topics: vec!["ironic_versioned_notifications".to_owned()],
            exchange: "ironic".to_owned(),
            durable_exchange: false,
        }
    }
}

impl Messaging {
    /// Refuses what cannot work.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(url) = &self.url {
            cluster::bus::Broker::new(&url.0, None, "")
                .map_err(|error| format!("[messaging] url: {error}."))?;
        }
        if self.notifications && self.url.is_none() {
            return Err("[messaging] notifications need a url to go to.".to_owned());
        }
        if self.notifications && (self.topics.is_empty() || self.exchange.is_empty()) {
            return Err("[messaging] notifications need at least one of topics, and an exchange.".to_owned());
        }
        if self.topics.iter().chain([&self.exchange]).any(|name| name.len() > 200) {
            return Err("[messaging] topics and exchange have at most 200 bytes each.".to_owned());
        }
        if !(1..=600).contains(&self.request_timeout) {
            return Err("[messaging] request_timeout is 1 to 600 seconds.".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Messaging {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_password_never_shows() {
        let messaging = parse("url = \"amqp://ironic:hunter2@mq.example/cloud\"");
        assert_eq!(messaging.check(), Ok(()));
        assert!(!format!("{messaging:?}").contains("hunter2"));
        let error = parse("url = \"http://ironic:hunter2@mq.example\"").check().unwrap_err();
        assert!(error.contains("amqps://") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn notifications_need_a_place_to_go_to() {
        assert!(parse("notifications = true").check().unwrap_err().contains("url"));
        let url = "url = \"amqp://mq.example\"\nnotifications = true\n";
        assert_eq!(parse(url).check(), Ok(()));
        assert!(parse(&format!("{url}topics = []")).check().unwrap_err().contains("topics"));
        assert!(parse("request_timeout = 0").check().unwrap_err().contains("600"));
    }
}
