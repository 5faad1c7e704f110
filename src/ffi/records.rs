//! The records that C reads and writes, and how they become the types of the safe modules.

use std::ptr::null;

use libc::{c_void, size_t};

use super::boundary::bytes;
use crate::connection::{Compress, Config, Connection, Event, Lending, Output, Role, Settings};
use crate::deflate::Parameters;
use crate::error::Error;
use crate::frame::{self, Header, Opcode};
#[cfg(unix)]
use crate::hub::{Hub, Limits, Listening, Stats};
use crate::memory::{collected, copied_text};

/// Opcodes (RFC 6455 section 5.2), and the bits that are combined with one: those of a frame's first byte on the wire, so
/// that WSFRAME_OPCODE_FIN | WSFRAME_OPCODE_TEXT is the first byte for wsframe_frame_build(), and from 0x100 on those that say
/// how wsframe_connection_send() is to send a message.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnyOpcode {
    /// Goes on with the message of the frame before.
    Continuation = 0,
    /// Text, in UTF-8.
    Text = 1,
    /// Bytes.
    Binary = 2,
    /// Closes the connection.
    Close = 8,
    /// Asks for a pong.
    Ping = 9,
    /// Answers a ping.
    Pong = 10,
    /// The third reserved bit.
    Rsv3 = 0x10,
    /// The second reserved bit.
    Rsv2 = 0x20,
    /// The first reserved bit; permessage-deflate marks compressed messages with it.
    Rsv1 = 0x40,
    /// This frame ends its message.
    Fin = 0x80,
    /// To send: this is a piece of a message, and not the last.
    More = 0x100,
    /// To send: not compressed, for instance because it has a secret next to what an attacker chose (RFC 7692 section 8).
    Plain = 0x200,
    /// To send: compressed, however short it is, and even if that makes it longer.
    Compressed = 0x400,
}

/// A bit of wsframe_header.flags, beside WSFRAME_OPCODE_FIN and _RSV1 to _RSV3.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFlag {
    /// The payload is masked; mask_key is valid.
    Mask = 0x01,
}

/// A bit of the flags of wsframe_connection_accept().
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptFlag {
    /// Messages are not compressed although the config has WSFRAME_CONFIG_DEFLATE.
    WithoutDeflate = 0x01,
}

/// A bit of wsframe_batch.flags.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchFlag {
    /// There is more than one call delivers: call again, also without new bytes. Never set by a hub.
    More = 0x01,
    /// wsframe_hub_stop() was called, and no connection is left: there will be no more events.
    Stopped = 0x02,
}

/// A bit of the flags of wsframe_hub_listen() and wsframe_hub_adopt().
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenFlag {
    /// Other sockets may listen at the same port with this flag, in other processes, too: the system lets each have a part of
    /// the clients (SO_REUSEPORT). Means nothing to a Unix socket or one that is adopted.
    ReusePort = 0x01,
    /// Clients come by a proxy that says in front of their bytes where they are: the PROXY protocol, version 1 or 2, as HAProxy,
    /// nginx and load balancers of clouds speak it. wsframe_hub_address() is then what the proxy has said. Who comes without a
    /// proxy is turned away: anybody could say so, so let nobody but the proxy reach the address.
    Proxy = 0x02,
    /// Who has more than high_water_len waiting when something is published is ended with WSFRAME_ERROR_POLICY, instead of not
    /// getting it.
    DropSlow = 0x04,
}

#[cfg(unix)]
impl ListenFlag {
    /// What any of these say together.
    pub(super) const fn read(flags: u32) -> Result<Listening, Error> {
        let known = Self::ReusePort as u32 | Self::Proxy as u32 | Self::DropSlow as u32;
        if flags & !known != 0 {
            return Err(Error::UnknownBits);
        }
        Ok(Listening {
            reuse_port: flags & Self::ReusePort as u32 != 0,
            is_proxied: flags & Self::Proxy as u32 != 0,
            drops_slow: flags & Self::DropSlow as u32 != 0,
        })
    }
}

