"""A client: handlers for what a server does, on a hub."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Callable, NamedTuple, overload

from wsframe._application import Application, Handler, Loop, Timer
from wsframe._arguments import Buffer
from wsframe.connection import Config, Event, EventKind
from wsframe.errors import UsageError
from wsframe.hub import Hub
from wsframe.peer import Peer

if TYPE_CHECKING:
    from typing_extensions import Unpack

_OWN = ("ask", "manual_pong", "pieces", "start_open")


class Reconnect(NamedTuple):
    """
    How a Client tries again. Before the n-th attempt it waits a random part of first_ms * 2**n.

    So many clients that have lost the same server do not come back in the same moment.
    """

    first_ms: int = 1000
    most_ms: int = 60_000
    """It never waits for longer."""
    held_ms: int = 60_000
    """After a connection that held for so long it begins anew with first_ms."""


class NotConnected(ConnectionError):
    """A client did not get to its server, or was refused there."""

    status: int
    """The HTTP status with which the server refused; 0 if it did not."""
    answer: bytes
    """What it has answered, head and the start of the content; b"" if there was none."""

    def __init__(self, sentence: str, status: int = 0, answer: bytes = b"") -> None:
        super().__init__(sentence)
        self.status, self.answer = status, answer


class Client(Application):
    """
    A WebSocket client: handlers for what its server does, and one call that lets it.

        client = Client("wss://example.com/feed", reconnect=True)

        @client.on("message")
        def message(client, message):
            print(message)

        client.run()

    Handlers run in the thread of run(), one at a time. A handler that fails ends the connection, with 1011.
    """

    __slots__ = {
        "__weakref__": None,
        "_address": None,
        "_attempts": None,
        "_config": None,
        "_fields": None,
        "_is_closed": None,
        "_opened": None,
        "_peer": None,
        "_reconnect": None,
        "_retry": None,
        "url": "Where it goes.",
    }

    _NAMES = ("open", "message", "close", "drain", "error")

    url: str

    def __init__(
        self,
        url: str,
        *,
        address: str | None = None,
        fields: Iterable[tuple[str, str]] = (),
        reconnect: bool | Reconnect = False,
        loop: Application | None = None,
        **config: Unpack[Config],
    ) -> None:
        """
        Makes a client, which connects with run(). url, address and fields are as for Hub.connect().

        reconnect: whether it tries again when it did not get there, or the connection has ended without
          close(); a Reconnect says how.
        loop: a Server or another Client, in whose loop this one lives and connects at once: their run() is
          for all of them.
        config: as for Connection.client(), of which manual_pong, pieces and start_open are for who uses a
          Hub.

        UsageError: the config has one of these.
        """
        for name in _OWN:
            if name in config:
                raise UsageError(f"a Client has no {name} in its config: use a Hub")
        super().__init__(Loop(Hub()) if loop is None else loop._loop)
        self.url, self._address, self._fields, self._config = url, address, list(fields), config
        self._reconnect = (Reconnect() if reconnect else None) if isinstance(reconnect, bool) else reconnect
        self._peer: Peer | None = None
        self._retry: Timer | None = None
        self._attempts, self._opened, self._is_closed = 0, 0.0, False
        if loop is not None:
            self._connect()

    @overload
    def on(self, name: str) -> Callable[[Handler], Handler]: ...

    @overload
    def on(self, name: str, handler: Handler) -> Handler: ...

    def on(self, name: str, handler: Callable[..., object] | None = None) -> Callable[..., object]:
        """
        Says what to call when something happens: client.on("message", function), or as a decorator.

        "open": (client), it is let in.
        "message": (client, message), a str for text, bytes for binary.
        "close": (client, code, reason), the connection has ended; once for each "open". code is 1006 if it
          just went away.
        "drain": (client), there was no room for a message, as the server did not read, and now there is.
        "error": (exception, client), it did not get there, which is a NotConnected, or a handler has raised
          an exception, or a function of a timer or a descriptor. Without a handler it is logged, by the
          logger "wsframe".

        Another handler for the same replaces the first. Returns the handler. UsageError: there is no such
        name.
        """
        return super().on(name) if handler is None else super().on(name, handler)

    def trust(self, certificates: str | bytes) -> None:
        """Trusts these certificates, in PEM, beside those that the system trusts; see Hub.trust()."""
        self._loop.hub.trust(certificates)

    def run(self) -> None:
        """
        Connects, and lets handlers be called until the connection has ended and is not to be made again.

        So it is after close(), and after an end without reconnect. Signals are as for Server.run().

        UsageError: the URL, the address, a field or the config is wrong; as Hub.poll().
        """
        if self._peer is None and self._retry is None:
            self._is_closed = False
            self._connect()
        super().run()

    def send(
        self, message: str | Buffer, kind: int | None = None, compress: bool | None = None, more: bool = False
    ) -> bool:
        """
        Sends a message: text if it is a str, binary if it is bytes.

        Arguments and UsageError are as for Hub.send(). Returns whether it is sent: it is not if there is no
        connection that is open, or the server does not read what was sent before.
        """
        return self._peer is not None and self._peer.send(message, kind, compress, more)

    def close(self, code: int = 1000, reason: str = "") -> bool:
        """
        Closes the connection, after what was sent, and makes no other.

        Returns whether it was open. UsageError: the code may not be sent, or the reason is longer than 123
        bytes of UTF-8.
        """
        self._is_closed = True
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        peer = self._peer
        if peer is None:
            return False
        if not peer._is_told:
            peer.terminate()  # it is on its way there
            return False
        return peer.close(code, reason)

    @property
    def is_open(self) -> bool:
        """Whether messages go both ways."""
        return self._peer is not None and self._peer.is_open

    @property
    def peer(self) -> Peer | None:
        """Who is at the other end; None while there is no connection."""
        return self._peer

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    def _of_messages(self, _handler: Callable[..., object]) -> Callable[..., object]:
        return _to_client

    def _is_over(self) -> bool:
        return self._peer is None and self._retry is None

    def _connect(self) -> None:
        self._retry = None
        hub = self._loop.hub
        number = hub.connect(self.url, address=self._address, fields=self._fields, **self._config)
        self._peer = self._loop.peers[number] = Peer(self, hub, number)

    def _met(self, peer: Peer | None, event: Event) -> None:
        if peer is None:
            return
        kind = event.kind
        if kind is EventKind.OPEN:
            peer._is_told = True
            self._opened = time.monotonic()
            self._call("open", peer)
        elif kind is EventKind.CLOSE:
            peer._reason = event.data.decode("utf-8", "surrogateescape")
        elif kind is EventKind.DRAIN:
            self._call("drain", peer)
        elif kind is EventKind.ERROR and not peer._is_told:
            peer._reason = self._why(peer.id)
            self._failed(NotConnected(peer._reason, event.close_code, event.data), peer)
        elif kind is EventKind.GONE:
            self._ended(peer, event)

    def _ended(self, peer: Peer, event: Event) -> None:
        """The connection is gone, or did not come about."""
        why = self._why(event.connection)
        del self._loop.peers[event.connection]
        self._peer = None
        reconnect = None if self._is_closed or self._loop.is_stopping else self._reconnect
        if reconnect is not None:
            if peer._is_told and (time.monotonic() - self._opened) * 1000 >= reconnect.held_ms:
                self._attempts = 0
            most = min(reconnect.first_ms * 2**self._attempts, reconnect.most_ms)
            self._attempts = min(self._attempts + 1, 32)
            self._retry = self.after(random.randrange(most + 1), self._try_again)
        if peer._is_told:
            self._call("close", peer, event.close_code, peer._reason)
        elif not peer._reason and not self._is_closed:
            self._failed(NotConnected(why), peer)

    def _try_again(self) -> None:
        if not self._is_closed and not self._loop.is_stopping:
            self._connect()
        else:
            self._retry = None

    def _why(self, number: int) -> str:
        connection = self._loop.hub.connection(number)
        return (connection and connection.error) or "the server hung up before it had answered"

    def _call(self, name: str, peer: Peer, *arguments: object) -> None:
        handler = self._handlers.get(name)
        if handler is None:
            return
        try:
            handler(self, *arguments)
        except BaseException as error:
            self._fail_peer(error, peer)

    def _failed(self, error: BaseException, peer: object) -> None:
        super()._failed(error, None if peer is None else self)


def _to_client(peer: Peer, message: str | bytes) -> None:
    """Calls the client's handler. It is no method, so that a client does not hold itself."""
    client = peer._owner
    client._handlers["message"](client, message)
