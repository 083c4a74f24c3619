"""SIGTERM of the gateway while what it depends on is frozen: it ends by itself, in time, with status 0."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from product import CLICK, Load, wait_until

STOP_SECONDS = 25


def processes_of(product, name):
    pid = product.stack.process(name).pid
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def freeze(product, names):
    for name in names:
        for pid in processes_of(product, name):
            os.kill(pid, signal.SIGSTOP)


def thaw(product, names):
    for name in names:
        for pid in processes_of(product, name):
            os.kill(pid, signal.SIGCONT)


def ask_analytics(product, stopping):
    from keepalive import Closed, Connection
    connection = Connection(product.stack.url())
    while not stopping.is_set():
        try:
            connection.request("GET", "/api/v1/ads/analytics?ad_id=ad-001")
        except Closed:
            time.sleep(0.05)


@pytest.mark.parametrize("frozen", [["nats"], ["postgres"], ["redis"], ["nats", "postgres", "redis"]], ids="-".join)
def test_the_gateway_stops_in_time_while_its_servers_are_frozen(start_product, frozen):
    product = start_product()
    asking, stopping = None, threading.Event()
    with Load(product.stack.url(), connections=32) as load:
        wait_until("load flows", lambda: len(load.accepted) > 500)
        asking = threading.Thread(target=ask_analytics, args=(product, stopping))
        asking.start()
        freeze(product, frozen)
        try:
            began = time.monotonic()
            gateway = product.stack.process("gateway")
            gateway.send(signal.SIGTERM)
            went = gateway.wait_gone(STOP_SECONDS)
            seconds = time.monotonic() - began
        finally:
            stopping.set()
            thaw(product, frozen)
    asking.join()
    assert went, f"not gone after {seconds:.1f} s:\n{gateway.log_tail()}"
    assert gateway.child.wait(5) == 0, gateway.log_tail()
    product.restart("gateway")
    assert product.post(CLICK, {"ad_id": "ad-001"}).status == 202
    product.reconcile(load.accepted, seconds=60)
    print(f"{'-'.join(frozen)}: gone after {seconds:.1f} s")
