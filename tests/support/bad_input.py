"""The routes of the gateway and everything that may come from outside to them and is wrong.

A new route is a line in ROUTES (test_every_route_has_its_line sees to it); a new kind of bad input is a line in BAD_JSON,
BAD_FIELDS, BAD_REPLAYS or BAD_QUERIES.
"""

import json
import uuid
from dataclasses import dataclass

from product import uuid7

KIB = 1 << 10


@dataclass(frozen=True)
class Route:
    method: str
    path: str  # as /info names it
    body: str = ""  # what it takes: "event", "events" or "replay"; "": none
    limit: int = 0  # of its body
    query: str = ""  # its row of BAD_QUERIES
    is_guarded: bool = False  # asks for a key in every configuration
    sample: str = ""  # an address that fits the path, when it has {segments}

    def address(self):
        return self.sample or self.path

    def __str__(self):
        return f"{self.method} {self.path}"


OPS = ["/health", "/health/live", "/livez", "/health/ready", "/readyz", "/metrics", "/info"]
SOMEBODY = "01a1fdf0-ef50-7433-a4ea-5d2fc2c1d3fa"  # an id that nothing has

ROUTES = [
    Route("POST", "/api/v1/ads/click", "event", 4 * KIB),
    Route("POST", "/api/v1/ads/impression", "event", 4 * KIB),
    Route("POST", "/ads/click", "event", 4 * KIB),
    Route("POST", "/ads/impression", "event", 4 * KIB),
    Route("POST", "/api/v1/events", "events", 1024 * KIB),
    Route("POST", "/api/v1/events/validate", "events", 1024 * KIB),
    Route("POST", "/api/v1/dlq/replay", "replay", 64 * KIB, is_guarded=True),
    Route("GET", "/api/v1/ads", query="ads"),
    Route("GET", "/api/v1/ads/{id}", sample="/api/v1/ads/ad-001"),
    Route("GET", "/api/v1/ads/analytics", query="analytics"),
    Route("GET", "/api/v1/events/{event_id}", query="receipt", is_guarded=True, sample=f"/api/v1/events/{SOMEBODY}"),
    Route("GET", "/api/v1/audit", query="audit", is_guarded=True),
    Route("GET", "/api/v1/dlq", query="letters", is_guarded=True),
    Route("GET", "/api/v1/dlq/{id}", is_guarded=True, sample="/api/v1/dlq/1"),
    Route("DELETE", "/api/v1/dlq/{id}", is_guarded=True, sample="/api/v1/dlq/1"),
    Route("GET", "/ads"),
    Route("GET", "/ads/analytics", query="analytics"),
    Route("GET", "/swagger/swagger.yaml"),
    *(Route("GET", path) for path in OPS),
]
EVENT_ROUTES = [route for route in ROUTES if route.body == "event"]
BATCH_ROUTES = [route for route in ROUTES if route.body == "events"]
BODY_ROUTES = [route for route in ROUTES if route.body]
GET_ROUTES = [route for route in ROUTES if route.method == "GET"]
CLICK = EVENT_ROUTES[0].path

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
# What a route takes, as it should be.
GOOD = {"event": b'{"ad_id":"ad-001"}', "events": b'[{"type":"start","ad_id":"ad-001"}]', "replay": b'{"ids":[999999999]}'}

# ---- what may stand in a body -------------------------------------------------------------------------

