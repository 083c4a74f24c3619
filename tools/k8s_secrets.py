#!/usr/bin/python3
"""Prints the Secrets that the pods mount, from the files that ./run --secrets made:

    tools/k8s_secrets.py [NAMESPACE] | kubectl apply -f -

The namespace, adledger-dev unless another is named, must be there; pods that wait for their Secrets start then. It
takes what is in secrets/ (or SECRETS_DIR) as it stands: where the stores have other names than postgres, nats and
redis, change the *_url files there first. ca.pem, the certificates of who signs those of NATS and PostgreSQL, is put
there by hand; k8s/components/tls wants it, and with it production.
"""

import base64
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECRETS = {
    "adledger-gateway": ("gateway_database_url", "redis_url", "nats_url", "auth_keys"),
    "adledger-ingest": ("ingest_database_url", "nats_url"),
    "adledger-analytics": ("analytics_database_url", "redis_url", "nats_url"),
    "adledger-nats": ("nats_authorization",),
    "adledger-postgres": ("postgres_password", "ingest_password", "gateway_password", "analytics_password", "monitor_password", "dashboard_password"),
    "adledger-redis": ("redis_authorization",),
}
CLIENTS = ("adledger-gateway", "adledger-ingest", "adledger-analytics")


def secret(name, namespace, folder):
    files = SECRETS[name] + (("ca.pem",) if name in CLIENTS and (folder / "ca.pem").exists() else ())
    data = {file: base64.b64encode((folder / file).read_bytes()).decode() for file in files}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "type": "Opaque", "data": data}


def main():
    namespace = sys.argv[1] if len(sys.argv) > 1 else "adledger-dev"
    folder = Path(os.environ.get("SECRETS_DIR") or ROOT / "secrets")
    if not folder.is_dir():
        print(f"{folder}: there are no secrets yet, make them with ./run --secrets", file=sys.stderr)
        return 1
    items = [secret(name, namespace, folder) for name in SECRETS]
    print(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
