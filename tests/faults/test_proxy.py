"""The fault proxy does what the tests of faults rely on."""

import socket
import threading
import time

import pytest
from product import wait_until
from proxy import DOWN, UP, ProxyLoop

pytestmark = pytest.mark.fast


@pytest.fixture
def echo():
    """A server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve(link):
            with link:
                try:
                    while data := link.recv(65536):
                        link.sendall(data)
                except OSError:
                    pass

        def accept():
            while True:
                try:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]


@pytest.fixture
def proxies():
    proxies = ProxyLoop()
    yield proxies
    proxies.close()


@pytest.fixture
def proxy(proxies, echo):
    return proxies.open(echo)


def connect(proxy, timeout=0.3):
    return socket.create_connection(("127.0.0.1", proxy.port), timeout)


def ask(link, data=b"hello"):
    link.sendall(data)
    got = b""
    while len(got) < len(data):
        chunk = link.recv(65536)
        if not chunk:
            break
        got += chunk
    return got


def test_it_passes_bytes_both_ways_and_counts_them(proxy):
    with connect(proxy, 5) as link:
        big = bytes(range(256)) * 20_000
        threading.Thread(target=link.sendall, args=(big,)).start()
        got = b""
        while len(got) < len(big):
            got += link.recv(1 << 20)
        assert got == big
        assert (proxy.accepted, proxy.open_links) == (1, 1)
        wait_until("all of it is counted", lambda: proxy.passed == {UP: len(big), DOWN: len(big)}, 5)
    wait_until("the link is closed", lambda: proxy.open_links == 0)


def test_latency_delays_each_way(proxy):
    with connect(proxy, 5) as link:
        ask(link)
        proxy.latency_s = 0.1
        began = time.monotonic()
        assert ask(link) == b"hello"
        assert 0.2 <= time.monotonic() - began < 0.5


def test_a_limit_of_bandwidth_slows_down(proxy):
    with connect(proxy, 5) as link:
        proxy.bytes_per_s = 100_000
        began = time.monotonic()
        assert ask(link, b"x" * 20_000) == b"x" * 20_000
        assert 0.2 <= time.monotonic() - began < 1


def test_what_is_held_arrives_after_the_healing(proxy):
    with connect(proxy) as link:
        proxy.hold(DOWN)
        with pytest.raises(TimeoutError):
            ask(link)
        proxy.heal()
        assert link.recv(100) == b"hello"
        assert ask(link) == b"hello"


def test_a_blackhole_accepts_and_passes_nothing(proxy):
    proxy.hold()
    with connect(proxy) as link, pytest.raises(TimeoutError):
        ask(link)
    assert proxy.passed == {}


def test_what_is_dropped_is_lost_and_the_connection_ends(proxy):
    with connect(proxy) as link:
        proxy.drop(UP)
        with pytest.raises(TimeoutError):
            ask(link)
        proxy.heal()
        with pytest.raises(ConnectionResetError):
            ask(link)
    with connect(proxy) as link:
        assert ask(link) == b"hello"


def test_cuts_by_reset_and_in_order(proxy):
    with connect(proxy) as link:
        ask(link)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            link.recv(1)
    with connect(proxy) as link:
        ask(link)
        proxy.cut(reset=False)
        assert link.recv(1) == b""
    assert proxy.cuts == 2


def test_cuts_after_some_bytes(proxy):
    proxy.cut_after = {DOWN: 3}
    with connect(proxy) as link:
        link.sendall(b"hello")
        with pytest.raises(ConnectionResetError):
            got = link.recv(100)
            assert got == b"hel"
            link.recv(1)
    assert proxy.passed[DOWN] == 3


def test_refuses_new_connections(proxy):
    proxy.refuse()
    with pytest.raises(OSError), connect(proxy) as link:
        ask(link)
        link.recv(1)
    assert proxy.refused == 1
    proxy.heal()
    with connect(proxy) as link:
        assert ask(link) == b"hello"


def test_a_filter_sees_the_bytes_and_may_cut(proxy):
    def cut_at_commit(link, data):
        if b"COMMIT" in data:
            link.cut()
            return b""
        return data

    proxy.filters = {UP: cut_at_commit}
    with connect(proxy) as link:
        assert ask(link, b"BEGIN") == b"BEGIN"
        with pytest.raises(ConnectionResetError):
            ask(link, b"COMMIT")
            link.recv(1)
    assert proxy.passed[UP] == len(b"BEGIN")


def test_heals_while_a_connection_is_being_made(proxies):
    """To a server that takes no more: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        proxy = proxies.open(full.getsockname()[1])
        with connect(proxy):
            wait_until("the proxy connects", lambda: proxy.open_links == 1)
            proxy.hold()
            proxy.heal()
            assert proxy.open_links == 1
