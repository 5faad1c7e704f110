"""Servers: serve(), and what a handler gets."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import logging
import os
import socket
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from wsframe.asyncio import _handshake, _listening
from wsframe.asyncio._handshake import Handshake
from wsframe.asyncio._options import Marks, Options, checked
from wsframe.asyncio._reactor import Reactor
from wsframe.asyncio.connection import Connection, LoggerLike, State, broadcast
from wsframe.asyncio.exceptions import ConnectionClosed
from wsframe.asyncio.frames import CloseCode
from wsframe.asyncio.http11 import Request, Response, text_response
from wsframe.connection import Event, EventKind
from wsframe.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Generator
    from typing import Callable

    from typing_extensions import Self

    from wsframe.asyncio._handshake import Origin, ProcessRequest, ProcessResponse, SelectSubprotocol

    Handler = Callable[["ServerConnection"], Awaitable[None]]

__all__ = ["Server", "ServerConnection", "basic_auth", "broadcast", "serve", "unix_serve"]

_log = logging.getLogger("wsframe.server")

_ACCEPTED = 64  # by one turn, so that those who are inside have theirs
_REST_S = 1.0
"""For how long nobody is let in when the system has no descriptor left."""


class ServerConnection(Connection):
    """A client, as the handler of a server sees it."""

    username: str
    """Who it is, as basic_auth() has found."""
    handler: Callable[..., Awaitable[None]]
    handler_kwargs: dict[str, Any]

    def __init__(
        self,
        server: Server,
        number: int,
        remote_address: Any,
        local_address: Any,
    ) -> None:
        super().__init__(server._reactor, number, server._options, server.logger)
        self.server = server
        self._addresses = remote_address, local_address
        self._head, self._target = b"", ""
        self._request: Request | None = None
        self._response: Response | None = None
        self._asking: asyncio.Task[None] | None = None

    @property
    def request(self) -> Request | None:
        """What the client has asked for; None before its request has come."""
        if self._request is None and self._head:
            self._request = Request.of_head(self._head, self._target)
        return self._request

    @property
    def response(self) -> Response | None:
        """
        What it was answered; None before that.

        Of one that was let in only what the application has a say in: the subprotocol, and its own fields.
        """
        return self._response

    @property
    def remote_address(self) -> Any:
        """Where the client is, as socket.getpeername() says it."""
        return self._addresses[0]

    @property
    def local_address(self) -> Any:
        """Where it has connected to, as socket.getsockname() says it."""
        return self._addresses[1]

    def respond(self, status: int, text: str) -> Response:
        """Makes an answer of plain text, for process_request and process_response."""
        return text_response(status, text)

    def met(self, event: Event) -> None:
        """Takes what else has happened; the reactor's call."""
        kind = event.kind
        if kind is EventKind.REQUEST or kind is EventKind.HTTP:
            lent = self._reactor.hub.connection(self._number)
            self._head, self._target = event.data, (lent and lent.target) or ""
            self.server._asked(self, is_page=kind is EventKind.HTTP)
        elif kind is EventKind.OPEN:
            self._opened()
            self.server._let_in(self)
        else:
            super().met(event)

    def _gone(self, event: Event) -> None:
        super()._gone(event)
        if self._asking is not None:
            self._asking.cancel()
        self.server._left(self)


