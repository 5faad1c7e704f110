//! The exported functions, called from Rust as C calls them. `tests/c` does the same from C.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "numbers chosen by the test")]
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "numbers chosen by the test")]
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "a list of calls that are alike")]

use std::ffi::{CStr, c_void};
use std::ptr::{null, null_mut};

use proptest::prelude::*;
use wsframe::error::ErrorCode;
use wsframe::ffi::*;
use wsframe::frame::{Header, MAX_HEADER_LEN, Opcode};

const ARGUMENT: isize = ErrorCode::Argument as isize;
const SPACE: isize = ErrorCode::Space as isize;
const HANDSHAKE: isize = ErrorCode::Handshake as isize;
const PROTOCOL: isize = ErrorCode::Protocol as isize;
const UTF8: isize = ErrorCode::Utf8 as isize;

const FIN: u8 = AnyOpcode::Fin as u8;
const MASK: u8 = HeaderFlag::Mask as u8;
const TEXT: u8 = Opcode::Text as u8;
const PING: u8 = Opcode::Ping as u8;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// No length an object can have.
const TOO_LONG: usize = isize::MAX as usize + 1;
/// Behind what a function writes, and before: must still be there afterwards.
const CANARY: u8 = 0xAA;

// Each of these hands real slices to the function, as a correct C caller does.

fn accept_key(key: &[u8], out: &mut [u8]) -> isize {
    // SAFETY: both pointers come with the lengths of their slices.
    unsafe { wsframe_accept_key(key.as_ptr().cast(), key.len(), out.as_mut_ptr().cast(), out.len()) }
}

fn parse(input: &[u8], header: &mut wsframe_header) -> isize {
    // SAFETY: the pointer comes with the length of its slice, the record is borrowed.
    unsafe { wsframe_header_parse(input.as_ptr().cast(), input.len(), header) }
}

fn build(header: &wsframe_header, out: &mut [u8]) -> isize {
    // SAFETY: the pointer comes with the length of its slice, the record is borrowed.
    unsafe { wsframe_header_build(header, out.as_mut_ptr().cast(), out.len()) }
}

fn frame_build(first_byte: u32, payload: &[u8], out: &mut [u8]) -> isize {
    let (data, len) = (payload.as_ptr().cast(), payload.len());
    // SAFETY: both pointers come with the lengths of their slices.
    unsafe { wsframe_frame_build(first_byte, data, len, out.as_mut_ptr().cast(), out.len()) }
}

fn unmask(data: &mut [u8], key: [u8; 4], offset: usize) -> isize {
    let (place, len): (*mut c_void, _) = (data.as_mut_ptr().cast(), data.len());
    // SAFETY: the place has the length and may be both input and output, the key has four bytes.
    unsafe { wsframe_unmask(place, len, key.as_ptr().cast(), offset, place) }
}

fn unmask_copy(input: &[u8], key: [u8; 4], offset: usize, out: &mut [u8]) -> isize {
    assert_eq!(input.len(), out.len());
    let (data, len) = (input.as_ptr().cast(), input.len());
    // SAFETY: both slices have the length, the key has four bytes.
    unsafe { wsframe_unmask(data, len, key.as_ptr().cast(), offset, out.as_mut_ptr().cast()) }
}

fn utf8_check(input: &[u8]) -> isize {
    // SAFETY: the pointer comes with the length of its slice.
    unsafe { wsframe_utf8_check(input.as_ptr().cast(), input.len()) }
}

/// The steps of the documents: take the header, take the payload behind it, unmask it.
fn unpack(frame: &[u8]) -> (wsframe_header, Vec<u8>) {
    let mut header = wsframe_header::default();
    let header_len = parse(frame, &mut header) as usize;
    let mut payload = frame[header_len..].to_vec();
    assert_eq!(payload.len() as u64, header.payload_len);
    if header.flags & MASK != 0 {
        assert_eq!(unmask(&mut payload, header.mask_key, 0), payload.len() as isize);
    }
    (header, payload)
}

