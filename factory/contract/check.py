"""Check the contracts of a repository against their forms and each other.

Needs no commit and no sandbox. Does not know what this version or this host can carry out:
preflight judges that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from factory.contract.catalogue import Catalogue, PackEntry, read_catalogue
from factory.contract.environments import judge_names
from factory.contract.scaffold import SKELETON_WHY
from factory.contract.work_tree import UserWorkTree
from factory.judge.status_eval import of_findings
from factory.model.config import Config
from factory.model.errors import UsageError
from factory.model.finding import Finding, Location
from factory.model.verdict import Status
from factory.model.wording import nearest
from factory.redact.redaction import Redactor

SCHEMAS_FOLDER = "schemas"
_OUR_SCHEMA = b'"$id": "urn:codex-orchestrator:schema:'


@dataclass(frozen=True, slots=True)
class Judged:
    """List every finding in the order of files, the number of packs read, and the ids of invalid
    ones.
    """

    findings: tuple[Finding, ...]
    packs: int
    broken: tuple[str, ...]

    @property
    def status(self) -> Status:
        """Return BLOCKED if a finding blocks, else PASS."""
        return of_findings(self.findings)


def judge_contracts(
    work_tree: UserWorkTree,
    config: Config,
    others: tuple[Finding, ...],
    only: tuple[str, ...] = (),
    redactor: Redactor | None = None,
) -> Judged:
    """Judge every pack of the work tree, or those in `only` (id or folder).

    `others` are findings about everything else. Raise UsageError for a name that no pack has.
    """
    catalogue = read_catalogue(work_tree, config.packs_folder, config.ceilings, redactor)
    chosen = choose(catalogue, only) if only else catalogue.entries
    general = () if only else catalogue.findings
    unknown = [each for entry in chosen if entry.pack for each in judge_names(entry.pack, config)]
    own = (finding for entry in chosen for finding in entry.findings)
    found = (*others, *general, *own, *unknown, *_unwritten(chosen))
    lost = {finding.pack for finding in unknown}
    broken = tuple(entry.id for entry in chosen if not entry.usable or entry.id in lost)
    return Judged(tuple(sorted(dict.fromkeys(found), key=_place)), len(chosen), broken)


def _unwritten(entries: Iterable[PackEntry]) -> Iterator[Finding]:
    """Yield SPEC_UNWRITTEN for each pack whose spec.md has the sentence of the skeleton."""
    for entry in entries:
        if entry.pack is not None and entry.pack.why == SKELETON_WHY:
            place = Location(f"{entry.folder}/spec.md")
            yield Finding("SPEC_UNWRITTEN", pack=entry.id, location=place)


def choose(catalogue: Catalogue, names: tuple[str, ...]) -> tuple[PackEntry, ...]:
    """Return the packs of these names, each an id or a folder's name. Raise UsageError with a
    suggestion.
    """
    chosen: dict[str, PackEntry] = {}
    for name in names:
        bare = name.rstrip("/").rpartition("/")[2]
        found = [entry for entry in catalogue.entries if bare in (entry.id, entry.name)]
        if not found:
            known = [each for entry in catalogue.entries for each in (entry.id, entry.name)]
            meant = nearest(bare, known)
            shown = (
                ", ".join(entry.id for entry in catalogue.entries[:5])
                or "none yet; start with: factory init"
            )
            hint = f"did you mean {meant}?" if meant else f"task packs: {shown}"
            raise UsageError(f"there is no task pack {name!r}", hint)
        chosen.update((entry.folder, entry) for entry in found)
    return tuple(chosen.values())


def narrowed(catalogue: Catalogue, names: tuple[str, ...]) -> Catalogue:
    """Return the packs of these names and all that they depend on, and one finding about other
    packs that are not valid. Raise UsageError.
    """
    known, wanted = catalogue.by_id(), {entry.folder for entry in choose(catalogue, names)}
    waiting = [entry for entry in catalogue.entries if entry.folder in wanted]
    while waiting:
        pack = waiting.pop().pack
        needed = [known[need] for need in (pack.depends_on if pack else ()) if need in known]
        waiting += [entry for entry in needed if entry.folder not in wanted]
        wanted |= {entry.folder for entry in needed}
    chosen = tuple(entry for entry in catalogue.entries if entry.folder in wanted)
    broken = [e.id for e in catalogue.entries if e.folder not in wanted and not e.usable]
    facts = {"others": tuple(dict.fromkeys(broken))}
    beside = (Finding("PACK_NEIGHBOUR_BROKEN", facts),) if broken else ()
    own = tuple(one for one in catalogue.findings if one.id != "PACK_FOLDER_STRAY")
    return Catalogue(chosen, (*own, *beside))


def our_schemas(root: Path) -> tuple[Path, ...]:
    """Return the files of the schemas folder; none if no file of it is a schema of ours."""
    folder = root / SCHEMAS_FOLDER
    written = sorted(folder.glob("*.schema.json")) if folder.is_dir() else []
    ours = any(_OUR_SCHEMA in path.read_bytes() for path in written if path.is_file())
    return tuple(written) if ours else ()


def stale_schemas(root: Path) -> tuple[Finding, ...]:
    """Return SCHEMA_STALE for each schema of ours that differs from its model."""
    if not our_schemas(root):
        return ()
    from factory.contract import schemas  # late: it loads every model

    return schemas.stale(root / SCHEMAS_FOLDER, SCHEMAS_FOLDER)


def _place(finding: Finding) -> tuple[str, int, int]:
    place = finding.location
    return (place.file, place.line, place.column) if place is not None else ("", 0, 0)
