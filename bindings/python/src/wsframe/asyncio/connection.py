"""What servers and clients have in common: a connection, and the messages on it."""

from __future__ import annotations

import asyncio
import enum
import logging
import random
import time
import uuid
from collections import deque
from collections.abc import AsyncIterable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Union

from wsframe.asyncio.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedOK,
    connection_closed,
)
from wsframe.asyncio.frames import Close, CloseCode
from wsframe.connection import Event, EventKind, Message
from wsframe.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from typing_extensions import Self

    from wsframe.asyncio._options import Options
    from wsframe.asyncio._reactor import Reactor
    from wsframe.asyncio.http11 import Request, Response

Data = Union[str, bytes]
"""A message that was received: str for text, bytes for binary."""
DataLike = Union[str, bytes, bytearray, memoryview]
"""A message to be sent, or a piece of one."""
LoggerLike = Union[logging.Logger, "logging.LoggerAdapter[Any]"]


class State(enum.IntEnum):
    """How far a connection has come."""

    CONNECTING = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3


_TEXT, _BINARY = EventKind.TEXT, EventKind.BINARY
_OPEN = State.OPEN
_BUFFERS = (bytes, bytearray, memoryview)
_NO_MESSAGES: deque[Event] = deque()
"""That of all connections on which nothing has come: one of its own would be 760 bytes."""
_MESSAGES = (str, *_BUFFERS)