/// RFC 6455 sections 1.3 and 4.2.2.
#[test]
fn accept_key_answers_the_key_of_the_rfc() {
    let mut out = [CANARY; 30];
    assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ==", &mut out), 28);
    assert_eq!(&out, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\xAA\xAA");
}

#[test]
fn accept_key_errors() {
    let key = b"dGhlIHNhbXBsZSBub25jZQ==";
    let mut out = [CANARY; 28];
    assert_eq!(accept_key(b"", &mut out), HANDSHAKE);
    assert_eq!(accept_key(&key[..23], &mut out), HANDSHAKE);
    assert_eq!(accept_key(key, &mut out[..27]), SPACE);
    let (at, place) = (key.as_ptr().cast(), out.as_mut_ptr().cast());
    // SAFETY: what is not NULL has its length.
    let refused = unsafe {
        [
            wsframe_accept_key(null(), 24, place, 28),
            wsframe_accept_key(at, TOO_LONG, place, 28),
            wsframe_accept_key(at, 24, null_mut(), 28),
            wsframe_accept_key(at, 24, place, TOO_LONG),
        ]
    };
    assert_eq!(refused, [ARGUMENT; 4]);
    // SAFETY: NULL with the length 0 stands for no bytes.
    let empty = unsafe { [wsframe_accept_key(null(), 0, place, 28), wsframe_accept_key(at, 24, null_mut(), 0)] };
    assert_eq!(empty, [HANDSHAKE, SPACE]);
    assert_eq!(out, [CANARY; 28], "untouched by refused calls");
}

/// The examples of RFC 6455 section 5.7: flags and opcode, length, and what is unmasked.
#[test]
fn examples_of_the_rfc_are_unpacked() {
    let cases: [(&[u8], u8, Opcode, &[u8]); 6] = [
        (b"\x81\x05Hello", FIN, Opcode::Text, b"Hello"),
        (b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", FIN | MASK, Opcode::Text, b"Hello"),
        (b"\x01\x03Hel", 0, Opcode::Text, b"Hel"),
        (b"\x80\x02lo", FIN, Opcode::Continuation, b"lo"),
        (b"\x89\x05Hello", FIN, Opcode::Ping, b"Hello"),
        (b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", FIN | MASK, Opcode::Pong, b"Hello"),
    ];
    for (frame, flags, opcode, payload) in cases {
        let (header, unpacked) = unpack(frame);
        assert_eq!((header.flags, header.opcode, unpacked.as_slice()), (flags, opcode as u8, payload));
        let mut rebuilt = [0; MAX_HEADER_LEN];
        assert_eq!(build(&header, &mut rebuilt), isize::from(header.header_len));
        assert_eq!(rebuilt[..header.header_len.into()], frame[..header.header_len.into()]);
    }
}

/// Both documents: lengths below 126 stand in the second byte, after 126 in 16 bits, after 127 in 64.
#[test]
fn the_lengths_of_the_documents_are_packed_and_unpacked() {
    for (payload_len, header_len) in [(0, 2), (124, 2), (125, 2), (126, 4), (127, 4), (65535, 4), (65536, 10)] {
        let payload: Vec<u8> = (0..payload_len).map(|i| i as u8).collect();
        let mut out = vec![CANARY; payload_len + 16];
        let len = frame_build((FIN | TEXT).into(), &payload, &mut out);
        assert_eq!(len, (header_len + payload_len) as isize);
        assert!(out[len as usize..].iter().all(|&byte| byte == CANARY), "nothing is written behind the frame");

        let (header, unpacked) = unpack(&out[..len as usize]);
        assert_eq!((header.header_len as usize, header.flags, header.opcode), (header_len, FIN, TEXT));
        assert_eq!(unpacked, payload);
    }
}

#[test]
fn every_split_of_a_header_needs_more() {
    let frames: [&[u8]; 4] = [
        b"\x81\x05",
        b"\x81\x85\x37\xfa\x21\x3d",
        b"\x82\xfe\x01\x00\x37\xfa\x21\x3d",
        b"\x82\xff\0\0\0\0\0\x01\0\0\x37\xfa\x21\x3d",
    ];
    let untouched = wsframe_header { payload_len: 7, reserved: 7, ..Default::default() };
    for frame in frames {
        for cut in 0..frame.len() {
            let mut header = untouched;
            assert_eq!(parse(&frame[..cut], &mut header), 0, "{frame:x?} cut to {cut}");
            assert_eq!(header, untouched, "{frame:x?} cut to {cut}");
        }
    }
}

#[test]
fn header_parse_errors() {
    let untouched = wsframe_header { payload_len: 7, ..Default::default() };
    let mut header = untouched;
    let refused: [&[u8]; 6] = [
        b"\x83\0",
        b"\x09\0",
        b"\x89\x7e",
        b"\x82\x7e\0\x7d",
        b"\x82\x7f\0\0\0\0\0\0\xff\xff",
        b"\x82\x7f\x80\0\0\0\0\0\0\0",
    ];
    for frame in refused {
        assert_eq!(parse(frame, &mut header), PROTOCOL, "{frame:x?}");
    }
    let frame = b"\x81\x05";
    // SAFETY: what is not NULL has its length.
    let wrong = unsafe {
        [
            wsframe_header_parse(null(), 2, &raw mut header),
            wsframe_header_parse(frame.as_ptr().cast(), TOO_LONG, &raw mut header),
            wsframe_header_parse(frame.as_ptr().cast(), 2, null_mut()),
        ]
    };
    assert_eq!(wrong, [ARGUMENT; 3]);
    // SAFETY: NULL with the length 0 stands for no bytes.
    assert_eq!(unsafe { wsframe_header_parse(null(), 0, &raw mut header) }, 0);
    assert_eq!(header, untouched);
}

#[test]
fn header_build_errors() {
    let text = wsframe_header { opcode: TEXT, flags: FIN, payload_len: 5, ..Default::default() };
    let ping = wsframe_header { opcode: PING, ..text };
    let wrong = [
        wsframe_header { opcode: 3, ..text },
        wsframe_header { opcode: 0x81, ..text },
        wsframe_header { flags: 0x02, ..text },
        wsframe_header { reserved: 1, ..text },
        wsframe_header { payload_len: 1 << 63, ..text },
        wsframe_header { payload_len: 126, ..ping },
        wsframe_header { flags: 0, ..ping },
    ];
    let mut out = [CANARY; MAX_HEADER_LEN];
    for header in wrong {
        assert_eq!(build(&header, &mut out), ARGUMENT, "{header:?}");
    }
    assert_eq!(build(&text, &mut out[..1]), SPACE);
    // SAFETY: what is not NULL has its length.
    let pointers = unsafe {
        [
            wsframe_header_build(null(), out.as_mut_ptr().cast(), out.len()),
            wsframe_header_build(&raw const text, null_mut(), out.len()),
            wsframe_header_build(&raw const text, out.as_mut_ptr().cast(), TOO_LONG),
        ]
    };
    assert_eq!(pointers, [ARGUMENT; 3]);
    // SAFETY: NULL with the length 0 stands for no room.
    assert_eq!(unsafe { wsframe_header_build(&raw const text, null_mut(), 0) }, SPACE);
    assert_eq!(out, [CANARY; MAX_HEADER_LEN], "untouched by refused calls");
}

#[test]
fn frame_build_errors() {
    let mut out = [CANARY; 140];
    for (first_byte, payload_len) in [(0x181, 5), (0x83, 5), (0x09, 5), (0x89, 126)] {
        assert_eq!(frame_build(first_byte, &[0; 126][..payload_len], &mut out), ARGUMENT, "{first_byte:#x}");
    }
    for cap in 0..7 {
        assert_eq!(frame_build(0x81, b"Hello", &mut out[..cap]), SPACE);
    }
    let payload: *const c_void = b"Hello".as_ptr().cast();
    let start = out.as_mut_ptr();
    let place: *mut c_void = start.cast();
    // SAFETY: what is not NULL has its length; the overlapping ranges lie in `out`.
    let wrong = unsafe {
        [
            wsframe_frame_build(0x81, null(), 5, place, 140),
            wsframe_frame_build(0x81, payload, TOO_LONG, place, 140),
            wsframe_frame_build(0x81, payload, 5, null_mut(), 140),
            wsframe_frame_build(0x81, payload, 5, place, TOO_LONG),
            wsframe_frame_build(0x81, start.add(9).cast(), 5, place, 10),
            wsframe_frame_build(0x81, place, 10, start.add(9).cast(), 100),
        ]
    };
    assert_eq!(wrong, [ARGUMENT; 6]);
    // SAFETY: NULL with the length 0 stands for no bytes and no room.
    assert_eq!(unsafe { wsframe_frame_build(0x81, payload, 5, null_mut(), 0) }, SPACE);
    assert_eq!(out, [CANARY; 140], "untouched by refused calls");
    // SAFETY: as above; payload and out lie side by side without sharing a byte.
    assert_eq!(unsafe { wsframe_frame_build(0x81, start.add(7).cast(), 5, place, 7) }, 7);
    // SAFETY: an empty payload may be anywhere, NULL included.
    let empty = unsafe {
        [
            wsframe_frame_build(0x81, null(), 0, place, 140),
            wsframe_frame_build(0x81, start.add(4).cast(), 0, place, 140),
        ]
    };
    assert_eq!(empty, [2, 2]);
}

#[test]
fn unmask_errors() {
    let mut data = [CANARY; 8];
    let start = data.as_mut_ptr();
    let place: *mut c_void = start.cast();
    let key: *const c_void = KEY.as_ptr().cast();
    let mut out = [CANARY; 8];
    let out_place: *mut c_void = out.as_mut_ptr().cast();
    // SAFETY: what is not NULL has its length; the overlapping ranges lie in `data`.
    let wrong = unsafe {
        [
            wsframe_unmask(null(), 8, key, 0, null_mut()),
            wsframe_unmask(place, TOO_LONG, key, 0, place),
            wsframe_unmask(place, 8, null(), 0, place),
            wsframe_unmask(null(), 0, null(), 0, null_mut()),
            wsframe_unmask(null(), 8, key, 0, out_place),
            wsframe_unmask(place, TOO_LONG, key, 0, out_place),
            wsframe_unmask(place, 8, null(), 0, out_place),
            wsframe_unmask(place, 8, key, 0, null_mut()),
            wsframe_unmask(place, 5, key, 0, start.add(4).cast()),
            wsframe_unmask(start.add(1).cast(), 7, key, 0, place),
        ]
    };
    assert_eq!(wrong, [ARGUMENT; 10]);
    // SAFETY: NULL with the length 0 stands for no bytes.
    let empty =
        unsafe { [wsframe_unmask(null(), 0, key, 0, null_mut()), wsframe_unmask(place, 0, key, 0, null_mut())] };
    assert_eq!(empty, [0, 0]);
    assert_eq!((data, out), ([CANARY; 8], [CANARY; 8]), "untouched by refused calls");
}

#[test]
fn utf8_check_counts_whole_characters() {
    assert_eq!(utf8_check("κόσμε".as_bytes()), 10);
    assert_eq!(utf8_check(b"a\xE2\x82"), 1);
    assert_eq!(utf8_check(b"\xE2\x82"), 0);
    assert_eq!(utf8_check(b"\xED\xA0"), UTF8);
    // SAFETY: a pointer that is not NULL has its length; NULL with the length 0 stands for no bytes.
    let pointers = unsafe {
        [
            wsframe_utf8_check(null(), 1),
            wsframe_utf8_check(b"a".as_ptr().cast(), TOO_LONG),
            wsframe_utf8_check(null(), 0),
        ]
    };
    assert_eq!(pointers, [ARGUMENT, ARGUMENT, 0]);
}

#[test]
fn errors_have_a_sentence_and_a_close_code() {
    // SAFETY: strerror returns static strings that end with NUL.
    let sentence = |error| unsafe { CStr::from_ptr(wsframe_strerror(error)) }.to_str().unwrap();
    assert_eq!(sentence(PROTOCOL), ErrorCode::Protocol.sentence().to_str().unwrap());
    assert_eq!(sentence(28), "no error");
    assert_eq!(sentence(isize::MIN), "an error that this version of libwsframe does not know");
    let errors = [PROTOCOL, UTF8, ErrorCode::TooBig as isize, ErrorCode::Policy as isize, HANDSHAKE, ARGUMENT, 0, -99];
    assert_eq!(errors.map(|error| wsframe_close_code(error)), [1002, 1007, 1009, 1008, 0, 0, 0, 0]);
}

/// The exact cause of the thread's last call that failed, which a call that does not fail leaves as it is.
#[test]
fn why_says_what_was_wrong() {
    // SAFETY: why returns NULL or static strings that end with NUL.
    let why = || unsafe { wsframe_why().as_ref().map(|first| CStr::from_ptr(first).to_str().unwrap()) };
    std::thread::spawn(|| assert!(wsframe_why().is_null())).join().unwrap();
    assert_eq!(utf8_check(b"\xFF"), UTF8);
    assert_eq!(why(), Some("the text is not UTF-8 (RFC 6455 section 8.1)"));
    assert_eq!(utf8_check(b"a"), 1);
    assert_eq!(frame_build(0x89, &[0; 126], &mut [0; 140]), ARGUMENT);
    assert_eq!(why(), Some("a control frame carries at most 125 bytes (RFC 6455 section 5.5)"));
    std::thread::spawn(|| assert!(wsframe_why().is_null())).join().unwrap();
}

#[test]
fn the_version_is_cargos() {
    let version = wsframe_version();
    let dotted = format!("{}.{}.{}", version >> 16, version >> 8 & 0xFF, version & 0xFF);
    assert_eq!(dotted, env!("CARGO_PKG_VERSION"));
}

proptest! {
    #[test]
    fn c_and_rust_read_the_same(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
        let mut record = wsframe_header::default();
        let returned = parse(&bytes, &mut record);
        match Header::parse(&bytes) {
            Ok(Some((header, len))) => {
                prop_assert_eq!(returned, len as isize);
                prop_assert_eq!(usize::from(record.header_len), len);
                prop_assert_eq!(Header::try_from(record), Ok(header));
            }
            Ok(None) => prop_assert_eq!(returned, 0),
            Err(error) => prop_assert_eq!(returned, error.code() as isize),
        }
    }

    #[test]
    fn a_client_frame_comes_back_as_it_was_sent(payload in prop::collection::vec(any::<u8>(), 0..2000), key: [u8; 4]) {
        let sent = wsframe_header { payload_len: payload.len() as u64, opcode: Opcode::Binary as u8, flags: FIN | MASK,
            mask_key: key, ..Default::default() };
        let mut frame = vec![0; MAX_HEADER_LEN + payload.len()];
        let header_len = build(&sent, &mut frame) as usize;
        let end = header_len + payload.len();
        prop_assert_eq!(unmask_copy(&payload, key, 0, &mut frame[header_len..end]), payload.len() as isize);
        let naive: Vec<u8> = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        prop_assert_eq!(&frame[header_len..end], &naive[..]);

        let (received, unpacked) = unpack(&frame[..end]);
        prop_assert_eq!(received, wsframe_header { header_len: header_len as u8, ..sent });
        prop_assert_eq!(unpacked, payload);
    }
}