# Bodies that are no JSON object of ours: 400 invalid_json.
BAD_JSON = {
    "empty": b"",
    "blanks": b"  \r\n\t ",
    "truncated": b'{"ad_id":"ad-0',
    "truncated escape": b'{"ad_id":"ad-0\\u00',
    "trailing bytes": b'{"ad_id":"ad-001"} x',
    "second object": b'{"ad_id":"ad-001"}{}',
    "byte order mark": b'\xef\xbb\xbf{"ad_id":"ad-001"}',
    "comment": b'{"ad_id":"ad-001"/* here */}',
    "single quotes": b"{'ad_id':'ad-001'}",
    "trailing comma": b'{"ad_id":"ad-001",}',
    "key without quotes": b'{ad_id:"ad-001"}',
    "NaN": b'{"ad_id":"ad-001","playback_time":NaN}',
    "Infinity": b'{"ad_id":"ad-001","playback_time":-Infinity}',
    "leading zero": b'{"ad_id":"ad-001","playback_time":01}',
    "plus sign": b'{"ad_id":"ad-001","playback_time":+1}',
    "hexadecimal": b'{"ad_id":"ad-001","playback_time":0x10}',
    "dot without digits": b'{"ad_id":"ad-001","playback_time":1.}',
    "1e400": b'{"ad_id":"ad-001","playback_time":1e400}',
    "integer past 64 bits": b'{"ad_id":99999999999999999999}',
    "raw control byte": b'{"ad_id":"ad\x01001"}',
    "raw newline": b'{"ad_id":"ad\n001"}',
    "NUL": b'{"ad_id":"ad-001\x00"}',
    "escaped NUL": b'{"ad_id":"ad-001\\u0000"}',
    "escaped NUL in a key": b'{"ad_id\\u0000":"ad-001"}',
    "NUL after the end": b'{"ad_id":"ad-001"}\x00',
    "bad UTF-8": b'{"ad_id":"ad-001","note":"\xc3\x28"}',
    "overlong UTF-8": b'{"ad_id":"ad-001","note":"\xc0\xaf"}',
    "surrogate in UTF-8": b'{"ad_id":"ad-001","note":"\xed\xa0\x80"}',
    "past U+10FFFF": b'{"ad_id":"ad-001","note":"\xf4\x90\x80\x80"}',
    "lone surrogate": b'{"ad_id":"ad-001","note":"\\ud800"}',
    "unknown escape": b'{"ad_id":"ad\\x2d001"}',
    "duplicate key": b'{"ad_id":"ad-001","ad_id":"ad-001"}',
    "duplicate key by escape": b'{"ad_id":"ad-001","\\u0061d_id":"ad-002"}',
    "duplicate key below": b'{"ad_id":"ad-001","x":{"a":1,"a":1}}',
    "nesting past 8": b'{"ad_id":"ad-001","x":' + b"[" * 8 + b"]" * 8 + b"}",
    "nesting past 1000": b'{"ad_id":"ad-001","x":' + b"[" * 1000 + b"]" * 1000 + b"}",
    "scalar": b"7",
    "string": b'"ad-001"',
    "null": b"null",
    "form fields": b"ad_id=ad-001",
}
# As an element of an array these are still JSON: they cost themselves, not the array.
ELEMENTS = {"scalar", "string", "null", "duplicate key", "duplicate key by escape", "duplicate key below"}
# Two of these in one array or on two lines are two elements; nothing between brackets is none.
NO_ELEMENTS = {"empty", "blanks"}
# A newline ends an NDJSON line: what is broken on both sides is two bad lines.
TWO_LINES = {"raw newline"}

BIG, OLD, NEW = uuid7(), uuid7(1_000_000_000_000), uuid7(4_000_000_000_000)

