"""Rows 20 to 23 of the fault matrix: the gateway dies, its disk is full or damaged, everything is down at once."""

import os

import pytest
from disk import can_loop, failing_io, fill, standing_still
from product import wait_until

PAGE = 4096
SPOOL_DISK_MB = 64
OWN_DISK_MB = 2048
REFUSED_MS_MAX = 1500  # a refusal must come in time, too


def kept_by(rig, line):
    return rig.metric("gateway", "batches_kept_total", line=line)


def spool_file(rig):
    return rig.stack.dir / "spool" / "gateway" / "spool.db"


@pytest.mark.fast
def test_row_20_the_gateway_is_killed_with_a_full_spool(rig):
    with rig.load() as load:
        load.accepts()
        rig.kill("nats")
        load.flow(2)
        rig.kill("gateway")
        load.flow(0.5)
        rig.restart("nats")
        rig.restart("gateway")
        rig.recovers(5)
        load.accepts()
    load.saw_only("202", "lost")
    rig.prove()


def test_row_20_a_gateway_that_never_comes_back_leaves_its_spool_to_another(start_rig):
    rig = start_rig()
    rig.restart("gateway-2")
    port = rig.seconds["gateway"]
    with rig.load(per_second=2500) as stays, rig.load(port, per_second=2500) as dies:
        for load in (stays, dies):
            load.accepts()
        rig.kill("nats")
        wait_until("its spool keeps batches", lambda: rig.metric("gateway", "spool_batches", port=port) > 0)
        stays.flow(2)
        rig.kill("gateway-2")
        rig.restart("nats")
        spools = spool_file(rig).parent.parent
        wait_until("the other one has emptied its spool", lambda: [path.name for path in spools.iterdir()] == ["gateway"], 15)
        rig.recovers(10)
    stays.saw_only("202")
    dies.saw_only("202", "lost", "never")
    rig.prove(stays, dies)


def test_row_20_the_gateway_is_killed_again_and_again(rig):
    with rig.load() as load:
        for _ in range(5):
            load.accepts(2000)
            rig.kill("gateway")
            rig.restart("gateway")
        rig.recovers(5)
    load.saw_only("202", "lost")
    rig.prove()


def test_row_21_the_spools_disk_is_full_while_nats_is_down(start_rig):
    rig = start_rig(started=False)
    disk = rig.mount_small_disk("spool", SPOOL_DISK_MB)
    rig.start()
    with rig.load() as load:
        load.accepts()
        rig.kill("nats")
        wait_until("the spool keeps batches", lambda: kept_by(rig, "spool") > 0)
        ballast = fill(disk)
        wait_until("the inbox keeps batches", lambda: kept_by(rig, "inbox") > 0)
        load.flow(3)
        load.saw_only("202")

        rig.kill("postgres")
        load.flow(2)
        fates = load.since()
        load.flow(2)
        assert is_refused(fates()), "neither line can keep anything, or Retry-After is missing"

        ballast.unlink()
        wait_until("the spool keeps batches again", lambda: taken(load), 10)
        rig.restart("postgres")
        rig.restart("nats")
        rig.recovers(30)
        load.accepts()
    load.saw_only("202", "503")
    rig.prove()


def test_the_disk_of_spool_and_inbox_stands_still_while_nats_is_down(start_rig):
    """Not a row of the matrix: saw_only() excuses the 503 of a disk that stands still, and nothing that was answered 202 is lost."""
    if not can_loop():
        pytest.skip("no disk of its own can be mounted here")
    rig = start_rig(started=False)
    disk = rig.mount_own_disk("spool", "postgres", megabytes=OWN_DISK_MB)
    rig.start()
    with rig.load() as load:
        load.accepts()
        rig.kill("nats")
        wait_until("the spool keeps batches", lambda: kept_by(rig, "spool") > 0)
        with standing_still(disk):
            load.flow(2)
            with pytest.raises(AssertionError, match="clients saw .*503"):
                load.saw_only("202")
        wait_until("the spool keeps batches again", lambda: taken(load), 10)
        rig.restart("nats")
        rig.recovers(30)
    load.saw_only("202")
    assert load.excused == len(load.refusals) > 0
    assert load.slowest_ms <= REFUSED_MS_MAX
    rig.prove()


@pytest.mark.parametrize("calls", [("fdatasync",), ("pread64", "pwrite64", "fdatasync", "fsync", "ftruncate")], ids=["sync", "all"])
def test_row_21_the_spools_disk_fails_while_nats_is_down(start_rig, calls):
    rig = start_rig()
    with rig.load() as load:
        load.accepts()
        rig.kill("nats")
        wait_until("the spool keeps batches", lambda: kept_by(rig, "spool") > 0)
        with failing_io(rig.stack.process("gateway").pid, "spool", calls, rig.dir / "failing-io") as failures:
            wait_until("the inbox keeps batches", lambda: kept_by(rig, "inbox") > 0)
            load.flow(2)
            load.saw_only("202")

            rig.kill("postgres")  # a batch that is refused now may stand in the spool's file, written and not synced
            wait_until("nothing can keep a batch", lambda: refused(load))
            rig.restart("postgres")
            wait_until("the inbox keeps batches again", lambda: taken(load), 10)
            rig.restart("nats")  # while the spool can neither give nor take
            load.accepts()
            rig.kill("nats")
            load.flow(2)
            assert failures() > 10, "the spool was not tried again and again"
        before = kept_by(rig, "spool")
        wait_until("the spool keeps batches again", lambda: kept_by(rig, "spool") > before, 15)
        rig.restart("nats")
        rig.recovers(30)
        load.accepts()
    load.saw_only("202", "503")
    rig.prove()


