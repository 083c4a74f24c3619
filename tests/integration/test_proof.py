"""Receipts and the audit: the product shows that nothing is lost, and names what is."""

import datetime
import json
import socket
import uuid

import psycopg2.extras
import pytest
from product import Load, uuid7, wait_until
from proof import audit, click, problem, receipt, receipt_of

psycopg2.extras.register_uuid()
FAST_AUDIT = {"AUDIT_INTERVAL_MS": "300", "AUDIT_SETTLE_MS": "0"}


@pytest.fixture(autouse=True)
def fresh_connection(request):
    """The product of the whole file may have been idle for longer than the gateway keeps a connection."""
    if "product" in request.fixturenames:
        request.getfixturevalue("product").client.close()


# ---- receipts ---------------------------------------------------------------------------------------


def test_a_receipt_names_the_batch_that_brought_the_event(product):
    event_id = click(product)

    found = receipt_of(product, event_id, "counted")

    assert found["event_id"] == event_id and found["counted"] is True
    assert (found["ad_id"], found["type"], found["reason"]) == ("ad-001", "click", None)
    row = product.sql("SELECT gateway_id::text, thread, partition, batch_no, seq FROM batches WHERE seq ="
                      " (SELECT seq FROM events WHERE event_id = %s)", (event_id,))[0]
    assert tuple(found["batch"][name] for name in ("gateway_id", "thread", "partition", "batch_no", "seq")) == row
    assert found["received_at"] <= found["batch"]["sent_at"] <= found["stored_at"]


def test_a_foreign_id_is_found_by_its_timestamp(product):
    foreign = str(uuid.uuid4())
    at = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.123Z")
    assert click(product, event_id=foreign, timestamp=at) == foreign

    found = receipt_of(product, foreign, "counted", f"?timestamp={at}")

    assert found["event_id"] == foreign and found["event_at"] == at
    assert problem(receipt(product, foreign)) == (400, "invalid_parameter")
    assert problem(receipt(product, foreign, "?timestamp=yesterday")) == (400, "invalid_parameter")


def test_an_event_that_nobody_knows_is_told_with_how_far_the_rows_go(product):
    answer = receipt(product, uuid7())
    assert problem(answer) == (404, "unknown_event")
    wait_until("ingest says how far it is", lambda: "until 20" in receipt(product, uuid7()).json()["detail"])
    for bad in ("no-uuid", "1", "00000000-0000-7000-8000-00000000000g"):
        assert problem(receipt(product, bad))[0] in (400, 422), bad


def test_an_invalid_event_has_its_reason(product):
    event_id = click(product)
    receipt_of(product, event_id, "counted")
    product.sql("UPDATE events SET reason = 1 WHERE event_id = %s", (event_id,))

    found = receipt(product, event_id).json()

    assert (found["status"], found["reason"], found["counted"]) == ("invalid", "crawler", True)


def test_a_receipt_says_what_is_not_counted_and_what_nobody_knows(start_product):
    product = start_product()
    assert product.stack.process("analytics").stop()
    event_id = click(product)
    assert receipt_of(product, event_id, "stored")["counted"] in (False, None)  # None: Redis has never counted
    product.restart("analytics")
    receipt_of(product, event_id, "counted")

    assert product.stack.process("ingest").stop()
    stopped_at = datetime.datetime.now(datetime.timezone.utc)
    waiting = click(product)
    assert problem(receipt(product, waiting)) == (404, "unknown_event")
    assert datetime.datetime.fromisoformat(audit(product)["stored_until"].replace("Z", "+00:00")) < stopped_at
    product.restart("ingest")
    receipt_of(product, waiting, "counted")
    wait_until("the audit has seen it", lambda: audit(product)["stored_until"] > receipt(product, waiting).json()["received_at"])

    product.stack.process("redis").kill()
    later = click(product)
    assert receipt_of(product, later, "stored")["counted"] is None

    product.stack.process("postgres").kill()
    answer = receipt(product, later)
    assert problem(answer) == (503, "unavailable") and "retry-after" in answer.headers


# ---- the audit --------------------------------------------------------------------------------------


@pytest.fixture
def ledger(start_product):
    """A product without traffic of its own: its lanes are the test's."""
    return start_product()


NOW = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)


def lane_id():
    return str(uuid.UUID(uuid7()))


