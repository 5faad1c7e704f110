"""Who is at the other end of a connection of a Server or a Client."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from wsframe._arguments import Buffer
from wsframe.connection import Connection, Event, EventKind, State
from wsframe.errors import ErrorCode, UsageError

if TYPE_CHECKING:
    from typing import Callable, Protocol

    from wsframe.hub import Hub

    class Owner(Protocol):
        """Whose handlers hear of a peer."""

        _handlers: dict[str, Callable[..., object]]
        _message: Callable[..., object] | None

        def _met(self, peer: Peer | None, event: Event) -> None: ...

        def _fail_peer(self, error: BaseException, peer: Peer) -> None: ...


class Peer:
    """
    Who is at the other end of a connection: a client, as the handlers of a Server see it.

    Nothing that it does makes a call fail: on who is gone they return False or None. A peer may be kept; that
    it is gone shows in is_open.
    """

    __slots__ = {
        "__weakref__": None,
        "_accepted": None,
        "_asks": None,
        "_hub": None,
        "_is_told": None,
        "_owner": None,
        "_reason": None,
        "data": "What the application likes to keep with it; None at first.",
        "id": "The id of its connection in the Hub. No other peer of the server has had or will have it.",
        "target": 'The path and query of its request, for instance "/chat?room=1". To be read only.',
    }

    data: Any
    id: int
    target: str

    def __init__(self, owner: Owner, hub: Hub, number: int) -> None:
        self.id, self.data, self.target = number, None, ""
        self._owner, self._hub, self._reason, self._is_told = owner, hub, "", False
        self._asks: EventKind | None = None
        self._accepted: Iterable[Event] = ()

    def send(
        self,
        message: str | Buffer,
        kind: int | None = None,
        compress: bool | None = None,
        more: bool = False,
    ) -> bool:
        """
        Sends a message: text if it is a str, binary if it is bytes.

        Arguments, what is returned and UsageError are as for Hub.send(): False says that the peer is gone or
        leaving, or has so much waiting already that this was dropped.
        """
        return self._hub.send(self.id, message, kind, compress, more)

    def close(self, code: int = 1000, reason: str = "") -> bool:
        """
        Closes the connection, after what was sent. Nothing more can be sent then.

        Returns whether it was open. UsageError: the code may not be sent, or the reason is longer than 123
        bytes of UTF-8.
        """
        connection = self._connection()
        return (
            connection is not None and connection.state == State.OPEN and connection.close(code, reason) > 0
        )

    def terminate(self) -> bool:
        """Ends TCP at once, without a word; see Hub.terminate()."""
        return self._hub.terminate(self.id)

    def pause(self) -> bool:
        """Reads no more from it until resume(); see Hub.pause()."""
        return self._hub.pause(self.id)

    def resume(self) -> bool:
        """Reads on from it; see Hub.resume()."""
        return self._hub.resume(self.id)

    @property
    def address(self) -> str | None:
        """Where it is, for instance "192.0.2.1:50000"; None when it is gone. See Hub.address()."""
        return self._hub.address(self.id)

    def subscribe(self, topic: str) -> bool:
        """Lets it have what is published on a topic, until it ends; see Hub.subscribe()."""
        return self._hub.subscribe(self.id, topic)

    def unsubscribe(self, topic: str) -> bool:
        """The opposite of subscribe()."""
        return self._hub.unsubscribe(self.id, topic)

    def publish(self, topic: str, message: str | Buffer, kind: int | None = None) -> int:
        """Sends a message to all who have subscribed to a topic, but not to this one; see Hub.publish()."""
        return self._hub.publish(topic, message, kind, except_id=self.id)

    @property
    def is_open(self) -> bool:
        """Whether messages go both ways."""
        connection = self._connection()
        return connection is not None and connection.state == State.OPEN

    def field(self, name: str) -> str | None:
        """
        Returns the value of the first field of this name in its request; None if there is none.

        It is there for the handlers of "request" and "open", and None later.
        """
        connection = self._connection()
        return None if connection is None else connection.field(name)

    def accept(self, subprotocol: str | None = None) -> bool:
        """
        Lets the peer in, in a handler of "request".

        subprotocol is one that it offered; without one the config's list decides. Returns whether it is in: a
        client that asks for a page instead, or is gone meanwhile, is not.

        UsageError: it was answered already, or is no request (ErrorCode.STATE), or the subprotocol was not
        offered (ARGUMENT).
        """
        connection = self._answer()
        if connection is None or self._asks is EventKind.HTTP:
            return False
        self._accepted = connection.accept(subprotocol)
        self._asks = None
        return bool(self._accepted)

    def respond(self, status: int, body: Buffer = b"") -> bool:
        """
        Answers the peer's request with an HTTP status from 200 to 599 and a body, in a handler of "request".

        Returns whether it was there. UsageError: it was answered already, or is no request (ErrorCode.STATE),
        or it is another status (ARGUMENT).
        """
        connection = self._answer()
        if connection is None:
            return False
        is_there = connection.respond(status, body) > 0
        self._asks = None
        return is_there

    def add_field(self, name: str, value: str) -> None:
        """Adds a field to the response, before accept() or respond(); see Connection.add_field()."""
        connection = self._answer()
        if connection is not None:
            connection.add_field(name, value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.target}>"

    def _connection(self) -> Connection | None:
        return self._hub.connection(self.id)

    def _answer(self) -> Connection | None:
        """Its connection, if it waits for an answer."""
        if self._asks is None:
            raise UsageError("no request of this peer waits for an answer", ErrorCode.STATE)
        return self._connection()
