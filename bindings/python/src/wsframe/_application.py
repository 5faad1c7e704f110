"""What a Server and a Client share: handlers, and the loop that calls them."""

from __future__ import annotations

import itertools
import logging
import signal
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, TypeVar, overload

from wsframe._arguments import integer
from wsframe.connection import Event, EventKind
from wsframe.errors import UsageError
from wsframe.hub import Hub, WatchFlag
from wsframe.peer import Peer

if TYPE_CHECKING:
    from wsframe.hub import HasFileno

Handler = TypeVar("Handler", bound=Callable[..., object])

_log = logging.getLogger("wsframe")

_INTERNAL_ERROR = 1011  # RFC 6455 section 7.4.1
_INTERNAL_STATUS = 500
_TIME_MAX = 2**32 - 1
_STOP_MS = 5000


class Timer:
    """What after() and every() return."""

    __slots__ = {
        "__weakref__": None,
        "_function": None,
        "_loop": None,
        "_number": None,
        "_owner": None,
        "interval_ms": "After how many milliseconds it is called again; None if it is not.",
    }

    interval_ms: int | None

    def __init__(
        self, owner: Application, function: Callable[[], object], in_ms: int, interval_ms: int | None
    ) -> None:
        self._owner, self._function, self.interval_ms = owner, function, interval_ms
        self._loop = owner._loop
        self._number = self._loop.start(self, integer("in_ms", in_ms, _TIME_MAX - 1))

    def cancel(self) -> None:
        """Does not call the function any more. A second time does nothing."""
        self._loop.cancel(self._number)


class Application:
    """Handlers, by the names of what happens, and the loop that calls them."""

    __slots__ = ("_handlers", "_loop", "_message")

    _NAMES: tuple[str, ...] = ()

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._handlers: dict[str, Callable[..., object]] = {}
        self._message: Callable[..., object] | None = None

    @overload
    def on(self, name: str) -> Callable[[Handler], Handler]: ...

    @overload
    def on(self, name: str, handler: Handler) -> Handler: ...

    def on(self, name: str, handler: Callable[..., object] | None = None) -> Callable[..., object]:
        """Says what to call when something happens."""
        if name not in self._NAMES:
            raise UsageError(f"there is no {name!r}, but {', '.join(self._NAMES)}")

        def take(function: Handler) -> Handler:
            if not callable(function):
                raise TypeError(f"a handler must be callable, not {type(function).__name__}")
            self._handlers[name] = function
            if name == "message":
                self._message = self._of_messages(function)
            return function

        return take if handler is None else take(handler)

    def after(self, in_ms: int, function: Callable[[], object]) -> Timer:
        """
        Calls a function when so many milliseconds are over, once; Timer.cancel() prevents that.

        What it raises goes to the handler of "error", without a peer.
        """
        return Timer(self, function, in_ms, None)

    def every(self, interval_ms: int, function: Callable[[], object]) -> Timer:
        """
        Calls a function after so many milliseconds, and then again and again, until Timer.cancel().

        What it raises goes to the handler of "error", without a peer.
        """
        return Timer(self, function, interval_ms, interval_ms)

    def on_readable(self, fd: int | HasFileno, function: Callable[[], object] | None) -> None:
        """
        Calls a function while something of yours can be read from: a socket, a pipe. None ends that.

        That is to be said before it is closed. What the function raises goes to the handler of "error",
        without a peer, and is no end of it.

        UsageError: the system cannot wait for it, as for a file (ErrorCode.IO).
        """
        self._loop.watch(self, fd, WatchFlag.READ, function)

    def on_writable(self, fd: int | HasFileno, function: Callable[[], object] | None) -> None:
        """Calls a function while something of yours can be written to; all is as for on_readable()."""
        self._loop.watch(self, fd, WatchFlag.WRITE, function)

    def run(self) -> None:
        """Serves until it is over."""
        self._loop.run(self._is_over)

    def stop(self, grace_ms: int = _STOP_MS) -> None:
        """
        Ends run(): nobody is let in any more, and all connections of the loop are closed with 1001.

        Those that have not ended in grace_ms milliseconds are given up. A second call only sets a new time.
        It may be called from handlers, signal handlers and other threads.

        UsageError: grace_ms is out of range.
        """
        self._loop.stop(grace_ms)

    def _of_messages(self, handler: Callable[..., object]) -> Callable[..., object]:
        """What is called with a peer and its message."""
        return handler

    def _is_over(self) -> bool:
        """Whether run() has nothing more to do."""
        return False

    def _failed(self, error: BaseException, peer: object) -> None:
        """Tells of what a handler has raised; or ends the loop, if it meant that."""
        if not isinstance(error, Exception):
            self._loop.interrupt(error)
            return
        handler = self._handlers.get("error")
        if handler is None:
            _log.error("a handler has failed for %r", peer, exc_info=error)
            return
        try:
            handler(error, peer)
        except Exception:
            _log.exception("the handler of errors has failed for %r", peer)

    def _call(self, name: str, peer: Peer, *arguments: object) -> None:
        """Calls a handler if there is one."""
        handler = self._handlers.get(name)
        if handler is None:
            return
        try:
            handler(peer, *arguments)
        except BaseException as error:
            self._fail_peer(error, peer)

    def _fail_peer(self, error: BaseException, peer: Peer) -> None:
        """Ends the connection for which a handler has failed."""
        if peer._asks is not None:
            peer.respond(_INTERNAL_STATUS)
        else:
            peer.close(_INTERNAL_ERROR)
        self._failed(error, peer)

    def _met(self, peer: Peer | None, event: Event) -> None:
        """Deals with what happened to a peer and is no message. None: it was not known before."""
        raise NotImplementedError


