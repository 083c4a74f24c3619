"""The services as `nats micro ls` finds them: they answer NATS's service protocol, whatever becomes of NATS."""

import datetime
import os
import signal

from nats_client import NatsClient
from product import CLICK, ROOT, SERVICES, Load, wait_until
from processes import free_port

NAMES = sorted(f"adledger-{name}" for name in SERVICES)
STANDARD = {"type", "name", "id", "version", "metadata"}


def ask(product, subject, seconds=0.5):
    with NatsClient(product.stack.nats_url) as nats:
        return nats.ask_everybody(subject, seconds)


def found(product):
    """The names of those who answer, by a wait of its own for a NATS that is about to come back."""
    try:
        return sorted(answer["name"] for answer in ask(product, "$SRV.PING"))
    except (OSError, AssertionError):
        return []


def all_are_found(product):
    wait_until("each service answers once", lambda: found(product) == NAMES)


def log_of(product, name):
    return product.stack.process(name).log_file.read_text(errors="replace")


def denied(product, name, subject):
    return [line for line in log_of(product, name).splitlines() if "nats_not_permitted" in line and subject in line]


def write_config(path, password="$NATS_PASSWORD", rights=""):
    """The product's own configuration of NATS, for one user with this password and these rights."""
    config = (ROOT / "config" / "nats.conf").read_text().partition("authorization {")[0]
    user = f"{{ user: $NATS_USER, password: {password}, permissions: {{ {rights} }} }}"
    path.write_text(f"{config}authorization {{ timeout: 2, users: [ {user} ] }}\n")
    return str(path)


def test_each_service_answers_ping_info_and_stats(product):
    all_are_found(product)
    for answer in ask(product, "$SRV.PING"):
        assert answer["type"] == "io.nats.micro.v1.ping_response"
        assert set(answer) == STANDARD
    for name in SERVICES:
        [info] = ask(product, f"$SRV.INFO.adledger-{name}")
        assert info["type"] == "io.nats.micro.v1.info_response"
        assert set(info) == STANDARD | {"description", "endpoints"}
        assert info["endpoints"] == [] and info["description"]
        metadata = info["metadata"]
        assert all(isinstance(value, str) for value in metadata.values())
        assert metadata["http_port"] == str(product.stack.port(name))
        assert metadata["pid"] == str(product.stack.process(name).pid)
        [stats] = ask(product, f"$SRV.STATS.adledger-{name}.{info['id']}")
        assert stats["type"] == "io.nats.micro.v1.stats_response"
        assert set(stats) == STANDARD | {"endpoints", "started"}
        assert {key: stats[key] for key in STANDARD - {"type"}} == {key: info[key] for key in STANDARD - {"type"}}
        started = datetime.datetime.fromisoformat(stats["started"].replace("Z", "+00:00"))
        assert abs((datetime.datetime.now(datetime.timezone.utc) - started).total_seconds()) < 300
        assert ask(product, f"$SRV.STATS.adledger-{name}.0") == []


def test_a_gateway_is_found_by_the_id_that_the_audit_knows(product):
    all_are_found(product)
    [gateway] = ask(product, "$SRV.PING.adledger-gateway")
    assert product.post(CLICK, {"ad_id": "ad-001"}).status == 202
    wait_until("its batch is stored", lambda: product.sql("SELECT 1 FROM batches WHERE gateway_id = %s", (gateway["id"],)))


def test_two_processes_of_a_service_are_two(product):
    all_are_found(product)
    second = product.stack.start_service("analytics", instance="analytics-2", ANALYTICS_PORT=str(free_port()))
    wait_until("both are found", lambda: found(product) == sorted([*NAMES, "adledger-analytics"]))
    ids = {answer["id"] for answer in ask(product, "$SRV.PING.adledger-analytics")}
    assert len(ids) == 2
    assert second.stop()
    all_are_found(product)


def test_they_answer_again_when_nats_was_restarted(product):
    all_are_found(product)
    before = {answer["id"] for answer in ask(product, "$SRV.PING")}
    product.stack.process("nats").stop()
    product.stack.start_nats()
    all_are_found(product)
    assert {answer["id"] for answer in ask(product, "$SRV.PING")} == before


def test_they_answer_on_a_connection_that_was_made_anew(start_product, tmp_path):
    """The password of NATS is changed: what had come with the old one is ended, and is of no use any more."""
    product = start_product(NATS_CONFIG=write_config(tmp_path / "nats.conf"))
    product.stack.url_files = tmp_path
    for name in SERVICES:
        product.stack.process(name).stop()
        product.restart(name)
    all_are_found(product)
    new = product.stack.settings["passwords"]["nats"] = "p" + os.urandom(16).hex()
    write_config(tmp_path / "nats.conf", new)
    product.stack.process("nats").send(signal.SIGHUP)  # it ends who came with the old one
    wait_until("nobody is there", lambda: found(product) == [])
    for name in SERVICES:
        product.stack.url_env(name)
        product.stack.process(name).send(signal.SIGHUP)
    all_are_found(product)
    for name in SERVICES:
        assert "nats_connected_anew" in log_of(product, name)


def test_the_right_to_subscribe_to_srv_is_enough(start_product, tmp_path):
    rights = 'subscribe: { allow: ["_INBOX.>", "$SRV.>"] }'
    product = start_product(NATS_CONFIG=write_config(tmp_path / "nats.conf", rights=rights))
    all_are_found(product)


def test_without_that_right_a_service_says_so_once_and_works(start_product, tmp_path):
    """Nor does it hide another right that is missing: here the gateway's to hear of elections, which it can do without."""
    rights = 'subscribe: { deny: ["$SRV.>", "$JS.EVENT.ADVISORY.>"] }'
    product = start_product(NATS_CONFIG=write_config(tmp_path / "nats.conf", rights=rights))
    with Load(product.stack.url(), total=200) as load:
        load.wait()
    for name in SERVICES:
        wait_until(f"{name} says why", lambda name=name: "nats_not_permitted" in log_of(product, name))
    product.stack.process("nats").stop()
    product.stack.start_nats()
    for name in SERVICES:
        wait_until(f"{name} is well", lambda name=name: product.stack.ready(product.stack.port(name)))
    with Load(product.stack.url(), total=200) as more:
        more.wait()
    product.reconcile(load.accepted + more.accepted)
    assert found(product) == []
    for name in SERVICES:
        assert len(denied(product, name, "$SRV.")) == 1
    wait_until("the gateway says what else it may not", lambda: denied(product, "gateway", "$JS.EVENT.ADVISORY."))
