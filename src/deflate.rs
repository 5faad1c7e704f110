//! permessage-deflate: what both ends agreed on, and the compression of messages (RFC 7692).
//!
//! Between messages neither direction has a compression state of its own, only its history: the last bytes of its
//! messages, as far back as the next one may refer. What compresses and inflates is shared by all connections of a
//! thread and is given the history when a message comes, which costs less than a page of memory to copy and saves a
//! connection the hundreds of kilobytes that a compressor takes.

#![forbid(unsafe_code)]

mod compress;
mod decompress;
mod history;

use crate::error::Error;
use crate::memory::look_for;
pub(crate) use compress::Compressor;
pub(crate) use decompress::Decompressor;
use history::History;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Drops what a thread keeps for connections it does not have.
pub(crate) fn clear_pools() {
    compress::clear_pool();
    decompress::clear_pool();
}

/// What zlib makes, if there is memory for it. It panics when there is none, so it is asked for before; and if somebody
/// else takes it between, the panic ends here.
fn made<T>(len: usize, make: impl FnOnce() -> T) -> Result<T, Error> {
    look_for(len)?;
    catch_unwind(AssertUnwindSafe(make)).map_err(|_| Error::OutOfMemory)
}

/// The four bytes that end every message and are not sent (RFC 7692 section 7.2.1): the length of an empty block.
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// The largest window there is, which stands for no agreement (RFC 7692 section 7.1.2).
pub const MAX_WINDOW_BITS: u8 = 15;
/// The smallest window that may be agreed on.
pub const MIN_WINDOW_BITS: u8 = 8;
/// The smallest window that zlib compresses with.
pub const MIN_COMPRESSION_WINDOW_BITS: u8 = 9;

/// What both ends agreed on (RFC 7692 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Whether each message of the server is compressed on its own.
    pub server_no_context_takeover: bool,
    /// Whether each message of the client is compressed on its own.
    pub client_no_context_takeover: bool,
    /// How far back the server's messages refer, as a power of two: 8 to 15.
    pub server_max_window_bits: u8,
    /// How far back the client's messages refer, as a power of two: 8 to 15.
    pub client_max_window_bits: u8,
}

/// What was agreed on for the messages of one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Direction {
    /// Whether messages may refer to those before them.
    pub(crate) takeover: bool,
    /// How far back they may refer, as a power of two.
    pub(crate) window_bits: u8,
}

impl Parameters {
    /// For the messages of the server.
    pub(crate) const fn server(self) -> Direction {
        Direction { takeover: !self.server_no_context_takeover, window_bits: self.server_max_window_bits }
    }

    /// For the messages of the client.
    pub(crate) const fn client(self) -> Direction {
        Direction { takeover: !self.client_no_context_takeover, window_bits: self.client_max_window_bits }
    }
}

