//! Messages between conductor and ramdisk agent.
