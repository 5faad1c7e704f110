"""The example servers, talked to by a real client library and by hand-made bytes."""

from __future__ import annotations

import json
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Opcode
from websockets.sync.client import connect as connect_to

from conftest import ROOT, Server
from reference import (
    client_frame,
    close_code,
    frames,
    messages,
    read_to_end,
    request,
    split_head,
)

ADDRESSES = ["resolution", "works"]
LENGTHS = [0, 1, 125, 126, 65_535, 65_536, 4_000_000]


def connect(url: str, **options):
    return connect_to(url, max_size=None, compression=None, **options)


def open_raw(server: Server, url: str, path: str) -> socket.socket:
    """A connection whose opening handshake is done, for bytes that no client library would send."""
    connection = server.connect(url)
    connection.sendall(request(path))
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(1)
    assert answer.startswith(b"HTTP/1.1 101 ")
    return connection


def path_of(url: str) -> str:
    return "/" + url.split("/", 3)[3] if url.count("/") == 3 else "/"


# --- What the servers are for


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("length", LENGTHS)
def test_text_and_binary_come_back_byte_for_byte(server: Server, address: str, length: int) -> None:
    text = ("κόσμε, " * (length // 7 + 1))[:length]
    binary = bytes(i * 7 % 256 for i in range(length))
    with connect(getattr(server, address)) as client:
        for message in (text, binary):
            client.send(message)
            assert client.recv(timeout=20) == message


@pytest.mark.parametrize("address", ADDRESSES)
def test_pings_are_answered_and_closes_too(server: Server, address: str) -> None:
    with connect(getattr(server, address)) as client:
        assert client.ping(b"are you there").wait(timeout=10)
        client.close(4321, "going away")
        assert client.close_code == 4321, "the same code comes back"
        assert client.protocol.close_rcvd_then_sent is False, "the server answered the client's close frame"


def test_the_document_frame_function_sends_pieces_of_125_bytes(server: Server) -> None:
    payload = bytes(300)
    with open_raw(server, server.resolution, "/") as connection:
        connection.sendall(client_frame(0x82, payload) + client_frame(0x88, b""))
        sent = read_to_end(connection)
    first, second, third, close = frames(sent)
    assert [(f.opcode, f.fin, len(f.data)) for f in (first, second, third)] == [
        (Opcode.BINARY, False, 125),
        (Opcode.CONT, False, 125),
        (Opcode.CONT, True, 50),
    ]
    assert close.opcode is Opcode.CLOSE


def test_many_clients_at_once(server: Server) -> None:
    def talk(i: int) -> None:
        for j in range(20):
            message = f"client {i} message {j} " + "x" * (i * j)
            clients[i].send(message)
            assert clients[i].recv(timeout=20) == message

    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        clients = [stack.enter_context(connect(getattr(server, ADDRESSES[i % 2]))) for i in range(40)]
        list(pool.map(talk, range(len(clients))))


def test_a_plain_get_is_answered_with_the_page(server: Server) -> None:
    for url in (server.resolution, server.works):
        with server.connect(url) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head, body = split_head(read_to_end(connection))
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert body == (ROOT / "examples/web/index.html").read_bytes()
        assert f"Content-Length: {len(body)}".encode() in head


def test_visitors_of_the_chat_see_each_other_and_their_own_frames(server: Server) -> None:
    with connect(server.chat) as one, connect(server.works.replace("/xxoo", "/chat")) as two:
        name = _next(one, "welcome")["name"]
        _next(two, "welcome")
        assert _next(one, "visitors", count=2)

        one.send("Grüße")
        frame = _next(one, "frame")
        payload = "Grüße".encode()
        assert bytes.fromhex(frame.pop("unmasked")) == payload
        key = bytes.fromhex(frame.pop("mask_key"))
        masked = bytes.fromhex(frame.pop("masked"))
        assert bytes(byte ^ key[i % 4] for i, byte in enumerate(masked)) == payload
        assert bytes.fromhex(frame.pop("header")) == bytes([0x81, 0x80 | len(payload)]) + key
        assert frame == {
            "type": "frame",
            "fin": 1,
            "rsv1": 0,
            "rsv2": 0,
            "rsv3": 0,
            "opcode": 1,
            "mask": 1,
            "payload_len": len(payload),
            "header_len": 6,
        }
        for visitor in (one, two):
            assert _next(visitor, "message") == {"type": "message", "from": name, "text": "Grüße"}

        two.close()
        assert _next(one, "visitors", count=1)


def _next(visitor, kind: str, **facts) -> dict:
    """The next thing of a kind that a visitor is told."""
    while True:
        told = json.loads(visitor.recv(timeout=10))
        if told["type"] == kind and facts.items() <= told.items():
            return told
        assert not (kind == "message" and told["type"] == "frame"), "only the sender sees the frame"


# --- How the bytes arrive does not matter


def test_every_byte_may_come_alone_and_many_frames_together(server: Server) -> None:
    sent = request("/xxoo") + client_frame(0x81, b"one") + client_frame(0x82, bytes(126)) + client_frame(0x88, b"")
    with server.connect(server.works) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(sent)):
            connection.sendall(sent[i : i + 1])
        one_by_one = split_head(read_to_end(connection))
    with server.connect(server.works) as connection:
        connection.sendall(sent)
        together = split_head(read_to_end(connection))
    assert one_by_one == together
    assert messages(one_by_one[1])[:1] == [b"one"]


def test_a_client_that_does_not_read_holds_nobody_up(server: Server) -> None:
    with open_raw(server, server.works, "/xxoo") as connection, connect(server.works) as other:
        connection.setblocking(False)
        frame = client_frame(0x82, bytes(100_000))
        queued = 0
        # Until the server, whose answers are not taken, takes nothing more either.
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            try:
                queued += connection.send(frame[queued % len(frame) :])
            except BlockingIOError:
                time.sleep(0.01)
        other.send("still there?")
        assert other.recv(timeout=10) == "still there?"
        connection.settimeout(10)
        # The echo of each whole frame has a header of 10 bytes.
        expected = queued // len(frame) * (10 + 100_000)
        received = 0
        while received < expected:
            received += len(connection.recv(1 << 20))
        assert received == expected


# --- What the servers refuse: one log line, that connection closed, nobody else disturbed

REFUSED_FRAMES = {
    "garbage": (b"\xff" * 40, 1002, "reserved opcode"),
    "an HTTP request": (b"GET / HTTP/1.1\r\n\r\n", 1002, "reserved opcode"),
    "an unmasked frame": (b"\x81\x05Hello", 1002, "did not mask"),
    "an unmasked empty ping": (b"\x89\x00", 1002, "did not mask"),
    "an over-long header": (client_frame(0x81, b"Hello", b"\x7e\x00\x05"), 1002, "shortest form"),
    "the 64-bit form of 65,535": (client_frame(0x82, b"", b"\x7f" + struct.pack(">Q", 65535)), 1002, "shortest form"),
    "2^63 bytes": (client_frame(0x82, b"", b"\x7f" + struct.pack(">Q", 1 << 63)), 1002, "top bit"),
    "2^63-1 bytes": (client_frame(0x82, b"", b"\x7f" + struct.pack(">Q", (1 << 63) - 1)), 1009, "limits"),
    "a byte more than 16 MiB": (client_frame(0x82, b"", b"\x7f" + struct.pack(">Q", (16 << 20) + 1)), 1009, "limits"),
    "a reserved opcode": (client_frame(0x83, b""), 1002, "reserved opcode"),
    "a fragmented ping": (client_frame(0x09, b""), 1002, "fragmented a control frame"),
    "a ping of 126 bytes": (client_frame(0x89, bytes(126)), 1002, "more than 125 bytes"),
    "RSV1": (client_frame(0xC1, b""), 1002, "RSV bit"),
    "a continuation of nothing": (client_frame(0x80, b"lo"), 1002, "had not begun"),
    "a message within a message": (client_frame(0x01, b"Hel") + client_frame(0x81, b"lo"), 1002, "finished another"),
    "text that is not UTF-8": (client_frame(0x81, b"\xc0\x80"), 1007, "not UTF-8"),
    "text cut inside a character": (client_frame(0x81, b"\xe2\x82"), 1007, "not UTF-8"),
    "a close frame of one byte": (client_frame(0x88, b"\x03"), 1002, "one byte"),
    "a close code that is never sent": (client_frame(0x88, struct.pack(">H", 1005)), 1002, "may not be sent"),
}


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("what", REFUSED_FRAMES)
def test_refused_frames(server: Server, address: str, what: str) -> None:
    data, code, words = REFUSED_FRAMES[what]
    url = getattr(server, address)
    with connect(url) as bystander, open_raw(server, url, path_of(url)) as connection:
        host, port = connection.getsockname()
        connection.sendall(client_frame(0x81, b"valid before") + data)
        sent = read_to_end(connection)
        assert close_code(sent) == code
        assert messages(sent)[0].startswith(b"valid before"), "nothing that was valid before is lost"
        server.wait_for_log(f"{host}:{port} ", f"refused with {code}", words)
        bystander.send("undisturbed")
        assert bystander.recv(timeout=10) == "undisturbed"


@pytest.mark.parametrize(("message", "code"), [(b"\x00", 1003), ("語" * 70_000, 1009)])
def test_what_the_chat_does_not_take(server: Server, message: str | bytes, code: int) -> None:
    with connect(server.chat) as bystander, connect(server.chat) as client:
        client.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            _next(client, "nothing but the close frame")
        assert closed.value.rcvd.code == code
        _next(bystander, "visitors", count=1)
        bystander.send("undisturbed")
        assert _next(bystander, "frame")
        assert _next(bystander, "message")["text"] == "undisturbed"


def test_what_follows_a_refused_message_is_not_listened_to(server: Server) -> None:
    with connect(server.chat) as bystander, open_raw(server, server.chat, "/chat") as connection:
        connection.sendall(client_frame(0x82, b"\x00") + client_frame(0x81, b"more") * 100)
        host, port = connection.getsockname()
        server.wait_for_log(f"{host}:{port} ", "refused with 1003")
        connection.sendall(client_frame(0x88, struct.pack(">H", 1003)))
        assert close_code(read_to_end(connection)) == 1003
        bystander.send("undisturbed")
        assert _next(bystander, "frame")
        assert _next(bystander, "message")["text"] == "undisturbed"


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_longest_message_comes_back(server: Server, address: str) -> None:
    with connect(getattr(server, address)) as client:
        message = bytes(16 << 20)
        client.send(message)
        assert client.recv(timeout=60) == message


def test_a_message_in_several_frames_with_a_ping_between(server: Server) -> None:
    with open_raw(server, server.works, "/xxoo") as connection:
        pieces = [client_frame(0x01, b"Hel"), client_frame(0x89, b"?"), client_frame(0x80, b"lo")]
        connection.sendall(b"".join(pieces) + client_frame(0x88, b""))
        pong, text, close = frames(read_to_end(connection))
    assert (pong.opcode, pong.data) == (Opcode.PONG, b"?")
    assert (text.opcode, text.data) == (Opcode.TEXT, b"Hello")
    assert (close.opcode, close.data) == (Opcode.CLOSE, b"")


@pytest.mark.parametrize("way", ["closes TCP", "resets TCP", "in the middle of a frame"])
def test_a_client_that_vanishes(server: Server, way: str) -> None:
    with connect(server.chat) as bystander:
        connection = open_raw(server, server.chat, "/chat")
        _next(bystander, "visitors", count=2)
        host, port = connection.getsockname()
        if way == "resets TCP":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if way == "in the middle of a frame":
            connection.sendall(client_frame(0x81, b"Hello")[:8])
        connection.close()
        server.wait_for_log(f"{host}:{port} ", "vanished")
        _next(bystander, "visitors", count=1)


REFUSED_REQUESTS = {
    "garbage": (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    "HTTP/1.0": (request("/xxoo").replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    "a folded line": (request("/xxoo", Origin="a\r\n b"), 400),
    "a bare line feed": (request("/xxoo", Origin="a\nb"), 400),
    "a line feed in the path": (request("/xxoo\n19:00:00 forged"), 400),
    "an escape sequence in the path": (request("/\x1b[31mred"), 400),
    "two Hosts": (request("/xxoo").replace(b"\r\n\r\n", b"\r\nHost: other\r\n\r\n"), 400),
    "a body": (request("/xxoo", Content_Length="5"), 400),
    "no Host": (request("/xxoo", Host=None), 400),
    "POST": (request("/xxoo", "POST"), 405),
    "no Connection": (request("/xxoo", Connection=None), 400),
    "no key": (request("/xxoo", Sec_WebSocket_Key=None), 400),
    "a key of 15 bytes": (request("/xxoo", Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAA"), 400),
    "two keys": (
        request("/xxoo").replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"),
        400,
    ),
    "version 8": (request("/xxoo", Sec_WebSocket_Version="8"), 426),
    "versions 13, 8": (request("/xxoo", Sec_WebSocket_Version="13, 8"), 426),
    "another path": (request("/nowhere"), 404),
    "a head of 20 KiB": (request("/xxoo", Cookie="x" * 20_000), 431),
    "a head that does not end": (b"GET / HTTP/1.1\r\nCookie: " + b"x" * 20_000, 431),
}


@pytest.mark.parametrize("what", REFUSED_REQUESTS)
def test_refused_requests(server: Server, what: str) -> None:
    data, status = REFUSED_REQUESTS[what]
    with server.connect(server.works) as connection:
        host, port = connection.getsockname()
        connection.sendall(data)
        head, body = split_head(read_to_end(connection))
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), head
    assert body or status == 405, "the answer says what was wrong"
    server.wait_for_log(f"{host}:{port} ", f"refused with {status}")
    if status == 426:
        assert b"\r\nSec-WebSocket-Version: 13\r\n" in head
        assert b"\r\nUpgrade: websocket\r\n" in head
    if status == 405:
        assert b"\r\nAllow: GET\r\n" in head


def test_accepted_requests(server: Server) -> None:
    """What browsers and proxies make of the fields is accepted, and frames may follow at once."""
    unusual = request("/xxoo?token=1", Connection="keep-alive, UPGRADE", Upgrade="WebSocket")
    with server.connect(server.works) as connection:
        connection.sendall(unusual + client_frame(0x81, b"glued") + client_frame(0x88, struct.pack(">H", 1000)))
        head, rest = split_head(read_to_end(connection))
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    assert messages(rest)[0].startswith(b"glued")
    assert close_code(rest) == 1000


def test_a_client_library_is_told_of_a_refusal(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(server.works.replace("/xxoo", "/nowhere"))
    assert refused.value.response.status_code == 404
