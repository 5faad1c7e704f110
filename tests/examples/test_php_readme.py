"""The servers in the README of the PHP binding: they are the files they name, and serve among peers of all kinds."""

from __future__ import annotations

import re
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_to

from conftest import ROOT
from reference import client_frame, close_code, read_to_end, request, split_head

README = (ROOT / "bindings/php/README.md").read_text()
PROGRAMS = dict(re.findall(r"<!-- (examples/php/\w+\.php) -->\n```php\n(.*?)```\n", README, re.DOTALL))


def test_the_programs_are_the_files_they_name() -> None:
    assert len(PROGRAMS) == 2
    for file, program in PROGRAMS.items():
        assert program == (ROOT / file).read_text(), file


@contextmanager
def serving(program: str, folder: Path) -> Iterator[str]:
    """The address of a program of the README that was copied to a folder, with the binding where it wants it."""
    place = folder / "examples/php"
    place.mkdir(parents=True)
    (place / "server.php").write_text(PROGRAMS[program])
    shutil.copytree(ROOT / "bindings/php/src", folder / "bindings/php/src")
    shutil.copy(ROOT / "bindings/php/autoload.php", folder / "bindings/php")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(["php", place / "server.php", "0"], **pipes) as process:
        try:
            yield process.stdout.readline().strip()
            assert process.poll() is None, "it serves on"
        finally:
            process.terminate()
        assert process.stdout.read() == "", "without a word"


def connect(url: str):
    return connect_to(url, max_size=None, compression=None)


def raw(url: str, data: bytes) -> socket.socket:
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=20)
    connection.sendall(data)
    return connection


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def peers(url: str, stack: ExitStack) -> socket.socket:
    """Brings peers of all kinds, and returns the one that never reads."""
    hello = request("/") + client_frame(0x81, b"Hello")
    stack.enter_context(raw(url, b""))  # silent
    stack.enter_context(raw(url, hello[:50]))
    stack.enter_context(raw(url, request("/")))
    for hostile in (
        b"\xff" * 100 + b"\r\n\r\n",
        request("/") + b"\xff" * 100,
        request("/") + client_frame(0x81, b"\xff"),
    ):
        read_to_end(stack.enter_context(raw(url, hostile)))
    reset(raw(url, hello))  # leaving
    reset(raw(url, request("/") + client_frame(0x01, bytes(100_000))))
    with raw(url, hello + client_frame(0x88, struct.pack(">H", 1000))) as polite:
        assert close_code(split_head(read_to_end(polite))[1]) == 1000
    stack.enter_context(raw(url, request("/") + client_frame(0x88, b"")))
    return stack.enter_context(raw(url, request("/")))


def test_the_echo_server(tmp_path: Path) -> None:
    with serving("examples/php/echo.php", tmp_path) as url, ExitStack() as stack:
        slow = peers(url, stack)
        client = stack.enter_context(connect(url))
        slow.setblocking(False)
        frame = client_frame(0x82, bytes(100_000))
        queued = 0
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            try:
                queued += slow.send(frame[queued % len(frame) :])
            except BlockingIOError:
                time.sleep(0.01)
            for message in ("text", b"bytes", "x" * 300_000):
                client.send(message)
                assert client.recv(timeout=10) == message
        slow.settimeout(20)
        received = 0
        while received < queued // len(frame) * (10 + 100_000):
            received += len(slow.recv(1 << 20))
        client.close(1001)
        assert client.close_code == 1001


def test_the_broadcast(tmp_path: Path) -> None:
    with serving("examples/php/broadcast.php", tmp_path) as url, ExitStack() as stack:
        peers(url, stack)  # the last one gets all that is said, and reads nothing
        one, two = (stack.enter_context(connect(url)) for _ in range(2))
        text = "x" * 60_000
        for i in range(400):
            one.send(f"{i} {text}")
            for client in (one, two):
                assert client.recv(timeout=10) == f"{i} {text}"
        two.close()
        one.send("left")
        assert one.recv(timeout=10) == "left"
        one.send("x" * 70_000)
        with pytest.raises(ConnectionClosed) as closed:
            one.recv(timeout=10)
        assert closed.value.rcvd.code == 1009
