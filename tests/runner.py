#!/usr/bin/python3
"""Runs every tier of tests and ends with one line: N passed, N failed.

Each stage is a function that returns counts; the table STAGES below says which tier runs it.
Full output of each stage is kept in build/test-logs/.
"""

import argparse
import atexit
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import xml.etree.ElementTree
from dataclasses import dataclass
from pathlib import Path

import fuzzing

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "test-logs"
TAIL_LINES, WHY_LINES = 40, 600  # of what a stage that fails has printed
OTHER = ROOT / "build" / "other"
JOBS = str(os.cpu_count() or 2)
SERVERS_BYTES = 4 << 30  # of memory, for the files of integration tests' servers
TELLING = threading.Lock()  # a stage's lines stand together


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    hint: str = ""  # the end of the output, when something failed


def memory_available():
    return int(re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="utf-8"))[1]) << 10


@functools.cache
def servers_directory():
    """Where the servers of integration tests keep their files: in memory, where there is room for them.

    ext4 spends a second of processor on the thousand files of a new PostgreSQL when another was deleted within the last
    minute. Nothing there is cut off from power; those of tests/faults and of bench are on the disk.
    """
    memory = Path("/dev/shm")
    room = os.statvfs(memory) if os.access(memory, os.W_OK) else None
    if room is None or room.f_flag & os.ST_NOEXEC or min(room.f_bavail * room.f_frsize, memory_available()) < SERVERS_BYTES:
        return tempfile.gettempdir()
    made = tempfile.mkdtemp(prefix="adledger-tests-", dir=memory)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    os.chmod(made, 0o755)  # PostgreSQL has a user of its own
    return made


def integration_env():
    return {**os.environ, "TMPDIR": servers_directory()}


def run(name, argv, timeout, **kwargs):
    """Runs a command with its output in a log; returns (exit status, output)."""
    if threading.current_thread() is not threading.main_thread():
        argv = ["nice", "-n", "5", *argv]
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name}.log"
    with open(log, "w", encoding="utf-8") as out:
        try:
            done = subprocess.run([str(part) for part in argv], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL, timeout=timeout, check=False, **kwargs)
            status = done.returncode
        except subprocess.TimeoutExpired:
            out.write(f"\n{name}: not done after {timeout} s\n")
            status = 124
    return status, log.read_text(encoding="utf-8", errors="replace")


def one_check(name, argv, timeout=900, **kwargs):
    status, output = run(name, argv, timeout, **kwargs)
    return Counts(passed=1) if status == 0 else Counts(failed=1, hint=tail(output))


def tail(output, lines=TAIL_LINES):
    return "\n".join(output.splitlines()[-lines:])


def why(output):
    """What pytest says of each failure, and its summary: what a test has printed may be longer than a tail."""
    whole = output.splitlines()
    begin = next((number for number, line in enumerate(whole) if re.match(r"=+ (ERRORS|FAILURES) =+$", line)), None)
    if begin is None:
        return tail(output)
    told, rest = whole[begin:begin + WHY_LINES], whole[begin + WHY_LINES:]
    left_out = len(rest) - TAIL_LINES
    return "\n".join([*told, *([f"... {left_out} lines left out ..."] if left_out > 0 else []), *rest[-TAIL_LINES:]])


def build(preset, *targets):
    return one_check(f"build-{preset}", ["tools/build", preset, *targets])


def ctest(preset, label, *targets):
    """Builds a preset, or targets of it, and runs its cmocka programs; counts the tests inside them."""
    built = build(preset, *targets)
    if built.failed:
        return built
    name = f"{label}-{preset}"
    env = dict(integration_env() if label == "integration" else os.environ, ASAN_OPTIONS="detect_leaks=1",
               TSAN_OPTIONS="halt_on_error=1", CMOCKA_MESSAGE_OUTPUT="stdout", NATS_SERVER=str(ROOT / ".run" / "bin" / "nats-server"))
    jobs = JOBS if label == "unit" else "1"
    status, output = run(name, ["ctest", "--test-dir", f"build/{preset}", "-L", label, "-j", jobs, "--verbose",
                                "--no-tests=error"], 900, env=env)
    passed = sum(map(int, re.findall(r"\[  PASSED  \] (\d+) test", output)))
    failed = sum(map(int, re.findall(r"\[  FAILED  \] (\d+) test", output)))
    if status != 0 and failed == 0:
        failed = 1  # a program crashed, hung or was not found
    if failed:
        bad = [line for line in output.splitlines() if re.search(r"FAILED|\*\*\*|ERROR|error:|assert|SUMMARY", line)]
        return Counts(passed, failed, hint="\n".join(bad[:60]))
    return Counts(passed)


