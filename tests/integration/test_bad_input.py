"""Everything that may come from outside and is wrong, on every route that takes a body or a parameter.

A new route is a line in BODY_ROUTES or QUERY_ROUTES; a new kind of bad input a line in BAD_JSON, BAD_FIELDS or
BAD_QUERIES.
"""

import json
import re

import pytest
from product import uuid7

# Routes that take one event, and what the event needs besides.
BODY_ROUTES = ["/api/v1/ads/click", "/api/v1/ads/impression", "/ads/click", "/ads/impression"]
BATCH_ROUTES = ["/api/v1/events", "/api/v1/events/validate"]
GET_ROUTES = ["/api/v1/ads", "/api/v1/ads/ad-001", "/api/v1/ads/analytics", "/ads", "/ads/analytics", "/health", "/health/live", "/health/ready",
              "/livez", "/readyz", "/metrics", "/info"]

NESTED = b'{"ad_id":"ad-001","x":' + b"[" * 8 + b"]" * 8 + b"}"

# Bodies that are no JSON object of ours: 400 invalid_json.
BAD_JSON = {
    "empty": b"",
    "blanks": b"  \r\n\t ",
    "truncated": b'{"ad_id":"ad-0',
    "trailing bytes": b'{"ad_id":"ad-001"} x',
    "second object": b'{"ad_id":"ad-001"}{}',
    "byte order mark": b'\xef\xbb\xbf{"ad_id":"ad-001"}',
    "comment": b'{"ad_id":"ad-001"/* here */}',
    "single quotes": b"{'ad_id':'ad-001'}",
    "trailing comma": b'{"ad_id":"ad-001",}',
    "NaN": b'{"ad_id":"ad-001","playback_time":NaN}',
    "leading zero": b'{"ad_id":"ad-001","playback_time":01}',
    "plus sign": b'{"ad_id":"ad-001","playback_time":+1}',
    "1e400": b'{"ad_id":"ad-001","playback_time":1e400}',
    "integer past 64 bits": b'{"ad_id":99999999999999999999}',
    "raw control byte": b'{"ad_id":"ad\x01001"}',
    "NUL": b'{"ad_id":"ad-001\x00"}',
    "escaped NUL": b'{"ad_id":"ad-001\\u0000"}',
    "NUL after the end": b'{"ad_id":"ad-001"}\x00',
    "bad UTF-8": b'{"ad_id":"ad-001","note":"\xc3\x28"}',
    "overlong UTF-8": b'{"ad_id":"ad-001","note":"\xc0\xaf"}',
    "surrogate in UTF-8": b'{"ad_id":"ad-001","note":"\xed\xa0\x80"}',
    "lone surrogate": b'{"ad_id":"ad-001","note":"\\ud800"}',
    "duplicate key": b'{"ad_id":"ad-001","ad_id":"ad-001"}',
    "duplicate key below": b'{"ad_id":"ad-001","x":{"a":1,"a":1}}',
    "nesting past 8": NESTED,
    "scalar": b"7",
    "string": b'"ad-001"',
    "null": b"null",
}

# field, value as JSON, code. The event is otherwise good.
BAD_FIELDS = [
    ("ad_id", None, "missing_field"),
    *[("ad_id", value, "invalid_type") for value in ("null", "true", "1.5", "[]", "{}")],
    *[("ad_id", json.dumps(value), "invalid_ad_id") for value in ("", "a" * 65, "a/b", "a*", "a>", "a.b", "a b", " ", "é", "-\n")],
    ("ad_id", "-1.0", "invalid_type"),
    *[("timestamp", value, "invalid_type") for value in ("null", "7", "true", "[]", "{}")],
    *[("timestamp", json.dumps(value), "invalid_timestamp") for value in
      ("", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01", "infinity", "now", "2026-01-01T24:00:01Z", "2026-13-01T00:00:00Z",
       "99999-01-01T00:00:00Z", "2026-01-01T00:00:00+99:00", "20260101T000000Z")],
    *[("ip", value, "invalid_type") for value in ("null", "7", "true", "[]")],
    *[("ip", json.dumps(value), "invalid_ip") for value in ("", "999.1.1.1", "10.0.0.0/8", "fe80::1%eth0", "1.2.3", "1.2.3.4.5", "::g", "1.2.3.4 ")],
    *[("playback_time", value, "invalid_type") for value in ("null", "true", '"7"', "[]")],
    *[("playback_time", value, "invalid_playback_time") for value in ("-1", "-0.001", "86401", "86400.01", "1e300")],
    *[("event_id", value, "invalid_type") for value in ("null", "7", "true", "[]")],
    *[("event_id", json.dumps(value), "invalid_event_id") for value in
      ("", "x", "00000000-0000-7000-8000-00000000000", "g0000000-0000-7000-8000-000000000000", "{01a1fdf0-ef50-7433-a4ea-5d2fc2c1d3fa}",
       "01a1fdf0ef507433a4ea5d2fc2c1d3fa0", "00000000-0000-7000-8000-000000000000")],
    ("event_id", json.dumps("6ba7b810-9dad-41d1-80b4-00c04fd430c8"), "invalid_event_id"),  # of another version, without a timestamp
    ("adId", '"ad-002"', "conflicting_fields"),
    ("ipAddress", '"1.2.3.4","ip_address":"1.2.3.5"', "conflicting_fields"),
    ("video_play_time", '1,"playback_time":2', "conflicting_fields"),
    ("eventId", json.dumps(uuid7()) + ',"click_id":' + json.dumps(uuid7()), "conflicting_fields"),
]


