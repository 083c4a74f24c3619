"""proto/openapi.yaml is what the gateway's tables say: routes, who may, codes. That live answers are as it says, tests/support/product.py sees to."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
import node_packages  # noqa: E402
from openapi import document  # noqa: E402

OPEN, OPS = [{}, {"bearer": []}, {"apiKey": []}], []
HEADERS = {"x-request-id": "test-7", "content-type": "application/json"}
LETTERS = {"letters": [], "count": 0, "next_cursor": None}


def who(flags):
    """The document's words for a row's ROUTE_ flags."""
    role = re.search(r"ROUTE_(COLLECT|READ|SERVER|ADMIN)", flags)
    if role is None:
        return OPS if "ROUTE_OPS" in flags else OPEN
    keys = [{"bearer": [role[1].lower()]}, {"apiKey": [role[1].lower()]}]
    return keys if role[1] in ("SERVER", "ADMIN") else [{}, *keys]


def routes():
    """Flags by method and path, as the two tables have them."""
    rows = [row for file in ("services/gateway/routes.c", "shared/http/ops.h")
            for row in re.findall(r'\{\s*(?:\\\s*)?"([A-Z]+)", "(/[^"]*)", \w+,\s*\w+,\s*([^}]*?)\s*(?:\\\s*)?\}', (ROOT / file).read_text())]
    return {(method, path): flags for method, path, flags in rows}


def test_the_document_obeys_the_specification():
    node_packages.install()
    done = subprocess.run(["node", "tests/contract/openapi.mjs", "proto/openapi.yaml"], cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_route_is_in_the_document_and_no_other():
    mine, written = set(routes()), set(document().operations)
    assert len(mine) == sum((ROOT / file).read_text().count('"/') for file in ("services/gateway/routes.c", "shared/http/ops.h")), "a row is not recognised"
    assert mine == written, f"not in the document: {sorted(mine - written)}; of no row: {sorted(written - mine)}"


@pytest.mark.parametrize("route", routes(), ids=" ".join)
def test_who_may_is_what_the_row_says(route):
    assert document().operations[route]["security"] == who(routes()[route])


def test_every_code_is_in_the_document_and_no_other():
    rows = re.findall(r'^FAULT\(\w+, "(\w+)", (\d+),', (ROOT / "shared/event/faults.def").read_text(), re.M)
    assert document().tree["components"]["schemas"]["Code"]["enum"] == [code for code, _ in rows]

    told = {(code, status) for operation in document().operations.values() for status, response in operation["responses"].items()
            for code in re.findall(r"`(\w+)`", response["description"]) if "application/problem+json" in response.get("content", {})}
    elsewhere = {("method_not_allowed", "405"), ("id_reuse", "409")}  # the first is no operation's, the second stands in results alone
    assert told | elsewhere == set(rows)


def test_the_version_is_the_products():
    version = re.search(r"^project\(adledger VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text(), re.M)[1]
    assert document().tree["info"]["version"] == version


def open_objects(schema, where, is_part=False):
    """The objects of an answer that may have fields of which the document knows nothing."""
    if "properties" in schema and not is_part and not {"additionalProperties", "unevaluatedProperties"} & set(schema):
        yield where
    for name, each in schema.get("properties", {}).items():
        yield from open_objects(each, f"{where}.{name}")
    for each in schema.get("allOf", []):
        yield from open_objects(each, where, "unevaluatedProperties" in schema)
    for each in [*schema.get("oneOf", []), *schema.get("anyOf", [])]:
        yield from open_objects(each, where)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from open_objects(schema[key], f"{where}.{key}")


def test_no_answer_has_fields_that_the_document_does_not_know():
    schemas = [(f"{method} {path} {status}", content["schema"]) for (method, path), operation in document().operations.items()
               for status, response in operation["responses"].items() for content in response.get("content", {}).values()]
    assert len(schemas) > 100
    assert not [each for where, schema in schemas for each in open_objects(schema, where)]


# What a gateway might answer, and what is said of it.
@pytest.mark.parametrize("method, path, status, headers, body, says", [
    ("GET", "/api/v1/dlq", 200, HEADERS, LETTERS, None),
    ("HEAD", "/api/v1/dlq", 200, HEADERS, None, None),
    ("GET", "/api/v1/dlq", 200, HEADERS, {**LETTERS, "more": 1}, "'more' was unexpected"),
    ("GET", "/api/v1/dlq", 200, HEADERS, {"letters": []}, "'count' is a required property"),
    ("GET", "/api/v1/dlq", 200, HEADERS, {**LETTERS, "count": "0"}, "$.count: '0' is not of type 'integer'"),
    ("GET", "/api/v1/dlq", 201, HEADERS, LETTERS, "status 201 is not in the document"),
    ("GET", "/api/v1/dlq", 200, {"content-type": "application/json"}, LETTERS, "there is no X-Request-Id"),
    ("GET", "/api/v1/dlq", 200, {**HEADERS, "content-type": "text/html"}, LETTERS, "type 'text/html' is not in the document"),
    ("GET", "/api/v1/dlq", 503, {**HEADERS, "content-type": "application/problem+json"}, {}, "there is no Retry-After"),
    ("DELETE", "/api/v1/dlq/1", 204, HEADERS, {}, "a body that is not in the document"),
    ("GET", "/api/v1/nothing", 200, HEADERS, {}, "no such operation"),
    ("POST", "/api/v1/ads", 405, HEADERS, {}, "type 'application/json' is not in the document"),
])
def test_an_answer_that_is_not_as_written_is_found(method, path, status, headers, body, says):
    answer = SimpleNamespace(status=status, headers=headers, body=b"" if body is None else json.dumps(body).encode(), json=lambda: body)
    faults = "; ".join(document().faults(method, path, answer))
    assert says in faults if says else not faults
