"""wsframe.asyncio.serve, with clients of the websockets package, and with raw ones."""

import asyncio
import contextlib
import logging
import re
import socket
import sys
from pathlib import Path

import pytest
import websockets
from aio import LET_IN, LOOPS, Raw, run_in, serving
from websockets.asyncio.client import connect as connect_to
from websockets.asyncio.client import unix_connect as unix_connect_to

from wsframe import Opcode, UsageError
from wsframe.asyncio import (
    CloseCode,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    Response,
    State,
    basic_auth,
    broadcast,
    route,
    serve,
    unix_serve,
)

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.parametrize("new_loop", LOOPS)


async def refused(uri, **options):
    with pytest.raises(websockets.InvalidStatus) as caught:
        await connect_to(uri, **options)
    return caught.value.response


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


def test_messages_come_back_as_they_went(new_loop):
    async def main():
        async with serving(max_size=None) as (_, uri), connect_to(uri, max_size=None) as client:
            for message in ("a€", b"\xff", "", b"", "a" * 100_000, bytes(3 << 20), "last"):
                await client.send(message)
                assert await client.recv() == message
            await client.send(["in ", "pie", "ces"])
            assert await client.recv() == "in pieces"

    run_in(new_loop, main)


def test_what_a_handler_sees(new_loop):
    async def main():
        seen = []

        async def handler(connection):
            seen.append(connection)
            await connection.send(connection.request.path)
            await connection.send(connection.request.headers["X-Me"])
            await connection.wait_closed()

        async with serving(handler, subprotocols=["b", "a"]) as (server, uri):
            headers = {"X-Me": "you"}
            async with connect_to(
                f"{uri}/a?b=c", additional_headers=headers, subprotocols=["a", "b"]
            ) as client:
                assert [await client.recv(), await client.recv()] == ["/a?b=c", "you"]
                assert client.subprotocol == "b"
                (connection,) = seen
                assert server.connections == {connection}
                assert connection.subprotocol == "b"
                assert connection.remote_address == client.local_address
                assert connection.local_address == client.remote_address
                assert connection.response.status_code == 101
                assert (connection.state, connection.close_code) == (State.OPEN, None)
                await client.close(4000, "bye")
            await connection.wait_closed()
            assert (connection.state, connection.close_code, connection.close_reason) == (3, 4000, "bye")
            assert server.connections == set()

    run_in(new_loop, main)


def test_the_end_in_good_order_ends_the_iteration_and_another_raises(new_loop):
    async def main():
        ends = []

        async def handler(connection):
            try:
                async for _ in connection:
                    pass
                ends.append(None)
            except ConnectionClosed as error:
                ends.append(error)
            with pytest.raises(ConnectionClosed):
                await connection.send("too late")
            with pytest.raises(ConnectionClosed):
                await connection.recv()
            with pytest.raises(ConnectionClosed):
                await connection.ping()

        async with serving(handler) as (_, uri):
            for code in (1000, 1001, 4000):
                async with connect_to(uri) as client:
                    await client.close(code)
            (await Raw.connect(uri)).leave()
            await until(lambda: len(ends) == 4)
        assert ends[:2] == [None, None]
        assert ends[2].rcvd == (4000, "")
        assert ends[2].rcvd_then_sent
        assert isinstance(ends[3], ConnectionClosedError)
        assert (ends[3].rcvd, ends[3].sent) == (None, None)

    run_in(new_loop, main)


def test_a_handler_that_fails_closes_its_connection_and_no_other(new_loop, caplog):
    async def main():
        async def handler(connection):
            async for message in connection:
                await connection.send(message)
                if message == "fail":
                    raise ValueError("this was mine")

        async with serving(handler) as (_, uri), connect_to(uri) as other:
            async with connect_to(uri) as client:
                await client.send("fail")
                assert await client.recv() == "fail"
                with pytest.raises(websockets.ConnectionClosedError) as caught:
                    await client.recv()
                assert caught.value.rcvd.code == 1011
            await other.send("alive")
            assert await other.recv() == "alive"

    with caplog.at_level(logging.ERROR, "wsframe.server"):
        run_in(new_loop, main)
    (record,) = caplog.records
    assert isinstance(record.exc_info[1], ValueError)


