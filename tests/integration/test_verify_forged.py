"""Evidence forged by somebody with our own code and no key: everything is recomputed, and
re-derivation still tells.

Only what signatures and earlier checkpoints protect may pass here; each such thing is named below.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factory.model.evidence_text import finding_record, sha256
from factory.model.finding import Finding
from factory.strict.document import Mismatch, with_tuples
from factory.verify.repository import RepositoryObjects
from factory.verify.run import Outcome, Verified
from tests.sample import WHOLE, sample
from tests.verify_kit import (
    Memory,
    Z,
    around,
    check,
    forged,
    ids,
    load,
    packs_of,
    places,
    relisted,
    small_world,
)
from tests.world import World

pytestmark = pytest.mark.linux

STATUS = f"{Z}/STATUS.json"
BUNDLE = "TASK-0001/STATUS.json"
LOCK = "TASK-0001/SCOPE_LOCK.json"
CHANGED = "TASK-0001/FILES_CHANGED.json"


def made(world: World, rc: int) -> Memory:
    done = world.factory("oneshot")
    assert done.rc == rc, done.text
    return load(world.state / "runs" / world.runs()[-1])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The repository of the good run, with another commit after it."""
    return small_world(tmp_path_factory.mktemp("forged") / "good")


@pytest.fixture(scope="module")
def good(world: World) -> Memory:
    run = made(world, 0)
    world.write("README.md", "# Later\n")
    world.commit("later")
    return run


def refused(folder, task: str, acceptance: str = "checks: ['true']\n") -> Memory:
    world = World(folder)
    world.write("README.md", "# One\n")
    world.pack("TASK-0001-alpha", task, acceptance)
    world.commit()
    return made(world, 2)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    """A run that is BLOCKED because its pack changed a file outside its scope."""
    task = "scope: {allowed_paths: [docs/]}\nsteps: ['echo two >> README.md']\n"
    return refused(tmp_path_factory.mktemp("forged") / "outside", task)


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    """A run that is BLOCKED because a check failed."""
    task = "scope: {allowed_paths: [docs/]}\nsteps: ['mkdir docs; echo a > docs/a']\n"
    return refused(
        tmp_path_factory.mktemp("forged") / "failing", task, "checks: ['echo no; false']\n"
    )


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    """A run that is BLOCKED because its pack added doit's table."""
    run = "printf '[tool.doit]\\ndodoFile = 1\\n' > pyproject.toml"
    task = f"scope: {{allowed_paths: [pyproject.toml]}}\nsteps: [{json.dumps(run)}]\n"
    return refused(tmp_path_factory.mktemp("forged") / "configured", task)


def dump(value: object) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def changed(run: Memory, path: str, change: Callable[[Any], object]) -> dict[str, bytes]:
    value = json.loads(run.files[path])
    change(value)
    return {path: dump(value)}


def verify(run: Memory, changes: Mapping[str, bytes], **status: object):
    evidence, ledger = forged(run, changes, signer=None, **status)
    return check(evidence, around(ledger, sizes={len(ledger.splitlines())}))


def _counts(key: str) -> Callable[[Any], object]:
    return lambda value: value.update({key: 2})


@pytest.mark.parametrize("key", ["discarded", "outside_dropped"])
def test_files_that_the_contract_throws_away_none_of_are_not_left_out(
    good: Memory, key: str
) -> None:
    found = verify(good, changed(good, CHANGED, _counts(key)))
    assert any("left out as" in finding.message for finding in found.findings)
    merged = verify(good, changed(good, f"{Z}/FILES_CHANGED.json", _counts(key)))
    assert any("that the merge left out" in finding.message for finding in merged.findings)


def test_a_forger_who_changes_nothing_is_not_found(
    good: Memory, outside: Memory, failing: Memory
) -> None:
    """So what is found below is the change, and not the forger's clumsiness."""
    for run in (good, outside, failing):
        verified = verify(run, {})
        assert verified.findings == ()
        assert verified.status == json.loads(run.files[STATUS])["status"]


# ── each by its name ─────────────────────────────────────────────────────────


