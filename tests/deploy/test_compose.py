"""docker-compose.prod.yaml for real: up, killed and frozen piece by piece under load, down and up, restored from a backup.

One deployment goes through the tests in their order; every id that was answered 202 is kept, and looked for after each.
"""

import hashlib
import json
import math
import os
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg2
import pytest
from deployment import BUILD_DATE, COMMIT, EPOCH, GATEWAY_PORTS, PROJECT, PROMETHEUS_PORT, ROOT, SERVICES, Deployment, copy_sources, run
from exporters import EXPORTERS, jobs_asked
from product import Load, Product, wait_until

CLICKS = 10_000
CLICKS_PER_SECOND = 150  # on each gateway: below RATE_LIMIT_RPS, for all of them come from one address
PAUSE_SECONDS = 5
TOLD_SECONDS = 60  # a gateway tells what became of its batches every 10 s; a breaker's cooldown may come before
STOP_SECONDS = 30
BASE = "debian:bookworm-slim"
IMAGE_BYTES_MAX = 20_000_000  # beyond the base


@pytest.fixture(scope="module")
def deployment():
    work = Path(tempfile.mkdtemp(prefix="adledger-deploy-", dir="/tmp"))
    engine_dir = Path(os.environ.get("ENGINE_DIR") or ROOT / ".run" / "engine")
    running = Deployment(work, engine_dir)
    running.start_engine()
    try:
        running.forget()
        running.build_stand_ins()
        yield running
        running.make_secrets()
        running.compose("--profile", "monitoring", "down", "-v", "--remove-orphans")
    finally:
        running.stop_engine()
        subprocess.run(["rm", "-rf", str(work)], check=False)


class Clicks:
    """All that was promised so far."""

    def __init__(self, deployment):
        self.deployment = deployment
        self.product = Product(deployment)
        self.accepted, self.sent = [], []

    def load(self):
        """Clicks on both gateways; each is sent until it is answered 202."""
        return [Load(self.deployment.url(index), connections=4, per_second=CLICKS_PER_SECOND, retry=True) for index in range(len(GATEWAY_PORTS))]

    def under_load(self, disturb, least=100, seconds=60):
        loads = self.load()
        with ExitStack() as stack:
            for load in loads:
                stack.enter_context(load)
            disturb()
            for load in loads:
                flowing = len(load.accepted) + least
                wait_until("clicks are accepted again", lambda load=load, enough=flowing: len(load.accepted) >= enough, seconds)
        for load in loads:
            self.accepted += load.accepted
            self.sent += load.sent

    def reconcile(self):
        self.product.reconcile(self.accepted, self.sent, seconds=90)
        wait_until("the product's own account balances", self._balances, TOLD_SECONDS)

    def _balances(self):
        """At once nothing is lost; the rest is known when each gateway has told its last numbers."""
        answer = self.product.as_admin("GET", "/api/v1/audit")
        assert answer.status in (200, 503), answer.body  # a breaker that has opened may hold it back for its cooldown
        audit = answer.json()
        assert answer.status == 503 or audit["totals"]["lost"] == 0, audit
        return answer.status == 200 and audit["balanced"] and audit["totals"]["pending"] == 0


@pytest.fixture(scope="module")
def clicks(deployment):
    return Clicks(deployment)


def test_without_secrets_it_says_what_to_do(deployment):
    done = deployment.compose("up", "-d", check=False)
    assert done.returncode != 0 and "./run --secrets" in done.stderr


def test_comes_up_from_a_clean_clone(deployment):
    deployment.make_secrets()
    deployment.compose("up", "-d")
    deployment.wait_healthy()
    with urllib.request.urlopen(deployment.url() + "/info", timeout=5) as answer:
        info = json.load(answer)
    assert (info["commit"], info["build_date"]) == (COMMIT, BUILD_DATE)
    for service in SERVICES:
        labels = deployment.inspect(deployment.containers(service)[0])["Config"]["Labels"]
        told = {name: labels[f"org.opencontainers.image.{name}"] for name in ("revision", "created", "version", "title", "base.name")}
        assert told == {"revision": COMMIT, "created": BUILD_DATE, "version": info["version"], "title": f"adledger {service}", "base.name": BASE}, service
        assert len(labels["org.opencontainers.image.description"]) > 20, service


