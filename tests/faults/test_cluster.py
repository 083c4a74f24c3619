"""Row 29 of the fault matrix: three nats-servers with three copies of each stream.

NATS elects a new leader 4 to 9 s after the old one died, later when votes are split. Until then nothing can be
stored, and events go to the spool; the 10 s of the row begin when there is a leader.
"""

import time

import pytest
from cluster import LEASES, NAMES, Cluster
from product import wait_until

SMALL = {"STREAM_REPLICAS": "3"}
ELECTION_SECONDS = 25
RECOVERED_SECONDS = 10


@pytest.fixture
def start_cluster(start_rig):
    def start(**env):
        rig = start_rig(started=False, **SMALL, **env)
        cluster = Cluster(rig.stack)
        rig.books.stream_ends = cluster.ends
        return rig.start(), cluster

    return start


def test_row_29_the_streams_leader_is_killed(start_cluster):
    rig, cluster = start_cluster()
    with rig.load() as load:
        load.accepts()
        elected, recovered = [], []
        for _ in range(3):
            leader = cluster.leader()
            rig.kill(leader)
            elected.append(elect_another(cluster, leader))
            rig.recovers(RECOVERED_SECONDS)  # while the node is still away
            recovered.append(rig.measured["recovered_s"])
            bring_back(cluster, leader)
            load.accepts()
    load.saw_only("202")
    rig.prove()
    rig.measured.update(elected_s=elected, recovered_s=recovered)
    takes_no_lag_for_a_loss(rig)


def test_row_29_the_streams_leader_is_killed_and_comes_back_at_once(start_cluster):
    rig, cluster = start_cluster()
    with rig.load() as load:
        load.accepts()
        for _ in range(3):
            leader = cluster.leader()
            rig.kill(leader)
            load.flow(0.5)
            bring_back(cluster, leader)
            wait_until("the stream has a leader", lambda: cluster.leader() and cluster.is_whole(), ELECTION_SECONDS)
            rig.recovers(RECOVERED_SECONDS)
            load.accepts()
    load.saw_only("202")
    rig.prove()
    takes_no_lag_for_a_loss(rig)


def test_row_29_a_node_stays_away(start_cluster):
    """The one that leads the leases, which no reader goes on without."""
    rig, cluster = start_cluster()
    with rig.load() as load:
        load.accepts()
        wait_until("the leases have three copies", lambda: len(cluster.copies(LEASES)) == 3, 20)
        away = cluster.leader_of(LEASES)
        rig.kill(away)
        elect_another(cluster, away, LEASES)
        wait_until("the events have a leader", lambda: cluster.leader() != away, ELECTION_SECONDS)
        load.flow(8)  # more than two lives of a lease
        rig.recovers(RECOVERED_SECONDS)
        load.accepts()
    load.saw_only("202")
    rig.prove()


def test_row_29_the_services_start_before_the_cluster_has_enough_nodes(start_rig):
    """Two of three: no stream can be made (10005, which the server calls a bad request)."""
    rig = start_rig(started=False, **SMALL)
    cluster = Cluster(rig.stack)
    rig.books.stream_ends = cluster.ends
    rig.stack.start_postgres()
    rig.stack.start_redis()
    for name in NAMES[:2]:
        cluster.start_one(name)
    wait_until("two nodes agree on a leader", lambda: all(cluster.healthy(name) for name in NAMES[:2]), 30)
    for service in ("ingest", "analytics", "gateway"):
        rig.stack.start_service(service)
    wait_until("ingest is told that nodes are missing", lambda: rig.log_has("ingest", "(10005)"), 30)
    for service in ("ingest", "analytics", "gateway"):
        assert rig.status("/health/live", service) == 200
    assert rig.status("/health/ready", "ingest") == 503
    cluster.start_one(NAMES[2])
    for service in ("ingest", "analytics", "gateway"):
        rig.stack.wait_ready(service, seconds=20)
    rig.start()
    with rig.load() as load:
        load.accepts()
    load.saw_only("202")
    rig.prove()


def test_row_29_the_stream_is_full_and_emptied_again(start_cluster):
    rig, _ = start_cluster(STREAM_MAX_BYTES=str(8 << 20), STREAM_DEDUP_MS="1000", TRIM_INTERVAL_MS="250")
    with rig.load(per_second=3000) as load:
        load.accepts()
        rig.freeze("ingest")
        wait_until("the stream refuses", lambda: rig.metric("gateway", "batches_refused_total") > 0, 30)
        load.flow(3)
        rig.thaw("ingest")
        rig.recovers(RECOVERED_SECONDS)
    load.saw_only("202")
    rig.prove()


def test_row_29_both_followers_are_frozen(start_cluster):
    rig, cluster = start_cluster()
    with rig.load() as load:
        load.accepts()
        followers = cluster.followers()
        for name in followers:
            rig.freeze(name)
        load.flow(5)
        for name in followers:
            rig.thaw(name)
        rig.recovers(RECOVERED_SECONDS)
        load.accepts()
    load.saw_only("202")
    rig.prove()
    takes_no_lag_for_a_loss(rig)


def elect_another(cluster, gone, stream="ADS_0"):
    """Waits for a leader in the place of the one that was killed; gives the seconds."""
    began = time.monotonic()
    wait_until("another leader", lambda: cluster.leader_of(stream) not in (None, "", gone), ELECTION_SECONDS)
    return round(time.monotonic() - began, 1)


def bring_back(cluster, name):
    cluster.start_one(name)
    wait_until("the node is back", lambda: cluster.healthy(name), 20)


def takes_no_lag_for_a_loss(rig):
    """A follower that is ahead of its leader for a moment is none: no alarm, and no rebuild but the first."""
    assert rig.metric("ingest", "reader_stream_behind_messages") == 0
    assert not rig.log_has("ingest", "stream_behind") and not rig.log_has("analytics", "stream_behind")
    log = rig.stack.process("analytics").log_file.read_text(errors="replace")
    assert log.count('"rebuild_begun"') == 1, "the counters were rebuilt for nothing"