def named(verified: Verified, kind: str) -> str:
    """The sentence of the finding of that kind; every one says what was expected and what was
    found.
    """
    found = [finding for finding in verified.findings if finding.id == kind]
    assert found, f"{kind} is not among {sorted(ids(verified))}"
    for finding in found:
        assert "expected" in finding.message
        assert "found" in finding.message
        assert finding.location is not None
        assert finding.message.startswith(f"{finding.location.file}: ")
    return found[0].message


def reversed_logs(content: bytes) -> bytes:
    index = json.loads(content)
    index["logs"].reverse()
    return dump(index)


ART = "TASK-0001/ARTIFACTS/taskpacks/TASK-0001-alpha/out/s.txt"


@pytest.mark.parametrize(
    ("kind", "path", "spoil", "sentence"),
    [
        ("VERIFY_FORM", BUNDLE, lambda c: c + b"\n", "expected the one layout of evidence"),
        (
            "VERIFY_FORM",
            BUNDLE,
            lambda c: c.replace(b'"findings"', b'"pack": 1, "findings"'),
            'the key "pack" is given',
        ),
        (
            "VERIFY_FORM",
            BUNDLE,
            lambda c: c.replace(b'"label": "step-1"', b'"label": "x"'),
            "text of the form",
        ),
        ("VERIFY_LOGS", "TASK-0001/LOGS/INDEX.json", reversed_logs, "commands and codes: expected"),
        ("VERIFY_ARTIFACTS", ART, lambda _: b"x", "the files of ARTIFACTS/: expected"),
        (
            "VERIFY_EXTRA",
            "TASK-0001/LOGS/x.log",
            lambda _: b"x",
            "expected only logs that INDEX.json names, found it",
        ),
        (
            "VERIFY_EXTRA",
            "TASK-0001/more",
            lambda _: b"x",
            "expected no such file in a bundle, found it",
        ),
    ],
)
def test_what_is_forged_is_named(
    good: Memory, kind: str, path: str, spoil: Callable, sentence: str
) -> None:
    verified = verify(good, {path: spoil(good.files.get(path, b""))})
    assert sentence in named(verified, kind)


def test_an_action_that_leaves_a_file_out_is_named(good: Memory) -> None:
    verified = verify(
        good, changed(good, "TASK-0001/ACTION.json", lambda action: action["files"].pop())
    )
    assert "the action key of ACTION.json: expected" in named(verified, "VERIFY_ACTION")


PLANNED: dict[str, tuple[Callable[[Any], object], str]] = {
    "another base": (
        lambda plan: plan.update(base_commit="0" * 40),
        "the base commit: expected",
    ),
    "packs that are not committed": (
        lambda plan: plan.update(packs_committed=False),
        "whether packs are committed: expected True, found False",
    ),
    "ids of another kind": (
        lambda plan: plan.update(hash_name="sha256"),
        "the kind of its ids: expected sha1",
    ),
    "another packs folder": (
        lambda plan: plan.update(packs_folder="elsewhere"),
        "packs that are not in the packs folder: expected nothing, found taskpacks",
    ),
    "another policy": (
        lambda plan: plan["policy"]["rules"].update(overlap="merge"),
        "the policy: expected",
    ),
    "the digest of another policy": (
        lambda plan: plan["policy"].update(sha256="0" * 64),
        "the digest of the policy: expected",
    ),
    "another order": (lambda plan: plan["packs"].reverse(), "its order: expected TASK-0001"),
    "a pack less": (
        lambda plan: plan["packs"].pop(),
        "bundles that were not planned: expected nothing, found TASK-0002",
    ),
    "another key": (
        lambda plan: plan["packs"][0].update(action_key="0" * 64),
        "the key of its action: expected",
    ),
    "another action": (
        lambda plan: plan["packs"][0]["action"].update(tools=[]),
        "the key of its action: expected",
    ),
    "another scope": (
        lambda plan: plan["packs"][0]["scope"].update(allowed=["**"]),
        "SCOPE_LOCK.json: expected",
    ),
    "a need": (
        lambda plan: plan["packs"][1].update(needs=[]),
        "its needs: expected TASK-0001, found nothing",
    ),
    "another command": (
        lambda plan: plan["packs"][0]["commands"][0].update(run="true"),
        "commands that were not planned: expected nothing, found",
    ),
    "a command less": (
        lambda plan: plan["packs"][0]["commands"].pop(),
        "required commands: expected",
    ),
    "another title": (lambda plan: plan["packs"][0].update(title="x"), "its title: expected x"),
    "another folder": (
        lambda plan: plan["packs"][0].update(folder_tree="0" * 40),
        "the tree of the pack's folder: expected",
    ),
    "an environment": (
        lambda plan: plan["packs"][0]["action"].update(environments=[["py", "0" * 64]]),
        "the key of its action: expected",
    ),
}


