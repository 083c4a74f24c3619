"""Load with known ids, beside the product: runs load.c, and reads the book it keeps."""

import collections
import signal
import subprocess
import sys
import time
from pathlib import Path

from product import ROOT, wait_until

PROGRAM = ROOT / "build" / "release" / "tests" / "faults" / "fault_load"
PROBE = Path(__file__).resolve().parent / "disk_probe.py"
ANSWER_MS_MAX = 1000  # one budget covers all lines of keeping
KEEP_DEADLINE_MS, PUBLISH_DEADLINE_MS = 950, 400  # the gateway's defaults: spool and inbox have what lies between at least
PROBE_BLIND_MS = 100  # it may have been asleep when a stall began, and is woken late
STALL_MS = KEEP_DEADLINE_MS - PUBLISH_DEADLINE_MS - PROBE_BLIND_MS
SPOOL_STALL_MS = (KEEP_DEADLINE_MS - PUBLISH_DEADLINE_MS) // 2 - PROBE_BLIND_MS  # where there is no inbox to turn to after the spool's half
EXCUSED_SHARE_MAX = 0.1  # of the answers: more is no slow disk but somebody who floods it
ADS = [f"fault-{number:02d}" for number in range(20)]
PER_SECOND = 5000
CONNECTIONS = 256
END_SECONDS = 30
NO_ANSWER = {"lost", "hung", "never"}


class Load:
    """`with Load(...) as load:` events flow until the block ends; then the book is complete.

    `disk` is a folder on the disk of spool and PostgreSQL, which is probed meanwhile: see saw_only().
    """

    def __init__(self, port, book, per_second=PER_SECOND, connections=CONNECTIONS, ids="client", poison_every=0, ads=ADS, disk=None):
        self.book = Path(book)
        self.disk = Path(disk or self.book.parent)
        self.syncs = self.book.with_suffix(".syncs")
        self.argv = [PROGRAM, port, connections, per_second, book, ids, poison_every, ",".join(ads)]
        self.offset, self.rest = 0, ""
        self.fates = collections.Counter()
        self.ids = collections.defaultdict(set)  # fate -> ids
        self.slowest_ms = 0  # of the answers
        self.refusals = []  # (sent, answered) of each 503, in ms of the monotonic clock
        self.slow_syncs = []  # (began, ended) of the disk, likewise
        self.excused = 0  # of the refusals
        self.began, self.process_seconds = 0.0, 0.0
        self.process = self.probe = None

    def __enter__(self):
        self.began = time.monotonic()
        self.process = subprocess.Popen([str(part) for part in self.argv], stdin=subprocess.DEVNULL)
        try:
            with open(self.syncs, "wb") as told:
                self.probe = subprocess.Popen([sys.executable, PROBE, self.disk / f"{self.book.name}.probe"], stdin=subprocess.DEVNULL, stdout=told)
        except OSError:
            end(self.process)
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """The disk is probed until the last answer has come."""
        try:
            code = end(self.process)
            self.process_seconds = time.monotonic() - self.began
        finally:
            probe_code = end(self.probe)
        assert code == 0, "the load ended badly"
        assert probe_code in (0, -signal.SIGTERM), "the disk's probe ended badly"
        self.read()

    def read(self):
        """Takes in what the book has got since the last reading, then what is known of the disk."""
        if self.book.exists():
            self._read_book()
        self.slow_syncs = [tuple(map(int, line.split())) for line in self.syncs.read_text().splitlines()]
        return self

    def _read_book(self):
        with open(self.book, encoding="ascii") as book:
            book.seek(self.offset)
            text = self.rest + book.read()
            self.offset = book.tell()
        *lines, self.rest = text.split("\n")
        for line in lines:
            fate, at, ms, event_id = line.split(" ")
            self.fates[fate] += 1
            if fate == "503":
                self.refusals.append((int(at) - int(ms), int(at)))
            if event_id != "-":
                self.ids[fate].add(event_id)
            if fate not in NO_ANSWER:
                self.slowest_ms = max(self.slowest_ms, int(ms))

    def flow(self, seconds):
        """Lets the load go on for so long, and checks that it does."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            assert self.process.poll() is None, "the load has ended"
            time.sleep(min(left, 0.1))
        return self.read()

    def accepts(self, more=1000, seconds=10):
        """Waits until so many more events are answered 202."""
        before = self.read().fates["202"]
        wait_until(f"{more} more events are answered 202; so far {dict(self.fates)}",
                   lambda: self.read().fates["202"] >= before + more, seconds)

    def since(self):
        """A Counter of the fates that come from now on, by calling what is given back."""
        before = self.read().fates.copy()
        return lambda: self.read().fates - before

    @property
    def accepted(self):
        return self.ids["202"]

    @property
    def sent(self):
        return set().union(*self.ids.values())

    @property
    def refused(self):
        return self.ids["503"] | self.ids["503-bare"]

    @property
    def slowest_sync_ms(self):
        return max((ended - began for began, ended in self.slow_syncs), default=0)

    def _waited_for_the_disk(self, stall_ms):
        """The number of 503 that the disk stood still for: for stall_ms of their wait, or for all of a shorter one."""
        stalls = [(began, ended) for began, ended in self.slow_syncs if ended - began >= stall_ms]
        return sum(any(min(answered, ended) - max(sent, began) >= min(stall_ms, answered - sent) for began, ended in stalls) for sent, answered in self.refusals)

    def saw_only(self, *fates, stall_ms=STALL_MS):
        """Nothing but these, and 503 while neither spool nor PostgreSQL could write: of that no row is to blame.

        A stall of the disk is known when it has ended. Where a row has spool or PostgreSQL on a disk of its own, that is
        full, and what is left shares the probed one.
        """
        self.excused = 0 if "503" in fates else self._waited_for_the_disk(stall_ms)
        seen = self.fates - collections.Counter({"503": self.excused})
        assert set(seen) <= set(fates) and self.excused <= EXCUSED_SHARE_MAX * sum(self.fates.values()), \
            f"clients saw {dict(self.fates)}, not only {fates}; excused {self.excused}, slowest sync {self.slowest_sync_ms} ms"


def end(process):
    """Asks it to; returns its status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(END_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
