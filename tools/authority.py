"""The private authority that vouches for the stores of docker-compose.prod.yaml, and their certificates; by openssl.

    authority.pem, authority.key    made once; what clients trust, and the key, which no container is given
    NAME.pem, NAME.key              of each of SERVERS, signed for that host name; made anew when they do not fit the
                                    authority or each other, or end within RENEW_DAYS

With authority.pem alone nothing is made: the key is kept elsewhere, and the certificates that are there must do.
"""

import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

SERVERS = ("nats", "postgres")
AUTHORITY_DAYS, SERVER_DAYS, RENEW_DAYS = 3650, 825, 30
CANNOT_VERIFY = 2  # openssl's status: the certificate is missing or does not pass
AUTHORITY = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
SERVER = ("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
          "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nsubjectAltName=DNS:{name}\n")


def certify(folder):
    """Sees to it that the Folder has all of them; a ValueError says what only its owner can mend."""
    if shutil.which("openssl") is None:
        raise ValueError("openssl is needed to make certificates (Debian's package openssl)")
    path = folder.path
    if not (path / "authority.pem").is_file() or (_can_sign(path) and not _is_good(path, "authority")):
        _make(folder, "authority", "adledger authority", AUTHORITY, AUTHORITY_DAYS, key_mode=0o600)
    for name in SERVERS:
        if not _is_good(path, name, "-purpose", "sslserver", "-verify_hostname", name):
            if not _can_sign(path):
                raise ValueError(f"{path / name}.pem: not signed by authority.pem for {name}, or it or the authority ends within {RENEW_DAYS} days, "
                                 "and authority.key is not here to sign another")
            _make(folder, name, name, SERVER.format(name=name), SERVER_DAYS, issuer=path / "authority")


def end_of(path):
    """When a certificate ends, in openssl's words."""
    return _openssl("x509", "-noout", "-enddate", "-in", path).stdout.strip().removeprefix("notAfter=")


def _can_sign(path):
    if not (path / "authority.key").is_file():
        return False
    if not _is_pair(path / "authority"):
        raise ValueError(f"{path}/authority.key is not the key of authority.pem: take it away, or delete both to have new ones")
    return True


def _is_good(path, name, *checks):
    """A pair that the authority vouches for, and will in RENEW_DAYS."""
    then = int(time.time()) + RENEW_DAYS * 86400
    trust = ["-CAfile", path / "authority.pem", "-no-CApath", "-no-CAstore", "-attime", then]
    done = _openssl("verify", *trust, *checks, path / f"{name}.pem", check=False)
    if done.returncode not in (0, CANNOT_VERIFY):
        raise ValueError(f"openssl verify: {done.stderr.strip()}")
    return done.returncode == 0 and (name == "authority" or _is_pair(path / name))


def _is_pair(stem):
    of_certificate = _openssl("x509", "-noout", "-pubkey", "-in", f"{stem}.pem", check=False)
    of_key = _openssl("pkey", "-pubout", "-in", f"{stem}.key", check=False)
    return of_certificate.returncode == 0 and of_certificate.stdout == of_key.stdout


def _make(folder, name, subject, extensions, days, issuer=None, key_mode=0o640):
    with tempfile.TemporaryDirectory(prefix=".", dir=folder.path) as work:
        key, request, certificate, names = (Path(work) / kind for kind in ("key", "request", "certificate", "extensions"))
        names.write_text(extensions)
        _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        _openssl("req", "-new", "-key", key, "-subj", f"/CN={subject}", "-out", request)
        signer = ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key"] if issuer else ["-signkey", key]
        _openssl("x509", "-req", "-in", request, *signer, "-set_serial", f"0x{secrets.token_hex(16)}", "-days", days,
                 "-extfile", names, "-out", certificate)
        folder.write(f"{name}.key", key.read_text(), key_mode)
        folder.write(f"{name}.pem", certificate.read_text())


def _openssl(*argv, check=True):
    done = subprocess.run(["openssl", *map(str, argv)], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise ValueError(f"openssl {argv[0]}: {done.stderr.strip()}")
    return done
