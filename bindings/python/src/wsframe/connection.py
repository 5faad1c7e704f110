"""Connections: bytes in, events out; messages in, bytes out. No I/O."""

from __future__ import annotations

import enum
import functools
import sys
import threading
from collections.abc import Iterable, Iterator
from operator import attrgetter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, NoReturn, TypedDict

from wsframe import _ffi
from wsframe._arguments import Buffer, all_octets, integer, octets, text
from wsframe.errors import ErrorCode, UsageError, checked

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

NEVER = 2**32 - 1
"""Stands for no limit of time: see Config."""

_SERVER, _CLIENT = 0, 1  # WSFRAME_ROLE_*
_MORE, _PLAIN, _COMPRESSED = 0x100, 0x200, 0x400  # WSFRAME_OPCODE_*
_CONTROL = 0x8  # of the opcode (RFC 6455 section 5.5)
_WITHOUT_DEFLATE = 1  # WSFRAME_ACCEPT_*
_EXTENSIONS_LEN_MAX = 128
_TIME_MAX = 2**64 - 1
_SHORT, _SHORT_DEFLATE = (64 << 10) - 1, (4 << 10) - 1
"""Up to so many bytes other threads wait for a call; with deflate each may stand for many more."""


class State(enum.IntEnum):
    """
    How far a connection has come.

    CONNECTING: the opening handshake is not done. ASKED: a request waits for accept() or respond(). OPEN:
    messages go both ways. CLOSING: a close frame was sent, the peer's is awaited. CLOSED: both were
    exchanged, or a request was answered with something else than 101, and nothing that still comes is looked
    at. FAILED: the peer broke the rules, refused or was refused, had its time, or is gone.
    """

    CONNECTING = 0
    ASKED = 1
    OPEN = 2
    CLOSING = 3
    CLOSED = 4
    FAILED = 5


class EventKind(enum.IntEnum):
    """
    What an event is, and what its data are. What is a frame of the peer has the number of its Opcode.

    TEXT and BINARY: a message, or with pieces=True a piece of one. CLOSE: the peer's close frame; the data
    are the reason. PING: it has been answered, unless manual_pong=True. PONG.

    REQUEST and HTTP come only with ask=True: a client asks to be let in, or for a page, and the application
    is to answer with accept() or respond(); the data are the request's head. OPEN: the opening handshake is
    done; the data are the head of the request, or of the response for a client. ERROR: the peer broke the
    rules or refused; the data are what a client was answered instead of being let in, else none. GONE: TCP
    has ended, as gone() was told. After CLOSE and ERROR only GONE may follow.

    Of a Hub only: DRAIN, there was no room for a message, and now there is; TIMER, the time of Hub.timer() is
    over, whose number is in Event.connection; READY, a descriptor of Hub.watch() can be read from or written
    to: it is in Event.connection, and Event.flags has any of WatchFlag.
    """

    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10
    REQUEST = 16
    HTTP = 17
    OPEN = 18
    ERROR = 19
    GONE = 20
    DRAIN = 21
    TIMER = 22
    READY = 23


class DataFlag(enum.IntFlag):
    """
    The flags of an event.

    FIRST: a message begins with these data; so it does unless pieces=True. LAST: a message ends with them.
    COMPRESSED: the message came compressed. The data are what it was before.
    """

    COMPRESSED = 4
    FIRST = 32
    LAST = 64


# Asked in a fraction of the time of EventKind(number) and State(number).
_KINDS: Any = [None] * 256
for _kind in EventKind:
    _KINDS[_kind] = _kind
_STATES = tuple(State)
_NOT_NOW = (ErrorCode.STATE.value, ErrorCode.SPACE.value)
_ERRORS: dict[int, int] = {code.value: code for code in ErrorCode}
_TEXT, _BINARY, _PING, _PONG = EventKind.TEXT, EventKind.BINARY, EventKind.PING, EventKind.PONG


class Event:
    """One thing that happened. It has its data for itself."""

    __slots__ = {
        "close_code": """
            Of CLOSE the peer's close code, 1005 if it sent none (RFC 6455 section 7.1.5). Of ERROR the close
            code that the peer is told, or the HTTP status if the opening handshake was refused. Of GONE the
            peer's close code if the closing handshake was done, and else 1006. Else 0.
            """,
        "connection": "On which connection of a Hub: its id. 0 for a connection of your own.",
        "data": "The message, the payload, the head or the reason: see EventKind.",
        "error": """
            Of ERROR, and of GONE if the connection had failed, the ErrorCode; Connection.error is the
            sentence. Else 0.
            """,
        "flags": "Any of DataFlag: FIRST and LAST for a message that is whole.",
        "kind": "What it is, an EventKind.",
    }
    __hash__ = None  # type: ignore[assignment]

    kind: EventKind
    data: bytes
    flags: int
    close_code: int
    error: int
    connection: int

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        kind: EventKind,
        data: bytes,
        flags: int = 0,
        close_code: int = 0,
        error: int = 0,
        connection: int = 0,
    ) -> None:
        self.kind, self.data, self.flags = kind, data, flags
        self.close_code, self.error, self.connection = close_code, error, connection

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Event) and _values(self) == _values(other)

    def __repr__(self) -> str:
        of = f", {self.connection}" if self.connection else ""
        return f"Event({self.kind.name}, {self.data!r}, {self.flags}, {self.close_code}, {self.error}{of})"

    @property
    def text(self) -> str:
        """
        The data of a TEXT, or the reason of a CLOSE, as a string.

        UnicodeDecodeError: the data are not UTF-8, which they may be for other kinds and with skip_utf8=True.
        """
        return self.data.decode()


