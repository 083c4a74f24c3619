"""Starts and stops a whole adledger on loopback: NATS, PostgreSQL, Redis and the three services.

`./run` (run_command.py) and the tests use it, so there is one way to start the product. A stack lives
in one directory:

    .run/settings.json     ports and passwords, made once
    .run/pids/NAME         pid and start time of each process
    .run/log/NAME.log      what it wrote
    .run/nats  redis  postgres  gateway    data
    .run/stopping          all are being stopped, or were: a run in the foreground reads it
    .run/keys  admin_key   the gateway's AUTH_KEYS_FILE, and the one key in it in plain

RUN_DIR names another directory than .run, for a second stack beside the first; PORT its gateway's port.

Every process runs in a session of its own and is ended by pid, checked by its start time, so that
a reused pid is never hit.
"""

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
from processes import STOP_SECONDS, Process, StackError, free_port, port_is_free, say  # noqa: E402

OUR_DIR = ROOT / ".run"
PG_BIN = Path("/usr/lib/postgresql/15/bin")
START_SECONDS = 30
LOAD_SECONDS = 600  # Redis may have gigabytes to read
HEALTH_SECONDS = 15
# Private servers stay away from the standard ports, so that they never meet the machine's own.
PREFERRED_PORTS = {"nats": 24222, "nats_monitor": 28222, "postgres": 25432, "redis": 26379,
                   "gateway": 8080, "ingest": 8081, "analytics": 8082}
SETTINGS, SETTINGS_KEYS = "settings.json", {"ports", "passwords"}
SERVERS = ("nats", "postgres", "redis")
SERVICES = ("ingest", "analytics", "gateway")


def run_dir():
    return Path(os.environ.get("RUN_DIR") or OUR_DIR)


def command(settings=""):
    """How ./run is called for the stack that the environment names."""
    directory = os.environ.get("RUN_DIR")
    return " ".join(filter(None, (settings, directory and f"RUN_DIR={shlex.quote(directory)}", "./run")))


