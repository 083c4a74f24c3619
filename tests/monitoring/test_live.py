"""Every query of dashboards and rules has an answer from a product that runs; each service's /metrics is well formed."""

import contextlib
import json
import math
import re
import subprocess
import urllib.request
from pathlib import Path

import psycopg2
import pytest
from connections import ANALYTICS_EACH, GATEWAY, INGEST, INGEST_EACH
from exporters import jobs_asked

ROOT = Path(__file__).resolve().parent.parent.parent
BOARDS = [json.loads(path.read_text()) for path in sorted((ROOT / "grafana/dashboards").glob("*.json"))]
# The exporters do not run here: tests/deploy/test_compose.py asks those panels.
PANELS = [(board, panel) for board in BOARDS for panel in board["panels"]
          if panel["type"] != "row" and not any(jobs_asked(target.get("expr", "")) for target in panel["targets"])]
VARIABLES = [(board, variable) for board in BOARDS for variable in board["templating"]["list"] if variable["type"] == "query"]
SERVICES = ("gateway", "ingest", "analytics")
LABELS = {"le", "route", "code", "type", "reason", "kind", "line", "result", "dependency", "state", "from", "to", "partition", "pool", "way", "version", "commit"}
SERIES_MAX = 2000  # of one service with one partition


def name_of(board, part):
    return f"{board['title'].split()[-1]}: {part}"


def of(source):
    return [pytest.param(board, panel, id=name_of(board, panel["title"])) for board, panel in PANELS if panel["datasource"]["type"].endswith(source)]


def substitute(expr, chosen):
    """As Grafana would, for a scrape interval of a second and these values of the variables."""
    expr = expr.replace("$__rate_interval", "5s").replace("$__interval", "1s").replace("$__range", "1m")
    return re.sub(r"\$\{?(\w+)\}?", lambda match: chosen[match[1]], expr)


def values_of(prometheus, variable):
    """What Grafana would offer: the values of a label where the series are as the variable says."""
    selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()
    answer = prometheus.ask(f"label/{label}/values", **{"match[]": selector})
    assert answer["status"] == "success", answer.get("error")
    return answer["data"]


def escape(value):
    """A value that was picked, as Grafana writes it into a regular expression within a string of PromQL."""
    return re.sub(r"[$^*{}\[\]'+?.()|\\]", r"\\\\\g<0>", value)


def is_told(samples):
    return any(math.isfinite(value) for value in samples)


@pytest.mark.parametrize("board, variable", [pytest.param(board, variable, id=name_of(board, variable["name"])) for board, variable in VARIABLES])
def test_a_variable_offers_what_there_is(watched, board, variable):
    product, prometheus, _ = watched
    assert values_of(prometheus, variable) == [product.stack.url(variable["label"]).removeprefix("http://")], board["title"]


@pytest.mark.parametrize("board, panel", of("prometheus"))
def test_a_panel_has_data(watched, board, panel):
    """With All, and with one value picked."""
    _, prometheus, began = watched
    variables = [variable for of_board, variable in VARIABLES if of_board is board]
    everything = {variable["name"]: variable["allValue"] for variable in variables}
    picked = {variable["name"]: escape(values_of(prometheus, variable)[0]) for variable in variables}
    for target in panel["targets"]:
        for expr in {substitute(target["expr"], chosen) for chosen in (everything, picked)}:
            assert is_told(prometheus.samples(expr, began)), f"no data: {expr}"


def recorded():
    return re.findall(r"record: (\S+)", (ROOT / "prometheus/rules/recording.yml").read_text())


@pytest.mark.parametrize("name", recorded())
def test_a_recording_has_data(watched, name):
    _, prometheus, began = watched
    assert is_told(prometheus.samples(name, began))


def test_no_rule_fails(watched):
    _, prometheus, _ = watched
    rules = [rule for group in prometheus.ask("rules")["data"]["groups"] for rule in group["rules"]]
    assert len(rules) > 50 and not [rule["name"] for rule in rules if rule["health"] != "ok"]


