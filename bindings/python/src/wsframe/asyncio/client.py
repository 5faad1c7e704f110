"""Clients: connect(), and the connection that it makes."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import random
import socket
import sys
import urllib.parse
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from wsframe.asyncio._options import Marks, Options
from wsframe.asyncio._reactor import Reactor
from wsframe.asyncio.connection import Connection, LoggerLike, State
from wsframe.asyncio.datastructures import Headers, HeadersLike
from wsframe.asyncio.exceptions import (
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    SecurityError,
)
from wsframe.asyncio.http11 import Request, Response
from wsframe.connection import Event, EventKind
from wsframe.errors import ErrorCode

if TYPE_CHECKING:
    from typing import Callable

__all__ = ["ClientConnection", "connect", "unix_connect"]

_log = logging.getLogger("wsframe.client")

USER_AGENT = f"Python/{sys.version_info.major}.{sys.version_info.minor} wsframe"

_REDIRECTS_MAX = 10
_REDIRECTING = {300, 301, 302, 303, 307, 308}
_TRANSIENT = {500, 502, 503, 504}
_CREDENTIALS = {"authorization", "cookie", "proxy-authorization"}
_FIRST_S, _MOST_S = 1.0, 60.0


def backoff() -> Iterator[float]:
    """For how many seconds to wait before each attempt: a random part of 1, 2, 4, and so on up to 60."""
    most = _FIRST_S
    while True:
        yield random.uniform(0, most)
        most = min(most * 2, _MOST_S)


def process_exception(error: Exception) -> Exception | None:
    """Says whether to try again, by None: the server was not there, or has answered 500, 502, 503 or 504."""
    if isinstance(error, (OSError, asyncio.TimeoutError, InvalidMessage)):
        return None
    if isinstance(error, InvalidStatus) and error.response.status_code in _TRANSIENT:
        return None
    return error


class ClientConnection(Connection):
    """A connection to a server, which connect() makes."""

    def __init__(
        self, reactor: Reactor, number: int, options: Options, logger: LoggerLike, request: Request
    ) -> None:
        super().__init__(reactor, number, options, logger)
        self._request = request
        self._answer = b""
        self._refusal: Exception | None = None
        self._remote_address: Any = None
        self._is_decided: asyncio.Future[None] = self.loop.create_future()

    @property
    def request(self) -> Request:
        """What the server was asked for, without what the library writes itself."""
        return self._request

    @property
    def response(self) -> Response | None:
        """What the server has answered; None before that."""
        return Response.of_answer(self._answer) if self._answer else None

    @property
    def remote_address(self) -> Any:
        """Where the server is: host and port, and for IPv6 two numbers more; a path for a Unix socket."""
        return self._remote_address

    def met(self, event: Event) -> None:
        """Takes what else has happened; the reactor's call."""
        if self.state is not State.CONNECTING:
            super().met(event)
        elif event.kind is EventKind.OPEN:
            self._answer = event.data
            self._remote_address = self._reactor.address(self._number)
            lent = self._reactor.hub.connection(self._number)
            self.subprotocol = None if lent is None else lent.subprotocol
            self._opened()
            self._decide()
        elif event.kind is EventKind.ERROR or event.kind is EventKind.GONE:
            if self._refusal is None:
                self._answer = event.data
                self._refusal = self._why(event)
            super().met(event)
            if event.kind is EventKind.GONE:
                self._decide()

    async def opened(self) -> None:
        """Waits until the server has let this end in. Raises why it has not, as connect()."""
        try:
            await self._is_decided
        except asyncio.CancelledError:
            self._abort()
            raise
        if self._refusal is not None:
            raise self._refusal

    def _decide(self) -> None:
        if not self._is_decided.done():
            self._is_decided.set_result(None)

    def _why(self, event: Event) -> Exception:
        """Why the server has not let this end in."""
        lent = self._reactor.hub.connection(self._number)
        sentence = None if lent is None else lent.error
        if sentence is None:
            return InvalidMessage("the server hung up before it had answered")
        if event.error == ErrorCode.TIMEOUT:
            return TimeoutError(sentence)
        if event.error == ErrorCode.IO:
            return ConnectionError(sentence)
        if event.kind is EventKind.ERROR and event.data and event.close_code:
            return InvalidStatus(Response.of_answer(event.data))
        return InvalidHandshake(sentence)


