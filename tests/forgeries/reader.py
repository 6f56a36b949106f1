"""Check a run as somebody would who has only the documents, and the standard library of Python.

Written from docs/factory/ATTESTATIONS.md, LEDGER.md, VERIFY.md, TASKPACK.md and the schemas, apart
from `factory` and from the script of AUDIT.md. Signatures by RFC 8032, the tree by RFC 9162, DSSE
and notes by their specifications. What Git objects contain is not read: trees are believed where
the records agree on their ids.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

Files = Mapping[str, bytes]
_A = "attestations/"
_Z = "Z_integrator/"
_PAYLOAD = "application/vnd.in-toto+json"
_LISTS = ("bundles", "report", "ledger", "files")
_CODES = {"PASS": 0, "BLOCKED": 2, "FAIL": 1}


class RefusedError(Exception):
    """Report what was expected and found: one sentence."""


def check(files: Files, raw: bytes, run_id: str) -> None:
    """Check a run's files against the signer's 32 raw bytes and the id that was asked for. Raise
    RefusedError.
    """
    try:
        for rule in (_files, _signed, _summed_up, _chained, _verdict):
            rule(files, raw, run_id)
        status = _load(files, f"{_Z}STATUS.json")
        rows = [row for row in status["packs"] if row["bundle_sha256"]]
        for row in rows:
            _bundle(files, row)
            _attested(files, row["pack"])
        _planned(files, status, rows)
        _told(files, status, rows)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise RefusedError(f"another form than documented: {type(error).__name__}") from error


def _expect(truth: object, sentence: str) -> None:
    if not truth:
        raise RefusedError(sentence)


def _same(what: str, *values: object) -> None:
    _expect(all(value == values[0] for value in values), f"{what}: the records disagree")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _load(files: Files, path: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        _expect(len(found) == len(pairs), f"{path}: a name is there twice")
        return found

    return json.loads(files[path], object_pairs_hook=once)


def _canonical(value: object) -> bytes:
    """RFC 8785, of what has no fractions."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _base64(text: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise RefusedError("junk in base64") from error
    _expect(base64.b64encode(found).decode() == text, "junk in base64")
    return found


# ── files and lists ──────────────────────────────────────────────────────────


def _files(files: Files, _raw: bytes, run_id: str) -> None:
    _expect("RUN_MANIFEST.json" in files, "there is no manifest")
    manifest = _load(files, "RUN_MANIFEST.json")
    _expect(manifest["subject"] == run_id, "the manifest is of another run than was asked for")
    rows = {row["path"]: (row["sha256"], row["bytes"]) for row in manifest["files"]}
    found = {path: (_sha256(content), len(content)) for path, content in files.items()}
    found.pop("RUN_MANIFEST.json")
    for path in sorted(rows.keys() | found.keys()):
        _expect(rows.get(path) == found.get(path), f"{path} is missing, extra or changed")
    for name in _LISTS:
        for line in files[f"{_A}{name}.sha256"].decode().splitlines():
            digest, _, path = line.partition("  ")
            _expect(_sha256(files[path]) == digest, f"{path} is not what {name}.sha256 names")
    listed = {line.partition("  ")[2] for line in files[f"{_A}files.sha256"].decode().splitlines()}
    late = {f"{_A}attestations.intoto.jsonl", *(f"{_A}{name}.sha256" for name in _LISTS)}
    _expect(listed == found.keys() - late, "files.sha256 names other files than are there")


# ── signatures ───────────────────────────────────────────────────────────────

_P = 2**255 - 19
_Q = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)
Point = tuple[int, int, int, int]


def _add(a: Point, b: Point) -> Point:
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % _P, (a[1] + a[0]) * (b[1] + b[0]) % _P
    g, h = 2 * a[3] * b[3] * _D % _P, 2 * a[2] * b[2] % _P
    i, j, k, m = f - e, h - g, h + g, f + e
    return i * j % _P, k * m % _P, j * k % _P, i * m % _P


def _times(scalar: int, point: Point) -> Point:
    found: Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            found = _add(found, point)
        point, scalar = _add(point, point), scalar >> 1
    return found


def _point(content: bytes) -> Point | None:
    whole = int.from_bytes(content, "little")
    sign, y = whole >> 255, whole & ((1 << 255) - 1)
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if y >= _P or (x * x - square) % _P or (not x and sign):
        return None
    x = _P - x if x & 1 != sign else x
    return x, y, 1, x * y % _P


_BASE = _point((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))


