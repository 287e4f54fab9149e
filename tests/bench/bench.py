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
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import contestants
import machine
import measures
import report

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
PEERS = ["runit", "s6", "supervisord", "NColony"]
FULL = {"n": 1000, "rounds": 5, "window": 20.0, "large": 5000, "orphans": 10_000}
QUICK = {"n": 100, "rounds": 2, "window": 3.0, "large": 500, "orphans": 2000}


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
    finally:
        machine.end_descendants()
        shutil.rmtree(scratch, ignore_errors=True)
    bench.print_report()
    if options.raw:
        options.raw.write_text(json.dumps({" ".join(key): values for key, values in bench.book.values.items()}, indent=1))
    missed = options.ncolony and any(bench.book.verdict(row) is False for row in bench.rows)
    return 1 if options.check and missed else 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--n", type=int, metavar="COUNT", help="processes of a colony (1000)")
    add("--rounds", type=int, metavar="COUNT", help="rounds whose median counts (5)")
    add("--window", type=float, metavar="SECONDS", help="how long a colony at rest is watched (20)")
    add("--growth", type=int, metavar="COUNT", dest="large", help="size of the large colony beside one of 50 (5000)")
    add("--orphans", type=int, metavar="COUNT", help="orphans for PID 1 (10000)")
    add("--only", default=",".join(report.MEASURES), metavar="WORD,...", help="of " + ",".join(report.MEASURES))
    add("--peers", default=",".join(PEERS), metavar="NAME,...", help='of {}; "" for none'.format(",".join(PEERS)))
    add("--quick", action="store_true", help="a first look: few processes, two rounds, short windows")
    add("--check", action="store_true", help="exit with status 1 when a target is missed")
    add("--binary", type=Path, metavar="PATH", help="measure this ncolony instead of building it")
    add("--without-ncolony", action="store_false", dest="ncolony", help="measure the floor and the peers only")
    add("--venv", type=Path, metavar="DIR", default=os.environ.get("NCOLONY_BENCH_VENV", "/nonexistent"),
        help="Python environment with supervisor and ncolony in it (or $NCOLONY_BENCH_VENV)")  # fmt: skip
    add("--patience", type=float, default=60, metavar="SECONDS", help="for the machine to become quiet (60)")
    add("--raw", type=Path, metavar="FILE", help="write every value to FILE, as JSON")
    options = parser.parse_args()
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    options.only = options.only.split(",")
    options.peers = [name for name in options.peers.split(",") if name]
    for word in {*options.only, *options.peers} - {*report.MEASURES, *PEERS}:
        parser.error(f"unknown word: {word}")
    if min(options.n, options.rounds, options.orphans) < 1 or options.large < 50 or options.window <= 0:
        parser.error("counts and times are above zero, and the large colony has at least 50 processes")
    return options


def say(text):
    print(text, file=sys.stderr, flush=True)


def build(tools):
    """The C programs, into the scratch directory."""
    for name in ("child", "floor", "orphans"):
        command = ["cc", "-O2", "-static", "-Wall", "-o", tools / name, HERE / f"{name}.c"]
        subprocess.run(command, check=True)


def cargo_build(target=None):
    """The release binary's path, as cargo tells it."""
    command = ["cargo", "build", "--release", "--bin", "ncolony", "--message-format", "json-render-diagnostics"]
    environment = dict(os.environ)
    if target:
        command += ["--target", target]
        environment["RUSTFLAGS"] = "-C target-feature=+crt-static"
    output = subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    built = (json.loads(line).get("executable") for line in output.stdout.splitlines())
    return Path(next(filter(None, built)))


