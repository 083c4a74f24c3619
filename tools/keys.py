"""Keys of the gateway's callers: how they are made and filed. tools/key and tools/stack.py share it."""

import hashlib
import re
import secrets

ROLES = ("collect", "read", "server", "admin")


def new_key():
    """256 random bits; the prefix lets a scanner for leaked secrets know it."""
    return "adl_" + secrets.token_urlsafe(32)


def key_line(name, role, key, **rates):
    """The line of AUTH_KEYS_FILE: the key itself is not in it."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,32}", name):
        raise ValueError(f"{name}: a name is 1 to 32 letters, digits, '.', '_' and '-'")
    if role not in ROLES:
        raise ValueError(f"{role}: a role is one of {', '.join(ROLES)}")
    parts = [name, role, hashlib.sha256(key.encode()).hexdigest(), *(f"{what}={count}" for what, count in rates.items())]
    return " ".join(parts)
