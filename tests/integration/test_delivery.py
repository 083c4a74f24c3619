"""Every click answered 202 is one row and one count: under load, over kills, restarts and second processes."""

import subprocess
import threading

import pytest
from product import CLICK, Load, wait_until


def test_ten_thousand_concurrent_clicks_are_ten_thousand_rows_and_counts(product):
    with Load(product.stack.url(), connections=200, total=10_000) as load:
        load.wait()
    assert dict(load.statuses) == {202: 10_000}
    product.reconcile(load.accepted)


@pytest.mark.parametrize("victim", ["ingest", "analytics", "gateway"])
def test_kill_9_of_a_service_under_load_loses_and_doubles_nothing(product, victim):
    with Load(product.stack.url(), connections=32, retry=victim == "gateway") as load:
        for _ in range(3):
            before = len(load.accepted)
            wait_until("load flows", lambda: len(load.accepted) > before + 500)
            product.stack.process(victim).kill()
            product.restart(victim)
    assert set(load.statuses) <= {202, "closed"}, load.statuses
    product.reconcile(load.accepted, load.sent)


def test_a_restart_of_everything_resumes_where_it_was(product):
    with Load(product.stack.url(), total=2_000) as load:
        load.wait()
    assert product.stack.stop()
    product.stack.start()
    with Load(product.stack.url(), total=2_000) as more:
        more.wait()
    product.reconcile(load.accepted + more.accepted)


def test_sigterm_of_the_gateway_under_load_answers_what_it_took(product):
    with Load(product.stack.url(), connections=32) as load:
        wait_until("load flows", lambda: len(load.accepted) > 500)
        assert product.stack.process("gateway").stop()
        product.restart("gateway")
    product.reconcile(load.accepted, load.sent)


def test_two_processes_of_a_reader_on_one_partition_count_once(product):
    for service, variable in (("ingest", "INGEST_PORT"), ("analytics", "ANALYTICS_PORT")):
        product.stack.start_service(service, instance=f"{service}-2", **{variable: str(free_port())})
    with Load(product.stack.url(), connections=32) as load:
        for victim in ("ingest", "analytics", "ingest-2", "analytics-2"):
            before = len(load.accepted)
            wait_until("load flows", lambda: len(load.accepted) > before + 500)
            product.stack.process(victim).kill()
            service = victim.removesuffix("-2")
            port = {} if service == victim else {f"{service.upper()}_PORT": str(free_port())}
            product.stack.start_service(service, instance=None if service == victim else victim, **port)
    product.reconcile(load.accepted, load.sent)
    for service in ("ingest", "analytics"):
        assert product.stack.process(f"{service}-2").stop()


def test_four_partitions_count_like_one(start_product):
    product = start_product(PARTITIONS="4")
    ads = [f"part-{number}" for number in range(40)]
    product.add_ads(ads)
    with Load(product.stack.url(), ads=ads, connections=64, total=8_000) as load:
        wait_until("load flows", lambda: len(load.accepted) > 2_000)
        for victim in ("ingest", "analytics"):
            product.stack.process(victim).kill()
            product.restart(victim)
        load.wait()
    assert dict(load.statuses) == {202: 8_000}
    product.reconcile(load.accepted)
    used = product.sql("SELECT count(*) FROM positions WHERE seq > 0")[0][0]
    assert used == 4


def test_a_stream_made_anew_goes_on_without_reusing_a_sequence(product):
    with Load(product.stack.url(), total=500) as load:
        load.wait()
    product.reconcile(load.accepted)
    before = product.sql("SELECT max(seq) FROM positions")[0][0]

    delete_stream(product, "ADS_0")
    with Load(product.stack.url(), total=500, retry=True) as more:
        more.wait()

    product.reconcile(load.accepted + more.accepted)
    assert product.sql("SELECT max(seq) FROM positions")[0][0] > before


def delete_stream(product, name):
    """Speaks NATS's text protocol: one request, one answer."""
    import json
    import socket
    with socket.create_connection(("127.0.0.1", product.stack.port("nats")), 5) as link:
        reader = link.makefile("rb")
        reader.readline()  # INFO
        login = {"user": "adledger", "pass": product.stack.settings["passwords"]["nats"], "verbose": False, "pedantic": False}
        link.sendall(f"CONNECT {json.dumps(login)}\r\nSUB _INBOX.test 1\r\nPUB $JS.API.STREAM.DELETE.{name} _INBOX.test 0\r\n\r\n".encode())
        while not (line := reader.readline()).startswith(b"MSG"):
            assert line, "NATS closed the connection"
        assert json.loads(reader.readline())["success"]


