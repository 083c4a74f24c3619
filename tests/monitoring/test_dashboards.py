"""What can be said of dashboards and rules without a server: they are up to date, whole, and name metrics that exist."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from exporters import EXPORTERS, TOLD

ROOT = Path(__file__).resolve().parent.parent.parent
BOARDS = sorted((ROOT / "grafana/dashboards").glob("*.json"))
PROMTOOL = ROOT / ".run" / "bin" / "promtool"
# Names that no metrics.def has: those of metrics_process.c, and Prometheus's and Alertmanager's own.
PROCESS = {"up", "prometheus_rule_evaluation_failures_total", "prometheus_notifications_dropped_total", "alertmanager_notifications_failed_total",
           *re.findall(r'"((?:process|adledger)_\w+)"', (ROOT / "shared/runtime/metrics_process.c").read_text())}
# Volumes, what clients do wrong, sizes that grow with load, and tables: no value of them is wrong by itself. What is wrong of them has a panel of its own, as a share, an age or a lag.
WITHOUT_A_LIMIT = {
    "Requests by route", "Answers by class", "Events in", "Refused by their fault", "Not admitted", "CPU", "On the stream", "Stored and counted",
    "Batches by line of keeping", "Calls by result", "Replayed", "Duplicates",
    "Events by type", "Live events by type", "Live invalid traffic", "Top ads", "Videos",
    "Events in a batch", "Messages published", "Redis hit and miss", "Shared answers", "Redis commands", "PostgreSQL statements", "Messages read", "Ingest transactions",
    "Events in a transaction", "Analytics calls", "Messages in a call", "Partitions held", "PostgreSQL size", "Builds",
    "Redis keyspace hits and misses", "Redis query throughput", "PostgreSQL transactions",
}
SUFFIX = re.compile(r"_(bucket|sum|count)$")


def boards():
    return [json.loads(path.read_text()) for path in BOARDS]


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def variables(board):
    """Those that a query fills; the other one is the filter."""
    return [variable for variable in board["templating"]["list"] if variable["type"] == "query"]


def expressions():
    """Every PromQL text of dashboards and rules, with where it stands."""
    for board in boards():
        for panel in panels(board):
            for target in panel["targets"]:
                if "expr" in target:
                    yield f"{board['title']}, {panel['title']}", target["expr"]
        for variable in variables(board):
            yield f"{board['title']}, ${variable['name']}", re.fullmatch(r"label_values\((.+), \w+\)", variable["query"]["query"])[1]
    for path in (ROOT / "prometheus/rules").glob("*.yml"):
        for block in re.findall(r"expr: >-\n((?:          .*\n)+)", path.read_text()):
            yield path.name, block


def metrics_in(text):
    """What is left of PromQL without strings, selectors, ranges, lists of labels, functions and words."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", re.sub(r'"[^"]*"', "", text))
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    return set(re.findall(r"(?<![\w:.])[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)) - {"and", "or", "unless", "bool", "offset"}


def told():
    """name -> kind, of every row of a metrics.def."""
    rows = {}
    for path in [*ROOT.glob("services/*/metrics.def"), *ROOT.glob("shared/*/metrics.def")]:
        rows |= {f"adledger_{name}": kind for kind, name in re.findall(r"^(COUNTER|GAUGE|HISTOGRAM)(?:_BY)?\((\w+),", path.read_text(), re.M)}
    return rows


def recorded():
    return {name for path in (ROOT / "prometheus/rules").glob("*.yml") for name in re.findall(r"record: (\S+)", path.read_text())}


def test_the_dashboards_are_what_the_descriptions_say():
    done = subprocess.run([ROOT / "tools/dashboards", "--check"], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_that_is_asked_for_exists():
    rows, rules = told(), recorded()
    for where, text in expressions():
        for name in metrics_in(text):
            if ":" in name:
                assert name in rules, f"{where}: no rule records {name}"
                continue
            kind = rows.get(SUFFIX.sub("", name)) if rows.get(SUFFIX.sub("", name)) == "HISTOGRAM" else rows.get(name)
            assert kind or name in PROCESS | TOLD, f"{where}: nobody tells {name}"
            assert kind != "HISTOGRAM" or SUFFIX.search(name), f"{where}: {name} is a histogram, it has _bucket, _sum and _count"


def test_each_exporter_is_started_scraped_and_asked():
    services = yaml.safe_load((ROOT / "docker-compose.prod.yaml").read_text())["services"]
    assert {name.removesuffix("-exporter") for name in services if name.endswith("-exporter")} == set(EXPORTERS)
    jobs = {job["job_name"]: job for job in yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text())["scrape_configs"]}
    asked = set().union(*(metrics_in(text) for _, text in expressions()))
    for name, (image, told_) in EXPORTERS.items():
        assert f":-{image}}}" in services[f"{name}-exporter"]["image"], f"{name}: read the names off the exporter that is started"
        assert jobs[name]["static_configs"][0]["targets"][0].startswith(f"{name}-exporter:")
        assert told_ <= asked, f"{name}: {told_ - asked} is asked for nowhere"


def test_prometheus_reads_every_query(tmp_path):
    rules = []
    for index, (where, text) in enumerate(expressions()):
        expr = text.replace("$__rate_interval", "1m").replace("$__interval", "1m").replace("$__range", "1h")
        rules.append({"record": f"asked:{index}", "expr": re.sub(r"\$\{?\w+\}?", ".*", expr), "labels": {"where": where}})
    file = tmp_path / "asked.yml"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "asked", "rules": rules}]}))
    done = subprocess.run([PROMTOOL, "check", "rules", file], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_recording_is_used():
    text = "".join(expr for _, expr in expressions())
    assert not {name for name in recorded() if name not in text}


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_whole(path):
    board = json.loads(path.read_text())
    assert board["uid"] == path.stem and board["uid"].startswith("adledger-")
    for panel in panels(board):
        assert panel["title"] and len(panel["description"]) > 10 and panel["targets"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] and "thresholds" in panel["fieldConfig"]["defaults"]
        assert all(target.get("legendFormat") or target.get("rawSql") for target in panel["targets"]), panel["title"]
    ids = [panel["id"] for panel in board["panels"]]
    titles = [panel["title"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids) and len(set(titles)) == len(titles)


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_what_shows_one_number_tells_good_from_bad(path):
    """Two colours or more, green among them; and what is wrong with too little is not green at 0."""
    for panel in panels(json.loads(path.read_text())):
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        colours = [step["color"] for step in steps]
        values = [step["value"] for step in steps[1:]]
        assert steps[0]["value"] is None and values == sorted(set(values)) and set(colours) <= {"green", "yellow", "red"}, panel["title"]
        if panel["type"] in ("stat", "gauge"):
            assert len(set(colours)) >= 2 and "green" in colours, f"{panel['title']} has one colour"
        if panel["title"] in ("Ready", "Ledger", "Spool disk"):
            assert colours[0] == "red" and colours[-1] == "green", f"{panel['title']} is green at 0"


def test_a_panel_has_a_limit_or_is_known_to_have_none():
    steps = {panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"] for board in boards() for panel in panels(board)}
    assert sum(len(panels(board)) for board in boards()) == len(steps), "two panels of one title"
    assert {title for title, each in steps.items() if len({step["color"] for step in each}) < 2} == WITHOUT_A_LIMIT


def test_a_graph_shows_its_limit():
    for panel in (panel for board in boards() for panel in panels(board) if panel["type"] == "timeseries"):
        style = panel["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"]
        assert style == ("off" if panel["title"] in WITHOUT_A_LIMIT else "dashed"), panel["title"]


def test_a_rate_is_told_in_events_a_second():
    """By the panel's unit, or by one of its own on the right axis, where the panel's limits are not drawn."""
    for panel in (panel for board in boards() for panel in panels(board)):
        own = {each["matcher"]["options"]: {row["id"]: row["value"] for row in each["properties"]} for each in panel["fieldConfig"]["overrides"]}
        assert set(own) <= {target["refId"] for target in panel["targets"]}, panel["title"]
        assert all(each["custom.axisPlacement"] == "right" and each["custom.thresholdsStyle"]["mode"] == "off" for each in own.values()), panel["title"]
        for target in panel["targets"]:
            unit = own.get(target["refId"], {}).get("unit", panel["fieldConfig"]["defaults"]["unit"])
            expr = target.get("expr", "")
            if re.search(r"\brate\(", expr) and not re.search(r"histogram_quantile|_seconds_total", expr):
                assert unit in ("ops", "reqps"), f"{panel['title']}: {target['legendFormat']} is a rate, in {unit}"


def test_a_dashboard_that_asks_postgres_asks_seldom_and_no_raw_table_without_an_end():
    for board in boards():
        asked = [target["rawSql"] for panel in panels(board) for target in panel["targets"] if "rawSql" in target]
        assert board["refresh"] == ("1m" if asked else "10s"), board["title"]
        for text in asked:
            assert not re.search(r"\bFROM events\b", text) or re.search(r"received_at BETWEEN now\(\) - interval '5 minutes' AND now\(\)", text), text


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_no_panel_lies_over_another(path):
    taken = {}
    for panel in json.loads(path.read_text())["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies over {taken[(x, y)]}"
                taken[(x, y)] = panel["title"]


def test_datasources_of_panels_and_variables_are_provisioned():
    text = (ROOT / "grafana/provisioning/datasources/adledger.yaml").read_text()
    sources = set(re.findall(r"uid: (\S+)\n    type: (\S+)", text))
    used = {(panel["datasource"]["uid"], panel["datasource"]["type"]) for board in boards() for panel in panels(board)}
    asked = {(variable["datasource"]["uid"], variable["datasource"]["type"]) for board in boards() for variable in board["templating"]["list"]}
    assert used == sources and asked <= sources


def test_a_dashboard_has_the_variables_that_it_uses():
    for board in boards():
        text = "".join(target.get("expr", "") for panel in panels(board) for target in panel["targets"])
        used = {name for name in re.findall(r"\$\{?(\w+)", text) if not name.startswith("__")}
        assert used == {variable["name"] for variable in variables(board)}, board["title"]


def test_every_dashboard_can_be_narrowed_to_a_namespace():
    """By a filter that Grafana applies to all queries; it goes along to the next dashboard, and at first it leaves nothing out."""
    for board in boards():
        (found,) = (variable for variable in board["templating"]["list"] if variable["type"] == "adhoc")
        assert found["datasource"]["type"] == "prometheus" and found["filters"] == [], board["title"]
        assert all(link["includeVars"] for link in board["links"]), board["title"]


def test_units_are_in_the_names():
    """A counter ends in _total; what is a time or a size says seconds or bytes."""
    for name, kind in told().items():
        assert (kind == "COUNTER") == name.endswith("_total"), name
        assert not re.search(r"_(ms|us|millis\w*|minutes|kb|mb|kilobytes)(_total)?$", name), name
