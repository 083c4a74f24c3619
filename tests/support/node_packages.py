"""What the checks of files use that are node's: the packages of tests/package-lock.json."""

import fcntl
import json
import subprocess
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent


def version_of(name):
    package = TESTS / "node_modules" / name / "package.json"
    return json.loads(package.read_text())["version"] if package.exists() else None


def install():
    """Fetches them when one is missing or of another version; the stages of ./test that run side by side do it once."""
    with open(TESTS / "package-lock.json", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = json.loads((TESTS / "package.json").read_text())["devDependencies"]
        if all(version_of(name) == version for name, version in wanted.items()):
            return
        done = subprocess.run(["npm", "ci", "--prefix", TESTS, "--no-progress"], text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
