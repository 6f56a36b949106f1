"""AUDIT.md is typed as it stands, on a real run, where our package cannot be imported;
ATTESTATIONS.md where it can.

The run is not an easy one: narrowed inputs, packs that build on each other, a three-way merge,
bundles from an earlier run, a pack that is not committed. Then each step is shown to refuse.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from factory.evidence.attestations import enclose, pae, parse_envelopes
from factory.log import ed25519
from factory.log.dsse import format_envelopes
from factory.log.key import Signature
from factory.log.public_key import format_pem
from factory.model.evidence import EventDocument
from tests.docs_kit import ROOT, appears, run, typed
from tests.sample import WHOLE as ALL
from tests.verify_kit import Memory, chained, events_of, load, relisted, retold
from tests.world import World

pytestmark = pytest.mark.linux

PAGE = ROOT / "docs" / "factory" / "AUDIT.md"
FORMATS = ROOT / "docs" / "factory" / "ATTESTATIONS.md"
Z = "Z_integrator"
STATEMENTS, CHECKPOINT = "attestations/attestations.intoto.jsonl", "attestations/checkpoint"
EVENTS, PROOF = "attestations/ledger.jsonl", "attestations/finished.tlog-proof"


def commands() -> str:
    """Return the commands of the page: one block, typed as it stands."""
    tokens = MarkdownIt("commonmark").parse(PAGE.read_text("utf-8"))
    (block,) = (token.content for token in tokens if token.type == "fence")
    return block


STEPS = range(1, 8)


@dataclass(frozen=True, slots=True)
class Audit:
    """The folder that the page asks for."""

    place: Path

    run_id: str

    def typed(self, command: str) -> subprocess.CompletedProcess[str]:
        """Type a command as a stranger would: with a bare PATH and no variable of ours."""
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.place),
            "LANG": "C.UTF-8",
            "RUN_ID": self.run_id,
        }
        return subprocess.run(
            ["sh", "-c", command],
            cwd=self.place,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def step(self, number: int) -> subprocess.CompletedProcess[str]:
        """Do one step alone."""
        return self.typed(f'python3 -I audit.py "$RUN_ID" --step {number}')

    def first_refusal(self) -> tuple[int, str]:
        """Return the first step that refuses, and its sentence; 0 where all agree."""
        done = self.typed(commands())
        agreed = {int(line[0]) for line in done.stdout.splitlines() if line[:1].isdigit()}
        return (max(agreed, default=0) + 1, done.stderr) if done.returncode else (0, "")


class Made:
    """A repository with two runs, and who signed them."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.home.mkdir()
        self.world = world = World(root / "repository")
        self.env = {"HOME": str(self.home), "XDG_CONFIG_HOME": ""}
        lines = [f"line {number}\n" for number in range(40)]
        world.write("factory.toml", '[integration]\noverlap = "merge"\n')
        world.write("src/long.txt", "".join(lines))
        world.write("src/gone.txt", "bye\n")
        world.write("src/run.sh", "#!/bin/sh\n")
        world.write("data/x.bin", bytes(range(256)) * 4)
        world.write("hidden/secret.txt", "not for them\n")
        world.pack(
            "TASK-0001-alpha",
            """
            inputs: [src/, 'data/*.bin', '**/no-such-*']
            scope: {allowed_paths: [src/, docs/]}
            steps:
              - run: sed -i 's/line 3$/line three/' src/long.txt; rm src/gone.txt; chmod +x src/run.sh
              - run: mkdir -p docs; echo hi > "docs/grüße und mehr.txt"; ln -s long.txt src/link
            """,
            "tests: ['test ! -e hidden']\n",
        )
        world.pack(
            "TASK-0002-beta",
            """
            scope: {allowed_paths: [data/, docs/, src/]}
            depends_on: [TASK-0001]
            steps:
              - run: printf more >> data/x.bin; echo more >> "docs/grüße und mehr.txt"
              - run: rm src/link; mkdir src/link; cp README.md src/link
            """,
        )
        world.pack(
            "TASK-0003-gamma",
            """
            inputs: [src/long.txt]
            scope: {allowed_paths: [src/]}
            steps: ["sed -i 's/line 30/line thirty/' src/long.txt"]
            """,
        )
        world.commit()
        self.oneshot()
        world.write("taskpacks/TASK-0002-beta/notes.md", "Not committed.\n")
        self.oneshot()
        status = world.status()
        assert [bool(row["came_from"]) for row in status["packs"]] == [True, False, True]
        assert (status["packs_committed"], len(status["overlaps"]) > 0) == (False, True)
        self.public = world.factory("keys", "export", **self.env).out

    def oneshot(self) -> None:
        ended = self.world.factory("oneshot", **self.env)
        assert ended.rc == 0, ended.text

    def audit(self, place: Path, run: Memory | None = None) -> Audit:
        """What a stranger was given; `run` in place of the real one."""
        place.mkdir()
        if run is None:
            shutil.copytree(self.world.last().parent, place / "run")
        else:
            for path, content in run.files.items():
                (place / "run" / path).parent.mkdir(parents=True, exist_ok=True)
                (place / "run" / path).write_bytes(content)
        shutil.copyfile(PAGE.with_name("audit.py"), place / "audit.py")
        (place / "signer.pub").write_text(self.public)
        (place / "repository").symlink_to(self.world.root)
        shutil.copyfile(self.world.state / "ledger.jsonl", place / "ledger.jsonl")
        return Audit(place, run.name if run is not None else self.world.last().parent.name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("audited"))


