//! A connection, as the Rust API and the C functions give it. Both answer as C does: a count, or a code below 0.

use std::ffi::c_void;
use std::ptr::{null, null_mut};

pub(crate) use wsframe::connection::Event;
use wsframe::connection::{Compress, Config, ConfigFlag, Connection, Message, Role, Settings, Without};
use wsframe::error::{Error, ErrorCode};
use wsframe::ffi;
use wsframe::frame::Opcode;

use crate::failing::armed;
use crate::vector::{Action, COMPRESSED, Deflate, Doing, PLAIN, Part, Vector, show};

pub(crate) trait Subject: Sized {
    const NAME: &'static str;

    fn new(role: u32, config: &[String]) -> Result<Self, isize>;
    fn receive(&mut self, input: &mut [u8], in_place: bool) -> isize;
    fn act(&mut self, action: &Action) -> isize;
    /// The events of the last call that returned a number of them, and their data.
    fn batch(&self) -> (Vec<Event>, Vec<u8>);
    /// Whether that call has left some.
    fn has_more(&self) -> bool;
    /// Ends a turn: so much was written, and so late it is. Returns the time to wait.
    fn turn(&mut self, sent: usize, now: u64) -> Result<u32, isize>;
    /// What waits to be written since the last turn.
    fn output(&mut self) -> Vec<u8>;
    fn state(&self) -> isize;
    fn target(&self) -> Option<Vec<u8>>;
    fn field(&self, name: &str) -> Option<Vec<u8>>;
    fn subprotocol(&self) -> Option<Vec<u8>>;
    fn deflate(&self) -> Option<Deflate>;
    /// Whether there is a sentence for the log.
    fn has_sentence(&self) -> bool;
    fn skips_utf8(&self) -> bool;

    /// What else a vector shows.
    fn try_more(_vector: &Vector, _role: u32) -> Result<(), String> {
        Ok(())
    }
}

/// The words of a `config` line.
#[derive(Default)]
struct Words {
    flags: u32,
    numbers: Vec<(String, u64)>,
    subprotocols: String,
    origins: String,
    extensions: String,
    subprotocol: String,
    target: String,
}

impl Words {
    fn read(config: &[String]) -> Self {
        let mut words = Self::default();
        for word in config {
            match word.split_once('=') {
                None => words.flags |= flag(word) as u32,
                Some(("subprotocols", list)) => words.subprotocols = list.to_owned(),
                Some(("origins", list)) => words.origins = list.to_owned(),
                Some(("extensions", field)) => words.extensions = field.to_owned(),
                Some(("subprotocol", name)) => words.subprotocol = name.to_owned(),
                Some(("target", path)) => words.target = path.to_owned(),
                Some((name, number)) => {
                    let number = number.parse().unwrap_or_else(|_| panic!("{word}: not a number"));
                    words.numbers.push((name.to_owned(), number));
                }
            }
        }
        words
    }
}

fn flag(word: &str) -> ConfigFlag {
    match word {
        "ask" => ConfigFlag::Ask,
        "pieces" => ConfigFlag::Pieces,
        "manual_pong" => ConfigFlag::ManualPong,
        "start_open" => ConfigFlag::StartOpen,
        "deflate" => ConfigFlag::Deflate,
        "server_no_context_takeover" => ConfigFlag::ServerNoContextTakeover,
        "client_no_context_takeover" => ConfigFlag::ClientNoContextTakeover,
        "accept_any_mask" => ConfigFlag::AcceptAnyMask,
        "accept_long_lengths" => ConfigFlag::AcceptLongLengths,
        "skip_utf8" => ConfigFlag::SkipUtf8,
        "accept_any_close_code" => ConfigFlag::AcceptAnyCloseCode,
        _ => panic!("unknown flag {word}"),
    }
}