def test_a_peer_that_leaves_is_no_fault_of_the_handler(new_loop, caplog):
    async def main():
        async def handler(connection):
            while True:
                await connection.send("more" * 1000)

        async with serving(handler) as (server, uri):
            raw = await Raw.connect(uri)
            await raw.frame()
            raw.leave()
            await until(lambda: not server.connections)

    with caplog.at_level(logging.WARNING, "wsframe.server"):
        run_in(new_loop, main)
    assert caplog.records == []


def test_a_slow_peer_makes_send_wait_and_no_other(new_loop):
    async def main():
        sent = []

        async def handler(connection):
            if connection.request.path == "/raw":
                while True:
                    await connection.send(b"x" * 65536)
                    sent.append(connection)
            async for message in connection:
                await connection.send(message)

        async with serving(handler, compression=None, close_timeout=0.2) as (_, uri):
            raw = await Raw.connect(uri)
            raw.reader._transport.pause_reading()
            before = -1
            while before != len(sent):
                before = len(sent)
                await asyncio.sleep(0.2)
            assert 0 < len(sent) < 1000
            async with connect_to(f"{uri}/other") as other:
                await other.send("alive")
                assert await other.recv() == "alive"
            raw.reader._transport.resume_reading()
            await until(lambda: len(sent) > before + 20)
            raw.leave()

    run_in(new_loop, main)


def test_a_handler_that_does_not_read_makes_the_peer_wait(new_loop):
    async def main():
        go, count = asyncio.Event(), 0
        connections = []

        async def handler(connection):
            nonlocal count
            connections.append(connection)
            await go.wait()
            async for _ in connection:
                count += 1

        async with serving(handler, max_queue=4, max_size=None) as (_, uri):
            async with connect_to(uri, compression=None) as client:
                sent = 0

                async def flood():
                    nonlocal sent
                    for _ in range(400):
                        await client.send(bytes(100_000))
                        sent += 1

                task = asyncio.create_task(flood())
                await asyncio.sleep(0.5)
                assert sent < 400
                assert len(connections[0]._messages) < 100
                go.set()
                await task
            await connections[0].wait_closed()
            await until(lambda: count == 400)

    run_in(new_loop, main)


@pytest.mark.parametrize(
    ("nonsense", "code"),
    [
        (b"\x81\x05Hello", 1002),  # not masked
        (b"\xff\x80\0\0\0\0", 1002),
        (b"\x81\x81\0\0\0\0\xff", 1007),
        (b"\x82\xff\0\0\0\0\x7f\xff\xff\xff\0\0\0\0", 1009),
    ],
)
def test_a_hostile_peer_is_told_and_the_handler_hears_connection_closed(new_loop, nonsense, code):
    async def main():
        heard = []

        async def handler(connection):
            try:
                await connection.recv()
            except ConnectionClosedError as error:
                heard.append(error)

        async with serving(handler) as (_, uri):
            raw = await Raw.connect(uri)
            raw.write(nonsense)
            assert await raw.closed_with() == code
            raw.leave()
            await until(lambda: heard)
        assert heard[0].rcvd is None
        assert heard[0].sent.code == code
        assert str(heard[0].__cause__)

    run_in(new_loop, main)


def test_silent_peers_have_their_time(new_loop):
    async def main():
        started = []

        async def handler(connection):
            started.append(connection)
            with pytest.raises(ConnectionClosedError) as caught:
                await connection.recv()
            assert caught.value.sent == (1011, "keepalive ping timeout")

        options = {"open_timeout": 0.2, "ping_interval": 0.2, "ping_timeout": 0.2, "close_timeout": 0.2}
        async with serving(handler, **options) as (_, uri):
            before_request = await Raw.connect(uri, asks=False)
            before_request.write(LET_IN[:50])
            silent = await Raw.connect(uri)  # it reads, and answers no ping
            assert await silent.frame() == (Opcode.PING, started[0]._pings.copy().popitem()[0])
            assert await silent.closed_with() == 1011
            assert b"101" not in await before_request.reader.read()
            await started[0].wait_closed()
            before_request.leave()
            silent.leave()

    run_in(new_loop, main)


