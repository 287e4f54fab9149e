"""The rows of the table, what ncolony is held to in each, and how all of it is printed."""

import json
import statistics
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Optional

FLOOR = "floor"


@dataclass(frozen=True)
class Entry:
    """What one round found for a contestant, and for the floor that was measured with it."""

    value: float
    floor: Optional[float]
    disturbed: bool


@dataclass(frozen=True)
class AtMost:
    """A limit in the row's own unit."""

    limit: float

    def met(self, entries):
        return statistics.median(entry.value for entry in entries) <= self.limit

    def text(self, unit):
        return f"≤ {self.limit:g} {unit}"


@dataclass(frozen=True)
class TimesFloor:
    limit: float

    def met(self, entries):
        return ratio(entries) <= self.limit

    def text(self, _unit):
        return f"≤ {self.limit:g} × floor"


@dataclass(frozen=True)
class TimesInit:
    """A multiple of what another init took, which is entered in the floor's place."""

    limit: float
    init: str

    def met(self, entries):
        return ratio(entries) <= self.limit

    def text(self, _unit):
        return f"≤ {self.limit:g} × {self.init}"


@dataclass(frozen=True)
class AboveFloor:
    limit: float

    def met(self, entries):
        return statistics.median(entry.value - entry.floor for entry in entries) <= self.limit

    def text(self, unit):
        return f"≤ floor + {self.limit:g} {unit}"


def ratio(entries):
    """How many times the floor: of each round the quotient, and of these the median."""
    return statistics.median(entry.value / entry.floor for entry in entries)


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
    Row("event_cpu", "growth", "the supervisor's CPU time for an event at N={large:,}", "µs", ratio=False),
    Row("order", "order", "launch in a chain of ten ordered groups over launch without order", "×", AtMost(1.3), ratio=False),
    Row("probes", "probes", "CPU while each process is asked over HTTP once a second, of one core", "%", AtMost(15), ratio=False),
    Row("scrape", "scrape", "GET /metrics", "ms", AtMost(5), ratio=False),
    Row("scrape_p99", "scrape", "the same, 99th percentile", "ms", ratio=False),
    Row("scrape_cpu", "scrape", "the same: the supervisor's CPU time", "ms", ratio=False),
    Row("livez", "scrape", "GET /livez while all processes are restarted, 99th percentile", "ms", AtMost(100), ratio=False),
    Row("scraped", "scrape", "kill -9 until the replacement under 50 scrapes a second over without", "×", AtMost(1.2), ratio=False),
    Row("looked", "looking", "`ctl get`, start to end", "ms", AtMost(30), ratio=False),
    Row("size", "size", "static release binary", "MB", AtMost(5)),
    Row("version", "size", "`--version`, start to end", "ms", ratio=False),
]
# Of `ncolony reaper`, in a table of its own beside other inits.
INIT_ROWS = [
    Row("reaper_start", "reaper", "from an init's start to its program's first instruction", "ms", TimesInit(1.5, "tini")),
    Row("reaper_whole", "reaper", "the same with a program that ends at once, to the init's end", "ms", TimesInit(1.5, "tini")),
    Row("reaper_memory", "reaper", "own memory (PSS) at rest", "MiB", AtMost(1)),
    Row("reaper_after", "reaper", "the same, after 300 orphans and a signal", "MiB", AtMost(1)),
    Row("reaper_orphans", "reaper", "{orphans:,} orphans adopted at once until none is a zombie", "ms", TimesInit(1.5, "dumb-init")),
]
MEASURES = list(dict.fromkeys(row.measure for row in [*ROWS, *INIT_ROWS]))


class Book:
    """All that a run found, by row and contestant."""

    def __init__(self):
        self.entries = defaultdict(list)
        self.failures = {}

    def enter(self, row, name, value, floor=None, disturbed=False):
        self.entries[row, name].append(Entry(value, floor, disturbed))
        if floor is not None:
            self.entries[row, FLOOR].append(Entry(floor, None, disturbed))

    def enter_beside(self, row, values, reference=None, disturbed=False):
        """What was found for several at once; of one of them the others are told how many times as much they took."""
        for name, value in values.items():
            self.entries[row, name].append(Entry(value, values.get(reference), disturbed))

    def knows(self, row):
        return any(row.key == key for key, _ in [*self.entries, *self.failures])

    def failed(self, row, name):
        return (row, name) in self.failures

    def as_json(self):
        found = ({"row": row, "contestant": name, **asdict(entry)} for (row, name), entries in self.entries.items() for entry in entries)
        return json.dumps(list(found), indent=1)

    def disturbed(self):
        return any(entry.disturbed for entries in self.entries.values() for entry in entries)

    def cell(self, row, name):
        if self.failed(row.key, name):
            return self.failures[row.key, name]
        entries = self.entries.get((row.key, name))
        if not entries:
            return "–"
        values = [entry.value for entry in entries]
        text = number(statistics.median(values))
        if len(values) > 1:
            text += f" ({number(min(values))}–{number(max(values))})"
        if any(entry.disturbed for entry in entries):
            text += " ~"
        if row.ratio and all(entry.floor for entry in entries):
            text += f", {ratio(entries):.2f}×"
        return text

    def verdict(self, row, name="ncolony"):
        """What ncolony makes of the row's target, in a word; None where there is no target."""
        if row.target is None:
            return None
        entries = self.entries.get((row.key, name))
        if self.failed(row.key, name):
            return "failed"
        if not entries:
            return "not measured"
        return "ok" if row.target.met(entries) else "over"


def number(value):
    """Three digits, and no more than three decimals."""
    for bound, decimals in ((99.95, 0), (9.995, 1), (0.0995, 2)):
        if abs(value) >= bound:
            return f"{value:,.{decimals}f}"
    return f"{value:.3f}" if value else "0"


def table(book, rows, names, words, judge="ncolony"):
    """The Markdown table: a line for each row, a column for each contestant, one of which is judged."""
    judged = judge in names
    heads = ["", *names, *([f"{judge}'s target", "verdict"] if judged else [])]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for row in rows:
        cells = [f"{row.title.format(**words)} ({row.unit})", *(book.cell(row, name) for name in names)]
        if judged:
            cells.append(row.target.text(row.unit) if row.target else "–")
            cells.append(book.verdict(row, judge) or "–")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
