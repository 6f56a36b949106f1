"""Name every file of the evidence that the checker reads: its own table, apart from the writers'.

A name of a bundle is relative to its folder, one of a run to the run's.
"""

from __future__ import annotations

# of a bundle, and of the integrator's folder as far as it has them
STATUS = "STATUS.json"
FILES_CHANGED = "FILES_CHANGED.json"
PATCH = "DIFF.patch"
OBJECTS = "CHANGES.bundle"
SCOPE_LOCK = "SCOPE_LOCK.json"
ACTION = "ACTION.json"
SUMMARY = "SUMMARY.md"
BUNDLE_MANIFEST = "manifest.json"
LOGS = "LOGS/"
LOG_INDEX = f"{LOGS}INDEX.json"
ARTIFACTS = "ARTIFACTS/"

# of a run
RUN_MANIFEST = "RUN_MANIFEST.json"
PLAN = "PLAN.json"
Z = "Z_integrator"
MERGE = f"{Z}/MERGE.json"
MERGE_PLAN = f"{Z}/MERGE_PLAN.md"
REPORT = f"{Z}/FINAL_REPORT.md"
REPORT_TEXT = f"{Z}/FINAL_REPORT.txt"
REPORT_PAGE = f"{Z}/report.html"
JUNIT = f"{Z}/junit.xml"
SARIF = f"{Z}/results.sarif"
RENDERINGS = (REPORT, REPORT_TEXT, REPORT_PAGE, JUNIT, SARIF)
EGRESS = "EGRESS.json"
TIMINGS = "timings.tsv"
LEARNED = "LEARNED.json"
ENFORCEMENT = "raw/enforcement.tsv"

# below attestations/
ATTESTATIONS = "attestations/"
POLICY = f"{ATTESTATIONS}policy.json"
EVENTS = f"{ATTESTATIONS}ledger.jsonl"
CHECKPOINT = f"{ATTESTATIONS}checkpoint"
PROOF = f"{ATTESTATIONS}finished.tlog-proof"
STATEMENTS = f"{ATTESTATIONS}attestations.intoto.jsonl"
FILES_LIST = f"{ATTESTATIONS}files.sha256"
LISTS = tuple(f"{ATTESTATIONS}{name}.sha256" for name in ("bundles", "report", "ledger"))

# of the state folder
STATE_FOLDER = ".factory"
LEDGER = "ledger.jsonl"
LEDGER_CHECKPOINT = "ledger.checkpoint"
RUNS = "runs"
REBUILDS = "rebuilds"
REBUILD_ENDING = ".intoto.jsonl"
SIGNATURES = "signatures"
SIGNATURE_ENDING = ".intoto.jsonl"
