"""A PostgreSQL primary and its standby on loopback; the primary's commits wait for the standby."""

import shutil

import psycopg2
from product import wait_until
from processes import Process, free_port
from stack import PG_BIN


class PostgresPair:
    """Takes over the URL of a stack's PostgreSQL: set it up before the stack starts, and call follow() after."""

    def __init__(self, stack):
        self.stack = stack
        self.ports = {"postgres": stack.port("postgres"), "postgres-2": free_port(stack.settings["ports"].values())}
        self.password = stack.settings["passwords"]["postgres"]
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports.values())
        self.url = f"postgresql://adledger:{self.password}@{hosts}/adledger?target_session_attrs=read-write"
        stack.via = {pair: port for pair, port in stack.via.items() if pair[1] != "postgres"}
        server_url = stack.server_url
        stack.server_url = lambda name, port=None: self.url if name == "postgres" else server_url(name, port)

    def admin(self, name, *statements):
        link = psycopg2.connect(host="127.0.0.1", port=self.ports[name], user="postgres", password=self.password, dbname="postgres")
        link.autocommit = True
        try:
            with link.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            link.close()

    def allow_admin(self):
        """A password for the superuser, while the server is down."""
        user = self.stack._postgres_user()
        data = self.stack._postgres_dir(user)
        as_user = ["runuser", "-u", user, "--"] if user else []
        self.stack._checked([*as_user, PG_BIN / "postgres", "--single", "-D", data, "postgres"], "a password for postgres",
                            f"ALTER ROLE postgres PASSWORD '{self.password}';\n")

    def follow(self):
        """Copies the primary, starts the copy as its standby, and has the primary wait for it from now on."""
        user = self.stack._postgres_user()
        data = self.stack._postgres_dir(user).parent / "postgres-2"
        as_user = ["runuser", "-u", user, "--"] if user else []
        data.mkdir(mode=0o700)
        if user:
            shutil.chown(data, user, user)
        primary = f"host=127.0.0.1 port={self.ports['postgres']} user=postgres password={self.password} application_name=standby"
        self.stack._checked([*as_user, PG_BIN / "pg_basebackup", "-D", data, "-d", primary, "-R", "-X", "stream", "-c", "fast"],
                            "pg_basebackup")
        self.stack.processes.setdefault("postgres-2", Process(self.stack, "postgres-2")).start(
            [PG_BIN / "postgres", "-D", data, "-c", f"port={self.ports['postgres-2']}", "-c", "synchronous_standby_names="], user=user)
        self.admin("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'standby'", "SELECT pg_reload_conf()")
        wait_until("commits wait for the standby",
                   lambda: self.admin("postgres", "SELECT sync_state FROM pg_stat_replication") == [("sync",)], 20)

    def promote(self):
        """The books look there alone from now on: their library waits for a frozen host for ever."""
        self.admin("postgres-2", "SELECT pg_promote(wait => true)")
        self.url = f"postgresql://adledger:{self.password}@127.0.0.1:{self.ports['postgres-2']}/adledger"
