//! The records that C reads and writes, and how they become the types of the safe modules.

use libc::{c_void, size_t};

use super::boundary::bytes;
use crate::connection::{Config, Settings};
use crate::deflate::Parameters;
use crate::error::Error;
use crate::frame::{self, Header, Opcode};

/// Bits of wsframe_header.flags. The upper four are those of a frame's first byte on the wire, so that
/// WSFRAME_HEADER_FIN | WSFRAME_OPCODE_TEXT is also the first byte for wsframe_frame_build().
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFlag {
    /// The payload is masked; mask_key is valid.
    Mask = 0x01,
    /// The third reserved bit.
    Rsv3 = 0x10,
    /// The second reserved bit.
    Rsv2 = 0x20,
    /// The first reserved bit; permessage-deflate marks compressed messages with it.
    Rsv1 = 0x40,
    /// This frame ends its message.
    Fin = 0x80,
}

const MASK: u8 = HeaderFlag::Mask as u8;
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

const _: () = assert!(size_of::<wsframe_header>() == 16);

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

/// Bits that may be set in the opcode given to wsframe_connection_send(), beside WSFRAME_OPCODE_TEXT or _BINARY, for a say in
/// whether that message is compressed. They do nothing on connections that have not agreed to compress.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendFlag {
    /// Not compressed, for instance because it has a secret next to what an attacker chose (RFC 7692 section 8).
    Plain = 0x100,
    /// Compressed, however short it is, and even if that makes it longer.
    Compressed = 0x200,
}

/// What both ends of a connection agreed on for compressed messages (RFC 7692 section 7.1).
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct wsframe_deflate {
    /// 1 if each message of the server is compressed on its own, else 0.
    pub server_no_context_takeover: u8,
    /// 1 if each message of the client is compressed on its own, else 0.
    pub client_no_context_takeover: u8,
    /// How far back the server's messages may refer, as a power of two: 8 to 15.
    pub server_max_window_bits: u8,
    /// The same for the client's.
    pub client_max_window_bits: u8,
}

impl From<Parameters> for wsframe_deflate {
    fn from(agreed: Parameters) -> Self {
        Self {
            server_no_context_takeover: agreed.server_no_context_takeover.into(),
            client_no_context_takeover: agreed.client_no_context_takeover.into(),
            server_max_window_bits: agreed.server_max_window_bits,
            client_max_window_bits: agreed.client_max_window_bits,
        }
    }
}

/// What an application can choose for a connection. All zeroes are the defaults, which are strict, and right for most;
/// set struct_size and change what you want. Nothing it points to is needed after the call it is given to.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wsframe_config {
    /// sizeof(wsframe_config). A shorter one, of an older header, is taken as if it went on with zeroes.
    pub struct_size: u32,
    /// Any of WSFRAME_CONFIG_*.
    pub flags: u32,
    /// The longest message in bytes; 0 stands for 16 MiB.
    pub max_message_len: u64,
    /// The longest payload of a message's frame in bytes; 0 stands for 16 MiB.
    pub max_frame_len: u64,
    /// How many bytes of output may wait, headers included; 0 stands for twice max_message_len, so that the answer to the
    /// longest message always finds room.
    pub max_output_len: u64,
    /// The most frames of one message; 0 stands for 65,536.
    pub max_fragments: u32,
    /// The longest head of a request or response in bytes; 0 stands for 16 KiB.
    pub max_head_len: u32,
    /// The most fields of a head, at most 1000; 0 stands for 100.
    pub max_head_fields: u32,
    /// How long the opening handshake may take, in milliseconds; 0 stands for 10 seconds.
    pub handshake_timeout_ms: u32,
    /// How long the peer may take to answer a close frame, in milliseconds; 0 stands for 5 seconds.
    pub close_timeout_ms: u32,
    /// After how long a silence a ping is sent, and then how long the peer may be silent still, in milliseconds; 0 stands
    /// for 30 seconds.
    pub ping_interval_ms: u32,
    /// Subprotocols with commas between them: a server answers with the first of them that the client offers, a client
    /// offers them all.
    pub subprotocols: *const c_void,
    /// Length of subprotocols in bytes, 0 for none.
    pub subprotocols_len: size_t,
    /// The Origins that a server accepts, with commas between them. If there are any, a request needs one of them.
    pub origins: *const c_void,
    /// Length of origins in bytes, 0 for none. A list with nothing but commas and spaces is an error.
    pub origins_len: size_t,
    /// With WSFRAME_CONFIG_DEFLATE: the shortest message in bytes that is compressed unasked; 0 stands for 64, or for 256
    /// where each message is compressed on its own.
    pub deflate_min_len: u32,
    /// How hard to compress, from 1, the fastest, to 9, the smallest; 0 stands for 6.
    pub deflate_level: u32,
    /// How far back a server's messages may refer to those before them, as a power of two: 9 to 15; 0 stands for 12. So
    /// many bytes, 4,096 for 12, does a connection keep at most.
    pub server_max_window_bits: u32,
    /// The same for a client's messages. A client that does not offer to be asked keeps to 15.
    pub client_max_window_bits: u32,
    /// With WSFRAME_CONFIG_START_OPEN and WSFRAME_CONFIG_DEFLATE: the Sec-WebSocket-Extensions of the response that somebody
    /// else has written, for instance what wsframe_extensions_answer() answered.
    pub extensions: *const c_void,
    /// Length of extensions in bytes, 0 if the response had none.
    pub extensions_len: size_t,
}

