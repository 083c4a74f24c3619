"""How the services log in to NATS besides by user and password: a JWT with the seed of its nkey, and a token."""

import os

from nats_jwt import Operator, credentials
from product import ROOT, SERVICES, Load, wait_until

# What docs/operations.md says that a user with limited rights needs.
RIGHTS = {"allow": ["_INBOX.>", "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.*", "$SRV.>"]}


def write_config(path, logins):
    """The product's own configuration of NATS, with these logins."""
    path.write_text((ROOT / "config" / "nats.conf").read_text().partition("authorization {")[0] + logins)
    return str(path)


def put(path, text):
    """A file that is never half there."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def log_of(product, name):
    return product.stack.process(name).log_file.read_text(errors="replace")


def says_why(product, name):
    wait_until(f"{name} says that it is not let in", lambda: "nats_connect_failed" in log_of(product, name))


def clicks(product, total=100):
    """Their ids; each was accepted."""
    with Load(product.stack.url(), connections=4, total=total) as load:
        load.wait()
    assert load.statuses == {202: total}
    return load.accepted


def is_refused_by_signature(product):
    """NATS has refused somebody whose account it knows."""
    log = log_of(product, "nats")
    return log.count("authentication error") > log.count("account missing")


def test_a_credentials_file_lets_in_and_a_new_one_is_read_without_a_signal(start_product, tmp_path):
    operator, path = Operator(), tmp_path / "nats.creds"
    right, stranger = operator.user(sub=RIGHTS), Operator().user()
    put(path, credentials(*right))
    product = start_product(NATS_CONFIG=write_config(tmp_path / "nats.conf", operator.config()), NATS_CREDS_FILE=str(path), NATS_LOGIN="")
    accepted = clicks(product)
    product.reconcile(accepted)
    assert "authentication error" not in log_of(product, "nats")

    product.stack.process("nats").stop()
    put(path, credentials(*stranger))
    product.stack.start_nats()
    for name in SERVICES:
        says_why(product, name)
    put(path, credentials(right[0], stranger[1]))
    wait_until("the seed of another user is tried, and refused", lambda: is_refused_by_signature(product))
    accepted += clicks(product)
    assert product.metric("spool_events") > 0
    put(path, credentials(*right))
    product.reconcile(accepted)
    wait_until("the spool is empty", lambda: product.metric("spool_events") == 0)

    for name in SERVICES:
        assert "nats_not_permitted" not in log_of(product, name)
        assert not [secret for secret in (*right, *stranger) if secret in log_of(product, name)]


def test_a_token_in_the_url_lets_in(start_product, tmp_path):
    token = "t" + os.urandom(16).hex()
    product = start_product(NATS_CONFIG=write_config(tmp_path / "nats.conf", f"authorization {{ token: {token} }}\n"), NATS_LOGIN=f"{token}@")
    product.reconcile(clicks(product))

    product.stack.process("gateway").stop()
    product.stack.extra_env["NATS_LOGIN"] = f"{token}x@"
    product.stack.start_service("gateway")
    says_why(product, "gateway")
    assert token not in log_of(product, "gateway")
