"""Ingest and analytics end within 25 s, with exit code 0, whichever of their servers are frozen."""

import itertools
import os
import signal
import time
import urllib.request
from pathlib import Path

import pytest

from product import SERVERS, Load, wait_until
from processes import STOP_SECONDS, start_time

READERS = ("ingest", "analytics")
IS_FULL = os.environ.get("ADLEDGER_FULL") == "1"  # every combination; otherwise each alone, and all at once
ALONE_AND_ALL = [*((name,) for name in SERVERS), tuple(SERVERS)]
FROZEN = [names for many in range(1, len(SERVERS) + 1) for names in itertools.combinations(SERVERS, many)] if IS_FULL else ALONE_AND_ALL


def family(pid):
    """A process and all its descendants: a PostgreSQL whose backends go on is not frozen."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return []
    return [pid, *(member for child in children for member in family(int(child)))]


class Freeze:
    """The servers stand still inside the with block, and go on after it."""

    def __init__(self, stack, names):
        self.pids = [pid for name in names for pid in family(stack.process(name).pid)]

    def __enter__(self):
        for pid in self.pids:
            self.send(pid, signal.SIGSTOP)

    def __exit__(self, *_):
        for pid in self.pids:
            self.send(pid, signal.SIGCONT)

    @staticmethod
    def send(pid, number):
        if start_time(pid) is not None:
            os.kill(pid, number)


def is_live(stack, name):
    try:
        with urllib.request.urlopen(f"{stack.url(name)}/health/live", timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


def stop_readers(stack):
    """SIGTERM to both at once; returns {name: (exit code, seconds)}."""
    children = {name: stack.process(name).child for name in READERS}
    began = time.monotonic()
    for name in READERS:
        stack.process(name).send(signal.SIGTERM)
    ended = {}

    def all_ended():
        for name, child in children.items():
            if name not in ended and child.poll() is not None:
                ended[name] = (child.returncode, time.monotonic() - began)
        return len(ended) == len(children)

    try:
        wait_until("both readers have ended", all_ended, STOP_SECONDS)
    finally:
        for name in READERS:
            if name not in ended:
                stack.process(name).kill()
    return ended


def assert_clean(stack, ended, how):
    print(how, {name: f"{seconds:.1f} s" for name, (_, seconds) in ended.items()})
    assert [code for code, _ in ended.values()] == [0, 0], ended
    for name in READERS:
        assert "drain_abandoned" not in stack.process(name).log_tail(40), f"{name} was cut off: {how}"


def start_readers(product):
    for name in READERS:
        product.restart(name)


@pytest.mark.parametrize("frozen", FROZEN, ids="+".join)
def test_readers_end_in_time_while_servers_are_frozen_under_load(product, frozen):
    stack = product.stack
    with Load(stack.url(), total=100000, per_second=500) as load:
        wait_until("events are stored", lambda: product.sql("SELECT count(*) FROM events")[0][0] > 0)
        with Freeze(stack, frozen):
            ended = stop_readers(stack)
        load.stop()
    assert_clean(stack, ended, f"{frozen} under load")
    start_readers(product)
    product.reconcile(load.accepted, load.sent, seconds=60)


@pytest.mark.parametrize("frozen", ALONE_AND_ALL if IS_FULL else ALONE_AND_ALL[-1:], ids="+".join)
def test_idle_readers_end_in_time_long_after_servers_froze(product, frozen):
    """By then the connections are given up, and whatever is tried is tried anew."""
    stack = product.stack
    with Freeze(stack, frozen):
        time.sleep(8)  # not a wait for a result: the state in which SIGTERM finds them
        ended = stop_readers(stack)
    assert_clean(stack, ended, f"{frozen} idle")
    start_readers(product)


@pytest.mark.parametrize("frozen", [("postgres",), ("nats",), SERVERS], ids="+".join)
def test_a_start_that_finds_frozen_servers_ends_on_sigterm(product, frozen):
    stack = product.stack
    for name in READERS:
        assert stack.process(name).stop()
    with Freeze(stack, frozen):
        for name in READERS:
            stack.start_service(name)
        for name in READERS:
            wait_until(f"{name} has begun to start", lambda name=name: is_live(stack, name))
        time.sleep(4)  # not a wait for a result: past the first deadlines
        ended = stop_readers(stack)
    assert_clean(stack, ended, f"{frozen} at the start")
    start_readers(product)
