"""The visitors of the page talk to each other, and each sees the frames that he sends taken apart."""

from __future__ import annotations

import json
from typing import Any

from wsframe import Frame, Header, ProtocolError

from websocket import Room, WebSocket


class Chat(Room):
    # The picture of a frame is drawn from the bytes that came. Of a compressed one it could not show the text.
    may_compress = False

    # A message goes to everybody, and who has too much waiting for him is dropped.
    _MAX_MESSAGE = 64 << 10

    def __init__(self) -> None:
        self._visitors: dict[WebSocket, Visitor] = {}
        self._named = 0

    def joined(self, socket: WebSocket) -> None:
        self._named += 1
        visitor = self._visitors[socket] = Visitor(socket, f"visitor {self._named}")
        visitor.tell({"type": "welcome", "name": visitor.name})
        self._tell_all({"type": "visitors", "count": len(self._visitors)})

    def heard(self, socket: WebSocket, data: bytes) -> None:
        self._visitors[socket].take_apart(data)

    def received(self, socket: WebSocket, message: str | bytes) -> None:
        if isinstance(message, bytes):
            socket.refuse(1003, "the chat takes text only")
            return
        if len(message) > self._MAX_MESSAGE:
            socket.refuse(1009, "the chat takes at most 64 Ki characters")
            return
        self._tell_all({"type": "message", "from": self._visitors[socket].name, "text": message})

    def left(self, socket: WebSocket) -> None:
        del self._visitors[socket]
        self._tell_all({"type": "visitors", "count": len(self._visitors)})

    def _tell_all(self, what: dict[str, Any]) -> None:
        # A copy: who is dropped because he does not read leaves while he is told.
        for visitor in list(self._visitors.values()):
            visitor.tell(what)


class Visitor:
    """Who is in the chat. The connection has no frames any more, only messages; so this looks at the bytes as well."""

    # How much of a payload is shown.
    _SHOWN = 64

    def __init__(self, socket: WebSocket, name: str) -> None:
        self.name = name
        self._socket = socket
        # Of frames that are not complete.
        self._bytes = bytearray()

    def tell(self, what: dict[str, Any]) -> None:
        self._socket.send(lambda connection: connection.send(json.dumps(what, ensure_ascii=False)))

    def take_apart(self, data: bytes) -> None:
        """Tells the visitor what the library reads from the frames that are complete with data."""
        self._bytes += data
        at = 0
        try:
            while (header := Frame.parse(self._bytes, at)) is not None:
                end = at + header.header_len + header.payload_len
                if end > len(self._bytes):
                    break
                self.tell(self._facts(header, bytes(self._bytes[at : at + header.header_len + self._SHOWN])))
                at = end
        except ProtocolError:
            # The connection finds the same, and closes.
            pass
        del self._bytes[:at]

    def _facts(self, header: Header, frame: bytes) -> dict[str, Any]:
        masked = frame[header.header_len :][: min(header.payload_len, self._SHOWN)]
        return {
            "type": "frame",
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
            "masked": masked.hex(),
            "unmasked": (Frame.unmask(masked, header.mask_key) if header.masked else masked).hex(),
        }
