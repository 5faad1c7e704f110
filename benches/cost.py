"""What the shared library costs that is loaded by a program, beside Debian's wslay, which is written in C."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

from rounds import Section

LOADS = 31
# The module that loads is there already, and the file in the system's cache: what is left is the linker's work.
LOAD = """
import ctypes, sys, time
start = time.perf_counter_ns()
ctypes.CDLL(sys.argv[1])
print(time.perf_counter_ns() - start)
"""


def main() -> None:
    section = Section(
        "cost",
        "What it costs",
        "The shared library as it is shipped, which is stripped: its size (the goal is less than 512 KiB), the symbols"
        " that it exports, and how long a fresh process takes to load it. wslay has frames and messages, but no"
        " handshake, times or limits on the output.",
    )
    libraries = {"libwsframe": os.environ["WSFRAME_LIBRARY"], "wslay": path_of("libwslay.so.1")}
    for name, path in libraries.items():
        section.report("size", name, "B", [Path(path).stat().st_size])
        section.report("dynamic symbols", name, "", [exported(path)])
    loads: dict[str, list[float]] = {name: [] for name in libraries}
    for _ in range(LOADS):
        for name, path in libraries.items():
            loads[name].append(load_ns(path))
    for name, taken in loads.items():
        section.report("loading", name, "ns", taken)


def path_of(soname: str) -> str:
    """Where the dynamic linker finds a library."""
    ctypes.CDLL(soname)
    maps = Path("/proc/self/maps").read_text().split()
    return next(word for word in maps if Path(word).name.startswith(soname))


def exported(path: str) -> int:
    listed = subprocess.run(["nm", "-D", "--defined-only", path], check=True, capture_output=True, text=True)
    return len(listed.stdout.splitlines())


def load_ns(path: str) -> int:
    return int(subprocess.run([sys.executable, "-c", LOAD, path], check=True, capture_output=True).stdout)


if __name__ == "__main__":
    main()
