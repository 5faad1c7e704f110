"""The hub, with clients over real sockets."""

import asyncio
import contextlib
import copy
import gc
import os
import pickle
import random
import resource
import select
import signal
import socket
import ssl
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest
from peers import Client, ended, happened, let_in, listening

from wsframe import (
    Connection,
    ErrorCode,
    Event,
    EventKind,
    Hub,
    Message,
    Opcode,
    State,
    Stats,
    UsageError,
    WatchFlag,
)

TEXT, BINARY, GONE = EventKind.TEXT, EventKind.BINARY, EventKind.GONE
WHOLE = 96
NOBODY = 7

CERTIFICATES = Path(__file__).resolve().parents[3] / "tests" / "certificates"
AUTHORITY, CHAIN, KEY = (
    (CERTIFICATES / name).read_text() for name in ("authority.pem", "localhost.pem", "localhost.key")
)
LISTENER = socket.create_server(("127.0.0.1", 0))
PAIR = socket.socketpair()
CALLS = {
    "listen": lambda hub: hub.listen("127.0.0.1:0"),
    "poll": lambda hub: hub.poll(0),
    "connection": lambda hub: hub.connection(NOBODY),
    "send": lambda hub: hub.send(NOBODY, "a"),
    "send_many": lambda hub: hub.send_many([NOBODY], ["a"]),
    "subscribe": lambda hub: hub.subscribe(NOBODY, "a"),
    "unsubscribe": lambda hub: hub.unsubscribe(NOBODY, "a"),
    "subscribers": lambda hub: hub.subscribers(),
    "publish": lambda hub: hub.publish("", "a"),
    "pause": lambda hub: hub.pause(NOBODY),
    "resume": lambda hub: hub.resume(NOBODY),
    "fileno": lambda hub: hub.fileno(),
    "wake": lambda hub: hub.wake(),
    "stop": lambda hub: hub.stop(),
    "stats": lambda hub: hub.stats,
    "connect": lambda hub: hub.connect("ws://127.0.0.1:1/"),
    "adopt": lambda hub: hub.adopt(LISTENER),
    "adopt_connection": lambda hub: hub.adopt_connection(PAIR[0]),
    "set_certificate": lambda hub: hub.set_certificate(hub.listen("127.0.0.1:0"), CHAIN, KEY),
    "trust": lambda hub: hub.trust(AUTHORITY),
    "timer": lambda hub: hub.timer(1, 60_000),
    "watch": lambda hub: hub.watch(STDERR, WatchFlag(0)),
    "terminate": lambda hub: hub.terminate(NOBODY),
    "address": lambda hub: hub.address(NOBODY),
}
OF_EVERYBODY = {"wake"}
BEFORE_THE_STOP = {"listen", "connect", "adopt", "adopt_connection", "set_certificate"}
STDERR = 2


@pytest.fixture
def served():
    """A hub, its port, a client that is let in, and its id."""
    hub, port = listening()
    with hub:
        yield (hub, port, *let_in(hub, port))


def test_every_call_is_in_the_list():
    public = {name for name in vars(Hub) if not name.startswith("_")}
    assert public - {"free", "is_stopped"} == set(CALLS)


def test_messages_come_and_go(served):
    hub, _, client, number = served
    for sent, kind, data in (
        ("a€", TEXT, "a€".encode()),
        (b"\xff", BINARY, b"\xff"),
        ("", TEXT, b""),
        (bytes(70_000), BINARY, bytes(70_000)),
        (bytes(3 << 20), BINARY, bytes(3 << 20)),
    ):
        thread = threading.Thread(target=client.send, args=(sent,))
        thread.start()
        assert happened(hub, kind) == Event(kind, data, WHOLE, connection=number)
        thread.join()
        assert hub.send(number, data, kind)
        assert hub.send(number, sent)
        assert client.next(hub) == client.next(hub) == Event(kind, data, WHOLE)


def test_every_way_to_send(served):
    hub, _, client, number = served
    for arguments, kind, data in (
        (("a",), TEXT, b"a"),
        (("a", TEXT), TEXT, b"a"),
        (("a", Opcode.TEXT, True), TEXT, b"a"),
        ((b"a",), BINARY, b"a"),
        ((b"a", TEXT), TEXT, b"a"),
        ((b"a", 1), TEXT, b"a"),
        ((bytearray(b"ab"), BINARY, False), BINARY, b"ab"),
        ((memoryview(b"abc"),), BINARY, b"abc"),
        (("a" * 4095,), TEXT, b"a" * 4095),
        (("a" * 4096,), TEXT, b"a" * 4096),
        ((b"a" * 65_536, TEXT), TEXT, b"a" * 65_536),
        ((b"a", EventKind.PONG), EventKind.PONG, b"a"),
    ):
        assert hub.send(number, *arguments) is True
        event = client.next(hub)
        assert (event.kind, event.data) == (kind, data)
    assert hub.send(number, "a", more=True)
    assert hub.send(number, "b")
    assert client.next(hub).data == b"ab"


