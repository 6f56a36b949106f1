"""One repository, run here and in another place: the same bytes, whoever runs it, when, where and
how fast.

Elsewhere means: another path, clone, order of files, user, umask, home and its Git configuration,
time zone, language, clock, hash seed, noise; and, where the kernel lets this user, file system,
host name, uptime and number of processors. Nobody but root can become another user, so for others
that part stays as it is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from factory.engine.divergence import Sides, first_divergence
from factory.evidence.attestations import parse_envelopes
from factory.log.dsse import Envelope
from factory.run import other_conditions
from tests.timeless import TIMED_FACTS, timeless, timeless_page
from tests.world import Ended, World, environment

pytestmark = pytest.mark.linux

ROOT = Path(__file__).resolve().parents[2]
RUN = "the_same_run"
SIDES = Sides("here", "elsewhere")
PACKS = ("TASK-0001", "TASK-0002", "TASK-0003")
GIT_CONFIG = """\
[core]
    autocrlf = true
    quotePath = false
    pager = false
[diff]
    noprefix = true
    renames = copies
    algorithm = patience
    external = false
[user]
    name = Somebody Else
"""
NOISE = {
    "TZ": "Pacific/Chatham", "LANG": "tr_TR.UTF-8", "LC_ALL": "POSIX", "PYTHONHASHSEED": "4242", "COLUMNS": "40",
    "TERM": "xterm-256color", "USER": "else", "LOGNAME": "else", "EDITOR": "false", "CI": "true",
    "SOURCE_DATE_EPOCH": "1", "GIT_AUTHOR_DATE": "1999-01-01T00:00:00+1400", "GIT_EXTERNAL_DIFF": "false",
    "GIT_DIFF_OPTS": "--unified=9", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "diff.context",
    "GIT_CONFIG_VALUE_0": "7", "GIT_PAGER": "false", "LC_COLLATE": "tr_TR.UTF-8", "NOISE": "x" * 5000,
}  # fmt: skip


def made(root: Path) -> World:
    """Three packs over a hundred files: one with artifacts, one that builds on it, one that is
    quicker than both.
    """
    world = World(root)
    for number in range(60):
        world.write(
            f"src/{'äbC'[number % 3]}/{number * 7919 % 101}.txt",
            f"line {number}\n" * (number % 9 + 1),
        )
    world.write("src/blob.bin", bytes(range(256)) * 9)
    world.pack(
        "TASK-0001-one",
        """
        scope: {allowed_paths: [src/, docs/]}
        steps:
          - {name: edit, run: "sed -i s/line/row/ src/b/*.txt; rm src/ä/0.txt; ln -s ../README.md src/link; sleep 0.4"}
          - {name: list, run: "mkdir -p docs; find src -type f | LC_ALL=C sort > docs/list.txt; chmod +x docs/list.txt"}
          - {name: tell, run: "env | LC_ALL=C sort; id; umask; pwd; hostname; python -c 'print({1, 2} | {chr(9)})'"}
        artifacts: {required: [out/*.json], optional: [/docs/list.txt]}
        """,
        """
        tests: {commands: ['cd taskpacks/TASK-0001-one && mkdir -p out && wc -l ../../docs/list.txt > out/a.json']}
        lint: {commands: ['cat src/b/*.txt', 'echo started at $(date +%H:%M:%S), took 0.1 s']}
        """,
    )
    world.pack(
        "TASK-0002-two",
        """
        depends_on: [TASK-0001]
        scope: {allowed_paths: [docs/]}
        steps: [{name: count, run: "wc -c docs/list.txt src/blob.bin > docs/count.txt; stat -c %y:%a:%U docs/list.txt"}]
        """,
    )
    world.pack(
        "TASK-0003-three",
        """
        inputs: [README.md]
        scope: {allowed_paths: [other/]}
        steps: [{name: copy, run: "mkdir other && cp README.md other/copy.md && printf '\\\\0\\\\1' > other/x.bin"}]
        """,
    )
    world.commit()
    return world


def run_elsewhere(original: World, top: Path) -> tuple[World, Ended, set[str]]:
    """The same commit in another place; the repository there, how it ended, and what the kernel
    allowed.
    """
    top.mkdir()
    world = World.__new__(World)
    world.root = top / "a longer way" / "to ü" / "the repository"
    world.root.parent.mkdir(parents=True)
    original.git("clone", "-q", "--no-hardlinks", str(original.root), str(world.root))
    world.git("repack", "-adq")
    home = top / "home"
    (home / ".config" / "git").mkdir(parents=True)
    (home / ".gitconfig").write_text(GIT_CONFIG)
    request = {
        "umask": 0o077, "processors": 1, "host_name": "elsewhere.example", "uptime": 10**6,
        "memory": {"folder": str(world.root), "bytes": 1 << 30, "back": ".factory/runs"},
    }  # fmt: skip
    told = top / "told"
    words = [sys.executable, str(Path(other_conditions.__file__)), json.dumps(request), str(told)]
    words += [
        sys.executable,
        "-m",
        "tests.in_another_place",
        "7",
        "oneshot",
        "--run-id",
        RUN,
        "-n",
        "2",
    ]
    own = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "PYTHONPATH": str(ROOT),
        **NOISE,
    }
    own["TMPDIR"] = str(home)
    outside = environment(**own)
    del outside["GIT_CONFIG_GLOBAL"], outside["GIT_CONFIG_NOSYSTEM"]
    done = subprocess.run(
        words, cwd=world.root, env=outside, capture_output=True, text=True, timeout=300, check=False
    )
    return world, Ended(done.returncode, done.stdout, done.stderr), set(told.read_text().split())


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def envelopes(run: Path) -> tuple[Envelope, ...]:
    return parse_envelopes((run / "attestations" / "attestations.intoto.jsonl").read_bytes())


def statements(run: Path) -> list[bytes]:
    return [timeless(envelope.payload) for envelope in envelopes(run)]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, set[str]]:
    here = made(tmp_path_factory.mktemp("here") / "r")
    home = str(tmp_path_factory.mktemp("home"))
    ended = here.factory("oneshot", "--run-id", RUN, "-n", "1", HOME=home, XDG_CONFIG_HOME=home)
    assert ended.rc == 0, ended.text
    there, ended, allowed = run_elsewhere(here, tmp_path_factory.mktemp("there") / "x")
    assert ended.rc == 0, ended.text
    return here.state / "runs" / RUN, there.state / "runs" / RUN, allowed


@pytest.mark.parametrize("pack", PACKS)
def test_bundles(both: tuple[Path, Path, set[str]], pack: str) -> None:
    here, there, _ = both
    found = first_divergence(files_below(here / pack), files_below(there / pack), SIDES)
    assert found is None, "\n".join((found.what, *found.diff))
    assert (here / pack / "manifest.json").is_file()


def test_merged_tree_and_report(both: tuple[Path, Path, set[str]]) -> None:
    here, there, _ = both
    ours, theirs = (files_below(run / "Z_integrator") for run in (here, there))
    for files in (ours, theirs):  # the page alone says when and on what host
        files["report.html"] = timeless_page(files["report.html"], (*TIMED_FACTS, "host"))
    found = first_divergence(ours, theirs, SIDES)
    assert found is None, "\n".join((found.what, *found.diff))
    assert json.loads((here / "Z_integrator" / "STATUS.json").read_text())["merged_tree"]


def test_statements_but_for_their_times(both: tuple[Path, Path, set[str]]) -> None:
    here, there, _ = both
    assert statements(here) == statements(there)
    assert (here / "attestations" / "bundles.sha256").read_bytes() == (
        there / "attestations" / "bundles.sha256"
    ).read_bytes()


def test_it_was_another_place_indeed(both: tuple[Path, Path, set[str]]) -> None:
    """The comparison has teeth: what may differ does, and root got every difference that the kernel
    gives.
    """
    here, there, allowed = both
    times = [(run / "attestations" / "ledger.jsonl").read_bytes() for run in (here, there)]
    years = [int(json.loads(content.splitlines()[0])["ts_utc"][:4]) for content in times]
    assert years[1] - years[0] in (6, 7, 8)
    signers = [
        {signature.keyid for e in envelopes(run) for signature in e.signatures}
        for run in (here, there)
    ]
    assert len(signers[0]) == len(signers[1]) == 1
    assert signers[0] != signers[1]
    assert "umask" in allowed
    locks = there / "raw" / PACKS[0] / "attempt-1" / "timings.tsv"
    assert (
        locks.read_bytes() != (here / "raw" / PACKS[0] / "attempt-1" / "timings.tsv").read_bytes()
    )
