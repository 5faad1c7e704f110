"""
Echo servers beside each other, over real sockets: what a turn of a loop costs through each binding.

    turn.py                                          measures all, and prints the tables
    turn.py --only picows,plain-php --cells 20B-1    measures a few; --help says which there are
    turn.py print                                    measures all, and prints what run.py wants

A server is a program in turn/ or in examples/: it listens on a port of 127.0.0.1 that the system chooses, prints a line
that ends in the port or in a URL with it, and serves until SIGTERM. It has one core, and its clients have another; they
are one program, load/, which compares every byte of every echo.

BENCH_PROGRAM is the program of peers/, beside which the Rust servers and the clients are; WSFRAME_LIBRARY the library.
Without these they are where `make` leaves them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Callable, NamedTuple

from rounds import say
from run import sections_of, table_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TURN = HERE / "turn"
EXAMPLES = ROOT / "examples"
LIBRARY = Path(os.environ.get("WSFRAME_LIBRARY") or ROOT / "target/release/libwsframe.so").resolve()
BUILT = Path(os.environ.get("BENCH_PROGRAM") or ROOT / "target/bench/release/wsframe-bench").resolve().parent
LOAD = BUILT / "wsframe-load"
SOCKETIFY = Path(sysconfig.get_path("purelib"), "socketify", "libsocketify_linux_amd64.so")
PACKAGES = ("uvloop", "socketify")

# PHP as it is unless told otherwise: it compiles nothing while it runs.
INTERPRETERS = {".php": ("php",), ".py": (sys.executable,), ".mjs": ("node",)}
CC = "cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{ROOT / 'include'}"
ENVIRONMENT = {
    **os.environ,
    "WSFRAME_LIBRARY": str(LIBRARY),
    "PYTHONPATH": str(ROOT / "bindings/python/src"),
}


class Server(NamedTuple):
    """file is a program or its source; library, what it needs and is linked with; line, that with the port."""

    file: Path
    library: Path | None = None
    options: tuple[str, ...] = ()
    line: int = 1

    def is_there(self) -> bool:
        return self.file.exists() and (self.library is None or self.library.exists())

    def command(self) -> list[str]:
        """How it is started. What is in C is compiled first."""
        if self.file.suffix != ".c" or self.library is None:
            return [*INTERPRETERS.get(self.file.suffix, ()), str(self.file), *self.options]
        program = str(BUILT / f"{self.file.parent.name}-{self.file.stem}")
        subprocess.run([*CC, self.file, self.library, f"-Wl,-rpath,{self.library.parent}", "-o", program], check=True)
        return [program, *self.options]


# Another server is a line here. One that is not there is left out, unless it is asked for by its name.
PORTS = "--resolution-port", "0", "--works-port", "0"
SERVERS = {
    "wsframe C": Server(TURN / "wsframe_echo.c", LIBRARY),
    "wsframe PHP": Server(TURN / "wsframe_echo.php", LIBRARY),
    "wsframe Python": Server(TURN / "wsframe_echo.py", LIBRARY),
    "example C": Server(EXAMPLES / "c/echo.c", LIBRARY),
    "hub C": Server(EXAMPLES / "c/hub.c", LIBRARY),
    "example PHP": Server(EXAMPLES / "php/server.php", LIBRARY, PORTS, line=2),
    "example Python": Server(EXAMPLES / "python/server.py", LIBRARY, PORTS, line=2),
    "plain PHP": Server(TURN / "plain.php"),
    "picows": Server(TURN / "picows_echo.py"),
    "websockets": Server(TURN / "websockets_echo.py"),
    "socketify": Server(TURN / "socketify_echo.py", SOCKETIFY),
    "ws": Server(TURN / "ws_echo.mjs"),
    "uws": Server(TURN / "uws_echo.c", SOCKETIFY),
    "tungstenite": Server(BUILT / "tungstenite_echo"),
    "fastwebsockets": Server(BUILT / "fastwebsockets_echo"),
}

CONNECTIONS = 50
CELLS = {  # the bytes of a message, and how many are in flight on each connection
    "20 B, 1 in flight": (20, 1),
    "20 B, 16 in flight": (20, 16),
    "1 KiB, 1 in flight": (1 << 10, 1),
    "64 KiB, 1 in flight": (64 << 10, 1),
}


class Metric(NamedTuple):
    """A section, and what it reports of what the clients print, in nanoseconds."""

    section: str
    title: str
    about: str
    of: Callable[[dict[str, float]], float]


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
    options = parse_arguments()
    names = picked(options.only, SERVERS) or [name for name, server in SERVERS.items() if server.is_there()]
    baseline = picked(options.baseline, SERVERS) or names[:1]
    servers = {name: SERVERS[name] for name in [*baseline, *names]}
    missing = [f"{name} ({server.file})" for name, server in servers.items() if not server.is_there()]
    if missing:
        sys.exit(f"not there, or without its library: {', '.join(missing)}")
    lines = measure(servers, picked(options.cells, CELLS) or list(CELLS), options.rounds, options.seconds)
    if options.print:
        for line in lines:
            say(**line)
    else:
        sections, _ = sections_of(lines)
        print(*map(table_of, sections), sep="\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("print", nargs="?", choices=["print"], help="print what run.py wants, not tables")
    parser.add_argument("--only", metavar="SERVER,...", help=f"all that are there, or some of {keys_of(SERVERS)}")
    parser.add_argument("--cells", metavar="CELL,...", help=f"all, or some of {keys_of(CELLS)}")
    parser.add_argument("--baseline", metavar="SERVER", help="what the others are compared to, or else the first one")
    parser.add_argument("--rounds", type=int, default=3, help="how many turns each has (%(default)s)")
    parser.add_argument("--seconds", type=float, default=1, help="how long a turn is measured (%(default)s)")
    return parser.parse_args()


def picked(keys: str | None, names: Iterable[str]) -> list[str]:
    by_key = {key_of(name): name for name in names}
    asked = keys.split(",") if keys else []
    unknown = [key for key in asked if key not in by_key]
    if unknown:
        sys.exit(f"what is {', '.join(unknown)}? There are {keys_of(names)}")
    return [by_key[key] for key in asked]


def keys_of(names: Iterable[str]) -> str:
    return ", ".join(map(key_of, names))


def key_of(name: str) -> str:
    """plain PHP is plain-php, and 20 B, 16 in flight is 20B-16."""
    size, comma, in_flight = name.partition(", ")
    return f"{size.replace(' ', '')}-{in_flight.split()[0]}" if comma else name.lower().replace(" ", "-")


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


def result(section: str, cell: str, contestant: str, values: Iterable[float]) -> dict[str, Any]:
    rounds = [round(value, 1) for value in values]
    return {"section": section, "case": cell, "contestant": contestant, "unit": "ns", "rounds": rounds}


def take_turns(
    servers: dict[str, Server], cell: tuple[int, int], rounds: int, seconds: float
) -> Iterator[dict[str, dict[str, float]]]:
    """Yields for each round what the clients print of each server."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("the servers and the clients need a core each")
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(started(server, cores[-1])) for name, server in servers.items()}
        for _ in range(rounds):
            yield {name: load(name, one, cell, seconds, cores[0]) for name, one in running.items()}


