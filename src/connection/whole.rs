//! Messages that lie whole in what was read, each in a frame of its own: what most reads are made of.
//!
//! Whatever is not that, or is wrong, is left to [`super::receive`], which takes frames part by part.

#![forbid(unsafe_code)]

use super::receive::{Input, unmask_in_place};
use super::{ConfigFlag, Connection, Event, EventFlag, EventKind, Role, buffers};
use crate::error::Error;
use crate::frame::{FIN, LENGTH_16_BIT, MASK, MAX_7_BIT_LEN, Opcode};
use crate::utf8::Validator;

const TEXT: u8 = FIN | Opcode::Text as u8;
const BINARY: u8 = FIN | Opcode::Binary as u8;

/// A frame that is all of a message, and lies whole in the input.
struct Whole {
    kind: EventKind,
    mask_key: Option<[u8; 4]>,
    payload_at: usize,
    end: usize,
}

impl Connection {
    /// Takes as many of these messages as there are one behind the other in the input at `at`, and as one call may deliver,
    /// and returns where they end.
    pub(super) fn receive_whole_messages(&mut self, input: &mut Input<'_>, at: usize) -> Result<usize, Error> {
        if !self.reader.is_between_messages() || self.settings.max_fragments == 0 {
            return Ok(at);
        }
        let max_len = self.settings.max_frame_len.min(self.settings.max_message_len);
        let is_masked = self.role == Role::Server;
        let checks_text = !self.settings.has(ConfigFlag::SkipUtf8);
        let buffers = buffers::of(&mut self.buffers)?;
        let mut at = at;
        while !buffers.is_full()
            && let Some(message) = Whole::read(input.bytes(), at, is_masked, max_len)
        {
            let Whole { kind, mask_key, payload_at, end } = message;
            let mut text = Validator::default();
            let checked = (kind == EventKind::Text && checks_text).then_some(&mut text);
            let (offset, place) = match input {
                Input::Shared(input) => {
                    let payload = input.get(payload_at..end).unwrap_or_default();
                    (buffers.put_whole(payload, mask_key, checked)?, 0)
                }
                Input::InPlace(input) => {
                    let payload = input.get_mut(payload_at..end).unwrap_or_default();
                    unmask_in_place(payload, mask_key, checked)?;
                    (payload_at, EventFlag::InPlace as u8)
                }
            };
            if !text.is_complete() {
                return Err(Error::InvalidUtf8);
            }
            let flags = EventFlag::First as u8 | EventFlag::Last as u8 | place;
            buffers.put_event(Event { flags, ..Event::new(kind, offset, end.saturating_sub(payload_at)) })?;
            at = end;
        }
        Ok(at)
    }
}

impl Whole {
    /// Reads the frame at `at`; `None` if it is anything but such a message of at most `max_len` bytes.
    #[inline]
    fn read(input: &[u8], at: usize, is_masked: bool, max_len: u64) -> Option<Self> {
        let rest = input.get(at..)?;
        let (&[first, second], rest) = rest.split_first_chunk()?;
        let kind = match first {
            TEXT => EventKind::Text,
            BINARY => EventKind::Binary,
            _ => return None,
        };
        // Without the bit MASK if it is right, and above 127 if it is wrong.
        let len = if is_masked { second ^ MASK } else { second };
        let (len, rest) = if len <= MAX_7_BIT_LEN {
            (u16::from(len), rest)
        } else if len == LENGTH_16_BIT {
            let (&len, rest) = rest.split_first_chunk()?;
            (Some(u16::from_be_bytes(len)).filter(|&len| len > MAX_7_BIT_LEN.into())?, rest)
        } else {
            return None;
        };
        let (mask_key, rest) = match is_masked {
            true => rest.split_first_chunk().map(|(&key, rest)| (Some(key), rest))?,
            false => (None, rest),
        };
        let left = rest.len().checked_sub(len.into()).filter(|_| u64::from(len) <= max_len)?;
        let payload_at = input.len().saturating_sub(rest.len());
        Some(Self { kind, mask_key, payload_at, end: input.len().saturating_sub(left) })
    }
}
