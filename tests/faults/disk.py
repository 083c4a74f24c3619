"""A disk that is filled and has room again, one that stands still and goes on, one that fails and works again, and a slow one."""

import errno
import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

CHUNK = 64 << 10
ATTACH_SECONDS = 10


def fill(disk):
    """A file that takes all that is free on a disk. Unlink it, and there is room."""
    ballast, size = disk / "ballast", 0
    with open(ballast, "wb") as out:
        for chunk in (16 * CHUNK, CHUNK, 4096):
            try:
                while True:
                    os.posix_fallocate(out.fileno(), size, chunk)
                    size += chunk
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return ballast


def can_loop():
    """Whether a file can be mounted as a disk of its own, and be made to stand still."""
    if not all(map(shutil.which, ("losetup", "mkfs.ext4", "fsfreeze"))):
        return False
    found = subprocess.run(["losetup", "--find"], capture_output=True, text=True, check=False)
    return found.returncode == 0 and Path(found.stdout.strip()).exists()


@contextmanager
def standing_still(disk):
    """Whatever writes to this file system waits in the kernel, as on a disk that does not answer."""
    subprocess.run(["fsfreeze", "--freeze", disk], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", disk], check=True)


def thread_id(pid, name):
    """A thread of a process by the name that it gave itself."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int(task.name)
    raise AssertionError(f"process {pid} has no thread {name}")


@contextmanager
def traced(pid, *options):
    """strace with these options on a thread, or with -f on a process; it goes on as before afterwards."""
    tracer = subprocess.Popen(["strace", "-p", str(pid), *options], stderr=subprocess.PIPE, text=True)
    try:
        attached = tracer.stderr.readline()
        assert "attached" in attached, f"strace: {attached.strip()}"
        yield
    finally:
        tracer.send_signal(signal.SIGINT)  # detaches
        tracer.wait(ATTACH_SECONDS)
        tracer.stderr.close()


@contextmanager
def failing_io(pid, thread, calls, log):
    """Makes system calls of one thread fail with EIO for a while, as those of a thread whose disk is dying do.

    The kernel never carries the call out. Yields a function: how many calls have failed so far.
    """
    calls = ",".join(calls)
    with traced(thread_id(pid, thread), "-o", log, "-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO"):
        yield lambda: Path(log).read_text().count("(INJECTED)")


@contextmanager
def slow_syncs(pid, milliseconds):
    """Makes each sync of a process take so much longer, as on a slow disk."""
    with traced(pid, "-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", f"inject=fsync,fdatasync:delay_exit={milliseconds * 1000}"):
        yield
