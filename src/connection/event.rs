//! What happened on a connection, as fixed records that every language reads alike.

#![forbid(unsafe_code)]

/// What an event is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A client asks to be let in, and the application is to answer; the data are the request's head.
    Request = 1,
    /// A plain HTTP request, and the application is to answer; the data are the request's head.
    Http = 2,
    /// The opening handshake is done; the data are the head of the request, or of the response for a client.
    Open = 3,
    /// A text message, or a piece of one.
    Text = 4,
    /// A binary message, or a piece of one.
    Binary = 5,
    /// A ping; it has been answered.
    Ping = 6,
    /// A pong.
    Pong = 7,
    /// The peer's close frame, with close_code (1005 if it had none); the data are the reason. No event follows.
    Close = 8,
    /// The peer broke the rules: error is the code of the failure, close_code what it is answered, or the HTTP status
    /// if the handshake was refused. wsframe_connection_error() has a sentence for the log. The data are the head of the
    /// response if a client was refused, else none. No event follows.
    Error = 9,
}

/// Bits of an event's flags.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFlag {
    /// A message begins with these data.
    First = 1,
    /// A message ends with these data.
    Last = 2,
    /// The data are in the input of wsframe_connection_receive_in_place(), not in wsframe_connection_data().
    InPlace = 4,
    /// The message came compressed.
    Compressed = 8,
}

/// One thing that happened. 32 bytes, no pointers, in every version of the library.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Reserved for the server: which connection it was. 0.
    pub connection: u64,
    /// Where the data begin, counted from the start of the data of all events.
    pub offset: u64,
    /// Length of the data in bytes.
    pub length: u64,
    /// A close code, for WSFRAME_EVENT_CLOSE and WSFRAME_EVENT_ERROR; else 0.
    pub close_code: u16,
    /// One of WSFRAME_EVENT_*.
    pub kind: u8,
    /// Any of WSFRAME_EVENT_FIRST, _LAST, _IN_PLACE and _COMPRESSED: the first two for a message that is whole.
    pub flags: u8,
    /// A WSFRAME_ERROR_*, for WSFRAME_EVENT_ERROR; else 0.
    pub error: i32,
}

const _: () = assert!(size_of::<Event>() == 32);

impl Event {
    #[inline]
    pub(super) const fn new(kind: EventKind, offset: usize, length: usize) -> Self {
        Self {
            connection: 0,
            offset: offset as u64,
            length: length as u64,
            close_code: 0,
            kind: kind as u8,
            flags: 0,
            error: 0,
        }
    }

    /// Whether the event is of this kind.
    #[must_use]
    pub const fn is(&self, kind: EventKind) -> bool {
        self.kind == kind as u8
    }

    /// The event's part of the data of all events.
    #[must_use]
    pub fn data<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        let start = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let end = usize::try_from(self.offset.saturating_add(self.length)).unwrap_or(usize::MAX);
        data.get(start..end).unwrap_or_default()
    }
}
