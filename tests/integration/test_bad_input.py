"""Everything that may come from outside and is wrong, on every route of the gateway: bodies, types, methods and addresses.

What is sent stands in tests/support/bad_input.py. After each of it the same connection serves the next request, and nothing was recorded.
"""

import itertools
import uuid

import pytest
from bad_input import (BAD_EVENT_IDS, BAD_FIELDS, BAD_JSON, BAD_QUERIES, BAD_REPLAYS, BAD_TYPES, BATCH_ROUTES, BIG, BODY_ROUTES, CLICK, CONFLICTING_QUERIES,
                       ELEMENTS, EVENT_ROUTES, GET_ROUTES, GOOD, JSON, KIB, NDJSON, NOWHERE, NO_ELEMENTS, OLD, OPS, ROUTES, SOMEBODY, TWO_LINES, body_of,
                       event, queries)
from keepalive import Connection
from product import uuid7, wait_until

# ---- how an answer is looked at ------------------------------------------------------------------------

accepted = itertools.count(0)  # what these tests themselves have recorded on purpose; see test_none_of_it_was_recorded


def ask(product, method, path, body=None, headers=None):
    """As an admin, who may do everything. The connection that the answer came on serves the next request."""
    sent_on = product.client.socket
    answer = product.as_admin(method, path, body, headers)
    assert sent_on is None or product.client.socket is sent_on, "the connection was not kept"
    return answer


def refuse(product, status, code, method, path, body=None, headers=None, field=None):
    """The request is answered by this problem, in full, and nothing is recorded."""
    before = recorded(product)
    answer = ask(product, method, path, body, headers)
    assert_problem(answer, status, code, path, field)
    assert recorded(product) == before, "something was recorded"
    return answer


def recorded(product):
    return sum(float(line.split()[-1]) for line in product.get("/metrics").body.decode().splitlines() if line.startswith("adledger_events_accepted_total"))


