//! libwsframe's C functions, called through the shared library, with the types of Rust around them.

use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::slice;

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Header {
    pub payload_len: u64,
    pub opcode: u8,
    pub flags: u8,
    pub header_len: u8,
    pub reserved: u8,
    pub mask_key: [u8; 4],
}

#[repr(C)]
pub struct Event {
    connection: u64,
    pub offset: u64,
    pub len: u64,
    close_code: u16,
    pub kind: u8,
    flags: u8,
    error: i32,
}

#[repr(C)]
struct Config {
    struct_size: u32,
    flags: u32,
    /// Limits, times and lists, as they are by default.
    defaults: [u64; 11],
    deflate_min_len: u32,
    deflate_level: u32,
    server_max_window_bits: u32,
    client_max_window_bits: u32,
    extensions: *const c_void,
    extensions_len: usize,
    /// A subprotocol and a target: none.
    agreed: [u64; 4],
}

/// What a call received.
#[repr(C)]
struct Batch {
    events: *const Event,
    count: usize,
    data: *const c_void,
    data_len: usize,
    flags: u32,
    reserved: u32,
}

/// What is to be written, and when to call again.
#[repr(C)]
struct Output {
    data: *const c_void,
    len: usize,
    wait_ms: u32,
    flags: u32,
}

