"""Rows 19, 24 to 28 of the fault matrix: what befalls the services' own processes."""

import itertools
import os
import resource
import signal
import socket
import time

import pytest
from keepalive import Closed, Connection
from load import ADS
from product import CLICK, SERVERS, SERVICES, uuid7, wait_until

STOP_SECONDS = 25
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


def test_row_19_two_readers_of_each_kind_on_one_partition(rig):
    """The one that has the partition is frozen until its lease is gone; thawed, it goes on as if it had it still."""
    for service in ("ingest", "analytics"):
        rig.start_second(service)
    with rig.load() as load:
        for suffix in ("", "-2", "", "-2"):
            load.accepts()
            for service in ("ingest", "analytics"):
                rig.freeze(service + suffix)
            ends = rig.books.stream_ends()
            wait_until("the others have taken over", lambda: rig.has_caught_up_with(ends), 15)
            for service in ("ingest", "analytics"):
                rig.thaw(service + suffix)
        rig.recovers(15)
    load.saw_only("202")
    rig.prove()
    rig.end_seconds()


@pytest.mark.parametrize("hours", [1, -1])
@pytest.mark.parametrize("jumping", [("gateway",), SERVICES], ids=["gateway", "all"])
def test_row_24_the_clock_jumps(start_rig, hours, jumping):
    rig = start_rig()
    offset = rig.dir / "faketime"
    offset.write_text("+0\n")
    fake = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    for name in jumping:
        rig.stack.process(name).stop()
        rig.restart(name, **fake)
    with rig.load(ids="server") as load:
        load.accepts()
        offset.write_text(f"{hours:+d}h\n")
        load.flow(4)
        skew = rig.metric("ingest", "reader_clock_skew_seconds")
        offset.write_text("+0\n")
        load.accepts()
        rig.recovers(15)
    # h2o's own timers follow the wall clock: a jump ahead ends idle connections, and their clients come again.
    load.saw_only("202", "lost")
    rig.prove()
    if jumping == ("gateway",):
        assert abs(skew) > 3000 and (skew > 0) == (hours > 0), f"the skew is not shown: {skew}"


def click_of_a_new_client(rig, load=None, timeout=5):
    """The status; "closed" or "hung" when there is none. It goes into the load's book."""
    connection, event_id = Connection(rig.stack.url(), timeout), uuid7()
    try:
        status = connection.request("POST", CLICK, f'{{"ad_id":"{ADS[0]}","event_id":"{event_id}"}}',
                                    {"Content-Type": "application/json"}).status
    except Closed as error:
        status = "hung" if "timed out" in str(error) else "closed"
    finally:
        connection.close()
    if load is not None:
        load.ids[str(status)].add(event_id)
    return status


def allow_files(pid, spare):
    """Leaves a process so many file descriptors beside those it has open; gives back the limit it had."""
    limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = len(os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + spare, limit[1]))
    return limit


def test_row_25_file_descriptors_are_used_up(start_rig):
    rig = start_rig()
    pid = rig.stack.process("gateway").pid
    with rig.load(connections=64) as load:
        load.accepts()
        limit = allow_files(pid, spare=8)
        idle = [socket.create_connection(("127.0.0.1", rig.stack.port("gateway")), 2) for _ in range(200)]
        load.accepts(2000)  # who is connected, is served
        for each in idle:
            each.close()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
        wait_until("a new client is served", lambda: click_of_a_new_client(rig, load) == 202, 5)
    load.saw_only("202")
    rig.prove()


def test_row_25_a_new_client_is_refused_and_does_not_hang(start_rig):
    rig = start_rig()
    pid = rig.stack.process("gateway").pid
    allow_files(pid, spare=4)
    idle = [socket.create_connection(("127.0.0.1", rig.stack.port("gateway")), 2) for _ in range(20)]
    answers = [click_of_a_new_client(rig, timeout=3) for _ in range(10)]
    assert 503 in answers and set(answers) <= {202, 503}, answers  # what one loop has free to refuse with, another may serve with
    for each in idle:
        each.close()
    wait_until("a new client is served", lambda: click_of_a_new_client(rig) == 202, 5)


@pytest.mark.parametrize("service", SERVICES)
def test_row_26_sigterm_under_load(rig, service):
    with rig.load() as load:
        load.accepts()
        process = rig.stack.process(service)
        began = time.monotonic()
        process.send(signal.SIGTERM)
        assert process.wait_gone(STOP_SECONDS), f"{service} did not end in {STOP_SECONDS} s"
        rig.measured["stopped_s"] = round(time.monotonic() - began, 1)
        assert process.child.wait() == 0
        rig.restart(service)
        load.accepts()
        rig.recovers(15)
    load.saw_only("202", *(("503", "lost") if service == "gateway" else ()))
    rig.prove()


def test_row_27_ten_times_the_rate_limit(start_rig):
    limit = 500
    rig = start_rig(RATE_LIMIT_RPS=str(limit), RATE_LIMIT_BURST=str(limit))
    with rig.load() as load:
        load.flow(5)
        fates = load.since()
        load.flow(4)
        fates = fates()
    load.saw_only("202", "429")
    assert fates["429"] > fates["202"] and abs(fates["202"] - 4 * limit) < limit
    wait_until("the client may go on", lambda: click_of_a_new_client(rig, load) == 202, 2)
    rig.prove()


@pytest.mark.parametrize("order", list(itertools.permutations(SERVERS)), ids="-".join)
def test_row_28_services_start_before_what_they_need(start_rig, order):
    rig = start_rig(started=False)
    for service in reversed(SERVICES):
        rig.stack.start_service(service)
    for service in SERVICES:
        wait_until(f"{service} is alive", lambda: rig.status("/health/live", service) == 200, 5)
        assert rig.status("/health/ready", service) == 503
    for server in order:
        getattr(rig.stack, f"start_{server}")()
        for service in SERVICES:
            assert rig.status("/health/live", service) == 200
    rig.start()  # waits until all are ready
    with rig.load() as load:
        load.accepts()
    load.saw_only("202")
    rig.prove()
