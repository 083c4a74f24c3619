"""Dead letters: what could not be stored is kept, shown, sent again and purged."""

import base64
import datetime
import json
import socket
import uuid

import psycopg2
import pytest
from product import uuid7, wait_until
from proof import audit, click, problem, receipt_of


def unknown_ad(product, ad_id):
    """An event that ingest cannot resolve: a gateway without a catalogue has taken it."""
    for name in ("gateway", "ingest"):
        assert product.stack.process(name).stop()
    (product.stack.dir / "gateway" / "catalogue.json").unlink(missing_ok=True)
    product.stack.process("postgres").kill()
    product.stack.start_service("gateway", CATALOGUE_WAIT_MS="200")
    product.stack.wait_ready("gateway")
    event_id = click(product, ad_id=ad_id, playback_time=1.5)
    product.stack.start_postgres()
    product.restart("ingest")
    wait_until("it is a dead letter", lambda: product.sql("SELECT 1 FROM dead_letters WHERE event_id = %s", (event_id,)))
    return event_id


def letter_row(product, n, code="unknown_ad", payload=b"\x00", index=0):
    return product.sql("INSERT INTO dead_letters (partition, seq, index, code, payload) VALUES (0, %s, %s, %s, %s) RETURNING id",
                       (n, index, code, payload))[0][0]


def single_event(event_id, ad_id="ad-001"):
    """A click as it stands in a batch: field 16, then an adledger.v1.Event."""
    def number(value):
        out = b""
        while value > 127:
            out, value = out + bytes([value & 127 | 128]), value >> 7
        return out + bytes([value])

    at_ms = int(datetime.datetime.now().timestamp() * 1000)
    event = b"\x0a\x10" + uuid.UUID(event_id).bytes + b"\x10\x01\x1a" + number(len(ad_id)) + ad_id.encode() + \
        b"\x20" + number(at_ms) + b"\x28" + number(at_ms)
    return b"\x82\x01" + number(len(event)) + event


def replay(product, body):
    answer = product.as_admin("POST", "/api/v1/dlq/replay", body)
    assert answer.status == 202, answer.body
    return answer.json()


def test_a_dead_event_comes_back_when_its_ad_is_there(start_product):
    product = start_product()
    event_id = unknown_ad(product, "late-ad")
    found = receipt_of(product, event_id, "dead")
    assert found["counted"] is False and found["dead_letter"]["code"] == "unknown_ad"
    letter_id = found["dead_letter"]["id"]
    letter = product.as_admin("GET", f"/api/v1/dlq/{letter_id}").json()
    assert letter["event"]["event_id"] == event_id and letter["event"]["playback_time"] == 1.5
    payload = product.sql("SELECT payload FROM dead_letters WHERE id = %s", (letter_id,))[0][0]
    assert base64.b64decode(letter["payload_base64"]) == bytes(payload)

    product.add_ads(["late-ad"])
    assert replay(product, {"code": "unknown_ad"}) == {"replayed": 1, "skipped": []}

    receipt_of(product, event_id, "counted")
    assert product.sql("SELECT count(*) FROM inbox") == [(0,)]
    found = audit(product)
    total = found["totals"]
    assert found["balanced"] is True and (total["dead"], total["stored"]) == (1, 1)
    assert (total["accepted"], total["unpromised"]) == (1, 1)  # the second way is no second promise


def test_letters_are_listed_newest_first_by_page_and_by_filter(start_product):
    product = start_product()
    ids = [letter_row(product, n, code="out_of_range" if n % 2 else "unknown_ad") for n in range(5)]
    product.sql("UPDATE dead_letters SET replayed_at = now() WHERE id = %s", (ids[0],))

    def listed(query=""):
        answer = product.as_admin("GET", f"/api/v1/dlq{query}")
        assert answer.status == 200, answer.body
        return [letter["id"] for letter in answer.json()["letters"]], answer.json()["next_cursor"]

    assert listed() == (ids[::-1], None)
    assert listed("?limit=2") == ([ids[4], ids[3]], ids[3])
    assert listed(f"?limit=2&cursor={ids[3]}") == ([ids[2], ids[1]], ids[1])
    assert listed("?code=out_of_range") == ([ids[3], ids[1]], None)
    assert listed("?state=replayed") == ([ids[0]], None)
    assert listed("?state=open&code=unknown_ad") == ([ids[4], ids[2]], None)
    assert listed("?partition=1") == ([], None)
    for bad in ("?limit=0", "?limit=1001", "?limit=1e3", "?cursor=x", "?cursor=0", "?partition=-1", "?state=dead", "?code=", "?code=a%27b", "?code=%zz"):
        assert problem(product.as_admin("GET", f"/api/v1/dlq{bad}")) == (400, "invalid_parameter"), bad


