"""What connections do with what they receive and are told to send."""

import struct

import pytest

from wsframe import (
    Connection,
    Event,
    EventKind,
    Frame,
    Header,
    ProtocolError,
    State,
    UsageError,
    answer_handshake,
)

REQUEST = (
    b"GET /chat?room=1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://a\r\n"
    b"Sec-WebSocket-Protocol: chat, superchat\r\nX-Name: J\xc3\xbcrgen\r\nX-Bytes: \xff\r\nX-Empty:\r\n\r\n"
)
ACCEPTANCE = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
PLAIN = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
KEY = b"\x37\xfa\x21\x3d"
WHOLE = 3


def masked(first_byte: int, payload: bytes = b"") -> bytes:
    header = Header(first_byte & 0xF, len(payload), first_byte & 0x80 != 0, mask_key=KEY)
    return header.build() + Frame.unmask(payload, KEY)


def open_server(**config):
    return Connection.server(start_open=True, **config)


def written(connection: Connection) -> bytes:
    """Takes all output, as if it were written."""
    output = connection.output()
    assert connection.sent(len(output)) == 0
    return output


def frames(data: bytes) -> list:
    """What frames there are: the first byte, whether it is masked, the payload."""
    found = []
    while data:
        header = Frame.parse(data)
        end = header.header_len + header.payload_len
        payload = data[header.header_len : end]
        payload = Frame.unmask(payload, header.mask_key) if header.masked else payload
        found.append((data[0], header.masked, payload))
        data = data[end:]
    return found


def opened(**config):
    """A client and a server that are done with the opening handshake."""
    client, server = Connection.client(**config), Connection.server(**config)
    client.request("example.com", "/")
    server.receive(written(client))
    client.receive(written(server))
    assert client.state is server.state is State.OPEN
    return client, server


def test_client_and_server_open_talk_and_close():
    client = Connection.client(subprotocols=["superchat", "chat"])
    server = Connection.server(subprotocols=["chat"], origins=["http://a"])
    client.add_field("Origin", "http://a")
    assert client.state is server.state is State.CONNECTING
    assert client.request("example.com", "/chat?room=1") == len(client.output())

    (event,) = server.receive(written(client))
    assert (event.kind, event.flags, event.close_code, event.error) == (EventKind.OPEN, 0, 0, 0)
    assert event.data.startswith(b"GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\n")
    assert (server.target, server.field("host"), server.subprotocol) == (
        "/chat?room=1",
        "example.com",
        "chat",
    )
    (event,) = client.receive(written(server))
    assert event.kind is EventKind.OPEN
    assert event.data.startswith(b"HTTP/1.1 101 ")
    assert (client.target, client.field("UPGRADE"), client.subprotocol) == (None, "websocket", "chat")

    client.send("héllo €")
    client.send(bytes(range(256)))
    sent = written(client)
    assert bytes(range(256)) not in sent, "masked"
    assert server.receive(sent) == [
        Event(EventKind.TEXT, "héllo €".encode(), WHOLE),
        Event(EventKind.BINARY, bytes(range(256)), WHOLE),
    ]
    assert server.field("host") is None, "the head is gone"
    server.send("")
    server.send(b"")
    assert server.output() == b"\x81\x00\x82\x00"
    assert client.receive(written(server)) == [
        Event(EventKind.TEXT, b"", WHOLE),
        Event(EventKind.BINARY, b"", WHOLE),
    ]

    server.close(1001, "going away")
    assert server.state is State.CLOSING
    (event,) = client.receive(written(server))
    assert (event.kind, event.close_code, event.text) == (EventKind.CLOSE, 1001, "going away")
    assert client.state is State.CLOSED
    (event,) = server.receive(written(client))
    assert (event.kind, event.close_code, event.data) == (EventKind.CLOSE, 1001, b"")
    assert server.state is State.CLOSED
    assert server.tick(0) == 0
    assert client.tick(0) == 5000, "the server closes TCP first"
    assert client.tick(5000) == 0
    assert client.error is server.error is None


def test_everything_one_byte_at_a_time():
    server = Connection.server()
    data = (
        REQUEST + masked(0x01, b"Hel") + masked(0x89, b"p") + masked(0x80, b"lo") + masked(0x88, b"\x03\xe8")
    )
    events = [event for octet in data for event in server.receive(bytes([octet]))]
    assert [(event.kind, event.data) for event in events] == [
        (EventKind.OPEN, REQUEST),
        (EventKind.PING, b"p"),
        (EventKind.TEXT, b"Hello"),
        (EventKind.CLOSE, b""),
    ]
    assert server.output().endswith(b"\r\n\r\n\x8a\x01p\x88\x02\x03\xe8")


