"""Check what a bundle says of its judge: which of its files changed, what ran for it, and what
follows.

Rule: the changed files of the judge follow from the change, the plan's patterns and the contract. A
PASS has, for each change that nobody permitted, every check at 0 under the judge as it was; and for
each permitted one, every check over the base. Reads no log: which tests ran is what the logs say,
and whoever asks compares them.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from factory.verify import paths
from factory.verify.bundle import Bundle
from factory.verify.documents import BundleStatus, RecheckRow, RunStatus
from factory.verify.judge_rows import AfterName, AskedRow, JudgeFileRow, PlannedJudge
from factory.verify.names import spell
from factory.verify.patterns import matches
from factory.verify.results import Results
from factory.verify.trees import FILE, TreeEntry, joined

_EXECUTABLE = 0o100755
_NO_SUBJECT = ("format", "lint")
_MODULES = (".py", ".pyc", ".so", ".pyd")
_VIEW = re.compile(r"old|base|result|before|again|hunk-[1-9][0-9]*")
_ON_MERGED = ("old", "base", "result")
# What tests inside code begin with, by the suffix of their file.
_INLINE_TESTS: Mapping[str, tuple[bytes, ...]] = {
    **dict.fromkeys(("py", "pyi", "rst"), (b">>> ",)),
    "md": (b">>> ", b"```rust", b"```python"),
    "rs": (b"#[test]", b"#[tokio::test", b"#[cfg(test)]", b"/// ```", b"//! ```"),
    "ex": (b"iex>",),
    "d": (b"unittest",),
    "zig": (b'test "',),
    **dict.fromkeys(("ts", "tsx", "js", "jsx"), (b"import.meta.vitest",)),
}
_Change = tuple[str, TreeEntry | None, TreeEntry | None]
Role = Literal["test", "configuration"]


class JudgedPart:
    """Check the part `judged` of one bundle's STATUS.json against the judge of the plan."""

    def __init__(self, results: Results, judge: PlannedJudge, bundle: Bundle) -> None:
        self.results = results
        self.judge = judge
        self.bundle = bundle
        self.judged = bundle.status.judged
        self.file = f"{bundle.pack}/{paths.STATUS}"
        self.kinds = {each.label: each.kind for each in bundle.contract.acceptance}
        self.codes = {run.label: run.rc for run in self.judged.runs}

    def differs(self, what: str, expected: object, found: object) -> bool:
        return self.results.differs(
            "VERIFY_JUDGE", self.file, what, expected, found, self.bundle.pack
        )

    def check(self) -> None:
        """Check all of it."""
        due = tuple(self._changed())
        self.differs("the changed files of its judge", due, self.judged.files)
        ran = tuple(row.label for row in self.bundle.status.checks if row.label in self.kinds)
        self.differs("checks of its judge", ran, tuple(row.label for row in self.judged.checks))
        self._runs()
        for row in self.judged.checks:
            words = _words(self.codes.get(f"old.{row.label}"))
            if row.old_judge not in words:
                self.differs(f"{row.label} under the old judge", words[0], row.old_judge)
            words = self._before(row.label)
            if row.before not in words:
                self.differs(f"{row.label} before the work", words[0], row.before)
        broken = {label for label in self.kinds if self.codes.get(f"old.{label}")}
        named = {
            str(row.facts.get("label"))
            for row in self.bundle.status.findings
            if row.id == "JUDGE_CHANGED"
        }
        self.differs("checks that pass only with changes of it", sorted(broken), sorted(named))
        if self.bundle.status.status == "PASS":
            self._passed(due)
            self._required()

    def _runs(self) -> None:
        """Check that each command that ran for the judge is one of a check, and each ran once."""
        labels = [run.label for run in self.judged.runs]
        odd = sorted(
            label
            for label in labels
            if not _VIEW.fullmatch(label.partition(".")[0])
            or label.partition(".")[2] not in self.kinds
        )
        self.differs("commands that ask the judge nothing", [], odd)
        twice = sorted(label for label in set(labels) if labels.count(label) > 1)
        self.differs("commands that asked the judge twice", [], twice)
        ended = [run.label for run in self.judged.runs if run.ended != "exited" and run.rc == 0]
        self.differs("commands that were ended and have the code 0", [], ended)

    def _before(self, label: str) -> tuple[str, ...]:
        """Return the words that fit what a check said on the base's code; it passes now."""
        first, again = self.codes.get(f"before.{label}"), self.codes.get(f"again.{label}")
        if first is None:
            return ("not-asked",)
        if first == 0:
            return ("ok",)
        return ("ran-no-test", "flaky" if again == 0 else "fixed")

    def _required(self) -> None:
        """Check that a PASS has shown what is required of it."""
        require, judged = self.bundle.lock.judge.require, self.judged
        if self.judge.retry == "block":
            self.differs("attempts of a PASS", 1, len(self.bundle.status.attempts))
        if "change" in require:
            self.differs("whether it changed something", True, bool(self.bundle.change.edits))
        if "fixed" in require:
            names = {each.label: each.name for each in self.bundle.contract.acceptance}
            may = {
                label
                for label, kind in self.kinds.items()
                if kind == "tests" or {label, names[label]} & {*self.bundle.lock.judge.fixed}
            }
            fixed = [row.label for row in judged.checks if row.before == "fixed"]
            self.differs("whether it repaired something", True, bool(may & {*fixed}))
        if "every-hunk" in require:
            ours = {row.path for row in judged.files}
            paths = {spell(joined(path)) for path in self.bundle.change.edits} - ours
            self.differs(
                "files whose hunks were left out", paths, {row.path for row in judged.hunks}
            )
        for number, row in enumerate(judged.hunks, 1):
            if not self.codes.get(f"hunk-{number}.{row.failed}"):
                self.differs(f"what fails without hunk {number}", "a check", row.failed)

    def _passed(self, files: tuple[JudgeFileRow, ...]) -> None:
        """Check that a PASS was asked all that its change of the judge demands."""
        asked = [row for row in files if not row.permitted]
        config = any(row.role == "configuration" for row in asked)
        inline = self._has_inline_tests()
        for label, kind in self.kinds.items():
            if asked and (config or kind not in _NO_SUBJECT):
                found = self.codes.get(f"old.{label}")
                self.differs(f"{label} under the old judge, in a PASS", 0, found)
            if inline or any(row.permitted for row in files):
                there = f"base.{label}" in self.codes
                self.differs(f"whether {label} ran over the base, in a PASS", True, there)

    def _has_inline_tests(self) -> bool:
        """Return whether a file that was there and changed has tests inside code; report one whose
        content is not at hand.
        """
        found = False
        for name, before, _ in _edits(self.bundle):
            marks = _INLINE_TESTS.get(name.rpartition(".")[2].lower(), ())
            if before is None or before.mode not in (FILE, _EXECUTABLE) or not marks:
                continue
            content = self.bundle.change.contents.get(before.oid)
            if content is None:
                part = f"tests inside {spell(name)} of {self.bundle.pack}"
                self.results.gap(part, "its content in the base is not at hand")
            found = found or any(mark in (content or b"") for mark in marks)
        return found

    def _changed(self) -> Iterator[JudgeFileRow]:
        """Yield the changed files of the judge, as they follow from the change."""
        lock = self.bundle.lock.judge
        for change in _edits(self.bundle):
            role = _role(self.judge, lock.patterns, change)
            if role is not None and not _same_part(self.bundle, change, self.judge, lock.patterns):
                name, before, after = change
                yield JudgeFileRow(
                    path=spell(name),
                    role=role,
                    change="added"
                    if before is None
                    else "removed"
                    if after is None
                    else "modified",
                    permitted=_permitted(self.judge, lock.may_change, name),
                )


