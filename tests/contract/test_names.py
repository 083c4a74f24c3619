"""What is written down in one place and used in another is the same."""

import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
from manifests import OVERLAYS, Cluster, containers  # noqa: E402

SERVICES = ["gateway", "ingest", "analytics"]


@functools.cache
def options_of(service):
    table = subprocess.run([ROOT / "build/release/services" / service / service, "--markdown"],
                           text=True, capture_output=True, check=True).stdout
    return set(re.findall(r"`([A-Z][A-Z0-9_]+)`", table))


def option_names():
    return set().union(*map(options_of, SERVICES))


def unknown_to(service, named):
    options = options_of(service)
    return sorted(name for name in named if name not in options and name.removesuffix("_FILE") not in options)


def test_the_configuration_page_is_what_the_services_say():
    done = subprocess.run([ROOT / "tools" / "docs", "--check"], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_route_is_on_the_page():
    page = (ROOT / "docs/api.md").read_text()
    paths = [path for file in ("services/gateway/routes.c", "shared/http/ops.h") for path in re.findall(r'\{"[A-Z]+", "(/[^"]*)"', (ROOT / file).read_text())]
    assert paths
    for path in paths:
        assert re.search(rf"(?<!/v1){re.escape(path)}(?![\w/{{])", page), f"docs/api.md does not have {path}"


def test_the_example_environment_names_only_options():
    named = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / "config/.env.example").read_text(), re.M))
    assert named and {name.removesuffix("_FILE") if name not in option_names() else name for name in named} <= option_names()


def test_the_production_environments_name_only_options():
    for path in sorted((ROOT / "config/prod").glob("*.env")):
        named = set(re.findall(r"^([A-Z][A-Z0-9_]+)=", path.read_text(), re.M))
        options = option_names()
        unknown = {name for name in named if name not in options and name.removesuffix("_FILE") not in options}
        assert named and not unknown, f"{path.name}: {sorted(unknown)}"


def names_in(path):
    return set(re.findall(r"^([A-Z][A-Z0-9_]+)=", path.read_text(), re.M))


# What the compose file and the manifests give to all three services alike, though not each of them asks for it.
COMMON = names_in(ROOT / "config/prod/common.env")
# What libpq reads itself, where DATABASE_URL is silent.
LIBPQ = {"PGSSLMODE", "PGSSLROOTCERT"}


def test_the_compose_file_gives_a_service_only_what_it_knows():
    services = yaml.safe_load((ROOT / "docker-compose.prod.yaml").read_text())["services"]
    for name, service in (("gateway", "gateway"), ("ingest", "ingest"), ("analytics", "analytics"), ("migrate", "ingest")):
        own = [ROOT / path for path in services[name]["env_file"] if not path.endswith("common.env")]
        named = set().union(*map(names_in, own)) | set(services[name].get("environment", {}))
        assert named and not unknown_to(service, named - LIBPQ), name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_manifests_give_a_service_only_what_it_knows(overlay):
    cluster = Cluster(ROOT / "k8s/overlays" / overlay)
    asked = 0
    for workload in cluster.workloads():
        for container in containers(workload):
            service = container["image"].removeprefix("adledger-").partition(":")[0]
            if service in SERVICES:
                named = set(cluster.environment(container))
                assert not unknown_to(service, named - COMMON - LIBPQ), container["name"]
                asked += 1
    assert asked == len(SERVICES) + 1, "a container of ours was not recognised"


@pytest.mark.parametrize("service", SERVICES)
def test_help_and_check_config(service):
    binary = ROOT / "build/release/services" / service / service
    assert "default" in subprocess.run([binary, "--help"], text=True, capture_output=True, check=True).stdout.lower()
    good = {"DATABASE_URL": "postgresql://a:b@127.0.0.1/c", "REDIS_URL": "redis://127.0.0.1:6379/0", "NATS_URL": "nats://127.0.0.1:4222"}
    assert subprocess.run([binary, "--check-config"], env=good, capture_output=True, check=False).returncode == 0
    bad = subprocess.run([binary, "--check-config"], env={**good, "PARTITIONS": "none"}, text=True, capture_output=True, check=False)
    assert bad.returncode == 1 and "PARTITIONS" in bad.stdout + bad.stderr


def test_every_link_in_the_docs_leads_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"