@pytest.mark.parametrize("what", PLANNED)
def test_a_plan_that_was_told_anew_is_held_against_what_was_done(good: Memory, what: str) -> None:
    change, sentence = PLANNED[what]
    verified = verify(good, changed(good, "PLAN.json", change))
    named(verified, "VERIFY_PLAN")
    found = [each.message for each in verified.findings if each.id == "VERIFY_PLAN"]
    assert any(message.startswith(f"PLAN.json: {sentence}") for message in found), found


def test_a_plan_that_is_gone_or_not_the_one_that_the_ledger_names_is_found(good: Memory) -> None:
    run, ledger = forged(good, {})
    del run.files["PLAN.json"]
    assert "PLAN.json: expected this document" in named(
        check(relisted(run), around(ledger)), "VERIFY_MISSING"
    )
    evidence, _ = forged(
        good, changed(good, "PLAN.json", lambda plan: plan.update(recheck_budget=9))
    )
    run.files["PLAN.json"] = evidence.files["PLAN.json"]
    assert ", plan: expected" in named(check(relisted(run), around(ledger)), "VERIFY_LEDGER")


def test_another_merged_tree_is_named(good: Memory) -> None:
    verified = verify(good, {}, merged_tree="0" * 40)
    assert "the merged tree of STATUS.json: expected 0000" in named(verified, "VERIFY_MERGE")


def test_a_list_or_statement_of_other_evidence_is_named(good: Memory) -> None:
    run, ledger = forged(good, {})
    for path in (
        "attestations/bundles.sha256",
        "attestations/report.sha256",
        "attestations/ledger.sha256",
    ):
        spoilt = run.copy()
        spoilt.files[path] = b"0" * 64 + run.files[path][64:]
        assert path in named(check(spoilt, around(ledger)), "VERIFY_ATTESTATION")


def test_a_file_that_is_gone_is_named(good: Memory) -> None:
    run = good.copy()
    del run.files["TASK-0002/STATUS.json"]
    assert "expected this file, which RUN_MANIFEST.json names, found none" in named(
        check(run), "VERIFY_MISSING"
    )


def test_a_base_commit_with_another_tree_is_named(world: World, good: Memory) -> None:
    """The evidence is told to stand on a commit that it does not stand on; the repository knows."""
    evidence, ledger = forged(good, {}, base_commit=world.git("rev-parse", "HEAD").strip())
    with RepositoryObjects(world.root / ".git" / "objects", "sha1") as elsewhere:
        verified = check(evidence, replace(around(ledger), repository=elsewhere))
    assert "the tree of the base commit: expected" in named(verified, "VERIFY_BASE")


# ── a refusal made a PASS ────────────────────────────────────────────────────


def passing(value: Any) -> None:
    value["status"] = "PASS"
    value["findings"] = []
    value["attempts"][-1] |= {"status": "PASS", "failure": ""}
    for check_row in value["checks"]:
        check_row["rc"] = 0


def upgraded(run: Memory, **more: bytes) -> Any:
    """A BLOCKED run told as PASS, from the bundle's status up."""
    changes = changed(run, BUNDLE, passing)
    value = json.loads(changes[BUNDLE])
    rows = [
        (
            f"# TASK-0001: PASS\n\n{value['files_changed']} file{'s' * (value['files_changed'] != 1)}"
            " changed, "
        )
    ]
    rows.append(f"+{value['lines_added']} −{value['lines_removed']}.\n\n")
    rows += [f"- `{row['label']}` ended with 0\n" for row in value["checks"]]
    changes["TASK-0001/SUMMARY.md"] = "".join(rows).encode()
    index = json.loads(run.files["TASK-0001/LOGS/INDEX.json"])
    for log in index["logs"]:
        log["rc"] = 0
    changes["TASK-0001/LOGS/INDEX.json"] = dump(index)
    changes |= more
    lines = json.loads(run.files[STATUS])["packs"]
    return changes, lines


