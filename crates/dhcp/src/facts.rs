//! What a request says about its sender, in types: the input of every boot decision.

use std::net::Ipv4Addr;

use crate::wire::{EthernetAddress, MessageType, Packet, code};
use crate::{Architecture, DecodeError};

/// The family of boot firmware by its vendor class (option 60).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VendorClass {
    /// `PXEClient…`: wants a file name and a TFTP server (PXE 2.1).
    Pxe,
    /// `HTTPClient…`: wants a URL and this class echoed (UEFI 2.5 HTTP boot).
    Http,
    /// Any other class, or none: an operating system, a BMC, a switch.
    Other,
}

/// A client as its request shows it. Texts are cleaned to printable ASCII; nothing here is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFacts {
    /// The client's hardware address.
    pub mac: EthernetAddress,
    /// What it asks.
    pub message: MessageType,
    /// Boot firmware family.
    pub class: VendorClass,
    /// Option 60 as text.
    pub vendor_class: Option<String>,
    /// Option 93's first entry; failing that, the number in option 60 (`PXEClient:Arch:00007:…`).
    pub architecture: Option<Architecture>,
    /// Option 77 as text.
    pub user_class: Option<String>,
    /// iPXE is asking: option 175 is there or the user class is `iPXE`.
    pub ipxe: bool,
    /// Option 97: SMBIOS UUID in the firmware's byte order, which differs between firmware.
    pub machine_id: Option<[u8; 16]>,
    /// Option 12.
    pub host_name: Option<String>,
    /// The relay agent between it and us.
    pub relay: Option<Ipv4Addr>,
    /// The server it speaks to (option 54), when it says.
    pub server: Option<Ipv4Addr>,
    /// The address that it wants (option 50) or has (`ciaddr`).
    pub address: Option<Ipv4Addr>,
}

impl ClientFacts {
    /// Reads the facts off a request; an error if it has no message type that we know.
    pub fn of(packet: &Packet) -> Result<Self, DecodeError> {
        let options = &packet.options;
        let vendor_class = options.text(code::VENDOR_CLASS);
        let class = match vendor_class.as_deref() {
            Some(text) if text.starts_with("PXEClient") => VendorClass::Pxe,
            Some(text) if text.starts_with("HTTPClient") => VendorClass::Http,
            _ => VendorClass::Other,
        };
        let listed = options.bytes(code::ARCHITECTURE).and_then(|list| list.first_chunk::<2>());
        let architecture = listed.map(|first| u16::from_be_bytes(*first)).or_else(|| {
            let text = vendor_class.as_deref()?.split_once("Client:Arch:")?.1;
            text.get(..5)?.parse().ok()
        });
        Ok(Self {
            mac: packet.chaddr,
            message: packet.message_type().ok_or(DecodeError::MessageType)?,
            class,
            vendor_class,
            architecture: architecture.map(Architecture::from),
            user_class: options.text(code::USER_CLASS),
            ipxe: options.has(code::IPXE) || options.bytes(code::USER_CLASS).is_some_and(names_ipxe),
            machine_id: options.bytes(code::MACHINE_ID).and_then(|id| match id {
                [0, uuid @ ..] => uuid.try_into().ok(),
                _ => None,
            }),
            host_name: options.text(code::HOST_NAME),
            relay: specified(packet.giaddr),
            server: options.address(code::SERVER_ID),
            address: options
                .address(code::REQUESTED_ADDRESS)
                .and_then(specified)
                .or_else(|| specified(packet.ciaddr)),
        })
    }

    /// Whether this is boot firmware or a boot loader, which wants a boot file.
    pub const fn boots(&self) -> bool {
        self.ipxe || !matches!(self.class, VendorClass::Other)
    }
}

/// The user class is plain text in iPXE and a list of counted strings by RFC 3004.
fn names_ipxe(mut value: &[u8]) -> bool {
    if value == b"iPXE" {
        return true;
    }
    while let Some((&length, rest)) = value.split_first() {
        let Some((class, rest)) = rest.split_at_checked(usize::from(length)) else { return false };
        if class == b"iPXE" {
            return true;
        }
        value = rest;
    }
    false
}

pub(crate) fn specified(address: Ipv4Addr) -> Option<Ipv4Addr> {
    (!address.is_unspecified()).then_some(address)
}
