//! What the fuzz targets share.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use wsframe::connection::{Compress, Config, Connection, Event, EventFlag, EventKind, Message, Role, State, Without};
use wsframe::error::Error;
use wsframe::frame::{Header, Opcode};
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
    /// How many bytes the calls hold.
    pub fn held(&self) -> usize {
        self.held
    }

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

/// What one call delivers at most: events, and bytes beyond the longest message.
const BATCH_EVENTS: usize = 4094;
const BATCH_LEN: u64 = 1 << 20;

/// Receives, with as many calls as that takes, and takes down what happened. `longest` is the longest message, or head.
pub fn receive(
    connection: &mut Connection,
    input: &mut [u8],
    in_place: bool,
    longest: u64,
    heard: &mut Heard,
    meter: &mut Meter,
) {
    let is_over = matches!(connection.state(), State::Closed | State::Failed);
    if in_place {
        meter.measure(|| connection.receive_in_place(input)).unwrap();
    } else {
        meter.measure(|| connection.receive(input)).unwrap();
    }
    assert!(!is_over || connection.events().is_empty(), "what comes after the end is ignored");
    hear_all(connection, input, longest, heard, meter);
}

/// Takes down what a call has left, and what it has not delivered yet.
pub fn hear_all(connection: &mut Connection, input: &[u8], longest: u64, heard: &mut Heard, meter: &mut Meter) {
    loop {
        assert!(connection.events().len() <= BATCH_EVENTS, "{} events", connection.events().len());
        assert!(connection.data().len() as u64 <= longest + BATCH_LEN, "{} bytes", connection.data().len());
        heard.note(connection, input);
        if !connection.has_more() {
            return;
        }
        assert!(!connection.events().is_empty(), "there is more of nothing");
        meter.measure(|| connection.receive(&[])).unwrap();
    }
}

/// Ends a turn in which `sent` bytes of the output were written, and takes them down. Returns the time to wait.
pub fn turn(connection: &mut Connection, sent: usize, now_ms: u64, written: &mut Vec<u8>, meter: &mut Meter) -> u32 {
    let waits: Vec<u8> = connection.parts().flatten().copied().collect();
    assert_eq!(waits.len(), connection.waiting());
    assert_eq!(connection.output(waits.len() + 1, now_ms), Err(Error::SentTooMuch));
    written.extend(&waits[..sent]);
    let wait_ms = meter.measure(|| connection.output(sent, now_ms).unwrap().wait_ms);
    let left: Vec<u8> = connection.parts().flatten().copied().collect();
    assert!(left.starts_with(&waits[sent..]) || wait_ms == 0, "what was not written waits still");
    assert!(connection.events().is_empty());
    assert!(wait_ms > 0 || left.is_empty(), "TCP is not to be closed while {} bytes wait", left.len());
    let first = meter.measure(|| connection.output(0, now_ms)).unwrap();
    assert!(left.starts_with(first.bytes) && first.bytes.is_empty() == left.is_empty());
    assert_eq!(first.wait_ms, wait_ms, "at the same time");
    wait_ms
}

/// Has all the output written, and takes it down. Returns the time to wait.
pub fn write_all(connection: &mut Connection, now_ms: u64, written: &mut Vec<u8>, meter: &mut Meter) -> u32 {
    loop {
        let wait_ms = turn(connection, connection.waiting(), now_ms, written, meter);
        if connection.waiting() == 0 {
            return wait_ms;
        }
    }
}

/// The same for a host whose writes take all that they are given.
pub fn take_all(connection: &mut Connection, now_ms: u64, written: &mut Vec<u8>, meter: &mut Meter) -> u32 {
    loop {
        let (lending, wait_ms, is_more) = meter.measure(|| connection.take_output(now_ms)).unwrap();
        if lending.len > 0 {
            // SAFETY: so many bytes are lent until the next call.
            written.extend(unsafe { std::slice::from_raw_parts(lending.data, lending.len) });
        }
        assert_eq!(is_more, connection.waiting() > 0);
        assert!(wait_ms > 0 || !is_more, "TCP is not to be closed while {} bytes wait", connection.waiting());
        if !is_more {
            return wait_ms;
        }
    }
}

