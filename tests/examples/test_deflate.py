"""
The example servers and clients with permessage-deflate (RFC 7692), against Node's `ws` and Python's websockets.

All talk through a relay that reads the first bytes of frames, so that it is seen on the wire what is compressed.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from conftest import ROOT, Server, compiled
from reference import client_frame, frames, request
from tap import Tap, compressed

CLIENTS = {
    "c": ["{c}/client"],
    "php": ["php", "examples/php/client.php"],
    "python": [sys.executable, "examples/python/client.py"],
}
ADDRESSES = ["resolution", "works"]

NOISE = random.Random(7692).randbytes(3000)
TEXT = "".join(f"κόσμε {i % 700}, " for i in range(20_000))
# A list is a message in pieces.
MESSAGES = [
    "",
    "Hello",
    TEXT,
    TEXT,
    TEXT[:300],
    b"",
    NOISE,
    b"abc" * 700_000,
    NOISE + NOISE,
    ["in ", "three ", TEXT],
    ["", TEXT, ""],
    [NOISE[:100], bytes(70_000), NOISE],
    TEXT,
]
# Of those which any end that has agreed to compress has to compress.
LONG = [2, 3, 4, 7, 9, 10, 11, 12]

# The names of RFC 7692 section 7.1, of what the peer asks for.
ASKED = {
    "nothing": {},
    "no context takeover": {"server_no_context_takeover": True, "client_no_context_takeover": True},
    "windows of 9": {"server_max_window_bits": 9, "client_max_window_bits": 9},
    "windows of 12": {"server_max_window_bits": 12, "client_max_window_bits": 12},
    "windows of 15": {"server_max_window_bits": 15, "client_max_window_bits": 15},
    "both": {"server_no_context_takeover": True, "server_max_window_bits": 9},
}
each_asked = pytest.mark.parametrize("asked", ASKED)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the C examples."""
    folder = tmp_path_factory.mktemp("c")
    for name in ("echo", "client"):
        compiled(name, folder)
    return folder


