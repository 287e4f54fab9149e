"""Who is measured: how each is configured, started, told of a new process, and stopped."""

import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Colony:
    """What a contestant is to run: "PROGRAM TARGET:NUMBER", once for every number."""

    home: Path  # an empty directory on tmpfs, for all its files
    program: Path
    target: Path
    numbers: range

    def argv(self, number):
        return [str(self.program), f"{self.target}:{number}"]

    @staticmethod
    def name(number):
        return f"p{number:05}"


class Contestant:
    """The behaviour most have; the numbers are the supervisor's own defaults."""

    name = ""
    throttle = 1.0  # seconds: a process that lived longer is replaced without a penalty
    kill_period = 0.0  # seconds between its looks for dead processes, 0 if it is woken
    add_period = 0.0  # the same, for new processes
    capacity = 100_000
    stop_signal = signal.SIGTERM
    environment = {}

    def missing(self):
        """Why it cannot take part, or None."""
        raise NotImplementedError

    def version(self):
        return ""

    def configure(self, colony):
        raise NotImplementedError

    def command(self, colony):
        raise NotImplementedError

    def init_command(self, colony):
        """The command as PID 1, with one process."""
        return self.command(colony)

    def prepare_add(self, colony, number):
        """What may be done before the clock runs."""

    def add(self, colony, number):
        raise NotImplementedError


class Floor(Contestant):
    name = "floor"
    throttle = 0.0

    def __init__(self, program):
        self.program = program

    def missing(self):
        return None

    def configure(self, colony):
        os.mkfifo(colony.home / "fifo")

    def command(self, colony):
        return [self.program, "hold", colony.home / "fifo", colony.program, colony.target, len(colony.numbers)]

    def init_command(self, colony):
        return [self.program, "reap", *colony.argv(colony.numbers[0])]

    def add(self, colony, number):
        with open(colony.home / "fifo", "wb", buffering=0) as fifo:
            fifo.write(struct.pack("=i", number))


class SecondFloor(Floor):
    """Measured against the first one it shows how exact the harness is: 1.00 would be perfect."""

    name = "floor again"


class ProcessFiles(Contestant):
    """ncolony and its ancestor: a directory with a file for every process."""

    def configure(self, colony):
        for directory in ("config", "messages", "staged"):
            (colony.home / directory).mkdir()
            (colony.home / directory).chmod(0o755)
        for number in colony.numbers:
            self.prepare_add(colony, number)
            self.add(colony, number)

    def arguments(self, colony):
        return ["--config", colony.home / "config", "--messages", colony.home / "messages"]

    def prepare_add(self, colony, number):
        file = colony.home / "staged" / colony.name(number)
        file.write_text(json.dumps({"args": colony.argv(number)}))

    def add(self, colony, number):
        name = colony.name(number)
        os.rename(colony.home / "staged" / name, colony.home / "config" / name)


class Ncolony(ProcessFiles):
    name = "ncolony"
    throttle = 10.0

    def __init__(self, program):
        self.program = program

    def missing(self):
        return None if os.access(self.program, os.X_OK) else f"{self.program} is not an executable file"

    def version(self):
        return _first_line(self.program, "--version").removeprefix("ncolony ")

    def command(self, colony):
        return [self.program, "run", *self.arguments(colony), "--listen", "off"]


