"""Run packs: attempts, acceptance, launch, validation, the check of a merged tree."""