def test_an_image_adds_a_binary_and_its_libraries_to_its_base(deployment):
    base = deployment.image_size(BASE)
    added = {service: deployment.image_size(f"adledger-test-{service}") - base for service in SERVICES}
    assert all(0 < size < IMAGE_BYTES_MAX for size in added.values()), added


def test_every_container_is_cut_down_to_what_it_needs(deployment):
    names = deployment.containers()
    assert len(names) == 8
    for name in names:
        about = deployment.inspect(name)
        host = about["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["CapAdd"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"] and not host["Privileged"], name
        assert host["Memory"] > 0 and host["NanoCpus"] > 0 and host["PidsLimit"] > 0, name
        assert host["RestartPolicy"]["Name"] == "unless-stopped" and {"max-size", "max-file"} <= set(host["LogConfig"]["Config"]), name
        if about["Config"]["Image"].startswith("adledger-"):
            assert about["Config"]["User"] == "10001:10001", name
        for secret in ("POSTGRES_PASSWORD", "REDIS_URL", "DATABASE_URL", "NATS_URL"):
            assert not any(line.startswith(f"{secret}=") for line in about["Config"]["Env"]), name


def test_the_stores_are_reached_by_nobody_outside(deployment):
    data = f"{PROJECT}_data"
    assert json.loads(deployment.docker("network", "inspect", data))[0]["Internal"] is True
    for service in ("nats", "postgres", "redis"):
        network = deployment.inspect(deployment.containers(service)[0])["NetworkSettings"]
        assert not any(network["Ports"].values()) and set(network["Networks"]) == {data}, service


