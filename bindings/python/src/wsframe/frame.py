"""Frames, from bytes and to bytes. Nothing here has a state: everything may be used from any thread."""

from __future__ import annotations

import enum
import sys
from typing import NamedTuple

from wsframe._arguments import Buffer, integer, octets
from wsframe._ffi import lib, new_bytes, wsframe_header
from wsframe.errors import UsageError, checked

_MASK = 0x01  # WSFRAME_HEADER_MASK
_HEADER_LEN_MAX = 14
_ACCEPT_KEY_LEN = 28


class Opcode(enum.IntEnum):
    """
    What a frame is for (RFC 6455 section 11.8).

    CONTINUATION is the next piece of a message in several frames. TEXT is a message, or the first piece of
    one, that is UTF-8; BINARY is one that is any bytes. CLOSE starts or answers the closing handshake. PING
    asks for a PONG with the same payload.
    """

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


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
            (Frame.FIN if self.fin else 0)
            | (Frame.RSV1 if self.rsv1 else 0)
            | (Frame.RSV2 if self.rsv2 else 0)
            | (Frame.RSV3 if self.rsv3 else 0)
            | (_MASK if self.masked else 0)
        )
        record = wsframe_header(
            payload_len=integer("payload_len", self.payload_len, 2**64 - 1),
            opcode=integer("opcode", self.opcode, 0xFF),
            flags=flags,
            mask_key=(0, 0, 0, 0) if self.mask_key is None else tuple(_key(self.mask_key)),
        )
        out: bytes = new_bytes(None, _HEADER_LEN_MAX)
        return out[: checked(lib.wsframe_header_build(record, out, len(out)))]


class Frame:
    """
    What a server does with frames, and the accept key of the opening handshake. All methods are static.

    data and payload may be bytes, a bytearray, a memoryview or anything else that lends its bytes. The bytes
    of a memoryview count, whatever its format; one that is not contiguous is read in its own order. bytes are
    read where they are. Everything else is copied first, because another thread could change it during the
    call; so a bytearray may be resized as soon as the call is over, whether it returned or raised.

    An argument of a wrong type is a TypeError.
    """

    FIN = 0x80
    """The bit of a frame's first byte that says: this frame ends its message (RFC 6455 section 5.2)."""
    RSV1 = 0x40
    """The first reserved bit of that byte; permessage-deflate marks compressed messages with it."""
    RSV2 = 0x20
    """The second reserved bit of that byte."""
    RSV3 = 0x10
    """The third reserved bit of that byte."""

    @staticmethod
    def accept_key(key: str | Buffer) -> str:
        """
        Returns the Sec-WebSocket-Accept value that answers a Sec-WebSocket-Key (RFC 6455 section 4.2.2).

        key is the value of that field, without the white space around it.

        ProtocolError with code -32: key is not the base64 of 16 bytes. Answer with HTTP status 400.
        """
        # A lone surrogate, which UTF-8 cannot express, becomes a question mark, which is not base64 either.
        key = key.encode("utf-8", "replace") if isinstance(key, str) else octets(key)
        answer: bytes = new_bytes(None, _ACCEPT_KEY_LEN)
        checked(lib.wsframe_accept_key(key, len(key), answer, len(answer)))
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
        start = _header_at(data, offset)
        record = wsframe_header()
        if not checked(lib.wsframe_header_parse(start, len(start), record)):
            return None
        flags = record.flags
        return Header(
            _OPCODES[record.opcode],
            record.payload_len,
            flags & Frame.FIN != 0,
            flags & Frame.RSV1 != 0,
            flags & Frame.RSV2 != 0,
            flags & Frame.RSV3 != 0,
            bytes(record.mask_key) if flags & _MASK else None,
            record.header_len,
        )

    @staticmethod
    def unmask(data: Buffer, key: Buffer, offset: int = 0) -> bytes:
        """
        Returns data unmasked, or masked, which is the same act (RFC 6455 section 5.3). data stays as it is.

        key is the header's mask_key, four bytes. offset is the position of data in the payload in bytes, for
        a payload that is worked on piece by piece: 0 for its start.

        UsageError: key does not have four bytes, or offset is below 0 or above sys.maxsize.
        """
        data, key, offset = octets(data), _key(key), integer("offset", offset, sys.maxsize)
        out: bytes = new_bytes(None, len(data))
        checked(lib.wsframe_unmask_copy(data, len(data), key, offset, out))
        return out

    @staticmethod
    def build(first_byte: int, payload: Buffer) -> bytes:
        """
        Returns a server's frame, which is not masked (RFC 6455 section 5.2): its header, then payload.

        first_byte is the first byte on the wire: Frame.FIN | Opcode.TEXT for a whole text message. A message
        in several frames starts with its opcode without FIN, goes on with Opcode.CONTINUATION and ends with
        Frame.FIN | Opcode.CONTINUATION. For a client's frame see Header.build().

        UsageError: first_byte is not 0 to 255 or has a reserved opcode, or a control frame has no FIN or a
        payload of more than 125 bytes (RFC 6455 section 5.5).
        """
        first_byte, payload = integer("first_byte", first_byte, 0xFF), octets(payload)
        frame: bytes = new_bytes(None, checked(lib.wsframe_frame_size(len(payload))))
        checked(lib.wsframe_frame_build(first_byte, payload, len(payload), frame, len(frame)))
        return frame

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
        data = octets(data)
        return checked(lib.wsframe_utf8_check(data, len(data)))


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


def _key(key: Buffer) -> bytes:
    """Returns the four bytes of a masking key."""
    key = octets(key)
    if len(key) != 4:
        raise UsageError(f"a masking key has 4 bytes, not {len(key)} (RFC 6455 section 5.3)")
    return key
