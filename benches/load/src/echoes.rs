//! Compares what a server sends with what it was sent, byte for byte.

use std::collections::VecDeque;
use std::time::Instant;

use crate::deflate::Inflater;
use crate::messages::{Messages, RSV1};

/// A message whose echo has not come.
pub struct Sent {
    pub number: u16,
    pub at: Instant,
}

/// Where in the echoes of a connection the server is; they may come in any frames and any reads.
#[derive(Default)]
pub struct Echoes {
    header: [u8; 10],
    header_len: usize,
    /// How much of the frame's payload is to come, when its header is there.
    left: Option<usize>,
    /// So much of the message has come; it is begun even if that is nothing.
    at: usize,
    is_begun: bool,
    /// If the server may compress; and whether it has compressed this message.
    inflater: Option<Inflater>,
    is_compressed: bool,
}

impl Echoes {
    /// The server may compress those of messages that are compressed.
    pub fn of(messages: &Messages) -> Self {
        Self { inflater: messages.are_compressed().then(Inflater::new), ..Self::default() }
    }

    /// Takes the messages off `sent` whose echoes end in this read.
    pub fn take(
        &mut self,
        mut read: &[u8],
        messages: &Messages,
        sent: &mut VecDeque<Sent>,
        mut echoed: impl FnMut(Sent),
    ) -> Result<(), String> {
        loop {
            if self.left.is_none() && self.read_header(&mut read) {
                self.left = Some(self.begin_frame(messages.opcode)?);
            }
            let Some(left) = self.left else { return Ok(()) };
            let wanted = messages.payload(sent.front().ok_or("an echo of nothing")?.number);
            let (part, rest) = read.split_at(left.min(read.len()));
            read = rest;
            self.take_part(part, wanted)?;
            if part.len() < left {
                self.left = Some(left - part.len());
                return Ok(());
            }
            self.left = None;
            self.header_len = 0;
            let is_final = self.header[0] & 0x80 != 0;
            if is_final {
                self.take_end(wanted)?;
                if self.at < wanted.len() {
                    return Err(format!("an echo of {} bytes instead of {}", self.at, wanted.len()));
                }
                (self.at, self.is_begun) = (0, false);
                sent.pop_front().into_iter().for_each(&mut echoed);
            }
        }
    }

    /// Whether the header is complete, and the read behind it.
    fn read_header(&mut self, read: &mut &[u8]) -> bool {
        while self.header_len < self.header_end() {
            let Some((&byte, rest)) = read.split_first() else { return false };
            self.header[self.header_len] = byte;
            self.header_len += 1;
            *read = rest;
        }
        true
    }

    fn header_end(&self) -> usize {
        match (self.header_len, self.header[1] & 0x7f) {
            (0 | 1, _) => 2,
            (_, 126) => 4,
            (_, 127) => 10,
            _ => 2,
        }
    }

    fn begin_frame(&mut self, opcode: u8) -> Result<usize, String> {
        let wanted = if self.is_begun { 0 } else { opcode };
        let [first, second, ..] = self.header;
        if !self.is_begun {
            self.is_compressed = first & RSV1 != 0 && self.inflater.is_some();
        }
        let mark = if self.is_compressed && !self.is_begun { RSV1 } else { 0 };
        if first & 0x7f != wanted | mark || second & 0x80 != 0 {
            return Err(format!("a frame that begins with {first:#04x} {second:#04x}, which is not an echo's"));
        }
        self.is_begun = true;
        let len = &self.header[2..self.header_len];
        let len = match len {
            [] => u64::from(second),
            _ => len.iter().fold(0, |len, &byte| len << 8 | u64::from(byte)),
        };
        usize::try_from(len).map_err(|error| error.to_string())
    }

    fn take_part(&mut self, part: &[u8], wanted: &[u8]) -> Result<(), String> {
        let at = &mut self.at;
        match &mut self.inflater {
            Some(inflater) if self.is_compressed => inflater.inflate(part, |inflated| compare(inflated, wanted, at)),
            _ => compare(part, wanted, at),
        }
    }