# Field, value as JSON, code. The event is otherwise good. The field is the name that the answer gives.
BAD_FIELDS = [
    ("ad_id", None, "missing_field"),
    *[("ad_id", value, "invalid_type") for value in ("null", "true", "1.5", "-1.0", "[]", "{}", '["ad-001"]')],
    *[("ad_id", json.dumps(value), "invalid_ad_id") for value in
      ("", "a" * 65, "a/b", "a*", "a>", "a.b", "a b", " ", "é", "-\n", "ad-001 ", "*", ">", "%61", "a\u2028", "a:b", "{p}")],
    *[("timestamp", value, "invalid_type") for value in ("null", "7", "true", "[]", "{}", "1.5")],
    *[("timestamp", json.dumps(value), "invalid_timestamp") for value in
      ("", "2026-02-30T00:00:00Z", "2025-02-29T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01", "infinity", "-infinity", "now", "epoch",
       "2026-01-01T24:00:01Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "99999-01-01T00:00:00Z", "1969-12-31T23:59:59Z",
       "2026-01-01T00:00:00+99:00", "20260101T000000Z", " 2026-01-01T00:00:00Z", "2026-01-01T00:00:00Zx", "2026-01-01T00:60:00Z",
       "1767225600", "01/02/2026")],
    *[("ip", value, "invalid_type") for value in ("null", "7", "true", "[]")],
    *[("ip", json.dumps(value), "invalid_ip") for value in
      ("", "999.1.1.1", "10.0.0.0/8", "fe80::1%eth0", "1.2.3", "1.2.3.4.5", "::g", "1.2.3.4 ", "1.2.3.4:80", "[::1]", "localhost", "01.2.3.4", "0x7f.1")],
    *[("playback_time", value, "invalid_type") for value in ("null", "true", '"7"', "[]")],
    *[("playback_time", value, "invalid_playback_time") for value in ("-1", "-0.001", "86401", "86400.01", "1e300", "-1e300", "9223372036854775807")],
    *[("event_id", value, "invalid_type") for value in ("null", "7", "true", "[]")],
    *[("event_id", json.dumps(value), "invalid_event_id") for value in
      ("", "x", "00000000-0000-7000-8000-00000000000", "g0000000-0000-7000-8000-000000000000", "{01a1fdf0-ef50-7433-a4ea-5d2fc2c1d3fa}",
       "01a1fdf0ef507433a4ea5d2fc2c1d3fa0", "00000000-0000-7000-8000-000000000000", "urn:uuid:" + BIG, BIG + "\n", OLD, NEW)],
    ("event_id", json.dumps(str(uuid.uuid4())), "invalid_event_id"),  # another version without a timestamp
    ("event_id", json.dumps(str(uuid.uuid4())) + ',"timestamp":"2020-01-01T00:00:00Z"', "invalid_event_id"),
    ("ad_id", '"ad-001","adId":"ad-002"', "conflicting_fields"),
    ("ip", '"1.2.3.4","ip_address":"1.2.3.5"', "conflicting_fields"),
    ("ip", '"1.2.3.4","ipAddress":"::1"', "conflicting_fields"),
    ("playback_time", '1,"video_play_time":2', "conflicting_fields"),
    ("playback_time", '1,"videoPlaybackTime":1.0001', "conflicting_fields"),
    ("event_id", f'"{uuid7()}","eventId":"{uuid7()}"', "conflicting_fields"),
    ("event_id", f'"{uuid7()}","click_id":"{uuid7()}"', "conflicting_fields"),
    ("event_id", f'"{uuid7()}","clickId":"{uuid7()}"', "conflicting_fields"),
]
# A batch's events have one more.
BAD_TYPES = [
    ("type", None, "missing_field"),
    *[("type", value, "invalid_type") for value in ("null", "1", "[]")],
    *[("type", json.dumps(value), "invalid_event_type") for value in ("", "Click", "click ", "unspecified", "buy", "click\u0000"[:5] + "s")],
]

# Bodies of a replay: field, body, status and code.
BAD_REPLAYS = [
    ("ids", b"{}", 422, "missing_field"),
    *[("ids", b'{"ids":%s}' % ids, 422, "invalid_type") for ids in
      (b"[]", b"null", b"7", b'"1"', b"{}", b"[0]", b"[-1]", b"[1.5]", b'["1"]', b"[null]", b"[" + b"1," * 1000 + b"1]")],
    ("ids", b'{"ids":[1],"code":"unknown_ad"}', 422, "conflicting_fields"),
    *[("code", b'{"code":%s}' % code, 422, "invalid_type") for code in
      (b'""', b"null", b"7", b'"a b"', b'"\\n"', b'"\xc3\xa9"', b'"' + b"a" * 32 + b'"', b"[]")],
    *[("limit", b'{"code":"unknown_ad","limit":%s}' % limit, 422, "invalid_type") for limit in (b"0", b"-1", b"1001", b'"1"', b"1.5", b"null")],
    *[("again", b'{"ids":[1],"again":%s}' % again, 422, "invalid_type") for again in (b"1", b'"true"', b"null")],
]

# ---- what may stand in an address ----------------------------------------------------------------------

NUMBERS = ("0", "-1", "1e3", "1.5", "99999999999999999999", "9223372036854775808", "", "x", "+1", "0x10", "%201", "1%20", "1%00", "%", "%4", "%zz", "1001")
INSTANTS = ("", "1", "now", "infinity", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01", "1969-12-31T23:59:59Z", "2026-01-01T00:00:00%00Z", "%", "%zz",
            "2026-01-01T00:00:00+05:30")  # an unescaped + is a blank

