#!/usr/bin/python3
"""Starts and stops a whole adledger on loopback: NATS, PostgreSQL, Redis and the three services.

`./run` is a thin script over this file, and the integration tests import it, so there is one way
to start the product. A stack lives in one directory:

    .run/settings.json     ports and passwords, made once
    .run/pids/NAME         pid and start time of each process
    .run/log/NAME.log      what it wrote
    .run/nats  redis  postgres  gateway      data
    .run/stopping                all are being stopped, or were: a run in the foreground reads it
    .run/keys  admin_key         the gateway's AUTH_KEYS_FILE, and the one key in it in plain

RUN_DIR names another directory than .run, for a second stack beside the first; PORT its gateway's port.

Every process runs in a session of its own and is ended by pid, checked by its start time, so that
a reused pid is never hit.
"""

import argparse
import contextlib
import json
import os
import pwd
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from keys import key_line, new_key  # noqa: E402

PG_BIN = Path("/usr/lib/postgresql/15/bin")
START_SECONDS = 30
STOP_SECONDS = 25
HEALTH_SECONDS = 15
# Private servers stay away from the standard ports, so that they never meet the machine's own.
PREFERRED_PORTS = {"nats": 24222, "nats_monitor": 28222, "postgres": 25432, "redis": 26379,
                   "gateway": 8080, "ingest": 8081, "analytics": 8082}
SERVERS = ("nats", "postgres", "redis")
SERVICES = ("ingest", "analytics", "gateway")


class StackError(Exception):
    """Something the user can act on; the text says what to do."""


def say(text):
    print(f"\033[1m==>\033[0m {text}" if sys.stderr.isatty() else f"==> {text}", file=sys.stderr, flush=True)


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def free_port(taken=()):
    """A free port outside the range that the kernel hands to outgoing connections, and none of `taken`."""
    for _ in range(200):
        port = 20000 + secrets.randbelow(10000)
        if port not in taken and port_is_free(port):
            return port
    raise StackError("no free port between 20000 and 30000 on 127.0.0.1")


def command(settings=""):
    """How ./run is called for the stack that the environment names."""
    directory = os.environ.get("RUN_DIR")
    return " ".join(filter(None, (settings, directory and f"RUN_DIR={shlex.quote(directory)}", "./run")))