/// Sets the numbers of a config, whose fields have the same names in Rust and in C.
macro_rules! set_numbers {
    ($numbers:expr, $config:expr) => {
        for (name, number) in $numbers {
            let short = u32::try_from(*number).unwrap_or(u32::MAX);
            // Bytes in Rust, of which 255 is as wrong as anything above.
            let byte = u8::try_from(*number).unwrap_or(u8::MAX).into();
            match name.as_str() {
                "max_message_len" => $config.max_message_len = *number,
                "max_frame_len" => $config.max_frame_len = *number,
                "max_inflated_len" => $config.max_inflated_len = *number,
                "high_water_len" => $config.high_water_len = *number,
                "max_fragments" => $config.max_fragments = short,
                "max_head_len" => $config.max_head_len = short,
                "max_head_fields" => $config.max_head_fields = short,
                "handshake_timeout_ms" => $config.handshake_timeout_ms = short,
                "close_timeout_ms" => $config.close_timeout_ms = short,
                "ping_interval_ms" => $config.ping_interval_ms = short,
                "deflate_min_len" => $config.deflate_min_len = short,
                "deflate_level" => $config.deflate_level = byte,
                "server_max_window_bits" => $config.server_max_window_bits = byte,
                "client_max_window_bits" => $config.client_max_window_bits = byte,
                _ => panic!("unknown field {name}"),
            }
        }
    };
}

pub(crate) struct Rust {
    connection: Connection,
    config: Config,
}

pub(crate) fn code(result: Result<usize, Error>) -> isize {
    match result {
        Ok(count) => count as isize,
        Err(error) => error.code() as isize,
    }
}

pub(crate) fn config_of(config: &[String]) -> Config {
    let words = Words::read(config);
    let list = |list: &str| list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let mut settings = Settings { flags: words.flags, ..Settings::default() };
    set_numbers!(&words.numbers, settings);
    Config {
        subprotocols: list(&words.subprotocols),
        origins: list(&words.origins),
        extensions: Some(words.extensions).filter(|field| !field.is_empty()),
        subprotocol: Some(words.subprotocol).filter(|name| !name.is_empty()),
        target: Some(words.target).filter(|path| !path.is_empty()),
        settings,
    }
}

pub(crate) const fn role_of(role: u32) -> Role {
    if role == 0 { Role::Server } else { Role::Client }
}

/// The value of a field, which has to be the same by its number.
fn same_by_number(
    name: &str,
    value: Option<Vec<u8>>,
    at: impl Fn(usize) -> Option<(Vec<u8>, Vec<u8>)>,
) -> Option<Vec<u8>> {
    let mut fields = (0..).map_while(at);
    let found = fields.find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value);
    assert_eq!(found, value, "{name}, in turn and by name");
    found
}

pub(crate) fn opcode(number: u32) -> Opcode {
    Opcode::from_first_byte(number as u8).unwrap()
}

pub(crate) const fn compress(flag: u32) -> Compress {
    match flag {
        PLAIN => Compress::Never,
        COMPRESSED => Compress::Always,
        _ => Compress::IfShorter,
    }
}

/// Does what a step says by the functions of a connection.
pub(crate) fn act(c: &mut Connection, config: &Config, action: &Action) -> isize {
    let events = |done: Result<(), Error>, c: &Connection| code(done.map(|()| c.events().len()));
    match action {
        Action::Send(number, 0, payload) => code(c.send(opcode(*number), payload)),
        Action::Send(number, flag, payload) => code(c.send_as(opcode(*number), payload, compress(*flag), false)),
        Action::SendMany(number, flag, messages) => {
            code(c.send_many(opcode(*number), messages.iter().map(Vec::as_slice), compress(*flag)))
        }
        Action::SendMessage(number, flag, payload) => {
            let message = Message::new(opcode(*number), payload, compress(*flag), config);
            code(message.and_then(|message| c.send_message(&message)))
        }
        Action::Piece(number, flag, payload, last) => code(c.send_as(opcode(*number), payload, compress(*flag), !last)),
        Action::Close(number, reason) => code(c.close(u16::try_from(*number).unwrap(), reason)),
        Action::Request(host, target) => code(c.request(host, target)),
        Action::AddField(name, value) => code(c.add_field(name, value).map(|()| 0)),
        Action::Accept(subprotocol, without_deflate) => {
            let name = str::from_utf8(subprotocol).unwrap();
            let without = if *without_deflate { Without::Deflate } else { Without::Nothing };
            let accepted = c.accept(Some(name).filter(|name| !name.is_empty()), without);
            events(accepted, c)
        }
        Action::Respond(status, body) => code(c.respond(u16::try_from(*status).unwrap(), body)),
        Action::Receive(input) => {
            let received = c.receive(input);
            events(received, c)
        }
        Action::Gone => {
            let gone = c.gone();
            events(gone, c)
        }
        Action::Write(_) | Action::New => panic!("no call of this kind: {action:?}"),
    }
}

