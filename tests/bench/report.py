"""The rows of the table, what ncolony is held to in each, and how all of it is printed."""

import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Optional


@dataclass(frozen=True)
class AtMost:
    """A limit in the row's own unit."""

    value: float

    def met(self, ours, _floor):
        return ours <= self.value

    def text(self, unit):
        return f"≤ {self.value:g} {unit}"


@dataclass(frozen=True)
class TimesFloor:
    value: float

    def met(self, ours, floor):
        return floor is not None and ours <= self.value * floor

    def text(self, _unit):
        return f"≤ {self.value:g} × floor"


@dataclass(frozen=True)
class AboveFloor:
    value: float

    def met(self, ours, floor):
        return floor is not None and ours - floor <= self.value

    def text(self, unit):
        return f"≤ floor + {self.value:g} {unit}"


@dataclass(frozen=True)
class Row:
    key: str
    measure: str  # the word that `--only` takes
    title: str
    unit: str
    target: Optional[object] = None
    ratio: bool = True  # whether to show how many times the floor it is


ROWS = [
    Row("launch", "launch", "launch until all run", "ms", TimesFloor(1.3)),
    Row("respawn", "respawn", "kill -9 until the replacement's first instruction", "ms", TimesFloor(1.15)),
    Row("memory", "memory", "own memory (PSS) at rest", "MiB", AtMost(8)),
    Row("stop", "stop", "SIGTERM until all are gone", "ms", TimesFloor(2.5)),
    Row("idle", "idle", "CPU at rest, of one core", "%", AtMost(0.1), ratio=False),
    Row("add", "add", "file renamed in until it runs", "ms", AboveFloor(5)),
    Row("orphans", "orphans", "{orphans:,} orphans adopted at once until none is a zombie", "ms", TimesFloor(1.2)),
    Row("growth", "growth", "an event at N={large:,} over one at N={small:,}: latency", "×", AtMost(2), ratio=False),
    Row("growth_cpu", "growth", "the same: the supervisor's CPU time", "×", AtMost(2), ratio=False),
    Row("event_cpu", "growth", "the supervisor's CPU time for an event at N={large:,}", "µs"),
    Row("size", "size", "static release binary", "MB", AtMost(5)),
    Row("version", "size", "`--version`, start to end", "ms"),
]
MEASURES = list(dict.fromkeys(row.measure for row in ROWS))


@dataclass
class Book:
    """All values of a run, by row and contestant; one value a round."""

    values: dict = field(default_factory=lambda: defaultdict(list))
    disturbed: set = field(default_factory=set)
    failures: dict = field(default_factory=dict)

    def enter(self, row, name, value, disturbed=False):
        self.values[row, name].append(value)
        if disturbed:
            self.disturbed.add((row, name))

    def median(self, row, name):
        values = self.values.get((row, name))
        return statistics.median(values) if values else None

    def cell(self, row, name):
        if (row.key, name) in self.failures:
            return self.failures[row.key, name]
        values = self.values.get((row.key, name))
        if not values:
            return "–"
        text = number(statistics.median(values))
        if len(values) > 1:
            text += f" ({number(min(values))}–{number(max(values))})"
        if (row.key, name) in self.disturbed:
            text += " ~"
        floor = self.median(row.key, "floor")
        if row.ratio and floor and name != "floor":
            text += f", {number(statistics.median(values) / floor)}×"
        return text

    def verdict(self, row):
        """None where there is nothing to judge."""
        if row.target is None:
            return None
        ours = self.median(row.key, "ncolony")
        failed = ours is None or (row.key, "ncolony") in self.failures
        return not failed and row.target.met(ours, self.median(row.key, "floor"))


def number(value):
    """Three digits."""
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 9.995 else f"{value:.1f}"


def table(book, rows, names, words):
    """The Markdown table: a line for each row, a column for each contestant."""
    judged = "ncolony" in names
    heads = ["", *names, *(["ncolony's target", "verdict"] if judged else [])]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for row in rows:
        cells = [f"{row.title.format(**words)} ({row.unit})", *(book.cell(row, name) for name in names)]
        if judged:
            cells.append(row.target.text(row.unit) if row.target else "–")
            cells.append({None: "–", True: "ok", False: "over"}[book.verdict(row)])
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