def as_pass(run: Memory, changes: dict[str, bytes]):
    from factory.model.evidence import RunStatus
    from factory.model.evidence_text import parse_document

    verdict = parse_document(RunStatus, run.files[STATUS])
    checks = json.loads(changes[BUNDLE])["checks"]
    count = sum(check["kind"] != "step" for check in checks)
    packs = tuple(
        line.model_copy(update={"status": "PASS", "checks_ok": count}) for line in verdict.packs
    )
    return verify(run, changes, status="PASS", findings=(), packs=packs)


def test_a_refusal_of_scope_told_as_pass_is_judged_again(outside: Memory) -> None:
    changes, _ = upgraded(outside)
    verified = as_pass(outside, changes)
    assert "VERIFY_SCOPE" in ids(verified)
    assert any("README.md" in finding.message for finding in verified.findings)


def test_a_refusal_of_doits_table_told_as_pass_is_judged_again(configured: Memory) -> None:
    changes, _ = upgraded(configured)
    verified = as_pass(configured, changes)
    clause = "expected the table tool.doit as it was, found another, in a bundle that says PASS"
    told = [f.message for f in verified.findings if f.id == "VERIFY_SCOPE"]
    assert told == [f"{CHANGED}: pyproject.toml: {clause}"]


def test_a_merge_that_makes_doits_table_is_no_pass(tmp_path: Path) -> None:
    """One pack writes its header into a string, which changes nothing; the other takes the quotes
    away.
    """
    world = World(tmp_path)
    world.write("factory.toml", '[integration]\noverlap = "merge"\n')
    lines = "".join(f"# {number}\n" for number in range(1, 13))
    world.write("pyproject.toml", f'about = """\n{lines}"""\n')
    for folder, program in (("TASK-0001-a", "7s/.*/[tool.doit]/"), ("TASK-0002-b", "1d;14d")):
        world.pack(
            folder,
            f'scope: {{allowed_paths: [pyproject.toml]}}\nsteps: [\'sed -i "{program}"'
            " pyproject.toml']\n",
        )
    world.commit()
    run = made(world, 2)
    assert [row["status"] for row in world.status()["packs"]] == ["PASS", "PASS"]
    (row,) = world.status()["findings"]
    assert (row["id"], row["pack"]) == ("PATH_PROTECTED", "")
    assert (
        row["message"] == "pyproject.toml was changed, and [tool.doit] in it was added; "
        "what doit loads on the host is protected from every pack"
    )
    assert world.differs() == ""
    told = [
        f.message
        for f in verify(run, {}, status="PASS", findings=()).findings
        if f.id == "VERIFY_MERGE"
    ]
    sentence = (
        "pyproject.toml: expected the table tool.doit as it was, found another, in a run that says"
        " PASS"
    )
    assert f"{Z}/FILES_CHANGED.json: {sentence}" in told


def test_a_scope_that_was_widened_to_fit_is_held_against_the_contract(outside: Memory) -> None:
    changes, _ = upgraded(outside)
    changes |= changed(outside, LOCK, lambda lock: lock["allowed"].append("README.md"))
    verified = as_pass(outside, changes)
    assert "VERIFY_SCOPE" in ids(verified)
    assert LOCK in places(verified)


def test_a_status_alone_cannot_be_upgraded(outside: Memory, failing: Memory) -> None:
    for run in (outside, failing):
        assert "VERIFY_STATUS" in ids(
            verify(run, changed(run, BUNDLE, lambda v: v.update(status="PASS")))
        )
        assert "VERIFY_STATUS" in ids(verify(run, {}, status="PASS"))
        assert "VERIFY_STATUS" in ids(verify(run, {}, status="PASS", findings=()))
        assert "VERIFY_STATUS" in ids(
            verify(run, changed(run, BUNDLE, lambda v: v.update(findings=[])))
        )


