"""
WebSocket frames (RFC 6455) on libwsframe.

A server that has received bytes from a client, after the opening handshake, does this with them:

    header = Frame.parse(data)
    if header is None or len(data) < header.header_len + header.payload_len:
        ...  # receive more, then begin again
    end = header.header_len + header.payload_len
    payload = Frame.unmask(data[header.header_len : end], header.mask_key)
    client.sendall(Frame.build(Frame.FIN | Opcode.TEXT, b"hello"))

What the peer did wrong is raised as ProtocolError, with the close code to send; what the program did wrong as
UsageError. Everything may be used from any thread at any time.
"""

from wsframe import _ffi
from wsframe.errors import ProtocolError, UsageError
from wsframe.frame import Frame, Header, Opcode

__all__ = ["Frame", "Header", "Opcode", "ProtocolError", "UsageError", "version"]


def version() -> str:
    """Returns the version of the library that was loaded, such as "0.1.0"."""
    return _ffi.text_of(_ffi.version_of(_ffi.lib))
