"""Products to break: one shared by the rows of a file, or one of its own with `start_rig`."""

import signal
import sqlite3
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent.parent / "tools")]
from rig import Rig  # noqa: E402

MEASURED = []


def pytest_configure(config):
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a run that is ended ends its servers, too
    config.addinivalue_line("markers", "fast: also run by a plain ./test")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if call.when == "call":
        item.failed_call = report.failed


@pytest.fixture(scope="module")
def shared():
    """The rig that the rows of a file share one after another; a row that fails takes it with it."""
    held = {}
    yield held
    if "rig" in held:
        held["rig"].close()


@pytest.fixture
def rig(request, shared):
    if "rig" not in shared:
        shared["rig"] = Rig(**getattr(request.module, "ENV", {})).start()
    shared["rig"].measured = {}
    yield shared["rig"]
    if finish(request.node, shared["rig"]):
        shared["rig"].heal()
    else:
        discard(shared.pop("rig"))


@pytest.fixture
def start_rig(request):
    """start_rig(PARTITIONS="4"): a rig for this test alone; started=False leaves starting to the test."""
    begun = []

    def start(started=True, **env):
        begun.append(Rig(**env))
        return begun[-1].start() if started else begun[-1]

    yield start
    for each in begun:
        if finish(request.node, each):
            each.close()
        else:
            discard(each)


def finish(node, rig):
    """Notes what was measured; prints the logs of a test that failed. True: it passed."""
    MEASURED.append((node.name, rig.measured))
    failed = getattr(node, "failed_call", True)
    if failed:
        print(rig.testimony())
    return not failed


def discard(rig):
    for proxy in rig.link.values():
        proxy.heal()
    try:
        rig.close()
    except (AssertionError, sqlite3.Error) as error:  # a spool on a disk that is still full cannot be read
        print(error)  # the test has failed already


def pytest_terminal_summary(terminalreporter):
    for name, measured in MEASURED:
        if measured:
            terminalreporter.write_line(f"{name}: " + ", ".join(f"{key} {value}" for key, value in measured.items()))
