"""
Whole servers beside each other, from one connection to 10,000: echoes, publishing, and what an idle one takes.

    server.py                                           measures all, and prints the tables
    server.py --only hub-c,uws --cells 500x20B,memory   measures a few; --help says which there are
    server.py print                                     measures all, and prints what run.py wants

servers.py says what a server is, and what loads it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any, Callable

from servers import (
    BUILT,
    EXAMPLE_C,
    FASTWEBSOCKETS,
    HERE,
    HUB,
    LIBRARY,
    LIBWEBSOCKETS,
    PROGRAMS,
    SOCKETIFY,
    UWS,
    WS,
    Cell,
    Loads,
    Metric,
    Server,
    chosen,
    load,
    parse_arguments,
    picked,
    result,
    show,
    started,
    take_turns,
)

ECHOES = {
    "hub C": HUB,
    "example C": EXAMPLE_C,
    "uws": UWS,
    "fastwebsockets": FASTWEBSOCKETS,
    "tokio-tungstenite": Server(BUILT / "tokio_tungstenite_echo"),
    "libwebsockets": Server(PROGRAMS / "lws_echo.c", LIBWEBSOCKETS),
    "ws": WS,
}
# The same that can publish, by the same names.
PUBLISHERS = {
    "hub C": Server(PROGRAMS / "hub_publish.c", LIBRARY),
    "uws": Server(PROGRAMS / "uws_publish.c", SOCKETIFY),
    "tokio-tungstenite": Server(BUILT / "tokio_tungstenite_publish"),
    "ws": Server(PROGRAMS / "ws_publish.mjs"),
}

SIZES = {"20 B": 20, "1 KiB": 1 << 10, "16 KiB": 16 << 10, "64 KiB": 64 << 10, "1 MiB": 1 << 20}
ECHO_CELLS = {
    name: cell
    for connections in (1, 50, 500)
    for name, cell in {
        f"{connections} × 20 B": Cell(connections, 20),
        f"{connections} × 20 B, 16 in flight": Cell(connections, 20, 16),
        **{f"{connections} × {size}": Cell(connections, SIZES[size]) for size in list(SIZES)[1:]},
    }.items()
}
ECHO_CELLS |= {
    "10000 × 20 B": Cell(10_000, 20),
    "10000 × 20 B, 16 in flight": Cell(10_000, 20, 16),
    "10000 × 1 KiB": Cell(10_000, 1 << 10),
    "10000 × 16 KiB": Cell(10_000, 16 << 10),
    **{f"50 × {size}, mixed": Cell(50, SIZES[size], content="mixed") for size in SIZES},
    "50 × 1 KiB, compressed": Cell(50, 1 << 10, content="compressed"),
    "50 × 16 KiB, compressed": Cell(50, 16 << 10, content="compressed"),
    "50 × 64 KiB, compressed": Cell(50, 64 << 10, content="compressed"),
}
PUBLISH_CELLS = {
    "publish 20 B to 10": Cell(10, 20, mode="publish"),
    "publish 20 B to 1000": Cell(1000, 20, mode="publish"),
    "publish 20 B to 1000, 16 in flight": Cell(1000, 20, 16, mode="publish"),
    "publish 1 KiB to 1000": Cell(1000, 1 << 10, mode="publish"),
    "publish 1 KiB to 1000, compressed": Cell(1000, 1 << 10, content="compressed", mode="publish"),
    "publish 20 B to 10000": Cell(10_000, 20, mode="publish"),
}
MEMORY = "memory"
# What a server does once, it does for these; then it is measured with as many as it can have.
BEFORE_MEMORY, MEMORY_CELL = Cell(100, 20, 100), Cell(10_000, 20)

# Why a server has no part in a cell.
HAS_ROOM_FOR = 1000
LEFT_OUT = (
    f"example C has room for {HAS_ROOM_FOR} clients; fastwebsockets and tokio-tungstenite cannot compress, nor can the"
    " libwebsockets of Debian 12 inflate long messages. With 10,000 connections there are no messages of 64 KiB or 1"
    " MiB: that would be 625 MiB and more on the way."
)


def takes_part(name: str, cell: Cell) -> bool:
    if name == "example C":
        return cell.connections <= HAS_ROOM_FOR
    if cell.content == "compressed":
        return name not in ("fastwebsockets", "tokio-tungstenite") and (name != "libwebsockets" or cell.size <= 1 << 10)
    return True


def latency(key: str) -> Callable[[Loads], float]:
    return lambda load: load[key] * 1000


METRICS = (
    Metric(
        "server-cpu",
        "Echo servers: CPU time",
        "The CPU time that a server takes for each message, in the system too. A server has one core and its clients"
        " another, TCP without delay. So many connections have one message in flight each, of ASCII text, where nothing"
        " else is said. Mixed text has characters of one to four bytes. Compressed are words, which become a quarter,"
        " with what the server agrees on when permessage-deflate is offered as by browsers. Every byte of the echoes is"
        f" compared. uws is uWebSockets called from C; libwebsockets runs on libuv. {LEFT_OUT}",
        lambda load: load["server_cpu_us"] * 1000,
    ),
    Metric(
        "server-time",
        "Echo servers: time",
        "The same: the time from one message to the next, of all clients together.",
        lambda load: 1e9 / load["messages_per_second"],
    ),
    *(
        Metric(
            f"server-{name}",
            f"Echo servers: latency, {title}",
            f"The same: from the writing of a message to its echo, {about}. All clients ask at the same time: most of"
            " it is the turns of others.",
            latency(f"{name}_us"),
        )
        for name, title, about in (
            ("p50", "median", "the median"),
            ("p99", "99 %", "which 99 % do not exceed"),
            ("p999", "99.9 %", "which 99.9 % do not exceed"),
        )
    ),
)
PUBLISH_METRICS = (
    Metric(
        "publish-cpu",
        "Publishing: CPU time of a delivery",
        "One connection sends a message, and all that there are get it, itself too; when the last one has it, it sends"
        " the next one. hub C is wsframe_hub_publish, uws its own publish; tokio-tungstenite has a broadcast channel,"
        " and ws a loop over its clients. The CPU time of the server for each message that one of them gets.",
        lambda load: load["server_cpu_us"] * 1000,
    ),
    Metric(
        "publish-time",
        "Publishing: time of a delivery",
        "The same: the time from one delivery to the next. The clients take their part of it, more than the hub does.",
        lambda load: 1e9 / load["messages_per_second"],
    ),
    *(
        Metric(
            f"publish-{name}",
            f"Publishing: until the last one has it, {title}",
            f"The same: from the writing of a message until the last connection has read it, {about}.",
            latency(f"last_{name}_us"),
        )
        for name, title, about in (("p50", "median", "the median"), ("p99", "99 %", "which 99 % do not exceed"))
    ),
)
MEMORY_SECTION = {
    "section": "server-memory",
    "title": "Memory of an idle connection",
    "about": f"By how much a server's process grows with {MEMORY_CELL.connections:,} real sockets, for each: when they"
    " are just opened, and when each has had an echo of 20 B and is idle again. What the system itself takes for a"
    " socket is not in it, nor what a process needs only once:"
    f" {BEFORE_MEMORY.connections} connections have come and gone before.",
    "ratios": True,
}


def main() -> None:
    cells = [*ECHO_CELLS, *PUBLISH_CELLS, MEMORY]
    options = parse_arguments(ECHOES, cells, 0.5)
    servers = chosen(ECHOES, options)
    cells = picked(options.cells, cells) or cells
    show(measure(servers, cells, options.rounds, options.seconds), options.print)


def measure(servers: dict[str, Server], cells: list[str], rounds: int, seconds: float) -> Iterator[dict[str, Any]]:
    """The lines for run.py."""
    yield {"versions": versions()}
    publishers = {name: server for name, server in PUBLISHERS.items() if name in servers}
    for contestants, all_cells, metrics in (
        (servers, ECHO_CELLS, METRICS),
        (publishers, PUBLISH_CELLS, PUBLISH_METRICS),
    ):
        named = {name: cell for name, cell in all_cells.items() if name in cells}
        for metric in metrics if named else ():
            yield {"section": metric.section, "title": metric.title, "about": metric.about, "ratios": True}
        for name, cell in named.items():
            yield from measure_cell(contestants, name, cell, metrics, rounds, seconds)
    if MEMORY in cells:
        yield MEMORY_SECTION
        for name, server in servers.items():
            if takes_part(name, MEMORY_CELL):
                yield from memory(name, server)


def measure_cell(
    servers: dict[str, Server], name: str, cell: Cell, metrics: tuple[Metric, ...], rounds: int, seconds: float
) -> Iterator[dict[str, Any]]:
    print("measuring:", name, file=sys.stderr)
    servers = {contestant: server for contestant, server in servers.items() if takes_part(contestant, cell)}
    loads = list(take_turns(servers, cell, rounds, seconds, warm_up=seconds / 2))
    for contestant in servers:
        agreed_on(contestant, cell, loads[0][contestant])
        for metric in metrics:
            yield result(metric.section, name, contestant, (metric.of(load[contestant]) for load in loads))


def agreed_on(name: str, cell: Cell, load: Loads) -> None:
    """It would be another contest if a server does not compress."""
    if load["deflate"] != (cell.content == "compressed"):
        sys.exit(f"{name} has not agreed on what is measured: {cell}")


def memory(name: str, server: Server) -> Iterator[dict[str, Any]]:
    print(f"measuring: {MEMORY} of {name}", file=sys.stderr)
    with started(server) as running:
        load(name, running, BEFORE_MEMORY, seconds=0.2, warm_up=0.1)
        measured = load(name, running, MEMORY_CELL, seconds=0.2, warm_up=0)
    for case, at in (("just opened", "memory_idle"), ("after an echo", "memory_after")):
        grown = (measured[at] - measured["memory_without"]) / MEMORY_CELL.connections
        yield result("server-memory", case, name, [grown], unit="B")


def versions() -> dict[str, str]:
    """Of what run.py does not know."""
    ws = json.loads((HERE / "ws/node_modules/ws/package.json").read_text())
    node = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    return {"socketify": metadata.version("socketify"), "Node.js": node.removeprefix("v"), "ws": ws["version"]}


if __name__ == "__main__":
    main()
