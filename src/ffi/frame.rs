//! Header and frame.

use libc::{c_void, ptrdiff_t, size_t};

use super::boundary::{Pieces, apart, bytes, bytes_and_out, bytes_mut, lengths, place, returned};
use super::records::wsframe_header;
use crate::error::Error;
use crate::frame::{self, Header};

/// Reads the frame header at the start of in, which holds in_len received bytes, into *header (RFC 6455 section 5.2).
///
/// Returns the length of the header, 2 to 14; the payload begins there. Returns 0 if in may be the start of a header but
/// more bytes are needed; call again with what was there and what has come since. The payload need not have arrived:
/// compare header->payload_len with your limit before you wait for it. The RSV bits and the MASK bit are reported, not
/// judged: a server refuses a frame without MASK, and RSV bits without an extension.
///
/// Errors: WSFRAME_ERROR_PROTOCOL if the opcode is reserved, a control frame is fragmented or longer than 125 bytes, or
/// the length is not in its shortest form or above 2^63-1; it may come before the header is complete.
/// WSFRAME_ERROR_ARGUMENT if header is NULL, or in is NULL and in_len is not 0.
///
/// # Safety
///
/// in points to in_len readable bytes, header to a record that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_header_parse(
    r#in: *const c_void,
    in_len: size_t,
    header: *mut wsframe_header,
) -> ptrdiff_t {
    let call = || {
        // SAFETY: the caller guarantees in_len readable bytes.
        let input = unsafe { bytes(r#in, in_len) }?;
        let header = place(header)?;
        let Some((parsed, header_len)) = Header::parse(input)? else { return Ok(0) };
        // SAFETY: not NULL, and the caller guarantees that a record can be written there.
        unsafe { header.write(parsed.into()) };
        Ok(header_len)
    };
    returned(call())
}

/// Writes a frame header to out, which has room for out_cap bytes (RFC 6455 section 5.2).
///
/// Takes payload_len, opcode, flags and, if flags has WSFRAME_HEADER_MASK, mask_key from *header; header_len is ignored,
/// so that a parsed header can be built again. The length takes its shortest form. A client sends this header with a
/// fresh random masking key, and behind it the payload masked with wsframe_unmask(). A server that has a large payload
/// sends header and payload from where they are (writev); for others wsframe_frame_build() does both.
///
/// Returns how many bytes were written, 2 to 14.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if header is NULL, out is NULL and out_cap is not 0, the opcode is reserved, flags has
/// an unknown bit, reserved is not 0, payload_len is above 2^63-1, or a control frame has no FIN or more than 125 bytes.
/// WSFRAME_ERROR_SPACE if out_cap is too small; 14 always is enough.
///
/// # Safety
///
/// header points to a record, out to out_cap bytes that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_header_build(
    header: *const wsframe_header,
    out: *mut c_void,
    out_cap: size_t,
) -> ptrdiff_t {
    let call = || {
        let header = place(header)?;
        // SAFETY: not NULL, and the caller guarantees a record there. It is copied, so out may lie over it.
        let header = unsafe { header.read() };
        // SAFETY: the caller guarantees out_cap writable bytes.
        let out = unsafe { bytes_mut(out, out_cap) }?;
        Header::try_from(header)?.build(out)
    };
    returned(call())
}

/// Writes a server's frame, which has no masking key, to out (RFC 6455 section 5.2): its header, then the payload_len
/// bytes at payload.
///
/// first_byte is the first byte on the wire: 0x81 for a whole text message, or with the constants
/// WSFRAME_OPCODE_FIN | WSFRAME_OPCODE_TEXT. A message in several frames starts with its opcode without FIN, goes on with
/// WSFRAME_OPCODE_CONTINUATION and ends with WSFRAME_OPCODE_FIN | WSFRAME_OPCODE_CONTINUATION.
///
/// Returns how many bytes were written, at most payload_len + WSFRAME_FRAME_OVERHEAD. For a client's frame, or to save the
/// copy of a large payload, see wsframe_header_build().
///
/// Errors: WSFRAME_ERROR_SPACE if out_cap is too small. WSFRAME_ERROR_ARGUMENT if first_byte is above 255 or has a reserved
/// opcode, a control frame has no FIN or more than 125 bytes, payload and out overlap, or one of them is NULL and its
/// length is not 0.
///
/// # Safety
///
/// payload points to payload_len readable bytes, out to out_cap bytes that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_frame_build(
    first_byte: u32,
    payload: *const c_void,
    payload_len: size_t,
    out: *mut c_void,
    out_cap: size_t,
) -> ptrdiff_t {
    let call = || {
        let first_byte = u8::try_from(first_byte).map_err(|_| Error::UnknownBits)?;
        // SAFETY: the caller guarantees payload_len readable and out_cap writable bytes.
        let (payload, out) = unsafe { bytes_and_out(payload, payload_len, out, out_cap) }?;
        frame::build(first_byte, payload, out)
    };
    returned(call())
}

/// Writes a server's frame for each of count payloads, one behind the other, to out. As wsframe_frame_build(), but for many
/// small messages with one call. The payloads stand one behind the other at in; lens are their count lengths.
///
/// Returns how many bytes were written, for each at most its length + WSFRAME_FRAME_OVERHEAD.
///
/// Errors: as wsframe_frame_build().
///
/// # Safety
///
/// lens points to count lengths, in to as many readable bytes as they sum up to, out to out_cap bytes that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_frames_build(
    first_byte: u32,
    r#in: *const c_void,
    lens: *const size_t,
    count: size_t,
    out: *mut c_void,
    out_cap: size_t,
) -> ptrdiff_t {
    let call = || {
        let first_byte = u8::try_from(first_byte).map_err(|_| Error::UnknownBits)?;
        // SAFETY: the caller guarantees the lengths.
        let (lens, in_len) = unsafe { lengths(lens, count) }?;
        apart(lens.as_ptr().cast(), size_of_val(lens), out, out_cap)?;
        // SAFETY: the caller guarantees as many readable and out_cap writable bytes.
        let (payloads, out) = unsafe { bytes_and_out(r#in, in_len, out, out_cap) }?;
        frame::build_many(first_byte, Pieces::new(payloads, lens), out)
    };
    returned(call())
}
