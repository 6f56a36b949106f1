"""Derive one run again: files → bundles → merged result → verdict → report → history →
attestations.

Does not know where the folder is; what is known around it comes as `Context`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from factory.model.finding import Finding
from factory.verify import paths
from factory.verify.attestations import AttestationCheck
from factory.verify.bundle import Bundle, BundleCheck
from factory.verify.bundle_documents import load
from factory.verify.context import Context
from factory.verify.documents import FilesChanged, Merge, PackLine, Plan, Policy, RunStatus
from factory.verify.egress import check_egress
from factory.verify.folder import EvidenceFolder
from factory.verify.form import FormError, read
from factory.verify.history import HistoryCheck
from factory.verify.judged import asked_of
from factory.verify.manifests import FileDigests, check_digest, check_manifest, check_names
from factory.verify.merge import MergeCheck, pairs_of
from factory.verify.names import spell
from factory.verify.objects import ObjectError
from factory.verify.overlaps import selection_problem
from factory.verify.plan import PlanCheck
from factory.verify.rechecks import check_rechecks
from factory.verify.renderings import check_renderings
from factory.verify.report import check_report
from factory.verify.results import Fact, Gap, Results
from factory.verify.stack import check_base, known_trees
from factory.verify.status import check_findings
from factory.verify.verdict import GOOD_OUTCOMES, of_findings, status_of

_STATUS = f"{paths.Z}/{paths.STATUS}"


class Outcome(Enum):
    """Name the result of a verification. INTACT: nothing differs, and no trusted key signed."""

    VERIFIED = "verified"
    INTACT = "intact-untrusted"
    NOT_VERIFIED = "not-verified"


@dataclass(frozen=True, slots=True)
class Verified:
    """Describe the result for one run.

    `place` is its folder ("" if it has none), `manifest` the digest of its manifest; `status` is
    the verdict that was evaluated again ("" if that was not possible); `signers` are the trusted
    keys that signed everything; `untrusted` says why there are none.
    """

    run_id: str
    status: str
    files: int
    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]
    facts: tuple[Fact, ...]
    place: str = ""
    signers: tuple[str, ...] = ()
    untrusted: Finding | None = None
    manifest: str = ""

    @property
    def outcome(self) -> Outcome:
        """Return VERIFIED only if nothing differs, nothing that was asked for is a gap, and a
        trusted key signed.
        """
        if not self.status or not self.consistent or any(gap.asked for gap in self.gaps):
            return Outcome.NOT_VERIFIED
        return Outcome.VERIFIED if self.signers else Outcome.INTACT

    @property
    def consistent(self) -> bool:
        """Return True if no finding blocks. What was not checkable is in `gaps`."""
        return not any(finding.blocks for finding in self.findings)


def verify_run(run: EvidenceFolder, context: Context) -> Verified:
    """Check everything about one run's folder. Raise nothing that evidence can cause."""
    results, seen = Results(), FileDigests(run)
    if (
        not context.named
        and paths.RUN_MANIFEST not in (*run.sizes, *run.odd)
        and not seen.below(paths.Z)
    ):
        results.findings.append(Finding("VERIFY_MISSING", {"case": "not-a-run"}))
        return Verified(run.name, "", len(run.sizes), tuple(results.findings), (), ())
    status = load(results, run, _STATUS, RunStatus)
    run_id = status.run_id if status is not None else run.name
    check_names(results, run)
    subject = run.name if context.named else run_id
    check_manifest(results, run, seen, paths.RUN_MANIFEST, subject)
    files = len(run.sizes)
    if not results.findings:
        results.fact(
            "manifests", f"{files} file{'' if files == 1 else 's'}, nothing missing, nothing extra"
        )
    evaluated = _RunCheck(results, run, seen, context).check(status) if status is not None else ""
    return Verified(
        run_id,
        evaluated,
        files,
        tuple(results.findings),
        tuple(results.gaps),
        tuple(results.facts),
        signers=results.signers,
        untrusted=results.untrusted,
        manifest=seen(paths.RUN_MANIFEST),
    )


