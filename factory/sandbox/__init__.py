"""Confine commands: which processes may run, what they see, and the proof of it."""
