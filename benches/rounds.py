"""
The measuring loop, as in peers/src/measure.rs: the contestants of a case take turns, round by round.

Each line that is printed is a JSON object, as run.py describes them.
"""

from __future__ import annotations

import json
import time
from typing import Any, Callable

ROUNDS = 25
TURN_NS = 5_000_000
"""How long one contestant's turn in a round takes, about."""


def say(**line: Any) -> None:
    """Prints a line for run.py."""
    print(json.dumps(line), flush=True)


class Section:
    """
    Some cases that answer one question; about says in whole sentences what is measured.

    ratios: whether the contestants of a case are to be compared.
    """

    def __init__(self, name: str, title: str, about: str, ratios: bool = True) -> None:
        self._name = name
        say(section=name, title=title, about=about, ratios=ratios)

    def compare(self, case: str, units: int, contestants: dict[str, Callable[[], object]]) -> None:
        """
        Lets contestants that do the same work take turns; the first one is ours.

        A call does so many units of work, and the time of one unit is reported.
        """
        times = {name: _times_a_turn(work) for name, work in contestants.items()}
        rounds: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(ROUNDS):
            for name, work in contestants.items():
                rounds[name].append(round(_took_ns(work, times[name]) / times[name] / units, 1))
        for name, taken in rounds.items():
            self.report(case, name, "ns", taken)

    def report(self, case: str, contestant: str, unit: str, rounds: list[float]) -> None:
        """Reports what was measured in another way. unit is one of run.py's."""
        say(section=self._name, case=case, contestant=contestant, unit=unit, rounds=rounds)


def _times_a_turn(work: Callable[[], object]) -> int:
    """How often it works in one turn; finding out also warms it up."""
    times = 1
    while (took := _took_ns(work, times)) < TURN_NS / 4:
        times *= 2
    return max(1, TURN_NS * times // took)


def _took_ns(work: Callable[[], object], times: int) -> int:
    start = time.perf_counter_ns()
    for _ in range(times):
        work()
    return time.perf_counter_ns() - start
