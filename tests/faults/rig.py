"""A whole product with a fault proxy on each connection between a service and a server, and its proof."""

import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from books import Books, shortened
from keepalive import Connection
from load import ADS, Load
from processes import free_port
from product import SERVERS, SERVICES, Product, Stack, wait_until
from proxy import ProxyLoop

USES = {"gateway": ("nats", "postgres", "redis"), "ingest": ("nats", "postgres"), "analytics": ("nats", "postgres", "redis")}
SECOND, PORT_OF = "-2", {"gateway": "HTTP_PORT", "ingest": "INGEST_PORT", "analytics": "ANALYTICS_PORT"}
SETTLE_SECONDS = 60  # of promise 2: every 202 id is in its place so long after the last fault
COOLDOWN_SECONDS = 10  # a breaker's, 8 at most
TOLD_SECONDS = 15  # a gateway tells what became of its batches every 10 s
AGREE_SECONDS = 5    # of promise 3: Redis equals PostgreSQL so long after the last event
SYNCS, DISK_SECONDS_MAX = 20, 20  # of the disk's probe; that a slow disk may add to a limit
LOG_LINES, GATEWAY_LOG_LINES = 15, 200
KEEPING = ("adledger_spool", "adledger_inbox", "adledger_batches", "adledger_keep", "adledger_replay")  # metrics of how a batch is kept