def assert_problem(answer, status, code, path=None, field=None):
    assert (answer.status, answer.json().get("code")) == (status, code), answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance", "code", "request_id", "errors", "error"}
    assert problem["status"] == status and problem["type"] == f"/problems/{code}"
    assert problem["error"] == problem["detail"] != "" and problem["title"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    if path is not None:
        assert path.partition("?")[0].startswith(problem["instance"]), problem["instance"]
    assert all(set(each) == {"field", "code", "detail"} and all(each.values()) for each in problem["errors"]), problem["errors"]
    assert [each["field"] for each in problem["errors"]] == ([] if field is None else [field]), problem["errors"]
    if field is not None:
        assert problem["errors"][0]["code"] == code and problem["error"].startswith(f"{field}: ")


# ---- bodies --------------------------------------------------------------------------------------------


def test_every_route_has_its_line(product):
    assert sorted(product.get("/info").json()["routes"]) == sorted(map(str, ROUTES))


@pytest.mark.parametrize("route", [route for route in BODY_ROUTES if route.body != "events"], ids=str)
@pytest.mark.parametrize("name", BAD_JSON)
def test_what_is_no_json_object_is_400(product, route, name):
    refuse(product, 400, "invalid_json", "POST", route.path, BAD_JSON[name], JSON)


@pytest.mark.parametrize("route", [route for route in BODY_ROUTES if route.body != "events"], ids=str)
def test_an_array_is_no_object(product, route):
    refuse(product, 400, "invalid_json", "POST", route.path, b"[" + GOOD[route.body] + b"]", JSON)


@pytest.mark.parametrize("route", EVENT_ROUTES, ids=str)
@pytest.mark.parametrize("field, value, code", BAD_FIELDS)
def test_a_bad_field_is_422_and_named(product, route, field, value, code):
    refuse(product, 422, code, "POST", route.path, event(field, value), JSON, field=field)


@pytest.mark.parametrize("route", EVENT_ROUTES, ids=str)
def test_every_bad_field_is_named_at_once(product, route):
    answer = product.post(route.path, '{"ad_id":1.5,"timestamp":7,"ip":"x","playback_time":-1,"event_id":"x"}', JSON)
    assert answer.status == 422
    assert {each["field"]: each["code"] for each in answer.json()["errors"]} == {
        "ad_id": "invalid_type", "timestamp": "invalid_type", "ip": "invalid_ip", "playback_time": "invalid_playback_time", "event_id": "invalid_event_id"}


@pytest.mark.parametrize("route", EVENT_ROUTES, ids=str)
def test_an_unknown_ad_is_404(product, route):
    refuse(product, 404, "unknown_ad", "POST", route.path, b'{"ad_id":"no-such-ad"}', JSON, field="ad_id")


@pytest.mark.parametrize("route", EVENT_ROUTES, ids=str)
@pytest.mark.parametrize("value", ["", '""', '"', "x", SOMEBODY[:-1], SOMEBODY + "0", "a" * 5000, "é", "{" + BIG + "}", f"{BIG}, {BIG}", str(uuid.uuid4()), OLD, "*"])
def test_a_bad_idempotency_key_is_422(product, route, value):
    refuse(product, 422, "invalid_event_id", "POST", route.path, GOOD["event"], {**JSON, "Idempotency-Key": value}, field="event_id")


@pytest.mark.parametrize("route", EVENT_ROUTES, ids=str)
def test_an_idempotency_key_that_is_not_the_event_id_conflicts(product, route):
    refuse(product, 422, "conflicting_fields", "POST", route.path, event("event_id", f'"{uuid7()}"'), {**JSON, "Idempotency-Key": uuid7()}, field="event_id")


@pytest.mark.parametrize("route", EVENT_ROUTES, ids=str)
@pytest.mark.parametrize("second", [BIG, uuid7(), ""])
def test_two_idempotency_keys_are_none(product, route, second):
    before = recorded(product)
    answer = product.client.send(f"POST {route.path} HTTP/1.1\r\nHost: x\r\nIdempotency-Key: {BIG}\r\nIdempotency-Key: {second}\r\nContent-Length: 18\r\n\r\n".encode()
                                 + GOOD["event"])
    assert_problem(answer, 422, "invalid_event_id", field="event_id")
    assert recorded(product) == before


@pytest.mark.parametrize("field, body, status, code", BAD_REPLAYS)
def test_a_bad_replay_is_422_and_named(product, field, body, status, code):
    refuse(product, status, code, "POST", "/api/v1/dlq/replay", body, JSON, field=field)


# ---- batches: one bad event costs one event --------------------------------------------------------------


@pytest.mark.parametrize("route", BATCH_ROUTES, ids=str)
@pytest.mark.parametrize("name", [name for name in BAD_JSON if name not in ELEMENTS | NO_ELEMENTS])
def test_an_array_that_is_broken_anywhere_is_no_array(product, route, name):
    good = GOOD["events"][1:-1]
    refuse(product, 400, "invalid_json", "POST", route.path, b"[" + good + b"," + BAD_JSON[name] + b"]", JSON)
    refuse(product, 400, "invalid_json", "POST", route.path, b"[" + BAD_JSON[name] + b"," + good + b"]", JSON)


@pytest.mark.parametrize("route", BATCH_ROUTES, ids=str)
@pytest.mark.parametrize("body", [b"", b" ", b"7", b"null", b'"x"', b"{}", GOOD["event"], b"[", b"]", b"[]]", b"[][]", b"[,]", b"[1,]", b"[" * 100_000, b"[" + GOOD["event"],
                                  b"[" + GOOD["event"] + b"] x", b"[" + GOOD["event"] + b"]\x00", b"\xef\xbb\xbf[]", GOOD["event"] + b"\n" + GOOD["event"]],
                         ids=lambda body: body[:20].decode("latin-1"))
def test_what_is_no_array_is_400(product, route, body):
    refuse(product, 400, "invalid_json", "POST", route.path, body, JSON)


@pytest.mark.parametrize("route", BATCH_ROUTES, ids=str)
@pytest.mark.parametrize("body, headers", [(b"[]", JSON), (b" [ ] ", JSON), (b"", NDJSON), (b"\n \r\n\n", NDJSON)], ids=repr)
def test_a_batch_of_nothing_is_422(product, route, body, headers):
    refuse(product, 422, "no_events", "POST", route.path, body, headers)


@pytest.mark.parametrize("route", BATCH_ROUTES, ids=str)
@pytest.mark.parametrize("headers", [JSON, NDJSON], ids=repr)
def test_one_event_too_many_is_422(product, route, headers):
    events = [GOOD["events"][1:-1]] * 1001
    refuse(product, 422, "too_many_events", "POST", route.path, b"\n".join(events) if headers is NDJSON else b"[" + b",".join(events) + b"]", headers)


FIELD_OF = {"invalid_json": None, "unknown_ad": "ad_id", "id_reuse": "event_id", **{f"invalid_{name}": name for name in ("ad_id", "timestamp", "ip", "playback_time", "event_id")}}


def batch(elements, headers):
    return b"\n".join(elements) if headers is NDJSON else b"[" + b",".join(elements) + b"]"


def assert_each_pays_for_itself(product, route, elements, codes, headers):
    """Good ones before, between and behind the bad ones are taken, and each bad one has its own code."""
    good = b'{"type":"skip","ad_id":"ad-002"}'
    laid = [good, *itertools.chain.from_iterable((element, good) for element in elements)]
    expected = [None, *itertools.chain.from_iterable((*each, None) if isinstance(each, list) else (each, None) for each in codes)]
    before = recorded(product)
    answer = ask(product, "POST", route.path, batch(laid, headers), headers)
    body = answer.json()
    assert answer.status == (200 if route.path.endswith("validate") else 202), body
    assert [row["index"] for row in body["results"]] == list(range(len(expected)))
    assert [row["code"] for row in body["results"]] == expected
    assert [row["status"] for row in body["results"]] == ["accepted" if code is None else "rejected" for code in expected]
    for row in (row for row in body["results"] if row["code"] in FIELD_OF):
        assert row["field"] == FIELD_OF[row["code"]], row
    assert (body["accepted"], body["rejected"]) == (expected.count(None), len(expected) - expected.count(None))
    assert all(uuid.UUID(row["event_id"]) for row in body["results"] if row["code"] is None)
    took = 0 if route.path.endswith("validate") else expected.count(None)
    assert recorded(product) == before + took
    for _ in range(took):
        next(accepted)


@pytest.mark.parametrize("headers", [JSON, NDJSON], ids=repr)
@pytest.mark.parametrize("route", BATCH_ROUTES, ids=str)
def test_each_bad_field_costs_only_its_event(product, route, headers):
    rows = [(event(field, value, type='"click"'), code) for field, value, code in BAD_FIELDS]
    rows += [(event(field, value), code) for field, value, code in BAD_TYPES]
    rows.append((event("ad_id", '"no-such-ad"', type='"click"'), "unknown_ad"))
    assert_each_pays_for_itself(product, route, [text.encode() for text, _ in rows], [code for _, code in rows], headers)


@pytest.mark.parametrize("headers", [JSON, NDJSON], ids=repr)
@pytest.mark.parametrize("route", BATCH_ROUTES, ids=str)
def test_what_is_json_but_no_event_costs_only_itself(product, route, headers):
    elements = [*(BAD_JSON[name] for name in sorted(ELEMENTS)), b"true", b"[]", b"[{}]", b'{"type":"start","ad_id":"ad-001","note":"' + b"x" * 16384 + b'"}']
    assert_each_pays_for_itself(product, route, elements, ["invalid_json"] * (len(elements) - 1) + ["too_large"], headers)


@pytest.mark.parametrize("route", BATCH_ROUTES, ids=str)
def test_each_bad_line_costs_only_itself(product, route):
    names = [name for name in BAD_JSON if name not in NO_ELEMENTS]
    codes = [["invalid_json"] * (2 if name in TWO_LINES else 1) for name in names]
    assert_each_pays_for_itself(product, route, [BAD_JSON[name] for name in names], codes, NDJSON)


@pytest.mark.parametrize("headers", [JSON, NDJSON], ids=repr)
@pytest.mark.parametrize("route", BATCH_ROUTES, ids=str)
def test_an_id_that_stands_for_another_event_of_its_batch_is_told(product, route, headers):
    one = uuid7()
    elements = [f'{{"type":"skip","ad_id":"ad-002","event_id":"{one}"}}', *(
        f'{{"type":"{kind}","ad_id":"{ad_id}","event_id":"{one.upper()}"}}' for kind, ad_id in (("skip", "ad-001"), ("complete", "ad-002")))]
    answer = ask(product, "POST", route.path, batch([text.encode() for text in elements], headers), headers)
    assert [row["code"] for row in answer.json()["results"]] == [None, "id_reuse", "id_reuse"]
    if not route.path.endswith("validate"):
        next(accepted)


@pytest.mark.parametrize("headers", [JSON, NDJSON], ids=repr)
def test_a_batch_without_a_good_event_is_422_with_every_result(product, headers):
    before = recorded(product)
    answer = ask(product, "POST", "/api/v1/events", batch([b"7", event().encode(), b"{}"], headers), headers)
    assert answer.status == 422
    assert [row["code"] for row in answer.json()["results"]] == ["invalid_json", "missing_field", "missing_field"]
    assert recorded(product) == before


# ---- types, sizes, methods ------------------------------------------------------------------------------


@pytest.mark.parametrize("route", BODY_ROUTES, ids=str)
@pytest.mark.parametrize("kind", ["application/xml", "multipart/form-data; boundary=x", "image/png", "application/jsonx", "application/json-seq", "x", "*/*", "é",
                                  "application/json, text/plain", "text/html"])
def test_another_content_type_is_415(product, route, kind):
    answer = refuse(product, 415, "unsupported_media_type", "POST", route.path, GOOD[route.body], {"Content-Type": kind})
    assert ("application/x-ndjson" in answer.headers["accept-post"]) is (route.body == "events")


@pytest.mark.parametrize("route", [route for route in BODY_ROUTES if route.body != "events"], ids=str)
@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/X-NDJSON; charset=utf-8"])
def test_lines_are_no_single_object(product, route, kind):
    refuse(product, 415, "unsupported_media_type", "POST", route.path, GOOD[route.body], {"Content-Type": kind})


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/X-NDJSON ;charset=utf-8", "application/x-ndjson\t;x"])
def test_lines_are_lines_however_their_type_is_written(product, kind):
    assert ask(product, "POST", "/api/v1/events/validate", b'{"ad_id":"ad-001","type":"skip"}\n{}', {"Content-Type": kind}).json()["accepted"] == 1


@pytest.mark.parametrize("route", BODY_ROUTES, ids=str)
@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, identity", "identity, gzip", "x", "é"])
def test_a_compressed_body_is_415(product, route, coding):
    answer = refuse(product, 415, "unsupported_media_type", "POST", route.path, b"\x1f\x8b\x08", {**JSON, "Content-Encoding": coding})
    assert answer.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("route", BODY_ROUTES, ids=str)
def test_a_coding_is_not_hidden_by_a_second_header(product, route):
    raw = (f"POST {route.path} HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Encoding: identity\r\nAuthorization: Bearer {product.stack.admin_key}\r\n"
           f"Content-Length: 2\r\n\r\n{{}}").encode()
    assert_problem(product.client.send(raw), 415, "unsupported_media_type")


@pytest.mark.parametrize("way", ["length", "chunks"])
@pytest.mark.parametrize("route", BODY_ROUTES, ids=str)
def test_a_body_may_be_as_large_as_its_limit_and_no_larger(product, route, way):
    def send(size):
        body = body_of(route, size)
        assert len(body) == size
        if way == "length":
            return product.as_admin("POST", route.path, body, JSON)
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:1], body[1:1000], body[1000:])) + b"0\r\n\r\n"
        return product.client.send(f"POST {route.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {product.stack.admin_key}\r\n"
                                   "Transfer-Encoding: chunked\r\n\r\n".encode() + chunks)

    before = recorded(product)
    assert send(route.limit).status in {"event": (404,), "events": (422, 200), "replay": (202,)}[route.body]
    assert_problem(send(route.limit + 1), 413, "too_large")
    if 2 * route.limit < 1024 * KIB:  # above every route's limit h2o does not read on, and ends the connection
        assert_problem(send(2 * route.limit), 413, "too_large")
    assert recorded(product) == before
    assert product.get("/health/live").status == 200


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "Post", "METHOD" * 10, "GE"]


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES}))
def test_another_method_is_405_and_allow_says_which_are_not(product, path):
    mine = [route for route in ROUTES if route.path == path]
    allowed = {route.method for route in mine} | {"OPTIONS"} | ({"HEAD"} if any(route.method == "GET" for route in mine) else set())
    for method in METHODS:
        if method in allowed:
            continue
        if method == "HEAD":  # has no body to look at
            answer = ask(product, method, mine[0].address())
        else:
            answer = refuse(product, 405, "method_not_allowed", method, mine[0].address())
        assert set(answer.headers["allow"].split(", ")) == allowed, method
        assert product.request(method, mine[0].address()).status == answer.status == 405  # and without a key


