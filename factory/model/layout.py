"""Define every path of the state folder and of the evidence, as values.

    >>> BundleFolder.of("TASK-0101").status
    'bundles/TASK-0101/STATUS.json'
    >>> RunFolder.of("run_1").integrator.report
    'runs/run_1/Z_integrator/FINAL_REPORT.md'
    >>> IN_BUNDLE.log("tests.1")  # relative to the folder of any bundle
    'LOGS/tests.1.log'
    >>> shown(LEDGER)
    '.factory/ledger.jsonl'

A path is POSIX and relative to the state folder, unless its name says otherwise. No other module
builds such a path from strings (`tests/unit/test_layout.py`); `verify` has names of its own in
`verify/paths.py`. Does not know what the files contain.
"""

from __future__ import annotations

STATE_FOLDER = ".factory"


def shown(path: str = "") -> str:
    """Return `path` of the state folder as people read it: relative to the repository."""
    return f"{STATE_FOLDER}/{path}" if path else STATE_FOLDER


class Folder(str):
    """Represent a folder; the empty string is the folder that paths are relative to."""

    __slots__ = ()

    def at(self, path: str) -> str:
        """Return the path of what lies at `path` in this folder."""
        return f"{self}/{path}" if self else path


class ChangeFolder(Folder):
    """Name the files that a bundle and the integrator's folder have in common: those of a
    change.
    """

    __slots__ = ()

    @property
    def status(self) -> str:
        return self.at("STATUS.json")

    @property
    def files_changed(self) -> str:
        return self.at("FILES_CHANGED.json")

    @property
    def patch(self) -> str:
        return self.at("DIFF.patch")

    @property
    def objects(self) -> str:
        return self.at("CHANGES.bundle")

    @property
    def logs(self) -> Folder:
        return Folder(self.at("LOGS"))

    @property
    def log_index(self) -> str:
        return self.at("LOGS/INDEX.json")

    def log(self, label: str) -> str:
        """Return the path of the normalised log of the command with this label."""
        return self.at(f"LOGS/{label}.log")


class BundleFolder(ChangeFolder):
    """Name the files of one pack's bundle: `bundles/<PACK>/`, and its copy `runs/<RUN>/<PACK>/`."""

    __slots__ = ()

    @classmethod
    def of(cls, pack_id: str) -> BundleFolder:
        """Return the folder of the latest bundle of a pack."""
        return cls(f"{BUNDLES}/{pack_id}")

    @property
    def manifest(self) -> str:
        return self.at("manifest.json")

    @property
    def action(self) -> str:
        return self.at("ACTION.json")

    @property
    def scope_lock(self) -> str:
        return self.at("SCOPE_LOCK.json")

    @property
    def summary(self) -> str:
        return self.at("SUMMARY.md")

    @property
    def artifacts(self) -> Folder:
        return Folder(self.at("ARTIFACTS"))


class IntegratorFolder(ChangeFolder):
    """Name the files of the integrator Z and of the report: `runs/<RUN>/Z_integrator/`."""

    __slots__ = ()

    @property
    def merge(self) -> str:
        return self.at("MERGE.json")

    @property
    def merge_plan(self) -> str:
        return self.at("MERGE_PLAN.md")

    @property
    def report(self) -> str:
        return self.at("FINAL_REPORT.md")

    @property
    def report_text(self) -> str:
        return self.at("FINAL_REPORT.txt")

    @property
    def report_page(self) -> str:
        return self.at("report.html")

    @property
    def junit(self) -> str:
        return self.at("junit.xml")

    @property
    def sarif(self) -> str:
        return self.at("results.sarif")

    @property
    def renderings(self) -> tuple[str, ...]:
        """Return the verdict's renderings for people and programs, made from `status` and the
        bundles.
        """
        return (self.report, self.report_text, self.report_page, self.junit, self.sarif)

    @property
    def scratch(self) -> Folder:
        """Return the folder of Z's temporary files; removed after Z ended."""
        return Folder(self.at("scratch"))