@lru_cache(maxsize=1024)
def _fits(raw: bytes, message: bytes, signature: bytes) -> bool:
    """RFC 8032, 5.1.7."""
    key, first = _point(raw), _point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or key is None or first is None or _BASE is None or scalar >= _Q:
        return False
    hashed = hashlib.sha512(signature[:32] + raw + message).digest()
    one = _times(scalar, _BASE)
    two = _add(first, _times(int.from_bytes(hashed, "little") % _Q, key))
    return not (
        (one[0] * two[2] - two[0] * one[2]) % _P or (one[1] * two[2] - two[1] * one[2]) % _P
    )


def _envelopes(files: Files) -> list[Any]:
    return [json.loads(line) for line in files[f"{_A}attestations.intoto.jsonl"].splitlines()]


def _signed(files: Files, raw: bytes, _run_id: str) -> None:
    named = {"keytype": "ed25519", "keyval": {"public": raw.hex()}, "scheme": "ed25519"}
    for number, one in enumerate(_envelopes(files), 1):
        _expect(len(one["signatures"]) == 1, f"statement {number}: expected one signature")
        _expect(one["payloadType"] == _PAYLOAD, f"statement {number} is of another type")
        payload, made = _base64(one["payload"]), one["signatures"][0]
        message = b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD), _PAYLOAD.encode(), len(payload), payload)
        signed = _fits(raw, message, _base64(made["sig"]))
        _expect(signed, f"statement {number} is not signed by the key")
        keyid = _sha256(_canonical(named))
        _expect(made["keyid"] == keyid, f"statement {number} names another key than signed it")
        _expect(_canonical(json.loads(payload)) == payload, f"statement {number} is not canonical")
    text, _, lines = files[f"{_A}checkpoint"].decode().partition("\n\n")
    _expect(lines.count("\n") == 1, "the checkpoint: expected one signature")
    dash, name, value = lines.rstrip("\n").split(" ")
    _expect((dash, name) == ("—", text.split("\n")[0]), "the checkpoint is signed as another")
    signature = _base64(value)
    mark = hashlib.sha256(f"{name}\n".encode() + b"\1" + raw).digest()[:4]
    _expect(signature[:4] == mark, "the checkpoint names another key")
    message = f"{text}\n".encode()
    _expect(_fits(raw, message, signature[4:]), "the checkpoint is not signed by the key")


# ── statements ───────────────────────────────────────────────────────────────


def _statements(files: Files) -> list[Any]:
    return [json.loads(_base64(one["payload"])) for one in _envelopes(files)]


def _summed_up(files: Files, _raw: bytes, run_id: str) -> None:
    statements = _statements(files)
    _expect(statements, "expected statements, found none")
    for one in statements:
        for subject in one["subject"]:
            digest = subject["digest"].get("sha256")
            known = digest is None or _sha256(files[subject["name"]]) == digest
            _expect(known, f"{subject['name']} is not what a statement is about")
    status, summary = _load(files, f"{_Z}STATUS.json"), statements[-1]
    _expect("verification_summary" in summary["predicateType"], "the last statement is no summary")
    said = summary["predicate"]
    inputs = [row["digest"]["sha256"] for row in said["inputAttestations"]]
    before = [_sha256(_base64(one["payload"])) for one in _envelopes(files)[:-1]]
    _expect(inputs == before, "the summary is about other statements")
    _expect(said["resourceUri"].endswith(f":run:{run_id}"), "the summary is about another run")
    _expect(status["run_id"] == run_id, "the verdict is about another run than was asked for")
    _same("the verdict", said["verificationResult"] == "PASSED", status["status"] == "PASS")
    about = {subject["name"] for subject in summary["subject"]}
    for name in (f"{_A}files.sha256", f"{_Z}STATUS.json", f"{_Z}FINAL_REPORT.md"):
        _expect(name in about, f"no summary is about {name}")
    policy = _sha256(files[f"{_A}policy.json"])
    _same("the policy", policy, said["policy"]["digest"]["sha256"], status["policy"]["sha256"])
    in_git = {
        subject["name"]: subject["digest"]
        for one in statements
        for subject in one["subject"]
        if "sha256" not in subject["digest"]
    }
    merged = in_git.get("merged-tree", {}).get("gitTree", "")
    _same("the merged tree", merged, status["merged_tree"])
    for row in status["packs"]:
        if row["bundle_sha256"]:
            tree = in_git.get(f"{row['pack']}/result-tree", {}).get("gitTree", "")
            left = _load(files, f"{row['pack']}/STATUS.json")["result_tree"]
            _same(f"{row['pack']}: its result", tree, left)


