"""The servers of the README of the Python binding, with silent, slow, leaving and hostile clients at once."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_to

from conftest import ROOT
from reference import client_frame, close_code, messages, read_to_end, request, split_head


class Server:
    def __init__(self, name: str) -> None:
        command = [sys.executable, f"examples/python/{name}.py", "0"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def connect(self, path: str = ""):
        return connect_to(self.url + path, max_size=None, compression=None)

    def open_raw(self, *more: bytes) -> socket.socket:
        parts = urlsplit(self.url)
        connection = socket.create_connection((parts.hostname, parts.port), timeout=10)
        connection.sendall(request("/") + b"".join(more))
        return connection

    def resident(self) -> int:
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def worked(self) -> float:
        """How many seconds it has worked."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        assert self.process.poll() is None
        self.process.terminate()
        _, errors = self.process.communicate(timeout=10)
        assert errors == ""


@pytest.fixture(params=["hub", "echo", "broadcast"])
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


# --- On the hub


@pytest.fixture
def hub() -> Iterator[Server]:
    server = Server("hub")
    yield server
    server.stop()


def talks(client, text: str = "still there?") -> None:
    client.send(text)
    assert client.recv(timeout=10) == text


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, -signal.SIGINT)])
def test_a_signal_closes_with_1001(number: int, status: int) -> None:
    server = Server("hub")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(5)]
        deaf = stack.enter_context(server.open_raw())
        parts = urlsplit(server.url)
        silent = stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=10))
        for client in clients:
            talks(client)
        server.process.send_signal(number)
        for client in clients:
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(timeout=10)
            assert closed.value.rcvd.code == 1001
        assert silent.recv(100) == b""
        assert close_code(split_head(read_to_end(deaf))[1]) == 1001
    _, errors = server.process.communicate(timeout=10)
    assert server.process.returncode == status
    assert errors == "" or number == signal.SIGINT


def test_without_descriptors_the_hub_waits_for_some(hub: Server) -> None:
    resource.prlimit(hub.process.pid, resource.RLIMIT_NOFILE, (24, 24))
    with hub.connect() as first, contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(hub.open_raw())
        before = hub.worked()
        time.sleep(1.5)
        assert hub.worked() - before < 0.3, "it does not spin"
        talks(first)
        stack.close()
        with hub.connect() as later:
            talks(later)


def test_more_clients_than_select_can_watch(hub: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    resource.prlimit(hub.process.pid, resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    try:
        with hub.connect() as first, contextlib.ExitStack() as stack:
            for _ in range(1100):
                stack.enter_context(hub.open_raw())
            talks(first)
            before = hub.worked()
            for _ in range(200):
                talks(first)
            assert hub.worked() - before < 0.5, "who is silent costs nothing"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_gone_clients_have_sent_is_not_kept(hub: Server) -> None:
    pieces = client_frame(0x02, bytes(1 << 20)) + client_frame(0x00, bytes(1 << 20)) * 8

    def come_and_go(count: int) -> None:
        for _ in range(count):
            with hub.open_raw(pieces, client_frame(0x89, b"all of it has come")) as connection:
                received = b""
                while b"all of it has come" not in received:
                    received += connection.recv(65_536)
                reset(connection)

    come_and_go(5)
    before = hub.resident()
    come_and_go(100)
    assert hub.resident() - before < 32 << 20
    with hub.connect() as client:
        talks(client)


def test_those_with_the_same_path_hear_each_other() -> None:
    server = Server("topics")
    with server.connect("a") as one, server.connect("b") as other:
        one.send("nobody hears this")
        with server.connect("a") as visitor:
            come = one.recv(timeout=10)
            visitor.send("hello")
            assert one.recv(timeout=10) == "hello"
            one.send(b"\xff")
            assert visitor.recv(timeout=10) == b"\xff"
        assert come.endswith(" has come")
        assert one.recv(timeout=10) == come.replace("come", "left")
        with server.connect("b"):
            assert other.recv(timeout=10).endswith(" has come")
    server.stop()
