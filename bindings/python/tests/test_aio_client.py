"""wsframe.asyncio.connect, with servers of the websockets package, and with sockets that misbehave."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest
from aio import LOOPS, PATIENCE_S, run_in, serving
from websockets.asyncio.server import basic_auth
from websockets.asyncio.server import serve as serve_there
from websockets.asyncio.server import unix_serve as unix_serve_there

from wsframe.asyncio import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    SecurityError,
    connect,
    unix_connect,
)

CERTIFICATES = Path(__file__).resolve().parents[3] / "tests" / "certificates"
NAMES = ("localhost.pem", "localhost.key", "authority.pem")
CHAIN, KEY, AUTHORITY = ((CERTIFICATES / name).read_text() for name in NAMES)

pytestmark = pytest.mark.parametrize("new_loop", LOOPS)


async def echo(connection):
    async for message in connection:
        await connection.send(message)


@contextlib.asynccontextmanager
async def served(handler=echo, **options):
    """A server of the other package, and the address of it."""
    async with serve_there(handler, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@contextlib.asynccontextmanager
async def answering(answer):
    """Something that answers what comes with these bytes; with None, never."""

    async def client(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


def test_messages_come_back_as_they_went(new_loop):
    async def main():
        async with served(max_size=None) as uri, connect(uri, max_size=None) as connection:
            for message in ("a€", b"\xff", "", b"", "a" * 100_000, bytes(3 << 20), bytearray(b"a")):
                await connection.send(message)
                assert await connection.recv() == message
            await connection.send("text", text=False)
            assert await connection.recv() == b"text"
            await connection.send(b"bytes", text=True)
            assert await connection.recv(decode=False) == b"bytes"
            await connection.send(b"bytes")
            assert await connection.recv(decode=True) == "bytes"
            assert await (await connection.ping()) > 0
        assert (connection.close_code, connection.close_reason) == (1000, "")
        with pytest.raises(ConnectionClosedOK) as caught:
            await connection.recv()
        assert caught.value.rcvd_then_sent is False

    run_in(new_loop, main)


def test_messages_in_pieces(new_loop):
    async def main():
        async def pieces(*which):
            for piece in which:
                await asyncio.sleep(0.01)
                yield piece

        async with served() as uri, connect(uri) as connection:
            await connection.send(["a", "", "b"])
            assert await connection.recv() == "ab"
            await connection.send([])
            await connection.send(pieces())
            first = asyncio.create_task(connection.send(pieces(b"c", memoryview(b"d"), bytearray(b"e"))))
            await asyncio.sleep(0.02)
            await connection.ping()
            await connection.send("after it")
            await first
            assert [await connection.recv(), await connection.recv()] == [b"cde", "after it"]
            with pytest.raises(TypeError):
                await connection.send(["a", b"b"])
            with pytest.raises(ConnectionClosedError) as caught:
                await connection.recv()
            assert caught.value.sent.code == 1011

    run_in(new_loop, main)


def test_what_is_asked_for(new_loop):
    async def main():
        async def handler(connection):
            request = connection.request
            names = ("Origin", "X-Me", "User-Agent", "Authorization")
            await connection.send([f"{request.path} ", *(f"{request.headers.get(name)} " for name in names)])

        async with served(handler, subprotocols=["b"], origins=["https://a.example"]) as uri:
            options = {"additional_headers": {"X-Me": "you"}, "subprotocols": ["a", "b"]}
            place = uri.replace("ws://", "ws://me:secret@")
            agent = {"user_agent_header": "mine/1"}
            async with connect(f"{place}/a?b", origin="https://a.example", **options, **agent) as connection:
                assert await connection.recv() == "/a?b https://a.example you mine/1 Basic bWU6c2VjcmV0 "
                assert connection.subprotocol == "b"
                assert connection.remote_address == ("127.0.0.1", int(uri.rpartition(":")[2]))
                assert connection.response.status_code == 101
                assert connection.response.headers["Upgrade"].lower() == "websocket"
                assert connection.request.path == "/a?b"

    run_in(new_loop, main)


def test_who_is_refused_is_told_why(new_loop):
    async def main():
        async with served(process_request=basic_auth("here", ("a", "b"))) as uri:
            with pytest.raises(InvalidStatus) as caught:
                await connect(uri)
            assert caught.value.response.status_code == 401
            assert "here" in caught.value.response.headers["WWW-Authenticate"]
            assert caught.value.response.body

    run_in(new_loop, main)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", InvalidMessage),
        (b"nonsense\r\n\r\n", InvalidHandshake),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", InvalidHandshake),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", InvalidStatus),
        (None, TimeoutError),
    ],
)
def test_servers_that_are_none(new_loop, answer, error):
    async def main():
        async with answering(answer) as uri:
            with pytest.raises(error) as caught:
                await connect(uri, open_timeout=0.2)
            assert str(caught.value)

    run_in(new_loop, main)


def test_nobody_is_there(new_loop):
    async def main():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            with pytest.raises(ConnectionError):
                await connect(f"ws://127.0.0.1:{free.getsockname()[1]}")
        for wrong in ("http://a", "ws://", "ws://a:99999", "ws://a/#b"):
            with pytest.raises(InvalidURI):
                connect(wrong)
        with pytest.raises(NotImplementedError):
            connect("wss://localhost", ssl=object())
        with pytest.raises(NotImplementedError):
            connect("ws://localhost", proxy="http://proxy.example")

    run_in(new_loop, main)


def test_it_goes_where_it_is_told(new_loop, tmp_path):
    async def main():
        async with served() as uri:
            port = int(uri.rpartition(":")[2])
            sock = socket.create_connection(("127.0.0.1", port))
            for options in ({"host": "127.0.0.1", "port": port}, {"sock": sock}):
                async with connect("ws://example.com/", **options) as connection:
                    await connection.send("here")
                    assert await connection.recv() == "here"
        path = str(tmp_path / "socket")
        async with unix_serve_there(echo, path), unix_connect(path) as connection:
            await connection.send("here")
            assert await connection.recv() == "here"

    run_in(new_loop, main)


def test_tls(new_loop):
    async def main():
        async def handler(connection):
            assert connection.remote_address[0] == "127.0.0.1"
            async for message in connection:
                await connection.send(message)

        async with serving(handler, ssl=(CHAIN, KEY)) as (server, uri):
            place = uri.replace("ws://127.0.0.1", "wss://localhost")
            with pytest.raises(InvalidHandshake, match="nobody who is trusted"):
                await connect(place, host="127.0.0.1")
            async with connect(place, host="127.0.0.1", ssl=AUTHORITY) as connection:
                await connection.send("secret")
                assert await connection.recv() == "secret"
                server.close()
                with pytest.raises(ConnectionClosedOK) as ended:
                    await connection.recv()
                assert ended.value.rcvd.code == 1001

    run_in(new_loop, main)


def test_redirects(new_loop):
    async def main():
        async with served() as uri:
            found = b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"
            async with answering(found % uri.encode()) as elsewhere, connect(elsewhere) as connection:
                await connection.send("here")
                assert await connection.recv() == "here"
        async with answering(found % b"/again") as uri:
            with pytest.raises(SecurityError):
                await connect(uri)

    run_in(new_loop, main)


def test_it_comes_back(new_loop):
    async def main():
        visits = []

        async def handler(connection):
            visits.append(connection)
            await connection.send(str(len(visits)))
            await connection.close(1012 if len(visits) < 3 else 1000)

        async with served(handler) as uri:
            received = []
            async for connection in connect(uri, reconnect_delays=lambda: iter([0.01] * 100)):
                try:
                    while True:
                        received.append(await connection.recv())
                except ConnectionClosedOK:
                    break
                except ConnectionClosed:
                    continue
            assert received == ["1", "2", "3"]
            await connection.wait_closed()

    run_in(new_loop, main)


def test_it_tries_again_until_somebody_is_there(new_loop):
    async def main():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]

        waited = []

        def delays():
            while True:
                waited.append(0.05)
                yield 0.05

        async def come():
            await asyncio.sleep(0.2)
            return await serve_there(echo, "127.0.0.1", port)

        coming = asyncio.create_task(come())
        async for connection in connect(f"ws://127.0.0.1:{port}", reconnect_delays=delays):
            await connection.send("at last")
            assert await connection.recv() == "at last"
            break
        await connection.close()
        server = await coming
        server.close()
        await server.wait_closed()
        assert waited
        async with answering(b"HTTP/1.1 403 Forbidden\r\n\r\n") as uri:
            with pytest.raises(InvalidStatus):
                async for _ in connect(uri, reconnect_delays=delays):
                    pass

    run_in(new_loop, main)


def test_what_the_application_raises_is_not_tried_again(new_loop):
    async def fail(uri):
        async for _ in connect(uri):
            raise ConnectionError("mine")

    async def main():
        async with served() as uri:
            with pytest.raises(ConnectionError, match="mine"):
                await fail(uri)

    run_in(new_loop, main)


def test_cancelling_recv_loses_nothing(new_loop):
    async def main():
        async def handler(connection):
            for number in range(200):
                await connection.send(str(number))
                await asyncio.sleep(0.001)

        async with served(handler) as uri, connect(uri) as connection:
            received = []
            while len(received) < 200:
                task = asyncio.ensure_future(connection.recv())
                await asyncio.sleep(0.0015)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    received.append(await task)
            assert received == list(map(str, range(200)))

    run_in(new_loop, main)


def test_cancelling_send_and_connect_and_close(new_loop):
    async def main():
        go, received = asyncio.Event(), []

        async def handler(connection):
            await go.wait()
            async for message in connection:
                received.append(len(message))

        async def cancelled(coroutine):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(coroutine, 0.3)

        async with served(handler, max_size=None, max_queue=1) as uri:
            async with connect(uri, compression=None) as connection:
                sent = 0

                async def flood():
                    nonlocal sent
                    while True:
                        await connection.send(bytes(1 << 20))
                        sent += 1

                await cancelled(flood())
                go.set()
                await connection.send(b"alive")
            assert received == [1 << 20] * sent + [5]

            go.clear()
            received.clear()
            connection = await connect(uri, close_timeout=0.5)

            async def half():
                yield "half"
                await asyncio.sleep(PATIENCE_S)

            await cancelled(connection.send(half()))
            with pytest.raises(ConnectionClosedError):
                await connection.recv()
            go.set()

        async with answering(None) as uri:
            await cancelled(_opened(connect(uri)))

    run_in(new_loop, main)


async def _opened(attempt):
    await attempt


def test_one_task_at_a_time_receives(new_loop):
    async def main():
        async with serving() as (_, uri), connect(uri) as connection:
            task = asyncio.create_task(connection.recv())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="another coroutine"):
                await connection.recv()
            await connection.ping("same")
            with pytest.raises(RuntimeError, match="same data"):
                await connection.ping("same")
            await connection.send("for the first")
            assert await task == "for the first"

    run_in(new_loop, main)


def test_a_ping_whose_connection_ends_raises(new_loop):
    async def main():
        async def handler(connection):
            connection.transport.pause_reading()
            await asyncio.sleep(0.1)
            connection.transport.abort()

        async with served(handler) as uri:
            connection = await connect(uri)
            await asyncio.sleep(0.02)
            pong = await connection.ping()
            with pytest.raises(ConnectionClosedError):
                await pong
            await connection.wait_closed()

    run_in(new_loop, main)


def test_a_server_that_does_not_answer_close_has_its_time(new_loop):
    async def main():
        async def handler(connection):
            connection.transport.pause_reading()
            await asyncio.sleep(1)
            connection.transport.abort()

        async with served(handler) as uri:
            connection = await connect(uri, close_timeout=0.2)
            await asyncio.sleep(0.02)
            began = asyncio.get_running_loop().time()
            await connection.close()
            assert asyncio.get_running_loop().time() - began < 0.8
            with pytest.raises(ConnectionClosedError) as caught:
                await connection.recv()
            assert caught.value.sent == (1000, "")
            assert isinstance(caught.value.__cause__, TimeoutError)

    run_in(new_loop, main)
