"""The checker is written apart: the linter forbids it the writers, and its own rules agree with
theirs all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from factory.egress import rules as egress
from factory.egress.connection import VERDICTS, Target
from factory.judge import path_guard, scope, status_eval
from factory.judge.path_guard import display, fold, link_escapes, reads_as_git, unportable, unsafe
from factory.judge.scope import compile_patterns
from factory.log import merkle
from factory.model.evidence import CheckRecord
from factory.model.finding import Finding
from factory.model.findings.catalogue import CATALOGUE
from factory.model.inert import code, for_markdown
from factory.strict import canonical
from factory.verify import egress as verified_egress
from factory.verify import form, names, patterns, verdict
from factory.verify.bundle_documents import ALWAYS_PROTECTED
from factory.verify.connections import OTHERS, Egress, ReasonName
from factory.verify.documents import BY_SCHEMA, CheckRow, FindingRow
from factory.verify.trees import TreeEntry, Trees, Unknown, parts
from tests.hostile_text import ANY_TEXT
from tests.unit.test_rooms import copied_package, run_linter

ROOT = Path(__file__).resolve().parents[3]

ODD = st.sampled_from("aAbB.*?-_~ :\\/é\u200b\u0301\ufeff\udc80\u202eŁǅcom1git\x07\x85ſß")
TEXT = st.text(ODD, max_size=12)
PATH = st.lists(
    st.text(ODD.filter(lambda char: char != "/"), min_size=1, max_size=6), min_size=1, max_size=4
).map("/".join)


@pytest.mark.parametrize(
    "line",
    [
        "from factory.bundle import make",
        "from factory.model.evidence_text import parse_document",
        "from factory.judge.scope import compile_patterns",
        "from factory.model.evidence import StatusDocument",
        "from factory.model.tree import Tree",
        "from factory.git.git import Git",
        "from factory.evidence import settle",
        "import factory.engine.wiring",
    ],
)
def test_planted_import_of_a_writer_is_found(tmp_path: Path, line: str) -> None:
    planted = copied_package(tmp_path) / "verify" / "run.py"
    planted.write_text(planted.read_text("utf-8") + f"\n{line}  # noqa\n", "utf-8")
    done = run_linter(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the checker shares with who writes" in done.stdout


def test_no_module_of_the_checker_names_a_writer() -> None:
    allowed = {"factory.model.finding", "factory.model.findings.catalogue"}
    readers = ("factory.strict", "factory.log")
    for path in sorted((ROOT / "factory" / "verify").glob("*.py")):
        for module, what in re.findall(
            r"^from (factory\.\S+) import (.+)$", path.read_text("utf-8"), re.MULTILINE
        ):
            fine = module.startswith(("factory.verify", *readers)) or module in allowed
            assert fine, f"{path.name} imports {module}"
            assert module != "factory.strict" or what.startswith("json"), (
                f"{path.name} imports {what}"
            )


# ── the same answers by other code ───────────────────────────────────────────


def test_the_table_is_the_one_that_decides_runs() -> None:
    assert tuple((row, status.value) for row, status in status_eval.TABLE) == verdict.ROWS


CHECKS = st.lists(
    st.tuples(st.sampled_from(["step-1", "check-1", "check-2"]), st.sampled_from([0, 1])),
    max_size=4,
)
FINDINGS = st.lists(st.sampled_from(["CRASH", "SCOPE_DENIED", "REPO_DIRTY"]), max_size=2)


@given(st.lists(st.sampled_from(["step-1", "check-1"]), unique=True), CHECKS, FINDINGS)
def test_status_is_evaluated_alike(
    required: list[str], checks: list[tuple[str, int]], found: list[str]
) -> None:
    records = [
        CheckRecord(label=label, kind="check", name=label, run="x", rc=rc, ended="exited")
        for label, rc in checks
    ]
    rows = [CheckRow(r.label, "check", r.name, r.run, r.rc, r.ended) for r in records]
    own = [
        FindingRow(each, CATALOGUE[each].severity.value, "m", "", {}, "", 0, 0, "")
        for each in found
    ]
    theirs = status_eval.evaluate(
        required,
        (status_eval.Check(r.label, r.rc) for r in records),
        map(Finding, found),
    )
    assert verdict.status_of_pack(required, rows, own) == theirs.value


@given(TEXT)
def test_names_are_displayed_alike_and_back(text: str) -> None:
    assert names.spell(text) == display(text)
    assert names.unspell(display(text)) == text
    assert names.folded(text) == fold(text)


@example(":ſ:")
@example(":\u212a:")
@example("éGH-1 GH-1")
@given(st.one_of(TEXT, ANY_TEXT))
def test_names_and_sentences_are_made_inert_alike(text: str) -> None:
    assert names.spell(text) == display(text)
    assert names.inert(text) == for_markdown(text)
    assert names.in_cell(text) == code(text, cell=True)


@pytest.mark.parametrize(
    "text", ["\\", "\\x4", "\\q", "a\\u00e9", "\\U00110000", "\\udc80", "\x07"]
)
def test_what_no_path_is_displayed_as_has_no_path(text: str) -> None:
    assert names.unspell(text) is None


@given(PATH, TEXT)
def test_names_are_judged_alike(path: str, target: str) -> None:
    git = any(map(reads_as_git, path.split("/")))
    assert bool(names.why_unsafe(path)) == (bool(unsafe(path)) or git)
    if not unsafe(path):
        assert bool(names.why_unportable(path)) == bool(unportable(path))
    assert names.link_leaves(path, target) == link_escapes(path, target)


SEGMENT = st.text(st.sampled_from("ab*?."), min_size=1, max_size=4).filter(
    lambda s: s not in (".", "..")
)
PATTERN = st.lists(st.one_of(SEGMENT, st.just("**")), min_size=1, max_size=4).map("/".join)


@given(
    PATTERN,
    st.booleans(),
    st.lists(st.text(st.sampled_from("ab."), min_size=1, max_size=4), min_size=1, max_size=5),
)
def test_patterns_match_alike(pattern: str, folder: bool, path: list[str]) -> None:
    pattern += "/" if folder else ""
    if not scope.problem_with_pattern(pattern):
        there = "/".join(path)
        assert patterns.matches((pattern,), there) == compile_patterns((pattern,)).matches(there)


FILES = st.dictionaries(
    st.lists(st.text(st.sampled_from("ab"), min_size=1, max_size=2), min_size=1, max_size=4).map(
        "/".join
    ),
    st.just("0" * 40),
    max_size=8,
)


@given(st.lists(PATTERN, max_size=3), st.booleans(), FILES)
def test_a_tree_is_narrowed_to_exactly_what_patterns_name(
    some: list[str], folder: bool, files: dict[str, str]
) -> None:
    """The way down a tree and the match of a whole path say the same, and what is out is not
    read.
    """
    some = [pattern + "/" * folder for pattern in some]
    some = [pattern for pattern in some if not scope.problem_with_pattern(pattern)]
    paths = [path for path in files if not any(other.startswith(f"{path}/") for other in files)]
    trees = Trees("sha1", {})
    whole = trees.edited(
        trees.empty, {parts(path): TreeEntry(0o100644, files[path]) for path in paths}
    )
    due = {
        parts(path): TreeEntry(0o100644, files[path])
        for path in paths
        if patterns.matches(some, path)
    }
    assert trees.narrowed(whole, patterns.PatternReach.of(some)) == trees.edited(trees.empty, due)


def test_what_patterns_cannot_reach_is_not_read() -> None:
    unknown = TreeEntry(0o040000, "1" * 40)
    trees = Trees("sha1", {})
    whole = trees.made({b"in": unknown, b"out": TreeEntry(0o040000, "2" * 40)})
    assert trees.narrowed(whole, patterns.PatternReach.of(["in/"])) == trees.made({b"in": unknown})
    with pytest.raises(Unknown):
        trees.narrowed(whole, patterns.PatternReach.of(["**/x"]))


def test_pattern_that_could_take_long_does_not() -> None:
    assert not patterns.matches(("a*" * 40 + "b",), "a" * 4000)
    assert not patterns.matches(("/".join(["**", "a"] * 30),), "/".join("a" * 200) + "/b")


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53) + 1, 2**53 - 1),
        st.text(st.characters(codec="utf-8")),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3),
    ),
    max_leaves=8,
)


@given(VALUES)
def test_canonical_json_is_what_an_independent_printer_prints(value: Any) -> None:
    """The reader is shared, so that a second one stands here (RFC 8785: keys by UTF-16)."""

    def ordered(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: ordered(value[key]) for key in sorted(value, key=utf16)}
        return [ordered(item) for item in value] if isinstance(value, list) else value

    def utf16(key: str) -> bytes:
        return key.encode("utf-16-be")

    text = json.dumps(ordered(value), separators=(",", ":"), ensure_ascii=False)
    assert form.canonical(value) == canonical.encode(value) == text.encode("utf-8")


def included(leaf: bytes, index: int, size: int, path: tuple[bytes, ...], root: bytes) -> bool:
    """Return whether `path` leads from a line to the root: RFC 9162 §2.1.3.2, written a second
    time, since the checker shares the first.
    """
    if not 0 <= index < size:
        return False
    here, last = sha256(b"\0" + leaf).digest(), size - 1
    for sibling in path:
        if last == 0:
            return False
        if index & 1 or index == last:
            here = sha256(b"\1" + sibling + here).digest()
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            here = sha256(b"\1" + here + sibling).digest()
        index, last = index >> 1, last >> 1
    return last == 0 and here == root


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=40), st.data())
def test_inclusion_is_judged_alike(lines: list[bytes], draw: st.DataObject) -> None:
    hashes = [merkle.leaf_hash(line) for line in lines]
    index = draw.draw(st.integers(0, len(lines) - 1))
    path, root = merkle.inclusion_path(hashes, index), merkle.root_of(lines)
    for at, line, steps in (
        (index, lines[index], path),
        (index, lines[index] + b"x", path),
        ((index + 1) % len(lines), lines[index], path),
        (index, lines[index], (*path, root)),
        (len(lines), lines[index], path),
    ):
        assert included(line, at, len(lines), steps, root) == merkle.verify_inclusion(
            merkle.leaf_hash(line), at, len(lines), steps, root
        )
    assert included(lines[index], index, len(lines), path, root)
    assert not included(lines[index] + b"x", index, len(lines), path, root)
    other = (index + 1) % len(lines)
    if other != index:
        assert (
            not included(lines[index], other, len(lines), path, root)
            or lines[index] == lines[other]
        )
    assert not included(lines[index], index, len(lines), (*path, root), root)
    assert not included(lines[index], len(lines), len(lines), path, root)


def test_what_is_always_protected_is_a_part_of_the_built_in_list() -> None:
    assert set(path_guard.PROTECTED) >= ALWAYS_PROTECTED


SHAPES = (*BY_SCHEMA, ("egress", Egress))


@pytest.mark.parametrize(("name", "shape"), SHAPES, ids=[name for name, _ in SHAPES])
def test_shapes_are_in_step_with_the_schemas(name: str, shape: type) -> None:
    schema = json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text("utf-8"))
    compare(shape, schema, schema.get("$defs", {}), name)


PLAIN = {str: "string", int: "integer", bool: "boolean"}


def compare(kind: Any, schema: dict[str, Any], definitions: dict[str, Any], where: str) -> None:
    """Hold a shape against a schema: same keys, same kinds, all the way down."""
    schema = resolved(schema, definitions)
    arms = [arm for arm in get_args(kind) if arm not in (type(None), Ellipsis)]
    if hasattr(kind, "__dataclass_fields__"):
        hints = get_type_hints(kind, include_extras=True)
        assert hints.keys() == schema["properties"].keys(), where
        for key, inner in hints.items():
            compare(inner, schema["properties"][key], definitions, f"{where}/{key}")
    elif get_origin(kind) is tuple and Ellipsis in get_args(kind):
        compare(arms[0], schema["items"], definitions, f"{where}/*")
    elif get_origin(kind) is Mapping:
        compare(arms[1], schema["additionalProperties"], definitions, f"{where}/*")
    elif get_origin(kind) is Literal:
        assert set(arms) == set(schema.get("enum", [schema.get("const")])), where
    elif kind in PLAIN:
        assert schema["type"] == PLAIN[kind], where
    elif get_origin(kind) is not tuple:
        compare(arms[0], schema, definitions, where)  # Annotated, or a union with None


def resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema or "anyOf" in schema:
        if "anyOf" in schema:
            schema = next(arm for arm in schema["anyOf"] if arm.get("type") != "null")
        else:
            schema = definitions[schema["$ref"].rpartition("/")[2]]
    return schema


# ── the network ──────────────────────────────────────────────────────────────

HOSTS = st.builds(
    lambda star, labels, port: star + ".".join(labels) + port,
    st.sampled_from(["", "*."]),
    st.lists(st.sampled_from(["a", "b", "xa"]), min_size=2, max_size=4),
    st.sampled_from(["", ":443", ":8443"]),
)
NAMES = st.lists(st.sampled_from(["a", "b", "xa"]), min_size=2, max_size=5).map(".".join)


@given(
    st.ip_addresses()
    | st.ip_addresses(network="168.63.129.0/24")
    | st.ip_addresses(network="2000::/7")
)
def test_both_know_the_same_public_addresses(address: object) -> None:
    assert verified_egress._is_public(str(address)) == egress.is_public(str(address))


def test_both_know_the_same_private_addresses() -> None:
    """The first and the last of each network, and their neighbours."""
    for network in egress._PRIVATE:
        for edge in (network[0], network[-1]):
            for step in (-1, 0, 1):
                address = str(edge + step)
                assert verified_egress._is_private(address) == egress.is_private(address), address


@given(HOSTS | st.just("*"), NAMES, st.sampled_from([443, 8443]))
def test_both_find_the_same_host_declared(entry: str, host: str, port: int) -> None:
    allowed = entry == "*" or egress.rule_of(entry).allows(Target(host, port))
    assert verified_egress._names(entry, host, port) == allowed


@given(HOSTS | st.just("*"), HOSTS | st.just("*"))
def test_both_find_the_same_entry_inside_a_policy(outer: str, inner: str) -> None:
    assert verified_egress._wider(outer, inner) == (egress.uncovered((inner,), (outer,)) == ())


def test_both_know_the_same_reasons_and_what_they_mean() -> None:
    assert {reason.value: verdict.value for reason, verdict in VERDICTS.items()} == {
        name: OTHERS.get(name, "refused") for name in get_args(ReasonName)
    }