class _RunCheck:
    def __init__(
        self, results: Results, run: EvidenceFolder, seen: FileDigests, context: Context
    ) -> None:
        self.results = results
        self.run = run
        self.seen = seen
        self.context = context

    def check(self, status: RunStatus) -> str:
        """Check all that depends on the verdict; return the status that was evaluated again."""
        if self.context.named and status.run_id != self.run.name:
            self.wrong(
                "VERIFY_STATUS", f"its run: expected {self.run.name}, found {spell(status.run_id)}"
            )
        policy = load(self.results, self.run, paths.POLICY, Policy)
        bundles = self._bundles(status)
        known = known_trees(self._plan(), bundles)
        repository = self.context.repository
        merging = MergeCheck(self.results, self.run, self.seen, bundles, repository, known)
        merge, changed = self._merged(status, bundles, merging)
        self._base(status, bundles, merging)
        self._lines(status, bundles)
        if policy is not None:
            self._policy(status, bundles, policy)
        evaluated = self._evaluate(status, bundles, merge)
        check_report(self.results, self.run, status, changed)
        check_renderings(self.results, self.run, status, changed, bundles)
        history = HistoryCheck(self.results, self.run, self.seen, self.context, status)
        history.check(bundles)
        PlanCheck(self.results, self.run, self.seen, status).check(
            bundles, merge, merging, history.own, policy
        )
        check_egress(self.results, self.run, bundles, history.own, policy)
        attestations = AttestationCheck(self.results, self.run, self.seen, self.context, status)
        attestations.check(bundles, history.own, policy)
        return evaluated

    def wrong(self, kind: str, what: str, pack: str = "") -> None:
        self.results.wrong(kind, _STATUS, what, pack)

    def differs(self, what: str, expected: object, found: object, pack: str = "") -> None:
        self.results.differs("VERIFY_STATUS", _STATUS, what, expected, found, pack)

    def _bundles(self, status: RunStatus) -> dict[str, Bundle]:
        """Derive every bundle of the run again; the verdict must name exactly these."""
        there = sorted(path.partition("/")[0] for path in self.run.sizes if _is_bundle(path))
        named = [line.pack for line in status.packs if line.bundle_sha256]
        stale = [line.pack for line in status.packs if not line.bundle_sha256]
        for pack in sorted(set(named) - set(there)):
            self.results.wrong(
                "VERIFY_MISSING",
                f"{pack}/{paths.BUNDLE_MANIFEST}",
                "expected this bundle, found none",
                pack,
            )
        for pack in sorted(set(there) - set(named) - set(stale)):
            self.results.wrong(
                "VERIFY_EXTRA",
                f"{pack}/",
                "expected no bundle that STATUS.json does not name, found it",
            )
        found = {}
        for pack in (pack for pack in there if pack in named):
            bundle = BundleCheck(
                self.results, self.run, self.seen, pack, self.context.repository
            ).check()
            if bundle is not None:
                found[pack] = bundle
        if len(found) == len(named) and not any(finding.pack for finding in self.results.findings):
            self.results.fact("bundles", f"{len(found)} re-derived, trees agree")
        return found

    def _merged(
        self, status: RunStatus, bundles: dict[str, Bundle], merging: MergeCheck
    ) -> tuple[Merge | None, FilesChanged | None]:
        """Check the merge, if there was one; return its document and the merged change."""
        if self.run.read(paths.MERGE) is None:
            self.differs("integrated, where nothing was merged", (), status.integrated)
            if status.merged_tree:
                self.results.wrong(
                    "VERIFY_MISSING",
                    paths.MERGE,
                    "expected it with a merged tree, found none",
                )
                return None, None
            merging.unmerged(status)
            if status.status == "PASS":
                self.results.gap(
                    "merged tree", "this run merged nothing: not every phase was asked for"
                )
            return None, None
        merged = self._order() if status.status != "PASS" else None
        due = [line.pack for line in status.packs] if merged is None else merged
        missing = [pack for pack in due if pack not in bundles]
        if missing:
            self.results.gap("merged tree", f"the bundle of {missing[0]} was not re-derived")
            return None, self._changed()
        merge = merging.check(status)
        check_rechecks(self.results, self.run, self.seen, status, merging.part, merging)
        return merge, self._changed()

    def _order(self) -> Sequence[str] | None:
        """Return the packs that MERGE.json names; None where it cannot be read."""
        try:
            return read(Merge, self.run.read(paths.MERGE) or b"").order
        except FormError:
            return None  # named where it is checked

    def _plan(self) -> Plan | None:
        try:
            return read(Plan, self.run.read(paths.PLAN) or b"")
        except FormError:
            return None  # named where the plan is checked

    def _changed(self) -> FilesChanged | None:
        try:
            return read(FilesChanged, self.run.read(f"{paths.Z}/{paths.FILES_CHANGED}") or b"")
        except FormError:
            return None  # named where the result is checked

    def _base(self, status: RunStatus, bundles: dict[str, Bundle], merging: MergeCheck) -> None:
        """Check the base commit's tree, and what each pack saw of it."""
        repository = self.context.repository
        try:
            tree = repository.tree_of_commit(status.base_commit) if repository is not None else ""
        except ObjectError as error:
            self.wrong("VERIFY_BASE", str(error))
            return
        if tree:
            self.results.differs(
                "VERIFY_BASE", _STATUS, "the tree of the base commit", tree, status.base_tree
            )
        else:
            self.results.gap(
                "base commit",
                f"{status.base_commit[:12]} is not at hand; its tree is taken from STATUS.json",
            )
        for bundle in bundles.values():
            check_base(self.results, merging, bundle, status.base_tree, status.packs_committed)

    def _lines(self, status: RunStatus, bundles: dict[str, Bundle]) -> None:
        """Compare each pack's row with its bundle."""
        self.differs("the branch of a run that was just settled", "", status.branch)
        names = [line.pack for line in status.packs]
        self.differs("packs, each once and in order", sorted(set(names)), names)
        for line in status.packs:
            if line.bundle_sha256:
                manifest = f"{line.pack}/{paths.BUNDLE_MANIFEST}"
                check_digest(
                    self.results, manifest, line.bundle_sha256, self.seen(manifest), line.pack
                )
            bundle = bundles.get(line.pack)
            if bundle is not None:
                self._line(line, bundle, status)

    def _line(self, line: PackLine, bundle: Bundle, status: RunStatus) -> None:
        recorded, own = bundle.status, f"{line.pack}:"
        for what, expected, found in (
            ("title", bundle.contract.title, line.title),
            ("domain", bundle.contract.domain, line.domain),
            ("why, a line of its spec.md", True, bundle.quotes(line.why)),
            ("files changed", recorded.files_changed, line.files_changed),
            ("lines added", recorded.lines_added, line.lines_added),
            ("lines removed", recorded.lines_removed, line.lines_removed),
            (
                "checks that ended with 0",
                sum(check.rc == 0 and check.kind != "step" for check in recorded.checks),
                line.checks_ok,
            ),
            ("checks", len(bundle.contract.acceptance), line.checks),
            ("what its checks say", asked_of(recorded), line.asked),
            ("changed files of its judge", len(recorded.judged.files), line.judge_changed),
            (
                "permitted files of its judge",
                sum(row.permitted for row in recorded.judged.files),
                line.judge_permitted,
            ),
            ("artifacts", recorded.artifacts, line.artifacts),
            ("network", ("*",) if bundle.lock.network_any else bundle.lock.network, line.network),
        ):
            self.differs(f"{own} {what}", expected, found, line.pack)
        refused = any(row.severity == "error" and row.pack == line.pack for row in status.findings)
        if line.status != recorded.status and not (
            recorded.status == "PASS" and line.status != "PASS" and refused
        ):
            self.differs(f"{own} status", recorded.status, line.status, line.pack)

    def _policy(self, status: RunStatus, bundles: dict[str, Bundle], policy: Policy) -> None:
        """Compare the verdict with its policy: nothing missing that is not accepted, nothing
        loosened.
        """
        lacking = set(policy.properties_required) - set(status.properties_given)
        accepted = tuple(sorted(lacking & set(policy.properties_accepted)))
        self.differs("properties accepted as lacking", accepted, status.properties_accepted)
        if status.status == "PASS":
            self.differs("properties lacking", "", ", ".join(sorted(lacking - set(accepted))))
        for bundle in bundles.values():
            lock = bundle.lock
            self.differs(
                f"{bundle.pack}: protected",
                "",
                ", ".join(sorted(set(policy.protected) - set(lock.protected))),
            )
            if bundle.status.status == "PASS":
                self.differs(
                    f"{bundle.pack}: properties",
                    policy.properties_required,
                    lock.required_properties,
                )
        merged = [row for row in status.overlaps if row.resolved]
        self.differs(
            "overlaps merged where policy blocks them",
            0,
            len(merged) if policy.overlap == "block" else 0,
        )
        granted = tuple((row.kind, row.thing, row.pack) for row in policy.grants)
        reported = tuple((row.kind, row.thing, row.pack) for row in status.policy.grants)
        self.differs("what the user granted", granted, reported)
        digest = self.run.sha256(paths.POLICY)
        self.differs("the digest of the policy", digest, status.policy.sha256)
        signing = (policy.signing, policy.signing_keys)
        self.differs("the signing policy", signing, (status.signing.policy, status.signing.keys))

    def _evaluate(self, status: RunStatus, bundles: dict[str, Bundle], merge: Merge | None) -> str:
        """Evaluate the run's verdict from all the evidence."""
        check_findings(self.results, _STATUS, status.findings)
        missing = [
            row
            for row in _needed(status, bundles, merge)
            if row not in {f.id for f in status.findings}
        ]
        self.differs(
            "findings that its packs and checks yield", "", ", ".join(sorted(set(missing)))
        )
        due = status_of(_observations(status, bundles, merge))
        self.differs("the verdict that its evidence yields", due, status.status)
        if due == status.status:
            self.results.fact("verdict", f"{due} re-evaluated")
        if merge is None and self.run.read(paths.MERGE) is not None:
            return due  # something was merged, and what was not derived again is a gap already
        pairs = sorted({*pairs_of(merge), *_culprits(status)})
        self.differs("smallest_conflict", pairs[0] if pairs else (), status.smallest_conflict)
        if merge is None:
            self.differs("largest_set, where nothing was merged", (), status.largest_set)
        else:
            part = {pack: bundles[pack] for pack in merge.order if pack in bundles}
            needs = {pack: frozenset(bundle.needs) for pack, bundle in part.items()}
            problem = selection_problem(part, pairs, needs, status.largest_set, status.exact)
            if problem:
                self.wrong(
                    "VERIFY_MERGE", f"largest_set: {problem}, found {', '.join(status.largest_set)}"
                )
        return due