BAD_QUERIES = {
    "ads": [*(f"limit={number}" for number in NUMBERS), "cursor=a/b", "cursor=", "cursor=%", "cursor=" + "a" * 65, "limit=1&limit=2", "limit=1&lim%69t=1"],
    "analytics": [
        *(f"limit={number}" for number in NUMBERS), *(f"minutes={number}" for number in NUMBERS if number != "1001"), "minutes=10081",
        *(f"timeframe={frame}" for frame in ("1y", "", "1H", "60", "1m%20", "1m%00", "%c3%28", "ALL", "%", "1m1m")),
        *(f"timezone={zone}" for zone in ("Nowhere/Land", "../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", "", "UTC%00", "Europe", "Europe/", "%0a",
                                          "posixrules/x", "a" * 65, "zone.tab")),
        *(f"cursor={cursor}" for cursor in ("x", "1", "-1.ad-001", "1.", "1.a/b", ".ad-001", "9999999999999999999.ad-001", "", "%")),
        *(f"ad_id={ad_id}" for ad_id in ("", "a/b", "a%00", "a" * 65, "%zz", "%", "%4", "a%20b", "%c3%a9", "*", "a.b")),
        *(f"adId={ad_id}" for ad_id in ("", "a/b", "%zz")),
        "minutes=1&minutes=2", "ad_id=ad-001&ad_id=ad-001", "timeframe=1h&timefram%65=1h", "format=xml", "format=", "format=MAP", "timezone=" + "a" * 3000],
    "receipt": [f"timestamp={instant}" for instant in INSTANTS],
    "audit": [*(f"from={instant}" for instant in INSTANTS), *(f"to={instant}" for instant in INSTANTS),
              "from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
              "from=2026-01-01T00:00:00Z&to=2026-01-02T00:01:00Z", "from=2020-01-01T00:00:00Z", "from=9999-12-31T23:59:59Z", "to=1970-01-01T00:00:00Z&to=x"],
    "letters": [*(f"limit={number}" for number in NUMBERS), *(f"cursor={number}" for number in NUMBERS if number != "1001"),
                *(f"partition={number}" for number in NUMBERS if number not in ("0", "1001")), "partition=2147483648",
                *(f"state={state}" for state in ("", "closed", "OPEN", "open%00", "%")), *(f"code={code}" for code in ("", "a%20b", "a'b", "%c3%a9", "a" * 32, "%"))],
}
CONFLICTING_QUERIES = {"analytics": ["minutes=5&timeframe=1h", "timeframe=all&minutes=1", "ad_id=ad-001&adId=ad-002"]}

# Paths that lead nowhere, and segments that name nothing: code by path.
NOWHERE = {
    **{path: "not_found" for path in (
        "/nothing", "/api", "/api/v1", "/api/v1/", "/api/v1/ads/", "/api/v2/ads", "/ads/click/", "/ADS", "/../etc/passwd", "/..%2fetc%2fpasswd", "/%2e%2e/health",
        "/health%00", "/health%2flive", "/api/v1/ads/a/b", "//health", "/health/", "/health/live/x", "/api/v1/dlq/1/x", "/?", "/" + "a/" * 2000,
        "/api/v1/ads/%zz", "/api/v1/ads/%", "/api/v1/ads/a%00b", "/api/v1/dlq/%zz", "/api/v1/events/%00")},
    **{f"/api/v1/ads/{ad_id}": "unknown_ad" for ad_id in ("no-such-ad", "a" * 65, "a" * 4000, "a%2Fb", "%c3%a9", "%c3%28", "*", "a'b", "%22", "ad-001%20", ".", "%0a")},
    **{f"/api/v1/dlq/{letter}": "unknown_letter" for letter in ("0", "-1", "1e3", "x", "99999999999999999999", "1%20", "%31x", "9" * 18)},
    f"/api/v1/events/{SOMEBODY}": "unknown_event",
}
BAD_EVENT_IDS = ["x", "1", "00000000-0000-7000-8000-00000000000g", "{" + SOMEBODY + "}", SOMEBODY + "0", SOMEBODY + "%20", "%c3%a9", "a" * 4000, "*"]


def event(field=None, value=None, **others):
    """A good event as JSON text with one field given or, with value None, left out."""
    members = {"ad_id": '"ad-001"', **others}
    if field:
        members[field] = value
    return "{" + ",".join(f'"{name}":{text}' for name, text in members.items() if text is not None) + "}"


def body_of(route, size):
    """A good body of so many bytes, with nothing in it that would be recorded."""
    frames = {"event": (b'{"ad_id":"no-such-ad","note":"', b'"}'), "replay": (b'{"ids":[999999999],"note":"', b'"}'),
              "events": (b"[" + b",".join([b'{"ad_id":"no-such-ad","type":"start","note":"' + b"x" * 3000 + b'"}'] * 340) + b',{"note":"', b'"}]')}
    before, behind = frames[route.body]
    return before + b"x" * (size - len(before) - len(behind)) + behind


def queries(table):
    return [(route, query) for route in ROUTES if route.query for query in table.get(route.query, [])]
