#!/usr/bin/python3
"""No include points the wrong way, and no file has grown past the sizes of docs/style.md."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LAYERS = ["base", "runtime", "event", "clients", "http"]  # each may include those before it
SERVICES = ["gateway", "ingest", "analytics"]
LINES_MAX = {".c": 500, ".h": 200}


def tracked():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.c", "*.h", "*.def"],
                            cwd=ROOT, text=True, capture_output=True, check=True).stdout
    return [Path(name) for name in listed.splitlines() if (ROOT / name).exists()]


def allowed(path):
    """The folders whose headers this file may include."""
    area, part = path.parts[0], path.parts[1]
    if area == "shared":
        return LAYERS[: LAYERS.index(part) + 1]
    return LAYERS


def problems(path):
    text = (ROOT / path).read_text()
    lines = text.count("\n")
    limit = LINES_MAX.get(path.suffix)
    if limit and lines > limit:
        yield f"{path}: {lines} lines, more than {limit}: it has become two modules"
    if path.parts[0] not in ("shared", "services"):
        return
    for folder in re.findall(r'^#include "([a-z]+)/', text, re.M):
        if folder in LAYERS and folder not in allowed(path):
            yield f"{path}: includes {folder}/, which is a layer below it"
        if folder in SERVICES:
            yield f"{path}: includes another service's header ({folder}/)"


def main():
    found = [problem for path in tracked() for problem in problems(path)]
    print("\n".join(found) if found else "every include points up the layers")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
