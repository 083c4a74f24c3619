"""The pods of the Kubernetes manifests for real, one of each: start in the wrong order, take clicks, stop, go on."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from node import ROOT, Node, private_network
from manifests import SERVICES, Cluster
from product import Load, Product, wait_until

STORES = ("nats", "postgres", "redis")
ORDER = (*SERVICES, "migrate", *STORES)  # what waits comes before what it waits for
CLICKS = 300
MIGRATE_AGAIN_SECONDS = 2


def is_root_mounted():
    return any(line.split()[4] == "/" for line in Path("/proc/self/mountinfo").read_text().splitlines())


pytestmark = [pytest.mark.skipif(os.getuid() != 0, reason="pods need root"),
              pytest.mark.skipif(not ((ROOT / ".run" / "bin" / "kubectl").exists() or shutil.which("kubectl")), reason="kubectl >= 1.27 is not here"),
              pytest.mark.skipif(not is_root_mounted(), reason="the root is no mount point (a chroot), so no mounts can be made private")]


class Trial(Node):
    """A node that answers what a Stack answers."""

    migrate_began = 0

    def url(self):
        return "http://127.0.0.1:8080"

    def secret(self, name, key):
        return (self.work / name / "volumes" / "secrets" / key).read_text().strip()

    @property
    def database_url(self):
        return self.secret("ingest", "ingest_database_url").replace("@postgres", "@127.0.0.1")

    @property
    def redis_url(self):
        return self.secret("analytics", "redis_url").replace("@redis", "@127.0.0.1").replace("//redis", "//127.0.0.1")

    def start_all(self):
        for name in ORDER:
            self.start(name)

    def await_migration(self):
        """A Job that failed is started again, as its pod would be, but sooner."""
        def has_migrated():
            status = self.running["migrate"].process.poll()
            if status not in (None, 0) and time.monotonic() - self.migrate_began > MIGRATE_AGAIN_SECONDS:
                self.start("migrate")
            return status == 0

        wait_until("the tables are there", has_migrated, 60)

    def start(self, name):
        if name == "migrate":
            self.migrate_began = time.monotonic()
        return super().start(name)

    def await_ready(self):
        for name in (*STORES, *SERVICES):
            wait_until(f"{name} is ready", self.running[name].is_ready, 60)


def made_secrets(folder):
    """As docs/operations.md makes them."""
    env = {**os.environ, "SECRETS_DIR": str(folder / "secrets"), "SECRETS_ENV": str(folder / ".env")}
    subprocess.run([ROOT / "tools/make_secrets.py"], env=env, check=True, capture_output=True)
    text = subprocess.run([ROOT / "tools/k8s_secrets.py"], env=env, check=True, capture_output=True, text=True).stdout
    return {item["metadata"]["name"]: item for item in yaml.safe_load(text)["items"]}


@pytest.fixture(scope="module", params=["try", "dev"])
def trial(request):
    folder = Path(tempfile.mkdtemp(prefix="adledger-pods-", dir="/tmp"))
    folder.chmod(0o755)
    node = Trial(Cluster(ROOT / "k8s/overlays" / request.param), made_secrets(folder), folder / "node")
    with private_network():
        try:
            yield node
        finally:
            node.kill_all()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def promised():
    return {}


def test_the_pods_become_ready_in_whatever_order_they_start(trial):
    trial.start_all()
    trial.await_migration()
    trial.await_ready()


def test_clicks_are_stored_and_counted(trial, promised):
    with Load(trial.url(), connections=4, per_second=150, retry=True) as load:
        wait_until("clicks are accepted", lambda: len(load.accepted) >= CLICKS, 60)
    Product(trial).reconcile(load.accepted, load.sent, seconds=60)
    promised[trial] = (load.accepted, load.sent)


def test_a_process_can_write_to_its_volumes_alone(trial):
    gateway = trial.running["gateway"]
    for path, is_allowed in (("/var/lib/adledger/x", True), ("/tmp/x", True), ("/x", False), ("/etc/x", False), ("/run/secrets/x", False), ("/var/lib/x", False)):
        done = subprocess.run(["nsenter", "-t", str(gateway.process.pid), "--mount", "bash", "-c", gateway.in_root(["touch", path])], capture_output=True, check=False)
        assert (done.returncode == 0) is is_allowed, path
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status and "Uid:\t10001" in status


def test_they_stop_in_time_and_go_on_with_their_claims(trial, promised):
    for name in (*SERVICES, *STORES):
        status = trial.running[name].stop()
        assert status == 0 or name in STORES, trial.running[name].log()
    trial.start_all()
    trial.await_migration()
    trial.await_ready()
    Product(trial).reconcile(*promised[trial], seconds=60)
