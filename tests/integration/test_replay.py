"""The project's own tool replays 100,000 real clicks, and every channel's count is the file's."""

import collections
import csv
import gzip
import io
import os
import subprocess

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


def test_ndjson_from_standard_input_and_a_summary_of_statuses(start_product):
    product = start_product()
    lines = '\n{"ad_id":"ad-001","ip":"203.0.113.9"}\nnot json\n{"ad_id":"ad-001","playback_time":"soon"}\n{"ad_id":"no-such-ad"}\n{"ad_id":"ad-002","timestamp":"2017-11-07 09:30:38"}\n'
    done = subprocess.run([ROOT / "tools" / "replay", "--url", product.stack.url(), "-"], input=lines, text=True, capture_output=True, check=False)
    assert done.returncode == 1
    assert all(share in done.stdout for share in ("202: 2", "404: 1", "422: 1", "unreadable: 1")), done.stdout
    assert "Traceback" not in done.stderr
    missing = subprocess.run([ROOT / "tools" / "replay", "--url", product.stack.url(), "/no/such/file"], text=True, capture_output=True, check=False)
    assert missing.returncode == 1 and missing.stderr.startswith("tools/replay: ")
    product.agree()
