"""Server, with clients of the websockets package over real sockets."""

import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
import weakref

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_to

from wsframe import ErrorCode, Peer, Server, UsageError

PATIENCE_S = 20


class Running:
    """A server that runs in a thread of its own."""

    def __init__(self, server):
        self.server, self.raised = server, []
        self.port = server.listen("127.0.0.1:0")
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            self.server.run()
        except BaseException as error:
            self.raised.append(error)

    def connect(self, target="/", **options):
        return connect_to(f"ws://127.0.0.1:{self.port}{target}", max_size=None, **options)


@contextlib.contextmanager
def serving(server):
    running = Running(server)
    try:
        yield running
    finally:
        server.stop(1000)
        running.thread.join(PATIENCE_S)
        assert not running.thread.is_alive()
        assert running.raised == []


def echoing(**config):
    server = Server(**config)
    server.on("message", lambda peer, message: peer.send(message))
    return server


def talks(client, message="still there?"):
    client.send(message)
    assert client.recv(timeout=PATIENCE_S) == message


def closed(client):
    """With what code and reason the server closes the connection."""
    with pytest.raises(ConnectionClosed) as caught:
        client.recv(timeout=PATIENCE_S)
    return caught.value.rcvd.code, caught.value.rcvd.reason


def wait_for(condition):
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_text_is_str_and_binary_is_bytes():
    server, kinds = echoing(), []
    server.on("message", lambda peer, message: (kinds.append(type(message)), peer.send(message)))
    with serving(server) as running, running.connect() as client:
        for message in ("a€", b"\xff", "", b"", "a" * 100_000, bytes(3 << 20)):
            talks(client, message)
    assert kinds == [str, bytes] * 3


def test_handlers_in_their_order():
    server, heard = Server(), []

    @server.on("open")
    def opened(peer):
        heard.append(("open", peer.target, peer.field("host"), peer.is_open, peer.data))
        peer.data = "kept"

    @server.on("message")
    def message(peer, text):
        heard.append(("message", peer.target, peer.field("host"), text, peer.data))

    @server.on("close")
    def gone(peer, code, reason):
        heard.append(("close", code, reason, peer.is_open, peer.send("a"), peer.close(), peer.data))

    assert (opened.__name__, message.__name__) == ("opened", "message"), "a decorator returns the function"
    with serving(server) as running:
        with running.connect("/chat?a=b") as client:
            client.send("hi")
            client.close(4000, "bye")
        wait_for(lambda: len(heard) == 3)
        host = f"127.0.0.1:{running.port}"
    assert heard == [
        ("open", "/chat?a=b", host, True, None),
        ("message", "/chat?a=b", None, "hi", "kept"),
        ("close", 4000, "bye", False, False, False, "kept"),
    ]


def test_each_that_was_let_in_is_closed_once():
    server, opened, ended = Server(), [], []
    server.on("open", opened.append)
    server.on("close", lambda peer, code, reason: ended.append((peer, code, reason)))
    with serving(server) as running:
        with running.connect() as client:
            client.close(1000)
        with running.connect() as client:
            client.socket.shutdown(socket.SHUT_RDWR)
        wait_for(lambda: len(ended) == 2)
        with socket.create_connection(("127.0.0.1", running.port)) as tcp:
            tcp.sendall(b"nonsense\r\n\r\n")
            assert tcp.recv(1000).startswith(b"HTTP/1.1 400 ")
        with running.connect() as last:
            wait_for(lambda: len(opened) == 3)
            server.stop()
            assert closed(last) == (1001, "")
        running.thread.join(PATIENCE_S)
    assert [(code, reason) for _, code, reason in ended] == [(1000, ""), (1006, ""), (1001, "")]
    assert [peer for peer, _, _ in ended] == opened
    assert len({peer.id for peer in opened}) == 3


