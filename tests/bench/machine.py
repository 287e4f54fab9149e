"""The machine as the harness sees it: processes and what they cost, and whether others are busy."""

import contextlib
import ctypes
import os
import resource
import signal
import time
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
CPUS = os.cpu_count() or 1
KERNEL_THREADS = 2  # the pid of kthreadd
BUSY = 0.05  # the share of the machine from which others disturb a measurement


@dataclass(frozen=True)
class Process:
    parent: int
    ticks: int  # its own CPU time and that of the children it has waited for


def processes():
    """Every process by pid."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                fields = Path("/proc", entry, "stat").read_bytes().rpartition(b")")[2].split()
                found[int(entry)] = Process(int(fields[1]), sum(map(int, fields[11:15])))
    return found


def descendants(ancestor, among=None):
    """The pids below a process, parents before their children."""
    children = {}
    for pid, process in (among or processes()).items():
        children.setdefault(process.parent, []).append(pid)
    below = list(children.get(ancestor, ()))
    for pid in below:
        below.extend(children.get(pid, ()))
    return below


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_seconds(pids):
    """CPU time, user and kernel, of all threads that these processes have or had.

    Read from each process's CPU clock, whose id follows from the pid: nanoseconds, where
    /proc/PID/stat counts ticks and /proc/PID/task/*/schedstat forgets threads that ended.
    """
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def pss_bytes(pids):
    """The memory of these processes, each shared page divided by its users."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def become_subreaper():
    """Orphans of the contestants come to the harness: all that it started stays its descendant."""
    set_child_subreaper = 36
    if ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot become a subreaper")


def raise_open_files():
    """The soft limit up to the hard one, for the harness and all it starts."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def reap():
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end_descendants():
    """SIGKILL for all that descends from the harness, and for nothing else."""
    deadline = time.monotonic() + 30
    while left := descendants(os.getpid()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"processes that do not die: {left}")
        for pid in left:  # supervisors come before what they would start again
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
        reap()


class Patience:
    """Seconds that a whole run may spend on waiting for a quiet machine."""

    def __init__(self, seconds):
        self.left = seconds

    def wait_until_quiet(self):
        """Returns when the machine has been nearly idle for a moment, or when no patience is left."""
        while self.left > 0:
            before, began = _machine_busy_seconds(), time.monotonic()
            time.sleep(0.3)
            passed = time.monotonic() - began
            if _machine_busy_seconds() - before < BUSY * CPUS * passed:
                return
            self.left -= passed


class Watch:
    """`with Watch() as watch`: afterwards `watch.disturbed` tells whether others were busy meanwhile."""

    disturbed = False

    def __enter__(self):
        self.began, self.before = time.monotonic(), _foreign_seconds()
        return self

    def __exit__(self, *exception):
        spent = _foreign_seconds() - self.before
        slack = 2 / TICKS  # the clock of other processes is no finer
        self.disturbed = spent > BUSY * CPUS * (time.monotonic() - self.began) + slack


def _machine_counters():
    with open("/proc/stat", "rb") as file:
        return [int(field) for field in file.readline().split()[1:]]


def _machine_busy_seconds():
    user, nice, system, _idle, _iowait, irq, softirq, steal = _machine_counters()[:8]
    return (user + nice + system + irq + softirq + steal) / TICKS


def _foreign_seconds():
    """CPU time that went to processes that are not ours, and to other machines.

    Kernel threads are left out: what they do meanwhile, they mostly do for us.
    """
    everything = processes()
    ours = {os.getpid(), *descendants(os.getpid(), everything)}
    theirs = (
        process.ticks
        for pid, process in everything.items()
        if pid not in ours and KERNEL_THREADS not in (pid, process.parent)
    )
    return (sum(theirs) + _machine_counters()[7]) / TICKS
