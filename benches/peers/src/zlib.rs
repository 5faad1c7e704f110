//! zlib-rs called directly: a compressor and an inflater that are kept for a connection.

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush};

use crate::library::Agreement;

/// What is not sent of a message (RFC 7692 section 7.2.1).
pub const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
pub const DEFAULT_LEVEL: u32 = 6;
pub const DEFAULT_MEMORY_LEVEL: u32 = 8;

pub struct Compressor {
    deflate: Deflate,
    takeover: bool,
}

pub struct Inflater {
    inflate: Inflate,
    takeover: bool,
}

impl Compressor {
    pub fn new(agreement: Agreement, level: u32, memory_level: u32) -> Self {
        let config = DeflateConfig {
            level: level as i32,
            // Negative for a stream without zlib's header.
            window_bits: -i32::from(agreement.window_bits),
            mem_level: memory_level as i32,
            ..DeflateConfig::default()
        };
        Self { deflate: Deflate::new_with_config(config), takeover: agreement.takeover }
    }

    /// Compresses a message into `out`, which has room for it, and returns the payload.
    pub fn compress<'a>(&mut self, message: &[u8], out: &'a mut [u8]) -> &'a [u8] {
        if !self.takeover {
            self.deflate.reset();
        }
        let before = self.deflate.total_out();
        self.deflate.compress(message, out, DeflateFlush::SyncFlush).expect("it compresses");
        let len = (self.deflate.total_out() - before) as usize;
        assert!(len < out.len(), "all of it");
        &out[..len - TAIL.len()]
    }
}

impl Inflater {
    pub fn new(agreement: Agreement) -> Self {
        Self { inflate: Inflate::new(false, agreement.window_bits), takeover: agreement.takeover }
    }

    /// Inflates a payload with its tail into `out`, which has room for it, and returns the message.
    pub fn inflate<'a>(&mut self, payload: &[u8], out: &'a mut [u8]) -> &'a [u8] {
        if !self.takeover {
            self.inflate.reset(false);
        }
        let before = self.inflate.total_out();
        self.inflate.decompress(payload, out, InflateFlush::SyncFlush).expect("it inflates");
        let len = (self.inflate.total_out() - before) as usize;
        assert!(len < out.len(), "all of it");
        &out[..len]
    }
}

/// Room for a message of so many bytes, compressed or not.
pub fn room(len: usize) -> Vec<u8> {
    vec![0; len + len / 8 + 64]
}