/// A bit of wsframe_output.flags.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFlag {
    /// More output waits already, behind these bytes.
    More = 0x01,
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
    /// Any of WSFRAME_HEADER_MASK, WSFRAME_OPCODE_FIN, _RSV1, _RSV2 and _RSV3.
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

/// The role with this number.
pub(super) const fn role_of(number: u32) -> Result<Role, Error> {
    match number {
        0 => Ok(Role::Server),
        1 => Ok(Role::Client),
        _ => Err(Error::UnknownRole),
    }
}

/// How a message is to be sent, as the opcode and the bits beside it say.
pub(super) struct Sending {
    pub(super) opcode: Opcode,
    pub(super) compress: Compress,
    pub(super) more: bool,
}

const MORE: u32 = AnyOpcode::More as u32;
const PLAIN: u32 = AnyOpcode::Plain as u32;
const COMPRESSED: u32 = AnyOpcode::Compressed as u32;

impl Sending {
    #[inline]
    pub(super) fn read(number: u32) -> Result<Self, Error> {
        let opcode = u8::try_from(number & 0xFF).ok().filter(|byte| *byte < 16).and_then(Opcode::from_first_byte);
        let compress = match number & !(0xFF | MORE) {
            0 => Compress::IfShorter,
            PLAIN => Compress::Never,
            COMPRESSED => Compress::Always,
            _ => return Err(Error::SendUnknownBits),
        };
        Ok(Self { opcode: opcode.ok_or(Error::SendNotData)?, compress, more: number & MORE != 0 })
    }
}

/// What a call left: events, and their data. 40 bytes where a pointer has eight, in every version of the library. All calls
/// that write one write all of it.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wsframe_batch {
    /// The events; NULL if there are none.
    pub events: *const Event,
    /// How many events there are.
    pub count: size_t,
    /// The data that the events' offsets count from; NULL if there are none.
    pub data: *const c_void,
    /// So many bytes are there. The data of all events lie in them, in any order; some bytes may be no event's.
    pub data_len: size_t,
    /// 0, WSFRAME_BATCH_MORE or WSFRAME_BATCH_STOPPED.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
}

impl Default for wsframe_batch {
    fn default() -> Self {
        Self { events: null(), count: 0, data: null(), data_len: 0, flags: 0, reserved: 0 }
    }
}

impl wsframe_batch {
    /// What the last poll of a hub left.
    #[cfg(unix)]
    pub(super) fn of_hub(hub: &Hub) -> Self {
        let (events, data) = (hub.events(), hub.data());
        Self {
            events: if events.is_empty() { null() } else { events.as_ptr() },
            count: events.len(),
            data: if data.is_empty() { null() } else { data.as_ptr().cast() },
            data_len: data.len(),
            flags: if hub.has_ended() { BatchFlag::Stopped as u32 } else { 0 },
            reserved: 0,
        }
    }

    /// What the last call on a connection left.
    #[inline]
    pub(super) fn of(connection: &Connection) -> Self {
        let (events, data) = (connection.events(), connection.data());
        Self {
            events: if events.is_empty() { null() } else { events.as_ptr() },
            count: events.len(),
            data: if data.is_empty() { null() } else { data.as_ptr().cast() },
            data_len: data.len(),
            flags: if connection.has_more() { BatchFlag::More as u32 } else { 0 },
            reserved: 0,
        }
    }
}

/// What ends a turn of the loop: bytes to be written now, and the time of the next turn. 24 bytes where a pointer has eight,
/// in every version of the library.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wsframe_output {
    /// The bytes to write to the peer; NULL if there are none.
    pub data: *const c_void,
    /// How many bytes that are.
    pub len: size_t,
    /// In how many milliseconds to call wsframe_connection_output() again, at the latest: WSFRAME_NEVER if nothing is due,
    /// 0 if TCP is to be closed.
    pub wait_ms: u32,
    /// 0 or WSFRAME_OUTPUT_MORE.
    pub flags: u32,
}

