//! The conductor's client of the ramdisk agent.
