//! What is sent, all of it made beforehand.

use std::str::FromStr;

use crate::deflate;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// Of these compressed text is made, which becomes a quarter.
const WORDS: [&str; 32] = [
    "and ",
    "at ",
    "because ",
    "connection ",
    "do ",
    "every ",
    "for ",
    "from ",
    "has ",
    "how ",
    "in ",
    "is ",
    "it ",
    "later ",
    "message ",
    "more ",
    "no ",
    "not ",
    "of ",
    "on ",
    "people ",
    "question ",
    "said ",
    "server ",
    "that ",
    "the ",
    "there ",
    "time ",
    "to ",
    "was ",
    "what ",
    "with ",
];
const CHARACTERS: [char; 16] = ['a', 'e', 'i', 'n', 'r', 's', 't', '.', ' ', ' ', 'é', 'ü', 'ж', '世', '界', '😀'];
/// So many different messages there are, as many as a u16 can number.
const COUNT: usize = 1 << 16;
/// Compressed messages are fewer: no more than this, and than so many bytes.
const COMPRESSED_COUNT: usize = 1 << 10;
const COMPRESSED_SIZE: usize = 16 << 20;

const FIN: u8 = 0x80;
/// Marks a compressed message.
pub const RSV1: u8 = 0x40;

#[derive(Clone, Copy)]
pub enum Content {
    Ascii,
    /// Text with characters of one to four bytes.
    Mixed,
    Binary,
    /// Text of words, with permessage-deflate if the server agrees to it.
    Compressed,
}

impl FromStr for Content {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "ascii" => Ok(Self::Ascii),
            "mixed" => Ok(Self::Mixed),
            "binary" => Ok(Self::Binary),
            "compressed" => Ok(Self::Compressed),
            _ => Err(format!("--content is ascii, mixed, binary or compressed, not {name}")),
        }
    }
}

/// Pieces of one long random text, each beginning somewhere else, so that an echo in another's place is noticed.
pub struct Messages {
    pub opcode: u8,
    size: usize,
    text: Vec<u8>,
    /// The whole text masked at once: a piece of it is masked with the key turned to where the piece begins.
    masked: Vec<u8>,
    begins: Vec<usize>,
    /// The frames of compressed messages, again and again.
    compressed: Vec<Vec<u8>>,
}

impl Messages {
    /// `window_bits` are those of a client's messages, if it compresses them.
    pub fn new(content: Content, size: usize, window_bits: Option<u8>) -> Self {
        let text = random_text(content, COUNT + size);
        let is_boundary = |at: usize| match content {
            Content::Mixed => text.get(at).is_none_or(|&byte| byte & 0xc0 != 0x80),
            Content::Ascii | Content::Binary | Content::Compressed => true,
        };
        let count = window_bits.map_or(COUNT, |_| (COMPRESSED_SIZE / size).clamp(4, COMPRESSED_COUNT));
        let begins = (0..COUNT).step_by(COUNT / count).filter(|&at| is_boundary(at) && is_boundary(at + size));
        let begins: Vec<usize> = begins.collect();
        let opcode = if matches!(content, Content::Binary) { 2 } else { 1 };
        let compressed = window_bits.map_or(Vec::new(), |window_bits| {
            let frame = |&begin: &usize| compressed_frame(opcode, &text[begin..begin + size], window_bits);
            begins.iter().map(frame).collect()
        });
        let begins = begins.iter().copied().cycle().take(COUNT).collect();
        Self { opcode, size, masked: masked(&text), text, begins, compressed }
    }

    /// Whether the messages are compressed, and the echoes may be.
    pub fn are_compressed(&self) -> bool {
        !self.compressed.is_empty()
    }

    pub fn payload(&self, number: u16) -> &[u8] {
        let begin = self.begins[usize::from(number)];
        &self.text[begin..begin + self.size]
    }

    /// Appends a message as a client's frame.
    pub fn append_frame(&self, number: u16, frames: &mut Vec<u8>) {
        if self.are_compressed() {
            frames.extend(&self.compressed[usize::from(number) % self.compressed.len()]);
            return;
        }
        let begin = self.begins[usize::from(number)];
        let mut key = KEY;
        key.rotate_left(begin % 4);
        append_header(FIN | self.opcode, self.size, key, frames);
        frames.extend(&self.masked[begin..begin + self.size]);
    }
}

fn compressed_frame(opcode: u8, payload: &[u8], window_bits: u8) -> Vec<u8> {
    let payload = deflate::compressed(payload, window_bits);
    let mut frame = Vec::with_capacity(payload.len() + 14);
    append_header(FIN | RSV1 | opcode, payload.len(), KEY, &mut frame);
    frame.extend(masked(&payload));
    frame
}

fn append_header(first: u8, len: usize, key: [u8; 4], frames: &mut Vec<u8>) {
    frames.push(first);
    match len {
        0..126 => frames.push(0x80 | len as u8),
        126..0x1_0000 => {
            frames.push(0x80 | 126);
            frames.extend((len as u16).to_be_bytes());
        }
        _ => {
            frames.push(0x80 | 127);
            frames.extend((len as u64).to_be_bytes());
        }
    }
    frames.extend(key);
}

fn masked(payload: &[u8]) -> Vec<u8> {
    payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}

fn random_text(content: Content, size: usize) -> Vec<u8> {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut text = Vec::with_capacity(size + 16);
    while text.len() < size {
        // Marsaglia's xorshift.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let byte = (random >> 32) as u8;
        match content {
            Content::Ascii => text.push(b' ' + byte % 95),
            Content::Mixed => {
                let character = CHARACTERS[usize::from(byte) % CHARACTERS.len()];
                text.extend(character.encode_utf8(&mut [0; 4]).bytes());
            }
            Content::Binary => text.push(byte),
            Content::Compressed => text.extend(WORDS[usize::from(byte) % WORDS.len()].bytes()),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_text_is_cut_between_characters() {
        let messages = Messages::new(Content::Mixed, 20, None);
        let texts = (0..=u16::MAX).map(|number| std::str::from_utf8(messages.payload(number)).unwrap());
        let lens = texts.flat_map(str::chars).fold([0; 5], |mut counts, character| {
            counts[character.len_utf8()] += 1;
            counts
        });
        assert!(lens[1..].iter().all(|&count| count > 0), "{lens:?}");
    }

    #[test]
    fn a_frame_unmasked_is_the_payload() {
        for (size, header_len) in [(20, 6), (126, 8), (1 << 16, 14)] {
            let messages = Messages::new(Content::Ascii, size, None);
            for number in [0, 1, 2, 65535] {
                let mut frame = Vec::new();
                messages.append_frame(number, &mut frame);
                let (header, payload) = frame.split_at(header_len);
                let key = header[header_len - 4..].iter().cycle();
                assert_eq!(header[0], 0x81);
                assert!(
                    payload.iter().zip(key).map(|(byte, key)| byte ^ key).eq(messages.payload(number).iter().copied())
                );
            }
        }
    }

    #[test]
    fn compressed_messages_are_marked_and_shorter() {
        let messages = Messages::new(Content::Compressed, 1 << 16, Some(15));
        let mut frame = Vec::new();
        messages.append_frame(0, &mut frame);
        assert_eq!(frame[0], 0xc1);
        assert!(frame.len() < messages.payload(0).len() / 2);
        assert!(messages.payload(0) != messages.payload(1));
    }
}
