//! DHCPv4 for network boot, sans-IO.
