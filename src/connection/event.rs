//! What happened on a connection, as fixed records that every language reads alike.

#![forbid(unsafe_code)]

/// What an event is. Those that are a frame of the peer have the number of its opcode, so that an echo is
/// wsframe_connection_send(c, event->kind, ...).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A text message, or a piece of one.
    Text = 1,
    /// A binary message, or a piece of one.
    Binary = 2,
    /// The peer's close frame, with close_code (1005 if it had none); the data are the reason. Nothing is received after
    /// it: only WSFRAME_EVENT_GONE may follow.
    Close = 8,
    /// A ping. It has been answered, unless the config has WSFRAME_CONFIG_MANUAL_PONG.
    Ping = 9,
    /// A pong.
    Pong = 10,
    /// A client asks to be let in, and the application is to answer; the data are the request's head. It is the last event
    /// of its call.
    Request = 16,
    /// A plain HTTP request, and the application is to answer; the data are the request's head. It is the last event of its
    /// call.
    Http = 17,
    /// The opening handshake is done; the data are the head of the request, or of the response for a client.
    Open = 18,
    /// The peer broke the rules or refused, or memory or randomness ran out: error is the code of the failure, close_code
    /// what the peer is told; where the opening handshake was refused it is the HTTP status that was sent or received.
    /// wsframe_connection_error() has a sentence for the log. The data are what a client was answered instead, head and
    /// the start of the content as far as it came along, else none. Nothing is received after it: only
    /// WSFRAME_EVENT_GONE may follow.
    Error = 19,
    /// TCP has ended, as wsframe_connection_gone() was told: close_code is that of the peer's close frame if the closing
    /// handshake was done, else 1006; error is the code of the failure if there was one.
    Gone = 20,
    /// Of a hub: more output waited than high_water_len of the config, so that there was no room for a message, and now no
    /// more than half of that waits.
    Drain = 21,
    /// Of a hub: a time is over that wsframe_hub_timer() was told of. connection is the timer's number.
    Timer = 22,
    /// Of a hub: a descriptor can be read from or written to that wsframe_hub_watch() was told of. connection is the
    /// descriptor, flags has what can be done: any of WSFRAME_WATCH_*.
    Ready = 23,
}

/// Bits of an event's flags.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFlag {
    /// The message came compressed.
    Compressed = 0x04,
    /// A message begins with these data.
    First = 0x20,
    /// A message ends with these data.
    Last = 0x40,
    /// The data are in the input of wsframe_connection_receive_in_place(), and offset counts from there.
    InPlace = 0x80,
}

/// One thing that happened. 32 bytes, no pointers, in every version of the library.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// On which connection of a hub: its id. 0 for a connection of your own. Of WSFRAME_EVENT_TIMER and _READY what they say.
    /// It is in the record, and not in a list beside it, so that whoever goes through a batch has all of an event in one
    /// place; the record would not be shorter without it by more than the eight bytes that it takes.
    pub connection: u64,
    /// Where the data begin, counted from the batch's data.
    pub offset: u64,
    /// Length of the data in bytes.
    pub len: u64,
    /// A close code or HTTP status, for WSFRAME_EVENT_CLOSE, _ERROR and _GONE; else 0.
    pub close_code: u16,
    /// One of WSFRAME_EVENT_*.
    pub kind: u8,
    /// Any of WSFRAME_DATA_*: FIRST and LAST for a message that is whole. Of WSFRAME_EVENT_READY any of WSFRAME_WATCH_*.
    pub flags: u8,
    /// A WSFRAME_ERROR_*, for WSFRAME_EVENT_ERROR and _GONE; else 0.
    pub error: i32,
}

const _: () = assert!(size_of::<Event>() == 32);

impl Event {
    #[inline]
    pub(crate) const fn new(kind: EventKind, offset: usize, len: usize) -> Self {
        Self {
            connection: 0,
            offset: offset as u64,
            len: len as u64,
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

    /// Whether its data are a whole message.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no hub"))]
    pub(crate) const fn is_whole(&self) -> bool {
        let whole = EventFlag::First as u8 | EventFlag::Last as u8;
        self.flags & whole == whole
    }

    /// The event's part of the data of all events.
    #[must_use]
    pub fn data<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        let start = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let end = usize::try_from(self.offset.saturating_add(self.len)).unwrap_or(usize::MAX);
        data.get(start..end).unwrap_or_default()
    }
}
