"""Headers that are wrong, and what from outside may stand in a log: no request is harmed by them, and no line is forged."""

import json
import re

import pytest
from bad_input import CLICK, GOOD, ROUTES


@pytest.mark.parametrize("given, kept", [("abc-1.2_3", True), ("a" * 64, True), ("a" * 65, False), ("a b", False), ("a\tb", False), ("<script>", False), ("é", False),
                                         ("", False), ('"', False), ("a,b", False), ("%0d%0a", False)])
def test_a_request_id_is_kept_when_it_is_well_formed(product, given, kept):
    for path in ("/health/live", "/nothing"):
        answer = product.get(path, {"X-Request-Id": given})
        assert (answer.headers["x-request-id"] == given) is kept
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer.headers["x-request-id"])


HEADERS = ["X-Request-Id", "User-Agent", "Origin", "X-Forwarded-For", "X-API-Key", "Accept", "If-None-Match", "Cookie", "Referer", "Sec-Purpose", "X-Anything"]


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("value", [b"\xff\xfe\x80", "é".encode(), b"\x80" * 3000, b"\x7f" * 10, b"a" * 8000], ids=lambda value: repr(value[:12]))
def test_bytes_that_are_no_ascii_in_a_header_harm_nobody(product, name, value):
    head = b"GET /api/v1/ads HTTP/1.1\r\nHost: x\r\n" + name.encode() + b": " + value + b"\r\n\r\n"
    status = product.client.send(head).status
    assert status == (401 if name == "X-API-Key" else 200) or (value[:1] == b"\x7f" and status == 400), status
    assert product.get("/health/live").status == 200


EVIL = ['x\\n{"level":"error","event":"forged"}', 'x","event":"forged', "\x1b[31mforged\x7f", "%0a%0dforged", "\u2028forged", '\\u000a"forged"', "$(forged)"]


def test_nothing_from_outside_forges_a_log_line(start_product):
    product = start_product(LOG_LEVEL="debug")
    for evil in EVIL:
        for name in [*HEADERS, "Idempotency-Key", "Authorization", "Content-Type", "Content-Encoding"]:
            raw = f"POST {CLICK} HTTP/1.1\r\nHost: x\r\n{name}: {evil}\r\nContent-Length: {len(GOOD['event'])}\r\n\r\n".encode() + GOOD["event"]
            product.client.send(raw)
        for route in ROUTES:
            quoted = "".join(f"%{byte:02x}" for byte in evil.encode())
            for query in ("timezone", "ad_id", "cursor", "code", "from", "timestamp", "limit"):
                product.as_admin(route.method, f"{route.address()}?{query}={quoted}")
            product.as_admin(route.method, re.sub(r"{\w+}", quoted, route.path))
            if route.body:
                for field in ("ad_id", "type", "ip", "timestamp", "event_id", "code", "ids", evil):
                    product.as_admin(route.method, route.path, {field: evil})
    for service in ("gateway", "ingest", "analytics"):
        lines = product.stack.process(service).log_file.read_text(errors="strict").split("\n")
        assert len(lines) > 1 and lines.pop() == ""
        for line in lines:
            record = json.loads(line)
            assert "forged" not in record["event"] and record["level"] != "error" and "forged" not in record, line
            assert line.isprintable(), line