def test_events_have_their_data_for_themselves():
    server = open_server()
    kept = server.receive(masked(0x81, b"first") + masked(0x82, b"second"))
    server.receive(masked(0x82, bytes(100_000)))
    server.tick(0)
    server.free()
    assert [event.data for event in kept] == [b"first", b"second"]


def test_an_event_cannot_be_changed():
    (event,) = open_server().receive(masked(0x81, b"a"))
    assert type(event) is Event
    for name in Event._fields:
        with pytest.raises(AttributeError):
            setattr(event, name, 0)


def test_what_is_not_text_has_none():
    (event,) = open_server().receive(masked(0x82, b"\xff"))
    with pytest.raises(UnicodeDecodeError):
        _ = event.text


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100])
def test_a_read_with_many_messages(count):
    messages = [bytes([number]) * (number * 7) for number in range(count)]
    events = open_server().receive(b"".join(masked(0x82, message) for message in messages))
    assert events == [Event(EventKind.BINARY, message, WHOLE) for message in messages]


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536, 1_000_000])
def test_messages_of_every_length_of_length(size):
    client, server = opened()
    message = bytes(range(256)) * (size // 256) + bytes(size % 256)
    client.send(message)
    assert server.receive(written(client)) == [Event(EventKind.BINARY, message, WHOLE)]
    server.send(message)
    assert client.receive(written(server)) == [Event(EventKind.BINARY, message, WHOLE)]


def test_pieces_as_they_arrive():
    server = open_server(pieces=True, accept_any_mask=True)

    def received(data):
        return [(event.text, event.is_first, event.is_last) for event in server.receive(data)]

    assert received(b"\x01\x05ab") == [("ab", True, False)]
    assert received(b"c\xe2\x82") == [("c", False, False)]
    assert received(b"\x80\x01\xac") == [("€", False, True)]
    assert received(b"\x81\x01a\x01\x01b\x80\x01c") == [
        ("a", True, True),
        ("bc", True, True),
    ]


def test_pings_beside_a_message_that_is_not_complete():
    server = open_server()
    assert server.receive(masked(0x02, bytes(1_000_000))) == []
    assert server.receive(masked(0x89, b"1") + masked(0x89, b"22")) == [
        Event(EventKind.PING, b"1"),
        Event(EventKind.PING, b"22"),
    ]
    assert server.receive(masked(0x89, b"3")) == [Event(EventKind.PING, b"3")]
    assert server.receive(masked(0x80)) == [Event(EventKind.BINARY, bytes(1_000_000), WHOLE)]


def test_pieces_are_sent_as_fragments_with_control_frames_between():
    server = open_server()
    server.send_piece("a", False)
    for call in (lambda: server.send("x"), lambda: server.send_piece(b"x", True)):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.code == -2
    server.ping(b"p")
    server.send_piece("€", False)
    assert server.send_piece("", last=True) == len(server.output())
    assert written(server) == b"\x01\x01a\x89\x01p\x00\x03\xe2\x82\xac\x80\x00"
    for octet in "€".encode():
        server.send_piece(bytes([octet]).decode("utf-8", "surrogateescape"), octet == 0xAC)
    assert written(server) == b"\x01\x01\xe2\x00\x01\x82\x80\x01\xac"
    server.send_piece(b"\xff", False)
    server.send_piece(bytearray(b"\xfe"), True)
    assert written(server) == b"\x02\x01\xff\x80\x01\xfe"


def test_what_a_client_sends_is_masked_and_never_twice_with_the_same_key():
    client, _ = opened()
    for _ in range(50):
        client.send("a")
    client.ping()
    sent = client.output()
    assert frames(sent) == [(0x81, True, b"a")] * 50 + [(0x89, True, b"")]
    assert len({sent[at + 2 : at + 6] for at in range(0, 50 * 7, 7)}) == 50


def test_ping_and_pong():
    client, server = opened()
    assert client.ping(b"are you there") == len(client.output())
    assert server.receive(written(client)) == [Event(EventKind.PING, b"are you there")]
    assert client.receive(written(server)) == [Event(EventKind.PONG, b"are you there")]
    server.pong()
    assert written(server) == b"\x8a\x00"
    server = open_server(manual_pong=True)
    assert server.receive(masked(0x89, b"p")) == [Event(EventKind.PING, b"p")]
    assert server.output() == b""
    server.pong(b"p")
    assert server.output() == b"\x8a\x01p"


def test_the_peer_closes():
    server = open_server()
    assert server.receive(masked(0x88, b"\x0f\xa0bye") + masked(0x81, b"ignored")) == [
        Event(EventKind.CLOSE, b"bye", close_code=4000)
    ]
    assert (written(server), server.state, server.tick(0)) == (b"\x88\x02\x0f\xa0", State.CLOSED, 0)
    assert server.receive(b"anything") == []
    with pytest.raises(UsageError) as caught:
        server.send("too late")
    assert caught.value.code == -2
    server = open_server()
    (event,) = server.receive(masked(0x88))
    assert (event.close_code, server.output()) == (1005, b"\x88\x00")


@pytest.mark.parametrize("end", [masked(0x88, b"\x03\xe9"), b"\x83\x00"])
def test_what_came_together_with_the_end_can_still_be_answered(end):
    server = open_server()
    for event in server.receive(masked(0x81, b"a") + masked(0x81, b"b") + end)[:2]:
        server.send(event.text)
    assert [payload for _, _, payload in frames(server.output())[:2]] == [b"a", b"b"]
    with pytest.raises(UsageError) as caught:
        server.send("too late")
    assert caught.value.code == -2


@pytest.mark.parametrize(
    ("arguments", "payload"),
    [
        ((), "03e8"),
        ((1005,), ""),
        ((4999, "ä"), "1387c3a4"),
        ((1000, "x" * 123), "03e8" + "78" * 123),
    ],
)
def test_close_codes_and_reasons(arguments, payload):
    server = open_server()
    server.close(*arguments)
    assert frames(server.output()) == [(0x88, False, bytes.fromhex(payload))]


@pytest.mark.parametrize(
    ("code", "reason"),
    [(999, ""), (1006, ""), (1015, ""), (5000, ""), (1000, "x" * 124), (1000, "\ud800"), (1005, "a")],
)
def test_close_codes_and_reasons_that_may_not_be_sent(code, reason):
    server = open_server()
    with pytest.raises(UsageError) as caught:
        server.close(code, reason)
    assert (caught.value.code, server.state, server.output()) == (-1, State.OPEN, b"")


@pytest.mark.parametrize(
    ("what", "data", "error", "close_code", "sentence"),
    [
        ("reserved opcode", b"\x83\x80\0\0\0\0", -33, 1002, "reserved opcode"),
        ("no mask", b"\x81\x00", -33, 1002, "did not mask"),
        ("not UTF-8", masked(0x81, b"\xff"), -34, 1007, "not UTF-8"),
        ("too big", masked(0x82, bytes(101)), -35, 1009, "longer than the limits"),
        ("too many fragments", masked(0x02) + masked(0x00) * 3, -35, 1009, "more frames"),
    ],
)
def test_the_peer_breaks_a_rule(what, data, error, close_code, sentence):
    server = open_server(max_message_len=100, max_fragments=3)
    assert server.receive(masked(0x81, b"before") + data + masked(0x81, b"behind")) == [
        Event(EventKind.TEXT, b"before", WHOLE),
        Event(EventKind.ERROR, b"", close_code=close_code, error=error),
    ], what
    assert sentence in server.error
    assert server.state is State.FAILED
    assert frames(written(server)) == [(0x88, False, struct.pack(">H", close_code))]
    assert server.tick(0) == 0
    with pytest.raises(UsageError) as caught:
        server.receive(b"")
    assert caught.value.code == -2


@pytest.mark.parametrize(
    ("config", "data"),
    [
        ({"accept_any_mask": True}, b"\x82\x01\xff"),
        ({"accept_long_lengths": True}, b"\x82\xfe\x00\x01\0\0\0\0\xff"),
        ({"skip_utf8": True}, masked(0x81, b"\xff")),
        ({"accept_any_close_code": True}, masked(0x88, b"\x03\xf8")),
    ],
)
def test_each_rule_has_a_way_out(config, data):
    (strict,) = open_server().receive(data)
    assert strict.kind is EventKind.ERROR
    (event,) = open_server(**config).receive(data)
    assert event.kind is not EventKind.ERROR
    (event,) = open_server(**dict.fromkeys(config, False)).receive(data)
    assert event.kind is EventKind.ERROR


@pytest.mark.parametrize(
    ("config", "data"),
    [
        ({"max_message_len": 3}, masked(0x02, b"ab") + masked(0x80, b"cd")),
        ({"max_frame_len": 3}, masked(0x82, b"abcd")),
        ({"max_fragments": 1}, masked(0x02, b"a") + masked(0x80)),
    ],
)
def test_limits_of_messages(config, data):
    (event,) = open_server(**config).receive(data)
    assert (event.kind, event.close_code) == (EventKind.ERROR, 1009)
    (name,) = config
    (event,) = open_server(**{name: 4}).receive(data)
    assert event.kind is EventKind.BINARY


@pytest.mark.parametrize("config", [{"max_head_len": 50}, {"max_head_fields": 3}])
def test_limits_of_heads(config):
    server = Connection.server(**config)
    (event,) = server.receive(REQUEST)
    assert (event.kind, event.error, event.close_code) == (EventKind.ERROR, -32, 431)
    assert server.output().startswith(b"HTTP/1.1 431 ")


def test_the_output_is_limited_and_written_in_parts():
    server = open_server(max_output_len=100)
    assert server.send(bytes(90)) == 92
    with pytest.raises(UsageError) as caught:
        server.send(bytes(90))
    assert caught.value.code == -3
    assert server.sent(0) == 92
    assert server.sent(2) == 90
    assert server.output() == bytes(90)
    assert server.send("") == 92
    with pytest.raises(UsageError):
        server.sent(93)
    assert server.sent(91) == 1
    assert server.output() == b"\x00"
    assert server.sent(1) == 0
    assert server.output() == b""


def test_an_application_that_asks_lets_in():
    server = Connection.server(ask=True, subprotocols=["superchat"])
    data = REQUEST + masked(0x81, b"early")
    assert server.receive(data[:-2]) == [Event(EventKind.REQUEST, REQUEST)]
    assert (server.state, server.output(), server.tick(0)) == (State.ASKED, b"", None)
    assert server.receive(data[-2:]) == []
    for name, value in [("X-A", "a\r\nX-B: b"), ("X A", "a"), ("", "a"), ("X-A", "a\n"), ("X-A", "\0")]:
        with pytest.raises(UsageError) as caught:
            server.add_field(name, value)
        assert caught.value.code == -1
    server.add_field("X-A", "ä\udcff")
    with pytest.raises(UsageError) as caught:
        server.accept("other")
    assert caught.value.code == -1
    assert server.accept("chat") == [
        Event(EventKind.OPEN, REQUEST),
        Event(EventKind.TEXT, b"early", WHOLE),
    ]
    assert (server.target, server.subprotocol, server.state) == ("/chat?room=1", "chat", State.OPEN)
    head = written(server)
    assert head.startswith(b"HTTP/1.1 101 ")
    assert ACCEPTANCE in head
    assert b"\r\nSec-WebSocket-Protocol: chat\r\n" in head
    assert b"\r\nX-A: \xc3\xa4\xff\r\n" in head
    assert b"X-B" not in head
    for call in (server.accept, lambda: server.refuse(400), lambda: server.add_field("X-A", "a")):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.code == -2


def test_without_a_name_the_list_decides():
    server = Connection.server(ask=True, subprotocols=["superchat", "chat"])
    server.receive(REQUEST)
    (event,) = server.accept()
    assert (event.kind, server.subprotocol) == (EventKind.OPEN, "superchat")


def test_an_application_that_asks_refuses_and_serves_pages():
    server = Connection.server(ask=True)
    (event,) = server.receive(REQUEST)
    for status in (99, 101, 600):
        with pytest.raises(UsageError):
            server.refuse(status)
    server.add_field("WWW-Authenticate", "Basic")
    assert server.refuse(401) == len(server.output())
    assert written(server).startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert server.tick(0) == 0

    server = Connection.server(ask=True)
    (event,) = server.receive(PLAIN)
    assert event == Event(EventKind.HTTP, PLAIN)
    assert server.target == "/"
    with pytest.raises(UsageError):
        server.accept()
    server.refuse(200, memoryview(b"page"))
    assert written(server) == b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\npage"
    assert server.state is State.CLOSED


def test_the_fields_of_a_request():
    server = Connection.server(ask=True)
    server.receive(REQUEST)
    found = {name: server.field(name) for name in ("HOST", "x-name", "X-Bytes", "X-Empty", "X-None", "ä", "")}
    assert found == {
        "HOST": "a",
        "x-name": "Jürgen",
        "X-Bytes": "\udcff",
        "X-Empty": "",
        "X-None": None,
        "ä": None,
        "": None,
    }
    server.tick(0)
    assert (server.field("Host"), server.target) == (None, None)


def test_a_server_answers_what_is_no_opening_handshake():
    server = Connection.server()
    (event,) = server.receive(PLAIN)
    assert (event.kind, event.error, event.close_code) == (EventKind.ERROR, -32, 426)
    assert written(server).startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert "upgrade" in server.error
    assert server.tick(0) == 0
    server = Connection.server(origins=["http://b", "http://c"])
    (event,) = server.receive(REQUEST)
    assert event.close_code == 403


def test_a_client_is_refused():
    client = Connection.client()
    client.request("example.com", "/")
    written(client)
    (event,) = client.receive(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    assert (event.kind, event.error) == (EventKind.ERROR, -32)
    assert client.state is State.FAILED
    assert client.output() == b""
    assert "101" in client.error


@pytest.mark.parametrize(
    ("host", "target"), [("a b", "/"), ("a", "chat"), ("", "/"), ("a", ""), ("a\r\nX: y", "/"), ("a", "/ x")]
)
def test_a_request_that_would_be_none(host, target):
    client = Connection.client()
    with pytest.raises(UsageError) as caught:
        client.request(host, target)
    assert (caught.value.code, client.output()) == (-1, b"")
    client.request("a", "/")
    with pytest.raises(UsageError) as caught:
        client.request("a", "/")
    assert caught.value.code == -2
    with pytest.raises(UsageError):
        Connection.server().request("a", "/")


def test_nothing_is_sent_before_the_handshake_is_done():
    for connection in (Connection.server(), Connection.client()):
        for call in (
            lambda connection=connection: connection.send("a"),
            lambda connection=connection: connection.send(b"a"),
            lambda connection=connection: connection.send_piece("a", True),
            lambda connection=connection: connection.ping(),
            lambda connection=connection: connection.pong(),
            lambda connection=connection: connection.close(),
        ):
            with pytest.raises(UsageError) as caught:
                call()
            assert caught.value.code == -2
        assert connection.output() == b""


def test_silence_is_pinged_and_then_given_up():
    server = open_server(ping_interval_ms=1000)
    assert server.tick(5000) == 1000
    assert server.tick(5999) == 1
    assert server.tick(6000) == 1000
    assert written(server) == b"\x89\x00"
    server.receive(masked(0x8A))
    assert server.tick(6500) == 1000
    assert server.tick(7500) == 1000
    assert server.tick(8500) == 0
    assert server.state is State.FAILED


def test_the_other_times():
    server = Connection.server(handshake_timeout_ms=7)
    assert (server.tick(0), server.tick(7)) == (7, 0)
    server = open_server(close_timeout_ms=9)
    server.close()
    written(server)
    assert (server.tick(2**63), server.tick(2**63 + 9)) == (9, 0)
    assert (open_server().tick(0), Connection.server().tick(2**64 - 1)) == (30_000, 10_000)


def test_the_answer_for_hosts_that_have_read_the_head():
    answer = answer_handshake(REQUEST, subprotocols=["superchat"])
    assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert ACCEPTANCE in answer
    assert b"\r\nSec-WebSocket-Protocol: superchat\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")
    assert answer_handshake(bytearray(PLAIN)).startswith(b"HTTP/1.1 426 ")
    assert answer_handshake(REQUEST, origins=("http://b",)).startswith(b"HTTP/1.1 403 ")
    for head in (b"", REQUEST[:-1]):
        with pytest.raises(ProtocolError) as caught:
            answer_handshake(head)
        assert (caught.value.code, caught.value.close_code) == (-32, 0)
    name = "x" * 5000
    request = REQUEST.replace(b"superchat", name.encode())
    assert name.encode() in answer_handshake(request, subprotocols=["other", name])


def test_a_connection_after_the_host_has_answered():
    server = Connection.server(start_open=True)
    assert server.state is State.OPEN
    assert server.receive(masked(0x81, b"a")) == [Event(EventKind.TEXT, b"a", WHOLE)]
    assert (server.subprotocol, server.target) == (None, None)