class Rig:
    """start() it, break it, heal it, then prove() it. `env` are settings of the services and of NATS."""

    def __init__(self, **env):
        self.dir = Path(tempfile.mkdtemp(prefix="adledger-fault-", dir="/var/tmp"))
        self.dir.chmod(0o755)
        self.stack = Stack(self.dir, prefer_ports=False, env={"LOG_LEVEL": "info", "CATALOGUE_REFRESH_MS": "5000", **env})
        self.books = Books(self.stack)
        self.proxies = ProxyLoop()
        self.link = {}
        self.move_links()
        self.loads = []
        self.seconds = {}  # of services that run twice: the port of the other process
        self.mounts = []
        self.disk = self.dir  # where the spool and PostgreSQL are
        self.measured = {}

    def start(self):
        self.stack.start()
        self.product = Product(self.stack)
        self.product.add_ads(ADS)
        return self

    def close(self):
        try:
            self.end_seconds()
            for name in ("gateway", "ingest", "analytics"):  # before any server, however many there are
                assert self.stack.process(name).stop(), f"{name} did not stop in time"
            assert self.stack.stop(), "a server did not stop in time"
            assert self.books.in_spools() == 0, "batches are left in a spool's file"
        finally:
            self.proxies.close()
            for path in reversed(self.mounts):
                subprocess.run(["umount", "-l", path], check=True)
            self.stack.clean()
            shutil.rmtree(self.dir, ignore_errors=True)
            os.sync()  # what this one leaves the disk to do is not the next one's delay

    def mount_small_disk(self, name, megabytes):
        """A disk of its own for a folder of the stack, to be filled."""
        return self._mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", self.dir / name)

    def mount_own_disk(self, *names, megabytes):
        """A disk with a file system that can be made to stand still, shared by these folders of the stack."""
        image, self.disk = self.dir / "disk.img", self.dir / "disk"
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        self._mount("-o", "loop", image, self.disk)
        self.disk.chmod(0o755)
        for name in names:
            (self.disk / name).mkdir()
            (self.dir / name).symlink_to(self.disk / name)
        return self.disk

    def _mount(self, *how):
        """The last is where."""
        path = how[-1]
        path.mkdir(exist_ok=True)
        subprocess.run(["mount", *how], check=True)
        self.mounts.append(path)
        return path

    # ---- load and faults

    def load(self, port=None, **options):
        self.loads.append(Load(port or self.stack.port("gateway"), self.dir / f"book-{len(self.loads)}", disk=self.disk, **options))
        return self.loads[-1]

    def move_links(self):
        """A new proxy for every connection; the services come to them when they are told. Returns the old ones."""
        old = self.link
        self.link = {(service, server): self.proxies.open(self.stack.port(server))
                     for service, servers in USES.items() for server in servers}
        self.stack.via = {pair: proxy.port for pair, proxy in self.link.items()}
        return old

    def links_to(self, server):
        return [proxy for (_, target), proxy in self.link.items() if target == server]

    def kill(self, name):
        """What it leaves behind runs: a frozen server's children would otherwise never see that it is gone."""
        family = self._family(name)
        self.stack.process(name).kill()
        self._send(family, signal.SIGCONT)

    def freeze(self, name):
        """Stops a process and its children without their knowing, as a machine that hangs does."""
        self._send(self._family(name), signal.SIGSTOP)

    def thaw(self, name):
        self._send(self._family(name), signal.SIGCONT)

    def _family(self, name):
        """None of one that has gone."""
        with contextlib.suppress(FileNotFoundError):
            pid = self.stack.process(name).pid
            return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
        return []

    def _send(self, pids, number):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def restart(self, name, **env):
        """Starts what is down, and waits until it serves."""
        if name.endswith(SECOND):
            self.stack.wait_ready(name, self.start_second(name.removesuffix(SECOND)))
            return
        self.begin_again(name, **env)
        if name in SERVICES:
            self.stack.wait_ready(name)

    def begin_again(self, name, **env):
        """Starts what is down; a service may be waiting for what is not there."""
        if name in SERVERS:
            getattr(self.stack, f"start_{name}")()
        else:
            self.stack.start_service(name, **env)

    def start_second(self, service):
        """Another process of a service, by the name SERVICE-2 for all that is done to it; returns its port."""
        port = self.seconds.setdefault(service, free_port())
        self.stack.start_service(service, instance=service + SECOND, **{PORT_OF[service]: str(port)})
        return port

    def end_seconds(self):
        for service in self.seconds:
            assert self.stack.process(service + SECOND).stop(), f"{service}{SECOND} did not stop in time"
            del self.stack.processes[service + SECOND]
        self.seconds.clear()

    def heal(self):
        """Whatever a row has left behind: everything runs and every connection passes."""
        for proxy in self.link.values():
            proxy.heal()
        for name in (*SERVERS, *SERVICES):
            if self.stack.process(name).pid is not None:
                self.thaw(name)
            else:
                self.restart(name)

    # ---- what services say of themselves

    def metric(self, service, name, port=None, **labels):
        """The sum of a metric's series that carry these labels."""
        total, found = 0.0, False
        for line in self._metrics_text(service, port).splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == f"adledger_{name}" and all(f'{key}="{label}"' in series for key, label in labels.items()):
                total, found = total + float(value), True
        assert found, f"{service} has no metric adledger_{name} {labels}"
        return total

    def _metrics_text(self, service, port=None):
        with urllib.request.urlopen(f"http://127.0.0.1:{port or self.stack.port(service)}/metrics", timeout=5) as answer:
            return answer.read().decode()

    def status(self, path, service="gateway"):
        try:
            with urllib.request.urlopen(self.stack.url(service) + path, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def log_has(self, name, text):
        path = self.stack.process(name).log_file
        return path.exists() and text in path.read_text(errors="replace")

    # ---- the proof

    def kept(self):
        """Batches that wait in spools and inbox, as the gateway and PostgreSQL say; close() looks into the files."""
        return self.metric("gateway", "spool_batches") + self.books.in_inbox()

    def has_caught_up_with(self, ends):
        """Both readers have passed these sequences."""
        positions = self.books.positions()
        return all(min(positions.get(partition, (0, 0))) >= end for partition, end in ends.items())

    def recovers(self, seconds):
        """Waits until nothing waits in spools and inbox, and until both readers have what the stream holds by then.

        The stream syncs each batch that is replayed, and live ones between them: what this takes of the disk comes on top.
        """
        sync_seconds = self._sync_seconds()
        began, kept = time.monotonic(), self.kept()
        seconds += min(DISK_SECONDS_MAX, 2 * kept * sync_seconds)
        try:
            wait_until(f"spools and inbox are empty, which held {kept:.0f} batches at {sync_seconds * 1000:.1f} ms a sync", lambda: self.kept() == 0, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self._replay_state()}") from None
        ends = self.books.stream_ends()
        left = max(0.0, seconds - (time.monotonic() - began))
        wait_until(f"the readers have passed {ends}", lambda: self.has_caught_up_with(ends), left)
        self.measured["recovered_s"] = round(time.monotonic() - began, 1)

    def _sync_seconds(self):
        """What a sync takes on this disk now, beside the load."""
        began = time.monotonic()
        with open(self.dir / "sync-probe", "wb", buffering=0) as file:
            for _ in range(SYNCS):
                file.write(bytes(4096))
                os.fsync(file)
        return (time.monotonic() - began) / SYNCS

    def _replay_state(self):
        """Why batches still wait, as far as the gateway tells."""
        numbers = ("spool_batches", "spool_replayed_batches_total", "batches_stored_total", "replay_window_batches", "replay_silent_total")
        try:
            said = {name: self.metric("gateway", name) for name in numbers}
            said.update({state: self.metric("gateway", "breaker_state", dependency="nats", state=state) for state in ("open", "half_open")})
        except (OSError, http.client.HTTPException) as error:
            return f"the gateway does not tell: {error}"
        return ", ".join(f"{name} {value:.0f}" for name, value in said.items())

    def prove(self, *loads, agree_seconds=AGREE_SECONDS, settle_seconds=SETTLE_SECONDS, loss=frozenset()):
        """Every promise, after the load: each 202 id in its place once, every count equal, nothing left over.

        `loss`: ids that a row may lose by its contract (a stream that was deleted); the row asks the audit itself.
        """
        loads = loads or self.loads[-1:]
        for load in loads:
            assert load.accepted, f"nothing was accepted: {dict(load.fates)}"
        self._counts_agree(agree_seconds, settle_seconds)
        for load in loads:
            found = self.books.differences(load.accepted - loss, load.sent)
            assert not found, f"clients were told otherwise: {shortened(found)}"
        sent = set().union(*(load.sent for load in self.loads))
        foreign = self.books.foreign_rows(sent)
        assert not foreign, f"rows that nobody has sent: {shortened({'rows': foreign})}"
        self._nothing_is_left_over()
        if not loss:
            self._audit_balances()
        self._measure(loads)

    def _counts_agree(self, agree_seconds, settle_seconds):
        began = time.monotonic()
        wait_until("spools and inbox are empty", lambda: self.kept() == 0, settle_seconds)
        wait_until("the readers are at the stream's end", lambda: self.has_caught_up_with(self.books.stream_ends()), settle_seconds)
        self.measured["drained_s"] = round(time.monotonic() - began, 1)
        try:
            wait_until("rows, rollups and Redis agree", lambda: not self.books.disagreements(), agree_seconds)
        except AssertionError as error:
            wrong = self.books.disagreements()
            raise AssertionError(f"{error}; (rows, other): {wrong}") from None

    def _nothing_is_left_over(self):
        def at_rest():
            ends, positions = self.books.stream_ends(), self.books.positions()
            return self.kept() == 0 and all(positions.get(partition) == (end, end) for partition, end in ends.items())
        wait_until("positions agree with the stream", at_rest)

    def audit(self):
        """The product's own account of the last hour, which a breaker that has opened may hold back for its cooldown."""
        return wait_until("the audit answers", self._ask_for_audit, COOLDOWN_SECONDS)

    def _ask_for_audit(self):
        connection = Connection(self.stack.url())
        answer = connection.request("GET", "/api/v1/audit", headers={"Authorization": f"Bearer {self.stack.admin_key}"})
        connection.close()
        assert answer.status in (200, 503), answer.body
        return answer.json() if answer.status == 200 else None

    def _audit_balances(self):
        """At once nothing is lost; the rest is known when each gateway has told its last numbers."""
        def balances():
            audit = self.audit()
            assert audit["totals"]["lost"] == 0, f"the audit says lost: {audit['totals']} {audit['findings'][:5]}"
            return audit["balanced"] and audit["totals"]["pending"] == 0
        try:
            wait_until("the audit balances", balances, TOLD_SECONDS)
        except AssertionError as error:
            audit = self.audit()
            raise AssertionError(f"{error}: {audit['totals']} {audit['findings'][:5]}") from None

    def _measure(self, loads):
        seconds = sum(load.process_seconds for load in loads)
        self.measured["events"] = sum(len(load.accepted) for load in loads)
        self.measured["per_s"] = round(self.measured["events"] / seconds) if seconds else 0
        self.measured["slowest_ms"] = max(load.slowest_ms for load in loads)
        disk = {"slowest_sync_ms": max(load.slowest_sync_ms for load in loads), "excused": sum(load.excused for load in loads)}
        self.measured.update({what: value for what, value in disk.items() if value})
        self.measured["fates"] = dict(sum((load.fates for load in loads), start=loads[0].fates.__class__()))

    def testimony(self):
        """Of a row that failed: the ends of the logs, and the gateway's numbers of how batches were kept."""
        parts = [f"---- {name}\n{process.log_tail(GATEWAY_LOG_LINES if name == 'gateway' else LOG_LINES)}"
                 for name, process in self.stack.processes.items()]
        with contextlib.suppress(OSError, http.client.HTTPException):
            lines = self._metrics_text("gateway").splitlines()
            parts.append("---- gateway's /metrics\n" + "\n".join(line for line in lines if line.startswith(KEEPING) and "_bucket{" not in line))
        return "\n".join(parts)