@pytest.fixture(scope="module")
def echo(programs: Path) -> str:
    """The address of the echo server in C."""
    with subprocess.Popen([programs / "echo"], stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.terminate()
        assert process.wait(timeout=10) == 0


def ws_options(asked: dict[str, Any]) -> str:
    """The names that ws has for what is asked for."""

    def camel(name: str) -> str:
        first, *rest = name.split("_")
        return first + "".join(word.title() for word in rest)

    return json.dumps({camel(name): value for name, value in asked.items()})


def ws_peer(mode: str, asked: dict[str, Any], *url: str) -> subprocess.Popen:
    command = ["node", "tests/browser/ws_peer.mjs", mode, ws_options(asked), *url]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def done(process: subprocess.Popen) -> str:
    try:
        output, complaint = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, complaint
    return output.strip()


def parameters(extensions: str) -> dict[str, int | bool]:
    name, *rest = (part.strip() for part in extensions.split(";"))
    assert name == "permessage-deflate"
    pairs = (part.partition("=") for part in rest)
    return {name: int(value) if value else True for name, _, value in pairs}


def check_answer(tap: Tap, asked: dict[str, Any]) -> None:
    """What was agreed on is what the peer asked for, or what costs less memory."""
    agreed = parameters(tap.answer)
    for name, value in asked.items():
        if name.endswith("takeover"):
            assert agreed[name] is True
        else:
            assert agreed.get(name, 15) <= value


# --- Servers


def talk(url: str, asked: dict[str, Any]) -> None:
    """The client of websockets, to a server that sends back what it gets."""
    factory = ClientPerMessageDeflateFactory(**{"client_max_window_bits": True, **asked})
    with connect(url, max_size=None, compression=None, extensions=[factory]) as client:
        assert client.response.headers["Sec-WebSocket-Extensions"]
        exchange(client)


def exchange(peer: Any) -> None:
    for message in MESSAGES:
        peer.send(message)
        whole = type(message[0])().join(message) if isinstance(message, list) else message
        assert peer.recv(timeout=30) == whole
    assert peer.ping(b"between").wait(timeout=10)


def check_websockets(tap: Tap, asked: dict[str, Any]) -> None:
    check_answer(tap, asked)
    for theirs, ours in ((tap.client_frames, tap.server_frames), (tap.server_frames, tap.client_frames)):
        messages = compressed(theirs)
        assert len(messages) == len(compressed(ours)) == len(MESSAGES)
    check_long(tap.client_frames)
    check_long(tap.server_frames)


def check_long(sent: list) -> None:
    assert all(compressed(sent)[number] for number in LONG)
    assert sum(frame.payload_len for frame in sent) < 1_200_000, "of 5 MB"


@each_asked
@pytest.mark.parametrize("address", ADDRESSES)
def test_websockets_to_the_servers(server: Server, address: str, asked: str) -> None:
    with Tap(getattr(server, address)) as tap:
        talk(tap.url, ASKED[asked])
    check_websockets(tap, ASKED[asked])


@each_asked
def test_websockets_to_the_server_in_c(echo: str, asked: str) -> None:
    with Tap(echo) as tap:
        talk(tap.url, ASKED[asked])
    check_websockets(tap, ASKED[asked])


def check_ws(tap: Tap, asked: dict[str, Any], agreed: str) -> None:
    assert agreed == "permessage-deflate"
    check_answer(tap, asked)
    # ws has been told to compress everything; the examples compress what gets shorter.
    assert len(compressed(tap.client_frames)) == len(compressed(tap.server_frames)) == 14
    for sent in (tap.client_frames, tap.server_frames):
        assert sum(compressed(sent)) >= 8
        assert sum(frame.payload_len for frame in sent) < 1_200_000, "of 4 MB"


@each_asked
def test_node_ws_to_the_servers(server: Server, asked: str) -> None:
    with Tap(server.works) as tap:
        agreed = done(ws_peer("client", ASKED[asked], tap.url))
    check_ws(tap, ASKED[asked], agreed)


def test_node_ws_to_the_server_that_sends_pieces(server: Server) -> None:
    with Tap(server.resolution) as tap:
        agreed = done(ws_peer("client", {}, tap.url))
    check_ws(tap, {}, agreed)
    # What is sent in pieces is compressed.
    begun = [frame for frame in tap.server_frames if frame.first_byte & 0x8F in (1, 2)]
    assert begun
    assert all(compressed(begun))


@each_asked
def test_node_ws_to_the_server_in_c(echo: str, asked: str) -> None:
    with Tap(echo) as tap:
        agreed = done(ws_peer("client", ASKED[asked], tap.url))
    check_ws(tap, ASKED[asked], agreed)


# --- Clients, which send back what they get. They ask servers for windows of 12, so none may answer with one of 15.

SERVED = {name: asked for name, asked in ASKED.items() if name != "windows of 15"}
each_served = pytest.mark.parametrize("asked", SERVED)
each_client = pytest.mark.parametrize("client", CLIENTS)


def run_client(client: str, programs: Path, url: str) -> None:
    command = [part.format(c=programs) for part in CLIENTS[client]]
    ended = subprocess.run([*command, url], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@each_served
@each_client
def test_the_clients_to_websockets(client: str, asked: str, programs: Path) -> None:
    failures = []

    def handle(connection: ServerConnection) -> None:
        try:
            exchange(connection)
        except (AssertionError, ConnectionClosed, TimeoutError) as failure:
            failures.append(failure)

    factory = ServerPerMessageDeflateFactory(**SERVED[asked])
    with serve(handle, "127.0.0.1", 0, max_size=None, compression=None, extensions=[factory]) as peer:
        serving = threading.Thread(target=peer.serve_forever)
        serving.start()
        try:
            with Tap(f"ws://127.0.0.1:{peer.socket.getsockname()[1]}/") as tap:
                run_client(client, programs, tap.url)
        finally:
            peer.shutdown()
            serving.join()
    assert not failures
    check_websockets(tap, SERVED[asked])


@each_served
@each_client
def test_the_clients_to_node_ws(client: str, asked: str, programs: Path) -> None:
    peer = ws_peer("server", SERVED[asked])
    with Tap(peer.stdout.readline().strip()) as tap:
        run_client(client, programs, tap.url)
    check_ws(tap, SERVED[asked], done(peer))


@each_client
def test_words_of_the_clients_are_compressed(server: Server, client: str, programs: Path) -> None:
    words = ["Hello", "", "κόσμε" * 40, "x" * 70_000]
    command = [part.format(c=programs) for part in CLIENTS[client]]
    with Tap(server.works) as tap:
        ended = subprocess.run([*command, tap.url, *words], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout.splitlines()) == (0, words)
    assert compressed(tap.client_frames) == compressed(tap.server_frames) == [False, False, True, True]


# --- The chat


def test_the_chat_is_not_compressed(server: Server) -> None:
    """Its picture of a frame shows the bytes as they came, the masked text among them."""
    text = "the same word, the same word, the same word, the same word, the same word"
    with Tap(server.chat) as tap:
        factory = ClientPerMessageDeflateFactory(client_max_window_bits=True)
        with connect(tap.url, compression=None, extensions=[factory]) as client:
            client.send(text)
            told: dict[str, Any] = {}
            while told.get("type") != "frame":
                told = json.loads(client.recv(timeout=10))
            assert (told["rsv1"], bytes.fromhex(told["unmasked"])) == (0, text.encode()[:64])
    assert tap.offer.startswith("permessage-deflate")
    assert tap.answer is None
    assert not any(compressed(tap.client_frames) + compressed(tap.server_frames))


@pytest.mark.parametrize("cut", ["together", "byte by byte", "after the head"])
def test_what_comes_with_the_request_is_not_lost(server: Server, cut: str) -> None:
    """Whatever the room does with extensions; the frames behind the head are of no compressed message."""
    rooms = {"/xxoo": server.works, "/chat": server.works}
    for path, url in rooms.items():
        head = request(path, Sec_WebSocket_Extensions="permessage-deflate")
        data = head + client_frame(0x81, b"early") + client_frame(0x88, struct.pack(">H", 1000))
        sizes = {"together": [len(data)], "byte by byte": [1] * len(data), "after the head": [len(head), len(data)]}
        with server.connect(url) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            at = 0
            for size in sizes[cut]:
                connection.sendall(data[at : at + size])
                at += size
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
        head, _, rest = received.partition(b"\r\n\r\n")
        assert (b"Sec-WebSocket-Extensions: permessage-deflate" in head) == (path == "/xxoo")
        assert any(b"early" in frame.data for frame in frames(rest))
