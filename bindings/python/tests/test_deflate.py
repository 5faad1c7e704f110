"""Compressed messages (RFC 7692): what was agreed on, what is compressed, prepared messages, many at once."""

import concurrent.futures
import copy
import gc
import pickle
import weakref
import zlib

import pytest

from wsframe import (
    Connection,
    DataFlag,
    Deflate,
    Event,
    EventKind,
    Frame,
    Message,
    ProtocolError,
    State,
    UsageError,
    answer_extensions,
    answer_handshake,
)

WHOLE, COMPRESSED = 96, 100
TEXT = "compress me, " * 20
DEFLATE = "permessage-deflate"


def opened(client_config, server_config):
    """A client and a server that are done with the opening handshake."""
    client, server = Connection.client(**client_config), Connection.server(**server_config)
    client.request("example.com", "/")
    server.receive(written(client))
    client.receive(written(server))
    assert client.state is server.state is State.OPEN
    return client, server


def both(**config):
    return opened({"deflate": True, **config}, {"deflate": True, **config})


def open_server(extensions=DEFLATE + "; server_max_window_bits=12", **config):
    return Connection.server(start_open=True, deflate=True, extensions=extensions, **config)


def written(connection: Connection) -> bytes:
    """Takes all output, as if it were written."""
    output = connection.take(0)
    assert connection.waiting == 0
    return output


def frames(data: bytes) -> list:
    """The first bytes of frames, and their payloads without mask."""
    found = []
    while data:
        header = Frame.parse(data)
        end = header.header_len + header.payload_len
        payload = data[header.header_len : end]
        found.append((data[0], Frame.unmask(payload, header.mask_key) if header.masked else payload))
        data = data[end:]
    return found


def inflated(payload: bytes) -> bytes:
    """What zlib makes of a message that is compressed on its own (RFC 7692 section 7.2.2)."""
    return zlib.decompressobj(wbits=-15).decompress(payload + b"\0\0\xff\xff")


def test_both_ends_agree_and_messages_are_compressed_both_ways():
    client, server = both()
    assert client.deflate == server.deflate == Deflate(False, False, 12, 12)
    for source, target in ((client, server), (server, client)):
        source.send(TEXT)
        source.send(b"\0" * 5000)
        sent = written(source)
        assert [first for first, _ in frames(sent)] == [0xC1, 0xC2], "FIN, RSV1 and the opcode"
        assert len(sent) < 100
        events = target.receive(sent)
        assert events == [
            Event(EventKind.TEXT, TEXT.encode(), COMPRESSED),
            Event(EventKind.BINARY, b"\0" * 5000, COMPRESSED),
        ]
        assert DataFlag.COMPRESSED | DataFlag.FIRST | DataFlag.LAST == COMPRESSED


def test_without_the_consent_of_both_nothing_is_compressed():
    for configs in (({}, {"deflate": True}), ({"deflate": True}, {}), ({}, {})):
        client, server = opened(*configs)
        assert client.deflate is server.deflate is None
        client.send(TEXT, compress=True)
        (event,) = server.receive(written(client))
        assert event == Event(EventKind.TEXT, TEXT.encode(), WHOLE)
        server.send_message(Message(TEXT, deflate=True))
        assert frames(server.output(0)) == [(0x81, TEXT.encode())]


def test_one_client_may_be_declined():
    client, server = Connection.client(deflate=True), Connection.server(deflate=True, ask=True)
    client.request("example.com", "/")
    server.receive(written(client))
    server.accept(deflate=False)
    client.receive(written(server))
    assert client.deflate is server.deflate is None


def test_a_connection_that_is_not_open_has_not_agreed():
    assert Connection.server(deflate=True).deflate is None
    assert Connection.client(deflate=True).deflate is None