impl Default for wsframe_output {
    fn default() -> Self {
        Self { data: null(), len: 0, wait_ms: 0, flags: 0 }
    }
}

impl wsframe_output {
    #[inline]
    pub(super) fn lent(output: Output<'_>) -> Self {
        let Output { bytes, wait_ms } = output;
        let data = if bytes.is_empty() { null() } else { bytes.as_ptr().cast() };
        Self { data, len: bytes.len(), wait_ms, flags: 0 }
    }

    pub(super) fn taken((lending, wait_ms, is_more): (Lending, u32, bool)) -> Self {
        let data = if lending.len == 0 { null() } else { lending.data.cast() };
        Self { data, len: lending.len, wait_ms, flags: if is_more { OutputFlag::More as u32 } else { 0 } }
    }

    /// The same, with so many bytes waiting in all.
    #[inline]
    pub(super) const fn with_more(self, waiting: usize) -> Self {
        Self { flags: if waiting > self.len { OutputFlag::More as u32 } else { 0 }, ..self }
    }
}

/// Bytes in one place; laid out as a struct iovec.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wsframe_part {
    /// Where they begin.
    pub data: *const c_void,
    /// How many they are.
    pub len: size_t,
}

impl From<&[u8]> for wsframe_part {
    fn from(part: &[u8]) -> Self {
        Self { data: part.as_ptr().cast(), len: part.len() }
    }
}

/// A field of the head of a request or response.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct wsframe_field {
    /// The name, as it was sent; NULL if there is no such field.
    pub name: *const c_void,
    /// Length of the name in bytes.
    pub name_len: size_t,
    /// The value, without the white space around it; NULL if it is empty.
    pub value: *const c_void,
    /// Length of the value in bytes.
    pub value_len: size_t,
}

impl Default for wsframe_field {
    fn default() -> Self {
        Self { name: null(), name_len: 0, value: null(), value_len: 0 }
    }
}

impl From<(&str, &[u8])> for wsframe_field {
    fn from((name, value): (&str, &[u8])) -> Self {
        Self {
            name: name.as_ptr().cast(),
            name_len: name.len(),
            value: if value.is_empty() { null() } else { value.as_ptr().cast() },
            value_len: value.len(),
        }
    }
}

const _: () = assert!(size_of::<usize>() != 8 || size_of::<wsframe_batch>() == 40 && size_of::<wsframe_output>() == 24);

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

