"""The echo server of the README of the Python binding, on uvloop. Prints its port, and serves until SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import time

import uvloop
from wsframe import Connection, EventKind

MESSAGES = (EventKind.TEXT, EventKind.BINARY)


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # TCP_NODELAY is set
        self.transport, self.connection, self.is_full = transport, Connection.server(), False

    def data_received(self, data: bytes) -> None:
        connection = self.connection
        for event in connection.receive(data):
            if event.kind in MESSAGES:
                connection.send(event.data, event.kind)
        if not self.is_full and (output := connection.take(time.monotonic_ns() // 1_000_000)):
            self.transport.write(output)
        if connection.wait_ms == 0:
            self.transport.close()

    def pause_writing(self) -> None:
        self.is_full = True
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.is_full = False
        self.transport.resume_reading()
        self.data_received(b"")

    def connection_lost(self, error: Exception | None) -> None:
        self.connection.free()


async def main() -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stopped.wait()


uvloop.run(main())