@pytest.mark.parametrize(
    ("client_config", "server_config", "agreed"),
    [
        ({"server_no_context_takeover": True}, {}, Deflate(True, False, 12, 12)),
        ({}, {"client_no_context_takeover": True}, Deflate(False, True, 12, 12)),
        ({"server_max_window_bits": 9}, {"client_max_window_bits": 10}, Deflate(False, False, 9, 10)),
        (
            {"server_max_window_bits": 15, "client_max_window_bits": 15},
            {"server_max_window_bits": 15, "client_max_window_bits": 15},
            Deflate(False, False, 15, 15),
        ),
    ],
)
def test_what_is_agreed_on(client_config, server_config, agreed):
    client, server = opened({"deflate": True, **client_config}, {"deflate": True, **server_config})
    assert client.deflate == server.deflate == agreed
    assert [type(value) for value in client.deflate] == [bool, bool, int, int]
    text = "".join(f"{number} " for number in range(3000))
    for source, target in ((client, server), (server, client)):
        for _ in range(3):
            source.send(text)
            assert target.receive(written(source)) == [Event(EventKind.TEXT, text.encode(), COMPRESSED)]


def test_who_sends_has_a_say():
    server = open_server(deflate_min_len=10)
    server.send("short")
    server.send("short", compress=True)
    server.send(TEXT)
    server.send(TEXT, compress=False)
    server.send(TEXT, compress=None)
    server.send(bytes(9))
    server.send(bytes(10))
    firsts = [first for first, _ in frames(written(server))]
    assert firsts == [0x81, 0xC1, 0xC1, 0x81, 0xC1, 0x82, 0xC2]

    for compress, first in ((None, 0x41), (True, 0x41), (False, 0x01)):
        server.send(TEXT, compress=compress, more=True)
        server.send(TEXT, more=True)
        server.send(TEXT, compress=compress)
        sent = written(server)
        assert [byte for byte, _ in frames(sent)] == [first, 0x00, 0x80], "RSV1 on the first frame only"
    assert TEXT.encode() in sent


def test_a_compressed_message_in_pieces():
    client, server = both(pieces=True, server_no_context_takeover=True)
    server.send(TEXT, more=True)
    server.ping(b"between")
    server.send(TEXT)
    ((first, start), _, (_, end)) = frames(server.output(0))
    assert (first, inflated(start + end)) == (0x41, 2 * TEXT.encode())
    events = client.receive(written(server))
    pieces = [event for event in events if event.kind is EventKind.TEXT]
    assert b"".join(piece.data for piece in pieces) == 2 * TEXT.encode()
    assert all(piece.flags & DataFlag.COMPRESSED for piece in pieces)
    assert [event.data for event in events if event.kind is EventKind.PING] == [b"between"]
    assert not any(event.flags for event in events if event.kind is EventKind.PING)


def test_levels():
    text = "".join(f"{number * number} " for number in range(5000))
    sizes = [open_server(deflate_level=level).send(text) for level in (1, 9)]
    assert sizes[0] > sizes[1]
    assert open_server().send(text) == open_server(deflate_level=6).send(text)