impl wsframe_config {
    /// Copies a config that may be shorter or longer than this header knows it.
    ///
    /// # Safety
    ///
    /// `config` is NULL or points to as many bytes as its struct_size says.
    pub(super) unsafe fn read(config: *const Self) -> Result<Config, Error> {
        let Some(size) = std::ptr::NonNull::new(config.cast_mut()) else { return Ok(Config::default()) };
        // SAFETY: not NULL, and the caller promises at least the size, which is the first field.
        let size = unsafe { size.cast::<u32>().read() } as usize;
        if size < size_of::<u32>() {
            return Err(Error::InvalidConfig);
        }
        // SAFETY: the caller promises as many bytes as the size says.
        let given = unsafe { bytes(config.cast(), size) }?;
        let (known, unknown) = given.split_at(size.min(size_of::<Self>()));
        if unknown.iter().any(|&byte| byte != 0) {
            return Err(Error::InvalidConfig);
        }
        let mut record = std::mem::MaybeUninit::<Self>::zeroed();
        // SAFETY: known is no longer than the record, and is not part of it.
        unsafe { std::ptr::copy_nonoverlapping(known.as_ptr(), record.as_mut_ptr().cast(), known.len()) };
        // SAFETY: numbers and pointers, of which every pattern of bits is one.
        let record = unsafe { record.assume_init() };
        // SAFETY: the caller promises that the lists have their lengths.
        unsafe { record.to_config() }
    }

    /// # Safety
    ///
    /// subprotocols, origins and extensions have their lengths.
    unsafe fn to_config(self) -> Result<Config, Error> {
        // SAFETY: the caller promises it.
        let subprotocols = unsafe { list(self.subprotocols, self.subprotocols_len) }?;
        // SAFETY: the caller promises it.
        let origins = unsafe { list(self.origins, self.origins_len) }?;
        // SAFETY: the caller promises it.
        let extensions = std::str::from_utf8(unsafe { bytes(self.extensions, self.extensions_len) }?);
        let extensions = extensions.map_err(|_| Error::InvalidConfig)?;
        let extensions = Some(extensions.to_owned()).filter(|extensions| !extensions.is_empty());
        let default = Settings::default();
        let or = |given: u32, default: u32| if given == 0 { default } else { given };
        let or_byte = |given, default: u8| u8::try_from(or(given, default.into())).map_err(|_| Error::InvalidConfig);
        let or_long = |given: u64, default: u64| if given == 0 { default } else { given };
        let settings = Settings {
            max_message_len: or_long(self.max_message_len, default.max_message_len),
            max_frame_len: or_long(self.max_frame_len, default.max_frame_len),
            max_output_len: self.max_output_len,
            max_fragments: or(self.max_fragments, default.max_fragments),
            max_head_len: or(self.max_head_len, default.max_head_len),
            max_head_fields: or(self.max_head_fields, default.max_head_fields),
            handshake_timeout_ms: or(self.handshake_timeout_ms, default.handshake_timeout_ms),
            close_timeout_ms: or(self.close_timeout_ms, default.close_timeout_ms),
            ping_interval_ms: or(self.ping_interval_ms, default.ping_interval_ms),
            flags: self.flags,
            deflate_min_len: self.deflate_min_len,
            deflate_level: or_byte(self.deflate_level, default.deflate_level)?,
            server_max_window_bits: or_byte(self.server_max_window_bits, default.server_max_window_bits)?,
            client_max_window_bits: or_byte(self.client_max_window_bits, default.client_max_window_bits)?,
        };
        Ok(Config { subprotocols, origins, extensions, settings })
    }
}

/// The elements of a list with commas between them.
///
/// # Safety
///
/// `text` has `len` bytes.
unsafe fn list(text: *const c_void, len: size_t) -> Result<Vec<String>, Error> {
    // SAFETY: the caller promises it.
    let text = unsafe { bytes(text, len) }?;
    let text = std::str::from_utf8(text).map_err(|_| Error::InvalidConfig)?;
    let elements: Vec<_> = text
        .split(',')
        .map(|element| element.trim_matches([' ', '\t']))
        .filter(|element| !element.is_empty())
        .collect();
    // An empty list would let everybody in where somebody meant to keep them out.
    if elements.is_empty() && !text.is_empty() {
        return Err(Error::InvalidConfig);
    }
    Ok(elements.into_iter().map(str::to_owned).collect())
}
