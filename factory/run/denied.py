"""What the host saw a pack try and not get, read from a run: each with its rule and what would
allow it.

Rule: only records of the host are read, never a log; whatever does not hold its form counts as not
there. Decides nothing, and does not know how anything was seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from factory.judge.denials import (
    allowed_by,
    is_observed,
    reachable_by,
    refused,
    rule_of,
    rule_words,
)
from factory.judge.path_guard import display
from factory.judge.way_out import NEVER
from factory.model.denial import DeniedDocument
from factory.model.egress_record import ConnectionRecord, EgressDocument
from factory.model.evidence_text import EvidenceError, parse_document
from factory.model.layout import RunFolder
from factory.model.pack import TaskPack
from factory.plan.site import Site

_Form = TypeVar("_Form", DeniedDocument, EgressDocument)


@dataclass(frozen=True, slots=True)
class Denial:
    """One thing that was tried: what, the rule in a clause, how often, during which commands, and
    the way out.
    """

    tried: str
    what: str
    rule: str
    count: int
    during: tuple[str, ...]
    way_out: str


@dataclass(frozen=True, slots=True)
class Denials:
    """Of one pack in one run. `observed` names what could be seen; `more` counts what has no row of
    its own.
    """

    rows: tuple[Denial, ...]
    observed: tuple[str, ...]
    more: int


def read_denials(
    site: Site, pack: TaskPack, run_id: str, ways: Mapping[tuple[str, str], str]
) -> Denials | None:
    """What was denied in a run; None where nothing of that run is left. `ways` are ways out by
    finding and sentence.
    """
    folder = RunFolder.of(run_id).raw.pack(pack.id)
    if not run_id or not site.store.names(folder):
        return None
    document = _parsed(site, folder.denied, DeniedDocument)
    rows: list[Denial] = []
    for each in document.denials if document is not None else ():
        if is_observed(each):
            rule, way = rule_words(pack, each), allowed_by(pack, each)
        else:
            unknown = (
                "nothing in the contract can allow it"
                if each.rule in NEVER
                else f"see: factory why {pack.id}"
            )
            rule, way = each.rule, ways.get((each.rule, each.what), unknown)
        rows.append(Denial(each.tried, display(each.what), rule, each.count, each.during, way))
    egress = _parsed(site, folder.egress, EgressDocument)
    rows += _refused(pack, egress.connections if egress is not None else ())
    observed = document.observed if document is not None else ("network",)
    return Denials(tuple(rows), observed, document.more if document is not None else 0)


def _refused(pack: TaskPack, connections: tuple[ConnectionRecord, ...]) -> list[Denial]:
    """What the proxy refused, the same refusals together."""
    found: dict[tuple[str, str], list[ConnectionRecord]] = {}
    for each in filter(refused, connections):
        where = each.host or each.address or "an unnamed host"
        found.setdefault((f"{where}:{each.port}" if each.port else where, each.reason), []).append(
            each
        )
    return [
        Denial(
            "connect",
            display(what),
            rule_of(same[0]),
            len(same),
            tuple(dict.fromkeys(each.during for each in same)),
            reachable_by(pack, same[0]),
        )
        for (what, _), same in found.items()
    ]


def _parsed(site: Site, path: str, form: type[_Form]) -> _Form | None:
    content = site.store.read(path)
    if content is None:
        return None
    try:
        return parse_document(form, content)
    except EvidenceError:
        return None