class InOrder(Ncolony):
    """The same in ten groups, each process of which depends on all of the group before."""

    GROUPS = 10

    def prepare_add(self, colony, number):
        size = max(1, len(colony.numbers) // self.GROUPS)
        first = (number // size - 1) * size
        before = [colony.name(other) for other in range(first, first + size)] if first >= 0 else []
        file = colony.home / "staged" / colony.name(number)
        file.write_text(json.dumps({"args": colony.argv(number), "dependsOn": before}))


class Scraped(Ncolony):
    """The same with a status server."""

    def configure(self, colony):
        super().configure(colony)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def command(self, colony):
        return [self.program, "run", *self.arguments(colony), "--listen", f"127.0.0.1:{self.port}"]

    def restart_all(self, colony):
        message = colony.home / "staged" / "restart-all"
        message.write_text(json.dumps({"type": "RESTART-ALL"}))
        os.rename(message, colony.home / "messages" / message.name)


class Probed(Ncolony):
    """The same, where each process is asked over HTTP once a second."""

    PERIOD = 1.0

    def __init__(self, program, port):
        super().__init__(program)
        self.port = port

    def prepare_add(self, colony, number):
        probe = {"httpGet": {"port": self.port, "path": "/health"}, "periodSeconds": self.PERIOD}
        file = colony.home / "staged" / colony.name(number)
        file.write_text(json.dumps({"args": colony.argv(number), "readinessProbe": probe}))


class Original(ProcessFiles):
    name = "NColony"
    add_period = 1.0

    def __init__(self, venv):
        self.twistd, self.python = venv / "bin/twistd", venv / "bin/python"

    def missing(self):
        probe = [self.python, "-c", "import ncolony"]
        if self.twistd.exists() and subprocess.run(probe, stderr=subprocess.DEVNULL).returncode == 0:
            return None
        return f"no ncolony for Python in {self.python.parent.parent}"

    def version(self):
        return _first_line(self.python, "-c", "import importlib.metadata as m; print(m.version('ncolony'))")

    def command(self, colony):
        return [self.twistd, "-n", "--pidfile=", "ncolony", *self.arguments(colony), "--freq", "1"]


class ScanDirectory(Contestant):
    """runit and s6: a directory of links to directories with a `run` file.

    The `run` file's interpreter is the program itself: no shell stands in between.
    """

    def configure(self, colony):
        (colony.home / "scan").mkdir()
        (colony.home / "services").mkdir()
        for number in colony.numbers:
            self.prepare_add(colony, number)
            self.link(colony, number)
        # runsvdir waits for a directory to be older than the second that it was changed in.
        os.utime(colony.home / "scan", (time.time() - 60,) * 2)

    def prepare_add(self, colony, number):
        service = colony.home / "services" / colony.name(number)
        service.mkdir()
        (service / "run").write_text("#!{} {}\n".format(*colony.argv(number)))
        (service / "run").chmod(0o755)

    def link(self, colony, number):
        name = colony.name(number)
        os.symlink(colony.home / "services" / name, colony.home / "scan" / name)

    def missing(self):
        return None if shutil.which(self.program) else f"no {self.program} in PATH"

    def version(self):
        return _debian_version(self.name)


class Runit(ScanDirectory):
    name = "runit"
    program = "runsvdir"
    add_period = 5.0
    capacity = 1000  # compiled in
    stop_signal = signal.SIGHUP  # SIGTERM would leave the processes running

    def command(self, colony):
        return [self.program, "-P", colony.home / "scan"]

    def add(self, colony, number):
        self.link(colony, number)


class S6(ScanDirectory):
    name = "s6"
    program = "s6-svscan"

    def command(self, colony):
        return [self.program, "-c", max(1000, len(colony.numbers) + 100), colony.home / "scan"]

    def add(self, colony, number):
        self.link(colony, number)
        subprocess.run(["s6-svscanctl", "-a", colony.home / "scan"], check=True)


class Supervisord(Contestant):
    name = "supervisord"
    kill_period = 1.0

    def __init__(self, venv):
        self.venv = venv
        self.program = venv / "bin/supervisord"

    def missing(self):
        return None if self.program.exists() else f"no supervisord in {self.venv}"

    def version(self):
        return _first_line(self.program, "--version")

    def configure(self, colony):
        (colony.home / "programs").mkdir()
        for number in colony.numbers:
            self.prepare_add(colony, number)
        (colony.home / "supervisord.conf").write_text(
            f"""[supervisord]
nodaemon = true
logfile = /dev/null
logfile_maxbytes = 0
pidfile = {colony.home}/pid
minfds = {3 * len(colony.numbers) + 200}
[unix_http_server]
file = {colony.home}/socket
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[include]
files = {colony.home}/programs/*
"""
        )

    def command(self, colony):
        return [self.program, "-c", colony.home / "supervisord.conf"]

    def prepare_add(self, colony, number):
        (colony.home / "programs" / colony.name(number)).write_text(
            f"[program:{colony.name(number)}]\ncommand = {' '.join(colony.argv(number))}\n"
            "autorestart = true\nstdout_logfile = NONE\nstderr_logfile = NONE\n"
        )

    def add(self, colony, number):
        server = xmlrpc.client.ServerProxy("http://localhost", _UnixTransport(colony.home / "socket"))
        server.supervisor.reloadConfig()
        server.supervisor.addProcessGroup(colony.name(number))


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path):
        super().__init__()
        self.path = str(path)

    def make_connection(self, host):
        connection = http.client.HTTPConnection(host)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.path)
        return connection


def _first_line(*argv):
    result = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return result.stdout.partition("\n")[0]


def _debian_version(package):
    return _first_line("dpkg-query", "-W", "-f", "${Version}", package) if shutil.which("dpkg-query") else ""
