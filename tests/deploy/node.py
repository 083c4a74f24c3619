"""A node of one machine: runs the pods of a Cluster as a kubelet would, as far as their processes can tell.

A container gets the user, the environment, the files and the root of its manifest: ConfigMaps and Secrets as folders of
links, claims and empty folders that belong to fsGroup, everything else read-only. Its image is the machine itself with
our binary, or the stand-in of the public image's entry point. There is no scheduler, no limit of resources and no
network but one loopback for all pods, apart from the machine's own; so one pod of each workload, and no policies.
Needs root.
"""

import base64
import contextlib
import ctypes
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
from manifests import SERVICES, containers, name_of, pod  # noqa: E402

CLONE_NEWNET = 0x40000000
PATH = "/usr/local/bin:/usr/lib/postgresql/15/bin:/usr/bin:/bin:/usr/sbin:/sbin"
ENTRY_POINTS = {"adledger-gateway": ["gateway"], "adledger-ingest": ["ingest"], "adledger-analytics": ["analytics"],
                "nats": ["nats-server"], "postgres": ["docker-entrypoint.sh"], "redis": []}
BINARIES = {**{name: ROOT / "build/release/services" / name / name for name in SERVICES},
            "nats-server": ROOT / ".run/bin/nats-server", "docker-entrypoint.sh": ROOT / "tests/deploy/standin/postgres-entrypoint"}
EMPTY = ("/run", "/tmp", "/var/lib")  # an image has nothing of the machine's there
LINKS = {"..data": "..first"}  # as a kubelet lays out a ConfigMap, so that it can exchange all files at once


@contextlib.contextmanager
def private_network():
    """This thread and what it starts see a loopback of their own."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        assert libc.setns(before, CLONE_NEWNET) == 0
        os.close(before)


class Container:
    """One process, from its manifest; its work folder holds its root, its log and its command."""

    def __init__(self, node, workload, container):
        self.node, self.workload, self.container = node, workload, container
        self.work = node.work / name_of(workload) / container["name"]
        self.work.mkdir(parents=True, exist_ok=True)
        self.context = pod(workload)["securityContext"]
        self.process = None

    def start(self):
        script = self.work / "start"
        script.write_text("\n".join(["set -eu", *self._make_root(), f"exec {self.in_root(self._command())}"]) + "\n")
        with open(self.work / "log", "ab") as log:
            self.process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "bash", script], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        return self

    def _make_root(self):
        root, layer = self.work / "root", self.work / "layer"
        yield f"mkdir -p {root} {layer}; mount -t tmpfs none {layer}; mkdir {layer}/up {layer}/work"
        yield f"mount -t overlay -o lowerdir=/,upperdir={layer}/up,workdir={layer}/work none {root}"
        for name, path in BINARIES.items():
            yield f"[ ! -f {path} ] || install -m 755 {path} {root}/usr/local/bin/{name}"
        names = " ".join(self.node.service_names)
        yield f"echo '127.0.0.1 localhost {names}' >{root}/etc/hosts"
        user, group = self.context["runAsUser"], self.context["runAsGroup"]
        yield f"echo 'pod:x:{user}:{group}::/nonexistent:/bin/sh' >{root}/etc/passwd; echo 'pod:x:{group}:' >{root}/etc/group"
        yield f"mount --rbind /proc {root}/proc; mount --rbind /dev {root}/dev"
        for folder in EMPTY:
            yield f"mount -t tmpfs none {root}{folder}"
        mounts = [(self.node.volume(self.workload, mount["name"]), f"{root}{place(mount['mountPath'])}", mount.get("readOnly"))
                  for mount in self.container["volumeMounts"]]
        for _, path, _ in mounts:
            yield f"mkdir -p {path}"
        for folder in ("", *EMPTY):
            yield f"mount -o remount,ro,bind {root}{folder}"
        for volume, path, is_read_only in mounts:
            yield f"mount --bind {volume} {path}"
            if is_read_only:
                yield f"mount -o remount,ro,bind {path}"

    def _command(self):
        image = self.container["image"].partition(":")[0]
        return [*self.container.get("command", ENTRY_POINTS[image]), *self.container.get("args", [])]

    def in_root(self, command):
        """The command line that runs `command` as the container's user in its root."""
        settings = self.node.cluster.environment(self.container)
        settings = {key: value.replace("{metadata.name}", f"{name_of(self.workload)}-0") for key, value in settings.items()}
        given = [f"{key}={value}" for key, value in {"PATH": PATH, "HOSTNAME": f"{name_of(self.workload)}-0", **settings}.items()]
        ids = [f"--reuid={self.context['runAsUser']}", f"--regid={self.context['runAsGroup']}", f"--groups={self.context['fsGroup']}"]
        return shlex.join(["chroot", str(self.work / "root"), "setpriv", *ids, "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all",
                           "env", "-i", *given, *command])

    def is_ready(self):
        probe = self.container["readinessProbe"]
        if "exec" in probe:
            argv = ["nsenter", "-t", str(self.process.pid), "--mount", "bash", "-c", self.in_root(probe["exec"]["command"])]
        else:
            ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
            get = probe["httpGet"]
            argv = ["curl", "-sf", "-o", "/dev/null", f"http://127.0.0.1:{ports[get['port']]}{get['path']}"]
        assert self.process.poll() is None, f"{name_of(self.workload)} has ended: {self.log()}"
        return subprocess.run(argv, capture_output=True, timeout=probe["timeoutSeconds"], check=False).returncode == 0

    def stop(self):
        """As its pod is stopped; returns the exit status."""
        image = self.container["image"].partition(":")[0]
        self.process.send_signal(signal.SIGINT if image == "postgres" else signal.SIGTERM)
        return self.process.wait(pod(self.workload)["terminationGracePeriodSeconds"])

    def log(self):
        return (self.work / "log").read_text(errors="replace")[-2000:]


