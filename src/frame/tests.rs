#![allow(clippy::arithmetic_side_effects)]

use super::*;
use proptest::prelude::*;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const OPCODES: [Opcode; 6] =
    [Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong];

fn header(opcode: Opcode, payload_len: u64) -> Header {
    Header { payload_len, ..Header::with_first_byte(FIN, opcode) }
}

fn masked(header: Header) -> Header {
    Header { mask_key: Some(KEY), ..header }
}

fn unfinished(header: Header) -> Header {
    Header { fin: false, ..header }
}

fn built(header: &Header) -> Vec<u8> {
    let mut out = [0; MAX_HEADER_LEN];
    let len = header.build(&mut out).unwrap();
    out[..len].to_vec()
}

fn assert_both_ways(what: &str, bytes: &[u8], header: Header) {
    assert_eq!(Header::parse(bytes), Ok(Some((header, bytes.len()))), "parse {what}");
    assert_eq!(built(&header), bytes, "build {what}");
    for cut in 0..bytes.len() {
        assert_eq!(Header::parse(&bytes[..cut]), Ok(None), "{what} cut to {cut} bytes");
    }
}

/// The headers of every example in RFC 6455 section 5.7.
#[test]
fn examples_of_the_rfc() {
    assert_both_ways("a text message", b"\x81\x05", header(Opcode::Text, 5));
    assert_both_ways("a masked text message", b"\x81\x85\x37\xfa\x21\x3d", masked(header(Opcode::Text, 5)));
    assert_both_ways("a first fragment", b"\x01\x03", unfinished(header(Opcode::Text, 3)));
    assert_both_ways("a last fragment", b"\x80\x02", header(Opcode::Continuation, 2));
    assert_both_ways("a ping", b"\x89\x05", header(Opcode::Ping, 5));
    assert_both_ways("a masked pong", b"\x8a\x85\x37\xfa\x21\x3d", masked(header(Opcode::Pong, 5)));
    assert_both_ways("256 bytes", b"\x82\x7e\x01\x00", header(Opcode::Binary, 256));
    assert_both_ways("64 KiB", b"\x82\x7f\0\0\0\0\0\x01\0\0", header(Opcode::Binary, 65536));
}

