"""Load with known ids, beside the product: runs load.c, and reads the book it keeps."""

import collections
import signal
import subprocess
import time
from pathlib import Path

from product import ROOT, wait_until

PROGRAM = ROOT / "build" / "release" / "tests" / "faults" / "fault_load"
ADS = [f"fault-{number:02d}" for number in range(20)]
PER_SECOND = 5000
CONNECTIONS = 256
NO_ANSWER = {"lost", "hung", "never"}


class Load:
    """`with Load(...) as load:` events flow until the block ends; then the book is complete."""

    def __init__(self, port, book, per_second=PER_SECOND, connections=CONNECTIONS, ids="client", poison_every=0, ads=ADS):
        self.book = Path(book)
        self.argv = [PROGRAM, port, connections, per_second, book, ids, poison_every, ",".join(ads)]
        self.offset, self.rest = 0, ""
        self.fates = collections.Counter()
        self.ids = collections.defaultdict(set)  # fate -> ids
        self.slowest_ms = 0  # of the answers
        self.began, self.process_seconds = 0.0, 0.0
        self.process = None

    def __enter__(self):
        self.began = time.monotonic()
        self.process = subprocess.Popen([str(part) for part in self.argv], stdin=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(30) == 0, "the load ended badly"
        finally:
            if self.process.poll() is None:
                self.process.kill()
        self.process_seconds = time.monotonic() - self.began
        self.read()

    def read(self):
        """Takes in what the book has got since the last reading."""
        if not self.book.exists():
            return self
        with open(self.book, encoding="ascii") as book:
            book.seek(self.offset)
            text = self.rest + book.read()
            self.offset = book.tell()
        *lines, self.rest = text.split("\n")
        for line in lines:
            fate, ms, event_id = line.split(" ")
            self.fates[fate] += 1
            if event_id != "-":
                self.ids[fate].add(event_id)
            if fate not in NO_ANSWER:
                self.slowest_ms = max(self.slowest_ms, int(ms))
        return self

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

    def saw_only(self, *fates):
        assert set(self.fates) <= set(fates), f"clients saw {dict(self.fates)}, not only {fates}"
