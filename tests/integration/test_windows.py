"""Windows slide: the running product's numbers against a reference, with its clock moved from seconds to days."""

import time
from pathlib import Path

import pytest
from product import CLICK, uuid7, wait_until

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
WINDOWS = {"last_1_minute": 60, "last_5_minutes": 300, "last_15_minutes": 900, "last_1_hour": 3600,
           "last_24_hours": 86_400, "last_7_days": 7 * 86_400}
QUARTER = 900


def grain(window_s):
    """To what the oldest edge of a window is exact."""
    return 1 if window_s <= 900 else 60 if window_s <= 3600 else QUARTER


def is_clear(offset, earlier, window_s):
    """The edge of this window does not cut the bucket, or the seconds around, of any earlier click."""
    return all(abs(offset - before - window_s) > grain(window_s) + 20 for before in earlier)


def move_clock(product, offset_s):
    """Restarts the services with a wall clock that is ahead; the monotonic clock stays."""
    moved = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"+{offset_s}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    for name in ("gateway", "ingest", "analytics"):
        assert product.stack.process(name).stop(), f"{name} did not stop"
    for name in ("ingest", "analytics", "gateway"):
        product.stack.start_service(name, **moved)
    for name in ("ingest", "analytics", "gateway"):
        product.stack.wait_ready(name)
    product.client.close()


@pytest.mark.skipif(not FAKETIME.exists(), reason="libfaketime is not installed")
def test_every_window_equals_the_reference_as_time_goes_by(start_product):
    product = start_product()
    product.add_ads(["window"])
    posted = []  # (when, how many), in seconds since the start by the services' clock
    first = uuid7()  # sent again each time, for as long as an id may be that old
    began = time.monotonic()
    assert product.post(CLICK, {"ad_id": "window", "event_id": first}).status == 202
    posted.append((0.0, 1))

    for offset, clicks in ((0, 3), (100, 5), (420, 7), (1_500, 11), (5_400, 13), (30_000, 17), (180_000, 19), (500_000, 23), (640_000, 29)):
        if offset:
            move_clock(product, offset)
        for _ in range(clicks):
            assert product.post(CLICK, {"ad_id": "window"}).status == 202
        again = product.post(CLICK, {"ad_id": "window", "event_id": first})
        assert again.status == (202 if offset < 86_000 else 422), again.body
        posted.append((offset + time.monotonic() - began, clicks))
        total = sum(count for _, count in posted)
        answer = wait_until("the clicks are counted", lambda: counted(product, total))
        now = offset + time.monotonic() - began

        for name, window_s in WINDOWS.items():
            if is_clear(now, [when for when, _ in posted[:-1]], window_s):
                expected = sum(count for when, count in posted if when > now - window_s)
                assert answer["time_frames"][name] == expected, f"{name} at +{offset} s: {answer['time_frames']}"
        assert product.analytics("window", "&timeframe=1m")["clicks"] == answer["time_frames"]["last_1_minute"]
        assert product.analytics("window", "&minutes=15")["gross_clicks"] == answer["time_frames"]["last_15_minutes"]
    product.agree()


def counted(product, total):
    answer = product.analytics("window")
    return answer if answer["total_clicks"] == total else None
