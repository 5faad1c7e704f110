"""The hub: many connections, accepted and made, and the loop that serves them."""

from __future__ import annotations

import enum
import os
import struct
import sys
import threading
import time
from collections.abc import Iterable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, NoReturn

from wsframe import _ffi
from wsframe._arguments import Buffer, integer, text
from wsframe.connection import (
    _CLIENT,
    _ERRORS,
    _HAS_GIL,
    _KINDS,
    _SERVER,
    _SHORT,
    _SHORT_DEFLATE,
    NEVER,
    Config,
    Connection,
    Event,
    EventKind,
    Message,
    State,
    _one_at_a_time,
    _outgoing,
    _payloads,
    _record,
    _say,
)
from wsframe.errors import ErrorCode, UsageError, checked

if TYPE_CHECKING:
    from typing import Protocol

    from typing_extensions import Self, Unpack

    class HasFileno(Protocol):
        """A socket, a file, or whatever else has a descriptor."""

        def fileno(self) -> int:
            """Returns the descriptor."""


_REUSE_PORT, _PROXY, _DROP_SLOW = 1, 2, 4  # WSFRAME_LISTEN_*
_PORT_MAX = 2**16 - 1
_FD_MAX = 2**31 - 1
_STOPPED = 2  # WSFRAME_BATCH_*
_TIME_MAX = 2**32 - 1
_ID_MAX = 2**64 - 1
_IDS_KEPT = 16_384
_SLICE_MS = 500
"""A signal that comes just before a call of C is slept through, but for so long only."""
_EARLY_MS = 5
"""Who returns so much before his time was disturbed."""


class Stats(NamedTuple):
    """What a hub has done so far."""

    connections: int
    """How many connections there are now, those included that are not open yet or just ending."""
    opening: int
    """How many of them are not open yet."""
    closing: int
    """How many of them are closing, or have ended while GONE is still to come."""
    paused: int
    """From how many of them nothing is read: pause() was called, or they do not take what they are sent."""
    waiting_len: int
    """How many bytes wait to be written to them; what was published is counted for each of them."""
    accepted: int
    """How many clients were let in."""
    refused: int
    """
    How many clients were turned away: because there was no memory for them, their address had max_per_address
    already, or they did not come by a proxy although proxy=True.
    """
    accept_pauses: int
    """
    How often nobody was let in for a second, or until somebody left, because the system had no descriptor or
    memory left.
    """
    messages_received: int
    """How many messages have come, each piece counted with pieces=True."""
    messages_sent: int
    """How many messages were sent by calls of the hub, each piece counted, and each receiver."""
    bytes_received: int
    """How many bytes have come from the sockets."""
    bytes_sent: int
    """How many bytes went to the sockets."""
    dropped: int
    """How many messages were not sent because more waited than high_water_len."""
    read_pauses: int
    """How often reading from a peer paused because it did not take what it was sent."""
    polls: int
    """How often the library was polled."""
    busy_us: int
    """How many microseconds these polls have taken, without the waiting: what the hub does."""
    application_us: int
    """How many microseconds were between them: what the application does."""


class WatchFlag(enum.IntFlag):
    """What Hub.watch() waits for, and what can be done as an event READY tells."""

    READ = 1
    WRITE = 2


class HubConnection(Connection):
    """A connection that a hub has lent. It is the hub's, which does all the I/O, and is never freed here."""

    __slots__ = ()
    _END = "given back to its hub"

    def __init__(self, handle: Any, short: int) -> None:
        self._handle = self._owner = handle
        self._lock = None if _HAS_GIL else threading.RLock()
        self._role, self._short, self._is_in_pieces = _SERVER, short, False
        self.wait_ms = None

    def try_send(self, message: str | Buffer | Message, kind: int | None = None) -> bool:
        """As Connection.try_send()."""
        # Whether pieces of another message were sent is known to the library, which refuses a Message then.
        return super().try_send(message if isinstance(message, Message) else Message(message, kind))

    def _received(self, events: list[Event], has_more: bool) -> Iterable[Event]:
        return events  # more comes with the next poll


