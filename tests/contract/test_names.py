"""What is written down in one place and used in another is the same."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICES = ["gateway", "ingest", "analytics"]


def option_names():
    names = set()
    for service in SERVICES:
        table = subprocess.run([ROOT / "build/release/services" / service / service, "--markdown"],
                               text=True, capture_output=True, check=True).stdout
        names |= set(re.findall(r"`([A-Z][A-Z0-9_]+)`", table))
    return names


def test_the_configuration_page_is_what_the_services_say():
    done = subprocess.run([ROOT / "tools" / "docs", "--check"], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_environment_names_only_options():
    named = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / "config/.env.example").read_text(), re.M))
    assert named and named <= option_names()


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
