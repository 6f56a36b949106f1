"""Check evidence independently: evidence in, findings out, by code that shares nothing with its
writer.

Rule: it derives again and compares; it believes no document because another one says so. What
cannot be derived again is a gap with its reason, never a success. Imports pure values and the
strict JSON reader; a contract of the architecture linter forbids it everything else.
"""
