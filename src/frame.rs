//! Frame header and frame, to and from bytes (RFC 6455 section 5.2).

#![forbid(unsafe_code)]

use crate::error::Error;

/// The FIN bit of a frame's first byte: this frame ends its message.
pub const FIN: u8 = 0x80;
/// The RSV1 bit of a frame's first byte, for an extension to define.
pub const RSV1: u8 = 0x40;
/// The RSV2 bit of a frame's first byte, for an extension to define.
pub const RSV2: u8 = 0x20;
/// The RSV3 bit of a frame's first byte, for an extension to define.
pub const RSV3: u8 = 0x10;
const OPCODE: u8 = 0x0F;

/// The MASK bit of a frame's second byte; the other seven bits are the length or announce a longer form.
pub(crate) const MASK: u8 = 0x80;
pub(crate) const LENGTH_16_BIT: u8 = 126;
const LENGTH_64_BIT: u8 = 127;

/// The longest payload that the seven length bits of the second byte can hold.
pub(crate) const MAX_7_BIT_LEN: u8 = 125;
/// The longest payload that the 16-bit length can hold.
const MAX_16_BIT_LEN: u16 = u16::MAX;
/// The longest payload there is: the top bit of the 64-bit length must be 0.
const MAX_PAYLOAD_LEN: u64 = u64::MAX >> 1;
/// The longest payload of a control frame (RFC 6455 section 5.5).
pub const MAX_CONTROL_PAYLOAD_LEN: u64 = 125;
/// The longest header: two bytes, a 64-bit length and the masking key.
pub const MAX_HEADER_LEN: usize = 14;
/// By how much a frame of a server, which has no masking key, is longer than its payload at most.
pub const MAX_OVERHEAD_LEN: usize = 10;

/// What a frame is for (RFC 6455 section 11.8).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// The next piece of a fragmented message.
    Continuation = 0,
    /// A message, or the first piece of one, that is UTF-8 text.
    Text = 1,
    /// A message, or the first piece of one, that is any bytes.
    Binary = 2,
    /// Starts or answers the closing handshake.
    Close = 8,
    /// Asks for a pong with the same payload.
    Ping = 9,
    /// Answers a ping, or says unasked that the peer is alive.
    Pong = 10,
}

impl Opcode {
    /// The opcode in the low four bits of a frame's first byte, or `None` if it is reserved.
    #[must_use]
    pub const fn from_first_byte(first_byte: u8) -> Option<Self> {
        match first_byte & OPCODE {
            0 => Some(Self::Continuation),
            1 => Some(Self::Text),
            2 => Some(Self::Binary),
            8 => Some(Self::Close),
            9 => Some(Self::Ping),
            10 => Some(Self::Pong),
            _ => None,
        }
    }

    /// Whether frames of this kind are control frames: close, ping and pong.
    #[must_use]
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// Whether this frame ends its message.
    pub fin: bool,
    /// The first reserved bit; only an extension gives it a meaning.
    pub rsv1: bool,
    /// The second reserved bit.
    pub rsv2: bool,
    /// The third reserved bit.
    pub rsv3: bool,
    /// What the frame is for.
    pub opcode: Opcode,
    /// The masking key of a client's frame; `None` in a server's.
    pub mask_key: Option<[u8; 4]>,
    /// Length of the payload in bytes, at most 2^63-1.
    pub payload_len: u64,
}

impl Header {
    /// Reads the header at the start of `input`.
    ///
    /// Returns the header and its length in bytes, or `None` as long as `input` may be the start of a header but does
    /// not hold all of it. The RSV bits and the presence of the masking key are reported, not judged: which of them
    /// are right depends on the extensions in use and on who is the client.
    ///
    /// # Errors
    ///
    /// [`Error::ReservedOpcode`], [`Error::FragmentedControl`], [`Error::OversizedControl`],
    /// [`Error::LengthNotMinimal`] or [`Error::LengthTopBit`]; some of them before the header is complete.
    #[inline]
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, Error> {
        Self::read(input, true)
    }