class connect:
    """
    Connects to a server.

        async with connect("ws://127.0.0.1:8080/") as connection:
            await connection.send("hello")
            print(await connection.recv())

    or connection = await connect(...), which is then to be closed; or, to come back when it was lost,

        async for connection in connect(...):
            try:
                async for message in connection:
                    ...
            except ConnectionClosed:
                continue
    """

    def __init__(  # noqa: PLR0913
        self,
        uri: str,
        *,
        origin: str | None = None,
        subprotocols: Sequence[str] | None = None,
        compression: str | None = "deflate",
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        proxy: str | bool | None = None,
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        reconnect_delays: Callable[[], Iterator[float]] = backoff,
        max_size: Marks = 2**20,
        max_queue: Marks = 16,
        write_limit: int | tuple[int, int | None] = 2**15,
        logger: LoggerLike | None = None,
        create_connection: Callable[..., ClientConnection] | None = None,
        host: str | None = None,
        port: int | None = None,
        sock: socket.socket | None = None,
        unix: bool = False,
        path: str | os.PathLike[str] | None = None,
        ssl: object = None,
    ) -> None:
        """
        Says where to connect to, and how; await and its likes do it, and raise what is said below.

        uri: "ws://127.0.0.1:8080/chat", or "wss://", for which the server has to show a certificate that the
          system trusts.
        origin, subprotocols, additional_headers, user_agent_header: what is asked for.
        process_exception(error): returns None if async for is to try again after this error, else what it
          raises. reconnect_delays() yields for how many seconds it waits before.
        host, port: where to go instead of what the URI says. sock: a socket that is connected. path: that of
          a Unix socket; see unix_connect().
        ssl: certificates in PEM that are trusted for wss:// beside those of the system.

        Others are as for serve().

        InvalidURI: at once, it is none. OSError, of which TimeoutError is one: the server is not there, or
        does not answer. InvalidHandshake: it has refused, as InvalidStatus, or what it says makes no sense.
        """
        if not (ssl is None or ssl is True or isinstance(ssl, (str, bytes))):
            raise NotImplementedError("ssl cannot be an ssl.SSLContext: give certificates to trust, in PEM")
        if isinstance(proxy, str):
            raise NotImplementedError("connect() goes by no proxy")
        if isinstance(subprotocols, str):
            raise TypeError("subprotocols must be a list, not a str")
        self.uri, self._place = uri, _parsed(uri)
        if ssl is not None and self._place.scheme != "wss":
            raise ValueError("ssl argument is incompatible with a ws:// URI")
        self._options = Options(
            compression=compression,
            open_timeout=open_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_size=max_size,
            max_queue=max_queue,
            write_limit=write_limit,
        )
        if subprotocols:
            self._options.config["subprotocols"] = list(subprotocols)
        self._headers = Headers(additional_headers or ())
        if origin is not None:
            self._headers["Origin"] = origin
        if user_agent_header is not None and "User-Agent" not in self._headers:
            self._headers["User-Agent"] = user_agent_header
        self._trust = ssl if isinstance(ssl, (str, bytes)) else None
        self._process_exception, self._delays = process_exception, reconnect_delays
        self.logger: LoggerLike = _log if logger is None else logger
        self._create_connection = create_connection or ClientConnection
        self._host, self._port, self._sock = host, port, sock
        self._path = None if path is None else os.fsdecode(path)
        if sock is not None and (self._path, host, port) != (None, None, None):
            raise ValueError(
                f"{'path' if unix else 'host/port'} and sock can not be specified at the same time"
            )
        if unix and self._path is None and sock is None:
            raise ValueError("path was not specified, and no sock specified")
        self._connection: ClientConnection | None = None

    def __await__(self) -> Generator[Any, None, ClientConnection]:
        return self._connected().__await__()

    async def __aenter__(self) -> ClientConnection:
        if self._connection is not None:
            raise RuntimeError("connect() isn't reentrant")
        self._connection = await self._connected()
        return self._connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.__aexit__(kind, error, traceback)

    async def __aiter__(self) -> AsyncIterator[ClientConnection]:
        delays: Iterator[float] | None = None
        while True:
            try:
                async with self as connection:
                    delays = None
                    yield connection
            except Exception as error:
                if self._connection is not None:
                    raise  # it is the application's
                fatal = self._process_exception(error)
                if fatal is error:
                    raise
                if fatal is not None:
                    raise fatal from error
                delays = delays or self._delays()
                delay = next(delays)
                self.logger.info("connect failed; reconnecting in %.1f seconds: %s", delay, error)
                await asyncio.sleep(delay)

    async def _connected(self) -> ClientConnection:
        """Connects, and follows where the server sends it."""
        place, headers = self._place, self._headers
        for _ in range(_REDIRECTS_MAX):
            connection = await self._begun(place, headers)
            try:
                await connection.opened()
            except InvalidStatus as refusal:
                response = refusal.response
                if response.status_code not in _REDIRECTING or "Location" not in response.headers:
                    raise
                place, headers = self._redirected(place, headers, response.headers["Location"])
                await connection.wait_closed()
            else:
                return connection
        raise SecurityError(f"more than {_REDIRECTS_MAX} redirects")

    async def _begun(self, place: urllib.parse.SplitResult, headers: Headers) -> ClientConnection:
        """Makes a connection that is on its way to its server."""
        address = await self._address(place)
        reactor = Reactor.of_running_loop(self._trust)
        fields = list(headers.raw_items())
        if place.username is not None and "Authorization" not in headers:
            names = urllib.parse.unquote(place.username), urllib.parse.unquote(place.password or "")
            fields.append(("Authorization", "Basic " + base64.b64encode(":".join(names).encode()).decode()))
        netloc = place.netloc.rpartition("@")[2]
        target = urllib.parse.urlunsplit(("", "", place.path or "/", place.query, ""))
        request = Request(target, Headers([("Host", netloc), *fields]))
        reactor.hold()
        try:
            if self._sock is None:
                url = urllib.parse.urlunsplit((place.scheme, netloc, place.path or "/", place.query, ""))
                number = reactor.hub.connect(url, address=address, fields=fields, **self._options.config)
            else:
                number = self._adopted(reactor, self._sock, netloc, target, fields)
            connection = self._create_connection(reactor, number, self._options, self.logger, request)
        finally:
            reactor.release()
        reactor.turn_soon()
        return connection

    def _adopted(
        self, reactor: Reactor, sock: socket.socket, host: str, target: str, fields: list[tuple[str, str]]
    ) -> int:
        """Takes over a socket that is connected, and sends the request there."""
        with sock:
            number = reactor.hub.adopt_connection(sock, is_client=True, **self._options.config)
        lent = reactor.hub.connection(number)
        if lent is not None:
            for name, value in fields:
                lent.add_field(name, value)
            lent.request(host, target)
        return number

    async def _address(self, place: urllib.parse.SplitResult) -> str | None:
        """Where to go, if it is not what the URI says."""
        if self._path is not None:
            return f"unix:{self._path}"
        if self._host is None and self._port is None:
            return None
        port = self._port or place.port or (443 if place.scheme == "wss" else 80)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._host or place.hostname, port, type=socket.SOCK_STREAM)
        host = found[0][4][0]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"

    def _redirected(
        self, place: urllib.parse.SplitResult, headers: Headers, location: str
    ) -> tuple[urllib.parse.SplitResult, Headers]:
        """Where a server sends this end, and what to tell there."""
        uri = urllib.parse.urljoin(place.geturl(), location)
        other = _parsed(uri)
        if self._sock is not None:
            raise ValueError(f"cannot follow redirect to {uri} with a preexisting socket")
        if place.scheme == "wss" and other.scheme == "ws":
            raise SecurityError(f"cannot follow redirect to non-secure URI {uri}")
        if (place.scheme, place.hostname, place.port) == (other.scheme, other.hostname, other.port):
            return other, headers
        if self._path is not None:
            raise ValueError(f"cannot follow cross-origin redirect to {uri} with a Unix socket")
        if self._host is not None or self._port is not None:
            raise ValueError(f"cannot follow cross-origin redirect to {uri} with an explicit host or port")
        kept = (field for field in headers.raw_items() if field[0].lower() not in _CREDENTIALS)
        return other, Headers(kept)


def unix_connect(
    path: str | os.PathLike[str] | None = None, uri: str | None = None, **options: Any
) -> connect:
    """Connects to a server at a Unix socket, as connect(); the URI says what is asked for there."""
    return connect(uri or "ws://localhost/", unix=True, path=path, **options)


def _parsed(uri: str) -> urllib.parse.SplitResult:
    """Takes a URI apart; what the library has to say of it, it says in connect()."""
    try:
        place = urllib.parse.urlsplit(uri)
        _ = place.port
    except ValueError as error:
        raise InvalidURI(uri, str(error)) from error
    if place.scheme not in {"ws", "wss"}:
        raise InvalidURI(uri, "scheme isn't ws or wss")
    if not place.hostname:
        raise InvalidURI(uri, "hostname isn't provided")
    if place.fragment:
        raise InvalidURI(uri, "fragment identifier is meaningless")
    return place
