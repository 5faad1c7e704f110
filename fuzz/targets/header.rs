//! A header is read as the naive way reads it, and building what was read gives the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsframe::error::Error;
use wsframe::frame::{Header, MAX_HEADER_LEN, Opcode, build};

/// RFC 6455 section 5.2, field by field. `None` if bytes are missing.
fn naive(bytes: &[u8]) -> Result<Option<(Header, usize)>, Error> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let bit = |mask: u8| first & mask != 0;
    let opcode = match first % 16 {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return Err(Error::ReservedOpcode),
    };
    let is_control = first % 16 >= 8;
    if is_control && !bit(0x80) {
        return Err(Error::FragmentedControl);
    }
    let Some(&second) = bytes.get(1) else { return Ok(None) };
    if is_control && second % 128 > 125 {
        return Err(Error::OversizedControl);
    }
    let digits = match second % 128 {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some(long) = bytes.get(2..2 + digits) else { return Ok(None) };
    let long = long.iter().fold(0_u128, |sum, &digit| sum * 256 + u128::from(digit));
    if long >= 1 << 63 {
        return Err(Error::LengthTopBit);
    }
    if digits == 2 && long < 126 || digits == 8 && long < 65536 {
        return Err(Error::LengthNotMinimal);
    }
    let payload_len = if digits == 0 { u64::from(second % 128) } else { long as u64 };
    let key_len = if second >= 128 { 4 } else { 0 };
    let Some(key) = bytes.get(2 + digits..2 + digits + key_len) else { return Ok(None) };
    let mask_key = key.try_into().ok();
    let header =
        Header { fin: bit(0x80), rsv1: bit(0x40), rsv2: bit(0x20), rsv3: bit(0x10), opcode, mask_key, payload_len };
    Ok(Some((header, 2 + digits + key_len)))
}

fuzz_target!(|bytes: &[u8]| {
    let parsed = Header::parse(bytes);
    assert_eq!(parsed, naive(bytes));
    let Ok(Some((header, len))) = parsed else { return };

    let mut built = [0xCA; MAX_HEADER_LEN + 1];
    assert_eq!(header.build(&mut built), Ok(len));
    assert_eq!(&built[..len], &bytes[..len]);
    assert_eq!(built[len..], [0xCA; MAX_HEADER_LEN + 1][len..]);
    assert_eq!(header.encoded_len(), len);
    for cap in 0..len {
        assert_eq!(header.build(&mut [0; MAX_HEADER_LEN][..cap]), Err(Error::OutputTooSmall));
        // A refusal may come before all of the header, but never the header.
        assert_eq!(Header::parse(&bytes[..cap]), Ok(None));
    }

    // The whole frame, if the payload is there.
    let payload_len = usize::try_from(header.payload_len).unwrap();
    let Some(payload) = bytes[len..].get(..payload_len) else { return };
    let unmasked = Header { mask_key: None, ..header };
    let mut frame = vec![0; unmasked.encoded_len() + payload_len];
    assert_eq!(build(bytes[0], payload, &mut frame), Ok(frame.len()));
    assert!(frame.ends_with(payload));
    let room = frame.len() - 1;
    assert_eq!(build(bytes[0], payload, &mut frame[..room]), Err(Error::OutputTooSmall));
    assert_eq!(build(bytes[0], payload, &mut frame), Ok(frame.len()));
    assert_eq!(Header::parse(&frame), Ok(Some((unmasked, frame.len() - payload.len()))));
});
