"""As much of NATS's text protocol as the tests need: publish, and requests with their answers."""

import json
import os
import socket
from urllib.parse import urlsplit


class NatsClient:
    def __init__(self, url):
        parts = urlsplit(url)
        self.link = socket.create_connection((parts.hostname, parts.port), 5)
        self.reader = self.link.makefile("rb")
        self.reader.readline()  # INFO
        login = {"user": parts.username, "pass": parts.password, "verbose": False, "pedantic": False, "headers": True}
        self.inbox = f"_INBOX.{os.urandom(8).hex()}"
        self._send(f"CONNECT {json.dumps(login)}\r\nSUB {self.inbox} 1\r\nPING\r\n")
        self._read_until(b"PONG")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.link.close()

    def _send(self, text):
        self.link.sendall(text.encode() if isinstance(text, str) else text)

    def _read_until(self, word):
        while not (line := self.reader.readline()).startswith(word):
            assert line and not line.startswith(b"-ERR"), f"NATS: {line!r}"
        return line

    def publish(self, subject, payload):
        self._send(b"PUB %s %d\r\n%s\r\n" % (subject.encode(), len(payload), payload))

    def flush(self):
        self._send("PING\r\n")
        self._read_until(b"PONG")

    def _ask(self, subject, payload=b""):
        self._send(b"PUB %s %s %d\r\n%s\r\n" % (subject.encode(), self.inbox.encode(), len(payload), payload))

    def _read_answer(self):
        size = int(self._read_until(b"MSG").split()[-1])
        return json.loads(self.reader.read(size + 2))

    def request(self, subject, body=None):
        """Asks, and gives the JSON of the answer."""
        self._ask(subject, b"" if body is None else json.dumps(body).encode())
        return self._read_answer()

    def ask_everybody(self, subject, seconds):
        """Asks, and gives all that is answered before nothing has come for so long. The link is of no use afterwards."""
        answers = []
        self.link.settimeout(seconds)
        self._ask(subject)
        try:
            while True:
                answers.append(self._read_answer())
        except TimeoutError:
            return answers

    def api(self, subject, body=None):
        """A request to JetStream that must succeed."""
        answer = self.request(f"$JS.API.{subject}", body)
        assert "error" not in answer, answer
        return answer


class AckFilter:
    """For a proxy's way DOWN: loses every `every`-th ack of a stream, and passes everything else whole."""

    def __init__(self, every):
        self.every, self.seen, self.lost = every, 0, 0
        self.rest = {}  # by link: the beginning of what is not complete

    def __call__(self, link, data):
        data = self.rest.pop(link, b"") + data
        passed = bytearray()
        while data:
            end = self._message_end(data)
            if end is None:
                self.rest[link] = data
                break
            message, data = data[:end], data[end:]
            if not self._is_to_be_lost(message):
                passed += message
        return bytes(passed)

    @staticmethod
    def _message_end(data):
        """Where the first message of the protocol ends; None: not all of it is there."""
        line = data.find(b"\r\n")
        if line < 0:
            return None
        words = data[:line].split(b" ")
        payload = int(words[-1]) + 2 if words[0] in (b"MSG", b"HMSG") else 0
        end = line + 2 + payload
        return end if len(data) >= end else None

    def _is_to_be_lost(self, message):
        if not (message.startswith(b"MSG") and b'"stream":"ADS_' in message and b'"seq":' in message):
            return False
        self.seen += 1
        is_lost = self.seen % self.every == 0
        self.lost += is_lost
        return is_lost