def _attested(files: Files, pack: str) -> None:
    """Compare provenance and test result of a pack with its bundle."""
    manifest = {"name": f"{pack}/manifest.json"}
    own = [
        one["predicate"]
        for one in _statements(files)
        if manifest.items() <= one["subject"][0].items() and len(one["predicate"]) < 6
    ]
    _expect(len(own) >= 2, f"{pack}: expected a provenance and a test result")
    build = own[0]["buildDefinition"]
    status, lock = (_load(files, f"{pack}/{name}.json") for name in ("STATUS", "SCOPE_LOCK"))
    action = _load(files, f"{pack}/ACTION.json")
    key = build["internalParameters"]["actionKey"]
    _same(f"{pack}: the action key", key, status["action_key"], _sha256(_canonical(action)))
    _same(f"{pack}: the scope", build["externalParameters"]["scopeLock"], lock)
    _same(f"{pack}: its files", build["externalParameters"]["packFiles"], action["files"])
    passed = own[1]["result"] == "PASSED"
    _same(f"{pack}: the test result", passed, status["status"] == "PASS")


# ── the ledger ───────────────────────────────────────────────────────────────


def _events(files: Files) -> list[Any]:
    return [json.loads(line) for line in files[f"{_A}ledger.jsonl"].splitlines()]


def _chained(files: Files, _raw: bytes, run_id: str) -> None:
    lines = files[f"{_A}ledger.jsonl"].split(b"\n")
    _expect(lines.pop() == b"" and lines, "the events end with a torn line")
    before: Any = None
    known = {""}
    for line, event in zip(lines, _events(files), strict=True):
        rest = {name: value for name, value in event.items() if name != "event_id"}
        where = f"event {event['seq']}"
        _expect(_canonical(event) == line, f"{where} is not canonical")
        _expect(_sha256(_canonical(rest)) == event["event_id"], f"{where} has another id")
        _expect(event["run_id"] == run_id, f"{where} is of another run")
        _expect(event["parent_event_id"] in known, f"{where} has no parent before it")
        if before is not None:
            _expect(event["seq"] > before["seq"], f"{where} is out of order")
            follows = event["seq"] > before["seq"] + 1 or event["prev"] == before["event_id"]
            _expect(follows, f"{where} does not follow the one before")
        known.add(event["event_id"])
        before = event
    origin, size, root = files[f"{_A}checkpoint"].decode().split("\n")[:3]
    _expect(origin.startswith("codex-orchestrator/ledger/"), "the checkpoint is of another ledger")
    _expect(int(size) == before["seq"], "the last event is not the last under the checkpoint")
    head, _, covered = files[f"{_A}finished.tlog-proof"].decode().partition("\n\n")
    _expect(covered.encode() == files[f"{_A}checkpoint"], "the proof is for another checkpoint")
    form, index, *path = head.split("\n")
    _expect(form == "c2sp.org/tlog-proof@v1", "the proof has another form")
    here = hashlib.sha256(b"\0" + lines[-1]).digest()
    at, last = int(index.removeprefix("index ")), int(size) - 1
    _expect(at == last, "the proof is of another event")
    for step in map(_base64, path):
        if at & 1 or at == last:
            here = hashlib.sha256(b"\1" + step + here).digest()
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            here = hashlib.sha256(b"\1" + here + step).digest()
        at, last = at >> 1, last >> 1
    _expect(last == 0 and here == _base64(root), "the last event is not under the checkpoint")


# ── the records ──────────────────────────────────────────────────────────────


def _verdict(files: Files, _raw: bytes, _run_id: str) -> None:
    status = _load(files, f"{_Z}STATUS.json")
    packs = {row["pack"]: row for row in status["packs"]}
    if status["status"] == "PASS":
        odd = [name for name, row in packs.items() if row["status"] != "PASS"]
        _expect(not odd, f"PASS, and {odd} are not")
        _expect(status["integrated"] == [*packs], "PASS, and other packs were integrated")
        refused = [one["id"] for one in status["findings"] if one["severity"] == "error"]
        _expect(not refused, f"PASS, and it has findings: {refused}")
        bad = [row for row in status["rechecks"] if row["rc"]]
        _expect(not bad, "PASS, and a check on the merged tree failed")
        again = {(row["pack"], row["label"]) for row in status["rechecks"]}
        for name in packs:
            for row in _load(files, f"{name}/STATUS.json")["checks"]:
                due = row["kind"] == "step" or (name, row["label"]) in again
                _expect(due, f"{name}: {row['label']} was not asked on the merged tree")
    for name in ("FINAL_REPORT.md", "FINAL_REPORT.txt"):
        lines = files[f"{_Z}{name}"].decode().splitlines()
        first = [line.strip("*# ") for line in lines if line.strip()][:2]
        words = " ".join(first).replace("*", "")
        _expect(status["status"] in words.split(), f"{name} has another verdict")
    grants = _load(files, f"{_A}policy.json")["grants"]
    _same("what was granted", status["policy"]["grants"], grants)


