"""Clients of a hub in the same thread, over real sockets: the binding's own client."""

import select
import socket
import struct
import time

from wsframe import Connection, EventKind, Hub

PATIENCE_S = 20


class Client:
    """A client over a socket. While it waits the hub has its turns, in which at most there is room again."""

    def __init__(self, port, target="/", **config):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.connection = Connection.client(**config)
        self.connection.request("localhost", target)
        self.heard = []
        self.write()

    def __del__(self):
        self.socket.close()

    def write(self):
        self.socket.sendall(self.connection.take(0))

    def send(self, message, *arguments, **options):
        self.connection.send(message, *arguments, **options)
        self.write()

    def close(self, *arguments):
        self.connection.close(*arguments)
        self.write()

    def next(self, hub):
        """The next thing that it hears."""
        until = time.monotonic() + PATIENCE_S
        while not self.heard:
            assert time.monotonic() < until
            assert all(event.kind is EventKind.DRAIN for event in hub.poll(0))
            if select.select([self.socket], [], [], 0.01)[0]:
                data = self.socket.recv(1 << 20)
                self.heard += self.connection.receive(data) if data else self.connection.gone()
                self.write()
        return self.heard.pop(0)

    def vanish(self):
        """Ends TCP without a word."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def happened(hub, kind):
    """What happens next on the hub, which is one thing of this kind."""
    until = time.monotonic() + PATIENCE_S
    while not (events := hub.poll(100)):
        assert time.monotonic() < until
    (event,) = events
    assert event.kind is kind
    assert event.connection > 0
    return event


def let_in(hub, port, **config):
    """A client that is let in, and its id."""
    client = Client(port, **config)
    number = happened(hub, EventKind.OPEN).connection
    assert client.next(hub).kind is EventKind.OPEN
    return client, number


def ended(hub):
    """What happens until the hub has stopped."""
    events = []
    until = time.monotonic() + PATIENCE_S
    while not hub.is_stopped:
        assert time.monotonic() < until
        events += hub.poll(100)
    return events


def listening(**config):
    hub = Hub()
    return hub, hub.listen("127.0.0.1:0", **config)
