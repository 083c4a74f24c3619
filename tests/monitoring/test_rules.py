"""Prometheus's and Alertmanager's own checkers, and for every alert a case that fires and one that stays quiet.

A case is (series, steps): the input of `promtool test rules`, one sample a minute, and when it is asked. The checker
evaluates the alert and what is recorded for it, recording rules first, as the server does; ALERTS then says what fires.
All rules for each case would take several times as long.
"""

import functools
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = ROOT / ".run" / "bin"
# What is recorded in a step is alerted on in the same one.
RECORDED_FIRST = ["record_promise", "record_pipeline"]
RULES = sorted((ROOT / "prometheus" / "rules").glob("*.yml"))
COLLECT = 'adledger_http_requests_total{job="gateway", route="/api/v1/ads/click", code="%s"}'
TIMED = 'adledger_http_request_seconds_%s{job="gateway", route="/api/v1/ads/click"%s}'
READER = '{job="ingest", instance="i", partition="0"}'


def one(name, values, labels='job="gateway", instance="g"'):
    return {f"adledger_{name}{{{labels}}}": values}


def grows(*parts):
    """A counter that grows by so much a minute for so many minutes, then by so much else for so many more."""
    told, value = [], 0
    for by, minutes in parts:
        told.append(f"{value}+{by}x{minutes - 1}")
        value += by * minutes
    return " ".join([*told, str(value)])


def answers(*parts):
    """A thousand requests a minute, so many of them answered 5xx for so many minutes, and so on."""
    return {COLLECT % "2xx": grows(*((1000 - bad, minutes) for bad, minutes in parts)), COLLECT % "5xx": grows(*parts)}


def durations(*parts):
    """A thousand requests a minute, so many of them slow."""
    return {TIMED % ("bucket", ', le="0.25"'): grows(*((1000 - slow, minutes) for slow, minutes in parts)),
            TIMED % ("count", ""): grows(*((1000, minutes) for _, minutes in parts))}


def stands(name, bad, good, minutes=20, labels='job="gateway", instance="g"'):
    """A gauge that stands at a bad value, and one at a good one."""
    return ((one(name, f"{bad}x{minutes}", labels), minutes), (one(name, f"{good}x{minutes}", labels), minutes))


def rises(name, labels='job="gateway", instance="g"', minutes=10):
    """A counter that grows, and one that once grew and stands."""
    return ((one(name, f"0+1x{minutes}", labels), minutes), (one(name, f"7x{minutes}", labels), minutes))


def ratio(part, whole, bad, good, minutes=20):
    return (({**one(part, f"{bad}x{minutes}"), **one(whole, f"100x{minutes}")}, minutes),
            ({**one(part, f"{good}x{minutes}"), **one(whole, f"100x{minutes}")}, minutes))


SERVICES = ["gateway", "ingest", "analytics"]
READY = {f'adledger_service_ready{{job="{job}", instance="{job}"}}': "1x20" for job in SERVICES}
GATEWAY, SECOND = '{job="gateway", instance="gateway"}', 'job="gateway", instance="second"'
PARTITION = 'partition="0", job="ingest", instance="i"'
FRESH = {f"adledger_reader_fresh_at_seconds{{{PARTITION}}}": "0+60x20"}
FILL = 'job="gateway", instance="g", partition="0"'


def fill(bytes_):
    return {**one("stream_bytes", f"{bytes_}x20", FILL), **one("stream_max_bytes", "100x20", FILL)}


def descriptors(open_, labels='job="gateway", instance="g"'):
    return {f"process_open_fds{{{labels}}}": f"{open_}x20", f"process_max_fds{{{labels}}}": "100x20"}


def within(namespace, series):
    return {key.replace("}", f', namespace="{namespace}"}}'): values for key, values in series.items()}


def audits(**gateways):
    """instance -> when it last audited, 0: never; when it started."""
    return {key.format(f'{{job="gateway", instance="{name}"}}'): values for name, told in gateways.items()
            for key, values in zip(("adledger_ledger_audited_at_seconds{}", "process_start_time_seconds{}"), told)}


RULE_FAILURES = 'prometheus_rule_evaluation_failures_total{job="prometheus", rule_group="/etc/prometheus/rules/alerts.yml;spool"}'
NOT_TOLD = 'alertmanager_notifications_failed_total{job="alertmanager", integration="webhook", reason="clientError"}'
REFUSED = 'job="ingest", instance="i", dependency="postgres", result="configuration"'
DROPPED = 'prometheus_notifications_dropped_total{job="prometheus"}'


