"""config/nginx.conf in front of two gateways: TLS and HTTP/2, well-formed requests inside, the right visitor, and no click sent twice.

The file is used as it stands; only addresses and paths are put in, by PUT_IN.
"""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading

import pytest
from conftest import end, make_product
from product import CLICK, ROOT, uuid7, wait_until
from processes import free_port

NGINX = ROOT / ".run" / "bin" / "nginx"
BODY = b'{"ad_id":"ad-001"}'
HOST = b"Host: ads.example.com\r\n"


class Proxy:
    """nginx with the product's own file, on ports of its own."""

    def __init__(self, directory, gateways):
        self.directory = directory
        self.port, self.plain_port = free_port(), free_port()
        self.certificate = directory / "tls.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=ads.example.com", "-addext", "subjectAltName=DNS:ads.example.com", "-keyout", directory / "tls.key", "-out", self.certificate],
                       check=True, capture_output=True)
        text = (ROOT / "config" / "nginx.conf").read_text()
        for old, new in self.put_in(gateways):
            assert text.count(old) == 1, f"config/nginx.conf has {text.count(old)} times: {old}"
            text = text.replace(old, new)
        config = directory / "nginx.conf"
        config.write_text(text)
        self.argv = [NGINX, "-p", directory, "-c", config, "-e", directory / "error.log", "-g", "daemon off;" + ("user root;" if os.getuid() == 0 else "")]
        taken = subprocess.run([*self.argv, "-t"], capture_output=True, text=True, check=False)
        assert taken.returncode == 0, taken.stderr

    def start(self):
        self.child = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL)
        wait_until("nginx listens", self.listens)
        return self

    def put_in(self, gateways):
        paths = "".join(f"    {name}_temp_path {self.directory}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi"))
        return [("pid /run/nginx.pid", f"pid {self.directory}/pid"), ("/var/log/nginx/error.log", f"{self.directory}/error.log"),
                ("worker_processes auto", "worker_processes 1"), ("    server_tokens off;\n", "    server_tokens off;\n" + paths),
                ("listen 80;", f"listen 127.0.0.1:{self.plain_port};"), ("        listen [::]:80;\n", ""),
                ("listen 443 ssl http2;", f"listen 127.0.0.1:{self.port} ssl http2;"), ("        listen [::]:443 ssl http2;\n", ""),
                ("/etc/ssl/adledger/tls.crt", str(self.certificate)), ("/etc/ssl/adledger/tls.key", f"{self.directory}/tls.key"),
                ("server 127.0.0.1:8080;", " ".join(f"server 127.0.0.1:{port};" for port in gateways))]

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def connect(self, source="127.0.0.1"):
        context = ssl.create_default_context(cafile=self.certificate)
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 15, (source, 0)), server_hostname="ads.example.com")

    def talk(self, raw, source="127.0.0.1"):
        """Raw HTTP/1.1 over TLS until the other side ends it: [(status, headers, body)]."""
        with self.connect(source) as wire:
            wire.sendall(raw)
            got = b""
            try:
                while chunk := wire.recv(65536):
                    got += chunk
            except (ConnectionResetError, ssl.SSLError):
                pass
        answers = []
        while got:
            head, got = got.split(b"\r\n\r\n", 1)
            headers = {name.lower(): value for name, value in re.findall(r"\n([^:]+): *([^\r]*)", head.decode("latin-1"))}
            size = int(headers["content-length"])
            answers.append((int(head.split(b" ", 2)[1]), headers, got[:size]))
            got = got[size:]
        return answers

    def curl(self, path, *options):
        """(HTTP version, status, body)."""
        done = subprocess.run(["curl", "-sS", "--max-time", "20", "--cacert", self.certificate, "--resolve", f"ads.example.com:{self.port}:127.0.0.1", "-w",
                               "\n%{http_version} %{http_code}", *options, f"https://ads.example.com:{self.port}{path}"], capture_output=True, text=True, check=True)
        body, _, last = done.stdout.rpartition("\n")
        version, status = last.split()
        return version, int(status), body

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        assert self.child.wait(10) == 0, (self.directory / "error.log").read_text()


@pytest.fixture(scope="module")
def product():
    running = make_product(TRUSTED_PROXIES="127.0.0.1", TRUST_BODY_IP="off", IP_STORAGE="full", PUBLISH_TRY_MS="5000", PUBLISH_DEADLINE_MS="5000",
                           KEEP_DEADLINE_MS="6000", NATS_SLOW_MS="30000")
    yield running
    end(running)


