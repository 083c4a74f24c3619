"""Three nats-servers as one cluster on loopback, in the place of a stack's single one."""

import contextlib
import json
import os
import shutil
import urllib.request

from product import ROOT, wait_until
from processes import Process, free_port

NAMES = ("nats-1", "nats-2", "nats-3")
TRIES, JOIN_SECONDS = 5, 5
LEASES = "KV_adledger_leases"


class Cluster:
    """Takes over start_nats and nats_url of a stack: set it up before the stack starts."""

    def __init__(self, stack):
        self.stack = stack
        taken = set(stack.settings["ports"].values())
        self.ports = {}
        for name in NAMES:
            self.ports[name] = {what: self._pick(taken) for what in ("client", "cluster", "monitor")}
        password = stack.settings["passwords"]["nats"]
        self.url = ",".join(f"nats://adledger:{password}@127.0.0.1:{ports['client']}" for ports in self.ports.values())
        stack.via = {}
        server_url = stack.server_url
        stack.server_url = lambda name, port=None: self.url if name == "nats" else server_url(name, port)
        stack.start_nats = self.start
        stack.process("nats")  # the single one, which never starts

    @staticmethod
    def _pick(taken):
        port = free_port(taken)
        taken.add(port)
        return port

    def start(self):
        """Three that know of three. A node that meets the others too late is left out of what they have begun with: then anew."""
        for _ in range(TRIES):
            for name in NAMES:
                self.start_one(name)
            wait_until("the cluster is whole", self.is_whole, 30)
            with contextlib.suppress(AssertionError):
                wait_until("all are members", lambda: self.members() == len(NAMES), JOIN_SECONDS)
                return
            for name in NAMES:
                self.stack.process(name).stop()
                shutil.rmtree(self.stack.dir / name)
        raise AssertionError(f"{TRIES} clusters were begun without one of their nodes")

    def start_one(self, name):
        ports, store = self.ports[name], self.stack.dir / name
        store.mkdir(exist_ok=True)
        routes = ", ".join(f"nats-route://127.0.0.1:{other['cluster']}" for other in self.ports.values())
        config = self.stack.dir / f"{name}.conf"
        config.write_text((ROOT / "config" / "nats.conf").read_text()
                          + f"\ncluster {{ name: adledger, listen: 127.0.0.1:{ports['cluster']}, pool_size: -1, routes: [{routes}] }}\n")
        env = dict(os.environ, NATS_SERVER_NAME=name, NATS_HOST="127.0.0.1", NATS_PORT=str(ports["client"]),
                   NATS_MONITOR=f"127.0.0.1:{ports['monitor']}", NATS_STORE=str(store), NATS_MAX_FILE_STORE="2GB",
                   NATS_USER="adledger", NATS_PASSWORD=self.stack.settings["passwords"]["nats"])
        server = os.environ.get("NATS_SERVER") or ROOT / ".run" / "bin" / "nats-server"
        self.stack.processes.setdefault(name, Process(self.stack, name)).start([server, "-c", config], env=env)

    def healthy(self, name):
        """True when JetStream of this node has a leader to follow, or is it."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]['monitor']}/healthz", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def streams(self):
        """What each node that runs tells of its streams: (node, stream) pairs."""
        for name, answer in self._jetstream("?streams=1"):
            for account in answer.get("account_details") or []:
                for stream in account.get("stream_detail") or []:
                    yield name, stream

    def ends(self):
        """The last sequence of each partition's stream that any node has."""
        ends = {}
        for _, stream in self.streams():
            partition = stream["name"].removeprefix("ADS_")
            if partition.isdigit():
                ends[int(partition)] = max(ends.get(int(partition), 0), stream["state"]["last_seq"])
        return ends

    def copies(self, name):
        """The nodes that have the stream."""
        return [node for node, stream in self.streams() if stream["name"] == name]

    def leader_of(self, name):
        """The node that calls itself the stream's leader: others may still name one that is gone."""
        for node, stream in self.streams():
            if stream["name"] == name and (stream.get("cluster") or {}).get("leader") == node:
                return node
        return None

    def leader(self):
        return wait_until("the stream has a leader", lambda: self.leader_of("ADS_0"), 25)

    def _jetstream(self, options=""):
        """What each node that runs tells of JetStream: (node, answer) pairs."""
        for name in NAMES:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]['monitor']}/jsz{options}", timeout=1) as answer:
                    yield name, json.load(answer)
            except OSError:
                continue

    def members(self):
        """How many nodes JetStream counts, by the one that counts the fewest; each must run."""
        sizes = [(answer.get("meta_cluster") or {}).get("cluster_size", 0) for _, answer in self._jetstream()]
        return min(sizes) if len(sizes) == len(NAMES) else 0

    def is_whole(self):
        return all(self.healthy(name) for name in NAMES)

    def followers(self):
        return [name for name in NAMES if name != self.leader()]
