"""What the documents' servers do with a message."""

from __future__ import annotations

from wsframe import Frame, Opcode

from websocket import Message, Room, WebSocket


class HowItWorks(Room):
    """The server of "WebSocket--How it works", on port 8002 at /xxoo: each message comes back as it was."""

    def received(self, socket: WebSocket, message: Message) -> None:
        """Step 7: packing is also required when the server sends. A server does not mask."""
        socket.send(Frame.build(Frame.FIN | message.header.opcode, message.payload))


class ProtocolResolution(Room):
    """The server of "Websocket Protocol resolution", on port 4000: the same, but in pieces of 125 bytes."""

    # Receivers limit the frames of a message, Python's websockets to 4,096. What is longer goes in one frame.
    _MAX_FRAGMENTED = 125 * 1000

    def received(self, socket: WebSocket, message: Message) -> None:
        opcode = message.header.opcode
        if len(message.payload) > self._MAX_FRAGMENTED:
            socket.send(Frame.build(Frame.FIN | opcode, message.payload))
        else:
            socket.send(frame_as_meant(opcode, message.payload))


def frame_as_meant(opcode: int, payload: bytes) -> bytes:
    """The frame() of "Websocket Protocol resolution" as it meant it.

    One message in frames of at most 125 bytes, so that each length fits into 7 bits. Only the first frame has the
    opcode, only the last has FIN: 01 ... 00 ... 80.
    """
    *before, last = _pieces(payload)
    frames = []
    for piece in before:
        frames.append(Frame.build(opcode, piece))
        opcode = Opcode.CONTINUATION
    frames.append(Frame.build(Frame.FIN | opcode, last))
    return b"".join(frames)


def frame_as_printed(text: bytes) -> bytes:
    """The same as it was printed, with "\\x81" before every piece: the browser gets a message for each piece."""
    return b"".join(Frame.build(Frame.FIN | Opcode.TEXT, piece) for piece in _pieces(text))


def _pieces(payload: bytes) -> list[bytes]:
    # The empty payload is a message as well, of one empty piece.
    return [payload[i : i + 125] for i in range(0, len(payload), 125)] or [b""]
