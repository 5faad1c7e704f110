"""What the example server and client in Python do when peers, networks and programs go wrong."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_to

from conftest import ROOT, SERVERS, Server
from reference import client_frame, close_code, messages, read_to_end, request, split_head


@pytest.fixture
def server() -> Server:
    server = Server(SERVERS["python"])
    yield server
    server.stop()


def connect(url: str):
    return connect_to(url, max_size=None, compression=None)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def talks(client, text: str = "still there?") -> None:
    client.send(text)
    assert client.recv(timeout=10) == text


@pytest.mark.parametrize("size", [17_000, 70_000])
@pytest.mark.parametrize("path", ["/xxoo", "/chat"])
def test_much_behind_the_request_is_the_end_of_that_client_at_most(server: Server, size: int, path: str) -> None:
    with connect(server.works) as bystander, server.connect(server.works) as connection:
        connection.sendall(request(path) + client_frame(0x82, bytes(100)) * (size // 106 + 1))
        connection.shutdown(socket.SHUT_WR)
        head, _ = split_head(read_to_end(connection))
        assert head.startswith(b"HTTP/1.1 ")
        talks(bystander)


# A server whose room fails for one message; the loop and the rest are those of the example.
FAILING = """
import sys
sys.path[:0] = ["examples/python"]
from loop import Loop
from websocket import Room, WebSocket

class Failing(Room):
    def received(self, socket, message):
        if message == "fail":
            raise ZeroDivisionError("on purpose")
        socket.send(lambda connection: connection.send(message))

    def left(self, socket):
        raise ZeroDivisionError("on leaving")

loop = Loop()
print("resolution", "ws://127.0.0.1:%d" % loop.listen("127.0.0.1", 0, lambda c: WebSocket(c, {"/": Failing()}, b"")))
print("works none")
print("page none", flush=True)
loop.run()
"""


def test_an_exception_stays_with_its_connection() -> None:
    server = Server([sys.executable, "-c", FAILING])
    with connect(server.resolution) as bystander, connect(server.resolution) as client:
        talks(client)
        client.send("fail")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=10)
        assert closed.value.rcvd.code == 1011
        server.wait_for_log("ZeroDivisionError", "on purpose")
        server.wait_for_log("ZeroDivisionError", "on leaving")
        talks(bystander)
    server.stop()


def resident(server: Server) -> int:
    with open(f"/proc/{server._process.pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_what_gone_clients_sent_is_freed(server: Server) -> None:
    part = struct.pack(">BBQ4s", 0x82, 0xFF, 10 << 20, b"\0\0\0\0") + bytes(9 << 20)

    def send_and_reset(count: int) -> None:
        for _ in range(count):
            connection = server.connect(server.works)
            connection.sendall(request("/xxoo") + b"")
            connection.sendall(part)
            reset(connection)

    send_and_reset(20)
    before = resident(server)
    send_and_reset(200)
    with connect(server.works) as client:
        talks(client)
    assert resident(server) - before < 100 << 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_in_order(number: int) -> None:
    server = Server(SERVERS["python"])
    with connect(server.works) as one, connect(server.chat) as two, server.connect(server.works) as silent:
        talks(one)
        silent.sendall(request("/xxoo"))
        os.kill(server._process.pid, number)
        for client in (one, two):
            assert list(client) is not None, "what was told before"
            assert client.close_code == 1001
        begun = time.monotonic()
        assert server._process.wait(timeout=10) == 0
        assert time.monotonic() - begun < 4
        assert close_code(split_head(read_to_end(silent))[1]) == 1001
    assert "Traceback" not in server.log()


def test_a_whole_address_as_target_reaches_the_room(server: Server) -> None:
    with server.connect(server.works) as connection:
        connection.sendall(request("http://localhost/xxoo?a=b") + client_frame(0x81, b"hi") + client_frame(0x88, b""))
        head, rest = split_head(read_to_end(connection))
    assert head.startswith(b"HTTP/1.1 101 ")
    assert messages(rest)[0].startswith(b"hi")


def test_head_is_answered_without_the_page(server: Server) -> None:
    with server.connect(server.works) as connection:
        connection.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head, body = split_head(read_to_end(connection))
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b""
    assert f"Content-Length: {len((ROOT / 'examples/web/index.html').read_bytes())}".encode() in head


def processor_time(server: Server) -> float:
    with open(f"/proc/{server._process.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_without_descriptors_the_server_waits(server: Server) -> None:
    resource.prlimit(server._process.pid, resource.RLIMIT_NOFILE, (24, 24))
    with connect(server.works) as first, contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(server.connect(server.works))
        time.sleep(0.2)
        before = processor_time(server)
        time.sleep(1.5)
        assert processor_time(server) - before < 0.3, "it does not spin"
        talks(first)
        stack.close()
        with connect(server.works) as later:
            talks(later)


def test_who_does_not_read_is_not_read_from(server: Server) -> None:
    with server.connect(server.works) as connection:
        connection.sendall(request("/xxoo"))
        connection.setblocking(False)
        frame, before = client_frame(0x82, bytes(100_000)), resident(server)
        until, sent = time.monotonic() + 2, 0
        while time.monotonic() < until:
            try:
                sent += connection.send(frame[sent % len(frame) :])
            except BlockingIOError:
                time.sleep(0.01)
        assert resident(server) - before < 8 << 20
        assert processor_time(server) < 2


def test_only_who_has_something_takes_a_turn(server: Server) -> None:
    """Many idle clients cost a busy one nothing."""
    with contextlib.ExitStack() as stack, connect(server.works) as busy:
        costs = []
        for idle in (0, 400):
            for _ in range(idle):
                connection = stack.enter_context(server.connect(server.works))
                connection.sendall(request("/xxoo"))
            talks(busy)
            before = processor_time(server)
            for _ in range(2000):
                talks(busy)
            costs.append(processor_time(server) - before)
    assert costs[1] < 2 * costs[0] + 0.1


# --- The client

CLIENT = [sys.executable, "examples/python/client.py"]


def run_client(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([*CLIENT, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


def serve_once(answer: bytes) -> tuple[str, list[bytes]]:
    """Listens for one client, reads its request, sends an answer and closes. Returns the address and what was read."""
    listener, heard = socket.create_server(("127.0.0.1", 0)), []

    def serve() -> None:
        connection, _ = listener.accept()
        with listener, connection:
            heard.append(connection.recv(65536))
            connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{listener.getsockname()[1]}", heard


def test_the_client_keeps_a_secret_of_the_address_to_itself() -> None:
    place, heard = serve_once(b"")
    run_client(f"ws://user:secret@{place}/a?b", "word")
    assert heard[0].startswith(b"GET /a?b HTTP/1.1\r\n")
    assert f"\r\nHost: {place}\r\n".encode() in heard[0]
    assert b"secret" not in heard[0]


@pytest.mark.parametrize("url", ["wss://127.0.0.1:1/", "http://127.0.0.1:1/", "127.0.0.1:1", "ws://"])
def test_the_client_says_which_addresses_it_takes(url: str) -> None:
    done = run_client(url, "word")
    assert done.returncode == 1
    assert f"{url} is not an address that this client can connect to" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Switching"])
def test_the_client_says_that_the_server_has_closed(answer: bytes) -> None:
    place, _ = serve_once(answer)
    done = run_client(f"ws://{place}/", "word")
    assert done.returncode == 1
    assert "before it answered the opening handshake" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_client_says_that_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = f"127.0.0.1:{listener.getsockname()[1]}"
    done = run_client(f"ws://{place}/", "word")
    assert done.returncode == 1
    assert "refused" in done.stderr
    assert "Traceback" not in done.stderr
