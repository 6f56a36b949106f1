"""Define the exact form of names that appear in files and paths."""

from __future__ import annotations

import re

PACK_FILES = ("task.yml", "spec.md", "acceptance.yml", "risk.md", "runbook.md")
GRANTS_VARIABLE = "FACTORY_GRANTS"
CONFIG_FILE = "factory.toml"

PACK_ID = re.compile(r"[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+(?:-[a-z0-9][a-z0-9._-]*)?")
PACK_FOLDER = re.compile(
    r"(?P<id>[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+)(?:-(?P<slug>[a-z0-9][a-z0-9._-]*))?"
)
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
SHA256 = re.compile(r"[0-9a-f]{64}")

# Variables that are looked at by name, those of earlier versions included.
NAMED_PREFIXES = (
    *("FACTORY_", "ORCH_", "TASKPACK_PATH", "MAX_", "MODE", "BASE_BRANCH", "BRANCH_PREFIX"),
    *("PR_BASE", "OPEN_PR_ON_FAILURE", "SKIP_REVIEW_CHECKS", "CODEX_REVIEW_STRICT"),
)
AFTER_RUN_REVIEW = "ORCH_COLLECT_REVIEW"
AFTER_RUN_INDEX = "ORCH_WRITE_EVIDENCE_INDEX"