def test_ten_thousand_clicks_are_stored_and_counted(clicks):
    clicks.under_load(lambda: None, least=CLICKS // len(GATEWAY_PORTS), seconds=180)
    assert len(clicks.accepted) >= CLICKS
    clicks.reconcile()


def assert_encrypted(deployment):
    wait_until("every service has a session", lambda: deployment.sessions() == {"adledger": True, "gateway": True, "analytics": True}, 30)
    connections = deployment.nats_connections()
    assert len(connections) >= 5 and all(row.get("tls_version") for row in connections), connections


def test_every_session_with_nats_and_postgres_is_encrypted(deployment):
    assert_encrypted(deployment)


def test_plain_text_is_refused(deployment):
    with pytest.raises(psycopg2.OperationalError, match="no encryption"):
        psycopg2.connect(deployment.database_url.replace("verify-full", "disable"))
    login = json.dumps({"user": "adledger", "pass": deployment.secret("nats_password"), "verbose": False})
    said = b""
    with socket.create_connection((deployment.address("nats"), 4222), timeout=10) as nats, suppress(ConnectionError):
        nats.sendall(f"CONNECT {login}\r\nPING\r\n".encode())
        while more := nats.recv(4096):
            said += more
    assert b'"tls_required":true' in said and b"PONG" not in said, said


def test_numbers_are_for_those_with_a_key_of_the_secrets(clicks):
    ad_id, count = next(iter(clicks.product.stored_by_ad().items()))
    path = f"/api/v1/ads/analytics?ad_id={ad_id}"
    assert clicks.product.get(path).status == 401
    for key in ("read_key", "admin_key"):
        answer = clicks.product.get(path, {"Authorization": f"Bearer {clicks.deployment.secret(key)}"})
        assert answer.status == 200 and answer.json()["total_clicks"] == count, answer.body


@pytest.mark.parametrize("service", ["gateway", "ingest", "analytics", "nats", "redis", "postgres"])
def test_killed_and_frozen_under_load_it_loses_nothing(deployment, clicks, service):
    def disturb():
        for container in deployment.containers(service):
            deployment.kill(container)
        deployment.wait_healthy()
        for container in deployment.containers(service):
            deployment.pause(container, PAUSE_SECONDS)

    clicks.under_load(disturb)
    deployment.wait_healthy()
    clicks.reconcile()


def test_stops_in_time_and_goes_on_where_it_was(deployment, clicks):
    containers = {name: deployment.inspect(name)["Config"]["Image"] for name in deployment.containers()}
    loads = clicks.load()
    with ExitStack() as stack:
        for load in loads:
            stack.enter_context(load)
        wait_until("clicks flow", lambda: all(len(load.accepted) > 50 for load in loads))
        for load in loads:
            load.stopping.set()  # each ends its request; what was answered counts
        deployment.compose("stop", "-t", str(STOP_SECONDS), *SERVICES)
    for load in loads:
        clicks.accepted += load.accepted
        clicks.sent += load.sent
    for name, image in containers.items():
        if image.startswith("adledger-"):
            assert deployment.inspect(name)["State"]["ExitCode"] == 0, name
    deployment.compose("down", "-t", str(STOP_SECONDS))
    deployment.compose("up", "-d")
    deployment.wait_healthy()
    clicks.reconcile()


def test_postgres_lost_alone_takes_no_acknowledged_event_along(deployment, clicks):
    """The commands of docs/operations.md, while clicks come: the dump, and what came after it from the stream."""
    backup = deployment.work / "adledger.dump"
    deployment.dump(backup)
    clicks.under_load(lambda: None)  # the stream keeps these for STREAM_DEDUP_MS at least, though both readers have them

    def replace_postgres():
        deployment.compose("stop", "-t", str(STOP_SECONDS), "ingest", "analytics")
        deployment.compose("rm", "-f", "-s", "postgres")
        deployment.docker("volume", "rm", f"{PROJECT}_postgres")
        deployment.compose("up", "-d", "postgres")
        deployment.wait_postgres()
        deployment.restore(backup)
        restored = set(clicks.product.stored_ids())
        assert restored and set(clicks.accepted) - restored, "the dump has what came after it"
        deployment.compose("up", "-d")
        deployment.wait_healthy()

    clicks.under_load(replace_postgres)
    clicks.reconcile()


def test_a_backup_is_all_that_is_needed(deployment, clicks):
    """The commands of docs/operations.md: every volume is lost, and the dump alone brings the rows and the counts back."""
    backup = deployment.work / "adledger.dump"
    deployment.dump(backup)
    deployment.compose("down", "-v", "-t", str(STOP_SECONDS))
    deployment.compose("up", "-d", "postgres")
    deployment.wait_postgres()
    deployment.restore(backup)
    deployment.compose("up", "-d")
    deployment.wait_healthy()
    clicks.reconcile()
    clicks.under_load(lambda: None)
    clicks.reconcile()


def test_new_certificates_are_taken_up(deployment, clicks):
    """As docs/operations.md has it, with a new authority."""
    for path in (deployment.sources / "secrets").glob("authority.*"):
        path.unlink()
    deployment.make_secrets()
    deployment.compose("up", "-d", "--force-recreate", "-t", str(STOP_SECONDS))
    deployment.wait_healthy()
    clicks.under_load(lambda: None)
    clicks.reconcile()
    assert_encrypted(deployment)


def ask_prometheus(path):
    with urllib.request.urlopen(f"http://127.0.0.1:{PROMETHEUS_PORT}/api/v1/{path}", timeout=2) as answer:
        return json.load(answer)["data"]


def every_instance_is_scraped(since):
    """Not by what Prometheus remembers: an instant's samples may be 5 minutes old."""
    wanted = {"gateway": 2, "ingest": 2, "analytics": 1, "redis": 1, "postgres": 1, "prometheus": 1, "alertmanager": 1}
    query = urllib.parse.quote(f"sum by (job) (up and timestamp(up) > {since})")
    up = {row["metric"]["job"]: int(row["value"][1]) for row in ask_prometheus(f"query?query={query}")["result"]}
    return all(up.get(job) == count for job, count in wanted.items())


def alerts_arrive(deployment):
    """Active is what Prometheus has found, before it sends anything; that it is there, its own container tells."""
    active = [alertmanager["url"] for alertmanager in ask_prometheus("alertmanagers")["activeAlertmanagers"]]
    container = deployment.containers("prometheus")[0]
    return len(active) == 1 and deployment.docker("exec", container, "wget", "-q", "-O", "-", active[0], check=False).startswith("[")


def everything_is_watched(deployment, since):
    with suppress(OSError):
        return every_instance_is_scraped(since) and alerts_arrive(deployment) and deployment.sessions().get("monitor")


@pytest.fixture(scope="module")
def watchers(deployment):
    """Debian has no Grafana, and no exporter of NATS."""
    names = ("prometheus", "alertmanager", "redis-exporter", "postgres-exporter")
    deployment.compose("up", "-d")
    deployment.compose("--profile", "monitoring", "up", "-d", *names)
    wait_until("everything is watched", lambda: everything_is_watched(deployment, 0), 60)
    return names


def test_what_watches_is_killed_and_frozen_and_watches_again(deployment, watchers):
    for watcher in watchers:
        container = deployment.containers(watcher)[0]
        deployment.kill(container)
        deployment.pause(container, 1)
    healed_at = time.time()
    wait_until("everything is watched again", lambda: everything_is_watched(deployment, healed_at), 60)


WATCHED = {"redis", "postgres"}
WITHOUT_A_STANDBY = {"pg_stat_replication_pg_wal_lsn_diff"}


def exporter_queries():
    """What panels ask of exporters, and each metric that panels or rules may ask for."""
    boards = [json.loads(path.read_text()) for path in sorted((ROOT / "grafana/dashboards").glob("*.json"))]
    panels = [target["expr"].replace("$__rate_interval", "1m") for board in boards for panel in board["panels"] for target in panel.get("targets", [])
              if jobs_asked(target.get("expr", "")) & WATCHED]
    names = set().union(*(EXPORTERS[job][1] for job in WATCHED)) - WITHOUT_A_STANDBY
    assert len(panels) >= 8 and len(names) >= 13
    return panels + sorted(names)


@pytest.mark.usefixtures("watchers")
@pytest.mark.parametrize("query", exporter_queries())
def test_what_is_asked_of_an_exporter_has_data(query):
    """The panels that tests/monitoring/test_live.py leaves out, and the metrics of stores.yml."""
    def is_told():
        answer = ask_prometheus(f"query?query={urllib.parse.quote(query)}")["result"]
        return any(math.isfinite(float(row["value"][1])) for row in answer)
    wait_until(f"there is data for {query}", is_told, 60)


def test_the_symbols_are_those_of_the_binaries(deployment):
    out = deployment.work / "symbols"
    deployment.docker("build", "--quiet", "--network", "host", "--build-arg", f"COMMIT={COMMIT}",
                      "--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}", "--target", "symbols", "--output", out, deployment.sources)
    ids = {f"{path.parent.name}{path.stem}" for path in out.rglob("*.debug")}
    assert len(ids) == len(SERVICES)
    for service in SERVICES:
        container = deployment.containers(service)[0]
        deployment.docker("cp", f"{container}:/usr/local/bin/{service}", deployment.work / service)
        notes = run(["readelf", "-n", deployment.work / service]).stdout
        assert notes.split("Build ID: ")[1].split()[0] in ids, service


def test_the_same_commit_gives_the_same_binaries():
    with tempfile.TemporaryDirectory(prefix="adledger-twice-") as work:
        digests = []
        for name in ("here", "there/a/longer/path"):
            sources = Path(work) / name
            sources.mkdir(parents=True)
            copy_sources(sources)
            env = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "CCACHE_DISABLE": "1"}
            run(["cmake", "--preset", "release", f"-DADLEDGER_COMMIT={COMMIT}", "-DBUILD_TESTING=OFF"], cwd=sources, env=env)
            run(["ninja", "-C", "build/release", "services"], cwd=sources, env=env)
            digests.append([hashlib.sha256((sources / "build/release/services" / service / service).read_bytes()).hexdigest()
                            for service in SERVICES])
        assert digests[0] == digests[1]