    /// As [`Header::parse`], but longer forms of the length are accepted unless it has to be `minimal`.
    #[inline]
    pub(crate) fn read(input: &[u8], minimal: bool) -> Result<Option<(Self, usize)>, Error> {
        let Some((&first, rest)) = input.split_first() else { return Ok(None) };
        let opcode = Opcode::from_first_byte(first).ok_or(Error::ReservedOpcode)?;
        let fin = first & FIN != 0;
        if opcode.is_control() && !fin {
            return Err(Error::FragmentedControl);
        }

        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        let short_len = second & !MASK;
        if opcode.is_control() && u64::from(short_len) > MAX_CONTROL_PAYLOAD_LEN {
            return Err(Error::OversizedControl);
        }
        let (payload_len, rest) = match short_len {
            LENGTH_16_BIT => {
                let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
                let len = u16::from_be_bytes(*len);
                if minimal && len <= MAX_7_BIT_LEN.into() {
                    return Err(Error::LengthNotMinimal);
                }
                (len.into(), rest)
            }
            LENGTH_64_BIT => {
                let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
                let len = u64::from_be_bytes(*len);
                if len > MAX_PAYLOAD_LEN {
                    return Err(Error::LengthTopBit);
                }
                if minimal && len <= MAX_16_BIT_LEN.into() {
                    return Err(Error::LengthNotMinimal);
                }
                (len, rest)
            }
            _ => (short_len.into(), rest),
        };

        let mask_key = if second & MASK == 0 {
            None
        } else {
            let Some((key, _)) = rest.split_first_chunk() else { return Ok(None) };
            Some(*key)
        };
        let header = Self { mask_key, payload_len, ..Self::with_first_byte(first, opcode) };
        let behind = rest.len().saturating_sub(if mask_key.is_some() { 4 } else { 0 });
        Ok(Some((header, input.len().saturating_sub(behind))))
    }

    /// Writes the header to the start of `out`, with the shortest form of the length, and returns how many bytes it
    /// took: 2 to [`MAX_HEADER_LEN`].
    ///
    /// # Errors
    ///
    /// [`Error::BuildFragmentedControl`], [`Error::BuildOversizedControl`], [`Error::BuildOversizedPayload`] or
    /// [`Error::OutputTooSmall`]. `out` is then unchanged.
    #[inline]
    pub fn build(&self, out: &mut [u8]) -> Result<usize, Error> {
        self.check()?;
        let header_len = self.encoded_len();
        let out = out.get_mut(..header_len).ok_or(Error::OutputTooSmall)?;

        let mask = if self.mask_key.is_some() { MASK } else { 0 };
        let rest = put(out, [self.first_byte()]);
        let rest = match (u8::try_from(self.payload_len), u16::try_from(self.payload_len)) {
            (Ok(len @ 0..=MAX_7_BIT_LEN), _) => put(rest, [mask | len]),
            (_, Ok(len)) => put(put(rest, [mask | LENGTH_16_BIT]), len.to_be_bytes()),
            _ => put(put(rest, [mask | LENGTH_64_BIT]), self.payload_len.to_be_bytes()),
        };
        if let Some(key) = self.mask_key {
            put(rest, key);
        }
        Ok(header_len)
    }

    /// Checks that it may be sent.
    #[inline]
    fn check(&self) -> Result<(), Error> {
        if self.payload_len > MAX_PAYLOAD_LEN {
            return Err(Error::BuildOversizedPayload);
        }
        if self.opcode.is_control() {
            if !self.fin {
                return Err(Error::BuildFragmentedControl);
            }
            if self.payload_len > MAX_CONTROL_PAYLOAD_LEN {
                return Err(Error::BuildOversizedControl);
            }
        }
        Ok(())
    }

    /// The length in bytes of this header on the wire.
    #[must_use]
    #[inline]
    pub const fn encoded_len(&self) -> usize {
        match (self.payload_len, self.mask_key.is_some()) {
            (0..=125, false) => 2,
            (126..=0xFFFF, false) => 4,
            (_, false) => 10,
            (0..=125, true) => 6,
            (126..=0xFFFF, true) => 8,
            (_, true) => 14,
        }
    }

    #[inline]
    pub(crate) fn first_byte(&self) -> u8 {
        let bit = |set, bit| if set { bit } else { 0 };
        bit(self.fin, FIN) | bit(self.rsv1, RSV1) | bit(self.rsv2, RSV2) | bit(self.rsv3, RSV3) | self.opcode as u8
    }

