//! Which interface has which address, learnt from DHCP and from boot scripts: TFTP and HTTP show addresses only.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};

use model::MacAddr;

/// The most addresses remembered; when it is reached, all is forgotten and learnt anew.
const MOST: usize = 65_536;

/// Address to interface.
#[derive(Debug, Default)]
pub(crate) struct AddressBook(Mutex<HashMap<Ipv4Addr, Entry>>);

#[derive(Debug, Clone, Copy)]
struct Entry {
    mac: MacAddr,
    /// By our own lease, not by what a client said.
    leased: bool,
}

impl AddressBook {
    /// We leased this address.
    pub(crate) fn leased(&self, address: Ipv4Addr, mac: MacAddr) {
        self.put(address, Entry { mac, leased: true });
    }

    /// A client with this address asked for this interface's script. False: we leased the address to another.
    pub(crate) fn claims(&self, address: IpAddr, mac: MacAddr) -> bool {
        let IpAddr::V4(address) = address.to_canonical() else { return true };
        if let Some(entry) = self.get(address)
            && entry.leased
        {
            return entry.mac == mac;
        }
        self.put(address, Entry { mac, leased: false });
        true
    }

    /// The address was given back.
    pub(crate) fn freed(&self, address: Ipv4Addr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&address);
    }

    /// Whose address it is, as far as we know.
    pub(crate) fn holder(&self, address: IpAddr) -> Option<MacAddr> {
        match address.to_canonical() {
            IpAddr::V4(address) => self.get(address).map(|entry| entry.mac),
            IpAddr::V6(_) => None,
        }
    }

    fn get(&self, address: Ipv4Addr) -> Option<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&address).copied()
    }

    fn put(&self, address: Ipv4Addr, entry: Entry) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if book.len() >= MOST && !book.contains_key(&address) {
            book.clear();
        }
        book.insert(address, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_outweighs_a_claim() {
        let book = AddressBook::default();
        let address = Ipv4Addr::new(192, 0, 2, 7);
        let (one, two) = (MacAddr::new([2, 0, 0, 0, 0, 1]), MacAddr::new([2, 0, 0, 0, 0, 2]));
        assert!(book.claims(address.into(), one));
        assert!(book.claims(address.into(), two), "a claim can be changed");
        book.leased(address, one);
        assert!(!book.claims(address.into(), two));
        assert!(book.claims(IpAddr::V6(address.to_ipv6_mapped()), one));
        assert_eq!(book.holder(address.into()), Some(one));
        book.freed(address);
        assert_eq!(book.holder(address.into()), None);
    }
}