class MergedJudge:
    """Check what was asked of the judge about the merged tree, against the packs' changes of it."""

    def __init__(
        self,
        results: Results,
        judge: PlannedJudge,
        bundles: Mapping[str, Bundle],
        status: RunStatus,
    ) -> None:
        self.results = results
        self.judge = judge
        self.bundles = bundles
        self.status = status
        self.codes = {(row.pack, row.label): row.rc for row in status.judge_runs}

    def differs(self, what: str, expected: object, found: object, pack: str = "") -> None:
        place = f"{paths.Z}/{paths.STATUS}"
        self.results.differs("VERIFY_JUDGE", place, what, expected, found, pack)

    def check(self) -> None:
        """Check the commands and each check's word, and that those of a PASS were asked all that
        the changes of its judge demand.
        """
        self._runs()
        for row in self.status.rechecks:
            words = _words(self.codes.get((row.pack, f"old.{row.label}")))
            if row.old_judge not in words:
                what = f"{row.pack} {row.label} on the merged tree under the old judge"
                self.differs(what, words[0], row.old_judge, row.pack)
        if self.status.status == "PASS":
            for row in self.status.rechecks:
                if row.outcome != "as-accepted" and row.pack in self.bundles:
                    self._passed(row)

    def _runs(self) -> None:
        labels = [(row.pack, row.label) for row in self.status.judge_runs]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        self.differs("commands that asked the judge twice", [], twice)
        fine = {(row.pack, row.label) for row in self.status.rechecks if row.outcome == "ok"}
        for run in self.status.judge_runs:
            view, _, label = run.label.partition(".")
            if view not in _ON_MERGED or (run.pack, label) not in fine:
                self.differs("commands that ask the judge nothing", "none", run.label, run.pack)
            if run.ended != "exited" and run.rc == 0:
                what = f"the code of {run.label}, which {run.ended}"
                self.differs(what, "another than 0", 0, run.pack)

    def _passed(self, row: RecheckRow) -> None:
        every = self.bundles.values()
        permits = tuple(pattern for each in every for pattern in each.lock.judge.may_change)
        seen = set(_roles_on_merged(self.judge, self.bundles, row.pack, permits))
        roles = {role for role, permitted in seen if not permitted}
        kind = row.label.rpartition("-")[0]
        name = f"{row.pack} {row.label}"
        demanded = "configuration" in roles or (bool(roles) and kind not in _NO_SUBJECT)
        if demanded and row.old_judge != "ok":
            what = f"{name} on the merged tree under the old judge, in a PASS"
            self.differs(what, "ok", row.old_judge, row.pack)
        if any(permitted for _, permitted in seen):
            there = (row.pack, f"base.{row.label}") in self.codes
            what = f"whether {name} ran over the base for the merged tree, in a PASS"
            self.differs(what, True, there, row.pack)