def event(field=None, value=None):
    """A good event with one field given, replaced or, with value None, left out."""
    members = {"ad_id": '"ad-001"'}
    if field:
        members[field] = value
    return "{" + ",".join(f'"{name}":{text}' for name, text in members.items() if text is not None) + "}"


def stored(product):
    return sum(product.stored_by_ad().values())


def assert_problem(answer, status, code, field=None):
    assert answer.status == status, (answer.status, answer.body)
    assert answer.headers["content-type"].startswith("application/problem+json")
    body = answer.json()
    assert {"type", "title", "status", "detail", "instance", "code", "request_id", "errors", "error"} <= set(body), body
    assert body["code"] == code and body["status"] == status, body
    assert body["error"] == body["detail"] and body["request_id"] == answer.headers["x-request-id"]
    assert all({"field", "code", "detail"} <= set(each) for each in body["errors"])
    if field is not None:
        assert field in [each["field"] for each in body["errors"]], body


@pytest.fixture(scope="module")
def rows_before(product):
    return stored(product)


@pytest.mark.parametrize("path", BODY_ROUTES)
@pytest.mark.parametrize("name", BAD_JSON)
def test_what_is_no_json_object_is_400(product, path, name):
    assert_problem(product.post(path, BAD_JSON[name], {"Content-Type": "application/json"}), 400, "invalid_json")
    assert product.get("/health/live").status == 200  # on the same connection


@pytest.mark.parametrize("path", BODY_ROUTES)
def test_an_array_is_no_event(product, path):
    assert_problem(product.post(path, b'[{"ad_id":"ad-001"}]'), 400, "invalid_json")


@pytest.mark.parametrize("path", BATCH_ROUTES)
@pytest.mark.parametrize("name", [name for name in BAD_JSON if name not in ("second object", "duplicate key", "duplicate key below")])
def test_a_batch_that_cannot_be_read_is_400(product, path, name):
    body = BAD_JSON[name]
    answer = product.post(path, body if name in ("empty", "blanks", "scalar", "string", "null") else b"[" + body + b"]")
    if name in ("empty", "blanks") and answer.status == 422:
        assert answer.json()["code"] == "no_events"
    else:
        assert_problem(answer, 400, "invalid_json")


@pytest.mark.parametrize("path", BATCH_ROUTES)
@pytest.mark.parametrize("name", ["duplicate key", "duplicate key below"])
def test_a_key_that_comes_twice_costs_only_its_event(product, path, name):
    answer = product.post(path, b'[{"type":"start","ad_id":"ad-001"},' + BAD_JSON[name] + b"]")
    assert [row["code"] for row in answer.json()["results"]][1:] == ["invalid_json"]


@pytest.mark.parametrize("path", BATCH_ROUTES)
@pytest.mark.parametrize("name", [name for name in BAD_JSON if name not in ("empty", "blanks")])
def test_a_bad_line_costs_only_itself(product, path, name):
    good = b'{"type":"start","ad_id":"ad-001"}'
    answer = product.post(path, good + b"\n" + BAD_JSON[name] + b"\n" + good, {"Content-Type": "application/x-ndjson"})
    assert answer.status in (200, 202), answer.body
    results = answer.json()["results"]
    assert results[0]["status"] == results[-1]["status"] and len(results) >= 3
    assert {row["code"] for row in results[1:-1]} == {"invalid_json"}, results


@pytest.mark.parametrize("path", BODY_ROUTES)
@pytest.mark.parametrize("field, value, code", BAD_FIELDS)
def test_a_bad_field_is_422_and_named(product, path, field, value, code):
    answer = product.post(path, event(field, value), {"Content-Type": "application/json"})
    assert_problem(answer, 422, code)