pub(crate) fn agreed(c: &Connection) -> Option<Deflate> {
    c.deflate().map(|agreed| Deflate {
        no_takeover: [agreed.server_no_context_takeover, agreed.client_no_context_takeover],
        window_bits: [agreed.server_max_window_bits, agreed.client_max_window_bits],
    })
}

/// A field by its name, which has to be the same by its number.
pub(crate) fn field_of(c: &Connection, name: &str) -> Option<Vec<u8>> {
    let at = |number| c.fields().nth(number).map(|(name, value)| (name.into(), value.to_vec()));
    same_by_number(name, c.field(name).map(<[u8]>::to_vec), at)
}

impl Subject for Rust {
    const NAME: &'static str = "the Rust API";

    fn new(role: u32, config: &[String]) -> Result<Self, isize> {
        let config = config_of(config);
        let connection = Connection::new(role_of(role), &config).map_err(|error| error.code() as isize)?;
        Ok(Self { connection, config })
    }

    fn receive(&mut self, input: &mut [u8], in_place: bool) -> isize {
        let received = if in_place { self.connection.receive_in_place(input) } else { self.connection.receive(input) };
        code(received.map(|()| self.connection.events().len()))
    }

    fn act(&mut self, action: &Action) -> isize {
        act(&mut self.connection, &self.config, action)
    }

    fn batch(&self) -> (Vec<Event>, Vec<u8>) {
        (self.connection.events().to_vec(), self.connection.data().to_vec())
    }

    fn has_more(&self) -> bool {
        self.connection.has_more()
    }

    fn turn(&mut self, sent: usize, now: u64) -> Result<u32, isize> {
        self.connection.output(sent, now).map(|output| output.wait_ms).map_err(|error| error.code() as isize)
    }

    fn output(&mut self) -> Vec<u8> {
        self.connection.parts().flatten().copied().collect()
    }

    fn state(&self) -> isize {
        self.connection.state() as isize
    }

    fn target(&self) -> Option<Vec<u8>> {
        self.connection.target().map(|target| target.as_bytes().to_vec())
    }

    fn field(&self, name: &str) -> Option<Vec<u8>> {
        field_of(&self.connection, name)
    }

    fn subprotocol(&self) -> Option<Vec<u8>> {
        self.connection.subprotocol().map(|name| name.as_bytes().to_vec())
    }

    fn deflate(&self) -> Option<Deflate> {
        agreed(&self.connection)
    }

    fn has_sentence(&self) -> bool {
        self.connection.error().is_some()
    }

    fn skips_utf8(&self) -> bool {
        self.config.settings.has(ConfigFlag::SkipUtf8)
    }
}

pub(crate) struct C {
    connection: *mut ffi::wsframe_connection,
    batch: ffi::wsframe_batch,
    words: Words,
    skips_utf8: bool,
}

impl Drop for C {
    fn drop(&mut self) {
        // SAFETY: from wsframe_connection_new(), and not used any more.
        unsafe { armed(|| ffi::wsframe_connection_free(self.connection)) };
    }
}

impl C {
    /// Calls `lend` and copies what it lends.
    fn lent(&self, lend: impl FnOnce(*const ffi::wsframe_connection, *mut *const c_void) -> isize) -> Option<Vec<u8>> {
        let mut place = null();
        let len = usize::try_from(lend(self.connection, &raw mut place)).expect("it can be lent");
        if place.is_null() {
            assert_eq!(len, 0, "a NULL pointer has a length");
            return None;
        }
        // SAFETY: the function lends so many bytes until the next call.
        Some(unsafe { std::slice::from_raw_parts(place.cast::<u8>(), len) }.to_vec())
    }
}

