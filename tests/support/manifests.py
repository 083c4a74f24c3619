"""The Kubernetes manifests as kubectl makes them, and what a pod of theirs sees.

A Cluster is the objects of one overlay; it answers what the tests ask: which pods there are, what environment and
which files a container gets, and who may reach whom by the network policies.
"""

import base64
import functools
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
OVERLAYS = ("dev", "prod", "try")
SERVICES = ("gateway", "ingest", "analytics")
WORKLOADS = ("Deployment", "StatefulSet", "Job")


@functools.cache
def render(folder):
    done = subprocess.run([ROOT / "tools/manifests", "--print", str(folder)], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Cluster:
    def __init__(self, folder):
        self.objects = [item for item in yaml.safe_load_all(render(folder)) if item]

    def all(self, *kinds):
        return [item for item in self.objects if item["kind"] in kinds]

    def find(self, kind, name):
        return next((item for item in self.all(kind) if item["metadata"]["name"] == name), None)

    def workloads(self):
        return self.all(*WORKLOADS)

    def environment(self, container):
        """What the process finds in its environment; a value that only the pod knows stands as {field path}."""
        found = {}
        for source in container.get("envFrom", []):
            found |= self.find("ConfigMap", source["configMapRef"]["name"])["data"]
        for row in container.get("env", []):
            found[row["name"]] = row["value"] if "value" in row else "{" + row["valueFrom"]["fieldRef"]["fieldPath"] + "}"
        return found

    def secret_files(self, workload):
        """What lies in the container's /run/secrets, by name; None for a Secret that is made by hand."""
        for volume in pod(workload)["volumes"]:
            if "secret" in volume:
                made = self.find("Secret", volume["secret"]["secretName"])
                if made is None:
                    return None
                keys = [item["key"] for item in volume["secret"].get("items", [])] or made["data"]
                return {key: base64.b64decode(made["data"][key]).decode() for key in keys}
        return {}

    # ---- network policies

    def may_reach(self, from_pod, to_pod, port):
        return self._allows(from_pod, "Egress", "egress", "to", to_pod, port) and self._allows(to_pod, "Ingress", "ingress", "from", from_pod, port)

    def _allows(self, subject, direction, rules, peers, peer, port):
        policies = [policy["spec"] for policy in self.all("NetworkPolicy")
                    if direction in policy["spec"]["policyTypes"] and matches(policy["spec"]["podSelector"], subject)]
        return not policies or any(port in {row["port"] for row in rule["ports"]} and any(same_namespace(one, peer) for one in rule[peers])
                                   for spec in policies for rule in spec.get(rules, []))


def same_namespace(peer, labels):
    return "podSelector" in peer and "namespaceSelector" not in peer and matches(peer["podSelector"], labels)


def matches(selector, labels):
    return (all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and
            all(labels.get(row["key"]) in row["values"] for row in selector.get("matchExpressions", [])))


def pod(workload):
    return workload["spec"]["template"]["spec"]


def pod_labels(workload):
    return workload["spec"]["template"]["metadata"]["labels"]


def name_of(workload):
    return pod_labels(workload)["app.kubernetes.io/name"]


def containers(workload):
    return pod(workload).get("initContainers", []) + pod(workload)["containers"]