@pytest.mark.parametrize("path", sorted({route.address() for route in ROUTES}))
def test_options_tells_the_methods_and_needs_no_key(product, path):
    answer = product.request("OPTIONS", path)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["allow"] and "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("route", GET_ROUTES, ids=str)
def test_head_is_get_without_a_body(product, route):
    got, head = ask(product, "GET", route.address()), ask(product, "HEAD", route.address())
    assert (head.status, head.body) == (got.status, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    if route.path not in ("/health", "/info", "/metrics", "/api/v1/audit"):  # these tell times and counts
        assert head.headers["content-length"] == got.headers["content-length"]
    assert product.get("/health/live").json() == {"status": "ok"}  # no byte of a body was left on the wire


@pytest.mark.parametrize("route", [route for route in ROUTES if not route.body], ids=str)
def test_a_body_that_nobody_asked_for_is_read_and_ignored(product, route):
    bare, with_body = ask(product, route.method, route.address()), ask(product, route.method, route.address(), b'{"ad_id":"ad-001"}' * 100)
    assert with_body.status == bare.status


@pytest.mark.parametrize("service", ["ingest", "analytics"])
def test_the_readers_answer_their_monitors_alike(product, service):
    connection = Connection(product.stack.url(service))
    paths = [each.removeprefix("GET ") for each in connection.request("GET", "/info").json()["routes"]]
    assert sorted(paths) == sorted(route.path for route in ROUTES if route.path in OPS)
    for path in paths:
        got = connection.request("GET", path, b"x" * 1000)
        assert got.status == connection.request("GET", path).status == connection.request("HEAD", path).status == 200
        assert connection.request("OPTIONS", path).headers["allow"] == "GET, HEAD, OPTIONS"
        for method in ("POST", "DELETE", "PROPFIND"):
            assert_problem(connection.request(method, path, b"x" * 1000), 405, "method_not_allowed", path)
    for path in ("/nothing", "/api/v1/ads", "/%zz", "/health/x"):
        assert_problem(connection.request("GET", path), 404, "not_found", path)
    assert connection.socket is not None
    assert_problem(connection.request("POST", "/health", b"x" * 5000), 413, "too_large")


# ---- addresses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", NOWHERE, ids=lambda path: path[:40])
def test_nothing_at_this_address_is_404(product, path):
    field = {"unknown_ad": "ad_id", "id_reuse": "event_id", "unknown_letter": "id", "unknown_event": "event_id"}.get(NOWHERE[path])
    refuse(product, 404, NOWHERE[path], "GET", path, field=field)


@pytest.mark.parametrize("event_id", BAD_EVENT_IDS, ids=lambda event_id: event_id[:40])
def test_a_receipt_is_asked_for_by_a_uuid(product, event_id):
    refuse(product, 422, "invalid_event_id", "GET", f"/api/v1/events/{event_id}", field="event_id")


@pytest.mark.parametrize("route, query", queries(BAD_QUERIES), ids=lambda each: str(each)[:60])
def test_a_bad_parameter_is_400_and_named(product, route, query):
    name = query.partition("=")[0]
    canonical = "ad_id" if name == "adId" and "%" not in query else name
    refuse(product, 400, "invalid_parameter", "GET", f"{route.address()}?{query}", field=canonical)


@pytest.mark.parametrize("route, query", queries(CONFLICTING_QUERIES), ids=lambda each: str(each)[:60])
def test_parameters_that_exclude_each_other_are_400(product, route, query):
    field = "ad_id" if "adId" in query else "minutes"
    refuse(product, 400, "conflicting_parameters", "GET", f"{route.address()}?{query}", field=field)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.query == "analytics"], ids=str)