class AttestationsFolder(Folder):
    """Name the files that attest a run: `runs/<RUN>/attestations/`."""

    __slots__ = ()

    @property
    def policy(self) -> str:
        return self.at("policy.json")

    @property
    def ledger(self) -> str:
        """Return the path of this run's events, the same lines as in the ledger."""
        return self.at("ledger.jsonl")

    @property
    def checkpoint(self) -> str:
        return self.at("checkpoint")

    @property
    def proof(self) -> str:
        """Return the path of the proof that the run's last event is in the checkpoint's tree."""
        return self.at("finished.tlog-proof")

    @property
    def statements(self) -> str:
        return self.at("attestations.intoto.jsonl")

    @property
    def bundles_list(self) -> str:
        return self.at("bundles.sha256")

    @property
    def report_list(self) -> str:
        return self.at("report.sha256")

    @property
    def ledger_list(self) -> str:
        return self.at("ledger.sha256")

    @property
    def files_list(self) -> str:
        return self.at("files.sha256")


class RawFolder(Folder):
    """Name observations that depend on time or host: `runs/<RUN>/raw/`. No verdict depends on them,
    and `gc` may remove them.
    """

    __slots__ = ()

    @property
    def enforcement(self) -> str:
        return self.at("enforcement.tsv")

    def pack(self, pack_id: str) -> RawPackFolder:
        """Return the folder of one pack."""
        return RawPackFolder(self.at(pack_id))

    def crash(self, name: str) -> str:
        """Return the path of the traceback of what broke in the task with this name."""
        return self.at(f"crash-{name.replace(':', '-')}.txt")


class RawPackFolder(Folder):
    """Name observations of one pack: `runs/<RUN>/raw/<PACK>/`."""

    __slots__ = ()

    @property
    def egress(self) -> str:
        return self.at("EGRESS.json")

    @property
    def denied(self) -> str:
        return self.at("DENIED.json")

    def merged(self, label: str) -> str:
        """Return the path of the log of what asked the judge on the merged tree."""
        return self.at(f"merged/{label}.log")

    def attempt(self, number: int) -> AttemptFolder:
        """Return the folder of one attempt, counted from 1."""
        return AttemptFolder(self.at(f"attempt-{number}"))


class AttemptFolder(Folder):
    """Name output and times of one attempt: `runs/<RUN>/raw/<PACK>/attempt-<N>/`."""

    __slots__ = ()

    @property
    def timings(self) -> str:
        return self.at("timings.tsv")

    @property
    def normalized(self) -> str:
        return self.at("normalized.tsv")

    @property
    def learned(self) -> str:
        """Return the path of what the attempt could read of the last one."""
        return self.at("LEARNED.json")

    def log(self, label: str) -> str:
        """Return the path of the raw log of the command with this label."""
        return self.at(f"{label}.log")


class RunFolder(Folder):
    """Name the evidence of one run: `runs/<RUN>/`."""

    __slots__ = ()

    @classmethod
    def of(cls, run_id: str) -> RunFolder:
        """Return the folder of a run."""
        return cls(f"{RUNS}/{run_id}")

    @property
    def manifest(self) -> str:
        """Return the path of the digests of every other file of the run; written last."""
        return self.at("RUN_MANIFEST.json")

    @property
    def plan(self) -> str:
        """Return the path of the plan: written before any pack runs, and the input of every
        phase.
        """
        return self.at("PLAN.json")

    @property
    def started(self) -> str:
        """Return the path of a file that reserves the run id before the ledger names it."""
        return self.at("locks/started.txt")

    @property
    def locks(self) -> Folder:
        return Folder(self.at("locks"))

    @property
    def raw(self) -> RawFolder:
        return RawFolder(self.at("raw"))

    @property
    def integrator(self) -> IntegratorFolder:
        return IntegratorFolder(self.at("Z_integrator"))

    @property
    def attestations(self) -> AttestationsFolder:
        return AttestationsFolder(self.at("attestations"))

    def bundle(self, pack_id: str) -> BundleFolder:
        """Return the folder of the bundle of a pack in this run."""
        return BundleFolder(self.at(pack_id))