def test_a_failed_check_told_as_passed_needs_every_witness_to_lie(failing: Memory) -> None:
    """Whether a command ended with 0 is in no digest: the ledger and its checkpoints alone remember
    it.
    """
    changes, _ = upgraded(failing)
    verified = as_pass(failing, changes)
    assert not [f for f in verified.findings if f.id == "VERIFY_STATUS" and f.pack], (
        "the bundle tells one story"
    )
    assert verified.outcome is Outcome.INTACT, "and nobody vouches for it"
    real = check(forged(failing, changes)[0], around(failing.files["attestations/ledger.jsonl"]))
    assert "VERIFY_LEDGER" in ids(real)


def test_a_pass_cannot_be_told_as_blocked_either(good: Memory) -> None:
    assert "VERIFY_STATUS" in ids(verify(good, {}, status="BLOCKED"))
    finding = finding_record(Finding("OVERLAP", {"packs": ("invented",)}))
    assert "VERIFY_STATUS" in ids(verify(good, {}, findings=(finding,)))


# ── a change that is not what it says ────────────────────────────────────────


def test_a_hidden_change_in_the_patch_is_named(good: Memory) -> None:
    more = b"diff --git a/evil b/evil\nnew file mode 100644\nindex " + b"0" * 40 + b".."
    content = b"evil\n"
    import hashlib

    oid = hashlib.sha1(b"blob 5\0" + content).hexdigest().encode()
    more += oid + b"\n--- /dev/null\n+++ b/evil\n@@ -0,0 +1 @@\n+evil\n"
    for pack in ("TASK-0001", Z):
        verified = verify(good, {f"{pack}/DIFF.patch": good.files[f"{pack}/DIFF.patch"] + more})
        assert "VERIFY_HIDDEN_CHANGE" in ids(verified)
        assert f"{pack}/DIFF.patch" in places(verified)


def without(at: int) -> Callable[[Any], object]:
    return lambda document: document["files"].pop(at)


def with_other(at: int, name: str, other: Any) -> Callable[[Any], object]:
    return lambda document: document["files"][at].update({name: other})


def test_a_change_left_out_of_the_list_is_named(good: Memory) -> None:
    for path in (CHANGED, f"{Z}/FILES_CHANGED.json"):
        for at in range(len(json.loads(good.files[path])["files"])):
            verified = verify(good, changed(good, path, without(at)))
            assert "VERIFY_CHANGE" in ids(verified)
            assert path in places(verified)


FIELDS = (
    "kind",
    "mode_before",
    "mode_after",
    "oid_before",
    "oid_after",
    "sha256_before",
    "sha256_after",
)


@pytest.mark.parametrize("name", [*FIELDS, "lines_added", "lines_removed", "path"])
@pytest.mark.parametrize("place", ["TASK-0001", "TASK-0002", Z])
def test_every_member_of_every_changed_file_is_derived_again(
    good: Memory, name: str, place: str
) -> None:
    path = f"{place}/FILES_CHANGED.json"
    for at, row in enumerate(json.loads(good.files[path])["files"]):
        for other in others(name, row[name]):
            verified = verify(good, changed(good, path, with_other(at, name, other)))
            assert not verified.consistent, f"{row['path']}: {name} {other!r} survived"


def others(name: str, value: object) -> list[object]:
    if name == "kind":
        return [kind for kind in ("added", "modified", "removed", "mode", "type") if kind != value]
    if name.startswith("mode"):
        return [mode for mode in ("", "100644", "100755", "120000", "160000") if mode != value]
    if name.startswith("lines"):
        return [None, 1 if value is None else value + 1] if value is not None else [0, 1]  # type: ignore[operator]
    if name == "path":
        return [f"{value}x", "../up", "/abs", ".git/config", ""]
    text = str(value)
    return [text[::-1], "", "0" * 40, "0" * 64] if text else ["0" * 40, "0" * 64]