/// What an application can choose for a connection. All zeroes are the defaults, which are strict, and right for most: set
/// struct_size, and change what you want.
///
///   wsframe_config config = {0};
///   config.struct_size = sizeof config;
///   config.flags = WSFRAME_CONFIG_DEFLATE;
///
/// Nothing it points to is needed after the call it is given to.
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
    /// With WSFRAME_CONFIG_DEFLATE: the longest message in bytes that came compressed, and no more than max_message_len; 0
    /// stands for 1 MiB. A thousandth of it may be all that a peer has to send.
    pub max_inflated_len: u64,
    /// How many bytes of output may wait, headers included, when another message is taken; 0 stands for 1 MiB. A message
    /// of any length finds room when no more than that waits.
    pub high_water_len: u64,
    /// The most frames of one message; 0 stands for 65,536.
    pub max_fragments: u32,
    /// The longest head of a request or response in bytes; 0 stands for 16 KiB.
    pub max_head_len: u32,
    /// The most fields of a head, at most 1000; 0 stands for 100.
    pub max_head_fields: u32,
    /// How long the opening handshake may take, in milliseconds; 0 stands for 10 seconds, WSFRAME_NEVER for ever.
    pub handshake_timeout_ms: u32,
    /// How long the peer may take to answer a close frame, and to take what was written last, in milliseconds; 0 stands for
    /// 5 seconds, WSFRAME_NEVER for ever.
    pub close_timeout_ms: u32,
    /// After how long a silence a ping is sent, and then how long the peer may be silent still, in milliseconds; 0 stands
    /// for 30 seconds, WSFRAME_NEVER for no pings. A peer to whom much was written before has a second more for each
    /// 16 KB of it.
    pub ping_interval_ms: u32,
    /// Subprotocols with commas between them: a server answers with the first of them that the client offers, a client
    /// offers them all.
    pub subprotocols: *const c_void,
    /// Length of subprotocols in bytes, 0 for none.
    pub subprotocols_len: size_t,
    /// The Origins that a server accepts, with commas between them, each as a browser sends it: `https://example.com` or
    /// `http://localhost:8080`, in lower case, without a default port and without a path. If there are any, a request needs
    /// one of them.
    pub origins: *const c_void,
    /// Length of origins in bytes, 0 for none. A list with nothing but commas and spaces is an error.
    pub origins_len: size_t,
    /// With WSFRAME_CONFIG_DEFLATE: the shortest message in bytes that is compressed unasked; 0 stands for 64, or for 256
    /// where each message is compressed on its own.
    pub deflate_min_len: u32,
    /// How hard to compress, from 1, the fastest, to 9, the smallest; 0 stands for 6.
    pub deflate_level: u32,
    /// How far back a server's messages may refer to those before them, as a power of two, 9 to 15. So many bytes does a
    /// connection keep at most: 4,096 for 12. 0 stands for 12 for a server, and lets a client take what the server likes:
    /// many servers cannot do less than 15.
    pub server_max_window_bits: u32,
    /// The same for a client's messages; 0 stands for 12. A client that does not offer to be asked keeps to 15.
    pub client_max_window_bits: u32,
    /// With WSFRAME_CONFIG_START_OPEN and WSFRAME_CONFIG_DEFLATE: the Sec-WebSocket-Extensions of the response that somebody
    /// else has written, for instance what wsframe_extensions_answer() answered.
    pub extensions: *const c_void,
    /// Length of extensions in bytes, 0 if the response had none.
    pub extensions_len: size_t,
    /// With WSFRAME_CONFIG_START_OPEN: the subprotocol that was agreed on, for wsframe_connection_subprotocol().
    pub subprotocol: *const c_void,
    /// Length of subprotocol in bytes, 0 for none.
    pub subprotocol_len: size_t,
    /// With WSFRAME_CONFIG_START_OPEN: the path and query of the request, for wsframe_connection_target().
    pub target: *const c_void,
    /// Length of target in bytes, 0 if it is not to be kept.
    pub target_len: size_t,
}

impl wsframe_config {
    /// Copies a config that may be shorter or longer than this header knows it.
    ///
    /// # Safety
    ///
    /// `config` is NULL or points to as many bytes as its struct_size says.
    pub(super) unsafe fn read(config: *const Self) -> Result<Config, Error> {
        // SAFETY: as the caller promises; numbers and pointers may be zero.
        let Some(record) = unsafe { read_sized(config, Error::ConfigSize) }? else { return Ok(Config::default()) };
        // SAFETY: the caller promises that the texts have their lengths.
        unsafe { record.to_config() }
    }

    /// # Safety
    ///
    /// The texts have their lengths.
    unsafe fn to_config(self) -> Result<Config, Error> {
        // SAFETY: the caller promises it.
        let subprotocols = unsafe { list(self.subprotocols, self.subprotocols_len) }?;
        // SAFETY: the caller promises it.
        let origins = unsafe { list(self.origins, self.origins_len) }?;
        // SAFETY: the caller promises it.
        let extensions = unsafe { text(self.extensions, self.extensions_len) }?;
        // SAFETY: the caller promises it.
        let subprotocol = unsafe { text(self.subprotocol, self.subprotocol_len) }?;
        // SAFETY: the caller promises it.
        let target = unsafe { text(self.target, self.target_len) }?;
        let default = Settings::default();
        let or = |given: u32, default: u32| if given == 0 { default } else { given };
        let or_long = |given: u64, default: u64| if given == 0 { default } else { given };
        // What does not fit is out of range, as the largest that does.
        let byte = |given: u32| u8::try_from(given).unwrap_or(u8::MAX);
        let settings = Settings {
            max_message_len: or_long(self.max_message_len, default.max_message_len),
            max_frame_len: or_long(self.max_frame_len, default.max_frame_len),
            max_inflated_len: or_long(self.max_inflated_len, default.max_inflated_len),
            high_water_len: or_long(self.high_water_len, default.high_water_len),
            max_fragments: or(self.max_fragments, default.max_fragments),
            max_head_len: or(self.max_head_len, default.max_head_len),
            max_head_fields: or(self.max_head_fields, default.max_head_fields),
            handshake_timeout_ms: or(self.handshake_timeout_ms, default.handshake_timeout_ms),
            close_timeout_ms: or(self.close_timeout_ms, default.close_timeout_ms),
            ping_interval_ms: or(self.ping_interval_ms, default.ping_interval_ms),
            flags: self.flags,
            deflate_min_len: self.deflate_min_len,
            deflate_level: byte(or(self.deflate_level, default.deflate_level.into())),
            server_max_window_bits: byte(self.server_max_window_bits),
            client_max_window_bits: byte(self.client_max_window_bits),
        };
        Ok(Config { subprotocols, origins, extensions, subprotocol, target, settings })
    }
}

