//! What is sent, all of it made beforehand.

use std::str::FromStr;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const CHARACTERS: [char; 16] = ['a', 'e', 'i', 'n', 'r', 's', 't', '.', ' ', ' ', 'é', 'ü', 'ж', '世', '界', '😀'];
/// So many different messages there are, as many as a u16 can number.
const COUNT: usize = 1 << 16;

#[derive(Clone, Copy)]
pub enum Content {
    Ascii,
    /// Text with characters of one to four bytes.
    Mixed,
    Binary,
}

impl FromStr for Content {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "ascii" => Ok(Self::Ascii),
            "mixed" => Ok(Self::Mixed),
            "binary" => Ok(Self::Binary),
            _ => Err(format!("--content is ascii, mixed or binary, not {name}")),
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
}

impl Messages {
    pub fn new(content: Content, size: usize) -> Self {
        let text = random_text(content, COUNT + size);
        let is_boundary = |at: usize| match content {
            Content::Mixed => text.get(at).is_none_or(|&byte| byte & 0xc0 != 0x80),
            Content::Ascii | Content::Binary => true,
        };
        let begins: Vec<usize> = (0..COUNT).filter(|&at| is_boundary(at) && is_boundary(at + size)).collect();
        let begins = begins.iter().copied().cycle().take(COUNT).collect();
        let masked = text.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        let opcode = if matches!(content, Content::Binary) { 2 } else { 1 };
        Self { opcode, size, text, masked, begins }
    }

    pub fn payload(&self, number: u16) -> &[u8] {
        let begin = self.begins[usize::from(number)];
        &self.text[begin..begin + self.size]
    }

    /// Appends a message as a client's frame.
    pub fn append_frame(&self, number: u16, frames: &mut Vec<u8>) {
        let begin = self.begins[usize::from(number)];
        frames.push(0x80 | self.opcode);
        match self.size {
            size @ 0..126 => frames.push(0x80 | size as u8),
            size @ 126..0x1_0000 => {
                frames.push(0x80 | 126);
                frames.extend((size as u16).to_be_bytes());
            }
            size => {
                frames.push(0x80 | 127);
                frames.extend((size as u64).to_be_bytes());
            }
        }
        let mut key = KEY;
        key.rotate_left(begin % 4);
        frames.extend(key);
        frames.extend(&self.masked[begin..begin + self.size]);
    }
}

fn random_text(content: Content, size: usize) -> Vec<u8> {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut text = Vec::with_capacity(size + 4);
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
        }
    }
    text
}
