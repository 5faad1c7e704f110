"""Stands between a client and a server and reads the frames on the wire: a reference that is not libwsframe."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import NamedTuple
from urllib.parse import urlsplit

RSV1 = 0x40


class Frame(NamedTuple):
    first_byte: int
    payload_len: int

    @property
    def is_data(self) -> bool:
        return self.first_byte & 0x08 == 0


class Tap:
    """A relay for one connection to the server at an address. Clients connect to its url."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = parts.hostname, parts.port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = parts._replace(netloc=f"127.0.0.1:{self._listener.getsockname()[1]}").geturl()
        self._from_client, self._from_server = bytearray(), bytearray()
        self._thread = threading.Thread(target=self._relay)

    def __enter__(self) -> Tap:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # If nobody has come, nobody will.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)
        self._listener.close()
        assert not self._thread.is_alive(), "one end did not close"

    def _relay(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        with client, socket.create_connection(self._server) as server:
            back = threading.Thread(target=_pump, args=(server, client, self._from_server))
            back.start()
            _pump(client, server, self._from_client)
            back.join()

    @property
    def offer(self) -> str | None:
        """The Sec-WebSocket-Extensions of the request."""
        return _extensions(self._from_client)

    @property
    def answer(self) -> str | None:
        """Those of the response."""
        return _extensions(self._from_server)

    @property
    def client_frames(self) -> list[Frame]:
        return _frames(self._from_client)

    @property
    def server_frames(self) -> list[Frame]:
        return _frames(self._from_server)


def _pump(source: socket.socket, target: socket.socket, heard: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            heard += data
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _extensions(heard: bytearray) -> str | None:
    head = heard.partition(b"\r\n\r\n")[0].decode()
    values = [
        line.partition(":")[2].strip() for line in head.split("\r\n") if line.lower().startswith("sec-websocket-ext")
    ]
    return ", ".join(values) if values else None


def _frames(heard: bytearray) -> list[Frame]:
    at, frames = heard.index(b"\r\n\r\n") + 4, []
    while at < len(heard):
        first_byte, second = heard[at : at + 2]
        length, more = second & 0x7F, {126: 2, 127: 8}.get(second & 0x7F, 0)
        at += 2
        if more:
            length = int.from_bytes(heard[at : at + more], "big")
        at += more + (4 if second & 0x80 else 0) + length
        frames.append(Frame(first_byte, length))
    assert at == len(heard), "it ends inside a frame"
    return frames


def compressed(frames: list[Frame]) -> list[bool]:
    """Whether each message is compressed. RSV1 is on first frames of messages only, and the other bits nowhere."""
    for frame in frames:
        assert frame.first_byte & 0x30 == 0, frame
        assert not frame.first_byte & RSV1 or frame.first_byte & 0x0F in (1, 2), frame
    return [frame.first_byte & RSV1 != 0 for frame in frames if frame.first_byte & 0x0F in (1, 2)]
