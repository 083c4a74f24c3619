"""Several redis-servers on loopback in the place of a stack's single one: a Redis Cluster, or a primary and its replica."""

import redis
from product import ROOT, wait_until
from processes import Process, free_port

NODE_TIMEOUT_MS = 2000  # after it a node counts as dead, and its replica stands for election
SLOTS = 16384


class RedisNodes:
    """Takes over start_redis and redis_url of a stack: set it up before the stack starts."""

    def __init__(self, stack, names):
        self.stack, self.names = stack, names
        self.password = stack.settings["passwords"]["redis"]
        self.ports = {}
        for name in names:
            self.ports[name] = free_port([*stack.settings["ports"].values(), *self.ports.values()])
        addresses = ",".join(f"127.0.0.1:{port}" for port in self.ports.values())
        self.url = f"redis://:{self.password}@{addresses}/0"
        stack.via = {pair: port for pair, port in stack.via.items() if pair[1] != "redis"}
        server_url = stack.server_url
        stack.server_url = lambda name, port=None: self.url if name == "redis" else server_url(name, port)
        stack.start_redis = self.start
        stack.process("redis")  # the single one, which never starts

    def start_one(self, name, *arguments):
        data = self.stack.dir / name
        data.mkdir(exist_ok=True)
        self.stack.processes.setdefault(name, Process(self.stack, name)).start(
            ["redis-server", ROOT / "config" / "redis.conf", "--bind", "127.0.0.1", "--port", self.ports[name], "--dir", data,
             "--requirepass", self.password, "--masterauth", self.password, "--daemonize", "no", *arguments])
        wait_until(f"{name} answers", lambda: self.answers(name), 10)

    def answers(self, name):
        try:
            return self.node(name).ping()
        except redis.RedisError:
            return False

    def node(self, name):
        return redis.Redis(port=self.ports[name], password=self.password, socket_timeout=2)


class RedisCluster(RedisNodes):
    """Three primaries with a replica each."""

    def __init__(self, stack):
        super().__init__(stack, [f"redis-{number}" for number in range(1, 7)])
        self.buses = {}  # 10,000 above, their default, some outgoing connection may have taken the port
        for name in self.names:
            self.buses[name] = free_port([*stack.settings["ports"].values(), *self.ports.values(), *self.buses.values()])
        self.is_made = False

    def start_one(self, name):
        super().start_one(name, "--cluster-enabled", "yes", "--cluster-node-timeout", NODE_TIMEOUT_MS,
                          "--cluster-announce-ip", "127.0.0.1", "--cluster-port", self.buses[name],
                          "--cluster-replica-validity-factor", "0")

    def start(self):
        for name in self.names:
            self.start_one(name)
        if not self.is_made:
            self._make()
        wait_until("the cluster is whole", self.is_whole, 30)

    def _make(self):
        primaries, replicas = self.names[:3], self.names[3:]
        for number, name in enumerate(primaries):
            first, last = SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1
            self.node(name).execute_command("CLUSTER ADDSLOTSRANGE", first, last)
        for name in self.names[1:]:
            self.node(name).execute_command("CLUSTER MEET", "127.0.0.1", self.ports[self.names[0]], self.buses[self.names[0]])
        wait_until("all have met", lambda: all(len(self.node(name).cluster("nodes")) == len(self.names) for name in self.names), 20)
        for primary, replica in zip(primaries, replicas):
            self.node(replica).execute_command("CLUSTER REPLICATE", self.id(primary))
        self.is_made = True

    def id(self, name):
        return self.node(name).execute_command("CLUSTER MYID").decode()

    def is_whole(self):
        """Every node sees every slot served, and every replica follows its primary."""
        return all(self.node(name).cluster("info")["cluster_state"] == "ok" and
                   self.node(name).info("replication").get("master_link_status", "up") == "up" for name in self.names) and \
            sum(self.node(name).info("replication")["role"] == "slave" for name in self.names) == len(self.names) - 3

    def client(self):
        """For the books, which know one server: a pipeline is sent to each key's node."""
        return redis.RedisCluster(startup_nodes=[redis.cluster.ClusterNode("127.0.0.1", port) for port in self.ports.values()],
                                  password=self.password)

    def owner(self, key):
        """The name of the primary that has the key, as a node that lives says."""
        alive = next(name for name in self.names if self.answers(name))
        slot = self.node(alive).cluster("keyslot", key)
        for address, node in self.node(alive).cluster("nodes").items():
            if any(int(each[0]) <= slot <= int(each[-1]) for each in node["slots"] if not str(each[0]).startswith("[")):
                return next(name for name, port in self.ports.items() if int(address.rpartition(":")[2]) == port)
        return None

    def begin_move(self, key, target):
        """The slot's keys may go from here on: what is not there any more is asked for at the other node."""
        source = self.owner(key)
        slot = self.node(source).cluster("keyslot", key)
        self.node(target).execute_command("CLUSTER SETSLOT", slot, "IMPORTING", self.id(source))
        self.node(source).execute_command("CLUSTER SETSLOT", slot, "MIGRATING", self.id(target))
        return source, slot

    def move_keys(self, source, slot, target, count=100):
        """Moves some keys; False: there were none."""
        keys = self.node(source).execute_command("CLUSTER GETKEYSINSLOT", slot, count)
        if keys:
            self.node(source).execute_command("MIGRATE", "127.0.0.1", self.ports[target], "", 0, 5000, "AUTH", self.password, "KEYS", *keys)
        return bool(keys)

    def end_move(self, slot, target):
        for name in (target, *self.names):
            if self.node(name).info("replication")["role"] == "master":
                self.node(name).execute_command("CLUSTER SETSLOT", slot, "NODE", self.id(target))


class RedisPair(RedisNodes):
    """A primary and a plain replica, which somebody promotes."""

    def __init__(self, stack):
        super().__init__(stack, ["redis-1", "redis-2"])
        self.primary = "redis-1"

    def start(self):
        for name in self.names:
            self.start_one(name)
        self.follow("redis-2", "redis-1")

    def follow(self, name, primary):
        self.node(name).execute_command("REPLICAOF", "127.0.0.1", self.ports[primary])
        wait_until(f"{name} follows", lambda: self.node(name).info("replication").get("master_link_status") == "up", 20)

    def promote(self, name):
        self.node(name).execute_command("REPLICAOF", "NO", "ONE")
        self.primary = name

    def client(self):
        return self.node(self.primary)