def behind(published, read, minutes=40):
    return {**one("stream_last_sequence", published, FILL), **one("reader_position", read, PARTITION)}, minutes


NATS = 'job="nats", instance="n", server_name="nats"'
POSTGRES = 'job="postgres", instance="p"'
REDIS = 'job="redis", instance="r"'


def shares(part, whole, all_, bad, good):
    """A store that is filled so far, of so much; what it is filled with may be of several series."""
    return tuple(({**{key: f"{value}x20" for key, value in zip(part, values)}, f"{whole}": f"{all_}x20"}, 20) for values in (bad, good))


# What the exporters of tests/support/exporters.py tell.
STORES = {
    "StoreUnseen": (({f'up{{{NATS}}}': "1x20"}, 20),
                    ({f'up{{{NATS}}}': "1x20", f'jetstream_server_max_storage{{{NATS}}}': "100x20", f'redis_up{{{REDIS}}}': "1x20", f'pg_up{{{POSTGRES}}}': "1x20"}, 20)),
    "RedisFilling": shares([f"redis_memory_used_bytes{{{REDIS}}}"], f"redis_memory_max_bytes{{{REDIS}}}", 100, [85], [75]),
    "PostgresConnectionsFilling": tuple(({**series, f'pg_settings_superuser_reserved_connections{{{POSTGRES}, server="p:5432"}}': "3x20"}, steps) for series, steps in shares(
        [f'pg_stat_activity_count{{{POSTGRES}, server="p:5432", datname="adledger", state="{state}"}}' for state in ("active", "idle")],
        f'pg_settings_max_connections{{{POSTGRES}, server="p:5432"}}', 103, [2, 79], [2, 70])),
    "PostgresGrowing": (({f'pg_database_size_bytes{{{POSTGRES}, datname="adledger"}}': "30e9+10e6x500"}, 500), ({f'pg_database_size_bytes{{{POSTGRES}, datname="adledger"}}': "30e9+1e6x500"}, 500)),
    "StandbyBehind": (({f'pg_stat_replication_pg_wal_lsn_diff{{{POSTGRES}, application_name="b"}}': "300e6x20"}, 20),
                      ({f'pg_stat_replication_pg_wal_lsn_diff{{{POSTGRES}, application_name="b"}}': "10e6x20"}, 20)),
    "JetStreamFilling": shares([f"jetstream_server_total_message_bytes{{{NATS}}}"], f"jetstream_server_max_storage{{{NATS}}}", 100, [95], [81]),
}
CASES = {
    **STORES,
    "ServiceGone": (({key: values for key, values in READY.items() if "ingest" not in key}, 5), (READY, 5)),
    "InstancesMissing": (({**READY, **one("service_ready", "1x5 stale", SECOND)}, 17), ({**READY, **one("service_ready", "1x20", SECOND)}, 17)),
    "CrashLoop": (({**READY, "process_start_time_seconds" + GATEWAY: "0x3 180x3 360x3 540x3"}, 14), ({**READY, "process_start_time_seconds" + GATEWAY: "0x3 180x12"}, 14)),
    "InstanceDown": (({**READY, 'up{job="gateway", instance="second"}': "0x20"}, 5), ({**READY, 'up{job="gateway", instance="second"}': "1x20"}, 5)),
    "NothingReady": stands("service_ready", 0, 1),
    "InstanceNotReady": stands("service_ready", 0, 1),
    "CollectErrorsFast": ((answers((20, 90)), 90), (answers((10, 90)), 90)),
    "CollectErrorsSlow": ((answers((8, 400)), 400), (answers((4, 400)), 400)),
    "CollectErrorsCreeping": ((answers((2, 1125)), 1125), (answers((0, 1125)), 1125)),  # in steps of four minutes
    "CollectLatencyFast": ((durations((200, 90)), 90), (durations((100, 90)), 90)),
    "CollectLatencySlow": ((durations((80, 400)), 400), (durations((40, 400)), 400)),
    "BreakerOpen": stands("breaker_state", 1, 0, labels='job="ingest", instance="i", dependency="postgres", state="open"'),
    "NatsConnectionLost": (({**one("loops_connected", "0x20"), **one("loops", "1x20")}, 5), ({**one("loops_connected", "1x20"), **one("loops", "1x20")}, 5)),
    "StreamsUnseen": ((one("stream_seen_at_seconds", "0x20"), 10), (one("stream_seen_at_seconds", "0+60x20"), 10)),
    "ConfigurationErrors": rises("breaker_calls_total", REFUSED),
    "SpoolInUse": stands("spool_events", 5, 0),
    "SpoolGrowing": ((one("spool_events", "0+10x40"), 40), (one("spool_events", "400-10x40"), 40)),
    "SpoolOld": stands("spool_oldest_age_seconds", 1000, 30),
    "SpoolFilling": ratio("spool_bytes", "spool_max_bytes", 90, 70),
    "SpoolBroken": stands("spool_is_open", 0, 1),
    "SpoolDamaged": stands("spool_damaged_batches", 1, 0),
    "SpoolDiskFilling": ratio("spool_disk_free_bytes", "spool_disk_bytes", 5, 50),
    "InboxInUse": stands("inbox_batches", 1, 0),
    "StreamFilling": ((fill(80), 20), (fill(60), 20)),
    "StreamFull": ((fill(97), 20), (fill(80), 20)),
    "StreamGap": rises("reader_gap_messages_total", 'job="ingest"'),
    "StreamBehind": stands("reader_stream_behind_messages", 5, 0, labels=PARTITION),
    "ReaderStale": ((one("reader_fresh_at_seconds", "60x20", PARTITION), 10), (one("reader_fresh_at_seconds", "1+60x20", PARTITION), 10)),
    "ReaderLagGrowing": (behind("20000+1000x40", "1+10x40"), behind("20000+10x40", "1+1000x40")),
    "ReaderUnheld": stands("reader_lease_held", 0, 1, labels=PARTITION),
    "FreshnessSlow": (
        ({**one("reader_freshness_seconds_bucket", "0x40", 'job="ingest", le="5"'), **one("reader_freshness_seconds_bucket", "0+60x40", 'job="ingest", le="10"'),
          **one("reader_freshness_seconds_bucket", "0+60x40", 'job="ingest", le="+Inf"')}, 40),
        ({**one("reader_freshness_seconds_bucket", "0+60x40", 'job="ingest", le="0.1"'), **one("reader_freshness_seconds_bucket", "0+60x40", 'job="ingest", le="+Inf"')}, 40)),
    "ClockSkew": stands("reader_clock_skew_seconds", 30, -2, labels=PARTITION),
    "LedgerLost": stands("ledger_lost_batches", 1, 0),
    "LedgerUnbalanced": stands("ledger_balanced", 0, 1),
    "LedgerUnproven": stands("ledger_unproven_batches", 1, 0),
    "LedgerPending": (({**one("ledger_pending_batches", "3x20"), **FRESH}, 20), ({**one("ledger_pending_batches", "0x20"), **FRESH}, 20)),
    "LedgerSilent": ((audits(g=("1x40", "0x40")), 40), (audits(g=("1+60x40", "0x40")), 40)),
    "BatchNumberReused": rises("ingest_batches_reused_total", 'job="ingest"'),
    "DeadLetters": rises("dead_letters_total", 'job="ingest", code="unknown_ad"'),
    "DeadLettersUntold": stands("dead_letters_unpublished", 3, 0, minutes=30),
    "TablesEnding": stands("partitions_ready_until_seconds", 3600, 400000),
    "QueueRefuses": rises("query_pool_rejected_total", 'job="gateway", instance="g", pool="query"'),
    "LaneQueueFilling": ratio("lane_queue_bytes", "lane_queue_max_bytes", 80, 20),
    "ConnectionsFilling": ratio("http_connections", "http_connections_max", 95, 50),
    "DescriptorsFilling": (
        ({**one("service_ready", "1x20"), **descriptors(95)}, 20), ({**one("service_ready", "1x20"), **descriptors(50)}, 20)),
    "LogLinesLost": rises("log_lines_lost_total"),
    "RulesFailing": (({RULE_FAILURES: "0+1x20"}, 20), ({RULE_FAILURES: "0x10 1x10"}, 20)),
    "AlertsUndelivered": (({NOT_TOLD: "0x5 1x5 2x5 3x5 4x5 5x5"}, 35), ({NOT_TOLD: "7x20", DROPPED: "7x20"}, 20)),
    "Watchdog": (({}, 5), None),  # it always fires
}
OF_COMPOSE = {*STORES, "InstancesMissing", "RulesFailing", "AlertsUndelivered", "Watchdog"}  # which has no namespaces