@pytest.mark.parametrize("query", ["ad_id=no-such-ad", "adId=no-such-ad", "ad_id=99999999999999999999", "ad_id=no-such-ad&timeframe=1h"])
def test_analytics_of_an_unknown_ad_is_404(product, route, query):
    refuse(product, 404, "unknown_ad", "GET", f"{route.path}?{query}", field="ad_id")


@pytest.mark.parametrize("route", GET_ROUTES, ids=str)
@pytest.mark.parametrize("query", ["?", "?&&&", "?=", "?=x", "?unknown=%zz&unknown=1", "?" + "a=1&" * 500, "?%00=1", "?é=ü", "?a[]=1", "?" + "x" * 4000])
def test_parameters_that_nobody_knows_change_nothing(product, route, query):
    assert ask(product, "GET", route.address() + query).status == ask(product, "GET", route.address()).status


@pytest.mark.parametrize("route", [route for route in ROUTES if route.is_guarded], ids=str)
@pytest.mark.parametrize("headers", [None, {"Authorization": "Bearer x"}, {"X-API-Key": "é"}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}], ids=repr)
def test_without_a_right_key_it_is_401_before_anything_else(product, route, headers):
    answer = product.request(route.method, route.address() + "?limit=x", b"{" if route.body else None, headers)
    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")


