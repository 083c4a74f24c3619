"""Rows 29 to 33 of the fault matrix: what is spread over several servers, of which one dies.

Row 29: NATS elects a new leader 4 to 9 s after the old one died, later when votes are split. Until the stream has one
nothing can be stored, and events go to the spool; then the 10 s of the row begin. The leases and JetStream's metadata,
without which no reader goes on, may have lost theirs with the same node: their elections are within the 10 s.
"""

import itertools
import signal
import time

import pytest
from cluster import LEASES, NAMES, Cluster
from load import ADS
from postgres_pair import PostgresPair
from product import SERVICES, wait_until
from redis_cluster import RedisCluster, RedisPair

SMALL = {"STREAM_REPLICAS": "3"}
ELECTION_SECONDS = 25
RECOVERED_SECONDS = 10
BACK_TRIES, BACK_SECONDS = 3, 15


@pytest.fixture
def start_cluster(start_rig):
    def start(**env):
        rig = start_rig(started=False, **SMALL, **env)
        cluster = Cluster(rig.stack)
        rig.books.stream_ends = cluster.ends
        rig.start()
        wait_until("the leases have three copies", lambda: len(cluster.copies(LEASES)) == 3, 20)
        return rig, cluster

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
            bring_back(rig, cluster, leader)
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
            bring_back(rig, cluster, leader)
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
    rig, _ = start_cluster(STREAM_MAX_BYTES=str(5 << 20), STREAM_DEDUP_MS="1000", TRIM_INTERVAL_MS="250")
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
    wait_until("another leader", lambda: cluster.leader_of(stream) not in (None, gone), ELECTION_SECONDS)
    return round(time.monotonic() - began, 1)


def bring_back(rig, cluster, name):
    """One that the others do not hear, as NATS 2.10 leaves it now and then, is started again, which an orchestrator does."""
    for tries_left in reversed(range(BACK_TRIES)):
        cluster.start_one(name)
        try:
            return wait_until("the node is back", lambda: cluster.healthy(name), BACK_SECONDS)
        except AssertionError:
            if tries_left == 0:
                raise
            rig.measured["started_again"] = rig.measured.get("started_again", 0) + 1
            rig.kill(name)


def takes_no_lag_for_a_loss(rig):
    """A follower that is ahead of its leader for a moment is none: no alarm, and no rebuild but the first."""
    assert rig.metric("ingest", "reader_stream_behind_messages") == 0
    assert not rig.log_has("ingest", "stream_behind") and not rig.log_has("analytics", "stream_behind")
    log = rig.stack.process("analytics").log_file.read_text(errors="replace")
    assert log.count('"rebuild_begun"') == 1, "the counters were rebuilt for nothing"


@pytest.fixture
def start_redis_cluster(start_rig):
    def start(kind=RedisCluster, **env):
        rig = start_rig(started=False, **env)
        nodes = kind(rig.stack)
        rig.books.redis = nodes.client
        return rig.start(), nodes

    return start


def source(rig, ad=ADS[0]):
    answer = rig.product.get(f"/api/v1/ads/analytics?ad_id={ad}&timeframe=1h")
    return answer.json()["source"] if answer.status == 200 else f"status {answer.status}"


def redis_answers(rig):
    """For every ad, of whatever partition."""
    return all(source(rig, ad) == "redis" for ad in ADS)


def test_row_30_a_primary_of_redis_cluster_is_killed(start_redis_cluster):
    rig, cluster = start_redis_cluster(PARTITIONS="4")
    with rig.load() as load:
        load.accepts()
        wait_until("Redis answers", lambda: redis_answers(rig), 10)
        for partition in (0, 1):
            owner = cluster.owner(f"{{{partition}}}:position")
            rig.kill(owner)
            began = time.monotonic()
            load.flow(1)
            assert source(rig) in ("redis", "postgres")
            wait_until("its replica has taken over", lambda: cluster.owner(f"{{{partition}}}:position") not in (None, owner), 30)
            rig.measured[f"elected_{partition}_s"] = round(time.monotonic() - began, 1)
            rig.recovers(10)
            wait_until("Redis answers", lambda: redis_answers(rig), 10)
            rig.measured[f"answered_{partition}_s"] = round(time.monotonic() - began, 1)
            cluster.start_one(owner)
            wait_until("the cluster is whole", cluster.is_whole, 30)
        load.accepts()
    load.saw_only("202")
    rig.prove()


