"""Handlers by the path that a client asks for."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wsframe.asyncio._handshake import awaited
from wsframe.asyncio.server import Server, ServerConnection, serve

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable
    from typing import Callable

    from wsframe.asyncio.http11 import Request, Response

    Handler = Callable[..., Awaitable[None]]

__all__ = ["Router", "route", "unix_route"]


class Router:
    """
    Handlers by path: {"/chat/<room>": chat} calls chat(connection, room="...").

    <name> stands for what has no slash in it, <path:name> for anything, <int:name> for a number, which is an
    int then. The first that fits is taken. Who asks for another path is answered with 404.
    """

    def __init__(self, paths: Mapping[str, Handler]) -> None:
        """ValueError: a path does not begin with a slash, or has something else between angle brackets."""
        self._routes = [(*_pattern(path), handler) for path, handler in paths.items()]

    def route_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Finds the handler of a request; a process_request for serve()."""
        path = urllib.parse.unquote(request.path.partition("?")[0])
        for pattern, convert, handler in self._routes:
            found = pattern.fullmatch(path)
            if found is not None:
                connection.handler = handler
                connection.handler_kwargs = {name: convert[name](x) for name, x in found.groupdict().items()}
                return None
        return connection.respond(404, "Not Found\n")

    async def handler(self, connection: ServerConnection) -> None:
        """Calls the handler that was found; a handler for serve()."""
        await connection.handler(connection, **connection.handler_kwargs)


def route(paths: Mapping[str, Handler], *place: Any, **options: Any) -> Server:
    """
    Serves clients as serve() does, with a handler for each path; see Router.

    A process_request is called before, and may answer instead.
    """
    router, first = Router(paths), options.pop("process_request", None)

    async def process_request(connection: ServerConnection, request: Request) -> Response | None:
        answer: Response | None = await awaited(first(connection, request))
        return router.route_request(connection, request) if answer is None else answer

    decide = router.route_request if first is None else process_request
    return serve(router.handler, *place, process_request=decide, **options)


def unix_route(
    paths: Mapping[str, Handler], path: str | os.PathLike[str] | None = None, **options: Any
) -> Server:
    """Serves clients at a Unix socket, as unix_serve(), with a handler for each path."""
    return route(paths, unix=True, path=path, **options)


_KINDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "": ("[^/]+", str),
    "path": (".+", str),
    "int": (r"\d{1,18}", int),
}


def _pattern(path: str) -> tuple[re.Pattern[str], dict[str, Callable[[str], Any]]]:
    """What fits a path, and what its parts become."""
    if not path.startswith("/"):
        raise ValueError(f"{path!r} does not begin with a slash")
    pattern, convert = "", {}
    for literal, brackets, kind, name in re.findall(r"([^<]+)|(<(?:(\w+):)?(\w+)>)|<", path):
        if literal:
            pattern += re.escape(literal)
        elif brackets and kind in _KINDS:
            part, convert[name] = _KINDS[kind]
            pattern += f"(?P<{name}>{part})"
        else:
            raise ValueError(f"{path!r} has something between angle brackets that this does not know")
    return re.compile(pattern), convert
