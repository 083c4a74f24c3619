"""What may come over the wire below the level of JSON: broken, slow, doubled, halved and abandoned requests.

The rows say what h2o 2.2.5 does with them by itself, also where a stricter server would refuse (see "lenient" below, and the
front proxy in docs/operations.md). After each of them the gateway serves others and has let go of the connection.
"""

import os
import re
import select
import socket
import struct
import threading
import time
from pathlib import Path

import pytest
from conftest import end, make_product
from product import CLICK, freeze, thaw, wait_until

REQUEST_MS, IDLE_MS = 1000, 1000
BODY = b'{"ad_id":"ad-001"}'
HOST = b"Host: x\r\n"
MIB = 1 << 20

ACCEPTED, ABANDONED = [], []  # ids answered 202, and clicks whose sender left before the answer


def get(path="/health/live", *lines):
    return b"GET %b HTTP/1.1\r\n%b%b\r\n" % (path.encode(), HOST, b"".join(line + b"\r\n" for line in lines))


def click(*lines, body=BODY, path=CLICK, size=True):
    length = [b"Content-Length: %d" % len(body)] if size else []
    return b"POST %b HTTP/1.1\r\n%b%b\r\n%b" % (path.encode(), HOST, b"".join(line + b"\r\n" for line in [*length, *lines]), body)


def chunked(*chunks, path=CLICK, lines=(), last=b"0\r\n\r\n"):
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + last
    return click(b"Transfer-Encoding: chunked", *lines, body=body, path=path, size=False)


def sized(size, before=b'{"ad_id":"ad-001","note":"', after=b'"}'):
    return before + b"x" * (size - len(before) - len(after)) + after


def length(*values, body=BODY):
    return click(*(b"Content-Length: " + value for value in values), body=body, size=False)