class Running(NamedTuple):
    """A server that has been started."""

    pid: int
    port: str
    path: str


@contextlib.contextmanager
def started(server: Server, core: int) -> Iterator[Running]:
    command = ["taskset", "-c", str(core), *server.command()]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            said = [process.stdout.readline() for _ in range(server.line)][-1]
            found = re.search(r"(?:^|:)(\d+)(/\S*)?$", said)
            if not found:
                sys.exit(f"{server.file}: no port in {said!r}")
            yield Running(process.pid, found[1], found[2] or "/")
        finally:
            process.terminate()


def load(name: str, server: Running, cell: tuple[int, int], seconds: float, core: int) -> dict[str, float]:
    """What the clients print of a server. It ends with what they complain of."""
    size, in_flight = cell
    options = {
        "path": server.path,
        "pid": server.pid,
        "connections": CONNECTIONS,
        "size": size,
        "in-flight": in_flight,
        "seconds": seconds,
    }
    words = [word for option, value in options.items() for word in (f"--{option}", str(value))]
    ran = subprocess.run(["taskset", "-c", str(core), LOAD, server.port, *words], stdout=subprocess.PIPE, text=True)
    if ran.returncode:
        sys.exit(f"{name} has failed")
    measured: dict[str, float] = json.loads(ran.stdout)
    return measured


if __name__ == "__main__":
    main()