class Hub:
    """
    Many connections, accepted and made, with their sockets, timers and topics, and the loop that serves them.

    All of the I/O happens in the library, and one call returns what happened on all connections. A server
    that sends each message back:

        with Hub() as hub:
            hub.listen("127.0.0.1:8080")
            while not hub.is_stopped:
                for event in hub.poll():
                    if event.kind in (EventKind.TEXT, EventKind.BINARY):
                        hub.send(event.connection, event.data, event.kind)

    A connection has an id: a number, never 0, that no other connection of the hub has had or will have.
    Events say on which connection they happened, and calls on which to do something. What is done with the id
    of a connection that is gone does nothing, and returns False or None: nothing that a peer does makes a
    call fail.

    A hub belongs to the thread of its first poll(), and to the process that made it: in another thread, and
    after a fork, its calls are a UsageError (ErrorCode.STATE), but for wake() and free(). Make one for each
    thread or process that is to serve. A signal handler may make every call but poll() at any time.
    """

    __slots__ = {
        "__weakref__": None,
        "_batch": None,
        "_handle": None,
        "_is_busy": None,
        "_is_woken": None,
        "_lends": None,
        "_lent": None,
        "_lock": None,
        "_short": None,
        "is_stopped": """
            Whether stop() was called and no connection is left, as the last poll() has found it: there will
            be no more events. To be read only.
            """,
    }

    is_stopped: bool

    def __init__(self, max_connections: int = 0, *, max_per_address: int = 0, max_memory: int = 0) -> None:
        """
        Makes a hub. What it takes upon itself has no limits but those that are given.

        max_connections: how many connections there are when nobody is let in any more; others wait until one
          leaves.
        max_per_address: how many clients are let in from one address at a time, of IPv6 from one network of
          64 bits; others are turned away.
        max_memory: how many bytes the connections may hold together: what was received of messages that are
          not complete, and what waits to be written, but for what was published. Beyond it those are ended
          that hold the most, with ErrorCode.MEMORY.

        UsageError: the system has no descriptor for it (ErrorCode.IO), or a number is out of range.
        """
        config = _ffi.wsframe_hub_config(
            _ffi.HUB_CONFIG_SIZE,
            integer("max_connections", max_connections, 2**32 - 1),
            integer("max_memory", max_memory, 2**64 - 1),
            integer("max_per_address", max_per_address, 2**32 - 1),
        )
        result, self._handle = _ffi.new_hub(config)
        checked(result)
        # poll() takes it from _batch, and puts it back: see _recovered(). The handle lives as long as a call
        # that has it.
        self._lent = _ffi.Lent()
        self._batch: _ffi.Lent | None = self._lent
        self._lock: Any = None if _HAS_GIL else threading.RLock()
        self._lends: list[HubConnection] = []
        self._short = _SHORT
        self._is_busy = self._is_woken = self.is_stopped = False

    def listen(
        self,
        address: str,
        *,
        reuse_port: bool = False,
        proxy: bool = False,
        drop_slow: bool = False,
        **config: Unpack[Config],
    ) -> int:
        """
        Listens at an address, and returns the port, 0 for a Unix socket.

        It is "127.0.0.1:8080", "[::1]:8080", "[::]:8080", which takes IPv4 as well, or
        "unix:/run/chat.socket". Names are not looked up. Port 0 lets the system choose. The file of a Unix
        socket that a server has left over is replaced, one at which somebody listens is not; it stays when
        the hub ends. A hub may listen at several addresses.

        The clients that come by it are served with this config; see Config. Nobody is let in before the next
        poll().

        reuse_port: other sockets may listen at the same port, in other processes, too: the system lets each
          have a part of the clients.
        proxy: clients come by a proxy that says in front of their bytes where they are: the PROXY protocol,
          version 1 or 2. address() is then what it has said. Who comes without a proxy is turned away:
          anybody could say so, so let nobody but the proxy reach the address.
        drop_slow: who has more than high_water_len waiting when something is published is ended, with
          ErrorCode.POLICY, instead of not getting it.

        UsageError: the system refuses, for instance because the port is in use (ErrorCode.IO, with the
        OSError as its cause); the hub was stopped (STATE); the address is none, or the config is wrong
        (ARGUMENT).
        """
        place, record = text("address", address), _record(config)
        flags = (reuse_port and _REUSE_PORT) | (proxy and _PROXY) | (drop_slow and _DROP_SLOW)
        port = _ffi.hub_listen(self._live(), place, len(place), flags, record)
        number = _ffi.last_errno()
        if config.get("deflate"):
            self._short = _SHORT_DEFLATE
        try:
            return checked(port)
        except UsageError as error:
            if error.code is ErrorCode.IO:
                raise error from OSError(number, os.strerror(number), address)
            raise

    def connect(
        self,
        url: str,
        *,
        address: str | None = None,
        fields: Iterable[tuple[str, str]] = (),
        **config: Unpack[Config],
    ) -> int:
        """
        Makes a client's connection to a URL, and returns its id at once.

        The URL is "wss://example.com/chat?room=1" or "ws://127.0.0.1:8080/". The connection has its events as
        all others: OPEN tells that the server has accepted, ERROR that it has not. GONE comes in any case in
        the end, with ErrorCode.IO if nobody could be reached, or HANDSHAKE if TLS did not come about; the
        error of connection() is the sentence. With wss:// the server has to show a certificate for the name
        in the URL, of somebody whom the system trusts, or trust().

        A name is looked up in other threads; its addresses are tried one after the other, each for its part
        of handshake_timeout_ms. With address the connection goes there instead, "127.0.0.1:8080" or
        "unix:/run/chat.socket", and the URL says only what is asked for there. fields, names and values, are
        added to the request; config is as for Connection.client().

        UsageError: the URL or the address is none, a field or the config is wrong (ErrorCode.ARGUMENT); the
        hub was stopped (STATE).
        """
        target, place, record = text("url", url), text("address", address or ""), _record(config)
        fields = list(fields)
        with Connection.client() as checks:  # what is wrong with a field shows before there is a connection
            for name, value in fields:
                checks.add_field(name, value)
        number, made = _ffi.new_id()
        function = _ffi.held.wsframe_hub_connect
        self._call(function, target, len(target), place, len(place), record, made)
        if config.get("deflate"):
            self._short = _SHORT_DEFLATE
        made_id: int = number.value
        if fields:
            connection = HubConnection(_ffi.hub_connection(self._live(), made_id)[1], self._short)
            for name, value in fields:
                connection.add_field(name, value)
        return made_id

    def adopt(
        self, fd: int | HasFileno, *, proxy: bool = False, drop_slow: bool = False, **config: Unpack[Config]
    ) -> int:
        """
        Lets clients in by a socket that listens already, as a service manager passes it on.

        The hub makes a descriptor of its own for it: close yours whenever you like. All else is as for
        listen().

        UsageError: it is no socket of a stream (ErrorCode.IO); errors of listen().
        """
        flags = (proxy and _PROXY) | (drop_slow and _DROP_SLOW)
        port, connected = self._adopted(fd, _SERVER, flags, config)
        if connected:
            self.terminate(connected)
            raise UsageError("the socket is connected: adopt_connection() is for that", ErrorCode.IO)
        return port

    def adopt_connection(
        self, fd: int | HasFileno, *, is_client: bool = False, **config: Unpack[Config]
    ) -> int:
        """
        Serves a socket that is connected already, and returns the id of its connection.

        is_client says that this end has connected. Such a connection is to send its request, by connection()
        and Connection.request(), unless start_open=True. The hub makes a descriptor of its own.

        UsageError: it is no socket of a stream that is connected (ErrorCode.IO); the config is wrong
        (ARGUMENT), or the hub was stopped (STATE).
        """
        _, connected = self._adopted(fd, _CLIENT if is_client else _SERVER, 0, config)
        if not connected:
            raise UsageError("the socket listens: adopt() is for that", ErrorCode.IO)
        return connected

    def set_certificate(self, port: int, chain: str | bytes, key: str | bytes) -> None:
        """
        From now on TLS is spoken by those who listen at this port.

        chain has the server's certificate and then those that lead to somebody who is trusted, key the
        private key of the first, in PEM. A second call changes them for clients that are let in from then on:
        nobody is dropped. A client that does not speak TLS is answered in plain HTTP that it should.

        UsageError: they are none or do not belong together, or nobody listens at the port
        (ErrorCode.ARGUMENT); the library was built without TLS (STATE).
        """
        chain, key = _pem("chain", chain), _pem("key", key)
        number = integer("port", port, _PORT_MAX)
        function = _ffi.held.wsframe_hub_set_certificate
        self._call(function, number, chain, len(chain), key, len(key))

    def trust(self, certificates: str | bytes) -> None:
        """
        Trusts these certificates, in PEM, to say who a server is, beside those that the system trusts.

        UsageError: there is none (ErrorCode.ARGUMENT); the library was built without TLS (STATE).
        """
        pem = _pem("certificates", certificates)
        self._call(_ffi.held.wsframe_hub_trust, pem, len(pem))

    def timer(self, number: int, in_ms: int | None) -> None:
        """
        Sets a timer: when in_ms milliseconds are over, poll() has an event TIMER with this number, once.

        If there is a timer with the number already it is moved; None stops it.

        UsageError: a number is out of range (ErrorCode.ARGUMENT).
        """
        due = NEVER if in_ms is None else integer("in_ms", in_ms, _TIME_MAX - 1)
        self._call(_ffi.held.wsframe_hub_timer, integer("number", number, _ID_MAX), due)

    def watch(self, fd: int | HasFileno, flags: int = WatchFlag.READ) -> None:
        """
        Watches a descriptor of yours in the same loop, for instance the socket of a database.

        While what flags say can be done with it, any of WatchFlag, each poll() has an event READY for it;
        also when it has ended or is broken. A second call changes what it is watched for. With 0 it is
        watched no longer, which is to be said before it is closed.

        UsageError: the system cannot wait for it, as for a file (ErrorCode.IO); flags has another bit
        (ARGUMENT).
        """
        self._call(_ffi.held.wsframe_hub_watch, _fd(fd), integer("flags", flags, 2**32 - 1))

    def terminate(self, id: int) -> bool:
        """
        Ends TCP of the connection with this id at once, without a word to the peer.

        To close in good order there is Connection.close(). GONE follows, if there was an event of the
        connection before. Returns whether TCP had not ended before.
        """
        return self._call(_ffi.held.wsframe_hub_terminate, _id(id)) > 0

    def address(self, id: int) -> str | None:
        """
        Says where the peer of the connection with this id is: "192.0.2.1:50000", or "[2001:db8::1]:50000".

        Of a Unix socket that is "unix:" with the path of the peer's socket, if that has one. None if it is
        not connected yet, or any more.
        """
        place, lends = _ffi.lent()
        size = self._call(_ffi.held.wsframe_hub_address, _id(id), lends)
        if not size:
            return None
        address: bytes = place[:size]
        return address.decode("utf-8", "surrogateescape")

    def poll(self, timeout_ms: int | None = None) -> list[Event]:
        """
        Writes what was sent since the last call, waits until something has happened, and returns it.

        It waits for timeout_ms milliseconds at most, 0 for not at all, None for as long as it takes.

        Event.connection says on which connection. The events of one have the order in which things happened.
        After the last one, EventKind.GONE, the id stands for nobody; each connection that there was an event
        of has exactly one. Of a client that leaves before its request is complete there is none. One call
        returns about half a megabyte or 4,096 events; the rest comes with the next.

        A client that does not take what it is sent is not read from while more than half of high_water_len
        waits: so there is always room for an answer to each message. When a message found none, DRAIN tells
        when there is room again. TIMER and READY are of no connection: see timer() and watch().

        The list is empty when the time is over, after wake(), when the hub has stopped, and when a signal has
        come whose handler does not raise; one that comes just before a call may go unnoticed, so a handler
        that only sets a flag should call wake(). One that raises takes the events of the poll with it: better
        let it call stop(). While a poll waits other threads run.

        UsageError: another poll is running, the hub was freed, or it is another thread's or process's
        (ErrorCode.STATE); the system does not let it wait (IO); timeout_ms is out of range.
        """
        handle, lent = self._handle, self._batch
        if handle is None or lent is None:
            handle, lent = self._live(), self._recovered()
        if self._lends:
            self._take_back()
        try:
            self._batch = None
            # Who had something to do mostly has it again, and does not have to get the GIL back from others.
            count = _poll(handle, 0, lent.as_batch) if self._is_busy or timeout_ms == 0 else 0
            if count == 0 and timeout_ms != 0:
                count = self._wait(lent, timeout_ms)
            events = []
            if count > 0:
                data = lent.data
                for connection, at, size, close_code, kind, flags, error in _unpack_all(
                    lent.events[: count * _EVENT_LEN]
                ):
                    event = _new(Event)
                    event.kind = _KINDS[kind]
                    event.data = data[at : at + size]
                    event.flags = flags
                    event.close_code = close_code
                    event.error = error and _ERRORS.get(error, error)
                    event.connection = connection
                    events.append(event)
                self._is_busy = True
            else:
                self._is_busy = False
                self.is_stopped = lent.flags.value & _STOPPED != 0
        finally:
            self._batch = self._lent
        if count < 0:
            checked(count)
        return events

    def connection(self, id: int) -> Connection | None:
        """
        Lends the connection with this id until the next poll(); None if it is gone.

        What can be done with a Connection can be done with it: accept() and respond() of a request with
        target and field(), send() in pieces, close(), state, error and so on. What the hub does itself it
        does not let others do: receive(), output(), take() and gone() are a UsageError (ErrorCode.STATE), and
        so is every call after the next poll().

        The events that accept() returns are not among those of a poll().

        UsageError: the hub was freed, or is another thread's or process's (STATE).
        """
        result, handle = _ffi.hub_connection(self._live(), integer("id", id, _ID_MAX))
        if not checked(result):
            return None
        connection = HubConnection(handle, self._short)
        self._lends.append(connection)
        return connection

    def send(
        self,
        id: int,
        message: str | Buffer,
        kind: int | None = None,
        compress: bool | None = None,
        more: bool = False,
    ) -> bool:
        """
        Sends a message on the connection with this id.

        message, kind, compress and more are as for Connection.send(). It is written with the next poll(),
        together with what else is sent until then; of 16 KiB or more as much as possible at once.

        Returns whether it is sent. It is not if the connection is over or gone, is not open yet, or if more
        waits than high_water_len.

        UsageError: pieces of another message are not finished, the hub was freed, or is another thread's or
        process's (ErrorCode.STATE); the text is not UTF-8, or another ARGUMENT is wrong.
        """
        if (
            type(message) is not bytes
            or compress is not None
            or more
            or (kind is not _TEXT and kind is not _BINARY)
        ):
            if type(message) is str and kind is None and compress is None and not more:
                try:
                    kind, message = _TEXT, message.encode()
                except UnicodeEncodeError:
                    kind, message = _outgoing(message, kind, compress, more)
            else:
                kind, message = _outgoing(message, kind, compress, more)
        try:
            connection = _ids[id]
        except KeyError:
            connection = _id_kept(id)
        size = len(message)
        if size < _SIZES_LEN:
            waiting = _send(self._handle, connection, kind, message, _SIZES[size])
        else:
            function = _send if size <= self._short else _ffi.hub_send_long
            waiting = function(self._handle, connection, kind, message, _size_of(size))
        return waiting > 0 or (waiting < 0 and self._not_sent(id, waiting))

    def send_many(
        self,
        ids: Iterable[int],
        messages: Iterable[str] | Iterable[Buffer],
        kind: int | None = None,
        *,
        compress: bool | None = None,
    ) -> int:
        """
        Sends many messages, each on the connection whose id has its place in ids, by one call of the library.

        So the answers to all events of a poll() take a third of the time. All of them are str, or all are
        bytes, and then binary or of the kind that is given. An id may be there more than once. What send()
        would return False for is left out.

        Returns how many messages are done with, those that were left out included. That is less than there
        are if the next one cannot be sent; a call that begins with it raises the error.

        UsageError: as send(), for the first of them; there are not as many ids as messages.
        """
        opcode, pieces = _payloads(messages)
        if kind is not None:
            if opcode == _TEXT and kind != _TEXT:
                raise TypeError(f"messages of kind {kind} must be bytes, not str")
            opcode = integer("kind", kind, 0xFF)
        opcode |= _say(compress)
        numbers = list(ids)
        count = len(pieces)
        if len(numbers) != count:
            raise UsageError(f"there are {len(numbers)} ids for {count} messages")
        try:
            packed = _ffi.ids(numbers)
        except struct.error:
            packed = _ffi.ids([integer("an id", number, _ID_MAX) for number in numbers])
        joined, lens = b"".join(pieces), _ffi.lengths(pieces)
        library = _ffi.held if len(joined) <= self._short else _ffi.lib
        done: int = library.wsframe_hub_send_many(self._live(), packed, opcode, joined, lens, count)
        if done == count:
            return done
        # One by one from where it stopped: who is not open yet is left out.
        done = max(done, 0)
        for number, piece in zip(numbers[done:], pieces[done:]):
            try:
                self.send(number, piece, opcode)
            except UsageError:
                if not done:
                    raise
                break
            done += 1
        return done

    def subscribe(self, id: int, topic: str) -> bool:
        """
        Lets the connection with this id have what is published on a topic, until it ends.

        A topic has a name, and comes and goes with those who have subscribed to it. A second time does
        nothing. Returns whether the connection is there.

        UsageError: the name is empty (ErrorCode.ARGUMENT); the hub was freed, or is another thread's or
        process's (STATE).
        """
        return self._call(_ffi.held.wsframe_hub_subscribe, _id(id), *_name(topic)) > 0

    def unsubscribe(self, id: int, topic: str) -> bool:
        """The opposite of subscribe(), also for who has not subscribed. Returns and errors as there."""
        return self._call(_ffi.held.wsframe_hub_unsubscribe, _id(id), *_name(topic)) > 0

    def subscribers(self, topic: str = "") -> int:
        """
        Returns how many connections have subscribed to a topic; without one, how many the hub has.

        UsageError: the hub was freed, or is another thread's or process's (ErrorCode.STATE).
        """
        return self._call(_ffi.held.wsframe_hub_subscribers, *_name(topic))

    def publish(
        self,
        topic: str,
        message: str | Buffer,
        kind: int | None = None,
        *,
        except_id: int = 0,
        compress: bool | None = None,
    ) -> int:
        """
        Sends a text or binary message on all connections that have subscribed to a topic, "" for all of them.

        except_id is the id of one that does not get it, for instance of who has said it. message, kind and
        compress are as for Connection.send(). It is checked and compressed once for all. All get what is
        published on a topic in the same order. Who is not open yet, or has more than high_water_len waiting,
        does without.

        Returns on how many connections it is sent.

        UsageError: another kind, or text that is not UTF-8 (ErrorCode.ARGUMENT); the hub was freed, or is
        another thread's or process's (STATE).
        """
        opcode, payload = _outgoing(message, kind, compress, more=False)
        library = _ffi.held if len(payload) <= self._short else _ffi.lib
        name, size = _name(topic)
        function = library.wsframe_hub_publish
        return self._call(function, name, size, _id(except_id), opcode, payload, len(payload))

    def pause(self, id: int) -> bool:
        """
        Reads no more from the connection with this id, until resume(). Returns whether it is there.

        What was read already is still delivered. The peer is not given up meanwhile for a ping that it does
        not answer, and that it is gone shows later.

        UsageError: the hub was freed, or is another thread's or process's (ErrorCode.STATE).
        """
        return self._call(_ffi.held.wsframe_hub_pause, _id(id), 1) > 0

    def resume(self, id: int) -> bool:
        """Reads on from the connection with this id. Returns and errors as pause()."""
        return self._call(_ffi.held.wsframe_hub_pause, _id(id), 0) > 0

    def fileno(self) -> int:
        """
        Returns a descriptor that can be read from when poll(0) has something to do, timers included.

        It is for a program that has a loop already: give the hub to select(), or this to the add_reader() of
        asyncio, and then call poll(0). Do not read from it or close it; it lives as long as the hub.

        UsageError: the system has none for it (ErrorCode.IO); the hub was freed, or is another thread's or
        process's (STATE).
        """
        return self._call(_ffi.held.wsframe_hub_fd)

    def wake(self) -> None:
        """
        Makes the poll() return that is waiting, or else the next one.

        It may be called from any thread: it is how others say that they have left something to be sent.

        UsageError: the hub was freed, or is another process's (ErrorCode.STATE); the system refuses (IO).
        """
        self._is_woken = True
        self._call(_ffi.held.wsframe_hub_wake)

    def stop(self, grace_ms: int = 5000) -> None:
        """
        Ends the hub in good order.

        Nobody is let in any more, all connections are closed with 1001, and requests that wait are answered
        with 503. Go on to poll() until is_stopped: each connection that is known has its GONE before. Those
        that have not ended in grace_ms milliseconds are given up. A second call only sets a new time.

        UsageError: the hub was freed, or is another thread's or process's (ErrorCode.STATE); grace_ms is out
        of range.
        """
        self._call(_ffi.held.wsframe_hub_stop, integer("grace_ms", grace_ms, _TIME_MAX))

    @property
    def stats(self) -> Stats:
        """What the hub has done so far."""
        record = _ffi.wsframe_stats()
        self._call(_ffi.held.wsframe_hub_stats, record, _ffi.STATS_SIZE)
        return Stats(*(getattr(record, name) for name in Stats._fields))

    def free(self) -> None:
        """
        Frees the hub and its connections, without a word to their peers: see stop().

        Every later call is a UsageError, but for this one. Leaving a with block does it, and so does losing
        the last reference. If a call is running, it ends first.
        """
        self._handle = None
        for connection in self._lends:
            connection.free()
        self._lends = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.free()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Hub cannot be copied")

    def _live(self) -> Any:
        """The handle of a hub that was not freed."""
        handle = self._handle
        if handle is None:
            raise UsageError("the hub was freed", ErrorCode.STATE)
        return handle

    def _adopted(self, fd: int | HasFileno, role: int, flags: int, config: Config) -> tuple[int, int]:
        """The port and the id of what was adopted, of which one is 0."""
        number, made = _ffi.new_id()
        record = _record(config)
        port = self._call(_ffi.held.wsframe_hub_adopt, _fd(fd), role, flags, record, made)
        if config.get("deflate"):
            self._short = _SHORT_DEFLATE
        return port, number.value

    def _call(self, function: Callable[..., int], *arguments: object) -> int:
        """Calls a function that lends nothing, and returns its count."""
        return checked(function(self._live(), *arguments))

    def _wait(self, lent: _ffi.Lent, timeout_ms: int | None) -> int:
        """Polls until something has happened, and lets others run meanwhile. Returns the count of events."""
        now = time.monotonic()
        end = None if timeout_ms is None else now + integer("timeout_ms", timeout_ms, _TIME_MAX) / 1000
        while True:
            left = _SLICE_MS if end is None else min(_SLICE_MS, int((end - now) * 1000) + 1)
            count: int = _poll_long(self._live(), left, lent.as_batch)
            begun, now = now, time.monotonic()
            is_disturbed = self._is_woken or (now - begun) * 1000 < left - _EARLY_MS
            is_over = end is not None and now >= end
            if count or lent.flags.value or is_disturbed or is_over:
                self._is_woken = False
                return count

    def _not_sent(self, id: int, result: int) -> bool:
        """Returns False if a message was not sent because of what the peer did, and else raises why."""
        live = self._live()
        try:
            checked(result)
        except UsageError as error:
            if error.code is not ErrorCode.SPACE and not (
                error.code is ErrorCode.STATE
                and (connection := _ffi.hub_connection(live, id)[1]) is not None
                and _ffi.held.wsframe_connection_state(connection) < State.OPEN
            ):
                raise
        return False

    def _take_back(self) -> None:
        """Makes an end of what connection() has lent."""
        for connection in self._lends:
            if connection._handle is not connection._owner and _calls(connection):
                raise UsageError("a call on a connection that the hub has lent is running", ErrorCode.STATE)
        for connection in self._lends:
            connection.free()
        self._lends = []

    def _recovered(self) -> _ffi.Lent:
        """What a poll has taken that did not put it back: in Python 3.9 a store, too, can be interrupted."""
        if _calls(self).count("poll") > 1:
            raise UsageError("another poll of this hub is running", ErrorCode.STATE)
        return self._lent


