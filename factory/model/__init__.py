"""Share values between rooms: findings, verdicts, packs, documents. No I/O."""
