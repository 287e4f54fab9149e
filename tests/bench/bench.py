#!/usr/bin/env python3
"""Measures ncolony beside the least that such work can cost, and beside its peers.

Prints a Markdown table; README.md in this directory says how each figure comes about.
"""

import argparse
import contextlib
import itertools
import json
import math
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from pathlib import Path

sys.dont_write_bytecode = True  # no __pycache__ among the sources

import contestants
import inits
import machine
import measures
import report

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
PEERS = ["runit", "s6", "supervisord", "NColony"]
SECOND = contestants.SecondFloor.name
STATIC = f"{platform.machine()}-unknown-linux-gnu"
SMALL = 50  # the colony that a large one is held against
ADDITIONS = 10  # a round
FULL = {"n": 1000, "rounds": 5, "window": 20.0, "large": 5000, "orphans": 10_000, "starts": 500, "patience": 300.0}
QUICK = {"n": 100, "rounds": 2, "window": 3.0, "large": 500, "orphans": 2000, "starts": 50, "patience": 20.0}


def main():
    options = parse()
    machine.become_subreaper()
    machine.raise_open_files()
    shm = Path("/dev/shm")
    scratch = Path(tempfile.mkdtemp(prefix="ncolony-bench-", dir=shm if os.access(shm, os.W_OK) else None))
    scratch.chmod(0o755)
    try:
        bench = Bench(options, scratch)
        bench.measure()
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        sys.exit(f"bench: {error}")
    finally:
        machine.end_descendants()
        shutil.rmtree(scratch, ignore_errors=True)
    bench.print_report()
    if options.raw:
        options.raw.write_text(bench.book.as_json())
    missed = options.ncolony and any(verdict not in (None, "ok") for verdict in bench.verdicts())
    return 1 if options.check and missed else 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--n", type=int, metavar="COUNT", help="processes of a colony (1000)")
    add("--rounds", type=int, metavar="COUNT", help="rounds whose median counts (5)")
    add("--window", type=float, metavar="SECONDS", help="how long a colony at rest is watched (20)")
    add("--growth", type=int, metavar="COUNT", dest="large", help="size of the large colony beside one of 50 (5000)")
    add("--orphans", type=int, metavar="COUNT", help="orphans for PID 1 (10000)")
    add("--starts", type=int, metavar="COUNT", help="starts of each init in a round (500)")
    add("--only", default=",".join(report.MEASURES), metavar="WORD,...", help="of " + ",".join(report.MEASURES))
    add("--peers", default=",".join(PEERS), metavar="NAME,...",
        help=f'of {",".join(PEERS)}, or "" for none; "{SECOND}" shows how exact the harness is')  # fmt: skip
    add("--quick", action="store_true", help="a first look: few processes, two rounds, short windows")
    add("--check", action="store_true", help="exit with status 1 when a target is missed")
    add("--binary", type=Path, metavar="PATH", help="measure this ncolony instead of building it")
    add("--without-ncolony", action="store_false", dest="ncolony", help="measure the floor and the peers only")
    add("--venv", type=Path, metavar="DIR", default=os.environ.get("NCOLONY_BENCH_VENV", "/nonexistent"),
        help="Python environment with supervisor and ncolony in it (or $NCOLONY_BENCH_VENV)")  # fmt: skip
    add("--patience", type=float, metavar="SECONDS", help="to wait, in all, for the machine to become quiet (300)")
    add("--raw", type=Path, metavar="FILE", help="write every value to FILE, as JSON")
    options = parser.parse_args()
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    options.only = options.only.split(",")
    options.peers = [name for name in options.peers.split(",") if name]
    for word in {*options.only, *options.peers} - {*report.MEASURES, *PEERS, SECOND}:
        parser.error(f"unknown word: {word}")
    if min(options.n, options.rounds, options.orphans, options.starts) < 1 or options.large < SMALL or options.window <= 0:
        parser.error(f"counts and times are above zero, and the large colony has at least {SMALL} processes")
    return options


def say(text):
    print(text, file=sys.stderr, flush=True)