def _calls(owner: object) -> list[str]:
    """The names of the calls on an object that are running, in whatever thread."""
    names = []
    for innermost in sys._current_frames().values():
        frame: FrameType | None = innermost
        while frame is not None:
            if frame.f_locals.get("self") is owner:
                names.append(frame.f_code.co_name)
            frame = frame.f_back
    return names


def _id(id: int) -> int:
    return integer("id", id, _ID_MAX)


def _fd(fd: int | HasFileno) -> int:
    return integer("fd", fd if isinstance(fd, int) else fd.fileno(), _FD_MAX)


def _pem(what: str, pem: str | bytes) -> bytes:
    return pem if isinstance(pem, bytes) else text(what, pem)


_ids: dict[int, Any] = {}
"""
Ids as arguments. To find one takes a fifth of the time to make it.

An id stands for the same for ever, so that it can be forgotten at any time.
"""


def _id_kept(id: int) -> Any:
    """Puts an id there, and returns it."""
    if len(_ids) >= _IDS_KEPT:
        _ids.clear()
    argument = _ids[id] = _ffi.id_of(_id(id))
    return argument


def _name(topic: str) -> tuple[bytes, int]:
    """The name of a topic, and its length."""
    name = text("topic", topic)
    return name, len(name)


_poll, _poll_long, _send = _ffi.hub_poll, _ffi.hub_poll_long, _ffi.hub_send
_size_of, _SIZES, _SIZES_LEN = _ffi.size_of, _ffi.SIZES, len(_ffi.SIZES)
_EVENT_LEN, _unpack_all = _ffi.HUB_EVENT.size, _ffi.HUB_EVENT.iter_unpack
_TEXT, _BINARY = EventKind.TEXT, EventKind.BINARY
_new = object.__new__

_CALLS = ("poll", "connection")
if not _HAS_GIL:
    _one_at_a_time(Hub, _CALLS)