def test_pings_keep_a_connection_and_measure_it(new_loop):
    async def main():
        kept = []

        async def handler(connection):
            kept.append(connection)
            await connection.wait_closed()

        async with (
            serving(handler, ping_interval=0.05, ping_timeout=0.1) as (_, uri),
            connect_to(uri) as client,
        ):
            await asyncio.sleep(0.5)
            assert client.state.name == "OPEN"
            assert 0 < kept[0].latency < 0.1
            assert 0 < await (await kept[0].ping()) < 0.1
            assert 0 < await (await kept[0].ping("mine")) < 0.1
            await client.pong("nobody asked")

    run_in(new_loop, main)


def test_process_request_and_process_response(new_loop, caplog):
    async def main():
        async def process_request(connection, request):
            await asyncio.sleep(0)
            if request.path == "/health":
                return connection.respond(200, "OK\n")
            if request.path == "/fail":
                raise ValueError("this was mine")
            return None

        def process_response(connection, request, response):
            response.headers["X-Seen"] = request.path
            if request.path == "/other":
                return Response(418, "I'm a teapot", response.headers, b"tea")
            return None

        options = {"process_request": process_request, "process_response": process_response}
        async with serving(**options) as (_, uri):
            raw = await Raw.connect(uri, asks=False)
            raw.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = await raw.reader.read()
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.endswith(b"\r\n\r\nOK\n")
            raw.leave()
            assert (await refused(f"{uri}/fail")).status_code == 500
            response = await refused(f"{uri}/other")
            assert (response.status_code, response.body) == (418, b"tea")
            async with connect_to(f"{uri}/in") as client:
                assert client.response.headers["X-Seen"] == "/in"
                await client.send("echo")
                assert await client.recv() == "echo"

    run_in(new_loop, main)


def test_a_page_is_answered_that_this_is_for_websocket(new_loop):
    async def main():
        async with serving() as (_, uri):
            raw = await Raw.connect(uri, asks=False)
            raw.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await raw.reader.read()).startswith(b"HTTP/1.1 426 ")
            raw.leave()

    run_in(new_loop, main)


@pytest.mark.parametrize("origins", [["https://a.example"], [re.compile("https://[a-b]\\.example"), None]])
def test_origins(new_loop, origins):
    async def main():
        async with serving(origins=origins) as (_, uri):
            async with connect_to(uri, origin="https://a.example"):
                pass
            assert (await refused(uri, origin="https://a.example.com")).status_code == 403
            if None in origins:
                async with connect_to(uri):
                    pass
            else:
                assert (await refused(uri)).status_code == 403

    run_in(new_loop, main)


def test_without_an_origin_nobody_is_let_in(new_loop):
    async def main():
        async with serving(origins=[]) as (_, uri):
            assert (await refused(uri, origin="https://a.example")).status_code == 403

    run_in(new_loop, main)


def test_what_is_wrong_is_said_before_there_are_clients(new_loop):
    async def main():
        for origin in ("https://A.example", "https://a.example/"):
            with pytest.raises(UsageError, match="origin"):
                serve(print, "127.0.0.1", 0, origins=[origin])

    run_in(new_loop, main)


