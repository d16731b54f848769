//! Where the machine's BMC is on the network, as the BMC itself says: Get LAN Configuration Parameters (IPMI section 23.2).
//!
//! It knows questions and answers, not how they get to the BMC.

use crate::{
    console,
    ipmi_device::{IpmiDevice, IpmiDeviceError},
};
use ipmi::{
    CompletionCode,
    command::{
        Command, RawRequest, RawResponse,
        app::{DeviceId, GetDeviceId},
    },
    wire::message::NetFn,
};
use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

/// Time for all questions together. Each takes milliseconds; a BMC that is being reset answers none.
const LIMIT: Duration = Duration::from_secs(5);
/// Questions to one BMC.
const MOST_QUESTIONS: usize = 128;
/// Channels that may be a LAN, those that makers use for it first.
const CHANNELS: [u8; 11] = [1, 2, 8, 3, 4, 5, 6, 7, 9, 10, 11];
/// IPv6 addresses of one kind that are looked at on one channel.
const MOST_ADDRESSES: u8 = 8;
const GET_LAN_PARAMETERS: u8 = 0x02;

/// Parameters of IPMI 2.0 (errata 7), table 23-4.
mod parameter {
    pub(super) const IPV4_ADDRESS: u8 = 3;
    pub(super) const MAC_ADDRESS: u8 = 5;
    /// 0: IPv6 is off, 1: IPv6 only, 2: both.
    pub(super) const ADDRESSING_ENABLES: u8 = 51;
    /// Three bytes: how many static addresses there can be, how many dynamic ones, and ways of getting the latter.
    pub(super) const IPV6_STATUS: u8 = 55;
    pub(super) const IPV6_STATIC: u8 = 56;
    pub(super) const IPV6_DYNAMIC: u8 = 59;
}

/// Where a BMC is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BmcAddresses {
    /// Of the first channel that has one.
    pub ipv4: Option<Ipv4Addr>,
    /// Of the first channel that has one in use, static before dynamic; never a link-local one.
    pub ipv6: Option<Ipv6Addr>,
    /// Of the first channel that has either address. Lower-case, with colons.
    pub mac: Option<String>,
}

/// Asks the BMC of this machine; nothing is known where there is none, or where it does not answer. Blocks the thread.
pub fn of_machine() -> BmcAddresses {
    let mut device = match IpmiDevice::open(LIMIT) {
        Ok(Some(device)) => device,
        Ok(None) => return BmcAddresses::default(),
        Err(error) => {
            tracing::warn!("BMC: {}", console::chain(&error));
            return BmcAddresses::default();
        }
    };
    match identity(&mut |request| device.ask(request)) {
        Ok(Some(id)) => tracing::info!(
            "BMC: IPMI {}.{}, firmware {}.{:02x}, manufacturer {}, product {}",
            id.ipmi_version.0,
            id.ipmi_version.1,
            id.firmware_major,
            id.firmware_minor,
            id.manufacturer,
            id.product
        ),
        Ok(None) => tracing::warn!("BMC: does not say what it is"),
        Err(error) => {
            tracing::warn!("BMC: {}", console::chain(&error));
            return BmcAddresses::default();
        }
    }
    let (found, trouble) = find(&mut |request| device.ask(request));
    if let Some(error) = trouble {
        tracing::warn!("BMC: its addresses may be incomplete: {}", console::chain(&error));
    }
    let said = |address: Option<String>| address.unwrap_or_else(|| "unknown".to_owned());
    tracing::info!(
        "BMC: IPv4 {}, IPv6 {}, MAC {}",
        said(found.ipv4.map(|address| address.to_string())),
        said(found.ipv6.map(|address| address.to_string())),
        said(found.mac.clone())
    );
    found
}

type Ask<'a> = dyn FnMut(&RawRequest) -> Result<RawResponse, IpmiDeviceError> + 'a;

/// What the BMC says it is; `None` when it would not tell.
fn identity(ask: &mut Ask<'_>) -> Result<Option<DeviceId>, IpmiDeviceError> {
    Ok(GetDeviceId::from_raw(&ask(&GetDeviceId.to_raw())?).ok())
}

