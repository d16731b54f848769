//! Tokio shell of network boot: DHCP, TFTP and HTTP servers over a pure boot decision.
