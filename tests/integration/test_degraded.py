"""What still works when a server is down, and what is said about it."""

from product import CLICK, Load, wait_until


def test_analytics_answers_from_postgres_while_redis_is_down(start_product):
    product = start_product()
    with Load(product.stack.url(), ads=["ad-001", "ad-002"], total=300) as load:
        load.wait()
    assert product.post("/api/v1/ads/impression", {"ad_id": "ad-001"}).status == 202
    product.reconcile(load.accepted)
    wait_until("the impression is counted", lambda: product.analytics("ad-001")["impressions"] == 1)
    before = product.analytics("ad-001", "&timeframe=1h")

    product.stack.process("redis").kill()
    def from_postgres():
        answer = product.analytics("ad-001", "&timeframe=1h")
        return answer if answer["source"] == "postgres" else None

    answer = wait_until("PostgreSQL answers", from_postgres)
    assert before["source"] == "redis"
    moving = ("as_of", "timestamp", "lag_seconds", "source", "unique_clicks")
    assert {key: value for key, value in answer.items() if key not in moving} == \
        {key: value for key, value in before.items() if key not in moving}
    health = product.get("/health")
    assert health.status == 200 and health.json()["status"] == "degraded"
    assert health.json()["components"]["redis"]["state"] == "down"
    assert product.post(CLICK, {"ad_id": "ad-001"}).status == 202

    product.stack.start_redis()
    wait_until("Redis answers again", lambda: product.analytics("ad-001")["source"] == "redis")


def test_a_gateway_starts_and_takes_clicks_without_postgres(start_product):
    product = start_product()
    wait_until("the catalogue is on disk", lambda: (product.stack.dir / "gateway" / "catalogue.json").exists())
    assert product.stack.process("gateway").stop()
    product.stack.process("postgres").kill()

    product.restart("gateway")
    accepted = [product.post(CLICK, {"ad_id": "ad-002"}) for _ in range(20)]
    unknown = product.post(CLICK, {"ad_id": "no-such-ad"})

    assert [answer.status for answer in accepted] == [202] * 20
    assert unknown.status == 404
    assert product.get("/api/v1/ads").json()["count"] == 5
    wait_until("live counters go on", lambda: product.analytics("ad-002")["total_clicks"] == 20)
    product.stack.start_postgres()
    product.reconcile([answer.json()["click_id"] for answer in accepted], seconds=60)


def test_a_first_start_without_postgres_accepts_and_ingest_resolves_the_ads(start_product):
    product = start_product()
    for name in ("gateway", "ingest"):
        assert product.stack.process(name).stop()
    (product.stack.dir / "gateway" / "catalogue.json").unlink()
    product.stack.process("postgres").kill()

    product.stack.start_service("gateway", CATALOGUE_WAIT_MS="500")
    product.stack.wait_ready("gateway")
    good, bad = product.post(CLICK, {"ad_id": "ad-001"}), product.post(CLICK, {"ad_id": "no-such-ad"})
    assert (good.status, bad.status) == (202, 202)

    product.stack.start_postgres()
    product.restart("ingest")
    product.reconcile([good.json()["click_id"]], seconds=60)
    dead = wait_until("the unknown ad is a dead letter", lambda: product.sql("SELECT code, event_id::text, ad_id FROM dead_letters"))
    assert dead == [("unknown_ad", bad.json()["click_id"], "no-such-ad")]


def test_one_bad_message_on_the_stream_costs_only_itself(start_product):
    import json
    import socket
    product = start_product()
    with Load(product.stack.url(), total=200) as load:
        load.wait()
    with socket.create_connection(("127.0.0.1", product.stack.port("nats")), 5) as link:
        reader = link.makefile("rb")
        reader.readline()
        login = {"user": "adledger", "pass": product.stack.settings["passwords"]["nats"], "verbose": False, "pedantic": False}
        link.sendall(f"CONNECT {json.dumps(login)}\r\nPUB ads.events.0 7\r\nnot one\r\nPING\r\n".encode())
        while not (line := reader.readline()).startswith(b"PONG"):
            assert line
    with Load(product.stack.url(), total=200) as more:
        more.wait()
    product.reconcile(load.accepted + more.accepted)
    assert product.sql("SELECT code, payload FROM dead_letters")[0][0] == "undecodable"
    assert bytes(product.sql("SELECT payload FROM dead_letters")[0][0]) == b"not one"
