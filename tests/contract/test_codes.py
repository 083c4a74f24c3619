"""The codes of errors: declared in shared/event/faults.def, answered by the code, listed in docs/api.md."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def declared():
    """Code by name, and status by code."""
    rows = re.findall(r'^FAULT\((\w+), "(\w+)", (\d+), "[^"]+"\)$', (ROOT / "shared/event/faults.def").read_text(), re.M)
    assert rows
    return {name: code for name, code, _ in rows}, {code: status for _, code, status in rows}


def documented():
    """Status by code, as the page's last section has them: 400 `a` `b` · 404 `c`."""
    section = (ROOT / "docs/api.md").read_text().split("\n## Codes\n")[1].split("\n## ")[0]
    return {code: status for status, codes in re.findall(r"(\d{3})((?:\s+`\w+`)+)", section) for code in re.findall(r"`(\w+)`", codes)}


def test_every_code_is_documented_with_its_status():
    _, statuses = declared()
    assert documented() == statuses


def test_every_code_is_answered_somewhere():
    names, _ = declared()
    sources = "".join(path.read_text() for folder in ("shared", "services/gateway") for path in (ROOT / folder).rglob("*.c"))
    assert not [name for name in names if f"FAULT_{name}" not in sources]


def test_codes_stand_in_the_order_of_their_status():
    _, statuses = declared()
    assert list(statuses.values()) == sorted(statuses.values())
    assert list(documented().values()) == sorted(documented().values())
