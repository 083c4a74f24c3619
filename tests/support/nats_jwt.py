"""An operator of NATS with an account and users of a test's own: nkeys and JWTs, signed by openssl.

An nkey is base32 of: what it is (one byte; two for a seed), 32 bytes of ed25519, a CRC-16 of these, low byte first.
"""

import base64
import binascii
import hashlib
import json
import os
import subprocess
import tempfile
import time

OPERATOR, ACCOUNT, USER = 14 << 3, 0, 20 << 3  # they make an nkey begin with O, A, U
SEED = 18 << 3
PRIVATE_KEY = bytes.fromhex("302e020100300506032b657004220420")  # PKCS #8 of ed25519, up to the 32 bytes
KEY_BYTES = 32
UNLIMITED = -1


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def nkey(prefix, data):
    body = bytes(prefix) + data
    return base64.b32encode(body + binascii.crc_hqx(body, 0).to_bytes(2, "little")).rstrip(b"=").decode()


def openssl(data, *argv):
    """What openssl answers; `data` is in the file named at the end of argv."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return subprocess.run(["openssl", *argv, file.name], capture_output=True, check=True).stdout


class Key:
    """A pair of an operator, account or user: `name` is the public nkey, `seed` the secret one."""

    def __init__(self, kind):
        secret = os.urandom(KEY_BYTES)
        self.private = PRIVATE_KEY + secret
        self.name = nkey([kind], openssl(self.private, "pkey", "-inform", "DER", "-pubout", "-outform", "DER", "-in")[-KEY_BYTES:])
        self.seed = nkey([SEED | kind >> 5, (kind & 31) << 3], secret)

    def sign(self, data):
        with tempfile.NamedTemporaryFile() as key:
            key.write(self.private)
            key.flush()
            return openssl(data, "pkeyutl", "-sign", "-rawin", "-inkey", key.name, "-keyform", "DER", "-in")

    def vouch(self, kind, name, **claims):
        """A JWT by which this key says what the key `name` is and may."""
        body = {"iat": int(time.time()), "iss": self.name, "sub": name, "name": kind, "nats": {"type": kind, "version": 2, **claims}}
        body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).rstrip(b"=").decode()
        text = ".".join(base64url(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, body))
        return f"{text}.{base64url(self.sign(text.encode()))}"


class Operator:
    """Says which accounts there are; the account says who its users are."""

    def __init__(self):
        self.key, self.account, self.system = Key(OPERATOR), Key(ACCOUNT), Key(ACCOUNT)

    def config(self):
        """The lines of nats-server's configuration, in place of `authorization`; JetStream's own messages are the system account's."""
        names = ("subs", "data", "payload", "imports", "exports", "conn", "leaf")
        limits = {"wildcards": True, **dict.fromkeys(names, UNLIMITED)}
        stores = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), UNLIMITED)
        accounts = {self.account.name: {**limits, **stores}, self.system.name: limits}
        known = "\n".join(f"  {name}: {self.key.vouch('account', name, limits=its)}" for name, its in accounts.items())
        return (f"operator: {self.key.vouch('operator', self.key.name)}\nsystem_account: {self.system.name}\n"
                f"resolver: MEMORY\nresolver_preload {{\n{known}\n}}\n")

    def user(self, **claims):
        """(JWT, seed) of a new user of the account."""
        key = Key(USER)
        limits = dict.fromkeys(("subs", "data", "payload"), UNLIMITED)
        return self.account.vouch("user", key.name, **{"pub": {}, "sub": {}, **limits, **claims}), key.seed


def credentials(jwt, seed):
    """The text of a credentials file."""
    return (f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n")
