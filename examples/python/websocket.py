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

from wsframe import Connection, ErrorCode, Event, EventKind, State, UsageError

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
        """Bytes as they came, before anything was made of them: first the head of the request."""

    def said(self, socket: WebSocket, data: bytes) -> None:
        """Bytes as they were sent: first the head of the response."""

    def left(self, socket: WebSocket) -> None:
        pass


class WebSocket:
    """One client."""

    # Of a message, compressed or not, the longest; and who lets more than one of them wait is dropped.
    _MAX_MESSAGE_LEN = 16 << 20
    _HIGH_WATER_LEN = 17 << 20
    # Above this he does not take what he is told.
    _MAX_WAITING = 1 << 20

    def __init__(self, client: Client, rooms: dict[str, Room], page: bytes) -> None:
        self.connection = Connection.server(
            ask=True,
            deflate=True,
            max_message_len=self._MAX_MESSAGE_LEN,
            max_inflated_len=self._MAX_MESSAGE_LEN,
            high_water_len=self._HIGH_WATER_LEN,
        )
        self._client = client
        self._rooms = rooms
        self._page = page
        # The room the client is in once its opening handshake is done.
        self._room: Room | None = None
        # What came before there was a room that could hear it.
        self._opening = b""
        # What waits to be sent, as far as it was asked for.
        self._output = b""
        # Whether nothing that the client may still say is listened to, but its close frame.
        self._is_refused = False

    @property
    def wait_ms(self) -> int | None:
        return self.connection.wait_ms

    def received(self, data: bytes) -> None:
        if self._room:
            self._room.heard(self, data)
        elif self.connection.state == State.CONNECTING:
            self._opening += data
        self._take_all(self.connection.receive(data))

    def output(self, now_ms: int, sent: int) -> bytes:
        if sent and self._room:
            self._room.said(self, self._output[:sent])
        self._output = b"" if self._client.is_gone else self.connection.output(now_ms, sent)
        return self._output

    def end(self, close_code: int) -> None:
        self._is_refused = True
        try:
            self.connection.close(close_code)
            self._client.wake()
        except UsageError:  # There is no WebSocket yet.
            self._client.drop()

    def gone(self) -> None:
        for event in self.connection.gone():
            if event.error == ErrorCode.TIMEOUT:
                self._client.log(f"given up: {self.connection.error}")
            elif event.close_code == 1006 and not event.error and self._room:
                self._client.log("vanished without a close frame")
        # Now, and not when the garbage collector comes: it does not see how much that is.
        self.connection.free()
        room, self._room = self._room, None
        if room:
            room.left(self)

    def send(self, send: Callable[[Connection], object]) -> None:
        """Calls send with the connection, to put something into its output."""
        if self._client.is_gone:
            return
        try:
            send(self.connection)
            self._client.wake()
        except UsageError as error:
            if error.code != ErrorCode.SPACE:
                raise
            # What others say to a client that does not read piles up until there is too much of it.
            self._client.log(f"dropped: {error}")
            self._client.drop()

    def tell(self, message: str | bytes, kind: int | None = None) -> None:
        """Tells the client something that it has not asked for. Who does not take what he is told is dropped."""
        if self._client.is_gone:
            return
        if self.connection.waiting > self._MAX_WAITING:
            self._client.log("dropped: it does not read")
            self._client.drop()
        elif self.connection.try_send(message, kind):
            self._client.wake()

    def refuse(self, close_code: int, why: str) -> None:
        """Closes with a code of RFC 6455 section 7.4.1 and says why."""
        self._is_refused = True
        self._client.log(f"refused with {close_code}: {why}")
        self.send(lambda connection: connection.close(close_code, why))

    def _take_all(self, events: Iterable[Event]) -> None:
        for event in events:
            if not self._client.is_gone:
                self._take(event)

    def _take(self, event: Event) -> None:
        if event.kind is EventKind.TEXT or event.kind is EventKind.BINARY:
            if not self._is_refused:
                self._room.received(self, event.text if event.kind is EventKind.TEXT else event.data)
        elif event.kind is EventKind.HTTP:
            self.connection.add_field("Content-Type", "text/html; charset=utf-8")
            self.connection.respond(200, self._page)
        elif event.kind is EventKind.REQUEST:
            self._let_in()
        elif event.kind is EventKind.ERROR:
            self._client.log(f"refused with {event.close_code}: {self.connection.error}")

    def _let_in(self) -> None:
        path = self.connection.target.split("?")[0]
        room = self._rooms.get(path)
        if room is None:
            self._client.log(f"refused with 404: there is nothing at {path}")
            self.connection.respond(404, f"there is nothing at {path}\n".encode())
            return
        for event in self.connection.accept(deflate=room.may_compress):
            if event.kind is EventKind.OPEN:
                self._room = room
                room.joined(self)
                room.heard(self, self._opening)
                self._opening = b""
            else:
                self._take(event)