class Node:
    def __init__(self, cluster, secrets, work):
        self.cluster, self.secrets, self.work = cluster, secrets, Path(work)
        self.service_names = [item["metadata"]["name"] for item in cluster.all("Service")]
        self.running = {}

    def start(self, name):
        """The pod of the workload `name`: its init containers to their end, then its container."""
        (workload,) = [item for item in self.cluster.workloads() if name_of(item) == name]
        *first, last = containers(workload)
        for container in first:
            started = Container(self, workload, container).start()
            assert started.process.wait(30) == 0, started.log()
        self.running[name] = Container(self, workload, last).start()
        return self.running[name]

    def kill_all(self):
        for container in self.running.values():
            if container.process.poll() is None:
                container.process.kill()
                container.process.wait()

    # ---- volumes

    def volume(self, workload, name):
        """The folder behind a volume; made on first use, and a claim stays."""
        group = pod(workload)["securityContext"]["fsGroup"]
        folder = self.work / name_of(workload) / "volumes" / name
        if folder.exists():
            return folder
        folder.mkdir(parents=True)
        (volume,) = [row for row in pod(workload)["volumes"] if row["name"] == name] or [{}]
        if "configMap" in volume:
            data = self.cluster.find("ConfigMap", volume["configMap"]["name"])["data"]
            project(folder, {key: text.encode() for key, text in data.items()}, volume["configMap"].get("defaultMode", 0o644), group)
        elif "secret" in volume:
            project(folder, self._secret_data(volume["secret"]), volume["secret"]["defaultMode"], group)
        else:
            os.chown(folder, 0, group)
            folder.chmod(0o2775 if "emptyDir" not in volume else 0o2777)
        return folder

    def _secret_data(self, volume):
        made = self.cluster.find("Secret", volume["secretName"]) or self.secrets[volume["secretName"]]
        keys = [item["key"] for item in volume.get("items", [])] or made["data"]
        return {key: base64.b64decode(made["data"][key]) for key in keys}


def place(path):
    """/var/run is a link to /run, which must not lead out of the root."""
    return path.removeprefix("/var") if path.startswith("/var/run/") else path


def project(folder, files, mode, group):
    first = folder / LINKS["..data"]
    first.mkdir()
    (folder / "..data").symlink_to(LINKS["..data"])
    for name, content in files.items():
        (first / name).write_bytes(content)
        os.chown(first / name, 0, group)
        (first / name).chmod(mode)
        (folder / name).symlink_to(f"..data/{name}")