# ---- metrics --------------------------------------------------------------------------------------------


def series(product):
    return {line.rsplit(" ", 1)[0] for line in product.get("/metrics").body.decode().splitlines() if not line.startswith("#")}


def test_ten_thousand_different_requests_make_no_new_series(product):
    def vary(number):
        name = f"vary-{number}"
        product.get(f"/nothing/{name}?{name}", {"User-Agent": name, "Origin": f"https://{name}.example", "X-Request-Id": name})
        product.get(f"/api/v1/ads/{name}?{name}={name}", {"Accept-Language": name})
        product.request(f"VARY{number}", "/health")
        product.post(CLICK, {"ad_id": name, name: name}, {"User-Agent": name, "Idempotency-Key": uuid7()})
        product.post("/api/v1/events/validate", [{"ad_id": name, "type": name}], {"X-API-Key": name})

    vary(0)
    before = series(product)
    for number in range(1, 2000):
        vary(number)
    assert series(product) == before
    assert not any("vary" in each.lower() for each in before)


def test_none_of_it_was_recorded(product):
    """The rows are the events that were answered 202 on purpose, and no more: types 8 alone, the good neighbours of bad ones."""
    product.agree()
    wait_until("every good neighbour is stored", lambda: product.sql("SELECT count(*) FROM events")[0][0] >= recorded(product))
    assert product.sql("SELECT count(*) FROM events WHERE ad_id <> 'ad-002'") == [(0,)]
    assert product.sql("SELECT count(*) FROM events")[0][0] == recorded(product) == next(accepted)
    assert product.sql("SELECT count(*) FROM dead_letters") == [(0,)]