def _roles_on_merged(
    judge: PlannedJudge, bundles: Mapping[str, Bundle], pack: str, permits: tuple[str, ...]
) -> Iterator[tuple[Role, bool]]:
    """Yield the role of each file of a pack's judge that a pack changed which is none of those it
    builds on, and whether a contract permits it. A path that several changed may be as it was.
    """
    own = bundles[pack]
    others = [each for name, each in bundles.items() if name not in own.needs]
    counts = Counter(path for each in others for path, _, _ in _edits(each))
    shown = (*own.lock.inputs, f"{own.folder}/") if own.lock.inputs is not None else ("**",)
    for each in others:
        for change in _edits(each):
            name = change[0]
            role = _role(judge, own.lock.judge.patterns, change)
            seen = each is own or matches(shown, name)
            if role is None or not seen or counts[name] > 1:
                continue
            if _same_part(each, change, judge, own.lock.judge.patterns):
                continue
            yield role, _permitted(judge, permits, name)


def asked_of(status: BundleStatus) -> tuple[AskedRow, ...]:
    """Return what each acceptance check of a bundle says, before and after."""
    codes = {row.label: row.rc for row in status.checks}
    none = {row.facts.get("label") for row in status.findings if row.id == "CHECK_RAN_NO_TEST"}
    judged = {row.label: (row.before, row.old_judge) for row in status.judged.checks}
    found = []
    for label in (label for label in status.required if not label.startswith("step-")):
        before, old = judged.get(label, ("not-asked", "not-asked"))
        after: AfterName = "ran-no-test" if label in none else "broken"
        if not codes.get(label):
            after = "ok" if label in codes else "not-run"
        found.append(AskedRow(label, after, before, old))
    return tuple(found)


def _edits(bundle: Bundle) -> Iterator[_Change]:
    for path, (before, after) in bundle.change.edits.items():
        yield joined(path), before, after


def _role(judge: PlannedJudge, own: tuple[str, ...], change: _Change) -> Role | None:
    name, before, _ = change
    if matches((*judge.patterns, *own), name):
        return "configuration"
    if before is None and _comes_before(name, judge.shadowed):
        return "configuration"
    return "test" if matches(judge.tests, name) else None


def _permitted(judge: PlannedJudge, patterns: tuple[str, ...], name: str) -> bool:
    return matches(patterns, name) and all(matches(bound, name) for bound in judge.may_change)


def _same_part(bundle: Bundle, change: _Change, judge: PlannedJudge, own: tuple[str, ...]) -> bool:
    """Return whether a file is half code and has the same judge's part before and after. One that a
    pattern matches which is more than its name belongs to the judge wholly.
    """
    name, *sides = change
    part = _PARTS.get(name.rpartition("/")[2])
    names = {f"**/{half}" for half in _PARTS}
    more = [pattern for pattern in (*judge.tests, *judge.patterns) if pattern not in names]
    if part is None or matches((*more, *own), name):
        return False
    if any(s is not None and s.mode not in (FILE, _EXECUTABLE) for s in sides):
        return False
    contents = [bundle.change.contents.get(side.oid) if side is not None else b"" for side in sides]
    if contents[0] is None or contents[1] is None:
        return False
    try:
        return bool(part(contents[0]) == part(contents[1]))
    except (ValueError, RecursionError):
        return contents[0] == contents[1]


