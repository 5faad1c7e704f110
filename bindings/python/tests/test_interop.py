"""Connections talk to another implementation, the one of the package websockets, without sockets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Close
from websockets.frames import Frame as Theirs
from websockets.frames import Opcode as TheirOpcode
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from wsframe import Connection, EventKind, State

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
        output = self.connection.output()
        self.connection.sent(len(output))
        return output

    def send(self, message):
        self.connection.send(message)

    def send_in_pieces(self, pieces):
        for number, piece in enumerate(pieces, 1):
            self.connection.send_piece(piece, number == len(pieces))

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


def our_client():
    client, server = Ours(Connection.client()), Websockets(ServerProtocol())
    client.connection.request("example.com", "/chat")
    return client, server


def our_server():
    client, server = Websockets(ClientProtocol(parse_uri("ws://example.com/chat"))), Ours(Connection.server())
    client.protocol.send_request(client.protocol.connect())
    return client, server


both_ways = pytest.mark.parametrize("pair", [our_client, our_server])

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
def test_random_messages_arrive(pair, data, sizes):
    client, server = pair()
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
def test_either_end_closes(pair, who, code, reason):
    client, server = pair()
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
