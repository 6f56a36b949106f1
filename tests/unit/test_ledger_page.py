"""Compare the tables of LEDGER.md with the members, types and actors of events in the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from factory.model.evidence import EventDocument

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/factory/LEDGER.md").read_text("utf-8")


def test_each_table_is_what_the_script_prints() -> None:
    words = [sys.executable, str(ROOT / "scripts" / "events.py")]
    printed = subprocess.run(words, capture_output=True, check=True).stdout.decode("utf-8")
    tables = printed.strip().split("\n\n")
    assert len(tables) == 3
    for table in tables:
        assert f"\n{table}\n\n" in PAGE, "print it again with scripts/events.py"


def test_members() -> None:
    rows = PAGE.split("| member | meaning |\n", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    told = [name for row in rows for name in re.findall("`([a-z_]+)`", row.split("|")[1])]
    assert sorted(told) == sorted(EventDocument.model_fields)
