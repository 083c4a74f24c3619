"""TLS to the servers: verified by authority and name, spoken under load, and never given up for plain text."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
import redis
from certificates import Authority
from product import CLICK, ROOT, Load, freeze, thaw, wait_until
from processes import free_port


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


def nats_config(directory, authority, pair, verify=False):
    """The product's own configuration with TLS; verify: clients need a certificate, too."""
    config = directory / "nats.conf"
    config.write_text(f"""
include "{os.path.relpath(ROOT / 'config' / 'nats.conf', directory)}"
tls {{ cert_file: "{pair[0]}", key_file: "{pair[1]}", ca_file: "{authority.certificate}", verify: {str(verify).lower()}, timeout: 2 }}
""")
    return str(config)


def log_of(product, name):
    return product.stack.process(name).log_file.read_text(errors="replace")


def refused(product, name, why, **env):
    """The service, started anew with env, says why in its log, and gets no connection."""
    product.stack.process(name).stop()
    seen = len(log_of(product, name))
    product.stack.start_service(name, **env)
    wait_until(f"{name} says: {why}", lambda: why in log_of(product, name)[seen:])
    return log_of(product, name)[seen:]


@pytest.fixture
def over_tls(start_product, tmp_path, authority):
    """A product whose NATS speaks nothing but TLS."""
    return start_product(NATS_CONFIG=nats_config(tmp_path, authority, authority.issue("nats")), NATS_CA_FILE=str(authority.certificate))


def test_every_click_is_stored_over_tls(over_tls):
    with Load(over_tls.stack.url(), connections=32, total=5000) as load:
        load.wait()

    assert over_tls.reconcile(load.accepted, load.sent) == 5000
    assert over_tls.metric("spool_kept_batches_total") in (None, 0)


def test_a_frozen_nats_holds_no_request_over_tls(over_tls):
    slowest = []

    def click():
        began = time.monotonic()
        assert over_tls.post(CLICK, {"ad_id": "ad-001"}).status == 202
        slowest.append(time.monotonic() - began)

    nats = over_tls.stack.process("nats")
    with Load(over_tls.stack.url(), connections=16, per_second=1000) as load:
        wait_until("clicks flow", lambda: len(load.accepted) > 1000)
        freeze(nats)
        for _ in range(60):  # past the time in which the connection is given up, and made anew in vain
            click()
            time.sleep(0.2)
        thaw(nats)
        wait_until("NATS takes them again", lambda: over_tls.get("/health").json()["components"]["nats"]["state"] == "up")

    assert max(slowest) < 2, f"a click took {max(slowest):.2f} s"
    assert not [status for status in load.statuses if status != 202], load.statuses
    over_tls.reconcile(load.accepted, seconds=60)


def test_an_unknown_authority_or_another_name_is_refused(over_tls, authority, stranger, tmp_path):
    for name in ("gateway", "ingest", "analytics"):
        refused(over_tls, name, "certificate", NATS_CA_FILE=str(stranger.certificate))
        over_tls.stack.process(name).stop()
    over_tls.stack.process("nats").stop()
    over_tls.stack.extra_env["NATS_CONFIG"] = nats_config(tmp_path, authority, authority.issue("other", "DNS:nats.example.com"))
    over_tls.stack.start_nats()

    for name in ("gateway", "ingest", "analytics"):
        log = refused(over_tls, name, "mismatch")
        assert "nats" in log
    assert over_tls.get("/health").json()["components"]["nats"]["state"] != "up"


def test_a_client_shows_its_certificate(over_tls, authority, tmp_path):
    over_tls.stack.process("nats").stop()
    over_tls.stack.extra_env["NATS_CONFIG"] = nats_config(tmp_path, authority, authority.issue("nats"), verify=True)
    over_tls.stack.start_nats()
    refused(over_tls, "ingest", "nats")

    certificate, key = map(str, authority.issue("client"))
    over_tls.stack.extra_env.update(NATS_CERT_FILE=certificate, NATS_KEY_FILE=key)
    for name in ("ingest", "analytics", "gateway"):
        over_tls.stack.process(name).stop()
        over_tls.restart(name)
    with Load(over_tls.stack.url(), total=100) as load:
        load.wait()
    over_tls.reconcile(load.accepted)