def pytest(name, paths, extra=(), env=None):
    report = LOGS / f"{name}.xml"
    LOGS.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    status, output = run(name, ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}",
                                *extra, *paths], 3600, env=env)
    try:
        suite = xml.etree.ElementTree.parse(report).getroot().find("testsuite")
        count = {key: int(suite.get(key)) for key in ("tests", "failures", "errors", "skipped")}
    except (OSError, AttributeError, xml.etree.ElementTree.ParseError):
        return Counts(failed=1, hint=tail(output))
    failed = count["failures"] + count["errors"]
    counts = Counts(count["tests"] - failed - count["skipped"], failed, count["skipped"], why(output) if failed else "")
    if status not in (0, 5) and failed == 0:
        counts.failed, counts.hint = 1, tail(output, 80)
    return counts


def git(*argv):
    done = subprocess.run(["git", "-C", str(ROOT), *map(str, argv)], text=True, capture_output=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def build_other():
    """The newest version whose services are not these, for tests/faults/test_upgrade.py, in a worktree that the next run goes on with."""
    if os.environ.get("ADLEDGER_OTHER_BUILD"):
        return Counts(hint="ADLEDGER_OTHER_BUILD names one")
    changed = git("log", "-1", "--format=%H", "--", "services", "shared", "config/sql")
    other = changed and git("rev-parse", "--verify", "--quiet", f"{changed}~1")
    if not other:
        return Counts(skipped=1, hint="no earlier version is here to upgrade from: a shallow clone (git fetch --unshallow), or no clone at all")
    to = ["-C", OTHER, "checkout", "--quiet", "--detach"] if (OTHER / ".git").exists() else ["worktree", "add", "--quiet", "--force", "--detach", OTHER]
    if git(*to, other) is None:
        return Counts(failed=1, hint=f"git {' '.join(map(str, to))} {other} failed: it may help to delete {OTHER}")
    os.environ["ADLEDGER_OTHER_BUILD"] = str(OTHER / "build" / "release")
    return one_check("build-other", [OTHER / "tools" / "build", "release", "services"])


def fuzz():
    """Each parser of outside bytes against inputs of a fuzzer's making; only under --full, it takes minutes."""
    for ready in (one_check("fuzz-configure", fuzzing.configure_command()), one_check("fuzz-build", fuzzing.build_command())):
        if ready.failed:
            return ready
    passed, failures = fuzzing.run_all()
    return Counts(passed, len(failures), hint="\n".join(failures))


def deployment():
    """The compose file on a private engine; needs packages and rights that the other tiers do without."""
    for ready in (one_check("setup-deploy", ["tools/setup", "deploy"]), build("release", "services")):
        if ready.failed:
            return ready
    return pytest("deployment", ["tests/deploy"], ["-x"])


def soak(minutes, seed):
    """Told as it goes, for nobody waits hours for a log."""
    built = build("release", "services", "fault_load")
    if built.failed:
        print(built.hint)
        return 1
    again = ["--seed", str(seed)] if seed is not None else []
    return subprocess.run(["/usr/bin/python3", "tests/faults/soak.py", str(minutes), *again], cwd=ROOT, check=False).returncode


# Of the integration tests, those that wait for deadlines more than for a processor.
WAITING = [f"tests/integration/test_{name}.py"
           for name in ("discovery", "encryption", "gateway_stop", "nats_logins", "shutdown")]

# Name, tiers that run it, and what it does. Cheap ones first: a mistake shows early. Tests of a running product
# mostly wait, so the stages of the tier "beside" run at the same time, at a lower priority.
STAGES = [
    ("format", "quick full", lambda: one_check("format", ["tests/lint/format"])),
    ("layers", "quick full", lambda: one_check("layers", ["/usr/bin/python3", "tests/lint/layers.py"])),
    ("unit (dev)", "quick full", lambda: ctest("dev", "unit")),
    ("build (release)", "full faults", lambda: build("release", "services", "importer", "fault_load")),
    ("build (other)", "faults", build_other),
    ("integration (C)", "beside", lambda: ctest("dev", "integration")),
    ("deployment files", "beside", lambda: pytest("deployment-files", ["tests/deploy/test_files.py", "tests/deploy/test_manifests.py"])),
    ("pods", "full", lambda: pytest("pods", ["tests/deploy/test_pods.py"])),
    ("monitoring rules", "beside", lambda: pytest("monitoring-rules", ["tests/monitoring/test_rules.py", "tests/monitoring/test_dashboards.py"])),
    ("broken on purpose", "beside", lambda: pytest("broken-on-purpose", ["tests/deploy/test_breaks.py"])),
    ("contract", "full", lambda: pytest("contract", ["tests/contract"])),
    ("integration", "full", lambda: pytest("integration", ["tests/integration"], [f"--ignore={path}" for path in WAITING], env=integration_env())),
    ("monitoring", "slow", lambda: pytest("monitoring", ["tests/monitoring/test_live.py"])),
    ("faults (fast)", "full", lambda: pytest("faults-fast", ["tests/faults"], ["-m", "fast"])),
    ("faults", "faults", lambda: pytest("faults", ["tests/faults"])),
    ("unit (asan)", "beside", lambda: ctest("asan", "unit", "unit_tests")),
    ("unit (tsan)", "beside", lambda: ctest("tsan", "unit", "unit_tests")),
    ("build (clang)", "beside", lambda: one_check("clang", ["tests/lint/clang-build"])),
    ("clang-tidy", "beside", lambda: one_check("tidy", ["tests/lint/tidy"], timeout=1200)),
    ("integration (waits)", "beside", lambda: pytest("integration-waits", WAITING, env=integration_env())),
    ("fuzz", "slow", fuzz),
    ("deployment", "deploy", deployment),
]


def run_stage(stage, total):
    name, _, test = stage
    began = time.monotonic()
    try:
        counts = test()
    except Exception:  # it would end the thread beside, and no more
        counts = Counts(failed=1, hint=traceback.format_exc())
    seconds = time.monotonic() - began
    note = f", {counts.skipped} skipped" if counts.skipped else ""
    with TELLING:
        print(f"{name:<19} {counts.passed:>5} passed, {counts.failed} failed{note}  ({seconds:.1f} s)", flush=True)
        if counts.failed or not counts.passed:
            print("\n".join("    " + line for line in counts.hint.splitlines()), flush=True)
        total.passed += counts.passed
        total.failed += counts.failed
        total.skipped += counts.skipped


def run_beside(stages, total):
    for stage in stages:
        run_stage(stage, total)


def main():
    parser = argparse.ArgumentParser(prog="./test", description="Installs, builds and runs every test.")
    parser.add_argument("--quick", action="store_true", help="format, layers and unit tests alone")
    parser.add_argument("--full", action="store_true",
                        help="the slow tests too: the recorded clicks again with each service killed, 30 s of fuzzing a parser")
    parser.add_argument("--deploy", action="store_true", help="the images and docker-compose.prod.yaml alone, on a container engine of its own (root)")
    parser.add_argument("--faults", action="store_true", help="the whole fault matrix on real servers, and nothing else: docs/reliability.md")
    parser.add_argument("--soak", metavar="MINUTES", type=float, help="random faults under load for so long, and nothing else")
    parser.add_argument("--seed", type=int, help="of --soak: the faults of an earlier run again")
    parser.add_argument("--only", metavar="WORD", help="the stages whose name contains WORD")
    args = parser.parse_args()

    if args.full:
        os.environ["ADLEDGER_FULL"] = "1"
    if args.soak is not None:
        return soak(args.soak, args.seed)
    running = ({"quick"} if args.quick else {"deploy"} if args.deploy else {"faults"} if args.faults
               else {"full", "slow"} if args.full else {"full"})
    chosen = [stage for stage in STAGES if not args.only or args.only in stage[0]]
    total = Counts()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what atexit deletes is deleted then, too
    beside = threading.Thread(target=run_beside, daemon=True, args=([stage for stage in chosen if stage[1] == "beside"], total))
    for stage in chosen:
        if running.isdisjoint(stage[1].split()):
            continue
        run_stage(stage, total)
        if stage[0] == "build (release)" and "full" in running:
            beside.start()
    if "full" in running and not beside.ident:
        beside.start()
    if beside.ident:
        beside.join()
    if total.skipped:
        print(f"{total.skipped} skipped: another tier runs them, or this machine cannot")
    print(f"{total.passed} passed, {total.failed} failed")
    return 0 if total.failed == 0 and total.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