class Deflate(NamedTuple):
    """What both ends of a connection agreed on for compressed messages (RFC 7692 section 7.1)."""

    server_no_context_takeover: bool
    """Whether each message of the server is compressed on its own."""
    client_no_context_takeover: bool
    """Whether each message of the client is compressed on its own."""
    server_max_window_bits: int
    """How far back the server's messages may refer, as a power of two: 8 to 15."""
    client_max_window_bits: int
    """The same for the client's."""


class Config(TypedDict, total=False):
    """
    What an application can choose for a connection, by keyword. What is not given is the default.

    subprotocols: a server answers with the first of them that the client offers, a client offers them all.
    origins: the Origins that a server accepts, each as a browser sends it: "https://example.com" or
      "http://localhost:8080". If there are any, a request needs one of them.

    ask: a server's requests wait for accept() or respond(), instead of being answered by the library.
    pieces: messages are delivered in pieces as they arrive, text cut between characters, instead of whole.
    manual_pong: pings are not answered by the library.

    start_open: somebody else has done the opening handshake; see answer_handshake(). With it:
    extensions: with deflate, the Sec-WebSocket-Extensions of the response, for instance what
      answer_extensions() answered; None if it had none.
    subprotocol, target: the subprotocol that was agreed on, and the path and query of the request, for the
      properties with these names; None if there is none.

    deflate: messages may be compressed with permessage-deflate (RFC 7692), if the peer agrees. Do not
      compress secrets together with what an attacker chooses: how long the message gets tells him about both.
      With it:
    server_no_context_takeover, client_no_context_takeover: each message of the server, or of the client, is
      compressed on its own. It gets longer, and nothing is kept for it between messages.
    deflate_min_len: the shortest message in bytes that is compressed unasked; 0 stands for 64, or for 256
      where each message is compressed on its own.
    deflate_level: how hard to compress, from 1, the fastest, to 9, the smallest; 0 stands for 6.
    server_max_window_bits: how far back a server's messages may refer to those before them, as a power of
      two, 9 to 15. So many bytes does a connection keep at most: 4,096 for 12. 0 stands for 12 for a server,
      and lets a client take what the server likes.
    client_max_window_bits: the same for a client's messages; 0 stands for 12. A client that does not offer to
      be asked keeps to 15.
    max_inflated_len: the longest message in bytes that came compressed; 0 stands for 1 MiB.

    max_message_len: the longest message in bytes; 0 stands for 16 MiB.
    max_frame_len: the longest payload of a message's frame in bytes; 0 stands for 16 MiB.
    max_fragments: the most frames of one message; 0 stands for 65,536.
    max_head_len: the longest head of a request or response in bytes; 0 stands for 16 KiB.
    max_head_fields: the most fields of a head, at most 1000; 0 stands for 100.
    high_water_len: how many bytes of output may wait when another message is taken; 0 stands for 1 MiB.

    handshake_timeout_ms: how long the opening handshake may take; 0 stands for 10 seconds, NEVER for ever.
    close_timeout_ms: how long the peer may take to answer a close frame, and to take what was written last; 0
      stands for 5 seconds, NEVER for ever.
    ping_interval_ms: after how long a silence a ping is sent, and then how long the peer may be silent still;
      0 stands for 30 seconds, NEVER for no pings.

    accept_any_mask: a server accepts frames that are not masked, a client frames that are.
    accept_long_lengths: lengths need not be in their shortest form.
    skip_utf8: text is not checked to be UTF-8, neither received nor sent.
    accept_any_close_code: every close code from 1000 to 4999 is accepted but 1005, 1006 and 1015.
    """

    subprotocols: Iterable[str]
    origins: Iterable[str]
    ask: bool
    pieces: bool
    manual_pong: bool
    start_open: bool
    deflate: bool
    server_no_context_takeover: bool
    client_no_context_takeover: bool
    accept_any_mask: bool
    accept_long_lengths: bool
    skip_utf8: bool
    accept_any_close_code: bool
    max_message_len: int
    max_frame_len: int
    max_inflated_len: int
    high_water_len: int
    max_fragments: int
    max_head_len: int
    max_head_fields: int
    handshake_timeout_ms: int
    close_timeout_ms: int
    ping_interval_ms: int
    deflate_min_len: int
    deflate_level: int
    server_max_window_bits: int
    client_max_window_bits: int
    extensions: str | None
    subprotocol: str | None
    target: str | None


if not TYPE_CHECKING:
    # For help(), which would list all that a dict can do.
    Config = type(
        "Config",
        (),
        {
            "__doc__": Config.__doc__,
            "__module__": __name__,
            "__annotations__": Config.__annotations__,
            "__new__": lambda _, **config: config,
        },
    )


