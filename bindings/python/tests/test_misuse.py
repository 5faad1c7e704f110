"""Connections that are used wrongly: an exception, and never a crash."""

import contextlib
import copy
import gc
import os
import pickle
import resource
import signal
import sys
import threading
import weakref

import pytest

from wsframe import (
    Connection,
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
WHOLE = 3


def masked(payload: bytes) -> bytes:
    return Header(Opcode.BINARY, len(payload), mask_key=KEY).build() + Frame.unmask(payload, KEY)


def open_server(**config):
    return Connection.server(start_open=True, **config)


CALLS = {
    "receive": lambda connection: connection.receive(b""),
    "send": lambda connection: connection.send("a"),
    "send_many": lambda connection: connection.send_many(["a"]),
    "send_message": lambda connection: connection.send_message(Message("a")),
    "send_piece": lambda connection: connection.send_piece("a", True),
    "ping": lambda connection: connection.ping(),
    "pong": lambda connection: connection.pong(),
    "close": lambda connection: connection.close(),
    "request": lambda connection: connection.request("a", "/"),
    "add_field": lambda connection: connection.add_field("a", "b"),
    "decline_deflate": lambda connection: connection.decline_deflate(),
    "accept": lambda connection: connection.accept(),
    "refuse": lambda connection: connection.refuse(400),
    "output": lambda connection: connection.output(),
    "sent": lambda connection: connection.sent(0),
    "tick": lambda connection: connection.tick(0),
    "state": lambda connection: connection.state,
    "error": lambda connection: connection.error,
    "deflate": lambda connection: connection.deflate,
    "subprotocol": lambda connection: connection.subprotocol,
    "target": lambda connection: connection.target,
    "field": lambda connection: connection.field("a"),
}


def test_every_call_is_in_the_list():
    public = {name for name in vars(Connection) if not name.startswith("_")}
    assert public - {"server", "client", "free"} == set(CALLS)


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
    handle = connection._take()  # as a call that is running does
    with pytest.raises(UsageError) as caught:
        CALLS[name](connection)
    assert (str(caught.value), caught.value.code) == ("another call on this connection is running", -2)
    with pytest.raises(UsageError):
        connection.free()
    connection._give(handle)
    assert connection.tick(0) == 30_000
    connection.free()


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
        connection.tick(0)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_fails_leaves_the_connection_usable(name):
    for connection in (Connection.server(), Connection.client(), open_server()):
        with contextlib.suppress(UsageError):
            CALLS[name](connection)
        assert connection.tick(0) is not None


WRONG = [None, 5, 5.0, [1, 2], object()]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_lends_no_bytes_is_a_type_error(wrong):
    connection = open_server()
    for call in (
        lambda: connection.receive(wrong),
        lambda: connection.send(wrong),
        lambda: connection.send_piece(wrong, True),
        lambda: connection.send_many(wrong),
        lambda: connection.send_many([wrong]),
        lambda: connection.send_many([b"a", wrong]),
        lambda: connection.send_many(["a", wrong]),
        lambda: connection.send_message(wrong),
        lambda: Message(wrong),
        lambda: answer_extensions(wrong),
        lambda: connection.ping(wrong),
        lambda: connection.pong(wrong),
        lambda: connection.refuse(400, wrong),
        lambda: answer_handshake(wrong),
    ):
        with pytest.raises(TypeError):
            call()
    assert connection.output() == b""


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
    assert connection.output() == b""


def test_text_where_bytes_are_wanted_is_a_type_error():
    connection = open_server()
    for call in (
        lambda: connection.receive("text"),
        lambda: connection.ping("text"),
        lambda: connection.pong("text"),
        lambda: connection.refuse(400, "text"),
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
        lambda: connection.sent(wrong),
        lambda: connection.tick(wrong),
        lambda: connection.close(wrong),
        lambda: connection.refuse(wrong),
        lambda: Connection.server(max_message_len=wrong),
    ):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("wrong", [-1, 2**64, 2**64 + 1, -(2**64)])
def test_numbers_that_do_not_fit_are_usage_errors(wrong):
    connection = open_server()
    connection.send(b"1")
    for call in (
        lambda: connection.sent(wrong),
        lambda: connection.tick(wrong),
        lambda: connection.close(wrong),
        lambda: connection.refuse(wrong),
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
        lambda: connection.send_piece("\ud800", False),
        lambda: connection.send_piece("\udcff", False),
        lambda: connection.close(1000, "\udfff"),
        lambda: connection.add_field("X-A", "\ud800"),
        lambda: connection.request("\ud800", "/"),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.code == -1
    assert connection.output() == b""


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
    connection.send_piece(kind(b"cd"), True)
    connection.ping(kind(b"ef"))
    assert connection.output() == b"\x82\x02ab\x82\x02cd\x89\x02ef"


def test_a_bytearray_can_be_resized_when_the_call_is_over():
    connection, buffer = open_server(), bytearray(masked(b"ab"))
    (event,) = connection.receive(buffer)
    connection.send(buffer)
    buffer[:] = b"x" * 100
    assert event.data == b"ab"
    connection.close()
    with pytest.raises(UsageError):
        connection.send(buffer)
    buffer.append(0)


def test_a_connection_has_no_copy():
    connection = open_server()
    for call in (copy.deepcopy, pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="Connection"):
            call(connection)
    assert connection.tick(0) == 30_000


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
            connection.output()
            with pytest.raises(UsageError):
                connection.send_piece("\ud800", True)
            end(connection)

    def forget(connection):
        pass

    for end in (Connection.free, forget):
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
                if error.code not in (-2, -3):
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
        output = connection.output()
        assert output.strip(b"\x82\x7e\x03\xe8\x0f\xa0cd\x89\x01e") == b""
        connection.sent(min(len(output), 10))

    calls = [
        receive(few),
        receive(many),
        lambda connection: connection.send(b"c" * 1000),
        lambda connection: connection.send(b"d" * 4000),
        lambda connection: connection.ping(b"e"),
        write,
        lambda connection: connection.tick(0),
    ]
    with open_server(max_output_len=100_000) as connection:
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
        connection.output()
        connection.tick(0)

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
            assert connection.output()[4:] == message
            connection.sent(5004)
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
            connection.output()
            outcomes["used"] += 1
        except UsageError:
            outcomes["refused"] += 1

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
    try:
        for _ in range(20_000):
            assert connection.receive(data) == [Event(EventKind.BINARY, b"a" * 100, WHOLE)] * 20
            connection.tick(0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert sum(outcomes.values()) > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_connection_is_used_on_both_sides_of_a_fork():
    client = Connection.client(start_open=True)
    client.send(b"")  # so that there are random bytes at hand
    client.sent(6)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            client.send(b"child")
            os.write(writer, client.output())
            client.free()
        finally:
            os._exit(0)
    client.send(b"child")
    assert os.waitpid(child, 0)[1] == 0
    os.close(writer)
    sent = os.read(reader, 100)
    os.close(reader)
    mine = client.output()
    assert sent[:2] == mine[:2] == b"\x82\x85"
    assert sent[2:6] != mine[2:6], "no masking key twice"
    assert Frame.unmask(sent[6:], sent[2:6]) == Frame.unmask(mine[6:], mine[2:6]) == b"child"
