//! Debian's wslay, a server's side of its event-based interface.

use std::ffi::{c_int, c_void};
use std::io::{Read, Write};
use std::ptr::null_mut;
use std::slice;

use crate::input::Tally;
use crate::stream::Stream;

#[repr(C)]
struct Context {
    _opaque: [u8; 0],
}

type Transfer = Option<unsafe extern "C" fn(*mut Context, *mut u8, usize, c_int, *mut c_void) -> isize>;
/// A callback that is not used here.
type Unused = Option<unsafe extern "C" fn()>;

#[repr(C)]
struct Callbacks {
    recv: Transfer,
    send: Transfer,
    genmask: Unused,
    on_frame_recv_start: Unused,
    on_frame_recv_chunk: Unused,
    on_frame_recv_end: Unused,
    on_msg_recv: Option<unsafe extern "C" fn(*mut Context, *const Received, *mut c_void)>,
}

#[repr(C)]
struct Received {
    rsv: u8,
    opcode: u8,
    msg: *const u8,
    msg_length: usize,
    status_code: u16,
}

#[repr(C)]
struct ToSend {
    opcode: u8,
    msg: *const u8,
    msg_length: usize,
}

unsafe extern "C" {
    fn wslay_event_context_server_init(
        context: *mut *mut Context,
        callbacks: *const Callbacks,
        user: *mut c_void,
    ) -> c_int;
    fn wslay_event_context_free(context: *mut Context);
    fn wslay_event_recv(context: *mut Context) -> c_int;
    fn wslay_event_queue_msg(context: *mut Context, message: *const ToSend) -> c_int;
    fn wslay_event_send(context: *mut Context) -> c_int;
    fn wslay_event_set_error(context: *mut Context, error: c_int);
}

const WOULD_BLOCK: c_int = -401;

pub struct Server {
    context: *mut Context,
    /// Not a `Box`, which would promise that nobody else writes there.
    peer: *mut Peer,
}

/// What the callbacks are given.
struct Peer {
    stream: Stream,
    tally: Tally,
}

impl Server {
    pub fn new(stream: Stream) -> Self {
        let peer = Box::into_raw(Box::new(Peer { stream, tally: Tally::default() }));
        let mut context = null_mut();
        let callbacks = Callbacks {
            recv: Some(receive),
            send: Some(send),
            genmask: None,
            on_frame_recv_start: None,
            on_frame_recv_chunk: None,
            on_frame_recv_end: None,
            on_msg_recv: Some(count),
        };
        // SAFETY: the callbacks are copied, and the peer lives as long as the context.
        let made = unsafe { wslay_event_context_server_init(&raw mut context, &raw const callbacks, peer.cast()) };
        assert_eq!(made, 0, "wslay_event_context_server_init");
        Self { context, peer }
    }

    /// Receives all that the stream has.
    pub fn receive(&mut self) -> Tally {
        let peer = self.peer();
        peer.stream.rewind();
        peer.tally = Tally::default();
        // SAFETY: a live context.
        let result = unsafe { wslay_event_recv(self.context) };
        assert_eq!(result, 0, "wslay_event_recv");
        self.peer().tally
    }

    pub fn queue(&mut self, opcode: u8, message: &[u8]) {
        let message = ToSend { opcode, msg: message.as_ptr(), msg_length: message.len() };
        // SAFETY: a live context; the message is copied.
        unsafe { wslay_event_queue_msg(self.context, &raw const message) };
    }

    /// Writes what is queued, and returns how many bytes were written in all.
    pub fn flush(&mut self) -> usize {
        // SAFETY: a live context.
        let result = unsafe { wslay_event_send(self.context) };
        assert_eq!(result, 0, "wslay_event_send");
        self.peer().stream.written
    }

    fn peer(&mut self) -> &mut Peer {
        // SAFETY: it lives as long as the server, and no callback is running.
        unsafe { &mut *self.peer }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SAFETY: a live context, given up.
        unsafe { wslay_event_context_free(self.context) };
        // SAFETY: made by `Box::into_raw`, and nobody has it any more.
        drop(unsafe { Box::from_raw(self.peer) });
    }
}

unsafe extern "C" fn receive(context: *mut Context, out: *mut u8, len: usize, _: c_int, user: *mut c_void) -> isize {
    // SAFETY: the peer that the context was made with; wslay's caller is not using it.
    let peer = unsafe { &mut *user.cast::<Peer>() };
    // SAFETY: wslay's buffer of that length.
    let out = unsafe { slice::from_raw_parts_mut(out, len) };
    match peer.stream.read(out) {
        Ok(taken) => taken as isize,
        Err(_) => {
            // SAFETY: the live context that calls.
            unsafe { wslay_event_set_error(context, WOULD_BLOCK) };
            -1
        }
    }
}

unsafe extern "C" fn send(_: *mut Context, bytes: *mut u8, len: usize, _: c_int, user: *mut c_void) -> isize {
    // SAFETY: as in `receive`.
    let peer = unsafe { &mut *user.cast::<Peer>() };
    // SAFETY: wslay's bytes of that length.
    let bytes = unsafe { slice::from_raw_parts(bytes, len) };
    peer.stream.write(bytes).map_or(-1, |written| written as isize)
}

unsafe extern "C" fn count(_: *mut Context, received: *const Received, user: *mut c_void) {
    // SAFETY: as in `receive`.
    let peer = unsafe { &mut *user.cast::<Peer>() };
    // SAFETY: wslay's record, during this call.
    let received = unsafe { &*received };
    // SAFETY: the message, during this call.
    peer.tally.count(unsafe { slice::from_raw_parts(received.msg, received.msg_length) });
}
