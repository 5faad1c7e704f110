"""What a server answers to those who ask to be let in."""

from __future__ import annotations

import http
import inspect
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Union

from wsframe.asyncio.datastructures import Headers
from wsframe.asyncio.exceptions import NegotiationError
from wsframe.asyncio.http11 import Request, Response, text_response

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Callable

    from wsframe.asyncio.server import ServerConnection
    from wsframe.connection import Config

    Answer = Union[Response, None]
    ProcessRequest = Callable[[ServerConnection, Request], Union[Answer, Awaitable[Answer]]]
    ProcessResponse = Callable[[ServerConnection, Request, Response], Union[Answer, Awaitable[Answer]]]
    SelectSubprotocol = Callable[[ServerConnection, Sequence[str]], Union[str, None]]
    Origin = Union[str, re.Pattern[str], None]

_SUBPROTOCOL = "Sec-WebSocket-Protocol"
_WRITTEN = {"connection", "upgrade", "content-length", "transfer-encoding", _SUBPROTOCOL.lower()}
"""What the library writes itself."""
_FAILED = "Failed to open a WebSocket connection"


class Handshake:
    """Decides about requests; asks the application, if it wants to have a say."""

    def __init__(  # noqa: PLR0913
        self,
        *,
        origins: Sequence[Origin] | None,
        subprotocols: Sequence[str] | None,
        select_subprotocol: SelectSubprotocol | None,
        process_request: ProcessRequest | None,
        process_response: ProcessResponse | None,
        server_header: str | None,
    ) -> None:
        if isinstance(subprotocols, str):
            raise TypeError("subprotocols must be a list, not a str")
        self.config: Config = {}  # what the library decides alone
        self.origins: Sequence[Origin] | None = None  # what it cannot
        if origins and all(isinstance(origin, str) for origin in origins):
            self.config["origins"] = [origin for origin in origins if isinstance(origin, str)]
        else:
            self.origins = origins
        self.subprotocols = subprotocols
        self.select_subprotocol, self.server_header = select_subprotocol, server_header
        self.process_request, self.process_response = process_request, process_response

    @property
    def is_asking(self) -> bool:
        """Whether the application has a say, for which it may take its time."""
        return self.process_request is not None or self.process_response is not None

    def response(self, connection: ServerConnection, request: Request, is_page: bool) -> Response:
        """Returns what is answered if the application does not say otherwise."""
        if is_page:
            return text_response(
                http.HTTPStatus.UPGRADE_REQUIRED, f"{_FAILED}: it is one of WebSocket only.\n"
            )
        if not self._is_from_here(request):
            return text_response(http.HTTPStatus.FORBIDDEN, f"{_FAILED}: the origin is not wanted here.\n")
        response = Response(
            101, "Switching Protocols", Headers({"Upgrade": "websocket", "Connection": "Upgrade"})
        )
        offered = [
            name.strip() for value in request.headers.get_all(_SUBPROTOCOL) for name in value.split(",")
        ]
        if self.select_subprotocol is not None:
            try:
                chosen = self.select_subprotocol(connection, offered)
            except NegotiationError as error:
                return text_response(http.HTTPStatus.BAD_REQUEST, f"{_FAILED}: {error}\n")
        elif self.subprotocols:
            chosen = next((name for name in self.subprotocols if name in offered), None)
            if chosen is None:
                wanted = ", ".join(self.subprotocols)
                return text_response(http.HTTPStatus.BAD_REQUEST, f"{_FAILED}: no subprotocol of {wanted}.\n")
        else:
            chosen = None
        if chosen is not None:
            response.headers[_SUBPROTOCOL] = chosen
        return response

    async def asked(self, connection: ServerConnection, request: Request, is_page: bool) -> Response:
        """Returns what is answered, when the application has said what it wants."""
        response: Any = None
        if self.process_request is not None:
            response = await awaited(self.process_request(connection, request))
        if response is None:
            response = self.response(connection, request, is_page)
        if self.process_response is not None:
            changed = await awaited(self.process_response(connection, request, response))
            response = response if changed is None else changed
        if not isinstance(response, Response):
            raise TypeError(f"an answer must be a Response, not {type(response).__name__}")
        return response

    def give(self, connection: ServerConnection, response: Response) -> None:
        """Answers the request of a connection. UsageError: the library does not send such an answer."""
        lent = connection._reactor.hub.connection(connection._number)
        if lent is None:
            return
        if self.server_header is not None and "Server" not in response.headers:
            response.headers["Server"] = self.server_header
        for name, value in response.headers.raw_items():
            if name.lower() not in _WRITTEN:
                lent.add_field(name, value)
        if response.status_code == http.HTTPStatus.SWITCHING_PROTOCOLS:
            subprotocol = response.headers.get(_SUBPROTOCOL)
            events = lent.accept(subprotocol)
            connection.subprotocol = subprotocol
            connection._response = response
            connection._reactor.tell(events)
        else:
            lent.respond(response.status_code, response.body)
            connection._response = response
        connection._reactor.turn_soon()

    def _is_from_here(self, request: Request) -> bool:
        """Whether the origin of a request, which the library has let in, is one of those that are wanted."""
        if self.origins is None:
            return True
        values = request.headers.get_all("Origin")
        origin = values[0] if values else None
        return len(values) <= 1 and any(
            origin is not None and wanted.fullmatch(origin) is not None
            if isinstance(wanted, re.Pattern)
            else wanted == origin
            for wanted in self.origins
        )


def failed() -> Response:
    """What is answered if the application has failed."""
    return text_response(
        http.HTTPStatus.INTERNAL_SERVER_ERROR, f"{_FAILED}.\nSee server log for more information.\n"
    )


def closing() -> Response:
    """What is answered by a server that closes."""
    return text_response(http.HTTPStatus.SERVICE_UNAVAILABLE, "Server is shutting down.\n")


async def awaited(answer: Any) -> Any:
    """Returns what the application says, which it may take its time for."""
    return await answer if inspect.isawaitable(answer) else answer
