"""Floor 3: one file per phase. Phases know ports and decisions, never adapters by name."""
