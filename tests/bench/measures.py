"""What is measured, and how. Every function returns plain values in the unit of its row."""

import contextlib
import os
import random
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

import machine
from contestants import Colony, Probed
from scrape import scrape_ms

AT_REST = {"memory", "idle", "respawn", "add"}  # what is measured once all throttles are outlived
PATIENCE = 20.0  # seconds for one change, or for an orphan maker
SCRAPES = 200  # a round, for their own time
LOOKS = 50  # at a colony, by the control program
PER_SECOND = 50  # scrapes while processes are killed
BUDGET = 10.0  # seconds a round for the kills, and for the additions, of a contestant that is slow


class Failed(Exception):
    """A contestant did not do what it was to do."""


class Never(Exception):
    """It did not come to pass, however long one waits: the contestant is not made for it."""


class Starts:
    """The log that the processes write their first moment into."""

    RECORD = struct.Struct("=QII")

    def __init__(self, path):
        self.path = path
        self.file = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)
        self.read = 0
        self.began = {}  # by number: nanoseconds of its latest start
        self.pid = {}  # by number

    def wait(self, arrived, seconds, nap):
        """Sleeps while the log is as long as it was; looks whether `arrived()` when it grew.

        The times are in the records, so the naps cost no accuracy: they keep the harness out of the way.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(nap)
            if os.fstat(self.file).st_size // self.RECORD.size > self.read:
                self._take_in()
                if arrived():
                    return True
        return False

    def _take_in(self):
        while data := os.pread(self.file, self.RECORD.size << 12, self.read * self.RECORD.size):
            whole = len(data) // self.RECORD.size
            for nanoseconds, number, pid in self.RECORD.iter_unpack(data[: whole * self.RECORD.size]):
                self.began[number], self.pid[number] = nanoseconds, pid
            self.read += whole
            if not whole:
                return


class Life:
    """One life of a contestant, from its launch to its end."""

    def __init__(self, tools, contestant, count, home):
        self.contestant = contestant
        self.home = home
        self.count = count
        self.colony = Colony(home, tools / "child", home / "starts", range(count))

    def __enter__(self):
        self.home.mkdir(parents=True)
        self.home.chmod(0o755)
        self.starts = Starts(self.colony.target)
        self.contestant.configure(self.colony)
        return self

    def __exit__(self, *exception):
        machine.end_descendants()
        os.close(self.starts.file)
        shutil.rmtree(self.home, ignore_errors=True)

    def launch(self):
        """Milliseconds from just before the supervisor's start to the last first instruction."""
        launched = time.monotonic_ns()
        self.root = spawn(self.contestant, self.contestant.command(self.colony), self.home)
        if not self.starts.wait(lambda: len(self.starts.began) == self.count, 60 + self.count / 50, 0.01):
            raise Failed(f"{len(self.starts.began)} of {self.count} processes started; {last_words(self.home)}")
        return (max(self.starts.began.values()) - launched) / 1e6

    def outlive_throttle(self):
        time.sleep(self.contestant.throttle + 1)
        self.own = self.own_pids()

    def own_pids(self):
        """The supervisor and its helpers: all that it started, less the processes it is there for."""
        served = set(self.starts.pid.values())
        return [self.root, *(pid for pid in machine.descendants(self.root) if pid not in served)]

    def memory(self):
        return machine.pss_bytes(self.own) / 2**20

    def kill_one(self, number):
        """Milliseconds from just before SIGKILL to the replacement's first instruction."""
        victim = self.starts.pid[number]
        killed = time.monotonic_ns()
        os.kill(victim, signal.SIGKILL)
        if not self.starts.wait(lambda: self.starts.pid[number] != victim, PATIENCE, 0.003):
            raise Failed(f"process {number} was killed and not replaced; {last_words(self.home)}")
        return (self.starts.began[number] - killed) / 1e6

    def add_one(self, number):
        """Milliseconds from just before the change is made known to the first instruction."""
        self.contestant.prepare_add(self.colony, number)
        time.sleep(0.01)
        told = time.monotonic_ns()
        self.contestant.add(self.colony, number)
        if not self.starts.wait(lambda: number in self.starts.began, PATIENCE, 0.003):
            raise Failed(f"process {number} was added and not started; {last_words(self.home)}")
        return (self.starts.began[number] - told) / 1e6

    def stop(self):
        """Milliseconds from just before the signal until no process of the contestant runs any more.

        The harness waits for one process at a time, the supervisor first, so that it sleeps
        while the others end, and looks at them all when it wakes.
        """
        with contextlib.ExitStack() as descriptors:
            living = {}
            everybody = select.epoll()
            descriptors.callback(everybody.close)
            for pid in [*self.own_pids(), *self.starts.pid.values()]:
                with contextlib.suppress(ProcessLookupError):
                    living[os.pidfd_open(pid)] = pid
            for descriptor in living:
                descriptors.callback(os.close, descriptor)
                everybody.register(descriptor, select.EPOLLIN | select.EPOLLONESHOT)
            deadline = time.monotonic() + 60
            told = time.monotonic_ns()
            os.kill(self.root, self.contestant.stop_signal)
            while living:
                one = select.poll()
                one.register(next(iter(living)), select.POLLIN)
                if not one.poll(max(0, deadline - time.monotonic()) * 1000):
                    raise Failed(f"{len(living)} processes live on after the signal")
                for descriptor, _ in everybody.poll(0, len(living) + 1):
                    del living[descriptor]
            return (time.monotonic_ns() - told) / 1e6