def _bundle(files: Files, row: Any) -> None:
    pack = row["pack"]
    _same(f"{pack}: its manifest", row["bundle_sha256"], _sha256(files[f"{pack}/manifest.json"]))
    manifest = _load(files, f"{pack}/manifest.json")
    named = {f"{pack}/{one['path']}": one["sha256"] for one in manifest["files"]}
    there = {path for path in files if path.startswith(f"{pack}/")} - {f"{pack}/manifest.json"}
    _expect(named.keys() == there, f"{pack}: its manifest names other files")
    for path, digest in named.items():
        _expect(_sha256(files[path]) == digest, f"{path} is not what its manifest names")
    status, changed = (_load(files, f"{pack}/{name}.json") for name in ("STATUS", "FILES_CHANGED"))
    for member in ("status", "files_changed", "lines_added", "lines_removed"):
        _same(f"{pack}: {member}", row[member], status[member])
    _same(f"{pack}: changed files", len(changed["files"]), status["files_changed"])
    for member in ("lines_added", "lines_removed"):
        total = sum(one[member] or 0 for one in changed["files"])
        _same(f"{pack}: {member}", total, status[member])
    for member in ("base_tree", "result_tree"):
        _same(f"{pack}: {member}", changed[member], status[member])
    codes = {one["label"]: one["rc"] for one in status["checks"]}
    accepting = [label for label in status["required"] if not label.startswith("step-")]
    _same(f"{pack}: checks", row["checks"], len(accepting))
    good = sum(codes.get(label) == 0 for label in accepting)
    _same(f"{pack}: good checks", row["checks_ok"], good)
    _asked(row, status, accepting, codes)
    last = status["attempts"][-1]
    _same(f"{pack}: its last attempt", last["status"], status["status"])
    _same(f"{pack}: its last tree", last["result_tree"], status["result_tree"])
    if status["status"] == "PASS":
        lacks = [label for label in status["required"] if codes.get(label) != 0]
        _expect(not lacks and not any(codes.values()), f"{pack}: PASS, and {lacks or codes} failed")
        refused = [one["id"] for one in status["findings"] if one["severity"] == "error"]
        _expect(not refused, f"{pack}: PASS, and it has findings: {refused}")
        _within(pack, changed, _load(files, f"{pack}/SCOPE_LOCK.json"))
    index = _load(files, f"{pack}/LOGS/INDEX.json")["logs"]
    _same(f"{pack}: logged commands", {one["label"]: one["rc"] for one in index}, codes)
    for one in index:
        content = files[f"{pack}/{one['path']}"]
        same = (one["sha256"], one["bytes"]) == (_sha256(content), len(content))
        _expect(same, f"{pack}/{one['path']} is not what its index names")
    text = files[f"{pack}/SUMMARY.md"].decode()
    _expect(text.startswith(f"# {pack}: {status['status']}\n"), f"{pack}: another summary")
    for one in status["checks"]:
        _expect(f"- `{one['label']}` ended with {one['rc']}" in text, f"{pack}: another summary")
    patch = files[f"{pack}/DIFF.patch"]
    plain = [one for one in patch.split(b"\n") if one[:1] in b"+-" and one[:4] not in _HEADS]
    counts = tuple(sum(one[:1] == sign for one in plain) for sign in (b"+", b"-"))
    if b"GIT binary patch" not in patch:
        _same(f"{pack}: its patch", counts, (status["lines_added"], status["lines_removed"]))


_HEADS = (b"+++ ", b"--- ")


