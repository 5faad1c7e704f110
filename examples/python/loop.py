"""A plain loop over many TCP connections with selectors: it knows nothing of WebSocket.

No call waits for one client: reads take what has come, writes give what fits, and the rest is kept for later.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import sys
import time
from typing import Callable, Protocol


class Handler(Protocol):
    """What a client is served by: bytes in, bytes out, and what the time asks for."""

    def received(self, data: bytes) -> None: ...

    def output(self) -> bytes:
        """The bytes that wait to be sent."""

    def sent(self, length: int) -> None:
        """So many of them were sent."""

    def tick(self, now_ms: int) -> int | None:
        """Returns in how many milliseconds it wants to be called again, None for never, 0 if the client is to go."""

    def gone(self) -> None:
        """The client is gone."""


class Loop:
    _MAX_CLIENTS = 1000

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._clients: set[Client] = set()
        self._listeners: dict[socket.socket, Callable[[Client], Handler]] = {}
        self._is_out_of_places = False

    def listen(self, host: str, port: int, accept: Callable[[Client], Handler]) -> int:
        """Listens, and gives each client that comes to accept. Returns the port; the system chooses one for 0."""
        listener = socket.create_server((host, port))
        listener.setblocking(False)
        self._listeners[listener] = accept
        return listener.getsockname()[1]

    def run(self) -> None:
        while True:
            self._turn()

    def _turn(self) -> None:
        self._watch_listeners()
        is_any_active = any(client.is_active for client in self._clients)
        for key, events in self._selector.select(timeout=0 if is_any_active else 1):
            if not isinstance(key.data, Client):
                self._accept(key.fileobj, key.data)
            elif events & selectors.EVENT_READ:
                key.data.read()
            else:
                key.data.write()
        for client in self._clients:
            client.end_turn()
        # Only now: the end of one client's turn may be the end of another client.
        for client in list(self._clients):
            if client.is_gone:
                self._clients.discard(client)
                self._selector.unregister(client.socket)
                client.socket.close()
            else:
                # Who does not take his answers gets no new ones.
                events = selectors.EVENT_WRITE if client.is_full else selectors.EVENT_READ
                self._selector.modify(client.socket, events, client)

    def _watch_listeners(self) -> None:
        # With no place for another client nobody is let in, until there is one again.
        is_crowded = self._is_out_of_places or len(self._clients) >= self._MAX_CLIENTS
        self._is_out_of_places = False
        for listener, accept in self._listeners.items():
            is_watched = listener in self._selector.get_map()
            if is_crowded and is_watched:
                self._selector.unregister(listener)
            elif not is_crowded and not is_watched:
                self._selector.register(listener, selectors.EVENT_READ, accept)

    def _accept(self, listener: socket.socket, accept: Callable[[Client], Handler]) -> None:
        try:
            connection, (host, port) = listener.accept()
        except OSError:
            # The client is gone again, or there are no descriptors left.
            self._is_out_of_places = True
            return
        client = Client(connection, f"{host}:{port}")
        client.handler = accept(client)
        self._clients.add(client)
        self._selector.register(connection, selectors.EVENT_READ, client)


class Client:
    """One TCP connection."""

    _CHUNK = 65536
    _LINGER_MS = 2000

    handler: Handler

    def __init__(self, connection: socket.socket, address: str) -> None:
        connection.setblocking(False)
        self.socket = connection
        self.address = address
        # Whether the handler may have something to send, or has a new reason to ask for the time.
        self.is_active = True
        self.is_full = False
        self.is_gone = False
        self._tick_at = 0.0
        # When a client that has been told all is dropped, if it does not go by itself before.
        self._drop_at: float | None = None

    def log(self, what: str) -> None:
        print(time.strftime("%H:%M:%S"), self.address, what, file=sys.stderr, flush=True)

    def wake(self) -> None:
        """The handler has something to send."""
        self.is_active = True

    def read(self) -> None:
        if self.is_gone:
            return
        try:
            data = self.socket.recv(self._CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop()
        elif self._drop_at is None:
            self.is_active = True
            self.handler.received(data)

    def write(self) -> None:
        while not self.is_gone and (output := self.handler.output()):
            try:
                sent = self.socket.send(output)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.drop()
                return
            self.handler.sent(sent)
            self.is_full = sent < len(output)
            if self.is_full:
                return

    def end_turn(self) -> None:
        """Sends what this turn has brought, as one write, and looks at the clock."""
        now = time.monotonic_ns() // 1_000_000
        if self._drop_at is not None:
            if now >= self._drop_at:
                self.drop()
            return
        if self.is_gone or (not self.is_active and now < self._tick_at):
            return
        self.is_active = False
        self.write()
        wait = None if self.is_gone else self.handler.tick(now)
        self._tick_at = float("inf") if wait is None else now + wait
        self.write()
        if wait == 0 and not self.is_gone:
            # Only this side, and the rest when the client has gone: close() could destroy what is on its way to it.
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
            self._drop_at = now + self._LINGER_MS

    def drop(self) -> None:
        """Ends the connection at once."""
        if not self.is_gone:
            self.is_gone = True
            self.handler.gone()