@pytest.mark.parametrize("field, value, code", BAD_FIELDS)
def test_a_bad_field_costs_only_its_event(product, field, value, code):
    bad = event(field, value)[:-1] + ',"type":"click"}'
    body = f'[{{"type":"skip","ad_id":"ad-001"}},{bad}]'.replace("{,", "{")
    answer = product.post("/api/v1/events/validate", body, {"Content-Type": "application/json"})
    assert answer.status == 200, answer.body
    first, second = answer.json()["results"]
    assert first["code"] is None or first["code"] == "", first
    assert second["code"] == code, second


@pytest.mark.parametrize("value", ["x", "01a1fdf0-ef50-7433-a4ea-5d2fc2c1d3f", "a" * 5000, "é"])
def test_a_bad_idempotency_key_is_422(product, value):
    answer = product.post(BODY_ROUTES[0], {"ad_id": "ad-001"}, {"Idempotency-Key": value})
    assert_problem(answer, 422, "invalid_event_id")


@pytest.mark.parametrize("path", BODY_ROUTES)
def test_an_unknown_ad_is_404(product, path):
    assert_problem(product.post(path, {"ad_id": "no-such-ad"}), 404, "unknown_ad", "ad_id")


def test_none_of_it_was_recorded(product, rows_before):
    good = product.post(BODY_ROUTES[0], {"ad_id": "ad-003"}).json()["click_id"]
    from product import wait_until
    wait_until("the good one is stored", lambda: good in product.stored_ids())
    types = dict(product.sql("SELECT type, count(*) FROM events GROUP BY type"))
    assert set(types) <= {1, 3}, types  # that one click, and the good lines' starts
    assert types[1] == 1


# ---- types, sizes, methods ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", BODY_ROUTES + BATCH_ROUTES)
@pytest.mark.parametrize("kind", ["application/xml", "multipart/form-data; boundary=x", "image/png", "application/jsonx", "x"])
def test_another_content_type_is_415(product, path, kind):
    assert_problem(product.post(path, event(), {"Content-Type": kind}), 415, "unsupported_media_type")


@pytest.mark.parametrize("path", BODY_ROUTES)
def test_lines_are_no_single_event(product, path):
    assert_problem(product.post(path, event(), {"Content-Type": "application/x-ndjson"}), 415, "unsupported_media_type")


@pytest.mark.parametrize("path", BODY_ROUTES + BATCH_ROUTES)
@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, identity"])
def test_a_compressed_body_is_415(product, path, coding):
    assert_problem(product.post(path, b"\x1f\x8b\x08", {"Content-Type": "application/json", "Content-Encoding": coding}), 415,
                   "unsupported_media_type")


@pytest.mark.parametrize("path, limit", [*[(path, 4096) for path in BODY_ROUTES], *[(path, 1 << 20) for path in BATCH_ROUTES]])
def test_a_body_may_be_as_large_as_its_limit_and_no_larger(product, path, limit):
    one = '{"ad_id":"ad-001","type":"start","note":"'
    frame = ("[" + f"{one}{'x' * 3000}\"}}," * 340 + one, '"}]') if path in BATCH_ROUTES else (one, '"}')
    for size, statuses in ((limit, (200, 202, 204)), (limit + 1, (413,))):
        body = frame[0] + "x" * (size - len(frame[0]) - len(frame[1])) + frame[1]
        assert len(body) == size
        answer = product.post(path, body, {"Content-Type": "application/json"})
        assert answer.status in statuses, (size, answer.status, answer.body)
    assert_problem(answer, 413, "too_large")


@pytest.mark.parametrize("path", BODY_ROUTES + BATCH_ROUTES + GET_ROUTES)
def test_another_method_is_405_with_allow(product, path):
    has_post = path in BODY_ROUTES + BATCH_ROUTES
    for method in ("DELETE", "PUT", "PATCH", "TRACE", "PROPFIND", "GET" if has_post else "POST"):
        answer = product.request(method, path)
        if method == "GET" and path == "/api/v1/events":
            continue
        assert_problem(answer, 405, "method_not_allowed")
        assert ("POST" if has_post else "GET, HEAD") in answer.headers["allow"]


@pytest.mark.parametrize("path", GET_ROUTES)
def test_head_is_get_without_a_body(product, path):
    got, head = product.get(path), product.request("HEAD", path)
    assert head.status == got.status and head.body == b""
    assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize("path", ["/nothing", "/api/v1", "/api/v1/ads/", "/api/v2/ads", "/ads/click/", "/../etc/passwd", "/%2e%2e/health", "/health%00",
                                  "/api/v1/ads/a/b", "//health", "/api/v1/ads/" + "a" * 65, "/api/v1/ads/a%2Fb", "/api/v1/ads/%zz"])
