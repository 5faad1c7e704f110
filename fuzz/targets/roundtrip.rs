//! What one end sends comes out the same at the other, however the bytes between them are cut.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use wsframe::connection::{Config, Connection, EventKind, ConfigFlag, Role, Settings, State};
use wsframe::error::Error;
use wsframe::frame::Opcode;
use wsframe_fuzz::{Counting, Cuts, Heard};

#[global_allocator]
static COUNTING: Counting = Counting;

#[derive(Arbitrary, Debug)]
struct Talk<'a> {
    is_client: bool,
    pieces: bool,
    in_place: bool,
    opens: bool,
    seed: u32,
    acts: Vec<Act<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Act<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    /// A binary message of one byte, repeated: long, but not for the fuzzer.
    Long(u8, u32),
    /// The message, text if it is, in pieces of so many bytes.
    Pieces(&'a [u8], u8),
    /// A piece, and whether it is the last.
    Piece(bool, &'a [u8], bool),
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    Close(u16, &'a [u8]),
    /// Lets the receiver have what is there.
    Deliver,
}

struct Ends {
    sender: Connection,
    receiver: Connection,
    heard: Heard,
    answered: Heard,
    cuts: Cuts,
    in_place: bool,
}

impl Ends {
    fn new(talk: &Talk) -> Self {
        let start_open = if talk.opens { 0 } else { ConfigFlag::StartOpen as u32 };
        let pieces = if talk.pieces { ConfigFlag::Pieces as u32 } else { 0 };
        let end = |role, flags| {
            let settings = Settings { flags: flags | start_open, ..Settings::default() };
            Connection::new(role, &Config { settings, ..Config::default() }).unwrap()
        };
        let (sender, receiver) =
            if talk.is_client { (Role::Client, Role::Server) } else { (Role::Server, Role::Client) };
        let mut ends = Self {
            sender: end(sender, 0),
            receiver: end(receiver, pieces),
            heard: Heard::default(),
            answered: Heard::default(),
            cuts: Cuts::new(talk.seed),
            in_place: talk.in_place,
        };
        if talk.opens {
            let client = if talk.is_client { &mut ends.sender } else { &mut ends.receiver };
            client.request(b"example.com", b"/chat").unwrap();
            ends.answer();
            ends.deliver();
            ends.answer();
            assert_eq!((ends.sender.state(), ends.receiver.state()), (State::Open, State::Open));
            ends.heard = Heard::default();
            ends.answered = Heard::default();
        }
        ends
    }

    /// From the sender to the receiver.
    fn deliver(&mut self) {
        carry(&mut self.sender, &mut self.receiver, &mut self.cuts, self.in_place, &mut self.heard);
    }

    /// And back.
    fn answer(&mut self) {
        carry(&mut self.receiver, &mut self.sender, &mut self.cuts, self.in_place, &mut self.answered);
    }
}

fn carry(from: &mut Connection, to: &mut Connection, cuts: &mut Cuts, in_place: bool, heard: &mut Heard) {
    while !from.output().is_empty() {
        let len = cuts.next_len(from.output().len());
        // A long output also in long parts, or it takes too long.
        let len = if from.output().len() > 100_000 { len.max(from.output().len() / 3) } else { len };
        let mut part = from.output()[..len].to_vec();
        from.sent(len).unwrap();
        if in_place { to.receive_in_place(&mut part) } else { to.receive(&part) }.unwrap();
        heard.note(to, &part, true);
    }
}

fuzz_target!(|talk: Talk| {
    let mut ends = Ends::new(&talk);
    let mut expected = Heard::default();
    let mut pongs = Vec::new();
    // The opcode and the bytes of a message that is sent in pieces.
    let mut begun: Option<(Opcode, Vec<u8>)> = None;
    let mut expect =
        |kind: EventKind, code: u16, data: &[u8]| expected.events.push((kind as u8, code, 0, data.to_vec()));
    let mut total = 0;
    for act in &talk.acts {
        let is_open = ends.sender.state() == State::Open;
        let sender = &mut ends.sender;
        match act {
            Act::Text(text) => match sender.send(Opcode::Text, text.as_bytes()) {
                Ok(()) => expect(EventKind::Text, 0, text.as_bytes()),
                Err(error) => assert!(!is_open || begun.is_some(), "{error}"),
            },
            Act::Binary(data) => match sender.send(Opcode::Binary, data) {
                Ok(()) => expect(EventKind::Binary, 0, data),
                Err(error) => assert!(!is_open || begun.is_some(), "{error}"),
            },
            Act::Long(byte, len) => {
                let data = vec![*byte; *len as usize % 70_000];
                total += data.len();
                if total > 1 << 20 {
                    return;
                }
                match sender.send(Opcode::Binary, &data) {
                    Ok(()) => expect(EventKind::Binary, 0, &data),
                    Err(error) => assert!(!is_open || begun.is_some(), "{error}"),
                }
            }
            Act::Pieces(data, len) => {
                if begun.is_some() || !is_open {
                    continue;
                }
                let (opcode, kind) = match std::str::from_utf8(data) {
                    Ok(_) => (Opcode::Text, EventKind::Text),
                    Err(_) => (Opcode::Binary, EventKind::Binary),
                };
                for piece in data.chunks(usize::from(*len).max(1)) {
                    sender.send_piece(opcode, piece, false).unwrap();
                }
                sender.send_piece(opcode, b"", true).unwrap();
                expect(kind, 0, data);
            }
            Act::Piece(is_text, data, last) => {
                let opcode = if *is_text { Opcode::Text } else { Opcode::Binary };
                let before = begun.take();
                let so_far = match &before {
                    Some((_, so_far)) => [so_far, *data].concat(),
                    None => data.to_vec(),
                };
                let fits = before.as_ref().is_none_or(|(begun, _)| *begun == opcode);
                let is_valid = !is_text
                    || match std::str::from_utf8(&so_far) {
                        Ok(_) => true,
                        Err(error) => !last && error.error_len().is_none(),
                    };
                let result = sender.send_piece(opcode, data, *last);
                let wanted = match (is_open, fits, is_valid) {
                    (false, ..) => Err(Error::WrongState),
                    (_, false, _) => Err(Error::MessageNotFinished),
                    (.., false) => Err(Error::SendInvalidUtf8),
                    _ => Ok(()),
                };
                assert_eq!(result, wanted);
                match result {
                    Ok(()) if *last => {
                        expect(if *is_text { EventKind::Text } else { EventKind::Binary }, 0, &so_far);
                    }
                    Ok(()) => begun = Some((opcode, so_far)),
                    Err(_) => begun = before,
                }
            }
            Act::Ping(data) => match sender.ping(data) {
                Ok(()) => {
                    expect(EventKind::Ping, 0, data);
                    pongs.push(data.to_vec());
                }
                Err(error) => assert!(!is_open || data.len() > 125, "{error}"),
            },
            Act::Pong(data) => match sender.pong(data) {
                // Behind its own close frame an end may still answer, but the other one does not look any more.
                Ok(()) if !is_open => {}
                Ok(()) => expect(EventKind::Pong, 0, data),
                Err(error) => assert!(!is_open || data.len() > 125, "{error}"),
            },
            Act::Close(code, reason) => {
                if sender.close(*code, reason).is_ok() {
                    assert!(is_open && reason.len() <= 123 && std::str::from_utf8(reason).is_ok());
                    expect(EventKind::Close, *code, reason);
                    assert_eq!(sender.state(), State::Closing);
                }
            }
            Act::Deliver => ends.deliver(),
        }
    }
    ends.deliver();
    if let Some((_, data)) = begun {
        // Not ended: in pieces it may be there, as far as characters are whole.
        assert!(data.starts_with(&ends.heard.unfinished));
    }
    assert_eq!(ends.heard.events, expected.events);
    assert_eq!(ends.receiver.error(), None);

    // Each ping is answered, unless so many waited that only the last was; a close by the same code.
    let backlog = ends.receiver.output().len() > 60_000;
    ends.answer();
    assert_eq!(ends.sender.error(), None);
    let answered = |kind: EventKind| ends.answered.events.iter().filter(move |event| event.0 == kind as u8);
    if !backlog {
        assert!(answered(EventKind::Pong).map(|event| &event.3).eq(&pongs));
    }
    let close = expected.events.last().filter(|event| event.0 == EventKind::Close as u8);
    assert_eq!(answered(EventKind::Close).map(|event| event.1).next(), close.map(|event| event.1));
    if close.is_some() {
        assert_eq!((ends.sender.state(), ends.receiver.state()), (State::Closed, State::Closed));
    }
});