impl Direction {
    /// Whether zlib can compress for it: not with a window of 256 bytes.
    pub(crate) const fn can_compress(self) -> bool {
        self.window_bits >= MIN_COMPRESSION_WINDOW_BITS
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAKEOVER: Direction = Direction { takeover: true, window_bits: 9 };
    const NO_TAKEOVER: Direction = Direction { takeover: false, window_bits: 15 };

    fn compress(compressor: &mut Compressor, direction: Direction, message: &[u8]) -> Vec<u8> {
        let compressed = compressor.compress(direction, 6, message, true).unwrap();
        let payload = compressed.bytes().to_vec();
        compressor.keep(compressed, direction, message, true);
        payload
    }

    fn inflate(decompressor: &mut Decompressor, direction: Direction, payload: &[u8]) -> Result<Vec<u8>, Error> {
        inflate_pieces(decompressor, direction, &[payload])
    }

    fn inflate_pieces(
        decompressor: &mut Decompressor,
        direction: Direction,
        pieces: &[&[u8]],
    ) -> Result<Vec<u8>, Error> {
        let mut message = Vec::new();
        let mut sink = |inflated: &[u8]| {
            message.extend(inflated);
            Ok(())
        };
        for piece in pieces {
            decompressor.push(direction, piece, None, 100, &mut sink)?;
        }
        decompressor.finish(direction, &mut sink)?;
        Ok(message)
    }

    /// RFC 7692 section 7.2.3.
    #[test]
    fn the_examples_of_the_rfc() {
        let hello: [(&str, &[u8]); 5] = [
            ("7.2.3.1, one block", b"\xf2\x48\xcd\xc9\xc9\x07\x00"),
            ("7.2.3.3, no compression", b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"),
            ("7.2.3.4, BFINAL", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
            ("7.2.3.5, two blocks", b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
            ("BFINAL, and nothing behind it", b"\xf3\x48\xcd\xc9\xc9\x07\x00"),
        ];
        for (section, payload) in hello {
            let mut decompressor = Decompressor::default();
            for _ in 0..3 {
                assert_eq!(inflate(&mut decompressor, TAKEOVER, payload).unwrap(), b"Hello", "{section}");
            }
        }
        let mut compressor = Compressor::default();
        assert_eq!(compress(&mut compressor, TAKEOVER, b"Hello"), b"\xf2\x48\xcd\xc9\xc9\x07\x00", "7.2.3.2");
        assert_eq!(compress(&mut compressor, TAKEOVER, b"Hello"), b"\xf2\x00\x11\x00\x00", "7.2.3.2");
        let mut decompressor = Decompressor::default();
        assert_eq!(inflate(&mut decompressor, TAKEOVER, b"\xf2\x48\xcd\xc9\xc9\x07\x00").unwrap(), b"Hello");
        assert_eq!(inflate(&mut decompressor, TAKEOVER, b"\xf2\x00\x11\x00\x00").unwrap(), b"Hello");
        assert_eq!(compress(&mut compressor, TAKEOVER, b""), [0], "7.2.3.6");
    }

    #[test]
    fn the_empty_message_is_a_byte_or_none() {
        let mut decompressor = Decompressor::default();
        for payload in [&b""[..], b"\0", b""] {
            assert_eq!(inflate(&mut decompressor, TAKEOVER, payload).unwrap(), b"");
            assert_eq!(inflate(&mut decompressor, TAKEOVER, b"\xf2\x48\xcd\xc9\xc9\x07\x00").unwrap(), b"Hello");
        }
    }

    #[test]
    fn without_takeover_nothing_may_be_referred_to_and_nothing_is_kept() {
        let mut decompressor = Decompressor::default();
        assert_eq!(inflate(&mut decompressor, NO_TAKEOVER, b"\xf2\x48\xcd\xc9\xc9\x07\x00").unwrap(), b"Hello");
        assert!(decompressor.is_empty());
        assert_eq!(inflate(&mut decompressor, NO_TAKEOVER, b"\xf2\x00\x11\x00\x00"), Err(Error::InvalidDeflate));
        let mut compressor = Compressor::default();
        assert_eq!(compress(&mut compressor, NO_TAKEOVER, b"Hello"), compress(&mut compressor, NO_TAKEOVER, b"Hello"));
        assert!(compressor.is_empty());
    }

    #[test]
    fn a_message_that_ends_inside_a_block_is_refused() {
        let payload = compress(&mut Compressor::default(), NO_TAKEOVER, &b"a message of some words ".repeat(9));
        for end in 1..payload.len() {
            let cut = inflate(&mut Decompressor::default(), NO_TAKEOVER, &payload[..end]);
            // The last byte may be nothing but padding.
            assert!(
                end + 1 == payload.len() || cut == Err(Error::InvalidDeflate),
                "{end} of {}: {cut:?}",
                payload.len()
            );
        }
    }

    #[test]
    fn streams_that_end_are_counted() {
        let ends = b"\x03\x00".repeat(101);
        assert_eq!(inflate(&mut Decompressor::default(), TAKEOVER, &ends), Err(Error::TooManyFragments));
        assert_eq!(inflate(&mut Decompressor::default(), TAKEOVER, &ends[2..]).unwrap(), b"");
    }

    #[test]
    fn empty_blocks_are_limited() {
        let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
        let blocks = |count| [b"\x00\x00\x00\xff\xff".repeat(count), hello.to_vec()].concat();
        assert_eq!(inflate(&mut Decompressor::default(), TAKEOVER, &blocks(10_000)).unwrap(), b"Hello");
        let refused = inflate(&mut Decompressor::default(), TAKEOVER, &blocks(20_000));
        assert_eq!(refused, Err(Error::TooMuchForNothing));
    }

    /// Compressors are shared: whatever comes between two messages of a connection, the second refers to the first.
    #[test]
    fn connections_may_take_turns() {
        let mut compressors: [Compressor; 9] = Default::default();
        let mut decompressors: [Decompressor; 9] = Default::default();
        for turn in 0..30_usize {
            for at in 0..1 + turn % 9 {
                let message = format!("{turn} {at} some words that all of them say {}", "ab".repeat(turn * 10));
                let payload = compress(&mut compressors[at], TAKEOVER, message.as_bytes());
                assert!(payload.len() < message.len() || message.len() < 60);
                let received = inflate(&mut decompressors[at], TAKEOVER, &payload);
                assert_eq!(received.unwrap(), message.as_bytes(), "{turn} {at}");
            }
        }
    }

    #[test]
    fn a_connection_may_go_from_thread_to_thread() {
        let (mut compressor, mut decompressor) = (Compressor::default(), Decompressor::default());
        for turn in 0..6 {
            let message = format!("{turn} the same words from another thread");
            std::thread::scope(|scope| {
                let payload = compress(&mut compressor, TAKEOVER, message.as_bytes());
                assert_eq!(inflate(&mut decompressor, TAKEOVER, &payload).unwrap(), message.as_bytes());
                scope.spawn(|| {
                    let payload = compress(&mut compressor, TAKEOVER, message.as_bytes());
                    assert!(payload.len() < 12, "{} bytes for what was just said", payload.len());
                    assert_eq!(inflate(&mut decompressor, TAKEOVER, &payload).unwrap(), message.as_bytes());
                });
            });
        }
    }

    #[test]
    fn what_was_compressed_but_not_sent_is_not_referred_to() {
        let (mut compressor, mut decompressor) = (Compressor::default(), Decompressor::default());
        let first = compress(&mut compressor, TAKEOVER, b"the first words");
        assert_eq!(inflate(&mut decompressor, TAKEOVER, &first).unwrap(), b"the first words");
        compressor.compress(TAKEOVER, 6, b"other words, never sent", true).unwrap().discard();
        let second = compress(&mut compressor, TAKEOVER, b"other words, never sent: the first words");
        assert_eq!(inflate(&mut decompressor, TAKEOVER, &second).unwrap(), b"other words, never sent: the first words");
    }

    fn words() -> impl Strategy<Value = Vec<u8>> {
        let word = proptest::sample::select(vec![&b"some "[..], b"words", b"\0", b"\xE2\x82\xAC", &[7; 300]]);
        let words = proptest::collection::vec(word, 0..40).prop_map(|words| words.concat());
        prop_oneof![words, proptest::collection::vec(any::<u8>(), 0..600)]
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            messages in proptest::collection::vec((words(), any::<proptest::sample::Index>()), 1..8),
            takeover: bool,
            window_bits in 9_u8..=15,
            level in 1_u8..=9,
        ) {
            let direction = Direction { takeover, window_bits };
            let (mut compressor, mut decompressor) = (Compressor::default(), Decompressor::default());
            for (message, cut) in &messages {
                // In two pieces, received in two parts that are cut elsewhere.
                let cut = cut.index(message.len() + 1);
                let mut payload = Vec::new();
                for (piece, last) in [(&message[..cut], false), (&message[cut..], true)] {
                    let compressed = compressor.compress(direction, level, piece, last).unwrap();
                    payload.extend(compressed.bytes());
                    compressor.keep(compressed, direction, piece, last);
                }
                let (start, end) = payload.split_at(cut.min(payload.len()));
                prop_assert_eq!(&inflate_pieces(&mut decompressor, direction, &[start, end]).unwrap(), message);
            }
            prop_assert!(takeover || compressor.is_empty() && decompressor.is_empty());
        }

        #[test]
        fn rubbish_is_an_error_or_a_message(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = inflate(&mut Decompressor::default(), TAKEOVER, &payload);
        }
    }
}
