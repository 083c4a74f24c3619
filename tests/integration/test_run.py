"""The commands of the README: ./run in all its modes, in a directory of its own."""

import os
import signal
import subprocess
import time

import pytest
from product import ROOT, wait_until
from stack import SERVERS, SERVICES, free_port


@pytest.fixture
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    env = dict(os.environ, RUN_DIR=str(directory), PORT=str(free_port()), INGEST_PORT=str(free_port()), ANALYTICS_PORT=str(free_port()))
    env.pop("ADLEDGER_BINARIES", None)

    def call(*arguments, check=True):
        return subprocess.run([ROOT / "run", *arguments], env=env, text=True, capture_output=True, check=check, timeout=120)

    call.env, call.directory = env, directory
    yield call
    call("--clean")


def shell_variables(run):
    lines = run("--env").stdout.splitlines()
    assert all(line.startswith("export ") for line in lines)
    return dict(line.removeprefix("export ").split("=", 1) for line in lines)


def is_up(port):
    return subprocess.run(["curl", "-sf", f"http://localhost:{port}/health/ready"], capture_output=True, check=False).returncode == 0


def test_detach_status_env_restart_stop_and_clean(run):
    first = run("--detach")
    port = run.env["PORT"]
    assert f"localhost:{port}/api/v1/ads/click" in first.stdout and is_up(port)

    assert run("--status").stdout.count("ready") == 3
    variables = shell_variables(run)
    assert variables["PORT"] == port
    assert {"DATABASE_URL", "REDIS_URL", "NATS_URL"} <= set(variables)
    pids = {name: int(variables[f"{name.upper()}_PID"]) for name in (*SERVICES, *SERVERS)}
    for pid in pids.values():
        os.kill(pid, 0)

    for name in ("analytics", "redis"):
        os.kill(pids[name], signal.SIGKILL)
    wait_until("they are gone", lambda: run("--status", check=False).stdout.count("down") == 2)
    began = time.monotonic()
    run("--detach")
    assert time.monotonic() - began < 10
    again = shell_variables(run)
    assert again["GATEWAY_PID"] == variables["GATEWAY_PID"] and again["REDIS_PID"] != variables["REDIS_PID"]

    run("--stop")
    assert run("--status", check=False).returncode == 1 and not is_up(port)
    assert shell_variables(run)["GATEWAY_PID"] == "''"
    run("--clean")
    assert not (run.directory / "postgres").exists()


def test_ctrl_c_stops_everything(run):
    child = subprocess.Popen([ROOT / "run"], env=run.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    wait_until("it is ready", lambda: is_up(run.env["PORT"]), 60)
    time_left = time.monotonic() + 60
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0 and time.monotonic() < time_left, err
    assert "adledger is ready" in out
    assert run("--status", check=False).stdout.count("down") == 6


def test_a_taken_port_is_named_with_what_to_do(run):
    import socket
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(run.env["PORT"])))
        other.listen()
        done = run("--detach", check=False)
    assert done.returncode == 1 and "is taken" in done.stderr and "PORT=" in done.stderr
