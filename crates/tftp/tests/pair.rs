//! Server and client against each other over a network that loses, repeats and reorders.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use tftp::client::{Fetch, FetchError, FetchOptions};
use tftp::{Ended, ErrorCode, Limits, Packet, ReadRequest, Transfer};

/// Deterministic chances.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Per hundred.
#[derive(Debug, Clone, Copy, Default)]
struct Weather {
    loss: u64,
    repeat: u64,
    reorder: u64,
}

struct Run {
    result: Result<Vec<u8>, FetchError>,
    ended: Option<Ended>,
    elapsed: Duration,
    data_packets: u64,
    size: Option<u64>,
}

fn carry(wire: &mut VecDeque<Vec<u8>>, packet: Vec<u8>, weather: Weather, dice: &mut Dice) {
    if dice.roll(100) < weather.loss {
        return;
    }
    if dice.roll(100) < weather.repeat {
        wire.push_back(packet.clone());
    }
    wire.push_back(packet);
    if wire.len() > 1 && dice.roll(100) < weather.reorder {
        let last = wire.len() - 1;
        wire.swap(last, last - 1);
    }
}

fn run(content: &[u8], options: FetchOptions, limits: Limits, weather: Weather, seed: u64) -> Run {
    let mut dice = Dice(seed);
    let mut now = Duration::ZERO;
    let mut fetch = Fetch::new(now, "file", options);
    let mut transfer: Option<Transfer> = None;
    let (mut up, mut down) = (VecDeque::new(), VecDeque::new());
    let mut data_packets = 0;
    for _ in 0..20_000_000_u64 {
        while let Some(packet) = fetch.poll_transmit() {
            carry(&mut up, packet, weather, &mut dice);
        }
        if let Some(packet) = up.pop_front() {
            match (&mut transfer, ReadRequest::decode(&packet)) {
                (None, Ok(request)) => {
                    transfer = Some(Transfer::new(now, &request, content.len() as u64, limits));
                }
                (Some(transfer), Err(_)) => transfer.handle(now, &packet),
                // A repeated request would start a second transfer on another port, which the client ignores.
                (Some(_), Ok(_)) | (None, Err(_)) => {}
            }
        }
        if let Some(transfer) = &mut transfer {
            while let Some(packet) = transfer.poll_transmit(content) {
                data_packets += u64::from(packet[1] == 3);
                carry(&mut down, packet, weather, &mut dice);
            }
        }
        if let Some(packet) = down.pop_front() {
            fetch.handle(now, &packet);
            continue;
        }
        if !up.is_empty() {
            continue;
        }
        let ended = transfer.as_ref().and_then(Transfer::ended).cloned();
        if let Some(result) = fetch.result()
            && (ended.is_some() || transfer.is_none() || result.is_err())
        {
            let result = result.map(<[u8]>::to_vec);
            return Run { result, ended, elapsed: now, data_packets, size: fetch.size() };
        }
        // Nothing on the wire: time goes on to the next deadline.
        let server = transfer.as_ref().and_then(Transfer::poll_timeout);
        let client = fetch.result().is_none().then(|| fetch.poll_timeout());
        now = [server, client].into_iter().flatten().min().unwrap_or(now + Duration::from_secs(1)).max(now);
        fetch.handle_timeout(now);
        if let Some(transfer) = &mut transfer {
            transfer.handle_timeout(now);
        }
    }
    panic!("no end in sight");
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect()
}

fn options(block_size: Option<u16>, window_size: Option<u16>) -> FetchOptions {
    FetchOptions { block_size, window_size, wants_size: block_size.is_some(), limit: 1 << 28 }
}

#[test]
fn sizes_around_block_boundaries() {
    for size in [0, 1, 511, 512, 513, 1024, 1467, 1468, 1469, 14_680] {
        for (block, window) in
            [(None, None), (Some(1468), None), (Some(1468), Some(4)), (None, Some(8)), (Some(8), Some(64))]
        {
            let content = pattern(size);
            let run = run(&content, options(block, window), Limits::default(), Weather::default(), 1);
            assert_eq!(run.result.unwrap(), content, "{size} {block:?} {window:?}");
            assert_eq!(run.ended, Some(Ended::Complete));
            assert_eq!(run.elapsed, Duration::ZERO, "no timeout on a good network");
            assert_eq!(run.data_packets, size as u64 / u64::from(block.unwrap_or(512)) + 1);
            assert_eq!(run.size, block.is_some().then_some(size as u64));
        }
    }
}