class Loop:
    """A hub with those whose connections, timers and descriptors it has, and the calls of their handlers."""

    __slots__ = ("_interrupt", "_newcomers", "_numbers", "_stopping", "_timers", "_watched", "hub", "peers")

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.peers: dict[int, Peer] = {}
        self._newcomers: Callable[[], Application | None] = lambda: None
        self._timers: dict[int, Timer] = {}
        self._numbers = itertools.count(1)
        self._watched: dict[int, dict[WatchFlag, tuple[Application, Callable[[], object]]]] = {}
        self._stopping: tuple[int, ...] = ()
        self._interrupt: BaseException | None = None

    @property
    def is_stopping(self) -> bool:
        """Whether stop() was called."""
        return self._stopping != ()

    def let_in(self, application: Application) -> None:
        """Says whose the connections are that clients make."""
        self._newcomers = weakref.ref(application)  # which has this loop: no circle

    def run(self, is_over: Callable[[], bool]) -> None:
        """Polls until it is over, or was stopped and all connections have ended."""
        hub = self.hub
        told: tuple[int, ...] = ()
        with self._signals():
            while not hub.is_stopped and not is_over():
                # The last ones live until the next have come: malloc would give their memory back to the
                # system, to ask for it again with each batch.
                events = hub.poll()
                self.serve(events)
                if self._stopping is not told:
                    told = self._stopping
                    hub.stop(*told)
        interrupt, self._interrupt = self._interrupt, None
        if interrupt is not None:
            raise interrupt

    def stop(self, grace_ms: int) -> None:
        self._stopping = (integer("grace_ms", grace_ms, _TIME_MAX),)  # another one with each call
        self.hub.wake()

    def interrupt(self, error: BaseException) -> None:
        """Ends the loop in good order, and then raises this."""
        self._interrupt = error
        self.stop(_STOP_MS)

    def serve(self, events: Iterable[Event]) -> None:
        """Calls the handlers for what has happened."""
        peers = self.peers
        for event in events:
            kind = event.kind
            if kind is _TEXT or kind is _BINARY:
                peer = peers[event.connection]
                message = peer._owner._message
                if message is None:
                    continue
                data = event.data
                try:
                    # With skip_utf8 it may be anything, which send() makes the same bytes of again.
                    message(peer, data.decode("utf-8", "surrogateescape") if kind is _TEXT else data)
                except BaseException as error:
                    peer._owner._fail_peer(error, peer)
            elif kind is EventKind.TIMER:
                self._ring(event.connection)
            elif kind is EventKind.READY:
                self._tell(event.connection, event.flags)
            else:
                known = peers.get(event.connection)
                owner = self._newcomers() if known is None else known._owner
                if owner is not None:
                    owner._met(known, event)

    def start(self, timer: Timer, in_ms: int) -> int:
        """Starts a timer, and returns its number."""
        number = next(self._numbers)
        self.hub.timer(number, in_ms)
        self._timers[number] = timer
        return number

    def cancel(self, number: int) -> None:
        if self._timers.pop(number, None) is not None:
            self.hub.timer(number, None)

    def watch(
        self,
        owner: Application,
        fd: int | HasFileno,
        flag: WatchFlag,
        function: Callable[[], object] | None,
    ) -> None:
        number = fd if isinstance(fd, int) else fd.fileno()
        watched = dict(self._watched.get(number, {}))
        if function is None:
            watched.pop(flag, None)
        else:
            watched[flag] = (owner, function)
        self.hub.watch(number, sum(watched))
        self._watched[number] = watched
        if not watched:
            del self._watched[number]

    def _ring(self, number: int) -> None:
        """Calls the function of a timer."""
        timer = self._timers.get(number)
        if timer is None:
            return
        if timer.interval_ms is None:
            del self._timers[number]
        else:
            self.hub.timer(number, timer.interval_ms)
        try:
            timer._function()
        except BaseException as error:
            timer._owner._failed(error, None)

    def _tell(self, fd: int, flags: int) -> None:
        """Calls the functions of a descriptor."""
        for flag in WatchFlag.READ, WatchFlag.WRITE:
            owner, function = self._watched.get(fd, {}).get(flag, (None, None))
            if owner is None or function is None or not flags & flag:
                continue
            try:
                function()
            except BaseException as error:
                owner._failed(error, None)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Lets signals end the loop in good order; in the main thread, as others get none."""
        former: dict[int, Any] = {}

        def end(number: int, _frame: object) -> None:
            if number == signal.SIGINT:
                self._interrupt = KeyboardInterrupt()
            self.stop(0 if is_ending else _STOP_MS)
            is_ending.append(True)

        is_ending: list[bool] = []
        is_main = threading.current_thread() is threading.main_thread()
        try:
            for ours in (signal.SIGTERM, signal.SIGINT) if is_main else ():
                if signal.getsignal(ours) not in (signal.SIG_IGN, None):
                    former[ours] = signal.signal(ours, end)
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


_TEXT, _BINARY = EventKind.TEXT, EventKind.BINARY
