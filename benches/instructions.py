"""
Counts the instructions of libwsframe's functions by callgrind, which noise on the machine does not change.

    instructions.py check    compares with results/instructions.json; fails if one has grown by more than 2 %
    instructions.py record   writes that file
    instructions.py print    prints them as run.py wants them

BENCH_PROGRAM is the program of peers/.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rounds import Section

RECORD = Path(__file__).parent / "results" / "instructions.json"
TOLERANCE = 0.02
TOOLS = ("rustc", "valgrind")

Counts = dict[str, dict[str, float]]
"""What is done -> of which size -> instructions."""


def main() -> None:
    {"check": check, "record": record, "print": print_lines}[sys.argv[1]]()


def check() -> None:
    recorded = json.loads(RECORD.read_text())
    for tool, version in versions().items():
        if recorded["versions"].get(tool) != version:
            print(f"{tool} was {recorded['versions'].get(tool)} and is {version}: this alone can change the counts.")
    regressions = compare(recorded["counts"], count())
    if regressions:
        sys.exit(f"{regressions} took more instructions than {RECORD.name} says; `make bench-record` if that is meant.")


def compare(before: Counts, now: Counts) -> int:
    """Prints what has changed, and returns how much of it for the worse."""
    regressions = compared = 0
    for what, sizes in now.items():
        for size, instructions in sizes.items():
            was = before.get(what, {}).get(size)
            if was is None:
                print(f"new:  {what}, {size}: {instructions:.1f}")
                continue
            compared += 1
            change = instructions / was - 1
            if abs(change) > TOLERANCE:
                regressions += change > 0
                said = "MORE" if change > 0 else "less"
                print(f"{said}: {what}, {size}: {was:.1f} -> {instructions:.1f} ({change:+.1%})")
    print(f"{compared} instruction counts compared, {regressions} have grown by more than {TOLERANCE:.0%}.")
    return regressions


def record() -> None:
    counts = {what: {size: round(n, 1) for size, n in sizes.items()} for what, sizes in count().items()}
    RECORD.write_text(json.dumps({"versions": versions(), "counts": counts}, indent=2) + "\n")
    print(f"{RECORD.name} written: {sum(map(len, counts.values()))} counts.")


def print_lines() -> None:
    section = Section(
        "instructions",
        "Instructions of libwsframe",
        "Per message or call, counted by callgrind with all that the functions call; the small loop around them is"
        " included. valgrind does not know AVX-512: these are the instructions of the AVX2 variants.",
        ratios=False,
    )
    for what, sizes in count().items():
        for size, instructions in sizes.items():
            section.report(what, size, "", [instructions])


def count() -> Counts:
    counts: Counts = {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        options = [
            "--tool=callgrind",
            "--toggle-collect=counted",
            "--dump-after=counted",
            f"--callgrind-out-file={out}",
        ]
        command = ["valgrind", "-q", *options, os.environ["BENCH_PROGRAM"], "instructions"]
        jobs = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        for number, job in enumerate(jobs, 1):
            what, size, units = job.split("\t")
            [total] = re.findall(r"^totals: (\d+)$", out.with_suffix(f".{number}").read_text(), re.MULTILINE)
            counts.setdefault(what, {})[size] = int(total) / int(units)
    return counts


def versions() -> dict[str, str]:
    """What besides libwsframe has a say in the counts: the compiler, the tool, and libc with its memcpy."""
    tools = {tool: subprocess.run([tool, "--version"], check=True, capture_output=True, text=True) for tool in TOOLS}
    found = {tool: re.findall(r"\d+\.\d+\.\d+", ran.stdout)[0] for tool, ran in tools.items()}
    return {**found, "libc": " ".join(platform.libc_ver())}


if __name__ == "__main__":
    main()
