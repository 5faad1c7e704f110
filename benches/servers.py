"""
Whole servers, and the clients that load them: what turn.py and server.py have in common.

A server is a program in servers/ or in examples/: it listens on a port of 127.0.0.1 that the system chooses, prints a
line that ends in the port or in a URL with it, and serves until SIGTERM. It has one core, and its clients have another;
they are one program, load/, which compares every byte that comes.

BENCH_PROGRAM is the program of peers/, beside which the Rust servers and the clients are; WSFRAME_LIBRARY the library.
Without these they are where `make` leaves them.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import re
import resource
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Callable, NamedTuple

from rounds import say
from run import sections_of, table_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PROGRAMS = HERE / "servers"
EXAMPLES = ROOT / "examples"
LIBRARY = Path(os.environ.get("WSFRAME_LIBRARY") or ROOT / "target/release/libwsframe.so").resolve()
BUILT = Path(os.environ.get("BENCH_PROGRAM") or ROOT / "target/bench/release/wsframe-bench").resolve().parent
LOAD = BUILT / "wsframe-load"
SOCKETIFY = Path(sysconfig.get_path("purelib"), "socketify", "libsocketify_linux_amd64.so")
LIBWEBSOCKETS = Path("/usr/lib", sysconfig.get_config_var("MULTIARCH") or "", "libwebsockets.so")
PATIENCE_S = 10
"""So long a server may take to end."""

# PHP as it is unless told otherwise: it compiles nothing while it runs.
INTERPRETERS = {".php": ("php",), ".py": (sys.executable,), ".mjs": ("node",)}
CC = "cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{ROOT / 'include'}"
ENVIRONMENT = {
    **os.environ,
    "WSFRAME_LIBRARY": str(LIBRARY),
    "PYTHONPATH": str(ROOT / "bindings/python/src"),
}

Loads = dict[str, Any]
"""What the clients print."""


class Server(NamedTuple):
    """file is a program or its source; library, what it needs and is linked with; line, that with the port."""

    file: Path
    library: Path | None = None
    options: tuple[str, ...] = ()
    line: int = 1

    def is_there(self) -> bool:
        return self.file.exists() and (self.library is None or self.library.exists())

    def command(self) -> list[str]:
        """How it is started."""
        if self.file.suffix != ".c" or self.library is None:
            return [*INTERPRETERS.get(self.file.suffix, ()), str(self.file), *self.options]
        return [compiled(self.file, self.library), *self.options]


@functools.cache
def compiled(file: Path, library: Path) -> str:
    """The program of a file in C."""
    program = str(BUILT / f"{file.parent.name}-{file.stem}")
    subprocess.run([*CC, file, library, f"-Wl,-rpath,{library.parent}", "-o", program], check=True)
    return program


# Those that several programs measure.
HUB = Server(EXAMPLES / "c/hub.c", LIBRARY)
EXAMPLE_C = Server(EXAMPLES / "c/echo.c", LIBRARY)
UWS = Server(PROGRAMS / "uws_echo.c", SOCKETIFY)
FASTWEBSOCKETS = Server(BUILT / "fastwebsockets_echo")
WS = Server(PROGRAMS / "ws_echo.mjs")


class Cell(NamedTuple):
    """What clients do: in_flight messages of size bytes wait for their echoes on each connection."""

    connections: int
    size: int
    in_flight: int = 1
    content: str = "ascii"
    mode: str = "echo"


class Metric(NamedTuple):
    """A section, and what it reports of what the clients print, in nanoseconds."""

    section: str
    title: str
    about: str
    of: Callable[[Loads], float]


def parse_arguments(servers: Iterable[str], cells: Iterable[str], seconds: float) -> argparse.Namespace:
    """What turn.py and server.py are told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("print", nargs="?", choices=["print"], help="print what run.py wants, not tables")
    parser.add_argument("--only", metavar="SERVER,...", help=f"all that are there, or some of {keys_of(servers)}")
    parser.add_argument("--cells", metavar="CELL,...", help=f"all, or some of {keys_of(cells)}")
    parser.add_argument("--baseline", metavar="SERVER", help="what the others are compared to, or else the first one")
    parser.add_argument("--rounds", type=int, default=3, help="how many turns each has (%(default)s)")
    parser.add_argument("--seconds", type=float, default=seconds, help="how long a turn is measured (%(default)s)")
    return parser.parse_args()


