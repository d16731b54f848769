//! Block devices in the ramdisk: listing, hints, verified image writing, partitions, boot entries, erasure.