_FLAGS = {  # WSFRAME_CONFIG_*
    "ask": 1,
    "pieces": 2,
    "manual_pong": 4,
    "start_open": 8,
    "deflate": 16,
    "server_no_context_takeover": 32,
    "client_no_context_takeover": 64,
    "accept_any_mask": 256,
    "accept_long_lengths": 512,
    "skip_utf8": 1024,
    "accept_any_close_code": 2048,
}
_LISTS = ("subprotocols", "origins")
_TEXTS = ("extensions", "subprotocol", "target")


class Message:
    """
    A message that is checked and compressed once, and sent on many connections.

    It does not change: any number of threads may send it at the same time. Its memory comes back with the
    last reference.
    """

    __slots__ = ("__weakref__", "_handle")

    def __init__(
        self,
        message: str | Buffer,
        /,
        kind: int | None = None,
        *,
        compress: bool | None = None,
        **config: Unpack[Config],
    ) -> None:
        """
        Prepares a message: text if it is a str, binary if it is bytes, or of the kind that is given.

        config is that of the connections it is meant for; see Config. Without deflate=True it is not
        compressed. compress is as for Connection.send().

        UsageError: the config is wrong, or the text is not UTF-8.
        """
        opcode, payload = _outgoing(message, kind, compress, more=False)
        result, self._handle = _ffi.new_message(opcode, payload, _record(config))
        checked(result)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Message cannot be copied")


_HAS_GIL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
_lent = _ffi.Lent()
"""
What calls lend, one after the other. Each has it to itself until it has made bytes of it: who comes between,
another thread or a signal handler, makes one of his own.
"""
_lent.is_taken = not _HAS_GIL  # Without a GIL everybody does.


