"""The Kubernetes manifests, without a cluster: schemas, references, what a pod may do, sees and reaches."""

import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
import node_packages  # noqa: E402
from connections import GRAFANA, needed  # noqa: E402
from manifests import OVERLAYS, SERVICES, Cluster, containers, matches, name_of, pod, pod_labels, render  # noqa: E402

pytestmark = pytest.mark.skipif(not ((ROOT / ".run" / "bin" / "kubectl").exists() or shutil.which("kubectl")), reason="kubectl >= 1.27 is not here: tools/setup test tells")

STORES = {"nats": 4222, "postgres": 5432, "redis": 6379}
BY_HAND = {"adledger-gateway", "adledger-ingest", "adledger-analytics", "adledger-nats", "adledger-postgres", "adledger-redis", "adledger-tls"}
AUTHORITY = "-----BEGIN CERTIFICATE-----\n"  # of the right form, and nothing more
SSL_REQUEST = bytes.fromhex("0000000804d2162f")
STOP_SECONDS = 25  # a service's promise: drained and flushed
UNITS = {"Mi": 2**20, "Gi": 2**30, "MB": 10**6, "GB": 10**9}


@pytest.fixture(scope="module", params=OVERLAYS)
def cluster(request):
    return Cluster(ROOT / "k8s/overlays" / request.param)


def run(*argv, env=None):
    return subprocess.run([str(part) for part in argv], cwd=ROOT, text=True, capture_output=True, check=False, env={**os.environ, **(env or {})})


@pytest.fixture(scope="module", autouse=True)
def node_modules():
    node_packages.install()


def size_bytes(text):
    number, unit = re.fullmatch(r"(\d+)(\w\w)", text).groups()
    return int(number) * UNITS[unit]


# ---- what is in the folder


def test_what_is_written_is_what_it_is_made_from():
    done = run("tools/manifests", "--check")
    assert done.returncode == 0, done.stderr


def test_apply_of_the_folder_finds_manifests_alone():
    """kubectl apply -f k8s/ takes each of these files, and would refuse a kustomization."""
    taken = [path.name for path in (ROOT / "k8s").iterdir() if path.suffix in (".yaml", ".yml", ".json")]
    assert taken == ["all.yaml"]
    objects = list(yaml.safe_load_all((ROOT / "k8s/all.yaml").read_text()))
    assert objects[0]["kind"] == "Namespace" and all("kustomize" not in item["apiVersion"] for item in objects)
    custom = {item["apiVersion"] for item in objects if "." in item["apiVersion"]} - {"networking.k8s.io/v1"}
    assert not custom, "a bare cluster does not know these"


def with_monitors(folder):
    """The production overlay with its optional components, as its comments say to switch them on, and the label that a chart's Prometheus asks for."""
    up = os.path.relpath(ROOT / "k8s", folder)
    (folder / "kustomization.yaml").write_text(f"resources: [{up}/overlays/prod]\ncomponents: [{up}/components/prometheus-operator, {up}/components/grafana-dashboards]\n"
                                               "labels: [{pairs: {release: a}}]\n")
    return folder


def test_every_object_obeys_its_schema(tmp_path):
    files = []
    (tmp_path / "monitors").mkdir()
    for folder in [*(ROOT / "k8s/overlays" / name for name in OVERLAYS), with_monitors(tmp_path / "monitors")]:
        files.append(tmp_path / f"{folder.name}.yaml")
        files[-1].write_text(render(folder))
    done = run("node", "tests/deploy/manifests.mjs", *files)
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_and_prometheus_of_a_chart_find_what_is_theirs(tmp_path):
    cluster = Cluster(with_monitors(tmp_path))
    boards = {}
    for item in cluster.all("ConfigMap"):
        if item["metadata"]["labels"].get("grafana_dashboard") == "1":
            boards |= item["data"]
            assert len(json.dumps(item)) < 2**18, "kubectl apply keeps a copy in an annotation, which holds no more"
    assert boards == {path.name: path.read_text() for path in (ROOT / "grafana/dashboards").glob("*.json")}
    assert {item["metadata"]["labels"]["release"] for item in cluster.all("ServiceMonitor", "PrometheusRule")} == {"a"}