def start_time(pid):
    """The kernel's start time of a pid (field 22 of its stat), or None when there is no such process.

    A zombie is gone once its last thread is: until then its sockets are still open.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        is_gone = fields[0] == "Z" and len(os.listdir(f"/proc/{pid}/task")) == 1
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if is_gone else fields[19]


class Process:
    """One child, known by a pid file that also holds its start time."""

    def __init__(self, stack, name):
        self.name = name
        self.pid_file = stack.dir / "pids" / name
        self.log_file = stack.dir / "log" / f"{name}.log"

    @property
    def pid(self):
        try:
            pid, began = self.pid_file.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if start_time(int(pid)) == began else None

    def start(self, argv, env=None, user=None, cwd="/"):
        if self.pid is not None:
            return
        for path in (self.pid_file, self.log_file):
            path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log_file, "ab") as log:
            child = subprocess.Popen([str(part) for part in argv], env=env, cwd=cwd, user=user, group=user,
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.pid_file.write_text(f"{child.pid} {start_time(child.pid)}")
        self.child = child  # kept so that a finished child is reaped

    def send(self, number):
        pid = self.pid
        if pid is not None:
            os.kill(pid, number)

    def wait_gone(self, seconds):
        deadline = time.monotonic() + seconds
        while self.pid is not None:
            child = getattr(self, "child", None)
            if child is not None:
                child.poll()
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def stop(self, number=signal.SIGTERM, seconds=STOP_SECONDS):
        """Ends the process; kills it when it has not gone in time. True: it went by itself."""
        self.send(signal.SIGCONT)
        self.send(number)
        gone = self.wait_gone(seconds)
        if not gone:
            self.send(signal.SIGKILL)
            self.wait_gone(5)
        self.pid_file.unlink(missing_ok=True)
        return gone

    def kill(self):
        self.send(signal.SIGKILL)
        self.wait_gone(5)

    def log_tail(self, lines=12):
        try:
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""


class Stack:
    """All six processes. `fixed_ports` picks ports; others are preferred or free ones."""

    def __init__(self, directory=os.environ.get("RUN_DIR") or ROOT / ".run", binaries=None, fixed_ports=None, prefer_ports=True, env=None):
        self.dir = Path(directory).absolute()
        self.binaries = Path(binaries or os.environ.get("ADLEDGER_BINARIES") or ROOT / "build" / "release")
        self.extra_env = dict(env or {})
        self.dir.mkdir(parents=True, exist_ok=True)
        self.processes = {}
        self.via = {}  # (service, server) -> the port that this service uses instead of the server's own
        self.url_files = None  # a directory: services get their servers' URLs by files in it, as a deployment's secrets
        self.settings = self._load_settings(fixed_ports or {}, prefer_ports)
        self.keys_file, self.admin_key_file = self.dir / "keys", self.dir / "admin_key"
        self.stopping = self.dir / "stopping"

    # ---- settings -------------------------------------------------------------------------------

    def _load_settings(self, fixed_ports, prefer_ports):
        path = self.dir / "settings.json"
        settings = json.loads(path.read_text()) if path.exists() else {"ports": {}, "passwords": {}}
        for name in ("nats", "postgres", "redis"):
            # A letter first: nats-server reads a value of digits alone as a number.
            settings["passwords"].setdefault(name, "p" + secrets.token_hex(16))
        for name, port in fixed_ports.items():
            running = settings["ports"].get(name)
            if running not in (None, port) and Process(self, name).pid is not None:
                raise StackError(f"{name} runs on port {running}: stop it first ({command()} --stop) to move it to {port}")
        for name, preferred in PREFERRED_PORTS.items():
            port = fixed_ports.get(name) or settings["ports"].get(name)
            if port is None:
                taken = set(settings["ports"].values())
                usable = prefer_ports and preferred not in taken and port_is_free(preferred)
                port = preferred if usable or name == "gateway" and prefer_ports else free_port(taken)
            settings["ports"][name] = int(port)
        path.touch(mode=0o600, exist_ok=True)
        path.write_text(json.dumps(settings, indent=2) + "\n")
        return settings

    def ensure_keys(self):
        """An admin key, made once. A key that somebody has put in its place is kept, and filed."""
        if not self.admin_key_file.exists():
            self._write_secret(self.admin_key_file, new_key() + "\n")
        line = key_line("admin", "admin", self.admin_key)
        lines = self.keys_file.read_text().splitlines() if self.keys_file.exists() else []
        if line not in lines:
            others = [other for other in lines if other.split()[:1] != ["admin"]]
            self._write_secret(self.keys_file, "\n".join([*others, line]) + "\n")

    @staticmethod
    def _write_secret(path, text):
        """Readable by us alone from its first byte, and never half there."""
        new = path.with_name(path.name + ".new")
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        new.replace(path)

    @property
    def admin_key(self):
        return self.admin_key_file.read_text().strip() if self.admin_key_file.exists() else ""

    def port(self, name):
        return self.settings["ports"][name]

    def url(self, name="gateway"):
        return f"http://127.0.0.1:{self.port(name)}"

    def server_url(self, name, port=None):
        """The URL of a server with its password; `port`: of a proxy in front of it."""
        password, at = self.settings["passwords"][name], f"127.0.0.1:{port or self.port(name)}"
        return {"postgres": f"postgresql://adledger:{password}@{at}/adledger", "redis": f"redis://:{password}@{at}/0",
                "nats": f"nats://adledger:{password}@{at}"}[name]

    @property
    def database_url(self):
        return self.server_url("postgres")

    @property
    def redis_url(self):
        return self.server_url("redis")

    @property
    def nats_url(self):
        return self.server_url("nats")

    def service_env(self, name, **more):
        """The environment of a service: the user's own settings, but always the private servers."""
        env = {key: value for key, value in os.environ.items() if not key.startswith(("POSTGRES_", "REDIS_", "DB_DSN"))}
        for variable in ("DATABASE_URL", "REDIS_URL", "NATS_URL", "HTTP_PORT"):
            env.pop(variable + "_FILE", None)
        env.setdefault("TRUST_BODY_IP", "on")  # the earlier trackers' callers send the player's address in the body
        for host in ("HTTP_HOST", "INGEST_HOST", "ANALYTICS_HOST"):
            env.setdefault(host, "127.0.0.1")
        if not env.get("AUTH_KEYS"):
            env.setdefault("AUTH_KEYS_FILE", str(self.keys_file))
        env.update(self.extra_env)
        env.update(self.url_env(name))
        env.update(INGEST_PORT=str(self.port("ingest")), ANALYTICS_PORT=str(self.port("analytics")),
                   HTTP_PORT=str(self.port("gateway")), CATALOGUE_FILE=str(self.dir / "gateway" / "catalogue.json"),
                   SPOOL_DIR=str(self.dir / "spool"))
        env.update(more)
        return env

    def url_env(self, name):
        """Where a service finds the servers; by files, they are written anew."""
        env = {}
        for variable, server in (("DATABASE_URL", "postgres"), ("REDIS_URL", "redis"), ("NATS_URL", "nats")):
            url = self.server_url(server, self.via.get((name, server)))
            if self.url_files is None:
                env[variable] = url
                continue
            path = Path(self.url_files) / f"{name}_{server}_url"
            self._write_secret(path, url + "\n")
            env[variable + "_FILE"] = str(path)
        return env

    def process(self, name):
        if name not in self.processes:
            self.processes[name] = Process(self, name)
        return self.processes[name]

    # ---- servers --------------------------------------------------------------------------------

    def start_nats(self):
        store = self.dir / "nats"
        store.mkdir(exist_ok=True)
        env = dict(os.environ, NATS_SERVER_NAME="adledger", NATS_HOST="127.0.0.1", NATS_PORT=str(self.port("nats")),
                   NATS_MONITOR=f"127.0.0.1:{self.port('nats_monitor')}", NATS_STORE=str(store),
                   NATS_MAX_FILE_STORE=self.extra_env.get("NATS_MAX_FILE_STORE", "8GB"),
                   NATS_USER="adledger", NATS_PASSWORD=self.settings["passwords"]["nats"])
        config = self.extra_env.get("NATS_CONFIG", ROOT / "config" / "nats.conf")
        server = os.environ.get("NATS_SERVER") or ROOT / ".run" / "bin" / "nats-server"
        self.process("nats").start([server, "-c", config], env=env)
        self._wait_port("nats")

    def start_redis(self):
        data = self.dir / "redis"
        data.mkdir(exist_ok=True)
        self.process("redis").start(
            ["redis-server", ROOT / "config" / "redis.conf", "--bind", "127.0.0.1", "--port", self.port("redis"),
             "--dir", data, "--requirepass", self.settings["passwords"]["redis"], "--daemonize", "no"])
        self._wait_port("redis")

    def _postgres_user(self):
        """PostgreSQL refuses to run as root: then the package's own user runs it."""
        if os.getuid() != 0:
            return None
        try:
            return pwd.getpwnam("postgres").pw_name
        except KeyError:
            raise StackError("there is no user 'postgres': install the package postgresql-15 (tools/setup run)") from None

    def _postgres_dir(self, user):
        """Where the data is: in the stack's directory, unless PostgreSQL's user cannot get there."""
        here = self.dir / "postgres"
        if user is None or here.is_symlink():
            return here.resolve()
        reachable = subprocess.run(["runuser", "-u", user, "--", "test", "-x", self.dir], check=False).returncode == 0
        if not reachable and not here.exists():
            away = Path(f"/var/tmp/adledger-{zlib.crc32(str(self.dir).encode()):08x}") / "postgres"
            away.parent.mkdir(mode=0o755, exist_ok=True)
            here.symlink_to(away)
            return away
        return here

    def start_postgres(self):
        process = self.process("postgres")
        if process.pid is not None:
            return
        user = self._postgres_user()
        data = self._postgres_dir(user)
        as_user = ["runuser", "-u", user, "--"] if user else []
        if not (data / "PG_VERSION").exists():
            self._make_cluster(user, as_user, data)
        (data / "postmaster.pid").unlink(missing_ok=True)  # its process is gone: checked above
        process.start([PG_BIN / "postgres", "-D", data, "-c", f"port={self.port('postgres')}"], user=user)
        self._wait_port("postgres")

    def _make_cluster(self, user, as_user, data):
        """In a directory beside, which gets its name when all is in it: one that was interrupted is made anew."""
        for half in data.parent.glob(f"{data.name}.new-*"):
            shutil.rmtree(half, ignore_errors=True)
        data.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own each time: an initdb that outlives its interrupted start writes into no other's.
        new = Path(tempfile.mkdtemp(prefix=f"{data.name}.new-", dir=data.parent))
        if user:
            shutil.chown(new, user, user)
        self._fill_cluster(as_user, new)
        shutil.rmtree(data, ignore_errors=True)
        new.rename(data)

    def _fill_cluster(self, as_user, data):
        self._checked(as_user + [PG_BIN / "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
                                 "--auth-local=trust", "--auth-host=scram-sha-256"], "initdb")
        with open(data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write((ROOT / "config" / "postgresql.conf").read_text())
            conf.write("\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 100\n")
        # Single-user mode needs no running server and no password of the superuser.
        sql = (f"CREATE ROLE adledger LOGIN CREATEROLE PASSWORD '{self.settings['passwords']['postgres']}';\n"
               "CREATE DATABASE adledger OWNER adledger TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';\n")
        self._checked(as_user + [PG_BIN / "postgres", "--single", "-D", data, "postgres"], "create database", sql)

    def _checked(self, argv, what, text=None):
        done = subprocess.run([str(part) for part in argv], input=text, text=True, capture_output=True, check=False, cwd="/")
        if done.returncode != 0 or "ERROR:" in done.stderr:
            raise StackError(f"{what} failed:\n{done.stderr[-2000:]}")

    def _wait_port(self, name):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process(name).pid is None:
                break
            if name == "postgres" and subprocess.run([PG_BIN / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port(name))],
                                                     check=False).returncode != 0:
                time.sleep(0.05)
                continue
            try:
                with socket.create_connection(("127.0.0.1", self.port(name)), 1):
                    return
            except OSError:
                time.sleep(0.05)
        raise StackError(f"{name} did not start; its log ({self.process(name).log_file}) ends:\n{self.process(name).log_tail()}")

    # ---- services -------------------------------------------------------------------------------

    def _check_port(self, name):
        if not port_is_free(self.port(name)):
            hint = f"choose another with {command('PORT=8090')}" if name == "gateway" else f"end what uses it, or set {name.upper()}_PORT"
            raise StackError(f"port {self.port(name)} for {name} is taken: {hint}")

    def _check_settings(self, name):
        """Asks the service itself, before anything is started for it."""
        self.ensure_keys()
        done = subprocess.run([self.binary(name), "--check-config"], env=self.service_env(name, INSTANCE=name), cwd=self.service_dir(name),
                              text=True, capture_output=True, check=False)
        if done.returncode != 0:
            raise StackError(f"{name} refuses its settings: {done.stderr.strip()}")

    def binary(self, name):
        return self.binaries / "services" / name / name

    def service_dir(self, instance):
        """Where a service runs; paths in its settings may be relative to it."""
        path = self.dir / instance
        path.mkdir(exist_ok=True)
        return path

    def start_service(self, name, instance=None, **env):
        """Starts a service; `instance` names a second process of it, with env for its own ports."""
        process = self.process(instance or name)
        if process.pid is None:
            self.ensure_keys()
            if instance is None:
                self._check_port(name)
            process.start([self.binary(name)], env=self.service_env(name, **{"INSTANCE": instance or name, **env}), cwd=self.service_dir(instance or name))
        return process

    def ready(self, port):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def wait_ready(self, name, port=None, seconds=START_SECONDS):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process(name).pid is None:
                break
            if self.ready(port or self.port(name)):
                return
            time.sleep(0.05)
        raise StackError(f"{name} did not become ready; its log ({self.process(name).log_file}) ends:\n"
                         f"{self.process(name).log_tail()}")

    def is_healthy(self, name):
        try:
            with urllib.request.urlopen(f"{self.url(name)}/health", timeout=2) as answer:
                return json.load(answer)["status"] == "ok"
        except (urllib.error.URLError, OSError):
            return False

    def wait_healthy(self, seconds=HEALTH_SECONDS):
        """A service that was ready stays so while it finds a server again that was away. Returns who has not found all."""
        deadline = time.monotonic() + seconds
        waiting = SERVICES
        while waiting and time.monotonic() < deadline:
            waiting = [name for name in waiting if not self.is_healthy(name)]
            time.sleep(0.05 if waiting else 0)
        return waiting

    # ---- all of it ------------------------------------------------------------------------------

    def down(self):
        return [name for name in (*SERVERS, *SERVICES) if self.process(name).pid is None]

    def start(self):
        """Starts whatever is down. When that fails, what it has started is stopped again, and nothing else."""
        down = self.down()
        for name in SERVICES:
            if name in down:
                self._check_port(name)
                self._check_settings(name)
        self.stopping.unlink(missing_ok=True)
        try:
            self._start(down)
        except BaseException:
            self.stop(down)
            raise

    def _start(self, down):
        for name in down:
            say(f"starting {name}")
            if name in SERVERS:
                getattr(self, f"start_{name}")()
            else:
                self.start_service(name)
        for name in SERVICES:
            self.wait_ready(name)

    def stop(self, names=None):
        """All, or those named. Gateway first, so that the readers can take what it sent; PostgreSQL by fast shutdown."""
        if names is None:
            with contextlib.suppress(OSError):  # a full disk is a reason to stop, not to go on
                self.stopping.touch()
        clean = True
        extra = [name for name in self.processes if name not in SERVERS + SERVICES]
        for name in [*extra, "gateway", "ingest", "analytics", "redis", "postgres", "nats"]:
            if (names is None or name in names) and self.process(name).pid is not None:
                number = signal.SIGINT if name == "postgres" else signal.SIGTERM
                if not self.process(name).stop(number):
                    say(f"{name} did not stop in {STOP_SECONDS} s and was killed")
                    clean = False
        return clean

    def clean(self):
        self.stop()
        data = self.dir / "postgres"
        if data.is_symlink():
            shutil.rmtree(data.resolve().parent, ignore_errors=True)
        for path in self.dir.iterdir():
            if path.name != "bin":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def env(self):
        values = {"PORT": self.port("gateway"), "INGEST_PORT": self.port("ingest"), "ANALYTICS_PORT": self.port("analytics"),
                  "DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url, "NATS_URL": self.nats_url, "ADMIN_KEY": self.admin_key}
        for name in (*SERVICES, *SERVERS):
            values[f"{name.upper()}_PID"] = self.process(name).pid or ""
        return values


# ---- the command line of ./run ----------------------------------------------------------------------


def asked_ports():
    """The ports that the environment asks for, by service."""
    asked = {}
    for name, variables in (("gateway", ("HTTP_PORT", "PORT")), ("ingest", ("INGEST_PORT",)), ("analytics", ("ANALYTICS_PORT",))):
        for variable in variables:
            text = os.environ.get(variable)
            if text and name not in asked:
                if not text.isdigit() or not 1 <= int(text) <= 65535:
                    raise StackError(f"{variable}={text}: a port is a number from 1 to 65535")
                asked[name] = int(text)
    return asked


def print_addresses(stack):
    base = f"http://localhost:{stack.port('gateway')}"
    print(f"""
adledger is ready.

  API         {base}/api/v1
  health      {base}/health        metrics  {base}/metrics
  ingest      {stack.url('ingest')}/health    analytics  {stack.url('analytics')}/health

Try it:

  curl -X POST {base}/api/v1/ads/click -H 'Content-Type: application/json' -d '{{"ad_id":"ad-001","video_play_time":30}}'
  curl '{base}/api/v1/ads/analytics?ad_id=ad-001'

The admin key is in {stack.admin_key_file}; in a shell: eval "$({command()} --env)", then -H "Authorization: Bearer $ADMIN_KEY"
""", flush=True)


def print_status(stack):
    down = 0
    for name in (*SERVICES, *SERVERS):
        pid = stack.process(name).pid
        state = "down" if pid is None else "running"
        if pid is not None and name in SERVICES:
            state = "ready" if stack.ready(stack.port(name)) else "not ready"
        down += pid is None
        print(f"{name:<10} {state:<10} pid {pid or '-':<8} 127.0.0.1:{stack.port(name)}")
    return 1 if down else 0


def heed_signals(handler):
    """Ctrl-C, kill, and a terminal that is closed, unless nohup keeps us from that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def interrupt_once(*_):
    """Nothing stays of a start that was not finished; a closed terminal says so twice, which is not to end the stop."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise KeyboardInterrupt


def run_in_foreground(stack):
    stopping, ended = [], []  # asked to, and by themselves
    heed_signals(lambda *_: stopping.append(True))
    stack.start()
    print_addresses(stack)
    say("Ctrl-C stops everything")
    while not stopping and not ended and not stack.stopping.exists():
        time.sleep(0.2)
        ended = stack.down()
    if not stopping and stack.stopping.exists():
        return be_stopped(stack, stopping)
    for name in ended:
        say(f"{name} has ended, and with it the run; its log ends:\n{stack.process(name).log_tail()}")
    say("stopping")
    return 0 if stack.stop() and not ended else 1


def be_stopped(stack, stopping):
    """./run --stop or --clean does it from elsewhere: a second signal would cut a service's own stop short."""
    say("stopped by ./run --stop or --clean")
    deadline = time.monotonic() + (len(SERVERS) + len(SERVICES)) * STOP_SECONDS

    def is_left():  # without the file: it is deleted, or somebody's new start
        return stack.stopping.exists() and len(stack.down()) < len(SERVERS) + len(SERVICES)
    while is_left() and not stopping and time.monotonic() < deadline:
        time.sleep(0.2)
    return 1 if is_left() and not stack.stop() else 0  # left by a --stop that was itself ended


def run_detached(stack):
    heed_signals(interrupt_once)
    stack.start()
    for name in stack.wait_healthy():
        say(f"{name} is ready, but not well: {stack.url(name)}/health tells why")
    print_addresses(stack)
    return 0


def main():
    parser = argparse.ArgumentParser(prog="./run", description="Runs a whole adledger on loopback, under .run/, until Ctrl-C.",
                                     epilog="Without an option, one process that ends by itself ends all, with status 1. In the environment: PORT, "
                                            "INGEST_PORT, ANALYTICS_PORT, and RUN_DIR, another directory than .run/. A second adledger beside the "
                                            "first: PORT=8090 RUN_DIR=DIR ./run; DIR is to be its own, for --clean deletes what is in it.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--detach", action="store_true", help="return when ready; starts whatever is down")
    mode.add_argument("--stop", action="store_true", help="stop everything, nothing is lost")
    mode.add_argument("--status", action="store_true", help="what runs, with pids and addresses")
    mode.add_argument("--clean", action="store_true", help="stop everything and delete all data")
    mode.add_argument("--env", action="store_true", help="print addresses and pids as shell variables")
    mode.add_argument("--secrets", action="store_true", help="make the secrets of docker-compose.prod.yaml, once")
    args = parser.parse_args()

    stack = Stack(fixed_ports={} if args.stop or args.status or args.clean or args.env else asked_ports())
    if args.stop:
        return 0 if stack.stop() else 1
    if args.clean:
        stack.clean()
        return 0
    if args.status or args.env:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # ./run --env | head is no error
    if args.status:
        return print_status(stack)
    if args.env:
        for name, value in stack.env().items():
            print(f"export {name}={shlex.quote(str(value))}")
        return 0
    return run_detached(stack) if args.detach else run_in_foreground(stack)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
