"""A server: handlers for what clients do, on a hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, overload

from wsframe._application import Application, Handler, Loop
from wsframe._arguments import Buffer
from wsframe.connection import Config, Event, EventKind
from wsframe.errors import ErrorCode, UsageError
from wsframe.hub import Hub
from wsframe.peer import Peer

if TYPE_CHECKING:
    from typing_extensions import Unpack

_OWN = ("ask", "manual_pong", "pieces", "start_open")
"""What the config of a server does not have: it decides that itself, or its handlers would not see it."""
_UPGRADE_REQUIRED = 426


class Server(Application):
    """
    A WebSocket server: handlers for what clients do, and one call that serves them.

        server = Server()

        @server.on("message")
        def echo(peer, message):
            peer.send(message)

        server.listen("127.0.0.1:8080")
        server.run()

    A handler that fails ends the connection that it was called for, with 1011, and no other. Handlers run in
    the thread of run(), one at a time: while one works, or waits, no one is served.
    """

    __slots__ = {"__weakref__": None, "_config": None, "_is_listening": None}

    _NAMES = ("open", "message", "close", "drain", "request", "error")

    def __init__(
        self,
        max_connections: int = 0,
        *,
        max_per_address: int = 0,
        max_memory: int = 0,
        **config: Unpack[Config],
    ) -> None:
        """
        Makes a server; its limits are those of a Hub.

        config is that of the connections; see Config, of which ask, manual_pong, pieces and start_open are
        for who uses a Hub.

        UsageError: the config has one of these; errors of Hub().
        """
        for name in _OWN:
            if name in config:
                raise UsageError(f"a Server has no {name} in its config: use a Hub")
        hub = Hub(max_connections, max_per_address=max_per_address, max_memory=max_memory)
        super().__init__(Loop(hub))
        self._loop.let_in(self)
        self._config, self._is_listening = config, False

    @overload
    def on(self, name: str) -> Callable[[Handler], Handler]: ...

    @overload
    def on(self, name: str, handler: Handler) -> Handler: ...

    def on(self, name: str, handler: Callable[..., object] | None = None) -> Callable[..., object]:
        """
        Says what to call when something happens: server.on("message", function), or as a decorator.

        "open": (peer), it is let in.
        "message": (peer, message), a str for text, bytes for binary.
        "close": (peer, code, reason), it is gone; once for each that was let in. code is 1006 if it just
          went away.
        "drain": (peer), there was no room for a message, as it did not read, and now there is.
        "request": (peer), a client asks to be let in, or for a page; before listen() only. The handler looks
          at peer.target and peer.field(), and calls peer.accept() or peer.respond(). If it does neither, the
          client is let in; who asks for a page is answered with 426.
        "error": (exception, peer), a handler has raised an exception, or a function of a timer or a
          descriptor, without a peer. Without a handler it is logged, by the logger "wsframe".

        Another handler for the same replaces the first. Returns the handler. UsageError: there is no such
        name, or the server listens already.
        """
        if name == "request" and self._is_listening:
            raise UsageError('a handler of "request" is to be there before listen()', ErrorCode.STATE)
        return super().on(name) if handler is None else super().on(name, handler)

    def listen(
        self,
        address: str,
        *,
        reuse_port: bool = False,
        proxy: bool = False,
        drop_slow: bool = False,
        certificate: tuple[str | bytes, str | bytes] | None = None,
    ) -> int:
        """
        Listens at an address, and returns the port; all is as for Hub.listen().

        With a certificate, its chain and its key in PEM, TLS is spoken there: see set_certificate().
        """
        config: Config = {**self._config, "ask": "request" in self._handlers}
        port = self._loop.hub.listen(
            address, reuse_port=reuse_port, proxy=proxy, drop_slow=drop_slow, **config
        )
        self._is_listening = True
        if certificate is not None:
            self.set_certificate(port, *certificate)
        return port

    def set_certificate(self, port: int, chain: str | bytes, key: str | bytes) -> None:
        """Speaks TLS at a port, or changes its certificate for newcomers; see Hub.set_certificate()."""
        self._loop.hub.set_certificate(port, chain, key)

    def publish(self, topic: str, message: str | Buffer, kind: int | None = None) -> int:
        """Sends a message to all who have subscribed to a topic, "" for all; see Hub.publish()."""
        return self._loop.hub.publish(topic, message, kind)

    def run(self) -> None:
        """
        Serves until stop(), SIGTERM or SIGINT, which is Ctrl-C, and then until all connections are closed.

        In the main thread it handles these signals meanwhile, and puts the former handlers back: all clients
        are told 1001 and have 5 seconds, or none after a second signal. SIGINT raises KeyboardInterrupt in
        the end, and what a handler has raised that is no Exception, such as SystemExit, comes then, too.

        UsageError: as Hub.poll().
        """
        super().run()

    def _met(self, peer: Peer | None, event: Event) -> None:
        number, kind = event.connection, event.kind
        if kind is EventKind.REQUEST or kind is EventKind.HTTP or kind is EventKind.OPEN:
            if peer is None:
                hub = self._loop.hub
                peer = self._loop.peers[number] = Peer(self, hub, number)
                connection = hub.connection(number)
                peer.target = (connection and connection.target) or ""
            if kind is EventKind.OPEN:
                peer._is_told = True
                self._call("open", peer)
            else:
                self._ask(peer, kind)
        elif peer is None:
            pass  # it was refused
        elif kind is EventKind.CLOSE:
            peer._reason = event.data.decode("utf-8", "surrogateescape")
        elif kind is EventKind.DRAIN:
            self._call("drain", peer)
        elif kind is EventKind.GONE:
            del self._loop.peers[number]
            if peer._is_told:
                self._call("close", peer, event.close_code, peer._reason)

    def _ask(self, peer: Peer, kind: EventKind) -> None:
        """Lets the application decide about a request."""
        peer._asks = kind
        self._call("request", peer)
        if peer._asks is EventKind.REQUEST:
            peer.accept()
        elif peer._asks is EventKind.HTTP:
            peer.respond(_UPGRADE_REQUIRED)
        accepted, peer._accepted = peer._accepted, ()
        self._loop.serve(accepted)
