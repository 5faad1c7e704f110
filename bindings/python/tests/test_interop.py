"""Connections talk to another implementation, the one of the package websockets, without sockets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Close
from websockets.frames import Frame as Theirs
from websockets.frames import Opcode as TheirOpcode
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from wsframe import Connection, EventKind, Message, State

KINDS = {TheirOpcode.PING: EventKind.PING, TheirOpcode.PONG: EventKind.PONG}


class Ours:
    """A connection of this library, as something that takes bytes, gives bytes, and has received messages."""

    def __init__(self, connection):
        self.connection = connection
        self.received = []

    def take(self, data):
        for event in self.connection.receive(data):
            if event.kind is not EventKind.OPEN:
                value = event.text if event.kind is EventKind.TEXT else event.data
                self.received.append((event.kind, (event.close_code, value) if event.close_code else value))

    def give(self):
        return self.connection.take(0)

    def send(self, message):
        self.connection.send(message)

    def send_in_pieces(self, pieces):
        for number, piece in enumerate(pieces, 1):
            self.connection.send(piece, more=number < len(pieces))

    def ping(self, payload):
        self.connection.ping(payload)

    def close(self, code, reason):
        self.connection.close(code, reason)


class Websockets:
    """The same for a protocol of websockets."""

    def __init__(self, protocol):
        self.protocol = protocol
        self.received = []
        self.fragments = []

    def take(self, data):
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            if isinstance(event, Theirs):
                self.take_frame(event)
            elif isinstance(self.protocol, ServerProtocol):
                self.protocol.send_response(self.protocol.accept(event))

    def take_frame(self, frame):
        if frame.opcode is TheirOpcode.CLOSE:
            close = Close.parse(frame.data)
            self.received.append((EventKind.CLOSE, (close.code, close.reason.encode())))
        elif frame.opcode in KINDS:
            self.received.append((KINDS[frame.opcode], bytes(frame.data)))
        else:
            self.fragments.append(frame)
            if frame.fin:
                message = b"".join(fragment.data for fragment in self.fragments)
                is_text = self.fragments[0].opcode is TheirOpcode.TEXT
                self.received.append(
                    (EventKind.TEXT, message.decode()) if is_text else (EventKind.BINARY, message)
                )
                self.fragments = []

    def give(self):
        return b"".join(self.protocol.data_to_send())

    def send(self, message):
        self.send_in_pieces([message])

    def send_in_pieces(self, pieces):
        for number, piece in enumerate(pieces, 1):
            data, fin = piece.encode() if isinstance(piece, str) else piece, number == len(pieces)
            if number > 1:
                self.protocol.send_continuation(data, fin)
            elif isinstance(piece, str):
                self.protocol.send_text(data, fin)
            else:
                self.protocol.send_binary(data, fin)

    def ping(self, payload):
        self.protocol.send_ping(payload)

    def close(self, code, reason):
        self.protocol.send_close(code, reason)


def pass_on(source, target, sizes=()):
    """Brings what source has to target, in pieces of these sizes and then the rest."""
    data = source.give()
    for size in sizes:
        target.take(data[:size])
        data = data[size:]
    target.take(data)


# What both sides are told about permessage-deflate; None: nothing.
DEFLATES = {
    "plain": None,
    "deflate": {},
    "no context takeover": {"server_no_context_takeover": True, "client_no_context_takeover": True},
    "windows of 9": {"server_max_window_bits": 9, "client_max_window_bits": 9},
    "windows of 15": {"server_max_window_bits": 15, "client_max_window_bits": 15},
    "different": {
        "server_no_context_takeover": True,
        "server_max_window_bits": 15,
        "client_max_window_bits": 10,
    },
}


def our_client(deflate):
    theirs = [] if deflate is None else [ServerPerMessageDeflateFactory(**deflate)]
    client, server = (
        Ours(Connection.client(**ours_of(deflate))),
        Websockets(ServerProtocol(extensions=theirs)),
    )
    client.connection.request("example.com", "/chat")
    return client, server


def our_server(deflate):
    theirs = (
        []
        if deflate is None
        else [ClientPerMessageDeflateFactory(**{"client_max_window_bits": True, **deflate})]
    )
    protocol = ClientProtocol(parse_uri("ws://example.com/chat"), extensions=theirs)
    client, server = Websockets(protocol), Ours(Connection.server(**ours_of(deflate)))
    client.protocol.send_request(client.protocol.connect())
    return client, server


def ours_of(deflate):
    return {} if deflate is None else {"deflate": True, "deflate_min_len": 20, **deflate}


def both_ways(test):
    test = pytest.mark.parametrize("pair", [our_client, our_server])(test)
    return pytest.mark.parametrize("deflate", DEFLATES.values(), ids=DEFLATES)(test)


lengths = st.sampled_from([0, 1, 124, 125, 126, 127, 128, 65_535, 65_536, 70_000])
messages = st.one_of(
    st.text(max_size=200),
    st.binary(max_size=200),
    lengths.map(bytes),
    lengths.map(lambda size: "a" * size),
)
acts = st.one_of(
    st.tuples(st.just("send"), messages),
    st.tuples(
        st.just("send_in_pieces"),
        st.one_of(
            st.lists(st.text(max_size=50), min_size=1, max_size=5),
            st.lists(st.binary(max_size=50), min_size=1, max_size=5),
        ),
    ),
    st.tuples(st.just("ping"), st.binary(max_size=125)),
)


def expected_of(act, value):
    if act == "ping":
        return EventKind.PING, value
    if act == "send_in_pieces":
        value = type(value[0])().join(value)
    return EventKind.TEXT if isinstance(value, str) else EventKind.BINARY, value


@both_ways
@given(data=st.data(), sizes=st.lists(st.integers(0, 50), max_size=20))
def test_random_messages_arrive(pair, deflate, data, sizes):
    client, server = pair(deflate)
    pass_on(client, server, sizes)
    pass_on(server, client, sizes)
    for source, target in ((client, server), (server, client)):
        sent = data.draw(st.lists(acts, max_size=8))
        for act, value in sent:
            getattr(source, act)(value)
        pass_on(source, target, sizes)
        assert target.received == [expected_of(*each) for each in sent]
        pass_on(target, source, sizes)
        pings = [(EventKind.PONG, value) for act, value in sent if act == "ping"]
        assert source.received == pings
        source.received, target.received = [], []


@both_ways
@pytest.mark.parametrize("who", ["client", "server"])
@given(code=st.sampled_from([1000, 1001, 1011, 3000, 4999]), reason=st.text(max_size=30))
def test_either_end_closes(pair, deflate, who, code, reason):
    client, server = pair(deflate)
    pass_on(client, server)
    pass_on(server, client)
    source, target = (client, server) if who == "client" else (server, client)
    source.close(code, reason)
    pass_on(source, target)
    assert target.received == [(EventKind.CLOSE, (code, reason.encode()))]
    pass_on(target, source)
    ours = source if isinstance(source, Ours) else target
    assert ours.connection.state is State.CLOSED
    assert [kind for kind, _ in source.received] == [EventKind.CLOSE]


TEXT = "".join(f"{number % 90} and again, " for number in range(9000))
BATCH = [TEXT, TEXT[:1000], TEXT.encode(), bytes(70_000), TEXT]


@both_ways
def test_what_is_long_goes_compressed_both_ways(pair, deflate):
    client, server = pair(deflate)
    pass_on(client, server)
    pass_on(server, client)
    ours = client if isinstance(client, Ours) else server
    agreed = ours.connection.deflate
    assert (agreed is None) == (deflate is None)
    for name, value in (deflate or {}).items():
        assert getattr(agreed, name) == value
    for source, target in ((client, server), (server, client)):
        for message in BATCH:
            source.send(message)
            data = source.give()
            opcode = 1 if isinstance(message, str) else 2
            assert data[0] == 0x80 | opcode | (0 if deflate is None else 0x40), "FIN, opcode, and RSV1"
            assert deflate is None or len(data) < len(message) / 2
            target.take(data)
        source.send_in_pieces([TEXT[:100], "", TEXT[100:]])
        pass_on(source, target)
        assert [value for _, value in target.received] == [*BATCH, TEXT]
        target.received = []
    if deflate is not None:
        ours.connection.send_many([TEXT[:300]] * 50)
        ours.connection.send_message(Message(TEXT, **ours_of(deflate)))
        pass_on(ours, server if ours is client else client)
        received = server.received if ours is client else client.received
        assert [value for _, value in received] == [TEXT[:300]] * 50 + [TEXT]