    fn take_end(&mut self, wanted: &[u8]) -> Result<(), String> {
        let at = &mut self.at;
        match &mut self.inflater {
            Some(inflater) if self.is_compressed => inflater.end(|inflated| compare(inflated, wanted, at)),
            _ => Ok(()),
        }
    }
}

/// Compares a part with what is wanted from `at` on, and goes on behind it.
fn compare(part: &[u8], wanted: &[u8], at: &mut usize) -> Result<(), String> {
    let here = &wanted[*at..];
    if !here.starts_with(part) {
        let same = part.iter().zip(here).take_while(|(byte, wanted)| byte == wanted).count();
        return Err(format!("an echo that is wrong at byte {} of {}", *at + same, wanted.len()));
    }
    *at += part.len();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deflate;
    use crate::messages::Content;

    /// What is left of messages 0 and 1 when the server sends this, in reads of every size.
    fn left(bytes: &[u8], messages: &Messages) -> Result<usize, String> {
        let results = (1..=bytes.len()).map(|size| {
            let mut sent = (0..2).map(|number| Sent { number, at: Instant::now() }).collect();
            let mut echoes = Echoes::of(messages);
            bytes.chunks(size).try_for_each(|read| echoes.take(read, messages, &mut sent, drop))?;
            Ok(sent.len())
        });
        results.reduce(|first, next| if first == next { first } else { panic!("{first:?}, then {next:?}") }).unwrap()
    }

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let len = payload.len() as u16;
        let header = if len < 126 { vec![first, len as u8] } else { vec![first, 126, (len >> 8) as u8, len as u8] };
        [&header, payload].concat()
    }

    #[test]
    fn echoes_come_in_any_frames() {
        for size in [5, 125, 126, 300] {
            let messages = Messages::new(Content::Mixed, size, None);
            let [first, second] = [0, 1].map(|number| messages.payload(number));
            let pieces = [frame(0x01, b""), frame(0x00, &second[..3]), frame(0x80, &second[3..])].concat();
            assert_eq!(left(&frame(0x81, first), &messages), Ok(1));
            assert_eq!(left(&[frame(0x81, first), pieces].concat(), &messages), Ok(0));
        }
    }

    #[test]
    fn echoes_may_be_compressed_if_that_was_agreed_on() {
        let messages = Messages::new(Content::Compressed, 300, Some(15));
        let [first, second] = [0, 1].map(|number| messages.payload(number));
        let compressed = deflate::compressed(first, 15);
        let pieces = [frame(0x41, &compressed[..10]), frame(0x80, &compressed[10..])].concat();
        for first in [frame(0xc1, &compressed), pieces, frame(0x81, first)] {
            assert_eq!(left(&[first, frame(0x81, second)].concat(), &messages), Ok(0));
        }
        let plain = Messages::new(Content::Compressed, 300, None);
        for (wrong, messages) in [
            (frame(0xc1, &compressed), &plain),
            (frame(0xc1, &deflate::compressed(second, 15)), &messages),
            (frame(0xc1, &deflate::compressed(&first[1..], 15)), &messages),
            ([frame(0x41, &compressed[..10]), frame(0xc0, &compressed[10..])].concat(), &messages),
        ] {
            left(&wrong, messages).unwrap_err();
        }
    }

    #[test]
    fn anything_else_is_wrong() {
        let messages = Messages::new(Content::Binary, 20, None);
        let [first, second] = [0, 1].map(|number| messages.payload(number));
        let mut changed = first.to_vec();
        changed[19] ^= 1;
        let [good, other] = [frame(0x82, first), frame(0x82, second)];
        for wrong in [
            frame(0x82, &changed),
            frame(0x82, &first[..19]),
            frame(0x82, &[first, b"!"].concat()),
            frame(0x81, first),
            frame(0x80, first),
            frame(0x88, b""),
            frame(0x89, b""),
            [frame(0x02, first), good.clone()].concat(),
            other.clone(),
            [good.clone(), good.clone()].concat(),
            [good, other.clone(), other].concat(),
        ] {
            left(&wrong, &messages).unwrap_err();
        }
    }
}
