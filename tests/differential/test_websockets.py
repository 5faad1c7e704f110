"""
The same bytes to this library and to websockets, an independent implementation: both deliver the same messages up to
the first error, and both refuse the same streams. Where they differ, DIFFERENCES says why.

tests/differential.rs does the same with tungstenite.
"""

from __future__ import annotations

import collections
import contextlib
import random
import struct
import zlib
from typing import NamedTuple

import pytest
from websockets.exceptions import ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import Protocol, Side
from websockets.protocol import State as TheirState
from wsframe import Connection, EventKind, State

STREAMS = 4000
MAX_LEN = 70_000
CHARACTERS = ["a", " ", "\0", "\x7f", "ß", "€", "\uffff", "\U0010ffff"]
CODES = [1000, 1001, 1003, 1004, 1005, 1006, 1007, 1011, 1012, 1013, 1014, 1015, 1016, 2999, 3000, 4999, 5000, 0]

# What this library refuses and websockets does not, or not there: a part of the sentence in Connection.error, and why.
# All that came before must still be the same.
DIFFERENCES = {
    "shortest form of the length": "websockets does not look whether a length is in its shortest form (section 5.2)",
    "control frame of more than 125": "the same, for a control frame whose length of at most 125 is in a longer form",
}
# And the other way round.
FINAL_BLOCK = "websockets inflates nothing behind a block that says it is the last (RFC 7692 section 7.2.3.4)"
CLOSE_IN_MESSAGE = "websockets refuses a close between the frames of a message, which section 5.4 allows"
HEADER_NOT_COMPLETE = "the header is not complete, which this library waits for before it looks at its mask and length"
NOT_COMPLETE = "the frame or the text is not complete, which websockets waits for"


class Agreed(NamedTuple):
    """What both ends have agreed on for the messages of the peer, or that they are not compressed (RFC 7692)."""

    deflate: bool = False
    no_context_takeover: bool = False
    window_bits: int = 15


class Heard(NamedTuple):
    """What came of a stream: events as (kind, data, close code), and whether it is open, closed or refused."""

    events: list[tuple[str, bytes, int]]
    end: str


class FinalBlock(Exception):
    """A block said that it is the last."""


