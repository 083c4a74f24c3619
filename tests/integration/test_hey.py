"""The load test of an earlier tracker, verbatim: 100,000 posts of one body without an id, so that they can only be counted."""

import datetime
import re
import subprocess

import pytest
from product import wait_until

AD = "11111111-1111-1111-1111-111111111111"


def hey(product):
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = f'{{"adId":"{AD}","timestamp":"{now}","ipAddress":"1.2.3.4","videoPlaybackTime":10.5}}'
    return subprocess.Popen(["hey", "-n", "100000", "-c", "1000", "-m", "POST", "-H", "Content-Type: application/json", "-d", body,
                             f"http://localhost:{product.stack.port('gateway')}/ads/click"], text=True, stdout=subprocess.PIPE)


def stored(product):
    return product.stored_by_ad().get(AD, 0)


@pytest.mark.parametrize("victim", [None, "ingest", "analytics", "gateway"])
def test_what_hey_is_answered_202_is_stored_and_counted(product, victim):
    before = stored(product)
    load = hey(product)
    if victim:
        wait_until("load flows", lambda: stored(product) > before + 5_000)
        product.stack.process(victim).kill()
        product.restart(victim)
        product.client.close()
    text = load.communicate(timeout=120)[0]
    statuses = {int(status): int(count) for status, count in re.findall(r"\[(\d+)\]\s+(\d+) responses", text)}
    assert set(statuses) == {202}, text
    unanswered = 100_000 - statuses[202]  # by a gateway that is not there, or that died before it could answer
    assert victim == "gateway" or unanswered == 0, text

    wait_until("what was accepted is stored", lambda: stored(product) >= before + statuses[202], 60)
    product.agree(60)
    count = stored(product) - before
    assert statuses[202] <= count <= statuses[202] + min(unanswered, 1_000)  # at most one on its way a connection
    assert product.analytics(AD)["total_clicks"] == before + count
