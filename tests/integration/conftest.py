"""Real servers and the product's own binaries for every test."""

import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from product import Product, Stack  # noqa: E402


def make_product(**env):
    directory = tempfile.mkdtemp(prefix="adledger-test-")
    Path(directory).chmod(0o755)
    stack = Stack(directory, prefer_ports=False, env={"LOG_LEVEL": "info", **env})
    stack.start()
    return Product(stack)


def end(product):
    stopped = product.stack.stop()
    product.stack.clean()
    product.stack.dir.rmdir()
    assert stopped, "a process did not stop in time"


@pytest.fixture(scope="module")
def product():
    """A whole adledger of its own for the tests of one file."""
    running = make_product()
    yield running
    end(running)


@pytest.fixture
def start_product():
    """Starts a product with settings of its own: start_product(PARTITIONS="4")."""
    started = []

    def start(**env):
        started.append(make_product(**env))
        return started[-1]

    yield start
    for running in started:
        end(running)