def frame(rng: random.Random, server: bool, first_byte: int, payload: bytes) -> bytes:
    mask_bit, length = 0x80 if server else 0, len(payload)
    form = rng.randrange(3) if rng.randrange(200) == 0 else 0
    if form == 2 or length > 0xFFFF:
        header = struct.pack("!BBQ", first_byte, mask_bit | 127, length)
    elif form == 1 or length > 125:
        header = struct.pack("!BBH", first_byte, mask_bit | 126, length)
    else:
        header = struct.pack("!BB", first_byte, mask_bit | length)
    if not server:
        return header + payload
    key = rng.randbytes(4)
    repeated = (key * (length // 4 + 1))[:length]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return header + key + masked.to_bytes(length, "big")


def control_frame(rng: random.Random, server: bool) -> bytes:
    payload = rng.randbytes(rng.randrange(rng.choice([5, 5, 5, 126])))
    return frame(rng, server, rng.choice([0x89, 0x8A]), payload)


class StrictDeflate(PerMessageDeflate):
    """
    What websockets inflates with, and two things that it does not look at: a message that ends inside a block is
    refused, and one that has no bytes is empty.
    """

    def __init__(self, agreed: Agreed) -> None:
        super().__init__(False, False, agreed.window_bits, 15)
        self._agreed = agreed
        self._is_compressed = False
        self._len = 0

    @property
    def has_ended(self) -> bool:
        return self.decoder.eof

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return frame
        if frame.opcode is not Opcode.CONT:
            self._is_compressed, self._len = frame.rsv1, 0
            if frame.rsv1 and self._agreed.no_context_takeover and not self.has_ended:
                self.decoder = zlib.decompressobj(wbits=-self._agreed.window_bits)
        self._len += len(frame.data)
        is_end = self._is_compressed and frame.fin
        if is_end and self._len == 0 and (frame.opcode is not Opcode.CONT or not frame.rsv1):
            self.decode_cont_data = False
            return Frame(frame.opcode, b"", True, False, frame.rsv2, frame.rsv3)
        decoded = super().decode(frame, max_size=max_size)
        if is_end:
            # Between two blocks an empty last one may follow, and only there does it end the stream.
            probe = self.decoder.copy()
            with contextlib.suppress(zlib.error):
                probe.decompress(b"\x03\x00")
            if not probe.eof:
                raise ProtocolError("the message ends inside a block")
        return decoded


class Compressor:
    """Compresses what the peer sends, as it has agreed to (RFC 7692 section 7.2.1)."""

    def __init__(self, rng: random.Random, agreed: Agreed) -> None:
        self._rng, self._agreed = rng, agreed
        self._object = None

    def compress(self, payload: bytes) -> bytes:
        if self._object is None or self._agreed.no_context_takeover:
            level = self._rng.choice([0, 1, 6, 9])
            self._object = zlib.compressobj(level, zlib.DEFLATED, -self._agreed.window_bits)
        cut = self._rng.randrange(len(payload) + 1)
        flush = self._rng.choice([zlib.Z_NO_FLUSH, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH])
        start = self._object.compress(payload[:cut]) + (self._object.flush(flush) if flush else b"")
        return (start + self._object.compress(payload[cut:]) + self._object.flush(zlib.Z_SYNC_FLUSH))[:-4]


def message(rng: random.Random, server: bool, compressor: Compressor | None) -> bytes:
    length = rng.choice(
        [rng.randrange(20)] * 20 + [rng.randrange(120, 132), rng.randrange(5000), 65_535, 65_536, 80_000]
    )
    if rng.randrange(2):
        # Not near the limit: websockets counts control frames between the frames of a message against it.
        opcode, rest = 1, "".join(rng.choices(CHARACTERS, k=min(length, MAX_LEN // 5))).encode()
    else:
        opcode, rest = 2, rng.randbytes(length) if rng.randrange(2) else rng.randbytes(9) * (length // 9)
    if compressor is not None and rng.randrange(3):
        opcode, rest = opcode | 0x40, compressor.compress(rest)
    stream = b""
    while rng.randrange(3) == 0:
        cut = rng.randrange(len(rest) + 1)
        stream += frame(rng, server, opcode, rest[:cut])
        if rng.randrange(4) == 0:
            stream += control_frame(rng, server)
        opcode, rest = 0, rest[cut:]
    return stream + frame(rng, server, opcode | 0x80, rest)


def close(rng: random.Random, server: bool) -> bytes:
    code = rng.choice(CODES).to_bytes(2, "big")
    reason = "".join(rng.choices(CHARACTERS, k=rng.randrange(20))).encode()
    return frame(rng, server, 0x88, rng.choice([b"", b"\x03", code + b"\xff"] + [code + reason] * 7))


def mutated(rng: random.Random, stream: bytes) -> bytes:
    """Damages a stream in one place."""
    if not stream:
        return stream
    at = rng.randrange(rng.choice([len(stream), min(len(stream), 20)]))
    end = min(at + rng.randrange(21), len(stream))
    return rng.choice(
        [
            stream[:at] + bytes([stream[at] ^ 1 << rng.randrange(8)]) + stream[at + 1 :],
            stream[:at] + rng.randbytes(1) + stream[at + 1 :],
            stream[:at],
            stream[:at] + stream[end:],
            stream[:at] + stream[at:end] + stream[at:],
            stream[:at] + rng.randbytes(end - at) + stream[at:],
        ]
    )


def made_stream(rng: random.Random, server: bool, agreed: Agreed) -> bytes:
    compressor = Compressor(rng, agreed) if agreed.deflate else None
    stream = b""
    for _ in range(rng.randrange(6)):
        stream += control_frame(rng, server) if rng.randrange(4) == 0 else message(rng, server, compressor)
    if rng.randrange(3) == 0:
        stream += close(rng, server)
    for _ in range(rng.randrange(4)):
        stream = mutated(rng, stream)
    return stream


def ours(server: bool, stream: bytes, agreed: Agreed, *, lenient: bool = False) -> tuple[Heard, str]:
    make = Connection.server if server else Connection.client
    connection = make(
        start_open=True,
        deflate=agreed.deflate,
        extensions=extensions(server, agreed),
        # The most that a client and a server offer: what they agree on is in the extensions.
        server_max_window_bits=15,
        client_max_window_bits=15,
        max_message_len=MAX_LEN,
        max_frame_len=MAX_LEN,
        accept_long_lengths=lenient,
    )
    events = [
        (event.kind.name, event.data, event.close_code)
        for event in connection.receive(stream)
        if event.kind is not EventKind.ERROR
    ]
    end = {State.OPEN: "open", State.CLOSED: "closed", State.FAILED: "refused"}[connection.state]
    return Heard(events, end), connection.error or ""


def extensions(server: bool, agreed: Agreed) -> str | None:
    if not agreed.deflate:
        return None
    peer = "client" if server else "server"
    takeover = f"; {peer}_no_context_takeover" if agreed.no_context_takeover else ""
    return f"permessage-deflate{takeover}; {peer}_max_window_bits={agreed.window_bits}"


def theirs(server: bool, stream: bytes, agreed: Agreed) -> Heard:
    protocol = Protocol(Side.SERVER if server else Side.CLIENT, state=TheirState.OPEN, max_size=MAX_LEN)
    if agreed.deflate:
        protocol.extensions = [StrictDeflate(agreed)]
    protocol.receive_data(stream)
    if any(extension.has_ended for extension in protocol.extensions):
        raise FinalBlock
    events: list[tuple[str, bytes, int]] = []
    begun: list[Frame] = []
    for received in protocol.events_received():
        assert isinstance(received, Frame)
        data = bytes(received.data)
        if received.opcode is Opcode.CLOSE:
            parsed = Close.parse(data)
            events.append(("CLOSE", data[2:], parsed.code))
        elif received.opcode in (Opcode.PING, Opcode.PONG):
            events.append((received.opcode.name, data, 0))
        else:
            begun.append(received)
            if received.fin:
                # Pieces are put together, and text is decoded, one layer above the protocol.
                whole, kind = b"".join(bytes(piece.data) for piece in begun), begun[0].opcode.name
                begun = []
                try:
                    events.append((kind, whole.decode().encode() if kind == "TEXT" else whole, 0))
                except UnicodeDecodeError:
                    return Heard(events, "refused")
    if protocol.parser_exc is not None:
        return Heard(events, "refused")
    return Heard(events, "closed" if protocol.close_rcvd else "open")


def difference(server: bool, stream: bytes, agreed: Agreed, *, lenient: bool = False) -> str | None:
    """Compares what came of a stream, and returns which difference there is."""
    (mine, error), other = ours(server, stream, agreed, lenient=lenient), theirs(server, stream, agreed)
    if mine == other:
        return None
    about = f"server={server} {agreed} {stream!r}\nours {mine} {error}\ntheirs {other}"
    if mine.end == "closed" and other == Heard(mine.events[:-1], "refused"):
        return CLOSE_IN_MESSAGE
    if mine.end == "open" and ours(server, stream + bytes(14), agreed, lenient=lenient)[0] == other:
        return HEADER_NOT_COMPLETE
    assert mine.end == "refused", about
    assert other.events[: len(mine.events)] == mine.events, about
    if other.end == "open" and is_cut(server, stream, agreed, mine):
        return NOT_COMPLETE
    if "shortest form" in error:
        difference(server, stream, agreed, lenient=True)
    explained = [reason for part, reason in DIFFERENCES.items() if part in error]
    if not explained and "UTF-8" in error:
        # Text is looked at here as it comes, there at its end: what stands behind its start may be seen before.
        assert breaks_text(server, stream, agreed, mine), about
        return NOT_COMPLETE
    assert explained, f"an unexplained difference: {about}"
    return explained[0]


def is_cut(server: bool, stream: bytes, agreed: Agreed, mine: Heard) -> bool:
    """Whether websockets comes to the same with more bytes behind the stream."""
    return theirs(server, stream + bytes(MAX_LEN + 14), agreed) == Heard(mine.events, "refused")


def breaks_text(server: bool, stream: bytes, agreed: Agreed, mine: Heard) -> bool:
    """Whether the message that was refused is what websockets has, too, begun to receive as text, and not delivered."""
    other = theirs(server, stream, agreed)
    between = other.events[len(mine.events) :]
    return all(kind in ("PING", "PONG", "CLOSE") for kind, _, _ in between)


AGREED = {
    "plain": Agreed(),
    "deflate": Agreed(deflate=True),
    "no context takeover": Agreed(deflate=True, no_context_takeover=True),
    "window of 9": Agreed(deflate=True, window_bits=9),
}


@pytest.mark.parametrize("agreed", AGREED.values(), ids=AGREED)
@pytest.mark.parametrize("server", [True, False], ids=["server", "client"])
def test_websockets_hears_the_same(server: bool, agreed: Agreed) -> None:
    rng = random.Random(f"websockets {server} {agreed}")
    ends: collections.Counter[str] = collections.Counter()
    differences: collections.Counter[str] = collections.Counter()
    for _ in range(STREAMS):
        stream = made_stream(rng, server, agreed)
        try:
            reason = difference(server, stream, agreed)
        except FinalBlock:
            reason = FINAL_BLOCK
        ends[ours(server, stream, agreed)[0].end] += 1
        if reason is not None:
            differences[reason] += 1
    print(ends, differences)
    # Otherwise the streams have become too tame, or too wild, to show anything.
    assert all(ends[end] > STREAMS / 50 for end in ("open", "closed", "refused")), ends
    assert sum(differences.values()) < STREAMS / 4, differences
