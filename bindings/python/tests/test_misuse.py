"""Connections that are used wrongly: an exception, and never a crash."""

import contextlib
import copy
import gc
import os
import pickle
import random
import resource
import signal
import sys
import threading
import time
import weakref

import pytest

import wsframe
from wsframe import (
    Connection,
    ErrorCode,
    Event,
    EventKind,
    Frame,
    Header,
    Message,
    Opcode,
    UsageError,
    answer_extensions,
    answer_handshake,
)

KEY = b"\x37\xfa\x21\x3d"
WHOLE = 96


def masked(payload: bytes) -> bytes:
    return Header(Opcode.BINARY, len(payload), mask_key=KEY).build() + Frame.unmask(payload, KEY)


def open_server(**config):
    return Connection.server(start_open=True, **config)


CALLS = {
    "receive": lambda connection: connection.receive(b""),
    "send": lambda connection: connection.send("a"),
    "send_many": lambda connection: connection.send_many(["a"]),
    "send_message": lambda connection: connection.send_message(Message("a")),
    "try_send": lambda connection: connection.try_send("a"),
    "ping": lambda connection: connection.ping(),
    "pong": lambda connection: connection.pong(),
    "close": lambda connection: connection.close(),
    "request": lambda connection: connection.request("a", "/"),
    "add_field": lambda connection: connection.add_field("a", "b"),
    "accept": lambda connection: connection.accept(),
    "respond": lambda connection: connection.respond(400),
    "output": lambda connection: connection.output(0),
    "take": lambda connection: connection.take(0),
    "waiting": lambda connection: connection.waiting,
    "gone": lambda connection: connection.gone(),
    "state": lambda connection: connection.state,
    "error": lambda connection: connection.error,
    "deflate": lambda connection: connection.deflate,
    "subprotocol": lambda connection: connection.subprotocol,
    "target": lambda connection: connection.target,
    "field": lambda connection: connection.field("a"),
    "fields": lambda connection: connection.fields,
}


def test_every_call_is_in_the_list():
    public = {name for name in vars(Connection) if not name.startswith("_")}
    assert public - {"server", "client", "free", "wait_ms"} == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_after_free_every_call_is_a_usage_error(name):
    for connection in (Connection.server(), Connection.client(), open_server()):
        connection.free()
        with pytest.raises(UsageError) as caught:
            CALLS[name](connection)
        assert (str(caught.value), caught.value.code) == ("the connection was freed", -2)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_during_another_is_a_usage_error(name):
    connection = open_server()
    handle, connection._handle = connection._handle, None  # as a call that is running does
    assert repr(connection) == "<Connection server in use>"
    with pytest.raises(UsageError) as caught:
        CALLS[name](connection)
    assert (str(caught.value), caught.value.code) == ("another call on this connection is running", -2)
    connection._handle = handle
    assert (connection.take(0), connection.wait_ms) == (b"", 30_000)


def test_a_connection_that_is_freed_during_a_call_is_free_after_it(monkeypatch):
    connection = open_server()

    def receive(*arguments):
        connection.free()
        connection.free()
        return function(*arguments)

    function = wsframe.connection._receive
    monkeypatch.setattr(wsframe.connection, "_receive", receive)
    assert [event.data for event in connection.receive(masked(b"a"))] == [b"a"]
    assert repr(connection) == "<Connection server freed>"
    with pytest.raises(UsageError, match="was freed"):
        connection.receive(b"")


def test_free_may_be_called_twice_and_a_with_block_frees():
    connection = Connection.server()
    connection.free()
    connection.free()
    with Connection.server() as connection:
        connection.receive(b"GET")
    with pytest.raises(UsageError):
        connection.receive(b"GET")
    with Connection.server() as connection:
        connection.free()
    with pytest.raises(ZeroDivisionError), Connection.server() as connection:
        raise ZeroDivisionError
    with pytest.raises(UsageError):
        connection.take(0)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_fails_leaves_the_connection_usable(name):
    for connection in (Connection.server(), Connection.client(), open_server()):
        with contextlib.suppress(UsageError):
            CALLS[name](connection)
        assert connection.take(0) is not None


