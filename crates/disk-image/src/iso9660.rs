//! ISO 9660 images with Joliet and Rock Ridge, written in memory.