#[test]
fn block_numbers_go_on_at_zero() {
    // 8-byte blocks: 140,000 of them, more than two rounds, in lock-step and in windows that straddle the turn.
    let content = pattern(140_000 * 8 + 3);
    for window in [None, Some(1), Some(7), Some(64)] {
        let good = run(&content, options(Some(8), window), Limits::default(), Weather::default(), 2);
        assert_eq!(good.result.unwrap(), content);
        assert_eq!(good.data_packets, 140_001);
        let weather = Weather { loss: 1, repeat: 1, reorder: 1 };
        assert_eq!(
            run(&content, options(Some(8), window), Limits::default(), weather, 3).result.unwrap(),
            content
        );
    }
}

#[test]
fn duplicates_do_not_multiply() {
    let content = pattern(512 * 500);
    let weather = Weather { repeat: 100, ..Weather::default() };
    let run = run(&content, options(None, None), Limits::default(), weather, 4);
    assert_eq!(run.result.unwrap(), content);
    assert_eq!(run.data_packets, 501, "each block is sent once although each acknowledgement comes twice");
}

#[test]
fn a_server_grants_no_more_than_its_limits() {
    let bytes = Packet::Read(tftp::wire::Request {
        name: "f".into(),
        mode: "OCTET".into(),
        options: vec![
            ("blksize".into(), "65464".into()),
            ("WindowSize".into(), "9999".into()),
            ("tsize".into(), "0".into()),
            ("timeout".into(), "7".into()),
            ("rollover".into(), "0".into()),
        ],
    })
    .encode();
    let request = ReadRequest::decode(&bytes).unwrap();
    let mut transfer = Transfer::new(Duration::ZERO, &request, 10, Limits::default());
    let expected = b"\0\x06blksize\x001468\0timeout\x007\0tsize\x0010\0windowsize\x0016\0";
    assert_eq!(transfer.poll_transmit(&[0; 10][..]).unwrap(), expected);
    assert_eq!(transfer.poll_timeout(), Some(Duration::from_secs(7)));
}

#[test]
fn options_out_of_range_are_as_if_not_there() {
    for (name, value) in [
        ("blksize", "7"),
        ("blksize", "65465"),
        ("blksize", "x"),
        ("windowsize", "0"),
        ("timeout", "0"),
        ("timeout", "256"),
        ("timeout", "-1"),
    ] {
        let request = tftp::wire::Request {
            name: "f".into(),
            mode: "octet".into(),
            options: vec![(name.into(), value.into())],
        };
        let request = ReadRequest::decode(&Packet::Read(request).encode()).unwrap();
        let mut transfer = Transfer::new(Duration::ZERO, &request, 3, Limits::default());
        assert_eq!(transfer.poll_transmit(&b"abc"[..]).unwrap(), b"\0\x03\0\x01abc", "{name}={value}");
    }
}

#[test]
fn refusals_have_texts() {
    let request = |operation: u8, rest: &[u8]| [&[0, operation], rest].concat();
    let cases: [(Vec<u8>, Option<&[u8]>); 7] = [
        (request(2, b"f\0octet\0"), Some(b"\0\x05\0\x02this server is read-only\0")),
        (request(1, b"f\0netascii\0"), Some(b"\0\x05\0\x04only mode octet is served, not netascii\0")),
        (request(1, b"../f\0octet\0"), Some(b"\0\x05\0\x02\"../f\" is not a file name that is served\0")),
        (request(4, b"\0\x01"), Some(b"\0\x05\0\x05there is no such transfer\0")),
        (request(5, b"\0\0x\0"), None),
        (request(1, b"f\0octet"), None),
        (request(9, b""), None),
    ];
    for (bytes, answer) in cases {
        assert_eq!(ReadRequest::decode(&bytes).unwrap_err().answer().as_deref(), answer, "{bytes:?}");
    }
}