def test_an_outage_shows_in_the_alerts_and_the_ledger_balances(watched):
    _, prometheus, began = watched
    assert max(prometheus.samples("max(adledger_spool_events)", began)) > 0
    assert prometheus.samples('ALERTS{alertname="SpoolInUse"}', began), "the spool was in use, and its alert was not even pending"
    assert not prometheus.samples('ALERTS{alertname="LedgerLost"}', began)
    assert prometheus.samples("adledger:reader_lag_messages", began)[-1] == 0


# ---- PostgreSQL


@pytest.fixture(scope="module")
def reader(watched):
    """A connection with a login as the dashboards have it, and no other right."""
    product, _, _ = watched
    product.sql("CREATE ROLE dashboard LOGIN PASSWORD 'only-in-this-test' IN ROLE adledger_dashboard")
    url = product.stack.database_url.replace("//adledger:", "//dashboard:")
    with contextlib.closing(psycopg2.connect(url.replace(product.stack.settings["passwords"]["postgres"], "only-in-this-test"))) as connection:
        connection.autocommit = True
        yield connection


@pytest.mark.parametrize("board, panel", of("postgresql-datasource"))
def test_a_panel_has_rows(reader, board, panel):
    for target in panel["targets"]:
        text = target["rawSql"].replace("$__timeFrom()", "(now() - interval '1 hour')").replace("$__timeTo()", "(now() + interval '1 minute')")
        with reader.cursor() as cursor:
            cursor.execute(text)
            rows = cursor.fetchall()
        assert any(row[-1] is not None for row in rows), text


@pytest.mark.parametrize("forbidden", [
    "SELECT ip FROM events", "SELECT payload FROM dead_letters", "SELECT * FROM visitor_salts", "SELECT * FROM inbox", "DELETE FROM ads", "UPDATE ad_total SET count = 0",
])
def test_the_dashboards_login_may_not(reader, forbidden):
    with reader.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute(forbidden)


def test_no_process_has_more_connections_than_are_reckoned_for_it(watched):
    """After an outage and questions of every kind, with one partition: docs/operations.md, Sizing."""
    reckoned = {**GATEWAY, **INGEST, **INGEST_EACH, **ANALYTICS_EACH}
    there = dict(watched[0].sql("SELECT application_name, count(*) FROM pg_stat_activity WHERE starts_with(application_name, 'adledger') GROUP BY 1"))
    assert {"adledger gateway catalogue", "adledger gateway inbox", "adledger ingest", "adledger analytics"} <= set(there) <= set(reckoned), there
    assert all(count <= reckoned[name] for name, count in there.items()), there


# ---- /metrics


def scrape(product, service):
    with urllib.request.urlopen(f"{product.stack.url(service)}/metrics", timeout=10) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("service", SERVICES)
def test_promtool_finds_nothing_in_the_metrics(watched, service):
    done = subprocess.run([ROOT / ".run/bin/promtool", "check", "metrics"], input=scrape(watched[0], service), text=True, capture_output=True, check=False)
    assert done.returncode == 0 and not done.stdout + done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_labels_are_closed_sets(watched, service):
    lines = [line for line in scrape(watched[0], service).splitlines() if line and not line.startswith("#")]
    assert len(lines) < SERIES_MAX
    assert {label for line in lines for label in re.findall(r'(\w+)="', line)} <= LABELS
    assert not any("ad-00" in line for line in lines), "an ad is a label"


def test_the_same_fact_has_the_same_name_in_both_readers(watched):
    told = {service: set(re.findall(r"^# TYPE adledger_(reader_\w+)", scrape(watched[0], service), re.M)) for service in ("ingest", "analytics")}
    assert told["ingest"] - told["analytics"] == {"reader_stream_behind_messages", "reader_stream_gaps_total"} and told["analytics"] <= told["ingest"]