def _asked(row: Any, status: Any, accepting: list[str], codes: Mapping[str, int]) -> None:
    """Compare what each check says after, before and under the judge as it was."""
    pack = row["pack"]
    _same(f"{pack}: what was asked", [one["label"] for one in row["asked"]], accepting)
    judged = {one["label"]: (one["before"], one["old_judge"]) for one in status["judged"]["checks"]}
    empty = [one["facts"] for one in status["findings"] if one["id"] == "CHECK_RAN_NO_TEST"]
    for one in row["asked"]:
        label = one["label"]
        broken = "ran-no-test" if any(each.get("label") == label for each in empty) else "broken"
        after = "not-run" if label not in codes else "broken" if codes[label] else "ok"
        _same(f"{pack}: {label} after", one["after"], broken if after == "broken" else after)
        before = judged.get(label, ("not-asked", "not-asked"))
        _same(f"{pack}: {label} before", (one["before"], one["old_judge"]), before)
    files = status["judged"]["files"]
    _same(f"{pack}: its judge", row["judge_changed"], len(files))
    _same(f"{pack}: its judge", row["judge_permitted"], sum(one["permitted"] for one in files))


def _within(pack: str, changed: Any, lock: Any) -> None:
    """Judge what a PASS changed by the prefixes of its lock; other patterns are left to others."""
    for one in changed["files"]:
        path = one["path"]
        plain = [name for name in lock["allowed"] if "*" not in name and "?" not in name]
        if len(plain) == len(lock["allowed"]):
            inside = any(
                path == name or (name.endswith("/") and path.startswith(name)) for name in plain
            )
            _expect(inside, f"{pack}: {path} is outside of its scope")
        for name in lock["denied"]:
            denied = path == name or (name.endswith("/") and path.startswith(name))
            _expect(not denied, f"{pack}: {path} is denied")


# ── plan and events ──────────────────────────────────────────────────────────


def _planned(files: Files, status: Any, rows: Iterable[Any]) -> None:
    plan = _load(files, "PLAN.json")
    for member in ("base_commit", "base_ref", "base_tree", "packs_committed"):
        _same(f"the plan's {member}", plan[member], status[member])
    policy = _load(files, f"{_A}policy.json")
    _same("the plan's policy", plan["policy"]["rules"], policy)
    _same("the plan's policy", plan["policy"]["sha256"], status["policy"]["sha256"])
    _same("the commit of the policy", plan["policy"]["commit"], status["policy"]["commit"])
    planned = {one["pack"]: one for one in plan["packs"]}
    for one in plan["packs"]:
        _same(f"{one['pack']}: its key", _sha256(_canonical(one["action"])), one["action_key"])
        judge = one["action"]["judge"][0]
        _same(f"{one['pack']}: its judge", judge, _sha256(_canonical(plan["judge"])))
    for row in rows:
        pack = row["pack"]
        _expect(pack in planned, f"{pack} was not planned")
        due, made = planned[pack], _load(files, f"{pack}/STATUS.json")
        _same(f"{pack}: its action", due["action"], _load(files, f"{pack}/ACTION.json"))
        _same(f"{pack}: its scope", due["scope"], _load(files, f"{pack}/SCOPE_LOCK.json"))
        _same(f"{pack}: its key", due["action_key"], made["action_key"])
        commands = [_command(one) for one in due["commands"]]
        ran = [_command(one) for one in made["checks"]]
        _expect(all(one in commands for one in ran), f"{pack}: other commands ran than planned")
        accepted = any(one["kind"] != "step" for one in due["commands"])
        labels = [one["label"] for one in due["commands"]] if accepted else []
        _same(f"{pack}: required commands", made["required"], labels)
        for need in due["needs"]:
            _expect(need in planned, f"{pack} needs {need}, which was not planned")
    if f"{_Z}MERGE.json" in files:
        merge = _load(files, f"{_Z}MERGE.json")
        _same("the order of the merge", merge["order"], [*planned])
        for member in ("base_commit", "base_tree", "merged_tree"):
            _same(f"the merge's {member}", merge[member], status[member])
        named = [one["sha256"] for one in merge["bundles"]]
        _same("the merged bundles", named, [row["bundle_sha256"] for row in rows])


def _command(one: Any) -> tuple[str, ...]:
    return one["label"], one["kind"], one["name"], one["run"]


