"""Keep what a run leaves: ledger, attestations, keys, index, review, and what may go."""
