"""Every wrong run is refused: by `verify` with a sentence that names it, by the script of AUDIT.md,
by a reader of the documents unless only Git objects show it, and by a consumer of in-toto
statements unless the signer lied. The page shows the same.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs_kit import ROOT
from tests.forgeries import reader
from tests.forgeries.judges import (
    BELIEVED,
    Place,
    audited,
    consumed,
    make_place,
    read_alone,
    row,
    sentences,
    verified,
)
from tests.forgeries.wrong_runs import WRONG_RUNS, Forger
from tests.sample import sample

pytestmark = pytest.mark.linux

PAGE = ROOT / "docs" / "factory" / "FORGERIES.md"
SHARDS = 6
ONLY_IN_GIT = ["a changed path", "another patch", "another merged patch"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return make_place(tmp_path_factory.mktemp("forgeries"))


def test_the_good_run_is_accepted_by_all_four(place: Place, tmp_path: Path) -> None:
    golden = place.golden
    assert verified(place, golden.run, golden.ledger).signers == (golden.signer.key.key_id,)
    assert audited(place, tmp_path / "good", golden.run, golden.ledger) == ""
    assert read_alone(place, golden.run) == ""
    assert consumed(place, golden.run) == ""


def test_the_set_is_large_and_each_is_another(place: Place) -> None:
    names = [wrong.name for wrong in WRONG_RUNS]
    assert len(set(names)) == len(names) >= 80
    assert {wrong.forger for wrong in WRONG_RUNS} == set(Forger)


def test_every_wrong_run_is_named(place: Place) -> None:
    odd = []
    for wrong in WRONG_RUNS:
        told = sentences(verified(place, *wrong.make(place.golden)))
        if not any(wrong.word in one for one in told):
            odd.append(f"{wrong.name}: verify does not say {wrong.word!r}")
    assert odd == []


@pytest.mark.parametrize("shard", sample(range(2), range(2, SHARDS)))
def test_every_wrong_run_is_refused_and_named(place: Place, tmp_path: Path, shard: int) -> None:
    shown = dict(shown_rows())
    odd = []
    for number, wrong in enumerate(WRONG_RUNS[shard::SHARDS]):
        named, refused, _, other = row(place, wrong, tmp_path / str(number))
        if not named:
            odd.append(f"{wrong.name}: verify does not say {wrong.word!r}")
        if not refused:
            odd.append(f"{wrong.name}: the script of AUDIT.md accepts it")
        if not other and wrong.forger is not Forger.SIGNER:
            odd.append(f"{wrong.name}: the consumer accepts what the signer did not sign")
        step, _, believed = shown.get(wrong.name, ("", False, False))
        if (step, believed) != (refused[:1], not other):
            odd.append(f"{wrong.name}: FORGERIES.md shows step {step or 'none'}, found {refused}")
    assert odd == []


def test_a_reader_of_the_documents_refuses_all_but_what_git_objects_show(place: Place) -> None:
    """Each by a sentence of its own: none is refused for its form alone."""
    shown = {name: believed for name, (_, believed, _) in shown_rows()}
    odd = []
    for wrong in WRONG_RUNS:
        said = read_alone(place, wrong.make(place.golden)[0])
        if (not said) != shown.get(wrong.name):
            odd.append(f"{wrong.name}: FORGERIES.md shows {shown.get(wrong.name)}, found {said!r}")
        if "another form" in said:
            odd.append(f"{wrong.name}: {said}")
    assert odd == []
    assert [name for name, believed in shown.items() if believed] == ONLY_IN_GIT


def test_the_reader_takes_nothing_but_the_standard_library() -> None:
    """It shares no code with what it checks: only the documents lead to it."""
    tree = ast.parse(Path(reader.__file__).read_text("utf-8"))
    names = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [a.name for a in node.names]
        )
    }
    assert names <= sys.stdlib_module_names


def shown_rows() -> Iterator[tuple[str, tuple[str, bool, bool]]]:
    """Yield each row of the page: its name, the step of AUDIT.md, whether the reader and the
    consumer believe.
    """
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 6 and cells[3][:1].isdigit():
            yield cells[0], (cells[3][0], cells[4] == BELIEVED, cells[5] == BELIEVED)


def test_the_page_has_every_wrong_run_and_no_other() -> None:
    assert [name for name, _ in shown_rows()] == [wrong.name for wrong in WRONG_RUNS]