/// "Less than 125", "equal to 126" and "equal to 127" of the documents, and where each form begins and ends.
#[test]
fn the_three_forms_of_the_length() {
    let forms: [(u64, &[u8]); 9] = [
        (0, b"\x82\x00"),
        (124, b"\x82\x7c"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (127, b"\x82\x7e\x00\x7f"),
        (128, b"\x82\x7e\x00\x80"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\0\0\0\0\0\x01\0\0"),
        (MAX_PAYLOAD_LEN, b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"),
    ];
    for (len, bytes) in forms {
        assert_both_ways("a server's header", bytes, header(Opcode::Binary, len));

        let mut masked_bytes = bytes.to_vec();
        masked_bytes[1] |= MASK;
        masked_bytes.extend(KEY);
        assert_both_ways("a client's header", &masked_bytes, masked(header(Opcode::Binary, len)));
    }
}

#[test]
fn every_first_byte_is_read_or_refused() {
    for first in 0..=u8::MAX {
        let expected = match first & OPCODE {
            3..=7 | 11..=15 => Err(Error::ReservedOpcode),
            8..=10 if first & FIN == 0 => Err(Error::FragmentedControl),
            _ => Ok(first),
        };
        let parsed = Header::parse(&[first, 0]).map(|found| found.unwrap().0.first_byte());
        assert_eq!(parsed, expected, "first byte {first:#04x}");
        assert_eq!(Header::parse(&[first]).err(), expected.err(), "first byte {first:#04x} alone");
    }
}

#[test]
fn the_rsv_bits_are_reported_one_by_one() {
    for (byte, rsv) in [(0xC1, [true, false, false]), (0xA1, [false, true, false]), (0x91, [false, false, true])] {
        let (header, _) = Header::parse(&[byte, 0]).unwrap().unwrap();
        assert_eq!([header.rsv1, header.rsv2, header.rsv3], rsv, "{byte:#04x}");
        assert_eq!(built(&header), [byte, 0]);
    }
}

#[test]
fn refused_headers() {
    let cases: [(&str, &[u8], Error); 10] = [
        ("the 16-bit form of 0", b"\x82\x7e\0\0", Error::LengthNotMinimal),
        ("the 16-bit form of 125", b"\x82\x7e\0\x7d", Error::LengthNotMinimal),
        ("the 64-bit form of 125", b"\x82\x7f\0\0\0\0\0\0\0\x7d", Error::LengthNotMinimal),
        ("the 64-bit form of 65,535", b"\x82\x7f\0\0\0\0\0\0\xff\xff", Error::LengthNotMinimal),
        ("2^63", b"\x82\x7f\x80\0\0\0\0\0\0\0", Error::LengthTopBit),
        ("2^64-1", b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", Error::LengthTopBit),
        ("a masked 16-bit form of 125", b"\x82\xfe\0\x7d", Error::LengthNotMinimal),
        ("a ping of 126 bytes", b"\x89\x7e", Error::OversizedControl),
        ("a masked close of 127 bytes", b"\x88\xff", Error::OversizedControl),
        ("a pong that is fragmented and too long", b"\x0a\x7e", Error::FragmentedControl),
    ];
    for (what, bytes, error) in cases {
        assert_eq!(Header::parse(bytes), Err(error), "{what}");
        assert_eq!(Header::parse(&[bytes, &[0; 14]].concat()), Err(error), "{what}, with more behind it");
    }
}

#[test]
fn headers_that_may_not_be_sent() {
    let cases = [
        (header(Opcode::Binary, MAX_PAYLOAD_LEN + 1), Error::BuildOversizedPayload),
        (header(Opcode::Ping, 126), Error::BuildOversizedControl),
        (unfinished(header(Opcode::Close, 0)), Error::BuildFragmentedControl),
    ];
    for (header, error) in cases {
        let mut out = [0xAA; MAX_HEADER_LEN];
        assert_eq!(header.build(&mut out), Err(error));
        assert_eq!(out, [0xAA; MAX_HEADER_LEN], "untouched by a refused header");
    }
}

#[test]
fn a_header_needs_exactly_its_length() {
    for header in [header(Opcode::Text, 5), header(Opcode::Text, 126), masked(header(Opcode::Text, 65536))] {
        let bytes = built(&header);
        for cap in 0..bytes.len() {
            let mut out = vec![0xAA; cap];
            assert_eq!(header.build(&mut out), Err(Error::OutputTooSmall), "{cap} of {} bytes", bytes.len());
            assert_eq!(out, vec![0xAA; cap], "untouched");
        }
        assert_eq!(header.encoded_len(), bytes.len());
    }
}

fn frame_len(payload: &[u8]) -> usize {
    Header { payload_len: payload.len() as u64, ..Header::with_first_byte(FIN, Opcode::Binary) }.encoded_len()
        + payload.len()
}

/// RFC 6455 section 5.7: a text message in one frame, and in two.
#[test]
fn builds_the_frames_of_the_rfc() {
    let frame = |first_byte, payload: &[u8]| {
        let mut out = vec![0; frame_len(payload)];
        assert_eq!(build(first_byte, payload, &mut out), Ok(out.len()));
        out
    };
    assert_eq!(frame(FIN | Opcode::Text as u8, b"Hello"), b"\x81\x05Hello");
    assert_eq!(frame(Opcode::Text as u8, b"Hel"), b"\x01\x03Hel");
    assert_eq!(frame(FIN | Opcode::Continuation as u8, b"lo"), b"\x80\x02lo");
}

#[test]
fn a_frame_is_longer_than_its_payload_by_no_more_than_the_overhead() {
    for (payload_len, header_len) in [(0, 2), (125, 2), (126, 4), (65535, 4), (65536, 10), (MAX_PAYLOAD_LEN, 10)] {
        let header = Header { payload_len, ..Header::with_first_byte(FIN, Opcode::Binary) };
        assert_eq!(header.encoded_len(), header_len);
        assert!(header_len <= MAX_OVERHEAD_LEN);
    }
}

#[test]
fn frames_that_may_not_be_sent() {
    let mut out = [0xAA; 200];
    assert_eq!(build(FIN | 0x03, b"", &mut out), Err(Error::BuildReservedOpcode));
    assert_eq!(build(Opcode::Ping as u8, b"", &mut out), Err(Error::BuildFragmentedControl));
    assert_eq!(build(FIN | Opcode::Ping as u8, &[0; 126], &mut out), Err(Error::BuildOversizedControl));
    assert_eq!(build(FIN | Opcode::Text as u8, b"Hello", &mut out[..6]), Err(Error::OutputTooSmall));
    assert_eq!(out, [0xAA; 200], "untouched by refused frames");
}

fn any_header() -> impl Strategy<Value = Header> {
    let len = prop_oneof![0u64..300, 65_000u64..66_000, 0..=MAX_PAYLOAD_LEN];
    (prop::sample::select(&OPCODES), any::<[bool; 4]>(), any::<Option<[u8; 4]>>(), len).prop_map(
        |(opcode, [fin, rsv1, rsv2, rsv3], mask_key, len)| {
            let control = opcode.is_control();
            let payload_len = if control { len % (MAX_CONTROL_PAYLOAD_LEN + 1) } else { len };
            Header { fin: fin || control, rsv1, rsv2, rsv3, opcode, mask_key, payload_len }
        },
    )
}

/// Reads a header the way the documents do it, field by field and without a look at what is allowed.
fn naive_parse(bytes: &[u8]) -> Option<(u8, bool, u64, Vec<u8>, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let number = |range: std::ops::Range<usize>| {
        bytes.get(range).map(|digits| digits.iter().fold(0u64, |n, &b| n << 8 | u64::from(b)))
    };
    let (len, at) = match second & 0x7F {
        126 => (number(2..4)?, 4),
        127 => (number(2..10)?, 10),
        len => (u64::from(len), 2),
    };
    let is_masked = second >= 0x80;
    let key = if is_masked { bytes.get(at..at + 4)?.to_vec() } else { vec![] };
    let end = at + key.len();
    Some((first, is_masked, len, key, end))
}

proptest! {
    #[test]
    fn build_then_parse_is_identity(header in any_header()) {
        let bytes = built(&header);
        prop_assert_eq!(Header::parse(&bytes), Ok(Some((header, bytes.len()))));
        for cut in 0..bytes.len() {
            prop_assert_eq!(Header::parse(&bytes[..cut]), Ok(None));
        }
    }

    #[test]
    fn what_is_read_agrees_with_the_documents_way(bytes in prop::collection::vec(any::<u8>(), 0..16)) {
        match Header::parse(&bytes) {
            Ok(Some((header, len))) => {
                let naive = (header.first_byte(), header.mask_key.is_some(), header.payload_len,
                    header.mask_key.map(Vec::from).unwrap_or_default(), len);
                prop_assert_eq!(naive_parse(&bytes), Some(naive));
                prop_assert_eq!(built(&header), &bytes[..len]);
            }
            Ok(None) => prop_assert_eq!(naive_parse(&bytes), None),
            Err(_) => {}
        }
    }

    /// A refusal does not depend on how many of the bytes behind the offending one have come.
    #[test]
    fn a_refusal_stays_with_more_bytes(bytes in prop::collection::vec(any::<u8>(), 0..16), cut: prop::sample::Index) {
        let cut = cut.index(bytes.len() + 1);
        if let Err(error) = Header::parse(&bytes[..cut]) {
            prop_assert_eq!(Header::parse(&bytes), Err(error));
        }
    }

    #[test]
    fn a_frame_is_its_header_and_its_payload(payload in prop::collection::vec(any::<u8>(), 0..70_000)) {
        let mut out = vec![0; frame_len(&payload) + 3];
        let len = build(FIN | Opcode::Binary as u8, &payload, &mut out).unwrap();
        let (header, header_len) = Header::parse(&out).unwrap().unwrap();
        prop_assert_eq!(header.payload_len, payload.len() as u64);
        prop_assert_eq!(&out[header_len..len], &payload[..]);
        prop_assert_eq!(&out[len..], &[0; 3]);
    }
}

#[test]
fn many_frames_are_like_one_after_the_other() {
    let payloads: [&[u8]; 4] = [b"Hello", b"", &[7; 126], b"x"];
    let expected: Vec<u8> = payloads.iter().flat_map(|payload| built_frame(0x82, payload)).collect();
    let mut out = vec![0xAA; expected.len()];
    assert_eq!(build_many(0x82, payloads.into_iter(), &mut out), Ok(expected.len()));
    assert_eq!(out, expected);

    let untouched = vec![0xAA; expected.len() - 1];
    let mut out = untouched.clone();
    assert_eq!(build_many(0x82, payloads.into_iter(), &mut out), Err(Error::OutputTooSmall));
    assert_eq!(build_many(0x89, payloads.into_iter(), &mut out), Err(Error::BuildOversizedControl));
    assert_eq!(build_many(0x83, payloads.into_iter(), &mut out), Err(Error::BuildReservedOpcode));
    assert_eq!(out, untouched);
    assert_eq!(build_many(0x82, [].into_iter(), &mut []), Ok(0));
}

fn built_frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; frame_len(payload)];
    assert_eq!(build(first_byte, payload, &mut frame), Ok(frame.len()));
    frame
}