def test_row_21_the_inboxs_connection_has_ended_while_it_rested(start_rig):
    """Its first batch after a restart of PostgreSQL has no second try: a connection that is no more must be seen before."""
    rig = start_rig()
    with rig.load() as load:
        load.accepts()
        for number in range(4):  # the first one makes the connection
            if number > 0:
                rig.kill("postgres")
                rig.restart("postgres")
            rig.kill("nats")
            before = kept_by(rig, "inbox")
            with failing_io(rig.stack.process("gateway").pid, "spool", ["fdatasync"], rig.dir / "failing-io"):
                wait_until("the inbox keeps batches", lambda least=before: kept_by(rig, "inbox") > least)
                load.flow(0.5)
            rig.restart("nats")
            rig.recovers(30)
    load.saw_only("202")
    rig.prove()


def is_refused(fates):
    """The spool's file may have room for a last batch that is smaller than the others; its 202 is proved like any other."""
    return set(fates) <= {"202", "503"} and fates["202"] < 0.05 * fates["503"]


def refused(load):
    """True when nothing of what has come within the last moment was accepted."""
    fates = load.since()
    load.flow(0.3)
    return set(fates()) == {"503"}


def taken(load):
    """True when what has come within the last moment was accepted."""
    fates = load.since()
    load.flow(0.3)
    return set(fates()) == {"202"}


def spooled_then_stopped(rig, load):
    """Leaves a gateway that has ended in order, with a spool that only its file holds."""
    load.accepts()
    rig.kill("nats")
    wait_until("the spool is used", lambda: rig.metric("gateway", "spool_batches") > 0)
    load.flow(4)


def test_row_22_the_tail_of_the_log_is_torn(start_rig):
    rig = start_rig()
    with rig.load() as load:
        spooled_then_stopped(rig, load)
        rig.kill("gateway")
        log = spool_file(rig).with_name("spool.db-wal")
        assert log.stat().st_size > 0
        with open(log, "ab") as out:
            out.write(os.urandom(PAGE + 100))  # a commit that was never finished promised nothing
        rig.restart("gateway")
        rig.restart("nats")
        rig.recovers(60)
    load.saw_only("202", "lost")
    rig.prove()


def test_row_22_the_main_file_is_damaged(start_rig):
    rig = start_rig()
    with rig.load() as load:
        spooled_then_stopped(rig, load)
    events = rig.metric("gateway", "spool_events")
    assert rig.stack.process("gateway").stop()
    size = spool_file(rig).stat().st_size
    with open(spool_file(rig), "r+b") as out:
        out.seek(size // 2 // PAGE * PAGE)
        out.write(os.urandom(PAGE))
    rig.restart("gateway")
    rig.restart("nats")
    rig.recovers(60)
    lost = set(rig.books.differences(load.accepted, load.sent).get("answered 202 and nowhere", ()))
    rig.measured["salvaged"] = f"{events - len(lost):.0f} of {events:.0f}"
    assert len(lost) < events / 10, "much more is lost than was damaged"
    assert rig.metric("gateway", "spool_damaged_files_total") == 1
    assert list(spool_file(rig).parent.glob("spool.db.damaged-*")), "the damaged file was not set aside"
    rig.prove(loss=lost)
    totals = rig.audit()["totals"]
    assert (totals["pending"], totals["lost"]) == (len(lost), 0), "what was told to be in the spool is waited for"


@pytest.mark.parametrize("back", ["nats", "postgres", "spool"])
def test_row_23_nats_postgres_and_the_spool_are_down(start_rig, back):
    rig = start_rig(started=False)
    disk = rig.mount_small_disk("spool", SPOOL_DISK_MB)
    rig.start()
    with rig.load() as load:
        load.accepts()
        ballast = fill(disk)
        rig.kill("nats")
        rig.kill("postgres")
        load.flow(3)
        fates = load.since()
        load.flow(2)
        assert is_refused(fates()), f"clients saw {fates()}"

        if back == "spool":
            ballast.unlink()
        else:
            rig.restart(back)
        wait_until("events are taken again", lambda: taken(load), 10)

        ballast.unlink(missing_ok=True)
        for name in ("nats", "postgres"):
            rig.restart(name)
        rig.recovers(30)
    load.saw_only("202", "503")
    assert load.slowest_ms <= REFUSED_MS_MAX
    rig.prove()
