"""Values that several rooms share: findings, verdicts, packs, documents. No I/O."""