@pytest.fixture(scope="module")
def proxy(product, tmp_path_factory):
    running = Proxy(tmp_path_factory.mktemp("nginx"), [product.stack.port("gateway")]).start()
    yield running
    running.stop()


def click(*lines, body=BODY, close=True, sized=True):
    lines = [*lines, *([b"Content-Length: %d" % len(body)] if sized else []), *([b"Connection: close"] if close else [])]
    return b"POST %b HTTP/1.1\r\n%b%b\r\n%b" % (CLICK.encode(), HOST, b"".join(line + b"\r\n" for line in lines), body)


def row_of(product, event_id, column):
    return wait_until(f"{event_id} is stored", lambda: product.sql(f"SELECT {column} FROM events WHERE event_id = %s", (event_id,)))[0][0]


def test_nginx_takes_the_file(tmp_path):
    Proxy(tmp_path, [8080])


@pytest.mark.parametrize("version, option", [("1.1", "--http1.1"), ("2", "--http2")])
def test_a_click_comes_through_tls(product, proxy, version, option):
    used, status, body = proxy.curl(CLICK, option, "-H", "Content-Type: application/json", "-d", BODY.decode())
    assert (used, status) == (version, 202)
    assert row_of(product, json.loads(body)["click_id"], "ad_id") == "ad-001"


def test_many_streams_of_one_http2_connection(proxy):
    url = f"https://ads.example.com:{proxy.port}/api/v1/ads"
    done = subprocess.run(["curl", "-sS", "--http2", "--parallel", "--parallel-max", "50", "--cacert", proxy.certificate, "--resolve",
                           f"ads.example.com:{proxy.port}:127.0.0.1", "-w", "%{http_version} %{http_code}\n", *(["-o", "/dev/null", url] * 200)],
                          capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:-1] == ["2 200"] * 200


def test_plain_http_is_sent_to_https_with_its_method(proxy):
    with socket.create_connection(("127.0.0.1", proxy.plain_port), 5) as wire:
        wire.sendall(click())
        answer = wire.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 308") and f"\r\nLocation: https://ads.example.com{CLICK}\r\n" in answer


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(proxy):
    context = ssl.create_default_context(cafile=proxy.certificate)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)), socket.create_connection(("127.0.0.1", proxy.port), 5) as wire:
        context.wrap_socket(wire, server_hostname="ads.example.com")


def requests_of(product):
    text = product.get("/metrics").body.decode()
    return sum(float(value) for value in re.findall(r'adledger_http_requests_total\{[^}]*"/api/v1/ads/click"[^}]*\} (\S+)', text))


CHUNKED = b"12\r\n" + BODY + b"\r\n0\r\n\r\n"
SMUGGLED = b"POST /ads/click HTTP/1.1\r\nHost: x\r\nContent-Length: 18\r\n\r\n" + BODY


@pytest.mark.parametrize("raw", [
    click(b"Content-Length: 13"), click(b"Content-Length: 18"), click(b"Content-Length: 18, 18", sized=False), click(b"Content-Length: +18", sized=False),
    click(b"Content-Length: 6", b"Transfer-Encoding: chunked", body=CHUNKED, sized=False),
    click(b"Transfer-Encoding: chunked", b"Content-Length: 6", body=b"0\r\n\r\n" + SMUGGLED, sized=False),
    click(b"Transfer-Encoding: xchunked"), click(b"Transfer-Encoding: gzip, chunked", body=CHUNKED, sized=False),
    click(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=CHUNKED, sized=False),
    click(b"Transfer-Encoding: chunked", body=b"zz\r\n" + BODY, sized=False),
    click(b"Content-Length : 18"), click().replace(HOST, b""), click(b"Host: other.example"),
], ids=["differing lengths", "equal lengths", "a list of lengths", "a signed length", "length and chunks", "chunks and length", "unknown coding", "two codings",
        "two lines of coding", "broken chunks", "space before the colon", "no host", "two hosts"])
def test_what_two_readers_may_read_differently_comes_to_no_gateway(product, proxy, raw):
    before = requests_of(product)
    answers = proxy.talk(raw)
    assert [status for status, _, _ in answers] in ([400], [501]), answers
    assert requests_of(product) == before


def test_chunks_arrive_as_one_body_of_a_known_length(product, proxy):
    (status, _, body), = proxy.talk(click(b"Transfer-Encoding: chunked", body=CHUNKED, sized=False))
    assert status == 202 and row_of(product, json.loads(body)["click_id"], "ad_id") == "ad-001"


