"""The visitors of the page talk to each other, and each sees the frames that he sends taken apart."""

from __future__ import annotations

import json
from typing import Any

from wsframe import Frame, Opcode

from websocket import Message, Room, WebSocket

# How much of a payload is shown.
_SHOWN = 64


class Chat(Room):
    def __init__(self) -> None:
        self._visitors: dict[WebSocket, str] = {}
        self._named = 0

    def joined(self, socket: WebSocket) -> None:
        self._named += 1
        name = f"visitor {self._named}"
        self._visitors[socket] = name
        self._tell(socket, {"type": "welcome", "name": name})
        self._tell_all({"type": "visitors", "count": len(self._visitors)})

    def received(self, socket: WebSocket, message: Message) -> None:
        if message.header.opcode != Opcode.TEXT:
            socket.refuse(1003, "the chat takes text only")
            return
        self._tell(socket, _taken_apart(message))
        text = message.payload.decode()
        self._tell_all({"type": "message", "from": self._visitors[socket], "text": text})

    def left(self, socket: WebSocket) -> None:
        del self._visitors[socket]
        self._tell_all({"type": "visitors", "count": len(self._visitors)})

    def _tell(self, socket: WebSocket, what: dict[str, Any]) -> None:
        socket.send(_packed(what))

    def _tell_all(self, what: dict[str, Any]) -> None:
        frame = _packed(what)
        # A copy: who is dropped because it does not read leaves while it is told.
        for socket in list(self._visitors):
            socket.send(frame)


def _taken_apart(message: Message) -> dict[str, Any]:
    """The facts of the frame as libwsframe read them."""
    header = message.header
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
        "header": message.header_bytes.hex(),
        "mask_key": header.mask_key.hex(),
        "masked": message.masked[:_SHOWN].hex(),
        "unmasked": message.payload[:_SHOWN].hex(),
    }


def _packed(what: dict[str, Any]) -> bytes:
    return Frame.build(Frame.FIN | Opcode.TEXT, json.dumps(what).encode())
