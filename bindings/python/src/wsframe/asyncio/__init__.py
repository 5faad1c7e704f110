"""
WebSocket servers and clients for asyncio and uvloop, as the package websockets has them, on the hub.

    from wsframe.asyncio import serve

    async def echo(connection):
        async for message in connection:
            await connection.send(message)

    async def main():
        async with serve(echo, "127.0.0.1", 8080) as server:
            await server.serve_forever()

    asyncio.run(main())

All servers and clients of an event loop share one Hub, which the loop polls when there is something to do.
docs/websockets.md says which names mean the same as there, which are missing, and why.
"""

from wsframe.asyncio import datastructures, exceptions, frames, http11
from wsframe.asyncio.client import ClientConnection, connect, unix_connect
from wsframe.asyncio.connection import Connection, Data, DataLike, LoggerLike, State
from wsframe.asyncio.datastructures import Headers, HeadersLike, MultipleValuesError
from wsframe.asyncio.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidHeader,
    InvalidMessage,
    InvalidOrigin,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidUpgrade,
    InvalidURI,
    NegotiationError,
    PayloadTooBig,
    ProtocolError,
    ProxyError,
    SecurityError,
    WebSocketException,
)
from wsframe.asyncio.frames import Close, CloseCode
from wsframe.asyncio.http11 import Request, Response
from wsframe.asyncio.router import Router, route, unix_route
from wsframe.asyncio.server import Server, ServerConnection, basic_auth, broadcast, serve, unix_serve

__all__ = [
    "ClientConnection",
    "Close",
    "CloseCode",
    "ConcurrencyError",
    "Connection",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "Data",
    "DataLike",
    "Headers",
    "HeadersLike",
    "InvalidHandshake",
    "InvalidHeader",
    "InvalidMessage",
    "InvalidOrigin",
    "InvalidProxy",
    "InvalidProxyMessage",
    "InvalidProxyStatus",
    "InvalidStatus",
    "InvalidURI",
    "InvalidUpgrade",
    "LoggerLike",
    "MultipleValuesError",
    "NegotiationError",
    "PayloadTooBig",
    "ProtocolError",
    "ProxyError",
    "Request",
    "Response",
    "Router",
    "SecurityError",
    "Server",
    "ServerConnection",
    "State",
    "WebSocketException",
    "basic_auth",
    "broadcast",
    "connect",
    "datastructures",
    "exceptions",
    "frames",
    "http11",
    "route",
    "serve",
    "unix_connect",
    "unix_route",
    "unix_serve",
]