def test_many_are_sent_with_one_call(served):
    hub, port, client, number = served
    other, another = let_in(hub, port)
    ids = [number, another, NOBODY, number]
    assert hub.send_many(iter(ids), ["a", "b", "c", "d"]) == 4
    assert hub.send_many(ids, [b"e", b"f", b"g", b"h"], TEXT, compress=False) == 4
    assert hub.send_many(ids, [bytearray(b"i"), b"j", memoryview(b"k"), b"l"]) == 4
    heard = [client.next(hub) for _ in range(6)]
    assert [event.data for event in heard] == [b"a", b"d", b"e", b"h", b"i", b"l"]
    assert [event.kind for event in heard] == [TEXT] * 4 + [BINARY] * 2
    assert [other.next(hub).data for _ in range(3)] == [b"b", b"f", b"j"]
    assert hub.send_many([], []) == 0
    assert hub.send_many([number, number], [b"m", b"\xff"], TEXT) == 1
    assert client.next(hub).data == b"m"
    for call in (
        lambda: hub.send_many([number, number], [b"\xff", b"a"], TEXT),
        lambda: hub.send_many([number], []),
        lambda: hub.send_many([-1], ["a"]),
        lambda: hub.send_many([2**64], ["a"]),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.code is ErrorCode.ARGUMENT
    for call in (
        lambda: hub.send_many(["1"], ["a"]),
        lambda: hub.send_many([number], "a"),
        lambda: hub.send_many([number], ["a"], BINARY),
        lambda: hub.send_many([number], [1]),
    ):
        with pytest.raises(TypeError):
            call()


def test_topics(served):
    hub, port, client, number = served
    other, another = let_in(hub, port)
    assert hub.subscribers() == 2
    assert (
        hub.subscribe(number, "news")
        is hub.subscribe(number, "news")
        is hub.subscribe(another, "news")
        is True
    )
    assert hub.subscribe(NOBODY, "news") is hub.unsubscribe(NOBODY, "news") is False
    assert hub.subscribers("news") == 2
    assert hub.publish("news", "a", except_id=number) == 1
    assert hub.publish("news", b"b", TEXT, compress=True) == 2
    assert hub.publish("", b"c") == 2
    assert hub.publish("other", "d") == 0
    assert hub.unsubscribe(another, "news") is hub.unsubscribe(another, "news") is True
    assert hub.publish("news", "e" * 70_000) == 1
    assert [client.next(hub).data for _ in range(3)] == [b"b", b"c", b"e" * 70_000]
    assert [other.next(hub).data for _ in range(3)] == [b"a", b"b", b"c"]
    for call in (
        lambda: hub.subscribe(number, ""),
        lambda: hub.unsubscribe(number, ""),
        lambda: hub.publish("news", b"\xff", TEXT),
        lambda: hub.publish("news", b"a", EventKind.PING),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.code is ErrorCode.ARGUMENT
    client.vanish()
    happened(hub, GONE)
    assert hub.subscribers("news") == 0


def test_with_the_id_of_nobody_nothing_is_done(served):
    hub, _, client, number = served
    client.vanish()
    event = happened(hub, GONE)
    assert (event.connection, event.close_code, event.data) == (number, 1006, b"")
    assert hub.poll(0) == []
    for nobody in (number, NOBODY, 0, 2**64 - 1):
        assert hub.send(nobody, "a") is hub.send(nobody, bytes(70_000)) is False
        assert hub.send_many([nobody], ["a"]) == 1
        assert hub.subscribe(nobody, "a") is hub.unsubscribe(nobody, "a") is False
        assert hub.pause(nobody) is hub.resume(nobody) is False
        assert hub.connection(nobody) is None
    assert hub.poll(0) == []


def test_what_cannot_be_right_is_refused(served):
    hub, port, _, number = served
    for call, code in (
        (lambda: hub.send(number, b"\xff", TEXT), ErrorCode.ARGUMENT),
        (lambda: hub.send(number, "\ud800"), ErrorCode.ARGUMENT),
        (lambda: hub.send(number, b"a", Opcode.CLOSE), ErrorCode.ARGUMENT),
        (lambda: hub.send(number, bytes(126), Opcode.PING), ErrorCode.ARGUMENT),
        (lambda: hub.send(-1, "a"), ErrorCode.ARGUMENT),
        (lambda: hub.send(2**64, "a"), ErrorCode.ARGUMENT),
        (lambda: hub.connection(-1), ErrorCode.ARGUMENT),
        (lambda: hub.pause(2**64), ErrorCode.ARGUMENT),
        (lambda: hub.poll(-1), ErrorCode.ARGUMENT),
        (lambda: hub.poll(2**32), ErrorCode.ARGUMENT),
        (lambda: hub.stop(2**32), ErrorCode.ARGUMENT),
        (lambda: Hub(2**32), ErrorCode.ARGUMENT),
        (lambda: Hub(-1), ErrorCode.ARGUMENT),
        (lambda: hub.listen("localhost:80"), ErrorCode.ARGUMENT),
        (lambda: hub.listen("127.0.0.1:0", deflate_level=10), ErrorCode.ARGUMENT),
        (lambda: hub.listen(f"127.0.0.1:{port}"), ErrorCode.IO),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.code is code
    assert isinstance(caught.value.__cause__, OSError)
    assert "in use" in str(caught.value.__cause__)
    for call in (
        lambda: hub.send("1", "a"),
        lambda: hub.send([], "a"),
        lambda: hub.send(None, "a"),
        lambda: hub.send(number, 5),
        lambda: hub.send(number, None),
        lambda: hub.send(number, "a", BINARY),
        lambda: hub.poll("1"),
        lambda: hub.listen(b"127.0.0.1:0"),
        lambda: hub.listen("127.0.0.1:0", flags=1),
        lambda: hub.subscribe(number, b"a"),
        lambda: hub.publish(None, "a"),
        lambda: Hub("1"),
    ):
        with pytest.raises(TypeError):
            call()
    assert hub.poll(0) == []


def test_what_a_peer_does_makes_no_call_fail():
    """It is not open yet, is full, closes, or is gone: False."""
    hub, port = listening(ask=True, high_water_len=1000)
    with hub:
        client = Client(port)
        number = happened(hub, EventKind.REQUEST).connection
        assert hub.send(number, "early") is False
        assert hub.send_many([number, NOBODY], ["early", "early"]) == 2
        assert hub.publish("", "early") == 0
        hub.connection(number).accept()
        assert hub.send(number, bytes(1000))
        assert hub.send(number, "too much") is False
        assert hub.send_many([number], ["too much"]) == 1
        assert hub.stats.dropped == 2
        assert [client.next(hub).kind for _ in range(2)] == [EventKind.OPEN, BINARY]
        client.close(1001, "bye")
        event = happened(hub, EventKind.CLOSE)
        assert (event.connection, event.close_code, event.text) == (number, 1001, "bye")
        assert hub.poll(0) == []
        assert hub.send(number, "late") is False
        happened(hub, GONE)
        assert hub.send(number, "later") is False


def test_pieces_of_another_message_are_a_mistake(served):
    hub, _, client, number = served
    assert hub.send(number, "a", more=True)
    for call in (lambda: hub.send(number, b"b"), lambda: hub.send_many([number], [b"b"])):
        with pytest.raises(UsageError, match="pieces") as caught:
            call()
        assert caught.value.code is ErrorCode.STATE
    lent = hub.connection(number)
    assert lent.try_send("b") is lent.try_send(Message("b")) is False
    assert hub.send(number, "c")
    assert hub.connection(number).try_send("d") is True
    assert [client.next(hub).data for _ in range(2)] == [b"ac", b"d"]


# --- What is lent


def test_a_request_is_answered_on_a_lent_connection():
    hub, port = listening(ask=True, subprotocols=["chat"])
    with hub:
        client = Client(port, target="/room?a=b", subprotocols=["chat"])
        event = happened(hub, EventKind.REQUEST)
        assert event.data.startswith(b"GET /room?a=b HTTP/1.1\r\n")
        lent = hub.connection(event.connection)
        assert isinstance(lent, Connection)
        assert (lent.state, lent.target, lent.field("host")) == (State.ASKED, "/room?a=b", "localhost")
        assert ("Upgrade", "websocket") in lent.fields
        lent.add_field("X-A", "b")
        (opened,) = lent.accept("chat")
        assert (opened.kind, opened.connection) == (EventKind.OPEN, event.connection)
        assert (lent.state, lent.subprotocol, lent.deflate, lent.error) == (State.OPEN, "chat", None, None)
        lent.send_many(["a", "b"])
        lent.ping(b"c")
        assert lent.waiting > 0
        assert "OPEN" in repr(lent)
        kinds = [EventKind.OPEN, TEXT, TEXT, EventKind.PING]
        assert [client.next(hub).kind for _ in kinds] == kinds
        assert client.connection.field("x-a") is None, "it is over"
        assert happened(hub, EventKind.PONG).data == b"c"

        refused = Client(port)
        hub.connection(happened(hub, EventKind.REQUEST).connection).respond(403, b"no")
        event = refused.next(hub)
        assert (event.kind, event.close_code, event.data[-2:]) == (EventKind.ERROR, 403, b"no")


def test_what_comes_with_the_request_comes_when_it_is_accepted():
    hub, port = listening(ask=True)
    with hub, socket.create_connection(("127.0.0.1", port)) as tcp:
        client = Connection.client()
        client.request("a", "/")
        head = client.take(0)
        client.free()
        early = Connection.client(start_open=True)
        for number in range(3):
            early.send(f"{number}")
        tcp.sendall(head + early.take(0))
        event = happened(hub, EventKind.REQUEST)
        events = hub.connection(event.connection).accept()
        until = time.monotonic() + 10
        while len(events) < 4:
            assert time.monotonic() < until
            events += hub.poll(100)
    assert [each.data for each in events[1:]] == [b"0", b"1", b"2"]
    assert {each.connection for each in events} == {event.connection}


WHAT_IS_LENT = {
    "send": lambda lent: lent.send("a"),
    "send_many": lambda lent: lent.send_many(["a"]),
    "send_message": lambda lent: lent.send_message(Message("a")),
    "try_send": lambda lent: lent.try_send("a"),
    "close": lambda lent: lent.close(),
    "accept": lambda lent: lent.accept(),
    "respond": lambda lent: lent.respond(400),
    "waiting": lambda lent: lent.waiting,
    "state": lambda lent: lent.state,
    "error": lambda lent: lent.error,
    "deflate": lambda lent: lent.deflate,
    "subprotocol": lambda lent: lent.subprotocol,
    "target": lambda lent: lent.target,
    "field": lambda lent: lent.field("a"),
    "fields": lambda lent: lent.fields,
}
NOT_LENT = {
    "receive": lambda lent: lent.receive(b""),
    "take": lambda lent: lent.take(0),
    "output": lambda lent: lent.output(0),
    "gone": lambda lent: lent.gone(),
}


@pytest.mark.parametrize("name", {**WHAT_IS_LENT, **NOT_LENT})
def test_a_connection_is_lent_until_the_next_poll(served, name):
    hub, _, _, number = served
    lent = hub.connection(number)
    assert hub.poll(0) == []
    assert repr(lent) == "<HubConnection server given back to its hub>"
    again = hub.connection(number)
    with pytest.raises(UsageError) as caught:
        {**WHAT_IS_LENT, **NOT_LENT}[name](lent)
    assert (str(caught.value), caught.value.code) == ("the connection was given back to its hub", -2)
    assert again.state is State.OPEN


@pytest.mark.parametrize("name", NOT_LENT)
def test_what_the_hub_does_itself_it_lets_nobody_do(served, name):
    hub, _, client, number = served
    lent = hub.connection(number)
    with pytest.raises(UsageError, match="belongs to a hub") as caught:
        NOT_LENT[name](lent)
    assert caught.value.code is ErrorCode.STATE
    lent.send("still there")
    assert client.next(hub).data == b"still there"


@pytest.mark.parametrize("name", WHAT_IS_LENT)
def test_what_was_lent_survives_its_hub(name):
    hub, port = listening()
    _, number = let_in(hub, port)
    lent = hub.connection(number)
    handle = lent._handle
    hub.free()
    with pytest.raises(UsageError, match="given back"):
        WHAT_IS_LENT[name](lent)
    # As a call that was running when the hub was freed.
    lent._handle = lent._owner = handle
    with contextlib.suppress(UsageError):
        WHAT_IS_LENT[name](lent)
    gone = weakref.ref(hub)
    del hub
    assert gone() is None
    with contextlib.suppress(UsageError):
        WHAT_IS_LENT[name](lent)


def test_to_free_what_is_lent_gives_it_back(served):
    hub, _, client, number = served
    with hub.connection(number) as lent:
        lent.free()
    with pytest.raises(UsageError, match="given back"):
        lent.send("a")
    hub.connection(number).send("b")
    assert client.next(hub).data == b"b"


def test_a_poll_during_a_call_on_what_is_lent_is_a_usage_error(served):
    """As by a signal handler, between what the library has lent and the copy of it."""
    hub, _, client, number = served
    lent, refused = hub.connection(number), []

    def call(*_):
        with pytest.raises(UsageError, match="has lent is running") as caught:
            hub.poll(0)
        refused.append(caught.value.code)
        hub.send(number, "meanwhile")
        return 0

    assert lent._lent_text(call) is None
    assert refused == [ErrorCode.STATE]
    assert client.next(hub).data == b"meanwhile"


def test_a_poll_during_a_poll_is_a_usage_error(served, monkeypatch):
    hub, _, client, number = served
    module, refused = sys.modules["wsframe.hub"], []
    function = module._poll

    def poll(*arguments):
        count = function(*arguments)
        with pytest.raises(UsageError, match="another poll of this hub is running") as caught:
            hub.poll(0)
        refused.append(caught.value.code)
        hub.send(number, "meanwhile")
        return count

    with monkeypatch.context() as patch:
        patch.setattr(module, "_poll", poll)
        client.send("a")
        select.select([hub], [], [], 10)
        assert [event.data for event in hub.poll(0)] == [b"a"]
    assert refused == [ErrorCode.STATE]
    assert client.next(hub).data == b"meanwhile"


def test_what_an_interrupted_call_did_not_put_back_is_not_lost(served):
    hub, _, client, number = served
    lent = hub.connection(number)
    hub._batch = lent._handle = None
    client.send("a")
    assert happened(hub, TEXT).data == b"a"
    assert hub._batch is hub._lent
    with pytest.raises(UsageError, match="given back"):
        lent.send("b")


# --- Waiting


def elapsed_ms(call):
    begun = time.monotonic()
    call()
    return (time.monotonic() - begun) * 1000


def test_a_poll_waits_as_long_as_it_is_told():
    with Hub() as hub:
        assert elapsed_ms(lambda: hub.poll(0)) < 500
        assert elapsed_ms(lambda: hub.poll(20)) >= 19
        assert elapsed_ms(lambda: hub.poll(1100)) >= 1099, "in slices"
        assert hub.poll(0) == []


@pytest.mark.parametrize("timeout_ms", [None, 60_000])
def test_a_poll_goes_on_until_something_happens(timeout_ms):
    hub, port = listening()
    with hub:
        late = threading.Timer(0.7, lambda: clients.append(Client(port)))
        clients = []
        late.start()
        (event,) = hub.poll(timeout_ms)
        late.join()
        assert event.kind is EventKind.OPEN


@pytest.mark.parametrize("timeout_ms", [None, 60_000])
@pytest.mark.parametrize("delay_s", [0, 0.1, 0.7])
def test_a_poll_is_woken(timeout_ms, delay_s):
    with Hub() as hub:
        waker = threading.Timer(delay_s, hub.wake)
        waker.start()
        assert elapsed_ms(lambda: hub.poll(timeout_ms)) < 20_000
        waker.join()
        hub.wake()
        assert elapsed_ms(lambda: hub.poll(timeout_ms)) < 20_000
        assert hub.poll(10) == []


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
@pytest.mark.parametrize("timeout_ms", [None, 60_000])
def test_a_signal_ends_a_poll(timeout_ms):
    """Whether its handler raises or not."""
    handled = []
    before = signal.signal(signal.SIGALRM, lambda *_: handled.append(0))
    try:
        with Hub() as hub:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            assert elapsed_ms(lambda: hub.poll(timeout_ms)) < 20_000
            assert handled

            def interrupt(*_):
                raise Interrupted

            signal.signal(signal.SIGALRM, interrupt)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(Interrupted):
                hub.poll(timeout_ms)
            assert hub.poll(0) == []
            signal.signal(signal.SIGALRM, lambda *_: hub.stop())
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            assert ended(hub) == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_signal_just_before_a_wait_is_not_slept_through(monkeypatch):
    """The handler runs when the slice is over."""

    def interrupt(*_):
        raise Interrupted

    before, wait, waits = signal.signal(signal.SIGUSR1, interrupt), Hub._wait.__globals__["_poll_long"], []

    def poll(*arguments):
        waits.append(arguments[1])
        if len(waits) == 1:
            # Only this thread knows of the signal, and it is not in a call yet.
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
            os.kill(os.getpid(), signal.SIGUSR1)
        try:
            return wait(*arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])

    monkeypatch.setitem(Hub._wait.__globals__, "_poll_long", poll)
    try:
        with Hub() as hub, pytest.raises(Interrupted):
            hub.poll()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert waits == [500]


def test_other_threads_run_while_a_poll_waits():
    with Hub() as hub:
        turns = []

        def run():
            while len(turns) < 100:
                turns.append(0)
                time.sleep(0)
            hub.wake()

        interval = sys.getswitchinterval()
        sys.setswitchinterval(10)  # only who lets go of the GIL is followed by another
        try:
            thread = threading.Thread(target=run)
            thread.start()
            hub.poll()
        finally:
            sys.setswitchinterval(interval)
        thread.join()
        assert len(turns) == 100


def test_a_hub_in_a_loop_that_is_there_already(served):
    hub, _, client, number = served
    assert select.select([hub], [], [], 0)[0] == []
    hub.send(number, "a")
    assert select.select([hub], [], [], 10)[0] == [hub], "what was sent is to be written"
    assert hub.poll(0) == []
    assert client.next(hub).data == b"a"

    async def hear():
        heard = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(hub.fileno(), lambda: heard.set_result(hub.poll(0)))
        client.send("b")
        return await asyncio.wait_for(heard, 10)

    assert [event.data for event in asyncio.run(hear())] == [b"b"]


def test_who_is_paused_is_not_read_from(served):
    hub, _, client, number = served
    assert hub.pause(number) is True
    client.send("a")
    assert hub.poll(100) == []
    assert hub.resume(number) is True
    assert happened(hub, TEXT).data == b"a"


# --- The end


def test_a_hub_ends_in_good_order(served):
    hub, port, client, number = served
    assert hub.is_stopped is False
    silent = socket.create_connection(("127.0.0.1", port))
    assert hub.poll(50) == []
    hub.stop()
    with pytest.raises(UsageError, match="stopped"):
        hub.listen("127.0.0.1:0")
    event = client.next(hub)
    assert (event.kind, event.close_code) == (EventKind.CLOSE, 1001)
    events = ended(hub)
    assert [(each.kind, each.connection) for each in events][-1:] == [(GONE, number)]
    assert events[-1].close_code == 1001
    assert silent.recv(1) == b""
    silent.close()
    assert hub.subscribers() == 0
    assert hub.send(number, "a") is False
    assert hub.poll() == []


def test_who_does_not_answer_has_its_time(served):
    hub, _, _, number = served
    hub.stop(50)
    assert [(event.kind, event.connection, event.close_code) for event in ended(hub)] == [
        (GONE, number, 1006)
    ]


def test_no_more_clients_than_are_let_in():
    with Hub(1) as hub:
        port = hub.listen("127.0.0.1:0")
        first, _ = let_in(hub, port)
        second = Client(port)
        assert hub.poll(100) == []
        first.vanish()
        happened(hub, GONE)
        happened(hub, EventKind.OPEN)
        assert second.next(hub).kind is EventKind.OPEN


def test_two_hubs_share_a_port():
    with Hub() as one, Hub() as other:
        port = one.listen("127.0.0.1:0", reuse_port=True)
        assert other.listen(f"127.0.0.1:{port}", reuse_port=True) == port


def test_a_unix_socket(tmp_path):
    with Hub() as hub:
        assert hub.listen(f"unix:{tmp_path}/socket") == 0
        with socket.socket(socket.AF_UNIX) as tcp, Connection.client() as client:
            tcp.connect(f"{tmp_path}/socket")
            client.request("a", "/")
            tcp.sendall(client.take(0))
            assert happened(hub, EventKind.OPEN).connection


def test_the_stats(served):
    hub, _, client, number = served
    client.send("abc")
    happened(hub, TEXT)
    hub.send(number, "abcd")
    client.next(hub)
    stats = hub.stats
    assert isinstance(stats, Stats)
    assert (stats.connections, stats.accepted, stats.messages_received, stats.messages_sent) == (1, 1, 1, 1)
    assert stats.bytes_received > 9
    assert stats.bytes_sent > 6
    assert (stats.refused, stats.accept_pauses, stats.dropped, stats.read_pauses) == (0, 0, 0, 0)
    assert (stats.opening, stats.closing, stats.paused, stats.waiting_len) == (0, 0, 0, 0)
    assert stats.polls > 1
    assert stats.busy_us > 0
    hub.pause(number)
    assert hub.stats.paused == 1


# --- Clients, sockets of others, timers, descriptors


def test_a_client_of_the_hub(served):
    hub, port, _, _ = served
    url = f"ws://localhost:{port}/room?a=b"
    made = hub.connect(url, fields=[("X-Who", "me")], deflate=True)
    assert hub.address(made) is None
    opened = {event.connection: event for event in wait_for(hub, EventKind.OPEN, 2)}
    (server,) = set(opened) - {made}
    assert b"X-Who: me\r\n" in opened[server].data
    assert opened[server].data.startswith(b"GET /room?a=b ")
    assert hub.address(made) == f"127.0.0.1:{port}"
    assert hub.send(made, "Hello")
    assert happened(hub, TEXT) == Event(TEXT, b"Hello", WHOLE, connection=server)
    assert hub.terminate(server) is True
    assert hub.terminate(server) is False
    assert {event.connection for event in wait_for(hub, GONE, 2)} == {server, made}
    assert hub.address(server) is None


def test_a_client_that_does_not_get_there(served):
    hub, _, _, _ = served
    nobodys = listener()
    number = nobodys.getsockname()[1]
    nobodys.close()
    made = hub.connect("ws://a/", address=f"127.0.0.1:{number}")
    event = happened(hub, GONE)
    assert (event.connection, event.close_code, event.error) == (made, 1006, ErrorCode.IO)
    assert "nobody listens" in hub.connection(made).error
    for wrong in ("http://a/", "ws://", "ws://a/ b", "ws://a:x/"):
        with pytest.raises(UsageError):
            hub.connect(wrong)
    with pytest.raises(UsageError):
        hub.connect("ws://a/", fields=[("a b", "c")])
    with pytest.raises(UsageError):
        hub.connect("ws://a/", address="a")
    hub.poll(0)
    assert hub.stats.connections == 1


def test_sockets_of_others(served):
    hub, _, _, _ = served
    with listener() as listens:
        port = hub.adopt(listens)
        assert port == listens.getsockname()[1]
    client, _ = let_in(hub, port)
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            adopted = hub.adopt_connection(ours, start_open=True)
        theirs.sendall(b"\x81\x81\0\0\0\0a")
        assert happened(hub, TEXT).connection == adopted
    assert happened(hub, GONE).connection == adopted
    assert client.connection.state is State.OPEN
    for adopt in (lambda: hub.adopt_connection(LISTENER), lambda: hub.adopt(PAIR[0])):
        with pytest.raises(UsageError):
            adopt()
    with open(__file__) as file, pytest.raises(UsageError) as caught:
        hub.adopt(file)
    assert caught.value.code is ErrorCode.IO


def test_timers(served):
    hub, _, _, _ = served
    for number, in_ms in ((7, 30), (8, 1), (9, 1), (9, None)):
        hub.timer(number, in_ms)
    assert [happened(hub, EventKind.TIMER).connection for _ in range(2)] == [8, 7]
    assert hub.poll(1) == []


def test_descriptors_are_watched(served):
    hub, _, _, _ = served
    ours, theirs = socket.socketpair()
    with ours, theirs:
        hub.watch(ours)
        assert hub.poll(0) == []
        theirs.sendall(b"a")
        for _ in range(2):
            event = happened(hub, EventKind.READY)
            assert (event.connection, event.flags) == (ours.fileno(), WatchFlag.READ)
        ours.recv(1)
        assert hub.poll(0) == []
        hub.watch(ours, WatchFlag.READ | WatchFlag.WRITE)
        assert happened(hub, EventKind.READY).flags == WatchFlag.WRITE
        hub.watch(ours, 0)
        assert hub.poll(0) == []
    with open(__file__) as file, pytest.raises(UsageError) as caught:
        hub.watch(file)
    assert caught.value.code is ErrorCode.IO


def test_tls():
    with Hub() as hub:
        port = hub.listen("127.0.0.1:0")
        hub.set_certificate(port, CHAIN, KEY.encode())
        refused = hub.connect(f"wss://localhost:{port}/")
        assert happened(hub, GONE).error is ErrorCode.HANDSHAKE
        assert "nobody who is trusted" in hub.connection(refused).error
        hub.trust(AUTHORITY)
        made = hub.connect(f"wss://localhost:{port}/")
        wait_for(hub, EventKind.OPEN, 2)
        assert hub.send(made, "Hello")
        assert happened(hub, TEXT).data == b"Hello"
        # Another implementation of TLS.
        context = ssl.create_default_context(cadata=AUTHORITY)
        with socket.create_connection(("127.0.0.1", port)) as tcp:
            wrapped = []
            opener = threading.Thread(
                target=lambda: wrapped.append(context.wrap_socket(tcp, server_hostname="localhost"))
            )
            opener.start()
            while opener.is_alive():
                hub.poll(10)
            with Connection.client() as client, wrapped[0] as tls:
                client.request("localhost", "/")
                tls.sendall(client.take(0))
                happened(hub, EventKind.OPEN)
                hub.poll(0)
                assert client.receive(tls.recv(1000))[0].kind is EventKind.OPEN
        with pytest.raises(UsageError):
            hub.set_certificate(port, CHAIN, CHAIN)


def test_limits():
    with Hub(max_per_address=1, max_memory=1 << 20) as hub:
        port = hub.listen("127.0.0.1:0")
        let_in(hub, port)
        with socket.create_connection(("127.0.0.1", port)) as second:
            until = time.monotonic() + 20
            while hub.stats.refused == 0:
                assert time.monotonic() < until
                hub.poll(10)
            assert second.recv(1) == b""
    with Hub() as hub:
        port = hub.listen("127.0.0.1:0", proxy=True)
        client = Client.__new__(Client)
        client.socket = socket.create_connection(("127.0.0.1", port))
        client.socket.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 80\r\n")
        client.connection, client.heard = Connection.client(), []
        client.connection.request("localhost", "/")
        client.write()
        assert hub.address(happened(hub, EventKind.OPEN).connection) == "192.0.2.1:50000"


def wait_for(hub, kind, count):
    """The next events, all of this kind."""
    events = []
    until = time.monotonic() + 20
    while len(events) < count:
        assert time.monotonic() < until
        events += hub.poll(100)
    assert [event.kind for event in events] == [kind] * count
    return events


def listener():
    return socket.create_server(("127.0.0.1", 0))


# --- Misuse


@pytest.mark.parametrize("name", CALLS)
def test_after_free_every_call_is_a_usage_error(name):
    hub, _ = listening()
    hub.free()
    hub.free()
    with pytest.raises(UsageError) as caught:
        CALLS[name](hub)
    assert (str(caught.value), caught.value.code) == ("the hub was freed", -2)


@pytest.mark.parametrize("name", set(CALLS) - BEFORE_THE_STOP)
def test_after_the_end_every_call_is_there(name):
    hub, _ = listening()
    with hub:
        hub.stop()
        assert ended(hub) == []
        CALLS[name](hub)
        assert hub.is_stopped


@pytest.mark.parametrize("name", CALLS)
def test_in_another_thread_a_call_is_a_usage_error(served, name):
    hub, _, client, number = served
    raised = []

    def call():
        try:
            CALLS[name](hub)
        except UsageError as error:
            raised.append(error.code)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert raised == ([] if name in OF_EVERYBODY else [ErrorCode.STATE])
    assert hub.poll(0) == []
    hub.send(number, "undisturbed")
    assert client.next(hub).data == b"undisturbed"


def test_what_is_sent_from_another_thread_is_a_usage_error_and_not_a_peer_that_is_gone(served):
    hub, _, _, number = served
    lent, raised = hub.connection(number), []

    def call():
        for sending in (
            lambda: hub.send(number, "a"),
            lambda: hub.send_many([number], ["a"]),
            lambda: lent.send("a"),
            lambda: lent.target,
        ):
            try:
                sending()
            except UsageError as error:
                raised.append(error.code)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert raised == [ErrorCode.STATE] * 4
    assert lent.state is State.OPEN


def test_during_a_poll_other_threads_are_refused():
    hub, _ = listening()
    with hub:
        begun, refused = threading.Event(), set()

        def poll():
            begun.set()
            hub.poll()

        thread = threading.Thread(target=poll)
        thread.start()
        begun.wait()
        time.sleep(0.05)
        for name in sorted(CALLS, key="wake".__eq__):
            try:
                CALLS[name](hub)
            except UsageError as error:
                refused.add((name, error.code))
        thread.join()
    assert refused == {(name, ErrorCode.STATE) for name in set(CALLS) - {"wake"}}


def test_a_hub_that_is_freed_while_it_waits_is_free_when_it_is_woken():
    hub, _ = listening()
    begun, raised = threading.Event(), []

    def poll():
        begun.set()
        try:
            hub.poll()
        except UsageError as error:
            raised.append(str(error))

    thread = threading.Thread(target=poll)
    thread.start()
    begun.wait()
    time.sleep(0.05)
    hub.free()
    thread.join(20)
    assert raised == ["the hub was freed"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_the_child_has_no_hub(served):
    hub, _, client, number = served
    lent = hub.connection(number)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        codes = []
        try:
            for name, call in {**CALLS, "state": lambda _: lent.state}.items():
                try:
                    call(hub)
                except UsageError as error:
                    codes.append(int(error.code))
                else:
                    codes.append(name)
            hub.free()
            os.write(writer, repr(codes).encode())
        finally:
            os._exit(0)
    os.close(writer)
    assert os.waitpid(child, 0)[1] == 0
    codes = os.read(reader, 1000).decode()
    os.close(reader)
    assert codes == repr([-2] * (len(CALLS) + 1))
    hub.send(number, "undisturbed")
    assert client.next(hub).data == b"undisturbed"


def test_a_hub_has_no_copy(served):
    hub = served[0]
    for call in (copy.deepcopy, pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="Hub"):
            call(hub)


def test_a_hub_needs_no_garbage_collection():
    gc.disable()
    try:
        hub, port = listening()
        client, number = let_in(hub, port)
        lent = weakref.ref(hub.connection(number))
        gone = weakref.ref(hub)
        del hub
        assert gone() is lent() is None
        assert client.socket.recv(1) == b"", "the library has closed it"
    finally:
        gc.enable()


class Interrupted(Exception):
    """What a signal handler raises, as that of Ctrl-C does."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
def test_an_exception_of_a_signal_handler_loses_no_hub(served):
    hub, _, client, number = served
    client.socket.setblocking(False)
    armed = False

    def handler(_number, _frame):
        nonlocal armed
        if armed:
            armed = False
            raise Interrupted

    def turn():
        with contextlib.suppress(BlockingIOError):
            client.socket.recv(1 << 20)
        with contextlib.suppress(BlockingIOError):
            client.socket.send(frames)
        for event in hub.poll(1):
            hub.send(event.connection, event.data, event.kind)
            hub.send(event.connection, event.text)
        hub.send_many([number] * 3, ["a", "b", "c"])
        lent = hub.connection(number)
        lent.send("d")
        _ = lent.state, lent.target, lent.fields, hub.stats
        hub.publish("", "e")
        hub.poll(0)

    def turns():  # in a function: the end of a loop is no part of the try statement around it
        while armed:
            turn()

    sender = Connection.client(start_open=True)
    for _ in range(10):
        sender.send("a" * 100)
    frames = sender.take(0)
    interrupted = 0
    before = signal.signal(signal.SIGALRM, handler)
    gc.disable()  # what is raised while it runs is swallowed
    try:
        while interrupted < 2000:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 1e-3), 1e-3)
            try:
                armed = True
                turns()
            except Interrupted:
                interrupted += 1
            hub.poll(0)
            assert hub.subscribers() == 1
            assert hub.connection(number).state is State.OPEN
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
    assert interrupted == 2000


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
def test_a_signal_handler_that_uses_the_hub_neither_hangs_nor_crashes(served):
    hub, _, client, number = served
    outcomes = {"used": 0, "refused": 0}

    def handler(_number, _frame):
        hub.send(number, "from the handler")
        hub.publish("", "from the handler")
        assert hub.connection(number).state is State.OPEN
        try:
            hub.poll(0)
            outcomes["used"] += 1
        except UsageError:
            outcomes["refused"] += 1

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 1e-3, 1e-3)
    try:
        until = time.monotonic() + 2
        while time.monotonic() < until:
            client.send("a" * 1000)
            hub.poll(0)
            with contextlib.suppress(UsageError):  # the handler's poll has taken it back
                hub.poll(1)
                lent = hub.connection(number)
                assert lent is None or lent.target is None
            if select.select([client.socket], [], [], 0)[0]:
                client.socket.recv(1 << 20)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert sum(outcomes.values()) > 0


def memory() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_clients_that_come_and_go_leave_nothing():
    hub, port = listening(deflate=True)

    def come_and_go(count):
        for _ in range(count):
            client, number = let_in(hub, port, deflate=True)
            client.send("a" * 20_000)
            happened(hub, TEXT)
            hub.subscribe(number, f"topic {number}")
            hub.send(number, bytes(20_000))
            assert hub.connection(number).state is State.OPEN
            client.vanish()
            happened(hub, GONE)

    with hub:
        come_and_go(300)
        before = memory()
        come_and_go(2000)
        assert memory() - before < 6 << 20
        assert hub.stats.accepted == 2300


def test_without_a_gil_polls_have_a_lock(monkeypatch):
    class Locked(Hub):
        __slots__ = ()

    module = sys.modules["wsframe.hub"]
    monkeypatch.setattr(module, "_HAS_GIL", False)
    module._one_at_a_time(Locked, module._CALLS)
    with Locked() as hub:
        found = []
        with hub._lock:
            thread = threading.Thread(target=lambda: found.append(hub.connection(NOBODY)))
            thread.start()
            thread.join(0.05)
            assert not found
        thread.join()
        assert found == [None]
        assert hub.poll(0) == []
