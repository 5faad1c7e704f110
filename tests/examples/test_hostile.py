"""What the example servers and clients do when the other end, or the machine, is not as it should be."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_to

from conftest import ROOT, SERVERS, Server
from reference import client_frame, close_code, frames, messages, read_to_end, request, split_head

CLIENTS = {
    "php": ["php", "examples/php/client.php"],
    "python": [sys.executable, "examples/python/client.py"],
}


def connect(url: str, **options):
    return connect_to(url, max_size=None, compression=None, **options)


def pid(server: Server) -> int:
    return server._process.pid


def resident(server: Server) -> int:
    """How many bytes of memory the server has."""
    return int(Path(f"/proc/{pid(server)}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def worked(server: Server) -> float:
    """How many seconds the server has worked."""
    fields = Path(f"/proc/{pid(server)}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def assert_serves(server: Server) -> None:
    with connect(server.works) as client:
        client.send("still there?")
        assert client.recv(timeout=10) == "still there?"


@contextmanager
def started(command: list[str]) -> Iterator[Server]:
    server = Server(command)
    try:
        yield server
    finally:
        if server._process.poll() is None:
            server.stop()


@pytest.fixture(params=SERVERS)
def command(request: pytest.FixtureRequest) -> list[str]:
    """How a server is started that the test ends itself."""
    return SERVERS[request.param]


# --- What comes with the request


@pytest.mark.parametrize("path", ["/xxoo", "/chat"])
@pytest.mark.parametrize("length", [17_000, 70_000])
def test_frames_right_behind_the_request(server: Server, path: str, length: int) -> None:
    frame = client_frame(0x81, b"x" * 100)
    count = length // len(frame) + 1
    with server.connect(server.works) as connection:
        connection.sendall(request(path) + frame * count + client_frame(0x88, struct.pack(">H", 1000)))
        head, rest = split_head(read_to_end(connection))
    assert head.startswith(b"HTTP/1.1 101 ")
    assert close_code(rest) == 1000
    assert len(messages(rest)) >= count
    assert_serves(server)


def test_a_request_for_a_whole_address(server: Server) -> None:
    """As it goes through some proxies (RFC 9112 section 3.2.2)."""
    with server.connect(server.works) as connection:
        connection.sendall(request("http://localhost/xxoo?a=b") + client_frame(0x81, b"Hi") + client_frame(0x88, b""))
        head, rest = split_head(read_to_end(connection))
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"Hi" in rest


def test_a_head_without_a_body(server: Server) -> None:
    page = (ROOT / "examples/web/index.html").read_bytes()
    with server.connect(server.page) as connection:
        connection.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head, body = split_head(read_to_end(connection))
    assert head.startswith(b"HTTP/1.1 200 ")
    assert f"Content-Length: {len(page)}".encode() in head
    assert body == b""


# --- What is left of clients that are gone


def test_what_gone_clients_have_sent_is_not_kept(command: list[str]) -> None:
    pieces = client_frame(0x02, bytes(1 << 20)) + client_frame(0x00, bytes(1 << 20)) * 8
    with started(command) as server:

        def come_and_go() -> None:
            with server.connect(server.works) as connection:
                connection.sendall(request("/xxoo") + pieces + client_frame(0x89, b"all of it has come"))
                received = b""
                while b"all of it has come" not in received:
                    received += connection.recv(65536)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        for _ in range(5):
            come_and_go()
        before = resident(server)
        for _ in range(200):
            come_and_go()
        assert resident(server) - before < 32 << 20
        assert_serves(server)


def test_who_does_not_read_what_others_say_is_dropped(server: Server) -> None:
    with connect(server.chat) as speaker, server.connect(server.chat) as deaf:
        deaf.sendall(request("/chat"))
        host, port = deaf.getsockname()
        before = resident(server)
        deadline = time.monotonic() + 20
        while f"{host}:{port} dropped" not in server.log() and time.monotonic() < deadline:
            say(speaker, "x" * 60_000)
        server.wait_for_log(f"{host}:{port} ", "dropped")
        assert resident(server) - before < 64 << 20
    assert_serves(server)


def say(speaker: ClientConnection, text: str) -> None:
    """Says something in the chat, and waits until it comes back."""
    speaker.send(text)
    while True:
        heard = speaker.recv(timeout=10)
        if isinstance(heard, str) and json.loads(heard)["type"] == "message":
            return


def read_until_closed(client: ClientConnection) -> None:
    try:
        while True:
            client.recv(timeout=10)
    except ConnectionClosed:
        pass


# --- What is left of the server


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_end_says_so_to_everybody(command: list[str], end: signal.Signals) -> None:
    with started(command) as server, ExitStack() as stack:
        clients = [stack.enter_context(connect(url)) for url in [server.works, server.resolution, server.chat] * 3]
        silent = stack.enter_context(server.connect(server.works))
        deaf = stack.enter_context(server.connect(server.works))
        deaf.sendall(request("/xxoo"))
        deaf.recv(1, socket.MSG_PEEK)  # it is let in, and so was who came before it; it has read nothing
        clients[0].send("answered")
        assert clients[0].recv(timeout=10) == "answered"

        server._process.send_signal(end)
        for client in clients:
            read_until_closed(client)
            assert client.close_code == 1001
        assert server._process.wait(timeout=10) == 0
        assert silent.recv(100) == b""
        assert [frame.data for frame in frames(split_head(read_to_end(deaf))[1])] == [struct.pack(">H", 1001)]


def test_a_server_without_descriptors_waits_for_some(command: list[str]) -> None:
    with started(["sh", "-c", 'ulimit -n 40; exec "$@"', "sh", *command]) as server, ExitStack() as stack:
        first = stack.enter_context(connect(server.works))
        crowd = [stack.enter_context(server.connect(server.works)) for _ in range(60)]
        server.wait_for_log("no more clients")
        before = worked(server)
        time.sleep(2)
        assert worked(server) - before < 0.3, "it does not spin"
        first.send("served")
        assert first.recv(timeout=10) == "served"
        for connection in crowd:
            connection.close()
        assert_serves(server)


def test_more_clients_than_select_can_watch(command: list[str]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    try:
        with started(command) as server, ExitStack() as stack:
            first = stack.enter_context(connect(server.works))
            for _ in range(1100):
                stack.enter_context(server.connect(server.works))
            first.send("served")
            assert first.recv(timeout=10) == "served"
            before = worked(server)
            time.sleep(2)
            assert worked(server) - before < 0.5, "it does not spin"
            first.send("served still")
            assert first.recv(timeout=10) == "served still"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# Each program serves a room that fails for "boom", and prints its address.
FAILING = {
    "php": [
        "php",
        "-r",
        """
        require 'bindings/php/autoload.php';
        require 'examples/php/loop.php';
        require 'examples/php/websocket.php';
        final class Failing extends Examples\\Room {
            public function received(Examples\\WebSocket $socket, string $message, bool $isText): void {
                $message === 'boom' ? throw new TypeError('a mistake') : $socket->tell($message);
            }
        }
        $loop = new Examples\\Loop();
        $rooms = ['/' => new Failing()];
        echo 'ws://127.0.0.1:', $loop->listen('127.0.0.1', 0, fn($loop, $socket, $address) =>
            new Examples\\WebSocket($loop, $socket, $address, $rooms, '')), "/\\n";
        $loop->run();
        """,
    ],
    "python": [
        sys.executable,
        "-c",
        """
