"""Who may, and how often: keys, tokens and limits against a running product, and SIGHUP under load."""

import base64
import hashlib
import hmac
import json
import re
import signal
import subprocess
import threading
import time

import pytest
from conftest import end, make_product
from product import CLICK, ROOT, wait_until
from keepalive import Connection
from keys import ROLES, key_line, new_key

KEYS = {role: new_key() for role in ROLES}
JWT_SECRET = "jwt-" + new_key()
BODY = {"ad_id": "ad-001"}
COLLECTING = [("POST", path) for path in (CLICK, "/api/v1/ads/impression", "/api/v1/events", "/api/v1/events/validate", "/ads/click", "/ads/impression")]
READING = [("GET", path) for path in ("/api/v1/ads/analytics", "/ads/analytics", "/api/v1/ads/analytics?ad_id=ad-001")]
OPEN = [("GET", path) for path in ("/api/v1/ads", "/api/v1/ads/ad-001", "/ads", "/swagger/swagger.yaml")]
OPS = [("GET", path) for path in ("/health", "/health/live", "/livez", "/health/ready", "/readyz", "/metrics", "/info")]
MAY = {"collect": COLLECTING, "read": READING, "server": COLLECTING + READING, "admin": COLLECTING + READING}


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def write_keys(path, keys, **rates):
    """As an editor does it: the new file takes the old one's place."""
    new = path.with_name(path.name + ".new")
    new.write_text("# the keys of the tests\n" + "".join(key_line(name, name.split("-")[0], key, **rates.get(name, {})) + "\n" for name, key in keys.items()))
    new.replace(path)


def token(secret=JWT_SECRET, alg="HS256", **claims):
    def part(raw):
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    text = part(json.dumps({"alg": alg, "typ": "JWT"}).encode()) + "." + part(json.dumps({"exp": int(time.time()) + 60, **claims}).encode())
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest() if alg != "none" else b""
    return text + "." + part(signature)


def ask(product, method, path, headers=None):
    body = None
    if method == "POST":
        body = [{"type": "click", **BODY}] if path.startswith("/api/v1/events") else BODY
    return product.request(method, path, body, headers)


def log_of(product):
    return product.stack.process("gateway").log_file.read_text(errors="replace")


def hang_up(product, expect):
    """SIGHUP, until the log says what became of it."""
    seen = log_of(product).count(f'"event":"{expect}"')
    product.stack.process("gateway").send(signal.SIGHUP)
    wait_until(f"the log says {expect}", lambda: log_of(product).count(f'"event":"{expect}"') > seen)