def test_a_target_in_absolute_form_is_its_path(new_loop):
    async def chat(connection, room):
        await connection.send(f"{room} {connection.request.path}")

    async def main():
        async with route({"/chat/<room>": chat}, "127.0.0.1", 0) as server:
            raw = await Raw.connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", asks=False)
            raw.write(LET_IN.replace(b"/raw", b"http://localhost/chat/one?a=b"))
            assert (await raw.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            assert await raw.frame() == (Opcode.TEXT, b"one /chat/one?a=b")
            raw.leave()

    run_in(new_loop, main)


def test_subprotocols(new_loop):
    async def main():
        async with serving(subprotocols=["a"]) as (_, uri):
            assert (await refused(uri, subprotocols=["b"])).status_code == 400
            assert (await refused(uri)).status_code == 400
        choosing = serving(select_subprotocol=lambda _, offered: offered[-1])
        async with choosing as (_, uri), connect_to(uri, subprotocols=["a", "b"]) as client:
            assert client.subprotocol == "b"

    run_in(new_loop, main)


def test_basic_auth(new_loop):
    async def main():
        async def handler(connection):
            await connection.send(connection.username)

        auth = basic_auth("here", [("me", "secret"), ("you", "other")])
        async with serving(handler, process_request=auth) as (_, uri):
            async with connect_to(uri.replace("ws://", "ws://me:secret@")) as client:
                assert await client.recv() == "me"
            response = await refused(uri.replace("ws://", "ws://me:other@"))
            assert response.status_code == 401
            assert "here" in response.headers["WWW-Authenticate"]
            assert (await refused(uri)).status_code == 401
            for header in ("Basic", "Basic !", "Basic bWU=", "Bearer a"):
                headers = {"Authorization": header}
                assert (await refused(uri, additional_headers=headers)).status_code == 401

    run_in(new_loop, main)
    for wrong in ({}, {"credentials": ("a", "b"), "check_credentials": print}):
        with pytest.raises(ValueError, match="provide either"):
            basic_auth(**wrong)


def test_routes(new_loop):
    async def main():
        async def room(connection, name, number):
            await connection.send(f"{name} {number!r}")

        async def rest(connection, name):
            await connection.send(name)

        async with route(
            {"/rooms/<name>/<int:number>": room, "/<path:name>": rest}, "127.0.0.1", 0
        ) as server:
            uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            for path, answer in (("/rooms/a%20b/7?x", "a b 7"), ("/rooms/a/b", "rooms/a/b")):
                async with connect_to(uri + path) as client:
                    assert await client.recv() == answer
            assert (await refused(f"{uri}/")).status_code == 404

    run_in(new_loop, main)
    for wrong in ("a", "/<a", "/<other:a>"):
        with pytest.raises(ValueError, match=r"slash|brackets"):
            route({wrong: print})


def test_broadcast(new_loop, caplog):
    async def main():
        async def handler(connection):
            await connection.wait_closed()

        async with serving(handler, write_limit=1000) as (server, uri):
            async with connect_to(uri) as one, connect_to(uri, compression=None) as two:
                await until(lambda: len(server.connections) == 2)
                for number in range(100):  # more than write_limit, of which none is lost while they read
                    broadcast(server.connections, f"{number} " + "a" * 100)
                for client in (one, two):
                    assert [(await client.recv()).split()[0] for _ in range(100)] == list(
                        map(str, range(100))
                    )
                broadcast(server.connections, "binary", text=False)
                assert [await client.recv() for client in (one, two)] == [b"binary"] * 2
                with pytest.raises(TypeError):
                    broadcast(server.connections, ["pieces"])
            broadcast(server.connections, "nobody is there")

    run_in(new_loop, main)
    assert caplog.records == []


def test_close_tells_all_and_waits_for_handlers(new_loop):
    async def main():
        ended = []

        async def handler(connection):
            with contextlib.suppress(ConnectionClosedError):
                await connection.recv()
            await asyncio.sleep(0.1)
            ended.append(connection)

        async with serving(handler) as (server, uri):
            pending = await Raw.connect(uri, asks=False)
            clients = [await connect_to(uri) for _ in range(3)]
            await until(lambda: len(server.connections) == 3)
            forever = asyncio.create_task(server.serve_forever())
            await asyncio.sleep(0)
            server.close(code=1012, reason="back soon")
            assert not server.is_serving()
            await forever
            assert len(ended) == 3
            for client in clients:
                with pytest.raises(websockets.ConnectionClosed) as caught:
                    await client.recv()
                assert tuple(vars(caught.value.rcvd).values()) == (1012, "back soon")
            with pytest.raises(OSError, match=r"."):
                await connect_to(uri)
            assert await pending.reader.read() == b""
            pending.leave()

    run_in(new_loop, main)


def test_close_leaves_connections_open_if_it_is_told_so(new_loop):
    async def main():
        async with serving() as (server, uri), connect_to(uri) as client:
            server.close(close_connections=False)
            await client.send("still")
            assert await client.recv() == "still"
            await client.close()
            await server.wait_closed()

    run_in(new_loop, main)


def test_serve_forever_that_is_cancelled_closes(new_loop):
    async def main():
        server = await serve(print, "127.0.0.1", 0, start_serving=False)
        assert not server.is_serving()
        task = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        assert server.is_serving()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert server.sockets == ()

    run_in(new_loop, main)


def test_a_request_that_waits_for_the_application_when_the_server_closes(new_loop):
    async def main():
        asked, go = asyncio.Event(), asyncio.Event()

        async def process_request(connection, request):
            asked.set()
            await go.wait()

        async with serving(process_request=process_request) as (server, uri):
            client = asyncio.create_task(refused(uri))
            await asked.wait()
            server.close()
            go.set()
            assert (await client).status_code == 503

    run_in(new_loop, main)


def test_many_servers_in_one_loop_have_one_hub(new_loop):
    async def main():
        async def name(connection):
            await connection.send(connection.server.name)

        async with serving(name) as (a, uri_a), serving(name) as (b, uri_b):
            a.name, b.name = "a", "b"
            assert a._reactor is b._reactor
            for uri, answer in ((uri_a, "a"), (uri_b, "b")):
                async with connect_to(uri) as client:
                    assert await client.recv() == answer

    run_in(new_loop, main)


def test_unix_sockets_and_sockets_of_the_application(new_loop, tmp_path):
    async def main():
        path = str(tmp_path / "socket")
        for _ in range(2):  # the second finds the file of the first
            server = unix_serve(lambda connection: connection.send("unix"), path)
            async with server, unix_connect_to(path) as client:
                assert await client.recv() == "unix"
        sock = socket.create_server(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        server = serve(lambda connection: connection.send("sock"), sock=sock)
        async with server, connect_to(f"ws://127.0.0.1:{port}") as client:
            assert await client.recv() == "sock"

    run_in(new_loop, main)


def test_the_example_sends_back(new_loop):
    async def main():
        command = sys.executable, str(ROOT / "examples" / "python" / "asyncio_echo.py"), "0"
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        try:
            uri = (await process.stdout.readline()).decode().strip()
            async with connect_to(uri) as client:
                await client.send("hello")
                assert await client.recv() == "hello"
        finally:
            process.terminate()
            await process.wait()

    run_in(new_loop, main)


def test_what_is_wrong_is_said(new_loop):
    async def main():
        with pytest.raises(NotImplementedError, match="SSLContext"):
            serve(print, "127.0.0.1", 0, ssl=object())
        with pytest.raises(TypeError, match="flavour"):
            serve(print, "127.0.0.1", 0, flavour="sweet")
        with pytest.raises(ValueError, match="compression"):
            serve(print, compression="brotli")
        with pytest.raises(TypeError, match="subprotocols"):
            serve(print, subprotocols="chat")
        async with serving() as (_, uri):
            with pytest.raises(OSError, match=r"."):
                await serve(print, "127.0.0.1", int(uri.rpartition(":")[2]))

    run_in(new_loop, main)


def test_what_a_handler_sends_wrong_is_raised_to_it(new_loop):
    async def main():
        async def handler(connection):
            for wrong in (7, {"a": "b"}, [1]):
                with pytest.raises(TypeError):
                    await connection.send(wrong)
            with pytest.raises(UsageError):
                await connection.ping(bytes(126))
            await connection.close(CloseCode.NORMAL_CLOSURE, "fine")

        async with serving(handler) as (_, uri), connect_to(uri) as client:
            with pytest.raises(websockets.ConnectionClosedOK) as caught:
                await client.recv()
            assert caught.value.rcvd.reason == "fine"

    run_in(new_loop, main)
    assert issubclass(ConnectionClosedOK, ConnectionClosed)
