"""The vectors in tests/vectors, which README.md there explains, over the connections of Python."""

import random
import re
import sys
import zlib
from pathlib import Path

import pytest

from wsframe import Connection, DataFlag, ErrorCode, EventKind, Frame, Message, Opcode, State, UsageError

FOLDER = Path(__file__).resolve().parents[3] / "tests" / "vectors"
MASK_KEY = b"\x37\xfa\x21\x3d"
SEEDS = range(10)
WHOLE = DataFlag.FIRST | DataFlag.LAST
DUE = {"close": 0, "never": None}
COMPRESS = {"plain": False, "compressed": True}
WORDS = re.compile(r'[+=]?"(?:[^"\\]|\\.)*"|\S+')
USUAL_HEADS = {
    "server": (
        '"GET / HTTP/1.1"',
        '"Host: a"',
        '"Upgrade: websocket"',
        '"Connection: Upgrade"',
        '"Sec-WebSocket-Version: 13"',
        '"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="',
    ),
    "client": (
        '"HTTP/1.1 101 Switching Protocols"',
        '"Upgrade: websocket"',
        '"Connection: Upgrade"',
        '"Sec-WebSocket-Accept: " {accept}',
    ),
}
ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\", '"': b'"'}


class Step:
    """Something that is done, and the lines that say what must be true afterwards."""

    def __init__(self, line, doing):
        self.line = line
        self.doing = doing
        self.expected = []

    def all(self, *keys):
        """The words of the lines with one of these keys."""
        return [(key, words) for key, words in self.expected if key in keys]

    def one(self, key):
        found = self.all(key)
        assert len(found) <= 1, f"line {self.line}: {key} stands there twice"
        return found[0][1] if found else None


class Vector:
    def __init__(self, file, line, name):
        self.place = f"tests/vectors/{file}:{line}"
        self.name = name
        self.roles = ()
        self.config = {}
        self.steps = []

    def add(self, line, key, value):
        words = WORDS.findall(value)
        if key == "role":
            self.roles = {"both": ("server", "client")}.get(value, (value,))
        elif key == "config":
            self.config = dict(config_word(word) for word in words)
        elif key in ("in", "head", "frame"):
            last = self.steps[-1] if self.steps else None
            if last is None or last.doing[0] != "input" or last.expected:
                last = Step(line, ("input", []))
                self.steps.append(last)
            last.doing[1].append((key, words))
        elif key in ("do", "fails", "over", "tick"):
            self.steps.append(Step(line, (key, words)))
        elif key != "rule":
            known = ("event", "out", "state", "target", "field", "subprotocol", "deflate")
            assert key.startswith("out-") or key in known, f"{self.place}: unknown key {key} in line {line}"
            self.steps[-1].expected.append((key, words))