class Stack:
    """All six processes. `fixed_ports` picks ports; others are preferred or free ones."""

    def __init__(self, directory=None, binaries=None, fixed_ports=None, prefer_ports=True, env=None):
        self.dir = Path(directory or run_dir()).absolute()
        self.binaries = Path(binaries or os.environ.get("ADLEDGER_BINARIES") or ROOT / "build" / "release")
        self.extra_env = dict(env or {})
        self.dir.mkdir(parents=True, exist_ok=True)
        self._refuse_foreign()
        self.processes = {}
        self.via = {}  # (service, server) -> the port that this service uses instead of the server's own
        self.url_files = None  # a directory: services get their servers' URLs by files in it, as a deployment's secrets
        self.settings = self._load_settings(fixed_ports or {}, prefer_ports)
        self.keys_file, self.admin_key_file = self.dir / "keys", self.dir / "admin_key"
        self.stopping = self.dir / "stopping"

    # ---- settings -------------------------------------------------------------------------------

    def _refuse_foreign(self):
        """clean() deletes what is in the directory: another than our own must have been empty when we came."""
        path = self.dir / SETTINGS
        if path.exists():
            with contextlib.suppress(ValueError):
                settings = json.loads(path.read_text())
                if isinstance(settings, dict) and settings.keys() >= SETTINGS_KEYS:
                    return
        elif self.dir.resolve() == OUR_DIR or not any(self.dir.iterdir()):
            return
        raise StackError(f"{self.dir} is not adledger's: RUN_DIR must be empty, new, or made by ./run")

    def _load_settings(self, fixed_ports, prefer_ports):
        path = self.dir / SETTINGS
        before = path.read_text() if path.exists() else None
        settings = json.loads(before) if before else {key: {} for key in SETTINGS_KEYS}
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
        text = json.dumps(settings, indent=2) + "\n"
        if text != before:
            self._write_secret(path, text)
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
        """The URL of a server with its password (NATS_LOGIN: with that login to NATS); `port`: of a proxy in front of it."""
        password, at = self.settings["passwords"][name], f"127.0.0.1:{port or self.port(name)}"
        nats_login = self.extra_env.get("NATS_LOGIN", f"adledger:{password}@")
        return {"postgres": f"postgresql://adledger:{password}@{at}/adledger", "redis": f"redis://:{password}@{at}/0",
                "nats": f"nats://{nats_login}{at}"}[name]

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
        self._wait_serving("nats", self._nats_listens)

    def start_redis(self):
        data = self.dir / "redis"
        data.mkdir(exist_ok=True)
        self.process("redis").start(
            ["redis-server", ROOT / "config" / "redis.conf", "--bind", "127.0.0.1", "--port", self.port("redis"),
             "--dir", data, "--requirepass", self.settings["passwords"]["redis"], "--daemonize", "no"])
        self._wait_serving("redis", self._redis_answers, LOAD_SECONDS)

    def _nats_listens(self):
        with self._dial("nats"):
            return True

    def _redis_answers(self):
        """One that still reads its file takes connections, and refuses all that is asked of it."""
        with self._dial("redis") as connection:
            connection.sendall(f"AUTH {self.settings['passwords']['redis']}\r\nPING\r\n".encode())
            with connection.makefile("rb") as answers:
                return [answers.readline() for _ in range(2)] == [b"+OK\r\n", b"+PONG\r\n"]

    def _dial(self, name):
        return socket.create_connection(("127.0.0.1", self.port(name)), 1)

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
            away = self._away() / "postgres"
            away.parent.mkdir(mode=0o755, exist_ok=True)
            here.symlink_to(away)
            return away
        return here

    def _away(self):
        return Path(f"/var/tmp/adledger-{zlib.crc32(str(self.dir).encode()):08x}")

    def start_postgres(self):
        process = self.process("postgres")
        if process.pid is not None:
            return
        user = self._postgres_user()
        data = self._postgres_dir(user)
        as_user = ["runuser", "-u", user, "--"] if user else []
        if not (data / "PG_VERSION").exists():
            self._make_cluster(user, as_user, data)
        self._wait_backends_gone(data / "postmaster.pid")
        (data / "postmaster.pid").unlink(missing_ok=True)  # its process is gone: checked above
        process.start([PG_BIN / "postgres", "-D", data, "-c", f"port={self.port('postgres')}"], user=user)
        asked = [PG_BIN / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port("postgres"))]
        self._wait_serving("postgres", lambda: subprocess.run(asked, check=False).returncode == 0)

    def _wait_backends_gone(self, pid_file):
        """A killed postmaster's backends end with their query. Until then no other starts on their data: it says so, then."""
        lines = pid_file.read_text().splitlines() if pid_file.exists() else []
        shared_id = lines[6].split()[-1] if len(lines) > 6 else None
        deadline = time.monotonic() + START_SECONDS
        while shared_id and self._is_attached(shared_id) and time.monotonic() < deadline:
            time.sleep(0.05)

    @staticmethod
    def _is_attached(shared_id):
        """Whether a process has this segment of shared memory; not all kernels tell."""
        told = Path("/proc/sysvipc/shm")
        segments = [line.split() for line in told.read_text().splitlines()[1:]] if told.exists() else []
        return any(segment[1] == shared_id and int(segment[6]) for segment in segments)

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

    def _wait_serving(self, name, answers, seconds=START_SECONDS):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process(name).pid is not None:
            with contextlib.suppress(OSError):
                if answers():
                    return
            time.sleep(0.05)
        raise StackError(f"{name} did not start; its log ({self.process(name).log_file}) ends:\n{self.process(name).log_tail()}")

    # ---- services -------------------------------------------------------------------------------

    def _check_port(self, name):
        if not port_is_free(self.port(name)):
            variable = f"{name.upper()}_PORT"
            if name == "gateway":
                hint = f"choose another with {command('PORT=8090')}"
            elif variable in os.environ:
                hint = f"{variable} asks for it: set another, or none"
            else:
                hint = f"end what uses it, or set {variable}"
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
        if (self.dir / "postgres").is_symlink():
            shutil.rmtree(self._away(), ignore_errors=True)
        for path in sorted(self.dir.iterdir(), key=lambda path: path.name == SETTINGS):  # last: it says that the rest is ours
            if path.name != "bin":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def env(self):
        values = {"PORT": self.port("gateway"), "INGEST_PORT": self.port("ingest"), "ANALYTICS_PORT": self.port("analytics"),
                  "DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url, "NATS_URL": self.nats_url, "ADMIN_KEY": self.admin_key}
        for name in (*SERVICES, *SERVERS):
            values[f"{name.upper()}_PID"] = self.process(name).pid or ""
        return values
