"""Evidence tampered with in every way we know of: each mutation is named, and none survives.

Runs are real; the mutations happen to a copy in memory, so that thousands fit into a minute. The
nox session `tamper` flips a bit of every byte of every file; here a sample of them is taken.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from factory.log import ed25519
from factory.log.dsse import format_envelopes, parse_envelopes
from factory.verify.context import Context, Demand
from factory.verify.notes import Key, Way, read_checkpoint, read_key
from factory.verify.run import Outcome, Verified
from factory.verify.session import Caller, PolicyCommit, verify_at
from tests.sample import WHOLE
from tests.verify_kit import Memory, around, check, ids, load, places, relisted, small_world
from tests.world import World

pytestmark = pytest.mark.linux

EVERY = int(os.environ.get("TAMPER_EVERY", "0"))
PER_FILE = 3
# Of changes that are alike, one for each line: all of them at night.
STRIDE = 1 if WHOLE or EVERY else 4
SMALL = 1024  # every byte of so small a file is flipped
LARGE = 2048  # at most so many flips in one file
SHARDS = 8 if EVERY else 1
LEDGER = "ledger.jsonl"
EVENTS = "attestations/ledger.jsonl"
STATEMENTS = "attestations/attestations.intoto.jsonl"
CHECKPOINT = "attestations/checkpoint"
PROOF = "attestations/finished.tlog-proof"
STATUS = "Z_integrator/STATUS.json"


@dataclass
class Signed:
    """Two signed runs of one repository, in memory, with their whole ledger and the key that is
    trusted.
    """

    world: World
    first: Memory
    last: Memory
    ledger: bytes
    key: Key

    @property
    def lines(self) -> list[bytes]:
        return self.ledger.splitlines(keepends=True)

    def beside(self, ledger: bytes | None = None, demand: str = "required") -> Context:
        """Context of the last run: the whole ledger, the other run's checkpoint, the key."""
        other = read_checkpoint(self.first.files[CHECKPOINT])
        own = read_checkpoint(self.last.files[CHECKPOINT])
        whole = self.ledger if ledger is None else ledger
        sizes = {other.size, own.size}
        return around(whole, {self.first.name: other}, (self.key,), Demand(demand), sizes)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    folder = tmp_path_factory.mktemp("tamper")
    env = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
    (folder / "config").mkdir()
    world = small_world(folder / "repository")
    assert world.factory("keys", "new", **env).rc == 0
    assert world.factory("keys", "trust", **env).rc == 0
    world.commit("pin")
    first = world.factory("oneshot", **env)
    assert first.rc == 0, first.text
    world.write(
        "src/a.txt",
        "def one():\n    return 1\n\n\ndef two():\n    return 2\n\n\ndef three():\n    return 3\n",
    )
    world.commit("more")
    again = world.factory("oneshot", **env)
    assert again.rc == 0, again.text
    runs = [load(world.state / "runs" / name) for name in world.runs()]
    runs.sort(key=lambda run: read_checkpoint(run.files[CHECKPOINT]).size)
    pem = next((world.root / "factory.keys").iterdir()).read_bytes()
    return Signed(
        world,
        runs[0],
        runs[1],
        (world.state / LEDGER).read_bytes(),
        read_key(pem, Way.POLICY, "refs/heads/main"),
    )


def test_the_runs_hold(signed: Signed) -> None:
    for run in (signed.first, signed.last):
        beside = replace(signed.beside(), others={})
        verified = check(run, beside)
        assert verified.findings == (), verified.findings
        assert verified.status == "PASS"
    facts = {fact.section: fact.text for fact in check(signed.last, signed.beside()).facts}
    assert facts["ledger"].endswith("consistent with 1 other checkpoint")
    assert signed.key.id in facts["signatures"]
    assert "trusted" in facts["signatures"]


# ── bits ─────────────────────────────────────────────────────────────────────


