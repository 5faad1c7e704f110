//! What the fuzz targets share.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use wsframe::connection::{Connection, Event, EventFlag, EventKind};
use wsframe::error::Error;
use wsframe::frame::Header;
use wsframe::handshake::HeadReader;
use wsframe::mask::unmask;

/// The system's allocator, counting.
pub struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn grow(len: usize) {
    HELD.set(HELD.get().wrapping_add(len));
    PEAK.set(PEAK.get().max(HELD.get()));
}

// SAFETY: all of it is the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: as the caller guarantees.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.set(HELD.get().wrapping_sub(layout.size()));
        // SAFETY: as the caller guarantees.
        unsafe { System.dealloc(block, layout) }
    }

    // realloc() is that of the trait: a new block, a copy, and the old one freed, which is the worst there is.
}

/// What a library's calls hold, and held at most, without what the target itself allocates between them.
#[derive(Default)]
pub struct Meter {
    held: usize,
    pub peak: usize,
}

impl Meter {
    pub fn measure<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let before = HELD.get();
        PEAK.set(before);
        let result = call();
        self.peak = self.peak.max(self.held.wrapping_add(PEAK.get().wrapping_sub(before)));
        self.held = self.held.wrapping_add(HELD.get().wrapping_sub(before));
        result
    }
}

/// Cuts a stream into pieces whose lengths depend on `seed`: mostly short ones.
pub struct Cuts(u32);

impl Cuts {
    pub fn new(seed: u32) -> Self {
        Self(seed | 1)
    }

    /// The length of the next piece of what is left; 0 now and then.
    pub fn next_len(&mut self, left: usize) -> usize {
        // xorshift32
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        let largest = if self.0 & 7 == 0 { 4096 } else { 12 };
        ((self.0 >> 8) as usize % largest).min(left)
    }
}

/// Where a head ends, found at once and piece by piece.
pub fn head_end(input: &[u8], seed: u32) -> Result<Option<usize>, Error> {
    let whole = HeadReader::default().push(input);
    let mut reader = HeadReader::default();
    let mut cuts = Cuts::new(seed);
    let mut at = 0;
    let pieces = loop {
        let piece = &input[at..at + cuts.next_len(input.len() - at)];
        match reader.push(piece) {
            Ok(Some(end)) => break Ok(Some(at + end)),
            Ok(None) if at + piece.len() == input.len() => break Ok(None),
            Ok(None) => at += piece.len(),
            Err(error) => break Err(error),
        }
    };
    assert_eq!(whole, pieces, "a head at once and in pieces");
    whole
}

/// The lines of a head, the naive way; only for heads that the library has accepted.
pub fn lines(head: &[u8]) -> (Vec<&[u8]>, Vec<(String, &[u8])>) {
    let head = head.strip_suffix(b"\r\n\r\n").expect("a head ends with a blank line");
    let text: Vec<&[u8]> = split(head, b"\r\n").into_iter().skip_while(|line| line.is_empty()).collect();
    let (first, fields) = text.split_first().expect("a head has a first line");
    let fields = fields.iter().map(|line| {
        let colon = line.iter().position(|&byte| byte == b':').expect("a field has a colon");
        (String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase(), line[colon + 1..].trim_ascii())
    });
    (split(first, b" "), fields.collect())
}

fn split<'a>(text: &'a [u8], at: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(found) = rest.windows(at.len()).position(|window| window == at) {
        parts.push(&rest[..found]);
        rest = &rest[found + at.len()..];
    }
    parts.push(rest);
    parts
}

/// Whether the fields called `name` list `element`, the naive way. Only ASCII can be in such a list.
pub fn lists(fields: &[(String, &[u8])], name: &str, element: &str) -> bool {
    let elements = values(fields, name).into_iter().filter_map(|value| std::str::from_utf8(value).ok());
    elements
        .flat_map(|value| value.split(','))
        .any(|found| found.trim_matches([' ', '\t']).eq_ignore_ascii_case(element))
}

/// The values of the fields called `name`.
pub fn values<'a>(fields: &[(String, &'a [u8])], name: &str) -> Vec<&'a [u8]> {
    fields.iter().filter(|(found, _)| found == name).map(|(_, value)| *value).collect()
}

/// What has happened on a connection, however it was cut into calls: pieces of a message are put together.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    pub events: Vec<(u8, u16, i32, Vec<u8>)>,
    /// What has been delivered of a message that did not end.
    pub unfinished: Vec<u8>,
    /// What it is.
    pub unfinished_kind: u8,
}

impl Heard {
    /// Takes down the events of one call, of which those in place are in `input`.
    pub fn note(&mut self, connection: &Connection, input: &[u8], text_is_checked: bool) {
        for event in connection.events() {
            let in_place = event.flags & EventFlag::InPlace as u8 != 0;
            let from = if in_place { input } else { connection.data() };
            assert!(event.offset + event.length <= from.len() as u64, "{event:?} of {} bytes", from.len());
            self.note_event(*event, event.data(from), text_is_checked);
        }
    }

    fn note_event(&mut self, event: Event, data: &[u8], text_is_checked: bool) {
        let ended = self.events.last().is_some_and(|event| event.0 >= EventKind::Close as u8);
        assert!(!ended, "{event:?} after the end");
        assert_eq!(event.connection, 0);
        let (first, last) = (event.flags & EventFlag::First as u8 != 0, event.flags & EventFlag::Last as u8 != 0);
        let is_text = event.is(EventKind::Text);
        if !is_text && !event.is(EventKind::Binary) {
            assert!(!first && !last, "{event:?}");
            self.events.push((event.kind, event.close_code, event.error, data.to_vec()));
            return;
        }
        assert_eq!(first, self.unfinished_kind == 0, "FIRST on the first piece and no other: {event:?}");
        assert!(first || self.unfinished_kind == event.kind);
        assert!(!is_text || !text_is_checked || std::str::from_utf8(data).is_ok(), "text is UTF-8: {data:x?}");
        self.unfinished.extend(data);
        self.unfinished_kind = event.kind;
        if last {
            self.events.push((event.kind, 0, 0, std::mem::take(&mut self.unfinished)));
            self.unfinished_kind = 0;
        }
    }
}

/// The frames of an output, without their masking keys, which are random. A head before them is left out.
pub fn frames(output: &[u8]) -> Vec<(Header, Vec<u8>)> {
    let head = if output.starts_with(b"GET ") { HeadReader::default().push(output).unwrap().unwrap() } else { 0 };
    let mut rest = &output[head..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let (header, header_len) = Header::parse(rest).expect("a valid header").expect("a whole header");
        let len = usize::try_from(header.payload_len).unwrap();
        let mut payload = rest[header_len..header_len + len].to_vec();
        if let Some(key) = header.mask_key {
            unmask(&mut payload, key, 0);
        }
        frames.push((Header { mask_key: None, ..header }, payload));
        rest = &rest[header_len + len..];
    }
    frames
}
