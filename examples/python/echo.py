"""An echo server with asyncio: python3 examples/python/echo.py [PORT]"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import ClassVar

from wsframe import Connection, Event, EventKind

MESSAGES = (EventKind.TEXT, EventKind.BINARY)
LINGER_S = 2


class Client(asyncio.Protocol):
    """One TCP connection, and the WebSocket connection on it."""

    all: ClassVar[set[Client]] = set()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.connection = Connection.server()
        self.is_full = self.is_leaving = False
        self.all.add(self)

    def data_received(self, data: bytes) -> None:
        for event in self.connection.receive(data):
            self.take(event)
        self.end_turn()

    def take(self, event: Event) -> None:
        if event.kind in MESSAGES:
            self.connection.send(event.data, event.kind)

    def end_turn(self) -> None:
        """Writes what there is to be written, if the client takes it, and looks at the clock."""
        now_ms = time.monotonic_ns() // 1_000_000
        output = self.connection.output(now_ms, 0, 0) if self.is_full else self.connection.take(now_ms)
        if output:
            self.transport.write(output)
        if self.connection.wait_ms == 0 and not self.is_leaving:
            # Only this side, and the rest when the client has gone: what is on its way to it would be lost.
            self.is_leaving = True
            self.transport.write_eof()
            asyncio.get_running_loop().call_later(LINGER_S, self.transport.abort)

    def pause_writing(self) -> None:
        self.is_full = True
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.is_full = False
        self.transport.resume_reading()
        self.end_turn()

    def connection_lost(self, error: Exception | None) -> None:
        self.all.discard(self)
        self.connection.free()


async def serve(client: type[Client], port: int) -> None:
    server = await asyncio.get_running_loop().create_server(client, "127.0.0.1", port)
    address, port = server.sockets[0].getsockname()
    print(f"ws://{address}:{port}/", flush=True)
    while True:
        await asyncio.sleep(1)
        for each in list(client.all):  # pings, and who had his time
            each.end_turn()


if __name__ == "__main__":
    asyncio.run(serve(Client, int(sys.argv[1]) if sys.argv[1:] else 8080))