class Server:
    """
    What serve() returns: a server, as asyncio.Server is one.

    async with serve(...) as server, or server = await serve(...), starts it. It belongs to its event loop.
    """

    def __init__(  # noqa: PLR0913
        self,
        handler: Handler,
        open_sockets: Callable[[], Awaitable[list[socket.socket]]],
        options: Options,
        *,
        handshake: Handshake,
        start_serving: bool,
        backlog: int,
        certificate: tuple[str | bytes, str | bytes] | None,
        logger: LoggerLike | None,
        create_connection: Callable[..., ServerConnection] | None,
    ) -> None:
        """Is called by serve()."""
        self.handler = handler
        self.logger: LoggerLike = _log if logger is None else logger
        self._open_sockets, self._options, self._handshake = open_sockets, options, handshake
        self._starts, self._backlog, self._certificate = start_serving, backlog, certificate
        self._create_connection = create_connection or ServerConnection
        self._config = checked({**options.config, **handshake.config, "ask": True})
        self._reactor: Reactor
        self._sockets: tuple[socket.socket, ...] = ()
        self._listening: set[socket.socket] = set()
        self._all: set[ServerConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_started = self._is_closing = False
        self._ended: asyncio.Future[None] | None = None

    @property
    def connections(self) -> set[ServerConnection]:
        """Those that are open."""
        return {connection for connection in self._all if connection.state is State.OPEN}

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """Where it listens; empty when it is closed."""
        return self._sockets

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Returns the event loop to which it belongs."""
        return self._reactor.loop

    def is_serving(self) -> bool:
        """Whether clients are let in."""
        return bool(self._listening) and not self._is_closing

    async def start_serving(self) -> None:
        """Lets clients in, if serve() was told start_serving=False."""
        if self._is_closing:
            raise RuntimeError("the server was closed")
        for each in self._sockets:
            self._listen(each)

    async def serve_forever(self) -> None:
        """Serves until it is closed, or this is cancelled, which closes it."""
        await self._start()
        try:
            await self.start_serving()
            await self.wait_closed()
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise

    def close(
        self, close_connections: bool = True, code: int = CloseCode.GOING_AWAY, reason: str = ""
    ) -> None:
        """
        Lets nobody in any more, and closes all connections; see wait_closed(). A second time does nothing.

        close_connections=False leaves open those that are open, but not with TLS. Requests that wait are
        answered with 503.

        UsageError: the code may not be sent, or the reason is longer than 123 bytes of UTF-8.
        """
        if self._is_closing or not self._is_started:
            return
        self._is_closing = True
        for each in self._listening if self._certificate is None else ():
            self._reactor.loop.remove_reader(each)
        self._listening.clear()
        for each in self._sockets:
            each.close()
        self._sockets = ()
        for connection in list(self._all):
            if connection.state is State.CONNECTING:
                self._refuse_late(connection)
            elif close_connections:
                connection._close(code, reason)
        if self._certificate is not None:
            self._reactor.hub.stop(self._config["close_timeout_ms"])
            self._reactor.turn_soon()
        self._end_if_over()

    async def wait_closed(self) -> None:
        """Waits until it is closed, all connections have ended and all handlers have returned."""
        if self._ended is not None:
            await asyncio.shield(self._ended)

    async def _start(self) -> Server:
        if not self._is_started:
            self._is_started = True
            self._reactor = self._with_reactor()
            self._reactor.hold()
            try:
                self._sockets = tuple(await self._open_sockets())
            except BaseException:
                self._reactor.release()
                self._is_started = False
                raise
            self._ended = self._reactor.loop.create_future()
            if self._starts:
                await self.start_serving()
        return self

    def __await__(self) -> Generator[Any, None, Server]:
        return self._start().__await__()

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()

    def _with_reactor(self) -> Reactor:
        """The hub for it: one of its own with TLS, which is for those whom a hub accepts itself."""
        if self._certificate is None:
            return Reactor.of_running_loop()
        reactor = Reactor(asyncio.get_running_loop())
        reactor.let_in = self._accepted
        return reactor

    def _listen(self, listener: socket.socket) -> None:
        if self._is_closing or listener in self._listening:
            return
        listener.listen(self._backlog)
        self._listening.add(listener)
        if self._certificate is None:
            self._reactor.loop.add_reader(listener, self._accept, listener)
        else:
            port = self._reactor.hub.adopt(listener, **self._config)
            self._reactor.hub.set_certificate(port, *self._certificate)
            self._reactor.turn_soon()

    def _accepted(self, number: int) -> ServerConnection:
        """Makes a connection of one that the hub has accepted."""
        connection = self._create_connection(self, number, self._reactor.address(number), None)
        self._all.add(connection)
        return connection

    def _accept(self, listener: socket.socket) -> None:
        """Lets in those who wait at a socket."""
        for _ in range(_ACCEPTED):
            try:
                client, remote_address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break
            except OSError as error:
                self._rest(listener, error)
                break
            with client:
                try:
                    number = self._reactor.hub.adopt_connection(client, **self._config)
                except (UsageError, OSError) as error:
                    self._rest(listener, error)
                    break
                self._all.add(self._create_connection(self, number, remote_address, client.getsockname()))
        self._reactor.turn_soon()

    def _rest(self, listener: socket.socket, error: Exception) -> None:
        """Lets nobody in for a while, for which the system has no descriptor or memory."""
        self.logger.error("nobody is let in for %s s: %s", _REST_S, error)
        loop = self._reactor.loop
        loop.remove_reader(listener)
        self._listening.discard(listener)
        loop.call_later(_REST_S, self._listen, listener)

    def _asked(self, connection: ServerConnection, is_page: bool) -> None:
        """A client wants to be let in, or a page."""
        if self._handshake.is_asking and not self._is_closing:
            connection._asking = self._start_task(self._ask(connection, is_page))
        else:
            self._answer(connection, lambda request: self._handshake.response(connection, request, is_page))

    async def _ask(self, connection: ServerConnection, is_page: bool) -> None:
        """Lets the application decide about a request."""
        request = connection.request
        if request is None:
            return
        try:
            response = await self._handshake.asked(connection, request, is_page)
        except Exception:
            self.logger.exception("opening handshake failed")
            response = _handshake.failed()
        connection._asking = None
        self._answer(connection, lambda _: response)

    def _answer(self, connection: ServerConnection, respond: Callable[[Request], Response]) -> None:
        """Answers a request."""
        request = connection.request
        if request is None or connection.state is not State.CONNECTING or connection._response is not None:
            return
        try:
            response = respond(request)
            self._handshake.give(connection, _handshake.closing() if self._is_closing else response)
        except Exception:
            self.logger.exception("opening handshake failed")
            self._handshake.give(connection, _handshake.failed())

    def _start_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._reactor.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._handled)
        return task

    def _let_in(self, connection: ServerConnection) -> None:
        """Starts the handler of a connection."""
        self._start_task(self._handle(connection))

    async def _handle(self, connection: ServerConnection) -> None:
        code = CloseCode.INTERNAL_ERROR
        try:
            await self.handler(connection)
            code = CloseCode.NORMAL_CLOSURE
        except ConnectionClosed as error:
            if connection.state is State.OPEN:  # it was another one's
                connection.logger.exception("connection handler failed")
            else:
                connection.logger.info("connection handler ended: %s", error)
        except Exception:
            connection.logger.exception("connection handler failed")
        finally:
            connection._close(code, "")

    def _handled(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._end_if_over()

    def _refuse_late(self, connection: ServerConnection) -> None:
        """Turns away a client that has not been let in when the server closes."""
        if connection.request is None:
            connection._abort()
        elif connection._asking is None:
            self._answer(connection, lambda _: _handshake.closing())

    def _left(self, connection: ServerConnection) -> None:
        """A connection is gone."""
        self._all.discard(connection)
        self._end_if_over()

    def _end_if_over(self) -> None:
        is_over = self._is_closing and not self._all and not self._tasks
        if is_over and self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
            self._reactor.release()


def serve(  # noqa: PLR0913
    handler: Handler,
    host: str | Sequence[str] | None = None,
    port: int | None = None,
    *,
    origins: Sequence[Origin] | None = None,
    subprotocols: Sequence[str] | None = None,
    select_subprotocol: SelectSubprotocol | None = None,
    compression: str | None = "deflate",
    process_request: ProcessRequest | None = None,
    process_response: ProcessResponse | None = None,
    server_header: str | None = None,
    open_timeout: float | None = 10,
    ping_interval: float | None = 20,
    ping_timeout: float | None = 20,
    close_timeout: float | None = 10,
    max_size: Marks = 2**20,
    max_queue: Marks = 16,
    write_limit: int | tuple[int, int | None] = 2**15,
    logger: LoggerLike | None = None,
    create_connection: Callable[..., ServerConnection] | None = None,
    start_serving: bool = True,
    backlog: int = 1024,
    ssl: tuple[str | bytes, str | bytes] | None = None,
    **listening: Any,
) -> Server:
    """
    Serves clients: enter it with async with, or await it.

    handler is called with a ServerConnection for each client, as a task of its own; the connection is closed
    when it returns, with 1011 if it raises, which is logged by the logger "wsframe.server".

    host, port: where it listens, "127.0.0.1", a name, several of them, or None for everywhere; port 0 lets
      the system choose. sock, family, backlog, reuse_address and reuse_port are as for loop.create_server().
    origins: which Origins are let in: str, patterns that fit as a whole, None for requests without one.
    subprotocols: those that are spoken, the preferred first; who offers none of them is answered with 400.
      With select_subprotocol(connection, offered) the application chooses, or returns None for none;
      a NegotiationError is answered with 400.
    compression: None for no permessage-deflate.
    process_request(connection, request): returns a Response instead of letting a client in, or None; it may
      be a coroutine, and is called for pages, too. process_response(connection, request, response) returns
      another one, or None. What they raise is logged, and answered with 500.
    server_header: the Server field of responses.
    open_timeout: how many seconds the opening handshake may take.
    ping_interval, ping_timeout: after how many seconds a ping is sent, and how long its pong may take.
    close_timeout: how many seconds the peer may take to answer a close frame.
    max_size: the longest message in bytes, or that and the longest frame. A longer one ends the connection
      with 1009.
    max_queue: how many messages may wait for recv() when no more is read, and at how many it is again.
    write_limit: how many bytes may wait to be written before send() waits.
    ssl: the chain of the server's certificate and its key, in PEM, for TLS.
    logger: another one. create_connection: a subclass of ServerConnection.
    start_serving: False for letting nobody in before Server.start_serving().

    For times None is for ever, and for max_size and max_queue no limit.

    OSError: of await, the system refuses. TypeError, ValueError, UsageError: an argument is wrong.
    """
    if ssl is not None and not isinstance(ssl, tuple):
        raise NotImplementedError("ssl cannot be an ssl.SSLContext: give its chain and key, in PEM")
    if ssl is not None and listening.get("unix"):
        raise NotImplementedError("there is no TLS at a Unix socket")
    options = Options(
        compression=compression,
        open_timeout=open_timeout,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        close_timeout=close_timeout,
        max_size=max_size,
        max_queue=max_queue,
        write_limit=write_limit,
    )
    handshake = Handshake(
        origins=origins,
        subprotocols=subprotocols,
        select_subprotocol=select_subprotocol,
        process_request=process_request,
        process_response=process_response,
        server_header=server_header,
    )
    return Server(
        handler,
        _listening.opener(host, port, **listening),
        options,
        handshake=handshake,
        start_serving=start_serving,
        backlog=backlog,
        certificate=ssl,
        logger=logger,
        create_connection=create_connection,
    )


def unix_serve(handler: Handler, path: str | os.PathLike[str] | None = None, **options: Any) -> Server:
    """Serves clients at a Unix socket; path is that of its file, and options are those of serve()."""
    return serve(handler, unix=True, path=path, **options)


def basic_auth(
    realm: str = "",
    credentials: tuple[str, str] | Iterable[tuple[str, str]] | None = None,
    check_credentials: Callable[[str, str], Awaitable[bool] | bool] | None = None,
) -> Callable[[ServerConnection, Request], Awaitable[Response | None]]:
    """
    Returns a process_request for serve() that wants a name and a password (RFC 7617).

    credentials are a pair of them, or several; check_credentials is called with a name and a password
    instead, and says whether they are right. connection.username is who was let in.

    TypeError: credentials are none. ValueError: both are given, or none of them.
    """
    if (credentials is None) == (check_credentials is None):
        raise ValueError("provide either credentials or check_credentials")
    known = {} if credentials is None else _known(credentials)

    async def process_request(connection: ServerConnection, request: Request) -> Response | None:
        given = _given(request.headers.get_all("Authorization"))
        if given is None:
            return _unauthorized(realm, "Missing or unsupported credentials\n")
        name, password = given
        if check_credentials is None:
            wanted = known.get(name)
            is_right = wanted is not None and hmac.compare_digest(_bytes(wanted), _bytes(password))
        else:
            is_right = await _handshake.awaited(check_credentials(name, password))
        if not is_right:
            return _unauthorized(realm, "Invalid credentials\n")
        connection.username = name
        return None

    return process_request


def _known(credentials: Any) -> dict[str, str]:
    """Passwords by names."""

    def is_pair(pair: Any) -> bool:
        return isinstance(pair, (tuple, list)) and len(pair) == 2 and all(isinstance(x, str) for x in pair)

    pairs = [credentials] if is_pair(credentials) else list(credentials)
    if not all(map(is_pair, pairs)):
        raise TypeError("credentials must be a pair of a name and a password, or several")
    return dict(pairs)


def _given(fields: list[str]) -> tuple[str, str] | None:
    """The name and the password of a request."""
    scheme, _, encoded = fields[0].partition(" ") if len(fields) == 1 else ("", "", "")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if colon else None


def _unauthorized(realm: str, text: str) -> Response:
    response = text_response(401, text)
    response.headers["WWW-Authenticate"] = f'Basic realm="{realm}", charset="UTF-8"'
    return response


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
