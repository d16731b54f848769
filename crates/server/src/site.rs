//! Facts about the site that several parts share.

use std::net::{IpAddr, SocketAddr};

use crate::config::Config;

/// Name of the deploy ramdisk's kernel on the boot servers.
pub(crate) const KERNEL_FILE: &str = "vmlinuz";

/// Name of the deploy ramdisk on the boot servers.
pub(crate) const RAMDISK_FILE: &str = "initramfs";

/// The base URL that agents are told.
pub(crate) fn agent_endpoint(config: &Config) -> String {
    if let Some(url) = &config.api.agent_endpoint {
        return url.trim_end_matches('/').to_owned();
    }
    let first =
        config.api.listen.first().copied().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 6385)));
    let Some(netboot) = &config.netboot else { return format!("http://{first}") };
    let ours = IpAddr::V4(netboot.server_address);
    let listens = |address: &&SocketAddr| address.ip() == ours || address.ip().is_unspecified();
    let port = config.api.listen.iter().find(listens).map_or(first.port(), SocketAddr::port);
    format!("http://{ours}:{port}")
}

/// The base URL below which machines fetch images by key.
pub(crate) fn images_url(config: &Config) -> String {
    let Some(netboot) = &config.netboot else { return String::new() };
    let listen = netboot.http_listen.filter(|listen| !listen.ip().is_unspecified()).unwrap_or_else(|| {
        let port = netboot.http_listen.map_or(8080, |listen| listen.port());
        SocketAddr::new(IpAddr::V4(netboot.server_address), port)
    });
    format!("http://{listen}/images")
}

/// What of booting this site serves, and so hears.
pub(crate) fn hears(config: &Config) -> boot_trace::Hears {
    let netboot = config.netboot.as_ref();
    boot_trace::Hears {
        dhcp: netboot.is_some_and(|options| options.dhcp != netboot::DhcpMode::Off),
        files: netboot.is_some(),
    }
}

/// Name of this conductor.
pub(crate) fn hostname(config: &Config) -> String {
    config.conductor.hostname.clone().unwrap_or_else(|| {
        rustix::system::uname()
            .nodename()
            .to_str()
            .ok()
            .filter(|name| !name.is_empty())
            .unwrap_or("localhost")
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn agents_are_told_an_address_that_they_can_reach() {
        assert_eq!(agent_endpoint(&config("")), "http://127.0.0.1:6385");
        let site = "[netboot]\nserver_address = \"10.1.0.1\"\n";
        let with = |listen: &str| agent_endpoint(&config(&format!("[api]\nlisten = {listen}\n{site}")));
        assert_eq!(with("[\"127.0.0.1:1\", \"10.1.0.1:2\"]"), "http://10.1.0.1:2");
        assert_eq!(with("[\"0.0.0.0:3\"]"), "http://10.1.0.1:3");
    }

    #[test]
    fn images_are_below_the_boot_server() {
        assert_eq!(
            images_url(&config("[netboot]\nserver_address = \"10.1.0.1\"\n")),
            "http://10.1.0.1:8080/images"
        );
        let own = "[netboot]\nserver_address = \"10.1.0.1\"\nhttp_listen = \"0.0.0.0:81\"\n";
        assert_eq!(images_url(&config(own)), "http://10.1.0.1:81/images");
    }
}
