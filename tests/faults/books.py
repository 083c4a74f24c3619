"""The reconciliation: what clients were told against what the stores hold.

`Books` asks each store directly, never the product, and names what differs by id.
"""

import contextlib
import io
import json
import sqlite3
import urllib.request

import psycopg2

SERIES = {1: "c", 2: "i"}  # the event types of the load, and their letters in proto/redis.md
DIFFER_MAX = 10


class Books:
    def __init__(self, stack):
        self.stack = stack

    # ---- the stores, one by one

    @contextlib.contextmanager
    def database(self):
        link = psycopg2.connect(self.stack.database_url, options="-c default_transaction_read_only=off")
        try:
            with link, link.cursor() as cursor:
                yield cursor
        finally:
            link.close()

    def sql(self, text, parameters=()):
        with self.database() as cursor:
            cursor.execute(text, parameters)
            return cursor.fetchall() if cursor.description else []

    def redis(self):
        import redis
        return redis.from_url(self.stack.redis_url)

    def stream_ends(self):
        """Sequence of the last message of each partition's stream."""
        url = f"http://127.0.0.1:{self.stack.port('nats_monitor')}/jsz?streams=1"
        with urllib.request.urlopen(url, timeout=5) as answer:
            accounts = json.load(answer).get("account_details", [])
        return {int(stream["name"].removeprefix("ADS_")): stream["state"]["last_seq"]
                for account in accounts for stream in account.get("stream_detail", []) if stream["name"].startswith("ADS_")
                and stream["name"].removeprefix("ADS_").isdigit()}

    def positions(self):
        """Partition -> (PostgreSQL's position, Redis's)."""
        rows, store = self.sql("SELECT partition, seq FROM positions"), self.redis()
        return {partition: (seq, int((store.get(f"{{{partition}}}:position") or b"0").split(b"+")[0])) for partition, seq in rows}

    def in_spools(self):
        """Batches in the spools of all instances, read from their files: a living gateway locks them."""
        count = 0
        for path in (self.stack.dir / "spool").glob("*/spool.db"):
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as spool:
                if spool.execute("SELECT 1 FROM sqlite_master WHERE name = 'batches'").fetchone():
                    count += spool.execute("SELECT count(*) FROM batches").fetchone()[0]
        return count

    def in_inbox(self):
        return self.sql("SELECT count(*) FROM inbox")[0][0]

    # ---- every id

    def differences(self, accepted, sent):
        """{what: ids} of what is wrong between the clients' book and PostgreSQL."""
        with self.database() as cursor:
            cursor.execute("CREATE TEMP TABLE told (event uuid PRIMARY KEY, kept boolean) ON COMMIT DROP")
            cursor.copy_expert("COPY told FROM STDIN", io.StringIO("".join(
                f"{event_id}\t{'t' if event_id in accepted else 'f'}\n" for event_id in accepted | sent)))
            cursor.execute("ANALYZE told")
            questions = {
                "answered 202 and nowhere":
                    "SELECT event FROM told WHERE kept AND NOT EXISTS (SELECT FROM events WHERE event_id = event)"
                    " AND NOT EXISTS (SELECT FROM dead_letters WHERE event_id = event)",
                "a row and a dead letter":
                    "SELECT event FROM told JOIN events ON event_id = event JOIN dead_letters USING (event_id)",
                "more than one dead letter":
                    "SELECT event FROM told JOIN dead_letters ON event_id = event GROUP BY event HAVING count(*) > 1",
            }
            found = {}
            for what, question in questions.items():
                cursor.execute(question)
                ids = [row[0] for row in cursor.fetchall()]
                if ids:
                    found[what] = ids
            return found

    def foreign_rows(self, sent):
        """Rows whose ids no client has sent."""
        return {row[0] for row in self.sql("SELECT event_id::text FROM events")} - sent

    # ---- every count

    def rows_by_quarter(self):
        return self._counts("SELECT date_bin('15 min', received_at, 'epoch') AS quarter, ad_id, type, count(*) FROM events"
                            " GROUP BY 1, 2, 3")

    def rollups_by_quarter(self):
        return self._counts("SELECT quarter_at, ad_id, type, sum(count) FROM ad_quarter GROUP BY 1, 2, 3")

    def rollups_for_all_time(self):
        return {(ad, kind): int(count) for ad, kind, count in
                self.sql("SELECT ad_id, type, sum(count) FROM ad_total GROUP BY 1, 2") if count}

    def _counts(self, text):
        """{(quarter as Unix seconds, ad, type): count}"""
        return {(int(at.timestamp()), ad, kind): int(count) for at, ad, kind, count in self.sql(text) if count}

    def redis_counts(self, quarters):
        """The same two from Redis, for the keys that PostgreSQL knows: by quarter, and for all time."""
        partitions = [row[0] for row in self.sql("SELECT partition FROM positions")]
        pipeline, asked = self.redis().pipeline(transaction=False), []
        for ad in sorted({ad for _, ad, _ in quarters}):
            for partition in partitions:
                pipeline.hgetall(f"{{{partition}}}:t:{ad}")
                asked.append(("total", ad, None, None))
                for kind, letter in SERIES.items():
                    for day in {at // 86400 for at, _, _ in quarters}:
                        pipeline.hgetall(f"{{{partition}}}:q:{ad}:{letter}:{day}")
                        asked.append(("quarters", ad, kind, day))
        by_quarter, totals = {}, {}
        for (what, ad, kind, day), fields in zip(asked, pipeline.execute()):
            for field, count in fields.items():
                if what == "quarters":
                    add(by_quarter, (day * 86400 + int(field) * 900, ad, kind), int(count))
                else:
                    add(totals, (ad, {letter: kind for kind, letter in SERIES.items()}[field.decode()]), int(count))
        return by_quarter, totals

    def disagreements(self):
        """{what: {key: (rows, other)}} between the rows, the rollups and Redis."""
        rows = self.rows_by_quarter()
        totals = {}
        for (_, ad, kind), count in rows.items():
            add(totals, (ad, kind), count)
        redis_quarters, redis_totals = self.redis_counts(rows)
        pairs = {"rollups by quarter hour": (rows, self.rollups_by_quarter()), "rollups for all time": (totals, self.rollups_for_all_time()),
                 "Redis by quarter hour": (rows, redis_quarters), "Redis for all time": (totals, redis_totals)}
        return {what: different(*pair) for what, pair in pairs.items() if pair[0] != pair[1]}


def add(counts, key, count):
    if count:
        counts[key] = counts.get(key, 0) + count


def different(left, right):
    keys = [key for key in {**left, **right} if left.get(key) != right.get(key)]
    return {key: (left.get(key), right.get(key)) for key in keys[:DIFFER_MAX]}


def shortened(found):
    return {what: (len(ids), [str(each) for each in list(ids)[:DIFFER_MAX]]) for what, ids in found.items()}