OURS = within("ours", READY)
# What two cases do not show: what it is -> alert, series, steps, the namespace that it fires for ("": of none), None: it does not.
MORE = {
    "a foreign job is down": ("InstanceDown", {**OURS, 'up{job="node", namespace="theirs"}': "0x20"}, 5, None),
    "a foreign job of our name is down": ("InstanceDown", {**OURS, 'up{job="gateway", namespace="theirs"}': "0x20"}, 5, None),
    "a foreign job is down beside compose": ("InstanceDown", {**READY, 'up{job="node"}': "0x20"}, 5, None),
    "a foreign job of our name hides nothing": ("ServiceGone", {**{key: OURS[key] for key in OURS if "gateway" not in key}, 'up{job="gateway", namespace="theirs"}': "1x20"}, 5, "ours"),
    "nothing is there any more": ("ServiceGone", {key: "1x3 stale" for key in READY}, 120, ""),
    **{f"there is no {gone}, but one of others": ("ServiceGone", {**{key: OURS[key] for key in OURS if gone not in key}, **within("theirs", READY)}, 5, "ours") for gone in SERVICES},
    "PostgreSQL refuses for a moment, before the first migration": ("ConfigurationErrors", one("breaker_calls_total", "0x3 5x10", REFUSED), 5, None),
    "Alertmanager is not there": ("AlertsUndelivered", {NOT_TOLD: "7x20", DROPPED: "0+1x20"}, 20, ""),
    "a container has ended two hours ago": ("InstancesMissing", {**{key: "1x150" for key in READY}, **one("service_ready", "1x30 stale", SECOND)}, 150, ""),
    "a crash loop that is down just now": ("CrashLoop", {"adledger_service_ready" + GATEWAY: "1x8 stale", "process_start_time_seconds" + GATEWAY: "0x1 60x1 120x1 180x1 240x1"}, 9, ""),
    "what is pending waits in a spool": ("LedgerPending", {**one("ledger_pending_batches", "3x20"), **FRESH, **one("spool_batches", "3x20", SECOND)}, 20, None),
    "what is pending waits in the inbox": ("LedgerPending", {**one("ledger_pending_batches", "3x20"), **FRESH, **one("inbox_batches", "3x20")}, 20, None),
    "what is pending waits on the stream": ("LedgerPending", {**one("ledger_pending_batches", "3x20"), **one("reader_fresh_at_seconds", "60x20", PARTITION)}, 20, None),
    "what is pending may wait on the stream": ("LedgerPending", one("ledger_pending_batches", "3x20"), 20, None),
    "a partition waits on the stream, another does not": ("LedgerPending", {**one("ledger_pending_batches", "3x20"), **FRESH,
                                                                          **one("reader_fresh_at_seconds", "60x20", PARTITION.replace('"0"', '"1"'))}, 20, None),
    "what is pending is nowhere, and of two ingests one has the partition": ("LedgerPending", {
        **one("ledger_pending_batches", "3x20"), **one("spool_batches", "0x20"), **one("inbox_batches", "0x20"), **FRESH,
        **one("reader_fresh_at_seconds", "60x20", PARTITION.replace('"i"', '"idle"')), **one("reader_fresh_at_seconds", "0x20", PARTITION.replace('"i"', '"new"'))}, 20, ""),
    "no audit since the start": ("LedgerSilent", audits(g=("0x40", "0x40"), other=("0x40", "0x20 1200x20")), 40, ""),
    "no audit yet": ("LedgerSilent", audits(g=("0x40", "1800x40")), 40, None),
    "no audit for hours, by a gateway that is gone": ("LedgerSilent", audits(g=("1+60x20 stale", "0x20 stale"), other=("0x120", "0x120")), 120, ""),
    "the auditing gateway is restarted": ("LedgerSilent", audits(g=("1+60x37 0x2", "0x37 2280x2"), other=("0x40", "0x40")), 40, None),
    "a single 503 of a quiet hour": ("CollectErrorsFast", {COLLECT % "2xx": "0+0.1x90", COLLECT % "5xx": "0x85 1x4"}, 89, None),
    "a single 503 of a quiet morning": ("CollectErrorsSlow", {COLLECT % "2xx": "0+0.1x400", COLLECT % "5xx": "0x376 1x23"}, 399, None),
    "twenty 503 of a quiet hour": ("CollectErrorsFast", {COLLECT % "2xx": "0+0.1x90", COLLECT % "5xx": "0x85 20x4"}, 89, ""),
    "twenty 503 of a quiet morning": ("CollectErrorsSlow", {COLLECT % "2xx": "0+0.1x400", COLLECT % "5xx": "0x376 20x23"}, 399, ""),
    "a single slow request of a quiet hour": ("CollectLatencyFast", {TIMED % ("bucket", ', le="0.25"'): "0x89", TIMED % ("count", ""): "0x85 1x4"}, 89, None),
    # One window of a burn rate alone: it has ended, or has only begun. The creeping one is in steps of four minutes.
    "refusals that have ended": ("CollectErrorsFast", answers((50, 70), (0, 20)), 90, None),
    "refusals that have ended an hour ago": ("CollectErrorsSlow", answers((50, 340), (0, 60)), 400, None),
    "refusals that have ended eight hours ago": ("CollectErrorsCreeping", answers((5, 1000), (0, 125)), 1125, None),
    "slowness that has ended": ("CollectLatencyFast", durations((300, 70), (0, 20)), 90, None),
    "slowness that has ended an hour ago": ("CollectLatencySlow", durations((300, 340), (0, 60)), 400, None),
    "refusals of ten minutes": ("CollectErrorsFast", answers((0, 80), (20, 10)), 90, None),
    "refusals of an hour": ("CollectErrorsSlow", answers((0, 340), (10, 60)), 400, None),
    "refusals of eight hours": ("CollectErrorsCreeping", answers((0, 1000), (2, 125)), 1125, None),
    "slowness of ten minutes": ("CollectLatencyFast", durations((0, 80), (200, 10)), 90, None),
    "slowness of an hour": ("CollectLatencySlow", durations((0, 340), (100, 60)), 400, None),
    "a file of the spool was set aside": ("SpoolDamaged", one("spool_damaged_files_total", "0x5 1x10"), 15, ""),
    "Redis's exporter does not see it": ("StoreUnseen", {f"redis_up{{{REDIS}}}": "0x20"}, 20, ""),
    "PostgreSQL's exporter does not see it": ("StoreUnseen", {f"pg_up{{{POSTGRES}}}": "0x20"}, 20, ""),
    "a foreign process is full": ("DescriptorsFilling", {**OURS, **descriptors(95, 'job="node", namespace="theirs"')}, 20, None),
}