def idle(lives, window):
    """What each takes at rest, in per cent of one core, in the same span of time."""
    before = [machine.cpu_seconds(life.own) for life in lives]
    time.sleep(window)
    return [100 * (machine.cpu_seconds(life.own) - spent) / window for life, spent in zip(lives, before)]


def respawn(lives, kills):
    """Medians of kills one at a time. No process is killed twice, so all have outlived the throttle."""
    victims = random.sample(range(lives[0].count), min(kills, lives[0].count))
    return in_turn(lives, victims, Life.kill_one, lambda contestant: contestant.kill_period)


def add(lives, additions):
    numbers = range(lives[0].count, lives[0].count + additions)
    return in_turn(lives, numbers, Life.add_one, lambda contestant: contestant.add_period)


def in_turn(lives, numbers, measure, period_of):
    """The median of each life's measures: one life, the other, the other, the one, and so on.

    Each is taken at a moment that is spread over the period in which the contestant looks around.
    """
    deadline = time.monotonic() + BUDGET
    taken = {life: [] for life in lives}
    for turn, number in enumerate(numbers):
        for life in lives if turn % 2 else reversed(lives):
            time.sleep(random.uniform(0.02, 0.03 + period_of(life.contestant)))
            taken[life].append(measure(life, number))
        if time.monotonic() > deadline:
            break
    return [statistics.median(values) for values in taken.values()]