/// The config that `words` describes, whose lists live as long as they.
fn c_config(words: &Words) -> ffi::wsframe_config {
    let mut config = ffi::wsframe_config {
        struct_size: u32::try_from(size_of::<ffi::wsframe_config>()).unwrap(),
        flags: words.flags,
        max_message_len: 0,
        max_frame_len: 0,
        max_inflated_len: 0,
        high_water_len: 0,
        max_fragments: 0,
        max_head_len: 0,
        max_head_fields: 0,
        handshake_timeout_ms: 0,
        close_timeout_ms: 0,
        ping_interval_ms: 0,
        subprotocols: words.subprotocols.as_ptr().cast(),
        subprotocols_len: words.subprotocols.len(),
        origins: words.origins.as_ptr().cast(),
        origins_len: words.origins.len(),
        deflate_min_len: 0,
        deflate_level: 0,
        server_max_window_bits: 0,
        client_max_window_bits: 0,
        extensions: words.extensions.as_ptr().cast(),
        extensions_len: words.extensions.len(),
        subprotocol: words.subprotocol.as_ptr().cast(),
        subprotocol_len: words.subprotocol.len(),
        target: words.target.as_ptr().cast(),
        target_len: words.target.len(),
    };
    set_numbers!(&words.numbers, config);
    config
}

fn parts(bytes: &[u8]) -> (*const c_void, usize) {
    (bytes.as_ptr().cast(), bytes.len())
}

impl Subject for C {
    const NAME: &'static str = "the C functions";

    fn new(role: u32, config: &[String]) -> Result<Self, isize> {
        let words = Words::read(config);
        let config = c_config(&words);
        let mut connection = null_mut();
        // SAFETY: the config and its lists live, and the place for the handle can be written.
        let returned = unsafe { armed(|| ffi::wsframe_connection_new(role, &raw const config, &raw mut connection)) };
        if returned != 0 {
            return Err(returned);
        }
        Ok(Self {
            connection,
            batch: ffi::wsframe_batch::default(),
            skips_utf8: words.flags & ConfigFlag::SkipUtf8 as u32 != 0,
            words,
        })
    }

    fn receive(&mut self, input: &mut [u8], in_place: bool) -> isize {
        let (place, len) = (input.as_mut_ptr(), input.len());
        if in_place {
            // SAFETY: a live handle, and bytes that can be written.
            unsafe {
                armed(|| {
                    ffi::wsframe_connection_receive_in_place(self.connection, place.cast(), len, &raw mut self.batch)
                })
            }
        } else {
            // SAFETY: a live handle, and bytes that can be read.
            unsafe {
                armed(|| {
                    ffi::wsframe_connection_receive(
                        self.connection,
                        place.cast_const().cast(),
                        len,
                        &raw mut self.batch,
                    )
                })
            }
        }
    }

