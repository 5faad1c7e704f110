//! Compares what a server sends with what it was sent, byte for byte.

use std::collections::VecDeque;
use std::time::Instant;

use crate::messages::Messages;

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
}

impl Echoes {
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
            self.compare(part, wanted)?;
            if part.len() < left {
                self.left = Some(left - part.len());
                return Ok(());
            }
            self.left = None;
            self.header_len = 0;
            let is_final = self.header[0] & 0x80 != 0;
            if is_final {
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
        if first & 0x7f != wanted || second & 0x80 != 0 {
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

    fn compare(&mut self, part: &[u8], wanted: &[u8]) -> Result<(), String> {
        let here = &wanted[self.at..];
        if !here.starts_with(part) {
            let same = part.iter().zip(here).take_while(|(byte, wanted)| byte == wanted).count();
            let wrong = self.at + same;
            return Err(format!("an echo that is wrong at byte {wrong} of {}", wanted.len()));
        }
        self.at += part.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Content;

    /// What is left of messages 0 and 1 when the server sends this, in reads of every size.
    fn left(bytes: &[u8], messages: &Messages) -> Result<usize, String> {
        let results = (1..=bytes.len()).map(|size| {
            let mut sent = (0..2).map(|number| Sent { number, at: Instant::now() }).collect();
            let mut echoes = Echoes::default();
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
            let messages = Messages::new(Content::Mixed, size);
            let [first, second] = [0, 1].map(|number| messages.payload(number));
            let pieces = [frame(0x01, b""), frame(0x00, &second[..3]), frame(0x80, &second[3..])].concat();
            assert_eq!(left(&frame(0x81, first), &messages), Ok(1));
            assert_eq!(left(&[frame(0x81, first), pieces].concat(), &messages), Ok(0));
        }
    }

    #[test]
    fn anything_else_is_wrong() {
        let messages = Messages::new(Content::Binary, 20);
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
