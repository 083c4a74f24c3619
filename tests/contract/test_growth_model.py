"""The arithmetic of bench/grow --model: from points that were made by known costs it finds those costs again, and their sums."""

import json
import math
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import growth_model  # noqa: E402

# A message lasts 1 ms, 0.1 ms more for each lane, and 10 us more for each click that comes meanwhile; and so on.
KNOWN = {"lasts": {"messages": [1e-3, 1e-4, 1e-5], "transactions": [2e-2, 1e-3, 1e-6], "calls": [5e-4, 2e-4, 2e-5]},
         "costs": {"gateway": {"clicks": 10e-6, "messages": 50e-6}, "nats": {"clicks": 1e-6, "messages": 100e-6},
                   "ingest": {"clicks": 1e-6, "messages": 5e-6, "transactions": 20e-6},
                   "postgres": {"clicks": 4e-6, "messages": 9e-6, "transactions": 300e-6, "sums": 20e-6},
                   "analytics": {"messages": 8e-6, "calls": 70e-6, "entries": 2e-6}, "redis": {"calls": 90e-6, "entries": 3e-6}},
         # A process, a partition, and a thousand clicks a second; of analytics a MiB of ids.
         "memory": {"gateway": [20, 0.2, 0.1], "ingest": [4, 0.1, 0.05], "analytics": [5, 4, 1]}, "most": {"partitions": 16, "clicks": 40_000}}


def point(ads, rate, partitions):
    return {"ads": ads, "rate": rate, "partitions": partitions, "per_second": growth_model.work(KNOWN, ads, rate, partitions, threads=1),
            "cores": growth_model.cores(KNOWN, ads, rate, partitions, threads=1), "memory_mib": growth_model.memory(KNOWN, rate, partitions, threads=1, seconds=15)}


# One partition each where clicks meanwhile make a difference: by partitions, a thread's share is smaller.
POINTS = [point(*at) for at in ((100, 5_000, 1), (1_000, 5_000, 1), (10_000, 5_000, 1), (100, 500, 1), (100, 20_000, 1), (100, 40_000, 1), (100, 50, 4), (100, 50, 16))]


def test_the_costs_behind_the_points_are_found_again():
    model = growth_model.fit(POINTS)
    for kind, lasts in KNOWN["lasts"].items():
        assert model["lasts"][kind] == pytest.approx(lasts, rel=1e-2), kind
    for part in growth_model.PARTS:
        assert model["costs"][part] == pytest.approx(KNOWN["costs"][part], rel=1e-3), part
    for service in growth_model.SERVICES:
        assert model["memory"][service] == pytest.approx(KNOWN["memory"][service], rel=1e-3), service
    assert model["most"] == KNOWN["most"]


def test_a_point_on_no_axis_is_predicted():
    model = growth_model.fit(POINTS)
    assert growth_model.cores(model, 10_000, 50_000, 8) == pytest.approx(growth_model.cores(KNOWN, 10_000, 50_000, 8), rel=1e-2)


def test_messages_grow_instead_of_becoming_more():
    few, many = growth_model.work(KNOWN, 100, 100, 1), growth_model.work(KNOWN, 100, 25_000, 1)
    assert few["messages"] == pytest.approx(90, rel=0.01) and many["messages"] < 700
    assert growth_model.work(KNOWN, 100, 25_000, 4)["messages"] > 2 * many["messages"], "each partition has its own"


def test_a_call_changes_no_more_counters_than_there_are_ads():
    done = growth_model.work(KNOWN, 10, 40_000, 1)
    assert done["calls"] < 1_000 and done["entries"] == pytest.approx(done["calls"] * 10 + 40_000)


def test_a_transaction_changes_no_more_sums_than_it_has_clicks():
    done = growth_model.work(KNOWN, 1_000_000, 1_000, 1)
    assert done["sums"] == pytest.approx(1_000)


def test_the_first_part_that_is_full_is_named_with_its_rate():
    part, rate = growth_model.first_full(KNOWN, 10_000, 1)
    assert growth_model.busy(KNOWN, 10_000, rate, 1)[part] >= 1 > max(growth_model.busy(KNOWN, 10_000, rate - 1, 1).values())
    assert growth_model.first_full(KNOWN, 10_000, 16)[0] == "redis", "more partitions give every part threads but Redis"


def test_memory_of_analytics_ends_where_its_ids_do():
    soon, late = (growth_model.memory(KNOWN, 1_000, 4, seconds=seconds) for seconds in (15, math.inf))
    assert soon["analytics"] == pytest.approx(5 + 4 * 4 + 15_000 * 8 / 2**20) and late["analytics"] == pytest.approx(5 + 4 * 4 + 4 * 500_000 * 8 / 2**20)
    assert soon["gateway"] == late["gateway"] == pytest.approx(20 + 4 * 0.2 + 0.1), "the others' goes with the rate alone"
    assert growth_model.memory(KNOWN, 60_000, 4)["gateway"] == pytest.approx(20 + 4 * 0.2 + 30 * 0.1), "each of two has half of the clicks"