    #[allow(clippy::undocumented_unsafe_blocks, reason = "a live handle in all, and bytes that can be read")]
    fn act(&mut self, action: &Action) -> isize {
        let c = self.connection;
        match action {
            Action::Send(opcode, flag, payload) => {
                let (place, len) = parts(payload);
                unsafe { armed(|| ffi::wsframe_connection_send(c, *opcode | *flag, place, len)) }
            }
            Action::SendMany(opcode, flag, messages) => {
                let lens: Vec<usize> = messages.iter().map(Vec::len).collect();
                let joined = messages.concat();
                let (place, _) = parts(&joined);
                unsafe {
                    armed(|| ffi::wsframe_connection_send_many(c, *opcode | *flag, place, lens.as_ptr(), lens.len()))
                }
            }
            Action::SendMessage(opcode, flag, payload) => {
                let ((place, len), config) = (parts(payload), c_config(&self.words));
                let mut message = null_mut();
                let made = unsafe {
                    armed(|| ffi::wsframe_message_new(*opcode | *flag, place, len, &raw const config, &raw mut message))
                };
                if made != 0 {
                    return made;
                }
                let sent = unsafe { armed(|| ffi::wsframe_connection_send_message(c, message)) };
                unsafe { armed(|| ffi::wsframe_message_free(message)) };
                sent
            }
            Action::Piece(opcode, flag, payload, last) => {
                let (place, len) = parts(payload);
                let more = if *last { 0 } else { ffi::AnyOpcode::More as u32 };
                unsafe { armed(|| ffi::wsframe_connection_send(c, *opcode | *flag | more, place, len)) }
            }
            Action::Close(code, reason) => {
                let (place, len) = parts(reason);
                unsafe { armed(|| ffi::wsframe_connection_close(c, *code, place, len)) }
            }
            Action::Request(host, target) => {
                let ((host, host_len), (target, target_len)) = (parts(host), parts(target));
                unsafe { armed(|| ffi::wsframe_connection_request(c, host, host_len, target, target_len)) }
            }
            Action::AddField(name, value) => {
                let ((name, name_len), (value, value_len)) = (parts(name), parts(value));
                unsafe { armed(|| ffi::wsframe_connection_add_field(c, name, name_len, value, value_len)) }
            }
            Action::Accept(subprotocol, without_deflate) => {
                let (place, len) = parts(subprotocol);
                unsafe {
                    armed(|| {
                        ffi::wsframe_connection_accept(c, place, len, (*without_deflate).into(), &raw mut self.batch)
                    })
                }
            }
            Action::Respond(status, body) => {
                let (place, len) = parts(body);
                unsafe { armed(|| ffi::wsframe_connection_respond(c, *status, place, len)) }
            }
            Action::Receive(input) => {
                let (place, len) = parts(input);
                unsafe { armed(|| ffi::wsframe_connection_receive(c, place, len, &raw mut self.batch)) }
            }
            Action::Gone => unsafe { armed(|| ffi::wsframe_connection_gone(c, &raw mut self.batch)) },
            Action::Write(_) | Action::New => panic!("no call of this kind: {action:?}"),
        }
    }

    fn batch(&self) -> (Vec<Event>, Vec<u8>) {
        let batch = &self.batch;
        assert_eq!((batch.events.is_null(), batch.data.is_null()), (batch.count == 0, batch.data_len == 0));
        if batch.count == 0 {
            return (Vec::new(), Vec::new());
        }
        // SAFETY: the last call has said that there are so many, and none has followed it.
        let events = unsafe { std::slice::from_raw_parts(batch.events, batch.count) }.to_vec();
        if batch.data_len == 0 {
            return (events, Vec::new());
        }
        // SAFETY: as above.
        (events, unsafe { std::slice::from_raw_parts(batch.data.cast(), batch.data_len) }.to_vec())
    }

    fn has_more(&self) -> bool {
        self.batch.flags == ffi::BatchFlag::More as u32
    }

    fn turn(&mut self, sent: usize, now: u64) -> Result<u32, isize> {
        let mut output = ffi::wsframe_output::default();
        // SAFETY: a live handle, and a record that can be written.
        let returned = unsafe { armed(|| ffi::wsframe_connection_output(self.connection, sent, now, &raw mut output)) };
        if returned < 0 {
            return Err(returned);
        }
        assert_eq!((output.len, output.data.is_null()), (returned.unsigned_abs(), returned == 0));
        Ok(output.wait_ms)
    }

    fn output(&mut self) -> Vec<u8> {
        let mut places = [ffi::wsframe_part { data: null(), len: 0 }; 8];
        // SAFETY: a live handle, and records that can be written.
        let count =
            unsafe { armed(|| ffi::wsframe_connection_parts(self.connection, places.as_mut_ptr(), places.len())) };
        assert!((0..8).contains(&count), "{count} parts");
        let parts = places.iter().take(count.unsigned_abs());
        // SAFETY: the call has lent so many, and none has followed it.
        parts
            .flat_map(|part| unsafe { std::slice::from_raw_parts(part.data.cast::<u8>(), part.len) })
            .copied()
            .collect()
    }

    fn state(&self) -> isize {
        // SAFETY: a live handle.
        unsafe { armed(|| ffi::wsframe_connection_state(self.connection)) }
    }

    fn target(&self) -> Option<Vec<u8>> {
        // SAFETY: a live handle, and a pointer that can be written.
        self.lent(|c, place| unsafe { armed(|| ffi::wsframe_connection_target(c, place)) })
    }