def test_objects_that_do_not_belong_are_named(good: Memory) -> None:
    from factory.git.bundle_file import format_bundle, parse_bundle

    for pack in ("TASK-0001", Z):
        path = f"{pack}/CHANGES.bundle"
        carried = parse_bundle(good.files[path], "sha1")
        import hashlib

        oid = hashlib.sha1(b"blob 4\0evil").hexdigest()
        more = {**carried.objects, oid: ("blob", b"evil")}
        bundle = format_bundle(carried.tip, carried.ref, carried.prerequisite, more, "sha1")
        assert "VERIFY_OBJECTS" in ids(verify(good, {path: bundle}))
        for left in carried.objects:
            fewer = {oid: one for oid, one in carried.objects.items() if oid != left}
            bundle = format_bundle(carried.tip, carried.ref, carried.prerequisite, fewer, "sha1")
            assert not verify(good, {path: bundle}).consistent, f"{left} is not missed"


# ── every bit of what is derived ─────────────────────────────────────────────

DERIVED = (
    *(
        "STATUS.json",
        "FILES_CHANGED.json",
        "DIFF.patch",
        "CHANGES.bundle",
        "SCOPE_LOCK.json",
        "SUMMARY.md",
    ),
    *("LOGS/INDEX.json", "MERGE.json", "MERGE_PLAN.md"),
)
# Told by the writer alone, and so protected by signatures only.
TOLD = (b'"ignored_dropped"',)
MENDED = (b'"sha256"', b'"bytes"')
FLIPS = 40 if WHOLE else 4  # of each document


def test_no_flipped_bit_of_a_derived_document_survives_a_forger(good: Memory) -> None:
    tried = 0
    for path, content in sorted(good.files.items()):
        if path.partition("/")[2] not in DERIVED or path == STATUS:
            continue
        for at in range(3, len(content), max(1, len(content) // FLIPS)):
            line = content[content.rfind(b"\n", 0, at) + 1 :].split(b"\n")[0]
            if line.strip().startswith(TOLD) or (
                path.endswith("MERGE.json") and line.strip().startswith(MENDED)
            ):
                continue
            spoilt = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
            try:
                survived = verify(good, {path: spoilt}).consistent
            except (
                Mismatch
            ):  # no event can carry what was a digest: the forger cannot so much as write it
                continue
            assert not survived, f"{path}: byte {at} in {line!r} survived"
            tried += 1
    assert tried >= sum(path.partition("/")[2] in DERIVED for path in good.files)


HOSTILE_VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 2**53, 1.5, "", "PASS", "../x", "0" * 40, "0" * 64, "\x07", "é"),
    *([], {}, [0], ["x", None], [[]], {"": ""}),
)
# What the writer alone tells, or the forger writes anew.
UNBOUND = re.compile(
    r"TASK-\d+/FILES_CHANGED.json#/ignored_dropped"
    r"|Z_integrator/STATUS.json#.*|Z_integrator/MERGE.json#/bundles/.*|.*(RUN_MANIFEST|manifest).json#.*"
    r"|TASK-\d+/STATUS.json#/findings/\d+/(hint|line|column)"
    r"|PLAN.json#/(recheck_budget|policy/(commit|grants)|packs/\d+/own_tree)"
)


def places_in(value: Any, where: str = "") -> Iterator[str]:
    yield where
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, member in inner:
        yield from places_in(member, f"{where}/{key}")


def put(value: Any, where: str, other: Any) -> Any:
    if not where:
        return other
    key, _, rest = where[1:].partition("/")
    made: Any = dict(value) if isinstance(value, dict) else list(value)
    at = key if isinstance(value, dict) else int(key)
    made[at] = put(made[at], f"/{rest}" if rest else "", other)
    return made


@pytest.mark.parametrize("seed", sample([0], range(1, 20)))
def test_any_value_at_any_place_of_any_document_is_answered_and_never_holds(
    good: Memory, seed: int
) -> None:
    """Everything that hangs on the document is recomputed: its strict reading and re-derivation
    alone are left.
    """
    choose = random.Random(seed)
    documents = sorted(
        path for path in good.files if path.endswith(".json") and "/LOGS/" not in path
    )
    for _ in range(30):
        path = choose.choice(documents)
        value = json.loads(good.files[path])
        where = choose.choice([one for one in places_in(value) if "ARTIFACTS" not in one])
        other = choose.choice(HOSTILE_VALUES)
        content = dump(put(value, where, other))
        if content != good.files[path] and not UNBOUND.fullmatch(f"{path}#{where}"):
            assert not answered(good, path, content).consistent, (
                f"{path}{where} = {other!r} survived"
            )


