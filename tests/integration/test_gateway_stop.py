"""SIGTERM of the gateway while what it depends on is frozen: it ends by itself, in time, with status 0."""

import signal
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
from product import CLICK, Load, wait_until

STOP_SECONDS = 25
LATE_SECONDS = 13  # of the 15 s of a drain


def ask_analytics(product, stopping):
    from keepalive import Closed, Connection
    connection = Connection(product.stack.url())
    while not stopping.is_set():
        try:
            connection.request("GET", "/api/v1/ads/analytics?ad_id=ad-001")
        except Closed:
            time.sleep(0.05)


def test_a_question_that_comes_late_in_the_drain_does_not_hold_up_the_end(start_product):
    """Its deadline lies far behind the end of the drain; the auditor and the catalogue wait, too."""
    product = start_product(PROOF_DEADLINE_MS="20000", REQUEST_TIMEOUT_MS="20000", AUDIT_INTERVAL_MS="100")
    path = "/api/v1/events/018bcfe5-6800-7000-8000-000000000000"
    assert product.as_admin("GET", path).status == 404  # its thread is connected from now on
    gateway = product.stack.process("gateway")
    head = f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {product.stack.admin_key}\r\n"
    address = urlsplit(product.stack.url())
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(head.encode())
        time.sleep(0.5)  # it is read by then: a connection that has sent nothing is closed at once
        product.freeze("postgres")
        try:
            began = time.monotonic()
            gateway.send(signal.SIGTERM)
            assert not gateway.wait_gone(LATE_SECONDS), "nothing is under way"
            client.sendall(b"\r\n")
            went = gateway.wait_gone(STOP_SECONDS - LATE_SECONDS)
            seconds = time.monotonic() - began
        finally:
            product.thaw("postgres")
    assert went, f"not gone after {seconds:.1f} s:\n{gateway.log_tail()}"
    assert gateway.child.wait(5) == 0, gateway.log_tail()
    assert "drain_abandoned" not in gateway.log_tail()
    product.restart("gateway")
    print(f"gone after {seconds:.1f} s")


@pytest.mark.parametrize("frozen", [["nats"], ["postgres"], ["redis"], ["nats", "postgres", "redis"]], ids="-".join)
def test_the_gateway_stops_in_time_while_its_servers_are_frozen(start_product, frozen):
    product = start_product()
    asking, stopping = None, threading.Event()
    with Load(product.stack.url(), connections=32) as load:
        wait_until("load flows", lambda: len(load.accepted) > 500)
        asking = threading.Thread(target=ask_analytics, args=(product, stopping))
        asking.start()
        product.freeze(*frozen)
        try:
            began = time.monotonic()
            gateway = product.stack.process("gateway")
            gateway.send(signal.SIGTERM)
            went = gateway.wait_gone(STOP_SECONDS)
            seconds = time.monotonic() - began
        finally:
            stopping.set()
            product.thaw(*frozen)
    asking.join()
    assert went, f"not gone after {seconds:.1f} s:\n{gateway.log_tail()}"
    assert gateway.child.wait(5) == 0, gateway.log_tail()
    product.restart("gateway")
    assert product.post(CLICK, {"ad_id": "ad-001"}).status == 202
    product.reconcile(load.accepted, seconds=60)
    print(f"{'-'.join(frozen)}: gone after {seconds:.1f} s")