def read_vectors():
    vectors = []
    for path in sorted(FOLDER.glob("*.txt")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not line or line.startswith("#"):
                continue
            key, _, value = line.partition(" ")
            if key == "vector":
                vectors.append(Vector(path.name, number, value.strip()))
            else:
                vectors[-1].add(number, key, value.strip())
    return vectors


def config_word(word):
    name, _, value = word.partition("=")
    if name in ("subprotocols", "origins"):
        return name, value.split(",")
    if name in ("extensions", "subprotocol", "target"):
        return name, value
    return name, int(value) if value else True


def head(role, changes):
    """Words for the bytes of the usual head of the peer of a connection in this role, with changes."""
    lines = list(USUAL_HEADS[role])
    for change in changes:
        sign, rest = change[0], change[1:]
        if sign == '"':
            lines[0] = change
        elif sign == "+":
            lines.append(rest)
        else:
            place = [field_name(line) for line in lines].index(field_name(rest))
            lines[place : place + 1] = [rest] if sign == "=" else []
    return WORDS.findall(r' "\r\n" '.join(lines) + r' "\r\n\r\n"')


def field_name(word):
    return word.lstrip('"').partition(":")[0].lower()


def octets(words, accept=b""):
    """The bytes that words stand for."""
    found, times = b"", 1
    for word in words:
        if word.startswith("x"):
            times = int(word[1:])
            continue
        if word == "{accept}":
            part = accept
        elif word.startswith('"'):
            part = unescaped(word[1:-1])
        else:
            part = bytes.fromhex(word)
        found, times = found + part * times, 1
    return found


def unescaped(text):
    pieces = re.split(r"\\(x..|.)", text)
    for at, piece in enumerate(pieces):
        if at % 2:
            pieces[at] = bytes.fromhex(piece[1:]) if len(piece) == 3 else ESCAPES[piece]
        else:
            pieces[at] = piece.encode()
    return b"".join(pieces)


def text(data):
    """Bytes as a str that the binding makes the same bytes of."""
    return data.decode("utf-8", "surrogateescape")


def repeated(words):
    """A count at the start of a line, 1 if there is none, and the other words."""
    return (int(words[0][1:]), words[1:]) if words and words[0].startswith("x") else (1, words)


def frame(role, first_byte, payload):
    """A frame of the peer of a connection in this role, with the shortest length."""
    size = len(payload)
    mask = 0x80 if role == "server" else 0
    if size < 126:
        head = bytes([first_byte, mask | size])
    elif size < 65_536:
        head = bytes([first_byte, mask | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first_byte, mask | 127]) + size.to_bytes(8, "big")
    return head + (MASK_KEY + Frame.unmask(payload, MASK_KEY) if mask else payload)


def read_frames(role, output):
    """First bytes and payloads of the frames of a connection in this role."""
    frames, keys = [], []
    while output:
        header = Frame.parse(output)
        assert header is not None, f"the output ends inside a header: {output!r}"
        assert header.masked == (role == "client")
        end = header.header_len + header.payload_len
        assert end <= len(output), f"the output ends inside a frame: {output!r}"
        payload = output[header.header_len : end]
        frames.append((output[0], Frame.unmask(payload, header.mask_key) if header.masked else payload))
        keys.append(header.mask_key)
        output = output[end:]
    if role == "client":
        assert all(key != other for key, other in zip(keys, keys[1:])), "a masking key of its own for each"
    return frames


def inflated(inflater, first_byte, payload):
    """What the payload of a compressed frame comes to; a last one is completed (RFC 7692 section 7.2.2)."""
    message = inflater.decompress(payload + (b"\0\0\xff\xff" if first_byte & 0x80 else b""))
    assert not inflater.eof
    return message


class Run:
    """One run of a vector, with its input cut in one way."""

    def __init__(self, vector, role, cut):
        self.vector = vector
        self.role = role
        self.cut = cut
        self.connection = None
        self.accept_key = b""
        self.message = None  # what has come of a message in pieces: its kind and its data
        self.seen = []
        self.received = 0
        self.before = b""  # the output that the steps before were compared with
        self.now_ms = 0
        self.inflater = zlib.decompressobj(-15)  # goes on from message to message of the output

    def run(self):
        make = getattr(Connection, self.role)
        kind, words = self.vector.steps[0].doing
        if kind == "fails" and words[1:] == ["new"]:
            with pytest.raises(UsageError) as caught:
                make(**self.vector.config)
            assert caught.value.code is ErrorCode[words[0]]
            return
        with make(**self.vector.config) as self.connection:
            for at, step in enumerate(self.vector.steps):
                # Whatever is done before a tick is done as late as that.
                ticks = (later.doing[1] for later in self.vector.steps[at:] if later.doing[0] == "tick")
                self.now_ms = int(next(ticks, (self.now_ms,))[0])
                try:
                    self.step(step)
                except (AssertionError, UsageError) as error:
                    raise AssertionError(f"the step in line {step.line}: {error}") from error

    def step(self, step):
        kind, words = step.doing
        if kind == "input":
            self.receive(b"".join(self.input_of(*part) for part in words))
        elif kind == "tick":
            _, due = words
            output = self.output()
            assert self.connection.wait_ms == (DUE[due] if due in DUE else int(due))
            if self.connection.wait_ms == 0:
                assert not output
                self.before = b""
        elif kind == "do":
            self.act(words)
        elif kind == "over":
            assert not self.act(words), "the connection is over"
        else:
            with pytest.raises(UsageError) as caught:
                self.act(words[1:])
            assert caught.value.code is ErrorCode[words[0]]
        self.check(step)

    def input_of(self, key, words):
        if key == "in":
            return octets(words, self.accept_key)
        if key == "head":
            return octets(head(self.role, words), self.accept_key)
        times, (first, *payload) = repeated(words)
        return frame(self.role, int(first, 16), octets(payload, self.accept_key)) * times

    def receive(self, data):
        start, self.received = self.received, self.received + len(data)
        for piece in self.cut(start, data):
            if any(event.kind is EventKind.ERROR for event in self.collect(self.connection.receive(piece))):
                break

    def act(self, words):
        """What the call returns, events included; 0, None and no events are how one returns that is over."""
        verb, *words = words
        connection = self.connection
        if verb.startswith("send") or verb in ("piece", "last"):
            return self.send(verb, *words)
        return {
            "ping": lambda: connection.ping(octets(words)),
            "pong": lambda: connection.pong(octets(words)),
            "close": lambda: connection.close(int(words[0]), text(octets(words[1:]))),
            "respond": lambda: connection.respond(int(words[0]), octets(words[1:])),
            "request": lambda: connection.request(*(text(octets([word])) for word in words)),
            "add_field": lambda: connection.add_field(*(text(octets([word])) for word in words)),
            "accept": lambda: self.accept(words),
            "receive": lambda: self.collect(connection.receive(octets(words))),
            "gone": self.gone,
            "write": lambda: self.write(int(words[0]) if words else len(self.before)),
        }[verb]()

    def accept(self, words):
        has_deflate = words[:1] != ["without_deflate"]
        name = text(octets(words if has_deflate else words[1:])) or None
        return self.collect(self.connection.accept(name, deflate=has_deflate))

    def gone(self):
        self.before = b""  # what waited is not written any more
        return self.collect(self.connection.gone())

    def write(self, size):
        self.before = self.before[size:]
        self.connection.output(self.now_ms, size)

    def send(self, verb, kind, *words):
        """Sends a message or messages of a kind; how it is to be compressed may stand before its bytes."""
        connection = self.connection
        compress = COMPRESS.get(words[0]) if words else None
        words = words if compress is None else words[1:]
        if verb == "send_many":
            messages = [octets([word]) for word in words]
            messages = [text(message) for message in messages] if kind == "text" else messages
            sent = connection.send_many(messages, compress=compress)
            assert sent == len(messages)
            return sent
        message = octets(words)
        kind = Opcode[kind.upper()]
        if verb == "send_message":
            return connection.send_message(Message(message, kind, compress=compress, **self.vector.config))
        return connection.send(message, kind, compress=compress, more=verb == "piece")

    def output(self):
        """All output that waits."""
        return self.connection.output(self.now_ms, 0, sys.maxsize)

    def collect(self, events):
        """Takes events over, and returns them."""
        events = list(events)
        for event in events:
            assert event.close_code == 0 or event.kind in (EventKind.CLOSE, EventKind.ERROR, EventKind.GONE)
            assert (event.error != 0) == (event.kind is EventKind.ERROR) or event.kind is EventKind.GONE
            if event.kind in (EventKind.TEXT, EventKind.BINARY):
                self.add_to_message(event)
                continue
            assert event.flags == 0
            name = event.kind.name.lower()
            if event.kind is EventKind.CLOSE:
                name += f" {event.close_code}"
            elif event.kind is EventKind.ERROR:
                name += f" {event.error.name} {event.close_code}"
            elif event.kind is EventKind.GONE:
                name += f" {event.close_code}" + (f" {event.error.name}" if event.error else "")
            self.seen.append((name, event.data))
        if any(event.kind is EventKind.ERROR for event in events):
            assert self.connection.error is not None
        return events

    def add_to_message(self, event):
        assert self.vector.config.get("pieces") or (event.flags & WHOLE == WHOLE)
        assert (event.flags & DataFlag.FIRST != 0) == (self.message is None)
        assert event.data or event.flags & DataFlag.LAST
        kind, is_compressed, begun = self.message or (event.kind, event.flags & DataFlag.COMPRESSED != 0, b"")
        assert (kind, is_compressed) == (event.kind, event.flags & DataFlag.COMPRESSED != 0)
        if kind is EventKind.TEXT and not self.vector.config.get("skip_utf8"):
            assert event.text.encode() == event.data
        self.message = kind, is_compressed, begun + event.data
        if event.flags & DataFlag.LAST:
            self.seen.append(("compressed " * is_compressed + kind.name.lower(), self.message[2]))
            self.message = None

    def check(self, step):
        state = self.connection.state
        is_last = step is self.vector.steps[-1]
        if is_last and self.message and state in (State.OPEN, State.CLOSING):
            kind, _, data = self.message
            self.seen.append((f"unfinished {kind.name.lower()}", data))
        expected = [event for _, words in step.all("event") for event in expected_events(words)]
        seen, self.seen = self.seen, []
        assert [name for name, _ in seen] == [name for name, _ in expected], shortened(seen)
        for (name, data), (_, wanted) in zip(seen, expected):
            assert wanted is None or data == wanted, name
        if step.one("state"):
            assert state.name.lower() == step.one("state")[0]
        # The head is there until the output is taken.
        for key in ("target", "subprotocol"):
            words = step.one(key)
            if words is not None:
                assert getattr(self.connection, key) == value_of(words), key
        if step.one("deflate") is not None:
            assert self.connection.deflate == agreed(step.one("deflate"))
        for _, (name, *words) in step.all("field"):
            assert self.connection.field(name) == value_of(words), name
            values = (value for other, value in self.connection.fields if other.lower() == name.lower())
            assert (next(values, None) or None) == value_of(words), name
        if ("out", ["later"]) not in step.expected:
            self.check_output(step)

    def check_output(self, step):
        output = self.output()
        assert output.startswith(self.before), "the output has lost what was in it"
        grown, self.before = output[len(self.before) :], output
        if step.doing[0] == "do" and step.doing[1][0] == "request":
            key = re.search(rb"\r\nSec-WebSocket-Key: (.*?)\r\n", grown)
            self.accept_key = Frame.accept_key(key.group(1)).encode()
        lines = [line for line in step.expected if line[0].startswith("out")]
        frames = []
        for key, words in lines:
            if key in ("out-frame", "out-inflated", "out-inflated-alone"):
                times, (first, *payload) = repeated(words)
                frames += [(key, int(first, 16), octets(payload))] * times
                continue
            found = octets(words)
            assert key != "out-begins" or grown.startswith(found), shortened(grown)
            assert key != "out-has" or found in grown, shortened(grown)
            assert key != "out-lacks" or found not in grown, shortened(grown)
        if frames:
            self.check_frames(read_frames(self.role, grown), frames)
        elif not lines or step.all("out"):
            assert grown == b"".join(octets(words) for _, words in step.all("out"))

    def check_frames(self, read, expected):
        assert [first for first, _ in read] == [first for _, first, _ in expected]
        for (first, payload), (key, _, wanted) in zip(read, expected):
            if key == "out-inflated-alone":
                self.inflater = zlib.decompressobj(-15)
            found = payload if key == "out-frame" else inflated(self.inflater, first, payload)
            assert found == wanted, shortened(found)


def agreed(words):
    """What the words of a line say that both ends agreed on."""
    if words == ["none"]:
        return None
    found = dict(word.partition("=")[::2] for word in words)
    takeover = tuple(f"{end}_no_context_takeover" in found for end in ("server", "client"))
    return takeover + tuple(int(found.get(f"{end}_max_window_bits", 15)) for end in ("server", "client"))


def shortened(value):
    shown = repr(value)
    return shown if len(shown) < 1000 else shown[:1000] + "..."


def expected_events(words):
    """The name and the data, or None if any data will do, of the events of a line."""
    times, words = repeated(words)
    size = {"error": 3, "close": 2, "unfinished": 2, "compressed": 2, "gone": len(words)}.get(words[0], 1)
    is_any = len(words) == size and words[0] in ("open", "request", "http", "error")
    return [(" ".join(words[:size]), None if is_any else octets(words[size:]))] * times


def value_of(words):
    return None if words == ["none"] else text(octets(words))


def whole(_start, data):
    return [data]


def every(size):
    return lambda _start, data: [data[at : at + size] for at in range(0, len(data), size)] or [b""]


def in_two(place):
    """Cuts the input of all steps at one place."""

    def cut(start, data):
        at = place - start
        return [data[:at], data[at:]] if 0 < at < len(data) else [data]

    return cut


def at_random(seed):
    numbers = random.Random(seed)

    def cut(_start, data):
        most = numbers.randint(1, max(40, len(data) // 100))
        pieces = []
        while data:
            size = numbers.randint(1, most)
            pieces.append(data[:size])
            data = data[size:]
        return pieces or [b""]

    return cut


def ways(size):
    """Names of cuts, and the cuts, for so many bytes of input: fewer for more, which take longer."""
    step = 1 if size < 100_000 else 4099
    yield f"every {step} bytes", every(step)
    most = max(4, min(300, 1_000_000 // max(size, 1)))
    places = range(1, size)
    if size > 1000:
        numbers = random.Random(7)
        third = most // 3
        places = {*places[:third], *places[-third:], *(numbers.choice(places) for _ in range(third))}
    for place in places:
        yield f"in two at byte {place}", in_two(place)
    for seed in SEEDS[: most // 2]:
        yield f"at random, with seed {seed}", at_random(seed)


VECTORS = [(vector, role) for vector in read_vectors() for role in vector.roles]


def test_there_are_vectors():
    assert len(VECTORS) > 100


@pytest.mark.parametrize(
    ("vector", "role"), VECTORS, ids=[f"{vector.place.rpartition('/')[2]}-{role}" for vector, role in VECTORS]
)
def test_vector(vector, role):
    first = Run(vector, role, whole)
    failure = failure_of(first) or next(
        (
            f"cut {way}: {failure}"
            for way, cut in ways(first.received)
            if (failure := failure_of(Run(vector, role, cut)))
        ),
        None,
    )
    if failure:
        pytest.fail(f"{vector.place}: {vector.name}\n  as {role}, {failure}", pytrace=False)


def failure_of(run):
    try:
        run.run()
    except AssertionError as error:
        return str(error)
    return None