def answered(good: Memory, path: str, content: bytes) -> Verified:
    try:
        evidence, ledger = forged(good, {path: content})
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
    ):  # no document that our forger could go on from
        return check(relisted(Memory(good.name, {**good.files, path: content})))
    return check(evidence, around(ledger, sizes={len(ledger.splitlines())}))


def test_every_member_of_the_verdict_is_derived_again(good: Memory) -> None:
    verdict = json.loads(good.files[STATUS])
    pack = verdict["packs"][0]
    for name, other in (
        *(
            ("base_commit", "0" * 40),
            ("base_tree", "0" * 40),
            ("merged_tree", "0" * 40),
            ("merged_tree", ""),
        ),
        *(("rechecks", ()), ("largest_set", ()), ("largest_set", ("TASK-0001",)), ("exact", False)),
        *(
            ("properties_accepted", ("net_isolated",)),
            ("properties_given", ("net_isolated",)),
            ("branch", "x"),
        ),
        *(("smallest_conflict", ("TASK-0001", "TASK-0002")), ("packs", ())),
    ):
        assert not verify(good, {}, **{name: other}).consistent, f"{name} {other!r} survived"
    from factory.model.evidence import PackLine

    told: tuple[tuple[str, Any], ...] = (
        *(
            ("title", "x"),
            ("domain", "x"),
            ("why", "x"),
            ("status", "BLOCKED"),
            ("files_changed", 9),
        ),
        *(
            ("lines_added", 9),
            ("lines_removed", 9),
            ("checks_ok", 9),
            ("checks", 9),
            ("artifacts", ()),
        ),
        ("came_from", "another_run"),
    )
    for name, other in told:
        lines = [
            PackLine.model_validate(with_tuples(line))
            for line in (pack | {name: other}, verdict["packs"][1])
        ]
        assert not verify(good, {}, packs=tuple(lines)).consistent, (
            f"packs/0/{name} {other!r} survived"
        )


def test_every_log_index_artifact_and_summary_belongs(good: Memory) -> None:
    log = "TASK-0001/LOGS/check-1.log"
    for changes in (
        {log: good.files[log] + b"x"},
        {"TASK-0001/ARTIFACTS/taskpacks/TASK-0001-alpha/out/s.txt": b"x"},
        {"TASK-0001/SUMMARY.md": b"# fine\n"},
        changed(good, "TASK-0001/LOGS/INDEX.json", lambda v: v["logs"].reverse()),
        changed(
            good,
            "TASK-0001/LOGS/INDEX.json",
            lambda v: v["logs"][0].update(path="LOGS/../STATUS.json"),
        ),
        changed(good, "TASK-0001/ACTION.json", lambda v: v["files"].pop()),
        changed(good, "TASK-0001/ACTION.json", lambda v: v["limits"].update(changed_lines=9999)),
        changed(good, "TASK-0001/ACTION.json", lambda v: v["protected"].clear()),
        changed(good, LOCK, lambda v: v["limits"].update(changed_lines=9999)),
        changed(good, LOCK, lambda v: v["protected"].clear()),
        changed(good, LOCK, lambda v: v.update(network_any=True)),
        changed(
            good, "attestations/policy.json", lambda v: v["properties_required"].append("more")
        ),
        changed(good, "attestations/policy.json", lambda v: v.update(signing="required")),
    ):
        (path,) = changes
        assert not verify(good, changes).consistent, f"{path} survived"