def put(product, gateway, no, *, events=2, dead=0, duplicates=0, settled=None, accepted=0, minute=1, thread=0, at=None):
    """One row of batches, as ingest would have filed it, some minutes ago."""
    sent_at = at or NOW - datetime.timedelta(minutes=minute)
    product.sql("INSERT INTO batches (sent_at, gateway_id, thread, partition, batch_no, seq, events, stored, dead,"
                " settled_below, accepted, stored_at) VALUES (%s, %s, %s, 0, %s, %s, %s, %s, %s, %s, %s, %s)",
                (sent_at, gateway, thread, no, no, events, events - dead - duplicates, dead, settled or no, accepted, sent_at))


def tell(product, gateway, fate, first, last, events, minutes_ago=1):
    product.sql("INSERT INTO batch_ranges VALUES (%s, 0, 0, %s, %s, %s, %s, %s)",
                (gateway, {"spooled": 1, "abandoned": 2}[fate], first, last, events, NOW - datetime.timedelta(minutes=minutes_ago)))


def findings(found, gateway):
    return [(f["state"], f["first"], f["last"]) for f in found["findings"] if f["gateway_id"] == gateway]


def test_each_class_of_a_missing_number(ledger):
    lost, pending, refused, dead_end = lane_id(), lane_id(), lane_id(), lane_id()
    put(ledger, lost, 1)
    put(ledger, lost, 4, accepted=7)                    # 2 and 3 are gone, and with them 5 events
    put(ledger, pending, 1)
    put(ledger, pending, 4, accepted=9)
    tell(ledger, pending, "spooled", 2, 3, 7)
    put(ledger, refused, 1)
    put(ledger, refused, 3, accepted=2)
    tell(ledger, refused, "abandoned", 2, 2, 4)
    put(ledger, dead_end, 1)
    put(ledger, dead_end, 3, settled=2, accepted=2)     # 2 was in flight when it died

    found = audit(ledger)

    assert findings(found, lost) == [("lost", 2, 3)]
    assert findings(found, pending) == [("pending", 2, 3)]
    assert findings(found, refused) == [("unpromised", 2, 2)]
    assert findings(found, dead_end) == [("unproven", 2, 2)]
    assert [f["events"] for f in found["findings"] if f["state"] in ("lost", "pending")] == \
        [{"lost": 5, "pending": 7}[f["state"]] for f in found["findings"] if f["state"] in ("lost", "pending")]
    total = found["totals"]
    assert found["balanced"] is False and total["lost"] == 5 and total["pending"] == 7
    assert total["accepted"] == total["stored"] + total["pending"] + total["lost"]
    assert total["batches"] == {"stored": 8, "lost": 2, "pending": 2, "unpromised": 1, "unproven": 1}


def test_what_is_whole_balances(ledger):
    gateway, other, heartbeat = lane_id(), lane_id(), lane_id()
    for no in range(1, 6):
        put(ledger, gateway, no, accepted=2 * (no - 1), dead=int(no == 2), duplicates=int(no == 3))
    for no in (1, 2):
        put(ledger, gateway, no, thread=1, accepted=2 * (no - 1))
        put(ledger, other, no, accepted=2 * (no - 1), minute=2)
    put(ledger, heartbeat, 1, events=0)
    put(ledger, heartbeat, 2, events=0)

    found = audit(ledger)

    assert found["balanced"] is True and found["findings"] == [] and found["lanes"] == 4
    total = found["totals"]
    assert (total["accepted"], total["stored"], total["dead"], total["duplicates"]) == (18, 16, 1, 1)
    assert [m["accepted"] for m in found["minutes"]] == [4, 14]


def test_a_number_that_is_stored_is_not_pending_whatever_was_told(ledger):
    gateway = lane_id()
    put(ledger, gateway, 1)
    put(ledger, gateway, 2)                             # spooled, and replayed since
    put(ledger, gateway, 4, accepted=6)
    tell(ledger, gateway, "spooled", 2, 3, 4)

    found = audit(ledger)

    assert findings(found, gateway) == [("pending", 3, 3)]
    assert found["totals"]["pending"] == 2 and found["balanced"] is True


@pytest.mark.parametrize("minutes_ago", [1, 600])  # a range that has grown since then
def test_what_was_answered_503_and_came_all_the_same_is_unpromised(ledger, minutes_ago):
    gateway = lane_id()
    for no in (1, 2, 3):
        put(ledger, gateway, no, accepted=2 * int(no > 1))
    tell(ledger, gateway, "abandoned", 2, 2, 2, minutes_ago)

    found = audit(ledger)

    total = found["totals"]
    assert (total["accepted"], total["unpromised"], total["stored"]) == (4, 2, 6)
    assert found["balanced"] is True


