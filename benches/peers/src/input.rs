//! What the contestants work on.

use std::ops::{AddAssign, Deref, DerefMut};

pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// As much is read from a socket at once.
pub const READ: usize = 64 << 10;

/// The payloads of the messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Ascii,
    /// Text with characters of one to four bytes.
    Mixed,
    Binary,
}

impl Content {
    pub const ALL: [Self; 3] = [Self::Ascii, Self::Mixed, Self::Binary];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ASCII text",
            Self::Mixed => "mixed text",
            Self::Binary => "binary",
        }
    }

    pub fn opcode(self) -> u8 {
        if self == Self::Binary { 2 } else { 1 }
    }

    /// Exactly `len` bytes of it.
    pub fn payload(self, len: usize) -> Vec<u8> {
        match self {
            Self::Ascii => repeat("The quick brown fox jumps over the lazy dog. ", len),
            Self::Mixed => repeat("Grüße, мир, 世界! 😀 naïve café – ", len),
            Self::Binary => (0..len).map(|i| (i * 167 + i / 256) as u8).collect(),
        }
    }
}

/// Whole characters of the text, again and again, and a few dots where the next one does not fit.
fn repeat(text: &str, len: usize) -> Vec<u8> {
    let mut repeated = String::with_capacity(len);
    let mut characters = text.chars().cycle();
    while let Some(next) = characters.next().filter(|next| repeated.len() + next.len_utf8() <= len) {
        repeated.push(next);
    }
    let mut bytes = repeated.into_bytes();
    bytes.resize(len, b'.');
    bytes
}

/// The length of payloads as people write it: 125 B, 16 KiB, 1 MiB.
pub fn size_name(len: usize) -> String {
    match len {
        0..1024 => format!("{len} B"),
        1024..0x10_0000 => format!("{} KiB", len >> 10),
        _ => format!("{} MiB", len >> 20),
    }
}

/// Masked frames one behind the other, each a message, as one read from a busy client brings them.
pub struct Batch {
    pub bytes: Vec<u8>,
    pub tally: Tally,
}

/// What a receiver must have received of a batch.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    pub messages: usize,
    pub bytes: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.messages += more.messages;
        self.bytes += more.bytes;
    }
}

impl Tally {
    pub fn count(&mut self, message: &[u8]) {
        self.messages += 1;
        self.bytes += std::hint::black_box(message).len();
    }
}

impl Batch {
    /// As many frames as fit into one read, one at least.
    pub fn new(content: Content, payload_len: usize) -> Self {
        let payload = content.payload(payload_len);
        let mut batch = Self { bytes: Vec::new(), tally: Tally::default() };
        loop {
            let [a, b, c, d] = KEY;
            // Another key for each frame.
            let key = [a, b, c, d ^ batch.tally.messages as u8];
            push_frame(&mut batch.bytes, 0x80 | content.opcode(), &payload, key);
            batch.tally.count(&payload);
            if batch.bytes.len() + payload_len + 14 > READ {
                return batch;
            }
        }
    }
}

/// Appends a client's frame to `frames`.
pub fn push_frame(frames: &mut Vec<u8>, first_byte: u8, payload: &[u8], key: [u8; 4]) {
    frames.push(first_byte);
    match payload.len() {
        len @ 0..=125 => frames.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            frames.push(0x80 | 126);
            frames.extend((len as u16).to_be_bytes());
        }
        len => {
            frames.push(0x80 | 127);
            frames.extend((len as u64).to_be_bytes());
        }
    }
    frames.extend(key);
    let at = frames.len();
    frames.extend(payload);
    naive_unmask(&mut frames[at..], key);
}

/// The formula of RFC 6455 section 5.3.
pub fn naive_unmask(data: &mut [u8], key: [u8; 4]) {
    for (i, byte) in data.iter_mut().enumerate() {
        *byte ^= key[i % 4];
    }
}

/// Bytes that begin `shift` bytes behind the start of a cache line.
pub struct Aligned {
    bytes: Vec<u8>,
    at: usize,
    len: usize,
}

impl Aligned {
    pub const LINE: usize = 64;

    pub fn new(bytes: &[u8], shift: usize) -> Self {
        let mut place = vec![0; bytes.len() + 2 * Self::LINE];
        let at = place.as_ptr().align_offset(Self::LINE) + shift;
        place[at..at + bytes.len()].copy_from_slice(bytes);
        Self { bytes: place, at, len: bytes.len() }
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.at..self.at + self.len]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.at..self.at + self.len]
    }
}
