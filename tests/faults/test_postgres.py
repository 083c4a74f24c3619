"""Rows 9 to 16 of the fault matrix: clicks wait on the stream while PostgreSQL cannot take them."""

import contextlib
import datetime
import time

import psycopg2
import pytest
from disk import fill
from load import ADS
from nats_client import NatsClient
from product import uuid7, wait_until
from proxy import DOWN, UP
from raw_batch import batch, event

ENV = {"PG_SLOW_MS": "500", "PG_LOCK_MS": "2500"}
DAY_MS = 86_400_000


def dead_letters(rig):
    return rig.books.sql("SELECT count(*) FROM dead_letters")[0][0]


def ingest_stored(rig):
    return rig.metric("ingest", "ingest_events_stored_total")


@pytest.mark.fast
def test_row_09_postgres_is_killed(rig):
    with rig.load() as load:
        load.accepts()
        rig.kill("postgres")
        load.flow(4)
        rig.restart("postgres")
        rig.recovers(60)
    load.saw_only("202")
    rig.prove()


def test_row_10_postgres_is_frozen(rig):
    with rig.load() as load:
        load.accepts()
        rig.freeze("postgres")
        load.flow(8)
        rig.thaw("postgres")
        rig.recovers(60)
    load.saw_only("202")
    rig.prove()


class Requests:
    """For a proxy's way UP: counts what asks the stream for messages, and passes everything."""

    def __init__(self):
        self.count = 0

    def __call__(self, _, data):
        self.count += data.count(b"CONSUMER.MSG.NEXT")
        return data


def postgres_trials(rig):
    return rig.metric("ingest", "breaker_transitions_total", dependency="postgres", to="half_open")


def transaction_sizes(rig, after, until):
    """Messages in each transaction that stored some of these, in their order."""
    return [row[0] for row in rig.books.sql("SELECT count(*) FROM batches WHERE seq > %s AND seq <= %s GROUP BY xmin ORDER BY min(seq)", (after, until))]


def test_row_09_ingest_fetches_nothing_while_postgres_is_away_and_then_begins_with_little(rig):
    requests = Requests()
    with rig.load() as load:
        load.accepts()
        before = rig.books.positions()[0][0]
        rig.kill("postgres")
        wait_until("the breaker is open", lambda: rig.metric("ingest", "breaker_state", dependency="postgres", state="open") > 0, 10)
        rig.link["ingest", "nats"].filters = {UP: requests}
        trials = postgres_trials(rig)
        load.flow(6)
        meanwhile = requests.count
        assert meanwhile <= 1 + postgres_trials(rig) - trials, "it fetches what it cannot store"
        waiting = rig.books.stream_ends()[0]
        rig.restart("postgres")
        rig.recovers(60)
        assert requests.count > meanwhile, "the proxy does not see what asks the stream"
    load.saw_only("202")
    sizes = transaction_sizes(rig, before, waiting)
    assert 1 in sizes, f"it does not begin with one: {sizes}"
    begun = sizes.index(1)  # what was on its way when PostgreSQL was killed may be stored before
    ramp = [size for size in sizes[begun:] if size > 1]
    assert begun <= 2 and len(ramp) >= 2 and ramp[0] <= 10 and ramp[1] <= 100 < max(ramp), sizes
    rig.prove()


def breaker_opened(rig, reason):
    return rig.metric("ingest", "breaker_transitions_total", dependency="postgres", reason=reason)


def test_row_11_postgres_is_slow(rig):
    before = breaker_opened(rig, "slow")
    with rig.load() as load:
        load.accepts()
        rig.link["ingest", "postgres"].latency_s = 0.1
        wait_until("the breaker opens because of slow calls", lambda: breaker_opened(rig, "slow") > before, 40)
        rig.link["ingest", "postgres"].heal()
        rig.recovers(60)
    load.saw_only("202")
    rig.prove()


@contextlib.contextmanager
def session(rig):
    link = psycopg2.connect(rig.stack.database_url)
    try:
        with link.cursor() as cursor:
            yield cursor
        link.rollback()
    finally:
        link.close()


def test_row_12_a_lock_is_held(rig):
    with rig.load() as load:
        load.accepts()
        with session(rig) as other:
            other.execute("LOCK TABLE ad_total IN ACCESS EXCLUSIVE MODE")
            load.flow(5)
        rig.recovers(15)
    load.saw_only("202")
    rig.prove()