/// What an application can choose for a hub. All zeroes are the defaults.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct wsframe_hub_config {
    /// sizeof(wsframe_hub_config).
    pub struct_size: u32,
    /// How many connections there are when no more clients are let in; others wait until one leaves. 0 for as many as the
    /// system has descriptors for.
    pub max_connections: u32,
    /// How many bytes the connections may hold together: what was received of messages that are not complete, and what waits to be
    /// written, but for what was published. Beyond it those are ended that hold the most, with WSFRAME_ERROR_MEMORY. 0 for as many
    /// as there are.
    pub max_memory: u64,
    /// How many clients are let in from one address at a time, of IPv6 from one network of 64 bits; others are turned away. 0 for
    /// any number. From Unix sockets there may be any number.
    pub max_per_address: u32,
    /// 0.
    pub reserved: u32,
}

#[cfg(unix)]
impl wsframe_hub_config {
    /// Reads how much a hub takes upon itself.
    ///
    /// # Safety
    ///
    /// `config` is NULL or points to as many bytes as its struct_size says.
    pub(super) unsafe fn limits(config: *const Self) -> Result<Limits, Error> {
        // SAFETY: as the caller promises; numbers may be zero.
        let config = unsafe { read_sized(config, Error::HubConfigSize) }?.unwrap_or_default();
        if config.reserved != 0 {
            return Err(Error::UnknownBits);
        }
        let or_any = |max: u64| if max == 0 { usize::MAX } else { usize::try_from(max).unwrap_or(usize::MAX) };
        Ok(Limits {
            max_connections: or_any(config.max_connections.into()),
            max_per_address: or_any(config.max_per_address.into()),
            max_memory: or_any(config.max_memory),
        })
    }
}

/// What a hub has done so far. 136 bytes in this version.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct wsframe_stats {
    /// How many connections there are now, those included whose opening handshake is not done or that are just ending.
    pub connections: u64,
    /// How many of them are not open yet.
    pub opening: u64,
    /// How many of them are closing, or have ended while WSFRAME_EVENT_GONE is still to come.
    pub closing: u64,
    /// From how many of them nothing is read: wsframe_hub_pause() was called, or they do not take what they are sent.
    pub paused: u64,
    /// How many bytes wait to be written to them; what was published is counted for each of them.
    pub waiting_len: u64,
    /// How many clients were let in.
    pub accepted: u64,
    /// How many clients were turned away: because there was no memory for them, their address had max_per_address already, or
    /// they did not come by a proxy although WSFRAME_LISTEN_PROXY says so.
    pub refused: u64,
    /// How often nobody was let in for a second, or until somebody left, because the system had no descriptor or memory left.
    pub accept_pauses: u64,
    /// How many messages have come, each piece counted with WSFRAME_CONFIG_PIECES.
    pub messages_received: u64,
    /// How many messages were sent by functions of the hub, each piece counted, and each receiver.
    pub messages_sent: u64,
    /// How many bytes have come from the sockets.
    pub bytes_received: u64,
    /// How many bytes went to the sockets.
    pub bytes_sent: u64,
    /// How many messages were not sent because more waited than high_water_len.
    pub dropped: u64,
    /// How often reading from a peer paused because it did not take what it was sent.
    pub read_pauses: u64,
    /// How many calls of wsframe_hub_poll() there were.
    pub polls: u64,
    /// How many microseconds these have taken, without the waiting: what the hub does.
    pub busy_us: u64,
    /// How many microseconds were between them: what the application does.
    pub application_us: u64,
}

