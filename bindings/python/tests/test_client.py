"""Clients, timers and descriptors in one loop with a server, over real sockets."""

import gc
import logging
import socket
import time
import weakref
from pathlib import Path

import pytest

import wsframe
from wsframe import Client, NotConnected, Reconnect, Server, UsageError

CERTIFICATES = Path(__file__).resolve().parents[3] / "tests" / "certificates"
SOON = Reconnect(first_ms=1, most_ms=20, held_ms=60_000)


def served(**config):
    """A server that sends everything back, and where it is."""
    server = Server(**config)
    server.on("message", lambda peer, message: peer.send(message))
    return server, f"ws://localhost:{server.listen('127.0.0.1:0')}/"


def within(application, seconds=20):
    """Fails if it goes on for longer."""
    application.after(seconds * 1000, lambda: application.stop(0))
    application.run()


def nobodys():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"ws://127.0.0.1:{listener.getsockname()[1]}/"


def test_a_client_in_the_loop_of_a_server():
    server, url = served()
    log = []
    client = Client(url, loop=server, fields=[("X-Who", "me")])
    server.on("open", lambda peer: log.append(peer.field("x-who")))
    client.on("open", lambda client: log.append(client.send("Hello")))

    @client.on("message")
    def message(client, message):
        log.append(message)
        if message == "Hello":
            assert client.send(b"bytes")
        else:
            assert client.close(1001, "bye")
            assert not client.close()

    @client.on("close")
    def close(client, code, reason):
        log.append((code, reason, client.is_open, client.send("late"), client.peer))
        server.stop()

    within(server)
    assert log == ["me", True, "Hello", b"bytes", (1001, "", False, False, None)]


def test_who_does_not_get_there_is_told_why(caplog):
    client, errors = Client(nobodys()), []
    client.on("error", lambda error, client: errors.append((error, client)))
    client.on("close", lambda *_: errors.append("closed"))
    within(client)
    ((error, who),) = errors
    assert isinstance(error, NotConnected)
    assert isinstance(error, ConnectionError)
    assert (who, error.status, error.answer) == (client, 0, b"")
    assert "nobody listens" in str(error)
    assert not caplog.records
    with caplog.at_level(logging.ERROR, "wsframe"):
        within(Client(nobodys()))
    assert len(caplog.records) == 1


def test_who_is_refused_gets_the_answer():
    server = Server()
    server.on("request", lambda peer: peer.respond(403, b"not you"))
    url = f"ws://127.0.0.1:{server.listen('127.0.0.1:0')}/"
    client, errors = Client(url, loop=server), []

    @client.on("error")
    def error(error, _client):
        errors.append((error.status, error.answer.rpartition(b"\r\n\r\n")[2]))
        server.after(50, server.stop)

    within(server)
    assert errors == [(403, b"not you")]


def test_a_client_comes_back_until_it_is_closed():
    server, url = served()
    client = Client(url, loop=server, reconnect=SOON)
    opened, closed = [], []
    server.on("open", lambda peer: peer.terminate())

    @client.on("open")
    def note(client):
        opened.append(client)

    @client.on("close")
    def close(client, code, _reason):
        closed.append(code)
        if len(closed) == 5:
            assert client.close() is False
            server.after(100, server.stop)

    within(server)
    assert len(opened) == len(closed) == 5
    assert set(closed) == {1006}


def test_a_client_waits_for_its_server():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client, errors, opened = Client(f"ws://127.0.0.1:{port}/", reconnect=SOON), [], []
    server = Server()

    @client.on("error")
    def error(error, _client):
        errors.append(error)
        if len(errors) == 3:
            client.stop(0)

    within(client)
    assert len(errors) == 3
    assert all(isinstance(error, NotConnected) for error in errors)
    server.listen(f"127.0.0.1:{port}")
    again = Client(f"ws://127.0.0.1:{port}/", loop=server, reconnect=SOON)
    again.on("open", lambda client: (opened.append(client), server.stop()))
    within(server)
    assert opened == [again]


