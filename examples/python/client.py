"""A WebSocket client on libwsframe, with a plain blocking socket.

    python3 examples/python/client.py ws://127.0.0.1:8002/xxoo Hello world

sends each word as a message, prints each message that comes back, and closes. Without words it sends back all that it
gets until the server closes. Messages are compressed if the server agrees; with --no-context-takeover before the
address each on its own.
"""

from __future__ import annotations

import socket
import sys
import time
from urllib.parse import urlsplit

from wsframe import Connection, EventKind, State


class Client:
    def __init__(self, url: str, words: list[str], no_context_takeover: bool) -> None:
        self._words = words
        self._returned = 0
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port or 80))
        self._connection = Connection.client(
            deflate=True,
            client_no_context_takeover=no_context_takeover,
            client_max_window_bits=15,  # the most there is, of which the server may want less
        )
        self._connection.request(parts.netloc, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))

    def run(self) -> int:
        """Talks until the connection is closed, and returns 0 if that went well."""
        wait = self._flush()
        while wait != 0:
            self._socket.settimeout(wait / 1000 if wait else None)
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                data = None
            if data == b"":
                break
            for event in self._connection.receive(data) if data else ():
                self._take(event)
            wait = self._flush()
        self._socket.close()
        if self._connection.error:
            print(self._connection.error, file=sys.stderr)
        return 0 if self._connection.state == State.CLOSED else 1

    def _flush(self) -> int | None:
        self._socket.settimeout(None)
        self._send()
        wait = self._connection.tick(time.monotonic_ns() // 1_000_000)
        self._send()
        return wait

    def _send(self) -> None:
        output = self._connection.output()
        self._socket.sendall(output)
        self._connection.sent(len(output))

    def _take(self, event) -> None:
        if event.kind == EventKind.OPEN:
            for word in self._words:
                self._connection.send(word)
        elif event.kind in (EventKind.TEXT, EventKind.BINARY):
            self._take_message(event.text if event.kind == EventKind.TEXT else event.data)

    def _take_message(self, message: str | bytes) -> None:
        if not self._words:
            self._connection.send(message)
            return
        print(message)
        self._returned += 1
        if self._returned == len(self._words):
            self._connection.close()


if __name__ == "__main__":
    has_option = sys.argv[1] == "--no-context-takeover"
    url, *words = sys.argv[2 if has_option else 1 :]
    sys.exit(Client(url, words, has_option).run())
