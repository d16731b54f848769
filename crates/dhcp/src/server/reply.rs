//! The server's answers: which fields and options each kind carries.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::config::Subnet;
use super::{BootAnswer, Destination, Grant, Port, Reply, ReplyKind, Request, Server};
use super::{class_text, destination, size_limit};
use crate::facts::{ClientFacts, VendorClass};
use crate::wire::{MessageType, Packet, code, pxe};

/// Options that are left out, in this order, when a reply grows beyond what the client takes: header fields say the same,
/// or the boot does not need them.
const EXPENDABLE: [u8; 5] =
    [code::TFTP_SERVER, code::DOMAIN_NAME, code::HOST_NAME, code::BROADCAST, code::DNS];

/// iPXE's own option 176, "no proxy DHCP server is to be waited for": without it iPXE takes an offer only 3 s after its first
/// DISCOVER.
const NO_PROXY: [u8; 3] = [176, 1, 1];

impl Server {
    /// OFFER or ACK of an address.
    pub(super) fn lease_reply(
        &self,
        request: &Request<'_>,
        subnet: &Subnet,
        grant: &Grant,
        (kind, address): (ReplyKind, Ipv4Addr),
    ) -> Reply {
        let mut reply = self.common(request.packet, kind);
        reply.yiaddr = address;
        if kind == ReplyKind::Ack {
            reply.ciaddr = request.packet.ciaddr;
        }
        let lease = self.config.lease_time;
        reply.options.set(code::LEASE_TIME, seconds(lease));
        reply.options.set(code::RENEWAL, seconds(lease / 2));
        reply.options.set(code::REBINDING, seconds(lease / 8 * 7));
        self.put_network(&mut reply, subnet, grant);
        self.put_boot(&mut reply, request.facts, &grant.boot);
        if request.facts.ipxe {
            reply.options.set(code::IPXE, NO_PROXY);
        }
        let destination = destination(request.packet);
        finish(request.packet, reply, kind, destination, Some(address))
    }

    /// ACK of an INFORM: everything but an address and times (RFC 2131 section 4.3.5).
    pub(super) fn inform_reply(&self, request: &Request<'_>, subnet: &Subnet, grant: &Grant) -> Reply {
        let mut reply = self.common(request.packet, ReplyKind::Ack);
        reply.ciaddr = request.packet.ciaddr;
        self.put_network(&mut reply, subnet, grant);
        self.put_boot(&mut reply, request.facts, &grant.boot);
        finish(request.packet, reply, ReplyKind::Ack, destination(request.packet), None)
    }

    /// NAK: by broadcast, for the client's address is wrong; through a relay agent with the broadcast flag set.
    pub(super) fn refusal(&self, request: &Request<'_>) -> Reply {
        let mut reply = self.common(request.packet, ReplyKind::Nak);
        reply.options.set(code::MESSAGE, "address not available");
        let relayed = !request.packet.giaddr.is_unspecified();
        reply.broadcast |= relayed;
        let destination =
            if relayed { Destination::Relay(request.packet.giaddr) } else { Destination::Broadcast };
        finish(request.packet, reply, ReplyKind::Nak, destination, None)
    }

    /// A proxy's OFFER or ACK: no address, the boot file, and in option 43 "download it without asking anybody".
    pub(super) fn proxy_reply(
        &self,
        request: &Request<'_>,
        port: Port,
        kind: ReplyKind,
        grant: &Grant,
    ) -> Reply {
        let packet = request.packet;
        let mut reply = self.common(packet, kind);
        if kind == ReplyKind::Ack {
            reply.ciaddr = packet.ciaddr;
        }
        self.put_boot(&mut reply, request.facts, &grant.boot);
        if let Some(class) = class_text(request.facts.class) {
            reply.options.set(code::VENDOR_CLASS, class);
        }
        if request.facts.class == VendorClass::Pxe {
            let item = packet.options.bytes(code::VENDOR).and_then(pxe::boot_item);
            reply.options.set(code::VENDOR, pxe::answer(item));
        }
        if let Some(id) = packet.options.bytes(code::MACHINE_ID) {
            reply.options.set(code::MACHINE_ID, id);
        }
        let destination = if port == Port::Pxe { Destination::Source } else { destination(packet) };
        finish(packet, reply, kind, destination, None)
    }

    fn common(&self, packet: &Packet, kind: ReplyKind) -> Packet {
        let mut reply = packet.reply(match kind {
            ReplyKind::Offer => MessageType::Offer,
            ReplyKind::Ack => MessageType::Ack,
            ReplyKind::Nak => MessageType::Nak,
        });
        reply.options.set(code::SERVER_ID, self.config.server.octets());
        for echoed in [code::CLIENT_ID, code::RELAY_AGENT] {
            if let Some(value) = packet.options.bytes(echoed) {
                reply.options.set(echoed, value);
            }
        }
        reply
    }

    fn put_network(&self, reply: &mut Packet, subnet: &Subnet, grant: &Grant) {
        let options = &mut reply.options;
        options.set(code::SUBNET_MASK, subnet.mask().octets());
        options.set(code::BROADCAST, subnet.broadcast().octets());
        options.set_addresses(code::ROUTER, subnet.gateway.as_slice());
        options.set_addresses(code::DNS, &self.config.dns);
        for (code, text) in [(code::DOMAIN_NAME, &self.config.domain), (code::HOST_NAME, &grant.host_name)] {
            if let Some(text) = text
                && !text.is_empty()
            {
                options.set(code, text.as_bytes());
            }
        }
    }

    /// Names the boot file in the header (what BIOS ROMs read) and in option 67 (what UEFI reads). In full mode a PXE client
    /// gets no vendor class: with it, firmware would look for a boot server to discover. HTTP boot firmware does need
    /// its class back to take the file as a URL.
    fn put_boot(&self, reply: &mut Packet, facts: &ClientFacts, boot: &BootAnswer) {
        let name = match boot {
            BootAnswer::None => return,
            BootAnswer::File { server, name } => {
                reply.siaddr = *server;
                reply.options.set(code::TFTP_SERVER, server.to_string());
                name
            }
            BootAnswer::Url(url) => {
                reply.siaddr = self.config.server;
                if facts.class == VendorClass::Http {
                    reply.options.set(code::VENDOR_CLASS, "HTTPClient");
                }
                url
            }
        };
        reply.options.set(code::BOOT_FILE, name.as_bytes());
        if name.len() < 128 {
            reply.file = name.as_bytes().to_vec();
        }
    }
}

fn seconds(duration: Duration) -> [u8; 4] {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).to_be_bytes()
}

fn finish(
    request: &Packet,
    mut reply: Packet,
    kind: ReplyKind,
    destination: Destination,
    address: Option<Ipv4Addr>,
) -> Reply {
    let limit = size_limit(request);
    let mut bytes = reply.encode();
    for expendable in EXPENDABLE {
        if bytes.len() <= limit {
            break;
        }
        reply.options.remove(expendable);
        bytes = reply.encode();
    }
    Reply { bytes, destination, kind, address }
}
