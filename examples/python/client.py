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

from wsframe import Connection, Event, EventKind, State

MESSAGES = (EventKind.TEXT, EventKind.BINARY)


class Client:
    def __init__(self, url: str, words: list[str], no_context_takeover: bool) -> None:
        self._words = words
        self._returned = 0
        parts = urlsplit(url)
        if parts.scheme != "ws" or not parts.hostname:
            sys.exit(f"{url} is not an address that this client can connect to, such as ws://127.0.0.1:8002/xxoo")
        self._socket = socket.create_connection((parts.hostname, parts.port or 80))
        self._connection = Connection.client(
            deflate=True,
            client_no_context_takeover=no_context_takeover,
            client_max_window_bits=15,  # the most there is, of which the server may want less
            max_inflated_len=16 << 20,
            high_water_len=17 << 20,
        )
        # Without the user and the secret that an address may have.
        host = parts.netloc.rpartition("@")[2]
        self._connection.request(host, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))

    def run(self) -> int:
        """Talks until the connection is closed, and returns 0 if that went well."""
        with self._socket, self._connection as connection:
            self._end_turn()
            while connection.wait_ms != 0:
                self._socket.settimeout(None if connection.wait_ms is None else connection.wait_ms / 1000)
                try:
                    data = self._socket.recv(65536)
                except TimeoutError:
                    data = None
                except OSError as error:
                    print(error, file=sys.stderr)
                    break
                if data == b"":
                    break
                for event in connection.receive(data) if data else ():
                    self._take(event)
                self._end_turn()
            was_open = connection.state is State.OPEN
            for event in connection.gone():
                if connection.error:
                    print(connection.error, file=sys.stderr)
                elif event.close_code == 1006:
                    when = "without a close frame" if was_open else "before it answered the opening handshake"
                    print(f"the server closed the connection {when}", file=sys.stderr)
            return 0 if connection.state is State.CLOSED else 1

    def _end_turn(self) -> None:
        output = self._connection.take(time.monotonic_ns() // 1_000_000)
        self._socket.settimeout(None)
        self._socket.sendall(output)

    def _take(self, event: Event) -> None:
        if event.kind is EventKind.OPEN:
            for word in self._words:
                self._connection.send(word)
        elif event.kind in MESSAGES and self._words:
            print(event.text if event.kind is EventKind.TEXT else event.data)
            self._returned += 1
            if self._returned == len(self._words):
                self._connection.close()
        elif event.kind in MESSAGES:
            self._connection.send(event.data, event.kind)


if __name__ == "__main__":
    has_option = sys.argv[1] == "--no-context-takeover"
    url, *words = sys.argv[2 if has_option else 1 :]
    try:
        sys.exit(Client(url, words, has_option).run())
    except OSError as error:
        sys.exit(str(error))
