"""Draws the plots of the results as SVG, on a ground of their own that follows the reader's light or dark theme."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

Results = dict[str, Any]

WIDTH = 760
OURS = "libwsframe"
COLORS = {  # in light and in dark
    OURS: ("#c2410c", "#fb923c"),
    "libwsframe in place": ("#ea8a5c", "#fdba74"),
    "libwsframe and turn": ("#9a3412", "#ea580c"),
    "naive loop": ("#57606a", "#9ca3af"),
    "tungstenite": ("#1d4ed8", "#60a5fa"),
    "fastwebsockets": ("#7e22ce", "#c084fc"),
    "wslay": ("#0f766e", "#2dd4bf"),
    "memcpy": ("#15803d", "#4ade80"),
    "zlib-rs, level 8": ("#57606a", "#9ca3af"),
    "websockets (Python)": ("#1d4ed8", "#60a5fa"),
    "ws (Node.js)": ("#15803d", "#4ade80"),
    "hub C": ("#c2410c", "#fb923c"),
    "example C": ("#ea8a5c", "#fdba74"),
    "uws": ("#0f766e", "#2dd4bf"),
    "tokio-tungstenite": ("#1d4ed8", "#60a5fa"),
    "libwebsockets": ("#57606a", "#9ca3af"),
    "ws": ("#15803d", "#4ade80"),
}
OTHER = ("#4b6382", "#94a9c4")
THIN = 'stroke-width="1.8"'
PENS = {OURS: 'stroke-width="3.5"', "memcpy": f'{THIN} stroke-dasharray="6 4"'}
STYLE = """
.ground{fill:#ffffff;stroke:#d0d7de} .grid{stroke:#d8dee4} .axis{stroke:#1f2328}
text{fill:#1f2328;font:13px system-ui,sans-serif}
.title{font-size:17px;font-weight:600} .small{font-size:11.5px;fill:#57606a}
@media(prefers-color-scheme:dark){.ground{fill:#0d1117;stroke:#30363d} .grid{stroke:#21262d} .axis{stroke:#e6edf3}
text{fill:#e6edf3} .small{fill:#9198a1}}
"""


def draw_servers(results: Results, folder: Path) -> None:
    """Echo servers with 500 connections."""
    sections, measured = taken_apart(results)
    cases = {name: case for name, case in sections["server-cpu"]["cases"].items() if name.startswith("500 ×")}
    axis = "CPU time per message, the hub = 1 (logarithmic): to the right is slower, to the left faster"
    (folder / "bench-server.svg").write_text(bars("Echo servers with 500 connections", axis, measured, cases))


def taken_apart(results: Results) -> tuple[dict[str, Results], str]:
    """The sections by name, and what was measured where and when."""
    sections = {section["section"]: section for section in results["sections"]}
    return sections, f"{results['machine']}, {results['date']}, libwsframe {results['versions']['libwsframe']}"


def draw_all(results: Results, folder: Path) -> None:
    sections, measured = taken_apart(results)
    unmask = {name: case for name, case in sections["unmask"]["cases"].items() if "," not in name}
    shown = "16 B", "125 B", "1 KiB"
    texts = {
        name: case for name, case in sections["receive"]["cases"].items() if "text" in name and name.endswith(shown)
    }
    bindings = {
        f"{language}, {name}": case
        for language, section in (("Python", "python-receive"), ("PHP", "php-receive"))
        for name, case in sections[section]["cases"].items()
    }
    memory = {
        name: {contestant: entry for contestant, entry in case.items() if not contestant.startswith("level")}
        for name, case in sections["deflate-memory"]["cases"].items()
        if "bits" in name or name == "no takeover"
    }
    memory_axis = "memory for each connection, libwsframe = 1 (logarithmic)"
    bars_axis = "time per message, libwsframe = 1 (logarithmic): to the right is slower, to the left faster"
    plots = {
        "unmask": lines("Unmasking in place", "payload", "GB/s", measured, throughput(unmask)),
        "receive": bars("Receiving masked text: headers, unmasking, UTF-8", bars_axis, measured, texts),
        "bindings": bars("Receiving masked text in Python and PHP", bars_axis, measured, bindings),
        "deflate": bars("Memory of an idle connection that compresses", memory_axis, measured, memory),
    }
    for name, plot in plots.items():
        (folder / f"bench-{name}.svg").write_text(plot)


def throughput(cases: Results) -> dict[str, dict[str, float]]:
    """Contestant -> size -> gigabytes in a second."""
    curves: dict[str, dict[str, float]] = {}
    for size, case in cases.items():
        for name, entry in case.items():
            curves.setdefault(name, {})[size] = size_of(size) / entry["median"]
    return curves


def size_of(name: str) -> int:
    number, unit = name.split()
    return int(number) << {"B": 0, "KiB": 10, "MiB": 20}[unit]


def lines(title: str, x_title: str, y_title: str, measured: str, curves: dict[str, dict[str, float]]) -> str:
    """Curves over sizes, both axes logarithmic."""
    left, right, top, bottom = 68, WIDTH - 44, 92, 400
    sizes = list(next(iter(curves.values())))
    values = [value for curve in curves.values() for value in curve.values()]
    low, high = math.floor(math.log10(min(values))), math.log10(max(values)) + 0.1

    def x(size: str) -> float:
        return left + (right - left) * math.log(size_of(size)) / math.log(size_of(sizes[-1]))

    def y(value: float) -> float:
        return bottom - (bottom - top) * (math.log10(value) - low) / (high - low)

    parts = []
    for power in range(low, math.floor(high) + 1):
        parts += [
            rule(left, y(10**power), right, y(10**power)),
            text(left - 8, y(10**power) + 4, f"{10.0**power:g}", "end"),
        ]
    for size in sizes:
        parts += [rule(x(size), top, x(size), bottom), text(x(size), bottom + 20, size, "middle")]
    parts += [text(left - 48, top - 12, y_title), text((left + right) / 2, bottom + 42, x_title, "middle")]
    for number, (name, curve) in enumerate(reversed(curves.items())):
        points = " ".join(f"{x(size):.1f},{y(value):.1f}" for size, value in curve.items())
        parts.append(f'<polyline points="{points}" fill="none" {color("stroke", name)} {PENS.get(name, THIN)}/>')
        at = left + 60 + 132 * (len(curves) - 1 - number)
        parts.append(f'<rect x="{at}" y="54" width="14" height="4" {color("fill", name)}/>{text(at + 20, 61, name)}')
    return picture(title, measured, bottom + 84, parts, curves)


def bars(title: str, x_title: str, measured: str, cases: Results) -> str:
    """For each case the contestants' ratios to the first one, to both sides of 1."""
    left, right, top, height = 300, WIDTH - 150, 84, 19
    ratios = [entry["ratio"] for case in cases.values() for name, entry in case.items() if name != "memcpy"]
    low, high = math.log(min(*ratios, 0.5)), math.log(max(*ratios, 2))

    def x(value: float) -> float:
        return left + (right - left) * (math.log(value) - low) / (high - low)

    parts: list[str] = []
    at = top
    for case_name, case in cases.items():
        parts.append(text(20, at + 14, case_name))
        for name, entry in case.items():
            if name == "memcpy":
                continue
            begin, end = sorted((x(1), x(entry["ratio"])))
            parts.append(text(left - 20, at + 14, name, "end"))
            parts.append(
                f'<rect x="{begin - 1:.1f}" y="{at + 3}" width="{end - begin + 2:.1f}" height="{height - 5}"'
                f" {color('fill', name)}/>"
            )
            parts.append(text(end + 6, at + 14, f"{amount_of(entry)}  ×{entry['ratio']:.3g}", style="small"))
            at += height
        at += 12
    ticks = [2.0**power for power in range(math.ceil(low / math.log(2)), math.floor(high / math.log(2)) + 1)]
    ground = [rule(x(tick), top - 6, x(tick), at - 6, "axis" if tick == 1 else "grid") for tick in ticks]
    ground += [text(x(tick), top - 12, f"{tick:g}", "middle", "small") for tick in ticks]
    return picture(title, measured, at + 40, [*ground, *parts, text(20, at + 10, x_title, style="small")], names(cases))


def names(cases: Results) -> Iterable[str]:
    return dict.fromkeys(name for case in cases.values() for name in case)


def amount_of(entry: Results) -> str:
    number = entry["median"]
    if entry["unit"] == "B":
        return f"{number / 1024:.3g} KiB" if number >= 1024 else f"{number:.0f} B"
    return f"{number / 1000:.3g} µs" if number >= 1000 else f"{number:.3g} ns"


def picture(title: str, measured: str, height: float, parts: list[str], contestants: Iterable[str]) -> str:
    light, dark = (
        "".join(f".{class_of(name)}{{color:{COLORS.get(name, OTHER)[i]}}}" for name in contestants) for i in (0, 1)
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}"'
            f' viewBox="0 0 {WIDTH} {height:.0f}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}{light}@media(prefers-color-scheme:dark){{{dark}}}</style>",
            f'<rect class="ground" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:.0f}" rx="8"/>',
            text(20, 32, title, style="title"),
            *parts,
            text(20, height - 14, measured, style="small"),
            "</svg>\n",
        ]
    )


def rule(x1: float, y1: float, x2: float, y2: float, style: str = "grid") -> str:
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def text(x: float, y: float, words: str, anchor: str = "start", style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{style}">{escape(words)}</text>'


def color(what: str, contestant: str) -> str:
    return f'class="{class_of(contestant)}" {what}="currentColor"'


def class_of(contestant: str) -> str:
    return "c-" + "".join(letter if letter.isalnum() else "-" for letter in contestant)
