"""Another version in the place of each process, under load, and the former one again: docs/operations.md, Upgrading.

ADLEDGER_OTHER_BUILD names the build/release of another version's checkout; without it there is nothing to try. ./test --faults
builds one itself.
"""

import json
import os
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from product import wait_until

OTHER_BUILD = os.environ.get("ADLEDGER_OTHER_BUILD")
ORDER = ("gateway", "ingest", "analytics")  # after the migration
TAKEN_OVER_SECONDS = 15

pytestmark = pytest.mark.skipif(not OTHER_BUILD, reason="ADLEDGER_OTHER_BUILD names no build/release of another version")


def test_upgraded_and_rolled_back_under_load(start_rig):
    """What one version has put into spool, stream, PostgreSQL and Redis, the other one goes on with, both ways."""
    rig = start_rig(started=False)
    this, other = rig.stack.binaries, Path(OTHER_BUILD).absolute()
    rig.stack.binaries = other
    rig.start()
    began_as, replaced, spooled, recovered = commit(rig, "gateway"), {}, [], []
    with rig.load() as load:
        load.accepts()
        for build in (this, other):
            rig.stack.binaries = build
            subprocess.run([rig.stack.binary("ingest"), "--migrate"], env=rig.stack.service_env("ingest"), check=True, capture_output=True)
            for service in ORDER:
                if service == "gateway":
                    rig.kill("nats")
                    load.accepts()
                began = time.monotonic()
                assert rig.stack.process(service).stop(), f"{service} did not stop in time"
                if service == "gateway":
                    spooled.append(rig.books.in_spools())
                    rig.restart("nats")
                rig.restart(service)
                replaced.setdefault(service, []).append(round(time.monotonic() - began, 1))
                assert (commit(rig, service) == began_as) == (build == other), f"{service} is not of the other version"
                load.accepts()
            rig.recovers(15)
            recovered.append(rig.measured["recovered_s"])
    load.saw_only("202", "503", "lost")
    assert all(spooled), "the spool was empty when the gateway was replaced"
    rig.prove()
    rig.measured.update({f"{service}_away_s": seconds for service, seconds in replaced.items()}, spooled=spooled, recovered_s=recovered)


def test_both_versions_run_beside_each_other(start_rig):
    """As a rollout has them: on four partitions, each reader hands over to the other version's and gets its own again."""
    rig = start_rig(PARTITIONS="4")
    builds = {"": rig.stack.binaries, "-2": Path(OTHER_BUILD).absolute()}

    def start(service, suffix):
        rig.stack.binaries = builds[suffix]
        rig.restart(service + suffix)

    for service in ORDER:
        start(service, "-2")
    with rig.load(per_second=2500) as one, rig.load(rig.seconds["gateway"], per_second=2500) as another:
        for suffix in builds:
            for service in ("ingest", "analytics"):
                one.accepts()
                another.accepts()
                assert rig.stack.process(service + suffix).stop(), f"{service}{suffix} did not stop in time"
                ends = rig.books.stream_ends()
                wait_until("the other version has taken over", lambda: rig.has_caught_up_with(ends), TAKEN_OVER_SECONDS)
                start(service, suffix)
        rig.recovers(15)
    for load in (one, another):
        load.saw_only("202")
    rig.prove(one, another)


def commit(rig, service):
    with urllib.request.urlopen(rig.stack.url(service) + "/info", timeout=5) as answer:
        return json.load(answer)["commit"]