WRONG = [None, 5, 5.0, [1, 2], object()]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_lends_no_bytes_is_a_type_error(wrong):
    connection = open_server()
    for call in (
        lambda: connection.receive(wrong),
        lambda: connection.send(wrong),
        lambda: connection.send(wrong, more=True),
        lambda: connection.try_send(wrong),
        lambda: connection.send_many(wrong),
        lambda: connection.send_many([wrong]),
        lambda: connection.send_many([b"a", wrong]),
        lambda: connection.send_many(["a", wrong]),
        lambda: connection.send_message(wrong),
        lambda: Message(wrong),
        lambda: answer_extensions(wrong),
        lambda: connection.ping(wrong),
        lambda: connection.pong(wrong),
        lambda: connection.respond(400, wrong),
        lambda: answer_handshake(wrong),
    ):
        with pytest.raises(TypeError):
            call()
    assert connection.output(0) == b""


@pytest.mark.parametrize("wrong", [*WRONG, b"bytes"])
def test_what_is_no_text_is_a_type_error(wrong):
    connection = open_server()
    for call in (
        lambda: connection.close(1000, wrong),
        lambda: connection.request(wrong, "/"),
        lambda: connection.request("a", wrong),
        lambda: connection.add_field(wrong, "a"),
        lambda: connection.add_field("a", wrong),
        lambda: connection.accept(0 if wrong is None else wrong),
        lambda: connection.field(wrong),
        lambda: Connection.server(subprotocols=[wrong]),
        lambda: Connection.client(origins=["http://a", wrong]),
    ):
        with pytest.raises(TypeError):
            call()
    assert connection.output(0) == b""


def test_text_where_bytes_are_wanted_is_a_type_error():
    connection = open_server()
    for call in (
        lambda: connection.receive("text"),
        lambda: connection.ping("text"),
        lambda: connection.pong("text"),
        lambda: connection.respond(400, "text"),
        lambda: answer_handshake("text"),
        lambda: Connection.server(subprotocols="chat"),
        lambda: Connection.server(origins="http://a"),
    ):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("wrong", [None, 1.0, "1", b"1"])
def test_what_is_no_integer_is_a_type_error(wrong):
    connection = open_server()
    for call in (
        lambda: connection.output(0, wrong),
        lambda: connection.output(0, 0, wrong),
        lambda: connection.output(wrong),
        lambda: connection.take(wrong),
        lambda: connection.close(wrong),
        lambda: connection.respond(wrong),
        lambda: Connection.server(max_message_len=wrong),
    ):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("wrong", [-1, 2**64, 2**64 + 1, -(2**64)])
def test_numbers_that_do_not_fit_are_usage_errors(wrong):
    connection = open_server()
    connection.send(b"1")
    for call in (
        lambda: connection.output(0, wrong),
        lambda: connection.output(0, 0, wrong),
        lambda: connection.output(wrong),
        lambda: connection.take(wrong),
        lambda: connection.close(wrong),
        lambda: connection.respond(wrong),
        lambda: Connection.server(max_message_len=wrong),
        lambda: Connection.server(max_fragments=wrong),
    ):
        with pytest.raises(UsageError, match=f"is {wrong}, but must be 0 to"):
            call()
    with pytest.raises(UsageError, match=f"but must be 0 to {2**32 - 1}"):
        Connection.server(ping_interval_ms=2**32)
    Connection.server(ping_interval_ms=2**32 - 1, max_message_len=2**64 - 1)


@pytest.mark.parametrize("name", ["ping", "pong"])
def test_a_control_frame_carries_at_most_125_bytes(name):
    connection = open_server()
    with pytest.raises(UsageError) as caught:
        getattr(connection, name)(bytes(126))
    assert caught.value.code == -1
    getattr(connection, name)(bytes(125))