def test_topics():
    server = Server()
    server.on("open", lambda peer: peer.subscribe("room"))

    @server.on("message")
    def said(peer, message):
        if message == "leave":
            peer.send(str(peer.unsubscribe("room")))
        elif message == "all":
            server.publish("", "to all")
        else:
            peer.send(str(peer.publish("room", message)))

    def hears(client, *texts):
        assert tuple(client.recv(timeout=PATIENCE_S) for _ in texts) == texts

    with serving(server) as running, running.connect() as one:
        one.send("nobody")
        hears(one, "0")
        with running.connect() as other:
            other.send("hi")
            hears(other, "1")
            hears(one, "hi")
            one.send(b"hello")
            hears(one, "1")
            hears(other, b"hello")
            other.send("leave")
            hears(other, "True")
            one.send("nobody")
            hears(one, "0")
            one.send("all")
            hears(one, "to all")
            hears(other, "to all")


def test_a_peer_is_closed():
    server = Server()
    server.on("message", lambda peer, message: (peer.send("last"), peer.close(4001, message), peer.close()))
    with serving(server) as running, running.connect() as client:
        client.send("why")
        assert client.recv(timeout=PATIENCE_S) == "last"
        assert closed(client) == (4001, "why")


# --- Requests


def test_a_request_is_accepted_or_answered():
    server, answers = echoing(subprotocols=["a", "b"]), {}

    @server.on("request")
    def asked(peer):
        assert peer.is_open is peer.send("early") is peer.close() is False
        if peer.target == "/no":
            peer.add_field("X-Why", "because")
            answers[peer.target] = peer.respond(403, b"no\n")
        elif peer.target == "/b":
            peer.add_field("X-Who", peer.field("user-agent") or "")
            answers[peer.target] = peer.accept("b")
            assert peer.send("accepted")

    with serving(server) as running:
        with running.connect("/b", subprotocols=["a", "b"], user_agent_header="me") as client:
            assert client.subprotocol == "b"
            assert client.response.headers["X-Who"] == "me"
            assert client.recv(timeout=PATIENCE_S) == "accepted"
            talks(client)
        with running.connect("/either", subprotocols=["a", "b"]) as client:
            assert client.subprotocol == "a"
            talks(client)
        with pytest.raises(InvalidStatus) as caught:
            running.connect("/no")
        response = caught.value.response
        assert (response.status_code, response.body, response.headers["X-Why"]) == (403, b"no\n", "because")
    assert answers == {"/b": True, "/no": True}


def ask_for_a_page(port, target):
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as tcp:
        tcp.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        tcp.shutdown(socket.SHUT_WR)
        received = b""
        while data := tcp.recv(65_536):
            received += data
        return received


def test_a_page_is_answered_by_the_handler_or_with_426():
    server, answers, ended = echoing(), [], []
    server.on("close", lambda *arguments: ended.append(arguments))

    @server.on("request")
    def asked(peer):
        if peer.target == "/page":
            answers.append(peer.respond(200, b"a page"))
        else:
            answers.append(peer.accept())

    with serving(server) as running:
        page = ask_for_a_page(running.port, "/page")
        assert page.startswith(b"HTTP/1.1 200 ")
        assert page.endswith(b"\r\n\r\na page")
        assert ask_for_a_page(running.port, "/other").startswith(b"HTTP/1.1 426 ")
    assert answers == [True, False]
    assert ended == [], "they were not let in"


def test_an_answer_comes_once():
    server, raised = Server(), []

    @server.on("request")
    def asked(peer):
        peer.accept()
        for call in (peer.accept, lambda: peer.respond(200), lambda: peer.add_field("a", "b")):
            try:
                call()
            except UsageError as error:
                raised.append(error.code)

    with serving(server) as running, running.connect():
        pass
    assert raised == [ErrorCode.STATE] * 3