def run(*argv, **kwargs):
    done = subprocess.run([str(part) for part in argv], text=True, capture_output=True, check=False, **kwargs)
    return done.returncode, done.stdout + done.stderr


def alerts():
    text = "".join(path.read_text() for path in RULES if "- alert: " in path.read_text())
    return {block.split("\n", 1)[0]: block for block in text.split("- alert: ")[1:]}


@functools.cache
def groups():
    return [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]


def rules_of(name, folder):
    """A file of the alert and of what is recorded for it."""
    (rule,) = [rule for group in groups() for rule in group["rules"] if rule.get("alert") == name]
    needed = [{"name": group["name"], "rules": [row for row in group["rules"] if row is rule or row.get("record", "no rule") in rule["expr"]]} for group in groups()]
    file = folder / f"{name}.rules.yml"  # JSON is YAML
    file.write_text(json.dumps({"groups": [group for group in needed if group["rules"]]}))
    return str(file)


def test_every_alert_has_a_case_that_fires_and_one_that_does_not():
    assert set(CASES) == set(alerts())


LONG = {"CollectErrorsCreeping", "PostgresGrowing"}  # of days, which would take minutes at a step a minute; a longer one than Prometheus looks back sees nothing


by_steps = pytest.mark.parametrize("step_minutes, names", [(1, set(CASES) - LONG), (4, LONG)], ids=["minutes", "days"])


