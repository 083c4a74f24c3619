"""Row 17 of the fault matrix: a reader killed at each of its steps. The proxies see the step on the wire, and kill."""

import os
import random
import signal

import pytest
from product import wait_until
from proxy import DOWN, UP

KILLS_A_STEP = 2
READ_AGAIN_SECONDS = 5

# Who is killed at which step, where its bytes pass, what they hold, and whether they still arrive.
STEPS = [
    ("ingest", "asks the stream", "nats", UP, b"CONSUMER.MSG.NEXT", True),
    ("ingest", "has got messages", "nats", DOWN, b"MSG _INBOX", False),
    ("ingest", "begins", "postgres", UP, b"BEGIN ", True),
    ("ingest", "claims the position", "postgres", UP, b"claim\0", True),
    ("ingest", "copies", "postgres", UP, b"COPY events", True),
    ("ingest", "has sent the rows", "postgres", DOWN, b"COPY ", True),
    ("ingest", "sums", "postgres", UP, b"sum\0", True),
    ("ingest", "commits, unheard", "postgres", UP, b"COMMIT\0", False),
    ("ingest", "commits", "postgres", UP, b"COMMIT\0", True),
    ("ingest", "has committed", "postgres", DOWN, b"COMMIT\0", False),
    ("analytics", "asks the stream", "nats", UP, b"CONSUMER.MSG.NEXT", True),
    ("analytics", "has got messages", "nats", DOWN, b"MSG _INBOX", False),
    ("analytics", "counts, unheard", "redis", UP, b"EVALSHA", False),
    ("analytics", "counts", "redis", UP, b"EVALSHA", True),
    ("analytics", "has counted", "redis", DOWN, b"*3\r\n:1\r\n", False),
]


class Killer:
    """A proxy's filter that kills a process, once, when these bytes pass."""

    def __init__(self, process, pattern, arrives):
        self.process, self.pattern, self.arrives, self.killed = process, pattern, arrives, False

    def __call__(self, link, data):
        if self.killed or self.pattern not in data:
            return data
        self.killed = True
        os.kill(self.process.pid, signal.SIGKILL)
        return data if self.arrives else b""


def read_again(rig, reader="ingest"):
    """Starts a reader again, which must be where the stream is now within READ_AGAIN_SECONDS."""
    rig.stack.process(reader).wait_gone(5)
    ends = rig.books.stream_ends()
    rig.restart(reader)
    which = ("ingest", "analytics").index(reader)
    wait_until(f"{reader} has read up to {ends}", lambda: all(
        rig.books.positions()[partition][which] >= end for partition, end in ends.items()), READ_AGAIN_SECONDS)


@pytest.mark.parametrize("reader, server, way, pattern, arrives", [(reader, *how) for reader, _, *how in STEPS],
                         ids=[f"{reader} {step}" for reader, step, *_ in STEPS])
def test_row_17_killed_when(rig, reader, server, way, pattern, arrives):
    proxy = rig.link[reader, server]
    with rig.load() as load:
        load.accepts()
        for _ in range(KILLS_A_STEP):
            killer = Killer(rig.stack.process(reader), pattern, arrives)
            proxy.filters = {way: killer}
            wait_until(f"{reader} is killed at {pattern}", lambda: killer.killed)
            proxy.filters = {}
            read_again(rig, reader)
    load.saw_only("202")
    rig.prove()


def test_row_17_ingest_is_killed_at_random(rig):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with rig.load() as load:
        for _ in range(12):
            load.flow(chance.uniform(0.05, 0.4))
            rig.kill("ingest")
            read_again(rig)
    load.saw_only("202")
    rig.prove()