def test_a_click_waits_for_its_message_and_then_for_a_transaction_or_a_call():
    ages = growth_model.freshness(KNOWN, 100, 100, 1)
    assert ages["ingest"] == pytest.approx(1.1 + 21, rel=0.01) and ages["analytics"] == pytest.approx(1.1 + 0.7, rel=0.01)


def test_no_age_is_told_of_a_part_that_is_full():
    _, full = growth_model.first_full(KNOWN, 10_000, 16)
    ages = [growth_model.freshness(KNOWN, 10_000, rate, 16)["analytics"] for rate in (full - 1, full, 10 * full)]
    assert 0 < ages[0] < math.inf and ages[1:] == [None, math.inf], "first batches grow, then nothing helps"


def test_a_call_and_a_transaction_hold_no_more_than_they_may():
    done = growth_model.work(KNOWN, 100, 1_000_000, 1)
    assert done["clicks"] / done["transactions"] <= 4_000 and done["entries"] / done["calls"] == pytest.approx(5_000)


def test_what_was_not_measured_is_doubtful():
    assert not growth_model.is_beyond(KNOWN, 20_000, 16) and not growth_model.is_beyond(KNOWN, 25_000, 1)
    assert growth_model.is_beyond(KNOWN, 20_000, 17) and growth_model.is_beyond(KNOWN, 60_000, 1) and growth_model.is_beyond(KNOWN, 60_000, 16), "two threads have twice the lanes"


def test_a_measured_age_is_known_to_its_bucket():
    assert growth_model.missed_bucket(58, 75) == (50, 100, 0)
    assert growth_model.missed_bucket(6, 16) == (10, 25, pytest.approx(-0.4)) and growth_model.missed_bucket(30, 16) == (10, 25, pytest.approx(0.2))


def test_disk_is_rows_times_the_day():
    sizes = {"bytes_per_row": {"events": 150, "batches": 250, "rollups": 200}}
    points = [{**each, **sizes, "bytes_per_click": {name: 50 + 100 * each["per_second"][kind] / each["per_second"]["clicks"]
                                                    for name, kind in (("stream", "messages"), ("wal", "sums"))}} for each in POINTS]
    model, done = growth_model.fit(POINTS), growth_model.work(KNOWN, 100, 10_000, 1)
    found = growth_model.disk({"points": points}, model, 100, 10_000, 1)
    assert found["events"] == pytest.approx(86_400 * (10_000 * 150 + done["messages"] * 250), rel=1e-2)
    assert found["stream"] == pytest.approx(135 * (10_000 * 50 + done["messages"] * 100), rel=1e-2)
    assert found["wal"] == pytest.approx(86_400 * (10_000 * 50 + done["sums"] * 100), rel=1e-2)
    assert found["rollups"] == pytest.approx(365 * 96 * 100 * 200)


def test_redis_is_read_off_between_two_measured_rates():
    results = {"points": [{"redis_bytes_per_ad": {"1": 100, "100": 10_000}}]}
    assert growth_model.redis_bytes(results, 7, 7 * 10 / 60) == pytest.approx(7 * 1_000)
    assert growth_model.redis_bytes(results, 7, 10**6) == pytest.approx(7 * 10_000), "not beyond what was measured"


def test_no_cost_is_below_zero():
    assert growth_model.least_squares([[1, 2], [2, 3], [3, 5]], [1, 3, 4])[1] >= 0


def test_quantiles_are_those_of_prometheus():
    buckets = {10.0: 50, 25.0: 90, 50.0: 99, float("inf"): 100}
    assert growth_model.quantile(buckets, 0.5) == 10 and growth_model.quantile(buckets, 0.7) == 17.5
    assert growth_model.quantile(buckets, 0.99) == 50 and growth_model.quantile(buckets, 1) == 50, "beyond the last bound nothing is known"
    assert growth_model.quantile({10.0: 0, float("inf"): 0}, 0.5) == 0


def test_the_measured_point_that_nothing_is_fitted_to_is_predicted():
    results = json.loads((ROOT / "bench/results/growth.json").read_text())
    model, check = growth_model.fit(results["points"]), results["check"]
    predicted = sum(growth_model.cores(model, check["ads"], check["per_second"]["clicks"], check["partitions"], threads=1).values())
    assert predicted == pytest.approx(sum(check["cores"].values()), rel=0.35)
    memory = growth_model.memory(model, check["per_second"]["clicks"], check["partitions"], threads=1, seconds=15)
    assert memory == pytest.approx({service: check["memory_mib"][service] for service in growth_model.SERVICES}, rel=0.25)
    for reader, ms in growth_model.freshness(model, check["ads"], check["per_second"]["clicks"], check["partitions"], threads=1).items():
        assert growth_model.missed_bucket(ms, check["freshness_ms"][reader]["p50"])[2] == 0, reader
