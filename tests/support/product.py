"""What the integration tests share: a running product, load with known ids, and the reconciliation.

A test never sleeps for a result: it waits for a condition with a deadline.
"""

import collections
import contextlib
import json
import os
import signal
import sys
import threading
import time
import uuid
import secrets
from pathlib import Path

import openapi
import psycopg2
import redis

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from keepalive import Closed, Connection  # noqa: E402
from stack import SERVERS, SERVICES, Stack  # noqa: E402

CLICK = "/api/v1/ads/click"


def uuid7(at_ms=None):
    at_ms = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    return str(uuid.UUID(int=at_ms << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62)))


def wait_until(what, condition, seconds=20):
    """Returns the first truthy result of condition; fails with `what` when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def stands_still(pid):
    """Whether each of its threads is stopped; one that has ended is, too."""
    states = []
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            states.append(path.read_text().rsplit(")", 1)[1].split()[0])
    return set(states) <= {"T", "Z"}


def children_of(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def freeze(process):
    """Stops every thread of a process and its children. On a busy machine that takes a while, and until then a server answers."""
    process.send(signal.SIGSTOP)
    wait_until(f"{process.name} stands still", lambda: stands_still(process.pid))
    children = children_of(process.pid)  # and there will be no more
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGSTOP)
    wait_until(f"{process.name}'s children stand still", lambda: all(map(stands_still, children)))


def thaw(process):
    for child in children_of(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGCONT)
    process.send(signal.SIGCONT)


class Product:
    """A stack with the questions that tests ask of it."""

    def __init__(self, stack):
        self.stack = stack
        self.client = Connection(stack.url())

    # ---- servers that hang

    def freeze(self, *names):
        for name in names:
            freeze(self.stack.process(name))

    def thaw(self, *names):
        for name in names:
            thaw(self.stack.process(name))

    # ---- HTTP

    def request(self, method, path, body=None, headers=None):
        """What the gateway answers, which is as proto/openapi.yaml says it."""
        if isinstance(body, (dict, list)):
            body, headers = json.dumps(body), {"Content-Type": "application/json", **(headers or {})}
        try:
            answer = self.client.request(method, path, body, headers)
        except Closed:  # idle for too long between two tests; what is asked for can be asked for again
            if method not in ("GET", "HEAD"):
                raise
            answer = self.client.request(method, path, body, headers)
        openapi.check(method, path, answer, body, headers)
        return answer

    def get(self, path, headers=None):
        return self.request("GET", path, headers=headers)

    def post(self, path, body, headers=None):
        return self.request("POST", path, body, headers)

    def metric(self, name, service="gateway"):
        """The value of one series, as /metrics shows it; None: it is not there."""
        connection = self.client if service == "gateway" else Connection(self.stack.url(service))
        for line in connection.request("GET", "/metrics").body.decode().splitlines():
            if line.startswith(f"adledger_{name} "):
                return float(line.split()[-1])
        return None

    def analytics(self, ad_id, query=""):
        answer = self.get(f"/api/v1/ads/analytics?ad_id={ad_id}{query}")
        assert answer.status == 200, answer.body
        return answer.json()

    def as_admin(self, method, path, body=None, headers=None):
        """A request with the stack's admin key."""
        return self.request(method, path, body, {"Authorization": f"Bearer {self.stack.admin_key}", **(headers or {})})

    # ---- stores

    def sql(self, text, parameters=()):
        with psycopg2.connect(self.stack.database_url) as database, database.cursor() as cursor:
            cursor.execute(text, parameters)
            return cursor.fetchall() if cursor.description else []

    def redis(self):
        return redis.from_url(self.stack.redis_url)

    def add_ads(self, ad_ids):
        self.sql("INSERT INTO ads (id, title) SELECT id, 'Test ad' FROM unnest(%s) AS id ON CONFLICT DO NOTHING", (list(ad_ids),))
        wait_until("the gateway knows the new ads", lambda: self.get(f"/api/v1/ads/{ad_ids[-1]}").status == 200)

    def stored_ids(self):
        return [row[0] for row in self.sql("SELECT event_id::text FROM events")]

    def stored_by_ad(self):
        return dict(self.sql("SELECT ad_id, count(*) FROM events WHERE type = 1 GROUP BY ad_id"))

    def rolled_up_by_ad(self):
        return {ad: int(count) for ad, count in self.sql("SELECT ad_id, sum(count) FROM ad_total WHERE type = 1 GROUP BY ad_id")}

    def counted_by_ad(self, ad_ids):
        """All-time clicks per ad as Redis has them, valid and not."""
        partitions = [row[0] for row in self.sql("SELECT partition FROM positions")]
        keys = [(ad_id, f"{{{partition}}}:t:{ad_id}") for ad_id in ad_ids for partition in partitions]
        pipeline = self.redis().pipeline(transaction=False)
        for _, key in keys:
            pipeline.hgetall(key)
        counts = collections.Counter()
        for (ad_id, _), totals in zip(keys, pipeline.execute()):
            counts[ad_id] += sum(int(n) for series, n in totals.items() if series == b"c" or series.startswith(b"c."))
        return {ad_id: count for ad_id, count in counts.items() if count}

    # ---- the promise

    def reconcile(self, accepted, sent=None, seconds=30):
        """Every accepted id is one row, no row was never sent, and Redis and the rollups agree per ad.

        `accepted` are the ids answered 202; `sent` all ids that were sent (a request whose answer was lost may
        or may not be stored).
        """
        accepted = set(accepted)
        known = set(sent) if sent is not None else accepted

        def all_stored():
            many = self.sql("SELECT count(*) FROM events")[0][0] >= len(accepted)
            return many and not accepted - set(self.stored_ids())

        wait_until(f"all {len(accepted)} accepted events are stored", all_stored, seconds)
        mine = [event_id for event_id in self.stored_ids() if event_id in known]
        assert len(mine) == len(set(mine)), "an event is stored twice"
        self.agree(seconds)
        return len(mine)

    def agree(self, seconds=30):
        """Redis, the rollups and the rows say the same per ad."""
        def same():
            rows = self.stored_by_ad()
            return rows == self.rolled_up_by_ad() and rows == self.counted_by_ad(self.catalogue())
        try:
            wait_until("Redis and the rollups agree with the rows", same, seconds)
        except AssertionError as error:
            rows, rolled, counted = self.stored_by_ad(), self.rolled_up_by_ad(), self.counted_by_ad(self.catalogue())
            wrong = {ad: (rows.get(ad), rolled.get(ad), counted.get(ad)) for ad in {*rows, *rolled, *counted}
                     if not rows.get(ad) == rolled.get(ad) == counted.get(ad)}
            raise AssertionError(f"{error}; ad: (rows, rollups, Redis) = {dict(list(wrong.items())[:10])}") from None

    def catalogue(self):
        return [row[0] for row in self.sql("SELECT id FROM ads")]

    def restart(self, name, **env):
        self.stack.start_service(name, **env)
        self.stack.wait_ready(name)