# name: (bytes, statuses of the answers in their order, does the connection stay open)
REQUESTS = {
    "pipelined": (get() * 3 + click() + get("/nothing") + click(), [200, 200, 200, 202, 404, 202], True),
    "500 pipelined": (get() * 500, [200] * 500, True),
    "100 headers less one": (get("/health/live", *[b"X-%d: y" % i for i in range(98)]), [200], True),
    "110 headers": (get("/health/live", *[b"X-%d: y" % i for i in range(109)]), [400], False),
    "500 KB of header": (get("/health/live", b"X: " + b"y" * 500_000), [400], False),
    "500 KB of target": (get("/" + "y" * 500_000), [400], False),
    "body above every limit": (click(path="/api/v1/events", body=sized(MIB + 2)), [413], False),
    "body above its route's limit": (click(body=sized(4097)), [413], True),
    "no length": (click(body=b"", size=False), [400], True),
    **{f"length {value.decode()}": (length(value), [400], False) for value in (b"x", b"-1", b"+18", b"18, 18", b"1e1", b"99999999999999999999")},
    "chunks": (chunked(BODY) + get(), [202, 200], True),
    "chunks of a byte": (chunked(*(BODY[i:i + 1] for i in range(len(BODY)))) + get(), [202, 200], True),
    "chunks, extension, trailer": (chunked(last=b"12;a=b\r\n" + BODY + b"\r\n0\r\nX-Trailer: x\r\n\r\n") + get(), [202, 200], True),
    "chunks up to the route's limit": (chunked(sized(4096)), [202], True),
    "chunks above the route's limit": (chunked(sized(4000), b"x" * 97), [413], True),
    "chunks up to every limit": (chunked(b"[" + sized(MIB - 2) + b"]", path="/api/v1/events"), [422], True),
    "chunks above every limit": (chunked(b"[" + sized(MIB) + b"]", path="/api/v1/events"), [413], False),
    **{f"chunk size {size.decode()}": (chunked(last=size + b"\r\n" + BODY), [400], False) for size in (b"zz", b"-1", b"0" * 17 + b"12")},
    "chunk without its end": (chunked(last=b"12\r\n" + BODY + b"0\r\n\r\n"), [400], False),
    **{f"Transfer-Encoding: {name.decode()}": (click(b"Transfer-Encoding: " + name), [400], False) for name in (b"identity", b"gzip, chunked", b"xchunked")},
    "another Expect": (click(b"Expect: x"), [417], False),
    "a body of GET": (get("/health/live", b"Content-Length: 5") + b"hello" + get(), [200, 200], True),
    "HTTP/1.0": (b"GET /health/live HTTP/1.0\r\n\r\n", [200], False),
    "HTTP/1.9": (b"GET /health/live HTTP/1.9\r\n\r\n", [200], True),
    "HTTP/1.0 kept alive": (b"GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", [200], True),
    "Connection: close": (get("/health/live", b"Connection: close") + get(), [200], False),
    "upgrade to HTTP/2": (get("/health/live", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"), [200], False),
    "a line of nothing first": (b"\r\n" + get(), [200], True),
    # Malformed: 400 in plain text, and the end.
    **{name: (raw, [400], False) for name, raw in {
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 50 + b"\r\n\r\n",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/0.9": b"GET /health/live\r\n\r\n",
        "no HTTP": b"GET /health/live HTTX/1.1\r\n\r\n",
        "no space": b"GET/health/live HTTP/1.1\r\n\r\n",
        "two lines of nothing first": b"\r\n\r\n" + get(),
        "NUL in a header": get("/health/live", b"X: a\0b"),
        "control byte in the target": b"GET /health/live\x01 HTTP/1.1\r\n\r\n",
        "header without a colon": get("/health/live", b"X"),
        "space before the colon": get("/health/live", b"X : y"),
    }.items()},
    # No address of ours: an absolute target is not taken apart.
    **{f"target {target.decode()}": (target_of + HOST + b"\r\n", [404], True) for target_of, target in
       [(b"%b %b HTTP/1.1\r\n" % (method, target), target) for method, target in
        [(b"GET", b"http://x/health/live"), (b"GET", b"http://other.example/health/live"), (b"GET", b"ftp://x/health/live"),
         (b"OPTIONS", b"*"), (b"CONNECT", b"x:443"), (b"GET", b"health/live")]]},
    # Lenient: a stricter server refuses these. The front proxy does, so that no two readers of one request disagree.
    "equal lengths": (length(b"18", b"18") + get(), [202, 200], True),
    "lengths, the first is right": (length(b"18", b"13") + get(), [202, 200], True),
    "lengths, the last is right": (length(b"13", b"18") + get(), [400, 405], True),  # the first counts: the rest is another request
    "length and chunks": (chunked(BODY, lines=[b"Content-Length: 4"]) + get(), [202, 200], True),  # the chunks count
    "no host": (b"GET /health/live HTTP/1.1\r\n\r\n", [200], True),
    "two hosts": (get("/health/live", b"Host: y"), [200], True),
    "a folded header": (get("/health/live", b"X: a\r\n b"), [200], True),
    "bare line feeds": (b"GET /health/live HTTP/1.1\nHost: x\n\n", [200], True),
}
# Lines of nothing that come by themselves end a connection without an answer.
SHORT = [name for name, row in REQUESTS.items() if len(row[0]) < 400 and name != "two lines of nothing first"]


class Wire:
    """One raw connection."""

    def __init__(self, product, receive_bytes=None):
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(10)
        self.socket.connect(("127.0.0.1", product.stack.port("gateway")))
        self.rest, self.cut = b"", False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, raw, step=None):
        """All at once, or step bytes at a time. The other side may have said no and gone before the end."""
        step = step or max(1, len(raw))
        try:
            for at in range(0, len(raw), step):
                self.socket.sendall(raw[at:at + step])
        except (BrokenPipeError, ConnectionResetError):
            self.cut = True

    def end(self):
        """Nothing will follow; what is answered is still read."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.cut = True

    def more(self, size=65536):
        try:
            chunk = self.socket.recv(size)
        except ConnectionResetError:
            chunk = b""
        self.rest += chunk
        return chunk != b""

    def answer(self, size=65536):
        """(status, headers, body) of the next answer; None: the connection has ended."""
        while b"\r\n\r\n" not in self.rest:
            if not self.more(size):
                assert self.rest == b"", self.rest
                return None
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        headers = {name.lower(): value for name, value in re.findall(rb"\n([^:]+): *([^\r]*)", head)}
        wanted = int(headers.get(b"content-length", 0))
        while len(self.rest) < wanted:
            assert self.more(size), "the connection ended within an answer"
        body, self.rest = self.rest[:wanted], self.rest[wanted:]
        status = int(head.split(b" ", 2)[1])
        if status == 202:
            ACCEPTED.append(re.search(rb'"click_id":"([^"]+)"', body)[1].decode())
        return status, headers, body

    def is_silent(self, seconds=0.3):
        return not select.select([self.socket], [], [], seconds)[0]

    def is_ended(self):
        return self.answer() is None


@pytest.fixture(scope="module")
def product():
    running = make_product(REQUEST_TIMEOUT_MS=str(REQUEST_MS), IDLE_TIMEOUT_MS=str(IDLE_MS), PUBLISH_TRY_MS="3000", PUBLISH_DEADLINE_MS="3000",
                           KEEP_DEADLINE_MS="4000", NATS_SLOW_MS="30000")
    yield running
    end(running)


def connections(product):
    product.client.close()  # its own may have been idle for too long
    return product.metric("http_connections")


@pytest.fixture(autouse=True)
def serves_others_and_lets_go(product):
    product.client.close()
    yield
    assert product.get("/health/live").status == 200
    wait_until("only the one that asks is connected", lambda: connections(product) == 1)


class Frozen:
    """NATS stands still inside the with block: clicks wait for their ack."""

    def __init__(self, product):
        self.nats = product.stack.process("nats")

    def __enter__(self):
        freeze(self.nats)

    def __exit__(self, *_):
        thaw(self.nats)


def answers_as_told(product, name, step=None, half=False):
    raw, statuses, stays_open = REQUESTS[name]
    with Wire(product) as wire:
        wire.send(raw, step)
        if half:
            wire.end()
        answers = [wire.answer() for _ in statuses]
        assert [answer and answer[0] for answer in answers] == statuses, answers
        if stays_open and not half:
            wire.send(get("/health/live", b"X-Request-Id: the-next-one"))
            assert wire.answer()[1][b"x-request-id"] == b"the-next-one"
        else:
            assert wire.is_ended()


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_answered_and_the_connection_lives_or_ends(product, name):
    answers_as_told(product, name)


@pytest.mark.parametrize("name", SHORT)
def test_it_is_the_same_when_each_byte_comes_by_itself(product, name):
    answers_as_told(product, name, step=1)


@pytest.mark.parametrize("name", REQUESTS)
def test_it_is_the_same_when_nothing_will_follow(product, name):
    answers_as_told(product, name, half=True)


# ---- slow ---------------------------------------------------------------------------------------------

# What is sent at once, and what then trickles for ever.
SLOW = {
    "nothing at all": (b"", b""),
    "nothing after an answer": (get(), b""),
    "a request line": (b"", b"GET /" + b"x" * 1000),
    "headers": (get()[:-2], b"X: y\r\n" * 1000),
    "a body": (click(b"Content-Length: 4000", body=b"", size=False), BODY * 200),
    "a chunk": (chunked(last=b"fff\r\n"), BODY * 200),
    "a chunk of 2^64 bytes": (chunked(last=b"ffffffffffffffff\r\n"), BODY * 200),
    "sizes of chunks": (chunked(last=b""), b"1\r\n{\r\n" * 1000),
    "a body after 100": (click(b"Expect: 100-continue", b"Content-Length: 4000", body=b"", size=False), BODY * 200),
}


@pytest.mark.parametrize("name", SLOW)
def test_who_is_slow_is_ended_by_the_deadline(product, name):
    begun, trickle = SLOW[name]
    wires = [Wire(product) for _ in range(20)]
    for wire in wires:
        wire.send(begun)
    began, at, open_wires = time.monotonic(), 0, list(wires)
    while open_wires and time.monotonic() < began + 10:
        readable = select.select([wire.socket for wire in open_wires], [], [], 0.05)[0]
        open_wires = [wire for wire in open_wires if wire.socket not in readable or wire.more()]
        for wire in open_wires:
            wire.send(trickle[at:at + 1])
        at += 1
        assert product.get("/health/live").status == 200
    seconds = time.monotonic() - began
    for wire in wires:
        wire.socket.close()
    limit_ms = REQUEST_MS + (0 if trickle else IDLE_MS)
    assert not open_wires and limit_ms / 1000 - 0.2 < seconds < limit_ms / 1000 + 2.5, seconds


def resident_bytes(product):
    return int(Path(f"/proc/{product.stack.process('gateway').pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("raw", [click(body=b"x" * (10 * MIB)), chunked(*[b"x" * 65536] * 160)], ids=["length", "chunks"])
def test_of_ten_megabytes_nothing_is_kept(product, raw):
    """What a first body has grown the buffers to is not given back to the kernel, but serves the next."""
    resident = []
    for _ in range(2):
        for _ in range(20):
            with Wire(product) as wire:
                wire.send(raw)
                assert wire.answer()[0] == 413 and wire.is_ended()
        resident.append(resident_bytes(product))
    assert resident[1] - resident[0] < 16 * MIB  # of twenty bodies, 200 MiB in all


def test_a_body_comes_after_100_continue(product):
    with Wire(product) as wire:
        wire.send(click(b"Expect: 100-continue")[:-len(BODY)])
        assert wire.answer() == (100, {}, b"")
        wire.send(BODY)
        assert wire.answer()[0] == 202


def test_a_body_that_is_too_large_is_not_asked_for(product):
    with Wire(product) as wire:
        wire.send(click(b"Expect: 100-continue", b"Content-Length: 10485760", body=b"", size=False))
        assert wire.answer()[0] == 413 and wire.is_ended()


def test_who_reads_nothing_is_cut_off(product):
    wires = [Wire(product, receive_bytes=4096) for _ in range(5)]
    for wire in wires:
        wire.send(get("/metrics") * 1000)
    wait_until("their answers are under way", lambda: connections(product) == 6)
    wait_until("they are cut off", lambda: connections(product) == 1, 15)
    for wire in wires:
        wire.socket.close()


def flood(wire, ahead, reads):
    """Sends as much as the other side takes, and reads all the while, or nothing ever."""
    wire.socket.setblocking(False)
    try:
        while ahead:
            readable, writable, _ = select.select([wire.socket] if reads else [], [wire.socket], [], 5)
            if writable:
                ahead = ahead[wire.socket.send(ahead[:MIB]):]
            elif not readable:
                return
            if readable and not wire.socket.recv(MIB):
                return
        while reads and select.select([wire.socket], [], [], 5)[0] and wire.socket.recv(MIB):
            pass
    except ConnectionError:
        pass


@pytest.mark.parametrize("reads", [True, False], ids=["reading", "not reading"])
def test_who_sends_ahead_without_end_keeps_nobody_waiting(product, reads):
    wires = [Wire(product, None if reads else 4096) for _ in range(5)]
    threads = [threading.Thread(target=flood, args=(wire, memoryview(get("/metrics") * 100_000), reads)) for wire in wires]
    for thread in threads:
        thread.start()
    longest, until = 0, time.monotonic() + 30
    while (any(thread.is_alive() for thread in threads) or connections(product) > 1) and time.monotonic() < until:
        began = time.monotonic()
        assert product.get("/health/live").status == 200
        longest = max(longest, time.monotonic() - began)
    for thread, wire in zip(threads, wires):
        thread.join(10)
        wire.socket.close()
    print(f"the longest wait was {longest:.3f} s")
    assert longest < 1.5


def test_who_reads_slowly_reads_everything(product):
    with Wire(product, receive_bytes=4096) as wire:
        wire.send(get("/metrics", b"X-Request-Id: slow") * 20)
        for _ in range(20):
            status, headers, body = wire.answer(1000)
            assert (status, headers[b"x-request-id"]) == (200, b"slow") and body.endswith(b"\n")


# ---- while a click waits for its ack ------------------------------------------------------------------


def test_pipelined_answers_keep_their_order_while_acks_are_awaited(product):
    requests = [click(b"X-Request-Id: 0"), click(b"X-Request-Id: 1"), get("/health/live", b"X-Request-Id: 2"), click(b"X-Request-Id: 3")]
    with Wire(product) as wire:
        with Frozen(product):
            wire.send(b"".join(requests))
            assert wire.is_silent()
            assert product.get("/health/live").status == 200
        answers = [wire.answer() for _ in requests]
    assert [answer[0] for answer in answers] == [202, 202, 200, 202]
    assert [answer[1][b"x-request-id"] for answer in answers] == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize("how", ["closed", "reset", "half-closed"])
def test_who_leaves_while_the_click_waits_costs_the_others_nothing(product, how):
    """h2o looks at the connection again when it has the answer: who has only said that no more will follow still gets it."""
    wires = [Wire(product) for _ in range(50)]
    with Frozen(product):
        for wire in wires:
            wire.send(click())
        assert wires[-1].is_silent()
        for wire in wires:
            if how == "reset":
                wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if how == "half-closed":
                wire.end()
            else:
                wire.socket.close()
        other = Wire(product)
        other.send(click())
        assert other.is_silent() and product.get("/health/live").status == 200
    with other:
        assert other.answer()[0] == 202
    if how != "half-closed":
        ABANDONED.extend(wires)
        return
    for wire in wires:
        with wire:
            assert wire.answer()[0] == 202 and wire.is_ended()


def test_what_was_answered_202_is_stored_once_and_nothing_else(product):
    assert len(ACCEPTED) == len(set(ACCEPTED)) > 0
    wait_until("what was accepted is stored", lambda: set(ACCEPTED) <= set(product.stored_ids()))
    product.agree()
    stored = list(product.stored_ids())
    assert len(stored) == len(set(stored))
    # A click whose sender left may be stored: it had been taken over whole.
    assert len(ACCEPTED) <= len(stored) <= len(ACCEPTED) + len(ABANDONED)