def build(tools):
    """The C programs, into the scratch directory."""
    for name in ("child", "floor", "orphans", "answers", "starts"):
        command = ["cc", "-O2", "-static", "-Wall", "-o", tools / name, HERE / f"{name}.c"]
        subprocess.run(command, check=True)
    shutil.copy(tools / "floor", tools / "floor-again")  # a file of its own: two that share one look smaller


def cargo_build(target=None):
    """The release binary's path, as cargo tells it."""
    command = ["cargo", "build", "--release", "--bin", "ncolony", "--message-format", "json-render-diagnostics"]
    if target:
        command += ["--target", target, "--config", ".ci/static.toml"]
    output = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True)
    built = (json.loads(line).get("executable") for line in output.stdout.splitlines())
    return Path(next(filter(None, built)))


class Bench:
    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        self.book = report.Book()
        self.notes = []
        self.patience = machine.Patience(options.patience)
        self.rows = [row for row in report.ROWS if row.measure in options.only]
        self.kills = math.ceil(200 / options.rounds)
        self.homes = (scratch / f"home-{number}" for number in itertools.count())
        build(scratch)
        self.floor = contestants.Floor(scratch / "floor")
        self.ncolony = contestants.Ncolony((options.binary or cargo_build()).resolve()) if options.ncolony else None
        self.contestants = [*([self.ncolony] if self.ncolony else []), *self.peers()]
        self.inits = self.all_inits() if "reaper" in options.only else []
        if not self.contestants:
            self.contestants = [contestants.SecondFloor(scratch / "floor-again")]

    def all_inits(self):
        """The reaper, as the static binary, and the inits that are there."""
        present = []
        if self.options.ncolony:
            present.append(inits.Init(inits.OURS, [(self.options.binary or cargo_build(STATIC)).resolve(), "reaper"]))
        for init in inits.others():
            reason = init.missing()
            if reason is None:
                present.append(init)
            else:
                self.note(f"{init.name} is left out: {reason}.")
        return present

    def peers(self):
        venv = Path(self.options.venv)
        present = []
        for peer in (
            contestants.Runit(),
            contestants.S6(),
            contestants.Supervisord(venv),
            contestants.Original(venv),
            contestants.SecondFloor(self.scratch / "floor-again"),
        ):
            if peer.name in self.options.peers:
                reason = peer.missing()
                if reason is None:
                    present.append(peer)
                else:
                    self.note(f"{peer.name} is left out: {reason}.")
        return present

    def measure(self):
        """All rounds: in each, every contestant in turn, whose order moves on from round to round."""
        if self.ncolony and self.ncolony.missing():
            sys.exit(f"bench: {self.ncolony.missing()}")
        for word in {"orphans", "reaper"} & set(self.options.only):
            if os.geteuid() != 0:
                self.options.only.remove(word)
                self.note(f"{word} is left out: a PID namespace needs root.")
        for turn in range(self.options.rounds):
            first = turn % max(1, len(self.contestants))
            for contestant in self.contestants[first:] + self.contestants[:first]:
                say(f"round {turn + 1} of {self.options.rounds}: {contestant.name}")
                self.visit(contestant, floor_first=turn % 2 == 0)
                self.orphans(contestant)
            self.growth(small_first=turn % 2 == 0)
            self.order(ordered_first=turn % 2 == 0)
            self.probes()
            self.scrape()
            self.looking()
            self.reaper(turn)
        if self.ncolony and "size" in self.options.only:
            self.size()

    def visit(self, contestant, floor_first):
        """A life of the contestant beside one of the floor: each figure is taken of both, in turn."""
        wanted = set(self.options.only) & {"launch", "stop", *measures.AT_REST}
        if not wanted or self.book.failed("launch", contestant.name):
            return
        if self.options.n > contestant.capacity:
            return self.note(f"{contestant.name} is left out: it takes at most {contestant.capacity} processes.")
        with contextlib.ExitStack() as stack:
            pair = [
                stack.enter_context(measures.Life(self.scratch, who, self.options.n, next(self.homes)))
                for who in (contestant, self.floor)
            ]

            def each(measure):
                """Of one after the other, the contestant's figure first in the answer."""
                taken = {life: measure(life) for life in (reversed(pair) if floor_first else pair)}
                return taken[pair[0]], taken[pair[1]]

            if not self.enter("launch", contestant, lambda: each(measures.Life.launch)):
                return
            if wanted & measures.AT_REST:
                for life in pair:
                    life.outlive_throttle()
            self.enter("memory", contestant, lambda: each(measures.Life.memory))
            self.enter("idle", contestant, lambda: measures.idle(pair, self.options.window))
            self.enter("respawn", contestant, lambda: measures.respawn(pair, self.kills))
            if self.options.n + ADDITIONS <= contestant.capacity:
                self.enter("add", contestant, lambda: measures.add(pair, ADDITIONS))
            time.sleep(1.5)  # some end a process that is younger than a second more slowly
            self.enter("stop", contestant, lambda: each(measures.Life.stop))

    def orphans(self, contestant):
        """Seven times the contestant and seven times the floor, alternately: one burst alone varies by half."""

        def both():
            ours, floor = [], []
            for turn in range(7):
                pair = [(self.floor, floor), (contestant, ours)]
                for who, taken in pair if turn % 2 == 0 else reversed(pair):
                    taken.append(measures.orphans(self.scratch, who, self.options.orphans, next(self.homes)))
            return statistics.median(ours), statistics.median(floor)

        self.enter("orphans", contestant, both)

    def enter(self, row, contestant, measure):
        """Takes the pair of values that a measure gives into the book; False if it failed.

        A failure is said once, and what failed is not tried again.
        """
        needed = row == "launch"  # for all the others
        if self.book.failed(row, contestant.name) or not (needed or row in self.options.only):
            return False
        self.patience.wait_until_quiet()
        try:
            with machine.Watch() as watch:
                ours, floor = measure()
        except measures.Never:
            self.book.failures[row, contestant.name] = "never"
            return False
        except (measures.Failed, OSError, subprocess.SubprocessError, xmlrpc.client.Error) as error:
            self.book.failures[row, contestant.name] = "failed"
            self.note(f"{contestant.name}, {row}: {error}.")
            return False
        self.book.enter(row, contestant.name, ours, floor, watch.disturbed)
        return True

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)
            say(text)

    def order(self, ordered_first):
        """A launch in groups, each of which waits for the one before, and one of all at once."""
        in_order = contestants.InOrder(self.ncolony.program) if self.ncolony else None
        self.alone(
            "order",
            ("order",),
            "ncolony in a chain of groups, and without order",
            lambda: [
                measures.ordered(self.scratch, self.ncolony, in_order, self.options.n, self.homes, ordered_first)
            ],
        )

    def probes(self):
        """A probe of each process, every second."""
        n, window = self.options.n, self.options.window
        self.alone(
            "probes",
            ("probes",),
            "ncolony with probes",
            lambda: [measures.probed(self.scratch, self.ncolony.program, n, window, next(self.homes))],
        )

    def scrape(self):
        """Scrapes, kills under scrapes, and requests under restarts."""
        scraped = contestants.Scraped(self.ncolony.program) if self.ncolony else None
        n = self.options.n
        self.alone(
            "scrape",
            ("scrape", "scrape_p99", "scraped", "scrape_cpu", "livez"),
            "ncolony under scrapes",
            lambda: [
                *measures.scraped(self.scratch, scraped, n, self.kills, next(self.homes)),
                measures.alive(self.scratch, scraped, n, next(self.homes)),
            ],
        )

    def looking(self):
        """What the control program shows of a colony."""
        self.alone(
            "looking",
            ("looked",),
            "ncolony looked at",
            lambda: [measures.looked(self.scratch, self.ncolony, self.options.n, next(self.homes))],
        )

    def reaper(self, turn):
        """The reaper beside other inits, whose order moves on from round to round."""
        if "reaper" not in self.options.only or not self.inits:
            return
        say(f"round {turn + 1} of {self.options.rounds}: inits")
        first = turn % len(self.inits)
        order = self.inits[first:] + self.inits[:first]

        def enter(rows, measure):
            self.patience.wait_until_quiet()
            try:
                with machine.Watch() as watch:
                    found = measure()
            except (measures.Failed, measures.Never, OSError, subprocess.SubprocessError) as error:
                return self.note(f"inits, {rows[0]}: {error}.")
            for at, row in enumerate(rows):
                values = {name: values[at] for name, values in found.items()}
                self.book.enter_beside(row, values, inits.REFERENCE.get(row), watch.disturbed)

        enter(["reaper_start", "reaper_whole"], lambda: inits.starts(self.scratch, order, self.options.starts))
        enter(
            ["reaper_memory", "reaper_after"],
            lambda: {init.name: inits.memory(init, next(self.homes)) for init in order},
        )
        enter(["reaper_orphans"], lambda: inits.orphans(self.scratch, order, self.options.orphans, self.homes))

    def alone(self, word, rows, saying, measure):
        """Takes what is measured of ncolony without a floor beside it into the book: a value for each of the rows."""
        if not self.ncolony or word not in self.options.only or self.book.failed(word, self.ncolony.name):
            return
        say(saying)
        self.patience.wait_until_quiet()
        try:
            with machine.Watch() as watch:
                values = measure()
        except (measures.Failed, OSError) as error:
            self.book.failures[word, self.ncolony.name] = "failed"
            return self.note(f"ncolony, {word}: {error}.")
        for row, value in zip(rows, values):
            self.book.enter(row, self.ncolony.name, value, disturbed=watch.disturbed)

    def growth(self, small_first):
        """Each colony alone: beside a large one, a small one would also see the machine full."""
        if "growth" not in self.options.only:
            return
        for contestant in [self.floor, *([self.ncolony] if self.ncolony else [])]:
            if self.book.failed("growth", contestant.name):
                continue
            say(f"{contestant.name} with {SMALL} and with {self.options.large} processes")
            sizes = [SMALL, self.options.large]
            try:
                with machine.Watch() as watch:
                    found = {}
                    for size in sizes if small_first else reversed(sizes):
                        self.patience.wait_until_quiet()
                        found[size] = measures.event(self.scratch, contestant, size, self.kills, next(self.homes))
            except (measures.Failed, OSError) as error:
                self.book.failures["growth", contestant.name] = "failed"
                self.note(f"{contestant.name}, growth: {error}.")
                continue
            (small_latency, small_cpu), (large_latency, large_cpu) = (found[size] for size in sizes)
            for row, value in (
                ("growth", large_latency / small_latency),
                ("growth_cpu", large_cpu / small_cpu),
                ("event_cpu", large_cpu),
            ):
                self.book.enter(row, contestant.name, value, disturbed=watch.disturbed)

    def size(self):
        self.book.enter("version", self.ncolony.name, measures.version_ms(self.ncolony.program))
        if shutil.which("cargo"):
            static = cargo_build(STATIC)
            self.book.enter("size", self.ncolony.name, measures.size_mb(static))
        else:
            self.note("The static binary is left out: no cargo in PATH.")

    def verdicts(self):
        yield from (self.book.verdict(row) for row in self.rows)
        if self.inits:
            yield from (self.book.verdict(row, inits.OURS) for row in report.INIT_ROWS)

    def print_report(self):
        options = self.options
        print(
            f"N={options.n:,}; medians of {options.rounds} rounds (smallest–largest), and how many times the floor"
            f" that was measured with it. {time.strftime('%Y-%m-%d', time.gmtime())}, {machine.CPUS} CPUs,"
            f" Linux {platform.release()}. "
            + ", ".join(f"{contestant.name} {contestant.version()}".strip() for contestant in self.contestants)
            + ".\n"
        )
        names = [self.floor.name, *(contestant.name for contestant in self.contestants)]
        words = {"orphans": options.orphans, "small": SMALL, "large": options.large}
        rows = [row for row in self.rows if self.ncolony or self.book.knows(row)]
        if rows:
            print(report.table(self.book, rows, names, words))
        if self.inits:
            names = [init.name for init in self.inits]
            print("\nThe reaper beside other inits; how many times as much as the one that its target names.\n")
            print(report.table(self.book, report.INIT_ROWS, names, words, judge=inits.OURS))
        if self.book.disturbed():
            print("\n~: in a round, other programs took more than 5 % of the machine.")
        for note in self.notes:
            print(f"\n{note}")


if __name__ == "__main__":
    random.seed(1)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
