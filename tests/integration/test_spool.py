"""Spool and inbox as a running gateway has them: its name, its directory, and what others left behind."""

import json
import urllib.request

from product import CLICK, wait_until
from processes import free_port

SECOND = "gateway-2"


def health_of(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
        return json.load(answer)


def test_a_second_gateway_of_the_same_name_says_what_to_set(product):
    process = product.stack.start_service("gateway", SECOND, HTTP_PORT=str(free_port()), INSTANCE="gateway")
    wait_until("the second gateway has given up", lambda: process.pid is None, 10)
    assert "give each gateway an INSTANCE of its own" in process.log_tail()


def test_a_gateway_without_a_spool_serves_and_says_so(product):
    port = free_port()
    product.stack.start_service("gateway", SECOND, HTTP_PORT=str(port), SPOOL_DIR="/proc/no-spool-here")
    product.stack.wait_ready(SECOND, port)
    health = health_of(port)
    assert health["status"] == "degraded" and health["components"]["spool"]["state"] == "down"
    assert product.get("/health").json()["components"]["spool"]["state"] == "up"
    assert product.stack.process(SECOND).stop()


def test_the_directory_of_a_gateway_that_is_gone_is_removed_and_a_living_ones_is_not(product):
    port = free_port()
    spools = product.stack.dir / "spool"
    product.stack.start_service("gateway", SECOND, HTTP_PORT=str(port))
    product.stack.wait_ready(SECOND, port)
    assert sorted(path.name for path in spools.iterdir()) == ["gateway", SECOND]
    product.stack.process(SECOND).kill()
    wait_until("the other gateway has adopted and removed it", lambda: [path.name for path in spools.iterdir()] == ["gateway"])


def test_what_the_inbox_holds_is_published_even_if_nobody_can_read_it(product):
    product.sql("INSERT INTO inbox (gateway_id, thread, partition, batch_no, try, events, payload)"
                " SELECT gen_random_uuid(), 0, 0, n, 0, 0, 'no batch at all'::bytea FROM generate_series(1, 50) AS n")
    wait_until("the replayer has emptied the inbox", lambda: product.sql("SELECT count(*) FROM inbox") == [(0,)])
    wait_until("ingest has set each aside", lambda: product.sql("SELECT count(*) FROM dead_letters") == [(50,)])
    assert product.post(CLICK, {"ad_id": "ad-001"}).status == 202