/// Goes through the channels. What was found before a question failed counts.
fn find(ask: &mut Ask<'_>) -> (BmcAddresses, Option<IpmiDeviceError>) {
    let mut found = BmcAddresses::default();
    let mut interview = Interview { ask, left: MOST_QUESTIONS };
    for channel in CHANNELS {
        if found.ipv4.is_some() && found.ipv6.is_some() {
            break;
        }
        if let Err(error) = interview.channel(channel, &mut found) {
            return (found, Some(error));
        }
    }
    (found, None)
}

struct Interview<'a> {
    ask: &'a mut Ask<'a>,
    left: usize,
}

impl Interview<'_> {
    /// Adds what one channel has and is not known yet.
    fn channel(&mut self, channel: u8, found: &mut BmcAddresses) -> Result<(), IpmiDeviceError> {
        // Channels that are no LAN do not have this one: they are left alone.
        let Some(address) = self.parameter(channel, parameter::IPV4_ADDRESS, 0)? else { return Ok(()) };
        let ipv4 = ipv4(&address);
        found.ipv4 = found.ipv4.or(ipv4);
        let ipv6 = if found.ipv6.is_none() { self.ipv6(channel)? } else { None };
        found.ipv6 = found.ipv6.or(ipv6);
        if found.mac.is_none() && (ipv4.is_some() || ipv6.is_some()) {
            found.mac = self.parameter(channel, parameter::MAC_ADDRESS, 0)?.as_deref().and_then(mac);
        }
        Ok(())
    }

    /// The first IPv6 address of a channel that is in use beyond its link.
    fn ipv6(&mut self, channel: u8) -> Result<Option<Ipv6Addr>, IpmiDeviceError> {
        let enables = self.parameter(channel, parameter::ADDRESSING_ENABLES, 0)?;
        if !matches!(enables.as_deref(), Some([1 | 2, ..])) {
            return Ok(None);
        }
        let status = self.parameter(channel, parameter::IPV6_STATUS, 0)?;
        let Some([fixed, dynamic, ..]) = status.as_deref() else { return Ok(None) };
        for (selector, count) in [(parameter::IPV6_STATIC, *fixed), (parameter::IPV6_DYNAMIC, *dynamic)] {
            for set in 0..count.min(MOST_ADDRESSES) {
                let Some(entry) = self.parameter(channel, selector, set)? else { break };
                if let Some(address) = ipv6(selector, &entry) {
                    return Ok(Some(address));
                }
            }
        }
        Ok(None)
    }

    /// One parameter's data; `None` when the BMC refuses, or has been asked often enough.
    fn parameter(&mut self, channel: u8, selector: u8, set: u8) -> Result<Option<Vec<u8>>, IpmiDeviceError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let Some(request) = question(channel, selector, set) else { return Ok(None) };
        Ok(answer(&(self.ask)(&request)?))
    }
}

/// Get LAN Configuration Parameters. The channel's highest bit would ask for the parameter's revision only.
fn question(channel: u8, selector: u8, set: u8) -> Option<RawRequest> {
    let net_fn = NetFn::new(0x0C)?;
    Some(RawRequest { net_fn, command: GET_LAN_PARAMETERS, data: vec![channel & 0x0F, selector, set, 0] })
}

/// The parameter's data, after its revision.
fn answer(response: &RawResponse) -> Option<Vec<u8>> {
    let (_revision, data) = response.data.split_first()?;
    (response.completion == CompletionCode::Ok).then(|| data.to_vec())
}

fn ipv4(data: &[u8]) -> Option<Ipv4Addr> {
    let address = Ipv4Addr::from(*data.first_chunk::<4>()?);
    (!address.is_unspecified() && !address.is_broadcast()).then_some(address)
}

fn mac(data: &[u8]) -> Option<String> {
    let bytes = data.first_chunk::<6>()?;
    if *bytes == [0; 6] || *bytes == [0xFF; 6] {
        return None;
    }
    Some(bytes.map(|byte| format!("{byte:02x}")).join(":"))
}