class Load:
    """Clicks with known ids from several connections, until stopped or `total` is reached."""

    def __init__(self, url, ads=("ad-001", "ad-002", "ad-003"), connections=16, total=None, per_second=None, retry=False):
        self.url, self.ads, self.total, self.retry = url, ads, total, retry
        self.interval = connections / per_second if per_second else 0
        self.accepted, self.sent, self.statuses = [], [], collections.Counter()
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.started = 0
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(connections)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        self.wait()

    def wait(self, seconds=120):
        for thread in self.threads:
            thread.join(seconds)
            assert not thread.is_alive(), "a load thread hangs"

    def _take(self):
        with self.lock:
            if self.stopping.is_set() or (self.total is not None and self.started >= self.total):
                return None
            self.started += 1
            return self.started

    def _run(self):
        connection = Connection(self.url, timeout=15)
        while (number := self._take()) is not None:
            began = time.monotonic()
            event_id = uuid7()
            body = f'{{"ad_id":"{self.ads[number % len(self.ads)]}","event_id":"{event_id}","playback_time":1.5}}'
            status = self._post(connection, body)
            while self.retry and status != 202 and not self.stopping.is_set():
                time.sleep(0.1)
                status = self._post(connection, body)
            with self.lock:
                self.sent.append(event_id)
                self.statuses[status] += 1
                if status == 202:
                    self.accepted.append(event_id)
            rest = self.interval - (time.monotonic() - began)
            if rest > 0:
                time.sleep(rest)
        connection.close()

    @staticmethod
    def _post(connection, body):
        try:
            return connection.request("POST", CLICK, body, {"Content-Type": "application/json"}).status
        except Closed:
            time.sleep(0.02)
            return "closed"
