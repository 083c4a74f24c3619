"""Rows 1 to 8 of the fault matrix: what stands between a click and its 202."""

import os
import signal

import pytest
from nats_client import AckFilter, NatsClient
from product import ROOT, wait_until
from proxy import DOWN

ANSWER_MS_MAX = 1000  # one budget covers all lines of keeping


def spool_was_used(rig):
    return rig.metric("gateway", "spool_replayed_batches_total") > 0


@pytest.mark.fast
def test_row_01_nats_is_killed_and_comes_back_after_5_seconds(rig):
    with rig.load() as load:
        load.accepts()
        rig.kill("nats")
        load.flow(5)
        rig.restart("nats")
        rig.recovers(10)
        load.accepts()
    load.saw_only("202")
    rig.prove()
    assert spool_was_used(rig)


def test_row_02_nats_is_frozen(rig):
    with rig.load() as load:
        load.accepts()
        rig.freeze("nats")
        load.flow(5)
        rig.thaw("nats")
        rig.recovers(10)
        load.accepts()
    load.saw_only("202")
    assert load.slowest_ms <= ANSWER_MS_MAX
    rig.prove()


def test_row_03_nats_is_restarted_many_times(rig):
    with rig.load() as load:
        for round_number in range(6):
            load.accepts(2000)
            if round_number % 2:
                rig.kill("nats")
            else:
                rig.stack.process("nats").stop()
            rig.restart("nats")
        rig.recovers(10)
    load.saw_only("202")
    rig.prove()


def test_row_04_the_stream_is_full(start_rig):
    rig = start_rig(STREAM_MAX_BYTES=str(8 << 20), STREAM_DEDUP_MS="1000", TRIM_INTERVAL_MS="250")
    with rig.load(per_second=3000) as load:
        load.accepts()
        rig.freeze("ingest")  # nothing is trimmed that PostgreSQL does not have
        wait_until("the stream refuses", lambda: rig.metric("gateway", "batches_refused_total") > 0, 30)
        load.flow(3)
        rig.thaw("ingest")
        rig.recovers(30)
    load.saw_only("202")
    rig.prove()
    assert spool_was_used(rig)


def test_row_05_the_store_limit_is_reached(start_rig):
    rig = start_rig(NATS_MAX_FILE_STORE="64MB", STREAM_MAX_BYTES=str(8 << 20))
    with rig.load() as load, NatsClient(rig.stack.nats_url) as nats:
        load.accepts()
        nats.api("STREAM.CREATE.FILLER", {"name": "FILLER", "subjects": ["filler"], "storage": "file"})
        for _ in range(70):
            nats.publish("filler", bytes(1_000_000))
            nats.flush()
        wait_until("the stream refuses", lambda: rig.metric("gateway", "batches_refused_total") > 0, 20)
        load.flow(3)
        nats.api("STREAM.DELETE.FILLER")
        rig.recovers(10)
        load.accepts()
    load.saw_only("202")
    rig.prove()
    assert spool_was_used(rig)


@pytest.mark.fast
def test_row_06_acks_are_lost_on_the_way_back(rig):
    acks = AckFilter(every=5)
    with rig.load() as load:
        load.accepts()
        rig.link["gateway", "nats"].filters = {DOWN: acks}
        load.flow(5)
        rig.link["gateway", "nats"].heal()
        rig.recovers(10)
    load.saw_only("202")
    assert acks.lost > 3
    assert rig.metric("gateway", "batches_retried_total") > 0
    rig.prove()
    assert rig.books.sql("SELECT count(*) FROM batches WHERE stored < events - dead") == [(0,)], "a try again was a second batch"


def test_row_06_nothing_comes_back_at_all(rig):
    with rig.load() as load:
        load.accepts()
        rig.link["gateway", "nats"].drop(DOWN)
        load.flow(3)
        rig.link["gateway", "nats"].heal()
        rig.recovers(10)
        load.accepts()
    load.saw_only("202")
    assert load.slowest_ms <= ANSWER_MS_MAX
    rig.prove()


def test_row_07_the_readers_consumers_are_deleted(rig):
    with rig.load() as load:
        load.accepts()
        before = [rig.metric(service, "reader_consumers_total") for service in ("ingest", "analytics")]
        with NatsClient(rig.stack.nats_url) as nats:
            for name in nats.api("CONSUMER.NAMES.ADS_0")["consumers"]:
                nats.api(f"CONSUMER.DELETE.ADS_0.{name}")
        load.accepts()
        rig.recovers(10)
    after = [rig.metric(service, "reader_consumers_total") for service in ("ingest", "analytics")]
    assert all(new > old for new, old in zip(after, before)), "a consumer was not made anew"
    load.saw_only("202")
    rig.prove()


def test_row_07_the_stream_is_deleted_with_unread_messages(start_rig):
    rig = start_rig()
    with rig.load() as load:
        load.accepts()
        rig.freeze("ingest")
        rig.freeze("analytics")
        load.flow(1)
        with NatsClient(rig.stack.nats_url) as nats:
            nats.api("STREAM.DELETE.ADS_0")
        gone_before = set(load.read().sent)
        rig.thaw("ingest")
        rig.thaw("analytics")
        load.accepts()
        rig.recovers(15)
    load.saw_only("202")
    lost = set(rig.books.differences(load.accepted, load.sent)["answered 202 and nowhere"])
    # What was in flight when the stream went was sent a moment before it was read from the book.
    late = {event_id for event_id in lost - gone_before if milliseconds(event_id) > max(map(milliseconds, gone_before)) + 1000}
    assert not late, f"lost after the stream was made anew: {sorted(late)[:10]}"
    rig.prove(loss=lost)
    wait_until(f"the audit tells that {len(lost)} are lost: {rig.audit()['totals']}", lambda: rig.audit()["totals"]["lost"] == len(lost))
    assert not rig.audit()["balanced"]
    assert rig.metric("ingest", "reader_gap_messages_total") > 0, "the gap is not shown"


def milliseconds(event_id):
    return int(event_id.replace("-", "")[:12], 16)


def set_nats_password(rig, password):
    """Writes NATS's configuration with this password, and has a running server read it."""
    config = (ROOT / "config" / "nats.conf").read_text().replace("$NATS_PASSWORD", password)
    path = rig.dir / "nats.conf"
    path.write_text(config)
    rig.stack.process("nats").send(signal.SIGHUP)
    return str(path)


def test_row_08_nats_credentials_are_rotated(start_rig):
    """The services know the old and the new ones; in between the server takes neither."""
    rig = start_rig(started=False)
    rig.stack.extra_env["NATS_CONFIG"] = set_nats_password(rig, rig.stack.settings["passwords"]["nats"])
    old, new = rig.stack.settings["passwords"]["nats"], "p" + os.urandom(16).hex()
    server_url = rig.stack.server_url
    rig.stack.server_url = lambda name, port=None: (
        server_url(name, port) + "," + server_url(name, port).replace(old, new) if name == "nats" and port else server_url(name, port))
    rig.start()
    with rig.load() as load:
        load.accepts()
        set_nats_password(rig, "p-of-nobody")
        load.flow(4)
        connects = rig.metric("gateway", "nats_connects_total")
        set_nats_password(rig, new)
        wait_until("the gateway is connected", lambda: rig.metric("gateway", "nats_connects_total") > connects, 5)
        rig.recovers(15)
        load.accepts()
    load.saw_only("202")
    rig.prove()
    assert spool_was_used(rig)