def test_every_step_holds_on_a_real_run_without_our_package(made: Made, tmp_path: Path) -> None:
    audit = made.audit(tmp_path / "given")
    alone = subprocess.run(
        ["python3", "-I", "-c", "import factory"],
        cwd=audit.place,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
    )
    assert alone.returncode == 1, "expected that a stranger's Python cannot import our package"
    done = audit.typed(commands())
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    for number in STEPS:
        assert f"\n{number}. " in f"\n{done.stdout}"
    assert "To be believed still: " in done.stdout
    (audit.place / "ledger.jsonl").unlink()
    assert audit.step(5).stdout.count("\n") == 1


def test_the_script_of_the_page_is_the_one_beside_it_and_no_other(
    made: Made, tmp_path: Path
) -> None:
    script = PAGE.with_name("audit.py").read_text("utf-8")
    assert f"'{sha256(script.encode()).hexdigest()}  audit.py'" in commands()
    assert f"VERSION = {re.search('version ([0-9]+)', PAGE.read_text('utf-8'))[1]}\n" in script  # type: ignore[index]
    audit = made.audit(tmp_path / "given")
    (audit.place / "audit.py").write_text(script + "\n")
    assert audit.typed(commands()).returncode != 0


def test_a_run_that_is_blocked_is_audited_too(made: Made, tmp_path: Path) -> None:
    shutil.copytree(
        made.world.root, tmp_path / "copy", symlinks=True, ignore=shutil.ignore_patterns("cache")
    )
    world = World(tmp_path / "copy")
    world.write("taskpacks/TASK-0003-gamma/acceptance.yml", "tests: ['false']\n")
    assert world.factory("oneshot", **made.env).rc == 2
    audit = made.audit(tmp_path / "given", load(world.last().parent))
    shutil.copyfile(world.state / "ledger.jsonl", audit.place / "ledger.jsonl")
    assert audit.first_refusal() == (0, "")
    assert audit.step(4).stdout.startswith("4. BLOCKED")


def test_the_commands_in_the_page_on_formats_do_what_it_shows(made: Made) -> None:
    for one in typed(FORMATS.read_text("utf-8")):
        output, code = run(one.command, made.world.root)
        assert code == 0, output
        assert appears(one.shown or (), output), output


Tamper = Callable[[Memory], None]


def json_of(run: Memory, path: str) -> dict:
    return json.loads(run.files[path])