def _is_bundle(path: str) -> bool:
    return path.count("/") == 1 and path.endswith(f"/{paths.BUNDLE_MANIFEST}")


def _observations(
    status: RunStatus, bundles: dict[str, Bundle], merge: Merge | None
) -> Iterable[str]:
    """Yield what the run's evidence observes, by the names of the table."""
    yield from of_findings(status.findings)
    if any(line.status == "FAIL" for line in status.packs):
        yield "crashed"
    if any(bundle.status.status != "PASS" for bundle in bundles.values()):
        yield "check-not-zero"
    if any(row.outcome not in GOOD_OUTCOMES for row in status.rechecks):
        yield "check-not-zero"
    if merge is not None and (
        not merge.merged_tree or of_findings(merge.findings) or pairs_of(merge)
    ):
        yield "finding"
    if merge is not None and any(line.status != "PASS" for line in status.packs):
        yield "check-missing"


def _needed(status: RunStatus, bundles: dict[str, Bundle], merge: Merge | None) -> Iterable[str]:
    """Yield ids of findings that must have reached the verdict: none below may be left out
    above.
    """
    for line in status.packs:
        bundle = bundles.get(line.pack)
        if bundle is not None and line.status == bundle.status.status:
            yield from (row.id for row in bundle.status.findings)
    if merge is not None:
        yield from (row.id for row in merge.findings)


def _culprits(status: RunStatus) -> Iterable[tuple[str, str]]:
    for row in status.rechecks:
        for other in row.culprits:
            yield (min(row.pack, other), max(row.pack, other))