class Connection:
    """
    A connection with a peer: messages both ways, as in the package websockets.

    Of what the peer does recv() and send() raise nothing but ConnectionClosed. A connection belongs to its
    event loop. All waiting may be cancelled: what was received stays for the next recv(), and what waits for
    room in send() is not sent.
    """

    def __init__(self, reactor: Reactor, number: int, options: Options, logger: LoggerLike) -> None:
        """Is called by serve() and connect()."""
        self.loop = reactor.loop
        self.logger = logger
        self.state = State.CONNECTING
        self.subprotocol: str | None = None
        self.latency: float = 0.0
        self._reactor, self._number, self._options = reactor, number, options
        self._messages = _NO_MESSAGES
        self._receiver: asyncio.Future[None] | None = None  # who waits for a message
        self._senders: list[asyncio.Future[None]] = []  # who wait for room
        self._in_pieces: asyncio.Future[None] | None = None  # done when a message in pieces is
        self._end: asyncio.Future[None] | None = None  # done with GONE; see wait_closed()
        self._pings: dict[bytes, tuple[asyncio.Future[float], float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_paused = False
        self._rcvd: Close | None = None
        self._sent: Close | None = None
        self._rcvd_then_sent: bool | None = None
        self._cause: BaseException | None = None
        self._id: uuid.UUID | None = None
        reactor.join(number, self)

    @property
    def id(self) -> uuid.UUID:
        """A name for it in logs that no other has."""
        if self._id is None:
            self._id = uuid.uuid4()
        return self._id

    @property
    def request(self) -> Request | None:
        """The request of the opening handshake."""
        raise NotImplementedError

    @property
    def response(self) -> Response | None:
        """The response of the opening handshake."""
        raise NotImplementedError

    @property
    def remote_address(self) -> Any:
        """Where the peer is: host and port, and for IPv6 two numbers more; a path for a Unix socket."""
        raise NotImplementedError

    @property
    def local_address(self) -> Any:
        """Where this end is, as remote_address; None for a client, which does not know it."""
        return None

    @property
    def close_code(self) -> int | None:
        """The peer's close code, 1006 if it sent no close frame; None as long as the connection lives."""
        if self.state is not State.CLOSED:
            return None
        return CloseCode.ABNORMAL_CLOSURE if self._rcvd is None else self._rcvd.code

    @property
    def close_reason(self) -> str | None:
        """The peer's reason; None as long as the connection lives."""
        if self.state is not State.CLOSED:
            return None
        return "" if self._rcvd is None else self._rcvd.reason

    async def recv(self, decode: bool | None = None) -> Any:
        """
        Returns the next message: str for text, bytes for binary.

        decode: False for bytes in any case, True for str. Cancelling it loses nothing.

        ConnectionClosed: there is no message, and will be none. ConcurrencyError: another task waits for one.
        UnicodeDecodeError: decode is True, and a binary message is not UTF-8.
        """
        if self._receiver is not None:
            raise ConcurrencyError("cannot call recv while another coroutine is already running recv")
        while not self._messages:
            if self.state is State.CLOSED:
                raise self._closed()
            self._receiver = self.loop.create_future()
            try:
                await self._receiver
            finally:
                self._receiver = None
        return self._next(decode)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        """Returns the next message, as recv(); ConnectionClosedOK is the end."""
        if self._messages and self._receiver is None:
            return self._next(None)
        try:
            return await self.recv()
        except ConnectionClosedOK:
            raise StopAsyncIteration from None

    async def send(
        self,
        message: DataLike | Iterable[DataLike] | AsyncIterable[DataLike],
        *,
        text: bool | None = None,
    ) -> None:
        """
        Sends a message: str as text, bytes as binary; text says it otherwise.

        Each piece of an iterable is sent as a frame of its own, and they are one message; pieces are all str
        or all bytes. It waits while more than write_limit bytes wait to be written. If it is cancelled then a
        message is not sent, and one in pieces ends the connection, with 1011, if it had begun.

        ConnectionClosed: it is not sent. TypeError: it is no message. UsageError: bytes with text=True are
        not UTF-8.
        """
        while self._in_pieces is not None:
            await asyncio.shield(self._in_pieces)
        if isinstance(message, _MESSAGES):
            opcode, data = _payload(message, text)
            if self.state is _OPEN and self._reactor.hub.send(self._number, data, opcode):
                self._reactor.turn_soon()
            else:
                await self._send_later(data, opcode, more=False)
        elif isinstance(message, Mapping):
            raise TypeError("data is a dict-like object")
        elif isinstance(message, AsyncIterable):
            await self._send_pieces(message, text)
        elif isinstance(message, Iterable):
            await self._send_pieces(_each(message), text)
        else:
            raise TypeError("data must be str, bytes, iterable, or async iterable")

    async def ping(self, data: DataLike | None = None) -> Awaitable[float]:
        """
        Sends a ping, and returns what can be waited for: the seconds until its pong.

        data are at most 125 bytes; without, they are some that no other ping has.

        ConnectionClosed: it is not sent, or, of what is returned, there will be no pong. ConcurrencyError:
        there is no pong yet for another one with the same data.
        """
        payload = None if data is None else _octets(data)
        if payload in self._pings:
            raise ConcurrencyError("already waiting for a pong with the same data")
        while payload is None or payload in self._pings:
            payload = random.getrandbits(32).to_bytes(4, "big")
        await self._send_control(payload, EventKind.PING)
        pong: asyncio.Future[float] = self.loop.create_future()
        self._pings[payload] = pong, time.perf_counter()
        return pong

    async def pong(self, data: DataLike = b"") -> None:
        """Sends a pong that nobody has asked for. Pings are answered without it. Raises as ping()."""
        await self._send_control(_octets(data), EventKind.PONG)

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """
        Closes the connection after what was sent, and waits until it has ended: close_timeout at most.

        What was received can be had from recv() still. A second time it only waits.

        UsageError: the code may not be sent, or the reason is longer than 123 bytes of UTF-8.
        """
        self._close(code, reason)
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Waits until the connection has ended."""
        if self.state is not State.CLOSED:
            if self._end is None:
                self._end = self.loop.create_future()
            await asyncio.shield(self._end)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close(CloseCode.NORMAL_CLOSURE if kind is None else CloseCode.INTERNAL_ERROR)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._number} {self.state.name}>"

    def met(self, event: Event) -> None:
        """Takes what else has happened; the reactor's call."""
        kind = event.kind
        if kind is EventKind.PONG:
            self._answered(event.data)
        elif kind is EventKind.DRAIN:
            self._wake_senders()
        elif kind is EventKind.CLOSE:
            self._rcvd = Close(event.close_code, event.data.decode("utf-8", "surrogateescape"))
            self._rcvd_then_sent = self._sent is None
            if self._sent is None:
                self._sent = Close(event.close_code, "")  # the library has answered it
            self._leaving()
        elif kind is EventKind.ERROR:
            if event.close_code and self._sent is None and self.state is not State.CONNECTING:
                self._sent = Close(event.close_code, "")
                self._rcvd_then_sent = None
            self._leaving()
        elif kind is EventKind.GONE:
            self._gone(event)

    def _next(self, decode: bool | None) -> Any:
        """The message that has waited for the longest time, and reads on when there are few."""
        messages = self._messages
        event = messages.popleft()
        if self._is_paused and len(messages) <= self._options.queue_low:
            self._resume()
        if decode is None:
            decode = event.kind is _TEXT
        return event.data.decode() if decode else event.data

    def took(self, event: Event) -> None:
        """Takes a message; the reactor's call."""
        messages, high = self._messages, self._options.queue_high
        if self.state is not _OPEN and len(messages) > high:
            return  # nobody reads any more what is flooding this end while it closes
        if messages is _NO_MESSAGES:
            messages = self._messages = deque()
        messages.append(event)
        receiver = self._receiver
        if receiver is not None and not receiver.done():
            receiver.set_result(None)
        if len(messages) > high and not self._is_paused and self.state is _OPEN:
            self._is_paused = self._reactor.hub.pause(self._number)

    def _resume(self) -> None:
        self._is_paused = False
        self._reactor.hub.resume(self._number)
        self._reactor.turn_soon()

    def _opened(self) -> None:
        """Messages go both ways from now on."""
        self.state = _OPEN
        interval = self._options.ping_interval
        if interval is not None:
            self._timer = self.loop.call_later(interval, self._keep_alive)

    def _leaving(self) -> None:
        """Nothing can be sent any more."""
        if self.state is _OPEN:
            self.state = State.CLOSING
            self._stop_timer()
            if self._options.close_timeout is not None:
                self._timer = self.loop.call_later(self._options.close_timeout, self._give_up)
            self._wake_senders()
            if self._is_paused:
                self._resume()  # or the peer's close frame would not be seen

    def _gone(self, event: Event) -> None:
        """The connection has ended."""
        if event.error and self._cause is None:
            lent = self._reactor.hub.connection(self._number)
            sentence = (lent and lent.error) or ""
            self._cause = (TimeoutError if event.error == ErrorCode.TIMEOUT else ConnectionError)(sentence)
        self.state = State.CLOSED
        self._stop_timer()
        self._reactor.leave(self._number)
        if self._rcvd is None or self._sent is None:
            self._rcvd_then_sent = None
        self._wake_senders()
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)
        for pong, _ in self._pings.values():
            if not pong.done():
                pong.set_exception(self._closed())
                pong.exception()  # who does not wait for it is not to be told
        self._pings.clear()
        if self._end is not None and not self._end.done():
            self._end.set_result(None)

    def _closed(self) -> ConnectionClosed:
        """What is raised of a connection that has ended."""
        error = connection_closed(self._rcvd, self._sent, self._rcvd_then_sent)
        error.__cause__ = self._cause
        return error

    def _close(self, code: int, reason: str) -> None:
        """Sends a close frame if the connection is open."""
        if self.state is not _OPEN:
            return
        if self._in_pieces is not None:
            code, reason = CloseCode.INTERNAL_ERROR, "close during fragmented message"
        lent = self._reactor.hub.connection(self._number)
        if lent is not None and lent.close(code, reason) > 0:
            self._sent = Close(code, reason)
        self._leaving()
        self._reactor.turn_soon()

    def _abort(self) -> None:
        """Ends TCP without a word."""
        if self.state is not State.CLOSED:
            self._reactor.hub.terminate(self._number)
            self._leaving()
            self._reactor.turn_soon()

    def _give_up(self) -> None:
        """Does not wait any longer for the end, for which the library gives the peer some time more."""
        self._cause = TimeoutError("timed out while closing connection")
        self._reactor.hub.terminate(self._number)
        self._reactor.turn_soon()

    async def _send_later(self, data: bytes, opcode: int, more: bool) -> None:
        """Sends what found no room, when there is some."""
        reactor = self._reactor
        while self.state is _OPEN:
            reactor.turn()  # which writes what is not written only because nothing was written yet
            if self.state is not _OPEN:
                break
            if reactor.hub.send(self._number, data, opcode, None, more):
                reactor.turn_soon()
                return
            await self._room()
        await self.wait_closed()
        raise self._closed()

    async def _room(self) -> None:
        """Waits until there is room, or never will be."""
        waiter = self.loop.create_future()
        self._senders.append(waiter)
        try:
            await waiter
        finally:
            self._senders.remove(waiter)

    def _wake_senders(self) -> None:
        for waiter in self._senders:
            if not waiter.done():
                waiter.set_result(None)

    async def _send_pieces(self, pieces: AsyncIterable[DataLike], text: bool | None) -> None:
        """Sends a message in pieces, which no other may come between."""
        iterator = pieces.__aiter__()
        try:
            piece = await iterator.__anext__()
        except StopAsyncIteration:
            return
        while self._in_pieces is not None:  # somebody has begun while this waited for its first piece
            await asyncio.shield(self._in_pieces)
        opcode, data = _payload(piece, text)
        is_text = isinstance(piece, str)
        self._in_pieces = self.loop.create_future()
        try:
            await self._send_piece(data, opcode, more=True)
            async for piece in iterator:
                await self._send_piece(_same(piece, is_text), opcode, more=True)
            await self._send_piece(b"", opcode, more=False)
        except ConnectionClosed:
            raise
        except BaseException:
            # The peer has half a message, and would take the next one for the rest of it.
            self._close(CloseCode.INTERNAL_ERROR, "error in fragmented message")
            raise
        finally:
            self._in_pieces.set_result(None)
            self._in_pieces = None

    async def _send_piece(self, data: bytes, opcode: int, more: bool) -> None:
        if self.state is _OPEN and self._reactor.hub.send(self._number, data, opcode, None, more):
            self._reactor.turn_soon()
        else:
            await self._send_later(data, opcode, more)

    async def _send_control(self, payload: bytes, kind: int) -> None:
        """Sends a ping or a pong, which may come between the pieces of a message."""
        if self.state is _OPEN and self._reactor.hub.send(self._number, payload, kind):
            self._reactor.turn_soon()
        else:
            await self._send_later(payload, kind, more=False)

    def _try(self, prepared: dict[bool, Message], data: bytes, opcode: int) -> Exception | None:
        """Sends one of many; returns why it does not. prepared has the message, compressed and not."""
        if self._in_pieces is not None:
            return ConcurrencyError("sending a fragmented message")
        deflate = self._options.config["deflate"]
        if deflate not in prepared:
            prepared[deflate] = Message(data, opcode, deflate=deflate)
        message = prepared[deflate]
        for attempt in range(2):
            lent = self._reactor.hub.connection(self._number)
            if lent is not None and lent.try_send(message):
                self._reactor.turn_soon()
                return None
            if not attempt:
                self._reactor.turn()  # as in _send_later()
        return RuntimeError("it does not take what it was sent") if self.state is _OPEN else None

    def _answered(self, payload: bytes) -> None:
        """A pong has come, which answers those pings as well that were sent before its own."""
        if payload not in self._pings:
            return
        now = time.perf_counter()
        for other in list(self._pings):
            pong, since = self._pings.pop(other)
            if not pong.done():
                pong.set_result(now - since)
            if other == payload:
                self.latency = now - since
                return

    def _keep_alive(self) -> None:
        """Sends a ping when it is time, and waits for its pong."""
        payload = random.getrandbits(32).to_bytes(4, "big")
        interval, timeout = self._options.ping_interval, self._options.ping_timeout
        if interval is None or self.state is not _OPEN:
            return
        is_sent = payload not in self._pings and self._reactor.hub.send(self._number, payload, EventKind.PING)
        if is_sent:
            self._pings[payload] = self.loop.create_future(), time.perf_counter()
            self._reactor.turn_soon()
        if timeout is None:
            self._timer = self.loop.call_later(interval, self._keep_alive)
        else:
            self._timer = self.loop.call_later(timeout, self._expect, payload, is_sent)

    def _expect(self, payload: bytes, is_sent: bool) -> None:
        """Gives the peer up if its pong has not come. One that is not read from cannot show that it lives."""
        if (payload in self._pings or not is_sent) and not self._is_paused:
            self._close(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
            return
        interval, timeout = self._options.ping_interval or 0, self._options.ping_timeout or 0
        self._timer = self.loop.call_later(max(interval - timeout, 0), self._keep_alive)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def broadcast(
    connections: Iterable[Connection],
    message: DataLike,
    *,
    text: bool | None = None,
    raise_exceptions: bool = False,
) -> None:
    """
    Sends a message on many connections, without waiting: it is checked once for all, and compressed once.

    Connections that are not open do without, and so do those that have more than write_limit bytes waiting,
    or are just sending a message in pieces; these are logged, or raised in the end as an ExceptionGroup with
    raise_exceptions, which needs Python 3.11.

    TypeError: it is no message.
    """
    opcode, data = _payload(message, text)
    prepared: dict[bool, Message] = {}
    skipped: list[Exception] = []
    for connection in connections:
        if connection.state is not _OPEN:
            continue
        why = connection._try(prepared, data, opcode)
        if why is None:
            continue
        if raise_exceptions:
            skipped.append(why)
        else:
            connection.logger.warning("skipped broadcast: %s", why)
    if skipped:
        raise ExceptionGroup("skipped broadcast", skipped)  # type: ignore[name-defined,unused-ignore]  # noqa: F821


async def _each(pieces: Iterable[DataLike]) -> Any:
    for piece in pieces:
        yield piece


def _octets(data: DataLike) -> bytes:
    if isinstance(data, str):
        return data.encode()
    if not isinstance(data, _BUFFERS):
        raise TypeError("data must be str or bytes-like")
    return bytes(data)


def _same(piece: object, is_text: bool) -> bytes:
    """The bytes of a piece that is of the same type as the first."""
    if isinstance(piece, str) is not is_text:
        raise TypeError("pieces of a message must be of one type")
    return _payload(piece, None)[1]


def _payload(message: object, text: bool | None) -> tuple[EventKind, bytes]:
    """What a message is, and its bytes."""
    if isinstance(message, str):
        return _BINARY if text is False else _TEXT, message.encode()
    if isinstance(message, _BUFFERS):
        return _TEXT if text else _BINARY, bytes(message)
    raise TypeError(f"a message or a piece of one must be str or bytes-like, not {type(message).__name__}")