class Connection:
    """
    One WebSocket connection, of a server or a client (RFC 6455). It does no I/O.

    What was read from the peer goes into receive(), which returns what happened. What is sent, and what the
    library answers by itself, is in take(), or piece by piece in output(). Either ends a turn of a loop: it
    tells the connection what time it is, and sets wait_ms. With a blocking socket:

        for event in connection.receive(tcp.recv(65536)):
            if event.kind in (EventKind.TEXT, EventKind.BINARY):
                connection.send(event.data, event.kind)
        tcp.sendall(connection.take(time.monotonic_ns() // 1_000_000))

    When TCP has ended call gone() if you want to be told how, and free() in any case: a garbage collector
    does not see how much memory of C hangs on a connection.

    Nothing that a peer does makes a call fail: it is an event, and calls on a connection that is over return
    0 or nothing. UsageError.code tells why a call was wrong: ErrorCode.STATE, not in this state; SPACE, too
    much output waits; ARGUMENT for nearly all else. An argument of a wrong type is a TypeError. Bytes may be
    bytes, a bytearray, a memoryview or anything else that lends its bytes, as for Frame.

    A connection may be used from one thread at a time, and from any thread. A call while another is running
    on the same connection is a UsageError and does nothing. Different connections never meet.
    """

    __slots__ = {
        "__weakref__": None,
        "_handle": None,
        "_is_in_pieces": None,
        "_lock": None,
        "_owner": None,
        "_role": None,
        "_short": None,
        "wait_ms": """
            In how many milliseconds to call output() or take() again at the latest, as the last of them has
            found it: None if nothing is due, as for timeouts of Python, 0 if TCP is to be closed. To be read
            only.
            """,
    }

    wait_ms: int | None
    _END = "freed"

    def __init__(self, role: int, config: Config) -> None:
        result, handle = _ffi.new_connection(role, _record(config))
        checked(result)
        # A call takes the handle from here. One that needs it for itself takes it away, and puts the owner's
        # back: loads and stores are not interrupted, so an exception from a signal handler loses nothing.
        self._handle = self._owner = handle
        self._lock: Any = None if _HAS_GIL else threading.RLock()
        self._role = role
        self._is_in_pieces = False
        self._short = _SHORT_DEFLATE if config.get("deflate") else _SHORT
        self.wait_ms = None

    @classmethod
    def server(cls, **config: Unpack[Config]) -> Self:
        """
        Returns a connection for the end that was connected to, which waits for a client's request.

        config: see Config. UsageError: a number is out of range, or an element of a list is not one.
        """
        return cls(_SERVER, config)

    @classmethod
    def client(cls, **config: Unpack[Config]) -> Self:
        """
        Returns a connection for the end that connected; request() comes next.

        config: see Config. UsageError: a number is out of range, or an element of a list is not one.
        """
        return cls(_CLIENT, config)

    def receive(self, data: Buffer) -> Iterable[Event]:
        """
        Takes bytes that were read from the peer, in pieces of any size, and returns what happened.

        That is a list. After much at once it is an iterator that gets the events from the library little by
        little; what is not taken from it comes with the next call.

        What the peer does wrong is not raised: it is the last event, an ERROR, after all that was valid
        before it. What comes after an ERROR or CLOSE is ignored.
        """
        if type(data) is not bytes:
            data = octets(data)
        size = len(data)
        handle, lent = self._handle, _lent
        if handle is None or lent.is_taken or size > self._short:
            return self._received(
                *self._batch(_ffi.receive_long if size > self._short else _receive, data, _size_of(size))
            )
        try:
            self._handle, lent.is_taken = None, True
            count = _receive(
                handle, data, _SIZES[size] if size < _SIZES_LEN else _size_of(size), lent.as_batch
            )
            if count == 1:
                at, size, close_code, kind, flags, error = _unpack(lent.events[:_EVENT_LEN])
                event = _new(Event)
                event.kind = _KINDS[kind]
                event.data = lent.data[at : at + size]
                event.flags = flags
                event.close_code = close_code
                event.error = error and _ERRORS.get(error, error)
                event.connection = 0
                events = [event]
            else:
                events = []
                if count > 0:
                    payload = lent.data
                    for at, size, close_code, kind, flags, error in _unpack_all(
                        lent.events[: count * _EVENT_LEN]
                    ):
                        event = _new(Event)
                        event.kind = _KINDS[kind]
                        event.data = payload[at : at + size]
                        event.flags = flags
                        event.close_code = close_code
                        event.error = error and _ERRORS.get(error, error)
                        event.connection = 0
                        events.append(event)
            has_more = lent.flags.value != 0
        finally:
            self._handle, lent.is_taken = self._owner, False
        if count < 0:
            checked(count)
        return self._received(events, has_more) if has_more else events

    def send(
        self, message: str | Buffer, kind: int | None = None, compress: bool | None = None, more: bool = False
    ) -> int:
        """
        Puts a message into the output.

        It is text if it is a str, binary if it is bytes, or of the kind that is given. kind is an Opcode or
        an EventKind: TEXT, whose bytes have to be UTF-8, BINARY, PING or PONG, with at most 125 bytes. So an
        echo is send(event.data, event.kind).

        more=True says that this is a piece of a message, and not the last: it becomes a frame of its own (RFC
        6455 section 5.4). All pieces have the same kind. Text may be cut anywhere, as bytes. Pings, pongs and
        close may come between them, other messages not.

        If both ends have agreed to compress, a message of at least deflate_min_len is compressed if that
        makes it shorter, one in pieces always. compress=False does not compress this one, for instance
        because it has a secret next to what an attacker chose (RFC 7692 section 8); compress=True compresses
        it however short it is. The first piece decides.

        Returns how many bytes of output wait; 0 if the connection is over, and nothing is sent any more. What
        answers messages that came together with the end can still be sent until output() or take() is called.

        UsageError: more output waits already than high_water_len, so write some and call again
        (ErrorCode.SPACE); the connection is not open yet, or pieces of another message are not finished
        (STATE); the text is not UTF-8, or another ARGUMENT is wrong.
        """
        if (
            type(message) is not bytes
            or compress is not None
            or more
            or (kind is not _TEXT and kind is not _BINARY)
        ):
            kind, message = _outgoing(message, kind, compress, more=more)
            if kind & _CONTROL:
                return self._call(_send, kind, message, _size_of(len(message)))
        handle = self._handle
        if handle is None:
            raise self._unusable()
        size = len(message)
        if size < _SIZES_LEN:
            waiting: int = _send(handle, kind, message, _SIZES[size])
        else:
            function = _send if size <= self._short else _ffi.send_long
            waiting = function(handle, kind, message, _size_of(size))
        if waiting > 0:
            self._is_in_pieces = more
            return waiting
        return checked(waiting)

    def try_send(self, message: str | Buffer | Message, kind: int | None = None) -> bool:
        """
        Sends a message if it can be sent now, for instance one of many that go to everybody.

        Returns whether it was. It was not if the connection is not open yet or is over, if more output waits
        than high_water_len, or while pieces of another message are not finished: nothing that a peer does
        makes this fail.

        UsageError: the text is not UTF-8, or another ARGUMENT is wrong.
        """
        handle = self._handle
        if handle is None:
            raise self._unusable()
        if self._is_in_pieces:
            return False  # the library would take it for the last one
        if isinstance(message, Message):
            waiting = _ffi.send_message(handle, message._handle)
        else:
            opcode, payload = _outgoing(message, kind, None, more=False)
            function = _send if len(payload) <= self._short else _ffi.send_long
            waiting = function(handle, opcode, payload, _size_of(len(payload)))
        if waiting in _NOT_NOW:
            return False
        return checked(waiting) > 0

    def send_many(self, messages: Iterable[str] | Iterable[Buffer], *, compress: bool | None = None) -> int:
        """
        Puts many messages into the output, as send() does with each, by one call of the library.

        All of them are str, or all are bytes. It is for many small ones: they are joined on the way there.

        Returns how many messages were put there; 0 if the connection is over. That is less than there are if
        more output waits than high_water_len, or the next one cannot be sent; a call that begins with it
        raises the error.

        UsageError: as send(), for the first of them.
        """
        opcode, pieces = _payloads(messages)
        joined, lens = b"".join(pieces), _ffi.lengths(pieces)
        library = _ffi.held if len(joined) <= self._short else _ffi.lib
        function = library.wsframe_connection_send_many
        return self._call(function, opcode | _say(compress), joined, lens, len(pieces))

    def send_message(self, message: Message) -> int:
        """
        Puts a prepared message into the output; compressed if it is, and both ends have agreed to compress.

        Returns and errors as send(). To many connections, better try_send() it.
        """
        if not isinstance(message, Message):
            raise TypeError(f"message must be a Message, not {type(message).__name__}")
        return self._call(_ffi.send_message, message._handle)

    def ping(self, payload: Buffer = b"") -> int:
        """Puts a ping with a payload of at most 125 bytes into the output. Returns and errors as send()."""
        return self.send(octets(payload), _PING)

    def pong(self, payload: Buffer = b"") -> int:
        """
        Puts a pong into the output, as ping() does.

        Pings are answered without it, unless manual_pong=True.
        """
        return self.send(octets(payload), _PONG)

    def close(self, code: int = 1000, reason: str = "") -> int:
        """
        Puts a close frame into the output (RFC 6455 section 7.1.2).

        Nothing more can be sent then; what still comes is received until the peer's close frame. code is a
        close code that may be sent, or 1005 for a frame without one; reason has at most 123 bytes of UTF-8.

        Returns how many bytes of output wait; 0 if the connection is over already, or was closed before.

        UsageError: the connection is not open yet (ErrorCode.STATE), the code may not be sent, or the reason
        is longer.
        """
        payload = text("reason", reason)
        code = integer("code", code, 0xFFFF)
        return self._call(_ffi.held.wsframe_connection_close, code, payload, len(payload))

    def request(self, host: str, target: str) -> int:
        """
        Puts a client's request into the output (RFC 6455 section 4.1). Returns how many bytes of output wait.

        host is the value of the Host field, target the path and query, which begins with a slash. OPEN tells
        that the server has accepted, ERROR that it has not.

        UsageError: host is no name or address with a port, or target does not begin with a slash or has
        anything but visible ASCII characters, or a # (ErrorCode.ARGUMENT); it is a server, or a second
        request (STATE).
        """
        host_text, target_text = text("host", host), text("target", target)
        function = _ffi.held.wsframe_connection_request
        return self._call(function, host_text, len(host_text), target_text, len(target_text))

    def add_field(self, name: str, value: str) -> None:
        """
        Adds a field to a client's request, before request(), or to a server's response, after the request.

        UsageError: name is no token or value has a control character, so neither can smuggle in another
        field, or the library writes this field itself (ErrorCode.ARGUMENT); it is too late (STATE).
        """
        name_text, value_text = text("name", name), text("value", value)
        function = _ffi.held.wsframe_connection_add_field
        self._call(function, name_text, len(name_text), value_text, len(value_text))

    def accept(self, subprotocol: str | None = None, *, deflate: bool = True) -> Iterable[Event]:
        """
        Lets in the client of a REQUEST.

        subprotocol is one that the client offered; without one the config's list decides. deflate=False does
        without permessage-deflate for this client although the config has it.

        Returns what happened, as receive() does: OPEN, and what the client has sent since; nothing if the
        connection is over meanwhile.

        UsageError: no request waits (ErrorCode.STATE), or the subprotocol was not offered (ARGUMENT).
        """
        name = text("subprotocol", "" if subprotocol is None else subprotocol)
        flags = 0 if deflate else _WITHOUT_DEFLATE
        function = _ffi.held.wsframe_connection_accept
        return self._received(*self._batch(function, name, len(name), flags))

    def respond(self, status: int, body: Buffer = b"") -> int:
        """
        Answers a REQUEST or HTTP with an HTTP status from 200 to 599, the fields that were added, and a body.

        A request with HEAD is told the length of the body only. The connection is closed then.

        Returns how many bytes of output wait; 0 if the connection is over meanwhile.

        UsageError: no request waits (ErrorCode.STATE), or it is another status (ARGUMENT).
        """
        body = octets(body)
        status = integer("status", status, 0xFFFF)
        return self._call(_ffi.held.wsframe_connection_respond, status, body, len(body))

    def take(self, now_ms: int) -> bytes:
        """
        Ends a turn of the loop: returns all that is to be written to the peer, and counts it as written.

        It is for a write that takes everything, such as those of asyncio, or sendall(). now_ms are
        milliseconds from any start that do not go back. When the peer has been silent for long there is a
        ping in what is returned; it is given up when it does not answer in time. wait_ms then says when to
        call again, or that TCP is to be closed.

        UsageError: now_ms is below 0 or above 2**64 - 1.
        """
        handle, lent = self._handle, _lent
        if handle is None or lent.is_taken:
            return self._take_slowly(now_ms)
        try:
            self._handle, lent.is_taken = None, True
            if now_ms != lent.now_ms:
                lent.now_ms, lent.time = now_ms, _ffi.time_of(integer("now_ms", now_ms, _TIME_MAX))
            size = _output(handle, _ALL, lent.time, lent.as_output)
            output: bytes = lent.output[:size] if size > 0 else b""
            if lent.more.value:
                pieces = [output]
                while lent.more.value:
                    size = _output(handle, _ALL, lent.time, lent.as_output)
                    pieces.append(lent.output[:size])
                output = b"".join(pieces)
            wait_ms = lent.wait_ms.value
        finally:
            self._handle, lent.is_taken = self._owner, False
        if size < 0:
            checked(size)
        self.wait_ms = wait_ms if wait_ms != NEVER else None
        return output

    def output(self, now_ms: int, sent: int = 0, max_len: int = 65_536) -> bytes:
        """
        Ends a turn of the loop piece by piece.

        Says that the first sent bytes of the output have been written. Returns what is to be written to the
        peer now: at most max_len bytes, so that what a socket does not take costs little. Call it until it
        returns nothing, or the socket takes no more:

            sent = 0
            while output := connection.output(now_ms, sent):
                sent = tcp.send(output)

        and as wait_ms says. now_ms and wait_ms are as for take().

        UsageError: less than sent waits, or a number is below 0 or too large.
        """
        if type(sent) is not int or not 0 <= sent <= sys.maxsize:
            sent = integer("sent", sent, sys.maxsize)
        if type(max_len) is not int or not 0 <= max_len <= sys.maxsize:
            max_len = integer("max_len", max_len, sys.maxsize)
        written, lent = _size_of(sent), _lent if not _lent.is_taken else _ffi.Lent()
        handle = self._handle
        if handle is None:
            raise self._unusable()
        try:
            self._handle, lent.is_taken = None, True
            if now_ms != lent.now_ms:
                lent.now_ms, lent.time = now_ms, _ffi.time_of(integer("now_ms", now_ms, _TIME_MAX))
            size = _output(handle, written, lent.time, lent.as_output)
            output: bytes = lent.output[: size if size < max_len else max_len] if size > 0 else b""
            wait_ms = lent.wait_ms.value
        finally:
            self._handle, lent.is_taken = self._owner, False
        checked(size)
        self.wait_ms = wait_ms if wait_ms != NEVER else None
        return output

    @property
    def waiting(self) -> int:
        """
        How many bytes of output wait to be written.

        Do not read from a peer that does not take what is sent to it: wait until this is 0, or small.
        """
        return self._call(_ffi.held.wsframe_connection_waiting)

    def gone(self) -> list[Event]:
        """
        Says that TCP has ended: the peer closed it, it broke, or the program gives it up.

        Returns one last event, GONE, which says how; a second call returns none. Nothing is received or sent
        after it, and what the connection holds is given back.
        """
        events, _ = self._batch(_ffi.held.wsframe_connection_gone)
        self._call(_ffi.held.wsframe_connection_output, 0, 0, _ffi.wsframe_output())
        self.wait_ms = 0
        return events

    @property
    def state(self) -> State:
        """How far the connection has come."""
        return _STATES[self._call(_ffi.held.wsframe_connection_state)]

    @property
    def error(self) -> str | None:
        """
        A sentence for the log that says why the connection failed; None if it has not failed.

        That is what the peer did wrong or did not do in time, to the exact cause, or that memory ran out.
        """
        return self._sentence()

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that both ends speak; None if they agreed on none."""
        return self._lent_text(_ffi.held.wsframe_connection_subprotocol)

    @property
    def deflate(self) -> Deflate | None:
        """What both ends agreed on for compressed messages; None if messages are not compressed."""
        record = _ffi.wsframe_deflate()
        if not self._call(_ffi.held.wsframe_connection_deflate, record):
            return None
        return Deflate(
            record.server_no_context_takeover != 0,
            record.client_no_context_takeover != 0,
            record.server_max_window_bits,
            record.client_max_window_bits,
        )

    @property
    def target(self) -> str | None:
        """
        The path and query of the request, for instance "/chat?room=1".

        A server has them from REQUEST or HTTP until the request is answered, and from OPEN to the next call
        of receive(), output() or take(); with start_open always, if the config had them. Else it is None.
        """
        return self._lent_text(_ffi.held.wsframe_connection_target)

    def field(self, name: str) -> str | None:
        """
        Returns the value of the first field of this name; None if there is none, or it is empty.

        It is looked for in the head of the request, or of the response for a client, whatever the case of its
        letters. It is there as long as target says, for a client after OPEN and ERROR. Bytes that are not
        UTF-8 become lone surrogates, as those of file names do.
        """
        name_text = text("name", name)
        return self._lent_text(_ffi.held.wsframe_connection_field, name_text, len(name_text))

    @property
    def fields(self) -> list[tuple[str, str]]:
        """All fields of that head, name and value, in their order, as long as field() finds them."""
        found: list[tuple[str, str]] = []
        while (field := self._field_at(len(found))) is not None:
            found.append(field)
        return found

    def free(self) -> None:
        """
        Gives the connection's memory back. Every later call is a UsageError, but for this one.

        Leaving a with block does it, and so does losing the last reference. If a call is running, it ends
        first.
        """
        self._owner = self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.free()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Connection cannot be copied")

    def __repr__(self) -> str:
        role = "client" if self._role == _CLIENT else "server"
        if self._handle is None:
            words = [role, self._END if self._owner is None else "in use"]
        else:
            words = [role, self.state.name, *filter(None, [self.target])]
        return f"<{type(self).__name__} {' '.join(words)}>"

    def _call(self, function: Callable[..., int], *arguments: object) -> int:
        """Calls a function that lends nothing, and returns its count."""
        handle = self._handle
        if handle is None:
            raise self._unusable()
        return checked(function(handle, *arguments))

    def _batch(self, function: Callable[..., int], *arguments: object) -> tuple[list[Event], bool]:
        """Calls a function that lends a batch. Returns its events, and whether there are more."""
        lent = _ffi.Lent()
        handle = self._handle
        if handle is None:
            raise self._unusable()
        try:
            self._handle = None
            count = function(handle, *arguments, lent.as_batch)
            records = lent.events[: count * _EVENT_LEN] if count > 0 else b""
            events = [
                Event(
                    _KINDS[kind],
                    lent.data[at : at + size] if size else b"",
                    flags,
                    close_code,
                    error and _ERRORS.get(error, error),
                    connection,
                )
                for connection, at, size, close_code, kind, flags, error in _unpack_all_of_hub(records)
            ]
        finally:
            self._handle = self._owner
        checked(count)
        return events, lent.flags.value != 0

    def _received(self, events: list[Event], has_more: bool) -> Iterable[Event]:
        """Returns the events of a batch, and those of the next if there are more."""
        return self._all_received(events) if has_more else events

    def _all_received(self, events: list[Event]) -> Iterator[Event]:
        has_more = True
        while True:
            yield from events
            if not has_more or self._owner is None:
                return
            events, has_more = self._batch(_ffi.receive_long, b"", _size_of(0))

    def _take_slowly(self, now_ms: int) -> bytes:
        """As take(), while another call has in this thread what the library lends once only."""
        lent, pieces = _ffi.Lent(), []
        time = _ffi.time_of(integer("now_ms", now_ms, _TIME_MAX))
        handle = self._handle
        if handle is None:
            raise self._unusable()
        try:
            self._handle = None
            size = _output(handle, _size_of(0), time, lent.as_output)
            while size > 0:
                pieces.append(lent.output[:size])
                size = _output(handle, _size_of(size), time, lent.as_output)
            wait_ms = lent.wait_ms.value
        finally:
            self._handle = self._owner
        checked(size)
        self.wait_ms = wait_ms if wait_ms != NEVER else None
        return b"".join(pieces)

    def _lent_text(self, function: Callable[..., int], *arguments: object) -> str | None:
        """Calls a function that lends a text."""
        pointer, lends = _ffi.lent()
        handle = self._handle
        if handle is None:
            raise self._unusable()
        try:
            self._handle = None
            size = function(handle, *arguments, lends)
            value: bytes | None = pointer[:size] if size > 0 else None
        finally:
            self._handle = self._owner
        checked(size)
        return None if value is None else value.decode("utf-8", "surrogateescape")

    def _field_at(self, number: int) -> tuple[str, str] | None:
        """Returns a field by its number."""
        record = _ffi.wsframe_field()
        handle = self._handle
        if handle is None:
            raise self._unusable()
        try:
            self._handle = None
            found = _ffi.held.wsframe_connection_field_at(handle, number, record)
            name = record.name[: record.name_len] if record.name_len else b""
            value = record.value[: record.value_len] if record.value_len else b""
        finally:
            self._handle = self._owner
        if not checked(found):
            return None
        return name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")

    def _sentence(self) -> str | None:
        """Returns what error is."""
        handle = self._handle
        if handle is None:
            raise self._unusable()
        sentence: bytes | None = _ffi.held.wsframe_connection_error(handle)
        return None if sentence is None else sentence.decode()

    def _unusable(self) -> UsageError:
        """What is wrong if there is no handle to take."""
        why = (
            f"the connection was {self._END}"
            if self._owner is None
            else "another call on this connection is running"
        )
        return UsageError(why, ErrorCode.STATE)


_receive, _send, _output = _ffi.receive, _ffi.send, _ffi.output
_size_of, _ALL = _ffi.size_of, _ffi.ALL
_EVENT_LEN, _unpack, _unpack_all = _ffi.EVENT.size, _ffi.EVENT.unpack, _ffi.EVENT.iter_unpack
_unpack_all_of_hub = _ffi.HUB_EVENT.iter_unpack
_SIZES, _SIZES_LEN = _ffi.SIZES, len(_ffi.SIZES)
_new = object.__new__  # makes an Event in two thirds of the time of Event()
_values = attrgetter("kind", "data", "flags", "close_code", "error", "connection")


def _one_at_a_time(owner: type, calls: Iterable[str]) -> None:
    """
    Gives calls of a class a lock.

    A call takes the handle with a load and a store, which nothing comes between while the GIL is held.
    Without a GIL other threads do.
    """

    def locked(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(self: Any, *arguments: Any, **options: Any) -> Any:
            with self._lock:
                return method(self, *arguments, **options)

        return call

    for name in calls:
        setattr(owner, name, locked(getattr(owner, name)))


# What takes the handle or gives it back.
_CALLS = (
    *("_batch", "_call", "_field_at", "_lent_text", "_sentence"),
    *("_take_slowly", "free", "output", "receive", "send", "take", "try_send"),
)
if not _HAS_GIL:
    _one_at_a_time(Connection, _CALLS)


def answer_handshake(head: Buffer, **config: Unpack[Config]) -> bytes:
    """
    Returns the response to an opening handshake, for hosts that have read its head themselves.

    head is "GET /chat HTTP/1.1", the fields, and the blank line, each line ending with CR LF. The connection
    is then made with start_open=True, and with the extensions of the response.

    The response lets the client in if it begins with b"HTTP/1.1 101 "; others refuse, and TCP is to be closed
    after them.

    ProtocolError with code HANDSHAKE: head does not end with the blank line of a head.
    UsageError: the config is wrong.
    """
    head, record = octets(head), _record(config)
    # As much as include/wsframe.h says is enough, and more only if subprotocols are of unusual length.
    answer: bytes = _ffi.new_bytes(None, 1024 + record.subprotocols_len)
    return answer[: checked(_ffi.lib.wsframe_handshake_answer(head, len(head), record, answer, len(answer)))]


def answer_extensions(offer: str | Buffer, **config: Unpack[Config]) -> str | None:
    """
    Returns the Sec-WebSocket-Extensions of a response, for hosts that write it themselves (RFC 7692).

    offer is the value of that field of the request; several of them are joined with commas. What is returned
    goes into the response, and into the extensions with which the connection is then made. None says that the
    response must not have the field: nothing was offered that can be accepted, or deflate is not True.

    ProtocolError with code HANDSHAKE: offer is no list of extensions.
    UsageError: the config is wrong.
    """
    # A lone surrogate, which UTF-8 cannot express, becomes a question mark, which is in no offer either.
    offered = offer.encode("utf-8", "replace") if isinstance(offer, str) else octets(offer)
    record = _record(config)
    answer: bytes = _ffi.new_bytes(None, _EXTENSIONS_LEN_MAX)
    size = checked(_ffi.lib.wsframe_extensions_answer(offered, len(offered), record, answer, len(answer)))
    return answer[:size].decode("ascii") if size else None


def _say(compress: bool | None) -> int:
    """What an opcode gets beside it for a say in whether the message is compressed."""
    if compress is None:
        return 0
    return _COMPRESSED if compress else _PLAIN


def _outgoing(
    message: str | Buffer, kind: int | None, compress: bool | None, more: bool
) -> tuple[int, bytes]:
    """The opcode of a message with what is to be said of it, and its bytes."""
    if isinstance(message, str):
        if kind is not None and kind != _TEXT:
            raise TypeError(f"a message of kind {kind} must be bytes, not str")
        opcode, payload = int(_TEXT), text("message", message)
    else:
        opcode = int(_BINARY) if kind is None else integer("kind", kind, 0xFFFF)
        payload = octets(message)
    return opcode | _say(compress) | (_MORE if more else 0), payload


def _payloads(messages: Iterable[str] | Iterable[Buffer]) -> tuple[int, list[bytes]]:
    """The same for messages that all are of one kind."""
    if isinstance(messages, str):
        raise TypeError("messages must be a sequence of str, not one")
    kept: list[Any] = list(messages)
    if not kept or not isinstance(kept[0], str):
        return _BINARY, all_octets(kept)
    if set(map(type, kept)) == {str}:
        try:
            return _TEXT, [*map(str.encode, kept)]
        except UnicodeEncodeError:
            pass
    return _TEXT, all_octets(text("a message", message) for message in kept)


def _record(config: Config) -> _ffi.wsframe_config:
    """Returns a config as the library reads it."""
    record = _ffi.wsframe_config(_ffi.CONFIG_SIZE)
    for name, value in config.items():
        if name in _FLAGS:
            record.flags |= _FLAGS[name] if value else 0
        elif name in _LISTS:
            joined = _list(name, value)  # type: ignore[arg-type]
            setattr(record, name, joined)
            setattr(record, name + "_len", len(joined))
        elif name in _TEXTS:
            value_text = text(name, "" if value is None else value)  # type: ignore[arg-type]
            setattr(record, name, value_text)
            setattr(record, name + "_len", len(value_text))
        elif name in Config.__annotations__:
            most = 256 ** getattr(_ffi.wsframe_config, name).size - 1
            setattr(record, name, integer(name, value, most))  # type: ignore[arg-type]
        else:
            raise TypeError(f"there is no {name!r} in the config of a connection")
    return record


def _list(name: str, elements: Iterable[str]) -> bytes:
    """Returns elements with commas between them, of which the library makes the same elements again."""
    if isinstance(elements, str):
        raise TypeError(f"{name} must be a sequence of str, not one")
    elements = list(elements)
    for element in elements:
        text(f"an element of {name}", element)
        # An empty list of origins would let everybody in.
        if not element or "," in element or element != element.strip():
            raise UsageError(f"{element!r} in {name} is empty, or has a comma in it or white space around it")
    return text(name, ",".join(elements))
