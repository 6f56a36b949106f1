"""The nouns: outcomes without truth value, findings out of a catalogue, properties that are absent
unless stated.
"""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any

import pytest

from factory.model import config, evidence, finding, pack, tree
from factory.model import scanned as layer
from factory.model.errors import FactoryError, InternalError, Interrupted, Refusal, UsageError
from factory.model.finding import Finding, Location
from factory.model.findings.catalogue import CATALOGUE
from factory.model.findings.entry import Severity
from factory.model.verdict import EXIT_INTERRUPTED, EXIT_USAGE, Status
from factory.sandbox import properties
from factory.sandbox.properties import Enforcement, Property, PropertyProof
from factory.strict.document import Document, Mismatch
from tests.pack_values import pack as make_pack


def test_exit_codes_say_the_verdict() -> None:
    assert [status.exit_code for status in (Status.PASS, Status.FAIL, Status.BLOCKED)] == [0, 1, 2]
    assert (EXIT_USAGE, EXIT_INTERRUPTED) == (64, 130)


@pytest.mark.parametrize("status", Status)
def test_a_status_is_no_truth_value(status: Status) -> None:
    with pytest.raises(TypeError, match="compare it with Status"):
        bool(status)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FactoryError("s"), 1),
        (InternalError("s"), 1),
        (UsageError("s"), 64),
        (Interrupted("s"), 130),
        (Refusal(Finding("OVERLAP")), 2),
    ],
)
def test_every_error_has_its_code(error: FactoryError, code: int) -> None:
    assert error.exit_code == code


def test_an_error_says_its_sentence_and_then_what_to_do() -> None:
    assert str(UsageError("there is no x", "name a y")) == "there is no x; name a y"
    assert str(UsageError("there is no x")) == "there is no x"
    first = Finding("PACK_INVALID", {"problem": "no title", "advice": "add it"}, pack="T-1")
    refusal = Refusal(first, Finding("CRASH"))
    assert (refusal.sentence, refusal.hint) == ("T-1: no title", "add it")
    assert len(refusal.findings) == 2


def test_a_refusal_without_a_finding_cannot_be() -> None:
    with pytest.raises(ValueError, match="at least one Finding"):
        Refusal()


def test_a_finding_must_be_in_the_catalogue() -> None:
    with pytest.raises(ValueError, match="'NOT_THERE' is not in the catalogue"):
        Finding("NOT_THERE")


def test_only_errors_block() -> None:
    assert Finding("OVERLAP").blocks
    assert Finding("OVERLAP").severity is Severity.ERROR
    assert not Finding("REPO_DIRTY").blocks


@pytest.mark.parametrize("kind", CATALOGUE)
def test_an_id_is_a_word_and_its_meaning_a_clause(kind: str) -> None:
    assert re.fullmatch(r"[A-Z]+(?:_[A-Z]+)*", kind)
    meaning = CATALOGUE[kind].meaning
    assert meaning
    assert not meaning.endswith(".")
    assert "\n" not in meaning


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (Location("a"), "a"),
        (Location("a", 3), "a:3"),
        (Location("a", 3, 7), "a:3:7"),
        (Location("a", 0, 7), "a"),
    ],
)
def test_a_location_shows_what_it_knows(location: Location, shown: str) -> None:
    assert str(location) == shown


def test_what_is_not_stated_is_not_given() -> None:
    known = Enforcement(
        "x",
        (
            PropertyProof(Property.NET_ISOLATED, True, "tried"),
            PropertyProof(Property.DISK_BOUNDED, False, "no"),
        ),
    )
    assert known.given == {Property.NET_ISOLATED}
    assert known.why_not(Property.DISK_BOUNDED) == "no"
    assert known.why_not(Property.PIDS_BOUNDED) == "this backend does not offer it"


def test_a_place_is_where_it_was_written_or_its_nearest_parent() -> None:
    one = make_pack(places=(("/scope", 3, 1), ("/scope/allowed_paths", 4, 3)))
    assert str(one.place("/scope/allowed_paths")) == "taskpacks/T-1-x/task.yml:4:3"
    assert str(one.place("/scope/denied_paths/0")) == "taskpacks/T-1-x/task.yml:3:1"
    assert str(one.place("/limits")) == "taskpacks/T-1-x/task.yml:1:1"


NOUNS = [
    noun
    for module in (config, finding, layer, pack, properties, tree)
    for noun in vars(module).values()
    if is_dataclass(noun) and noun.__module__ == module.__name__
]


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.__name__)
def test_nouns_are_frozen_and_hold_nothing_that_changes(noun: type) -> None:
    made: Any = object.__new__(noun)
    with pytest.raises(FrozenInstanceError):
        setattr(made, fields(noun)[0].name, None)
    assert not [
        field.name for field in fields(noun) if re.match(r"(list|dict|set)\b", str(field.type))
    ]


@pytest.mark.parametrize(
    "model", [model for _, model in evidence.EVIDENCE], ids=lambda model: model.__name__
)
def test_documents_are_frozen_strict_and_closed(model: type[Document]) -> None:
    assert not model.model_keeps_unknown
    with pytest.raises(Mismatch) as caught:
        model.model_validate({"more": ""})
    assert ("extra_forbidden", ("more",), {}) in caught.value.objections
    with pytest.raises(AttributeError, match="is frozen"):
        setattr(model.model_construct(), next(iter(model.model_fields)), None)


@pytest.mark.parametrize(
    ("first", "second", "given", "how"),
    [(True, True, True, "a; b"), (True, False, False, "b"), (False, True, False, "a; b")],
)
def test_a_property_shown_twice_is_given_only_where_both_say_so(
    first: bool, second: bool, given: bool, how: str
) -> None:
    proofs = (
        PropertyProof(Property.NET_ISOLATED, first, "a"),
        PropertyProof(Property.ENV_SCOPED, True, "c"),
    )
    both = Enforcement("x", proofs, ("tcp",)).also(
        PropertyProof(Property.NET_ISOLATED, second, "b"), ("tcp", "udp")
    )
    assert (Property.NET_ISOLATED in both.given) is given
    assert Property.ENV_SCOPED in both.given
    assert both.why_not(Property.NET_ISOLATED) == how
    assert both.escaped == ("tcp", "udp")
