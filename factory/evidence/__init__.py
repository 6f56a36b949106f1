"""What a run leaves: ledger, attestations, keys, index, review, and what may go."""