def check(folder, cases, step_minutes=1, of=""):
    """Each case as in MORE, with what it is before it; of: which of the alerts of that name, by a label."""
    files = []
    for number, (what, name, series, steps, fires_in) in enumerate(cases):
        labels = f'alertname="{name}"' + (f', namespace="{fires_in}"' if fires_in else "")
        test = {"name": what, "interval": f"{step_minutes}m", "input_series": [{"series": key, "values": values} for key, values in series.items()],
                "promql_expr_test": [{"expr": f'max by (alertname, namespace) (ALERTS{{alertname="{name}", alertstate="firing"{of}}})', "eval_time": f"{steps * step_minutes}m",
                                      "exp_samples": [] if fires_in is None else [{"labels": f"{{{labels}}}", "value": 1}]}]}
        files.append(folder / f"{number}.yml")
        files[-1].write_text(json.dumps({"rule_files": [rules_of(name, folder)], "evaluation_interval": f"{step_minutes}m",
                                         "group_eval_order": RECORDED_FIRST, "tests": [test]}))
    status, output = run(BIN / "promtool", "test", "rules", *files)
    assert status == 0, output


@by_steps
@pytest.mark.parametrize("checked", ["quiet", "fires"])
def test_each_alert(tmp_path, checked, step_minutes, names):
    case, fires_in = (0, "") if checked == "fires" else (1, None)
    check(tmp_path, [(name, name, *CASES[name][case], fires_in) for name in sorted(names) if CASES[name][case]], step_minutes)