class LastFolder(Folder):
    """Name copies of the latest PASS, without a time in any name: `last/`. For a project's own
    tasks, which depend on files; nothing of ours reads them.
    """

    __slots__ = ()

    @property
    def current(self) -> str:
        """Return the path of the verdict of the latest run, PASS or not."""
        return self.at("CURRENT.json")

    @property
    def tree(self) -> str:
        """Return the path of the id of the merged tree, as a line."""
        return self.at("TREE")

    @property
    def status(self) -> str:
        return self.at("STATUS.json")

    @property
    def patch(self) -> str:
        return self.at("DIFF.patch")

    @property
    def report(self) -> str:
        return self.at("FINAL_REPORT.md")

    def pack(self, pack_id: str) -> BundleFolder:
        """Return the folder of one pack: status, patch and artifacts, and the manifest of the
        bundle that they were taken from.
        """
        return BundleFolder(self.at(pack_id))


IN_BUNDLE = BundleFolder("")
IN_RUN = RunFolder("")
IN_RAW = RawFolder("")
INTEGRATOR = IN_RUN.integrator
ATTESTATIONS = IN_RUN.attestations
NOT_PACKS = frozenset((IN_RUN.raw, IN_RUN.locks, ATTESTATIONS, INTEGRATOR))

BUNDLES = Folder("bundles")
CACHE = Folder("cache")
GIT = Folder("git")
LOCKS = Folder("locks")
MARKERS = Folder("state")
RUNS = Folder("runs")
WORKTREES = Folder("worktrees")
TRASH = Folder("trash")
LAST = LastFolder("last")
REVIEWS = Folder("reviews")
REBUILDS = Folder("rebuilds")
SIGNATURES = Folder("signatures")
DETERMINISM = Folder("determinism")
ENVIRONMENTS = Folder("environments")
FOLDERS = (BUNDLES, CACHE, ENVIRONMENTS, GIT, LOCKS, RUNS, MARKERS, WORKTREES)

LEDGER = "ledger.jsonl"
LEDGER_CHECKPOINT = "ledger.checkpoint"
LEDGER_LOCK = LOCKS.at("ledger.lock")
LEDGER_HEAD = MARKERS.at("ledger.json")
DOIT_DATABASE = MARKERS.at("doit.sqlite3")
GITIGNORE = ".gitignore"
EVIDENCE_INDEX = "evidence-index.json"
SURVEYS = Folder(CACHE.at("evidence"))
SURVEYS_HEAD = SURVEYS.at("head.json")
SURVEYS_OF_RUNS = Folder(CACHE.at("index"))
VIEWS = Folder(CACHE.at("views"))
CHECKS = Folder(CACHE.at("checks"))
MEMORY = CACHE.at("memory")
TOOLS = CACHE.at("tools.json")
GIT_SCRATCH = Folder(GIT.at("scratch"))
GIT_OBJECTS = Folder(GIT.at("objects"))


def marker(phase: str, pack_id: str = "") -> str:
    """Return the path of the marker of a phase, or of a phase of one pack."""
    return MARKERS.at(f"{phase}/{pack_id}.json" if pack_id else f"{phase}.json")


def environment_tree(sha256: str) -> str:
    """Return the path of the tree of a prepared environment, by its digest."""
    return ENVIRONMENTS.at(f"trees/{sha256}")


def lock(name: str) -> str:
    """Return the path of the lock file with this name."""
    return LOCKS.at(f"{name}.lock")


def review(run_id: str) -> str:
    """Return the path of the review report that was made after a run."""
    return REVIEWS.at(f"{run_id}.json")


def rebuild(run_id: str) -> str:
    """Return the path of the signed outcome of `verify --rebuild` of a run."""
    return REBUILDS.at(f"{run_id}.intoto.jsonl")


def cosignature(run_id: str, key_file: str) -> str:
    """Return the path of the signature that a key added to a run; `key_file` is the name of the
    file that the key is pinned by.
    """
    return SIGNATURES.at(f"{run_id}.{key_file.removesuffix('.pub')}.intoto.jsonl")


def determinism(pack_id: str) -> str:
    """Return the path of the latest determinism check of a pack."""
    return DETERMINISM.at(f"{pack_id}.json")


def in_trash(kind: str, path: str) -> str:
    """Return the path of `path` while it is removed; `kind` is the event type that records the
    removal.
    """
    return TRASH.at(f"{kind}/{path}")
