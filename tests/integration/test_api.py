"""Every route and field of the API that collects and reads, against a running product."""

import datetime
import re
import subprocess
import uuid

import openapi
import pytest
from product import CLICK, uuid7, wait_until

UUID_AD = "11111111-1111-1111-1111-111111111111"
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
WINDOWS = ["last_1_minute", "last_5_minutes", "last_15_minutes", "last_1_hour", "last_24_hours", "last_7_days"]


def now_text():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def row(product, event_id):
    columns = "type, reason, flags, ad_id, event_at, received_at, visitor, playback_ms, host(ip)"
    found = wait_until(f"{event_id} is stored", lambda: product.sql(f"SELECT {columns} FROM events WHERE event_id = %s", (event_id,)))
    return dict(zip(("type", "reason", "flags", "ad_id", "event_at", "received_at", "visitor", "playback_ms", "ip"), found[0]))


def click(product, **fields):
    answer = product.post(CLICK, {"ad_id": "ad-001", **fields})
    assert answer.status == 202, answer.body
    return answer.json()


# ---- collecting -------------------------------------------------------------------------------------


def test_a_click_is_answered_with_its_id_and_time(product):
    answer = click(product, playback_time=30)

    assert answer["message"] == "Click recorded" and answer["processing"] == "asynchronous"
    assert answer["ad_id"] == "ad-001"
    assert uuid.UUID(answer["click_id"]).version == 7
    assert INSTANT.fullmatch(answer["timestamp"])
    stored = row(product, answer["click_id"])
    assert (stored["type"], stored["ad_id"], stored["playback_ms"]) == (1, "ad-001", 30_000)


def test_an_impression_is_an_event_of_its_own_type(product):
    answer = product.post("/api/v1/ads/impression", {"ad_id": "ad-001"})

    assert answer.status == 202
    assert answer.json()["message"] == "Impression recorded"
    assert row(product, answer.json()["event_id"])["type"] == 2


@pytest.mark.parametrize("spelling", ["ad_id", "adId"])
def test_ad_id_in_every_spelling(product, spelling):
    answer = product.post(CLICK, {spelling: "ad-002"})
    assert answer.status == 202 and answer.json()["ad_id"] == "ad-002"


@pytest.mark.parametrize("spelling", ["ip", "ip_address", "ipAddress"])
def test_ip_in_every_spelling(product, spelling):
    answer = click(product, **{spelling: "203.0.113.77"})
    assert row(product, answer["click_id"])["ip"] == "203.0.113.0"  # truncated by default


@pytest.mark.parametrize("spelling", ["playback_time", "video_playback_time", "videoPlaybackTime", "video_play_time"])
def test_playback_time_in_every_spelling(product, spelling):
    answer = click(product, **{spelling: 12.5})
    assert row(product, answer["click_id"])["playback_ms"] == 12_500


@pytest.mark.parametrize("spelling", ["event_id", "eventId", "click_id", "clickId"])
def test_event_id_in_every_spelling_is_echoed_and_stored(product, spelling):
    mine = uuid7()
    assert click(product, **{spelling: mine})["click_id"] == mine
    row(product, mine)


def test_the_idempotency_key_is_an_event_id(product):
    mine = uuid7()
    for _ in range(2):
        answer = product.post(CLICK, {"ad_id": "ad-001"}, {"Idempotency-Key": mine})
        assert answer.status == 202 and answer.json()["click_id"] == mine
    row(product, mine)


def test_a_foreign_id_is_filed_by_its_timestamp_and_deduplicated(product):
    mine, at = str(uuid.uuid4()), now_text()
    before = len(product.stored_ids())
    for _ in range(3):
        assert click(product, event_id=mine, timestamp=at)["click_id"] == mine
    marker = click(product)["click_id"]
    row(product, marker)
    assert len(product.stored_ids()) == before + 2


def test_an_integer_ad_id_is_its_decimal_text(product):
    answer = product.post(CLICK, {"ad_id": 1})
    assert answer.status == 202 and answer.json()["ad_id"] == "1"


