"""Confinement of packs: which processes may run, what they see, and the proof that it holds."""
