"""What the documents' servers do with a message."""

from __future__ import annotations

from wsframe import Connection, Frame, Opcode

from websocket import Room, WebSocket


class HowItWorks(Room):
    """The server of "WebSocket--How it works", on port 8002 at /xxoo: each message comes back as it was."""

    def received(self, socket: WebSocket, message: str | bytes) -> None:
        socket.send(lambda connection: connection.send(message))


class ProtocolResolution(Room):
    """The server of "Websocket Protocol resolution", on port 4000: the same, but in pieces of 125 bytes."""

    # Receivers limit the frames of a message, Python's websockets to 4,096. What is longer goes in longer pieces.
    _MAX_PIECES = 1000

    def received(self, socket: WebSocket, message: str | bytes) -> None:
        kind, payload = (Opcode.TEXT, message.encode()) if isinstance(message, str) else (Opcode.BINARY, message)
        # A piece of text may end inside a character.
        *before, last = _pieces(payload, max(125, len(payload) // self._MAX_PIECES))

        def send(connection: Connection) -> None:
            for piece in before:
                connection.send(piece, kind, more=True)
            connection.send(last, kind)

        socket.send(send)


def frame_as_meant(opcode: int, payload: bytes) -> bytes:
    """The frame() of "Websocket Protocol resolution" as it meant it.

    One message in frames of at most 125 bytes, so that each length fits into 7 bits. Only the first frame has the
    opcode, only the last has FIN: 01 ... 00 ... 80.
    """
    *before, last = _pieces(payload, 125)
    frames = []
    for piece in before:
        frames.append(Frame.build(opcode, piece))
        opcode = Opcode.CONTINUATION
    frames.append(Frame.build(Opcode.FIN | opcode, last))
    return b"".join(frames)


def frame_as_printed(text: bytes) -> bytes:
    """The same as it was printed, with "\\x81" before every piece: the browser gets a message for each piece."""
    return b"".join(Frame.build(Opcode.FIN | Opcode.TEXT, piece) for piece in _pieces(text, 125))


def _pieces(payload: bytes, length: int) -> list[bytes]:
    # The empty payload is a message as well, of one empty piece.
    return [payload[i : i + length] for i in range(0, len(payload), length)] or [payload]
