//! libwsframe's C functions, called through the shared library, with the types of Rust around them.

use std::ffi::c_void;
use std::ptr::null;
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
    pub length: u64,
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
    defaults: [u64; 10],
    deflate_min_len: u32,
    deflate_level: u32,
    server_max_window_bits: u32,
    client_max_window_bits: u32,
    extensions: *const c_void,
    extensions_len: usize,
}

#[repr(C)]
struct Handle {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn wsframe_unmask(data: *mut c_void, len: usize, key: *const c_void, offset: usize) -> isize;
    fn wsframe_unmask_copy(
        r#in: *const c_void,
        len: usize,
        key: *const c_void,
        offset: usize,
        out: *mut c_void,
    ) -> isize;
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
    fn wsframe_connection_receive(connection: *mut Handle, r#in: *const c_void, in_len: usize) -> isize;
    fn wsframe_connection_receive_in_place(connection: *mut Handle, r#in: *mut c_void, in_len: usize) -> isize;
    fn wsframe_connection_events(connection: *const Handle) -> *const Event;
    fn wsframe_connection_data(connection: *const Handle, data: *mut *const c_void) -> isize;
    fn wsframe_connection_output(connection: *const Handle, output: *mut *const c_void) -> isize;
    fn wsframe_connection_sent(connection: *mut Handle, len: usize) -> isize;
    fn wsframe_connection_send(connection: *mut Handle, opcode: u32, r#in: *const c_void, in_len: usize) -> isize;
    fn wsframe_connection_tick(connection: *mut Handle, now_ms: u64) -> isize;
}

pub const FIN_TEXT: u32 = 0x81;
pub const TEXT: u32 = 1;

pub fn unmask(data: &mut [u8], key: [u8; 4]) {
    // SAFETY: the bytes are borrowed to be written.
    unsafe { wsframe_unmask(data.as_mut_ptr().cast(), data.len(), key.as_ptr().cast(), 0) };
}

/// `out` is as long as `input`.
pub fn unmask_copy(input: &[u8], key: [u8; 4], out: &mut [u8]) {
    let (at, key, out) = (input.as_ptr().cast(), key.as_ptr().cast(), out.as_mut_ptr().cast());
    // SAFETY: both are borrowed, and of one length.
    unsafe { wsframe_unmask_copy(at, input.len(), key, 0, out) };
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

/// A server's connection that somebody else has opened.
pub struct Connection {
    handle: *mut Handle,
}

impl Connection {
    pub fn open_server() -> Self {
        Self::open(0, "", 0)
    }

    /// One that compresses, by what both ends agreed on, as hard as `level`, 0 for the default.
    pub fn open_compressing_server(agreement: Agreement, level: u32) -> Self {
        const DEFLATE: u32 = 16;
        Self::open(DEFLATE, &agreement.extensions(), level)
    }

    fn open(flags: u32, extensions: &str, level: u32) -> Self {
        const SERVER: u32 = 0;
        const START_OPEN: u32 = 8;
        let config = Config {
            struct_size: size_of::<Config>() as u32,
            flags: START_OPEN | flags,
            defaults: [0; 10],
            // Everything is compressed, as by the others.
            deflate_min_len: 1,
            deflate_level: level,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            extensions: extensions.as_ptr().cast(),
            extensions_len: extensions.len(),
        };
        let mut handle = std::ptr::null_mut();
        // SAFETY: the config says how long it is and points to bytes that are lent, and the handle can be written.
        let made = unsafe { wsframe_connection_new(SERVER, &raw const config, &raw mut handle) };
        assert_eq!(made, 0, "wsframe_connection_new");
        Self { handle }
    }

    pub fn receive(&mut self, input: &[u8]) -> &[Event] {
        // SAFETY: a live handle, and borrowed bytes.
        let count = unsafe { wsframe_connection_receive(self.handle, input.as_ptr().cast(), input.len()) };
        self.events(count)
    }

    pub fn receive_in_place(&mut self, input: &mut [u8]) -> &[Event] {
        // SAFETY: a live handle, and bytes borrowed to be written.
        let count = unsafe { wsframe_connection_receive_in_place(self.handle, input.as_mut_ptr().cast(), input.len()) };
        self.events(count)
    }

    fn events(&self, count: isize) -> &[Event] {
        let Ok(count @ 1..) = usize::try_from(count) else { return &[] };
        // SAFETY: a live handle.
        let events = unsafe { wsframe_connection_events(self.handle) };
        // SAFETY: so many are lent, until the next call that takes &mut self.
        unsafe { slice::from_raw_parts(events, count) }
    }

    pub fn send(&mut self, opcode: u32, message: &[u8]) -> isize {
        // SAFETY: a live handle, and borrowed bytes.
        unsafe { wsframe_connection_send(self.handle, opcode, message.as_ptr().cast(), message.len()) }
    }

    /// Where the events' data are.
    pub fn data(&self) -> &[u8] {
        self.lent(wsframe_connection_data)
    }

    pub fn output(&self) -> &[u8] {
        self.lent(wsframe_connection_output)
    }

    fn lent(&self, lends: unsafe extern "C" fn(*const Handle, *mut *const c_void) -> isize) -> &[u8] {
        let mut at = null();
        // SAFETY: a live handle, and a pointer that can be written.
        let len = unsafe { lends(self.handle, &raw mut at) };
        let Ok(len @ 1..) = usize::try_from(len) else { return &[] };
        // SAFETY: so many bytes are lent, until the next call that takes &mut self.
        unsafe { slice::from_raw_parts(at.cast(), len) }
    }

    pub fn sent(&mut self, len: usize) -> isize {
        // SAFETY: a live handle.
        unsafe { wsframe_connection_sent(self.handle, len) }
    }

    pub fn tick(&mut self, now_ms: u64) -> isize {
        // SAFETY: a live handle.
        unsafe { wsframe_connection_tick(self.handle, now_ms) }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: a live handle, given up.
        unsafe { wsframe_connection_free(self.handle) }
    }
}
