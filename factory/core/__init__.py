"""Floor 1: pure decisions. Bytes and nouns in, nouns out; no I/O, no clock, no environment."""