class Bench:
    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        self.book = report.Book()
        self.notes = []
        self.rows = [row for row in report.ROWS if row.measure in options.only]
        self.kills = math.ceil(200 / options.rounds)
        self.homes = (scratch / f"life-{number}" for number in itertools.count())
        build(scratch)
        self.floor = contestants.Floor(scratch / "floor")
        self.ncolony = contestants.Ncolony((options.binary or cargo_build()).resolve()) if options.ncolony else None
        self.field = [self.floor, *([self.ncolony] if self.ncolony else []), *self.peers()]

    def peers(self):
        venv = Path(self.options.venv)
        known = [contestants.Runit(), contestants.S6(), contestants.Supervisord(venv), contestants.Original(venv)]
        present = []
        for peer in known:
            if peer.name in self.options.peers:
                reason = peer.missing()
                if reason is None:
                    present.append(peer)
                else:
                    self.notes.append(f"{peer.name} is left out: {reason}.")
        return present

    def measure(self):
        if self.ncolony and self.ncolony.missing():
            sys.exit(f"bench: {self.ncolony.missing()}")
        for round_number in range(self.options.rounds):
            turn = round_number % len(self.field)
            order = self.field[turn:] + self.field[:turn]
            for contestant in order:
                self.live(contestant, round_number)
            for contestant in order:
                self.orphans(contestant, round_number)
            self.growth(round_number)
        self.size()

    def live(self, contestant, round_number):
        """One life, with all measures that it is good for."""
        wanted = set(self.options.only)
        if not wanted & {"launch", "stop", *measures.AT_REST} or self.gave_up("launch", contestant):
            return
        if self.options.n > contestant.capacity:
            return self.note(f"{contestant.name} is left out: it takes at most {contestant.capacity} processes.")
        say(f"round {round_number + 1}: {contestant.name}")
        additions = 10
        with measures.Life(self.scratch, contestant, self.options.n, next(self.homes)) as life:
            steps = {
                "launch": life.launch,
                "rest": life.outlive_throttle if wanted & measures.AT_REST else lambda: time.sleep(1),
                "memory": life.memory,
                "idle": lambda: life.idle(self.options.window),
                "respawn": lambda: life.respawn(self.kills),
                "add": lambda: life.add(additions),
                "stop": life.stop,
            }
            if self.options.n + additions > contestant.capacity:
                del steps["add"]
            for key, step in steps.items():
                if key in wanted or key in ("launch", "rest"):
                    if not self.enter(key, contestant, step, essential=key == "launch"):
                        return

    def enter(self, key, contestant, step, essential=False):
        """Takes a measure into the book; False if the contestant failed so that no more can follow."""
        if self.gave_up(key, contestant):
            return True
        if key != "rest":
            machine.wait_until_quiet(self.options.patience)
        try:
            with machine.Watch() as watch:
                value = step()
        except (measures.Failed, OSError, ValueError, subprocess.SubprocessError) as error:
            self.fail(key, contestant, error)
            return not essential
        if value is not None:
            self.book.enter(key, contestant.name, value, watch.disturbed)
        return True

    def gave_up(self, key, contestant):
        return (key, contestant.name) in self.book.failures

    def fail(self, key, contestant, error):
        """A failure is said once, and the measure is not tried again."""
        never = str(error) == "never"
        self.book.failures[key, contestant.name] = "never" if never else "failed"
        if not never:
            self.note(f"{contestant.name}, {key}: {error}.")

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)
            say(text)

    def orphans(self, contestant, round_number):
        if "orphans" not in self.options.only:
            return
        if os.geteuid() != 0:
            return self.note("The orphans are left out: PID namespaces need root.")
        say(f"round {round_number + 1}: {contestant.name} as PID 1")
        home = next(self.homes)
        self.enter("orphans", contestant, lambda: measures.orphans(self.scratch, contestant, self.options.orphans, home))

    def growth(self, round_number):
        pair = [self.floor, *([self.ncolony] if self.ncolony else [])]
        if "growth" not in self.options.only or any(self.gave_up("growth", contestant) for contestant in pair):
            return
        say(f"round {round_number + 1}: growth")
        machine.wait_until_quiet(self.options.patience)
        try:
            with machine.Watch() as watch:
                sizes = (50, self.options.large)
                found = measures.growth(self.scratch, pair, sizes, self.kills, next(self.homes))
        except (measures.Failed, OSError) as error:
            return self.fail("growth", pair[-1], error)
        for name, ((small_latency, small_cpu), (large_latency, large_cpu)) in found.items():
            self.book.enter("growth", name, large_latency / small_latency, watch.disturbed)
            self.book.enter("growth_cpu", name, large_cpu / small_cpu, watch.disturbed)
            self.book.enter("event_cpu", name, large_cpu, watch.disturbed)

    def size(self):
        if "size" not in self.options.only or not self.ncolony:
            return
        self.book.enter("version", "ncolony", measures.version_ms(self.ncolony.program))
        if not shutil.which("cargo"):
            return self.note("The static binary is left out: no cargo in PATH.")
        static = cargo_build(f"{platform.machine()}-unknown-linux-gnu")
        self.book.enter("size", "ncolony", measures.size_mb(static))

    def print_report(self):
        options = self.options
        words = {"orphans": options.orphans, "small": 50, "large": options.large}
        names = [contestant.name for contestant in self.field]
        versions = [f"{contestant.name} {contestant.version()}" for contestant in self.field[1:]]
        print(
            f"N={options.n:,}; medians of {options.rounds} rounds (smallest–largest), and how many times the floor that is. "
            f"{time.strftime('%Y-%m-%d', time.gmtime())}, {machine.CPUS} CPUs, Linux {platform.release()}."
        )
        print("; ".join(versions) + ".\n" if versions else "")
        print(report.table(self.book, self.rows, names, words))
        if self.book.disturbed:
            print("\n~ other programs took more than 5 % of the machine in a round.")
        for note in self.notes:
            print(f"\n{note}")


if __name__ == "__main__":
    random.seed(1)
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