def offsets(content: bytes) -> Iterator[tuple[int, int]]:
    """Which bits to flip: where all is asked for, of each byte of a small file and of some of a
    large one; else few.
    """
    if EVERY:
        step = 1 if len(content) <= SMALL else max(EVERY, len(content) // LARGE)
        yield from ((at, (at // step) % 8) for at in range(0, len(content), step))
        return
    step = max(1, len(content) // PER_FILE)
    yield from ((at, (at * 5 + len(content)) % 8) for at in range(step // 2, len(content), step))


def chosen(files: Mapping[str, bytes], shard: int, thin: int = 1) -> list[tuple[str, int, int]]:
    """This shard of the flips (path, byte, bit); every file that holds a byte is among those of all
    shards.
    """
    flips = [
        (path, at, bit) for path in sorted(files) for at, bit in list(offsets(files[path]))[::thin]
    ]
    assert {path for path, _, _ in flips} == {path for path, content in files.items() if content}
    return flips[shard::SHARDS]


def flipped(content: bytes, at: int, bit: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_flipped_bit_in_any_file_is_named_with_its_file(signed: Signed, shard: int) -> None:
    flips = chosen(signed.last.files, shard)
    for path, at, bit in flips:
        run = signed.last.copy()
        run.files[path] = flipped(run.files[path], at, bit)
        verified = check(run)
        assert not verified.consistent, f"{path}: bit {bit} of byte {at} survived"
        # A path in the run's manifest that changed by a bit is another file that is missing there.
        named = path in places(verified) or path == "RUN_MANIFEST.json"
        assert named, f"{path}: bit {bit} of byte {at} was blamed on {places(verified)}"
    print(f"{len(flips)} flipped bits, each named with its file")  # noqa: T201  the figures of the session


def recomputed(path: str) -> bool:
    """Whether a forger writes the file anew whatever it held: manifests and lists."""
    return path == "RUN_MANIFEST.json" or path.endswith((".sha256", "/manifest.json"))


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_flipped_bit_survives_no_recomputed_manifest(signed: Signed, shard: int) -> None:
    """Every list and manifest is recomputed after the flip: what is signed still names it."""
    flips = chosen(
        {path: content for path, content in signed.last.files.items() if not recomputed(path)},
        shard,
        4,
    )
    beside = replace(signed.beside(), ledger=None, others={})
    for path, at, bit in flips:
        run = signed.last.copy()
        run.files[path] = flipped(run.files[path], at, bit)
        assert not check(relisted(run), beside).consistent, (
            f"{path}: bit {bit} of byte {at} survived"
        )
    print(f"{len(flips)} flipped bits under recomputed manifests, none survived")  # noqa: T201


def test_a_flipped_bit_in_the_whole_ledger_is_named(signed: Signed) -> None:
    for at, bit in offsets(signed.ledger):
        verified = check(signed.last, signed.beside(flipped(signed.ledger, at, bit)))
        assert LEDGER in places(verified), f"bit {bit} of byte {at} survived"
        assert ids(verified) & {"VERIFY_LEDGER", "VERIFY_ROLLBACK"}


# ── files ────────────────────────────────────────────────────────────────────


def test_each_file_removed_is_missed(signed: Signed) -> None:
    for path in sorted(signed.last.files):
        for recompute in (False, True):
            run = signed.last.copy()
            del run.files[path]
            if recompute and path == "RUN_MANIFEST.json":
                continue
            verified = check(
                relisted(run) if recompute and not path.endswith(".sha256") else run,
                signed.beside(),
            )
            assert not verified.consistent, f"{path} is not missed (recomputed: {recompute})"


@pytest.mark.parametrize(
    "path",
    [
        "extra",
        "raw/x",
        "TASK-0001/extra",
        "TASK-0001/ARTIFACTS/x",
        "TASK-0001/LOGS/x.log",
        "attestations/x",
        "TASK-9/x",
    ],
)
@pytest.mark.parametrize("recompute", [False, True])
def test_an_added_file_is_named(signed: Signed, path: str, recompute: bool) -> None:
    run = signed.last.copy()
    run.files[path] = b"x"
    verified = check(relisted(run) if recompute else run, signed.beside())
    assert not verified.consistent
    assert recompute or path in places(verified)


def test_swapped_files_are_named(signed: Signed) -> None:
    paths = sorted(path for path, content in signed.last.files.items() if content)
    for one, two in itertools.pairwise(paths):
        if signed.last.files[one] == signed.last.files[two]:
            continue
        run = signed.last.copy()
        run.files[one], run.files[two] = run.files[two], run.files[one]
        assert places(check(run)) >= {one, two} - {"RUN_MANIFEST.json"}


def test_links_special_files_and_wrong_case_are_named(signed: Signed) -> None:
    run = signed.last.copy()
    run.odd["raw/pipe"] = "a FIFO"
    assert places(check(run)) == {"raw/pipe"}
    run = signed.last.copy()
    run.odd[STATUS] = "a symbolic link"
    del run.files[STATUS]
    assert STATUS in places(check(run))
    run = signed.last.copy()
    run.files["TASK-0001/status.json"] = run.files.pop("TASK-0001/STATUS.json")
    assert places(check(run)) >= {"TASK-0001/status.json", "TASK-0001/STATUS.json"}
    run = signed.last.copy()
    run.files["TASK-0001/status.json"] = run.files["TASK-0001/STATUS.json"]
    assert "VERIFY_UNSAFE_FILE" in ids(check(run))


def test_another_runs_evidence_is_named(signed: Signed) -> None:
    replayed = Memory(signed.last.name, dict(signed.first.files))
    verified = check(replayed, signed.beside())
    assert {"VERIFY_STATUS", "VERIFY_MANIFEST"} <= ids(verified)
    for path in sorted(signed.last.files.keys() & signed.first.files.keys()):
        if signed.last.files[path] != signed.first.files[path]:
            run = signed.last.copy()
            run.files[path] = signed.first.files[path]
            assert not check(run, signed.beside()).consistent, f"{path} of the other run survived"
            if not recomputed(path):
                assert not check(relisted(run), signed.beside()).consistent, (
                    f"{path} of the other run survived, relisted"
                )


# ── events, envelopes, checkpoints ───────────────────────────────────────────


def with_lines(run: Memory, path: str, lines: list[bytes]) -> Memory:
    made = run.copy()
    made.files[path] = b"".join(lines)
    return relisted(made)


@pytest.mark.parametrize("path", [EVENTS, STATEMENTS])
def test_lines_removed_doubled_swapped_or_reordered_are_named(signed: Signed, path: str) -> None:
    lines = signed.last.files[path].splitlines(keepends=True)
    tried: list[list[bytes]] = [[], lines[::-1]]
    for at in range(len(lines)):
        tried += [lines[:at] + lines[at + 1 :], [*lines[: at + 1], lines[at], *lines[at + 1 :]]]
        if at:
            tried.append([*lines[: at - 1], lines[at], lines[at - 1], *lines[at + 1 :]])
    tried += [[*lines, signed.first.files[path].splitlines(keepends=True)[0]]]
    for some in tried[:2] + tried[2:-1:STRIDE] + tried[-1:]:
        verified = check(with_lines(signed.last, path, some), signed.beside())
        # An event that is gone from the copy is still in the whole ledger, and one of the two is
        # named.
        assert places(verified) & {path, LEDGER}, f"{len(some)} of {len(lines)} lines survived"


def test_events_of_the_whole_ledger_removed_or_reordered_are_named(signed: Signed) -> None:
    """What comes after the last checkpoint (an event after a run's end) is all that can be cut off
    without a trace.
    """
    lines = signed.lines[: read_checkpoint(signed.last.files[CHECKPOINT]).size]
    for at in range(len(lines) - 1, -1, -STRIDE):
        for some in (lines[:at] + lines[at + 1 :], lines[: at + 1] + lines[at:], lines[:at]):
            verified = check(signed.last, signed.beside(b"".join(some)))
            assert LEDGER in places(verified), f"a change at event {at + 1} survived"


def test_a_ledger_that_was_rolled_back_or_rewritten_is_named_by_the_other_checkpoint(
    signed: Signed,
) -> None:
    """The run itself is gone with it; the checkpoint of the other run tells."""
    own = read_checkpoint(signed.last.files[CHECKPOINT])
    cut = b"".join(signed.lines[: own.size - 3])
    beside = replace(signed.beside(cut), others={"kept": own})
    verified = check(signed.first, beside)
    assert "VERIFY_ROLLBACK" in ids(verified)
    assert any("its end was taken away" in finding.message for finding in verified.findings)
    lines = signed.lines[: own.size]
    event = json.loads(lines[-1])
    event["duration_ms"] += 1
    forged = (
        b"".join(lines[:-1])
        + json.dumps(event, sort_keys=True, separators=(",", ":")).encode()
        + b"\n"
    )
    verified = check(signed.first, replace(signed.beside(forged), others={"kept": own}))
    assert any("rewritten or forked" in finding.message for finding in verified.findings)


def test_a_checkpoint_or_proof_of_another_run_is_named(signed: Signed) -> None:
    for path in (CHECKPOINT, PROOF):
        run = signed.last.copy()
        run.files[path] = signed.first.files[path]
        assert path in places(check(relisted(run), signed.beside()))
    run = signed.last.copy()
    for path in (CHECKPOINT, PROOF):
        run.files[path] = signed.first.files[path]
    assert CHECKPOINT in places(check(relisted(run), signed.beside()))


def test_a_checkpoint_that_was_kept_elsewhere_tells_of_what_nothing_here_remembers(
    signed: Signed,
) -> None:
    """The last run and its end of the ledger are gone without a trace: only the kept checkpoint
    knows of them.
    """
    own = read_checkpoint(signed.first.files[CHECKPOINT])
    last = read_checkpoint(signed.last.files[CHECKPOINT])
    cut = b"".join(signed.lines[: own.size])
    beside = replace(signed.beside(cut), others={})
    assert check(signed.first, beside).consistent
    for kept, what in (
        (last, "its end was taken away: expected the"),
        (
            replace(last, origin="codex-orchestrator/ledger/" + "0" * 32),
            "it was replaced: expected the ledger of",
        ),
        (replace(own, root=b"0" * 32), "it was rewritten or forked: expected the first"),
    ):
        verified = check(signed.first, replace(beside, kept={"kept.note": kept}))
        (finding,) = [one for one in verified.findings if one.id == "VERIFY_ROLLBACK"]
        assert finding.message.startswith(f"{LEDGER}: {what}")
        assert "the checkpoint in kept.note" in finding.message
    facts = {
        fact.section: fact.text
        for fact in check(signed.first, replace(beside, kept={"kept.note": own})).facts
    }
    assert facts["ledger"].endswith("consistent with 1 other checkpoint")


def test_a_ledger_that_is_another_than_that_of_other_runs_is_named_where_the_runs_were_made(
    signed: Signed,
) -> None:
    alien = replace(
        read_checkpoint(signed.first.files[CHECKPOINT]),
        origin="codex-orchestrator/ledger/" + "0" * 32,
    )
    beside = replace(signed.beside(), others={"another": alien})
    assert "it is of another ledger" in [gap.reason for gap in check(signed.last, beside).gaps]
    assert "VERIFY_ROLLBACK" in ids(check(signed.last, replace(beside, ledger_due=True)))


# ── signatures ───────────────────────────────────────────────────────────────


def stripped(run: Memory, note: bool, envelopes: bool) -> Memory:
    made = run.copy()
    if note:
        text = made.files[CHECKPOINT].partition(b"\n\n")[0] + b"\n"
        made.files[PROOF] = made.files[PROOF].replace(made.files[CHECKPOINT], text)
        made.files[CHECKPOINT] = text
    if envelopes:
        rows = [
            json.loads(line) | {"signatures": []} for line in made.files[STATEMENTS].splitlines()
        ]
        made.files[STATEMENTS] = b"".join(canonical(row) for row in rows)
    return relisted(made)


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize("demand", ["optional", "required"])
@pytest.mark.parametrize(("note", "envelopes"), [(True, False), (False, True), (True, True)])
def test_stripped_signatures_are_named_whatever_the_policy(
    signed: Signed, demand: str, note: bool, envelopes: bool
) -> None:
    verified = check(stripped(signed.last, note, envelopes), signed.beside(demand=demand))
    assert "VERIFY_SIGNATURE" in ids(verified)


def why_untrusted(verified: Verified) -> str:
    """Return why nobody who is trusted signed a run of which nothing differs."""
    assert (verified.findings, verified.outcome, verified.signers) == ((), Outcome.INTACT, ())
    assert verified.untrusted is not None
    return verified.untrusted.message


def test_only_a_signature_by_a_trusted_key_verifies(signed: Signed) -> None:
    public, other = signed.key.public, ed25519.parse_private_pem(ed25519.make_pem()).key
    for way in Way:
        verified = check(signed.last, replace(signed.beside(), keys=(Key(public, way),)))
        if way in (Way.CHECKED_OUT, Way.BASE):
            assert "what is judged does not decide whom you trust" in why_untrusted(verified)
        else:
            assert (verified.outcome, verified.signers) == (Outcome.VERIFIED, (signed.key.id,))
    unknown = check(signed.last, replace(signed.beside(), keys=()))
    assert "whose public key is not known here" in why_untrusted(unknown)
    named = replace(signed.beside(), demand=Demand("required-from", (other.key_id,)))
    assert f"expected a signature by {other.key_id}, as policy" in why_untrusted(
        check(signed.last, named)
    )
    named = replace(signed.beside(), demand=Demand("required-from", (signed.key.id,)))
    assert check(signed.last, named).outcome is Outcome.VERIFIED
    keys = (Key(public, Way.OWN), Key(other, Way.GIVEN))
    demanded = check(signed.last, replace(signed.beside(), keys=keys))
    assert f"{other.key_id}, given with --key, found one by" in why_untrusted(demanded)


def resigned(run: Memory, change: Callable[[bytes], bytes], keyid: str = "") -> Memory:
    """Return the run with every signature changed, and the lists and manifests made anew."""
    made = run.copy()
    envelopes = parse_envelopes(made.files[STATEMENTS])
    made.files[STATEMENTS] = format_envelopes(
        replace(
            one,
            signatures=tuple(
                replace(s, sig=change(s.sig), keyid=keyid or s.keyid) for s in one.signatures
            ),
        )
        for one in envelopes
    )
    return made


@pytest.mark.parametrize("known", [True, False])
def test_bytes_that_no_key_makes_are_no_signature(signed: Signed, known: bool) -> None:
    for zeros in (lambda sig: bytes(64), lambda sig: sig[:32] + b"\xff" * 32):
        run = resigned(signed.last, zeros, "" if known else "ed25519:0000000000000000")
        verified = check(run, replace(signed.beside(), keys=(signed.key,)))
        assert "found bytes that no key makes" in str(
            [one.message for one in verified.findings if one.id == "VERIFY_SIGNATURE"]
        )


def test_a_changed_key_id_hides_no_signature(signed: Signed) -> None:
    run = resigned(signed.last, lambda sig: sig, "ed25519:0000000000000000")
    verified = check(run, signed.beside())
    assert f"expected the id of its key, {signed.key.id}, found ed25519:0000000000000000" in str(
        [one.message for one in verified.findings if one.id == "VERIFY_SIGNATURE"]
    )


def test_pins_count_from_the_commit_of_policy_and_nowhere_else(signed: Signed) -> None:
    """The tree that is checked out and the run's base commit may be what is judged: their pins are
    shown as claims.
    """
    world, place = signed.world, signed.world.state / "runs" / signed.last.name
    head = world.git("rev-parse", "HEAD").strip()
    stranger = world.git("commit-tree", "-m", "x", world.git("mktree").strip()).strip()

    def verified(asked: Caller) -> tuple[Outcome, str]:
        found = verify_at(place, asked)
        facts = [fact.text for fact in found.facts if fact.section == "signatures"]
        return found.outcome, "".join(facts)

    policy = PolicyCommit(head, "refs/remotes/origin/main")
    outcome, said = verified(Caller(repository=world.root, head=head, policy=policy))
    assert outcome is Outcome.VERIFIED
    assert "trusted: pinned in refs/remotes/origin/main" in said
    given = Key(signed.key.public, Way.GIVEN)
    assert verified(Caller((given,), Demand("required")))[0] is Outcome.VERIFIED
    for asked in (
        Caller(repository=world.root, head=head),
        Caller(repository=world.root, head=head, policy=PolicyCommit(stranger, "origin")),
        Caller(repository=world.root, head=head, policy=PolicyCommit("0" * 40, "gone")),
    ):
        outcome, said = verified(asked)
        assert outcome is Outcome.INTACT
        assert "claimed: pinned in the commit that is checked out" in said
    for asked in (Caller(), Caller(repository=world.root, head=stranger)):
        outcome, said = verified(asked)
        assert outcome is Outcome.INTACT
        assert "claimed: pinned in the run's base commit" in said


def test_a_signature_by_an_unknown_key_is_not_checkable_and_never_counts(signed: Signed) -> None:
    verified = check(signed.last, replace(signed.beside(demand="optional"), keys=()))
    assert [gap.part for gap in verified.gaps if gap.part == "signatures"] == ["signatures"]
    assert not any(fact.section == "signatures" for fact in verified.facts)


def test_a_signature_moved_doubled_or_renamed_is_named(signed: Signed) -> None:
    rows = [json.loads(line) for line in signed.last.files[STATEMENTS].splitlines()]

    def tried(change) -> set[str]:
        some = json.loads(json.dumps(rows))
        change(some)
        run = signed.last.copy()
        run.files[STATEMENTS] = b"".join(canonical(row) for row in some)
        return ids(check(relisted(run), signed.beside()))

    def swap(some) -> None:
        some[0]["signatures"], some[1]["signatures"] = some[1]["signatures"], some[0]["signatures"]

    def double(some) -> None:
        some[0]["signatures"] *= 2

    def rename(some) -> None:
        some[0]["signatures"][0]["keyid"] = "ed25519:0000000000000000"

    def foreign(some) -> None:
        some[0]["signatures"].append(
            {"keyid": "ed25519:0000000000000000", "sig": base64.b64encode(b"x" * 64).decode()}
        )

    def retype(some) -> None:
        some[0]["payloadType"] = "text/plain"

    for change in (swap, double, rename, foreign, retype):
        assert "VERIFY_SIGNATURE" in tried(change), change.__name__


def test_findings_name_expected_found_and_file(signed: Signed) -> None:
    run = signed.last.copy()
    run.files["TASK-0001/LOGS/check-1.log"] += b"x"
    (finding,) = check(run).findings
    assert finding.id == "VERIFY_DIGEST"
    assert finding.pack == "TASK-0001"
    assert finding.location is not None
    assert finding.location.file == "TASK-0001/LOGS/check-1.log"
    assert "expected sha256 " in finding.message
    assert ", found " in finding.message


def test_nothing_is_written_into_what_is_verified(signed: Signed) -> None:
    def listing(folder: Path) -> list[tuple[str, int, int]]:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]

    before = listing(signed.world.state)
    assert signed.world.differs("--all") == ""
    assert listing(signed.world.state) == before
