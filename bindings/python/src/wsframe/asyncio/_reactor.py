"""One hub for an event loop: it is polled when its descriptor can be read from, or something was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from wsframe.connection import EventKind
from wsframe.hub import Hub

if TYPE_CHECKING:
    from typing import Callable

    from wsframe.connection import Event


class Member(Protocol):
    """A connection, as the reactor sees it."""

    def took(self, event: Event) -> None:
        """Takes a message."""

    def met(self, event: Event) -> None:
        """Takes what else has happened, without running code of the application that may wait."""


class Reactor:
    """
    The hub of an event loop, and who has the connections there.

    It lives while there are connections or servers that hold it, so that nothing is left over when the loop
    ends.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, trust: str | bytes | None = None) -> None:
        self.loop, self.hub, self._trust = loop, Hub(), trust
        if trust is not None:
            self.hub.trust(trust)
        self.let_in: Callable[[int], Member] | None = None  # makes those that the hub has accepted itself
        self.members: dict[int, Member] = {}
        self._held = 0
        self._is_due = self._is_turning = self._is_over = False
        loop.add_reader(self.hub.fileno(), self.turn)

    @staticmethod
    def of_running_loop(trust: str | bytes | None = None) -> Reactor:
        """Returns the one of the loop that runs, for those who trust the same certificates."""
        loop = asyncio.get_running_loop()
        for other in [each for each in _reactors if each[0].is_closed()]:
            _reactors.pop(other).hub.free()
        reactor = _reactors.get((loop, trust))
        if reactor is None:
            reactor = _reactors[loop, trust] = Reactor(loop, trust)
        return reactor

    def address(self, number: int) -> Any:
        """Where the peer of a connection is, as sockets of Python say it."""
        text = self.hub.address(number)
        if text is None:
            return None
        if text.startswith("unix:"):
            return text[len("unix:") :]
        host, _, port = text.rpartition(":")
        return (host[1:-1], int(port), 0, 0) if host.startswith("[") else (host, int(port))

    def hold(self) -> None:
        """Keeps the hub, until as many calls of release()."""
        self._held += 1

    def release(self) -> None:
        """Ends the hub with the last who needs it."""
        self._held -= 1
        if not self._held:
            self.loop.call_soon(self._end)

    def join(self, number: int, member: Member) -> None:
        """Lets a connection have its events, until GONE, after which leave() is to be called."""
        self.members[number] = member
        self.hold()

    def leave(self, number: int) -> None:
        """The connection is gone."""
        del self.members[number]
        self.release()

    def turn_soon(self) -> None:
        """Lets what was sent be written as soon as those have run whose turn it is in the loop."""
        if not self._is_due:
            self._is_due = True
            self.loop.call_soon(self._due)

    def turn(self) -> None:
        """Writes what was sent, and tells the connections what has happened; later, if it is at it."""
        if self._is_turning:
            self.turn_soon()
            return
        self._is_turning = True
        try:
            self.tell(self.hub.poll(0))
        finally:
            self._is_turning = False

    def tell(self, events: Iterable[Event]) -> None:
        """Tells the connections what has happened."""
        members = self.members
        for event in events:
            member = members.get(event.connection)
            try:
                if member is not None and (event.kind is _TEXT or event.kind is _BINARY):
                    member.took(event)
                    continue
                if member is None and self.let_in is not None and event.kind is not EventKind.GONE:
                    member = self.let_in(event.connection)
                if member is not None:
                    member.met(event)
            except Exception as error:  # of a subclass of the application: the others have their events
                message = f"what happened to {member!r} was not taken"
                self.loop.call_exception_handler({"message": message, "exception": error})

    def _due(self) -> None:
        self._is_due = False
        if not self._is_over:
            self.turn()

    def _end(self) -> None:
        if self._held or self._is_over:
            return
        self._is_over = True
        self.loop.remove_reader(self.hub.fileno())
        self.hub.free()
        if _reactors.get((self.loop, self._trust)) is self:
            del _reactors[self.loop, self._trust]


_TEXT, _BINARY = EventKind.TEXT, EventKind.BINARY

_reactors: dict[tuple[asyncio.AbstractEventLoop, str | bytes | None], Reactor] = {}