class OddServer:
    """Greets as NATS does, and keeps what it gets: what never asks for TLS, or asks and then says nothing."""

    def __init__(self, asks_for_tls):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.greeting = f"INFO {json.dumps({'server_id': 'x', 'version': '2.10.27', 'max_payload': 1 << 20, 'headers': True, 'tls_required': asks_for_tls})}\r\n"
        self.greeted, self.got = 0, b""
        self.links = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            self.links.append(link)
            link.sendall(self.greeting.encode())
            self.greeted += 1
            threading.Thread(target=self._read, args=(link,), daemon=True).start()

    def _read(self, link):
        try:
            while data := link.recv(4096):
                self.got += data
        except OSError:
            pass

    def close(self):
        self.listener.close()
        for link in self.links:
            link.close()


def test_a_server_without_tls_gets_no_password(start_product, authority):
    product = start_product()
    server = OddServer(asks_for_tls=False)

    for name in ("gateway", "ingest", "analytics"):
        for env in ({"NATS_URL": f"tls://adledger:secret@127.0.0.1:{server.port}"},
                    {"NATS_URL": f"nats://adledger:secret@127.0.0.1:{server.port}", "NATS_CA_FILE": str(authority.certificate)}):
            refused(product, name, "Secure Connection not available", **env)
            product.stack.process(name).stop()
    server.close()

    assert server.greeted >= 6 and server.got == b""


def test_a_handshake_without_an_answer_ends(start_product, authority):
    product = start_product()
    server = OddServer(asks_for_tls=True)

    refused(product, "gateway", "nats_connect_failed", NATS_URL=f"tls://127.0.0.1:{server.port}", NATS_CA_FILE=str(authority.certificate))
    wait_until("it is tried again", lambda: server.greeted >= 4)
    began = time.monotonic()
    assert product.post(CLICK, {"ad_id": "ad-001"}).status == 202
    assert time.monotonic() - began < 2
    assert product.stack.process("gateway").stop(), "a handshake held the stop"
    server.close()


# ---- PostgreSQL


class Postgres:
    """A product's PostgreSQL, made to speak TLS and to log each login."""

    def __init__(self, product):
        self.stack = product.stack
        self.user = self.stack._postgres_user()
        self.data = self.stack._postgres_dir(self.user)

    def take(self, pair):
        """Starts it anew with this certificate and key."""
        self.stack.process("postgres").stop(signal.SIGINT)
        for source, name in zip(pair, ("server.crt", "server.key")):
            path = self.data / name
            path.unlink(missing_ok=True)
            path.write_bytes(source.read_bytes())
            path.chmod(0o600)
            if self.user:
                shutil.chown(path, self.user, self.user)
        with open(self.data / "postgresql.auto.conf", "a", encoding="utf-8") as conf:
            conf.write("ssl = on\nlog_connections = on\n")
        self.stack.start_postgres()

    def url(self, host, authority):
        return f"{self.stack.database_url.replace('127.0.0.1', host)}?sslmode=verify-full&sslrootcert={authority.certificate}"

    def logins(self, since=0):
        lines = self.stack.process("postgres").log_file.read_text(errors="replace")[since:].splitlines()
        return [line for line in lines if "connection authorized: user=adledger" in line]


def test_postgres_is_verified_and_never_spoken_to_in_plain_text(start_product, authority, stranger):
    product = start_product()
    postgres = Postgres(product)
    postgres.take(authority.issue("postgres"))
    for name in ("ingest", "analytics", "gateway"):
        product.stack.process(name).stop()
    seen = len(product.stack.process("postgres").log_file.read_text(errors="replace"))

    for name in ("ingest", "analytics", "gateway"):
        product.restart(name, DATABASE_URL=postgres.url("127.0.0.1", authority))
    assert len(postgres.logins(seen)) >= 3 and all("SSL enabled" in line for line in postgres.logins(seen))
    with Load(product.stack.url(), total=200) as load:
        load.wait()
    product.reconcile(load.accepted)

    for name in ("ingest", "analytics", "gateway"):
        product.stack.process(name).stop()
    seen = len(product.stack.process("postgres").log_file.read_text(errors="replace"))
    for name in ("ingest", "analytics", "gateway"):
        refused(product, name, "certificate verify failed", DATABASE_URL=postgres.url("127.0.0.1", stranger))
        product.stack.process(name).stop()
    postgres.take(authority.issue("elsewhere", "DNS:db.example.com"))
    for name in ("ingest", "analytics", "gateway"):
        refused(product, name, "does not match host name", DATABASE_URL=postgres.url("localhost", authority))
        product.stack.process(name).stop()
    assert not postgres.logins(seen)


