"""Bad requests leave nothing behind: a gateway's memory after 100,000 of them is what it was before."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from product import ROOT, wait_until

REQUESTS = 100_000
GROWTH_MAX = 1_000_000  # a leak of 16 bytes a request, malloc's own bytes not counted, would be 1,600,000
WARM_UP = 40_000  # arenas, pools and caches reach their size


def send_bad_requests(product, count):
    """Every kind in turn, over 8 connections; all are answered, and none with a 2xx."""
    done = subprocess.run(["wrk", "-t", "1", "-c", "8", "-d", "120", "-s", ROOT / "tests" / "support" / "bad_requests.lua", product.stack.url()],
                          env=dict(os.environ, COUNT=str(count)), text=True, capture_output=True, check=True)
    answered, refused = map(int, re.search(r"answered (\d+) refused (\d+)", done.stdout).groups())
    assert answered == refused == count, done.stdout


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
    product.restart("gateway", ASAN_OPTIONS=f"detect_leaks=1:exitcode=99:log_path={tmp_path}/asan", UBSAN_OPTIONS="print_stacktrace=1")

    send_bad_requests(product, 20_000)

    gateway = product.stack.process("gateway")
    assert gateway.stop(), "it did not stop in time"
    wait_until("its exit status is known", lambda: gateway.child.poll() is not None)
    assert gateway.child.returncode == 0, gateway.log_tail() + "".join(path.read_text() for path in tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []
