"""Define the bounds of one attempt as task.yml writes them, and the ceilings over them.

Pure. Does not know what enforces them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Annotated

from factory.contract.document_parts import (
    Count,
    CountFromZero,
    DiskSize,
    Duration,
    Part,
    Size,
)
from factory.contract.written import Breach, Written
from factory.model.pack import Limits
from factory.strict.document import Field

_DEFAULTS = Limits()


class LimitsSection(Part):
    """Bound one attempt."""

    timeout: Duration = Field(_DEFAULTS.timeout, description="Seconds, or text such as 90s or 10m.")
    memory: Size = Field(_DEFAULTS.memory, description="Bytes, or text such as 512MiB or 2G.")
    processes: Count = Field(_DEFAULTS.processes, description="Processes and threads at once.")
    disk: DiskSize = Field(_DEFAULTS.disk, description="Bytes written.")
    output: Size = Field(_DEFAULTS.output, description="Bytes printed by one command.")
    changed_lines: CountFromZero = Field(
        _DEFAULTS.changed_lines, description="Lines added and removed."
    )
    attempts: Annotated[Count, Field(le=100)] = Field(
        _DEFAULTS.attempts, description="Fresh starts at most."
    )
    idle: Duration = Field(
        _DEFAULTS.idle, description="How long a connection may be silent: seconds, or as 5m."
    )
    connections: Count = Field(
        _DEFAULTS.connections, description="Connections to the outside of one stage."
    )
    upload: Size = Field(_DEFAULTS.upload, description="Bytes that one stage sends.")
    download: Size = Field(_DEFAULTS.download, description="Bytes that one stage receives.")
    learn: bool = Field(
        False, description="true: a later attempt can read why the last one failed."
    )


def declared_limits(limits: LimitsSection, minutes: int | None) -> Mapping[str, int]:
    """Return the limits that are written; `minutes` is the older spelling of the time limit."""
    names = limits.model_fields_set - {"learn"}
    declared: dict[str, int] = {name: getattr(limits, name) for name in names}
    if minutes is not None:
        declared.setdefault("timeout", minutes * 60)
    return declared


def limits_of(limits: LimitsSection, minutes: int | None, ceilings: Limits | None) -> Limits:
    """Return the declared limits; an absent one is the default, or the ceiling if that is lower."""
    declared = declared_limits(limits, minutes)
    chosen = {}
    for limit in fields(Limits):
        default: int = getattr(_DEFAULTS, limit.name)
        bound = default if ceilings is None else min(default, getattr(ceilings, limit.name))
        chosen[limit.name] = declared.get(limit.name, bound)
    return Limits(**chosen)


def limit_breaches(
    limits: LimitsSection, minutes: int | None, written: Written
) -> Iterator[Breach]:
    """Yield two spellings that disagree. What is over a ceiling is a request of the user, and no
    breach: `trust.requests`.
    """
    declared = "timeout" in limits.model_fields_set
    if minutes is not None and declared and limits.timeout != minutes * 60:
        clause = f"{minutes} differs from limits.timeout, {limits.timeout} seconds"
        yield written.breach("/execution/timeout_minutes", clause, "keep only limits.timeout")