def test_a_run_that_merged_nothing_says_so_and_sends_nobody_to_a_result(failing: Memory) -> None:
    run, ledger = forged(failing, {})
    plan, report = f"{Z}/MERGE_PLAN.md", f"{Z}/FINAL_REPORT.md"
    assert run.files[plan].endswith(b"\nResult: nothing was merged.\n\n- TASK-0001 is BLOCKED.\n")
    assert {
        f"{Z}/{name}" for name in ("MERGE.json", "FILES_CHANGED.json", "DIFF.patch")
    }.isdisjoint(run.files)
    merged = (
        b"`git bundle verify Z_integrator/CHANGES.bundle` and `git fetch` from it inside a clone"
        b" give the merged tree,"
    )
    for path, kind, old, new in (
        (plan, "VERIFY_MERGE", b"is BLOCKED", b"is PASS"),
        (report, "VERIFY_REPORT", b"nothing was merged; `git fetch`", b"`git fetch`"),
        (report, "VERIFY_REPORT", b'Its log ends with "', b'Its log ends with "not '),
        (report, "VERIFY_REPORT", b"nothing was merged; ", merged + b"\nnothing was merged; "),
    ):
        spoilt = run.copy()
        spoilt.files[path] = run.files[path].replace(old, new)
        assert spoilt.files[path] != run.files[path], old
        assert kind in ids(check(spoilt, around(ledger))), new
    del run.files[plan]
    assert "VERIFY_MERGE" in ids(check(run, around(ledger)))


def test_digests_named_in_the_report_are_the_bundles_own(good: Memory) -> None:
    path = f"{Z}/FINAL_REPORT.md"
    run, ledger = forged(good, {})
    for pack in packs_of(run):
        digest = sha256(run.files[f"{pack}/manifest.json"])
        spoilt = run.copy()
        spoilt.files[path] = run.files[path].replace(digest.encode(), b"0" * 64)
        assert spoilt.files[path] != run.files[path]
        assert "VERIFY_REPORT" in ids(check(spoilt, around(ledger)))
    for old, new in (
        (b"**PASS**", b"**FAIL**"),
        (b"No finding.", b"- **CRASH** (error) x"),
        (b"5 files", b"6 files"),
    ):
        spoilt = run.copy()
        spoilt.files[path] = run.files[path].replace(old, new)
        assert spoilt.files[path] != run.files[path], old
        assert "VERIFY_REPORT" in ids(check(spoilt, around(ledger)))


RENDERED = {
    "another verdict in HTML": ("report.html", b"<h1>PASS</h1>", b"<h1>FAIL</h1>"),
    "a script": ("report.html", b"</main>", b"<script>x</script></main>"),
    "a pack's status in HTML": (
        "report.html",
        b'<span class="badge PASS">PASS',
        b'<span class="badge PASS">FAIL',
    ),
    "a finding in HTML": (
        "report.html",
        b"<p>No finding.</p>",
        b"<ul><li><p>error CRASH x</p></li></ul>",
    ),
    "a file in HTML": ("report.html", b"<code>docs/n.txt</code>", b"<code>docs/m.txt</code>"),
    "an outcome in HTML": (
        "report.html",
        b'<span class="badge ok">ok</span>',
        b'<span class="badge ok">so</span>',
    ),
    "counts": ("junit.xml", b'failures="0"', b'failures="1"'),
    "a case": ("junit.xml", b"tests-1 true", b"tests-9 true"),
    "a failure": ("junit.xml", b"</testcase>", b"<failure>x</failure></testcase>"),
    "an entity": ("junit.xml", b"<testsuites ", b"<!DOCTYPE a><testsuites "),
    "another verdict in SARIF": ("results.sarif", b'"status": "PASS"', b'"status": "FAIL"'),
    "a result": ("results.sarif", b'"results": []', b'"results": [1]'),
}


@pytest.mark.parametrize("what", RENDERED)
def test_a_rendering_that_says_otherwise_is_named(good: Memory, what: str) -> None:
    name, old, new = RENDERED[what]
    path = f"{Z}/{name}"
    run, ledger = forged(good, {})
    assert "VERIFY_REPORT" not in ids(check(run, around(ledger)))
    spoilt = run.copy()
    spoilt.files[path] = run.files[path].replace(old, new, 1)
    assert spoilt.files[path] != run.files[path]
    found = [
        finding
        for finding in check(relisted(spoilt), around(ledger)).findings
        if finding.id == "VERIFY_REPORT"
    ]
    assert {finding.location.file for finding in found if finding.location} == {path}


def test_a_rendering_that_is_gone_is_named(good: Memory) -> None:
    run, ledger = forged(good, {})
    for name in ("report.html", "junit.xml", "results.sarif"):
        bare = run.copy()
        del bare.files[f"{Z}/{name}"]
        assert f"{Z}/{name}" in places(check(relisted(bare), around(ledger)))