# ---- Redis


def test_redis_lets_the_services_do_what_they_do_and_no_more(start_product):
    product = start_product(QUERY_CACHE_MS="0", BOARD_CACHE_MS="0")
    conf = (ROOT / "config" / "prod" / "redis.conf").read_text()
    (rule,) = re.findall(r"^# user (adledger .*)$", conf, re.MULTILINE)
    admin = product.redis()
    admin.execute_command("ACL", "SETUSER", *rule.replace("PASSWORD", "p%40:s").split())
    admin.execute_command("ACL", "LOG", "RESET")
    url = f"redis://adledger:p%2540%3As@127.0.0.1:{product.stack.port('redis')}/0"
    for name in ("analytics", "gateway"):
        product.stack.process(name).stop()
        product.restart(name, REDIS_URL=url)

    with Load(product.stack.url(), total=500) as load:
        load.wait()
    product.reconcile(load.accepted)
    for query in ("?ad_id=ad-001", "?ad_id=ad-001&timeframe=1h", "?", "?timeframe=24h", "?ad_id=ad-001&timeframe=7d"):
        answer = product.get(f"/api/v1/ads/analytics{query}")
        assert answer.status == 200 and answer.json()["source"] == "redis", answer.body
    admin.flushdb()  # all is counted anew from PostgreSQL, and what is too old removed
    product.agree()

    assert not admin.acl_log(), admin.acl_log()
    scripts = "".join(path.read_text() for path in (ROOT / "services" / "analytics").glob("*.lua"))
    called = {name.lower() for name in re.findall(r"call\('([A-Z]+)'", scripts)}
    assert len(called) > 10 and called <= set(re.findall(r"\+(\w+)", rule))
    with redis.from_url(url) as services, pytest.raises(redis.exceptions.NoPermissionError):
        services.flushdb()
    assert [entry["username"] for entry in admin.acl_log()] == ["adledger"]


def test_redis_refuses_a_wrong_password_of_a_user(start_product):
    product = start_product()
    product.redis().execute_command("ACL", "SETUSER", "adledger", "on", ">right", "~*", "+@all")
    refused(product, "analytics", "WRONGPASS", REDIS_URL=f"redis://adledger:wrong@127.0.0.1:{product.stack.port('redis')}/0")


class Stunnel:
    """The recipe of docs/operations.md, on ports of its own."""

    def __init__(self, directory, server_port, authority, host):
        self.port = free_port()
        (recipe,) = re.findall(r"```ini\n(.*?connect = redis.*?)```", (ROOT / "docs" / "operations.md").read_text(), re.DOTALL)
        for old, new in (("127.0.0.1:6380", f"127.0.0.1:{self.port}"), ("connect = redis.example.com:6379", f"connect = 127.0.0.1:{server_port}"),
                         ("/run/secrets/ca.pem", str(authority.certificate)), ("checkHost = redis.example.com", f"checkHost = {host}")):
            assert recipe.count(old) == 1, old
            recipe = recipe.replace(old, new)
        config = directory / f"{host}.conf"
        config.write_text(recipe)
        with open(directory / f"{host}.log", "wb") as log:
            self.child = subprocess.Popen(["stunnel4", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def close(self):
        self.child.terminate()
        self.child.wait(10)


def test_redis_behind_stunnel(start_product, authority, tmp_path):
    product = start_product()
    port = free_port()
    certificate, key = map(str, authority.issue("redis", "DNS:redis.example.com"))
    product.redis().config_set("tls-port", port, "tls-cert-file", certificate, "tls-key-file", key, "tls-ca-cert-file", str(authority.certificate),
                               "tls-auth-clients", "no")
    password = product.stack.settings["passwords"]["redis"]
    tunnel, wrong = Stunnel(tmp_path, port, authority, "redis.example.com"), Stunnel(tmp_path, port, authority, "other.example.com")
    try:
        for name in ("analytics", "gateway"):
            product.stack.process(name).stop()
            product.restart(name, REDIS_URL=f"redis://:{password}@127.0.0.1:{tunnel.port}/0")
        with Load(product.stack.url(), total=200) as load:
            load.wait()
        product.reconcile(load.accepted)
        assert product.analytics("ad-001")["source"] == "redis"

        with pytest.raises(redis.exceptions.ConnectionError):
            redis.from_url(f"redis://:{password}@127.0.0.1:{wrong.port}/0").ping()
    finally:
        tunnel.close()
        wrong.close()
