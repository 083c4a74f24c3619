"""Processes that outlive their starter, known by pid files, and the ports that they listen on."""

import collections
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STOP_SECONDS = 25
PORT_FIRST, PORT_BLOCKS, BLOCK_PORTS = 20000, 100, 100  # outside of what the kernel hands to outgoing connections


class StackError(Exception):
    """Something the user can act on; the text says what to do."""


def say(text):
    print(f"\033[1m==>\033[0m {text}" if sys.stderr.isatty() else f"==> {text}", file=sys.stderr, flush=True)


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


class Ports:
    """Free ports for this process alone: two that start side by side must not find the same one before either listens.

    A block of ports is this process's for as long as it holds the lock of the block's file.
    """

    def __init__(self):
        self.first = self.lock = None
        self.given = collections.deque(maxlen=BLOCK_PORTS // 2)  # and not listened on yet, perhaps

    def _take_block(self):
        folder = Path(tempfile.gettempdir()) / f"adledger-ports-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        for block in secrets.SystemRandom().sample(range(PORT_BLOCKS), PORT_BLOCKS):
            lock = open(folder / str(block), "w", encoding="ascii")  # noqa: SIM115: open for as long as the process lives
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            self.first, self.lock = PORT_FIRST + block * BLOCK_PORTS, lock
            return
        raise StackError(f"no free ports: all locks in {folder} are held")

    def take(self, taken):
        if self.lock is None:
            self._take_block()
        for _ in range(10 * BLOCK_PORTS):
            port = self.first + secrets.randbelow(BLOCK_PORTS)
            if port not in taken and port not in self.given and port_is_free(port):
                self.given.append(port)
                return port
        raise StackError(f"no free port between {self.first} and {self.first + BLOCK_PORTS} on 127.0.0.1")


_PORTS = Ports()


def free_port(taken=()):
    """A free port that no other process finds, and none of `taken`."""
    return _PORTS.take(taken)


def start_time(pid):
    """The kernel's start time of a pid (field 22 of its stat), or None when there is no such process.

    A zombie is gone once its last thread is: until then its sockets are still open.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        is_gone = fields[0] == "Z" and len(os.listdir(f"/proc/{pid}/task")) == 1
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if is_gone else fields[19]


class Process:
    """One child, known by a pid file that also holds its start time."""

    def __init__(self, stack, name):
        self.name = name
        self.pid_file = stack.dir / "pids" / name
        self.log_file = stack.dir / "log" / f"{name}.log"

    @property
    def pid(self):
        try:
            pid, began = self.pid_file.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if start_time(int(pid)) == began else None

    def start(self, argv, env=None, user=None, cwd="/"):
        if self.pid is not None:
            return
        for path in (self.pid_file, self.log_file):
            path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log_file, "ab") as log:
            child = subprocess.Popen([str(part) for part in argv], env=env, cwd=cwd, user=user, group=user,
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.pid_file.write_text(f"{child.pid} {start_time(child.pid)}")
        self.child = child  # kept so that a finished child is reaped

    def send(self, number):
        pid = self.pid
        if pid is not None:
            os.kill(pid, number)

    def wait_gone(self, seconds):
        deadline = time.monotonic() + seconds
        while self.pid is not None:
            child = getattr(self, "child", None)
            if child is not None:
                child.poll()
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def stop(self, number=signal.SIGTERM, seconds=STOP_SECONDS):
        """Ends the process; kills it when it has not gone in time. True: it went by itself."""
        self.send(signal.SIGCONT)
        self.send(number)
        gone = self.wait_gone(seconds)
        if not gone:
            self.send(signal.SIGKILL)
            self.wait_gone(5)
        self.pid_file.unlink(missing_ok=True)
        return gone

    def kill(self):
        self.send(signal.SIGKILL)
        self.wait_gone(5)

    def log_tail(self, lines=12):
        try:
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""