def chosen(servers: dict[str, Server], options: argparse.Namespace) -> dict[str, Server]:
    """The servers that are asked for, and the one that the others are compared to first."""
    names = picked(options.only, servers) or [name for name, server in servers.items() if server.is_there()]
    names = list(dict.fromkeys([*picked(options.baseline, servers), *names]))
    missing = [f"{name} ({servers[name].file})" for name in names if not servers[name].is_there()]
    if missing:
        sys.exit(f"not there, or without its library: {', '.join(missing)}")
    return {name: servers[name] for name in names}


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
    """plain PHP is plain-php, and 50 × 20 B, 16 in flight is 50x20B-16."""
    name = name.removesuffix(" in flight")
    if name[0].isdigit():
        return name.replace(", ", "-").replace("×", "x").replace(" ", "")
    return name.replace(",", "").replace(" ", "-").lower()


def show(lines: Iterable[dict[str, Any]], for_run: bool) -> None:
    """Prints lines for run.py, or the tables that it would make of them."""
    if for_run:
        for line in lines:
            say(**line)
    else:
        sections, _ = sections_of(lines)
        print(*map(table_of, sections), sep="\n")


def result(section: str, case: str, contestant: str, values: Iterable[float], unit: str = "ns") -> dict[str, Any]:
    rounds = [round(value, 1) for value in values]
    return {"section": section, "case": case, "contestant": contestant, "unit": unit, "rounds": rounds}


def take_turns(
    servers: dict[str, Server], cell: Cell, rounds: int, seconds: float, warm_up: float = 0.3
) -> Iterator[dict[str, Loads]]:
    """Yields for each round what the clients print of each server."""
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(started(server)) for name, server in servers.items()}
        for _ in range(rounds):
            yield {name: load(name, one, cell, seconds, warm_up) for name, one in running.items()}


class Running(NamedTuple):
    """A server that has been started."""

    pid: int
    port: str
    path: str


@contextlib.contextmanager
def started(server: Server) -> Iterator[Running]:
    raise_limit()
    with subprocess.Popen(on_core(-1, server.command()), env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            said = [process.stdout.readline() for _ in range(server.line)][-1]
            found = re.search(r"(?:^|:)(\d+)(/\S*)?$", said)
            if not found:
                sys.exit(f"{server.file}: no port in {said!r}")
            yield Running(process.pid, found[1], found[2] or "/")
        finally:
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()


def raise_limit() -> None:
    """Lets servers have as many descriptors as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def on_core(number: int, command: list[str]) -> list[str]:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("the servers and the clients need a core each")
    return ["taskset", "-c", str(cores[number]), *command]


def load(name: str, server: Running, cell: Cell, seconds: float, warm_up: float) -> Loads:
    """What the clients print of a server. It ends with what they complain of."""
    options = {
        "path": server.path,
        "pid": server.pid,
        "mode": cell.mode,
        "connections": cell.connections,
        "size": cell.size,
        "in-flight": cell.in_flight,
        "content": cell.content,
        "seconds": seconds,
        "warm-up": warm_up,
    }
    words = [word for option, value in options.items() for word in (f"--{option}", str(value))]
    ran = subprocess.run(on_core(0, [str(LOAD), server.port, *words]), stdout=subprocess.PIPE, text=True)
    if ran.returncode:
        sys.exit(f"{name} has failed: {cell}")
    printed: Loads = json.loads(ran.stdout)
    return printed
