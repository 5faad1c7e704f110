//! DEFLATE (RFC 1951) and messages of permessage-deflate (RFC 7692 section 7.2.2) inflated the naive way: a bit at a time, as
//! the RFC says it, with all that ever came out kept. It also knows how far back anything referred, which no library tells.

#![allow(dead_code, reason = "every integration test is a crate of its own and uses a part of this")]

/// What inflates the messages of one end.
#[derive(Clone, Debug)]
pub(crate) struct Inflater {
    takeover: bool,
    window: usize,
    out: Vec<u8>,
    /// Nothing before this place in `out` may be referred to.
    base: usize,
    /// Whether pieces of the message have come.
    is_begun: bool,
    /// The longest distance of all references.
    pub(crate) farthest: usize,
}

/// The bits of a message, from the lowest of its first byte.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// How many codes of each length there are, and the symbols in the order of their codes.
struct Codes {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

const LENGTHS: [(usize, usize); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];
const DISTANCES: [(usize, usize); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];
/// In which order the lengths of the codes for lengths are sent (RFC 1951 section 3.2.7).
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

impl Inflater {
    /// For messages that may refer to those before them, or not, so far back: two to the `window_bits`.
    pub(crate) fn new(takeover: bool, window_bits: u8) -> Self {
        Self { takeover, window: 1 << window_bits, out: Vec::new(), base: 0, is_begun: false, farthest: 0 }
    }

    /// Inflates a message, or the last piece of one; `None` if it is none.
    pub(crate) fn message(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let start = self.out.len();
        self.begin_message();
        self.is_begun = false;
        if payload.is_empty() {
            // The empty message, or one that ends with the stream of its last piece.
            return Some(Vec::new());
        }
        let whole = [payload, &[0, 0, 0xFF, 0xFF]].concat();
        let mut bits = Bits { bytes: &whole, at: 0 };
        while bits.at < whole.len() * 8 {
            if self.block(&mut bits)? {
                bits.at = bits.at.next_multiple_of(8);
                self.begin_stream();
                if bits.at == payload.len() * 8 {
                    // The stream has ended with the message: there is no block to complete.
                    break;
                }
            }
        }
        Some(self.out[start..].to_vec())
    }

    /// Inflates what was flushed to the boundary of a byte: a piece of a message that is not the last.
    pub(crate) fn piece(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let start = self.out.len();
        self.begin_message();
        self.is_begun = true;
        let mut bits = Bits { bytes: payload, at: 0 };
        while bits.at < payload.len() * 8 {
            if self.block(&mut bits)? {
                return None;
            }
        }
        Some(self.out[start..].to_vec())
    }

    fn begin_message(&mut self) {
        if !self.is_begun {
            self.begin_stream();
        }
    }

    fn begin_stream(&mut self) {
        let reach = if self.takeover { self.window } else { 0 };
        self.base = self.base.max(self.out.len().saturating_sub(reach));
    }

    /// Inflates a block, and returns whether it is the last of its stream.
    fn block(&mut self, bits: &mut Bits<'_>) -> Option<bool> {
        let is_last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => self.stored(bits)?,
            1 => {
                let lens: Vec<usize> = (0..288)
                    .map(|symbol| [8, 9, 7, 8][[144, 256, 280, 288].partition_point(|&end| end <= symbol)])
                    .collect();
                self.compressed(bits, &Codes::new(&lens), &Codes::new(&[5; 30]))?;
            }
            2 => {
                let (literals, distances) = dynamic(bits)?;
                self.compressed(bits, &literals, &distances)?;
            }
            _ => return None,
        }
        Some(is_last)
    }

    fn stored(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        bits.at = bits.at.next_multiple_of(8);
        let (len, check) = (bits.take(16)?, bits.take(16)?);
        if len != check ^ 0xFFFF {
            return None;
        }
        for _ in 0..len {
            let byte = bits.take(8)?;
            self.out.push(byte as u8);
        }
        Some(())
    }

    fn compressed(&mut self, bits: &mut Bits<'_>, literals: &Codes, distances: &Codes) -> Option<()> {
        loop {
            match literals.read(bits)? {
                literal @ 0..256 => self.out.push(literal as u8),
                256 => return Some(()),
                symbol => {
                    let (len, more) = *LENGTHS.get(symbol - 257)?;
                    let len = len + bits.take(more)?;
                    let (distance, more) = *DISTANCES.get(distances.read(bits)?)?;
                    let distance = distance + bits.take(more)?;
                    self.farthest = self.farthest.max(distance);
                    if distance > self.out.len() - self.base {
                        return None;
                    }
                    for _ in 0..len {
                        self.out.push(self.out[self.out.len() - distance]);
                    }
                }
            }
        }
    }
}

/// The codes at the start of a block that has its own (RFC 1951 section 3.2.7), as strict about them as zlib.
fn dynamic(bits: &mut Bits<'_>) -> Option<(Codes, Codes)> {
    let (literals, distances, lengths) = (bits.take(5)? + 257, bits.take(5)? + 1, bits.take(4)? + 4);
    if literals > 286 || distances > 30 {
        return None;
    }
    let mut lens = [0; 19];
    for &at in &ORDER[..lengths] {
        lens[at] = bits.take(3)?;
    }
    let codes = Codes::new(&lens);
    if codes.left() != Some(0) {
        return None;
    }
    let mut lens = Vec::new();
    while lens.len() < literals + distances {
        match codes.read(bits)? {
            len @ 0..16 => lens.push(len),
            16 => {
                let before = *lens.last()?;
                lens.extend(vec![before; 3 + bits.take(2)?]);
            }
            17 => lens.extend(vec![0; 3 + bits.take(3)?]),
            _ => lens.extend(vec![0; 11 + bits.take(7)?]),
        }
    }
    if lens.len() > literals + distances || lens[256] == 0 {
        return None;
    }
    let (literals, distances) = (Codes::new(&lens[..literals]), Codes::new(&lens[literals..]));
    let is_allowed = |codes: &Codes| codes.left() == Some(0) || codes.left().is_some() && codes.longest() <= 1;
    (is_allowed(&literals) && is_allowed(&distances)).then_some((literals, distances))
}

impl Codes {
    fn new(lens: &[usize]) -> Self {
        let mut counts = [0; 16];
        for &len in lens.iter().filter(|&&len| len > 0) {
            counts[len] += 1;
        }
        let mut symbols: Vec<usize> = (0..lens.len()).filter(|&symbol| lens[symbol] > 0).collect();
        symbols.sort_by_key(|&symbol| lens[symbol]);
        Self { counts, symbols }
    }

    /// How many codes of 15 bits nobody has; `None` if there are more than that.
    fn left(&self) -> Option<usize> {
        let used: usize = (1..16).map(|len| self.counts[len] << (15 - len)).sum();
        (1_usize << 15).checked_sub(used)
    }

    fn longest(&self) -> usize {
        (1..16).rev().find(|&len| self.counts[len] > 0).unwrap_or(0)
    }

    fn read(&self, bits: &mut Bits<'_>) -> Option<usize> {
        let (mut code, mut first, mut at) = (0, 0, 0);
        for len in 1..16 {
            code |= bits.take(1)?;
            let count = self.counts[len];
            if code < first + count {
                return self.symbols.get(at + code - first).copied();
            }
            at += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<usize> {
        let mut number = 0;
        for place in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            number |= usize::from(byte >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        Some(number)
    }
}
