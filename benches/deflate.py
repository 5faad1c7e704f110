"""
Compressed messages in Python and Node.js: the Python binding beside websockets, and ws (ws/peer.mjs); and how much
memory a connection takes.

    deflate.py                                       measures
    deflate.py memory CONNECTIONS MESSAGES WINDOW    measures websockets, as `wsframe-bench memory` says it

BENCH_PROGRAM is the program of peers/, which makes the messages.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Callable

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from wsframe import Connection

from rounds import Section, say

PROGRAM = os.environ["BENCH_PROGRAM"]
NODE = "node", "--expose-gc", str(Path(__file__).parent / "ws" / "peer.mjs")

# Their names, lengths in bytes, and how many are sent in one call.
SIZES = {"100 B": (100, 400), "1 KiB": (1 << 10, 100), "100 KiB": (100 << 10, 4)}
# How many connections, and the window in bits: the default of libwsframe and websockets.
SCENES = {"one connection": (1, "12"), "on 100 each": (100, "12"), "no takeover": (1, "alone")}

MEMORY_MESSAGE_LEN = 1 << 10
WHOLE = "libwsframe", "websockets (Python)"
"""Who has a whole connection, not its compression alone."""
MEMORY_CASES = {  # window, and messages each way
    "no compression agreed on": ("plain", 0),
    "before the first message": ("12", 0),
    "window of 9 bits": ("9", 40),
    "10 bits": ("10", 40),
    "12 bits": ("12", 40),
    "15 bits": ("15", 40),
    "no takeover": ("alone", 40),
}


def main() -> None:
    say(versions={"zlib of Python": zlib.ZLIB_RUNTIME_VERSION})
    compare("send", "Python and Node.js: send compressed messages", SEND)
    compare("receive", "Python and Node.js: receive compressed messages", RECEIVE)
    compare_sizes()
    measure_memory()


SEND = (
    "Time per message of the chat that a server sends at level 6 and with a window of 12 bits, else with everyone's own"
    " settings. `Connection.send`, `output` and `sent` beside `send_text` and `data_to_send` of `websockets`' sans-I/O"
    " `ServerProtocol`, both of a `str`; and ws for Node.js, of which only the compression is driven, without frames."
    " It compresses in threads. On 100 each says that every message is sent on 100 connections, one after the other; on"
    " those of ws at the same time, on all cores."
)
RECEIVE = (
    "The same messages, received as a client's masked frames and taken as a `str`; from ws as bytes, its inflating"
    " alone."
)

Scene = tuple[int, str]
Work = Callable[[int], object]


def compare(direction: str, title: str, about: str) -> None:
    section = Section(f"bindings-deflate-{direction}", title, about)
    make = {"send": (wsframe_sender, websockets_sender), "receive": (wsframe_receiver, websockets_receiver)}[direction]
    for (size, (length, count)), (name, scene) in itertools.product(SIZES.items(), SCENES.items()):
        if count < scene[0]:
            continue
        messages = chat(length)
        wsframe, websockets = (new(messages, scene) for new in make)
        with Node(length, scene) as node:
            contestants: dict[str, Callable[[], object]] = {
                "libwsframe (Python)": lambda work=wsframe, count=count: work(count),
                "websockets (Python)": lambda work=websockets, count=count: work(count),
                "ws (Node.js)": lambda node=node, count=count: node.work(direction, count),
            }
            section.compare(f"{size}, {name}", count, contestants)
            say(versions={"Node.js": node.version, "ws": node.ws_version()})


def compare_sizes() -> None:
    section = Section(
        "bindings-deflate-sizes",
        "Python and Node.js: size",
        "Bytes per message of the same, without the frame's header. `websockets` has zlib at memory level 5, ws at 8.",
        ratios=False,
    )
    for size, (length, _) in SIZES.items():
        messages = chat(length)
        for name, window in (("takeover", "12"), ("no takeover", "alone")):
            scene = 1, window
            with Node(length, scene) as node:
                sizes = {
                    "libwsframe (Python)": mean(sent_by_wsframe(messages, window)),
                    "websockets (Python)": mean(sent_by_websockets(messages, window)),
                    "ws (Node.js)": node.size,
                }
            for contestant, mean_size in sizes.items():
                section.report(f"{size}, {name}", contestant, "B", [mean_size])


def mean(payloads: Iterable[bytes]) -> float:
    lengths = [len(payload) for payload in payloads]
    return sum(lengths) / len(lengths)


def chat(length: int) -> list[str]:
    printed = subprocess.run(
        [PROGRAM, "chat", str(length)], check=True, capture_output=True, text=True, encoding="utf-8"
    )
    return printed.stdout.splitlines()


def in_turn(connections: int, messages: list[Any]) -> Iterator[tuple[int, Any]]:
    """Which connection has which message, without an end."""
    return ((connection, message) for message in itertools.cycle(messages) for connection in range(connections))


def wsframe_server(window: str) -> Connection:
    bits = 12 if window == "alone" else int(window)
    alone = "; server_no_context_takeover; client_no_context_takeover" if window == "alone" else ""
    agreed = f"permessage-deflate{alone}; server_max_window_bits={bits}; client_max_window_bits={bits}"
    return Connection.server(start_open=True, deflate=True, deflate_min_len=1, extensions=agreed)


def websockets_server(window: str) -> ServerProtocol:
    protocol = ServerProtocol(state=State.OPEN)
    protocol.extensions = [] if window == "plain" else [websockets_deflate(window)]
    return protocol


def websockets_deflate(window: str) -> PerMessageDeflate:
    """As its server's default makes it."""
    alone = window == "alone"
    bits = 12 if alone else int(window)
    return PerMessageDeflate(alone, alone, bits, bits, {"memLevel": 5})


