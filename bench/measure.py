"""What bench/run and bench/grow have in common: a product of its own, a load, and what its processes use."""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from keepalive import Connection  # noqa: E402
from stack import SERVERS, SERVICES, Stack, say  # noqa: E402, F401

SECONDS = int(os.environ.get("BENCH_SECONDS", "5"))
CONNECTIONS = 256
TICKS = os.sysconf("SC_CLK_TCK")


def wrk(stack, path=None, script=None, connections=CONNECTIONS, seconds=SECONDS, **load):
    """Requests a second and latency of one run; anything but 2xx is an error of the benchmark. `load`: click.lua's ads, visitors, rate."""
    argv = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--latency"]
    argv += ["-s", str(ROOT / "bench" / script)] if script else []
    env = {f"BENCH_{name.upper()}": str(value) for name, value in load.items()}
    done = subprocess.run([*argv, stack.url() + (path or "/")], env={**os.environ, **env}, text=True, capture_output=True, check=True)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout) or re.search(r"Socket errors: (.*)", done.stdout)
    if bad:
        sys.exit(f"error: wrk saw errors ({bad[0]}):\n{done.stdout}\n{stack.process('gateway').log_tail()}")
    latency = dict(re.findall(r"\s(50|99)%\s+([\d.]+\w+)", done.stdout))
    return {"per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1]),
            "requests": int(re.search(r"(\d+) requests in", done.stdout)[1]), "p50": latency["50"], "p99": latency["99"]}


def cpu_seconds(stack):
    """CPU time used so far by each process; PostgreSQL's backends are summed."""
    used = {}
    for name in (*SERVICES, *SERVERS):
        pid = stack.process(name).pid
        if pid is None:
            continue
        used[name] = sum(ticks(each) for each in family(pid)) / TICKS
    return used


def family(pid):
    return [pid] + [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ticks(pid):
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(field) for field in fields[11:15])  # own time and that of reaped children


def memory_mib(stack):
    """Resident memory of each process; PostgreSQL's backends are summed, what they share is counted once."""
    found = {}
    for name in (*SERVICES, *SERVERS):
        pid = stack.process(name).pid
        if pid is not None:
            found[name] = round(sum(map(resident_kib, family(pid))) / 1024, 1)
    return found


def resident_kib(pid):
    try:
        return int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def per_click_us(before, after, clicks):
    return {name: round((after[name] - before.get(name, 0)) / clicks * 1e6, 2) for name in after}


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def metrics(stack, service):
    with urllib.request.urlopen(stack.url(service) + "/metrics", timeout=5) as answer:
        return answer.read().decode()


def metric(stack, service, name):
    """The sum over labels of one metric of a service; a name that is not there ends the benchmark."""
    values = re.findall(rf"^{name}(?:\{{[^}}]*\}})? ([\d.e+-]+)$", metrics(stack, service), re.M)
    if not values:
        sys.exit(f"error: {service} has no metric {name}")
    return sum(map(float, values))


def waiting_messages(stack):
    """How many messages of the stream the readers have not taken."""
    return metric(stack, "ingest", "adledger_reader_lag_messages") + metric(stack, "analytics", "adledger_reader_lag_messages")


def streams(stack):
    """The state of each stream, by its name, as NATS tells it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.port('nats_monitor')}/jsz?streams=true", timeout=5) as answer:
        accounts = json.load(answer)["account_details"]
    return {stream["name"]: stream["state"] for account in accounts for stream in account["stream_detail"]}


class Bench:
    """A product of its own, with ads to click on."""

    def __init__(self, **env):
        directory = tempfile.mkdtemp(prefix="adledger-bench-", dir="/var/tmp")
        Path(directory).chmod(0o755)
        self.stack = Stack(directory, prefer_ports=False, env={"LOG_LEVEL": "warn", **env})

    def __enter__(self):
        try:
            self.stack.start()
            self.sql("INSERT INTO ads (id) SELECT 'bench-' || n FROM generate_series(1, %s) n", (10_000,))
            connection = Connection(self.stack.url())
            while connection.request("GET", "/api/v1/ads/bench-10000").status != 200:
                time.sleep(0.05)
        except BaseException:
            self.__exit__()  # nothing is left running behind a failed start
            raise
        return self

    def __exit__(self, *_):
        self.stack.clean()
        self.stack.dir.rmdir()

    def sql(self, text, parameters=()):
        import psycopg2
        with psycopg2.connect(self.stack.database_url) as database, database.cursor() as cursor:
            cursor.execute(text, parameters)
            return cursor.fetchall() if cursor.description else []

    def rows(self):
        return self.sql("SELECT coalesce(sum(count), 0)::bigint FROM ad_total")[0][0]

    def stop_readers(self):
        for name in ("ingest", "analytics"):
            self.stack.process(name).stop()

    def drained(self, seconds=180):
        """Waits until both readers have nothing left to read."""
        deadline = time.monotonic() + seconds
        while waiting_messages(self.stack) > 0:
            if time.monotonic() > deadline:
                sys.exit("error: the readers did not catch up")
            time.sleep(0.2)


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True, capture_output=True, check=False).stdout.strip()
    return {"cores": os.cpu_count(), "cpu": model[1] if model else "unknown", "commit": commit,
            "load_generator": "wrk, one thread, on the same cores"}


def prepare():
    """What is measured is what is in the tree."""
    for command in (["tools/setup", "test"], ["tools/build", "release", "services"]):
        subprocess.run(command, cwd=ROOT, check=True)


def write_result(name, result):
    path = ROOT / "bench" / "results" / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **result}, indent=2) + "\n")
    return path