/// An entry of the tables of addresses: set selector, source (of static ones: whether it is enabled in the highest bit),
/// sixteen bytes of address, length of the prefix, status (0: active).
fn ipv6(selector: u8, entry: &[u8]) -> Option<Ipv6Addr> {
    let [_set, source, rest @ ..] = entry else { return None };
    let (address, rest) = rest.split_first_chunk::<16>()?;
    let address = Ipv6Addr::from(*address);
    let enabled = selector != parameter::IPV6_STATIC || source & 0x80 != 0;
    let active = rest.get(1) == Some(&0);
    let usable = !address.is_unspecified() && !address.is_unicast_link_local() && !address.is_multicast();
    (enabled && active && usable).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A BMC's parameters by channel, selector and set; all others are refused.
    type Table = BTreeMap<(u8, u8, u8), Vec<u8>>;

    fn interview(table: &Table) -> (BmcAddresses, Vec<Vec<u8>>) {
        let mut asked = Vec::new();
        let (found, trouble) = find(&mut |request| {
            assert_eq!((request.net_fn.value(), request.command), (0x0C, 0x02));
            asked.push(request.data.clone());
            let &[channel, selector, set, 0] = request.data.as_slice() else { panic!("{request:?}") };
            Ok(match table.get(&(channel, selector, set)) {
                Some(data) => {
                    RawResponse { completion: CompletionCode::Ok, data: [&[0x11], data.as_slice()].concat() }
                }
                // Some BMCs send data with their refusals.
                None => RawResponse {
                    completion: CompletionCode::from_wire(if channel < 9 { 0xCC } else { 0x80 }),
                    data: vec![0x11, 10, 0, 0, 99],
                },
            })
        });
        assert!(trouble.is_none());
        (found, asked)
    }

    fn entry(set: u8, source: u8, address: &str, status: u8) -> Vec<u8> {
        let address: Ipv6Addr = address.parse().expect("address");
        [&[set, source], address.octets().as_slice(), &[64, status]].concat()
    }

    #[test]
    fn the_usual_server() {
        let table = Table::from([
            ((1, 3, 0), vec![192, 0, 2, 17]),
            ((1, 5, 0), vec![0x3C, 0xEC, 0xEF, 0x00, 0x0A, 0xFF]),
        ]);
        let (found, asked) = interview(&table);
        assert_eq!(found.ipv4, Some(Ipv4Addr::new(192, 0, 2, 17)));
        assert_eq!(found.mac.as_deref(), Some("3c:ec:ef:00:0a:ff"));
        assert_eq!(found.ipv6, None);
        // IPv4, whether there is IPv6, MAC; then one question to each of the other channels.
        assert_eq!(asked[..3], [[1, 3, 0, 0], [1, 51, 0, 0], [1, 5, 0, 0]]);
        assert_eq!(asked[3..5], [[2, 3, 0, 0], [8, 3, 0, 0]]);
        assert_eq!(asked.len(), 3 + 10);
    }

    #[test]
    fn a_channel_without_an_address_is_passed_over() {
        let table = Table::from([
            ((1, 3, 0), vec![0, 0, 0, 0]),
            ((1, 5, 0), vec![2, 0, 0, 0, 0, 1]),
            ((8, 3, 0), vec![10, 1, 2, 3]),
            ((8, 5, 0), vec![2, 0, 0, 0, 0, 8]),
            ((3, 3, 0), vec![10, 1, 2, 4]),
            ((3, 5, 0), vec![2, 0, 0, 0, 0, 3]),
        ]);
        let (found, _) = interview(&table);
        assert_eq!(found.ipv4, Some(Ipv4Addr::new(10, 1, 2, 3)));
        assert_eq!(found.mac.as_deref(), Some("02:00:00:00:00:08"));
    }

    #[test]
    fn addresses_of_version_6() {
        let mut table = Table::from([
            ((1, 3, 0), vec![0, 0, 0, 0]),
            ((1, 5, 0), vec![2, 0, 0, 0, 0, 1]),
            ((1, 51, 0), vec![1]),
            ((1, 55, 0), vec![3, 2, 3]),
            // Disabled, and pending.
            ((1, 56, 0), entry(0, 0x00, "2001:db8::1", 0)),
            ((1, 56, 1), entry(1, 0x80, "2001:db8::2", 2)),
            ((1, 56, 2), entry(2, 0x80, "2001:db8::3", 0)),
            ((1, 59, 0), entry(0, 0x01, "fe80::1", 0)),
            ((1, 59, 1), entry(1, 0x02, "2001:db8::4", 0)),
        ]);
        let (found, _) = interview(&table);
        assert_eq!(found.ipv6, Some("2001:db8::3".parse().expect("address")));
        assert_eq!((found.ipv4, found.mac.as_deref()), (None, Some("02:00:00:00:00:01")));
        table.remove(&(1, 56, 2));
        assert_eq!(interview(&table).0.ipv6, Some("2001:db8::4".parse().expect("address")));
        // Off, whatever the tables still hold.
        table.insert((1, 51, 0), vec![0]);
        assert_eq!(interview(&table).0, BmcAddresses::default());
    }

    #[test]
    fn a_bmc_that_knows_nothing_is_asked_once_a_channel() {
        let (found, asked) = interview(&Table::new());
        assert_eq!((found, asked.len()), (BmcAddresses::default(), CHANNELS.len()));
    }

    #[test]
    fn questions_are_bounded() {
        let mut table = Table::new();
        for channel in CHANNELS {
            table.insert((channel, 3, 0), vec![0, 0, 0, 0]);
            table.insert((channel, 51, 0), vec![2]);
            table.insert((channel, 55, 0), vec![255, 255, 3]);
            for set in 0..=255 {
                table.insert((channel, 56, set), entry(set, 0x80, "::", 0));
                table.insert((channel, 59, set), entry(set, 1, "fe80::1", 0));
            }
        }
        assert_eq!(interview(&table).1.len(), MOST_QUESTIONS);
    }

    #[test]
    fn what_was_found_before_silence_counts() {
        let mut questions = 0;
        let (found, trouble) = find(&mut |_| {
            questions += 1;
            if questions > 1 {
                return Err(IpmiDeviceError::Silent);
            }
            Ok(RawResponse { completion: CompletionCode::Ok, data: vec![0x11, 10, 0, 0, 7] })
        });
        assert_eq!((found.ipv4, questions), (Some(Ipv4Addr::new(10, 0, 0, 7)), 2));
        assert!(matches!(trouble, Some(IpmiDeviceError::Silent)));
    }

    #[test]
    fn short_and_empty_values_are_none() {
        let table = Table::from([
            ((1, 3, 0), vec![10, 0, 0]),
            ((1, 51, 0), vec![2]),
            ((1, 55, 0), vec![1, 1]),
            ((1, 56, 0), vec![0, 0x80, 0x20]),
            ((1, 59, 0), Vec::new()),
        ]);
        assert_eq!(interview(&table).0, BmcAddresses::default());
        assert_eq!((mac(&[0; 6]), mac(&[0xFF; 6]), mac(&[1; 5])), (None, None, None));
    }

    #[test]
    fn the_bmc_says_what_it_is() {
        let data =
            vec![0x20, 0x01, 0x03, 0x73, 0x02, 0xBF, 0x7C, 0x2A, 0x00, 0x71, 0x1B, 0x00, 0x00, 0x00, 0x00];
        let id = identity(&mut |request| {
            assert_eq!((request.net_fn.value(), request.command, request.data.len()), (6, 1, 0));
            Ok(RawResponse { completion: CompletionCode::Ok, data: data.clone() })
        });
        let id = id.expect("answer").expect("identity");
        assert_eq!((id.ipmi_version, id.firmware_major, id.manufacturer), ((2, 0), 3, 10_876));
    }
}
