//! The consistent hash ring: which of several conductors takes a node, with few nodes moving when one comes or goes.

use model::NodeUuid;

/// Places of each conductor on the ring. More make the shares more even: with 128 they differ by a few percent.
const PLACES: u64 = 128;

/// Conductors on a circle of hash values; a node belongs to the next one. All processes of a site must agree on it, so the
/// hash depends on nothing but the names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ring {
    hosts: Vec<String>,
    /// Places in ascending order, each with the index of its host.
    places: Vec<(u64, usize)>,
}

/// Spreads a value over all 64 bits (the finaliser of `SplitMix64`).
fn spread(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// FNV-1a.
fn hash_name(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn hash_node(node: NodeUuid) -> u64 {
    let (high, low) = node.as_uuid().as_u64_pair();
    spread(high ^ spread(low))
}

impl Ring {
    /// Of these hosts, in any order.
    pub fn of(hosts: impl IntoIterator<Item = String>) -> Self {
        let mut hosts: Vec<String> = hosts.into_iter().collect();
        hosts.sort();
        hosts.dedup();
        let mut places: Vec<(u64, usize)> = hosts
            .iter()
            .enumerate()
            .flat_map(|(index, host)| {
                let name = hash_name(host);
                (0..PLACES).map(move |place| (spread(name ^ spread(place + 1)), index))
            })
            .collect();
        places.sort_unstable();
        Self { hosts, places }
    }

    /// The host that takes the node; `None` on an empty ring.
    pub fn owner(&self, node: NodeUuid) -> Option<&str> {
        if let [only] = self.hosts.as_slice() {
            return Some(only);
        }
        let at = hash_node(node);
        let next = self.places.partition_point(|(place, _)| *place < at);
        let (_, host) = self.places.get(next).or_else(|| self.places.first())?;
        self.hosts.get(*host).map(String::as_str)
    }

    /// The hosts, in alphabetical order.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn ring(names: &[&str]) -> Ring {
        Ring::of(names.iter().map(|&name| name.to_owned()))
    }

    #[test]
    fn shares_are_even() {
        let ring = ring(&["one", "two", "three"]);
        let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
        let nodes: Vec<NodeUuid> = (0..9_000).map(|_| NodeUuid::random()).collect();
        for node in &nodes {
            *shares.entry(ring.owner(*node).unwrap()).or_default() += 1;
        }
        assert_eq!(shares.len(), 3);
        assert!(shares.values().all(|share| (2_000..4_000).contains(share)), "{shares:?}");
    }

    #[test]
    fn only_the_nodes_of_the_one_that_leaves_move() {
        let (before, after) = (ring(&["a", "b", "c", "d"]), ring(&["d", "b", "a"]));
        for _ in 0..1_000 {
            let node = NodeUuid::random();
            let was = before.owner(node).unwrap();
            let is = after.owner(node).unwrap();
            assert!(was == is || was == "c", "{was} to {is}");
        }
    }

    #[test]
    fn it_depends_on_the_names_alone() {
        assert_eq!(ring(&["b", "a", "b"]), ring(&["a", "b"]));
        assert_eq!(ring(&[]).owner(NodeUuid::random()), None);
        assert_eq!(ring(&["x"]).owner(NodeUuid::random()), Some("x"));
        // Another answer here moves the nodes of every site that is updated host by host.
        let node = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123".parse().unwrap();
        assert_eq!(ring(&["conductor-1", "conductor-2", "conductor-3"]).owner(node), Some("conductor-3"));
    }
}