const _: () = assert!(size_of::<wsframe_hub_config>() == 24 && size_of::<wsframe_stats>() == 136);

#[cfg(unix)]
impl From<Stats> for wsframe_stats {
    fn from(stats: Stats) -> Self {
        Self {
            connections: stats.connections,
            opening: stats.opening,
            closing: stats.closing,
            paused: stats.paused,
            waiting_len: stats.waiting_len,
            accepted: stats.accepted,
            refused: stats.refused,
            accept_pauses: stats.accept_pauses,
            messages_received: stats.messages_received,
            messages_sent: stats.messages_sent,
            bytes_received: stats.bytes_received,
            bytes_sent: stats.bytes_sent,
            dropped: stats.dropped,
            read_pauses: stats.read_pauses,
            polls: stats.polls,
            busy_us: stats.busy_us,
            application_us: stats.application_us,
        }
    }
}

/// Copies a record that begins with its size, and may be shorter or longer than this version knows it.
///
/// # Safety
///
/// `record` is NULL or points to as many bytes as the 32-bit number says that is its first field. Every pattern of bits is a
/// `T`.
unsafe fn read_sized<T: Copy>(record: *const T, wrong_size: Error) -> Result<Option<T>, Error> {
    let Some(size) = std::ptr::NonNull::new(record.cast_mut()) else { return Ok(None) };
    // SAFETY: not NULL, and the caller promises at least the size, which is the first field.
    let size = unsafe { size.cast::<u32>().read() } as usize;
    if size < size_of::<u32>() {
        return Err(wrong_size);
    }
    // SAFETY: the caller promises as many bytes as the size says.
    let given = unsafe { bytes(record.cast(), size) }?;
    let (known, unknown) = given.split_at(size.min(size_of::<T>()));
    if unknown.iter().any(|&byte| byte != 0) {
        return Err(wrong_size);
    }
    let mut copy = std::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: known is no longer than the record, and is not part of it.
    unsafe { std::ptr::copy_nonoverlapping(known.as_ptr(), copy.as_mut_ptr().cast(), known.len()) };
    // SAFETY: as the caller promises.
    Ok(Some(unsafe { copy.assume_init() }))
}

/// A text, if there is one.
///
/// # Safety
///
/// `text` has `len` bytes.
unsafe fn text(text: *const c_void, len: size_t) -> Result<Option<String>, Error> {
    // SAFETY: the caller promises it.
    let text = std::str::from_utf8(unsafe { bytes(text, len) }?).map_err(|_| Error::ConfigText)?;
    Some(text).filter(|text| !text.is_empty()).map(|text| copied_text(text).map(String::from)).transpose()
}

/// The elements of a list with commas between them.
///
/// # Safety
///
/// `text` has `len` bytes.
unsafe fn list(text: *const c_void, len: size_t) -> Result<Vec<String>, Error> {
    // SAFETY: the caller promises it.
    let text = std::str::from_utf8(unsafe { bytes(text, len) }?).map_err(|_| Error::ConfigText)?;
    let elements = text.split(',').map(|element| element.trim_matches([' ', '\t']));
    let elements = elements.filter(|element| !element.is_empty());
    let elements = collected(elements.map(|element| copied_text(element).map(String::from)))?;
    // An empty list would let everybody in where somebody meant to keep them out.
    if elements.is_empty() && !text.is_empty() { Err(Error::ConfigText) } else { Ok(elements) }
}