def test_what_fails_in_a_handler_ends_the_connection_only():
    server, url = served()
    client, codes, errors = Client(url, loop=server), [], []
    server.on("close", lambda peer, code, reason: (codes.append(code), server.stop()))
    client.on("open", lambda client: 1 / 0)
    client.on("error", lambda error, client: errors.append((type(error), client)))
    within(server)
    assert codes == [1011]
    assert errors == [(ZeroDivisionError, client)]


def test_tls():
    server = Server()
    server.on("message", lambda peer, message: peer.send(message + peer.address.partition(":")[0]))
    certificate = tuple((CERTIFICATES / name).read_text() for name in ("localhost.pem", "localhost.key"))
    port = server.listen("127.0.0.1:0", certificate=certificate)
    client, log = Client(f"wss://localhost:{port}/", loop=server, reconnect=SOON), []

    @client.on("error")
    def error(error, client):
        log.append(str(error)[:20])
        client.trust((CERTIFICATES / "authority.pem").read_bytes())

    client.on("open", lambda client: client.send("I am "))

    @client.on("message")
    def message(client, message):
        log.append(message)
        client.close()
        server.stop()

    within(server)
    assert log == ["nobody who is truste", "I am 127.0.0.1"]


def test_timers():
    server, log, began = Server(), [], time.monotonic()
    server.on("error", lambda error, peer: log.append((type(error), peer)))
    server.after(30, lambda: log.append("after"))
    server.after(1, lambda: log.append("never")).cancel()

    def often():
        log.append("every")
        if log.count("every") == 3:
            every.cancel()
            every.cancel()
            server.after(60, server.stop)
        raise ValueError

    every = server.every(5, often)
    within(server)
    assert log.count("every") == log.count((ValueError, None)) == 3
    assert log.count("after") == 1
    assert "never" not in log
    assert time.monotonic() - began >= 0.075


def test_descriptors():
    server, log = Server(), []
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def readable():
            log.append(ours.recv(1))
            if len(log) == 2:
                server.on_readable(ours, None)
                server.on_writable(ours, writable)

        def writable():
            log.append("writable")
            server.on_writable(ours.fileno(), None)
            server.stop()

        server.on_readable(ours, readable)
        server.after(5, lambda: theirs.sendall(b"abc"))
        within(server)
        assert log == [b"a", b"b", "writable"]


def test_a_peer_that_does_not_read_and_then_does():
    server = Server(high_water_len=100_000)
    log = []

    @server.on("open")
    def fill(peer):
        while peer.send(bytes(50_000)):
            pass
        log.append("full")
        assert client.peer.resume()

    @server.on("drain")
    def drain(peer):
        log.append("drain")
        assert peer.send("room")

    client = Client(f"ws://127.0.0.1:{server.listen('127.0.0.1:0')}/", loop=server)
    client.peer.pause()
    client.on("message", lambda client, message: message == "room" and server.stop())
    within(server)
    assert log == ["full", "drain"]


def test_what_cannot_be_right_is_refused():
    with pytest.raises(UsageError):
        Client("ws://a/", pieces=True)
    with pytest.raises(UsageError):
        Client("http://a/").run()
    client = Client(nobodys())
    with pytest.raises(UsageError):
        client.on("request", print)
    with pytest.raises(UsageError):
        client.after(-1, print)
    assert client.send("nobody hears it") is False
    assert client.close() is client.is_open is False
    assert repr(client).startswith("<Client ws://127.0.0.1:")


def test_a_client_needs_no_garbage_collection():
    gc.collect()
    gc.disable()
    try:
        client = Client(nobodys())
        client.on("error", lambda *_: None)
        client.on("message", lambda *_: None)
        client.run()
        gone = weakref.ref(client)
        del client
        assert gone() is None
    finally:
        gc.enable()


def test_the_names_are_there():
    assert {"Client", "NotConnected", "Reconnect"} <= set(wsframe.__all__)