    /// A header with these bits, no masking key and no payload.
    #[inline]
    pub(crate) const fn with_first_byte(first: u8, opcode: Opcode) -> Self {
        Self {
            fin: first & FIN != 0,
            rsv1: first & RSV1 != 0,
            rsv2: first & RSV2 != 0,
            rsv3: first & RSV3 != 0,
            opcode,
            mask_key: None,
            payload_len: 0,
        }
    }
}

/// Writes `bytes` to the start of `out` and returns what is left of it. Whoever calls has made sure that they fit.
#[inline]
fn put<const N: usize>(out: &mut [u8], bytes: [u8; N]) -> &mut [u8] {
    match out.split_first_chunk_mut() {
        Some((start, rest)) => {
            *start = bytes;
            rest
        }
        None => &mut [],
    }
}

/// The most a control frame carries, for a place in memory.
const CONTROL_PAYLOAD_CAP: usize = 125;
const _: () = assert!(CONTROL_PAYLOAD_CAP as u64 == MAX_CONTROL_PAYLOAD_LEN);

/// The payload of a control frame, in a place of its own (RFC 6455 section 5.5).
#[derive(Clone, Copy, Debug)]
pub struct ControlPayload {
    bytes: [u8; CONTROL_PAYLOAD_CAP],
    len: usize,
}

impl ControlPayload {
    /// The parts one behind the other, as far as a control frame can have them.
    #[must_use]
    pub fn new(parts: &[&[u8]]) -> Self {
        let mut payload = Self { bytes: [0; CONTROL_PAYLOAD_CAP], len: 0 };
        for (place, &byte) in payload.bytes.iter_mut().zip(parts.iter().copied().flatten()) {
            *place = byte;
            payload.len = payload.len.saturating_add(1);
        }
        payload
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Writes a server's frame, which has no masking key, to the start of `out` and returns its length.
///
/// `first_byte` is the first byte on the wire: [`FIN`], RSV bits and [`Opcode`]. A client builds a [`Header`] with a
/// masking key instead and masks the payload behind it.
///
/// # Errors
///
/// [`Error::BuildReservedOpcode`] and what [`Header::build`] returns. `out` is then unchanged.
#[inline]
pub fn build(first_byte: u8, payload: &[u8], out: &mut [u8]) -> Result<usize, Error> {
    let opcode = Opcode::from_first_byte(first_byte).ok_or(Error::BuildReservedOpcode)?;
    // A usize has at most 64 bits wherever Rust runs.
    let header = Header { payload_len: payload.len() as u64, ..Header::with_first_byte(first_byte, opcode) };
    let (head, body) = out.split_at_mut_checked(header.encoded_len()).ok_or(Error::OutputTooSmall)?;
    let body = body.get_mut(..payload.len()).ok_or(Error::OutputTooSmall)?;
    let header_len = header.build(head)?;
    body.copy_from_slice(payload);
    Ok(header_len.saturating_add(payload.len()))
}

/// Writes a server's frame for each of `payloads`, one behind the other, to the start of `out` and returns their length.
///
/// # Errors
///
/// As [`build`], if that would fail for one of them. `out` is then unchanged.
#[inline]
pub fn build_many<'a>(
    first_byte: u8,
    payloads: impl Iterator<Item = &'a [u8]> + Clone,
    out: &mut [u8],
) -> Result<usize, Error> {
    let opcode = Opcode::from_first_byte(first_byte).ok_or(Error::BuildReservedOpcode)?;
    let mut len = 0_usize;
    for payload in payloads.clone() {
        let header = Header { payload_len: payload.len() as u64, ..Header::with_first_byte(first_byte, opcode) };
        header.check()?;
        len = len.saturating_add(header.encoded_len()).saturating_add(payload.len());
    }
    let mut rest = out.get_mut(..len).ok_or(Error::OutputTooSmall)?;
    for payload in payloads {
        let built = build(first_byte, payload, rest)?;
        rest = rest.get_mut(built..).unwrap_or_default();
    }
    Ok(len)
}

#[cfg(test)]
mod tests;
