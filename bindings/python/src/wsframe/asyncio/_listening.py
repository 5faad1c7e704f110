"""The sockets at which a server listens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Callable


def opener(  # noqa: PLR0913
    host: str | Sequence[str] | None,
    port: int | None,
    *,
    unix: bool = False,
    path: str | os.PathLike[str] | None = None,
    sock: socket.socket | None = None,
    family: int = socket.AF_UNSPEC,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
    **others: Any,
) -> Callable[[], Awaitable[list[socket.socket]]]:
    """
    Returns what opens the sockets, which are bound then and do not listen yet.

    TypeError: there is an option that this has not. ValueError: they do not fit.
    """
    if others:
        raise TypeError(f"serve() has no {', '.join(others)}")
    if sock is not None and (host is not None or port is not None or path is not None):
        what = "host/port" if path is None else "path"
        raise ValueError(f"{what} and sock can not be specified at the same time")

    async def given() -> list[socket.socket]:
        assert sock is not None
        sock.setblocking(False)
        return [sock]

    async def file() -> list[socket.socket]:
        if path is None:
            raise ValueError("path was not specified, and no sock specified")
        return [_unix(os.fsdecode(path))]

    async def ports() -> list[socket.socket]:
        hosts = [host] if host is None or isinstance(host, str) else list(host)
        return await _bound(
            [each or None for each in hosts], port or 0, family, bool(reuse_port), reuse_address
        )

    if sock is not None:
        return given
    return file if unix else ports


async def _bound(
    hosts: list[str | None], port: int, family: int, reuse_port: bool, reuse_address: bool | None
) -> list[socket.socket]:
    """Binds a socket for each address of the hosts."""
    loop = asyncio.get_running_loop()
    addresses: dict[tuple[int, Any], None] = {}
    for host in hosts:
        found = await loop.getaddrinfo(
            host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        addresses.update(dict.fromkeys((kind, address) for kind, _, _, _, address in found))
    with contextlib.ExitStack() as stack:
        sockets = []
        for kind, address in addresses:
            try:
                each = stack.enter_context(socket.socket(kind, socket.SOCK_STREAM))
            except OSError:
                continue  # the system has no such family
            each.setblocking(False)
            if reuse_address is not False:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if kind == socket.AF_INET6:
                each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            each.bind(address)
            sockets.append(each)
        stack.pop_all()
        return sockets


def _unix(path: str) -> socket.socket:
    """Binds a Unix socket, whose file a former server may have left."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.remove(path)
    each = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        each.setblocking(False)
        each.bind(path)
    except BaseException:
        each.close()
        raise
    return each