    fn field(&self, name: &str) -> Option<Vec<u8>> {
        let (place, len) = parts(name.as_bytes());
        // SAFETY: a live handle, a name with its length, and a pointer that can be written.
        let value = self.lent(|c, value| unsafe { armed(|| ffi::wsframe_connection_field(c, place, len, value)) });
        let at = |number| {
            let mut field = ffi::wsframe_field::default();
            // SAFETY: a live handle, and a record that can be written.
            let found = unsafe { armed(|| ffi::wsframe_connection_field_at(self.connection, number, &raw mut field)) };
            let copied = |place: *const c_void, len| {
                // SAFETY: the call lends so many bytes, and none has followed it.
                if len == 0 { Vec::new() } else { unsafe { std::slice::from_raw_parts(place.cast(), len) }.to_vec() }
            };
            (found == 1).then(|| (copied(field.name, field.name_len), copied(field.value, field.value_len)))
        };
        // An empty value is lent as none.
        same_by_number(name, value, |number| at(number).filter(|(_, value)| !value.is_empty() || name.is_empty()))
    }

    fn subprotocol(&self) -> Option<Vec<u8>> {
        // SAFETY: a live handle, and a pointer that can be written.
        self.lent(|c, place| unsafe { armed(|| ffi::wsframe_connection_subprotocol(c, place)) })
    }

    fn deflate(&self) -> Option<Deflate> {
        let mut agreed = ffi::wsframe_deflate::default();
        // SAFETY: a live handle, and a record that can be written.
        let returned = unsafe { armed(|| ffi::wsframe_connection_deflate(self.connection, &raw mut agreed)) };
        assert!((0..=1).contains(&returned), "it returned {returned}");
        let flags = [agreed.server_no_context_takeover, agreed.client_no_context_takeover];
        assert!(flags.iter().all(|&flag| flag <= 1), "{agreed:?}");
        (returned == 1).then_some(Deflate {
            no_takeover: flags.map(|flag| flag == 1),
            window_bits: [agreed.server_max_window_bits, agreed.client_max_window_bits],
        })
    }

    fn has_sentence(&self) -> bool {
        // SAFETY: a live handle.
        !unsafe { armed(|| ffi::wsframe_connection_error(self.connection)) }.is_null()
    }

    fn skips_utf8(&self) -> bool {
        self.skips_utf8
    }

    /// Hosts that have read the head themselves get the same answer from wsframe_handshake_answer().
    fn try_more(vector: &Vector, role: u32) -> Result<(), String> {
        let words = Words::read(&vector.config);
        let Doing::Input(input) = &vector.steps[0].doing else { return Ok(()) };
        let input =
            input.iter().map(|part| if let Part::Bytes(bytes) = part { bytes.with_accept(b"") } else { Vec::new() });
        let mut input = input.collect::<Vec<_>>().concat();
        let blank_line = input.windows(4).position(|window| window == b"\r\n\r\n");
        let is_opened_later = words.flags & (ConfigFlag::StartOpen as u32 | ConfigFlag::Ask as u32) != 0;
        if role != 0 || is_opened_later || blank_line != input.len().checked_sub(4) {
            return Ok(());
        }
        let mut subject = Self::new(role, &vector.config).map_err(|code| format!("no connection: {code}"))?;
        let events = subject.receive(&mut input, false);
        let answered = subject.turn(0, 0).map(|_| subject.output()).map_err(|code| format!("no output: {code}"))?;
        let expected = if events == 0 { Err(ErrorCode::Handshake as isize) } else { Ok(answered) };
        let (config, mut out) = (c_config(&words), vec![0_u8; 2000]);
        let (place, cap) = (out.as_mut_ptr().cast(), out.len());
        let (head, len) = parts(&input);
        // SAFETY: the head, the config with its lists and the output live, and have their lengths.
        let returned = unsafe { armed(|| ffi::wsframe_handshake_answer(head, len, &raw const config, place, cap)) };
        let answer = usize::try_from(returned).map(|len| out[..len].to_vec()).map_err(|_| returned);
        if answer == expected {
            return Ok(());
        }
        let answer = answer.as_deref().map(show);
        Err(format!("wsframe_handshake_answer says {answer:?} instead of {:?}", expected.as_deref().map(show)))
    }
}
