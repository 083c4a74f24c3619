"""Events are kept and answered 202 whichever line of keeping is left, and what became of them is told."""

import json
import signal
import time
import urllib.request

import pytest
from keepalive import Connection
from product import CLICK, Load, uuid7, wait_until

NO_SPOOL = "/proc/no-spool-here"
INFLIGHT_MAX = 2  # MAX_INFLIGHT, of each loop with one partition
VERDICT_SECONDS = 1.25  # KEEP_DEADLINE_MS, and what a loaded machine adds


def metric(product, name):
    """The sum of a metric's series; name may hold labels."""
    found = [line for line in product.get("/metrics").body.decode().splitlines() if line.startswith(f"adledger_{name}")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


def click(product, timeout=5):
    """A click on a connection of its own: its answer, its id, and how long it took."""
    connection, event_id = Connection(product.stack.url(), timeout=timeout), uuid7()
    began = time.monotonic()
    answer = connection.request("POST", CLICK, f'{{"ad_id":"ad-001","event_id":"{event_id}"}}', {"Content-Type": "application/json"})
    connection.close()
    return answer, event_id, time.monotonic() - began


def clicks_until_away(product):
    """Clicks one at a time until the breaker keeps them from the stream; every one is 202 and in time."""
    accepted, slowest = [], 0
    def is_away():
        nonlocal slowest
        answer, event_id, seconds = click(product)
        assert answer.status == 202, answer.body
        accepted.append(event_id)
        slowest = max(slowest, seconds)
        return metric(product, 'batches_handed_on_total{reason="away"}') > 0
    wait_until("the breaker is open", is_away)
    assert slowest < VERDICT_SECONDS
    return accepted


def without_spool(product):
    assert product.stack.process("gateway").stop()
    product.restart("gateway", SPOOL_DIR=NO_SPOOL)
    return product


def drained(product):
    return product.get("/health").json()["components"]["spool"]["detail"] == "" and metric(product, "inbox_batches") == 0


def test_clicks_are_spooled_while_nats_is_dead_and_replayed_when_it_is_back(start_product):
    product = start_product()
    with Load(product.stack.url(), per_second=400) as load:
        wait_until("load flows", lambda: len(load.accepted) > 200)
        product.stack.process("nats").kill()
        before = len(load.accepted)
        wait_until("clicks are answered meanwhile", lambda: len(load.accepted) > before + 800)
        health = product.get("/health")
        assert health.status == 200 and health.json()["status"] == "degraded"
        assert health.json()["components"]["nats"]["state"] == "down"
        for reader, others in (("ingest", ("postgres", "partition_0")), ("analytics", ("redis", "postgres"))):
            with urllib.request.urlopen(product.stack.url(reader) + "/health", timeout=5) as answer:
                told = json.load(answer)
            assert told["status"] == "degraded" and told["components"]["nats"]["state"] == "down", told
            assert "down" not in (told["components"][other]["state"] for other in others), "NATS alone is down"
        product.stack.start_nats()
        wait_until("the stream takes them again", lambda: product.get("/health").json()["components"]["nats"]["state"] == "up", 15)
        after = len(load.accepted)
        wait_until("load flows on", lambda: len(load.accepted) > after + 200)
    assert set(load.statuses) == {202}
    assert metric(product, 'batches_kept_total{line="spool"}') > 0
    wait_until("the spool is empty", lambda: drained(product), 20)
    product.reconcile(load.accepted, load.sent)
    wait_until("the readers have been told", lambda: metric(product, "ledger_ranges") == 0)


def test_a_frozen_nats_costs_no_click_a_second(start_product):
    product = start_product()
    assert product.post(CLICK, {"ad_id": "ad-001"}).status == 202
    assert product.metric("batches_inflight_max") == INFLIGHT_MAX * product.metric("loops")
    wait_until("nothing waits for an ack", lambda: product.metric("batches_inflight") == 0)
    product.freeze("nats")
    try:
        with Load(product.stack.url(), connections=1) as load:
            wait_until("a batch waits for its ack", lambda: product.metric("batches_inflight") >= 1)
        assert set(load.statuses) == {202}
        accepted = load.accepted + clicks_until_away(product)
        for _ in range(10):
            answer, event_id, seconds = click(product)
            assert answer.status == 202 and seconds < VERDICT_SECONDS
            accepted.append(event_id)
    finally:
        product.thaw("nats")
    product.reconcile(accepted, accepted, seconds=40)
    wait_until("the readers have been told", lambda: metric(product, "ledger_ranges") == 0)
    wait_until("nothing waits for an ack", lambda: product.metric("batches_inflight") == 0)


def test_what_a_full_stream_refuses_is_spooled_and_replayed(start_product):
    product = start_product(STREAM_MAX_BYTES=str(1 << 20), STREAM_DEDUP_MS="1000")
    assert product.stack.process("analytics").stop()  # it trims the stream
    with Load(product.stack.url(), connections=32) as load:
        wait_until("the stream is full", lambda: metric(product, 'batches_handed_on_total{reason="refused"}') > 5, 60)
    assert set(load.statuses) == {202}
    product.restart("analytics")
    wait_until("there was room for all", lambda: drained(product), 60)
    product.reconcile(load.accepted, load.sent, seconds=60)


def test_without_a_spool_the_inbox_keeps(start_product):
    product = without_spool(start_product())
    product.freeze("nats")
    try:
        accepted = clicks_until_away(product)
        assert metric(product, 'batches_kept_total{line="inbox"}') > 0
        assert product.get("/health").status == 200
    finally:
        product.thaw("nats")
    wait_until("the inbox is empty", lambda: product.sql("SELECT count(*) FROM inbox") == [(0,)], 40)
    product.reconcile(accepted, accepted, seconds=40)


def test_when_nobody_can_keep_a_click_it_is_refused_in_time_and_told(start_product):
    product = without_spool(start_product())
    assert product.post(CLICK, {"ad_id": "ad-001"}).status == 202
    product.freeze("nats", "postgres")
    try:
        for _ in range(5):
            answer, _, seconds = click(product)
            assert answer.status == 503 and int(answer.headers["retry-after"]) > 0, answer.body
            assert seconds < VERDICT_SECONDS
        wait_until("health says so", lambda: product.get("/health").status == 503)
        assert metric(product, "batches_abandoned_total") > 0
    finally:
        product.thaw("nats", "postgres")
    wait_until("clicks are accepted again", lambda: click(product)[0].status == 202)
    wait_until("the readers have been told", lambda: metric(product, "ledger_ranges") == 0)
    wait_until("health is as good as before", lambda: product.get("/health").status == 200)


def test_a_killed_gateways_spool_is_replayed_after_its_return(start_product):
    product = start_product()
    product.stack.process("nats").kill()
    with Load(product.stack.url(), total=500) as load:
        load.wait()
    assert set(load.statuses) == {202}
    product.stack.process("gateway").kill()
    product.stack.start_nats()
    product.restart("gateway")
    product.reconcile(load.accepted, load.sent, seconds=40)


def test_a_gateway_starts_without_nats_and_keeps(start_product):
    product = start_product()
    assert product.stack.process("gateway").stop()
    product.stack.process("nats").kill()
    product.restart("gateway")
    with Load(product.stack.url(), total=200) as load:
        load.wait()
    assert set(load.statuses) == {202}
    product.stack.start_nats()
    product.reconcile(load.accepted, load.sent, seconds=40)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_at_its_end_the_gateway_tells_what_it_has_settled(start_product, number):
    product = start_product()
    with Load(product.stack.url(), total=100) as load:
        load.wait()
    assert set(load.statuses) == {202}
    assert product.stack.process("gateway").stop(number)
    def is_told():
        last = product.sql("SELECT max(batch_no), max(settled_below) FROM batches WHERE thread = 0")[0]
        return last[0] is not None and last[0] == last[1]
    wait_until("the last batch tells of all the others", is_told)
    product.restart("gateway")
