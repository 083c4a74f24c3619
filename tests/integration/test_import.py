"""tools/import brings the data of earlier trackers over: every source once, however often it is run."""

import json
import os
import subprocess
import time
import uuid
from datetime import datetime, timedelta, timezone

import psycopg2
import pytest
from product import ROOT, wait_until

DAY = 86400


def binary(product):
    return product.stack.binaries / "tools" / "importer" / "importer"


def start_import(product, *arguments, **env):
    environment = dict(os.environ, DATABASE_URL=product.stack.database_url, NATS_URL=product.stack.nats_url, **env)
    return subprocess.Popen([binary(product), *map(str, arguments)], env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run_import(product, *arguments, status=0, **env):
    tool = start_import(product, *arguments, **env)
    out, err = tool.communicate(timeout=300)
    assert tool.returncode == status, f"exit {tool.returncode}\n{out}\n{err}"
    return out + err


def source_url(product, schema):
    return f"{product.stack.database_url}?options=-csearch_path%3D{schema}"


def make_schema(product, name, *statements):
    product.sql(f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")
    product.sql(f"SET search_path = {name}; " + "; ".join(statements).replace("%", "%%"))
    return source_url(product, name)


def ago(seconds):
    return datetime.now(timezone.utc).replace(microsecond=0) - timedelta(seconds=seconds)


def rfc3339(instant):
    return instant.isoformat().replace("+00:00", "Z")


def rows(product, *ad_ids):
    return product.sql("SELECT count(*) FROM events WHERE ad_id = ANY(%s)", (list(ad_ids),))[0][0]


def total(product, ad_id):
    return product.analytics(ad_id)["total_clicks"]


def known(product, ad_id):
    wait_until(f"the gateway knows {ad_id}", lambda: product.get(f"/api/v1/ads/{ad_id}").status == 200)


# ---- tables

UUID_AD = "7d0f4b52-11aa-4c50-9a53-0f7f5a6b8c9d"

SCHEMAS = {
    # The camelCase tracker: uuid keys, quoted names, inet addresses.
    "camel": (
        'CREATE TABLE ads (id uuid PRIMARY KEY, name text, "imageUrl" text, "videoUrl" text, "targetUrl" text)',
        f"INSERT INTO ads VALUES ('{UUID_AD}', 'Camel', 'https://example.com/i.png', NULL, 'https://example.com/l')",
        'CREATE TABLE clicks (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "adId" uuid, "timestamp" timestamptz, '
        '"ipAddress" inet, "videoPlaybackTime" double precision)',
        f'INSERT INTO clicks ("adId", "timestamp", "ipAddress", "videoPlaybackTime") SELECT \'{UUID_AD}\', '
        "now() - n * interval '7 hours', ('10.0.0.' || n % 50)::inet, n / 3.0 FROM generate_series(1, 240) n",
    ),
    # The snake_case tracker: serial keys, a timestamp without a zone, addresses as text with their port.
    "snake": (
        "CREATE TABLE ads (id serial PRIMARY KEY, title varchar(80), image_url varchar(200), target_url varchar(200), "
        "created_at timestamp)",
        "INSERT INTO ads VALUES (7001, 'Snake', 'https://example.com/i.png', 'https://example.com/l', '2023-05-06 07:08:09')",
        "CREATE TABLE clicks (id bigserial PRIMARY KEY, ad_id integer, clicked_at timestamp, created_at timestamp DEFAULT now(), "
        "ip_address varchar(64), playback_time numeric(10, 3), user_agent text)",
        "INSERT INTO clicks (ad_id, clicked_at, ip_address, playback_time, user_agent) SELECT 7001, "
        "(now() AT TIME ZONE 'UTC') - n * interval '5 hours', '198.51.100.' || n % 200 || ':4711', 1.5, 'UA ' || n % 3 "
        "FROM generate_series(1, 300) n",
    ),
    # Text keys that clients gave, milliseconds, no table of ads.
    "plain": (
        "CREATE TABLE clicks (click_id text, ad_id text, click_time bigint, user_ip text, video_play_time integer)",
        "INSERT INTO clicks SELECT 'c-' || n, 'plain-ad', (extract(epoch FROM now())::bigint - n * 3600) * 1000, '', 5 "
        "FROM generate_series(1, 200) n",
    ),
    # No key at all, seconds: identical rows are clicks of their own.
    "keyless": (
        "CREATE TABLE clicks (ad_id varchar(20), \"timestamp\" double precision)",
        "INSERT INTO clicks SELECT 'keyless-ad', floor(extract(epoch FROM now())) - 86400 * (n / 30) FROM generate_series(0, 149) n",
    ),
}


@pytest.mark.parametrize("schema, ad_id, count", [("camel", UUID_AD, 240), ("snake", "7001", 300), ("plain", "plain-ad", 200),
                                                  ("keyless", "keyless-ad", 150)])
def test_tables_of_each_schema_come_over_once(product, schema, ad_id, count):
    url = make_schema(product, schema, *SCHEMAS[schema])

    first = run_import(product, "--postgres", url)
    second = run_import(product, "--postgres", url)

    assert f"clicks: {count} sent, 0 were there already" in first and f"stored: {count}, duplicates: 0, dead letters: 0" in first
    assert f"clicks: 0 sent, {count} were there already" in second
    assert rows(product, ad_id) == count
    known(product, ad_id)
    wait_until("the total is right", lambda: total(product, ad_id) == count)
    product.agree()


def test_every_field_of_a_row_is_taken_over(product):
    at = ago(3 * DAY)
    click = uuid.uuid4()
    url = make_schema(
        product, "fields", "CREATE TABLE ads (id text, name text, image text, video text, landing_url text, created_at timestamptz)",
        "INSERT INTO ads VALUES ('field-ad', 'Fields', 'https://example.com/i.png', 'https://example.com/v.mp4', "
        "'https://example.com/l', '2024-02-03 04:05:06+01')",
        "CREATE TABLE clicks (id serial, event_id uuid, ad_id text, clicked_at timestamptz, ip inet, playback_seconds real, user_agent text)",
        f"INSERT INTO clicks (event_id, ad_id, clicked_at, ip, playback_seconds, user_agent) VALUES ('{click}', 'field-ad', '{at}', "
        "'203.0.113.77', 12.25, 'Mozilla')")

    said = run_import(product, "--postgres", url)

    assert "id <- event_id (uuid)" in said and "timestamp <- clicked_at (timestamp with time zone)" in said
    assert "playback_time <- playback_seconds (real)" in said and "not used: id" in said
    assert product.sql("SELECT title, image_url, video_url, target_url, created_at FROM ads WHERE id = 'field-ad'") == [
        ("Fields", "https://example.com/i.png", "https://example.com/v.mp4", "https://example.com/l",
         datetime(2024, 2, 3, 3, 5, 6, tzinfo=timezone.utc))]
    [(event_at, received_at, ip, playback, visitor, event_id)] = product.sql(
        "SELECT event_at, received_at, host(ip), playback_ms, visitor, event_id::text FROM events WHERE ad_id = 'field-ad'")
    assert (event_at, received_at, ip, playback) == (at, at, "203.0.113.0", 12250)
    assert visitor is not None and uuid.UUID(event_id).version == 8
    quarter = at.replace(minute=at.minute // 15 * 15, second=0)
    assert product.sql("SELECT quarter_at, count FROM ad_quarter WHERE ad_id = 'field-ad'") == [(quarter, 1)]


def test_a_click_that_the_gateway_recorded_too_is_one_event(product):
    at, click = rfc3339(ago(3600)), str(uuid.uuid4())
    answer = product.post("/api/v1/ads/click", {"ad_id": "ad-001", "event_id": click, "timestamp": at})
    assert answer.status == 202
    before = wait_until("it is stored", lambda: rows(product, "ad-001"))
    url = make_schema(product, "mirrored", "CREATE TABLE clicks (id uuid, ad_id text, clicked_at timestamptz)",
                      f"INSERT INTO clicks VALUES ('{click}', 'ad-001', '{at}')")

    assert "clicks: 0 sent, 1 were there already" in run_import(product, "--postgres", url)
    assert rows(product, "ad-001") == before


def test_clicks_of_long_ago_are_in_totals_days_and_quarters(product):
    url = make_schema(
        product, "late", "CREATE TABLE clicks (id serial, ad_id text, ts_unused int, clicked_at timestamptz, ip text)",
        "INSERT INTO clicks (ad_id, clicked_at, ip) SELECT 'late-ad', now() - d * interval '1 day' - n * interval '10 seconds', "
        "'192.0.2.' || n FROM generate_series(0, 89) d, generate_series(1, 20) n WHERE d < 89")

    run_import(product, "--postgres", url)
    known(product, "late-ad")

    wait_until("the total is right", lambda: total(product, "late-ad") == 89 * 20)
    product.agree()
    week = product.sql("SELECT count(*) FROM events WHERE ad_id = 'late-ad' AND received_at > now() - interval '7 days'")[0][0]
    frames = product.analytics("late-ad")["time_frames"]
    assert abs(frames["last_7_days"] - week) <= 20  # the window's oldest edge is a quarter hour
    assert frames["last_24_hours"] >= 20
    assert product.sql("SELECT count(DISTINCT quarter_at::date), sum(count) FROM ad_quarter WHERE ad_id = 'late-ad'")[0][1] == 89 * 20
    assert product.sql("SELECT count(*) FROM dead_letters")[0][0] == 0
    days = product.sql("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass")[0][0]
    assert days >= 89


def test_unique_visitors_of_long_ago_are_counted_after_a_rebuild(product):
    url = make_schema(
        product, "uniques", "CREATE TABLE clicks (id serial, ad_id text, clicked_at timestamptz, ip text)",
        "INSERT INTO clicks (ad_id, clicked_at, ip) SELECT 'unique-ad', now() - interval '20 days', '192.0.2.' || n FROM generate_series(1, 200) n")
    run_import(product, "--postgres", url)
    known(product, "unique-ad")

    product.redis().delete("{0}:position")

    wait_until("every visitor is there", lambda: abs(product.analytics("unique-ad")["unique_clicks"] - 200) <= 4)
    wait_until("the rebuild is done", lambda: product.redis().exists("{0}:position"))
    product.agree()


# ---- the ledger

def audit(product):
    answer = product.as_admin("GET", "/api/v1/audit")
    assert answer.status == 200, answer.body
    return answer.json()


def assert_proven(product, events):
    """The audit finds nothing; nor would it between any two headers of a lane, of which the last tells of all its events."""
    found = audit(product)
    assert (found["balanced"], found["findings"]) == (True, []), found
    assert (found["totals"]["lost"], found["totals"]["accepted"], found["totals"]["stored"]) == (0, events, events)
    wrong = product.sql("SELECT * FROM (SELECT *, coalesce(sum(events) OVER (lane ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW), 0) AS before,"
                        " lead(batch_no) OVER lane IS NULL AS is_last FROM batches"
                        " WINDOW lane AS (PARTITION BY gateway_id, thread, partition ORDER BY batch_no)) told"
                        " WHERE accepted <> before OR settled_below <> batch_no OR (is_last AND events > 0)")
    assert wrong == []


def test_four_partitions_are_filled_like_one_and_the_ledger_balances(start_product, tmp_path):
    product = start_product(PARTITIONS="4")
    url = make_schema(product, "parts", "CREATE TABLE clicks (id serial, ad_id text, clicked_at timestamptz)",
                      "INSERT INTO clicks (ad_id, clicked_at) SELECT 'part-' || n % 40, now() - n * interval '1 minute' FROM generate_series(1, 8000) n")
    source, at = tmp_path / "clicks.jsonl", rfc3339(ago(3600))
    source.write_text("".join(json.dumps({"id": n, "ad_id": f"line-{n % 40}", "timestamp": at}) + "\n" for n in range(6000)))

    assert "PARTITIONS is 2" in run_import(product, "--postgres", url, status=2, PARTITIONS="2")
    assert "stored: 8000, duplicates: 0, dead letters: 0" in run_import(product, "--postgres", url, PARTITIONS="4")
    product.agree()
    batches = product.sql("SELECT count(*) FROM batches WHERE events > 0 GROUP BY partition")
    assert len(batches) == 4 and max(batches) > (1,), batches  # with one a lane, no sum would be compared
    assert_proven(product, 8000)

    run_import(product, "--jsonl", source)
    assert_proven(product, 14_000)
    assert "clicks: 0 sent" in run_import(product, "--jsonl", source, "--postgres", url)
    assert_proven(product, 14_000)


# ---- what is too old

def test_records_older_than_the_target_keeps_stop_the_import_unless_they_are_skipped(product):
    url = make_schema(product, "old", "CREATE TABLE clicks (id serial, ad_id text, clicked_at timestamptz)",
                      "INSERT INTO clicks (ad_id, clicked_at) SELECT 'old-ad', now() - n * interval '10 days' FROM generate_series(1, 12) n")

    refused = run_import(product, "--postgres", url, status=2)
    assert "12 records" in refused and "4 older than 90 days" in refused and "--skip-old" in refused
    assert rows(product, "old-ad") == 0 and product.sql("SELECT 1 FROM ads WHERE id = 'old-ad'") == []

    skipped = run_import(product, "--postgres", url, "--skip-old")
    assert "clicks: 8 sent" in skipped and "4 too old and left out" in skipped and "dead letters: 0" in skipped
    assert rows(product, "old-ad") == 8


def test_a_larger_retention_takes_older_records_and_their_sums_outlive_them(start_product):
    product = start_product(RETENTION_DAYS="200")
    url = make_schema(product, "old", "CREATE TABLE clicks (id serial, ad_id text, clicked_at timestamptz)",
                      "INSERT INTO clicks (ad_id, clicked_at) SELECT 'old-ad', now() - n * interval '10 days' FROM generate_series(1, 12) n")
    assert "stored: 12, duplicates: 0, dead letters: 0" in run_import(product, "--postgres", url, "--retention-days", 200)
    known(product, "old-ad")
    wait_until("the total is right", lambda: total(product, "old-ad") == 12)

    assert product.stack.process("ingest").stop()
    product.restart("ingest", RETENTION_DAYS="90")

    wait_until("the older rows are gone", lambda: rows(product, "old-ad") < 12)
    assert total(product, "old-ad") == 12 and product.rolled_up_by_ad()["old-ad"] == 12


def test_dead_letters_are_told_when_the_retention_was_said_wrongly(start_product):
    product = start_product()
    url = make_schema(product, "wrong", "CREATE TABLE clicks (id serial, ad_id text, clicked_at timestamptz)",
                      "INSERT INTO clicks (ad_id, clicked_at) VALUES ('wrong-ad', now() - interval '100 days')")
    said = run_import(product, "--postgres", url, "--retention-days", 365, status=1)
    assert "dead letters: 1" in said
    product.agree()  # Redis counted it, and takes it back


# ---- what cannot be mapped or read

@pytest.mark.parametrize("statement, message", [
    ("CREATE TABLE clicks (id serial, clicked_at timestamptz)", "table clicks has no column for ad_id"),
    ("CREATE TABLE clicks (ad_id text, ip text)", "table clicks has no column for timestamp"),
    ("CREATE TABLE clicks (ad_id text, clicked_at timestamptz, ip point)", "column clicks.ip has type point"),
    ("CREATE TABLE something (id int)", "there is no table clicks"),
])
def test_a_table_that_cannot_be_mapped_is_refused_with_the_reason(product, statement, message):
    assert message in run_import(product, "--postgres", make_schema(product, "odd", statement), status=2)


def test_adledgers_own_tables_are_no_source(product):
    assert "adledger's own" in run_import(product, "--postgres", product.stack.database_url, status=2)


def test_bad_records_are_rejected_one_by_one_and_can_be_corrected(product, tmp_path):
    at = rfc3339(ago(7200))
    lines = [
        {"id": 1, "ad_id": "line-ad", "timestamp": at},
        "not json",
        {"id": 2, "ad_id": "no good", "timestamp": at},
        {"id": 3, "ad_id": "line-ad", "timestamp": "yesterday"},
        {"id": 4, "ad_id": "line-ad", "timestamp": at, "ip": "999.1.1.1"},
        {"id": 5, "ad_id": "line-ad", "timestamp": at, "playback_time": -1},
        {"id": 6, "timestamp": at},
        {"id": 7, "ad_id": "line-ad", "timestamp": rfc3339(ago(-DAY))},
        {"id": 8, "ad_id": "line-ad", "timestamp": at},
    ]
    source, rejects, again = tmp_path / "fallback_clicks.jsonl", tmp_path / "rejects", tmp_path / "rejects.2"
    source.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")

    said = run_import(product, "--jsonl", source, "--rejects", rejects, status=1)

    found = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert "fallback_clicks.jsonl: 9 records" in said and "clicks: 2 sent" in said and "rejected: 7" in said
    assert [entry["place"] for entry in found] == [f"line {number}" for number in (2, 3, 4, 5, 6, 7, 8)]
    assert all(entry["reason"] for entry in found) and found[0]["record"] == "not json"

    corrected = rejects.read_text().replace("no good", "line-ad").replace("yesterday", at).replace("999.1.1.1", "192.0.2.1")
    (tmp_path / "corrected.jsonl").write_text(corrected)
    run_import(product, "--jsonl", tmp_path / "corrected.jsonl", "--rejects", again, status=1)
    assert rows(product, "line-ad") == 5 and len(again.read_text().splitlines()) == 4


def test_a_dry_run_changes_nothing(product, tmp_path):
    source = tmp_path / "clicks.jsonl"
    source.write_text(json.dumps({"id": 1, "ad_id": "dry-ad", "timestamp": rfc3339(ago(60))}) + "\nbad\n")
    said = run_import(product, "--jsonl", source, "--dry-run", status=1)
    assert "dry run" in said and "1 that cannot be imported" in said and "catalogue: 1 ads" in said
    assert rows(product, "dry-ad") == 0 and product.sql("SELECT 1 FROM ads WHERE id = 'dry-ad'") == []


# ---- files and lists

def test_a_file_with_every_spelling_comes_over_once(product, tmp_path):
    at = ago(5000)
    lines = [
        {"adId": "spelled", "timestamp": rfc3339(at), "ipAddress": "192.0.2.1", "videoPlaybackTime": 1.5, "clickId": str(uuid.uuid4())},
        {"ad_id": "spelled", "clicked_at": int(at.timestamp()), "ip_address": "192.0.2.2:80", "playback_time": 2, "id": 17},
        {"AdID": "spelled", "click_time": int(at.timestamp() * 1000), "user_ip": "[2001:db8::1]:80", "video_play_time": "3"},
        {"click": {"ad_id": "spelled", "timestamp": rfc3339(at), "id": 0}, "error": "connection refused"},
        {"payload": json.dumps({"ad_id": "spelled", "created_at": rfc3339(at), "id": 18})},
        {"ad_id": "spelled", "timestamp": rfc3339(at), "id": 0},
    ]
    source = tmp_path / "fallback_clicks.jsonl"
    source.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    for sent in (6, 0):
        assert f"clicks: {sent} sent" in run_import(product, "--jsonl", source)
    assert rows(product, "spelled") == 6
    assert product.sql("SELECT count(DISTINCT received_at) FROM events WHERE ad_id = 'spelled'")[0][0] == 1


def old_redis(product):
    store = product.redis()
    store.delete("click_queue", "click_dead", "click_queue:adledger", "click_dead:adledger")
    return store


LISTED_AT = ago(4000)  # the same record in two lists has one time


def push(store, name, ad_id, first, count):
    for number in range(first, first + count):
        store.rpush(name, json.dumps({"id": number, "ad_id": ad_id, "timestamp": rfc3339(LISTED_AT)}))


def test_lists_are_read_and_left_alone(product):
    store = old_redis(product)
    push(store, "click_queue", "listed", 1, 2500)
    push(store, "click_dead", "listed", 2400, 200)
    first = run_import(product, "--redis", product.stack.redis_url)
    assert "click_queue: 2500 records" in first and "click_dead: 200 records" in first
    assert "stored: 2599, duplicates: 101" in first
    assert store.llen("click_queue") == 2500 and store.llen("click_dead") == 200
    assert "clicks: 0 sent, 2700 were there already" in run_import(product, "--redis", product.stack.redis_url)
    assert rows(product, "listed") == 2599


def test_consumed_lists_are_gone_and_what_an_interrupted_run_took_is_read_first(product, tmp_path):
    store = old_redis(product)
    push(store, "click_queue:adledger", "consumed", 1, 10)
    push(store, "click_queue", "consumed", 11, 10)
    store.rpush("click_dead", "not json")
    assert "--consume needs --rejects" in run_import(product, "--redis", product.stack.redis_url, "--consume", status=2)

    said = run_import(product, "--redis", product.stack.redis_url, "--consume", "--rejects", tmp_path / "rejects", status=1)

    assert "21 elements removed" in said and rows(product, "consumed") == 20
    assert store.keys("click_*") == []
    assert "not json" in (tmp_path / "rejects").read_text()


# ---- interruptions

def test_a_killed_import_that_is_run_again_ends_exact(product):
    url = make_schema(
        product, "killed", "CREATE TABLE clicks (ad_id text, clicked_at timestamptz, ip text)",
        "INSERT INTO clicks SELECT 'killed-' || n % 20, date_trunc('second', now()) - (n / 4) * interval '3 seconds', '192.0.2.' || n % 2 "
        "FROM generate_series(1, 100000) n")
    ads = [f"killed-{number}" for number in range(20)]
    for portion in (5_000, 30_000, 60_000):
        tool = start_import(product, "--postgres", url)
        wait_until("some of it is stored", lambda: rows(product, *ads) > portion or tool.poll() is not None, 60)
        assert tool.poll() is None, tool.communicate()
        tool.kill()
        tool.communicate()
    said = run_import(product, "--postgres", url)

    assert "dead letters: 0" in said
    wait_until("all of it is stored", lambda: rows(product, *ads) == 100_000)
    product.agree(60)
    found = audit(product)
    assert (found["balanced"], found["findings"], found["totals"]["lost"]) == (True, [], 0), found
    for ad_id in ads:
        known(product, ad_id)
        assert total(product, ad_id) == 5_000


def test_services_killed_under_an_import_lose_nothing(product):
    url = make_schema(product, "faults", "CREATE TABLE clicks (id bigserial, ad_id text, clicked_at timestamptz)",
                      "INSERT INTO clicks (ad_id, clicked_at) SELECT 'fault-ad', now() - n * interval '5 seconds' FROM generate_series(1, 100000) n")
    tool = start_import(product, "--postgres", url)
    for victim in ("ingest", "analytics"):
        before = rows(product, "fault-ad")
        wait_until("it flows", lambda: rows(product, "fault-ad") > before or tool.poll() is not None, 60)
        product.stack.process(victim).kill()
        product.restart(victim)
    out, err = tool.communicate(timeout=300)
    assert tool.returncode == 0, out + err
    assert rows(product, "fault-ad") == 100_000
    product.agree(60)


def test_live_clicks_are_taken_while_an_import_runs(product):
    from product import Load
    url = make_schema(product, "busy", "CREATE TABLE clicks (id bigserial, ad_id text, clicked_at timestamptz)",
                      "INSERT INTO clicks (ad_id, clicked_at) SELECT 'busy-ad', now() - n * interval '5 seconds' FROM generate_series(1, 100000) n")
    with Load(product.stack.url(), connections=8, per_second=500) as load:
        run_import(product, "--postgres", url)
    assert set(load.statuses) == {202}
    product.reconcile(load.accepted)
    assert rows(product, "busy-ad") == 100_000


# ---- the command

def test_without_a_source_it_says_what_to_do(product):
    assert "no source" in run_import(product, status=2)
    assert "--postgres URL" in run_import(product, "--help")
    assert "is no option" in run_import(product, "clicks.csv", status=2)


def test_a_target_that_is_not_there_is_an_error_and_not_a_hang(product, tmp_path):
    source = tmp_path / "clicks.jsonl"
    source.write_text(json.dumps({"ad_id": "ad-001", "timestamp": rfc3339(ago(60))}) + "\n")
    began = time.monotonic()
    tool = subprocess.run([binary(product), "--jsonl", source], capture_output=True, text=True, check=False, timeout=60,
                          env=dict(os.environ, DATABASE_URL="postgresql://adledger@127.0.0.1:1/x", NATS_URL=product.stack.nats_url))
    assert tool.returncode == 2 and "error:" in tool.stderr and time.monotonic() - began < 30


def test_the_script_runs_the_tool():
    done = subprocess.run([ROOT / "tools" / "import", "--help"], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0 and done.stdout.startswith("tools/import brings")


def test_the_key_of_imported_visitors_can_be_forgotten(product):
    assert "is deleted" in run_import(product, "--forget")
    assert "there was no key" in run_import(product, "--forget")
    with psycopg2.connect(product.stack.database_url) as database, database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM deployment")
        assert cursor.fetchone()[0] == 1