def test_who_leaves_while_it_waits_for_an_answer_disturbs_nobody():
    server, asked, may_go = echoing(), [], threading.Event()

    @server.on("request")
    def slow(peer):
        if peer.target == "/slow":
            asked.append(peer)
            may_go.wait(PATIENCE_S)

    with serving(server) as running:
        with socket.create_connection(("127.0.0.1", running.port)) as tcp:
            tcp.sendall(
                b"GET /slow HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            wait_for(lambda: asked)
        may_go.set()
        with running.connect() as client:
            talks(client)


def test_a_handler_of_requests_is_there_before_anybody_asks():
    server = Server()
    server.listen("127.0.0.1:0")
    with pytest.raises(UsageError, match="before listen") as caught:
        server.on("request", print)
    assert caught.value.code is ErrorCode.STATE


# --- Mistakes


def failing(peer, message):
    if message == "fail":
        raise ZeroDivisionError("on purpose")
    peer.send(message)


def test_what_fails_for_one_client_ends_that_client_only(caplog):
    server, ended = Server(), []
    server.on("message", failing)
    server.on("close", lambda peer, code, reason: ended.append(code))
    with serving(server) as running, running.connect() as bystander, running.connect() as client:
        client.send("fail")
        assert closed(client) == (1011, "")
        talks(bystander)
        wait_for(lambda: ended)
    assert ended[0] == 1011
    (record,) = [record for record in caplog.records if record.name == "wsframe"]
    assert record.levelno == logging.ERROR
    assert isinstance(record.exc_info[1], ZeroDivisionError)


@pytest.mark.parametrize("name", ["open", "message", "close", "request"])
def test_exceptions_of_all_handlers_have_a_handler(name):
    server, raised = echoing(), []
    server.on("error", lambda error, peer: raised.append((type(error), type(peer))))

    def fail(peer, *_):
        if peer.target == "/fail":
            raise ZeroDivisionError

    server.on(name, fail)
    with serving(server) as running, running.connect() as bystander:
        with contextlib.suppress(ConnectionClosed, InvalidStatus), running.connect("/fail") as client:
            client.send("a")
            client.close()
        wait_for(lambda: raised)
        if name != "message":
            talks(bystander)
    assert raised == [(ZeroDivisionError, Peer)]


def test_who_asks_a_handler_that_fails_is_answered_with_500():
    server = Server()
    server.on("error", lambda error, peer: None)
    server.on("request", lambda peer: 1 / 0)
    with serving(server) as running:
        with pytest.raises(InvalidStatus) as caught:
            running.connect()
        assert caught.value.response.status_code == 500
        assert ask_for_a_page(running.port, "/").startswith(b"HTTP/1.1 500 ")


def test_a_handler_of_errors_that_fails_is_logged(caplog):
    server = Server()
    server.on("message", failing)
    server.on("error", lambda error, peer: {}["nothing"])
    with serving(server) as running, running.connect() as client, running.connect() as bystander:
        client.send("fail")
        assert closed(client) == (1011, "")
        talks(bystander)
    (record,) = [record for record in caplog.records if record.name == "wsframe"]
    assert isinstance(record.exc_info[1], KeyError)
    assert isinstance(record.exc_info[1].__context__, ZeroDivisionError)


def test_what_cannot_be_right_is_refused():
    server = Server()
    for call in (
        lambda: server.on("mesage"),
        lambda: server.on("mesage", print),
        lambda: server.stop(2**32),
        lambda: Server(2**32),
        lambda: server.listen("localhost:80"),
        *(
            lambda name=name: Server(**{name: True})
            for name in ("ask", "pieces", "manual_pong", "start_open")
        ),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.code is ErrorCode.ARGUMENT
    for call in (
        lambda: server.on("message", 5),
        lambda: server.on("message")(5),
        lambda: server.stop(None),
        lambda: Server(flags=1).listen("127.0.0.1:0"),
    ):
        with pytest.raises(TypeError):
            call()


def test_in_another_thread_a_peer_is_not_used():
    server, peers = Server(), []
    server.on("open", peers.append)
    with serving(server) as running, running.connect() as client:
        wait_for(lambda: peers)
        for call in (
            lambda: peers[0].send("a"),
            peers[0].close,
            lambda: peers[0].is_open,
            lambda: peers[0].publish("", "a"),
        ):
            with pytest.raises(UsageError) as caught:
                call()
            assert caught.value.code is ErrorCode.STATE
        assert client.ping().wait(PATIENCE_S)


# --- The end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_in_order(number):
    server, ended, clients = echoing(), [], []
    server.on("close", lambda peer, code, reason: ended.append(code))
    port = server.listen("127.0.0.1:0")
    former = signal.getsignal(number)

    def client():
        with connect_to(f"ws://127.0.0.1:{port}/") as connection:
            talks(connection)
            os.kill(os.getpid(), number)
            clients.append(closed(connection))

    thread = threading.Thread(target=client)
    thread.start()
    with pytest.raises(KeyboardInterrupt) if number == signal.SIGINT else contextlib.nullcontext():
        server.run()
    thread.join(PATIENCE_S)
    assert clients == [(1001, "")]
    assert ended == [1001]
    assert signal.getsignal(number) is former
    server.run()  # it has ended: nothing is served any more


def test_a_second_signal_does_not_wait():
    server, opened = Server(), []
    server.on("open", opened.append)
    port = server.listen("127.0.0.1:0")

    def silent():
        with socket.create_connection(("127.0.0.1", port)) as tcp:
            tcp.sendall(
                b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            wait_for(lambda: opened)
            os.kill(os.getpid(), signal.SIGTERM)
            received = b""
            while not received.endswith(b"\x88\x02\x03\xe9"):
                received += tcp.recv(1000)
            os.kill(os.getpid(), signal.SIGTERM)
            while tcp.recv(1000):
                pass

    thread = threading.Thread(target=silent)
    begun = time.monotonic()
    thread.start()
    server.run()
    assert time.monotonic() - begun < 4
    thread.join(PATIENCE_S)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_no_exception_of_a_handler_ends_the_server_in_order(error):
    server, ended, clients = Server(), [], []
    server.on("close", lambda peer, code, reason: ended.append(code))

    @server.on("message")
    def leave(peer, message):
        raise error

    port = server.listen("127.0.0.1:0")

    def client():
        url = f"ws://127.0.0.1:{port}/"
        with connect_to(url) as bystander, connect_to(url) as connection:
            assert bystander.ping().wait(PATIENCE_S)
            connection.send("leave")
            clients.extend([closed(connection), closed(bystander)])

    thread = threading.Thread(target=client)
    thread.start()
    with pytest.raises(error):
        server.run()
    thread.join(PATIENCE_S)
    assert clients == [(1011, ""), (1001, "")]
    assert sorted(ended) == [1001, 1011]


def test_a_server_is_stopped_from_a_handler_and_before_it_runs():
    server = Server()
    server.on("message", lambda peer, message: server.stop())
    port = server.listen("127.0.0.1:0")
    thread = threading.Thread(target=server.run)
    thread.start()
    with connect_to(f"ws://127.0.0.1:{port}/") as client:
        client.send("stop")
        assert closed(client) == (1001, "")
    thread.join(PATIENCE_S)
    assert not thread.is_alive()

    other = Server()
    other.listen("127.0.0.1:0")
    other.stop()
    other.run()


# --- Memory


def test_what_is_gone_needs_no_garbage_collection():
    server, peers = Server(), []
    server.on("message", failing)
    server.on("error", lambda error, peer: {}["nothing"])
    server.on("open", lambda peer: peers.append(weakref.ref(peer)))
    gc.collect()
    gc.disable()
    logging.getLogger("wsframe").propagate = False
    logging.getLogger("wsframe").addHandler(logging.NullHandler())
    try:
        with serving(server) as running:
            for message in ("fail", "works"):
                with running.connect() as client:
                    client.send(message)
            wait_for(lambda: len(peers) == 2 and peers[0]() is peers[1]() is None)
        hub = weakref.ref(server._loop.hub)
        running = client = server = None
        assert hub() is None
    finally:
        logging.getLogger("wsframe").propagate = True
        logging.getLogger("wsframe").handlers.clear()
        gc.enable()


def memory() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_clients_that_come_and_go_leave_nothing():
    server, ended = echoing(), []
    server.on("open", lambda peer: setattr(peer, "data", bytes(50_000)))
    server.on("close", lambda peer, code, reason: ended.append(code))
    request = (
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )

    def come_and_go(count):
        for _ in range(count):
            with socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE_S) as tcp:
                tcp.sendall(request)
                assert tcp.recv(1000).startswith(b"HTTP/1.1 101 ")
        wait_for(lambda: server._loop.peers == {})

    with serving(server) as running:
        come_and_go(300)
        before = memory()
        come_and_go(2000)
        assert memory() - before < 6 << 20
    assert len(ended) == 2300


def test_no_more_clients_than_are_let_in():
    with serving(Server(max_connections=1)) as running, running.connect() as first:
        with pytest.raises(TimeoutError), running.connect(open_timeout=0.2):
            pass
        assert first.ping().wait(PATIENCE_S)
