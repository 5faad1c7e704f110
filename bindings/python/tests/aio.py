"""What the tests of wsframe.asyncio share: loops, servers, and peers that misbehave."""

import asyncio
import contextlib
import socket
import struct

from wsframe import Connection, Frame, Opcode
from wsframe.asyncio import serve
from wsframe.asyncio._reactor import _reactors

try:
    import uvloop
except ImportError:  # there is none for every system
    uvloop = None

PATIENCE_S = 20
LOOPS = [asyncio.new_event_loop, *([uvloop.new_event_loop] if uvloop else [])]
LET_IN = (
    b"GET /raw HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def run_in(new_loop, main):
    """Runs a coroutine function in a new loop, in which nothing may be left over, nor be complained about."""
    complaints = []

    async def patiently():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        try:
            return await asyncio.wait_for(main(), PATIENCE_S)
        finally:
            await asyncio.sleep(0.01)  # the hub ends when the loop comes to it
            assert not _reactors

    loop = new_loop()
    try:
        result = loop.run_until_complete(patiently())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
    assert complaints == []
    return result


async def echo(connection):
    async for message in connection:
        await connection.send(message)


@contextlib.asynccontextmanager
async def serving(handler=echo, **options):
    """A server, and the address of it."""
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield server, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Raw:
    """A client that does with its socket what it likes."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, uri, asks=True):
        port = int(uri.rpartition(":")[2])
        raw = cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 16))
        if asks:
            raw.write(LET_IN)
            head = await raw.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")
        return raw

    def write(self, data):
        self.writer.write(data)

    def send(self, payload, opcode=Opcode.FIN | Opcode.TEXT):
        with Connection.client(start_open=True) as masker:
            masker.send(payload, opcode & 0xF)
            self.write(masker.take(0))

    async def frame(self):
        """The next frame: its opcode, and its payload."""
        data = await self.reader.readexactly(2)
        while (header := Frame.parse(data)) is None:
            data += await self.reader.readexactly(1)
        return header.opcode, await self.reader.readexactly(header.payload_len)

    async def closed_with(self):
        """The close code of the server."""
        while True:
            opcode, payload = await self.frame()
            if opcode == Opcode.CLOSE:
                return int.from_bytes(payload[:2], "big")

    def leave(self):
        """Goes without a word."""
        tcp = self.writer.get_extra_info("socket")
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
