//! Who a machine is: everything follows from the fleet's seed and the machine's number.

use std::fmt;

use rand::rngs::SmallRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use uuid::Uuid;

/// Login of a BMC. `Debug` masks the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Name, UUID, MAC address and hardware of one machine.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) uuid: Uuid,
    pub(crate) mac: String,
    pub(crate) hardware: Hardware,
}

/// What is in the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hardware {
    pub(crate) cpus: u64,
    pub(crate) memory_mib: u64,
    pub(crate) disk_bytes: u64,
}

/// Streams of random numbers that must not disturb each other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Identity = 1,
    Faults = 2,
    Durations = 3,
    Sessions = 4,
}

/// The stream of one machine for one purpose.
pub(crate) fn stream(seed: u64, index: usize, purpose: Stream) -> SmallRng {
    // Seeds that differ in one bit give unrelated streams: `seed_from_u64` mixes, the constants keep the three
    // numbers apart.
    let index = index as u64;
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    SmallRng::seed_from_u64(mixed.wrapping_add((purpose as u64).wrapping_mul(0x94d0_49bb_1331_11eb)))
}

impl Identity {
    pub(crate) fn new(seed: u64, index: usize) -> Self {
        let mut random = stream(seed, index, Stream::Identity);
        let mut bytes = [0; 16];
        random.fill_bytes(&mut bytes);
        let uuid = uuid::Builder::from_random_bytes(bytes).into_uuid();
        // Locally administered; two bytes from the seed, three count, so that MACs of one fleet never collide.
        let [.., s0, s1] = seed.to_be_bytes();
        let [.., i0, i1, i2] = (index as u64).to_be_bytes();
        let mac = format!("02:{s0:02x}:{s1:02x}:{i0:02x}:{i1:02x}:{i2:02x}");
        let hardware = Hardware {
            cpus: 8 << random.random_range(0..4),
            memory_mib: 16_384 << random.random_range(0..5),
            disk_bytes: 240_000_000_000 << random.random_range(0..4),
        };
        Self { index, name: format!("sim-{index:05}"), uuid, mac, hardware }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn machines_differ_and_seeds_repeat() {
        let fleet = |seed| (0..2000).map(|index| Identity::new(seed, index)).collect::<Vec<_>>();
        let first = fleet(7);
        let uuids: HashSet<Uuid> = first.iter().map(|identity| identity.uuid).collect();
        let macs: HashSet<&String> = first.iter().map(|identity| &identity.mac).collect();
        assert_eq!((uuids.len(), macs.len()), (2000, 2000));
        assert!(first.iter().all(|identity| identity.uuid.get_version_num() == 4));
        assert_eq!(first[1234].mac, "02:00:07:00:04:d2");
        let again = fleet(7);
        assert!(first.iter().zip(&again).all(|(a, b)| a.uuid == b.uuid && a.mac == b.mac));
        assert!(fleet(8).iter().all(|identity| !uuids.contains(&identity.uuid)));
    }
}
