//! permessage-deflate (RFC 7692), as a client has it that compresses each message on its own.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What is offered, as browsers do.
pub const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// How compressed data end that are flushed: it is not sent.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// How far back a client's messages may refer, as a power of two, by the server's answer to the offer.
pub fn window_bits(answer: &str) -> Result<u8, String> {
    let mut parameters = answer.split(';').map(str::trim);
    let bits = match parameters.next() {
        Some("permessage-deflate") => {
            parameters.find_map(|parameter| parameter.strip_prefix("client_max_window_bits="))
        }
        _ => return Err(format!("the server answers the offer of {OFFER} with {answer:?}")),
    };
    let bits = bits.map_or(Ok(15), |bits| bits.trim_matches('"').parse());
    // zlib has no window of 8 bits.
    bits.ok().filter(|bits| (9..=15).contains(bits)).ok_or(format!("not a window to compress with: {answer:?}"))
}

pub fn compressed(payload: &[u8], window_bits: u8) -> Vec<u8> {
    let mut compress = Compress::new_with_window_bits(Compression::default(), false, window_bits);
    let mut out = Vec::with_capacity(payload.len() / 2 + 64);
    loop {
        let read = compress.total_in() as usize;
        compress.compress_vec(&payload[read..], &mut out, FlushCompress::Sync).expect("deflate takes all bytes");
        if out.len() < out.capacity() {
            break;
        }
        out.reserve(out.len());
    }
    assert!(out.ends_with(&TAIL), "a flush ends with an empty block");
    out.truncate(out.len() - TAIL.len());
    out
}

/// Reads the messages of one connection, which may refer to those before them.
pub struct Inflater {
    inflate: Decompress,
    inflated: Box<[u8]>,
}

impl Inflater {
    pub fn new() -> Self {
        Self { inflate: Decompress::new(false), inflated: vec![0; 16 << 10].into() }
    }

    /// Lets `take` have what a part of a message stands for, in pieces.
    pub fn inflate(
        &mut self,
        mut part: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        loop {
            let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
            let done = self.inflate.decompress(part, &mut self.inflated, FlushDecompress::None);
            let (read, written) = (self.inflate.total_in() - read, (self.inflate.total_out() - written) as usize);
            take(&self.inflated[..written])?;
            part = &part[read as usize..];
            match done {
                Err(error) => return Err(format!("an echo that cannot be inflated: {error}")),
                Ok(Status::StreamEnd) => return Err("an echo that ends the compressed stream".into()),
                Ok(_) if part.is_empty() && written < self.inflated.len() => return Ok(()),
                Ok(_) => {}
            }
        }
    }

    /// The same for what every message ends with.
    pub fn end(&mut self, take: impl FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
        self.inflate(&TAIL, take)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_what_the_server_says() {
        assert_eq!(window_bits("permessage-deflate"), Ok(15));
        assert_eq!(window_bits("permessage-deflate; server_no_context_takeover; client_max_window_bits=12"), Ok(12));
        assert_eq!(window_bits("permessage-deflate;client_max_window_bits=\"9\""), Ok(9));
        for wrong in ["", "permessage-bzip2", "permessage-deflate; client_max_window_bits=8"] {
            window_bits(wrong).unwrap_err();
        }
    }

    #[test]
    fn what_is_compressed_is_inflated_in_parts_of_every_size() {
        let mut inflater = Inflater::new();
        for len in [0, 1, 20, 100_000] {
            let payload: Vec<u8> = (0..len).map(|number: u32| (number.wrapping_mul(number) >> 8) as u8).collect();
            let compressed = compressed(&payload, 9);
            for size in [1, 7, 1 << 20] {
                let mut inflated = Vec::new();
                let mut take = |bytes: &[u8]| {
                    inflated.extend_from_slice(bytes);
                    Ok(())
                };
                compressed.chunks(size).try_for_each(|part| inflater.inflate(part, &mut take)).unwrap();
                inflater.end(&mut take).unwrap();
                assert_eq!(inflated, payload);
            }
        }
    }

    #[test]
    fn what_is_not_deflate_is_wrong() {
        for wrong in [&[0xff; 20][..], &[0x03, 0x00]] {
            Inflater::new().inflate(wrong, |_| Ok(())).unwrap_err();
        }
    }
}
