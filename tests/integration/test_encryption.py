"""TLS to the servers: verified by authority and name, spoken under load, and never given up for plain text."""

import json
import os
import signal
import socket
import threading
import time

import pytest
from certificates import Authority
from product import CLICK, ROOT, Load, wait_until


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
        nats.send(signal.SIGSTOP)
        for _ in range(60):  # past the time in which the connection is given up, and made anew in vain
            click()
            time.sleep(0.2)
        nats.send(signal.SIGCONT)
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
