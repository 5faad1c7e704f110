"""Frames, from bytes and to bytes. Nothing here has a state: everything may be used from any thread."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterable
from typing import NamedTuple

from wsframe import _ffi
from wsframe._arguments import Buffer, all_octets, integer, octets
from wsframe._ffi import HEADER, lengths, lib, new_bytes, size_of
from wsframe.errors import UsageError, checked

_MASK = 0x01  # WSFRAME_HEADER_MASK
_HEADER_LEN_MAX = 14
_RECORD_LEN = HEADER.size
_ACCEPT_KEY_LEN = 28
_OFFSET_MAX = sys.maxsize
_LONG = 16 << 10
"""
From so many bytes on, other threads run while the library works, and what it fills is made by new_bytes().

For less, bytes(size) is faster, although it writes zeros first. It too is an object that nobody else has.
"""


class Opcode(enum.IntEnum):
    """
    What a frame is for (RFC 6455 section 11.8), and the bits that are combined with it.

    CONTINUATION is the next piece of a message in several frames. TEXT is a message, or the first piece of
    one, that is UTF-8; BINARY is one that is any bytes. CLOSE starts or answers the closing handshake. PING
    asks for a PONG with the same payload.

    FIN says that this frame ends its message, and RSV1, RSV2 and RSV3 are the reserved bits, of which
    permessage-deflate marks compressed messages with RSV1 (RFC 7692). They are the bits of a frame's first
    byte: Opcode.FIN | Opcode.TEXT is that of a whole text message.

    MORE, PLAIN and COMPRESSED are what more and compress of Connection.send() stand for.
    """

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA
    RSV3 = 0x10
    RSV2 = 0x20
    RSV1 = 0x40
    FIN = 0x80
    MORE = 0x100
    PLAIN = 0x200
    COMPRESSED = 0x400


_FIN, _RSV1, _RSV2, _RSV3 = 0x80, 0x40, 0x20, 0x10  # read faster than from Opcode
_OPCODES = {opcode.value: opcode for opcode in Opcode}  # asked in a tenth of the time of Opcode(number)


class Header(NamedTuple):
    """
    The header of a frame (RFC 6455 section 5.2). It cannot be changed.

    Frame.parse() returns one for a frame that was received. A client makes one of its own for each frame it
    sends: Header(Opcode.TEXT, len(payload), mask_key=key), where key is four fresh random bytes.
    """

    opcode: Opcode
    """What the frame is for."""
    payload_len: int
    """Length of the payload in bytes, 0 to 2**63 - 1. The payload itself need not have arrived."""
    fin: bool = True
    """Whether this frame ends its message."""
    rsv1: bool = False
    """The first reserved bit; permessage-deflate marks compressed messages with it (RFC 7692)."""
    rsv2: bool = False
    """The second reserved bit."""
    rsv3: bool = False
    """The third reserved bit."""
    mask_key: bytes | None = None
    """The four bytes with which the payload is masked, or None if it is not masked."""
    header_len: int = 0
    """Length of the header itself in bytes, 2 to 14; 0 in one that was not parsed. build() ignores it."""

    @property
    def masked(self) -> bool:
        """Whether the payload is masked, as a client must and a server must not do (RFC 6455 section 5.1)."""
        return self.mask_key is not None

    def build(self) -> bytes:
        """
        Returns the bytes of this header, 2 to 14 of them. The length takes its shortest form.

        A client sends them, and behind them the payload masked with Frame.unmask(payload, mask_key). A server
        uses Frame.build(), or this if it wants to send a large payload without a copy.

        UsageError: RFC 6455 does not allow such a frame (sections 5.2 and 5.5), a number is out of range, or
        mask_key does not have four bytes.
        """
        flags = (
            (_FIN if self.fin else 0)
            | (_RSV1 if self.rsv1 else 0)
            | (_RSV2 if self.rsv2 else 0)
            | (_RSV3 if self.rsv3 else 0)
            | (_MASK if self.masked else 0)
        )
        record = HEADER.pack(
            integer("payload_len", self.payload_len, 2**64 - 1),
            integer("opcode", self.opcode, 0xFF),
            flags,
            0,
            bytes(4) if self.mask_key is None else _key(self.mask_key),
        )
        out = bytes(_HEADER_LEN_MAX)
        return out[: checked(_ffi.header_build(record, out, size_of(_HEADER_LEN_MAX)))]


class Frame:
    """
    What a server does with frames, and the accept key of the opening handshake. All methods are static.

    data and payload may be bytes, a bytearray, a memoryview or anything else that lends its bytes. The bytes
    of a memoryview count, whatever its format; one that is not contiguous is read in its own order. bytes are
    read where they are. Everything else is copied first, because another thread could change it during the
    call; so a bytearray may be resized as soon as the call is over, whether it returned or raised.

    An argument of a wrong type is a TypeError.
    """

    @staticmethod
    def accept_key(key: str | Buffer) -> str:
        """
        Returns the Sec-WebSocket-Accept value that answers a Sec-WebSocket-Key (RFC 6455 section 4.2.2).

        key is the value of that field, without the white space around it.

        ProtocolError with code -32: key is not the base64 of 16 bytes. Answer with HTTP status 400.
        """
        # A lone surrogate, which UTF-8 cannot express, becomes a question mark, which is not base64 either.
        key = key.encode("utf-8", "replace") if isinstance(key, str) else octets(key)
        answer = bytes(_ACCEPT_KEY_LEN)
        result = _ffi.accept_key(key, size_of(len(key)), answer, size_of(_ACCEPT_KEY_LEN))
        if result < 0:
            checked(result)
        return answer.decode("ascii")

    @staticmethod
    def parse(data: Buffer, offset: int = 0) -> Header | None:
        """
        Reads the header of the frame that starts at data[offset] (RFC 6455 section 5.2).

        Returns None if more bytes are needed: call again with what was there and what has come since.
        Otherwise the payload begins at offset + header_len and has payload_len bytes. They need not have
        arrived: compare payload_len with your limit before you wait for them. The RSV bits and the mask are
        reported, not judged: a server refuses a frame that is not masked, and RSV bits without an extension.

        ProtocolError with close code 1002: the opcode is reserved, a control frame is fragmented or longer
        than 125 bytes, or the length is not in its shortest form or above 2**63 - 1.
        UsageError: offset is below 0 or beyond the end of data.
        """
        if type(data) is bytes and type(offset) is int and 0 <= offset <= len(data):
            start = data[offset : offset + _HEADER_LEN_MAX]
        else:
            start = _header_at(data, offset)
        record = bytes(_RECORD_LEN)
        result = _ffi.header_parse(start, size_of(len(start)), record)
        if result <= 0:
            checked(result)
            return None
        payload_len, opcode, flags, header_len, key = HEADER.unpack(record)
        return _tuple(
            Header,
            (
                _OPCODES[opcode],
                payload_len,
                flags & _FIN != 0,
                flags & _RSV1 != 0,
                flags & _RSV2 != 0,
                flags & _RSV3 != 0,
                key if flags & _MASK else None,
                header_len,
            ),
        )

    @staticmethod
    def unmask(data: Buffer, key: Buffer, offset: int = 0) -> bytes:
        """
        Returns data unmasked, or masked, which is the same act (RFC 6455 section 5.3). data stays as it is.

        key is the header's mask_key, four bytes. offset is the position of data in the payload in bytes, for
        a payload that is worked on piece by piece: 0 for its start.

        UsageError: key does not have four bytes, or offset is below 0 or above sys.maxsize.
        """
        if type(data) is not bytes:
            data = octets(data)
        if type(key) is not bytes or len(key) != 4:
            key = _key(key)
        if type(offset) is not int or not 0 <= offset <= _OFFSET_MAX:
            offset = integer("offset", offset, _OFFSET_MAX)
        size = len(data)
        if size < _LONG:
            out = bytes(size)
            result = _ffi.unmask(data, size_of(size), key, size_of(offset), out)
        else:
            out = new_bytes(None, size)
            result = lib.wsframe_unmask(data, size, key, offset, out)
        if result < 0:
            checked(result)
        return out

    @staticmethod
    def build(first_byte: int, payload: Buffer) -> bytes:
        """
        Returns a server's frame, which is not masked (RFC 6455 section 5.2): its header, then payload.

        first_byte is the first byte on the wire: Opcode.FIN | Opcode.TEXT for a whole text message. A message
        in several frames starts with its opcode without FIN, goes on with Opcode.CONTINUATION and ends with
        Opcode.FIN | Opcode.CONTINUATION. For a client's frame see Header.build().

        UsageError: first_byte is not 0 to 255 or has a reserved opcode, or a control frame has no FIN or a
        payload of more than 125 bytes (RFC 6455 section 5.5).
        """
        if type(first_byte) is not int or not 0 <= first_byte <= 0xFF:
            first_byte = integer("first_byte", first_byte, 0xFF)
        if type(payload) is not bytes:
            payload = octets(payload)
        size = len(payload)
        if size < _LONG:
            out = bytes(size + _HEADER_LEN_MAX)
            result = _ffi.frame_build(first_byte, payload, size_of(size), out, size_of(len(out)))
            return out[: result if result >= 0 else checked(result)]
        frame: bytes = new_bytes(None, size + _header_len(first_byte, size))
        checked(lib.wsframe_frame_build(first_byte, payload, size, frame, len(frame)))
        return frame

    @staticmethod
    def build_many(first_byte: int, payloads: Iterable[Buffer]) -> bytes:
        """
        Returns a server's frame for each of the payloads, one behind the other.

        As build() for each of them, but for many small messages with one call of the library.

        UsageError: as build().
        """
        first_byte, pieces = integer("first_byte", first_byte, 0xFF), all_octets(payloads)
        joined, lens = b"".join(pieces), lengths(pieces)
        out: bytes = new_bytes(None, len(joined) + len(pieces) * _HEADER_LEN_MAX)
        return out[: checked(lib.wsframe_frames_build(first_byte, joined, lens, len(pieces), out, len(out)))]

    @staticmethod
    def utf8_check(data: Buffer) -> int:
        """
        Checks that data is UTF-8, as the text of a message must be (RFC 6455 section 8.1).

        Returns how many bytes at the start of data are whole characters. That is all of them if data is
        UTF-8. If it is less, the last one to three bytes are the start of a character: between the pieces of
        a message keep them in front of the next piece; at the end of the message the peer is wrong, close
        code 1007.

        ProtocolError with close code 1007: no further bytes can make data valid.
        """
        if type(data) is not bytes:
            data = octets(data)
        size = len(data)
        if size < _LONG:
            result: int = _ffi.utf8_check(data, size_of(size))
        else:
            result = lib.wsframe_utf8_check(data, size)
        return result if result >= 0 else checked(result)


_tuple = tuple.__new__  # makes a Header in two thirds of the time of Header()


def _header_at(data: Buffer, offset: int) -> bytes:
    """Returns a copy of what may be a header at data[offset], in a time that does not depend on len(data)."""
    if isinstance(data, (bytes, bytearray)):
        size, start = len(data), bytes(data[offset : offset + _HEADER_LEN_MAX])
    else:
        # Closed here, because an exception would keep the view, and the view a bytearray from being resized.
        with memoryview(data) as view:
            flat = view if view.ndim == view.itemsize == 1 else view.tobytes()
            size, start = view.nbytes, bytes(flat[offset : offset + _HEADER_LEN_MAX])
    integer("offset", offset, size)
    return start


def _header_len(first_byte: int, payload_len: int) -> int:
    """Returns the length of the header of a server's frame."""
    record = HEADER.pack(payload_len, first_byte & 0xF, first_byte & 0xF0, 0, bytes(4))
    return checked(_ffi.header_build(record, bytes(_HEADER_LEN_MAX), size_of(_HEADER_LEN_MAX)))


def _key(key: Buffer) -> bytes:
    """Returns the four bytes of a masking key."""
    key = octets(key)
    if len(key) != 4:
        raise UsageError(f"a masking key has 4 bytes, not {len(key)} (RFC 6455 section 5.3)")
    return key
