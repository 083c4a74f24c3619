"""What still works when a server is down, and what is said about it."""

from product import CLICK, Load, wait_until
from processes import free_port


MOVING = ("as_of", "timestamp", "lag_seconds", "source")
FRAMES = ("1m", "5m", "15m", "1h", "24h", "7d", "all")
VIDEO = ("start", "first_quartile", "midpoint", "third_quartile", "complete", "skip")


def numbers(product, query):
    answer = product.get(f"/api/v1/ads/analytics{query}")
    assert answer.status == 200, answer.body
    return answer.json()


def still(answer):
    """What must not depend on who answers."""
    if "ads" in answer:
        answer = {**answer, "ads": [still(row) for row in answer["ads"]], "totals": still(answer["totals"])}
    return {key: value for key, value in answer.items() if key not in MOVING}


def traffic(product):
    """Clicks of a few visitors, impressions and video events; all counted when it returns."""
    with Load(product.stack.url(), ads=["ad-001", "ad-002"], total=200) as load:
        load.wait()
    events = [{"type": kind, "ad_id": "ad-001", "ip": f"203.0.{n}.7"} for kind in ("click", "impression", *VIDEO) for n in range(5)]
    assert product.post("/api/v1/events", events).json()["accepted"] == len(events)
    product.reconcile(load.accepted)
    wait_until("all is counted", lambda: product.analytics("ad-001")["video"]["skip"] == 5)


def test_analytics_answers_the_same_from_postgres_while_redis_is_down(start_product):
    product = start_product(QUERY_CACHE_MS="0", BOARD_CACHE_MS="0")
    traffic(product)
    queries = [f"?ad_id=ad-001&timeframe={frame}" for frame in FRAMES] + \
        ["?timeframe=1h", "?", "?ad_id=ad-001&timezone=Asia/Kathmandu", "?ad_id=ad-002&minutes=7"]
    before = {query: numbers(product, query) for query in queries}
    assert before[queries[0]]["unique_clicks"] > 1 and before[queries[0]]["impressions"] == 5

    product.stack.process("redis").kill()
    wait_until("PostgreSQL answers", lambda: numbers(product, queries[0])["source"] == "postgres")
    for query in queries:
        answer = numbers(product, query)
        assert before[query]["source"] == "redis" and answer["source"] == "postgres"
        assert still(answer) == still(before[query]), query
        assert answer["stale"] is False and answer["lag_seconds"] is not None, query

    health = product.get("/health")
    assert health.status == 200 and health.json()["status"] == "degraded"
    assert health.json()["components"]["redis"]["state"] == "down"
    assert product.post(CLICK, {"ad_id": "ad-001"}).status == 202

    product.stack.start_redis()
    wait_until("Redis answers again", lambda: product.analytics("ad-001")["source"] == "redis")


def test_live_numbers_go_on_without_postgres(start_product):
    product = start_product()
    traffic(product)
    product.stack.process("postgres").kill()
    before = product.analytics("ad-001")["total_clicks"]

    assert product.post(CLICK, {"ad_id": "ad-001"}).status == 202

    answer = wait_until("it is counted", lambda: (now := product.analytics("ad-001"))["total_clicks"] == before + 1 and now)
    assert (answer["source"], answer["stale"]) == ("redis", False)
    assert product.get("/health").json()["components"]["postgres"]["state"] == "down"


def test_without_both_nothing_is_guessed(start_product):
    product = start_product()
    traffic(product)
    for name in ("redis", "postgres"):
        product.stack.process(name).kill()

    def refused(query):
        answer = product.get(f"/api/v1/ads/analytics{query}")
        return answer if answer.status == 503 else None

    for query in ("?ad_id=ad-001", "?", "?ad_id=ad-001&timeframe=1h"):
        answer = wait_until(f"{query} is refused", lambda query=query: refused(query))
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "unavailable" and int(answer.headers["retry-after"]) >= 1
    assert product.post(CLICK, {"ad_id": "ad-001"}).status == 202

    for name in ("postgres", "redis"):
        getattr(product.stack, f"start_{name}")()
    wait_until("numbers are back", lambda: product.get("/api/v1/ads/analytics?ad_id=ad-001").status == 200)


def grows_stale(product, source):
    """lag_seconds grows, and past STALE_AFTER_MS (2000) the numbers say that they are old."""
    lags = []

    def stale():
        answer = product.analytics("ad-001")
        assert answer["source"] == source
        if answer["lag_seconds"]:
            lags.append(answer["lag_seconds"])
        if answer["lag_seconds"] != 2:  # whole seconds: 2 may be either
            assert answer["stale"] == (answer["lag_seconds"] > 2), answer
        return answer["stale"] and answer["lag_seconds"] > 4
    wait_until("the numbers are stale", stale)
    assert lags == sorted(lags) and lags[-1] > lags[0]


def test_what_analytics_does_not_count_grows_old(start_product):
    product = start_product(STALE_AFTER_MS="2000", QUERY_CACHE_MS="0")
    traffic(product)
    wait_until("it has caught up", lambda: product.analytics("ad-001")["lag_seconds"] == 0)
    assert product.stack.process("analytics").stop()

    grows_stale(product, "redis")

    product.restart("analytics")
    wait_until("it has caught up", lambda: not product.analytics("ad-001")["stale"])


def test_what_ingest_does_not_store_grows_old(start_product):
    product = start_product(STALE_AFTER_MS="2000", QUERY_CACHE_MS="0")
    traffic(product)
    product.stack.process("redis").kill()
    wait_until("PostgreSQL answers", lambda: product.analytics("ad-001")["source"] == "postgres")
    wait_until("it has caught up", lambda: product.analytics("ad-001")["lag_seconds"] == 0)
    assert product.stack.process("ingest").stop()

    grows_stale(product, "postgres")

    product.restart("ingest")
    wait_until("it has caught up", lambda: not product.analytics("ad-001")["stale"])


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
    import base64
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

    wait_until("it is told on ADS_DLQ", lambda: product.sql("SELECT published_at FROM dead_letters")[0][0])
    with socket.create_connection(("127.0.0.1", product.stack.port("nats")), 5) as link:
        reader = link.makefile("rb")
        reader.readline()
        link.sendall(f"CONNECT {json.dumps(login)}\r\nSUB told 1\r\n"
                     "PUB $JS.API.STREAM.MSG.GET.ADS_DLQ told 9\r\n{\"seq\":1}\r\n".encode())
        while not (line := reader.readline()).startswith(b"{"):
            assert line
    message = json.loads(line)["message"]
    letter = json.loads(base64.b64decode(message["data"]))
    assert message["subject"] == "ads.dlq.0"
    assert (letter["code"], letter["partition"], letter["index"]) == ("undecodable", 0, -1)
    assert base64.b64decode(letter["payload"]) == b"not one"


def test_a_catalogue_that_could_not_be_saved_is_tried_again(start_product):
    product = start_product()
    directory = product.stack.dir / "later"
    port = free_port(set(product.stack.settings["ports"].values()))
    product.stack.start_service("gateway", instance="second", HTTP_PORT=str(port),
                                CATALOGUE_FILE=str(directory / "catalogue.json"), CATALOGUE_REFRESH_MS="200")
    wait_until("the second gateway is ready", lambda: product.stack.ready(port))
    assert not directory.exists()

    directory.mkdir()
    wait_until("the catalogue is on disk although no ad has changed", lambda: (directory / "catalogue.json").exists(), 10)