def test_an_old_timestamp_is_recorded_and_flagged(product):
    answer = click(product, timestamp="2020-01-02T03:04:05+02:00")

    assert answer["timestamp"] == "2020-01-02T01:04:05.000Z"
    stored = row(product, answer["click_id"])
    assert stored["flags"] & 1 and stored["event_at"].year == 2020 and stored["received_at"].year > 2020


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "text/plain",
                                          "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", None])
def test_every_accepted_content_type(product, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    assert product.post(CLICK, '{"ad_id":"ad-001"}', headers).status == 202


def test_a_batch_of_a_json_array_takes_the_good_and_names_the_bad(product):
    mine = uuid7()
    answer = product.post("/api/v1/events", [
        {"type": "click", "ad_id": "ad-001", "event_id": mine}, {"type": "complete", "ad_id": "ad-002"},
        {"type": "dance", "ad_id": "ad-001"}, {"type": "click", "ad_id": "no-such-ad"}, {"type": "click"}, 7])

    assert answer.status == 202
    body = answer.json()
    assert (body["accepted"], body["rejected"]) == (2, 4)
    assert [result["index"] for result in body["results"]] == list(range(6))
    assert [result["status"] for result in body["results"]] == ["accepted"] * 2 + ["rejected"] * 4
    assert body["results"][0]["event_id"] == mine
    assert [result.get("code") for result in body["results"]][2:5] == ["invalid_event_type", "unknown_ad", "missing_field"]
    row(product, mine)
    assert row(product, body["results"][1]["event_id"])["type"] == 7


def test_a_batch_of_ndjson_and_every_type(product):
    types = ["click", "impression", "start", "first_quartile", "midpoint", "third_quartile", "complete", "skip"]
    lines = "\n".join(f'{{"type":"{name}","ad_id":"ad-003"}}' for name in types) + "\n\nnot json\n"
    answer = product.post("/api/v1/events", lines, {"Content-Type": "application/x-ndjson"})

    assert answer.status == 202
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (8, 1)
    stored = [row(product, result["event_id"])["type"] for result in answer.json()["results"][:8]]
    assert stored == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_batch_with_nothing_good_is_422_and_a_thousand_and_one_too_many(product):
    assert product.post("/api/v1/events", [{"type": "click"}]).status == 422
    assert product.post("/api/v1/events", []).status == 422
    assert product.post("/api/v1/events", [{"type": "click", "ad_id": "ad-001"}] * 1001).status == 422
    answer = product.post("/api/v1/events", [{"type": "click", "ad_id": "ad-001"}] * 1000)
    assert answer.status == 202 and answer.json()["accepted"] == 1000


# ---- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("body, status, code", [
    ("", 400, "invalid_json"), ("{", 400, "invalid_json"), ("[]", 400, "invalid_json"), ("7", 400, "invalid_json"),
    ('{"ad_id":"ad-001"} x', 400, "invalid_json"), ('{"ad_id":"ad-001","ad_id":"ad-002"}', 400, "invalid_json"),
    ("{}", 422, "missing_field"), ('{"ad_id":null}', 422, "invalid_type"), ('{"ad_id":"a b"}', 422, "invalid_ad_id"),
    ('{"ad_id":"ad-001","adId":"ad-002"}', 422, "conflicting_fields"),
    ('{"ad_id":"ad-001","timestamp":"2026-02-30T00:00:00Z"}', 422, "invalid_timestamp"),
    ('{"ad_id":"ad-001","ip":"999.1.1.1"}', 422, "invalid_ip"),
    ('{"ad_id":"ad-001","playback_time":-1}', 422, "invalid_playback_time"),
    ('{"ad_id":"ad-001","event_id":"7"}', 422, "invalid_event_id"),
    ('{"ad_id":"no-such-ad"}', 404, "unknown_ad"),
])
def test_an_error_is_a_problem_with_a_stable_code(product, body, status, code):
    answer = product.post(CLICK, body, {"Content-Type": "application/json", "X-Request-Id": "test-7"})

    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "test-7"
    problem = answer.json()
    assert (problem["status"], problem["code"], problem["request_id"]) == (status, code, "test-7")
    assert problem["error"] == problem["detail"] and problem["title"] and problem["type"] and problem["instance"] == CLICK
    assert all(error["code"] == code and error["field"] for error in problem["errors"])
    assert problem["errors"] or code == "invalid_json"


