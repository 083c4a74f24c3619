"""The product as docker-compose.prod.yaml runs it, on a private engine, from a clean copy of the sources.

A Deployment answers what a Stack answers (url, database_url, redis_url), so the questions and the reconciliation of
tests/support/product.py are the same ones as for ./run.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
from product import wait_until  # noqa: E402

COMPOSE = "docker-compose.prod.yaml"
PROJECT = "adledger-test"
GATEWAY_PORTS = (28080, 28081)
PROMETHEUS_PORT = 28090
# What the build is told, and the second that EPOCH is.
COMMIT, EPOCH, BUILD_DATE = "0123456789ab", "1700000000", "2023-11-14T22:13:20Z"
STAND_INS = ("nats", "redis", "postgres", "prometheus", "alertmanager", "redis-exporter", "postgres-exporter")
SERVICES = ("gateway", "ingest", "analytics")
# Without a health check: Prometheus asks these, and its alerts InstanceDown and StoreUnseen tell.
WITHOUT_HEALTH = {"nats-exporter", "postgres-exporter", "redis-exporter"}


def run(argv, check=True, timeout=600, **kwargs):
    done = subprocess.run([str(part) for part in argv], text=True, capture_output=True, check=False, timeout=timeout, **kwargs)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, argv))}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return done


def copy_sources(to):
    """What a clone of the present state has: tracked files and new ones, nothing that is ignored."""
    listed = run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT).stdout.splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    return to


class Deployment:
    def __init__(self, work, engine_dir):
        self.work, self.engine_dir = work, engine_dir
        self.sources = copy_sources(work / "sources")
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "COMPOSE_"))},
            "PATH": f"/usr/bin:{os.environ['PATH']}", "DOCKER_HOST": f"unix://{engine_dir}/docker.sock", "DOCKER_BUILDKIT": "1",
            "COMPOSE_DOCKER_CLI_BUILD": "1", "COMPOSE_PROJECT_NAME": PROJECT, "BUILD_NETWORK": "host",
            "COMMIT": COMMIT, "SOURCE_DATE_EPOCH": EPOCH, "CREATED": BUILD_DATE,
            "GATEWAY_PORTS": f"127.0.0.1:{GATEWAY_PORTS[0]}-{GATEWAY_PORTS[-1]}", "PROMETHEUS_PORT": str(PROMETHEUS_PORT),
            **{f"{name.upper().replace('-', '_')}_IMAGE": f"stand-in-{name}" for name in STAND_INS},
            **{f"{name.upper()}_IMAGE": f"adledger-test-{name}" for name in SERVICES},
        }

    def start_engine(self):
        run([ROOT / "tests/deploy/engine", "start", self.engine_dir])

    def stop_engine(self):
        run([ROOT / "tests/deploy/engine", "stop", self.engine_dir])

    def forget(self):
        """What an earlier run left: its containers, and its images, which `up` would take for those of these sources."""
        left = self.docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={PROJECT}").split()
        if left:
            self.docker("rm", "-f", "-v", *left)
        for kind in ("network", "volume"):
            names = self.docker(kind, "ls", "-q", "--filter", f"label=com.docker.compose.project={PROJECT}").split()
            if names:
                self.docker(kind, "rm", *names)
        images = self.docker("images", "-q", "adledger-test-*").split()
        if images:
            self.docker("rmi", "-f", *set(images))

    def build_stand_ins(self):
        context = self.work / "stand-in"
        shutil.copytree(ROOT / "tests/deploy/standin", context)
        shutil.copy(ROOT / ".run/bin/nats-server", context)
        for name in STAND_INS:
            self.docker("build", "--quiet", "--network", "host", "--target", name, "--tag", f"stand-in-{name}", context)

    # ---- commands

    def docker(self, *argv, **kwargs):
        return run(["docker", *argv], env=self.env, **kwargs).stdout

    def compose(self, *argv, **kwargs):
        return run(["docker-compose", "-f", COMPOSE, *argv], env=self.env, cwd=self.sources, **kwargs)

    def dump(self, path):
        with open(path, "wb") as out:
            self._in_postgres("pg_dump", "-U", "postgres", "-Fc", "adledger", stdout=out)

    def restore(self, path):
        with open(path, "rb") as dump:
            self._in_postgres("pg_restore", "-U", "postgres", "-d", "adledger", "--exit-on-error", "--single-transaction", stdin=dump)

    def _in_postgres(self, *argv, **kwargs):
        subprocess.run(["docker-compose", "-f", COMPOSE, "exec", "-T", "postgres", *argv], env=self.env, cwd=self.sources, check=True, **kwargs)

    def make_secrets(self):
        run([self.sources / "run", "--secrets"], env=self.env, cwd=self.sources)

    def secret(self, name):
        return (self.sources / "secrets" / name).read_text().strip()

    # ---- containers

    def containers(self, service=None):
        """Names of the running containers, of one service or of all."""
        wanted = ["--filter", f"label=com.docker.compose.service={service}"] if service else []
        return sorted(self.docker("ps", "--format", "{{.Names}}", "--filter", f"label=com.docker.compose.project={PROJECT}", *wanted).split())

    def inspect(self, container):
        return json.loads(self.docker("inspect", container))[0]

    def image_size(self, image):
        return int(self.docker("image", "inspect", "--format", "{{.Size}}", image))

    def address(self, service):
        networks = self.inspect(self.containers(service)[0])["NetworkSettings"]["Networks"]
        return networks[f"{PROJECT}_data"]["IPAddress"]

    def is_healthy(self, container):
        about = self.inspect(container)
        state, service = about["State"], about["Config"]["Labels"]["com.docker.compose.service"]
        health = "healthy" if service in WITHOUT_HEALTH else state.get("Health", {}).get("Status")
        return state["Running"] and not state["Paused"] and health == "healthy"

    def wait_healthy(self, seconds=90):
        def all_healthy():
            names = self.containers()
            return len(names) >= 8 and all(self.is_healthy(name) for name in names)
        wait_until("every container is healthy", all_healthy, seconds)

    def sessions(self):
        """Whether all sessions from the network are encrypted, by login; as the superuser, who alone is told of all."""
        question = "SELECT usename, bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE client_addr IS NOT NULL GROUP BY 1"
        rows = self.compose("exec", "-T", "postgres", "psql", "-U", "postgres", "-qtA", "-c", question).stdout.split()
        return {login: is_encrypted == "t" for login, is_encrypted in (row.split("|") for row in rows)}

    def nats_connections(self):
        with urllib.request.urlopen(f"http://{self.address('nats')}:8222/connz", timeout=5) as answer:
            return json.load(answer)["connections"]

    def wait_postgres(self):
        wait_until("PostgreSQL is healthy", lambda: self.containers("postgres") and self.is_healthy(self.containers("postgres")[0]), 90)

    def kill(self, container):
        """As a crash: the container's first process is killed, and the engine starts it again by its policy."""
        before = self.inspect(container)["State"]
        os.kill(before["Pid"], signal.SIGKILL)
        wait_until(f"{container} runs again", lambda: self.has_restarted(container, before["StartedAt"]), 30)

    def has_restarted(self, container, started_at):
        state = self.inspect(container)["State"]
        return state["Running"] and state["StartedAt"] != started_at

    def pause(self, container, seconds):
        self.docker("pause", container)
        time.sleep(seconds)
        self.docker("unpause", container)

    # ---- as a Stack

    def url(self, index=0):
        return f"http://127.0.0.1:{GATEWAY_PORTS[index]}"

    @property
    def admin_key(self):
        return self.secret("admin_key")

    @property
    def database_url(self):
        """As the services reach it; the host's name, which only they can look up, is that of the certificate."""
        where = f"hostaddr={self.address('postgres')}&sslmode=verify-full&sslrootcert={self.sources}/secrets/authority.pem"
        return f"{self.secret('ingest_database_url')}?{where}"

    @property
    def redis_url(self):
        return self.secret("redis_url").replace("@redis:", f"@{self.address('redis')}:")
