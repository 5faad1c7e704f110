"""
Echo servers beside each other, over real sockets: what a turn of a loop costs through each binding.

    turn.py                                          measures all, and prints the tables
    turn.py --only picows,plain-php --cells 20B-1    measures a few; --help says which there are
    turn.py print                                    measures all, and prints what run.py wants

servers.py says what a server is, and what loads it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from servers import (
    BUILT,
    EXAMPLE_C,
    EXAMPLES,
    FASTWEBSOCKETS,
    HUB,
    LIBRARY,
    PROGRAMS,
    SOCKETIFY,
    UWS,
    WS,
    Cell,
    Metric,
    Server,
    chosen,
    parse_arguments,
    picked,
    result,
    show,
    take_turns,
)

PACKAGES = ("uvloop", "socketify")

# Another server is a line here. One that is not there is left out, unless it is asked for by its name.
PORTS = "--resolution-port", "0", "--works-port", "0"
SERVERS = {
    "wsframe C": Server(PROGRAMS / "wsframe_echo.c", LIBRARY),
    "wsframe PHP": Server(PROGRAMS / "wsframe_echo.php", LIBRARY),
    "wsframe Python": Server(PROGRAMS / "wsframe_echo.py", LIBRARY),
    "wsframe asyncio": Server(PROGRAMS / "wsframe_asyncio.py", LIBRARY),
    "example C": EXAMPLE_C,
    "hub C": HUB,
    "hub PHP": Server(EXAMPLES / "php/hub.php", LIBRARY, ("0",)),
    "hub Python": Server(EXAMPLES / "python/hub.py", LIBRARY, ("0",)),
    "example PHP": Server(EXAMPLES / "php/server.php", LIBRARY, PORTS, line=2),
    "example Python": Server(EXAMPLES / "python/server.py", LIBRARY, PORTS, line=2),
    "plain PHP": Server(PROGRAMS / "plain.php"),
    "picows": Server(PROGRAMS / "picows_echo.py"),
    "websockets": Server(PROGRAMS / "websockets_echo.py"),
    "socketify": Server(PROGRAMS / "socketify_echo.py", SOCKETIFY),
    "ws": WS,
    "uws": UWS,
    "tungstenite": Server(BUILT / "tungstenite_echo"),
    "fastwebsockets": FASTWEBSOCKETS,
}

CONNECTIONS = 50
CELLS = {
    "20 B, 1 in flight": Cell(CONNECTIONS, 20),
    "20 B, 16 in flight": Cell(CONNECTIONS, 20, 16),
    "1 KiB, 1 in flight": Cell(CONNECTIONS, 1 << 10),
    "64 KiB, 1 in flight": Cell(CONNECTIONS, 64 << 10),
}

METRICS = (
    Metric(
        "turn-cpu",
        "A turn through a binding: CPU time",
        f"An echo server on one core and its {CONNECTIONS} clients on another, TCP without delay, ASCII text without"
        " compression. In flight are the messages of one client that wait for their echoes; it writes the next when"
        " echoes have come, those of one read in one write. The CPU time that the server takes for each message, in the"
        " system too; the last row is that of the clients. × is to the first row. uws is uWebSockets called from C, and"
        " socketify the same from Python; plain PHP knows no fragments and no limits, and does not check UTF-8.",
        lambda load: load["server_cpu_us"] * 1000,
    ),
    Metric(
        "turn-time",
        "A turn through a binding: time",
        "The same: the time from one message to the next, of all clients together. A server that takes less than its"
        " clients has to wait for them.",
        lambda load: 1e9 / load["messages_per_second"],
    ),
    Metric(
        "turn-p99",
        "A turn through a binding: latency",
        "The same: from the writing of a message to its echo, which 99 % do not exceed. As all clients ask at the same"
        " time, most of it is the turns of others.",
        lambda load: load["p99_us"] * 1000,
    ),
)


def main() -> None:
    options = parse_arguments(SERVERS, CELLS, 1)
    cells = picked(options.cells, CELLS) or list(CELLS)
    show(measure(chosen(SERVERS, options), cells, options.rounds, options.seconds), options.print)


def measure(servers: dict[str, Server], cells: list[str], rounds: int, seconds: float) -> Iterator[dict[str, Any]]:
    """The lines for run.py."""
    yield {"versions": {name: metadata.version(name) for name in PACKAGES}}
    for metric in METRICS:
        about = {"title": metric.title, "about": metric.about}
        yield {"section": metric.section, **about, "ratios": True, "rows": "contestants"}
    first = next(iter(servers))
    for cell in cells:
        print("measuring:", cell, file=sys.stderr)
        loads = list(take_turns(servers, CELLS[cell], rounds, seconds))
        for metric in METRICS:
            for name in servers:
                yield result(metric.section, cell, name, (metric.of(load[name]) for load in loads))
        own = (load[first]["own_cpu_us"] * 1000 for load in loads)
        yield result("turn-cpu", cell, f"the clients of {first}", own)


if __name__ == "__main__":
    main()
