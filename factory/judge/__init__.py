"""Decide about changes, commands and verdicts. No I/O, clock or environment."""
