"""A plain loop over many TCP connections with selectors: it knows nothing of WebSocket.

No call waits for one client: reads take what has come, writes give what fits, and the rest is kept for later. Only
clients that something has happened to have a turn.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import signal
import socket
import sys
import time
import traceback
from typing import Callable, Protocol


class Handler(Protocol):
    """What a client is served by."""

    wait_ms: int | None
    """In how many milliseconds a turn is due, None for never, 0 if the client is to go; set by output()."""

    def received(self, data: bytes) -> None: ...

    def output(self, now_ms: int, sent: int) -> bytes:
        """So many bytes of what was returned before have been sent. Returns those that wait now."""

    def end(self, close_code: int) -> None:
        """Says goodbye, with a close code: 1001 if the server ends, 1011 if it failed."""

    def gone(self) -> None:
        """The client is gone."""


class Loop:
    _MAX_CLIENTS = 1000
    _GRACE_MS = 2000

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._listeners: dict[socket.socket, Callable[[int], None]] = {}
        self._clients: set[Client] = set()
        # Who is to have a turn.
        self._active: set[Client] = set()
        self._looked_at_clock = 0
        self._may_listen_at = 0
        # Whether it was said that nobody is let in.
        self._is_crowded = False
        self._end_at: int | None = None

    def listen(self, host: str, port: int, serve: Callable[[Client], Handler]) -> int:
        """Listens, and lets serve() make the handler of each client. Returns the port; the system chooses one for 0."""
        listener = socket.create_server((host, port), backlog=1000)
        listener.setblocking(False)
        self._listeners[listener] = lambda _: self._accept(listener, serve)
        return listener.getsockname()[1]

    def run(self) -> None:
        """Serves until SIGTERM or SIGINT, and a little longer for those who are there."""
        woken, wakes = socket.socketpair()
        wakes.setblocking(False)
        signal.set_wakeup_fd(wakes.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        self._selector.register(woken, selectors.EVENT_READ, lambda _: self._end(woken))
        while self._end_at is None or (self._clients and now_ms() < self._end_at):
            self._turn()

    def _turn(self) -> None:
        self._watch_listeners()
        for key, events in self._selector.select(timeout=1):
            key.data(events)
        now = now_ms()
        if now - self._looked_at_clock >= 1000:
            self._looked_at_clock = now
            self._active.update(client for client in self._clients if client.due <= now)
        # One's turn may give another one something to send, or be his end.
        while self._active:
            client = self._active.pop()
            client.end_turn(now)
            if client.is_gone:
                self._clients.discard(client)

    def _watch_listeners(self) -> None:
        # With no place or no descriptor for another client nobody is let in for a while.
        is_open = self._end_at is None and len(self._clients) < self._MAX_CLIENTS and now_ms() >= self._may_listen_at
        for listener, accept in self._listeners.items():
            is_watched = listener in self._selector.get_map()
            if is_open and not is_watched:
                self._selector.register(listener, selectors.EVENT_READ, accept)
            elif is_watched and not is_open:
                self._selector.unregister(listener)

    def _accept(self, listener: socket.socket, serve: Callable[[Client], Handler]) -> None:
        try:
            connection, (host, port) = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self._may_listen_at = now_ms() + 1000
                if not self._is_crowded:
                    self._is_crowded = True
                    log("server", f"lets in no more clients for now: {error}")
            return  # else the client is gone again
        self._is_crowded = False
        client = Client(connection, f"{host}:{port}", self._selector, self._active)
        client.handler = serve(client)
        self._clients.add(client)
        client.wake()

    def _end(self, woken: socket.socket) -> None:
        self._selector.unregister(woken)
        self._end_at = now_ms() + self._GRACE_MS
        for client in self._clients:
            client.guarded(client.handler.end, 1001)
            client.wake()


class Client:
    """One TCP connection."""

    _CHUNK = 65536
    _LINGER_MS = 2000

    handler: Handler

    def __init__(
        self, connection: socket.socket, address: str, selector: selectors.BaseSelector, active: set[Client]
    ) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.address = address
        self.is_gone = False
        # When a turn is due although nothing happens.
        self.due = 0.0
        self._socket = connection
        self._active = active
        self._selector = selector
        self._watched = selectors.EVENT_READ
        selector.register(connection, self._watched, self._happened)
        self._has_failed = False
        # Whether all is said, and the client has some time to go by itself.
        self._is_leaving = False

    def log(self, what: str) -> None:
        log(self.address, what)

    def wake(self) -> None:
        """The handler has something to send."""
        self._active.add(self)

    def guarded(self, call: Callable[..., None], *arguments: object) -> None:
        """Calls something for this client: what fails there is the end of it, and of no other."""
        try:
            call(*arguments)
        except Exception:
            self.log("failed\n" + traceback.format_exc())
            if self._has_failed:
                self.drop()
                return
            self._has_failed = True
            self.guarded(self.handler.end, 1011)
            self.wake()

    def end_turn(self, now: int) -> None:
        """Sends what this turn has brought, and looks at the clock."""
        if self.is_gone:
            return
        if self._is_leaving:
            if now >= self.due:
                self.drop()
            return
        self.guarded(self._write, now)
        if self.is_gone:
            return
        wait = self.handler.wait_ms
        self.due = float("inf") if wait is None else now + wait
        if wait == 0:
            # Only this side, and the rest when the client has gone: close() could destroy what is on its way to it.
            self._is_leaving = True
            self.due = now + self._LINGER_MS
            self._watch(selectors.EVENT_READ)
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)

    def drop(self) -> None:
        """Ends the connection at once."""
        if not self.is_gone:
            self.is_gone = True
            self.wake()
            self._selector.unregister(self._socket)
            self._socket.close()
            self.guarded(self.handler.gone)

    def _happened(self, events: int) -> None:
        self.wake()
        if events & selectors.EVENT_READ and not self.is_gone:
            self._read()

    def _read(self) -> None:
        try:
            data = self._socket.recv(self._CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop()
        elif not self._is_leaving:
            self.guarded(self.handler.received, data)

    def _write(self, now: int) -> None:
        sent = 0
        try:
            while output := self.handler.output(now, sent):
                sent = self._socket.send(output)
        except BlockingIOError:
            # Who does not take his answers gets no new ones.
            self._watch(selectors.EVENT_WRITE)
        except OSError:
            self.drop()
        else:
            self._watch(selectors.EVENT_READ)

    def _watch(self, events: int) -> None:
        if events != self._watched:
            self._watched = events
            self._selector.modify(self._socket, events, self._happened)


def log(whom: str, what: str) -> None:
    print(time.strftime("%H:%M:%S"), whom, what, file=sys.stderr, flush=True)


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