def test_text_that_utf8_cannot_express():
    connection = open_server()
    for call in (
        lambda: connection.send("a\ud800"),
        lambda: connection.send("\udcff"),
        lambda: connection.send("\udce2\udc82"),
        lambda: connection.send("\ud800", more=True),
        lambda: connection.close(1000, "\udfff"),
        lambda: connection.add_field("X-A", "\ud800"),
        lambda: connection.request("\ud800", "/"),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.code == -1
    assert connection.output(0) == b""


def test_a_config_that_is_none():
    for call in (
        lambda: Connection.server(max_mesage_len=1),
        lambda: Connection.client(struct_size=1),
        lambda: Connection.client(flags=1),
        lambda: answer_handshake(b"", subprotocols_len=1),
        lambda: Connection.server(["chat"]),
        Connection,
    ):
        with pytest.raises(TypeError):
            call()
    for name in ("subprotocols", "origins"):
        for wrong in ("", " ", "a,b", ",", "a ", "\ta"):
            with pytest.raises(UsageError, match=name):
                Connection.server(**{name: ["first", wrong]})
    with pytest.raises(UsageError):
        Connection.client(subprotocols=["no token"])
    with pytest.raises(UsageError):
        Connection(2, {})


@pytest.mark.parametrize(
    "kind",
    [
        bytearray,
        memoryview,
        lambda data: memoryview(bytearray(data)),
        lambda data: memoryview(data).cast("c"),
    ],
)
def test_every_kind_of_buffer_is_taken(kind):
    connection = open_server()
    assert connection.receive(kind(masked(b"ab"))) == [Event(EventKind.BINARY, b"ab", WHOLE)]
    connection.send(kind(b"ab"))
    connection.send(kind(b"cd"), EventKind.TEXT)
    connection.ping(kind(b"ef"))
    assert connection.output(0) == b"\x82\x02ab\x81\x02cd\x89\x02ef"


def test_a_bytearray_can_be_resized_when_the_call_is_over():
    connection, buffer = open_server(), bytearray(masked(b"ab"))
    (event,) = connection.receive(buffer)
    connection.send(buffer)
    buffer[:] = b"x" * 100
    assert event.data == b"ab"
    connection.send("", more=True)
    with pytest.raises(UsageError):
        connection.send(buffer)
    buffer.append(0)


def test_a_connection_has_no_copy():
    connection = open_server()
    for call in (copy.deepcopy, pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="Connection"):
            call(connection)
    assert connection.take(0) == b""


def memory() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_leaks():
    data = masked(bytes(20_000))
    part = data[:10_000]

    def work(end):
        for _ in range(200):
            connection = open_server()
            connection.receive(data)
            connection.receive(part)
            connection.send(part)
            connection.send_message(Message(part))
            connection.send_many([part])
            connection.output(0)
            with pytest.raises(UsageError):
                connection.send("\ud800")
            end(connection)

    def forget(connection):
        pass

    for end in (Connection.free, Connection.gone, forget):
        work(end)
        before = memory()
        for _ in range(10):
            work(end)
        assert memory() - before < 10_000_000, "2,000 connections with 40,000 bytes each were freed"


def test_a_connection_needs_no_garbage_collection():
    gc.disable()
    try:
        connection = open_server()
        connection.receive(masked(b"a"))
        gone = weakref.ref(connection)
        del connection
        assert gone() is None
    finally:
        gc.enable()


def hammer(connection, calls, seconds=1.0):
    """Makes each call over and over in a thread of its own; returns what was raised and the counts."""
    raised, made = [], [0] * len(calls)
    end = threading.Event()

    def work(number):
        call = calls[number]
        while not end.is_set():
            try:
                call(connection)
                made[number] += 1
            except UsageError as error:
                if error.code not in (ErrorCode.STATE, ErrorCode.SPACE):
                    raised.append(error)
            except BaseException as error:
                raised.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(calls))]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        end.wait(seconds)
        end.set()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    return raised, made


