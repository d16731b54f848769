//! Numbers of the DHCP options used here (RFC 2132 and the RFCs named beside them).

/// Subnet mask.
pub const SUBNET_MASK: u8 = 1;
/// Routers, best first.
pub const ROUTER: u8 = 3;
/// Name servers.
pub const DNS: u8 = 6;
/// The client's host name.
pub const HOST_NAME: u8 = 12;
/// The client's DNS domain.
pub const DOMAIN_NAME: u8 = 15;
/// Interface MTU.
pub const MTU: u8 = 26;
/// Subnet's broadcast address.
pub const BROADCAST: u8 = 28;
/// Vendor specific information: PXE's own options are encapsulated in it (PXE 2.1 section 2.2).
pub const VENDOR: u8 = 43;
/// The address that the client would like, or has been offered.
pub const REQUESTED_ADDRESS: u8 = 50;
/// Lease time in seconds.
pub const LEASE_TIME: u8 = 51;
/// Header fields `file` and `sname` hold options.
pub const OVERLOAD: u8 = 52;
/// DHCP message type.
pub const MESSAGE_TYPE: u8 = 53;
/// The server's address, its name in the protocol.
pub const SERVER_ID: u8 = 54;
/// What the client asks for.
pub const PARAMETER_LIST: u8 = 55;
/// Text of a refusal.
pub const MESSAGE: u8 = 56;
/// The longest message that the client takes.
pub const MAX_SIZE: u8 = 57;
/// T1: seconds until the lease is to be renewed.
pub const RENEWAL: u8 = 58;
/// T2: seconds until any server may renew it.
pub const REBINDING: u8 = 59;
/// Vendor class: `PXEClient:Arch:…`, `HTTPClient:Arch:…`.
pub const VENDOR_CLASS: u8 = 60;
/// Client identifier, echoed in replies (RFC 6842).
pub const CLIENT_ID: u8 = 61;
/// TFTP server name.
pub const TFTP_SERVER: u8 = 66;
/// Boot file name or URL.
pub const BOOT_FILE: u8 = 67;
/// User class (RFC 3004; iPXE sends plain text).
pub const USER_CLASS: u8 = 77;
/// What relay agents add (RFC 3046), echoed as the last option.
pub const RELAY_AGENT: u8 = 82;
/// Client system architectures (RFC 4578).
pub const ARCHITECTURE: u8 = 93;
/// Network interface type (RFC 4578).
pub const INTERFACE_TYPE: u8 = 94;
/// Client machine identifier (RFC 4578): a type byte and the SMBIOS UUID.
pub const MACHINE_ID: u8 = 97;
/// Etherboot and iPXE's encapsulated options: who sends it is an iPXE.
pub const IPXE: u8 = 175;
/// Ends the options.
pub const END: u8 = 255;