def metric(product, name):
    found = re.search(rf"^adledger_{re.escape(name)} (\S+)$", product.get("/metrics").body.decode(), re.M)
    return float(found.group(1)) if found else None


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A product whose collecting and analytics need keys, and which believes tokens."""
    directory = tmp_path_factory.mktemp("keys")
    write_keys(directory / "keys", KEYS)
    (directory / "jwt").write_text(JWT_SECRET + "\n")
    product = make_product(AUTH_KEYS_FILE=str(directory / "keys"), REQUIRE_COLLECT_KEY="on", REQUIRE_READ_KEY="on", AUTH_JWT_ALG="HS256",
                           AUTH_JWT_KEY_FILE=str(directory / "jwt"), AUTH_JWT_ISSUER="tests", AUTH_JWT_AUDIENCE="adledger",
                           LOG_LEVEL="debug", TRUST_BODY_IP="off", IP_STORAGE="full")
    product.keys_file = directory / "keys"
    yield product
    end(product)


# ---- keys and roles ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method,path", COLLECTING + READING)
def test_a_guarded_route_by_no_key_a_wrong_key_and_each_role(strict, method, path):
    nobody = ask(strict, method, path)
    assert nobody.status == 401 and nobody.json()["code"] == "unauthorized"
    assert nobody.headers["www-authenticate"] == 'Bearer realm="adledger"'
    assert nobody.headers["content-type"] == "application/problem+json"
    wrong = ask(strict, method, path, bearer(new_key()))
    assert wrong.status == 401 and "invalid_token" in wrong.headers["www-authenticate"]
    for role, key in KEYS.items():
        for headers in (bearer(key), {"X-API-Key": key}, {"X-API-Key": key, **bearer(key)}):
            answer = ask(strict, method, path, headers)
            if (method, path) in MAY[role]:
                assert answer.status in (200, 202, 204), (role, answer.status, answer.body)
            else:
                assert answer.status == 403 and answer.json()["code"] == "forbidden", role


@pytest.mark.parametrize("method,path", OPEN + OPS)
def test_the_catalogue_and_the_ops_routes_are_open(strict, method, path):
    for headers in (None, *map(bearer, KEYS.values())):
        assert ask(strict, method, path, headers).status == 200
    assert ask(strict, method, path, bearer("wrong")).status == (200 if (method, path) in OPS else 401)


@pytest.mark.parametrize("headers", [{"Authorization": "Basic YWRtaW46YWRtaW4="}, {"Authorization": "Bearer"}, {"X-API-Key": ""}, {"X-API-Key": "a b"},
                                     {"Authorization": "Bearer x", "X-API-Key": "y"}, {"X-API-Key": "x" * 5000}])
def test_a_malformed_key_is_401_and_costs_nothing_else(strict, headers):
    assert ask(strict, "POST", CLICK, headers).status == 401


def test_two_keys_that_differ_are_401_even_when_both_are_right(strict):
    assert ask(strict, "POST", CLICK, {**bearer(KEYS["admin"]), "X-API-Key": KEYS["server"]}).status == 401
    raw = (f"POST {CLICK} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-API-Key: {KEYS['admin']}\r\n"
           f"X-API-Key: {KEYS['server']}\r\nContent-Length: 18\r\n\r\n" + '{"ad_id":"ad-001"}')
    assert strict.client.send(raw.encode()).status == 401


def test_who_may_not_is_refused_before_the_body_is_looked_at(strict):
    assert strict.post(CLICK, "{", {"Content-Type": "image/png"}).status == 401
    assert strict.post(CLICK, "x" * 5000, bearer(KEYS["read"])).status == 403


def test_a_preflight_needs_no_key(strict):
    assert strict.request("OPTIONS", CLICK).status == 204


def test_the_ip_in_a_body_counts_for_servers_and_for_nobody_else(strict):
    def stored_ip(key):
        answer = strict.post(CLICK, {**BODY, "ip": "203.0.113.77"}, bearer(key))
        event_id = answer.json()["click_id"]
        return wait_until("it is stored", lambda: strict.sql("SELECT host(ip) FROM events WHERE event_id = %s", (event_id,)))[0][0]
    assert stored_ip(KEYS["server"]) == stored_ip(KEYS["admin"]) == "203.0.113.77"
    assert stored_ip(KEYS["collect"]) == "127.0.0.1"


def test_a_token_is_believed_when_all_about_it_is_right(strict):
    good = {"iss": "tests", "aud": "adledger", "role": "collect"}
    assert ask(strict, "POST", CLICK, bearer(token(**good))).status == 202
    assert ask(strict, *READING[0], bearer(token(**good))).status == 403
    assert ask(strict, *READING[0], bearer(token(**{**good, "role": "read"}))).status == 200
    now = int(time.time())
    for wrong in (token("another secret, and long enough to be one", **good), token(alg="none", **good), token(alg="RS256", **good), token(**good)[:-2],
                  token(**{**good, "iss": "me"}), token(**{**good, "aud": "me"}), token(**{**good, "role": "root"}),
                  token(**good, exp=now - 120), token(**good, nbf=now + 120), token(**good, exp=None)):
        answer = ask(strict, "POST", CLICK, bearer(wrong))
        assert answer.status == 401 and "invalid_token" in answer.headers["www-authenticate"]


def test_what_was_refused_is_counted(strict):
    before = metric(strict, 'requests_refused_total{code="unauthorized"}')
    ask(strict, "POST", CLICK)
    assert metric(strict, 'requests_refused_total{code="unauthorized"}') == before + 1


# ---- SIGHUP -----------------------------------------------------------------------------------------


def test_a_wrong_file_keeps_the_old_keys_and_says_where_it_is_wrong(strict):
    try:
        strict.keys_file.write_text(key_line("admin", "admin", KEYS["admin"]) + "\nsomebody owner " + "0" * 64 + "\n")
        hang_up(strict, "reload_failed")
        assert "AUTH_KEYS_FILE" in log_of(strict) and "line 2" in log_of(strict)
        strict.keys_file.unlink()
        hang_up(strict, "reload_failed")
        for role, key in KEYS.items():
            assert ask(strict, *MAY[role][0], bearer(key)).status in (200, 202)
    finally:
        write_keys(strict.keys_file, KEYS)
    hang_up(strict, "settings_reloaded")


def test_keys_are_exchanged_under_load_and_nothing_is_lost(strict):
    """Two keys take turns in the file; the load has one that stays, and never sees anything but 202."""
    turns = {"collect-a": new_key(), "collect-b": new_key()}
    accepted, statuses, stopping = [], set(), threading.Event()

    def click():
        connection = Connection(strict.stack.url())
        while not stopping.is_set():
            answer = connection.request("POST", CLICK, json.dumps(BODY), {"Content-Type": "application/json", **bearer(KEYS["server"])})
            statuses.add(answer.status)
            accepted.append(json.loads(answer.body).get("click_id"))

    threads = [threading.Thread(target=click) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(10):
            name, other = ("collect-a", "collect-b") if turn % 2 == 0 else ("collect-b", "collect-a")
            write_keys(strict.keys_file, {**KEYS, name: turns[name]})
            hang_up(strict, "settings_reloaded")
            wait_until("the new key is known", lambda: ask(strict, "POST", CLICK, bearer(turns[name])).status == 202)
            assert ask(strict, "POST", CLICK, bearer(turns[other])).status == 401
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
        write_keys(strict.keys_file, KEYS)
        hang_up(strict, "settings_reloaded")
    assert statuses == {202} and len(accepted) > 100
    strict.reconcile(accepted)


def test_no_secret_is_ever_logged(strict):
    secrets = [*KEYS.values(), JWT_SECRET, *(hashlib.sha256(key.encode()).hexdigest() for key in KEYS.values()), token(role="x").split(".")[0]]
    for log in (strict.stack.dir / "log").glob("*.log"):
        text = log.read_text(errors="replace")
        for secret in secrets:
            assert secret not in text, log.name


# ---- limits -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """Ten requests at once, then one a second, on two loops behind a trusted proxy."""
    directory = tmp_path_factory.mktemp("limits")
    write_keys(directory / "keys", KEYS, server={"rps": 2, "burst": 5}, admin={"rps": 0})
    (directory / "rps").write_text("1")
    (directory / "level").write_text("info")
    product = make_product(AUTH_KEYS_FILE=str(directory / "keys"), RATE_LIMIT_RPS_FILE=str(directory / "rps"), RATE_LIMIT_BURST="10", WORKER_COUNT="2",
                           TRUSTED_PROXIES="127.0.0.0/8", LOG_LEVEL_FILE=str(directory / "level"), LOG_LEVEL="")
    product.directory = directory
    yield product
    end(product)


def burst(product, headers, count, method="GET", path="/api/v1/ads"):
    """The statuses of requests over connections of their own, so that they meet every loop."""
    connections = [Connection(product.stack.url()) for _ in range(8)]
    answers = [connections[i % 8].request(method, path, None, headers) for i in range(count)]
    for connection in connections:
        connection.close()
    return answers


def from_address(ip):
    return {"X-Forwarded-For": ip}


def test_ten_times_the_limit_is_429_at_once_with_what_to_wait(limited):
    began = time.monotonic()
    answers = burst(limited, from_address("198.51.100.1"), 100)
    took = time.monotonic() - began
    allowed = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 429]
    assert len(allowed) + len(refused) == 100
    assert 10 <= len(allowed) <= 10 + took + 1, "both loops together allow what one caller may"
    answer = refused[0]
    assert answer.json()["code"] == "rate_limited"
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["ratelimit-policy"] == '"client";q=10;w=10'
    assert answer.headers["ratelimit"] == '"client";r=0;t=1'
    assert metric(limited, 'rate_limited_total{kind="client"}') >= len(refused)


def test_callers_do_not_share_a_bucket_but_a_network_of_ipv6_does(limited):
    assert [answer.status for answer in burst(limited, from_address("198.51.100.2"), 10)] == [200] * 10
    assert burst(limited, from_address("198.51.100.3"), 1)[0].status == 200
    assert [answer.status for answer in burst(limited, from_address("2001:db8::1"), 10)] == [200] * 10
    assert burst(limited, from_address("2001:db8:0:0:ffff::2"), 5)[-1].status == 429
    assert burst(limited, from_address("2001:db8:0:1::1"), 1)[0].status == 200


def test_only_the_hop_that_a_proxy_has_written_counts(limited):
    """What the client wrote left of it cannot pick another bucket."""
    statuses = [burst(limited, from_address(f"203.0.113.{i}, 198.51.100.4"), 1)[0].status for i in range(30)]
    assert statuses.count(200) < 20 and 429 in statuses


def test_a_key_has_a_bucket_of_its_own(limited):
    _ = burst(limited, from_address("198.51.100.5"), 30)
    answers = burst(limited, {**from_address("198.51.100.5"), **bearer(KEYS["server"])}, 30)
    assert [answer.status for answer in answers[:5]] == [200] * 5
    refused = [answer for answer in answers if answer.status == 429]
    assert refused and refused[0].headers["ratelimit-policy"] == '"key";q=5;w=3'
    assert {answer.status for answer in burst(limited, bearer(KEYS["admin"]), 50)} == {200}


def test_wrong_keys_use_up_their_senders_bucket(limited):
    statuses = [answer.status for answer in burst(limited, {**from_address("198.51.100.6"), **bearer("wrong")}, 30)]
    assert statuses[:10] == [401] * 10 and 429 in statuses


def test_a_batch_costs_its_events(limited):
    headers = from_address("198.51.100.7")
    events = [{"type": "click", **BODY}] * 50
    assert limited.post("/api/v1/events", events, headers).status == 202
    refused = limited.post("/api/v1/events", events, headers)
    assert refused.status == 429 and 30 <= int(refused.headers["retry-after"]) <= 41
    assert limited.post(CLICK, BODY, headers).status == 429


def test_monitors_are_never_limited(limited):
    for _, path in OPS:
        assert {answer.status for answer in burst(limited, from_address("198.51.100.8"), 30, path=path)} == {200}


def test_the_table_is_shown(limited):
    assert metric(limited, "rate_limit_clients_max") == 65536
    wait_until("the places are shown", lambda: metric(limited, "rate_limit_clients") >= 5)
    assert metric(limited, "rate_limit_evictions_total") == 0


def test_limits_and_the_log_level_are_reloaded_from_their_files(limited):
    (limited.directory / "rps").write_text("many")
    hang_up(limited, "reload_failed")
    assert "RATE_LIMIT_RPS_FILE" in log_of(limited)
    assert 429 in [answer.status for answer in burst(limited, from_address("198.51.100.9"), 40)]
    (limited.directory / "rps").write_text("0")
    (limited.directory / "level").write_text("warn")
    limited.stack.process("gateway").send(signal.SIGHUP)
    wait_until("nothing is limited", lambda: 429 not in [answer.status for answer in burst(limited, from_address("198.51.100.9"), 40)])
    (limited.directory / "rps").write_text("1")
    (limited.directory / "level").write_text("info")
    hang_up(limited, "settings_reloaded")
    assert 429 in [answer.status for answer in burst(limited, from_address("198.51.100.10"), 40)]


# ---- without any key --------------------------------------------------------------------------------


def test_collecting_and_analytics_are_open_by_default(product):
    for method, path in COLLECTING + READING + OPEN:
        assert ask(product, method, path).status in (200, 202, 204)


def test_without_a_key_file_admin_and_proof_are_closed_and_the_bare_analytics_may_be_a_map(start_product):
    product = start_product(AUTH_KEYS_FILE="", LEGACY_ANALYTICS="map")
    for method, path in (("GET", "/api/v1/audit"), ("GET", "/api/v1/dlq"), ("POST", "/api/v1/dlq/replay"), ("DELETE", "/api/v1/dlq/1"),
                         ("GET", "/api/v1/events/01a21b17-a539-7c69-b77a-a3c92fe82eb8")):
        for headers in (None, bearer(product.stack.admin_key)):
            assert product.request(method, path, headers=headers).status == 401, (method, path, headers)
    assert ask(product, "POST", CLICK).status == 202
    wait_until("the map has it", lambda: product.get("/ads/analytics").json().get("ad-001") == 1)
    assert isinstance(product.get("/ads/analytics?minutes=10").json(), list)
    assert product.get("/api/v1/ads/analytics?ad_id=ad-001").json()["ad_id"] == "ad-001"


def test_run_makes_an_admin_key_for_its_owner_alone(product):
    stack = product.stack
    for path in (stack.admin_key_file, stack.keys_file):
        assert path.stat().st_mode & 0o777 == 0o600
    assert product.as_admin("GET", "/api/v1/ads").status == 200
    assert product.request("GET", "/api/v1/ads", headers=bearer(stack.admin_key + "x")).status == 401
    key, lines = stack.admin_key, stack.keys_file.read_text()
    stack.ensure_keys()
    assert (stack.admin_key, stack.keys_file.read_text()) == (key, lines)
    assert key not in lines and stack.env()["ADMIN_KEY"] == key


def test_a_log_that_was_moved_away_goes_on_in_a_new_file(start_product, tmp_path):
    log = tmp_path / "gateway.log"
    product = start_product()
    product.stack.process("gateway").stop()
    product.restart("gateway", LOG_FILE=str(log))
    log.rename(tmp_path / "old.log")
    product.stack.process("gateway").send(signal.SIGHUP)
    wait_until("there is a new file", lambda: log.exists() and "settings_reloaded" in log.read_text())
    assert "settings_reloaded" not in (tmp_path / "old.log").read_text()


@pytest.mark.parametrize("name", ["ingest", "analytics"])
def test_the_readers_reload_too(product, name):
    process = product.stack.process(name)
    process.send(signal.SIGHUP)
    wait_until("it says so", lambda: "settings_reloaded" in process.log_file.read_text())
    assert process.pid is not None


def test_the_tool_makes_a_key_and_its_line():
    done = subprocess.run([ROOT / "tools" / "key", "shop", "server"], text=True, capture_output=True, check=True)
    key = re.search(r"^key:  (adl_\S{43})$", done.stdout, re.M).group(1)
    assert f"line: {key_line('shop', 'server', key)}" in done.stdout
    assert subprocess.run([ROOT / "tools" / "key", "shop", "owner"], capture_output=True, check=False).returncode == 1
