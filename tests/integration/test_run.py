"""The commands of the README: ./run in all its modes, in a directory of its own."""

import json
import os
import signal
import subprocess
import time

import pytest
from product import ROOT, wait_until
from processes import free_port
from stack import SERVERS, SERVICES


@pytest.fixture
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    env = dict(os.environ, RUN_DIR=str(directory), PORT=str(free_port()), INGEST_PORT=str(free_port()), ANALYTICS_PORT=str(free_port()))
    env.pop("ADLEDGER_BINARIES", None)

    def call(*arguments, check=True, **settings):
        done = subprocess.run([ROOT / "run", *arguments], env={**env, **settings}, text=True, capture_output=True, check=False, timeout=120)
        assert not check or done.returncode == 0, done.stderr
        return done

    call.env, call.directory = env, directory
    yield call
    call("--clean")


def shell_variables(run):
    lines = run("--env").stdout.splitlines()
    assert all(line.startswith("export ") for line in lines)
    return dict(line.removeprefix("export ").split("=", 1) for line in lines)


def ask(port, path):
    return subprocess.run(["curl", "-sf", f"http://localhost:{port}{path}"], text=True, capture_output=True, check=False)


def is_up(port):
    return ask(port, "/health/ready").returncode == 0


def count_down(run):
    return run("--status", check=False).stdout.count("down")


def test_detach_status_env_restart_stop_and_clean(run):
    assert shell_variables(run)["PORT"] == run.env["PORT"], "before the first start, too"
    first = run("--detach")
    port = run.env["PORT"]
    assert f"localhost:{port}/api/v1/ads/click" in first.stdout and is_up(port)
    assert f'eval "$(RUN_DIR={run.directory} ./run --env)"' in first.stdout

    assert run("--status").stdout.count("ready") == 3
    variables = shell_variables(run)
    assert variables["PORT"] == port
    assert {"DATABASE_URL", "REDIS_URL", "NATS_URL"} <= set(variables)
    pids = {name: int(variables[f"{name.upper()}_PID"]) for name in (*SERVICES, *SERVERS)}
    for pid in pids.values():
        os.kill(pid, 0)

    for name in ("analytics", "redis", "nats"):
        os.kill(pids[name], signal.SIGKILL)
    wait_until("they are gone", lambda: count_down(run) == 3)
    failed = run("--detach", check=False, ANALYTICS_HOST="192.0.2.1")  # well-formed, and not ours
    assert failed.returncode == 1 and "analytics did not become ready" in failed.stderr
    assert count_down(run) == 3 and shell_variables(run)["GATEWAY_PID"] == variables["GATEWAY_PID"], "what it started is stopped, what ran goes on"

    began = time.monotonic()
    run("--detach")
    assert json.loads(ask(port, "/health").stdout)["status"] == "ok"
    assert time.monotonic() - began < 30
    again = shell_variables(run)
    assert again["GATEWAY_PID"] == variables["GATEWAY_PID"] and again["REDIS_PID"] != variables["REDIS_PID"]

    run("--stop")
    assert run("--status", check=False).returncode == 1 and not is_up(port)
    assert shell_variables(run)["GATEWAY_PID"] == "''"
    run("--clean")
    assert not (run.directory / "postgres").exists()


def run_in_foreground(run, end):
    """What it said and its status, after end(child) has been called on the one that is ready."""
    child = subprocess.Popen([ROOT / "run"], env=run.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    assert "adledger is ready.\n" in child.stdout, child.stderr.read()  # reads on until it says so, or ends
    end(child)
    _, err = child.communicate(timeout=60)
    assert count_down(run) == 6
    return err, child.returncode


def test_the_foreground_ends_with_ctrl_c_and_with_any_process(run):
    err, status = run_in_foreground(run, lambda child: os.killpg(child.pid, signal.SIGINT))
    assert status == 0, err
    err, status = run_in_foreground(run, lambda _: os.kill(int(shell_variables(run)["ANALYTICS_PID"]), signal.SIGKILL))
    assert status == 1 and "analytics has ended" in err


@pytest.mark.parametrize("option", ["--stop", "--clean"])
def test_the_foreground_that_is_stopped_from_elsewhere_ends_well(run, option):
    err, status = run_in_foreground(run, lambda _: run(option))
    assert status == 0 and "stopped by ./run --stop" in err and "has ended" not in err, err
    assert (run.directory / "stopping").exists() == (option == "--stop"), "what was cleaned stays clean"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_first_start_that_is_interrupted_while_it_makes_the_database_can_be_begun_again(run, number):
    heeding = ["env", "--default-signal=HUP"]  # whoever runs the tests may do so under nohup, which ./run respects
    child = subprocess.Popen([*heeding, ROOT / "run", "--detach"], env=run.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    wait_until("initdb has begun", lambda: any(run.directory.glob("postgres*/PG_VERSION")))
    os.kill(child.pid, number)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130 and count_down(run) == 6, err
    run("--detach")
    assert is_up(run.env["PORT"]) and not any(run.directory.glob("postgres.new*"))


def test_a_wrong_setting_is_told_before_anything_starts(run):
    done = run("--detach", check=False, RATE_LIMIT_RPS="foo")
    assert done.returncode == 1 and "gateway refuses its settings: config: RATE_LIMIT_RPS" in done.stderr
    assert "starting" not in done.stderr and count_down(run) == 6


def test_a_taken_port_is_named_with_what_to_do(run):
    import socket
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(run.env["PORT"])))
        other.listen()
        done = run("--detach", check=False)
    assert done.returncode == 1 and f"is taken: choose another with PORT=8090 RUN_DIR={run.directory} ./run" in done.stderr


@pytest.mark.parametrize("option", ["--clean", "--detach"])
@pytest.mark.parametrize(("name", "text"), [("letter.txt", ""), ("settings.json", "[]"), ("settings.json", "null"), ("settings.json", "{")])
def test_a_directory_of_somebody_else_is_left_alone(run, tmp_path, option, name, text):
    (tmp_path / name).write_text(text)
    done = run(option, check=False, RUN_DIR=str(tmp_path))
    assert done.returncode == 1 and f"{tmp_path} is not adledger's" in done.stderr
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, text)]


@pytest.mark.parametrize("option", ["--detatch", "--det", "--sec"])
def test_an_option_that_is_none_is_told(run, option):
    done = run(option, check=False)
    assert done.returncode == 2 and f"unrecognized arguments: {option}" in done.stderr and not any(run.directory.iterdir())


def test_the_addresses_of_one_stack_do_not_start_another_on_them(run):
    run("--detach")
    second = {"RUN_DIR": f"{run.directory}-2", "PORT": str(free_port())}  # in a shell that has evaluated --env
    done = run("--detach", check=False, **second)
    run("--clean", **second)
    assert done.returncode == 1 and "is taken: INGEST_PORT asks for it: set another, or none" in done.stderr


def test_clean_deletes_what_is_its_own_behind_a_link(run, tmp_path):
    """Somebody's PostgreSQL on another disk, and what lies beside it."""
    (tmp_path / "pg").mkdir()
    (tmp_path / "letter.txt").touch()
    run("--stop")
    (run.directory / "postgres").symlink_to(tmp_path / "pg")
    run("--clean")
    assert not any(run.directory.iterdir()) and (tmp_path / "letter.txt").exists()
