"""Connections: bytes in, events out; messages in, bytes out. No I/O."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, NoReturn, TypedDict

from wsframe import _ffi
from wsframe._arguments import Buffer, all_octets, integer, octets, text
from wsframe.errors import STATE, UsageError, checked

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

_TEXT, _BINARY = 1, 2  # WSFRAME_OPCODE_*
_SERVER, _CLIENT = 0, 1  # WSFRAME_ROLE_*
_FIRST, _LAST, _COMPRESSED = 1, 2, 8  # WSFRAME_EVENT_*
_SEND_PLAIN, _SEND_COMPRESSED = 256, 512  # WSFRAME_SEND_*
_EXTENSIONS_LEN_MAX = 128
_TIME_MAX = 2**64 - 1
_NEVER = sys.maxsize  # PTRDIFF_MAX


class State(enum.IntEnum):
    """
    How far a connection has come.

    CONNECTING: the opening handshake is not done. ASKED: a request waits for accept() or refuse(). OPEN:
    messages go both ways. CLOSING: a close frame was sent, the peer's is awaited. CLOSED: both were
    exchanged, and nothing that still comes is looked at. FAILED: the peer broke the rules, refused or was
    refused, or is gone.
    """

    CONNECTING = 0
    ASKED = 1
    OPEN = 2
    CLOSING = 3
    CLOSED = 4
    FAILED = 5


class EventKind(enum.IntEnum):
    """
    What an event is, and what its data are.

    REQUEST and HTTP come only with ask=True: a client asks to be let in, or for a page, and the application
    is to answer with accept() or refuse(); the data are the request's head. OPEN: the opening handshake is
    done; the data are the head of the request, or of the response for a client. TEXT and BINARY: a message,
    or with pieces=True a piece of one. PING: it has been answered, unless manual_pong=True. PONG. CLOSE: the
    peer's close frame; the data are the reason. ERROR: the peer broke the rules. No event follows CLOSE and
    ERROR.
    """

    REQUEST = 1
    HTTP = 2
    OPEN = 3
    TEXT = 4
    BINARY = 5
    PING = 6
    PONG = 7
    CLOSE = 8
    ERROR = 9


# Asked in a fraction of the time of EventKind(number) and State(number). There is no kind 0.
_KINDS = (EventKind.REQUEST, *EventKind)
_STATES = tuple(State)


class Event(NamedTuple):
    """One thing that happened. It has its data for itself, and cannot be changed."""

    kind: EventKind
    """What it is."""
    data: bytes
    """The message, the payload, the head or the reason: see EventKind."""
    flags: int = 0
    """The bits that is_first, is_last and is_compressed ask for."""
    close_code: int = 0
    """
    Of CLOSE the peer's close code, 1005 if it sent none (RFC 6455 section 7.1.5). Of ERROR the close code
    that was sent in answer, or the HTTP status if a server refused the handshake. Else 0.
    """
    error: int = 0
    """
    Of ERROR the code of the failure, as ProtocolError.code has it. Connection.error is the sentence. Else 0.
    """

    @property
    def text(self) -> str:
        """
        The data of a TEXT, or the reason of a CLOSE, as a string.

        UnicodeDecodeError: the data are not UTF-8, which they may be for other kinds and with skip_utf8=True.
        """
        return self.data.decode()

    @property
    def is_first(self) -> bool:
        """Whether a message begins with these data; so it does unless pieces=True."""
        return self.flags & _FIRST != 0

    @property
    def is_last(self) -> bool:
        """Whether a message ends with these data; so it does unless pieces=True."""
        return self.flags & _LAST != 0

    @property
    def is_compressed(self) -> bool:
        """Whether the message came compressed. The data are what it was before."""
        return self.flags & _COMPRESSED != 0


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
    What an application can choose for a connection. What is not given, and 0, is the default.

    subprotocols: a server answers with the first of them that the client offers, a client offers them all.
    origins: the Origins that a server accepts; if there are any, a request needs one of them.

    ask: a server's requests wait for accept() or refuse(), instead of being answered by the library.
    pieces: messages are delivered as they arrive, text cut between characters, instead of whole.
    manual_pong: pings are not answered by the library.
    start_open: somebody else has done the opening handshake; see answer_handshake().
    extensions: with start_open and deflate, the Sec-WebSocket-Extensions of the response that he has written,
    for instance what answer_extensions() answered; None if it had none.

    deflate: messages may be compressed with permessage-deflate (RFC 7692), if the peer agrees. Do not
    compress secrets together with what an attacker chooses: how long the message gets tells him about both.
    server_no_context_takeover, client_no_context_takeover: each message of the server, or of the client, is
    compressed on its own. It gets longer, and nothing is kept for it between messages.
    deflate_min_len: the shortest message that is compressed unasked; 64, or 256 where each message is
    compressed on its own.
    deflate_level: how hard to compress, from 1, the fastest, to 9, the smallest; 6.
    server_max_window_bits, client_max_window_bits: how far back the messages of the server, or of the client,
    may refer to those before them, as a power of two: 9 to 15; 12. So many bytes, 4096 for 12, does a
    connection keep at most. A client that does not offer to be asked keeps to 15.

    accept_any_mask: a server accepts frames that are not masked, a client frames that are.
    accept_long_lengths: lengths need not be in their shortest form.
    skip_utf8: text is not checked to be UTF-8.
    accept_any_close_code: every close code from 1000 to 4999 is accepted.

    max_message_len, max_frame_len: the longest message and the longest payload of one of its frames; 16 MiB.
    max_output_len: how many bytes of output may wait; 16 MiB.
    max_fragments: the most frames of one message; 65,536.
    max_head_len, max_head_fields: the longest head of a request or response, and its most fields; 16 KiB and
    100.
    handshake_timeout_ms: how long the opening handshake may take; 10 seconds.
    close_timeout_ms: how long the peer may take to answer a close frame; 5 seconds.
    ping_interval_ms: after how long a silence a ping is sent, and then how long the peer may be silent still;
    30 seconds.
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
    max_output_len: int
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
_TEXTS = ("extensions",)


class Message:
    """
    A message that is checked and compressed once, and sent on many connections by Connection.send_message().

    It does not change: any number of threads may send it at the same time. Its memory comes back with the
    last reference.
    """

    __slots__ = ("__weakref__", "_handle")

    def __init__(
        self, message: str | Buffer, /, compress: bool | None = None, **config: Unpack[Config]
    ) -> None:
        """
        Prepares a message: text if it is a str, binary if it is bytes.

        config is that of the connections it is meant for; see Config. Without deflate=True it is not
        compressed. compress is as for Connection.send().

        UsageError: the config is wrong, or a lone surrogate is in the text.
        """
        opcode, payload = _payload(message)
        opcode |= _send_flag(compress)
        record, handle = _record(config), _ffi.MessageHandle()
        checked(_ffi.lib.wsframe_message_new(opcode, payload, len(payload), record, handle))
        self._handle = handle

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Message cannot be copied")


class Connection:
    """
    One WebSocket connection, of a server or a client (RFC 6455). It does no I/O.

    What was read from the peer goes into receive(), which returns what happened. What is sent, and what the
    library answers by itself, waits in output() until sent() says that it was written. tick() tells the
    connection what time it is, and hears when it wants to know again, or that TCP is to be closed:

        for event in connection.receive(tcp.recv(65536)):
            ...
        connection.sent(tcp.send(connection.output()))
        wait_ms = connection.tick(time.monotonic_ns() // 1_000_000)

    A connection may be used from one thread at a time, and from any thread. A call while another is running
    on the same connection is a UsageError and does nothing. Different connections never meet.

    The methods take bytes, a bytearray, a memoryview or anything else that lends its bytes, as Frame does. An
    argument of a wrong type is a TypeError. UsageError.code tells why a call was wrong: -2, STATE, not in
    this state; -3, SPACE, too much output waits; -1, ARGUMENT, for nearly all else.
    """

    __slots__ = ("__weakref__", "_give", "_is_freed", "_lends", "_lent", "_size", "_take", "_time")

    def __init__(self, role: int, config: Config) -> None:
        record, handle = _record(config), _ffi.Handle()
        checked(_ffi.held.wsframe_connection_new(role, record, handle))
        # Each call takes the handle out of this list and gives it back: so it has it alone, and nobody frees
        # it meanwhile. That takes a fifth of the time of a lock, and cannot wait for itself in a signal
        # handler.
        idle: list[_ffi.Handle] = [handle]
        self._take, self._give = idle.pop, idle.append
        self._is_freed = False
        self._size, self._time = _ffi.Size(), _ffi.Time()
        self._lent, self._lends = _ffi.lent()

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

    def receive(self, data: Buffer) -> list[Event]:
        """
        Takes bytes that were read from the peer, in pieces of any size, and returns what happened.

        What the peer does wrong is not raised: it is the last event, an ERROR, after all that was valid
        before it.

        UsageError: after such an ERROR.
        """
        if type(data) is not bytes:
            data = octets(data)
        try:
            handle = self._take()
        except IndexError:
            raise self._unusable() from None
        try:
            self._size.value = len(data)
            count = _ffi.receive(handle, data, self._size)
            if count > 0:
                return self._events(handle, count)
        finally:
            self._give(handle)
        checked(count)
        return []

    def send(self, message: str | Buffer, compress: bool | None = None) -> int:
        """
        Puts a whole message into the output: text if it is a str, binary if it is bytes.

        If both ends have agreed to compress, a message of at least deflate_min_len is compressed if that
        makes it shorter. compress=False does not compress this one, for instance because it has a secret next
        to what an attacker chose (RFC 7692 section 8); compress=True compresses it however short it is.

        Returns how many bytes of output wait.

        A message that came together with the peer's CLOSE, or with an ERROR, can still be answered until
        output() is taken.

        UsageError: the connection is not open, which may be the peer's doing, or a message that is sent in
        pieces is not finished (code -2); more output would wait than max_output_len allows: write some and
        call again (-3); a lone surrogate is in the text (-1).
        """
        if isinstance(message, str):
            opcode = _TEXT
            try:
                payload = message.encode()
            except UnicodeEncodeError:
                payload = text("message", message)
        else:
            opcode, payload = _BINARY, message if type(message) is bytes else octets(message)
        if compress is not None:
            opcode |= _send_flag(compress)
        try:
            handle = self._take()
        except IndexError:
            raise self._unusable() from None
        try:
            self._size.value = len(payload)
            waiting: int = _ffi.send(handle, opcode, payload, self._size)
        finally:
            self._give(handle)
        return waiting if waiting >= 0 else checked(waiting)

    def send_many(self, messages: Iterable[str] | Iterable[Buffer], compress: bool | None = None) -> int:
        """
        Puts many messages into the output, as send() does with each, by one call of the library.

        All of them are str, or all are bytes. It is for many small ones: they are joined on the way there.

        Returns how many messages were put there. That is less than there are if there was no room for the
        next one, or it cannot be sent; a call that begins with it raises the error.

        UsageError: as send(), for the first of them.
        """
        opcode, pieces = _payloads(messages)
        joined, lens = b"".join(pieces), _ffi.lengths(pieces)
        function = _ffi.held.wsframe_connection_send_many
        return self._call(function, opcode | _send_flag(compress), joined, lens, len(pieces))

    def send_message(self, message: Message) -> int:
        """
        Puts a prepared message into the output; compressed if it is, and both ends have agreed to compress.

        Returns and errors as send().
        """
        if not isinstance(message, Message):
            raise TypeError(f"message must be a Message, not {type(message).__name__}")
        prepared = message._handle
        try:
            handle = self._take()
        except IndexError:
            raise self._unusable() from None
        try:
            waiting: int = _ffi.send_message(handle, prepared)
        finally:
            self._give(handle)
        return waiting if waiting >= 0 else checked(waiting)

    def send_piece(self, message: str | Buffer, last: bool, compress: bool | None = None) -> int:
        """
        Puts a piece of a message into the output, as a frame of its own (RFC 6455 section 5.4).

        All pieces of a message are str, or all are bytes; last says that this is the last one. Pings and
        close may come between them, other messages not. Text that was cut inside a character may be sent as
        what decode("utf-8", "surrogateescape") makes of it. If both ends have agreed to compress, the message
        is compressed unless its first piece has compress=False.

        Returns and errors as send(); UsageError with code -2, too, if the piece is not of the kind of those
        before.
        """
        opcode, payload = _payload(message)
        opcode |= _send_flag(compress)
        function = _ffi.held.wsframe_connection_send_piece
        return self._call(function, opcode, payload, len(payload), bool(last))

    def ping(self, payload: Buffer = b"") -> int:
        """
        Puts a ping with a payload of at most 125 bytes into the output.

        Returns how many bytes of output wait.

        UsageError: the connection is not open, too much output waits, or the payload is longer.
        """
        payload = octets(payload)
        return self._call(_ffi.held.wsframe_connection_ping, payload, len(payload))

    def pong(self, payload: Buffer = b"") -> int:
        """
        Puts a pong into the output, as ping() does. Pings are answered without it, unless manual_pong=True.

        UsageError: as ping().
        """
        payload = octets(payload)
        return self._call(_ffi.held.wsframe_connection_pong, payload, len(payload))

    def close(self, code: int = 1000, reason: str = "") -> int:
        """
        Puts a close frame into the output (RFC 6455 section 7.1.2). Returns how many bytes of output wait.

        Nothing more can be sent then; what still comes is received until the peer's close frame. code is a
        close code that may be sent, or 1005 for a frame without one; reason has at most 123 bytes of UTF-8.

        UsageError: the connection is not open, the code may not be sent, or the reason is longer.
        """
        payload = text("reason", reason)
        code = integer("code", code, 0xFFFF)
        return self._call(_ffi.held.wsframe_connection_close, code, payload, len(payload))

    def request(self, host: str, target: str) -> int:
        """
        Puts a client's request into the output (RFC 6455 section 4.1). Returns how many bytes of output wait.

        host is the value of the Host field, target the path and query, which begins with a slash.

        UsageError: one of them has a space or a control character (code -1); it is a server, or a second
        request (-2).
        """
        host_text, target_text = (
            text("host", host),
            text("target", target),
        )
        function = _ffi.held.wsframe_connection_request
        return self._call(function, host_text, len(host_text), target_text, len(target_text))

    def add_field(self, name: str, value: str) -> None:
        """
        Adds a field to a client's request, before request(), or to a server's response, before it is written.

        UsageError: name is no token or value has a control character, so neither can smuggle in another field
        (code -1); it is too late (-2).
        """
        name_text, value_text = text("name", name), text("value", value)
        function = _ffi.held.wsframe_connection_add_field
        self._call(function, name_text, len(name_text), value_text, len(value_text))

    def accept(self, subprotocol: str | None = None) -> list[Event]:
        """
        Lets in the client of a REQUEST.

        subprotocol is one that the client offered; without one the config's list decides.

        Returns what happened, as receive() does: OPEN, and what the client has sent since.

        UsageError: no request waits (code -2), or the subprotocol was not offered (-1).
        """
        name = text("subprotocol", "" if subprotocol is None else subprotocol)
        try:
            handle = self._take()
        except IndexError:
            raise self._unusable() from None
        try:
            count = checked(_ffi.held.wsframe_connection_accept(handle, name, len(name)))
            return self._events(handle, count)
        finally:
            self._give(handle)

    def decline_deflate(self) -> None:
        """
        Does without permessage-deflate although the config has it.

        For some targets or some clients: after REQUEST and before accept(), or before a client's request().

        UsageError: it is too late (code -2).
        """
        self._call(_ffi.held.wsframe_connection_decline_deflate)

    def refuse(self, status: int, body: Buffer = b"") -> int:
        """
        Answers a REQUEST or HTTP with an HTTP status from 200 to 599, the fields that were added, and a body.

        Returns how many bytes of output wait. TCP is to be closed after them, as tick() says.

        UsageError: no request waits (code -2), or it is another status (-1).
        """
        body = octets(body)
        status = integer("status", status, 0xFFFF)
        return self._call(_ffi.held.wsframe_connection_refuse, status, body, len(body))

    def output(self) -> bytes:
        """Returns the bytes that are to be written to the peer. Tell sent() how many were written."""
        try:
            handle = self._take()
        except IndexError:
            raise self._unusable() from None
        try:
            count = _ffi.output(handle, self._lends)
            if count >= 0:
                return self._lent[:count]  # type: ignore[no-any-return]
        finally:
            self._give(handle)
        checked(count)
        return b""

    def sent(self, count: int) -> int:
        """
        Says that the first count bytes of the output were written. Returns how many still wait.

        UsageError: there are not so many.
        """
        if not 0 <= count <= sys.maxsize:
            integer("count", count, sys.maxsize)
        try:
            handle = self._take()
        except IndexError:
            raise self._unusable() from None
        try:
            self._size.value = count
            waiting: int = _ffi.sent(handle, self._size)
        finally:
            self._give(handle)
        return waiting if waiting >= 0 else checked(waiting)

    def tick(self, now_ms: int) -> int | None:
        """
        Tells the connection what time it is: milliseconds from any start that do not go back.

        To be called at the end of each turn of a loop, when the output was written, and when the time is over
        that was returned. It puts a ping into the output when the peer has been silent for long.

        Returns in how many milliseconds it wants to be called again; None if nothing is due, as for timeouts
        of Python. 0 says that TCP is to be closed: all is said and written, or the peer had its time.

        UsageError: now_ms is below 0 or above 2**64 - 1.
        """
        if not 0 <= now_ms <= _TIME_MAX:
            integer("now_ms", now_ms, _TIME_MAX)
        try:
            handle = self._take()
        except IndexError:
            raise self._unusable() from None
        try:
            self._time.value = now_ms
            wait_ms: int = _ffi.tick(handle, self._time)
        finally:
            self._give(handle)
        if wait_ms == _NEVER:
            return None
        return wait_ms if wait_ms >= 0 else checked(wait_ms)

    @property
    def state(self) -> State:
        """How far the connection has come."""
        return _STATES[self._call(_ffi.state)]

    @property
    def error(self) -> str | None:
        """
        A sentence for the log that says what the peer did wrong, to the exact cause; None if it did nothing.
        """
        try:
            handle = self._take()
        except IndexError:
            raise self._unusable() from None
        try:
            sentence = _ffi.held.wsframe_connection_error(handle)
        finally:
            self._give(handle)
        return None if sentence is None else sentence.decode()

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
        The request target, for instance "/chat?room=1".

        A server has one from the call that returned REQUEST, HTTP or OPEN to the next receive(), accept() or
        tick(); else it is None.
        """
        return self._lent_text(_ffi.held.wsframe_connection_target)

    def field(self, name: str) -> str | None:
        """
        Returns the value of the first field of this name, None if there is none.

        It is looked for in the head of the request, or of the response for a client, whatever the case of its
        letters. It is there as long as target says, and later there is none. Bytes that are not UTF-8 become
        lone surrogates, as those of file names do.
        """
        name_text = text("name", name)
        return self._lent_text(_ffi.held.wsframe_connection_field, name_text, len(name_text))

    def free(self) -> None:
        """
        Gives the connection's memory back. Every later call is a UsageError, but for this one.

        Leaving a with block does it, and so does losing the last reference.

        UsageError: another call is running.
        """
        try:
            self._take()
        except IndexError:
            if self._is_freed:
                return
            raise self._unusable() from None
        self._is_freed = True

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

    def _call(self, function: Callable[..., int], *arguments: object) -> int:
        """Calls a function with the handle and the arguments, and returns its count."""
        try:
            handle = self._take()
        except IndexError:
            raise self._unusable() from None
        try:
            return checked(function(handle, *arguments))
        finally:
            self._give(handle)

    def _lent_text(self, function: Callable[..., int], *arguments: object) -> str | None:
        """As _call(), for a text that the function lends."""
        try:
            handle = self._take()
        except IndexError:
            raise self._unusable() from None
        try:
            size = checked(function(handle, *arguments, self._lends))
            value: bytes | None = self._lent[:size] if self._lent else None
        finally:
            self._give(handle)
        return None if value is None else value.decode("utf-8", "surrogateescape")

    def _events(self, handle: _ffi.Handle, count: int) -> list[Event]:
        """Returns the events of the call that has returned their number."""
        records = _ffi.events(handle)[: count * _EVENT_LEN]
        _ffi.data(handle, self._lends)
        # Each event copies its own data: they may be a few bytes of pings beside megabytes of a message that
        # is not complete.
        data: Any = self._lent
        events = []
        for offset, size, code, kind, flags, error in _unpack_events(records):
            event = _tuple(Event, (_KINDS[kind], data[offset : offset + size], flags, code, error))
            events.append(event)
        return events

    def _unusable(self) -> UsageError:
        """What is wrong if there is no handle to take."""
        why = "the connection was freed" if self._is_freed else "another call on this connection is running"
        return UsageError(why, STATE)


_EVENT_LEN, _unpack_events = _ffi.EVENT.size, _ffi.EVENT.iter_unpack
_tuple = tuple.__new__  # makes an Event in two thirds of the time of Event()


def answer_handshake(head: Buffer, **config: Unpack[Config]) -> bytes:
    """
    Returns the response to an opening handshake, for hosts that have read its head themselves.

    head is "GET /chat HTTP/1.1", the fields, and the blank line, each line ending with CR LF. The connection
    is then made with start_open=True, and with the extensions of the response.

    The response lets the client in if it begins with b"HTTP/1.1 101 "; others refuse, and TCP is to be closed
    after them.

    ProtocolError with code -32: head does not end with the blank line of a head.
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

    ProtocolError with code -32: offer is no list of extensions.
    UsageError: the config is wrong.
    """
    # A lone surrogate, which UTF-8 cannot express, becomes a question mark, which is in no offer either.
    offered = offer.encode("utf-8", "replace") if isinstance(offer, str) else octets(offer)
    record = _record(config)
    answer: bytes = _ffi.new_bytes(None, _EXTENSIONS_LEN_MAX)
    size = checked(_ffi.lib.wsframe_extensions_answer(offered, len(offered), record, answer, len(answer)))
    return answer[:size].decode("ascii") if size else None


def _send_flag(compress: bool | None) -> int:
    """What an opcode gets beside it for a say in whether the message is compressed."""
    if compress is None:
        return 0
    return _SEND_COMPRESSED if compress else _SEND_PLAIN


def _payload(message: str | Buffer) -> tuple[int, bytes]:
    """The opcode and the bytes of a message."""
    if isinstance(message, str):
        return _TEXT, text("message", message)
    return _BINARY, octets(message)


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