from wsframe import Server
server = Server()
@server.on("message")
def received(peer, message):
    if message == "boom":
        raise TypeError("a mistake")
    peer.send(message)
print(f"ws://127.0.0.1:{server.listen('127.0.0.1:0')}/", flush=True)
server.run()
""",
    ],
}


@pytest.mark.parametrize("language", FAILING)
def test_what_fails_for_one_client_ends_that_client_only(language: str) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(FAILING[language], cwd=ROOT, **pipes) as process:
        try:
            url = process.stdout.readline().strip()
            with connect(url) as bystander:
                for _ in range(3):
                    with connect(url) as client:
                        client.send("boom")
                        read_until_closed(client)
                    assert client.close_code == 1011
                bystander.send("undisturbed")
                assert bystander.recv(timeout=10) == "undisturbed"
        finally:
            process.terminate()
        assert process.stderr.read().count("a mistake") == 3


# --- Clients


def run_client(client: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*CLIENTS[client], *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


@contextmanager
def hanging_up() -> Iterator[tuple[str, list[bytes]]]:
    """The host and port of a server that reads a request and closes, and the requests."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                requests.append(connection.recv(65536))

        serving = threading.Thread(target=serve)
        serving.start()
        yield "{}:{}".format(*listener.getsockname()), requests
        serving.join()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_keeps_the_password_to_itself_and_says_that_the_server_hung_up(client: str) -> None:
    with hanging_up() as (address, requests):
        done = run_client(client, f"ws://user:secret@{address}/path?a=b", "word")
    head = requests[0].split(b"\r\n")
    assert head[0] == b"GET /path?a=b HTTP/1.1"
    assert f"Host: {address}".encode() in head
    assert b"secret" not in requests[0]
    assert done.returncode == 1
    assert "before it answered" in done.stderr


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("url", ["wss://127.0.0.1/", "http://127.0.0.1/", "127.0.0.1:80", "ws://", "ws:///path"])
def test_a_client_refuses_what_it_does_not_know(client: str, url: str) -> None:
    done = run_client(client, url, "word")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1, "a sentence"
    assert "ws://" in done.stderr


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_that_reaches_nobody_says_so(client: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = run_client(client, f"ws://127.0.0.1:{port}/", "word")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "refused" in done.stderr