#[repr(C)]
struct Handle {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn wsframe_unmask(r#in: *const c_void, len: usize, key: *const c_void, offset: usize, out: *mut c_void) -> isize;
    fn wsframe_header_parse(r#in: *const c_void, in_len: usize, header: *mut Header) -> isize;
    fn wsframe_header_build(header: *const Header, out: *mut c_void, out_cap: usize) -> isize;
    fn wsframe_frame_build(
        first_byte: u32,
        payload: *const c_void,
        len: usize,
        out: *mut c_void,
        out_cap: usize,
    ) -> isize;
    fn wsframe_accept_key(key: *const c_void, key_len: usize, out: *mut c_void, out_cap: usize) -> isize;
    fn wsframe_utf8_check(r#in: *const c_void, in_len: usize) -> isize;
    fn wsframe_connection_new(role: u32, config: *const Config, connection: *mut *mut Handle) -> isize;
    fn wsframe_connection_free(connection: *mut Handle);
    fn wsframe_connection_receive(
        connection: *mut Handle,
        r#in: *const c_void,
        in_len: usize,
        batch: *mut Batch,
    ) -> isize;
    fn wsframe_connection_receive_in_place(
        connection: *mut Handle,
        r#in: *mut c_void,
        in_len: usize,
        batch: *mut Batch,
    ) -> isize;
    fn wsframe_connection_output(connection: *mut Handle, sent: usize, now_ms: u64, output: *mut Output) -> isize;
    fn wsframe_connection_send(connection: *mut Handle, opcode: u32, r#in: *const c_void, in_len: usize) -> isize;
}

pub const FIN_TEXT: u32 = 0x81;
pub const TEXT: u32 = 1;

pub fn unmask(data: &mut [u8], key: [u8; 4]) {
    let at = data.as_mut_ptr().cast();
    // SAFETY: the bytes are borrowed to be written.
    unsafe { wsframe_unmask(at, data.len(), key.as_ptr().cast(), 0, at) };
}

/// `out` is as long as `input`.
pub fn unmask_copy(input: &[u8], key: [u8; 4], out: &mut [u8]) {
    let (at, key, out) = (input.as_ptr().cast(), key.as_ptr().cast(), out.as_mut_ptr().cast());
    // SAFETY: both are borrowed, and of one length.
    unsafe { wsframe_unmask(at, input.len(), key, 0, out) };
}

pub fn header_parse(input: &[u8], header: &mut Header) -> isize {
    // SAFETY: both are borrowed.
    unsafe { wsframe_header_parse(input.as_ptr().cast(), input.len(), header) }
}

pub fn header_build(header: &Header, out: &mut [u8]) -> isize {
    // SAFETY: both are borrowed.
    unsafe { wsframe_header_build(header, out.as_mut_ptr().cast(), out.len()) }
}

pub fn frame_build(first_byte: u32, payload: &[u8], out: &mut [u8]) -> isize {
    let (at, len) = (payload.as_ptr().cast(), payload.len());
    // SAFETY: both are borrowed.
    unsafe { wsframe_frame_build(first_byte, at, len, out.as_mut_ptr().cast(), out.len()) }
}

pub fn accept_key(key: &[u8], out: &mut [u8]) -> isize {
    // SAFETY: both are borrowed.
    unsafe { wsframe_accept_key(key.as_ptr().cast(), key.len(), out.as_mut_ptr().cast(), out.len()) }
}

pub fn utf8_check(input: &[u8]) -> isize {
    // SAFETY: the bytes are borrowed.
    unsafe { wsframe_utf8_check(input.as_ptr().cast(), input.len()) }
}

/// What both ends agreed on for compressed messages, the same for both directions.
#[derive(Clone, Copy)]
pub struct Agreement {
    /// Whether messages may refer to those before them.
    pub takeover: bool,
    /// How far back, as a power of two.
    pub window_bits: u8,
}

impl Agreement {
    /// As a response says it.
    fn extensions(self) -> String {
        let Self { takeover, window_bits: bits } = self;
        let alone = if takeover { "" } else { "; server_no_context_takeover; client_no_context_takeover" };
        format!("permessage-deflate{alone}; server_max_window_bits={bits}; client_max_window_bits={bits}")
    }
}

/// A connection that somebody else has opened.
pub struct Connection {
    handle: *mut Handle,
    batch: Batch,
}

impl Connection {
    const SERVER: u32 = 0;
    const CLIENT: u32 = 1;

    pub fn open_server() -> Self {
        Self::open(Self::SERVER, 0, "", 0)
    }

    pub fn open_client() -> Self {
        Self::open(Self::CLIENT, 0, "", 0)
    }

    /// A server that compresses, by what both ends agreed on, as hard as `level`, 0 for the default.
    pub fn open_compressing_server(agreement: Agreement, level: u32) -> Self {
        const DEFLATE: u32 = 16;
        Self::open(Self::SERVER, DEFLATE, &agreement.extensions(), level)
    }

    fn open(role: u32, flags: u32, extensions: &str, level: u32) -> Self {
        const START_OPEN: u32 = 8;
        let config = Config {
            struct_size: size_of::<Config>() as u32,
            flags: START_OPEN | flags,
            defaults: [0; 11],
            // Everything is compressed, as by the others.
            deflate_min_len: 1,
            deflate_level: level,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            extensions: extensions.as_ptr().cast(),
            extensions_len: extensions.len(),
            agreed: [0; 4],
        };
        let mut handle = null_mut();
        // SAFETY: the config says how long it is and points to bytes that are lent, and the handle can be written.
        let made = unsafe { wsframe_connection_new(role, &raw const config, &raw mut handle) };
        assert_eq!(made, 0, "wsframe_connection_new");
        let batch = Batch { events: null(), count: 0, data: null(), data_len: 0, flags: 0, reserved: 0 };
        Self { handle, batch }
    }

    pub fn receive(&mut self, input: &[u8]) -> &[Event] {
        let (at, len) = (input.as_ptr().cast(), input.len());
        // SAFETY: a live handle, borrowed bytes, and a record that can be written.
        unsafe { wsframe_connection_receive(self.handle, at, len, &raw mut self.batch) };
        self.events()
    }

    pub fn receive_in_place(&mut self, input: &mut [u8]) -> &[Event] {
        let (at, len) = (input.as_mut_ptr().cast(), input.len());
        // SAFETY: a live handle, bytes borrowed to be written, and a record that can be written.
        unsafe { wsframe_connection_receive_in_place(self.handle, at, len, &raw mut self.batch) };
        self.events()
    }

    fn events(&self) -> &[Event] {
        if self.batch.count == 0 {
            return &[];
        }
        // SAFETY: so many are lent, until the next call that takes &mut self.
        unsafe { slice::from_raw_parts(self.batch.events, self.batch.count) }
    }

    /// Where the events' data are.
    pub fn data(&self) -> &[u8] {
        if self.batch.data_len == 0 {
            return &[];
        }
        // SAFETY: so many bytes are lent, until the next call that takes &mut self.
        unsafe { slice::from_raw_parts(self.batch.data.cast(), self.batch.data_len) }
    }

    /// Whether there is more to deliver of what was received.
    pub fn has_more(&self) -> bool {
        self.batch.flags != 0
    }

    pub fn send(&mut self, opcode: u32, message: &[u8]) -> isize {
        // SAFETY: a live handle, and borrowed bytes.
        unsafe { wsframe_connection_send(self.handle, opcode, message.as_ptr().cast(), message.len()) }
    }

    /// Ends a turn of a loop in which so much was written, and returns what is to be written now.
    pub fn output(&mut self, sent: usize) -> &[u8] {
        const NOW_MS: u64 = 1;
        let mut output = Output { data: null(), len: 0, wait_ms: 0, flags: 0 };
        // SAFETY: a live handle, and a record that can be written.
        unsafe { wsframe_connection_output(self.handle, sent, NOW_MS, &raw mut output) };
        if output.len == 0 {
            return &[];
        }
        // SAFETY: so many bytes are lent, until the next call that takes &mut self.
        unsafe { slice::from_raw_parts(output.data.cast(), output.len) }
    }

    /// The same where a write takes all that it is given: it counts as written.
    pub fn take_output(&mut self) -> &[u8] {
        self.output(usize::MAX)
    }

    /// Lets a write take all the output, and tells of it in the next turn, as a loop around a socket does.
    pub fn write_output(&mut self, mut write: impl FnMut(&[u8])) {
        let mut written = 0;
        loop {
            let output = self.output(written);
            written = output.len();
            if written == 0 {
                return;
            }
            write(output);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: a live handle, given up.
        unsafe { wsframe_connection_free(self.handle) }
    }
}