def test_nothing_at_this_address_is_404(product, path):
    answer = product.get(path)
    assert answer.status in (400, 404), answer.body
    assert answer.json()["code"] in ("not_found", "unknown_ad", "invalid_parameter")


# ---- parameters ---------------------------------------------------------------------------------------

BAD_QUERIES = {
    "/api/v1/ads/analytics": [
        "timeframe=1y", "timeframe=", "timeframe=1H", "minutes=0", "minutes=-1", "minutes=1e3", "minutes=99999999999999999999", "minutes=10081", "minutes=",
        "minutes=+1", "minutes=0x10", "minutes=1%00", "minutes=1.5", "minutes=%201", "minutes=5&timeframe=1h", "timezone=Nowhere/Land", "timezone=../etc/passwd",
        "timezone=", "timezone=UTC%00", "limit=0", "limit=-1", "limit=x", "cursor=x", "cursor=1", "cursor=-1.ad-001", "ad_id=", "ad_id=a/b", "ad_id=a%00",
        "ad_id=" + "a" * 65, "ad_id=%zz", "ad_id=%", "ad_id=%4", "timeframe=%c3%28", "ad_id=ad-001&adId=ad-002", "minutes=1&minutes=2", "format=xml"],
    "/api/v1/ads": ["limit=0", "limit=-1", "limit=1e3", "limit=99999999999999999999", "limit=x", "cursor=a/b", "limit=%", "limit=1&limit=2"],
}
BAD_QUERIES["/ads/analytics"] = BAD_QUERIES["/api/v1/ads/analytics"]


@pytest.mark.parametrize("path, query", [(path, query) for path, queries in BAD_QUERIES.items() for query in queries])
def test_a_bad_parameter_is_400(product, path, query):
    answer = product.get(f"{path}?{query}")
    assert answer.status == 400, (answer.status, answer.body)
    code = "conflicting_parameters" if query in ("minutes=5&timeframe=1h", "ad_id=ad-001&adId=ad-002") else "invalid_parameter"
    assert_problem(answer, 400, code)


# ---- headers, logs, metrics ---------------------------------------------------------------------------


@pytest.mark.parametrize("given, kept", [("abc-1.2_3", True), ("a" * 64, True), ("a" * 65, False), ("a b", False), ("a\tb", False), ("<script>", False), ("é", False)])
def test_a_request_id_is_kept_when_it_is_well_formed(product, given, kept):
    answer = product.get("/health/live", {"X-Request-Id": given})
    assert (answer.headers["x-request-id"] == given) is kept
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer.headers["x-request-id"])


def test_nothing_from_outside_forges_a_log_line(start_product):
    product = start_product(LOG_LEVEL="debug")
    evil = 'x\\n{"level":"error","event":"forged"}'
    for headers in ({"X-Request-Id": evil}, {"User-Agent": evil + '"\x7f\x1b[31m'}, {"Idempotency-Key": evil}, {"X-Forwarded-For": evil}):
        product.post(BODY_ROUTES[0], {"ad_id": "ad-001"}, headers)
    for body in (b'{"ad_id":"ad\\n{\\"event\\":\\"forged\\"}"}', b'\r\n{"event":"forged"}\r\n', '{"ad_id":"\u2028é"}'.encode()):
        product.post(BODY_ROUTES[0], body)
    product.get('/api/v1/ads/%0a{"event":"forged"}')
    product.get("/ads/analytics?timezone=%0a%22forged")
    for line in product.stack.process("gateway").log_file.read_text().splitlines():
        record = json.loads(line)
        assert record["event"] != "forged" and "\x1b" not in line


def series(product):
    return {line.rsplit(" ", 1)[0] for line in product.get("/metrics").body.decode().splitlines() if not line.startswith("#")}


def test_no_request_makes_a_new_series(product):
    product.get("/nothing")
    product.post(BODY_ROUTES[0], {"ad_id": "nobody"})
    before = series(product)
    for number in range(300):
        product.get(f"/nothing/{number}")
        product.get(f"/api/v1/ads/none-{number}")
        product.request(f"METHOD{number}", "/health")
        product.post(BODY_ROUTES[0], {"ad_id": f"none-{number}"}, {"User-Agent": f"agent {number}", "Origin": f"https://{number}.example"})
    new = series(product) - before
    assert len(new) <= 6, new  # a class of status that had not been seen
    assert not any("none-" in each or "METHOD" in each for each in new)