def test_row_12_a_deadlock(rig):
    """The other session holds a rollup's row and asks for the position, which ingest holds while it waits for the row."""
    def deadlocks():
        return rig.books.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = 'adledger'")[0][0]

    before = deadlocks()
    with rig.load() as load:
        load.accepts()
        for _ in range(4):
            with session(rig) as other:
                other.execute("UPDATE ad_total SET count = count WHERE ad_id = %s", (ADS[0],))
                wait_until("ingest waits for the row", lambda: rig.books.sql(
                    "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                    " WHERE NOT granted AND application_name LIKE 'adledger ingest%%'")[0][0])
                with contextlib.suppress(psycopg2.Error):
                    other.execute("UPDATE positions SET moved_at = moved_at")
        rig.recovers(15)
    assert deadlocks() > before
    load.saw_only("202")
    rig.prove()


def test_row_13_postgres_is_read_only(rig):
    with rig.load() as load:
        load.accepts()
        opened = breaker_opened(rig, "configuration")
        rig.books.sql("ALTER DATABASE adledger SET default_transaction_read_only = on")
        rig.books.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'adledger'")
        load.flow(5)
        assert breaker_opened(rig, "configuration") > opened
        assert rig.metric("ingest", "breaker_calls_total", dependency="postgres", result="configuration") > 0, "nobody is told that somebody must act"
        rig.books.sql("ALTER DATABASE adledger RESET default_transaction_read_only")
        rig.recovers(60)
    load.saw_only("202")
    rig.prove()
    assert dead_letters(rig) == 0


def test_row_13_the_disk_of_postgres_is_full(start_rig):
    rig = start_rig(started=False)
    disk = rig.mount_small_disk("disk", 512)
    (rig.dir / "postgres").symlink_to(disk / "postgres")
    rig.start()
    with rig.load() as load:
        load.accepts()
        ballast = fill(disk)
        wait_until("PostgreSQL finds no room", lambda: rig.log_has("postgres", "No space left on device"), 40)
        load.flow(4)
        ballast.unlink()
        if rig.stack.process("postgres").pid is None:  # it ends when it cannot even write its log
            rig.restart("postgres")
        rig.recovers(60)
    load.saw_only("202")
    rig.prove()
    assert dead_letters(rig) == 0


def test_row_14_the_days_tables_are_missing_while_somebody_reads(start_rig):
    rig = start_rig()
    today = f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%d}"
    for table in ("events", "batches"):
        rig.books.sql(f"ALTER TABLE {table} DETACH PARTITION {table}_{today}")
        rig.books.sql(f"DROP TABLE {table}_{today}")
    with session(rig) as reader, rig.load() as load:
        reader.execute("SELECT count(*) FROM events")  # holds its lock until the end of the block
        load.accepts()
        rig.recovers(15)
    load.saw_only("202")
    rig.prove()
    assert dead_letters(rig) == 0


def test_row_14_what_lies_out_of_range_is_a_dead_letter(start_rig):
    rig = start_rig()
    now_ms = int(time.time() * 1000)
    ahead, far, long_ago = (uuid7(now_ms + days * DAY_MS) for days in (1, 10, -400))
    with rig.load() as load:
        load.accepts()
        with NatsClient(rig.stack.nats_url) as nats:
            nats.publish("ads.events.0", batch([event(each, ADS[0], now_ms) for each in (ahead, far, long_ago)]))
            nats.flush()
        load.accepts()
        rig.recovers(15)
    load.ids["202"].update((ahead, far, long_ago))
    rig.prove()
    dead = dict(rig.books.sql("SELECT event_id::text, code FROM dead_letters"))
    assert dead == {far: "out_of_range", long_ago: "out_of_range"}


@pytest.mark.fast
@pytest.mark.parametrize("arrives", [False, True], ids=["before it arrives", "before its answer"])
def test_row_15_the_connection_is_cut_at_commit(rig, arrives):
    cuts = []

    def cut_at_commit(link, data):
        if b"COMMIT\0" not in data or len(cuts) >= 5:
            return data
        cuts.append(len(data))
        if arrives:  # the server commits; its answer finds nobody
            link.server.transport.write(data)
            link.client.transport.abort()
            return b""
        link.cut()
        return b""

    with rig.load() as load:
        load.accepts()
        rig.link["ingest", "postgres"].filters = {UP: cut_at_commit}
        wait_until("five commits are cut", lambda: len(cuts) >= 5, 30)
        rig.link["ingest", "postgres"].heal()
        rig.recovers(30)
    load.saw_only("202")
    rig.prove()


def test_row_15_the_answer_to_a_commit_is_lost(rig):
    """The other end of the same: the server has committed, and said so."""
    cuts = []

    def cut_at_answer(link, data):
        if b"C\0\0\0\x0bCOMMIT\0" not in data or len(cuts) >= 5:
            return data
        cuts.append(len(data))
        link.cut()
        return b""

    with rig.load() as load:
        load.accepts()
        rig.link["ingest", "postgres"].filters = {DOWN: cut_at_answer}
        wait_until("five answers are lost", lambda: len(cuts) >= 5, 30)
        rig.link["ingest", "postgres"].heal()
        rig.recovers(30)
    load.saw_only("202")
    rig.prove()


def test_row_16_one_row_in_a_thousand_is_poison(start_rig):
    rig = start_rig()
    rig.books.sql("ALTER TABLE events ADD CONSTRAINT poison CHECK (playback_ms IS DISTINCT FROM 66600)")
    with rig.load(poison_every=1000) as load:
        load.flow(6)
    load.saw_only("202")
    rig.prove(settle_seconds=5)
    poisonous = -(-len(load.accepted) // 1000)
    assert rig.books.sql("SELECT code, count(*) FROM dead_letters GROUP BY 1") == [("23514", poisonous)]
    stored = {row[0] for row in rig.books.sql("SELECT event_id::text FROM events")}
    dead = {row[0] for row in rig.books.sql("SELECT event_id::text FROM dead_letters")}
    assert dead | stored == load.accepted and not dead & stored
