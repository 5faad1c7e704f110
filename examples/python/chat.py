"""The visitors of the page talk to each other, and each is shown all that is on his wire.

What they say is text. What the server says of the wire is binary, so that it can be left out of what is shown.
"""

from __future__ import annotations

import json
import platform
from typing import Any

from wsframe import Frame, Header, Opcode, ProtocolError, version

from websocket import Room, WebSocket


class Visitors:
    """Who is in the chat, at whichever address he has come in."""

    # How many are known again when they come back.
    _MAX_DEPARTED = 100

    def __init__(self) -> None:
        self._present: dict[WebSocket, Visitor] = {}
        # By the name that the page has given itself.
        self._departed: dict[str, Visitor] = {}
        self._named = 0

    def enter(self, socket: WebSocket) -> None:
        page = socket.connection.target.partition("?")[2]
        visitor = self._departed.pop(page, None) or self._new(page)
        self._present[socket] = visitor
        visitor.enter(socket)
        self._tell_count()

    def of(self, socket: WebSocket) -> Visitor:
        return self._present[socket]

    def leave(self, socket: WebSocket) -> None:
        visitor = self._present.pop(socket)
        if visitor.page:
            self._departed[visitor.page] = visitor
        if len(self._departed) > self._MAX_DEPARTED:
            del self._departed[next(iter(self._departed))]
        self._tell_count()

    def tell_all(self, what: dict[str, Any]) -> None:
        # A copy: who is dropped because he does not read leaves while he is told.
        for visitor in list(self._present.values()):
            visitor.tell(what)

    def _new(self, page: str) -> Visitor:
        self._named += 1
        return Visitor(f"visitor {self._named}", page)

    def _tell_count(self) -> None:
        self.tell_all({"type": "visitors", "count": len(self._present)})


class Chat(Room):
    # The picture of a frame is drawn from its bytes. Of a compressed one it could not show the text.
    may_compress = False

    # A message goes to everybody, and who has too much waiting for him is dropped.
    _MAX_MESSAGE = 64 << 10

    def __init__(self, visitors: Visitors) -> None:
        self._visitors = visitors

    def joined(self, socket: WebSocket) -> None:
        self._visitors.enter(socket)

    def heard(self, socket: WebSocket, data: bytes) -> None:
        self._visitors.of(socket).heard(data)

    def said(self, socket: WebSocket, data: bytes) -> None:
        self._visitors.of(socket).said(data)

    def received(self, socket: WebSocket, message: str | bytes) -> None:
        visitor = self._visitors.of(socket)
        if isinstance(message, bytes):
            socket.refuse(1003, "the chat takes text only")
        elif len(message.encode()) > self._MAX_MESSAGE:
            socket.refuse(1009, "the chat takes at most 64 KiB")
        elif message == "/ping":
            visitor.ping()
        else:
            self._visitors.tell_all({"type": "message", "from": visitor.name, "text": message})

    def left(self, socket: WebSocket) -> None:
        self._visitors.leave(socket)


class CompressedChat(Chat):
    """Another way into the chat, for those who want to see what compressed frames are like."""

    may_compress = True


class Visitor:
    def __init__(self, name: str, page: str) -> None:
        self.name = name
        self.page = page
        # What he could not be told any more: a connection ends with its close frames.
        self._untold: list[dict[str, Any]] = []

    def enter(self, socket: WebSocket) -> None:
        self._socket = socket
        self._in, self._out = Wire(), Wire()
        for what in self._untold:
            self._report(what)
        self._untold = []
        server = f"Python {platform.python_version()}"
        self.tell({"type": "welcome", "name": self.name, "server": server, "library": version()})

    def tell(self, what: dict[str, Any]) -> None:
        self._socket.tell(json.dumps(what, ensure_ascii=False))

    def ping(self) -> None:
        self._socket.tell(b"are you there?", Opcode.PING)

    def heard(self, data: bytes) -> None:
        """Bytes that he has sent."""
        for header, frame in self._in.take(data):
            self._report_frame("frame", header, frame)

    def said(self, data: bytes) -> None:
        """Bytes that were sent to him."""
        is_opening = self._out.head is None
        frames = self._out.take(data)
        if is_opening and self._out.head is not None:
            self._report({"type": "handshake", "request": self._in.head.hex(), "response": self._out.head.hex()})
        for header, frame in frames:
            # A report of a report would need a report.
            if header.opcode != Opcode.BINARY:
                self._report_frame("sent", header, frame)

    def _report_frame(self, kind: str, header: Header, frame: bytes) -> None:
        what = {"type": kind, **_facts(header, frame)}
        if header.opcode == Opcode.CLOSE:
            self._untold = [*self._untold, what][-2:]
        else:
            self._report(what)

    def _report(self, what: dict[str, Any]) -> None:
        self._socket.tell(json.dumps(what).encode())


class Wire:
    """The bytes of one direction. The connection has no frames any more, only messages; so this looks at the bytes."""

    # How much of a payload is shown.
    _SHOWN = 64

    def __init__(self) -> None:
        self.head: bytes | None = None
        # Of what is not complete.
        self._bytes = bytearray()

    def take(self, data: bytes) -> list[tuple[Header, bytes]]:
        """Returns what the library reads from the frames that are complete with data, and their first bytes."""
        self._bytes += data
        if self.head is None and not self._take_head():
            return []
        frames = []
        at = 0
        try:
            while (header := Frame.parse(self._bytes, at)) is not None:
                end = at + header.header_len + header.payload_len
                if end > len(self._bytes):
                    break
                frames.append((header, bytes(self._bytes[at : min(end, at + header.header_len + self._SHOWN)])))
                at = end
        except ProtocolError:
            # The connection finds the same, and closes.
            pass
        del self._bytes[:at]
        return frames

    def _take_head(self) -> bool:
        end = self._bytes.find(b"\r\n\r\n") + 4
        if end < 4:
            return False
        self.head = bytes(self._bytes[:end])
        del self._bytes[:end]
        return True


def _facts(header: Header, frame: bytes) -> dict[str, Any]:
    payload = frame[header.header_len :]
    return {
        "fin": int(header.fin),
        "rsv1": int(header.rsv1),
        "rsv2": int(header.rsv2),
        "rsv3": int(header.rsv3),
        "opcode": header.opcode,
        "mask": int(header.masked),
        "payload_len": header.payload_len,
        "header_len": header.header_len,
        "header": frame[: header.header_len].hex(),
        "mask_key": (header.mask_key or b"").hex(),
        "masked": payload.hex(),
        "unmasked": (Frame.unmask(payload, header.mask_key) if header.masked else payload).hex(),
    }
