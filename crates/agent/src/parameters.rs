//! What the kernel command line (or, for tests, the command line) tells the agent.
//!
//! Names are those of ironic-python-agent; what is Wrought's own starts with `wrought-`. Unknown words are ignored: most
//! are the kernel's.

use agent_api::AgentToken;
use std::{net::IpAddr, time::Duration};

/// Everything the agent can be told, with the protocol's defaults.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// `ipa-api-url`: base URLs of the API, in the order they are tried.
    pub api_urls: Vec<String>,
    /// `ipa-agent-token`: the token, if made before boot.
    pub token: Option<AgentToken>,
    /// `ipa-global-request-id`: sent with every request to the API.
    pub request_id: Option<String>,
    /// `ipa-debug`.
    pub debug: bool,
    /// `ipa-insecure`: do not verify the API's certificate.
    pub insecure: bool,
    /// `wrought-api-sha256`: SHA-256 of the API's certificate (DER), which then is the only one that is taken.
    pub api_pin: Option<[u8; 32]>,
    /// `ipa-lookup-timeout`: how long the node is looked up before starting over.
    pub lookup_timeout: Duration,
    /// `ipa-lookup-interval`: shortest pause between two lookups.
    pub lookup_interval: Duration,
    /// `ipa-listen-host`; none: all addresses.
    pub listen_host: Option<IpAddr>,
    /// `ipa-listen-port`.
    pub listen_port: u16,
    /// `ipa-advertise-host`; none: the address that leads to the API.
    pub advertise_host: Option<String>,
    /// `ipa-advertise-port`; none: the one it listens on.
    pub advertise_port: Option<u16>,
    /// `ipa-ip-lookup-attempts` x `ipa-ip-lookup-timeout`: how long a route to the API is waited for.
    pub route_timeout: Duration,
    /// `ipa-network-interface`: the only interface to use.
    pub interface: Option<String>,
    /// `BOOTIF`: MAC address of the interface the machine booted from, lower-case with colons.
    pub boot_mac: Option<String>,
    /// `ipa-http-request-timeout`: longest wait for an answer of the API.
    pub request_timeout: Duration,
    /// `ipa-image-download-connection-timeout`: longest wait for bytes of an image.
    pub image_timeout: Duration,
    /// `ipa-image-download-connection-retries`.
    pub image_retries: u32,
    /// `ipa-image-download-connection-retry-interval`.
    pub image_retry_interval: Duration,
    /// `ipa-disk-wait-attempts` x `ipa-disk-wait-delay`: how long a root disk is waited for.
    pub disk_timeout: Duration,
    /// `ipa-inspection-callback-url`: where to send what inspection found.
    pub inspection_url: Option<String>,
    /// `ipa-inspection-collectors`: names, comma separated.
    pub collectors: Option<String>,
    /// `ipa-ironic-api-version`: do not ask the API for its version.
    pub api_version: Option<String>,
    /// `ipa-ignore-bootloader-failure`.
    pub ignore_boot_loader_failure: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            api_urls: Vec::new(),
            token: None,
            request_id: None,
            debug: false,
            insecure: false,
            api_pin: None,
            lookup_timeout: Duration::from_mins(10),
            lookup_interval: Duration::from_secs(1),
            listen_host: None,
            listen_port: 9999,
            advertise_host: None,
            advertise_port: None,
            route_timeout: Duration::from_mins(1),
            interface: None,
            boot_mac: None,
            request_timeout: Duration::from_secs(30),
            image_timeout: Duration::from_mins(1),
            image_retries: 9,
            image_retry_interval: Duration::from_secs(10),
            disk_timeout: Duration::from_secs(30),
            inspection_url: None,
            collectors: None,
            api_version: None,
            ignore_boot_loader_failure: false,
        }
    }
}

/// Longest time that a parameter may name: a day.
const LONGEST: u64 = 86_400;

impl Parameters {
    /// Reads a kernel command line. A value that makes no sense leaves the default in place; the names of such
    /// parameters are returned (never their values).
    pub fn parse(command_line: &str) -> (Self, Vec<String>) {
        let mut parameters = Self::default();
        let mut bad = Vec::new();
        let (mut attempts, mut attempt_timeout) = (6, 10);
        let (mut disk_attempts, mut disk_delay) = (10, 3);
        for word in words(command_line) {
            let Some((key, value)) = word.split_once('=') else { continue };
            let understood = match key {
                "ipa-ip-lookup-attempts" => number(value).map(|n| attempts = n),
                "ipa-ip-lookup-timeout" => number(value).map(|n| attempt_timeout = n),
                "ipa-disk-wait-attempts" => number(value).map(|n| disk_attempts = n),
                "ipa-disk-wait-delay" => number(value).map(|n| disk_delay = n),
                _ => parameters.set(key, value),
            };
            if understood.is_none() {
                bad.push(key.to_owned());
            }
        }
        let product =
            |times: u64, seconds: u64| Duration::from_secs(times.saturating_mul(seconds).min(LONGEST));
        parameters.route_timeout = product(attempts, attempt_timeout);
        parameters.disk_timeout = product(disk_attempts, disk_delay);
        (parameters, bad)
    }

