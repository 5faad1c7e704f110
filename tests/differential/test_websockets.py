"""
The same bytes to this library and to websockets, an independent implementation: both deliver the same messages up to
the first error, and both refuse the same streams. Where they differ, DIFFERENCES says why.

tests/differential.rs does the same with tungstenite.
"""

from __future__ import annotations

import collections
import random
import struct
from typing import NamedTuple

import pytest
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
CLOSE_IN_MESSAGE = "websockets refuses a close between the frames of a message, which section 5.4 allows"
HEADER_NOT_COMPLETE = "the header is not complete, which this library waits for before it looks at its mask and length"
NOT_COMPLETE = "the frame or the text is not complete, which websockets waits for"


class Heard(NamedTuple):
    """What came of a stream: events as (kind, data, close code), and whether it is open, closed or refused."""

    events: list[tuple[str, bytes, int]]
    end: str


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


def message(rng: random.Random, server: bool) -> bytes:
    length = rng.choice(
        [rng.randrange(20)] * 20 + [rng.randrange(120, 132), rng.randrange(5000), 65_535, 65_536, 80_000]
    )
    if rng.randrange(2):
        # Not near the limit: websockets counts control frames between the frames of a message against it.
        opcode, rest = 1, "".join(rng.choices(CHARACTERS, k=min(length, MAX_LEN // 5))).encode()
    else:
        opcode, rest = 2, rng.randbytes(length)
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


def made_stream(rng: random.Random, server: bool) -> bytes:
    stream = b""
    for _ in range(rng.randrange(6)):
        stream += control_frame(rng, server) if rng.randrange(4) == 0 else message(rng, server)
    if rng.randrange(3) == 0:
        stream += close(rng, server)
    for _ in range(rng.randrange(4)):
        stream = mutated(rng, stream)
    return stream


def ours(server: bool, stream: bytes, *, lenient: bool = False) -> tuple[Heard, str]:
    make = Connection.server if server else Connection.client
    connection = make(start_open=True, max_message_len=MAX_LEN, max_frame_len=MAX_LEN, accept_long_lengths=lenient)
    events = [
        (event.kind.name, event.data, event.close_code)
        for event in connection.receive(stream)
        if event.kind is not EventKind.ERROR
    ]
    end = {State.OPEN: "open", State.CLOSED: "closed", State.FAILED: "refused"}[connection.state]
    return Heard(events, end), connection.error or ""


def theirs(server: bool, stream: bytes) -> Heard:
    protocol = Protocol(Side.SERVER if server else Side.CLIENT, state=TheirState.OPEN, max_size=MAX_LEN)
    protocol.receive_data(stream)
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


def difference(server: bool, stream: bytes, *, lenient: bool = False) -> str | None:
    """Compares what came of a stream, and returns which difference there is."""
    (mine, error), other = ours(server, stream, lenient=lenient), theirs(server, stream)
    if mine == other:
        return None
    about = f"server={server} {stream!r}\nours {mine} {error}\ntheirs {other}"
    if mine.end == "closed" and other == Heard(mine.events[:-1], "refused"):
        return CLOSE_IN_MESSAGE
    if mine.end == "open" and ours(server, stream + bytes(14), lenient=lenient)[0] == other:
        return HEADER_NOT_COMPLETE
    assert mine.end == "refused", about
    assert other.events[: len(mine.events)] == mine.events, about
    if other.end == "open" and is_cut(server, stream, mine):
        return NOT_COMPLETE
    if "shortest form" in error:
        difference(server, stream, lenient=True)
    explained = [reason for part, reason in DIFFERENCES.items() if part in error]
    if not explained and "UTF-8" in error:
        # Text is looked at here as it comes, there at its end: what stands behind its start may be seen before.
        assert breaks_text(server, stream, mine), about
        return NOT_COMPLETE
    assert explained, f"an unexplained difference: {about}"
    return explained[0]


def is_cut(server: bool, stream: bytes, mine: Heard) -> bool:
    """Whether websockets comes to the same with more bytes behind the stream."""
    return theirs(server, stream + bytes(MAX_LEN + 14)) == Heard(mine.events, "refused")


def breaks_text(server: bool, stream: bytes, mine: Heard) -> bool:
    """Whether the message that was refused is what websockets has, too, begun to receive as text, and not delivered."""
    other = theirs(server, stream)
    between = other.events[len(mine.events) :]
    return all(kind in ("PING", "PONG", "CLOSE") for kind, _, _ in between)


@pytest.mark.parametrize("server", [True, False], ids=["server", "client"])
def test_websockets_hears_the_same(server: bool) -> None:
    rng = random.Random(f"websockets {server}")
    ends: collections.Counter[str] = collections.Counter()
    differences: collections.Counter[str] = collections.Counter()
    for _ in range(STREAMS):
        stream = made_stream(rng, server)
        reason = difference(server, stream)
        ends[ours(server, stream)[0].end] += 1
        if reason is not None:
            differences[reason] += 1
    print(ends, differences)
    # Otherwise the streams have become too tame, or too wild, to show anything.
    assert all(ends[end] > STREAMS / 50 for end in ("open", "closed", "refused")), ends
    assert sum(differences.values()) < STREAMS / 4, differences
