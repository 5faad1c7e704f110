"""The Python binding beside the peers of requirements.txt."""

from __future__ import annotations

import asyncio
import itertools
import socket
from importlib import metadata
from typing import Any, Callable

import picows
import wsproto.connection
import wsproto.events
from websockets import speedups
from websockets.protocol import State
from websockets.server import ServerProtocol
from wsframe import Connection, Frame

from rounds import Section, say

KEY = b"\x37\xfa\x21\x3d"
SIZES = {"16 B": 16, "125 B": 125, "1 KiB": 1 << 10, "64 KiB": 64 << 10, "1 MiB": 1 << 20}
MESSAGE_SIZES = {"16 B": 16, "125 B": 125, "1 KiB": 1 << 10}
BATCH_LEN = 64 << 10


def main() -> None:
    say(versions={name: metadata.version(name) for name in ("picows", "websockets", "wsproto")})
    compare_unmask()
    compare_receive()


def compare_unmask() -> None:
    section = Section(
        "python-unmask",
        "Python: unmask",
        "`Frame.unmask` beside `apply_mask` of `websockets`, which is written in C, and a loop over bytes. picows has"
        " such a function, too, but not for Python.",
    )
    contestants = {
        "libwsframe": Frame.unmask,
        "websockets (C)": speedups.apply_mask,
        "naive loop": naive_unmask,
    }
    for case, size in SIZES.items():
        data = bytes(i * 167 % 256 for i in range(size))
        expected = naive_unmask(data, KEY)
        for name, unmask in contestants.items():
            assert unmask(data, KEY) == expected, name
        calls = {name: lambda unmask=unmask, data=data: unmask(data, KEY) for name, unmask in contestants.items()}
        section.compare(case, 1, calls)


def naive_unmask(data: bytes, key: bytes) -> bytes:
    return bytes(byte ^ key_byte for byte, key_byte in zip(data, itertools.cycle(key)))


def compare_receive() -> None:
    section = Section(
        "python-receive",
        "Python: receive masked text messages",
        "Time per message of a batch of 64 KiB, each taken as a `str` at the end; `Connection.receive` beside"
        " `wsproto` and the `ServerProtocol` of `websockets`, both sans-I/O, and picows. picows has no sans-I/O"
        " interface: its asyncio protocol is driven here as a transport does it, with its own server's settings, and"
        " copying into its buffer counts. The naive loop knows no fragments, control frames or limits.",
    )
    for case, size in MESSAGE_SIZES.items():
        text = ("The quick brown fox jumps over the lazy dog. " * 25)[:size]
        frame = masked_frame(text.encode())
        count = BATCH_LEN // len(frame)
        contestants = receivers()
        for name, receive in contestants.items():
            assert receive(frame * 3) == [text] * 3, name
        batch = frame * count
        calls = {name: lambda receive=receive, batch=batch: receive(batch) for name, receive in contestants.items()}
        section.compare(case, count, calls)


def masked_frame(payload: bytes) -> bytes:
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return b"\x81" + length + KEY + naive_unmask(payload, KEY)


def receivers() -> dict[str, Callable[[bytes], list[str]]]:
    """Open connections of servers: bytes in, texts out."""
    return {
        "libwsframe": wsframe_receiver(),
        "wsproto": wsproto_receiver(),
        "websockets": websockets_receiver(),
        "picows": FactoryLoop().run_until_complete(picows_receiver()),
        "naive loop": naive_receive,
    }


def wsframe_receiver() -> Callable[[bytes], list[str]]:
    connection = Connection.server(start_open=True)
    return lambda batch: [event.text for event in connection.receive(batch)]


def wsproto_receiver() -> Callable[[bytes], list[str]]:
    connection = wsproto.connection.Connection(wsproto.connection.ConnectionType.SERVER)

    def receive(batch: bytes) -> list[str]:
        connection.receive_data(batch)
        return [event.data for event in connection.events() if isinstance(event, wsproto.events.TextMessage)]

    return receive


def websockets_receiver() -> Callable[[bytes], list[str]]:
    connection = ServerProtocol(state=State.OPEN)

    def receive(batch: bytes) -> list[str]:
        connection.receive_data(batch)
        return [frame.data.decode() for frame in connection.events_received()]

    return receive


class FactoryLoop(asyncio.SelectorEventLoop):
    """Serves nobody: gives what a server makes for each client to the one who wants to serve."""

    async def create_server(self, factory: Callable[[], Any], **_: Any) -> Callable[[], Any]:  # type: ignore[override]
        return factory


async def picows_receiver() -> Callable[[bytes], list[str]]:
    texts: list[str] = []

    class Listener(picows.WSListener):
        def on_ws_frame(self, _: picows.WSTransport, frame: picows.WSFrame) -> None:
            texts.append(frame.get_payload_as_utf8_text())

    make_protocol: Any = await picows.ws_create_server(lambda _: Listener(), None, 0, use_aiofastnet=False)
    protocol = make_protocol()
    protocol.connection_made(Transport())

    def receive(batch: bytes) -> list[str]:
        texts.clear()
        rest = memoryview(batch)
        while rest:
            buffer = protocol.get_buffer(-1)
            size = min(len(buffer), len(rest))
            buffer[:size] = rest[:size]
            protocol.buffer_updated(size)
            rest = rest[size:]
        return texts.copy()

    request = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    key = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    receive(request + key)
    return receive


class Transport(asyncio.Transport):
    """Forgets what is written. Its socket, which picows wants to see, is not connected."""

    def __init__(self) -> None:
        super().__init__({"socket": socket.socket()})

    def write(self, data: object) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


def naive_receive(batch: bytes) -> list[str]:
    texts = []
    at = 0
    while at < len(batch):
        size, at = batch[at + 1] & 0x7F, at + 2
        if size == 126:
            size, at = int.from_bytes(batch[at : at + 2], "big"), at + 2
        key, at = batch[at : at + 4], at + 4
        texts.append(naive_unmask(batch[at : at + size], key).decode())
        at += size
    return texts


if __name__ == "__main__":
    main()
