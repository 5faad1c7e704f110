"""The servers of the README of the Python binding, with silent, slow, leaving and hostile clients at once."""

from __future__ import annotations

import contextlib
import resource
import socket
import struct
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from websockets.sync.client import connect as connect_to

from conftest import ROOT
from reference import client_frame, close_code, messages, read_to_end, request, split_head


class Server:
    def __init__(self, name: str) -> None:
        command = [sys.executable, f"examples/python/{name}.py", "0"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def connect(self):
        return connect_to(self.url, max_size=None, compression=None)

    def open_raw(self, *more: bytes) -> socket.socket:
        parts = urlsplit(self.url)
        connection = socket.create_connection((parts.hostname, parts.port), timeout=10)
        connection.sendall(request("/") + b"".join(more))
        return connection

    def resident(self) -> int:
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def stop(self) -> None:
        assert self.process.poll() is None
        self.process.terminate()
        _, errors = self.process.communicate(timeout=10)
        assert errors == ""


@pytest.fixture(params=["echo", "broadcast"])
def server(request: pytest.FixtureRequest) -> Server:
    server = Server(request.param)
    yield server
    server.stop()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


HOSTILE = {
    "garbage": b"\xff" * 100,
    "a message that is never complete": client_frame(0x02, bytes(100_000)),
    "a close frame of one byte": client_frame(0x88, b"\x03"),
    "much too long": struct.pack(">BBQ4s", 0x82, 0xFF, 1 << 40, b"1234"),
}


def test_messages_come_back(server: Server) -> None:
    with server.connect() as client:
        for message in ("", "κόσμε", b"\xff", "x" * 100_000, bytes(3 << 20)):
            client.send(message)
            assert client.recv(timeout=10) == message


def test_a_close_frame_is_answered_and_what_came_before_it(server: Server) -> None:
    with server.open_raw(client_frame(0x81, b"hi"), client_frame(0x88, struct.pack(">H", 4321))) as connection:
        _, rest = split_head(read_to_end(connection))
    assert messages(rest)[0].startswith(b"hi")
    assert close_code(rest) == 4321


@pytest.mark.parametrize("what", HOSTILE)
def test_others_are_not_disturbed(server: Server, what: str) -> None:
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(server.connect())
        stack.enter_context(server.open_raw())  # says nothing after its request
        parts = urlsplit(server.url)
        stack.enter_context(socket.create_connection((parts.hostname, parts.port)))  # and nothing at all
        for _ in range(20):
            reset(server.open_raw(client_frame(0x81, b"before leaving")))
            hostile = server.open_raw(HOSTILE[what])
            stack.enter_context(hostile)
            client.send("still there?")
            while client.recv(timeout=10) != "still there?":
                pass


def test_who_does_not_read_costs_little_and_holds_nobody_up(server: Server) -> None:
    blob = bytes(200_000)
    with server.connect() as client, server.open_raw() as slow:
        before = server.resident()
        slow.setblocking(False)
        frame, sent = client_frame(0x82, blob), 0
        for _ in range(100):
            with contextlib.suppress(BlockingIOError):
                sent += slow.send(frame[sent % len(frame) :])
            client.send(blob)
            while client.recv(timeout=10) != blob:
                pass
        assert server.resident() - before < 10 << 20, "of 20 MB to each"
