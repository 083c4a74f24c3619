"""Rows 1 to 8 of the fault matrix: what stands between a click and its 202."""

import json
import os
import signal
import time
import urllib.request

import pytest
from disk import slow_syncs
from load import ANSWER_MS_MAX
from nats_client import AckFilter, NatsClient
from product import ROOT, SERVICES, wait_until
from proxy import DOWN

SLOW_SYNC_MS = 10  # 100 batches a second, hardly more than come in


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


def test_row_01_nats_comes_back_with_a_slow_disk(rig):
    """What is replayed leaves room for live traffic, which would have to be replayed itself otherwise, without an end."""
    with rig.load() as load:
        load.accepts()
        rig.kill("nats")
        load.flow(5)
        rig.restart("nats")
        with slow_syncs(rig.stack.process("nats").pid, SLOW_SYNC_MS):
            rig.recovers(30)
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
    rig.recovers(15)  # what was sent last is stored, too
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


# ---- row 8: where the servers are, and how to log in there ------------------------------------------

NATS_NAMES = {"adledger-gateway-0", "adledger-gateway-watch", "adledger gateway replayer", "adledger ingest", "adledger analytics"}


def start_with_url_files(start_rig):
    """A rig whose services get the servers' URLs by files, and whose NATS has a configuration that can be changed."""
    rig = start_rig(started=False)
    rig.stack.url_files = rig.dir
    rig.stack.extra_env["NATS_CONFIG"] = set_nats_password(rig, rig.stack.settings["passwords"]["nats"])
    return rig.start()


def set_nats_password(rig, password):
    """Writes NATS's configuration with this password; a running server reads it, and ends who came with another."""
    config = (ROOT / "config" / "nats.conf").read_text().replace("$NATS_PASSWORD", password)
    path = rig.dir / "nats.conf"
    path.write_text(config)
    rig.stack.process("nats").send(signal.SIGHUP)
    return str(path)


def tell_services(rig):
    """Writes their files anew, and has them read."""
    for name in SERVICES:
        rig.stack.url_env(name)
        rig.stack.process(name).send(signal.SIGHUP)


def at_nats(rig):
    """The names of the connections that NATS has."""
    with urllib.request.urlopen(f"http://127.0.0.1:{rig.stack.port('nats_monitor')}/connz", timeout=5) as answer:
        return {each.get("name") for each in json.load(answer)["connections"]}


def all_come_back(rig):
    began = time.monotonic()
    wait_until(f"all are connected, and not only {at_nats(rig)}", lambda: at_nats(rig) >= NATS_NAMES, 5)
    rig.measured["connected_s"] = round(time.monotonic() - began, 1)


def nobody_tells(rig, *secrets):
    for name in SERVICES:
        assert not [secret for secret in secrets if rig.log_has(name, secret)], f"{name}'s log has a password"


def test_row_08_the_password_of_nats_is_rotated(start_rig):
    """First the server's: it takes nobody until the services know, too; one that starts meanwhile waits for it."""
    rig = start_with_url_files(start_rig)
    old, new = rig.stack.settings["passwords"]["nats"], "p" + os.urandom(16).hex()
    with rig.load() as load:
        load.accepts()
        set_nats_password(rig, new)
        assert rig.stack.process("ingest").stop(), "ingest did not stop in time"
        rig.stack.start_service("ingest")
        load.flow(5)
        assert not at_nats(rig) & NATS_NAMES
        assert rig.stack.process("ingest").pid is not None, "ingest gave up"
        rig.stack.settings["passwords"]["nats"] = new
        tell_services(rig)
        all_come_back(rig)
        rig.recovers(30)
        load.accepts()
    load.saw_only("202")
    for name, event in (("gateway", "nats_connect_failed"), ("analytics", "nats_connect_failed"), ("ingest", "step_failed")):
        assert rig.log_has(name, event), f"{name} does not say why it is not connected"
    rig.prove()
    assert spool_was_used(rig)
    nobody_tells(rig, old, new)


def test_row_08_the_services_know_the_new_password_of_nats_first(start_rig):
    """What works is kept until the server has it, too; a wrong one costs nothing."""
    rig = start_with_url_files(start_rig)
    old, new = rig.stack.settings["passwords"]["nats"], "p" + os.urandom(16).hex()
    with rig.load() as load:
        load.accepts()
        rig.stack.settings["passwords"]["nats"] = new
        tell_services(rig)
        wait_until("the gateway has tried it", lambda: rig.log_has("gateway", "nats_move_waits"))
        load.flow(3)
        assert at_nats(rig) >= NATS_NAMES
        assert rig.metric("gateway", "spool_writes_total") == 0, "a password that is not valid yet has cost the connection"
        set_nats_password(rig, new)
        all_come_back(rig)
        rig.recovers(15)
        load.accepts()
    load.saw_only("202")
    rig.prove()
    nobody_tells(rig, old, new)


def test_row_08_the_servers_move(start_rig):
    """To other addresses, while those that were known still answer; then these are gone."""
    rig = start_with_url_files(start_rig)
    with rig.load() as load:
        load.accepts()
        old = rig.move_links()
        tell_services(rig)
        wait_until("nobody is left at the old address of NATS",
                   lambda: not any(proxy.open_links for (_, server), proxy in old.items() if server == "nats"), 10)
        load.accepts()
        for proxy in old.values():
            proxy.refuse()
            proxy.cut()
        load.accepts(5000)
        rig.recovers(10)
    load.saw_only("202")
    rig.prove()