def test_a_letter_is_replayed_once_unless_again_is_asked_for(start_product):
    product = start_product()
    good = letter_row(product, 1)

    assert replay(product, {"ids": [good, 999]}) == {"replayed": 1, "skipped": [{"id": 999, "code": "unknown_letter"}]}
    assert replay(product, {"ids": [good]}) == {"replayed": 0, "skipped": [{"id": good, "code": "already_replayed"}]}
    assert replay(product, {"code": "unknown_ad"}) == {"replayed": 0, "skipped": []}
    assert replay(product, {"ids": [good], "again": True})["replayed"] == 1
    assert replay(product, {"code": "unknown_ad", "limit": 10, "again": True})["replayed"] >= 1
    assert product.sql("SELECT replayed_at IS NOT NULL FROM dead_letters WHERE id = %s", (good,)) == [(True,)]


def test_what_waits_in_the_inbox_is_accepted_and_comes_back_when_the_stream_does(start_product):
    product = start_product()
    event_id = click(product)
    receipt_of(product, event_id, "counted")
    dead = product.sql("INSERT INTO dead_letters (partition, seq, index, code, payload) SELECT 0, 1, 0, 'out_of_range', %s RETURNING id",
                       (single_event(uuid7()),))[0][0]
    product.stack.process("nats").kill()
    assert replay(product, {"ids": [dead]})["replayed"] == 1
    again_id = product.as_admin("GET", f"/api/v1/dlq/{dead}").json()["event"]["event_id"]

    kept = receipt_of(product, again_id, "accepted")
    assert (kept["kept_in"], kept["ad_id"], kept["counted"]) == ("inbox", "ad-001", False)
    assert kept["batch"]["batch_no"] == 1

    product.stack.start_nats()
    receipt_of(product, again_id, "counted")
    wait_until("the inbox is empty", lambda: product.sql("SELECT count(*) FROM inbox") == [(0,)])


def test_a_whole_message_comes_back_byte_for_byte(start_product):
    product = start_product()
    whole = letter_row(product, 7, code="undecodable", payload=b"not one", index=-1)

    assert replay(product, {"ids": [whole]})["replayed"] == 1

    wait_until("the same bytes are refused again", lambda: product.sql(
        "SELECT 1 FROM dead_letters WHERE id > %s AND payload = 'not one' AND index = -1", (whole,)))


def test_a_client_that_leaves_while_the_database_is_asked_harms_nobody(start_product):
    product = start_product()
    letter = letter_row(product, 1)
    with psycopg2.connect(product.stack.database_url) as database, database.cursor() as cursor:
        cursor.execute("LOCK TABLE dead_letters IN ACCESS EXCLUSIVE MODE")
        paths = [f"/api/v1/dlq/{letter}", "/api/v1/dlq", f"/api/v1/events/{uuid7()}"] * 3
        links = [socket.create_connection(("127.0.0.1", product.stack.port("gateway")), 5) for _ in paths]
        head = f"Host: x\r\nAuthorization: Bearer {product.stack.admin_key}\r\n\r\n"
        for path, link in zip(paths, links):
            link.sendall(f"GET {path} HTTP/1.1\r\n{head}".encode())
        wait_until("one of them waits for the table", lambda: waits_for_a_lock(product))
        for link in links:
            link.close()
        # Analytics has threads of its own: what stands still here is not in its way.
        assert product.analytics("ad-001")["total_clicks"] == 0
    assert product.as_admin("GET", f"/api/v1/dlq/{letter}").status == 200
    assert click(product)


def waits_for_a_lock(product):
    return product.sql("SELECT 1 FROM pg_stat_activity WHERE application_name = 'adledger gateway proof' AND wait_event_type = 'Lock'")


def test_a_purged_letter_is_gone(start_product):
    product = start_product()
    letter = letter_row(product, 1)

    assert product.as_admin("GET", f"/api/v1/dlq/{letter}").json()["event"] is None
    assert product.as_admin("DELETE", f"/api/v1/dlq/{letter}").status == 204
    for method in ("DELETE", "GET"):
        assert problem(product.as_admin(method, f"/api/v1/dlq/{letter}")) == (404, "unknown_letter")
    assert problem(product.as_admin("GET", "/api/v1/dlq/x")) == (404, "unknown_letter")


@pytest.mark.parametrize("body, expected", [
    ("", (400, "invalid_json")), ("[]", (400, "invalid_json")), ('{"ids":[1],"ids":[2]}', (400, "invalid_json")),
    ("{", (400, "invalid_json")), ("{}", (422, "missing_field")), ('{"ids":[1],"code":"x"}', (422, "conflicting_fields")),
    ('{"ids":[]}', (422, "invalid_type")), ('{"ids":1}', (422, "invalid_type")), ('{"ids":["1"]}', (422, "invalid_type")),
    ('{"ids":[0]}', (422, "invalid_type")), ('{"code":1}', (422, "invalid_type")), ('{"code":""}', (422, "invalid_type")),
    ('{"code":"x","limit":0}', (422, "invalid_type")), ('{"code":"x","limit":1001}', (422, "invalid_type")),
    ('{"ids":[1],"again":1}', (422, "invalid_type")), (json.dumps({"ids": list(range(1, 1002))}), (422, "invalid_type"))])
def test_a_replay_that_says_nothing_clear_is_refused(product, body, expected):
    answer = product.as_admin("POST", "/api/v1/dlq/replay", body, {"Content-Type": "application/json"})
    assert problem(answer) == expected
