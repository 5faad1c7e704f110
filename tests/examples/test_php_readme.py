"""The servers in the README of the PHP binding: they are the files they name, and serve among peers of all kinds."""

from __future__ import annotations

import re
import resource
import shutil
import signal
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
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_to

from conftest import ROOT
from reference import client_frame, close_code, read_to_end, request, split_head

README = (ROOT / "bindings/php/README.md").read_text()
PROGRAMS = dict(re.findall(r"<!-- (examples/php/\w+\.php) -->\n```php\n(.*?)```\n", README, re.DOTALL))


def test_the_programs_are_the_files_they_name() -> None:
    assert len(PROGRAMS) == 5
    for file, program in PROGRAMS.items():
        assert program == (ROOT / file).read_text(), file


@contextmanager
def running(program: str, folder: Path, *before: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """A program of the README that was copied to a folder, with the binding where it wants it, and its address."""
    place = folder / "examples/php"
    place.mkdir(parents=True)
    (place / "server.php").write_text(PROGRAMS[program])
    shutil.copytree(ROOT / "bindings/php/src", folder / "bindings/php/src")
    shutil.copy(ROOT / "bindings/php/autoload.php", folder / "bindings/php")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen([*before, "php", place / "server.php", "0"], **pipes) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.terminate()
        assert process.stdout.read() == "", "without a word"


@contextmanager
def serving(program: str, folder: Path) -> Iterator[str]:
    """Its address, while it runs."""
    with running(program, folder) as (process, url):
        yield url
        assert process.poll() is None, "it serves on"


def connect(url: str):
    return connect_to(url, max_size=None, compression=None)


def read_until_closed(client: ClientConnection) -> None:
    try:
        while True:
            client.recv(timeout=10)
    except ConnectionClosed:
        pass


def raw(url: str, data: bytes) -> socket.socket:
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=20)
    connection.sendall(data)
    return connection


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def peers(url: str, stack: ExitStack, target: str = "/") -> socket.socket:
    """Brings peers of all kinds, and returns the one that never reads."""
    hello = request(target) + client_frame(0x81, b"Hello")
    stack.enter_context(raw(url, b""))  # silent
    stack.enter_context(raw(url, hello[:50]))
    stack.enter_context(raw(url, request(target)))
    for hostile in (
        b"\xff" * 100 + b"\r\n\r\n",
        request(target) + b"\xff" * 100,
        request(target) + client_frame(0x81, b"\xff"),
    ):
        read_to_end(stack.enter_context(raw(url, hostile)))
    reset(raw(url, hello))  # leaving
    reset(raw(url, request(target) + client_frame(0x01, bytes(100_000))))
    with raw(url, hello + client_frame(0x88, struct.pack(">H", 1000))) as polite:
        assert close_code(split_head(read_to_end(polite))[1]) == 1000
    stack.enter_context(raw(url, request(target) + client_frame(0x88, b"")))
    return stack.enter_context(raw(url, request(target)))


@pytest.mark.parametrize("program", ["hub", "echo"])
def test_the_echo_servers(program: str, tmp_path: Path) -> None:
    with serving(f"examples/php/{program}.php", tmp_path) as url, ExitStack() as stack:
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


def test_the_chat(tmp_path: Path) -> None:
    with serving("examples/php/chat_server.php", tmp_path) as url, ExitStack() as stack:
        peers(url, stack, "/?name=noise")
        room = f"{url}a%20room?x=1&name="
        one, two = (stack.enter_context(connect(room + name)) for name in ("one", "%E4%BA%8C"))
        assert [one.recv(timeout=10), one.recv(timeout=10)] == ["one is here", "二 is here"]
        assert two.recv(timeout=10) == "二 is here"
        elsewhere = stack.enter_context(connect(f"{url}elsewhere?name=three"))
        assert elsewhere.recv(timeout=10) == "three is here"
        one.send(b"no text")
        one.send("Hello")
        assert two.recv(timeout=10) == "one: Hello"
        two.send("Hi")
        assert one.recv(timeout=10) == "二: Hi"
        deaf = stack.enter_context(raw(url, request("/elsewhere?name=deaf")))
        assert elsewhere.recv(timeout=10) == "deaf is here"
        for i in range(400):
            elsewhere.send(f"{i} " + "x" * 60_000)
        two.close()
        assert one.recv(timeout=10) == "二 has left"
        reset(deaf)
        assert elsewhere.recv(timeout=10) == "deaf has left"
        for target in (b"/", b"//:", b"/?name[]=a", b"/?name=%ff", b"/?name=two+words", b"/?name=" + b"x" * 21):
            with raw(url, request(target.decode())) as nameless:
                assert read_to_end(nameless).startswith(b"HTTP/1.1 403 "), target
        with raw(url, b"GET /?name=page HTTP/1.1\r\nHost: a\r\n\r\n") as browser:
            assert read_to_end(browser).startswith(b"HTTP/1.1 426 ")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("program", ["hub", "chat_server"])
def test_a_server_that_is_told_to_end_says_so_to_everybody(program: str, end: signal.Signals, tmp_path: Path) -> None:
    with running(f"examples/php/{program}.php", tmp_path) as (process, url), ExitStack() as stack:
        clients = [stack.enter_context(connect(f"{url}?name=one")) for _ in range(5)]
        silent = stack.enter_context(raw(url, b""))
        process.send_signal(end)
        for client in clients:
            read_until_closed(client)
            assert client.close_code == 1001
        assert silent.recv(100) == b""
        assert process.wait(timeout=10) == 0


def test_a_server_without_descriptors_waits_for_some(tmp_path: Path) -> None:
    limit = ["sh", "-c", 'ulimit -n 40; exec "$@"', "sh"]
    with running("examples/php/hub.php", tmp_path, *limit) as (process, url), ExitStack() as stack:
        first = stack.enter_context(connect(url))
        crowd = [stack.enter_context(raw(url, request("/"))) for _ in range(60)]
        assert split_head(crowd[0].recv(1000))[0].startswith(b"HTTP/1.1 101 ")
        first.send("served")
        assert first.recv(timeout=10) == "served"
        for connection in crowd[:40]:
            reset(connection)
        assert split_head(crowd[-1].recv(1000))[0].startswith(b"HTTP/1.1 101 ")
        assert process.poll() is None, "it serves on"


def test_more_clients_than_select_can_watch(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    try:
        with serving("examples/php/hub.php", tmp_path) as url, ExitStack() as stack:
            crowd = [stack.enter_context(raw(url, request("/"))) for _ in range(1500)]
            for connection in crowd:
                connection.sendall(client_frame(0x81, b"Hello"))
            for connection in crowd:
                received = b""
                while not received.endswith(b"\x81\x05Hello"):
                    received += connection.recv(1000)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


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
