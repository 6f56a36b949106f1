"""The independent checker: evidence in, findings out, by code that shares nothing with who wrote
the evidence.

Rule: it re-derives and compares; it believes no document for another's sake. What cannot be
re-derived is a gap with its reason, never a success. Imports nouns that are pure values and the
strict JSON reader; a contract of the architecture linter forbids it everything else.
"""
