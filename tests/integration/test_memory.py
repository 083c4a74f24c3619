"""Bad requests leave nothing behind: a gateway's memory after 100,000 of them, of every kind of the matrix, is what it was before."""

import itertools
import os
import re
import subprocess
from pathlib import Path

import pytest
from bad_input import (BAD_EVENT_IDS, BAD_FIELDS, BAD_JSON, BAD_QUERIES, BAD_REPLAYS, BATCH_ROUTES, BODY_ROUTES, CONFLICTING_QUERIES, EVENT_ROUTES, GOOD,
                       JSON, NDJSON, NOWHERE, ROUTES, body_of, event, queries)
from keepalive import Connection
from product import ROOT, wait_until

REQUESTS = 100_000
GROWTH_MAX = 1_000_000  # a leak of 16 bytes a request, malloc's own bytes not counted, would be 1,600,000
WARM_UP = 40_000  # arenas, pools and caches reach their size
PIPELINED, CONNECTIONS = 20, 8  # few enough that a turn of the loop stays short, by a sanitizer's clock too


def request(method, path, body=None, headers=None):
    head = [f"{method} {path} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    if body is not None:
        head.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(head) + "\r\n\r\n").encode() + (body or b"")


def refused_bodies(admin):
    for route, body in itertools.product(BODY_ROUTES, BAD_JSON.values()):
        yield request("POST", route.path, body, {**JSON, **admin})
    for route, body in itertools.product(BATCH_ROUTES, BAD_JSON.values()):
        yield request("POST", route.path, body, NDJSON)
        yield request("POST", route.path, b"[" + body + b"]", JSON)
    for route, (field, value, _) in itertools.product(EVENT_ROUTES, BAD_FIELDS):
        yield request("POST", route.path, event(field, value).encode(), JSON)
    every = [event(field, value, type='"click"').encode() for field, value, _ in BAD_FIELDS]
    for route in BATCH_ROUTES:
        yield request("POST", route.path, b"[" + b",".join(every) + b"]", JSON)
        yield request("POST", route.path, b"\n".join(every), NDJSON)
    for _, body, *_ in BAD_REPLAYS:
        yield request("POST", "/api/v1/dlq/replay", body, {**JSON, **admin})


def refused_heads(admin):
    for route in BODY_ROUTES:
        yield request("POST", route.path, GOOD[route.body], {"Content-Type": "image/png", **admin})
        yield request("POST", route.path, GOOD[route.body], {"Content-Encoding": "gzip", **admin})
        yield request("POST", route.path, GOOD[route.body], {"Idempotency-Key": "x" * 3000, "X-API-Key": "é" * 1000})
        if route.limit < 1 << 20:
            yield request("POST", route.path, body_of(route, route.limit + 1), {**JSON, **admin})
    for route in ROUTES:
        yield request("PROPFIND", route.address(), headers={"Origin": "https://nobody.example"})
        yield request("OPTIONS", route.address())
    for route in (route for route in ROUTES if route.is_guarded):
        yield request(route.method, route.address() + "?x=%zz", headers={"X-Request-Id": "x" * 1000, "Authorization": "Basic eDp5"})


def refused_addresses(admin):
    for path in [*NOWHERE, *(f"/api/v1/events/{event_id}" for event_id in BAD_EVENT_IDS)]:
        yield request("GET", path, headers=admin)
    for route, query in [*queries(BAD_QUERIES), *queries(CONFLICTING_QUERIES)]:
        yield request("GET", f"{route.address()}?{query}", headers=admin)


# These cost their connection.
LAST = [b"no request at all\r\n\r\n", request("GET", "/health/live", headers={"Content-Length": "x"}),
        request("GET", "/health/live", headers={f"X-{number}": "y" for number in range(110)}),
        b"POST /api/v1/ads/click HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n["]


def send_bad_requests(product, count):
    """Every kind in turn; all are answered, and none of them by a fault of ours."""
    admin = {"Authorization": f"Bearer {product.stack.admin_key}"}
    kinds = itertools.cycle([*refused_bodies(admin), *refused_heads(admin), *refused_addresses(admin)])
    connections = [Connection(product.stack.url()) for _ in range(CONNECTIONS)]
    last = itertools.cycle(itertools.chain.from_iterable((one, None, None, None, None) for one in LAST))
    for connection, final in itertools.islice(zip(itertools.cycle(connections), last), count // PIPELINED):
        answers = connection.send_many([*itertools.islice(kinds, PIPELINED - 1), final or next(kinds)])
        assert max(answer.status for answer in answers) < 500
        assert (connection.socket is None) is (final is not None)
    for connection in connections:
        connection.close()


def resident_bytes(pid):
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def test_a_gateway_does_not_grow_by_bad_requests(start_product):
    product = start_product()
    pid = product.stack.process("gateway").pid
    send_bad_requests(product, WARM_UP)
    before = resident_bytes(pid)

    send_bad_requests(product, REQUESTS)

    grown = resident_bytes(pid) - before
    print(f"{before} bytes, then {grown} more")
    assert grown < GROWTH_MAX
    assert product.get("/health/live").status == 200 and product.sql("SELECT count(*) FROM events") == [(0,)]


@pytest.mark.skipif(not os.environ.get("ADLEDGER_FULL"), reason="./test --full runs it")
def test_the_sanitizers_find_nothing_in_bad_requests(start_product, tmp_path):
    subprocess.run(["tools/build", "asan", "gateway"], cwd=ROOT, check=True)
    product = start_product()
    assert product.stack.process("gateway").stop()
    product.stack.binaries = ROOT / "build" / "asan"
    product.restart("gateway", ASAN_OPTIONS=f"detect_leaks=1:exitcode=99:log_path={tmp_path}/asan", UBSAN_OPTIONS="print_stacktrace=1",
                    LSAN_OPTIONS="print_suppressions=0")  # h2o's own, named where they are (server.c): no finding

    send_bad_requests(product, REQUESTS)

    gateway = product.stack.process("gateway")
    assert gateway.stop(), "it did not stop in time"
    wait_until("its exit status is known", lambda: gateway.child.poll() is not None)
    assert gateway.child.returncode == 0, gateway.log_tail() + "".join(path.read_text() for path in tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []
