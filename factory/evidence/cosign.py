"""Add the signature of another key to a finished run, next to it: whoever signs has verified it.

The run's own files stay as they are. The signature is over an in-toto statement about
`RUN_MANIFEST.json`, which names every file of the run by digest, the run's own signatures too.
Does not know how a run is verified, nor whom to trust.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from factory.evidence.attestations import enclose, pae
from factory.log.dsse import format_envelopes
from factory.log.key import Signature
from factory.model.layout import IN_RUN
from factory.model.statement import COSIGNATURE, STATEMENT_TYPE, VERIFIER_ID
from factory.strict import canonical
from factory.version import __version__

if TYPE_CHECKING:  # costs the library for cryptography
    from factory.log.ed25519 import PrivateSigner


def cosigned(run_id: str, manifest: str, signer: PrivateSigner, time: str) -> bytes:
    """Return the file of a signature over a run that was verified at `time` (UTC); `manifest` is
    the digest of its `RUN_MANIFEST.json` then.
    """
    payload = canonical.encode(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": IN_RUN.manifest, "digest": {"sha256": manifest}}],
            "predicateType": COSIGNATURE,
            "predicate": {
                "verifier": {"id": VERIFIER_ID, "version": {"codex-orchestrator": __version__}},
                "timeVerified": time,
                "resourceUri": f"urn:codex-orchestrator:run:{run_id}",
            },
        }
    )
    signature = Signature(signer.key, signer.sign(pae(payload)))
    return format_envelopes((enclose(payload, (signature,)),))
