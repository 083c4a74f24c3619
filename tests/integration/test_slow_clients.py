"""Clients that take their time: each is ended by a deadline, and the others never notice."""

import socket
import time

import pytest
from conftest import end, make_product
from product import CLICK


@pytest.fixture(scope="module")
def impatient():
    product = make_product(REQUEST_TIMEOUT_MS="1000", IDLE_TIMEOUT_MS="1000")
    yield product
    end(product)


def still_serves(product):
    """On a fresh connection: an idle one is ended soon, too."""
    product.client.close()
    return product.post(CLICK, {"ad_id": "ad-001"}).status == 202


def dripped(product, raw, seconds=8):
    """Sends a byte each 100 ms; how long the server has put up with it."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", product.stack.port("gateway")), 5) as client:
        client.settimeout(0.1)
        for byte in raw:
            try:
                client.sendall(bytes([byte]))
                if client.recv(1000) == b"":
                    return time.monotonic() - began
            except TimeoutError:
                pass
            except OSError:
                return time.monotonic() - began
            assert time.monotonic() - began < seconds, "a slow client is still there"
    raise AssertionError("it was served to its end")


@pytest.mark.parametrize("raw", [b"POST " + CLICK.encode() + b" HTTP/1.1\r\nHost: x\r\n" + b"X-Filler: y\r\n" * 20,
                                 b"POST " + CLICK.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\n" + b" " * 299], ids=["head", "whole"])
def test_a_request_that_drips_in_is_ended(impatient, raw):
    assert dripped(impatient, raw) >= 0.9
    assert still_serves(impatient)


def test_a_body_that_drips_in_is_ended(impatient):
    with socket.create_connection(("127.0.0.1", impatient.stack.port("gateway")), 5) as client:
        client.sendall(b"POST " + CLICK.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\n{")
        client.settimeout(8)
        began = time.monotonic()
        assert client.recv(1000) == b"" and 0.9 <= time.monotonic() - began


def test_a_reader_that_does_not_read_is_ended(impatient):
    """Pipelined questions whose answers nobody takes: the kernel gives the connection up after REQUEST_TIMEOUT_MS."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", impatient.stack.port("gateway")))
        client.settimeout(0.5)
        question = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        deadline = time.monotonic() + 20
        while True:
            assert time.monotonic() < deadline, "a stuck reader is still there"
            try:
                client.send(question)
            except TimeoutError:
                continue
            except OSError:
                break
            time.sleep(0.01)
    assert still_serves(impatient)