def set_in(path: str, *keys: str | int, to: object) -> Tamper:
    """Change one member of a JSON file."""

    def tamper(run: Memory) -> None:
        document = here = json_of(run, path)
        for key in keys[:-1]:
            here = here[key]
        assert here[keys[-1]] != to
        here[keys[-1]] = to
        run.files[path] = json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"

    return tamper


def planned_anew(*keys: str | int, to: object) -> Tamper:
    """Change the plan, and the digest of it that the first event names."""

    def tamper(run: Memory) -> None:
        set_in("PLAN.json", *keys, to=to)(run)
        first, rest = run.files[EVENTS].split(b"\n", 1)
        event = json.loads(first)
        event["hashes"]["plan"] = sha256(run.files["PLAN.json"]).hexdigest()
        run.files[EVENTS] = json.dumps(event).encode() + b"\n" + rest

    return tamper


def replace(path: str, old: bytes, new: bytes) -> Tamper:
    def tamper(run: Memory) -> None:
        assert old in run.files[path]
        run.files[path] = run.files[path].replace(old, new, 1)

    return tamper


def lines_of(path: str, change: Callable[[list[bytes]], list[bytes]]) -> Tamper:
    def tamper(run: Memory) -> None:
        run.files[path] = b"".join(change(run.files[path].splitlines(keepends=True)))

    return tamper


def payload(at: int, old: bytes, new: bytes) -> Tamper:
    """Change what a statement says and keep its signature."""

    def change(lines: list[bytes]) -> list[bytes]:
        envelope = json.loads(lines[at])
        said = base64.b64decode(envelope["payload"])
        assert old in said
        envelope["payload"] = base64.b64encode(said.replace(old, new, 1)).decode()
        return [*lines[:at], json.dumps(envelope).encode() + b"\n", *lines[at:][1:]]

    return lines_of(STATEMENTS, change)


def signed_by_another(run: Memory) -> None:
    """Every statement signed anew by somebody who is not trusted."""
    signer = ed25519.parse_private_pem(ed25519.make_pem())
    payloads = [envelope.payload for envelope in parse_envelopes(run.files[STATEMENTS])]
    signed = (enclose(one, [Signature(signer.key, signer.sign(pae(one)))]) for one in payloads)
    run.files[STATEMENTS] = format_envelopes(signed)


def unsigned(run: Memory) -> None:
    run.files[STATEMENTS] = format_envelopes(
        enclose(envelope.payload, ()) for envelope in parse_envelopes(run.files[STATEMENTS])
    )


def lists_recomputed(run: Memory) -> None:
    run.files["TASK-0001/LOGS/tests-1.log"] = b"all good\n"
    run.files = relisted(run).files


def event_told_anew(run: Memory) -> None:
    """The last event changed, and its id computed again."""
    lines = run.files[EVENTS].splitlines()
    event = json.loads(lines[-1])
    event["duration_ms"] += 1
    event.pop("event_id")
    event["event_id"] = id_of(event)
    lines[-1] = json.dumps(event, sort_keys=True, separators=(",", ":")).encode()
    run.files[EVENTS] = b"\n".join(lines) + b"\n"