def test_a_flushed_redis_is_rebuilt_without_help(product):
    with Load(product.stack.url(), total=1_000) as load:
        load.wait()
    product.reconcile(load.accepted)
    product.redis().flushall()
    with Load(product.stack.url(), total=1_000) as more:
        more.wait()
    product.reconcile(load.accepted + more.accepted, seconds=60)


def test_a_killed_redis_comes_back_and_agrees(product):
    with Load(product.stack.url(), connections=16) as load:
        wait_until("load flows", lambda: len(load.accepted) > 500)
        product.stack.process("redis").kill()
        before = len(load.accepted)
        wait_until("clicks are taken without Redis", lambda: len(load.accepted) > before + 500)
        product.stack.start_redis()
    assert set(load.statuses) == {202}
    product.reconcile(load.accepted, seconds=60)


def test_a_killed_postgres_comes_back_and_gets_everything(product):
    with Load(product.stack.url(), connections=16) as load:
        wait_until("load flows", lambda: len(load.accepted) > 500)
        question = "SELECT count(*) FROM generate_series(1, 8000000)"  # its backend outlives the postmaster for a while
        client = subprocess.Popen(["psql", "-qc", question, product.stack.database_url], stderr=subprocess.DEVNULL)
        wait_until("it is asked", lambda: product.sql("SELECT count(*) FROM pg_stat_activity WHERE query = %s", (question,))[0][0])
        product.stack.process("postgres").kill()
        before = len(load.accepted)
        wait_until("clicks are taken without PostgreSQL", lambda: len(load.accepted) > before + 500)
        product.stack.start_postgres()
    client.wait(60)
    assert set(load.statuses) == {202}
    product.reconcile(load.accepted, seconds=60)


def test_nats_killed_under_load_costs_no_click(product):
    with Load(product.stack.url(), connections=16) as load:
        wait_until("load flows", lambda: len(load.accepted) > 500)
        product.stack.process("nats").kill()
        product.stack.start_nats()
        before = len(load.accepted)
        wait_until("clicks are taken again", lambda: len(load.accepted) > before + 500)
    assert set(load.statuses) == {202}, load.statuses
    product.reconcile(load.accepted, load.sent, seconds=60)


def test_a_duplicate_is_counted_once_even_by_two_gateways(product):
    from keepalive import Connection
    from product import uuid7
    product.stack.start_service("gateway", instance="gateway-2", HTTP_PORT=str(second := free_port()), CATALOGUE_FILE=str(product.stack.dir / "second.json"))
    wait_until("the second gateway is ready", lambda: product.stack.ready(second))
    product.agree()
    total = product.analytics("ad-003")["total_clicks"]
    ids = [uuid7() for _ in range(50)]

    def send_all(url):
        connection = Connection(url)
        for event_id in ids:
            assert connection.request("POST", CLICK, f'{{"ad_id":"ad-003","event_id":"{event_id}"}}').status == 202

    urls = [product.stack.url(), f"http://127.0.0.1:{second}"] * 3
    threads = [threading.Thread(target=send_all, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = "\n".join(f'{{"type":"click","ad_id":"ad-003","event_id":"{event_id}"}}' for event_id in ids)
    assert product.post("/api/v1/events", lines, {"Content-Type": "application/x-ndjson"}).json()["accepted"] == 50

    product.reconcile(ids)
    wait_until("the count is exact", lambda: product.analytics("ad-003")["total_clicks"] == total + 50)
    assert product.stack.process("gateway-2").stop()


def free_port():
    from processes import free_port as pick
    return pick()


def test_a_duplicate_after_readers_restarted_is_counted_once(product):
    from product import uuid7
    ids = [uuid7() for _ in range(20)]
    for event_id in ids:
        assert product.post(CLICK, {"ad_id": "ad-002", "event_id": event_id}).status == 202
    product.reconcile(ids)
    total = product.analytics("ad-002")["total_clicks"]
    for name in ("ingest", "analytics"):
        product.stack.process(name).kill()
        product.restart(name)
    for event_id in ids:
        assert product.post(CLICK, {"ad_id": "ad-002", "event_id": event_id}).status == 202
    marker = uuid7()
    assert product.post(CLICK, {"ad_id": "ad-002", "event_id": marker}).status == 202
    product.reconcile([*ids, marker])
    wait_until("the count is exact", lambda: product.analytics("ad-002")["total_clicks"] == total + 1)
