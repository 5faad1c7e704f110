"""
Runs benchmarks, prints the tables, and writes them: `make bench` and `make bench-server`.

    run.py bench                measures, then does as below
    run.py bench draw           makes the tables, the page and the plots of results/latest.json
    run.py bench-server [draw]  the same for whole servers: results/server.json

The programs that measure print lines of JSON:

    {"section": "unmask", "title": "Unmask in place", "about": "...", "ratios": true}    begins a section; with
        "rows": "contestants" its table has a row for each of them instead of a column
    {"section": "unmask", "case": "16 B", "contestant": "libwsframe", "unit": "ns", "rounds": [3.1, 3.0, ...]}
    {"versions": {"PHP": "8.2.29"}}

In each case the first contestant is libwsframe's. Less is better. unit is "ns", "B" for bytes, or "" for a plain
number. Of the rounds the median counts, and of a ratio the median of the rounds' ratios: the contestants take turns.
Another section is another program of a report, or a few lines more from one that is there.

BENCH_PROGRAM is the program of peers/, WSFRAME_LIBRARY the library.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any, Callable, NamedTuple

import plots

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "performance.md"
Results = dict[str, Any]

END = "<!-- end of the results -->\n"

PYTHON = sys.executable


class Report(NamedTuple):
    """
    What a target of make measures.

    results: the name of its files; crates and packages: those of peers/ and of Debian whose versions it tells.
    """

    results: str
    programs: tuple[list[str], ...]
    crates: tuple[str, ...]
    packages: dict[str, str]
    draw: Callable[[Results, Path], None]


REPORTS = {
    "bench": Report(
        results="latest",
        programs=(
            [os.environ.get("BENCH_PROGRAM", "")],
            [PYTHON, str(HERE / "bindings.py")],
            ["php", str(HERE / "bindings.php")],
            [PYTHON, str(HERE / "deflate.py")],
            [PYTHON, str(HERE / "turn.py"), "print"],
            [PYTHON, str(HERE / "cost.py")],
            [PYTHON, str(HERE / "instructions.py"), "print"],
        ),
        crates=("tungstenite", "fastwebsockets", "tokio", "mio", "simdutf8", "sha1", "base64", "zlib-rs"),
        packages={"wslay": "libwslay1", "valgrind": "valgrind"},
        draw=plots.draw_all,
    ),
    "bench-server": Report(
        results="server",
        programs=([PYTHON, str(HERE / "server.py"), "print"],),
        crates=("fastwebsockets", "tokio-tungstenite", "tokio"),
        packages={"libwebsockets": "libwebsockets-dev"},
        draw=plots.draw_servers,
    ),
}

HOW_TO_READ = (
    "×2.0 says: takes twice as long as libwsframe in the first column, measured in the same run, the contestants in"
    " turns; medians of the rounds and of their ratios. Below ×1 libwsframe is the slower one."
)


def main() -> None:
    target, *rest = sys.argv[1:]
    report = REPORTS[target]
    file = RESULTS / f"{report.results}.json"
    if rest != ["draw"]:
        file.write_text(json.dumps(measured(report), indent=1, ensure_ascii=False) + "\n")
    results = json.loads(file.read_text())
    tables = tables_of(results)
    print(tables)
    file.with_suffix(".md").write_text(f"# Results\n\n{tables}")
    begin = f"<!-- results of `make {target}` -->\n"
    before, after = PAGE.read_text().split(begin)
    PAGE.write_text(before + begin + "\n" + tables + "\n" + END + after.split(END, 1)[1])
    report.draw(results, PAGE.parent)


def measured(report: Report) -> Results:
    """Runs the programs and puts together what they say."""
    sections, versions = sections_of(lines(report.programs))
    return {
        "machine": machine(),
        "date": datetime.date.today().isoformat(),
        "versions": {**own_versions(report), **versions},
        "sections": sections,
    }


def sections_of(lines: Iterable[Results]) -> tuple[list[Results], dict[str, str]]:
    """The sections and the versions that the lines of a program tell."""
    sections: dict[str, Results] = {}
    versions: dict[str, str] = {}
    for line in lines:
        if "versions" in line:
            versions.update(line["versions"])
        elif "rounds" in line:
            cases = sections[line["section"]]["cases"]
            cases.setdefault(line["case"], {})[line["contestant"]] = {"unit": line["unit"], "rounds": line["rounds"]}
        else:
            sections[line["section"]] = {**line, "cases": {}}
    for section in sections.values():
        section["cases"] = {name: summary(case) for name, case in section["cases"].items()}
    return list(sections.values()), versions


def lines(programs: Iterable[list[str]]) -> list[Results]:
    found = []
    for program in programs:
        print("measuring:", Path(program[-1]).name, file=sys.stderr)
        ran = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True)
        found += [json.loads(line) for line in ran.stdout.splitlines()]
    return found


def summary(case: Results) -> Results:
    """What is kept of a case: of each contestant the median, and the ratio to the first one."""
    ours = next(iter(case.values()))["rounds"]
    return {
        name: {
            "unit": entry["unit"],
            "median": round(median(entry["rounds"]), 3),
            "ratio": round(median(theirs / our for theirs, our in zip(entry["rounds"], ours)), 3),
        }
        for name, entry in case.items()
    }


def machine() -> str:
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{model[1] if model else 'unknown CPU'}, {os.cpu_count()} cores"


def own_versions(report: Report) -> dict[str, str]:
    """The versions of what does not tell its own."""

    def said(*command: str) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def locked(file: Path, name: str) -> str:
        found = re.search(rf'^name = "{name}"\nversion = "(.*)"$', file.read_text(), re.MULTILINE)
        return found[1] if found else "?"

    return {
        "libwsframe": locked(HERE.parent / "Cargo.toml", "wsframe"),
        "rustc": said("rustc", "--version").split()[1],
        **{name: locked(HERE / "peers" / "Cargo.lock", name) for name in report.crates},
        **{name: said("dpkg-query", "-W", "-f", "${Version}", package) for name, package in report.packages.items()},
        "Python": sys.version.split()[0],
    }


def tables_of(results: Results) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    head = f"{results['date']}, {results['machine']}.\n\n{versions}.\n\n{HOW_TO_READ}\n"
    return "\n".join([head, *map(table_of, results["sections"])])


def table_of(section: Results) -> str:
    cases = section["cases"]
    contestants = list(dict.fromkeys(name for case in cases.values() for name in case))
    rows = [["", *contestants]]
    for name, case in cases.items():
        rows.append([name, *(cell(case.get(contestant), section["ratios"]) for contestant in contestants)])
    if section.get("rows") == "contestants":
        rows = [list(row) for row in zip(*rows)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["| " + " | ".join(text.ljust(width) for text, width in zip(row, widths)) + " |" for row in rows]
    rule = "| " + " | ".join("-" * max(width, 3) for width in widths) + " |"
    return "\n".join([f"### {section['title']}", "", section["about"], "", lines[0], rule, *lines[1:], ""])


def cell(entry: Results | None, with_ratio: bool) -> str:
    if entry is None:
        return ""
    text = with_unit(entry["median"], entry["unit"])
    return f"{text} {ratio(entry['ratio'])}" if with_ratio and entry["ratio"] != 1 else text


def with_unit(number: float, unit: str) -> str:
    """1234 ns is 1.23 µs. As many digits as tell something."""
    scales = {"ns": (1000, ("ns", "µs", "ms", "s")), "B": (1024, ("B", "KiB", "MiB")), "": (1, ("",))}
    step, names = scales[unit]
    at = 0
    while number >= step and at + 1 < len(names):
        number, at = number / step, at + 1
    digits = 0 if number >= 100 or number == int(number) else 1 if number >= 10 or at == 0 else 2
    return f"{number:.{digits}f} {names[at]}".strip()


def ratio(number: float) -> str:
    return f"×{number:.2f}" if number < 2 else f"×{number:.1f}" if number < 10 else f"×{number:.0f}"


if __name__ == "__main__":
    main()