def test_threads_on_one_connection_never_crash():
    few, many = masked(b"a" * 1000), masked(b"b" * 300) * 40

    def receive(data):
        def call(connection):
            for event in connection.receive(data):
                assert event.data in (b"a" * 1000, b"b" * 300)

        return call

    def write(connection):
        output = connection.output(0)
        assert output.strip(b"\x82\x7e\x03\xe8\x0f\xa0cd\x89\x01e") == b""
        with contextlib.suppress(UsageError):  # another thread may have written it
            connection.output(0, min(len(output), 10))

    def take(connection):
        assert connection.take(0).strip(b"\x82\x7e\x03\xe8\x0f\xa0cd\x89\x01e") == b""

    calls = [
        receive(few),
        receive(many),
        lambda connection: connection.send(b"c" * 1000),
        lambda connection: connection.send(b"d" * 4000),
        lambda connection: connection.ping(b"e"),
        write,
        take,
    ]
    with open_server(high_water_len=100_000) as connection:
        raised, made = hammer(connection, calls)
    assert raised == []
    assert any(made)


def test_threads_may_free_a_connection_that_others_use():
    data = masked(b"a" * 100) * 10

    class Shared:
        connection = open_server()

    def replace(shared):
        shared.connection.free()
        shared.connection = open_server()

    def use(shared):
        connection = shared.connection
        assert all(event.data == b"a" * 100 for event in connection.receive(data))
        connection.send(b"b" * 1000)
        connection.output(0)
        connection.take(0)

    def drop(shared):
        shared.connection = open_server()

    raised, made = hammer(Shared(), [use, use, replace, drop, use])
    assert raised == []
    assert any(made)


