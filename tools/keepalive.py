"""A small HTTP/1.1 client over one keep-alive connection, for tools/replay and the tests.

http.client costs more per request than the gateway does; this one sends a request in one write and
reads an answer that always has a Content-Length, as adledger's answers do.
"""

import json
import socket
from urllib.parse import urlsplit


class Closed(Exception):
    """The connection ended before a whole answer came: nobody knows whether it was taken."""


class Answer:
    __slots__ = ("status", "headers", "body")

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Connection:
    def __init__(self, url, timeout=10):
        parts = urlsplit(url)
        self.address = (parts.hostname, parts.port or 80)
        self.host = parts.netloc
        self.timeout = timeout
        self.socket = None
        self.rest = b""

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket, self.rest = None, b""

    def request(self, method, path, body=None, headers=None):
        head = [f"{method} {path} HTTP/1.1", f"Host: {self.host}"]
        if isinstance(body, str):
            body = body.encode()
        if body is not None:
            head.append(f"Content-Length: {len(body)}")
        head.extend(f"{name}: {value}" for name, value in (headers or {}).items())
        return self.send(("\r\n".join(head) + "\r\n\r\n").encode() + (body or b""), method == "HEAD")

    def send(self, raw, is_head=False):
        """Sends raw bytes and reads one answer; connects when needed."""
        try:
            if self.socket is None:
                self._connect()
            self.socket.sendall(raw)
            return self._read(is_head)
        except (OSError, ValueError) as error:
            self.close()
            raise Closed(str(error)) from error

    def send_many(self, requests):
        """Sends raw requests in one write and reads their answers, which come in the same order. No HEAD among them."""
        try:
            if self.socket is None:
                self._connect()
            self.socket.sendall(b"".join(requests))
            return [self._read(False) for _ in requests]
        except (OSError, ValueError) as error:
            self.close()
            raise Closed(str(error)) from error

    def _connect(self):
        self.socket = socket.create_connection(self.address, self.timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _more(self):
        chunk = self.socket.recv(65536)
        if not chunk:
            raise ValueError("the connection was closed")
        self.rest += chunk

    def _read(self, is_head):
        while b"\r\n\r\n" not in self.rest:
            self._more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ", 2)[1])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        size = 0 if is_head or status in (204, 304) else int(headers.get("content-length", 0))
        while len(self.rest) < size:
            self._more()
        body, self.rest = self.rest[:size], self.rest[size:]
        if headers.get("connection") == "close":
            self.close()
        return Answer(status, headers, body)
