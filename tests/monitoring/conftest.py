"""A product that a real Prometheus has watched through traffic, an outage of NATS and questions."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
from product import CLICK, Load, Product, Stack, uuid7, wait_until  # noqa: E402
from processes import free_port  # noqa: E402

SCRAPE_SECONDS = 1
OUTAGE_SECONDS = 4


class Prometheus:
    """The server with our rules, asking the three services every second."""

    def __init__(self, stack, directory):
        self.url = f"http://127.0.0.1:{free_port(set(stack.settings['ports'].values()))}"
        jobs = [{"job_name": name, "static_configs": [{"targets": [stack.url(name).removeprefix("http://")]}]} for name in ("gateway", "ingest", "analytics")]
        config = {"global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "scrape_timeout": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"},
                  "rule_files": [str(ROOT / "prometheus/rules/*.yml")], "scrape_configs": jobs}
        file = directory / "prometheus.yml"  # JSON is YAML
        file.write_text(json.dumps(config))
        self.log = open(directory / "prometheus.log", "wb")
        self.child = subprocess.Popen(
            [ROOT / ".run/bin/prometheus", f"--config.file={file}", f"--storage.tsdb.path={directory / 'prometheus'}",
             f"--web.listen-address={self.url.removeprefix('http://')}"], stdout=self.log, stderr=self.log)

    def ask(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)

    def samples(self, expr, since):
        """Every sample of a query from `since` until now; the server's own words when it refuses."""
        answer = self.ask("query_range", query=expr, start=since, end=time.time(), step=SCRAPE_SECONDS)
        assert answer["status"] == "success", answer.get("error")
        return [float(value) for series in answer["data"]["result"] for _, value in series["values"]]

    def is_scraping(self):
        try:
            targets = self.ask("targets")["data"]["activeTargets"]
        except (OSError, ValueError):  # not there yet, or not ready yet
            return False
        return len(targets) == 3 and all(target["health"] == "up" for target in targets)

    def end(self):
        self.child.terminate()
        self.child.wait(20)
        self.log.close()


def drive(product):
    """Something of everything that a panel shows: all event types, faults, a duplicate, a dead letter, an outage."""
    again = uuid7()
    with Load(product.stack.url(), connections=4, per_second=100):
        for kind in ("impression", "start", "first_quartile", "midpoint", "third_quartile", "complete", "skip"):
            product.post("/api/v1/events", [{"type": kind, "ad_id": "ad-001", "playback_time": 1}])
        for _ in range(2):
            product.post(CLICK, {"ad_id": "ad-002", "event_id": again})
        product.post(CLICK, {"ad_id": "not an ad"})
        product.as_admin("GET", "/api/v1/dlq")
        time.sleep(3)
        ask_for_numbers(product)
        product.stack.process("nats").kill()
        wait_until("batches are kept in the spool", lambda: (product.metric("spool_events") or 0) > 0)
        time.sleep(OUTAGE_SECONDS)
        product.stack.start_nats()
        wait_until("the spool is empty", lambda: product.metric("spool_events") == 0 and product.metric("spool_replayed_batches_total") > 0, 30)
        time.sleep(3)
    ask_for_numbers(product)
    wait_until("the ledger was audited", lambda: product.metric("ledger_audited_at_seconds") > 0)


def ask_for_numbers(product):
    for _ in range(3):
        product.as_admin("GET", "/api/v1/ads/analytics?ad_id=ad-001")
        product.as_admin("GET", "/api/v1/ads/analytics")
        time.sleep(0.5)


@pytest.fixture(scope="module")
def watched():
    """(product, prometheus, when it began)."""
    directory = Path(tempfile.mkdtemp(prefix="adledger-watch-", dir="/tmp"))
    directory.chmod(0o755)
    stack = Stack(directory, prefer_ports=False, env={"LOG_LEVEL": "info", "AUDIT_INTERVAL_MS": "1000", "AUDIT_SETTLE_MS": "1000", "QUERY_CACHE_MS": "100"})
    stack.start()
    prometheus = Prometheus(stack, directory)
    try:
        product = Product(stack)
        wait_until("Prometheus scrapes all three", prometheus.is_scraping, 30)
        began = time.time()
        drive(product)
        time.sleep(2 * SCRAPE_SECONDS)
        yield product, prometheus, began
    finally:
        prometheus.end()
        stopped = stack.stop()
        stack.clean()
        shutil.rmtree(directory, ignore_errors=True)
    assert stopped, "a process did not stop in time"
