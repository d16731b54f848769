//! Disk image formats: sniffing, streaming qcow2, ISO 9660, config drives, partition tables.