    /// Sets one parameter; `None` when the value makes no sense. Unknown names are fine.
    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        let seconds = || number(value).map(|n| Duration::from_secs(n.min(LONGEST)));
        let text = || (!value.is_empty()).then(|| value.to_owned());
        match key {
            "ipa-api-url" => self.api_urls = urls(value),
            "ipa-agent-token" => self.token = Some(AgentToken::new(value)).filter(AgentToken::is_usable),
            "ipa-global-request-id" => self.request_id = text().filter(|text| is_header_value(text)),
            "ipa-debug" => self.debug = boolean(value),
            "ipa-insecure" => self.insecure = boolean(value),
            "ipa-ignore-bootloader-failure" => self.ignore_boot_loader_failure = boolean(value),
            "wrought-api-sha256" => self.api_pin = Some(digest(value)?),
            "ipa-lookup-timeout" => self.lookup_timeout = seconds()?,
            "ipa-lookup-interval" => self.lookup_interval = seconds()?,
            "ipa-http-request-timeout" => self.request_timeout = seconds()?,
            "ipa-listen-host" => {
                self.listen_host = value.parse::<IpAddr>().ok().filter(|ip| !ip.is_unspecified());
            }
            "ipa-listen-port" => self.listen_port = value.parse().ok()?,
            "ipa-advertise-host" => self.advertise_host = text(),
            "ipa-advertise-port" => self.advertise_port = Some(value.parse().ok()?),
            "ipa-network-interface" => self.interface = text(),
            "BOOTIF" => self.boot_mac = Some(mac(value)?),
            "ipa-image-download-connection-timeout" => self.image_timeout = seconds()?,
            "ipa-image-download-connection-retries" => self.image_retries = value.parse().ok()?,
            "ipa-image-download-connection-retry-interval" => self.image_retry_interval = seconds()?,
            "ipa-inspection-callback-url" => self.inspection_url = text(),
            "ipa-inspection-collectors" => self.collectors = text(),
            "ipa-ironic-api-version" => self.api_version = text(),
            _ => {}
        }
        Some(())
    }
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn boolean(text: &str) -> bool {
    ["1", "t", "true", "on", "y", "yes"].iter().any(|yes| text.eq_ignore_ascii_case(yes))
}

fn is_header_value(text: &str) -> bool {
    text.len() <= 200 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The URLs of a comma separated list, without the slash at their end and without `mdns`, which is not spoken.
pub fn urls(text: &str) -> Vec<String> {
    let one = |url: &str| url.trim().trim_end_matches('/').to_owned();
    text.split(',').map(one).filter(|url| url.starts_with("http://") || url.starts_with("https://")).collect()
}

/// 64 hexadecimal digits, colons allowed.
pub fn digest(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// A MAC address lower-case with colons, from any of `52:54:00:12:34:56`, `52-54-…` and PXELINUX' `01-52-54-…`.
pub fn mac(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    let parts = match parts.as_slice() {
        ["01", rest @ ..] if rest.len() == 6 => rest,
        all if all.len() == 6 => all,
        _ => return None,
    };
    let valid = |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.iter().all(valid).then(|| parts.join(":").to_ascii_lowercase())
}

/// The words of a command line; double quotes hold blanks together, as for the kernel.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(String::new()),
            c => {
                if let Some(word) = words.last_mut() {
                    word.push(c);
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_as_ipxe_boots_it() {
        let (parameters, bad) = Parameters::parse(
            "selinux=0 quiet console=ttyS0 ipa-api-url=http://172.22.0.1:6385/ ipa-debug=1 \
             ipa-global-request-id=req-1 BOOTIF=52:54:00:AB:cd:ef initrd=x ipa-lookup-timeout=60 \"odd=a b\"\n",
        );
        assert_eq!(parameters.api_urls, ["http://172.22.0.1:6385"]);
        assert_eq!(parameters.boot_mac.as_deref(), Some("52:54:00:ab:cd:ef"));
        assert_eq!(parameters.request_id.as_deref(), Some("req-1"));
        assert_eq!(parameters.lookup_timeout, Duration::from_mins(1));
        assert!(parameters.debug && bad.is_empty());
    }

    #[test]
    fn nonsense_keeps_the_default_and_is_named() {
        let (parameters, bad) =
            Parameters::parse("ipa-listen-port=99999 ipa-lookup-timeout=soon BOOTIF=x ipa-agent-token=short");
        assert_eq!(bad, ["ipa-listen-port", "ipa-lookup-timeout", "BOOTIF"]);
        assert_eq!((parameters.listen_port, parameters.token), (9999, None));
    }

    #[test]
    fn times_are_bounded() {
        let (parameters, _) = Parameters::parse(
            "ipa-lookup-timeout=18446744073709551615 ipa-ip-lookup-attempts=18446744073709551615",
        );
        assert_eq!(parameters.lookup_timeout, Duration::from_secs(LONGEST));
        assert_eq!(parameters.route_timeout, Duration::from_secs(LONGEST));
    }

    #[test]
    fn mac_addresses() {
        for text in ["52:54:00:12:34:56", "52-54-00-12-34-56", "01-52-54-00-12-34-56"] {
            assert_eq!(mac(text).as_deref(), Some("52:54:00:12:34:56"), "{text}");
        }
        for text in ["", "52:54:00:12:34", "02-52-54-00-12-34-56", "52:54:00:12:34:5g", "525400123456"] {
            assert_eq!(mac(text), None, "{text}");
        }
    }

    #[test]
    fn several_urls_and_no_mdns() {
        assert_eq!(urls("http://a:1,https://b/x/, mdns,"), ["http://a:1", "https://b/x"]);
    }

    #[test]
    fn the_token_does_not_print() {
        let (parameters, _) = Parameters::parse("ipa-agent-token=0123456789abcdef0123456789abcdef");
        assert!(parameters.token.is_some() && !format!("{parameters:?}").contains("0123456789abcdef"));
    }
}
