#!/usr/bin/python3
"""Makes the secrets that docker-compose.prod.yaml mounts: ./run --secrets

    secrets/NAME_password, admin_key, read_key    made once, at random; delete one and run again to change it
    secrets/*_url, nats_*, redis_*, auth_keys     written anew from those each time
    secrets/receiver_*                            empty: yours to fill, and left as they are
    secrets/*.pem, *.key                          certificates of NATS and PostgreSQL, and who signs them: authority.py

Who may read them: the folder is open to its owner alone; a file is open to its owner and to one group, which
compose gives the containers (SECRETS_GID in .env). That is how processes that are neither root nor the owner, and
have no capability, can read what they need. authority.key, which none of them needs, is its owner's alone.
"""

import hashlib
import json
import os
import secrets
import sys
from pathlib import Path

from authority import SERVERS, certify, end_of

ROOT = Path(__file__).resolve().parent.parent
CONTAINER_GID = 10001  # the images' own group; only root can give a file to it
PASSWORDS = ("postgres", "ingest", "gateway", "analytics", "monitor", "dashboard", "nats", "redis", "grafana")
KEYS = {"admin_key": "admin", "read_key": "read"}
RECEIVERS = ("page", "warn", "watchdog")  # of prometheus/alertmanager.yml


def random_secret():
    # A letter first: nats-server reads a value of digits alone as a number.
    return "s" + secrets.token_hex(24)


class Folder:
    def __init__(self, path, gid):
        self.path, self.gid, self.made = path, gid, []
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)

    def _file(self, name):
        path = self.path / name
        if path.is_dir():  # an engine makes a folder where a file that it should mount is missing
            path.rmdir()
        return path

    def write(self, name, text, mode=0o640):
        """In one step, so that nobody reads half a secret; unchanged text leaves the file as it is, with its inode."""
        path = self._file(name)
        if not path.exists() or path.read_text() != text:
            fresh = self.path / f".{name}.new"
            fresh.unlink(missing_ok=True)
            with open(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as out:
                out.write(text)
            fresh.replace(path)
            self.made.append(name)
        os.chown(path, -1, self.gid)
        path.chmod(mode)
        return text

    def once(self, name):
        path = self._file(name)
        text = path.read_text().strip() if path.exists() else ""
        return self.write(name, (text or random_secret()) + "\n").strip()

    def keep(self, name):
        path = self._file(name)
        self.write(name, path.read_text() if path.exists() else "")


def write_all(folder):
    word = {name: folder.once(f"{name}_password") for name in PASSWORDS}
    key = {name: folder.once(name) for name in KEYS}

    for service, login in (("ingest", "adledger"), ("gateway", "gateway"), ("analytics", "analytics")):
        folder.write(f"{service}_database_url", f"postgresql://{login}:{word[service]}@postgres:5432/adledger\n")
    folder.write("nats_url", f"nats://adledger:{word['nats']}@nats:4222\n")
    folder.write("nats_authorization", f"authorization {{ user: adledger, password: {word['nats']}, timeout: 2 }}\n")
    folder.write("redis_url", f"redis://:{word['redis']}@redis:6379/0\n")
    folder.write("redis_authorization", f"requirepass {word['redis']}\n")
    folder.write("redis_exporter", json.dumps({"redis://redis:6379": word["redis"]}) + "\n")
    folder.write("auth_keys", auth_keys(key))
    for name in RECEIVERS:
        folder.keep(f"receiver_{name}")


def auth_keys(key):
    """What the gateway checks keys against: never the key, only its SHA-256."""
    return "".join(f"{name} {role} {hashlib.sha256(key[name].encode()).hexdigest()}\n" for name, role in KEYS.items())


def remember(path, gid):
    """compose reads .env, and does nothing before these lines are in it; the others are the operator's."""
    lines = path.read_text().splitlines() if path.exists() else []
    kept = [line for line in lines if not line.startswith(("SECRETS_GID=", "SECRETS_CA="))]
    path.write_text("\n".join([*kept, f"SECRETS_GID={gid}", "SECRETS_CA=/run/secrets/ca.pem"]) + "\n")


def main():
    gid = CONTAINER_GID if os.getuid() == 0 else os.getgid()
    folder = Folder(Path(os.environ.get("SECRETS_DIR") or ROOT / "secrets"), gid)
    renews = any(folder.path.glob("*.pem"))
    write_all(folder)
    try:
        certify(folder)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    remember(Path(os.environ.get("SECRETS_ENV") or ROOT / ".env"), gid)
    print(f"{folder.path}: " + (f"wrote {', '.join(folder.made)}" if folder.made else "nothing had to change"))
    print("certificates end: " + ", ".join(f"{name} {end_of(folder.path / f'{name}.pem')}" for name in ("authority", *SERVERS)))
    if renews and any(name.endswith(".pem") for name in folder.made):
        print("what runs has the former certificates still: docs/operations.md, Certificates, says what to make anew")
    return 0


if __name__ == "__main__":
    sys.exit(main())
