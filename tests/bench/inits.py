"""`ncolony reaper` beside the inits that it is held against: who takes part, and what is measured of them."""

import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import time

import machine
import measures
from contestants import Contestant

OURS = "ncolony reaper"
REFERENCE = {"reaper_start": "tini", "reaper_whole": "tini", "reaper_orphans": "dumb-init"}
NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
# At SIGUSR1 it leaves three hundred orphans behind, which end soon.
PARENT = "trap 'i=0; while [ $i -lt 300 ]; do (sleep 0.1 &); i=$((i+1)); done' USR1; while :; do sleep 1; done"
REST = 2.5  # seconds without anything new before memory is looked at


class Init(Contestant):
    """A command line that a program's is put behind."""

    def __init__(self, name, words, only_as_pid_1=False):
        self.name, self.words, self.only_as_pid_1 = name, [str(word) for word in words], only_as_pid_1

    def missing(self):
        return None if shutil.which(self.words[0]) else f"no {self.words[0]} in PATH"

    def configure(self, colony):
        pass

    def init_command(self, colony):
        return [*self.words, *colony.argv(colony.numbers[0])]


def others():
    return [
        Init("tini", ["tini", "-s", "--"]),
        Init("tini-static", ["tini-static", "-s", "--"]),
        Init("dumb-init", ["dumb-init"]),
        Init("catatonit", ["catatonit", "--"], only_as_pid_1=True),
    ]


def starts(tools, inits, count):
    """For each init the median milliseconds until its program's first instruction, and until its own end."""
    able = [init for init in inits if not init.only_as_pid_1]
    words = [word for init in able for word in ("::", *init.words)][1:]
    output = subprocess.run([tools / "starts", str(count), *words], stdout=subprocess.PIPE, text=True, check=True)
    lines = [line.split() for line in output.stdout.splitlines()]
    return {init.name: (int(begun) / 1e6, int(ended) / 1e6) for init, (begun, ended) in zip(able, lines)}


def memory(init, home):
    """MiB as PID 1 at rest, and again at rest once three hundred orphans and a signal have come."""
    home.mkdir(parents=True)
    try:
        outer = measures.spawn(init, [*init.words, "sh", "-c", PARENT], home, NAMESPACE)
        time.sleep(REST)
        pid = next(iter(machine.children(outer)), None)
        if pid is None:
            raise measures.Failed(f"{init.name} has not started; {measures.last_words(home)}")
        before = machine.pss_bytes([pid]) / 2**20
        os.kill(pid, signal.SIGUSR1)
        deadline = time.monotonic() + measures.PATIENCE
        # The shell's `sleep` ends before it hears the signal.
        time.sleep(REST)
        while len(machine.children(pid)) > 1:
            if time.monotonic() > deadline:
                raise measures.Failed(f"orphans stay; {measures.last_words(home)}")
            time.sleep(0.1)
        time.sleep(REST)
        return before, machine.pss_bytes([pid]) / 2**20
    finally:
        machine.end_descendants()
        with contextlib.suppress(OSError):
            shutil.rmtree(home)


def orphans(tools, inits, count, homes):
    """For each init the milliseconds until PID 1 has none of so many zombies left; three times in turn, the medians."""
    taken = {init.name: [] for init in inits}
    for _ in range(3):
        for init in inits:
            taken[init.name].append(measures.orphans(tools, init, count, next(homes)))
    return {name: (statistics.median(values),) for name, values in taken.items()}