@by_steps
def test_a_namespace_that_is_well_does_not_hide_one_that_is_ill(tmp_path, step_minutes, names):
    cases = []
    for name in sorted(names - OF_COMPOSE):
        (bad, steps), (good, _) = CASES[name]
        cases.append((name, name, {**within("ill", bad), **within("well", good)}, steps, "ill"))
    check(tmp_path, cases, step_minutes)


@by_steps
def test_what_else_fires_and_does_not(tmp_path, step_minutes, names):
    check(tmp_path, [(what, *case) for what, case in MORE.items() if case[0] in names], step_minutes)


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_is_missed_where_nothing_ever_was(tmp_path, service):
    check(tmp_path, [("nothing was ever there", "ServiceGone", {}, 5, "")], of=f', job="{service}"')


def test_prometheus_takes_the_configuration_and_the_rules(tmp_path):
    text = (ROOT / "prometheus/prometheus.yml").read_text()
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/rules", str(ROOT / "prometheus/rules")))
    status, output = run(BIN / "promtool", "check", "config", "--lint-fatal", tmp_path / "prometheus.yml")
    assert status == 0, output
    status, output = run(BIN / "promtool", "check", "rules", "--lint-fatal", *RULES)
    assert status == 0, output


@pytest.mark.parametrize("alert, receiver", [
    ('alertname=LedgerLost severity=page', "page"), ('alertname=SpoolInUse severity=warn', "warn"), ("alertname=Watchdog severity=none", "watchdog"),
])
def test_alertmanager_takes_its_configuration_and_routes_by_severity(alert, receiver):
    config = ROOT / "prometheus/alertmanager.yml"
    status, output = run(BIN / "amtool", "check-config", config)
    assert status == 0, output
    status, output = run(BIN / "amtool", "config", "routes", "test", f"--config.file={config}", *alert.split())
    assert status == 0 and output.split()[0] == receiver, output


def test_every_alert_has_its_section_in_the_runbook():
    sections = {line[4:].strip() for line in (ROOT / "docs/runbook.md").read_text().splitlines() if line.startswith("### ")}
    assert sections == set(alerts())
    for name, block in alerts().items():
        assert f"runbook: docs/runbook.md#{name.lower()}\n" in block, name
        assert re.search(r"labels: \{severity: " + ("none" if name == "Watchdog" else "(page|warn)") + r"\}", block), name


def test_a_cluster_has_the_rules_but_those_of_compose():
    documents = yaml.safe_load_all((ROOT / "k8s/components/prometheus-operator/prometheus_rules.yaml").read_text())
    told = {rule.get("alert") for document in documents for group in document["spec"]["groups"] for rule in group["rules"]}
    assert told - {None} == set(alerts()) - OF_COMPOSE


def test_each_section_says_what_to_look_at_and_what_to_do():
    sections = (ROOT / "docs/runbook.md").read_text().split("\n### ")[1:]
    for section in sections:
        assert re.search(r"^Look at: .{20}", section, re.M) and re.search(r"^Do: .{20}", section, re.M), section.split("\n")[0]
