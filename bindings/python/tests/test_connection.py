"""What connections do with what they receive and are told to send."""

from __future__ import annotations

import struct

import pytest

from wsframe import (
    NEVER,
    Connection,
    DataFlag,
    ErrorCode,
    Event,
    EventKind,
    Frame,
    Header,
    Message,
    Opcode,
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
WHOLE = 96


def masked(first_byte: int, payload: bytes = b"") -> bytes:
    header = Header(first_byte & 0xF, len(payload), first_byte & 0x80 != 0, mask_key=KEY)
    return header.build() + Frame.unmask(payload, KEY)


def open_server(**config):
    return Connection.server(start_open=True, **config)


def written(connection: Connection) -> bytes:
    """Takes all output, as if it were written."""
    output = connection.take(0)
    assert connection.waiting == 0
    return output


def turn(connection: Connection, now_ms: int) -> int | None:
    """Ends a turn in which nothing can be written, and returns when the next is due."""
    connection.output(now_ms)
    return connection.wait_ms


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
    assert client.request("example.com", "/chat?room=1") == client.waiting == len(client.output(0))

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
    assert server.output(0) == b"\x81\x00\x82\x00"
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
    assert turn(server, 0) == 0
    assert turn(client, 0) == 5000, "the server closes TCP first"
    assert turn(client, 5000) == 0
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
    assert server.output(0).endswith(b"\r\n\r\n\x8a\x01p\x88\x02\x03\xe8")


def test_events_have_their_data_for_themselves():
    server = open_server()
    kept = server.receive(masked(0x81, b"first") + masked(0x82, b"second"))
    server.receive(masked(0x82, bytes(100_000)))
    turn(server, 0)
    server.free()
    assert [event.data for event in kept] == [b"first", b"second"]


def test_events_are_values():
    (event,) = open_server().receive(masked(0x81, b"a"))
    assert event == Event(EventKind.TEXT, b"a", DataFlag.FIRST | DataFlag.LAST)
    for other in (
        Event(EventKind.BINARY, b"a", WHOLE),
        Event(EventKind.TEXT, b"b", WHOLE),
        (EventKind.TEXT, b"a"),
    ):
        assert event != other
    assert repr(event) == "Event(TEXT, b'a', 96, 0, 0)"
    assert type(event.kind) is EventKind
    with pytest.raises(AttributeError):
        event.other = 0


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
        flags = (DataFlag.FIRST, DataFlag.LAST)
        return [(event.text, *(event.flags & flag != 0 for flag in flags)) for event in server.receive(data)]

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
    server.send("a", more=True)
    for call in (
        lambda: server.send(b"x"),
        lambda: server.send(b"x", more=True),
        lambda: server.send_message(Message("a")),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.code is ErrorCode.STATE
    server.ping(b"p")
    server.send("€", more=True)
    assert server.send("") == server.waiting
    assert written(server) == b"\x01\x01a\x89\x01p\x00\x03\xe2\x82\xac\x80\x00"
    for octet in "€".encode():
        server.send(bytes([octet]), EventKind.TEXT, more=octet != 0xAC)
    assert written(server) == b"\x01\x01\xe2\x00\x01\x82\x80\x01\xac"
    server.send(b"\xff", more=True)
    server.send(bytearray(b"\xfe"))
    assert written(server) == b"\x02\x01\xff\x80\x01\xfe"


def test_the_kind_of_a_message():
    server = open_server()
    for kind in (EventKind.TEXT, Opcode.TEXT, 1):
        server.send("a", kind)
        server.send(b"a", kind)
        server.send(bytearray(b"a"), kind)
    assert written(server) == b"\x81\x01a" * 9
    for kind in (None, EventKind.BINARY, Opcode.BINARY, 2):
        server.send(b"a", kind)
    assert written(server) == b"\x82\x01a" * 4
    server.send(b"a", EventKind.PING)
    server.send(b"a", Opcode.PONG)
    assert written(server) == b"\x89\x01a\x8a\x01a"
    with pytest.raises(TypeError):
        server.send("a", EventKind.BINARY)
    for kind in (EventKind.CLOSE, EventKind.OPEN, 3, 2**16, 2**32 + 1, -1):
        with pytest.raises(UsageError) as caught:
            server.send(b"a", kind)
        assert caught.value.code is ErrorCode.ARGUMENT
    with pytest.raises(UsageError):
        server.send(b"\xff", EventKind.TEXT)
    assert written(server) == b""


def test_try_send_never_fails_for_what_a_peer_did():
    message = Message("news")
    for send in (
        lambda connection: connection.try_send("news"),
        lambda connection: connection.try_send(message),
    ):
        server = Connection.server(high_water_len=10)
        assert not send(server), "not open yet"
        server.receive(REQUEST)
        server.take(0)
        assert send(server)
        assert send(server)
        assert not send(server), "too much waits"
        server.take(0)
        server.send("piece", more=True)
        server.ping()
        assert not send(server), "another message is not finished"
        server.send("")
        assert written(server)[7:] == b"\x89\x00\x80\x00"
        assert send(server)
        server.receive(masked(0x88))
        server.take(0)
        assert not send(server), "it is over"
        server.gone()
        assert not send(server)
    server = open_server()
    assert server.try_send(b"a")
    assert server.try_send(b"b", EventKind.TEXT)
    assert server.try_send(bytes(100_000))
    assert written(server).startswith(b"\x82\x01a\x81\x01b\x82\x7f")
    with pytest.raises(UsageError) as caught:
        server.try_send(b"\xff", EventKind.TEXT)
    assert caught.value.code is ErrorCode.ARGUMENT


def test_what_a_client_sends_is_masked_and_never_twice_with_the_same_key():
    client, _ = opened()
    for _ in range(50):
        client.send("a")
    client.ping()
    sent = client.output(0)
    assert frames(sent) == [(0x81, True, b"a")] * 50 + [(0x89, True, b"")]
    assert len({sent[at + 2 : at + 6] for at in range(0, 50 * 7, 7)}) == 50


def test_ping_and_pong():
    client, server = opened()
    assert client.ping(b"are you there") == len(client.output(0))
    assert server.receive(written(client)) == [Event(EventKind.PING, b"are you there")]
    assert client.receive(written(server)) == [Event(EventKind.PONG, b"are you there")]
    server.pong()
    assert written(server) == b"\x8a\x00"
    server = open_server(manual_pong=True)
    assert server.receive(masked(0x89, b"p")) == [Event(EventKind.PING, b"p")]
    assert server.output(0) == b""
    server.pong(b"p")
    assert server.output(0) == b"\x8a\x01p"


def test_the_peer_closes():
    server = open_server()
    assert server.receive(masked(0x88, b"\x0f\xa0bye") + masked(0x81, b"ignored")) == [
        Event(EventKind.CLOSE, b"bye", close_code=4000)
    ]
    assert (written(server), server.state, turn(server, 0)) == (b"\x88\x02\x0f\xa0", State.CLOSED, 0)
    assert server.receive(b"anything") == []
    assert server.send("too late") == server.close() == server.ping() == 0
    assert server.receive(masked(0x81, b"a")) == []
    server = open_server()
    (event,) = server.receive(masked(0x88))
    assert (event.close_code, server.output(0)) == (1005, b"\x88\x00")


@pytest.mark.parametrize("end", [masked(0x88, b"\x03\xe9"), b"\x83\x00"])
def test_what_came_together_with_the_end_can_still_be_answered(end):
    server = open_server()
    for event in server.receive(masked(0x81, b"a") + masked(0x81, b"b") + end)[:2]:
        server.send(event.text)
    assert [payload for _, _, payload in frames(server.output(0))[:2]] == [b"a", b"b"]
    assert server.send("too late") == server.close() == server.ping() == 0
    assert server.receive(masked(0x81, b"a")) == []


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
    assert frames(server.output(0)) == [(0x88, False, bytes.fromhex(payload))]


@pytest.mark.parametrize(
    ("code", "reason"),
    [(999, ""), (1006, ""), (1015, ""), (5000, ""), (1000, "x" * 124), (1000, "\ud800"), (1005, "a")],
)
def test_close_codes_and_reasons_that_may_not_be_sent(code, reason):
    server = open_server()
    with pytest.raises(UsageError) as caught:
        server.close(code, reason)
    assert (caught.value.code, server.state, server.output(0)) == (-1, State.OPEN, b"")


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
    assert turn(server, 0) == 0
    assert server.receive(b"") == []


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
    assert server.output(0).startswith(b"HTTP/1.1 431 ")


def test_the_output_is_limited_and_written_in_parts():
    server = open_server(high_water_len=100)
    assert server.send(bytes(200)) == 204, "what is long finds room where less waits"
    with pytest.raises(UsageError) as caught:
        server.send(b"")
    assert caught.value.code is ErrorCode.SPACE
    assert server.output(0) == server.output(0) == b"\x82\x7e\x00\xc8" + bytes(200)
    assert server.output(0, 4) == bytes(200)
    assert server.waiting == 200
    assert server.output(0, 100, 10) == bytes(10)
    assert server.send("") == 102
    with pytest.raises(UsageError) as caught:
        server.output(0, 103)
    assert caught.value.code is ErrorCode.ARGUMENT
    assert server.output(0, 101) == b"\x00"
    assert server.output(0, 0, 0) == b""
    assert server.output(0, 1) == b""
    assert server.waiting == 0
    server.close()
    assert server.take(0) == b"\x88\x02\x03\xe8"
    assert server.take(0) == b""


def test_a_slow_reader_costs_what_is_written():
    """Megabytes wait, and the socket takes some kilobytes at a time."""
    server = open_server()
    total = server.send(bytes(8 << 20))
    copied = calls = sent = written = 0
    while output := server.output(0, sent):
        copied, calls, sent = copied + len(output), calls + 1, min(len(output), 50_000)
        written += sent
    assert written == total
    assert calls == -(-total // 50_000)
    assert copied < 2 * total


def test_all_output_is_taken_at_once():
    """Large prepared messages are places of their own in the output."""
    server, message = open_server(), Message(bytes(100_000))
    for _ in range(3):
        server.send("between")
        server.send_message(message)
    server.close()
    all_of_it = server.waiting
    output = server.take(0)
    assert len(output) == all_of_it
    assert [len(payload) for _, _, payload in frames(output)] == [7, 100_000] * 3 + [2]
    assert (server.waiting, server.wait_ms, server.take(0)) == (0, 5000, b"")


def test_more_than_one_batch():
    """What one call of the library does not deliver comes by itself."""
    data = masked(0x81, b"a") * 20_000
    server = open_server()
    events = server.receive(data)
    assert not isinstance(events, list)
    assert [event.data for event in events] == [b"a"] * 20_000
    first = next(iter(server.receive(data + masked(0x89))))
    assert first.data == b"a"
    rest = server.receive(b"")
    assert [event.data for event in rest][-1] == b"", "what was not taken comes with the next call"
    events = iter(server.receive(data))
    assert next(events).data == b"a"
    server.free()
    assert all(event.data == b"a" for event in events), "of a connection that was freed only the batch"


def test_an_application_that_asks_lets_in():
    server = Connection.server(ask=True, subprotocols=["superchat"])
    data = REQUEST + masked(0x81, b"early")
    assert server.receive(data[:-2]) == [Event(EventKind.REQUEST, REQUEST)]
    assert (server.state, server.output(0), turn(server, 0)) == (State.ASKED, b"", None)
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
    for call in (server.accept, lambda: server.respond(400), lambda: server.add_field("X-A", "a")):
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
            server.respond(status)
    server.add_field("WWW-Authenticate", "Basic")
    assert server.respond(401) == len(server.output(0))
    assert written(server).startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert turn(server, 0) == 0

    server = Connection.server(ask=True)
    (event,) = server.receive(PLAIN)
    assert event == Event(EventKind.HTTP, PLAIN)
    assert server.target == "/"
    with pytest.raises(UsageError):
        server.accept()
    server.respond(200, memoryview(b"page"))
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
        "X-Empty": None,
        "X-None": None,
        "ä": None,
        "": None,
    }
    names = ["Host", "Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key", "Origin"]
    names += ["Sec-WebSocket-Protocol", "X-Name", "X-Bytes", "X-Empty"]
    assert [name for name, _ in server.fields] == names
    assert [value for _, value in server.fields][-3:] == ["Jürgen", "\udcff", ""]
    assert repr(server) == "<Connection server ASKED /chat?room=1>"
    server.accept()
    assert server.field("Host") == "a"
    turn(server, 0)
    assert (server.field("Host"), server.target, server.fields) == (None, None, [])


def test_a_server_answers_what_is_no_opening_handshake():
    server = Connection.server()
    (event,) = server.receive(PLAIN)
    assert (event.kind, event.error, event.close_code) == (EventKind.ERROR, -32, 426)
    assert written(server).startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert "upgrade" in server.error
    assert turn(server, 0) == 0
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
    assert client.output(0) == b""
    assert "101" in client.error


@pytest.mark.parametrize(
    ("host", "target"), [("a b", "/"), ("a", "chat"), ("", "/"), ("a", ""), ("a\r\nX: y", "/"), ("a", "/ x")]
)
def test_a_request_that_would_be_none(host, target):
    client = Connection.client()
    with pytest.raises(UsageError) as caught:
        client.request(host, target)
    assert (caught.value.code, client.output(0)) == (-1, b"")
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
            lambda connection=connection: connection.send("a", more=True),
            lambda connection=connection: connection.ping(),
            lambda connection=connection: connection.pong(),
            lambda connection=connection: connection.close(),
        ):
            with pytest.raises(UsageError) as caught:
                call()
            assert caught.value.code == -2
        assert connection.output(0) == b""


def test_silence_is_pinged_and_then_given_up():
    server = open_server(ping_interval_ms=1000)
    assert turn(server, 5000) == 1000
    assert turn(server, 5999) == 1
    assert turn(server, 6000) == 1000
    assert written(server) == b"\x89\x00"
    server.receive(masked(0x8A))
    assert turn(server, 6500) == 1000
    assert turn(server, 7500) == 1000
    assert turn(server, 8500) == 0
    assert server.state is State.FAILED


def test_the_other_times():
    server = Connection.server(handshake_timeout_ms=7)
    assert (turn(server, 0), turn(server, 7)) == (7, 0)
    server = open_server(close_timeout_ms=9)
    server.close()
    written(server)
    assert (turn(server, 8), turn(server, 9)) == (1, 0)
    assert (turn(open_server(), 0), turn(Connection.server(), 2**64 - 1)) == (30_000, 10_000)
    forever = open_server(ping_interval_ms=NEVER)
    assert (turn(forever, 0), turn(forever, 2**40)) == (None, None)


def test_tcp_ends():
    server = open_server()
    server.receive(masked(0x02, bytes(100_000)))
    server.send(bytes(100_000))
    assert server.gone() == [Event(EventKind.GONE, b"", close_code=1006)]
    assert server.gone() == server.receive(masked(0x81, b"a")) == []
    assert (server.state, server.wait_ms, server.waiting, server.take(0)) == (State.FAILED, 0, 0, b"")
    assert server.send("a") == server.close() == 0
    server = open_server()
    server.receive(masked(0x88, b"\x0f\xa0"))
    server.take(0)
    assert server.gone() == [Event(EventKind.GONE, b"", close_code=4000)]
    server = open_server()
    server.receive(b"\x83\x00")
    assert server.gone() == [Event(EventKind.GONE, b"", close_code=1006, error=ErrorCode.PROTOCOL)]
    assert "opcode" in server.error


def test_what_a_connection_is_called():
    connections = Connection.server(), Connection.client(), open_server(target="/a")
    assert [repr(connection) for connection in connections] == [
        "<Connection server CONNECTING>",
        "<Connection client CONNECTING>",
        "<Connection server OPEN /a>",
    ]
    connections[0].free()
    assert repr(connections[0]) == "<Connection server freed>"


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
    server = Connection.server(start_open=True, subprotocol="chat", target="/a?b")
    assert (server.subprotocol, server.target) == ("chat", "/a?b")