/// Ends TCP: there is one last event, the connection holds nothing beyond what was agreed on, and nothing can be done any
/// more. Another connection has to live in this thread, or what all of them share is given back as well.
pub fn end(mut connection: Connection, role: Role) {
    let (state, error) = (connection.state(), connection.error());
    connection.gone().unwrap();
    let [event] = connection.events() else { panic!("one event: {:?}", connection.events()) };
    assert!(event.is(EventKind::Gone) && event.len == 0 && event.flags == 0, "{event:?}");
    assert_eq!(event.error, error.map_or(0, |error| error.code() as i32));
    assert!(event.close_code == 1006 || state == State::Closed && event.close_code >= 1000, "{event:?} {state:?}");
    assert!(!connection.has_more() && connection.waiting() == 0);
    check_over(&mut connection, role);
    connection.gone().unwrap();
    assert!(connection.events().is_empty(), "it is said once");
    let output = connection.output(0, 0).unwrap();
    assert_eq!((output.bytes, output.wait_ms), (&[][..], 0));
    let before = HELD.get();
    drop(connection);
    let held = before.wrapping_sub(HELD.get());
    assert!(held <= AGREED, "it held {held} bytes");
}

/// The name of a subprotocol, and where it is.
const AGREED: usize = 64;

/// Calls on a connection that is over, whoever ended it, do nothing, and are no errors.
pub fn check_over(connection: &mut Connection, role: Role) {
    let before = (connection.state(), connection.error(), connection.waiting());
    for opcode in [Opcode::Text, Opcode::Binary, Opcode::Ping, Opcode::Pong] {
        assert_eq!(connection.send(opcode, b"late"), Ok(0), "{opcode:?}");
    }
    assert_eq!(connection.send_as(Opcode::Text, b"late", Compress::Never, true), Ok(0));
    assert_eq!(connection.send_many(Opcode::Text, [&b"late"[..]].into_iter(), Compress::IfShorter), Ok(0));
    let message = Message::new(Opcode::Text, b"late", Compress::IfShorter, &Config::default()).unwrap();
    assert_eq!(connection.send_message(&message), Ok(0));
    assert_eq!(connection.close(1000, b"late"), Ok(0));
    assert_eq!(connection.respond(404, b"late"), Ok(0));
    assert_eq!(connection.add_field(b"too", b"late"), Ok(()));
    let requested = if role == Role::Client { Ok(0) } else { Err(Error::NotAClient) };
    assert_eq!(connection.request(b"example.com", b"/"), requested);
    connection.accept(None, Without::Nothing).unwrap();
    assert!(connection.events().is_empty());
    connection.receive(b"\x81\x00").unwrap();
    assert!(connection.events().is_empty() && !connection.has_more());
    assert_eq!(before, (connection.state(), connection.error(), connection.waiting()));
}

/// What has happened on a connection, however it was cut into calls: pieces of a message are put together.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    pub events: Vec<(u8, u16, i32, Vec<u8>)>,
    /// What has been delivered of a message that did not end.
    pub unfinished: Vec<u8>,
    /// What it is.
    pub unfinished_kind: u8,
    /// Whether text need not be UTF-8.
    pub skips_utf8: bool,
}

impl Heard {
    /// Takes down the events of one call, of which those in place are in `input`.
    fn note(&mut self, connection: &Connection, input: &[u8]) {
        for event in connection.events() {
            let in_place = event.flags & EventFlag::InPlace as u8 != 0;
            let from = if in_place { input } else { connection.data() };
            assert!(event.offset + event.len <= from.len() as u64, "{event:?} of {} bytes", from.len());
            self.note_event(*event, event.data(from));
        }
    }

    /// Takes down that TCP has ended, which is the last event, whatever was before.
    pub fn note_last(&mut self, event: Event) {
        assert!(event.is(EventKind::Gone) && !self.events.iter().any(|(kind, ..)| *kind == EventKind::Gone as u8));
        self.events.push((event.kind, event.close_code, event.error, Vec::new()));
    }

    /// Takes down an event, whose data these are.
    pub fn note_event(&mut self, event: Event, data: &[u8]) {
        let last = self.events.last().map(|event| event.0);
        let is_over =
            [EventKind::Close, EventKind::Error, EventKind::Gone].iter().any(|&kind| last == Some(kind as u8));
        assert!(!is_over, "{event:?} after the end");
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
        assert!(!is_text || self.skips_utf8 || std::str::from_utf8(data).is_ok(), "text is UTF-8: {data:x?}");
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