def test_the_schema_check_finds_what_is_wrong(tmp_path):
    text = render(ROOT / "k8s/overlays/prod")
    for right, wrong in (("enableServiceLinks", "enableServiceLink"), ("periodSeconds: 10", 'periodSeconds: "10"'),
                         ("kind: Ingress\n", "kind: Ingres\n"), ("scaleTargetRef:", "scaleTarget:")):
        assert right in text
        text = text.replace(right, wrong)
    (tmp_path / "wrong.yaml").write_text(text)
    done = run("node", "tests/deploy/manifests.mjs", tmp_path / "wrong.yaml")
    assert done.returncode == 1
    for said in ('"enableServiceLink"', "periodSeconds must be integer", "Ingres is not known", '"scaleTarget"'):
        assert said in done.stdout, said


# ---- what a pod may do


def test_every_pod_is_cut_down_to_what_it_needs(cluster):
    for workload in cluster.workloads():
        spec, name = pod(workload), name_of(workload)
        assert spec["automountServiceAccountToken"] is False, name
        account = cluster.find("ServiceAccount", spec["serviceAccountName"])
        assert account["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        context = spec["securityContext"]
        assert context["runAsNonRoot"] and context["runAsUser"] > 0 and context["fsGroup"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert all(set(volume) & {"secret", "configMap", "emptyDir"} for volume in spec["volumes"]), name
        for container in containers(workload):
            assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                    "capabilities": {"drop": ["ALL"]}}, name
            assert set(container["resources"]["limits"]) == set(container["resources"]["requests"]) == {"cpu", "memory"}, name
            assert not any("hostPort" in port for port in container.get("ports", [])), name


def test_the_namespace_takes_no_other_pods(cluster):
    (namespace,) = cluster.all("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {item["metadata"].get("namespace") for item in cluster.objects if item is not namespace} == {namespace["metadata"]["name"]}


def test_images_are_of_this_version(cluster):
    version = re.search(r"^project\(adledger VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text(), re.M)[1]
    for container in itertools.chain.from_iterable(map(containers, cluster.workloads())):
        name, _, tag = container["image"].partition(":")
        assert tag and tag != "latest", container["image"]
        assert tag == version or not name.startswith("adledger-"), container["image"]
    assert cluster.find("Job", f"migrate-{version.replace('.', '-')}"), "a Job cannot be changed, so its name carries the version"


def test_no_secret_is_written_down(cluster):
    """An overlay either leaves its Secrets to be made, or has none that keeps anybody out."""
    for item in cluster.all("Secret"):
        for text in cluster.secret_files({"spec": {"template": {"spec": {"volumes": [{"secret": {"secretName": item["metadata"]["name"]}}]}}}}).values():
            assert text.startswith("#") or text == "protected-mode no" or re.fullmatch(r"\w+://(\w+@)?\w+:\d+(/\w+)?", text), item["metadata"]["name"]
    for workload in cluster.workloads():
        for container in containers(workload):
            settings = cluster.environment(container)
            assert not [key for key in settings if re.search("PASSWORD|DATABASE_URL|REDIS_URL|NATS_URL|AUTH_KEYS", key) and not key.endswith("_FILE")]


# ---- how a pod lives


def test_long_lived_pods_have_every_probe_and_time_to_stop(cluster):
    for workload in cluster.all("Deployment", "StatefulSet"):
        (container,) = pod(workload)["containers"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
        start = container["startupProbe"]
        assert start["periodSeconds"] * start["failureThreshold"] >= 60
        grace = pod(workload)["terminationGracePeriodSeconds"]
        assert grace >= 30
        if name_of(workload) in SERVICES:
            assert container["livenessProbe"]["httpGet"] == {"path": "/health/live", "port": "http"}
            assert container["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "http"}
            pause = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
            assert int(pause[1]) + STOP_SECONDS <= grace == 30


def test_services_survive_a_node_and_a_drain(cluster):
    for service in SERVICES:
        workload = cluster.find("StatefulSet" if service == "gateway" else "Deployment", service)
        keys = {row["topologyKey"] for row in pod(workload)["topologySpreadConstraints"]}
        assert keys == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
        assert all(matches(row["labelSelector"], pod_labels(workload)) for row in pod(workload)["topologySpreadConstraints"])
        budget = cluster.find("PodDisruptionBudget", service)
        assert budget["spec"]["maxUnavailable"] == 1 and matches(budget["spec"]["selector"], pod_labels(workload))


def test_a_spool_outlives_its_pod(cluster):
    gateway = cluster.find("StatefulSet", "gateway")
    assert gateway["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenScaled": "Retain", "whenDeleted": "Retain"}
    (claim,) = gateway["spec"]["volumeClaimTemplates"]
    (container,) = pod(gateway)["containers"]
    settings = cluster.environment(container)
    (mount,) = [row["mountPath"] for row in container["volumeMounts"] if row["name"] == claim["metadata"]["name"]]
    assert settings["INSTANCE"] == "{metadata.name}"
    assert Path(settings["SPOOL_DIR"]).is_relative_to(mount) and Path(settings["CATALOGUE_FILE"]).is_relative_to(mount)
    assert size_bytes(claim["spec"]["resources"]["requests"]["storage"]) >= 2 * int(settings.get("SPOOL_MAX_BYTES", 2**30))


@pytest.mark.parametrize("overlay", ["dev", "try"])
def test_nats_has_room_for_every_stream(overlay):
    cluster = Cluster(ROOT / "k8s/overlays" / overlay)
    nats = cluster.find("StatefulSet", "nats")
    settings = cluster.environment(pod(cluster.find("Deployment", "ingest"))["containers"][0])
    store = size_bytes(cluster.environment(pod(nats)["containers"][0])["NATS_MAX_FILE_STORE"])
    claim = size_bytes(nats["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"])
    assert int(settings["PARTITIONS"]) * int(settings["STREAM_MAX_BYTES"]) < store < 0.8 * claim


def test_production_scales_by_metrics_that_there_are():
    cluster = Cluster(ROOT / "k8s/overlays/prod")
    gateway, ingest = (cluster.find("HorizontalPodAutoscaler", name)["spec"] for name in ("gateway", "ingest"))
    for scaler in (gateway, ingest):
        target = cluster.find(scaler["scaleTargetRef"]["kind"], scaler["scaleTargetRef"]["name"])
        assert "replicas" not in target["spec"], "kubectl apply would undo the autoscaler"
    settings = cluster.environment(pod(cluster.find("Deployment", "ingest"))["containers"][0])
    assert ingest["maxReplicas"] == int(settings["PARTITIONS"])
    metric = ingest["metrics"][0]["external"]["metric"]
    assert metric["selector"] == {"matchLabels": {"job": "ingest"}}, "analytics tells a lag by the same name"
    (rule,) = re.findall(r"metricsQuery: '(.*)'", (ROOT / "docs/operations.md").read_text())
    told = {f"adledger_{name}" for name in re.findall(r"\((\w+),", (ROOT / "services/ingest/metrics.def").read_text())}
    assert metric["name"] in rule and rule.count("{<<.LabelMatchers>>}") == len(re.findall(r"adledger_\w+", rule)), "a series that is not ingest's"
    assert set(re.findall(r"adledger_\w+", rule)) <= told


def test_postgres_has_connections_for_all_that_production_scales_to():
    """The trial's PostgreSQL and compose's have the file; production's is told of it in docs/operations.md."""
    cluster = Cluster(ROOT / "k8s/overlays/prod")
    gateways, ingests = (cluster.find("HorizontalPodAutoscaler", name)["spec"]["maxReplicas"] for name in ("gateway", "ingest"))
    ingest, analytics = (cluster.find("Deployment", name)["spec"] for name in ("ingest", "analytics"))
    ingests += ingest["strategy"]["rollingUpdate"]["maxSurge"]
    readers = analytics["replicas"] + analytics["strategy"]["rollingUpdate"]["maxSurge"]
    most = needed(gateways, ingests, readers, int(cluster.environment(pod(cluster.find("Deployment", "ingest"))["containers"][0])["PARTITIONS"]))
    allowed = int(re.search(r"^max_connections = (\d+)", (ROOT / "config/postgresql.conf").read_text(), re.M)[1])
    assert f" is {most};" in (ROOT / "config/postgresql.conf").read_text() and f"**{most}**" in (ROOT / "docs/operations.md").read_text()
    assert most + 20 < allowed
    assert f"maxOpenConns: {GRAFANA}\n" in (ROOT / "grafana/provisioning/datasources/adledger.yaml").read_text()


# ---- what a pod finds


def test_every_reference_leads_somewhere(cluster):
    pods = [pod_labels(workload) for workload in cluster.workloads()]
    for workload in cluster.workloads():
        for volume in pod(workload)["volumes"]:
            if "configMap" in volume:
                assert cluster.find("ConfigMap", volume["configMap"]["name"])
            if "secret" in volume:
                assert cluster.find("Secret", volume["secret"]["secretName"]) or volume["secret"]["secretName"] in BY_HAND
        volumes = {volume["name"] for volume in pod(workload)["volumes"]}
        volumes |= {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
        mounted = {mount["name"] for container in containers(workload) for mount in container["volumeMounts"]}
        assert mounted == volumes, name_of(workload)
        if workload["kind"] == "StatefulSet":
            assert cluster.find("Service", workload["spec"]["serviceName"])["spec"]["clusterIP"] == "None"
    for service in cluster.all("Service"):
        (workload,) = [item for item in cluster.workloads() if matches({"matchLabels": service["spec"]["selector"]}, pod_labels(item))]
        ports = {port["name"]: port["containerPort"] for port in pod(workload)["containers"][0]["ports"]}
        assert all(ports[port["targetPort"]] == port["port"] for port in service["spec"]["ports"])
    for ingress in cluster.all("Ingress"):
        for path in ingress["spec"]["rules"][0]["http"]["paths"]:
            assert cluster.find("Service", path["backend"]["service"]["name"])
    for scaler in cluster.all("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        assert cluster.find(target["kind"], target["name"]), f"there is no {target['kind']} {target['name']} to scale"
    for policy in cluster.all("NetworkPolicy"):
        assert any(matches(policy["spec"]["podSelector"], labels) for labels in pods), policy["metadata"]["name"]


def secrets_named(cluster, workload):
    """The files of /run/secrets that its manifest, its settings, and the configuration and scripts that it mounts name."""
    spec = pod(workload)
    mounted = [volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume]
    given = [source["configMapRef"]["name"] for container in containers(workload) for source in container.get("envFrom", [])]
    texts = [text for name in (*mounted, *given) for text in cluster.find("ConfigMap", name)["data"].values()]
    return set(re.findall(r"run/secrets/([\w.]+)", "\n".join([yaml.safe_dump(spec), *texts])))


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_the_secrets_made_are_those_that_pods_mount(tmp_path, overlay):
    folder = tmp_path / "secrets"
    assert run("tools/make_secrets.py", env={"SECRETS_DIR": str(folder), "SECRETS_ENV": str(tmp_path / ".env")}).returncode == 0
    if overlay == "prod":
        (folder / "ca.pem").write_text(AUTHORITY)
    done = run("tools/k8s_secrets.py", "somewhere", env={"SECRETS_DIR": str(folder)})
    made = {item["metadata"]["name"]: set(item["data"]) for item in yaml.safe_load(done.stdout)["items"]}
    cluster = Cluster(ROOT / "k8s/overlays" / overlay)
    for workload in cluster.workloads():
        (secret,) = [volume["secret"] for volume in pod(workload)["volumes"] if "secret" in volume]
        keys = {item["key"] for item in secret.get("items", [])}
        assert keys <= made[secret["secretName"]], name_of(workload)
        assert secrets_named(cluster, workload) <= (keys or made[secret["secretName"]]), name_of(workload)


def test_production_speaks_verified_tls_to_nats_and_postgres():
    cluster = Cluster(ROOT / "k8s/overlays/prod")
    for workload in cluster.workloads():
        settings = cluster.environment(pod(workload)["containers"][0])
        assert settings["PGSSLMODE"] == "verify-full" and settings["PGSSLROOTCERT"] == "/run/secrets/ca.pem", name_of(workload)
        assert settings.get("NATS_CA_FILE") == ("/run/secrets/ca.pem" if "NATS_URL_FILE" in settings else None), name_of(workload)


def first_words_to_postgres(settings):
    """What a migration sends to a server that speaks no TLS, until it ends or goes away."""
    binary = ROOT / "build/release/services/ingest/ingest"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        url = f"postgresql://adledger:secret@127.0.0.1:{server.getsockname()[1]}/adledger"
        with subprocess.Popen([binary, "--migrate"], env={**settings, "DATABASE_URL": url}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(10)
                    asked = connection.recv(4096)
                    connection.sendall(b"N")
                    return asked, connection.recv(4096)
            finally:
                process.kill()


def test_what_production_sets_keeps_libpq_from_plain_text(tmp_path):
    cluster = Cluster(ROOT / "k8s/overlays/prod")
    settings = cluster.environment(pod(cluster.all("Job")[0])["containers"][0])
    (tmp_path / "ca.pem").write_text(AUTHORITY)
    settings = {"PGSSLMODE": settings["PGSSLMODE"], "PGSSLROOTCERT": str(tmp_path / "ca.pem")}
    assert first_words_to_postgres(settings) == (SSL_REQUEST, b"")
    asked, said = first_words_to_postgres({})
    assert asked == SSL_REQUEST and b"adledger" in said, "libpq's own default takes plain text"


def test_the_trial_makes_every_password_that_postgres_reads(tmp_path):
    cluster = Cluster(ROOT / "k8s/overlays/try")
    postgres = cluster.find("StatefulSet", "postgres")
    *shell, script = pod(postgres)["initContainers"][0]["command"]
    done = run(*shell, script.replace("/run/secrets", str(tmp_path)))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir() if path.stat().st_size} == secrets_named(cluster, postgres)


def test_postgres_is_not_made_with_an_empty_password(tmp_path):
    """psql itself would take a file that is not there for an empty one."""
    script = (ROOT / "config/prod/postgres-init.sh").read_text().replace("/run/secrets", str(tmp_path))
    names = sorted(set(re.findall(rf"{tmp_path}/(\w+)", script)))
    (tmp_path / "psql").write_text("#!/bin/sh\nexec cat >/dev/null\n")
    (tmp_path / "psql").chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "POSTGRES_USER": "postgres"}
    for name in names:
        (tmp_path / name).write_text("a\n")
    assert len(names) == 5 and run("sh", "-c", script, env=env).returncode == 0
    for name, spoil in itertools.product(names, (lambda path: path.write_text("\n"), lambda path: path.unlink())):
        spoil(tmp_path / name)
        done = run("sh", "-c", script, env=env)
        assert done.returncode == 1 and f"{name}: no password" in done.stderr, name
        (tmp_path / name).write_text("a\n")


def test_no_service_becomes_a_setting(cluster):
    """With service links a Service named redis would set REDIS_PORT to tcp://..., which is a setting of ours."""
    assert all(pod(workload)["enableServiceLinks"] is False for workload in cluster.workloads())


def test_each_service_takes_the_settings_of_its_pod(cluster, tmp_path):
    for workload in cluster.workloads():
        (container,) = pod(workload)["containers"]
        service = container["image"].removeprefix("adledger-").partition(":")[0]
        if service not in SERVICES:
            continue
        files = cluster.secret_files(workload)
        if files is None:  # made by hand: as the trial has them
            trial = Cluster(ROOT / "k8s/overlays/try")
            (same,) = [item for item in trial.workloads() if name_of(item) == name_of(workload)]
            files = {**trial.secret_files(same), "ca.pem": AUTHORITY}
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        settings = {key: value.replace("/run/secrets", str(tmp_path)) for key, value in cluster.environment(container).items()}
        done = subprocess.run([ROOT / "build/release/services" / service / service, "--check-config"], env=settings, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


# ---- whom a pod reaches


def test_the_network_lets_through_just_what_is_needed(cluster):
    pods = {name_of(workload): pod_labels(workload) for workload in cluster.workloads()}
    needed = {("gateway", "nats"), ("gateway", "postgres"), ("gateway", "redis"), ("ingest", "nats"), ("ingest", "postgres"),
              ("analytics", "nats"), ("analytics", "postgres"), ("analytics", "redis"), ("migrate", "postgres")}
    ports = {**STORES, "monitor": 8222, "gateway": 8080, "ingest": 8081, "analytics": 8082}
    reached = {(source, target, port) for source, target in itertools.product(pods, pods) for port in ports.values()
               if cluster.may_reach(pods[source], pods[target], port)}
    assert reached == {(source, target, STORES[target]) for source, target in needed if target in pods}


def outside(cluster, labels, rules, peers):
    """(namespace, port) of every rule about another namespace for a pod of these labels."""
    return {(peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"], row["port"])
            for policy in cluster.all("NetworkPolicy") if matches(policy["spec"]["podSelector"], labels)
            for rule in policy["spec"].get(rules, []) for peer in rule[peers] for row in rule["ports"]
            if "kubernetes.io/metadata.name" in peer.get("namespaceSelector", {}).get("matchLabels", {})}


def test_other_namespaces_reach_what_is_theirs(cluster):
    """Clients come by the Ingress controller, Prometheus asks each service, and every pod may ask for a name."""
    ports = {"gateway": 8080, "ingest": 8081, "analytics": 8082}
    for workload in cluster.workloads():
        name, labels = name_of(workload), pod_labels(workload)
        listens = {port["containerPort"] for container in containers(workload) for port in container.get("ports", [])}
        wanted = {("monitoring", ports[name])} if name in SERVICES else set()
        wanted |= {("ingress-nginx", 8080)} if name == "gateway" else set()
        let_in = {(space, port) for space, port in outside(cluster, labels, "ingress", "from") if port in listens}
        assert let_in == wanted, f"{name} is reached by {let_in}, not by {wanted}"
        assert ("kube-system", 53) in outside(cluster, labels, "egress", "to"), f"{name} cannot ask for a name"


def test_nothing_is_allowed_that_no_policy_names(cluster):
    everything = cluster.find("NetworkPolicy", "nothing-by-default")
    assert everything, "there is no policy nothing-by-default"
    assert everything["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for policy in cluster.all("NetworkPolicy"):
        for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
            assert rule["ports"] and (rule.get("from") or rule.get("to")), policy["metadata"]["name"]


def test_the_ingress_has_tls_a_limit_and_no_inside_routes():
    (ingress,) = Cluster(ROOT / "k8s/overlays/prod").all("Ingress")
    (tls,) = ingress["spec"]["tls"]
    assert tls["secretName"] == "adledger-tls" and tls["hosts"] == [rule["host"] for rule in ingress["spec"]["rules"]]
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"] == "1m"
    paths = {(path["path"], path["pathType"]) for path in ingress["spec"]["rules"][0]["http"]["paths"]}
    assert paths == {("/api/v1", "Prefix"), ("/ads", "Prefix")}
