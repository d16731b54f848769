//! The lease table of one server: who has which address until when.
//!
//! Bounded by the pool and [`MAX_LEASES`]. Leases live in memory: the first choice for a machine is a hash of its
//! hardware address, and a free address that a client asks for is granted, so that a server that starts anew
//! gives every machine what it had.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::server::Pool;
use crate::wire::EthernetAddress;

/// The most leases kept, offers and expired ones included.
const MAX_LEASES: usize = 65_536;
/// How long an offered address waits for its request.
const OFFER_HOLD: Duration = Duration::from_mins(1);

/// Where a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// Offered, not yet requested.
    Offered,
    /// Acknowledged.
    Bound,
}

/// One machine's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Whose.
    pub mac: EthernetAddress,
    /// Which.
    pub address: Ipv4Addr,
    /// Until when it is kept from others, in the server's time. An expired lease stays the machine's first choice.
    pub expires: Duration,
    /// Offered or bound.
    pub state: LeaseState,
}

/// Whom an address is sought for.
pub(crate) struct Wish<'a> {
    pub(crate) mac: EthernetAddress,
    pub(crate) pool: Option<Pool>,
    pub(crate) reserved: Option<Ipv4Addr>,
    pub(crate) requested: Option<Ipv4Addr>,
    /// Addresses that are never given away: the server's own, the gateway's.
    pub(crate) taken: &'a [Ipv4Addr],
}

#[derive(Debug, Default)]
pub(crate) struct Leases {
    by_mac: HashMap<EthernetAddress, Lease>,
    by_address: HashMap<Ipv4Addr, EthernetAddress>,
    /// Addresses that a client found in use, and until when they rest.
    quarantine: HashMap<Ipv4Addr, Duration>,
}

impl Leases {
    /// The best address for this wish: reservation, then what the machine had, then what it asks for, then the pool from a
    /// place that its hardware address determines: unused addresses before expired ones.
    pub(crate) fn choose(&self, now: Duration, wish: &Wish<'_>) -> Option<Ipv4Addr> {
        if let Some(reserved) = wish.reserved
            && self.free(now, reserved, wish)
        {
            return Some(reserved);
        }
        let pool = wish.pool?;
        let had = self.by_mac.get(&wish.mac).map(|lease| lease.address);
        for address in [had, wish.requested].into_iter().flatten() {
            if pool.contains(address) && self.free(now, address, wish) {
                return Some(address);
            }
        }
        let start = spread(wish.mac) % pool.len();
        let candidates = || (0..pool.len()).map(|step| pool.nth((start + step) % pool.len()));
        candidates()
            .find(|address| !self.by_address.contains_key(address) && self.free(now, *address, wish))
            .or_else(|| candidates().find(|address| self.free(now, *address, wish)))
    }

    /// Whether `address` may be given to the wisher: by reservation or from the pool, and nobody else's.
    pub(crate) fn allows(&self, now: Duration, address: Ipv4Addr, wish: &Wish<'_>) -> bool {
        let offered = wish.reserved == Some(address) || wish.pool.is_some_and(|pool| pool.contains(address));
        offered && self.free(now, address, wish)
    }

    fn free(&self, now: Duration, address: Ipv4Addr, wish: &Wish<'_>) -> bool {
        if wish.taken.contains(&address) || self.quarantine.get(&address).is_some_and(|until| *until > now) {
            return false;
        }
        let Some(holder) = self.by_address.get(&address) else { return true };
        *holder == wish.mac || self.by_mac.get(holder).is_none_or(|lease| lease.expires <= now)
    }

    /// Keeps an address for a machine that was offered it. A bound lease of the same address is not shortened.
    pub(crate) fn offer(&mut self, now: Duration, mac: EthernetAddress, address: Ipv4Addr) -> bool {
        match self.by_mac.get(&mac) {
            Some(lease) if lease.address == address && lease.expires > now + OFFER_HOLD => true,
            _ => self.put(now, Lease { mac, address, expires: now + OFFER_HOLD, state: LeaseState::Offered }),
        }
    }

    /// Binds an address. False when the table is full of live leases.
    pub(crate) fn bind(&mut self, now: Duration, lease: Lease) -> bool {
        self.put(now, lease)
    }

    fn put(&mut self, now: Duration, lease: Lease) -> bool {
        if !self.by_mac.contains_key(&lease.mac) && self.by_mac.len() >= MAX_LEASES {
            self.forget_expired(now);
            if self.by_mac.len() >= MAX_LEASES {
                return false;
            }
        }
        if let Some(previous) = self.by_address.insert(lease.address, lease.mac)
            && previous != lease.mac
        {
            self.by_mac.remove(&previous);
        }
        if let Some(old) = self.by_mac.insert(lease.mac, lease)
            && old.address != lease.address
        {
            self.by_address.remove(&old.address);
        }
        true
    }

    fn forget_expired(&mut self, now: Duration) {
        self.by_mac.retain(|_, lease| lease.expires > now);
        let by_mac = &self.by_mac;
        self.by_address.retain(|_, mac| by_mac.contains_key(mac));
    }

    /// The lease of a machine, expired or not.
    pub(crate) fn of(&self, mac: EthernetAddress) -> Option<&Lease> {
        self.by_mac.get(&mac)
    }

    /// All leases that hold an address at this moment.
    pub(crate) fn live(&self, now: Duration) -> impl Iterator<Item = Lease> {
        self.by_mac.values().filter(move |lease| lease.expires > now).copied()
    }

    /// The machine gave its address back; it stays its first choice. True if it was the machine's.
    pub(crate) fn release(&mut self, now: Duration, mac: EthernetAddress, address: Ipv4Addr) -> bool {
        match self.by_mac.get_mut(&mac) {
            Some(lease) if lease.address == address => {
                lease.expires = now;
                true
            }
            _ => false,
        }
    }

    /// The machine took another server's offer.
    pub(crate) fn withdraw(&mut self, now: Duration, mac: EthernetAddress) {
        if let Some(lease) = self.by_mac.get_mut(&mac)
            && lease.state == LeaseState::Offered
        {
            lease.expires = now;
        }
    }

    /// The machine found its address in use: it rests until `until`. Only the holder can say so, or anybody could empty the
    /// pool. True if it was the holder.
    pub(crate) fn decline(
        &mut self,
        now: Duration,
        mac: EthernetAddress,
        address: Ipv4Addr,
        until: Duration,
    ) -> bool {
        if self.by_address.get(&address) != Some(&mac) {
            return false;
        }
        self.by_mac.remove(&mac);
        self.by_address.remove(&address);
        self.quarantine.retain(|_, end| *end > now);
        // Bounded by the pool and the reservations, for only addresses that were leased get here; the limit is a second bolt.
        if self.quarantine.len() < MAX_LEASES {
            self.quarantine.insert(address, until);
        }
        true
    }
}

/// FNV-1a: the same on every start, unlike the standard library's seeded hash.
fn spread(mac: EthernetAddress) -> u32 {
    mac.octets().iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