@pytest.mark.parametrize(
    "config",
    [
        {"deflate_level": 10},
        {"server_max_window_bits": 8},
        {"server_max_window_bits": 16},
        {"client_max_window_bits": 8},
        {"client_max_window_bits": 271},
        {"deflate_min_len": -1},
        {"deflate_min_len": 2**32},
        {"extensions": "\ud800"},
    ],
)
def test_what_cannot_be_configured(config):
    for call in (
        lambda: Connection.server(deflate=True, **config),
        lambda: Message("a", deflate=True, **config),
        lambda: answer_extensions(DEFLATE, deflate=True, **config),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.code == -1


@pytest.mark.parametrize("extensions", ["permessage-deflate; unknown", "foo", DEFLATE + ", " + DEFLATE, ","])
def test_extensions_that_nobody_agreed_to(extensions):
    if extensions == ",":
        assert open_server(extensions).deflate is None, "an empty list"
        return
    with pytest.raises(UsageError) as caught:
        open_server(extensions)
    assert caught.value.code == -1


def test_the_extensions_are_text():
    for wrong in (b"permessage-deflate", ["permessage-deflate"], 5):
        with pytest.raises(TypeError, match="extensions must be str"):
            open_server(wrong)


@pytest.mark.parametrize(
    ("offer", "config", "answer"),
    [
        ("permessage-deflate", {}, "permessage-deflate; server_max_window_bits=12"),
        (
            b"permessage-deflate; client_max_window_bits",
            {},
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        ),
        (
            bytearray(b"foo, permessage-deflate; server_no_context_takeover"),
            {"server_max_window_bits": 15},
            "permessage-deflate; server_no_context_takeover",
        ),
        ("permessage-deflate; server_max_window_bits=8", {}, None),
        ("foo", {}, None),
        ("", {}, None),
        ("permessage-deflate", {"deflate": False}, None),
    ],
)
def test_the_answer_for_hosts_that_write_the_response(offer, config, answer):
    config = {"deflate": True, **config}
    assert answer_extensions(offer, **config) == answer
    server = Connection.server(start_open=True, extensions=answer, **config)
    assert (server.deflate is None) == (answer is None)
    if answer:
        assert server.deflate.server_max_window_bits == config.get("server_max_window_bits", 12)


def test_an_offer_that_is_none_is_the_fault_of_the_peer():
    for offer in ("permessage-deflate;", "\ud800", b"\xff", "a b"):
        with pytest.raises(ProtocolError) as caught:
            answer_extensions(offer, deflate=True)
        assert (caught.value.code, caught.value.close_code) == (-32, 0)


def test_a_whole_response_has_the_answer_too():
    request = (
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
    field = b"\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12\r\n"
    assert field in answer_handshake(request, deflate=True)
    assert b"Sec-WebSocket-Extensions" not in answer_handshake(request)


def test_a_prepared_message_is_compressed_once_for_everybody():
    message = Message(TEXT, deflate=True)
    seen = set()
    for config in ({}, {"server_no_context_takeover": True}, {"server_max_window_bits": 9}):
        client, server = both(**config)
        for _ in range(3):
            server.send(TEXT + "before")
            assert server.send_message(message) == len(server.output(0))
            sent = written(server)
            seen.add(frames(sent)[1])
            server.send("behind" + TEXT)
            events = client.receive(sent + written(server))
            assert [event.text for event in events] == [TEXT + "before", TEXT, "behind" + TEXT]
        ((first, payload),) = seen
    assert (first, inflated(payload)) == (0xC1, TEXT.encode())


def test_how_a_message_is_prepared():
    def sent(*arguments, **config):
        server = open_server()
        server.send_message(Message(*arguments, **config))
        return frames(server.output(0))

    assert sent("a") == [(0x81, b"a")]
    assert sent(b"a", deflate=True) == [(0x82, b"a")]
    assert sent(TEXT) == [(0x81, TEXT.encode())], "without deflate it is not compressed"
    assert sent(TEXT, compress=False, deflate=True) == [(0x81, TEXT.encode())]
    ((first, payload),) = sent(memoryview(b"a"), compress=True, deflate=True)
    assert (first, inflated(payload)) == (0xC2, b"a")
    ((first, _),) = sent(b"ab" * 6, deflate=True, deflate_min_len=10)
    assert first == 0xC2
    with pytest.raises(UsageError) as caught:
        Message("\udcff")
    assert caught.value.code == -1
    assert sent("\udcff", skip_utf8=True) == [(0x81, b"\xff")]
    with pytest.raises(TypeError):
        Message("a", max_mesage_len=1)


def test_a_message_has_its_data_for_itself_and_no_copy():
    data = bytearray(b"a" * 100)
    message = Message(data)
    data[:] = b"changed"
    server = open_server()
    server.send_message(message)
    assert frames(server.output(0)) == [(0x82, b"a" * 100)]
    for call in (copy.deepcopy, pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="Message"):
            call(message)
    gc.disable()
    try:
        gone = weakref.ref(message)
        del message
        assert gone() is None
    finally:
        gc.enable()


def test_threads_may_send_one_message_at_the_same_time():
    message = Message(TEXT, deflate=True)

    def work(_number):
        client, server = both()
        for _ in range(200):
            server.send_message(message)
            (event,) = client.receive(written(server))
            assert event == Event(EventKind.TEXT, TEXT.encode(), COMPRESSED)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


BATCHES = {
    "text": ["", "a", "ä€😀", "x" * 200, TEXT],
    "binary": [b"", b"a", bytes(range(256)), bytearray(b"ab"), memoryview(b"abcd").cast("H"), b"x" * 70_000],
    "one": ["a"],
    "none": [],
}


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("compress", [None, True, False])
def test_many_messages_are_sent_as_one_by_one(name, compress):
    messages = BATCHES[name]
    for make in (open_server, lambda: Connection.server(start_open=True)):
        one_by_one, at_once = make(), make()
        for message in messages:
            one_by_one.send(message, compress=compress)
        assert at_once.send_many(iter(messages), compress=compress) == len(messages)
        assert written(at_once) == written(one_by_one)


def test_many_messages_of_a_client_arrive():
    client, server = both()
    messages = [bytes([number]) * number for number in range(200)]
    assert client.send_many(messages) == 200
    assert [event.data for event in server.receive(written(client))] == messages


def test_of_many_messages_those_are_sent_that_have_room():
    server = Connection.server(start_open=True, high_water_len=10)
    assert server.send_many(["abc", "def", "ghi", "jkl"]) == 3
    with pytest.raises(UsageError) as caught:
        server.send_many(["ghi"])
    assert caught.value.code == -3
    assert written(server) == b"\x81\x03abc\x81\x03def\x81\x03ghi"
    assert server.send_many(["a", "\udcff", "b"]) == 1
    with pytest.raises(UsageError) as caught:
        server.send_many(["\udcff", "b"])
    assert caught.value.code == -1
    with pytest.raises(UsageError):
        server.send_many(["a", "\ud800"])
    with pytest.raises(UsageError) as caught:
        Connection.server().send_many(["a"])
    assert caught.value.code == -2


def test_many_messages_are_of_one_kind():
    server = open_server()
    for wrong in (["a", b"a"], [b"a", "a"], "text", b"bytes", [["a"]]):
        with pytest.raises(TypeError):
            server.send_many(wrong)
    assert server.output(0) == b""


class Impostor(bytes):
    """Says that it is longer than it is, which must not make the library read on."""

    def __len__(self):
        return 1 << 40


class Speaker(str):
    def encode(self, *_arguments):
        return Impostor(b"spoken")


def test_lengths_are_not_believed():
    server = open_server()
    assert server.send_many([Impostor(b"ab"), b"c"]) == 2
    assert server.send_many([Speaker("a"), "b"]) == 2
    assert frames(server.output(0)) == [(0x82, b"ab"), (0x82, b"c"), (0x81, b"spoken"), (0x81, b"b")]
    assert Frame.build_many(0x82, [Impostor(b"ab")]) == b"\x82\x02ab"


def test_many_frames_are_built_as_one_by_one():
    payloads = [b"", b"a", bytes(125), bytearray(126), memoryview(b"abcd").cast("H"), bytes(65_536)]
    for first_byte in (0x81, 0x02, 0xC2):
        frames = b"".join(Frame.build(first_byte, payload) for payload in payloads)
        assert Frame.build_many(first_byte, payloads) == frames
        assert Frame.build_many(first_byte, iter(payloads)) == frames
    assert Frame.build_many(0x81, []) == b""
    for first_byte, wrong in ((0x83, [b""]), (0x09, [b""]), (0x89, [b"", bytes(126)]), (-1, []), (256, [])):
        with pytest.raises(UsageError) as caught:
            Frame.build_many(first_byte, wrong)
        assert caught.value.code == -1
    for wrong in (None, 5, ["a"], [None], "text"):
        with pytest.raises(TypeError):
            Frame.build_many(0x81, wrong)