def spawn(contestant, command, home, prefix=()):
    """Starts a contestant as a session of its own; what it says goes to a file in its home."""
    argv = [str(word) for word in (*prefix, *command)]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
    output = (os.POSIX_SPAWN_OPEN, 1, str(home / "output"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    return os.posix_spawnp(
        argv[0],
        argv,
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            output,
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores these
    )


def last_words(home):
    lines = (home / "output").read_text(errors="replace").splitlines()
    return f'last said: "{lines[-1]}"' if lines else "said nothing"


def orphans(tools, contestant, count, home):
    """Milliseconds until PID 1 has reaped this many zombies that it adopted at once."""
    home.mkdir(parents=True)
    result = home / "result"
    colony = Colony(home, tools / "orphans", result, range(count, count + 1))
    namespace = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    try:
        contestant.configure(colony)
        spawn(contestant, contestant.init_command(colony), home, namespace)
        deadline = time.monotonic() + PATIENCE
        while not (result.exists() and result.read_text().endswith("\n")):
            if time.monotonic() > deadline:
                raise Failed(f"no orphans were made; {last_words(home)}")
            time.sleep(0.05)
        if result.read_text() == "never\n":
            raise Never
        return int(result.read_text()) / 1e6
    finally:
        machine.end_descendants()
        shutil.rmtree(home, ignore_errors=True)


def event(tools, contestant, count, kills, home):
    """What a kill and the replacement cost in a colony of this size.

    The median latency in milliseconds, and the supervisor's median CPU time in microseconds.
    """
    latency, cpu = [], []
    with Life(tools, contestant, count, home) as life:
        life.launch()
        life.outlive_throttle()
        for victim in random.sample(range(count), min(kills, count)):
            before = machine.cpu_seconds(life.own)
            latency.append(life.kill_one(victim))
            time.sleep(random.uniform(0.01, 0.02))  # what the event still leads to
            cpu.append(1e6 * (machine.cpu_seconds(life.own) - before))
    return statistics.median(latency), statistics.median(cpu)


def ordered(tools, plain, in_order, count, homes, ordered_first):
    """How many times as long a launch in a chain of groups takes as one without order, each alone."""
    took = {}
    for who in (in_order, plain) if ordered_first else (plain, in_order):
        with Life(tools, who, count, next(homes)) as life:
            took[who] = life.launch()
    return took[in_order] / took[plain]


def scraped(tools, contestant, count, kills, home):
    """Scrapes of a colony, and what they cost it.

    Milliseconds of a scrape, median and 99th percentile; how many times as long a kill and the replacement take under
    scrapes as without; the supervisor's CPU time for a scrape, in milliseconds.
    """
    with Life(tools, contestant, count, home) as life:
        life.launch()
        life.outlive_throttle()
        scrape_ms(contestant.port)  # the first one waits for what is not measured otherwise
        before, taken = machine.cpu_seconds(life.own), []
        for _ in range(SCRAPES):
            time.sleep(0.02)
            taken.append(scrape_ms(contestant.port)[0])
        cpu = 1000 * (machine.cpu_seconds(life.own) - before) / SCRAPES
        victims = random.sample(range(count), min(2 * kills, count))
        quiet, loud = [], []
        for number, victim in enumerate(victims):
            if number % 10 == 0:  # ten without, twenty with, ten without
                silence = contextlib.ExitStack()
                is_loud = number // 10 % 4 in (1, 2)
                if is_loud:
                    silence.callback(_end, _scraper(contestant.port))
                    time.sleep(0.3)
            time.sleep(random.uniform(0.02, 0.03))
            (loud if is_loud else quiet).append(life.kill_one(victim))
            if number % 10 == 9 or number == len(victims) - 1:
                silence.close()
        taken.sort()
        under = statistics.median(loud) / statistics.median(quiet)
        return statistics.median(taken), taken[len(taken) * 99 // 100], under, cpu


def alive(tools, contestant, count, home):
    """Milliseconds of a GET /livez while the whole colony is restarted, 99th percentile."""
    with Life(tools, contestant, count, home) as life:
        life.launch()
        life.outlive_throttle()
        before = dict(life.starts.pid)
        contestant.restart_all(life.colony)
        taken = []

        def all_anew():
            return all(life.starts.pid[number] != pid for number, pid in before.items())

        deadline = time.monotonic() + PATIENCE
        while not life.starts.wait(all_anew, 0.001, 0.0005):
            taken.append(scrape_ms(contestant.port, "/livez")[0])
            if time.monotonic() > deadline:
                raise Failed(f"not all of {count} processes were restarted; {last_words(home)}")
        taken.sort()
        return taken[len(taken) * 99 // 100]


def looked(tools, contestant, count, home):
    """Milliseconds of a `ctl get` of all processes, start to end."""
    with Life(tools, contestant, count, home) as life:
        life.launch()
        command = [contestant.program, "ctl", "--messages", life.colony.home / "messages", "get", "--no-headers"]
        taken = []
        for _ in range(LOOKS):
            time.sleep(0.02)
            began = time.monotonic_ns()
            shown = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
            taken.append((time.monotonic_ns() - began) / 1e6)
            lines = shown.count(b"\n")
            if lines != count:
                raise Failed(f"{lines} of {count} processes are shown")
        return statistics.median(taken)


def probed(tools, program, count, window, home):
    """What a colony costs its supervisor whose processes are asked over HTTP once a second each, in per cent of one core."""
    home.mkdir(parents=True)
    counter = home / "answered"
    server = subprocess.Popen([tools / "answers", counter], stdout=subprocess.PIPE, text=True)
    try:
        contestant = Probed(program, int(server.stdout.readline()))
        with Life(tools, contestant, count, home / "colony") as life:
            life.launch()
            life.own = life.own_pids()
            deadline = time.monotonic() + PATIENCE
            while _answered(counter) < 3 * count:
                if time.monotonic() > deadline:
                    raise Failed(f"{_answered(counter)} probes were made; {last_words(life.home)}")
                time.sleep(0.1)
            began, answered, spent = time.monotonic(), _answered(counter), machine.cpu_seconds(life.own)
            time.sleep(window)
            took = time.monotonic() - began
            asked = (_answered(counter) - answered) / took
            if asked < 0.95 * count / contestant.PERIOD:
                raise Failed(f"{asked:.0f} probes were made in a second, not {count / contestant.PERIOD:.0f}")
            return 100 * (machine.cpu_seconds(life.own) - spent) / took
    finally:
        _end(server)


def _answered(counter):
    return int.from_bytes(counter.read_bytes(), sys.byteorder)


def _scraper(port):
    script = Path(__file__).with_name("scrape.py")
    return subprocess.Popen([sys.executable, script, str(port), str(PER_SECOND)])


def _end(process):
    process.kill()
    process.wait()


def version_ms(program, times=20):
    """The median time of `--version`, from the spawn to the wait."""
    spent = []
    for _ in range(times):
        began = time.monotonic_ns()
        silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
        pid = os.posix_spawn(str(program), [str(program), "--version"], {}, file_actions=silent)
        status = os.waitpid(pid, 0)[1]
        spent.append((time.monotonic_ns() - began) / 1e6)
        if status:
            raise Failed("--version fails")
    return statistics.median(spent)


def size_mb(program):
    return Path(program).stat().st_size / 1e6