def _told(files: Files, status: Any, rows: Iterable[Any]) -> None:
    """Compare each event with the record that says the same (VERIFY.md)."""
    events = _events(files)

    def of(kind: str, pack: str = "") -> list[Any]:
        named = (one for one in events if one["event_type"] == kind)
        return [one for one in named if not pack or one["details"].get("pack") == pack]

    def only(kind: str, pack: str = "") -> Any:
        found = of(kind, pack)
        _expect(len(found) == 1, f"expected one event {kind} {pack}, found {len(found)}")
        return found[0]

    _same("the first and last event", [events[0]["event_type"], events[-1]["event_type"]],
          ["run.started", "integrate.finished"])  # fmt: skip
    digest: Callable[[str], str] = lambda path: _sha256(files[path])  # noqa: E731
    started, prepared, ended = map(
        only, ("run.started", "integrate.prepared", "integrate.finished")
    )
    _same("the base commit", started["hashes"]["base_commit"], status["base_commit"])
    _same("the plan", started["hashes"]["plan"], digest("PLAN.json"))
    _same("the verdict", prepared["hashes"]["status"], digest(f"{_Z}STATUS.json"))
    _same("the report", ended["hashes"]["report"], digest(f"{_Z}FINAL_REPORT.md"))
    code = _CODES[status["status"]]
    _same("the verdict", ended["details"]["status"], status["status"])
    _same("the verdict's code", ended["rc"], prepared["rc"], code)
    for one in (prepared, ended, *of("merge.finished")):
        _same("the merged tree", one["hashes"].get("merged_tree", ""), status["merged_tree"])
    for row in rows:
        if not row["came_from"]:
            _made(files, row["pack"], only, of)
    _reused(events, status)
    again = [
        (one["details"]["pack"], one["details"]["label"], one["rc"], one["details"]["outcome"])
        for one in of("recheck.finished")
    ]
    due = [
        (one["pack"], one["label"], one["rc"], one["outcome"])
        for one in status["rechecks"]
        if one["outcome"] != "as-accepted"
    ]
    _same("the checks on the merged tree", again, due)
    for one in of("recheck.finished"):
        name = f"{one['details']['pack']}.{one['details']['label']}"
        _same(f"the log of {name}", one["hashes"]["log"], digest(f"{_Z}LOGS/{name}.log"))


_ENDS = ("check.finished", "judge.finished", "recheck.finished", "recheck.judged")


def _reused(events: list[Any], status: Any) -> None:
    """Compare checks that did not run with the report, and each with the end right after it."""
    found = []
    for at, event in enumerate(events):
        if event["event_type"] != "check.reused":
            continue
        said = event["details"]
        found.append((said["pack"], int(said["attempt"]), said["label"], said["from_run"]))
        what = f"{said['pack']}: {said['label']} that did not run"
        own = [one for one in events[at + 1 :] if one["details"].get("pack") == said["pack"]]
        _expect(own and own[0]["event_type"] in _ENDS, f"{what} has no end")
        end = own[0]
        ended = (end["details"]["label"], end["rc"], end["hashes"]["log"], end["duration_ms"])
        _same(what, ended, (said["label"], 0, event["hashes"]["log"], 0))
    due = [(one["pack"], one["attempt"], one["label"], one["from_run"]) for one in status["reused"]]
    _same("checks that did not run", sorted(found), sorted(due))


def _made(
    files: Files, pack: str, only: Callable[..., Any], of: Callable[[str, str], list[Any]]
) -> None:
    made = _load(files, f"{pack}/STATUS.json")
    code = _CODES[made["status"]]
    started, ended = only("pack.started", pack), only("pack.finished", pack)
    _same(f"{pack}: its start", started["hashes"]["action_key"], made["action_key"])
    _same(f"{pack}: its end", (ended["details"]["status"], ended["rc"]), (made["status"], code))
    manifest = _sha256(files[f"{pack}/manifest.json"])
    hashes = {"manifest": manifest, "action_key": made["action_key"]}
    _expect(hashes.items() <= ended["hashes"].items(), f"{pack}: it ended with another bundle")
    for one in of("bundle.validated", pack):
        _same(f"{pack}: its validation", (one["hashes"]["manifest"], one["rc"]), (manifest, 0))
    number = str(made["attempts"][-1]["number"])
    told = [
        (one["details"]["label"], one["rc"], one["details"]["ended"], one["hashes"]["log"])
        for kind in ("step.finished", "check.finished")
        for one in of(kind, pack)
        if one["details"]["attempt"] == number
    ]
    due = [
        (one["label"], one["rc"], one["ended"], _sha256(files[f"{pack}/LOGS/{one['label']}.log"]))
        for one in made["checks"]
    ]
    _same(f"{pack}: its commands", told, due)
    attempts = [
        (one["details"]["attempt"], one["details"]["status"], one["hashes"].get("result_tree", ""))
        for one in of("attempt.finished", pack)
    ]
    rows = [(str(one["number"]), one["status"], one["result_tree"]) for one in made["attempts"]]
    _same(f"{pack}: its attempts", attempts, rows)
