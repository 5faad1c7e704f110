"""
WebSocket (RFC 6455) on libwsframe.

Server serves many clients, and calls handlers for what they do:

    server = Server()
    server.on("message", lambda peer, message: peer.send(message))
    server.listen("127.0.0.1:8080")
    server.run()

It stands on Hub, whose poll() returns what happened on all connections. wsframe.asyncio has servers and
clients for asyncio and uvloop, as the package websockets has them.

Connection does all of the protocol and no I/O: bytes that were read go in, bytes to be written come out.

    with Connection.server() as connection:
        ...
        for event in connection.receive(tcp.recv(65536)):
            if event.kind is EventKind.TEXT:
                connection.send(event.text)
        tcp.sendall(connection.take(now_ms))
        ...

Frame is for those who have a parser, or want to see how it is done. A server that has received bytes from a
client, after the opening handshake, does this with them:

    header = Frame.parse(data)
    if header is None or len(data) < header.header_len + header.payload_len:
        ...  # receive more, then begin again
    end = header.header_len + header.payload_len
    payload = Frame.unmask(data[header.header_len : end], header.mask_key)
    client.sendall(Frame.build(Opcode.FIN | Opcode.TEXT, b"hello"))

What the peer did wrong is raised as ProtocolError, with the close code to send, or is an event of the
connection; what the program did wrong is raised as UsageError. A connection may be used from one thread at a
time, a hub and a server from one thread only, everything else from any thread at any time.
"""

from wsframe import _ffi
from wsframe.client import Client, NotConnected, Reconnect
from wsframe.connection import (
    NEVER,
    Config,
    Connection,
    DataFlag,
    Deflate,
    Event,
    EventKind,
    Message,
    State,
    answer_extensions,
    answer_handshake,
)
from wsframe.errors import ErrorCode, ProtocolError, UsageError
from wsframe.frame import Frame, Header, Opcode
from wsframe.hub import Hub, Stats, WatchFlag
from wsframe.peer import Peer
from wsframe.server import Server

__version__ = _ffi.text_of(_ffi.VERSION)

__all__ = [
    "NEVER",
    "Client",
    "Config",
    "Connection",
    "DataFlag",
    "Deflate",
    "ErrorCode",
    "Event",
    "EventKind",
    "Frame",
    "Header",
    "Hub",
    "Message",
    "NotConnected",
    "Opcode",
    "Peer",
    "ProtocolError",
    "Reconnect",
    "Server",
    "State",
    "Stats",
    "UsageError",
    "WatchFlag",
    "answer_extensions",
    "answer_handshake",
    "version",
]


def version() -> str:
    """Returns the version of the library that was loaded, such as "0.1.0"."""
    return _ffi.text_of(_ffi.version_of(_ffi.lib))