@pytest.mark.parametrize("ranges", [[(2, 3), (3, 3), (4, 5)], [(2, 5), (3, 3), (5, 5)], [(2, 5), (3, 5), (4, 4)]])
def test_what_is_told_twice_is_unpromised_once(ledger, ranges):
    gateway = lane_id()
    for no in (1, 2, 3, 6):
        put(ledger, gateway, no, accepted=2 * int(no > 1))
    for first, last in ranges:                          # 4 and 5 never came
        tell(ledger, gateway, "abandoned", first, last, 2 * (last + 1 - first))

    found = audit(ledger)

    total = found["totals"]
    assert (total["accepted"], total["unpromised"], total["stored"], total["lost"]) == (4, 4, 8, 0)
    assert {state for state, _, _ in findings(found, gateway)} == {"unpromised"}
    assert total["batches"]["unpromised"] == 2 and found["balanced"] is True


@pytest.mark.parametrize("ranges", [[(3, 3), (2, 3)], [(4, 4), (3, 4), (2, 4)], [(3, 4), (4, 4), (2, 2)]])
def test_what_is_told_twice_is_pending_once(ledger, ranges):
    gateway = lane_id()
    last_no = max(last for _, last in ranges)
    put(ledger, gateway, 1)
    put(ledger, gateway, last_no + 1, accepted=2 * last_no)
    for first, last in ranges:
        tell(ledger, gateway, "spooled", first, last, 2 * (last + 1 - first))

    found = audit(ledger)

    assert {state for state, _, _ in findings(found, gateway)} == {"pending"}
    assert found["totals"]["pending"] == 2 * (last_no - 1) and found["balanced"] is True


def test_a_lane_begins_at_one(ledger):
    gateway = lane_id()
    put(ledger, gateway, 3, accepted=3)

    assert findings(audit(ledger), gateway) == [("lost", 1, 2)]


def test_a_lane_older_than_what_is_kept_is_not_blamed_for_its_beginning(ledger):
    gateway = uuid7(int((NOW - datetime.timedelta(days=400)).timestamp() * 1000))
    put(ledger, gateway, 1000, accepted=5000)

    found = audit(ledger)

    assert findings(found, gateway) == [] and found["balanced"] is True


def test_a_lane_in_flight_is_pending(ledger):
    gateway = lane_id()
    now = datetime.datetime.now(datetime.timezone.utc)
    put(ledger, gateway, 1, at=now)
    put(ledger, gateway, 3, settled=2, accepted=2, at=now)

    assert findings(audit(ledger), gateway) == [("pending", 2, 2)]


def test_a_gap_is_filed_once_across_midnight_and_the_edges_of_spans(ledger):
    gateway = uuid7(int((NOW - datetime.timedelta(days=1)).timestamp() * 1000))
    today = NOW.replace(hour=0, minute=0)
    put(ledger, gateway, 1, at=today - datetime.timedelta(minutes=1))
    put(ledger, gateway, 3, accepted=4, at=today + datetime.timedelta(seconds=1))
    text = "%Y-%m-%dT%H:%M:%SZ"
    before, at, after = ((today + datetime.timedelta(minutes=m)).strftime(text) for m in (-10, 0, 10))

    assert findings(audit(ledger, f"?from={before}&to={at}"), gateway) == []
    assert findings(audit(ledger, f"?from={at}&to={after}"), gateway) == [("lost", 2, 2)]
    assert findings(audit(ledger, f"?from={before}&to={after}"), gateway) == [("lost", 2, 2)]


def test_a_sum_that_is_not_what_was_told_is_unequal(ledger):
    gateway = lane_id()
    put(ledger, gateway, 1)
    put(ledger, gateway, 2, accepted=5)                 # 1 had 2 events, not 5

    found = audit(ledger)

    assert findings(found, gateway) == [("unequal", None, None)]
    assert found["balanced"] is False and found["totals"]["lost"] == 3


def test_a_deliberately_removed_batch_is_named_as_lost(start_product):
    product = start_product(**FAST_AUDIT)
    ids = []
    for _ in range(6):
        ids.append(click(product))
        receipt_of(product, ids[-1], "counted")
    batches = [receipt(product, event_id).json()["batch"] for event_id in ids]
    wait_until("an audit has balanced", lambda: product.metric("ledger_audited_at_seconds"))
    assert audit(product)["balanced"] is True and product.metric("ledger_balanced") == 1

    gone = batches[2]
    product.sql("DELETE FROM events WHERE event_id = %s", (ids[2],))
    product.sql("DELETE FROM batches WHERE partition = 0 AND seq = %s", (gone["seq"],))

    found = audit(product)
    assert found["balanced"] is False
    assert [(f["state"], f["gateway_id"], f["thread"], f["partition"], f["first"], f["last"], f["events"])
            for f in found["findings"]] == [("lost", gone["gateway_id"], gone["thread"], 0, gone["batch_no"], gone["batch_no"], 1)]
    wait_until("the gauges say so", lambda: product.metric("ledger_balanced") == 0 and product.metric("ledger_lost_batches") == 1)
    log = product.stack.process("gateway").log_file.read_text()
    assert log.count("ledger_unbalanced") == 1