@pytest.mark.parametrize("source, claimed, visitor", [
    ("127.0.0.5", None, "127.0.0.5"), ("127.0.0.5", "1.2.3.4", "127.0.0.5"), ("127.0.0.5", "1.2.3.4, 127.0.0.1", "127.0.0.5"),
    ("127.0.0.1", "1.2.3.4, 203.0.113.9", "203.0.113.9"),  # a trusted proxy in front of this one
])
def test_the_visitor_is_who_a_trusted_hop_has_seen_never_the_leftmost(product, proxy, source, claimed, visitor):
    (status, _, body), = proxy.talk(click(*([b"X-Forwarded-For: " + claimed.encode()] if claimed else [])), source)
    assert status == 202
    assert row_of(product, json.loads(body)["click_id"], "host(ip)") == visitor


def problem(answer, status, code):
    assert answer[0] == status and answer[1]["content-type"] == "application/problem+json", answer
    assert json.loads(answer[2])["code"] == code


def test_bodies_are_limited_by_both(proxy):
    problem(proxy.talk(click(body=BODY[:-1] + b',"n":"' + b"x" * 5000 + b'"}'))[0], 413, "too_large")  # by the gateway
    problem(proxy.talk(click(b"Content-Length: 1048577", body=b"", sized=False))[0], 413, "too_large")  # by nginx, unread
    problem(proxy.talk(click(b"Transfer-Encoding: chunked", body=b"100001\r\n" + b"x" * 0x100001 + b"\r\n0\r\n\r\n", sized=False))[0], 413, "too_large")


@pytest.mark.parametrize("given", ["one.of-mine_7", None, "not well-formed"])
def test_a_request_has_one_id(product, proxy, given):
    (status, headers, _), = proxy.talk(click(*([b"X-Request-Id: " + given.encode()] if given else [])))
    assert status == 202
    got = headers["x-request-id"]
    assert got == given if given == "one.of-mine_7" else re.fullmatch("[0-9a-f]{32}" if given is None else "[A-Za-z0-9._-]{1,64}", got)


@pytest.mark.parametrize("path", ["/", "/metrics", "/health", "/health/ready", "/info", "/livez", "/adsx", "/api/v1/../../metrics", "/ads/../metrics", "//metrics", "/%6detrics"])
def test_what_is_for_operators_is_not_reached(proxy, path):
    assert proxy.curl(path, "--path-as-is")[1] == 404


def test_a_gateway_hears_of_a_request_when_it_is_whole(product, proxy):
    before, connected = requests_of(product), product.metric("http_connections")
    with proxy.connect() as wire:
        wire.sendall(click()[:-5])
        patience = wire.gettimeout()
        wire.settimeout(0.3)
        with pytest.raises(TimeoutError):  # not by select: the session's tickets of TLS make it readable, too
            wire.recv(1)
        wire.settimeout(patience)
        assert requests_of(product) == before and product.metric("http_connections") <= connected
        wire.sendall(click()[-5:])
        assert b" 202 " in wire.recv(4096)
    assert requests_of(product) == before + 1


# ---- two upstreams: one that takes a request and dies --------------------------------------------------


class Breaks:
    """Takes requests, keeps what it was sent, and ends the connection without an answer."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", free_port()))
        self.port = self.listener.getsockname()[1]
        self.seen = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                link = self.listener.accept()[0]
            except OSError:
                return
            with link:
                self.seen.append(link.recv(65536))


@pytest.fixture(scope="module")
def breaking(product, tmp_path_factory):
    breaks = Breaks()
    running = Proxy(tmp_path_factory.mktemp("nginx2"), [breaks.port, product.stack.port("gateway")]).start()
    yield running, breaks
    running.stop()
    breaks.listener.close()


def test_a_click_that_a_gateway_was_sent_is_not_sent_again_and_a_question_is(product, breaking):
    proxy, breaks = breaking
    before, answers = requests_of(product), []
    while not any(seen.startswith(b"POST") for seen in breaks.seen):
        answers.append(proxy.talk(click(body=b'{"ad_id":"ad-001","event_id":"%b"}' % uuid7().encode()))[0])
        assert len(answers) < 10
    problem(answers[-1], 503, "unavailable")
    assert answers[-1][1]["retry-after"] == "1"
    assert [status for status, _, _ in answers[:-1]] == [202] * (len(answers) - 1)
    assert requests_of(product) == before + len(answers) - 1  # the broken one went nowhere else

    breaks.seen.clear()
    while not any(seen.startswith(b"GET") for seen in breaks.seen):
        wait_until("the proxy tries the broken one again", lambda: proxy.curl("/api/v1/ads")[1] == 200 and breaks.seen, 30)
