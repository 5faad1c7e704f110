"""What the tests send and expect, built independently of libwsframe."""

from __future__ import annotations

import itertools
import socket
import struct

from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

KEY = bytes([0x37, 0xFA, 0x21, 0x3D])


def client_frame(first_byte: int, payload: bytes, length: bytes | None = None) -> bytes:
    """A masked frame; length is what follows the first byte, if it shall not be the right one."""
    if length is None:
        length = _length(len(payload))
    masked = bytes(byte ^ key for byte, key in zip(payload, itertools.cycle(KEY)))
    return bytes([first_byte, length[0] | 0x80]) + length[1:] + KEY + masked


def _length(length: int) -> bytes:
    if length < 126:
        return bytes([length])
    return b"\x7e" + struct.pack(">H", length) if length < 65536 else b"\x7f" + struct.pack(">Q", length)


def request(path: str = "/", method: str = "GET", **changes: str | None) -> bytes:
    """An opening handshake; a change replaces a field, or removes it if it is None."""
    fields = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    fields.update({name.replace("_", "-"): value for name, value in changes.items()})
    lines = [f"{name}: {value}\r\n" for name, value in fields.items() if value is not None]
    return f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode()


def read_to_end(connection: socket.socket) -> bytes:
    """All that the server sends until it closes its side."""
    received = bytearray()
    while chunk := connection.recv(65536):
        received += chunk
    return bytes(received)


def split_head(answer: bytes) -> tuple[bytes, bytes]:
    head, blank, rest = answer.partition(b"\r\n\r\n")
    assert blank, answer
    return head, rest


def frames(data: bytes) -> list[Frame]:
    """The frames in what a server sent."""
    protocol = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN, max_size=None)
    protocol.receive_data(data)
    assert protocol.parser_exc is None, protocol.parser_exc
    return protocol.events_received()


def messages(data: bytes) -> list[bytes]:
    """The messages in what a server sent, put together from their frames."""
    found: list[bytearray] = []
    for frame in frames(data):
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            found.append(bytearray())
        found[-1] += frame.data
    return [bytes(message) for message in found]


def close_code(data: bytes) -> int:
    """The code of the close frame that data ends with."""
    last = frames(data)[-1]
    assert last.opcode is Opcode.CLOSE, last
    return Close.parse(last.data).code
