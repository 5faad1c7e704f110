"""A plain loop over many TCP connections with selectors: it knows nothing of WebSocket.

No call waits for one client: reads take what has come, writes give what fits, and the rest is kept for later.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from typing import Callable, Protocol


class Handler(Protocol):
    """What a client is served by."""

    def received(self) -> None:
        """More bytes have come; all that are not used yet are in client.incoming."""

    def gone(self) -> None:
        """The client is gone."""


class Loop:
    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._clients: set[Client] = set()

    def listen(self, host: str, port: int, accept: Callable[[Client], Handler]) -> int:
        """Listens, and gives each client that comes to accept. Returns the port; the system chooses one for 0."""
        listener = socket.create_server((host, port))
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, accept)
        return listener.getsockname()[1]

    def run(self) -> None:
        while True:
            self._turn()

    def _turn(self) -> None:
        for client in self._clients:
            self._selector.modify(client.socket, client.wants(), client)
        for key, events in self._selector.select(timeout=1):
            if not isinstance(key.data, Client):
                self._accept(key.fileobj, key.data)
                continue
            if events & selectors.EVENT_READ:
                key.data.read()
            if events & selectors.EVENT_WRITE:
                key.data.write()
        for client in list(self._clients):
            client.watch_the_clock()
            if client.is_gone:
                self._clients.discard(client)
                self._selector.unregister(client.socket)
                client.socket.close()

    def _accept(self, listener: socket.socket, accept: Callable[[Client], Handler]) -> None:
        try:
            connection, (host, port) = listener.accept()
        except OSError:
            return
        client = Client(connection, f"{host}:{port}")
        client.handler = accept(client)
        self._clients.add(client)
        self._selector.register(connection, selectors.EVENT_READ, client)


class Client:
    """One TCP connection."""

    _CHUNK = 65536
    # With more than this waiting to be sent nothing more is read: who does not take answers gets no new ones.
    _ENOUGH_QUEUED = 1 << 20
    # With more than this a client is dropped: what others say to it piles up as well.
    _MAX_QUEUED = 16 << 20
    # How many seconds a client has to say what it wants, and to go when it is asked to.
    _PATIENCE_HANDSHAKE = 10
    _PATIENCE_CLOSE = 5

    handler: Handler

    def __init__(self, connection: socket.socket, address: str) -> None:
        connection.setblocking(False)
        self.socket = connection
        self.address = address
        # Received and not yet used.
        self.incoming = bytearray()
        self._outgoing = bytearray()
        self._finishing = False
        self.is_gone = False
        self._deadline: float | None = time.monotonic() + self._PATIENCE_HANDSHAKE

    def send(self, data: bytes) -> None:
        """Sends data as soon as the client takes it."""
        if self.is_gone or self._finishing:
            return
        self._outgoing += data
        if len(self._outgoing) > self._MAX_QUEUED:
            self._drop("it does not read what it is sent")

    def finish(self) -> None:
        """Ends the connection when all that was given to send() has been sent. What still comes is ignored."""
        self._finishing = True
        self._deadline = time.monotonic() + self._PATIENCE_CLOSE
        self.write()

    def stay(self) -> None:
        """The client has said what it wants and may now be silent for as long as it likes."""
        self._deadline = None

    def log(self, what: str) -> None:
        print(time.strftime("%H:%M:%S"), self.address, what, file=sys.stderr, flush=True)

    def wants(self) -> int:
        """What the loop waits for."""
        reads = self._finishing or len(self._outgoing) < self._ENOUGH_QUEUED
        return (selectors.EVENT_READ if reads else 0) | (selectors.EVENT_WRITE if self._outgoing else 0)

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
            self._drop("" if self._finishing else "vanished without a close frame")
        elif not self._finishing:
            self.incoming += data
            self.handler.received()
            self.write()

    def write(self) -> None:
        if self.is_gone:
            return
        try:
            if self._outgoing:
                del self._outgoing[: self.socket.send(self._outgoing)]
            if self._finishing and not self._outgoing:
                # Only this side: a client that is still sending would otherwise be reset before it has read its answer.
                self.socket.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError:
            self._drop("" if self._finishing else "vanished while it was being answered")

    def watch_the_clock(self) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            self._drop("did not close its side" if self._finishing else "did not finish its opening handshake")

    def _drop(self, why: str) -> None:
        if self.is_gone:
            return
        self.is_gone = True
        if why:
            self.log(why)
        self.handler.gone()
