"""One client of the server: the steps of "WebSocket--How it works", which libwsframe's connection does.

Step 3: both sides build the handshake. Sec-WebSocket-Key is taken from the head that the client sent, the magic string
is appended, both are hashed with SHA-1 (which the document calls HMAC1) and encoded in base64; that is returned.

Step 4: the client compares the result with its own. If they differ, it disconnects.

Step 5: what is transferred from then on is packed into frames. The browser's JavaScript has that built in, the server
has libwsframe.

Step 6: unpacking. The length is in the low 7 bits of the second byte if it is up to 125, in the next 16 bits if they
say 126, in the next 64 bits if they say 127. Then comes the masking key, and then the data.

Step 7: packing is also required when the server sends. A server does not mask.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable

from wsframe import Connection, Event, EventKind, State, UsageError

from loop import Client


class Room:
    """Where a path of the server leads to."""

    may_compress = True
    """Whether its messages may be compressed."""

    def received(self, socket: WebSocket, message: str | bytes) -> None:
        """A message: str if it is text, bytes if it is binary."""
        raise NotImplementedError

    def joined(self, socket: WebSocket) -> None:
        pass

    def heard(self, socket: WebSocket, data: bytes) -> None:
        """Bytes as they came, before anything was made of them."""

    def left(self, socket: WebSocket) -> None:
        pass


class WebSocket:
    """One client."""

    def __init__(self, client: Client, rooms: dict[str, Room], page: bytes) -> None:
        self.connection = Connection.server(ask=True, deflate=True)
        self._client = client
        self._rooms = rooms
        self._page = page
        # The room the client is in once its opening handshake is done.
        self._room: Room | None = None
        # Whether nothing that the client may still say is listened to, but its close frame.
        self._is_refused = False
        # Whether there is nobody any more to hear or to tell something.
        self._is_over = False

    def received(self, data: bytes) -> None:
        if not self._is_over:
            if self._room:
                self._room.heard(self, data)
            self._take_all(self.connection.receive(data))

    def output(self) -> bytes:
        return self.connection.output()

    def sent(self, length: int) -> None:
        self.connection.sent(length)

    def tick(self, now_ms: int) -> int | None:
        return self.connection.tick(now_ms)

    def gone(self) -> None:
        if self.connection.state == State.OPEN:
            self._client.log("vanished without a close frame")
        elif self.connection.state == State.FAILED and self.connection.error is None:
            self._client.log("did not answer in time")
        self._is_over = True
        if self._room:
            self._room.left(self)

    def send(self, send: Callable[[Connection], object]) -> None:
        """Calls send with the connection, to put something into its output."""
        if self._is_over:
            return
        try:
            send(self.connection)
            self._client.wake()
        except UsageError as error:
            if self.connection.state == State.OPEN:
                # What others say to a client that does not read piles up until there is too much of it.
                self._client.log(f"dropped: {error}")
                self._client.drop()

    def refuse(self, close_code: int, why: str) -> None:
        """Closes with a code of RFC 6455 section 7.4.1 and says why."""
        self._is_refused = True
        self._client.log(f"refused with {close_code}: {why}")
        self.send(lambda connection: connection.close(close_code, why))

    def _take_all(self, events: Iterable[Event]) -> None:
        for event in events:
            if not self._is_over:
                self._take(event)

    def _take(self, event: Event) -> None:
        if event.kind == EventKind.HTTP:
            self.connection.add_field("Content-Type", "text/html; charset=utf-8")
            self.connection.refuse(200, self._page)
        elif event.kind == EventKind.REQUEST:
            self._let_in()
        elif event.kind in (EventKind.TEXT, EventKind.BINARY):
            if not self._is_refused:
                self._room.received(self, event.text if event.kind == EventKind.TEXT else event.data)
        elif event.kind == EventKind.ERROR:
            self._is_over = True
            self._client.log(f"refused with {event.close_code}: {self.connection.error}")

    def _let_in(self) -> None:
        path = self.connection.target.split("?")[0]
        if path not in self._rooms:
            self._client.log(f"refused with 404: there is nothing at {path}")
            self.connection.refuse(404, f"there is nothing at {path}\n".encode())
            return
        self._room = self._rooms[path]
        if not self._room.may_compress:
            self.connection.decline_deflate()
        events = self.connection.accept()
        self._room.joined(self)
        self._take_all(events)