def _words(code: int | None) -> tuple[str, ...]:
    if code is None:
        return ("not-asked",)
    return ("ok",) if code == 0 else ("broken", "ran-no-test")


def _comes_before(path: str, modules: tuple[str, ...]) -> bool:
    """Return whether a new file would come before a module of the standard library."""
    below = path.removeprefix("src/").split("/")
    name = below[0].split(".")[0]
    if name not in modules:
        return False
    if len(below) > 1:
        return below[1].split(".")[0] == "__init__"
    return below[0] != name and below[0].endswith(_MODULES)


# What of a half-code file belongs to the judge, by its name.

_OF_PACKAGE_JSON = set(
    """
    ava babel c8 eslintConfig eslintIgnore husky imports jest karma lint-staged mocha nyc
    packageManager playwright prettier scripts simple-git-hooks standard stylelint tap tsd vitest
    workspaces xo
    """.split()
)
_DESCRIBES_PACKAGE = set(
    """
    bumpver bumpversion cibuildwheel commitizen dependabot flit git-cliff hatch jupyter maturin pdm
    poetry rye scikit-build semantic_release setuptools setuptools-scm setuptools_scm towncrier uv
    versioneer
    """.split()
)
_WITHIN = {"poetry": ("scripts", "plugins"), "hatch": ("envs",), "pdm": ("scripts",)}


def _package_json(content: bytes) -> Any:
    value = json.loads(content) if content else {}
    if not isinstance(value, dict):
        raise ValueError("no object")
    return _leaves({key: inner for key, inner in value.items() if key in _OF_PACKAGE_JSON})


def _pyproject(content: bytes) -> Any:
    value = tomllib.loads(content.decode("utf-8"))
    project, tool = value.get("project", {}), value.get("tool", {})
    if not isinstance(project, dict) or not isinstance(tool, dict):
        raise ValueError("no tables")
    names = ("scripts", "gui-scripts", "entry-points")
    kept: dict[str, Any] = {"project": {key: project[key] for key in names if key in project}}
    kept["tool"] = {}
    for key, table in tool.items():
        if key not in _DESCRIBES_PACKAGE:
            kept["tool"][key] = table
        elif isinstance(table, dict):
            kept["tool"][key] = {k: table[k] for k in _WITHIN.get(key, ()) if k in table}
    kept["tool"] = {key: table for key, table in kept["tool"].items() if table != {}} | {
        key: table for key, table in tool.items() if table == {} and key not in _DESCRIBES_PACKAGE
    }
    if "build-system" in value:
        kept["build-system"] = value["build-system"]
    return _leaves({key: inner for key, inner in kept.items() if inner != {}})


def _cargo(content: bytes) -> Any:
    value = tomllib.loads(content.decode("utf-8"))
    names = ("bench", "bin", "example", "lib", "lints", "profile", "test")
    kept = {key: value[key] for key in names if key in value}
    workspace = value.get("workspace")
    if isinstance(workspace, dict) and "lints" in workspace:
        kept["workspace"] = {"lints": workspace["lints"]}
    return _leaves(kept)


def _ini(content: bytes) -> Any:
    sections: dict[str, list[str]] = {}
    name = None
    for line in content.decode("utf-8").splitlines():
        if line.startswith("["):
            name, end, _ = line[1:].partition("]")
            if not end or name in sections:
                raise ValueError("a section twice")
            sections[name] = []
        elif line.strip() and line.strip()[0] not in "#;":
            if name is None:
                raise ValueError("no section")
            sections[name].append(line.rstrip())
    return {name: lines for name, lines in sections.items() if not _of_packaging(name)}


def _of_packaging(section: str) -> bool:
    if section in ("metadata", "options", "sdist", "egg_info", "DEFAULT"):
        return True
    if section.startswith("options."):
        return not section.startswith("options.entry_points")
    return section.startswith(("bdist_", "bumpversion"))


def _leaves(value: Any, above: tuple[str, ...] = ()) -> Any:
    """Return leaves by path: a table of only empty tables is not nothing."""
    if not isinstance(value, dict) or (above and not value):
        return {above: value}
    found: dict[tuple[str, ...], Any] = {}
    for key, inner in value.items():
        found |= _leaves(inner, (*above, key))
    return found


_PARTS: Mapping[str, Callable[[bytes], Any]] = {
    "package.json": _package_json,
    "pyproject.toml": _pyproject,
    "Cargo.toml": _cargo,
    "setup.cfg": _ini,
    "tox.ini": _ini,
}