#[test]
fn a_silent_client_is_given_up() {
    let request = ReadRequest::decode(b"\0\x01f\0octet\0").unwrap();
    let mut transfer = Transfer::new(Duration::ZERO, &request, 600, Limits::default());
    let content = pattern(600);
    let (mut sent, mut now) = (0, Duration::ZERO);
    while transfer.ended().is_none() {
        sent += std::iter::from_fn(|| transfer.poll_transmit(&content[..])).count();
        now = transfer.poll_timeout().unwrap();
        transfer.handle_timeout(now);
    }
    assert_eq!((sent, transfer.ended()), (7, Some(&Ended::TimedOut)));
    assert_eq!(now, Duration::from_secs(1 + 2 + 4 + 8 + 8 + 8 + 8));
    assert_eq!(transfer.poll_transmit(&content[..]).unwrap(), b"\0\x05\0\0no acknowledgement\0");
    assert_eq!(transfer.poll_transmit(&content[..]), None);
    assert_eq!(transfer.poll_timeout(), None);
}

#[test]
fn a_client_that_learnt_the_size_goes_away() {
    let request = ReadRequest::decode(b"\0\x01f\0octet\0tsize\x000\0").unwrap();
    let mut transfer = Transfer::new(Duration::ZERO, &request, 5, Limits::default());
    assert_eq!(transfer.poll_transmit(&b"abcde"[..]).unwrap(), b"\0\x06tsize\x005\0");
    assert_eq!(transfer.poll_transmit(&b"abcde"[..]), None, "no data before the options are acknowledged");
    transfer.handle(Duration::ZERO, b"\0\x05\0\x08User aborted the transfer\0");
    let text = "User aborted the transfer".to_owned();
    assert_eq!(transfer.ended(), Some(&Ended::Aborted { code: ErrorCode::Options, text }));
}

#[test]
fn a_file_that_shrinks_ends_the_transfer() {
    let request = ReadRequest::decode(b"\0\x01f\0octet\0").unwrap();
    let mut transfer = Transfer::new(Duration::ZERO, &request, 600, Limits::default());
    assert_eq!(transfer.poll_transmit(&b"short"[..]).unwrap(), b"\0\x05\0\0the file cannot be read\0");
    assert!(matches!(transfer.ended(), Some(Ended::ReadFailed(_))));
}

#[test]
fn a_client_takes_no_more_than_its_limit() {
    let content = pattern(5000);
    let run = run(
        &content,
        FetchOptions { limit: 4999, ..options(Some(1000), None) },
        Limits::default(),
        Weather::default(),
        5,
    );
    assert_eq!(run.result, Err(FetchError::TooLarge(4999)));
    assert!(matches!(run.ended, Some(Ended::Aborted { code: ErrorCode::DiskFull, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_weather(
        size in 0_usize..40_000,
        block in prop::option::of(8_u16..2000),
        window in prop::option::of(1_u16..80),
        loss in 0_u64..25, repeat in 0_u64..30, reorder in 0_u64..30,
        seed in any::<u64>(),
    ) {
        let content = pattern(size);
        let run = run(&content, options(block, window), Limits::default(), Weather { loss, repeat, reorder }, seed);
        match run.result {
            Ok(data) => prop_assert_eq!(data, content),
            // Nine losses in a row are possible, though rare.
            Err(error) => prop_assert!(loss > 8 && matches!(error, FetchError::TimedOut | FetchError::Server { .. }), "{error}"),
        }
    }

    #[test]
    fn decoding_never_panics_and_encoding_round_trips(bytes in prop::collection::vec(any::<u8>(), 0..600), operation in 0_u8..8) {
        let mut bytes = bytes;
        if bytes.len() >= 2 {
            bytes[0] = 0;
            bytes[1] = operation;
        }
        if let Ok(packet) = Packet::decode(&bytes) {
            let again = packet.encode();
            prop_assert_eq!(Packet::decode(&again).unwrap(), packet);
        }
        let _ = ReadRequest::decode(&bytes);
    }
}

#[test]
fn an_acknowledgement_of_no_option_is_refused() {
    for bytes in [&[0, 6][..], &[0, 6, 0], &[0, 6, 0, 0]] {
        assert!(Packet::decode(bytes).is_err(), "{bytes:?}");
    }
}