def test_wrong_type_size_method_and_path(product):
    assert product.post(CLICK, "{}", {"Content-Type": "application/xml"}).status == 415
    assert product.post(CLICK, '{"ad_id":"ad-001","x":"' + "y" * 5000 + '"}').status == 413
    answer = product.get(CLICK)
    assert answer.status == 405 and "POST" in answer.headers["allow"]
    assert product.get("/api/v1/nothing").status == 404
    assert product.get("/api/v1/nothing").json()["code"] == "not_found"


def test_every_answer_has_a_request_id_and_head_has_no_body(product):
    answer = product.get("/api/v1/ads")
    assert len(answer.headers["x-request-id"]) >= 8
    head = product.request("HEAD", "/api/v1/ads")
    assert head.status == 200 and head.headers["content-length"] == answer.headers["content-length"]


# ---- the catalogue ----------------------------------------------------------------------------------


def test_ads_are_listed_with_an_etag_and_pages(product):
    answer = product.get("/api/v1/ads")
    ads = answer.json()["ads"]

    assert answer.json()["count"] == len(ads) >= 5
    assert {"id", "title", "image_url", "video_url", "target_url", "created_at"} == set(ads[0])
    assert INSTANT.fullmatch(ads[0]["created_at"])
    assert product.get("/api/v1/ads", {"If-None-Match": answer.headers["etag"]}).status == 304

    seen, cursor = [], ""
    while cursor is not None:
        page = product.get(f"/api/v1/ads?limit=2{cursor}").json()
        seen += [ad["id"] for ad in page["ads"]]
        cursor = f"&cursor={page['next_cursor']}" if page.get("next_cursor") else None
    assert seen == [ad["id"] for ad in ads]


def test_one_ad_and_an_unknown_one(product):
    assert product.get("/api/v1/ads/ad-002").json()["id"] == "ad-002"
    assert product.get("/api/v1/ads/nope").json()["code"] == "unknown_ad"
    assert product.get("/api/v1/ads/nope").status == 404


def test_a_new_ad_is_known_at_once(product):
    product.add_ads(["made-later"])
    assert product.post(CLICK, {"ad_id": "made-later"}).status == 202


# ---- analytics --------------------------------------------------------------------------------------


def settled(product, ad_id, clicks, query=""):
    return wait_until(f"{clicks} clicks are counted", lambda: (lambda a: a if a["total_clicks"] == clicks else None)(
        product.analytics(ad_id, query)))


def test_analytics_of_one_ad_has_every_field(product):
    product.add_ads(["fields"])
    ips = [f"198.51.100.{n}" for n in (1, 1, 2)]
    for ip in ips:
        assert product.post(CLICK, {"ad_id": "fields", "ip": ip}).status == 202
    for name in ("impression", "impression", "start", "complete"):
        assert product.post("/api/v1/events", [{"type": name, "ad_id": "fields"}]).status == 202
    wait_until("everything is counted", lambda: product.analytics("fields")["video"].get("complete") == 1)
    answer = settled(product, "fields", 3, "&timeframe=1h")

    assert answer["ad_id"] == "fields" and answer["timeframe"] == "1h"
    assert (answer["clicks"], answer["gross_clicks"], sum(answer["invalid_clicks"].values())) == (3, 3, 0)
    assert (answer["unique_clicks"], answer["impressions"], answer["ctr"]) == (2, 2, 1.5)
    assert answer["time_frames"] == {window: 3 for window in WINDOWS}
    assert list(answer["hourly_clicks"]) == [f"{hour:02}" for hour in range(24)]
    assert sum(answer["hourly_clicks"].values()) == 3
    assert answer["video"]["start"] == 1 and answer["video"]["complete"] == 1
    assert INSTANT.fullmatch(answer["as_of"]) and INSTANT.fullmatch(answer["timestamp"])
    assert answer["source"] == "redis" and answer["stale"] is False and answer["lag_seconds"] < 5


