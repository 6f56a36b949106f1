"""Extract the policy: the part of a configuration that a verdict depends on.

It is the same on every host and is kept with the run. It is written before the end of a run is
recorded, so that finishing it later uses the policy it was decided under. It contains nothing of a
host (interpreter, workers, isolation).
"""

from __future__ import annotations

from typing import cast

from factory.model.action import limits_record
from factory.model.config import Config, Source
from factory.model.evidence import (
    GrantRecord,
    PolicyDocument,
    PolicyRecord,
    SourceName,
)
from factory.model.evidence_text import format_document, sha256
from factory.model.injection import upstream_of
from factory.model.judged import JudgePolicy

_SETTINGS = frozenset(
    {
        *("required", "accepted_missing", "protected", "ceilings", "overlap"),
        *("network_hosts", "network_within", "network_allow_any"),
        *("network_private", "network_ca_file", "network_upstream_proxy"),
        *("signing_policy", "signing_key_ids"),
        *("judge_patterns", "judge_require", "judge_may_change", "judge_retry", "judge_contracts"),
    }
)


def policy_of(config: Config) -> PolicyDocument:
    """Return the policy of a configuration."""
    upstream = upstream_of(config.network_upstream_proxy)
    return PolicyDocument(
        properties_required=tuple(sorted(name.value for name in config.required)),
        properties_accepted=tuple(sorted(name.value for name in config.accepted_missing)),
        protected=tuple(sorted(config.protected)),
        ceilings=limits_record(config.ceilings),
        network_hosts=tuple(sorted(config.network_hosts)),
        network_within=(
            None if config.network_within is None else tuple(sorted(config.network_within))
        ),
        network_allow_any=config.network_allow_any,
        network_private=tuple(sorted(config.network_private)),
        network_authorities=(
            sha256(config.network_authorities.encode("utf-8")) if config.network_authorities else ""
        ),
        network_upstream=upstream.place if upstream is not None else "",
        overlap=config.overlap.value,
        signing=config.signing_policy.value,
        signing_keys=tuple(sorted(config.signing_key_ids)),
        judge=JudgePolicy(
            patterns=tuple(sorted(config.judge_patterns)),
            require=tuple(sorted(config.judge_require)),
            may_change=config.judge_may_change,
            retry=config.judge_retry.value,
            contracts=config.judge_contracts.value,
        ),
        grants=tuple(
            GrantRecord(kind=grant.kind.value, thing=grant.thing, pack=grant.pack)
            for grant in sorted(config.grants, key=lambda it: (it.kind.value, it.thing, it.pack))
        ),
    )


def policy_record(config: Config) -> PolicyRecord:
    """Return what the status of a run records about its policy: digest, origin, grants."""
    policy = policy_of(config)
    sources = {source for name, source in config.sources if name in _SETTINGS}
    return PolicyRecord(
        sha256=sha256(format_document(policy)),
        ref=config.policy_ref if config.policy_commit else "",
        commit=config.policy_commit,
        sources=cast(
            "tuple[SourceName, ...]",
            tuple(sorted(source.value for source in sources - {Source.DEFAULT})),
        ),
        grants=policy.grants,
    )