def jetstream(product, subject, request):
    """One request of JetStream's API, over a bare connection."""
    with socket.create_connection(("127.0.0.1", product.stack.port("nats")), 5) as link:
        reader = link.makefile("rb")
        reader.readline()
        login = {"user": "adledger", "pass": product.stack.settings["passwords"]["nats"], "verbose": False, "pedantic": False}
        body = json.dumps(request)
        link.sendall(f"CONNECT {json.dumps(login)}\r\nSUB answer 1\r\nPUB {subject} answer {len(body)}\r\n{body}\r\n".encode())
        while not reader.readline().startswith(b"MSG"):
            pass
        return json.loads(reader.readline())


def test_a_message_that_the_stream_loses_before_it_is_read_is_named_as_lost(start_product):
    product = start_product(**FAST_AUDIT)
    first = receipt_of(product, click(product), "counted")["batch"]
    assert product.stack.process("ingest").stop()
    for _ in range(2):
        click(product)
    answer = jetstream(product, "$JS.API.STREAM.MSG.DELETE.ADS_0", {"seq": first["seq"] + 1, "no_erase": True})
    assert answer.get("success"), answer
    last = click(product)
    product.restart("ingest")
    receipt_of(product, last, "counted")

    found = audit(product)

    gone = first["batch_no"] + 1
    assert findings(found, first["gateway_id"]) == [("lost", gone, gone)]
    assert found["totals"]["lost"] == 1 and found["balanced"] is False
    wait_until("the gauges say so", lambda: product.metric("ledger_lost_batches") == 1)


def test_only_one_gateway_audits(start_product):
    product = start_product(**FAST_AUDIT)
    wait_until("the first audits", lambda: product.metric("ledger_audited_at_seconds"))
    from processes import free_port
    port = free_port(set(product.stack.settings["ports"].values()))
    product.stack.start_service("gateway", instance="second", HTTP_PORT=str(port),
                                CATALOGUE_FILE=str(product.stack.dir / "second" / "catalogue.json"))
    product.stack.wait_ready("second", port=port)
    from keepalive import Connection

    def audited():
        lines = Connection(f"http://127.0.0.1:{port}").request("GET", "/metrics").body.decode().splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith("adledger_ledger_audited_at_seconds "))

    assert audited() == 0
    assert product.stack.process("gateway").stop()
    wait_until("the second takes over", audited)


@pytest.mark.parametrize("query", ["?from=x", "?to=2026-02-30T00:00:00Z", "?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
                                   "?from=2026-01-01T00:00:00Z&to=2026-01-03T00:00:00Z", "?from=2026-01-01", "?from=%zz",
                                   "?from=2026-01-01T00:00:00Z&from=2026-01-01T00:00:00Z", "?from=2026-01-01T00:00:00Z"])
def test_a_span_that_is_none_is_refused(product, query):
    assert problem(product.as_admin("GET", f"/api/v1/audit{query}")) == (400, "invalid_parameter")


def test_a_span_without_traffic_is_empty_and_balanced(product):
    found = audit(product, "?from=2020-01-01T00:00:30Z&to=2020-01-01T01:00:00Z")
    assert found["balanced"] is True and found["minutes"] == [] and found["lanes"] == 0
    assert found["from"] == "2020-01-01T00:00:00.000Z"


def test_methods_and_types_of_the_proof(product):
    assert product.as_admin("POST", "/api/v1/audit", {}).status == 405
    assert product.as_admin("GET", "/api/v1/dlq/replay").status == 405
    assert product.as_admin("PUT", "/api/v1/dlq/1", {}).status == 405
    assert product.as_admin("HEAD", "/api/v1/audit").status == 200


def test_load_is_balanced_when_it_is_over(start_product):
    product = start_product(WORKER_COUNT="2", PARTITIONS="2")
    with Load(product.stack.url(), total=2000) as load:
        load.wait()
    product.reconcile(load.accepted)
    found = audit(product)
    assert found["totals"]["stored"] == len(load.accepted)
    assert found["totals"]["batches"]["lost"] == 0