def test_ctr_is_null_without_impressions(product):
    product.add_ads(["no-impressions"])
    assert product.post(CLICK, {"ad_id": "no-impressions"}).status == 202
    assert settled(product, "no-impressions", 1)["ctr"] is None


@pytest.mark.parametrize("query", [f"timeframe={name}" for name in ("1m", "5m", "15m", "1h", "24h", "7d", "all")]
                         + ["minutes=1", "minutes=10080", "timezone=Asia/Kathmandu", "timezone=America/New_York"])
def test_every_timeframe_is_answered(product, query):
    answer = product.get(f"/api/v1/ads/analytics?ad_id=ad-001&{query}")
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("query", ["timeframe=2h", "minutes=0", "minutes=-1", "minutes=1e3", "minutes=10081", "minutes=",
                                   "minutes=99999999999999999999", "minutes=5&timeframe=1h", "ad_id=%zz",
                                   "timezone=Mars/Olympus", "timezone=../../etc/passwd"])
def test_a_bad_parameter_is_400(product, query):
    prefix = "" if query.startswith("ad_id") else "ad_id=ad-001&"
    answer = product.get(f"/api/v1/ads/analytics?{prefix}{query}")
    assert answer.status == 400, answer.body
    assert answer.headers["content-type"] == "application/problem+json"


def test_analytics_of_an_unknown_ad_is_404(product):
    assert product.get("/api/v1/ads/analytics?ad_id=no-such-ad").json()["code"] == "unknown_ad"


def test_analytics_of_all_ads_is_sorted_and_paged(product):
    product.add_ads(["many-1", "many-2"])
    for ad_id, count in (("many-1", 2), ("many-2", 3)):
        for _ in range(count):
            assert product.post(CLICK, {"ad_id": ad_id}).status == 202
    settled(product, "many-1", 2)
    settled(product, "many-2", 3)

    def whole():
        answer = product.get("/api/v1/ads/analytics?limit=1000").json()
        clicks = {ad["ad_id"]: ad["clicks"] for ad in answer["ads"]}
        return answer if (clicks.get("many-1"), clicks.get("many-2")) == (2, 3) else None

    answer = wait_until("the list has the new counts", whole)
    clicks = [ad["clicks"] for ad in answer["ads"]]
    assert clicks == sorted(clicks, reverse=True)
    assert answer["totals"]["clicks"] == sum(clicks)
    assert {"source", "stale", "as_of", "lag_seconds", "timestamp"} <= set(answer)

    seen, cursor = [], ""
    while cursor is not None:
        page = product.get(f"/api/v1/ads/analytics?limit=2{cursor}").json()
        seen += [ad["ad_id"] for ad in page["ads"]]
        cursor = f"&cursor={page['next_cursor']}" if page.get("next_cursor") else None
    assert sorted(seen) == sorted(ad["ad_id"] for ad in answer["ads"])


# ---- the earlier clients' routes --------------------------------------------------------------------


def test_legacy_ads_is_a_bare_array_with_numeric_ids_as_numbers(product):
    ids = [ad["id"] for ad in product.get("/ads").json()]
    assert 1 in ids and "ad-001" in ids and UUID_AD in ids


def test_legacy_click_and_impression(product):
    answer = product.post("/ads/click", '{"ad_id":1}')
    assert answer.status == 202 and answer.json()["ad_id"] == 1
    assert product.post("/ads/impression", '{"ad_id":1}').status == 204


