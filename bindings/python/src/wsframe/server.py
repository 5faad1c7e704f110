"""A server: handlers for what clients do, on a hub."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, TypeVar, overload

from wsframe._arguments import Buffer, integer
from wsframe.connection import Config, Connection, Event, EventKind, State
from wsframe.errors import ErrorCode, UsageError
from wsframe.hub import Hub

if TYPE_CHECKING:
    from typing_extensions import Unpack

    Handler = TypeVar("Handler", bound=Callable[..., object])

_log = logging.getLogger("wsframe")

_NAMES = ("open", "message", "close", "request", "error")
_OWN = ("ask", "manual_pong", "pieces", "start_open")
"""What the config of a server does not have: it decides that itself, or its handlers would not see it."""
_INTERNAL_ERROR = 1011  # RFC 6455 section 7.4.1
_UPGRADE_REQUIRED, _INTERNAL_STATUS = 426, 500
_TIME_MAX = 2**32 - 1


class Peer:
    """
    A client, as the handlers of a Server see it.

    Nothing that it does makes a call fail: on who is gone they return False or None. A peer may be kept; that
    it is gone shows in is_open.
    """

    __slots__ = {
        "__weakref__": None,
        "_accepted": None,
        "_asks": None,
        "_hub": None,
        "_is_told": None,
        "_reason": None,
        "data": "What the application likes to keep with it; None at first.",
        "id": "The id of its connection in the Hub. No other peer of the server has had or will have it.",
        "target": 'The path and query of its request, for instance "/chat?room=1". To be read only.',
    }

    data: Any
    id: int
    target: str

    def __init__(self, hub: Hub, number: int) -> None:
        self.id, self.data, self.target = number, None, ""
        self._hub, self._reason, self._is_told = hub, "", False
        self._asks: EventKind | None = None
        self._accepted: Iterable[Event] = ()

    def send(
        self,
        message: str | Buffer,
        kind: int | None = None,
        compress: bool | None = None,
        more: bool = False,
    ) -> bool:
        """
        Sends a message: text if it is a str, binary if it is bytes.

        Arguments, what is returned and UsageError are as for Hub.send(): False says that the peer is gone or
        leaving, or has so much waiting already that this was dropped.
        """
        return self._hub.send(self.id, message, kind, compress, more)

    def close(self, code: int = 1000, reason: str = "") -> bool:
        """
        Closes the connection, after what was sent. Nothing more can be sent then.

        Returns whether it was open. UsageError: the code may not be sent, or the reason is longer than 123
        bytes of UTF-8.
        """
        connection = self._connection()
        return (
            connection is not None and connection.state == State.OPEN and connection.close(code, reason) > 0
        )

    def subscribe(self, topic: str) -> bool:
        """Lets it have what is published on a topic, until it ends; see Hub.subscribe()."""
        return self._hub.subscribe(self.id, topic)

    def unsubscribe(self, topic: str) -> bool:
        """The opposite of subscribe()."""
        return self._hub.unsubscribe(self.id, topic)

    def publish(self, topic: str, message: str | Buffer, kind: int | None = None) -> int:
        """Sends a message to all who have subscribed to a topic, but not to this one; see Hub.publish()."""
        return self._hub.publish(topic, message, kind, except_id=self.id)

    @property
    def is_open(self) -> bool:
        """Whether messages go both ways."""
        connection = self._connection()
        return connection is not None and connection.state == State.OPEN

    def field(self, name: str) -> str | None:
        """
        Returns the value of the first field of this name in its request; None if there is none.

        It is there for the handlers of "request" and "open", and None later.
        """
        connection = self._connection()
        return None if connection is None else connection.field(name)

    def accept(self, subprotocol: str | None = None) -> bool:
        """
        Lets the peer in, in a handler of "request".

        subprotocol is one that it offered; without one the config's list decides. Returns whether it is in: a
        client that asks for a page instead, or is gone meanwhile, is not.

        UsageError: it was answered already, or is no request (ErrorCode.STATE), or the subprotocol was not
        offered (ARGUMENT).
        """
        connection = self._answer()
        if connection is None or self._asks is EventKind.HTTP:
            return False
        self._accepted = connection.accept(subprotocol)
        self._asks = None
        return bool(self._accepted)

    def respond(self, status: int, body: Buffer = b"") -> bool:
        """
        Answers the peer's request with an HTTP status from 200 to 599 and a body, in a handler of "request".

        Returns whether it was there. UsageError: it was answered already, or is no request (ErrorCode.STATE),
        or it is another status (ARGUMENT).
        """
        connection = self._answer()
        if connection is None:
            return False
        is_there = connection.respond(status, body) > 0
        self._asks = None
        return is_there

    def add_field(self, name: str, value: str) -> None:
        """Adds a field to the response, before accept() or respond(); see Connection.add_field()."""
        connection = self._answer()
        if connection is not None:
            connection.add_field(name, value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.target}>"

    def _connection(self) -> Connection | None:
        return self._hub.connection(self.id)

    def _answer(self) -> Connection | None:
        """Its connection, if it waits for an answer."""
        if self._asks is None:
            raise UsageError("no request of this peer waits for an answer", ErrorCode.STATE)
        return self._connection()


class Server:
    """
    A WebSocket server: handlers for what clients do, and one call that serves them.

        server = Server()

        @server.on("message")
        def echo(peer, message):
            peer.send(message)

        server.listen("127.0.0.1:8080")
        server.run()

    A handler that fails ends the connection that it was called for, with 1011, and no other. Handlers run in
    the thread of run(), one at a time: while one works, or waits, no one is served.
    """

    __slots__ = {
        "__weakref__": None,
        "_config": None,
        "_handlers": None,
        "_hub": None,
        "_interrupt": None,
        "_is_listening": None,
        "_peers": None,
        "_stopping": None,
    }

    def __init__(self, max_connections: int = 0, **config: Unpack[Config]) -> None:
        """
        Makes a server that lets in so many clients at a time, 0 for as many as the system has room for.

        config is that of the connections; see Config, of which ask, manual_pong, pieces and start_open are
        for who uses a Hub.

        UsageError: the number is out of range, or the config has one of these; errors of Hub().
        """
        for name in _OWN:
            if name in config:
                raise UsageError(f"a Server has no {name} in its config: use a Hub")
        self._hub, self._config = Hub(max_connections), config
        self._handlers: dict[str, Callable[..., object]] = {}
        self._peers: dict[int, Peer] = {}
        self._stopping: tuple[int, ...] = ()
        self._interrupt: BaseException | None = None
        self._is_listening = False

    @overload
    def on(self, name: str) -> Callable[[Handler], Handler]: ...

    @overload
    def on(self, name: str, handler: Handler) -> Handler: ...

    def on(self, name: str, handler: Callable[..., object] | None = None) -> Callable[..., object]:
        """
        Says what to call when something happens: server.on("message", function), or as a decorator.

        "open": (peer), it is let in.
        "message": (peer, message), a str for text, bytes for binary.
        "close": (peer, code, reason), it is gone; once for each that was let in. code is 1006 if it just
          went away.
        "request": (peer), a client asks to be let in, or for a page; before listen() only. The handler looks
          at peer.target and peer.field(), and calls peer.accept() or peer.respond(). If it does neither, the
          client is let in; who asks for a page is answered with 426.
        "error": (exception, peer), a handler has raised an exception. Without one it is logged, by
          the logger "wsframe".

        Another handler for the same replaces the first. Returns the handler. UsageError: there is no such
        name, or the server listens already.
        """
        if name not in _NAMES:
            raise UsageError(f"there is no {name!r}, but {', '.join(_NAMES)}")
        if name == "request" and self._is_listening:
            raise UsageError('a handler of "request" is to be there before listen()', ErrorCode.STATE)

        def take(function: Handler) -> Handler:
            if not callable(function):
                raise TypeError(f"a handler must be callable, not {type(function).__name__}")
            self._handlers[name] = function
            return function

        return take if handler is None else take(handler)

    def listen(self, address: str, *, reuse_port: bool = False) -> int:
        """Listens at an address, and returns the port; all is as for Hub.listen()."""
        config: Config = {**self._config, "ask": "request" in self._handlers}
        port = self._hub.listen(address, reuse_port=reuse_port, **config)
        self._is_listening = True
        return port

    def publish(self, topic: str, message: str | Buffer, kind: int | None = None) -> int:
        """Sends a message to all who have subscribed to a topic, "" for all; see Hub.publish()."""
        return self._hub.publish(topic, message, kind)

    def run(self) -> None:
        """
        Serves until stop(), SIGTERM or SIGINT, which is Ctrl-C, and then until all connections are closed.

        In the main thread it handles these signals meanwhile, and puts the former handlers back: all clients
        are told 1001 and have 5 seconds, or none after a second signal. SIGINT raises KeyboardInterrupt in
        the end, and what a handler has raised that is no Exception, such as SystemExit, comes then, too.

        UsageError: as Hub.poll().
        """
        hub = self._hub
        told: tuple[int, ...] = ()
        with self._signals():
            while not hub.is_stopped:
                # The last ones live until the next have come: malloc would give their memory back to the
                # system, to ask for it again with each batch.
                events = hub.poll()
                self._serve(events)
                if self._stopping is not told:
                    told = self._stopping
                    hub.stop(*told)
        interrupt, self._interrupt = self._interrupt, None
        if interrupt is not None:
            raise interrupt

    def stop(self, grace_ms: int = 5000) -> None:
        """
        Ends run(): nobody is let in any more, and all connections are closed with 1001.

        Those that have not ended in grace_ms milliseconds are given up. A second call only sets a new time.
        It may be called from handlers, signal handlers and other threads.

        UsageError: grace_ms is out of range.
        """
        self._stopping = (integer("grace_ms", grace_ms, _TIME_MAX),)  # another one with each call
        self._hub.wake()

    def _serve(self, events: Iterable[Event]) -> None:
        """Calls the handlers for what has happened."""
        peers, message = self._peers, self._handlers.get("message")
        for event in events:
            kind = event.kind
            if kind is _TEXT or kind is _BINARY:
                if message is None:
                    continue
                peer = peers[event.connection]
                data = event.data
                try:
                    # With skip_utf8 it may be anything, which send() makes the same bytes of again.
                    message(peer, data.decode("utf-8", "surrogateescape") if kind is _TEXT else data)
                except BaseException as error:
                    self._failed(error, peer)
            else:
                self._met(event)

    def _met(self, event: Event) -> None:
        """The same for what is no message."""
        number, kind = event.connection, event.kind
        if kind is EventKind.REQUEST or kind is EventKind.HTTP or kind is EventKind.OPEN:
            peer = self._peers.get(number)
            if peer is None:
                peer = self._peers[number] = Peer(self._hub, number)
                connection = self._hub.connection(number)
                peer.target = (connection and connection.target) or ""
            if kind is EventKind.OPEN:
                peer._is_told = True
                self._call("open", peer)
            else:
                self._ask(peer, kind)
        elif kind is EventKind.CLOSE:
            self._peers[number]._reason = event.data.decode("utf-8", "surrogateescape")
        elif kind is EventKind.GONE:
            gone = self._peers.pop(number, None)
            if gone is not None and gone._is_told:
                self._call("close", gone, event.close_code, gone._reason)

    def _ask(self, peer: Peer, kind: EventKind) -> None:
        """Lets the application decide about a request."""
        peer._asks = kind
        self._call("request", peer)
        if peer._asks is EventKind.REQUEST:
            peer.accept()
        elif peer._asks is EventKind.HTTP:
            peer.respond(_UPGRADE_REQUIRED)
        accepted, peer._accepted = peer._accepted, ()
        self._serve(accepted)

    def _call(self, name: str, peer: Peer, *arguments: object) -> None:
        """Calls a handler if there is one."""
        handler = self._handlers.get(name)
        if handler is None:
            return
        try:
            handler(peer, *arguments)
        except BaseException as error:
            self._failed(error, peer)

    def _failed(self, error: BaseException, peer: Peer) -> None:
        """Ends the connection for which a handler has failed; or the server, if it meant that."""
        if peer._asks is not None:
            peer.respond(_INTERNAL_STATUS)
        else:
            peer.close(_INTERNAL_ERROR)
        if not isinstance(error, Exception):
            self._interrupt = error
            self.stop()
            return
        handler = self._handlers.get("error")
        if handler is None:
            _log.error("a handler has failed for %r", peer, exc_info=error)
            return
        try:
            handler(error, peer)
        except Exception:
            _log.exception("the handler of errors has failed for %r", peer)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Lets signals end the server in good order; in the main thread, as others get none."""
        former: dict[int, Any] = {}

        def end(number: int, _frame: object) -> None:
            if number == signal.SIGINT:
                self._interrupt = KeyboardInterrupt()
            self.stop(0 if is_ending else 5000)
            is_ending.append(True)

        is_ending: list[bool] = []
        is_main = threading.current_thread() is threading.main_thread()
        try:
            for ours in (signal.SIGTERM, signal.SIGINT) if is_main else ():
                if signal.getsignal(ours) not in (signal.SIG_IGN, None):
                    former[ours] = signal.signal(ours, end)
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


_TEXT, _BINARY = EventKind.TEXT, EventKind.BINARY
