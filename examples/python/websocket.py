"""One client of the server, from its opening handshake to its close: the steps of "WebSocket--How it works".

It stands on libwsframe's frame functions alone. What they leave to their caller and this server does not do, it
refuses: messages in several frames, and extensions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus

from wsframe import Frame, Header, Opcode, ProtocolError

from loop import Client

_MAX_HEAD = 16 << 10
_MAX_PAYLOAD = 16 << 20


class Room:
    """Where a path of the server leads to."""

    def received(self, socket: WebSocket, message: Message) -> None:
        raise NotImplementedError

    def joined(self, socket: WebSocket) -> None:
        pass

    def left(self, socket: WebSocket) -> None:
        pass


@dataclass(frozen=True)
class Message:
    """One message of a client, and the frame that it came in."""

    header: Header
    header_bytes: bytes
    """The header as it came."""
    masked: bytes
    """The payload as it came."""
    payload: bytes


class WebSocket:
    """One client."""

    def __init__(self, client: Client, rooms: dict[str, Room], page: bytes) -> None:
        self._client = client
        self._rooms = rooms
        self._page = page
        # The room the client is in once its opening handshake is done.
        self._room: Room | None = None
        self._closing = False

    def received(self) -> None:
        if self._room is None:
            self._shake_hands()
        if self._room is not None:
            self._unpack()

    def gone(self) -> None:
        if self._room is not None:
            self._room.left(self)

    def send(self, frames: bytes) -> None:
        if not self._closing:
            self._client.send(frames)

    def refuse(self, close_code: int, why: str) -> None:
        """Closes with a code of RFC 6455 section 7.4.1; the log says why."""
        self._client.log(f"refused with {close_code}: {why}")
        self._close(close_code)

    def _shake_hands(self) -> None:
        """Step 3: both sides build the handshake.

        Take Sec-WebSocket-Key from the head that the client sent, append the magic string, hash with SHA-1 (which the
        document calls HMAC1), encode in base64, return the result.

        Step 4: the client compares the result with its own. If they differ, it disconnects.
        """
        incoming = self._client.incoming
        end = incoming.find(b"\r\n\r\n")
        if (len(incoming) if end < 0 else end) > _MAX_HEAD:
            self._answer(431, f"the request head is longer than {_MAX_HEAD} bytes")
            return
        if end < 0:
            return
        request = Request.parse(incoming[:end].decode("latin-1"))
        # What follows the head are frames.
        del incoming[: end + 4]

        if request is None:
            self._answer(400, "this is not an HTTP/1.1 request")
        elif request.method != "GET":
            self._answer(405, f"the method is {request.method}", ["Allow: GET"])
        elif not request.has("upgrade", "websocket"):
            self._answer(200, "", ["Content-Type: text/html; charset=utf-8"], self._page)
        elif not request.has("connection", "upgrade"):
            self._answer(400, "the field Connection does not say Upgrade")
        elif request.field("sec-websocket-version") != "13":
            fields = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
            self._answer(426, "the WebSocket version is not 13", fields)
        elif request.path not in self._rooms:
            self._answer(404, f"there is nothing at {request.path}")
        else:
            self._accept(request)

    def _accept(self, request: Request) -> None:
        try:
            accept_key = Frame.accept_key(request.field("sec-websocket-key").encode("latin-1"))
        except ProtocolError as error:
            self._answer(400, str(error))
            return
        self._client.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key.encode() + b"\r\n\r\n"
        )
        self._client.stay()
        self._room = self._rooms[request.path]
        self._room.joined(self)

    def _answer(self, status: int, why: str, fields: list[str] | None = None, body: bytes = b"") -> None:
        fields = fields or []
        if status != HTTPStatus.OK:
            self._client.log(f"refused with HTTP status {status}: {why}")
            fields.append("Content-Type: text/plain; charset=utf-8")
            body = f"{why}\n".encode()
        fields += ["Connection: close", f"Content-Length: {len(body)}"]
        head = "\r\n".join([f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *fields])
        self._client.send(f"{head}\r\n\r\n".encode("latin-1") + body)
        self._client.finish()

    def _unpack(self) -> None:
        """Step 5: what is transferred from now on is packed into frames.

        The browser's JavaScript has that built in, the server has libwsframe.

        Step 6: unpacking. The length is in the low 7 bits of the second byte if it is up to 125, in the next 16 bits
        if they say 126, in the next 64 bits if they say 127. Then comes the masking key, and then the data.
        """
        incoming = self._client.incoming
        at = 0
        try:
            while not self._closing and (header := Frame.parse(incoming, at)) is not None and self._accepts(header):
                data = at + header.header_len
                end = data + header.payload_len
                if len(incoming) < end:
                    break
                masked = bytes(incoming[data:end])
                payload = Frame.unmask(masked, header.mask_key)
                self._take(Message(header, bytes(incoming[at:data]), masked, payload))
                at = end
        except ProtocolError as error:
            self.refuse(error.close_code, f"{error}; it begins with {incoming[at : at + 14].hex(' ')}")
        del incoming[:at]

    def _accepts(self, header: Header) -> bool:
        """Whether this server takes such a frame. The library reports these facts and leaves them to its caller."""
        if not header.masked:
            self.refuse(1002, "a client has to mask its frames (RFC 6455 section 5.1)")
        elif header.rsv1 or header.rsv2 or header.rsv3:
            self.refuse(1002, "an RSV bit is set although no extension was agreed on (RFC 6455 section 5.2)")
        elif header.opcode == Opcode.CONTINUATION or not header.fin:
            self.refuse(1003, "this server does not put messages together from several frames")
        elif header.payload_len > _MAX_PAYLOAD:
            self.refuse(1009, f"the frame announces {header.payload_len} bytes, more than {_MAX_PAYLOAD}")
        return not self._closing

    def _take(self, message: Message) -> None:
        opcode = message.header.opcode
        if opcode == Opcode.PING:
            self.send(Frame.build(Frame.FIN | Opcode.PONG, message.payload))
        elif opcode == Opcode.CLOSE:
            # Always a legal answer. To repeat the client's own code it would have to be checked first.
            self._close(1000)
        elif opcode == Opcode.TEXT:
            self._take_text(message)
        elif opcode == Opcode.BINARY:
            self._room.received(self, message)

    def _take_text(self, message: Message) -> None:
        if Frame.utf8_check(message.payload) == len(message.payload):
            self._room.received(self, message)
        else:
            self.refuse(1007, "the text ends inside a character (RFC 6455 section 8.1)")

    def _close(self, close_code: int) -> None:
        # The code is a number of two bytes in network order (RFC 6455 section 5.5.1).
        self.send(Frame.build(Frame.FIN | Opcode.CLOSE, close_code.to_bytes(2, "big")))
        self._closing = True
        self._client.finish()


class Request:
    """The head of an HTTP request."""

    def __init__(self, method: str, path: str, fields: dict[str, str]) -> None:
        self.method = method
        self.path = path
        self._fields = fields  # by name in lower case

    @classmethod
    def parse(cls, head: str) -> Request | None:
        first, *lines = head.split("\r\n")
        start = re.fullmatch(r"([A-Z]+) (/[^ ?]*)(\?[^ ]*)? HTTP/1\.1", first)
        fields: dict[str, str] = {}
        for line in lines:
            # A name, a colon, a value without control characters; no folding.
            field = re.fullmatch(r"([^\s:]+):[ \t]*([^\x00-\x08\x0A-\x1F\x7F]*)", line)
            if field is None:
                return None
            name, value = field[1].lower(), field[2].rstrip(" \t")
            # Repeated fields are one list. A second key thus makes both invalid.
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
        return cls(start[1], start[2], fields) if start and "host" in fields else None

    def field(self, name: str) -> str:
        return self._fields.get(name, "")

    def has(self, name: str, token: str) -> bool:
        """Whether a field that is a list of tokens has token, in whatever case."""
        return token in (part.strip() for part in self.field(name).lower().split(","))
