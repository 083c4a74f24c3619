"""Row 29 of the fault matrix: three nats-servers with three copies of each stream."""

import pytest
from cluster import Cluster
from product import wait_until

SMALL = {"STREAM_REPLICAS": "3"}


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
        for _ in range(3):
            leader = cluster.leader()
            rig.kill(leader)
            load.flow(3)
            cluster.start_one(leader)
            wait_until("the node is back", lambda: cluster.healthy(leader), 20)
            rig.recovers(10)
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
        rig.recovers(10)
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
        rig.recovers(10)
        load.accepts()
    load.saw_only("202")
    rig.prove()
