//! Decoders and both state machines on random input: the entry functions of fuzzing, on stable; and values that survive
//! encoding.

#[path = "../fuzz/entries.rs"]
mod entries;

use ipmi::command::Command;
use ipmi::command::app::{DeviceId, GetDeviceId};
use ipmi::command::boot::{BootDevice, BootFlags, BootOption, BootParameter, GetBootOptions, SetBootOptions};
use ipmi::command::chassis::{ChassisStatus, GetChassisStatus};
use ipmi::wire::handshake::{BmcProof, Rakp1, Rakp2, Status};
use ipmi::wire::message::{NetFn, Request};
use proptest::array::{uniform3, uniform4, uniform16};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::{option, sample};

/// Bytes that often look like the start of something.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let start = sample::select(vec![
        vec![],
        vec![0x06, 0x00, 0xFF, 0x07],
        vec![0x06, 0x00, 0xFF, 0x07, 0x06, 0x10, 0, 0, 0, 0, 0, 0, 0, 0],
        vec![0x06, 0x00, 0xFF, 0x06, 0x00, 0x00, 0x11, 0xBE],
        vec![0x20, 0x18, 0xC8],
        vec![0x00, 0x00],
    ]);
    (start, vec(any::<u8>(), 0..600)).prop_map(|(mut start, rest)| {
        start.extend(rest);
        start
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_bytes_break_a_decoder(data in bytes()) {
        entries::decode(&data);
    }

    #[test]
    fn no_bytes_get_past_the_login(data in bytes()) {
        entries::server(&data);
        entries::client(&data);
    }

    #[test]
    fn requests_survive(net_fn in 0u8..32, command: u8, data in vec(any::<u8>(), 0..100), sequence in 0u8..64) {
        let net_fn = NetFn::new(net_fn * 2).unwrap();
        let request = Request::to_bmc(net_fn, command, &data, sequence);
        let bytes = request.encode();
        prop_assert_eq!(Request::decode(&bytes), Ok(request));
    }

    #[test]
    fn a_flipped_bit_breaks_a_checksum(data in vec(any::<u8>(), 0..50), bit: sample::Index) {
        let mut bytes = Request::to_bmc(NetFn::APP, 1, &data, 5).encode();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Request::decode(&bytes).is_err());
    }

    #[test]
    fn names_and_proofs_survive(tag: u8, session: u32, random in uniform16(any::<u8>()), name in vec(any::<u8>(), 0..17),
                                code in vec(any::<u8>(), 0..33), status in 1u8..) {
        let message = Rakp1 { tag, managed_session: session, console_random: random, role: 0x14, username: &name };
        let bytes = message.encode();
        prop_assert_eq!(Rakp1::decode(&bytes), Ok(message));
        let proof = BmcProof { bmc_random: random, guid: random, code };
        let message = Rakp2 { tag, console_session: session, outcome: Ok(proof) };
        prop_assert_eq!(Rakp2::decode(&message.encode()), Ok(message));
        let message = Rakp2 { tag, console_session: session, outcome: Err(Status(status)) };
        prop_assert_eq!(Rakp2::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn identities_survive(numbers in uniform4(any::<u8>()), manufacturer in 0u32..1 << 20, product: u16,
                          flags: (bool, bool), auxiliary in option::of(uniform4(any::<u8>()))) {
        let id = DeviceId {
            device_id: numbers[0],
            device_revision: numbers[1] & 15,
            provides_sdrs: flags.0,
            busy: flags.1,
            firmware_major: numbers[2] & 127,
            firmware_minor: numbers[3],
            ipmi_version: (2, 0),
            additional_support: numbers[0],
            manufacturer,
            product,
            auxiliary,
        };
        prop_assert_eq!(GetDeviceId::decode_response(&GetDeviceId::encode_response(&id)), Ok(id));
    }

    #[test]
    fn chassis_states_survive(power_on: bool, faults: (bool, bool, bool, bool), policy in 0u8..4, rest in uniform3(any::<u8>())) {
        let status = ChassisStatus {
            power_on,
            power_overload: faults.0,
            interlock: faults.1,
            power_fault: faults.2,
            control_fault: faults.3,
            restore_policy: policy,
            last_event: rest[0],
            misc: rest[1],
            front_panel: Some(rest[2]),
        };
        prop_assert_eq!(GetChassisStatus::decode_response(&GetChassisStatus::encode_response(&status)), Ok(status));
    }

    #[test]
    fn boot_flags_survive(flags: (bool, bool, bool), device in sample::select(BootDevice::ALL.to_vec()), other: u8,
                          more in uniform3(any::<u8>())) {
        let (valid, persistent, uefi) = flags;
        let flags = BootFlags { valid, persistent, uefi, device, data2_other: other & 0xC3, more };
        let parameter = BootParameter::Flags(flags);
        let set = SetBootOptions::new(parameter.clone());
        prop_assert_eq!(SetBootOptions::decode(&set.encode()), Ok(set));
        let option = BootOption { invalid: false, parameter };
        prop_assert_eq!(GetBootOptions::decode_response(&GetBootOptions::encode_response(&option)), Ok(option));
    }
}