def wsframe_sender(messages: list[str], scene: Scene) -> Work:
    connections = [wsframe_server(scene[1]) for _ in range(scene[0])]
    turns = in_turn(len(connections), messages)

    def send(count: int) -> None:
        for at, message in itertools.islice(turns, count):
            connection = connections[at]
            connection.send(message)
            connection.take(0)

    return send


def websockets_sender(messages: list[str], scene: Scene) -> Work:
    protocols = [websockets_server(scene[1]) for _ in range(scene[0])]
    turns = in_turn(len(protocols), messages)

    def send(count: int) -> None:
        for at, message in itertools.islice(turns, count):
            protocol = protocols[at]
            protocol.send_text(message.encode())
            protocol.data_to_send()

    return send


def wsframe_receiver(messages: list[str], scene: Scene) -> Work:
    connections = [wsframe_server(scene[1]) for _ in range(scene[0])]
    frames = masked(messages, scene[1])
    assert [event.text for event in wsframe_server(scene[1]).receive(b"".join(frames))] == messages
    turns = in_turn(len(connections), frames)

    def receive(count: int) -> list[str]:
        return [event.text for at, frame in itertools.islice(turns, count) for event in connections[at].receive(frame)]

    return receive


def websockets_receiver(messages: list[str], scene: Scene) -> Work:
    protocols = [websockets_server(scene[1]) for _ in range(scene[0])]
    turns = in_turn(len(protocols), masked(messages, scene[1]))

    def receive(count: int) -> list[str]:
        texts = []
        for at, frame in itertools.islice(turns, count):
            protocols[at].receive_data(frame)
            texts += [event.data.decode() for event in protocols[at].events_received()]
        return texts

    return receive


def masked(messages: list[str], window: str) -> list[bytes]:
    """A client's frames."""
    extensions = [websockets_deflate(window)]
    return [Frame(Opcode.TEXT, message.encode()).serialize(mask=True, extensions=extensions) for message in messages]


def sent_by_wsframe(messages: list[str], window: str) -> Iterator[bytes]:
    """The payloads."""
    connection = wsframe_server(window)
    for message in messages:
        connection.send(message)
        frame = connection.take(0)
        yield frame[{126: 4, 127: 10}.get(frame[1], 2) :]


def sent_by_websockets(messages: list[str], window: str) -> Iterator[bytes]:
    """The same."""
    deflate = websockets_deflate(window)
    return (bytes(deflate.encode(Frame(Opcode.TEXT, message.encode())).data) for message in messages)


class Node:
    """ws/peer.mjs in a process of its own, which works when it is told to."""

    def __init__(self, length: int, scene: Scene) -> None:
        command = [*NODE, "turns", str(length), *map(str, scene)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        said = json.loads(self._line())
        self.version: str = said["version"]
        self.size: float = said["size"]

    def work(self, direction: str, count: int) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{direction} {count}\n".encode())
        self._process.stdin.flush()
        self._line()

    def _line(self) -> bytes:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "node has said why"
        return line

    @staticmethod
    def ws_version() -> str:
        package = Path(NODE[-1]).with_name("node_modules") / "ws" / "package.json"
        version: str = json.loads(package.read_text())["version"]
        return version

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def measure_memory() -> None:
    section = Section(
        "deflate-memory",
        "Memory of a connection that compresses",
        "Bytes for each idle connection of a server, after 40 messages of 1 KiB each way where nothing else is said:"
        " by how much the resident set of a process grows with 2000 of libwsframe's, or 200 of the others'. zlib-rs,"
        " called directly at memory level 8, 5 or 1, and ws, of which there is the compression alone, are the two"
        " streams that are kept for a connection; the others are whole connections. What a thread or a process needs"
        " only once is not in it.",
    )
    program = [PROGRAM, "memory"]
    contestants = {  # the program, how many connections, and what else it is told
        "libwsframe": (program, 2000, ["libwsframe"]),
        "zlib-rs, level 8": (program, 200, ["8"]),
        "level 5": (program, 200, ["5"]),
        "level 1": (program, 200, ["1"]),
        "websockets (Python)": ([sys.executable, __file__, "memory"], 200, []),
        "ws (Node.js)": ([*NODE, "memory"], 200, []),
    }
    for case, (window, messages) in MEMORY_CASES.items():
        for name, (command, count, more) in contestants.items():
            # Compression alone has nothing to show without it, and ws begins with the first message.
            if (window == "plain" and name not in WHOLE) or (not messages and name == "ws (Node.js)"):
                continue
            told = [*command, str(count), str(messages), window, *more]
            ran = subprocess.run(told, check=True, capture_output=True, text=True)
            section.report(case, name, "B", [float(ran.stdout)])


def print_memory(count: int, message_count: int, window: str) -> None:
    messages = chat(MEMORY_MESSAGE_LEN)[:message_count]
    frames = masked(messages, window) if messages else []

    def exchange_all(count: int) -> list[ServerProtocol]:
        protocols = [websockets_server(window) for _ in range(count)]
        for frame, message in zip(frames, messages):
            for protocol in protocols:
                protocol.receive_data(frame)
                protocol.events_received()
                protocol.send_text(message.encode())
                protocol.data_to_send()
        gc.collect()
        return protocols

    first = exchange_all(10)
    before = resident()
    protocols = exchange_all(count)
    print(round((resident() - before) / count))
    assert len(first) < len(protocols)


def resident() -> int:
    """The bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"]:
        print_memory(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    else:
        main()