def test_legacy_analytics_in_every_shape(product):
    product.add_ads(["777"])
    for _ in range(2):
        assert product.post("/ads/click", '{"ad_id":777}').status == 202
    settled(product, "777", 2)

    camel = product.get("/ads/analytics?adId=777&timeframe=24h").json()
    assert (camel["totalClicks"], camel["uniqueClicks"], camel["impressions"], camel["ctr"]) == (2, 1, 0, 0)
    assert len(camel["hourlyClicks"]) == 24
    snake = product.get("/ads/analytics?ad_id=777").json()
    assert (snake["ad_id"], snake["clicks"], snake["ctr"]) == (777, 2, 0)

    def listed():
        return {"ad_id": 777, "clicks": 2, "ctr": 0} in product.get("/ads/analytics?minutes=10").json()

    wait_until("the list has it", listed)
    wait_until("the bare list has it", lambda: any(ad["ad_id"] == 777 for ad in product.get("/ads/analytics").json()))
    wait_until("the map has it", lambda: product.get("/ads/analytics?format=map").json().get("777") == 2)
    assert product.get("/ads/analytics?adId=nope").status == 404


def test_the_seeds_own_requests_work_verbatim(product):
    port = product.stack.port("gateway")
    commands = [
        """curl -X POST localhost:8080/api/v1/ads/click -H 'Content-Type: application/json' -d '{"ad_id":"ad-001","video_play_time":30}'""",
        """curl 'localhost:8080/api/v1/ads/analytics?ad_id=ad-001'""",
        """curl -X POST localhost:8080/ads/click -d '{"adId":"11111111-1111-1111-1111-111111111111","timestamp":"<now>","ipAddress":"192.168.1.1","videoPlaybackTime":15.7}'""",
        """curl -X POST localhost:8080/ads/impression -d '{"ad_id":"11111111-1111-1111-1111-111111111111"}'""",
        """curl 'localhost:8080/ads/analytics?adId=11111111-1111-1111-1111-111111111111&timeframe=24h'""",
        """curl -X POST localhost:8080/ads/click -d '{"ad_id":1,"ip_address":"192.168.1.1","playback_time":10.5,"timestamp":"<now>"}'""",
        """curl -X POST localhost:8080/ads/click -d '{"ad_id":1,"timestamp":"<now>","ip":"203.0.113.1","video_playback_time":12}'""",
        """curl 'localhost:8080/ads/analytics?minutes=10'""",
    ]
    statuses = []
    for command in commands:
        command = command.replace("localhost:8080", f"localhost:{port}").replace("<now>", now_text())
        done = subprocess.run(command + " -s -o /dev/null -w '%{http_code}'", shell=True, text=True, capture_output=True, check=True)
        statuses.append(int(done.stdout))
    assert statuses == [202, 200, 202, 204, 200, 202, 202, 200]


# ---- operations -------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["gateway", "ingest", "analytics"])
def test_operations_of_every_service(product, service):
    from keepalive import Connection
    client = Connection(product.stack.url(service))
    health = client.request("GET", "/health").json()
    assert health["status"] == "ok", health
    assert health["components"]
    for path in ("/health/live", "/livez", "/health/ready", "/readyz"):
        assert client.request("GET", path).status == 200
    metrics = client.request("GET", "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"# TYPE adledger_" in metrics.body and b"process_resident_memory_bytes" in metrics.body
    info = client.request("GET", "/info").json()
    assert {"name", "version", "commit", "routes"} <= set(info)


def test_the_document_is_served_as_it_was_built_in(product):
    answer = product.get("/swagger/swagger.yaml")
    assert answer.status == 200 and answer.headers["content-type"] == "application/yaml"
    assert answer.body == openapi.FILE.read_bytes()
    assert product.get("/swagger/swagger.yaml", {"If-None-Match": answer.headers["etag"]}).status == 304
    head = product.request("HEAD", "/swagger/swagger.yaml")
    assert (head.status, head.headers["content-length"]) == (200, str(len(answer.body)))


def test_no_ad_id_is_ever_a_metric_label(product):
    assert b"ad-001" not in product.get("/metrics").body
