"""Row 18 of the fault matrix: Redis is lost in every way, PostgreSQL answers, and the counts come back."""

import os
import time

import pytest
from load import ADS
from product import wait_until

MILLIONS = 10 if os.environ.get("ADLEDGER_FULL") else 1
REBUILD_SECONDS = 60  # for 10 million events
UNIQUES_OFF_MAX = 0.03  # of a HyperLogLog, whose standard error is 0.81 %
NOW_MS = "(extract(epoch FROM now()) * 1000)::bigint"


def source(rig):
    return told(rig)[0]


def told(rig):
    """Who answers, and whether the answer says that it is stale."""
    answer = rig.product.get(f"/api/v1/ads/analytics?ad_id={ADS[0]}&timeframe=1h")
    return (answer.json()["source"], answer.json()["stale"]) if answer.status == 200 else (f"status {answer.status}", None)


def other_way(rig):
    """PostgreSQL answers, and clicks are taken as before."""
    wait_until("PostgreSQL answers analytics", lambda: source(rig) == "postgres", 10)


@pytest.mark.fast
def test_row_18_redis_is_killed(rig):
    with rig.load() as load:
        load.accepts()
        rig.kill("redis")
        other_way(rig)
        load.flow(3)
        rig.restart("redis")
        rig.recovers(60)
        wait_until("Redis answers again", lambda: source(rig) == "redis")
    load.saw_only("202")
    rig.prove()


def test_row_18_redis_is_frozen(rig):
    with rig.load() as load:
        load.accepts()
        rig.freeze("redis")
        other_way(rig)
        load.flow(5)
        rig.thaw("redis")
        rig.recovers(60)
        wait_until("Redis answers again", lambda: source(rig) == "redis")
    load.saw_only("202")
    rig.prove()


def test_row_18_redis_is_emptied(rig):
    with rig.load() as load:
        load.accepts()
        for _ in range(3):
            rig.books.redis().flushall()
            load.accepts()
            rig.recovers(60)
        wait_until("Redis answers again", lambda: source(rig) == "redis")
    load.saw_only("202")
    rig.prove()


def test_row_18_redis_is_out_of_memory(rig):
    def full():
        return rig.log_has("analytics", "OOM")

    with rig.load() as load:
        load.accepts()
        rig.books.redis().config_set("maxmemory", "1mb")
        wait_until("Redis refuses to count", full)
        load.flow(3)
        answer = rig.product.get(f"/api/v1/ads/analytics?ad_id={ADS[0]}").json()  # it still reads, and may be asked
        assert answer["source"] == "postgres" or answer["lag_seconds"] >= 2, answer
        rig.books.redis().config_set("maxmemory", "0")
        rig.recovers(60)
    load.saw_only("202")
    rig.prove()


def test_row_18_the_counts_of_millions_of_events_are_rebuilt(start_rig):
    rig = start_rig()
    with rig.load() as load:
        load.accepts()
    rig.prove()
    position = rig.books.positions()[0][0]
    rig.books.sql(
        f"INSERT INTO events SELECT (lpad(to_hex({NOW_MS}), 12, '0') || '7' || lpad(to_hex(n / 65536), 3, '0')"
        " || '8' || lpad(to_hex(n %% 65536), 15, '0'))::uuid, 1, 0, 0, 'fault-' || lpad((n %% 20)::text, 2, '0'), now(), now(),"
        " n %% 100000, NULL, NULL FROM generate_series(1, %s) AS n", (MILLIONS * 1_000_000,))
    counted = "SELECT {at} 'fault-' || lpad(ad::text, 2, '0'), 1, 0, %s / 20, %s FROM generate_series(0, 19) AS ad ON CONFLICT ({key})" \
              " DO UPDATE SET count = {table}.count + excluded.count"
    for table, at, key in (("ad_total", "", "ad_id, type, reason"),
                           ("ad_quarter", "date_bin('15 min', now(), 'epoch'),", "quarter_at, ad_id, type, reason")):
        rig.books.sql(f"INSERT INTO {table} " + counted.format(at=at, key=key, table=table), (MILLIONS * 1_000_000, position))
    assert not {key: value for key, value in rig.books.disagreements().items() if "rollups" in key}, "the test's own rows are wrong"

    rig.books.redis().flushall()
    began = time.monotonic()
    seen = set()
    with rig.load(per_second=500):
        wait_until("the counts are loaded again", lambda: seen.add(told(rig)) or
                   rig.metric("analytics", "analytics_rebuilds_completed_total") == 2, REBUILD_SECONDS)
        rig.measured["rebuilt_s"] = round(time.monotonic() - began, 1)
        assert ("redis", True) in seen, seen
        assert source(rig) == "redis"
    wait_until("the counts are those of PostgreSQL", lambda: not rig.books.disagreements(), 10)
    wait_until("the answer is not stale any more", lambda: told(rig) == ("redis", False), 10)
    (visitors,), = rig.books.sql("SELECT count(DISTINCT visitor) FROM events WHERE ad_id = %s AND type = 1", (ADS[0],))
    unique = rig.product.get(f"/api/v1/ads/analytics?ad_id={ADS[0]}&timeframe=1h").json()["unique_clicks"]
    assert abs(unique - visitors) <= UNIQUES_OFF_MAX * visitors, f"{unique} uniques of {visitors} visitors"