def id_of(event: dict) -> str:
    return sha256(json.dumps(event, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def objects_of_another_pack(run: Memory) -> None:
    run.files["TASK-0001/CHANGES.bundle"] = run.files["TASK-0003/CHANGES.bundle"]


OTHER_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
# Each: which step must refuse it, what its sentence has, and what was done to the run.
WHOLE: dict[str, tuple[int, str, Tamper]] = {
    "a bit": (
        1,
        "TASK-0001/DIFF.patch",
        replace("TASK-0001/DIFF.patch", b"three", b"thref"),
    ),
    "a file more": (1, "'raw/more.txt'", lambda run: run.files.update({"raw/more.txt": b""})),
    "a file less": (1, "locks/started.txt", lambda run: run.files.__delitem__("locks/started.txt")),
    "another verdict": (
        1,
        "STATUS.json",
        set_in(f"{Z}/STATUS.json", "status", to="BLOCKED"),
    ),
    "every list computed anew": (3, "is not what a statement is about", lists_recomputed),
}
ALONE: dict[str, tuple[int, str, Tamper]] = {
    "what a statement says": (
        2,
        "statement 1 is not signed by signer.pub",
        payload(0, b"propertiesInForce", b"propertiesInForca"),
    ),
    "what the summary says": (
        2,
        "is not signed by signer.pub",
        payload(-1, b'"PASSED"', b'"FAILED"'),
    ),
    "another key": (2, "is not signed by signer.pub", signed_by_another),
    "no signature": (2, "statement 1 has 0 signatures", unsigned),
    "the head": (
        2,
        "the checkpoint is not signed by signer.pub",
        lines_of(CHECKPOINT, lambda r: [r[0], b"7\n", *r[2:]]),
    ),
    "statements in another order": (
        3,
        "other statements",
        lines_of(STATEMENTS, lambda r: [*r[2:4], *r[:2], *r[4:]]),
    ),
    "a statement less": (3, "other statements", lines_of(STATEMENTS, lambda rows: rows[1:])),
    "no summary": (3, "no summary", lines_of(STATEMENTS, lambda rows: rows[:-1])),
    "the policy": (3, "another policy", set_in("attestations/policy.json", "overlap", to="block")),
    "a report": (
        3,
        "FINAL_REPORT.md is not what",
        replace(f"{Z}/FINAL_REPORT.md", b"PASS", b"pass"),
    ),
    "a required command that failed": (
        4,
        "its records do not say so",
        set_in("TASK-0001/STATUS.json", "checks", 0, "rc", to=1),
    ),
    "a required command without record": (
        4,
        "its records do not say so",
        set_in("TASK-0001/STATUS.json", "checks", to=[]),
    ),
    "a finding that is passed over": (
        4,
        "the run is PASS, and",
        set_in(f"{Z}/STATUS.json", "findings", to=[{"severity": "error"}]),
    ),
    "a pack that is not PASS": (
        4,
        "the run is PASS, and",
        set_in(f"{Z}/STATUS.json", "packs", 0, "status", to="BLOCKED"),
    ),
    "no check on the merged tree": (
        4,
        "not accepted again",
        set_in(f"{Z}/STATUS.json", "rechecks", to=[]),
    ),
    "an event": (
        5,
        "is not what its id says",
        replace(EVENTS, b'"actor":"pipeline"', b'"actor":"somebody"'),
    ),
    "an event told anew": (5, "the last event is not under the signed head", event_told_anew),
    "events in another order": (
        5,
        "not in their order",
        lines_of(EVENTS, lambda rows: [rows[1], rows[0], *rows[2:]]),
    ),
    "the last event": (5, "another end", lines_of(EVENTS, lambda rows: rows[:-1])),
    "an event of another run": (
        5,
        "events of another run",
        set_in(f"{Z}/STATUS.json", "run_id", to="other"),
    ),
    "a proof that is cut": (5, "too short", lines_of(PROOF, lambda rows: [*rows[:2], *rows[3:]])),
    "a verdict that the ledger does not know": (
        5,
        "another end",
        set_in(f"{Z}/STATUS.json", "status", to="BLOCKED"),
    ),
    "a patch": (
        6,
        "TASK-0001: its patch",
        replace("TASK-0001/DIFF.patch", b"+line three", b"+line thref"),
    ),
    "the result's id": (
        6,
        "TASK-0001: what it left",
        set_in("TASK-0001/STATUS.json", "result_tree", to=OTHER_TREE),
    ),
    "the base's id": (
        6,
        "what it was measured against",
        set_in("TASK-0003/STATUS.json", "base_tree", to=OTHER_TREE),
    ),
    "what was changed": (
        6,
        "TASK-0001: FILES_CHANGED.json",
        set_in("TASK-0001/FILES_CHANGED.json", "files", 0, "path", to="docs/x"),
    ),
    "what the pack could see": (
        6,
        "TASK-0001: its inputs",
        set_in("TASK-0001/ACTION.json", "inputs", to=OTHER_TREE),
    ),
    "inputs that are wider": (
        6,
        "TASK-0003: what it could see",
        set_in("TASK-0003/SCOPE_LOCK.json", "inputs", to=["src/"]),
    ),
    "a file of the pack": (
        6,
        "task.yml",
        set_in("TASK-0002/ACTION.json", "files", -1, "sha256", to="0" * 64),
    ),
    "a dependency": (
        6,
        "TASK-0002: what it could see",
        set_in("TASK-0002/ACTION.json", "depends_on", to=[]),
    ),
    "the base commit's tree": (
        6,
        "the base tree",
        set_in(f"{Z}/STATUS.json", "base_tree", to=OTHER_TREE),
    ),
    "the merged tree": (
        6,
        "the merged tree",
        set_in(f"{Z}/STATUS.json", "merged_tree", to=OTHER_TREE),
    ),
    "the merged patch": (
        6,
        "the merged patch",
        replace(f"{Z}/DIFF.patch", b"+line three", b"+line thref"),
    ),
    "stored objects": (6, "git fetch", objects_of_another_pack),
    "the plan": (7, "another plan", set_in("PLAN.json", "recheck_budget", to=99)),
    "the base that was planned on": (
        7,
        "planned on another base_commit",
        planned_anew("base_commit", to="0" * 40),
    ),
    "the policy that was planned under": (
        7,
        "planned under another policy",
        planned_anew("policy", "rules", "overlap", to="block"),
    ),
    "an action without its key": (
        7,
        "TASK-0001: its key is not that of its action",
        planned_anew("packs", 0, "action", "properties", to=[]),
    ),
    "an action key of nothing": (
        7,
        "its key is not that of its action",
        planned_anew("packs", 0, "action_key", to="0" * 64),
    ),
    "another need": (
        7,
        "it needs other actions",
        planned_anew("packs", 2, "needs", to=[]),
    ),
    "a bundle of another action": (
        7,
        "TASK-0001: made by another action",
        set_in("TASK-0001/ACTION.json", "tools", to=[]),
    ),
    "a bundle under another scope": (
        7,
        "TASK-0001: made under another scope",
        set_in("TASK-0001/SCOPE_LOCK.json", "allowed", to=["**"]),
    ),
    "a command that was not planned": (
        7,
        "TASK-0001: other commands ran than planned",
        set_in("TASK-0001/STATUS.json", "checks", 0, "run", to="true"),
    ),
    "fewer commands": (
        7,
        "TASK-0001: other commands are required than planned",
        set_in("TASK-0001/STATUS.json", "required", to=[]),
    ),
    "a word of the old judge": (
        7,
        "TASK-0001: no command says so of tests-1 under the old judge",
        set_in("TASK-0001/STATUS.json", "judged", "checks", 0, "old_judge", to="ok"),
    ),
    "a word of what was before": (
        7,
        "TASK-0001: no command says so of tests-1 before the work",
        set_in("TASK-0001/STATUS.json", "judged", "checks", 0, "before", to="fixed"),
    ),
    "another judge": (
        7,
        "planned under another judge",
        planned_anew("judge", "tests", to=[]),
    ),
    "a merge of other packs": (
        7,
        "other packs were merged than planned",
        set_in(f"{Z}/MERGE.json", "order", to=["TASK-0001"]),
    ),
}


def test_each_step_refuses_what_was_tampered_with(made: Made, tmp_path: Path) -> None:
    """In order, the first step that can tell; and each step by itself, were it the only one that
    could.
    """
    real = load(made.world.last().parent)
    wrong = []
    cases = list({**WHOLE, **ALONE}.items())
    for number, (what, (step, sentence, tamper)) in enumerate(cases[:: 1 if ALL else 2]):
        run = real.copy()
        tamper(run)
        audit = made.audit(tmp_path / str(number), run)
        if what in WHOLE:
            refused, said = audit.first_refusal()
        else:
            done = audit.step(step)
            refused, said = (step if done.returncode else 0), done.stdout + done.stderr
        if refused != step or sentence not in said or "Traceback" in said:
            wrong.append(
                f"{what}: expected step {step} to say {sentence!r}, found step {refused} saying"
                f" {said!r}"
            )
        shutil.rmtree(audit.place)
    assert wrong == []


def test_an_empty_folder_is_refused(made: Made, tmp_path: Path) -> None:
    audit = made.audit(tmp_path / "given")
    (audit.place / "run" / "TASK-9999").mkdir()
    done = audit.step(1)
    assert (done.returncode, "run/TASK-9999 is an empty folder" in done.stderr) == (
        1,
        True,
    ), done.stderr


def test_events_told_anew_and_chained_anew_are_held_against_the_records(
    made: Made, tmp_path: Path
) -> None:
    run = load(made.world.last().parent)
    own = events_of(run)
    last = own[-1].seq
    lines = (made.world.state / "ledger.jsonl").read_bytes().splitlines()[:last]
    whole = [EventDocument.model_validate_json(line) for line in lines]
    changes: dict[str, tuple[dict[str, object] | None, str]] = {
        "": (None, ""),
        "integrate.prepared": (
            {"hashes": {"status": "a" * 64, "merged_tree": ""}},
            "another verdict",
        ),
        "merge.finished": ({"hashes": {"merged_tree": OTHER_TREE}}, "another merge"),
        "recheck.finished": ({"rc": 1}, "the ledger knows other checks on the merged tree"),
        "bundle.validated": ({"hashes": {"manifest": "b" * 64}}, "the ledger knows another bundle"),
        "bundle.copied": (None, "from another run"),
        "pack.started": (None, "another start"),
        "pack.finished": ({"rc": 2}, "another end"),
        "attempt.finished": (None, "other attempts"),
        "check.finished": ({"rc": 1}, "the ledger knows other commands"),
        "step.finished": ({"hashes": {"log": "a" * 64}}, "the ledger knows other commands"),
    }
    for number, (kind, (update, sentence)) in enumerate(changes.items()):
        at = next(
            (
                n
                for n, one in enumerate(whole)
                if one.event_type == kind and one.run_id == own[0].run_id
            ),
            last,
        )
        instead = [whole[at].model_copy(update=update)] if update is not None else []
        evidence, ledger = retold(run, chained([*whole[:at], *instead, *whole[at + 1 :]]))
        audit = made.audit(tmp_path / str(number), evidence)
        (audit.place / "ledger.jsonl").write_bytes(ledger)
        done = audit.step(5)
        assert (done.returncode, sentence in done.stderr) == (
            1 if kind else 0,
            True,
        ), f"{kind}: {done.stderr}"


def test_the_ledger_is_held_against_the_signed_head(made: Made, tmp_path: Path) -> None:
    audit = made.audit(tmp_path / "given")
    ledger = audit.place / "ledger.jsonl"
    size = int((audit.place / "run" / CHECKPOINT).read_text("utf-8").splitlines()[1])
    lines = ledger.read_bytes().splitlines(keepends=True)[:size]  # it may have grown since
    for content, sentence in (
        (lines[:-1], "its end was taken away"),
        ([lines[1], lines[0], *lines[2:]], "the ledger was rewritten"),
        ([lines[0].replace(b"pipeline", b"somebody"), *lines[1:]], "the ledger was rewritten"),
    ):
        ledger.write_bytes(b"".join(content))
        done = audit.step(5)
        assert done.returncode == 1, done.stdout
        assert sentence in done.stderr
    os.unlink(audit.place / "signer.pub")
    stranger = ed25519.parse_private_pem(ed25519.make_pem()).key
    (audit.place / "signer.pub").write_bytes(format_pem(stranger))
    assert audit.step(2).returncode == 1