def test_row_30_a_slot_moves_to_another_node(start_redis_cluster):
    """Half-way some keys are here and some are there, for as long as it takes: nothing is counted, and nothing by half."""
    rig, cluster = start_redis_cluster(PARTITIONS="2")
    key = "{0}:position"
    with rig.load() as load:
        load.accepts()
        for _ in range(3):
            target = next(name for name in cluster.names
                          if name != cluster.owner(key) and cluster.node(name).info("replication")["role"] == "master")
            begun_from, slot = cluster.begin_move(key, target)
            cluster.move_keys(begun_from, slot, target, count=10)
            load.flow(2)
            assert cluster.move_keys(begun_from, slot, target, count=10), "the test's slot has too few keys"
            load.flow(1)
            while cluster.move_keys(begun_from, slot, target):
                pass
            cluster.end_move(slot, target)
            began = time.monotonic()
            rig.recovers(10)
            wait_until("Redis answers", lambda: redis_answers(rig), 10)
            rig.measured["answered_s"] = round(time.monotonic() - began, 1)
            load.accepts()
    load.saw_only("202")
    rig.prove()


def test_row_31_redis_is_killed_and_its_replica_promoted(start_redis_cluster):
    rig, pair = start_redis_cluster(RedisPair)
    with rig.load() as load:
        load.accepts()
        for dead, promoted in (("redis-1", "redis-2"), ("redis-2", "redis-1")):
            wait_until("Redis answers", lambda: redis_answers(rig), 10)
            rig.kill(dead)
            load.flow(2)
            wait_until("PostgreSQL answers", lambda: source(rig) == "postgres", 10)
            pair.promote(promoted)
            began = time.monotonic()
            rig.recovers(10)
            wait_until("Redis answers", lambda: redis_answers(rig), 10)
            rig.measured["answered_s"] = round(time.monotonic() - began, 1)
            pair.start_one(dead)
            pair.follow(dead, promoted)
    load.saw_only("202")
    rig.prove()


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_row_32_the_primary_of_postgres_is_lost_and_its_standby_promoted(start_rig, how):
    rig = start_rig(started=False)
    pair = PostgresPair(rig.stack)
    rig.stack.start_postgres()
    rig.stack.process("postgres").stop(signal.SIGINT)
    pair.allow_admin()
    rig.start()
    pair.follow()
    with rig.load() as load:
        load.accepts()
        rig.recovers(15)
        (rig.kill if how == "killed" else rig.freeze)("postgres")
        load.flow(3)
        pair.promote()
        began = time.monotonic()
        rig.recovers(10)
        load.accepts()
        rig.measured["moved_s"] = round(time.monotonic() - began, 1)
        if how == "frozen":  # it never comes back as a primary: that is for whoever promotes to see to
            rig.kill("postgres")
    load.saw_only("202")
    rig.prove()


def test_row_33_one_of_two_of_each_service_is_killed(start_rig):
    """Two processes of each kind share four partitions; whoever is left takes all, and gives back what another comes for."""
    rig = start_rig(PARTITIONS="4")
    for service in SERVICES:
        rig.restart(f"{service}-2")
    with rig.load(per_second=2500) as one, rig.load(rig.seconds["gateway"], per_second=2500) as other:
        for load in (one, other):
            load.accepts()
        for suffix, service in itertools.product(("", "-2"), ("ingest", "analytics")):
            rig.kill(service + suffix)
            one.flow(2)
            ends = rig.books.stream_ends()
            wait_until("the other one has taken over", lambda: rig.has_caught_up_with(ends), 15)
            rig.restart(service + suffix)
        rig.kill("gateway-2")
        one.flow(2)
        rig.restart("gateway-2")
        other.accepts()
        rig.recovers(10)
    one.saw_only("202")
    other.saw_only("202", "lost", "never")
    rig.prove(one, other)
