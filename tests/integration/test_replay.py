"""The project's own tool replays 100,000 real clicks, and every channel's count is the file's."""

import collections
import csv
import gzip
import http.server
import io
import os
import socket
import subprocess
import threading

import pytest
from product import ROOT

DATA = ROOT.parent / "shared" / "data" / "ad_clicks_100k.csv.gz"


@pytest.mark.skipif(not DATA.exists(), reason="the recorded clicks are not here")
@pytest.mark.parametrize("fault", [None, "ingest", "analytics", "gateway"])
def test_every_channel_counts_as_in_the_file(start_product, fault, tmp_path):
    if fault and os.environ.get("ADLEDGER_FULL") != "1":
        pytest.skip("with faults in the slower tier: ./test --full")
    product = start_product()
    channels = collections.Counter(row["channel"] for row in csv.DictReader(io.TextIOWrapper(gzip.open(DATA))))
    ids = tmp_path / "ids"

    tool = subprocess.Popen([ROOT / "tools" / "replay", "--url", product.stack.url(), "--create-ads", "--ids", ids,
                             "--map", "ad_id=channel,ip=ip,timestamp=click_time", DATA],
                            env=dict(os.environ, DATABASE_URL=product.stack.database_url), text=True, stdout=subprocess.PIPE)
    if fault:
        from product import wait_until
        wait_until("the replay flows", lambda: len(product.sql("SELECT 1 FROM events LIMIT 1000")) == 1000)
        product.stack.process(fault).kill()
        product.restart(fault)
    summary, _ = tool.communicate(timeout=300)

    assert tool.returncode == 0, summary
    assert "100,000 records" in summary and "202: 100,000" in summary
    accepted = ids.read_text().split()
    assert len(accepted) == 100_000
    product.reconcile(accepted, seconds=60)
    counted = product.counted_by_ad(channels)
    assert counted == dict(channels)
    uniques = sum(product.analytics(channel)["unique_clicks"] for channel in channels)
    assert uniques > len(channels)


def replay(url, *arguments, records=None):
    return subprocess.run([ROOT / "tools" / "replay", "--url", url, *arguments], input=records, text=True, capture_output=True, check=False)


@pytest.fixture
def nobody():
    """The URL of a port at which nobody answers, and whether anybody has called there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)

        def was_called():
            try:
                server.accept()[0].close()
            except BlockingIOError:
                return False
            return True
        yield f"http://127.0.0.1:{server.getsockname()[1]}", was_called


@pytest.mark.parametrize("mapped, records, said", [
    ("ad_id=nocolumn", "channel,ip\n1,203.0.113.9\n", "no column 'nocolumn'; the file has channel, ip\n"),
    ("ad_id=channel,ip=address", "\ufeffchannel,ip\n1,203.0.113.9\n", "no column 'address'; the file has channel, ip\n"),
    ("ip=ip", "channel,ip\n1,203.0.113.9\n", "no column 'ad_id'; the file has channel, ip\n"),
    ("ad_id=nocolumn", '{"ad_id":"1"}\nnot json\n{"ad_id":"1","ip":"203.0.113.9"}\n', "no column 'nocolumn'; the file has ad_id, ip\n"),
])
def test_a_column_that_the_file_does_not_have_is_refused_before_the_first_request(nobody, mapped, records, said):
    url, was_called = nobody
    done = replay(url, "--create-ads", "--map", mapped, "-", records=records)
    assert done.returncode == 2 and done.stderr.endswith(said), done.stderr
    assert done.stdout == "" and not was_called()


@pytest.mark.parametrize("records", ["", "\n\n", "ad_id,ip\n"])
def test_a_file_without_records_is_no_success(nobody, records):
    url, was_called = nobody
    done = replay(url, "-", records=records)
    assert done.returncode == 1 and "nothing to send" in done.stderr and not was_called()


def test_a_gateway_that_is_not_there_is_told_with_the_cause():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    done = replay(url, "-", records='{"ad_id":"ad-001"}\n')
    assert done.returncode == 1 and "no answer: 1" in done.stdout
    assert "no answer, for example: after 5 tries: Connection refused" in done.stderr and "Errno" not in done.stderr


class BusyProxy(http.server.BaseHTTPRequestHandler):
    """Answers with pages of its own, as a proxy does whose gateway restarts, and then as the gateway."""

    protocol_version = "HTTP/1.1"
    answers = ((503, b"<html>Service Unavailable</html>"), (429, b"[]"), (202, b"{}"))

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        status, page = self.answers[min(self.server.asked, len(self.answers) - 1)]
        self.server.asked += 1
        self.send_response(status)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


def test_a_proxy_that_answers_with_a_page_of_its_own_is_tried_again():
    with http.server.HTTPServer(("127.0.0.1", 0), BusyProxy) as proxy:
        proxy.asked = 0
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        done = replay(f"http://127.0.0.1:{proxy.server_port}", "--connections", "1", "-", records='{"ad_id":"ad-001"}\n')
        proxy.shutdown()
    assert done.returncode == 0 and "202: 1" in done.stdout and "(2 retries)" in done.stdout, done
    assert done.stderr == ""


def test_ndjson_from_standard_input_and_a_summary_of_statuses(start_product):
    product = start_product()
    # A column that only a later record has is a column.
    lines = '\n{"ad_id":"ad-001","ip":"203.0.113.9"}\nnot json\n{"ad_id":"ad-001","playback_time":"soon"}\n{"ad_id":"no-such-ad"}\n{"ad_id":"ad-002","timestamp":"2017-11-07 09:30:38"}\n'
    done = replay(product.stack.url(), "--map", "timestamp=timestamp", "-", records=lines)
    assert done.returncode == 1
    assert all(share in done.stdout for share in ("202: 2", "404: 1", "422: 1", "unreadable: 1")), done.stdout
    assert "Traceback" not in done.stderr
    missing = replay(product.stack.url(), "/no/such/file")
    assert missing.returncode == 1 and missing.stderr.startswith("tools/replay: ")
    product.agree()