def test_different_connections_never_meet():
    def work(number):
        connection, message = open_server(), bytes([number]) * 5000
        data = masked(message) * 3
        for _ in range(100):
            assert connection.receive(data) == [Event(EventKind.BINARY, message, WHOLE)] * 3
            connection.send(message)
            assert connection.take(0)[4:] == message
        done.append(number)

    done = []
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(8))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
def test_a_signal_handler_that_uses_the_connection_neither_hangs_nor_crashes():
    data = masked(b"a" * 100) * 20
    connection, outcomes = open_server(), {"used": 0, "refused": 0}

    def handler(_number, _frame):
        try:
            connection.receive(data)
            connection.output(0)
            outcomes["used"] += 1
        except UsageError:
            outcomes["refused"] += 1

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
    try:
        for _ in range(20_000):
            assert connection.receive(data) == [Event(EventKind.BINARY, b"a" * 100, WHOLE)] * 20
            connection.take(0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert sum(outcomes.values()) > 0


class Interrupted(Exception):
    """What a signal handler raises, as that of Ctrl-C does."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
def test_an_exception_of_a_signal_handler_loses_no_connection():
    data, message, armed = masked(b"a" * 100), Message("b" * 20_000), False

    def handler(_number, _frame):
        nonlocal armed
        if armed:
            armed = False
            raise Interrupted

    def turn():
        for event in connection.receive(data):
            connection.send(event.data, event.kind)
        connection.send(bytes(70_000))
        connection.send_message(message)
        connection.output(0, 0, 10)
        connection.take(0)
        connection.receive(data * 1000)
        _ = connection.state, connection.target, connection.fields

    connection, interrupted, lost = open_server(target="/a"), 0, 0
    before = signal.signal(signal.SIGALRM, handler)
    gc.disable()  # what is raised while it runs is swallowed
    try:
        while interrupted < 3000:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 4e-4), 1e-3)
            try:
                armed = True
                while armed:
                    turn()
            except Interrupted:
                interrupted += 1
            try:
                connection.take(0)
            except UsageError:
                lost += 1
                connection = open_server(target="/a")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
    assert (interrupted, lost) == (3000, 0)
    connection.close()
    connection.free()


def test_the_end_of_a_with_block_does_not_replace_an_exception():
    connection = open_server()

    def leave():
        with connection:
            connection._handle = None  # as a call that is running does
            raise Interrupted

    with pytest.raises(Interrupted):
        leave()
    assert repr(connection) == "<Connection server freed>"


def test_a_signal_handler_may_take_from_another_connection(monkeypatch):
    """Both get what is theirs, although the library lends to one at a time what it counts as written."""
    outer, inner, function = open_server(), open_server(), wsframe.connection._output
    outer.send(b"outer" * 1000)
    taken = []

    def output(*arguments):
        result = function(*arguments)
        if not taken:  # between what the library has lent and the copy of it
            taken.append(None)
            inner.send(b"inner" * 1000)
            taken.append(inner.take(0))
            assert [event.data for event in inner.receive(masked(b"a"))] == [b"a"]
        return result

    monkeypatch.setattr(wsframe.connection, "_output", output)
    assert outer.take(0)[4:] == b"outer" * 1000
    assert taken[1][4:] == b"inner" * 1000


def test_without_a_gil_each_call_has_a_lock(monkeypatch):
    class Locked(Connection):
        pass

    monkeypatch.setattr(wsframe.connection, "_HAS_GIL", False)
    monkeypatch.setattr(wsframe.connection._lent, "is_taken", True)
    wsframe.connection._one_at_a_time(Locked, wsframe.connection._CALLS)
    connection = Locked.server(start_open=True)
    assert [event.data for event in connection.receive(masked(b"a"))] == [b"a"]
    connection.send(b"a")
    connection.ping()
    assert connection.output(0) == connection.take(0) == b"\x82\x01a\x89\x00"
    assert wsframe.connection._lent.is_taken, "each call makes its own"
    entered, done = threading.Event(), []

    def call():
        entered.set()
        done.append(connection.state)

    with connection._lock:
        thread = threading.Thread(target=call)
        thread.start()
        entered.wait()
        thread.join(0.05)
        assert not done
    thread.join()
    assert done
    connection.free()
    with pytest.raises(UsageError, match="was freed"):
        connection.take(0)


def share_of_another_thread(call, seconds=0.3):
    """How often another thread had its turn while call was made over and over, for each time that it was."""
    end, turns, calls = threading.Event(), 0, 0

    def run():
        nonlocal turns
        while not end.is_set():
            turns += 1
            time.sleep(0)

    thread, interval = threading.Thread(target=run), sys.getswitchinterval()
    sys.setswitchinterval(10)  # only who lets go of the GIL is followed by another
    try:
        thread.start()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            call()
            calls += 1
        end.set()
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    return turns / calls


def test_long_work_does_not_hold_up_other_threads():
    payload = os.urandom(4 << 20)
    sender, receiver, data = open_server(), open_server(), masked(payload)

    def send():
        sender.send(payload)
        sender.take(0)

    for call in (send, lambda: receiver.receive(data)):
        assert share_of_another_thread(call) > 0.3


DEFLATE = {"deflate": True, "extensions": "permessage-deflate; server_max_window_bits=12"}


@pytest.mark.parametrize(
    ("config", "size", "is_long"),
    [({}, 60_000, False), ({}, 64 << 10, True), (DEFLATE, 2000, False), (DEFLATE, 4 << 10, True)],
)
def test_what_is_long_is_done_without_the_gil(monkeypatch, config, size, is_long):
    called = []

    def spy(module, name):
        function = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *arguments: called.append(name) or function(*arguments))

    for name in ("_send", "_receive"):
        spy(wsframe.connection, name)
    for name in ("send_long", "receive_long"):
        spy(wsframe._ffi, name)
    with open_server(**config) as connection:
        connection.send(bytes(size))
        connection.take(0)
        assert connection.try_send(bytes(size))
        connection.receive(masked(bytes(size)))
    expected = ["send_long", "send_long", "receive_long"] if is_long else ["_send", "_send", "_receive"]
    assert called == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_connection_is_used_on_both_sides_of_a_fork():
    client = Connection.client(start_open=True)
    client.send(b"")  # so that there are random bytes at hand
    client.take(0)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            client.send(b"child")
            os.write(writer, client.output(0))
            client.free()
        finally:
            os._exit(0)
    client.send(b"child")
    assert os.waitpid(child, 0)[1] == 0
    os.close(writer)
    sent = os.read(reader, 100)
    os.close(reader)
    mine = client.output(0)
    assert sent[:2] == mine[:2] == b"\x82\x85"
    assert sent[2:6] != mine[2:6], "no masking key twice"
    assert Frame.unmask(sent[6:], sent[2:6]) == Frame.unmask(mine[6:], mine[2:6]) == b"child"
