"""Keep a verifiable log: Merkle tree, signed notes, checkpoints, Ed25519. Knows no run."""
