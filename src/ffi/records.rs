//! The records that C reads and writes, and how they become the types of the safe modules.

use crate::error::Error;
use crate::frame::{self, Header, Opcode};

/// Bits of wsframe_header.flags. The upper four are those of a frame's first byte on the wire, so that
/// WSFRAME_HEADER_FIN | WSFRAME_OPCODE_TEXT is also the first byte for wsframe_frame_build().
///
/// cbindgen:rename-all=None
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wsframe_header_flag {
    /// The payload is masked; mask_key is valid.
    WSFRAME_HEADER_MASK = 0x01,
    /// The third reserved bit.
    WSFRAME_HEADER_RSV3 = 0x10,
    /// The second reserved bit.
    WSFRAME_HEADER_RSV2 = 0x20,
    /// The first reserved bit; permessage-deflate marks compressed messages with it.
    WSFRAME_HEADER_RSV1 = 0x40,
    /// This frame ends its message.
    WSFRAME_HEADER_FIN = 0x80,
}

const MASK: u8 = wsframe_header_flag::WSFRAME_HEADER_MASK as u8;
const WIRE_FLAGS: u8 = frame::FIN | frame::RSV1 | frame::RSV2 | frame::RSV3;

/// A frame header (RFC 6455 section 5.2). 16 bytes, in every version of the library.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct wsframe_header {
    /// Length of the payload in bytes, at most 2^63-1.
    pub payload_len: u64,
    /// One of WSFRAME_OPCODE_*.
    pub opcode: u8,
    /// Any of WSFRAME_HEADER_*.
    pub flags: u8,
    /// Length of the header itself in bytes, 2 to 14. Set by wsframe_header_parse(), ignored by wsframe_header_build().
    pub header_len: u8,
    /// 0.
    pub reserved: u8,
    /// The masking key if flags has WSFRAME_HEADER_MASK, zeroes otherwise.
    pub mask_key: [u8; 4],
}

const _: () = assert!(size_of::<wsframe_header>() == 16 && align_of::<wsframe_header>() == 8);

impl From<Header> for wsframe_header {
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "a header has at most 14 bytes")]
    fn from(header: Header) -> Self {
        Self {
            payload_len: header.payload_len,
            opcode: header.opcode as u8,
            flags: header.first_byte() & WIRE_FLAGS | if header.mask_key.is_some() { MASK } else { 0 },
            header_len: header.encoded_len() as u8,
            reserved: 0,
            mask_key: header.mask_key.unwrap_or_default(),
        }
    }
}

impl TryFrom<wsframe_header> for Header {
    type Error = Error;

    #[inline]
    fn try_from(record: wsframe_header) -> Result<Self, Error> {
        if record.reserved != 0 || record.flags & !(WIRE_FLAGS | MASK) != 0 {
            return Err(Error::UnknownBits);
        }
        if record.opcode & WIRE_FLAGS != 0 {
            return Err(Error::BuildReservedOpcode);
        }
        let first_byte = record.flags & WIRE_FLAGS | record.opcode;
        let opcode = Opcode::from_first_byte(first_byte).ok_or(Error::BuildReservedOpcode)?;
        Ok(Self {
            mask_key: (record.flags & MASK != 0).then_some(record.mask_key),
            payload_len: record.payload_len,
            ..Self::with_first_byte(first_byte, opcode)
        })
    }
}
