"""Looks for new inputs: builds the libFuzzer targets with clang and runs each for a while, two side by side.

What a target finds interesting stays in build/fuzz-corpus, so that the next run goes on from there. An input that
breaks one is kept in build/fuzz-crashes and the end of its output is returned; the mend puts it into tests/fuzz/corpus,
where every build replays it.
"""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "fuzz"
CRASHES = ROOT / "build" / "fuzz-crashes"
FOUND = ROOT / "build" / "fuzz-corpus"
SEEDS = ROOT / "tests" / "fuzz" / "corpus"
SECONDS = int(os.environ.get("ADLEDGER_FUZZ_SECONDS", "30"))
INPUT_MAX = 16 << 10  # larger ones only repeat what smaller ones do
SIDE_BY_SIDE = 2
SLACK_S = 60  # beyond the seconds: reading the corpora, one slow input


def configure_command():
    return ["cmake", "--preset", "asan", "-DCMAKE_C_COMPILER=clang", "-DADLEDGER_FUZZ=ON", "-B", str(BUILD)]


def build_command():
    return ["ninja", "-C", str(BUILD), "fuzz"]


def target_names():
    """A folder of seeds is a target; one without its program fails to start, and so fails."""
    return sorted(folder.name for folder in SEEDS.iterdir() if folder.is_dir())


def run_target(name, seconds=SECONDS, log_folder=ROOT / "build" / "test-logs"):
    """Returns None, or why the target failed."""
    for folder in (CRASHES, FOUND / name, log_folder):
        folder.mkdir(parents=True, exist_ok=True)
    log = log_folder / f"fuzz-{name}.log"
    argv = [BUILD / "tests" / "fuzz" / f"fuzz_{name}", f"-max_total_time={seconds}", f"-max_len={INPUT_MAX}", "-timeout=10",
            "-rss_limit_mb=1024", "-print_final_stats=1", f"-artifact_prefix={CRASHES}/{name}-", FOUND / name, SEEDS / name]
    with open(log, "w", encoding="utf-8") as out:
        try:
            done = subprocess.run([str(part) for part in argv], stdout=out, stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL, timeout=seconds + SLACK_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as why:
            return f"{name}: {why}"
    if done.returncode == 0:
        return None
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join([f"{name}: status {done.returncode}, {log}", *lines[-25:]])


def run_all():
    """Returns (how many passed, why the others failed)."""
    names = target_names()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        failures = [why for why in pool.map(run_target, names) if why is not None]
    return len(names) - len(failures), failures
